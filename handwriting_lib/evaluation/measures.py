"""What can be measured of a model: one function a measure, each usable alone.

Likelihood and squared error as in Graves 2013 (section 4.2), and what readers of a
written line ask next: does the pen move as people's do, is the window where the pen is,
is the line whole, can a stranger read it, and would damage be noticed? `evaluation`
puts them together. Chapters 10 to 12 and the page of results.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..data.batches import Batch, make_batch
from ..deprecation import renamed_attributes
from ..errors import InputError, NumericalError
from ..files.models import Model
from ..ink import Sample
from ..networks.output import NetworkOutput
from ..writing.lines import Line
from ..writing.sampling import check_line
from .legibility import Reading

TOGETHER = 50  # lines a batch
RESAMPLES = 2000  # of a bootstrap
UNREADABLE = 0.5  # a line with a larger share of wrong characters
BREAK = 1.0  # letter-body heights between ink and what is put after it
# Nats. Lines written at a bias of .75 hardly have a point that surprises their network
# by more than 7; a stroke that is put where none belongs mostly does so by 8 to 25.
SURPRISE = 8.0

Values = npt.NDArray[np.float64]


# --- statistics -------------------------------------------------------------------


class Estimate(NamedTuple):
    """A value, and the range that holds 95 % of its bootstrap resamples."""

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[..., Any], *values: Sequence[float] | Values, seed: int = 1
) -> Estimate:
    """A statistic of paired values with its bootstrap interval.

    Args:
        statistic: takes arrays `(..., N)`, one for each of `values`, and gives `(...)`.
        values: N numbers each, one a text; the same texts are drawn for all of them.
        seed: of the draws.

    Raises:
        ValueError: there are no values.

    Example:
        >>> bootstrap(mean, [1.0, 1.0, 1.0])
        Estimate(value=1.0, low=1.0, high=1.0)
    """
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    count = len(arrays[0])
    if not count:
        raise InputError("there is nothing to draw from: no line was measured")
    picks = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    drawn = statistic(*(array[picks] for array in arrays))  # (RESAMPLES,)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(statistic(*arrays)), float(low), float(high))


def mean(values: Values) -> Values:
    """The mean over the last axis."""
    return np.mean(values, -1)


def median(values: Values) -> Values:
    """The median over the last axis."""
    return np.median(values, -1)


class Spread(NamedTuple):
    """How values of lines lie: mean, median, and 5th and 95th percentile."""

    mean: float
    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Mean, median and percentiles of some values.

    Example:
        >>> spread([0.0, 1.0, 2.0])
        Spread(mean=1.0, median=1.0, low=0.1, high=1.9)
    """
    low, high = np.quantile(values, [0.05, 0.95])
    return Spread(
        float(np.mean(values)), float(np.median(values)), float(low), float(high)
    )


# --- likelihood -------------------------------------------------------------------


@renamed_attributes(
    nats_a_point="nats_per_point",
    nats_a_line="nats_per_line",
    body_nats_a_point="body_nats_per_point",
    body_nats_a_line="body_nats_per_line",
)
class Likelihood(NamedTuple):
    """How well a model predicts human ink, point by point; lower is better.

    A density over offsets divided by (s_x, s_y) is s_x s_y times as large, so the nats
    differ by log s_x + log s_y a point between the two units.

    Attributes:
        lines: how many.
        points: predicted: all but each line's first.
        nats_per_point: mean negative log-likelihood, in normalised units.
        nats_per_line: the same, summed over a line.
        body_nats_per_point: in letter-body heights.
        body_nats_per_line: the same, summed over a line.
        sse: squared distance between the offset and the mixture's mean, a point, in
            normalised units. The paper does not say which estimate it takes.
        body_sse: in squared letter-body heights.
    """

    lines: int
    points: int
    nats_per_point: float
    nats_per_line: float
    body_nats_per_point: float
    body_nats_per_line: float
    sse: float
    body_sse: float


@torch.inference_mode()
def likelihood(model: Model, lines: Sequence[Sample]) -> Likelihood:
    """Have a network predict each point of human lines from those before it.

    Args:
        model: with any of the library's networks.
        lines: prepared ink, in letter-body heights.

    Raises:
        FloatingPointError: a likelihood is not finite.
    """
    std = torch.tensor(model.normalisation.std, dtype=torch.float64)
    nats, points = 0.0, 0
    squares = torch.zeros(2, dtype=torch.float64)  # of x and y
    for _, batch in _batches(model, lines):
        mixture = _read(model.network, batch, batch.ink[:, :-1]).mixture()
        target, mask = batch.ink[:, 1:], batch.mask[:, 1:]
        nats -= float(mixture.log_prob(target)[mask].double().sum())
        missed = (mixture.mean - target)[mask][:, :2].double()  # (N, 2)
        squares += missed.square().sum(0).cpu()
        points += int(mask.sum())
    if not np.isfinite(nats):
        raise NumericalError(
            f"the likelihood of {model.name} is {nats}: a weight has run away"
        )
    body_nats = nats + points * model.normalisation.log_jacobian
    return Likelihood(
        len(lines),
        points,
        nats / points,
        nats / len(lines),
        body_nats / points,
        body_nats / len(lines),
        float(squares.sum()) / points,
        float((squares * std.square()).sum()) / points,
    )


def _batches(
    model: Model, samples: Sequence[Sample]
) -> Iterator[tuple[list[int], Batch]]:
    """Samples of like length together, with their numbers."""
    device = next(model.network.parameters()).device
    order = sorted(range(len(samples)), key=lambda i: len(samples[i].ink))
    for first in range(0, len(order), TOGETHER):
        numbers = order[first : first + TOGETHER]
        batch = make_batch([samples[i] for i in numbers], model.normalisation)
        yield numbers, batch.to(device)


def _read(network: nn.Module, batch: Batch, ink: Tensor) -> NetworkOutput:
    """What a network makes of a batch's ink, and of its text if it reads one."""
    return network(ink, *batch.texts(network.reads_text))  # type: ignore


# --- pace -------------------------------------------------------------------------


def speed_variation(ink: Tensor) -> float:
    """How unevenly the pen moves: deviation over mean of its speed.

    The speed is the length of an offset with the pen down, as points are read at equal
    times; thinned ink has less variation, so compare ink that was thinned alike.

    Args:
        ink: `(T, 3)` offsets.

    Returns:
        The coefficient of variation; 0 for fewer than two offsets, or no movement.

    Example:
        >>> import torch
        >>> speed_variation(torch.tensor([[0., 0., 0.], [3., 4., 0.], [0., 15., 1.]]))
        0.5
    """
    down = ink[1:][ink[:-1, 2] < 0.5]  # offsets with the pen down
    speed = down[:, :2].double().norm(dim=1)
    if len(speed) < 2 or not speed.any():
        return 0.0
    return float(speed.std(correction=0) / speed.mean())


@renamed_attributes(
    human_points_a_character="human_points_per_character",
    points_a_character="points_per_character",
)
class Pace(NamedTuple):
    """How written lines move beside human ones of the same texts.

    Attributes:
        lines: of each.
        human_speed_variation: over the human lines.
        speed_variation: over the written ones.
        speed_inside: the share of written lines between the human 5th and 95th
            percentile.
        human_points_per_character: over the human lines.
        points_per_character: over the written ones.
        points_inside: as `speed_inside`.
    """

    lines: int
    human_speed_variation: Spread
    speed_variation: Spread
    speed_inside: float
    human_points_per_character: Spread
    points_per_character: Spread
    points_inside: float


def pace(human: Sequence[Sample], written: Sequence[Line]) -> Pace:
    """Speed variation and points a character of written lines and of human ones."""
    measures: list[Any] = []
    for measure in (
        lambda line: speed_variation(line.ink),
        lambda line: len(line.ink) / len(line.text),
    ):
        theirs, ours = ([measure(x) for x in side] for side in (human, written))
        band = spread(theirs)
        inside = np.mean([band.low <= value <= band.high for value in ours])
        measures += [band, spread(ours), float(inside)]
    return Pace(len(written), *measures)


# --- attention --------------------------------------------------------------------


class Reread(NamedTuple):
    """What a network makes of ink that it reads.

    Attributes:
        phi: `(T, U)` the window's weights once each point was read.
        nats: `(T - 1,)` how much each point but the first surprised it: the negative
            logarithm of its density, in normalised units.
    """

    phi: Tensor
    nats: Tensor


@torch.inference_mode()
def reread(model: Model, samples: Sequence[Sample]) -> list[Reread]:
    """Have a network read ink, its own or somebody's, together with its text.

    Args:
        model: with a `SynthesisNetwork`.
        samples: ink in letter-body heights, thinned, and its text.

    Returns:
        One for each sample.
    """
    found: dict[int, Reread] = {}
    for numbers, batch in _batches(model, samples):
        out = _read(model.network, batch, batch.ink)
        assert out.phi is not None
        nats = -out.mixture().log_prob(batch.ink.roll(-1, 1))  # the last is no point's
        for phi, surprise, i in zip(out.phi.cpu(), nats.cpu(), numbers, strict=True):
            points, slots = len(samples[i].ink), len(samples[i].text) + 1
            found[i] = Reread(phi[:points, :slots], surprise[: points - 1])
    return [found[i] for i in range(len(samples))]


def attention(model: Model, samples: Sequence[Sample]) -> list[Tensor]:
    """phi as `reread` gives it: `(T, U)` a sample."""
    return [read.phi for read in reread(model, samples)]


class Alignment(NamedTuple):
    """Whether the window is where the pen is, on human ink.

    Attributes:
        writers: how many.
        lines: how many.
        points: all but each line's first; each is a place where the pen was down.
        exact: the share at which the most attended character is the point's own.
        within_one: the same, or one of its neighbours.
        exact_before: as `exact`, for the window from which the point was predicted:
            once the point before was read.
        within_one_before: as `within_one`, for that window.
    """

    writers: int
    lines: int
    points: int
    exact: float
    within_one: float
    exact_before: float
    within_one_before: float


def alignment(phis: Sequence[Tensor], samples: Sequence[Sample]) -> Alignment:
    """Compare the most attended characters with the true ones.

    Args:
        phis: as `attention` gives them.
        samples: with `character_of_point`.

    Raises:
        ValueError: there is no sample, or one that nobody has aligned.

    Example:
        >>> import torch
        >>> sample = Sample("ab", torch.zeros(3, 3), "w1", "example").replace(
        ...     character_of_point=torch.tensor([0, 0, 1]))
        >>> phi = torch.tensor([[.9, .1, 0.], [.2, .8, 0.], [.1, .9, 0.]])
        >>> alignment([phi], [sample]).exact
        0.5
    """
    if not samples or any(s.character_of_point is None for s in samples):
        raise InputError("there are no aligned lines, or some are not aligned")
    pairs = [
        (phi.argmax(1), s.character_of_point)
        for phi, s in zip(phis, samples, strict=True)
    ]
    after = torch.cat([(at[1:] - true[1:]).abs() for at, true in pairs])  # type: ignore[index]
    before = torch.cat([(at[:-1] - true[1:]).abs() for at, true in pairs])  # type: ignore[index]
    shares = [
        float((distance <= most).double().mean())
        for distance in (after, before)
        for most in (0, 1)
    ]
    writers = len({s.writer for s in samples})
    return Alignment(writers, len(samples), len(after), *shares)


# --- completeness and legibility --------------------------------------------------


class Completeness(NamedTuple):
    """Whether lines are written to their end.

    Attributes:
        lines: how many.
        first_draw: the share that was complete when drawn once.
        after_redraws: the share that was complete in the end.
        redraws: how many were allowed.
        unreadable: of the complete lines, the share with more than half of its
            characters misread; None when nobody read them.
    """

    lines: int
    first_draw: float
    after_redraws: float
    redraws: int
    unreadable: float | None = None


def completeness(
    lines: Sequence[Line], redraws: int, readings: Sequence[Reading] | None = None
) -> Completeness:
    """Count complete lines, and those of them that cannot be read.

    Args:
        lines: as `write` gives them.
        redraws: as `write` was told.
        readings: of the same lines, as `read_lines` gives them.
    """
    complete = [line.complete for line in lines]
    first = [line.complete and line.draws == 1 for line in lines]
    unreadable = None
    if readings is not None:
        pairs = zip(complete, readings, strict=True)
        lost = [reading.error_rate > UNREADABLE for ok, reading in pairs if ok]
        unreadable = float(np.mean(lost)) if lost else None
    return Completeness(
        len(lines), float(np.mean(first)), float(np.mean(complete)), redraws, unreadable
    )


class Legibility(NamedTuple):
    """How much of some lines a recogniser misreads.

    Attributes:
        lines: one a text.
        mean: of the lines' character error rates.
        median: of the same.
        characters: wrong characters over all characters.
        unreadable: the share of lines with more than half of their characters misread.
    """

    lines: int
    mean: Estimate
    median: Estimate
    characters: float
    unreadable: float


def legibility(readings: Sequence[Reading], seed: int = 1) -> Legibility:
    """Mean and median character error rate of lines, with intervals by text."""
    rates = [r.error_rate for r in readings]
    return Legibility(
        len(readings),
        bootstrap(mean, rates, seed=seed),
        bootstrap(median, rates, seed=seed),
        sum(r.errors for r in readings) / sum(len(r.text) for r in readings),
        float(np.mean([rate > UNREADABLE for rate in rates])),
    )


class Difference(NamedTuple):
    """Error rates of written lines less those of human lines; below 0 is better."""

    mean: Estimate
    median: Estimate


def difference(
    human: Sequence[Reading], written: Sequence[Reading], seed: int = 1
) -> Difference:
    """Compare readings of the same texts, text by text.

    Raises:
        ValueError: the texts differ.
    """
    if [r.text for r in human] != [r.text for r in written]:
        raise InputError("only readings of the same texts can be compared")
    ours, theirs = [r.error_rate for r in written], [r.error_rate for r in human]
    return Difference(
        bootstrap(lambda a, b: mean(a) - mean(b), ours, theirs, seed=seed),
        bootstrap(lambda a, b: median(a) - median(b), ours, theirs, seed=seed),
    )


# --- damage -----------------------------------------------------------------------


def cut(line: Line, generator: random.Random) -> Tensor:
    """The line's ink up to some character before its last."""
    attended = line.phi.argmax(1)
    last = generator.randrange(len(line.text) - 1)
    rows = (attended <= last).nonzero()[:, 0]
    ink = line.ink[: int(rows[-1]) + 1 if len(rows) else 1].clone()
    ink[-1, 2] = 1
    return ink


def repeat(line: Line, generator: random.Random) -> Tensor:
    """The line's ink with one of its words written twice in a row."""
    attended = line.phi.argmax(1)
    words = [match.span() for match in re.finditer(r"\S+", line.text)]
    begin, end = generator.choice(words)
    rows = ((attended >= begin) & (attended < end)).nonzero()[:, 0]
    first, after = int(rows[0]), int(rows[-1]) + 1
    ink = line.ink.clone()
    ink[after - 1, 2] = 1
    again = ink[first:after].clone()
    if not first:  # no move leads to the first word: make one
        again[0, :2] = again.new_tensor([BREAK, 0.0])
    return torch.cat([ink[:after], again, ink[after:]])


def run_on(line: Line, other: Line) -> Tensor:
    """The line's ink, and after it that of another line."""
    more = other.ink.clone()
    more[0, :2] = more.new_tensor([BREAK, 0.0])
    return torch.cat([line.ink, more])


def check_ink(ink: Tensor, read: Reread, text: str) -> str:
    """What is wrong with a line that a network has read; "" when nothing is.

    As `check_line`; and no stroke may begin after the window has reached the end of the
    text, as `write` ends a line when the pen lifts there; and no point may surprise the
    network by more than `SURPRISE`, as one does where a word begins once more.

    Args:
        ink: `(T, 3)` offsets.
        read: as `reread` gives it.
        text: the U - 1 characters.
    """
    if problem := check_line(read.phi, text):
        return problem
    stop = read.phi.argmax(1).tolist().index(len(text))
    if (ink[stop:-1, 2] > 0.5).any():
        return "went on after the end of the text"
    if (read.nats > SURPRISE).any():
        return f"point {int(read.nats.argmax()) + 2} does not follow from those before"
    return ""


class Damage(NamedTuple):
    """The share of lines that `check_ink` flags when the network reads them again.

    Attributes:
        lines: of each kind.
        whole: flagged although nothing was done to them: false alarms.
        cut: ended early.
        repeated: with a word written twice.
        run_on: with more ink after the end.
        damaged: the mean of the three kinds of damage.
    """

    lines: int
    whole: float
    cut: float
    repeated: float
    run_on: float
    damaged: float


def damage(model: Model, lines: Sequence[Line], seed: int = 1) -> Damage:
    """Damage the ink of complete lines, have the network read it, and check it.

    Args:
        model: the one that wrote the lines.
        lines: those that are complete, and longer than one character, are used.
        seed: of where they are damaged.

    Raises:
        ValueError: fewer than two lines can be used.
    """
    lines = [line for line in lines if line.complete and len(line.text) > 1]
    if len(lines) < 2:
        raise InputError("damage needs at least two complete lines")
    generator = random.Random(seed)
    kinds = {
        "whole": [line.ink for line in lines],
        "cut": [cut(line, generator) for line in lines],
        "repeated": [repeat(line, generator) for line in lines],
        "run_on": [
            run_on(line, other)
            for line, other in zip(lines, [*lines[1:], lines[0]], strict=True)
        ],
    }
    shares = {}
    for kind, inks in kinds.items():
        samples = [
            Sample(line.text, ink, "", kind)
            for line, ink in zip(lines, inks, strict=True)
        ]
        flags = [
            check_ink(s.ink, read, s.text) != ""
            for read, s in zip(reread(model, samples), samples, strict=True)
        ]
        shares[kind] = float(np.mean(flags))
    damaged = float(np.mean([shares[kind] for kind in kinds if kind != "whole"]))
    return Damage(len(lines), **shares, damaged=damaged)
