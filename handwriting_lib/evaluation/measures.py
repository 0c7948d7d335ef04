"""The measures of a model: one function per measure, each usable alone.

Likelihood and squared error follow Graves 2013, section 4.2. The others answer what a
reader of a written line asks next: does the pen move as people move it, is the window
where the pen is, is the line complete, can a stranger read it, and would damage be
noticed? `report.evaluate` combines them. Chapters 10 to 12 introduce the measures, and
the results page lists them for the models of the library.
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

from .._deprecation import renamed_attributes
from ..data.batches import Batch, make_batch
from ..errors import InputError, NumericalError
from ..files.models import Model
from ..ink import Sample
from ..networks.output import NetworkOutput
from ..writing.lines import Line
from ..writing.sampling import check_line
from .legibility import Reading

TOGETHER = 50  # lines per batch
RESAMPLES = 2000  # per bootstrap
UNREADABLE = 0.5  # a line with a higher character error rate is unreadable
BREAK = 1.0  # the gap between ink and appended ink, in letter-body heights
# In nats. In lines written at a bias of 0.75 hardly any point surprises the
# network by more than 7, while a misplaced stroke mostly does so by 8 to 25.
SURPRISE = 8.0

Values = npt.NDArray[np.float64]


# --- statistics -------------------------------------------------------------------


class Estimate(NamedTuple):
    """A value and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[..., Any], *values: Sequence[float] | Values, seed: int = 1
) -> Estimate:
    """A statistic of paired values with its percentile bootstrap interval.

    Args:
        statistic: a function that takes one array `(..., N)` for each of `values` and
            returns an array `(...)`.
        values: sequences of N numbers, one per text; a resample draws the same texts
            from all of them.
        seed: the seed of the resampling.

    Raises:
        ValueError: there are no values.

    Example:
        >>> bootstrap(mean, [1.0, 1.0, 1.0])
        Estimate(value=1.0, low=1.0, high=1.0)
    """
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    count = len(arrays[0])
    if not count:
        raise InputError("there are no values to resample: measure at least one line")
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
    """Mean, median, and 5th and 95th percentile of values measured per line."""

    mean: float
    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Mean, median, and 5th and 95th percentile of values.

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

    Dividing the offsets by (s_x, s_y) multiplies their density by s_x s_y, so the nats
    per point in the two units differ by log s_x + log s_y.

    Attributes:
        lines: the number of lines.
        points: the number of points predicted: all but the first of each line.
        nats_per_point: the mean negative log-likelihood per point, in normalised units.
        nats_per_line: the mean negative log-likelihood per line, in normalised units.
        body_nats_per_point: the mean per point, in letter-body heights.
        body_nats_per_line: the mean per line, in letter-body heights.
        sse: the squared distance between the offset and the mean of the mixture, per
            point, in normalised units. The paper does not say which estimate it uses.
        body_sse: the squared distance per point, in squared letter-body heights.
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
    """Predict each point of human lines from the points before it.

    Args:
        model: a model with any of the library's ink networks.
        lines: prepared ink, in letter-body heights.

    Raises:
        FloatingPointError: the likelihood is not finite.
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
            f"the negative log-likelihood under {model.name} is {nats}: its weights "
            "have diverged, so use an earlier checkpoint"
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
    """Batches of samples of similar length, with the indices of the samples."""
    device = next(model.network.parameters()).device
    order = sorted(range(len(samples)), key=lambda i: len(samples[i].ink))
    for first in range(0, len(order), TOGETHER):
        numbers = order[first : first + TOGETHER]
        batch = make_batch([samples[i] for i in numbers], model.normalisation)
        yield numbers, batch.to(device)


def _read(network: nn.Module, batch: Batch, ink: Tensor) -> NetworkOutput:
    """The output of a network for ink, and for the text if the network reads one."""
    return network(ink, *batch.texts(network.reads_text))  # type: ignore


# --- pace -------------------------------------------------------------------------


def speed_variation(ink: Tensor) -> float:
    """How unevenly the pen moves: standard deviation over mean of its speed.

    The length of an offset with the pen down stands for the speed, because points are
    sampled at equal intervals of time. Thinning reduces the variation, so compare only
    ink that was thinned in the same way.

    Args:
        ink: `(T, 3)` offsets.

    Returns:
        The coefficient of variation; 0 for fewer than two offsets or no movement.

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
    """The pen movement of written lines and of human lines with the same texts.

    Attributes:
        lines: the number of written lines.
        human_speed_variation: the spread of `speed_variation` over the human lines.
        speed_variation: the spread of `speed_variation` over the written lines.
        speed_inside: the share of written lines whose speed variation lies between the
            5th and the 95th percentile of the human lines.
        human_points_per_character: the spread over the human lines.
        points_per_character: the spread over the written lines.
        points_inside: the share of written lines whose points per character lie between
            the 5th and the 95th percentile of the human lines.
    """

    lines: int
    human_speed_variation: Spread
    speed_variation: Spread
    speed_inside: float
    human_points_per_character: Spread
    points_per_character: Spread
    points_inside: float


def pace(human: Sequence[Sample], written: Sequence[Line]) -> Pace:
    """Compare speed variation and points per character of written and human lines."""
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
    """What a network computes while it reads a line of ink.

    Attributes:
        phi: `(T, U)` the weights of the window after each point was read.
        nats: `(T - 1,)` the surprise of each point but the first: the negative
            logarithm of its density, in normalised units.
    """

    phi: Tensor
    nats: Tensor


@torch.inference_mode()
def reread(model: Model, samples: Sequence[Sample]) -> list[Reread]:
    """Let a network read ink, its own or a person's, together with the text.

    Args:
        model: a model with a `SynthesisNetwork`.
        samples: thinned ink in letter-body heights, with its text.

    Returns:
        One `Reread` per sample.
    """
    found: dict[int, Reread] = {}
    for numbers, batch in _batches(model, samples):
        out = _read(model.network, batch, batch.ink)
        assert out.phi is not None
        nats = -out.mixture().log_prob(batch.ink.roll(-1, 1))  # the last has no target
        for phi, surprise, i in zip(out.phi.cpu(), nats.cpu(), numbers, strict=True):
            points, slots = len(samples[i].ink), len(samples[i].text) + 1
            found[i] = Reread(phi[:points, :slots], surprise[: points - 1])
    return [found[i] for i in range(len(samples))]


def attention(model: Model, samples: Sequence[Sample]) -> list[Tensor]:
    """The weights phi of `reread`, one `(T, U)` tensor per sample."""
    return [read.phi for read in reread(model, samples)]


class Alignment(NamedTuple):
    """Whether the window is where the pen is, on human ink.

    Attributes:
        writers: the number of writers.
        lines: the number of lines.
        points: the number of points: all but the first of each line. At each the pen
            was down.
        exact: the share of points at which the most attended character is the point's
            own.
        within_one: the share at which it is the point's own or one of its neighbours.
        exact_before: like `exact`, for the window that predicted the point, after the
            previous point was read.
        within_one_before: like `within_one`, for the window that predicted the point.
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
        phis: the weights that `attention` returns, one tensor per sample.
        samples: samples that have `character_of_point`.

    Raises:
        ValueError: there are no samples, or one of them is not aligned.

    Example:
        >>> import torch
        >>> sample = Sample("ab", torch.zeros(3, 3), "w1", "example").replace(
        ...     character_of_point=torch.tensor([0, 0, 1]))
        >>> phi = torch.tensor([[.9, .1, 0.], [.2, .8, 0.], [.1, .9, 0.]])
        >>> alignment([phi], [sample]).exact
        0.5
    """
    if not samples or any(s.character_of_point is None for s in samples):
        raise InputError("give at least one line, and only lines that are aligned")
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
        lines: the number of lines.
        first_draw: the share of lines that were complete at the first draw.
        after_redraws: the share of lines that were complete after the redraws.
        redraws: the number of redraws allowed per line.
        unreadable: the share of the complete lines whose character error rate exceeds
            one half; None if the lines were not read.
    """

    lines: int
    first_draw: float
    after_redraws: float
    redraws: int
    unreadable: float | None = None


def completeness(
    lines: Sequence[Line], redraws: int, readings: Sequence[Reading] | None = None
) -> Completeness:
    """Count the complete lines, and those of them that cannot be read.

    Args:
        lines: lines that `write` returned.
        redraws: the argument `redraws` that `write` was given.
        readings: the readings of the same lines, from `read_lines`.
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
    """How much of a set of lines a recogniser misreads.

    Attributes:
        lines: the number of lines, one per text.
        mean: the mean of the lines' character error rates.
        median: the median of the lines' character error rates.
        characters: the pooled character error rate: all errors over all characters.
        unreadable: the share of lines whose character error rate exceeds one half.
    """

    lines: int
    mean: Estimate
    median: Estimate
    characters: float
    unreadable: float


def legibility(readings: Sequence[Reading], seed: int = 1) -> Legibility:
    """Mean and median character error rate of lines, resampled by text."""
    rates = [r.error_rate for r in readings]
    return Legibility(
        len(readings),
        bootstrap(mean, rates, seed=seed),
        bootstrap(median, rates, seed=seed),
        sum(r.errors for r in readings) / sum(len(r.text) for r in readings),
        float(np.mean([rate > UNREADABLE for rate in rates])),
    )


class Difference(NamedTuple):
    """Error rate of written lines minus that of human lines; below 0 is better."""

    mean: Estimate
    median: Estimate


def difference(
    human: Sequence[Reading], written: Sequence[Reading], seed: int = 1
) -> Difference:
    """Compare readings of the same texts in pairs.

    Raises:
        ValueError: the texts differ.
    """
    if [r.text for r in human] != [r.text for r in written]:
        raise InputError("give human and written readings of the same texts, in order")
    ours, theirs = [r.error_rate for r in written], [r.error_rate for r in human]
    return Difference(
        bootstrap(lambda a, b: mean(a) - mean(b), ours, theirs, seed=seed),
        bootstrap(lambda a, b: median(a) - median(b), ours, theirs, seed=seed),
    )


# --- damage -----------------------------------------------------------------------


def cut(line: Line, generator: random.Random) -> Tensor:
    """Cut the ink of a line after a random character before the last."""
    attended = line.phi.argmax(1)
    last = generator.randrange(len(line.text) - 1)
    rows = (attended <= last).nonzero()[:, 0]
    ink = line.ink[: int(rows[-1]) + 1 if len(rows) else 1].clone()
    ink[-1, 2] = 1
    return ink


def repeat(line: Line, generator: random.Random) -> Tensor:
    """Repeat a random word of a line in its ink."""
    attended = line.phi.argmax(1)
    words = [match.span() for match in re.finditer(r"\S+", line.text)]
    begin, end = generator.choice(words)
    rows = ((attended >= begin) & (attended < end)).nonzero()[:, 0]
    first, after = int(rows[0]), int(rows[-1]) + 1
    ink = line.ink.clone()
    ink[after - 1, 2] = 1
    again = ink[first:after].clone()
    if not first:  # the first word has no move that leads to it: add one
        again[0, :2] = again.new_tensor([BREAK, 0.0])
    return torch.cat([ink[:after], again, ink[after:]])


def run_on(line: Line, other: Line) -> Tensor:
    """Append the ink of another line to the ink of a line."""
    more = other.ink.clone()
    more[0, :2] = more.new_tensor([BREAK, 0.0])
    return torch.cat([line.ink, more])


def check_ink(ink: Tensor, read: Reread, text: str) -> str:
    """What is wrong with a line that a network has read; "" if nothing is.

    Two rules are added to those of `check_line`. No stroke may begin after the window
    has reached the end of the text, because `write` ends a line when the pen lifts
    there. No point may surprise the network by more than `SURPRISE`, which happens
    where a word is repeated.

    Args:
        ink: `(T, 3)` offsets.
        read: the line as read by the network, from `reread`.
        text: the U - 1 characters of the line.
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
        lines: the number of lines of each kind.
        whole: the share flagged among undamaged lines: the false alarms.
        cut: the share flagged among lines that were cut short.
        repeated: the share flagged among lines with a word written twice.
        run_on: the share flagged among lines with the ink of another line appended.
        damaged: the mean share over the three kinds of damage.
    """

    lines: int
    whole: float
    cut: float
    repeated: float
    run_on: float
    damaged: float


def damage(model: Model, lines: Sequence[Line], seed: int = 1) -> Damage:
    """Damage the ink of complete lines, let the network read it, and check it.

    Args:
        model: the model that wrote the lines.
        lines: written lines; only complete ones of two or more characters are used.
        seed: the seed of the places where lines are damaged.

    Raises:
        ValueError: fewer than two lines can be used.
    """
    lines = [line for line in lines if line.complete and len(line.text) > 1]
    if len(lines) < 2:
        raise InputError(
            "give at least two complete lines of two or more characters, not "
            f"{len(lines)}"
        )
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
