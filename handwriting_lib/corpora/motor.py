"""A motor model of the hand: from a line to targets, and back to a line in time.

A pen stroke is a sum of overlapping ballistic movements. Each runs along an arc from
one target to the next, with a lognormal speed. This is the sigma-lognormal model of
Plamondon ("A kinematic theory of rapid human movements", Biological Cybernetics 72,
1995) in the form of O'Reilly and Plamondon ("Development of a Sigma-Lognormal
representation for on-line signatures", Pattern Recognition 42, 2009), with the
parameters of Berio and Leymarie ("Computational models for the analysis and synthesis
of graffiti tag strokes", Computational Aesthetics 2015).

`aim` finds the targets of a line, and `move` moves the pen from target to target in the
manner of a `Writer`. Lengths are in x-heights, times in seconds, angles in radians.
Chapter 01 compares the speed of a synthetic pen with that of a human one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Points = NDArray[np.float64]

STEP = 0.04  # spacing of the points at which curvature is measured
SHARP = 0.16  # a curvature peak is a target if it turns by more than this per step
TURN = 1.25  # a target is set after this much turning at the latest
REACH = 1.1  # longer arcs are divided into parts of about this length
CUSP = 1.0  # relative increase of the wait where the pen reverses its direction
AT_REST = 0.6  # x-heights per second; slower points at the ends of a stroke are cut


@dataclass(frozen=True)
class Writer:
    """The parameters of one hand. Lengths are in x-heights, times in seconds.

    Attributes:
        name: a name that tells writers apart, such as `"synthetic-012"`.
        slant: the shift in x per unit of y.
        width: a factor on the width of letters.
        spacing: the distance added between characters.
        word_gap: a factor on the width of spaces.
        deformation: the standard deviation of the entries of the 2 x 2 map that bends
            each letter.
        jitter: the standard deviation of the error at each target.
        drift: the amplitude of the waves of the baseline.
        tilt: the rise of the baseline per unit of x.
        duration: the typical duration of one movement.
        asymmetry: the skewness of a movement's speed, from 0 to 1 (Ac in Berio and
            Leymarie).
        onset: the fraction of a movement after which the next one begins.
        tremor: the standard deviation of the noise on the pen's position.
        clock: a factor on the rate of the pen's readings.
        delayed: whether cursive dots and bars wait for the end of the word.
    """

    name: str = "synthetic"
    slant: float = 0.1
    width: float = 1.0
    spacing: float = 0.0
    word_gap: float = 1.0
    deformation: float = 0.03
    jitter: float = 0.03
    drift: float = 0.06
    tilt: float = 0.0
    duration: float = 0.28
    asymmetry: float = 0.1
    onset: float = 0.28
    tremor: float = 0.004
    clock: float = 1.0
    delayed: bool = False


def draw_writer(rng: np.random.Generator, name: str = "synthetic") -> Writer:
    """Draw a writer at random.

    Example:
        >>> draw_writer(np.random.default_rng(0), "ada").name
        'ada'
    """
    return Writer(
        name=name,
        slant=rng.normal(0.10, 0.15),
        width=rng.uniform(0.85, 1.15),
        spacing=rng.normal(0, 0.06),
        word_gap=rng.uniform(0.8, 1.3),
        deformation=rng.uniform(0.02, 0.05),
        jitter=rng.uniform(0.02, 0.045),
        drift=rng.uniform(0.03, 0.10),
        tilt=rng.normal(0, 0.008),
        duration=rng.uniform(0.23, 0.33),
        asymmetry=rng.uniform(0.05, 0.15),
        onset=rng.uniform(0.23, 0.33),
        tremor=rng.uniform(0.002, 0.006),
        clock=rng.uniform(0.9, 1.1),
        delayed=bool(rng.random() < 0.5),
    )


class Plan(NamedTuple):
    """The plan of a pen-down stroke of N arcs.

    Attributes:
        targets: `(N + 1, 2)`, the point where the pen starts and the end of each arc.
        middles: `(N, 2)`, the point halfway along each arc.
        characters: `(N,)`, the index of the character that each arc belongs to.
        care: `(N,)`, a factor on the pen's wait before each arc.
    """

    targets: Points
    middles: Points
    characters: NDArray[np.int64]
    care: Points

    def join(self, other: Plan) -> Plan:
        """Continue with `other`; the link belongs to the character it leads to."""
        over = (self.targets[-1:] + other.targets[:1]) / 2
        return Plan(
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.middles, over, other.middles]),
            np.concatenate([self.characters, other.characters[:1], other.characters]),
            np.concatenate([self.care, other.care[:1], other.care]),
        )


def blur(values: Points, width: float) -> Points:
    """Average each row of `(n, d)` with its neighbours, weighted by a Gaussian.

    Args:
        values: `(n, d)` values; the first and last row are repeated beyond the ends.
        width: the standard deviation of the Gaussian, in rows.

    Example:
        >>> blur(np.ones((3, 1)), 1.0)[:, 0].round(6).tolist()
        [1.0, 1.0, 1.0]
    """
    reach = math.ceil(4 * width)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    weights /= weights.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(axis, weights, "valid") for axis in padded.T], 1)


def even(line: Points) -> Points:
    """Resample a line `(n, 2)` with a point about every `STEP`, ends included.

    Example:
        >>> len(even(np.array([[0.0, 0.0], [1.0, 0.0]])))
        26
    """
    line = line[np.r_[True, np.any(np.diff(line, axis=0) != 0, axis=1)]]
    way = np.r_[0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
    places = np.linspace(0, way[-1], max(2, round(way[-1] / STEP) + 1))
    return np.stack([np.interp(places, way, axis) for axis in line.T], 1)


def aim(line: Points) -> tuple[Points, Points]:
    """Cut a line `(n, 2)` into arcs: targets `(N + 1, 2)` and middles `(N, 2)`.

    Targets lie where the curvature peaks, after 1.25 radians of turning at the latest,
    and about every 1.1 x-heights.

    Example:
        >>> targets, middles = aim(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        >>> len(targets), middles.shape
        (3, (2, 2))
    """
    line = even(line)
    last, cuts = len(line) - 1, [0]
    if last > 6:
        line[1:-1] = blur(line, 1.5)[1:-1]
        heading = np.unwrap(np.arctan2(*np.diff(line, axis=0).T[::-1]))
        bend = np.abs(blur(np.diff(heading)[:, None], 1.0)[:, 0])
        turned = 0.0
        for i in range(1, len(bend) - 1):
            turned += bend[i]
            peak = bend[i - 1] <= bend[i] > bend[i + 1] and bend[i] > SHARP
            since = i + 1 - cuts[-1]
            if since > 4 and (peak or turned > TURN):
                cuts.append(i + 1)
                turned = 0.0
        if last - cuts[-1] < 4 and len(cuts) > 1:
            cuts.pop()
    cuts.append(last)
    arcs = [
        np.linspace(a, b, max(1, round((b - a) * STEP / REACH)) + 1)[:-1]
        for a, b in pairwise(cuts)
    ]
    ends = np.r_[np.concatenate(arcs).round().astype(int), last]
    halves = (ends[1:] + ends[:-1]) / 2
    below, above = np.floor(halves).astype(int), np.ceil(halves).astype(int)
    return line[ends], (line[below] + line[above]) / 2


def move(
    plans: Sequence[Plan], writer: Writer, rate: float, rng: np.random.Generator
) -> tuple[list[Points], NDArray[np.int64]]:
    """Carry out the plans; return the positions of the pen over time.

    By time t, a movement has covered the fraction `Phi((ln(t - t0) - mu) / sigma)` of
    its arc, and the position of the pen is the sum over all movements. Berio and
    Leymarie derive sigma and mu from the duration of a movement and the skewness of its
    speed. All N movements of a line are computed at once, on a clock of W readings
    each, and added up on one time axis of T readings, on which the strokes follow one
    another.

    Args:
        plans: the strokes in the order of writing.
        writer: the writer whose jitter, duration, asymmetry, onset and tremor are used.
        rate: the number of readings per second.
        rng: the source of all randomness.

    Returns:
        The positions `(n, 2)` of each stroke, and the character `(T',)` of each point,
        where T' is the sum of the n. A stroke begins where the pen starts to move and
        ends where it stops. The points of a movement begin halfway between the previous
        speed peak and its own.

    Example:
        >>> line = np.array([[0.0, 0.0], [0.0, 1.0]])
        >>> plan = Plan(*aim(line), np.zeros(1, dtype=np.int64), np.ones(1))
        >>> strokes, labels = move([plan], Writer(), 60.0, np.random.default_rng(0))
        >>> len(strokes), len(strokes[0]) == len(labels)
        (1, True)
    """
    counts = np.array([len(plan.middles) for plan in plans])
    first = np.r_[0, np.cumsum(counts)[:-1]]  # the first movement of each stroke
    stroke = np.repeat(np.arange(len(plans)), counts)
    characters = np.concatenate([plan.characters for plan in plans])

    targets = [p.targets + rng.normal(0, writer.jitter, p.targets.shape) for p in plans]
    middles = np.concatenate([
        plan.middles + (moved - plan.targets)[1:] / 2 + (moved - plan.targets)[:-1] / 2
        for plan, moved in zip(plans, targets, strict=True)
    ])  # fmt: skip
    start = np.concatenate([moved[:-1] for moved in targets])
    way = np.concatenate([np.diff(moved, axis=0) for moved in targets])  # (N, 2)

    length = np.maximum(np.hypot(*way.T), 1e-9)
    middle = middles - start
    # The height of an arc over its chord gives its turn:
    # height / length = tan(-turn / 4) / 2
    height = (way[:, 0] * middle[:, 1] - way[:, 1] * middle[:, 0]) / length
    turn = np.clip(-4 * np.arctan(2 * height / length), -2.2, 2.2)

    n = len(way)
    duration = writer.duration * np.exp(rng.normal(0, 0.10, n))
    duration *= np.clip(length / 0.2, 0.1, 1) ** 0.5  # small movements are brief
    skew = np.clip(writer.asymmetry * np.exp(rng.normal(0, 0.15, n)), 0.04, 0.4)
    sigma = np.sqrt(-np.log(1 - skew))
    mu = 3 * sigma - np.log((np.exp(6 * sigma) - 1) / duration)
    pause = writer.onset * duration * np.exp(rng.normal(0, 0.06, n))
    # The pen waits longer before it turns back than before it continues.
    heading = np.arctan2(way[:, 1], way[:, 0])
    corner = np.diff(heading, prepend=0.0) - (turn + np.r_[0, turn[:-1]]) / 2
    pause *= 1 + CUSP * (1 - np.cos(corner)) / 2
    pause *= np.concatenate([plan.care for plan in plans])
    pause[first] = 0
    begin = np.cumsum(pause)
    begin -= begin[first][stroke]
    origin = begin - np.exp(mu - 3 * sigma)  # t0 of the lognormal

    readings = np.ceil(np.maximum.reduceat(begin + duration, first) * rate).astype(int)
    base = np.r_[0, np.cumsum(readings + 1)]  # the first reading of each stroke
    onset = np.ceil(begin * rate).astype(int)
    clock = onset[:, None] + np.arange(math.ceil(duration.max() * rate) + 1)  # (N, W)
    done = _lognormal_progress(clock / rate - origin[:, None], mu, sigma)
    done[:, -1] = 1.0
    path = _arc(done, way, turn)  # (N, W, 2)
    step = np.diff(path, axis=1, prepend=0.0)
    when = base[stroke][:, None] + np.minimum(clock, readings[stroke][:, None])
    t = base[-1]
    moved = np.stack([
        np.bincount(when.ravel(), step[:, :, axis].ravel(), t) for axis in (0, 1)
    ], 1).cumsum(0)  # (T, 2)  # fmt: skip
    tremor = blur(rng.normal(0, 2 * writer.tremor, (t, 2)), 1.2)

    peak = origin + np.exp(mu - sigma**2)
    border = np.r_[0, (peak[1:] + peak[:-1]) / 2]
    border[first] = 0
    border = np.maximum.accumulate(base[stroke] + np.ceil(border * rate).astype(int))
    ruling = np.bincount(border, minlength=t)[:t].cumsum() - 1  # (T,)

    strokes, labels = [], []
    for k, (a, b) in enumerate(pairwise(base)):
        before = moved[a - 1] if a else np.zeros(2)
        xy = targets[k][0] + moved[a:b] - before + tremor[a:b]
        awake = np.hypot(*np.diff(moved[a:b], axis=0).T) > AT_REST / rate
        awake_at = np.flatnonzero(awake)
        low, high = (awake_at[0], awake_at[-1] + 2) if len(awake_at) else (0, b - a)
        strokes.append(xy[low:high])
        labels.append(characters[ruling[a + low : a + high]])
    return strokes, np.concatenate(labels)


def _lognormal_progress(time: Points, mu: Points, sigma: Points) -> Points:
    """Return the fraction of each movement done at `time` after its `t0`, `(N, W)`."""
    z = (np.log(np.maximum(time, 1e-9)) - mu[:, None]) / sigma[:, None]
    return np.asarray(0.5 + 0.5 * torch.erf(torch.from_numpy(z / math.sqrt(2))))


def _arc(done: Points, way: Points, turn: Points) -> Points:
    """Return the positions `(N, W, 2)` after the fractions `done` `(N, W)` of arcs.

    `way` `(N, 2)` holds the chords. The heading of an arc runs from `a - turn / 2` to
    `a + turn / 2`, where a is the direction of its chord.
    """
    bent = np.where(np.abs(turn) < 1e-3, 1e-3, turn)[:, None]
    heading = np.arctan2(way[:, 1], way[:, 0])[:, None] - bent / 2
    radius = np.hypot(*way.T)[:, None] / (2 * np.sin(bent / 2))
    now = heading + bent * done
    return np.stack(
        [radius * (np.sin(now) - np.sin(heading)),
         radius * (np.cos(heading) - np.cos(now))], -1)  # fmt: skip
