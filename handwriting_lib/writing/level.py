"""Level a written line: measure its baseline, size and slant, and give it the hand's.

A page is written in pieces, which have to stand on level rules in one size and slant.
The characters of the points are known, so the baseline is measured from the lowest
points of letters without a descender, and the letter-body height from letters that have
no ascender either. The slant comes from all strokes that go down. All three are
medians, so that a letter that is taken for its neighbour does no harm. Size and slant
are corrected less in a line with few letters, whose measures are less certain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..ink import offsets_to_positions
from .lines import Line

# Letters that stand on the baseline, those of them that are no higher than the letter
# body, and the tall ones. Not f and z, which reach below the baseline in joined hands.
STANDING = frozenset("abcdehiklmnorstuvwxABCDEFGHIKLMNOPRSTUVWXYZ0123456789")
BODIES = frozenset("acemnorsuvwx")
TALL = frozenset("ABCDEFGHKLMNPRSTUVWXYZ0123456789bdhkl")
TALL_IN_BODIES = 1.9  # typical height of a tall letter, for lines without any other
LEAST_POINTS = 3  # a letter with fewer is not measured
STEEPEST = 0.2  # tangent of the steepest line that is levelled
SHORTEST = 6.0  # letter bodies: the slope of a shorter line is not measured
DOUBT = 2.0  # n letters are trusted by n / (n + DOUBT)
LARGEST_CHANGE = 1.35  # a factor of the size
LARGEST_SHEAR = 0.3  # a change of the slant, x per y

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """Where a line of ink stands, how large it is and how it leans.

    Attributes:
        base: y of the baseline where x is 0, in the units of the ink.
        slope: y of the baseline per x.
        body: letter-body height.
        slant: x per y of the strokes that go down; positive leans to the right.
        letters: number of letters from which the body was measured.
    """

    base: float
    slope: float
    body: float
    slant: float
    letters: int


def measure_level(line: Line, characters: Tensor) -> Level:
    """Measure the baseline, the letter-body height and the slant of a written line.

    Args:
        line: a line with its text, the ink in letter-body heights.
        characters: `(T,)` the index in the text of each point's character
            (`words.characters_of`).
    """
    xy = offsets_to_positions(line.ink)[:, :2].double().numpy()  # (T, 2)
    of = characters.numpy()
    lows, tops, talls = [], [], []
    for index, character in enumerate(line.text):
        if character not in STANDING:
            continue
        own = xy[of == index]
        if len(own) < LEAST_POINTS:
            continue
        lows.append(own[own[:, 1].argmin()])
        highest = own[own[:, 1].argmax()]
        if character in BODIES:
            tops.append(highest)
        elif character in TALL:
            talls.append(highest)
    if not lows:
        return Level(_unwritten_base(line.text, xy), 0.0, 1.0, 0.0, 0)
    low = np.array(lows)
    slope = _slope(low)
    base = float(np.median(low[:, 1] - slope * low[:, 0]))

    def height(points: Sequence[Values]) -> float:
        at = np.array(points)
        return float(np.median(at[:, 1] - base - slope * at[:, 0]))

    body, letters = 1.0, 0
    if tops:
        body, letters = height(tops), len(tops)
    elif talls:
        body, letters = height(talls) / TALL_IN_BODIES, len(talls)
    if not body > 0.2:  # no letter is so flat: the characters are not known
        body, letters = 1.0, 0
    return Level(base, slope, body, _slant(xy, line.ink[:, 2].numpy() > 0.5), letters)


def typical_level(levels: Sequence[Level]) -> Level:
    """The size and slant of a hand: medians over its lines, weighted by their letters.

    If no line could be measured, the letter body is 1 and the slant 0.
    """
    known = [one for one in levels if one.letters]
    if not known:
        return Level(0.0, 0.0, 1.0, 0.0, 0)
    count = np.array([one.letters for one in known], dtype=np.float64)
    body = _weighted_median(np.array([one.body for one in known]), count)
    slant = _weighted_median(np.array([one.slant for one in known]), count)
    return Level(0.0, 0.0, body, slant, int(count.sum()))


def levelled(xy: Tensor, level: Level, hand: Level) -> Tensor:
    """Move a line to y = 0, scale its letter body to 1 and give it its hand's slant.

    Args:
        xy: `(T, 2)` positions, y up.
        level: the level of the line (`measure_level`).
        hand: the level of its hand (`typical_level`).

    Returns:
        `(T, 2)` positions in letter bodies.
    """
    trust = level.letters / (level.letters + DOUBT)
    change = (level.body / hand.body) ** trust
    body = hand.body * min(max(change, 1 / LARGEST_CHANGE), LARGEST_CHANGE)
    angle = -math.atan(level.slope)
    c, s = math.cos(angle), math.sin(angle)
    turn = xy.new_tensor([[c, -s], [s, c]])
    flat = (xy - xy.new_tensor([0.0, level.base])) @ turn.T / body
    slant = (level.slant * c - s) / (level.slant * s + c)  # after the turn
    shear = trust * (hand.slant - slant)
    shear = min(max(shear, -LARGEST_SHEAR), LARGEST_SHEAR)
    return torch.stack([flat[:, 0] + shear * flat[:, 1], flat[:, 1]], 1)


def _slope(low: Values) -> float:
    """The slope of a baseline through `(n, 2)` points: the median over all pairs."""
    x, y = low.T
    first, second = np.triu_indices(len(low), 1)
    across = x[second] - x[first]
    far = np.abs(across) > SHORTEST
    if far.sum() < 3:
        return 0.0
    slope = float(np.median((y[second] - y[first])[far] / across[far]))
    return min(max(slope, -STEEPEST), STEEPEST)


def _slant(xy: Values, ends: npt.NDArray[np.bool_]) -> float:
    """The median of x per y over the steps that go down, weighted by their height."""
    step = np.diff(xy, axis=0)[~ends[:-1]]
    down = step[(step[:, 1] < 0) & (np.abs(step[:, 0]) < -1.5 * step[:, 1])]
    if not len(down):
        return 0.0
    return _weighted_median(down[:, 0] / down[:, 1], -down[:, 1])


def _weighted_median(values: Values, weights: Values) -> float:
    order = values.argsort(kind="stable")
    reached = weights[order].cumsum()
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _unwritten_base(text: str, xy: Values) -> float:
    """The baseline of a line in which no letter shows it, such as "..."."""
    low, high = float(xy[:, 1].min()), float(xy[:, 1].max())
    if set(text) & set("-~=+*<>:^'\"`"):  # in the middle of the letter body or above
        raised = 1.4 if set(text) <= set(" '\"`^") else 0.5
        return (low + high) / 2 - raised
    return low
