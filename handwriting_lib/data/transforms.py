"""From raw ink to what a network reads: scale, thin, select, split, normalise, augment.

Offsets are divided by the writer's letter-body height, thinned, and then normalised per
axis by the training set's mean and standard deviation. Every factor is kept, so that
likelihoods can be given in both units. Built in chapter 01.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..deprecation import renamed_attributes, renamed_fields
from ..errors import InputError
from ..ink import (
    Corpus,
    Sample,
    letter_body_height,
    offsets_to_positions,
    positions_to_offsets,
    slant,
    thin,
)


@dataclass(frozen=True)
class Thinning:
    """How `prepare` thins ink: see `handwriting_lib.ink.thin`.

    Attributes:
        distance: letter-body heights between kept points on a straight line.
        angle: radians of turning that count as much as `distance`; 0 leaves it out.
    """

    distance: float = 0.3
    angle: float = 1.0

    def __call__(self, ink: Tensor) -> tuple[Tensor, Tensor]:
        return thin(ink, self.distance, self.angle or None)


@renamed_attributes(log_volume="log_jacobian")
@dataclass(frozen=True)
class Normalisation:
    """Per-axis mean and standard deviation of the training set's offsets.

    Attributes:
        mean: of dx and dy, in letter-body heights.
        std: of dx and dy, in letter-body heights.

    Example:
        >>> import torch
        >>> unit = Normalisation((0.0, 0.0), (2.0, 4.0))
        >>> unit.apply(torch.tensor([[2.0, 2.0, 1.0]]))
        tensor([[1.0000, 0.5000, 1.0000]])
    """

    mean: tuple[float, float] = (0.0, 0.0)
    std: tuple[float, float] = (1.0, 1.0)

    def apply(self, ink: Tensor) -> Tensor:
        """Offsets `(..., 3)` in letter-body heights to normalised offsets."""
        offset = (ink[..., :2] - ink.new_tensor(self.mean)) / ink.new_tensor(self.std)
        return torch.cat([offset, ink[..., 2:]], -1)

    def invert(self, ink: Tensor) -> Tensor:
        """Normalised offsets `(..., 3)` back to letter-body heights."""
        offset = ink[..., :2] * ink.new_tensor(self.std) + ink.new_tensor(self.mean)
        return torch.cat([offset, ink[..., 2:]], -1)

    @property
    def log_jacobian(self) -> float:
        """Log-Jacobian of the normalisation, per point.

        A log-likelihood in normalised units less this is the one in letter-body units.
        """
        return math.log(self.std[0]) + math.log(self.std[1])


def measure_normalisation(samples: Sequence[Sample]) -> Normalisation:
    """Mean and standard deviation over all offsets but each line's first, always 0, 0.

    Raises:
        ValueError: there are fewer than two offsets.
    """
    rows = torch.cat([s.ink[1:, :2] for s in samples]).double() if samples else None
    if rows is None or len(rows) < 2:
        raise InputError("there is too little ink to measure: fewer than two offsets")
    mean, std = rows.mean(0), rows.std(0).clamp_min(1e-6)
    return Normalisation(
        (float(mean[0]), float(mean[1])), (float(std[0]), float(std[1]))
    )


def scale_by_writer(samples: Sequence[Sample]) -> list[Sample]:
    """Divide each sample's offsets by its writer's letter-body height.

    The height is the median over the writer's lines and words in one unit (over the
    characters of those who wrote nothing longer). Ink that is flat throughout stays as
    it is.
    """
    heights: dict[tuple[str, str], dict[bool, list[float]]] = defaultdict(
        lambda: {True: [], False: []}
    )
    for s in samples:
        long = s.kind != "character"
        heights[s.writer, s.units][long].append(letter_body_height(s.ink))
    height = {
        key: statistics.median(both[True] or both[False]) or 1.0
        for key, both in heights.items()
    }
    factor = torch.tensor([1.0, 1.0, 0.0])
    return [
        s.replace(
            ink=s.ink
            * (factor / height[s.writer, s.units] + torch.tensor([0, 0, 1.0])),
            units="letter-body heights",
        )
        for s in samples
    ]


@renamed_fields(
    points="max_points",
    offset="max_offset",
    per_character="points_per_character",
    width="width_per_character",
    shortest="min_characters",
)
@dataclass(frozen=True)
class Limits:
    """What `prepare` keeps: ink outside these bounds is skipped and counted.

    Attributes:
        max_points: the most points of a sample, after thinning.
        max_offset: the largest offset, in letter-body heights.
        points_per_character: the fewest and the most.
        width_per_character: the least and the most, in letter-body heights.
        min_characters: the fewest characters in a word or a line.
    """

    RENAMED: ClassVar[dict[str, str]]  # old names of the attributes

    max_points: int = 500
    max_offset: float = 12.0
    points_per_character: tuple[float, float] = (6.0, 40.0)
    width_per_character: tuple[float, float] = (0.3, 4.0)
    min_characters: int = 1


def prepare(
    corpus: Corpus, thinning: Thinning = Thinning(), limits: Limits = Limits()
) -> Corpus:
    """Scale by writer, thin, and leave out what is outside the limits.

    Args:
        corpus: raw ink, as a reader returns it.
        thinning: which points stay.
        limits: which samples stay.

    Returns:
        A corpus in letter-body heights; `skipped` counts what this step left out.
    """
    kept: list[Sample] = []
    skipped: Counter[str] = Counter()
    for s in scale_by_writer(corpus.samples):
        ink, rows = thinning(s.ink)
        reason = _outside(ink, s, limits)
        if reason:
            skipped[f"{s.kind}: {reason}"] += 1
            continue
        owner = s.character_of_point
        kept.append(
            s.replace(
                ink=ink, character_of_point=None if owner is None else owner[rows]
            )
        )
    return Corpus(corpus.name, kept, dict(skipped.most_common()))


def _outside(ink: Tensor, sample: Sample, limits: Limits) -> str | None:
    """Why a sample is outside the limits, or None."""
    characters = len(sample.text)
    points = len(ink) / characters
    x = ink[:, 0].cumsum(0)
    width = float(x.max() - x.min()) / characters
    is_character = sample.kind == "character"
    if not is_character and characters < limits.min_characters:
        return f"fewer than {limits.min_characters} characters"
    if len(ink) > limits.max_points:
        return f"more than {limits.max_points} points"
    if float(ink[:, :2].abs().max()) > limits.max_offset:
        return f"an offset above {limits.max_offset:g} letter-body heights"
    low, high = limits.points_per_character
    if not low <= points <= high:
        return f"points per character outside {low:g} to {high:g}"
    low, high = limits.width_per_character
    if not is_character and not low <= width <= high:
        return f"width per character outside {low:g} to {high:g} letter-body heights"
    return None


# --- splits ------------------------------------------------------------------


def _draw(name: str) -> float:
    """A number in [0, 1) that depends on `name` alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


@dataclass(frozen=True)
class Split:
    """Training and validation samples with no writer in common.

    Attributes:
        train: of the training writers.
        validation: of the held-out writers.
        left_out: how many lines of training writers went to neither side, because
            their texts are held out.
    """

    train: list[Sample]
    validation: list[Sample]
    left_out: int = 0


def split_by_writer(
    samples: Sequence[Sample], share: float = 0.1, text_share: float = 0.05
) -> Split:
    """Hold out writers, and some texts of lines as well.

    A writer is held out by a draw that depends on the writer alone, so a sample never
    changes sides when others come or go. Lines of training writers whose text is held
    out go to neither side: a validation line may then have a text nobody trained on.

    Args:
        samples: from one corpus or several.
        share: of the writers to hold out, 0 to 1.
        text_share: of the distinct texts of lines to hold out, 0 to 1.

    Raises:
        ValueError: a share is outside 0 to 1.
    """
    if not (0 <= share <= 1 and 0 <= text_share <= 1):
        raise InputError(f"shares must lie in 0 to 1, not {share} and {text_share}")
    train, validation = [], []
    for s in samples:
        if _draw("writer " + s.writer) < share:
            validation.append(s)
        elif s.kind != "line" or not text_is_held_out(s.text, text_share):
            train.append(s)
    return Split(train, validation, len(samples) - len(train) - len(validation))


def text_is_held_out(text: str, text_share: float = 0.05) -> bool:
    """Whether `split_by_writer` keeps lines with this text out of training.

    Case, spaces and punctuation do not count.
    """
    letters = "".join(c for c in text.lower() if c.isalnum())
    return _draw("text " + letters) < text_share


# --- augmentation --------------------------------------------------------------


@dataclass(frozen=True)
class Augmentation:
    """Standard deviations of the random changes to a line; 0 leaves one out.

    Attributes:
        slant: of the shear.
        size: of the logarithm of the size.
        width: of the logarithm of the width relative to the height.
        speed: of the logarithm of the speed (`change_speed`); none unless asked for.
    """

    slant: float = 0.08
    size: float = 0.08
    width: float = 0.05
    speed: float = 0.0


def change_speed(ink: Tensor, factor: float) -> Tensor:
    """The same way of the pen, read while it moved `factor` times as fast.

    Each stroke of n offsets becomes one of about n / factor, with points spread evenly
    between the old ones, on the straight lines that join them. Its ends stay, and so
    do the moves with the pen in the air.

    Args:
        ink: `(T, 3)` offsets.
        factor: above 1 leaves fewer points, below 1 makes more.

    Returns:
        `(N, 3)`.

    Raises:
        ValueError: the factor is not positive.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.]] + [[1., 0., 0.]] * 3 + [[1., 0., 1.]])
        >>> change_speed(ink, 2.0)
        tensor([[0., 0., 0.],
                [2., 0., 0.],
                [2., 0., 1.]])
    """
    if not factor > 0:
        raise InputError(f"the factor of the speed must be above 0, not {factor}")
    positions = offsets_to_positions(ink)  # (T, 3)
    ends = ink[:, 2] > 0.5
    ends[-1] = True
    last = ends.nonzero()[:, 0]  # (strokes,) the last row of each stroke
    first = torch.cat([last.new_zeros(1), last[:-1] + 1])
    old = last - first  # offsets inside each stroke
    new = torch.where(old > 0, (old / factor).round().long().clamp_min(1), 0)
    stroke = torch.arange(len(last)).repeat_interleave(new + 1)  # (N,)
    begin = (new + 1).cumsum(0) - (new + 1)
    within = torch.arange(len(stroke)) - begin[stroke]
    place = within * (old.double() / new.clamp_min(1))[stroke]  # in old rows
    left = place.floor().long().minimum((old - 1).clamp_min(0)[stroke])
    row = first[stroke] + left
    after = (row + 1).minimum(last[stroke])
    share = (place - left)[:, None].to(ink.dtype)
    changed = torch.lerp(positions[row], positions[after], share)
    changed[:, 2] = 0
    changed[begin + new, 2] = ink[last, 2]
    return positions_to_offsets(changed)


def augment(ink: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Lean, size, width and speed drawn anew: another hand of the same text.

    Args:
        ink: `(T, 3)` offsets in letter-body heights.
        how: the sizes of the changes.
        generator: the source of randomness.
    """
    a, b, c = torch.randn(3, generator=generator).tolist()
    ink = slant(ink, a * how.slant)
    size, width = math.exp(b * how.size), math.exp(c * how.width)
    if how.speed:
        faster = torch.randn(1, generator=generator).item()
        ink = change_speed(ink, math.exp(faster * how.speed))
    return ink * ink.new_tensor([size * width, size, 1.0])
