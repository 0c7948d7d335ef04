"""From raw ink to what a network reads: scale, thin, select, split, normalise, augment.

Offsets are divided by the writer's letter-body height, thinned, and then normalised per
axis with the mean and standard deviation of the training set. `Normalisation` keeps
both, so that likelihoods can be reported in either unit. Built in chapter 01.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .._deprecation import renamed_attributes, renamed_fields
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
    """The settings with which `prepare` thins ink; see `handwriting_lib.ink.thin`.

    Attributes:
        distance: the distance between kept points on a straight line, in letter-body
            heights.
        angle: the turning that counts as much as `distance`, in radians; 0 ignores
            turning.
    """

    distance: float = 0.3
    angle: float = 1.0

    def __call__(self, ink: Tensor) -> tuple[Tensor, Tensor]:
        return thin(ink, self.distance, self.angle or None)

    def times(self, factor: float) -> Thinning:
        """The settings that keep about one point in `factor` of those kept by these."""
        return Thinning(self.distance * factor, self.angle * factor)


@renamed_attributes(log_volume="log_jacobian")
@dataclass(frozen=True)
class Normalisation:
    """Per-axis mean and standard deviation of the training set's offsets.

    Attributes:
        mean: the means of dx and dy, in letter-body heights.
        std: the standard deviations of dx and dy, in letter-body heights.

    Example:
        >>> import torch
        >>> unit = Normalisation((0.0, 0.0), (2.0, 4.0))
        >>> unit.apply(torch.tensor([[2.0, 2.0, 1.0]]))
        tensor([[1.0000, 0.5000, 1.0000]])
    """

    mean: tuple[float, float] = (0.0, 0.0)
    std: tuple[float, float] = (1.0, 1.0)

    def apply(self, ink: Tensor) -> Tensor:
        """Normalise offsets `(..., 3)` given in letter-body heights."""
        offset = (ink[..., :2] - ink.new_tensor(self.mean)) / ink.new_tensor(self.std)
        return torch.cat([offset, ink[..., 2:]], -1)

    def invert(self, ink: Tensor) -> Tensor:
        """Convert normalised offsets `(..., 3)` back to letter-body heights."""
        offset = ink[..., :2] * ink.new_tensor(self.std) + ink.new_tensor(self.mean)
        return torch.cat([offset, ink[..., 2:]], -1)

    @property
    def log_jacobian(self) -> float:
        """The log-determinant of the Jacobian of `invert`, per point.

        Subtracting it from the log-density of a point in normalised units gives the
        log-density in letter-body heights.
        """
        return math.log(self.std[0]) + math.log(self.std[1])


def measure_normalisation(samples: Sequence[Sample]) -> Normalisation:
    """Measure the mean and standard deviation of the offsets.

    The first offset of each line is left out, because it is always 0, 0.

    Raises:
        ValueError: there are fewer than two offsets.
    """
    rows = torch.cat([s.ink[1:, :2] for s in samples]).double() if samples else None
    if rows is None or len(rows) < 2:
        raise InputError("the samples have fewer than two offsets: give more ink")
    mean, std = rows.mean(0), rows.std(0).clamp_min(1e-6)
    return Normalisation(
        (float(mean[0]), float(mean[1])), (float(std[0]), float(std[1]))
    )


def scale_by_writer(samples: Sequence[Sample]) -> list[Sample]:
    """Divide each sample's offsets by its writer's letter-body height.

    The height is the median over the writer's lines and words in one unit, or over the
    characters of a writer who wrote nothing longer. Ink with a median height of 0 is
    not scaled.
    """
    heights: dict[tuple[str, str], dict[bool, list[float]]] = defaultdict(
        lambda: {True: [], False: []}
    )
    for s in samples:
        long = s.kind != "character"
        heights[s.writer, s.units][long].append(letter_body_height(s.ink))
    height = {
        key: float(np.median(both[True] or both[False])) or 1.0
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
    """The bounds outside which `prepare` skips a sample and counts it.

    Attributes:
        max_points: the maximum number of points in a sample, after thinning.
        max_offset: the maximum offset along either axis, in letter-body heights.
        points_per_character: the minimum and maximum number of points per character.
        width_per_character: the minimum and maximum width per character of a word or a
            line, in letter-body heights.
        min_characters: the minimum number of characters in a word or a line.
    """

    RENAMED: ClassVar[dict[str, str]]  # the new name for each old attribute name

    max_points: int = 500
    max_offset: float = 12.0
    points_per_character: tuple[float, float] = (6.0, 40.0)
    width_per_character: tuple[float, float] = (0.3, 4.0)
    min_characters: int = 1


def prepare(
    corpus: Corpus, thinning: Thinning = Thinning(), limits: Limits = Limits()
) -> Corpus:
    """Scale samples by writer, thin them, and skip those outside the limits.

    Args:
        corpus: the raw ink, as a reader returns it.
        thinning: the settings that decide which points stay.
        limits: the bounds that decide which samples stay.

    Returns:
        A corpus in letter-body heights, whose `skipped` counts only the samples that
        this function left out.
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
    """Return the reason why a sample is outside the limits, or None."""
    characters = len(sample.text)
    if not characters:
        return "ink without a text"
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
    """Return a pseudo-random number in [0, 1) that depends on `name` alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


@dataclass(frozen=True)
class Split:
    """Training and validation samples with no writer in common.

    Attributes:
        train: the samples of the training writers.
        validation: the samples of the held-out writers.
        left_out: the number of lines by training writers that are on neither side,
            because their texts are held out.
    """

    train: list[Sample]
    validation: list[Sample]
    left_out: int = 0


def split_by_writer(
    samples: Sequence[Sample], share: float = 0.1, text_share: float = 0.05
) -> Split:
    """Split samples by writer, and hold out the texts of some lines as well.

    Whether a writer is held out depends on the writer's name alone, so a sample never
    changes sides when others are added or removed. Lines by training writers with a
    held-out text go to neither side, so that validation lines with such a text show how
    a network copes with texts that no training line has.

    Args:
        samples: the samples of one or more corpora.
        share: the expected share of writers to hold out, from 0 to 1.
        text_share: the expected share of the distinct texts of lines to hold out, from
            0 to 1.

    Raises:
        ValueError: a share is outside 0 to 1.
    """
    if not (0 <= share <= 1 and 0 <= text_share <= 1):
        raise InputError(f"shares must be from 0 to 1, not {share} and {text_share}")
    train, validation = [], []
    for s in samples:
        if _draw("writer " + s.writer) < share:
            validation.append(s)
        elif s.kind != "line" or not text_is_held_out(s.text, text_share):
            train.append(s)
    return Split(train, validation, len(samples) - len(train) - len(validation))


def split_by_text(samples: Sequence[Sample], share: float = 0.1) -> Split:
    """Hold out a share of the texts, for ink by one writer alone.

    Samples with one text go to one side together. The texts are held out by draws that
    depend on the text alone; with few texts, the one with the lowest draw is held out.

    Args:
        samples: the samples of one writer.
        share: share of the distinct texts to hold out, 0 to 1.
    """
    if not 0 <= share <= 1:
        raise InputError(f"the share must be from 0 to 1, not {share}")
    draws = {s.text: _draw("own text " + _letters(s.text)) for s in samples}
    held_out = {text for text, drawn in draws.items() if drawn < share}
    if not held_out and len(draws) > 1 and share:
        held_out = {min(draws, key=lambda text: (draws[text], text))}
    train = [s for s in samples if s.text not in held_out]
    return Split(train, [s for s in samples if s.text in held_out])


def _letters(text: str) -> str:
    """What counts when texts are compared: no case, no spaces, no punctuation."""
    return "".join(c for c in text.lower() if c.isalnum())


def text_is_held_out(text: str, text_share: float = 0.05) -> bool:
    """Return whether `split_by_writer` keeps lines with this text out of training.

    Case, spaces and punctuation are ignored.
    """
    return _draw("text " + _letters(text)) < text_share


# --- augmentation --------------------------------------------------------------


@dataclass(frozen=True)
class Augmentation:
    """The standard deviations of the random changes to a line; 0 disables a change.

    Attributes:
        slant: the standard deviation of the shear.
        size: the standard deviation of the log size.
        width: the standard deviation of the log width relative to the height.
        speed: the standard deviation of the log speed (see `change_speed`).
    """

    slant: float = 0.08
    size: float = 0.08
    width: float = 0.05
    speed: float = 0.0


def change_speed(ink: Tensor, factor: float) -> Tensor:
    """Resample the path of the pen as if it had moved `factor` times as fast.

    Each stroke of n offsets becomes one of about n / factor. The new points divide the
    stroke evenly in time and lie on the straight lines between the old points. The ends
    of strokes and the moves with the pen in the air stay unchanged.

    Args:
        ink: `(T, 3)` offsets.
        factor: the change of speed; above 1 gives fewer points, below 1 gives more.

    Returns:
        `(N, 3)` offsets.

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
        raise InputError(f"the speed factor must be above 0, not {factor}")
    positions = offsets_to_positions(ink)  # (T, 3)
    ends = ink[:, 2] > 0.5
    ends[-1] = True
    last = ends.nonzero()[:, 0]  # (strokes,), the last row of each stroke
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
    """Change the slant, size, width and speed of a line at random.

    Args:
        ink: `(T, 3)` offsets in letter-body heights.
        how: the standard deviations of the changes.
        generator: the random generator of the changes.
    """
    a, b, c = torch.randn(3, generator=generator).tolist()
    ink = slant(ink, a * how.slant)
    size, width = math.exp(b * how.size), math.exp(c * how.width)
    if how.speed:
        faster = torch.randn(1, generator=generator).item()
        ink = change_speed(ink, math.exp(faster * how.speed))
    return ink * ink.new_tensor([size * width, size, 1.0])
