"""Outlines of glyphs: closed contours of lines and quadratic curves, and their rasters.

A *contour* is an array of points `(N, 3)`: x, y, and 1 for a point on the curve or 0
for a control point beside it, as TrueType keeps them. Between two control points in a
row lies a point on the curve that is not written down, exactly in the middle. A contour
begins on the curve and closes by itself. What lies inside is decided by the nonzero
winding rule.

The unit of all lengths is the *em*; y points up, and the baseline is y = 0.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

Array = npt.NDArray[np.float64]

STYLES = ("serif", "sans", "mono", "handwriting", "display")
SPECIMEN = "HamburgefonstivRQ25?"  # what a sheet of a font shows
# The part of the plane that a raster shows, in ems: left, bottom, right, top.
FRAME = (-0.25, -0.4, 1.25, 1.1)
FLATNESS = 0.05  # pixels: how far a raster's polygons may lie from their curves
COARSE = 100  # parts of an em: points that differ by less are equally low
MAX_PIXELS = 2**24


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of one glyph.

    Attributes:
        advance: distance from the origin of the glyph to that of the next, in ems.
        contours: `(N, 3)` each: x, y and whether the point lies on the curve.

    Raises:
        ValueError: a contour has fewer than 3 points or another shape, begins beside
            its curve, or has a number that is not finite; or the advance has.
    """

    advance: float
    contours: tuple[Array, ...]

    def __post_init__(self) -> None:
        if not math.isfinite(self.advance):
            raise InputError(f"the advance must be a number, not {self.advance!r}")
        for contour in self.contours:
            if contour.ndim != 2 or contour.shape[1] != 3 or len(contour) < 3:
                raise InputError(
                    "a contour must be an array (N, 3) of at least 3 points, not "
                    f"{contour.shape}"
                )
            if not np.isfinite(contour).all():
                raise InputError("a contour must have finite coordinates")
            if contour[0, 2] < 0.5:
                raise InputError("a contour must begin with a point on the curve")

    @property
    def points(self) -> Array:
        """The points of all contours, `(N, 3)`."""
        return np.concatenate([np.empty((0, 3)), *self.contours])

    def replace(self, **changes: Any) -> Outline:
        """The outline with some of its attributes changed."""
        return dataclasses.replace(self, **changes)

    def transformed(self, matrix: npt.ArrayLike, x: float = 0.0) -> Outline:
        """The outline after a linear map and a shift to the right.

        Args:
            matrix: `(2, 2)`, to be multiplied by the column x, y. The advance is scaled
                by its first number.
            x: shift in ems, which the advance does not follow.
        """
        linear = np.asarray(matrix, dtype=float)
        moved = []
        for contour in self.contours:
            xy = contour[:, :2] @ linear.T + (x, 0.0)
            moved.append(np.concatenate([xy, contour[:, 2:]], 1))
        return Outline(self.advance * float(linear[0, 0]), tuple(moved))


def whole(contour: Array) -> Array:
    """A contour with the points on the curve that lie between control points.

    Example:
        >>> round_end = np.array([[0., 0., 1.], [0., 2., 0.], [2., 2., 0.]])
        >>> whole(round_end)[2]
        array([1., 2., 1.])
    """
    after = np.roll(contour, -1, 0)
    hidden = np.flatnonzero((contour[:, 2] < 0.5) & (after[:, 2] < 0.5))
    middle = (contour[hidden] + after[hidden]) / 2
    middle[:, 2] = 1.0
    return np.insert(contour, hidden + 1, middle, 0)


def segments(contour: Array) -> list[Array]:
    """A contour as lines `(2, 2)` and quadratic curves `(3, 2)`, end to end.

    Example:
        >>> round_corner = np.array([[0., 0., 1.], [1., 0., 0.], [1., 1., 1.]])
        >>> [len(piece) for piece in segments(round_corner)]
        [3, 2]
    """
    points = whole(contour)
    at = [*np.flatnonzero(points[:, 2] > 0.5), len(points)]
    closed = np.concatenate([points, points[:1]])[:, :2]
    return [closed[i : j + 1] for i, j in itertools.pairwise(at)]


def flatten(contour: Array, tolerance: float) -> Array:
    """A contour as a polygon `(P, 2)` that lies no farther from it than `tolerance`."""
    xy, is_on = contour[:, :2], contour[:, 2] > 0.5
    if is_on.all():
        return xy
    polygon = []
    for piece in segments(contour):
        if len(piece) == 2:
            polygon.append(piece[:1])
            continue
        begin, control, end = piece
        bend = float(np.hypot(*(begin - 2 * control + end)))
        number = max(1, math.ceil(math.sqrt(bend / (4 * tolerance))))
        t = np.arange(number)[:, None] / number
        polygon.append((1 - t) ** 2 * begin + 2 * t * (1 - t) * control + t**2 * end)
    return np.concatenate(polygon)


def signed_area(contour: Array) -> float:
    """The area inside a contour; negative if it runs clockwise. Curves count as such.

    Example:
        >>> square = np.array([[0., 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
        >>> signed_area(square), signed_area(square[::-1])
        (1.0, -1.0)
    """
    points = whole(contour)
    x, y = points[:, 0], points[:, 1]
    is_off = points[:, 2] < 0.5
    after, before = np.roll(points, -1, 0), np.roll(points, 1, 0)
    through = (x * after[:, 1] - after[:, 0] * y).sum() / 2  # of the control points too
    # a curve and its chord enclose two thirds of the triangle with the control point
    corner = (x - before[:, 0]) * (after[:, 1] - y) - (y - before[:, 1]) * (
        after[:, 0] - x
    )
    return float(through - corner[is_off].sum() / 6)


def in_order(outline: Outline) -> Outline:
    """The same shape with its contours and points in one order.

    Fonts begin contours anywhere and list them in any order, which a network could only
    guess. Here, the outer contours run clockwise, each contour begins at the lowest of
    its points on the curve (of several, at the leftmost), and the contours are sorted
    by where they begin, lowest first.
    """
    contours = list(outline.contours)
    if sum(map(signed_area, contours)) > 0:
        # reversed, and again beginning with a point on the curve
        contours = [np.roll(contour[::-1], 1, 0) for contour in contours]

    begun = []
    for contour in contours:
        height = np.where(contour[:, 2] > 0.5, (contour[:, 1] * COARSE).round(), np.inf)
        first = np.lexsort((contour[:, 0], height))[0]
        begun.append(((height[first], contour[first, 0]), np.roll(contour, -first, 0)))
    begun.sort(key=lambda pair: pair[0])
    return outline.replace(contours=tuple(contour for _, contour in begun))


def to_path(outline: Outline, digits: int = 4) -> str:
    """The contours as the path of an SVG, in ems with y up: M, L, Q and Z.

    Args:
        outline: any.
        digits: number of decimals that are kept.

    Example:
        >>> corner = np.array([[0., 0., 1.], [1., 0., 0.], [1., 1., 1.]])
        >>> to_path(Outline(1.0, (corner,)))
        'M0 0Q1 0 1 1Z'
    """
    written = []

    def number(value: float) -> str:
        told = f"{round(float(value), digits) + 0.0:.{digits}f}"
        return told.rstrip("0").rstrip(".") if "." in told else told

    for contour in outline.contours:
        written.append("M" + " ".join(number(v) for v in contour[0, :2]))
        pieces = segments(contour)
        if len(pieces[-1]) == 2:  # Z draws the last line
            pieces.pop()
        for piece in pieces:
            numbers = " ".join(number(v) for v in piece[1:].flatten())
            written.append("LQ"[len(piece) - 2] + numbers)
        written.append("Z")
    return "".join(written)


_TOKEN = re.compile(r"[MLQZ]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[\s,]+|.", re.S)
_TAKES = {"M": 1, "L": 1, "Q": 2, "Z": 0}


def parse(path: str, advance: float = 0.0) -> Outline:
    """The outline that a path describes, the inverse of `to_path`.

    Args:
        path: `M x y`, `L x y`, `Q x y x y` and `Z`, with the numbers absolute. Each
            contour begins with M and ends with Z.
        advance: of the outline, which a path does not say.

    Raises:
        ValueError: a command is unknown, stands where it cannot, or lacks a number; the
            message says which.

    Example:
        >>> parse("M 0 0 L 1 0 Q 1 1 0 1 Z").contours[0]
        array([[0., 0., 1.],
               [1., 0., 1.],
               [1., 1., 0.],
               [0., 1., 1.]])
    """
    words = [w for w in _TOKEN.findall(path) if w.strip(" \t\r\n,")]
    contours: list[Array] = []
    points: list[list[float]] = []
    at = 0
    while at < len(words):
        command, place = words[at], f"at word {at + 1}"
        if command not in _TAKES:
            raise InputError(f"{command!r} {place} is no command: give M, L, Q or Z")
        if (command == "M") == bool(points):
            wants = "Z must close the contour" if points else "M must begin a contour"
            raise InputError(f"{command} {place} is out of place: {wants} first")
        count = 2 * _TAKES[command]
        taken = words[at + 1 : at + 1 + count]
        try:
            values = [float(word) for word in taken]
        except ValueError:
            values = []
        if len(values) < count:
            raise InputError(f"{command} {place} must be followed by {count} numbers")
        at += 1 + count
        if command != "Z":
            for i in range(0, count, 2):
                on = float(i == count - 2)
                points.append([*values[i : i + 2], on])
            continue
        contour = _whole(np.array(points))
        if len(contour) < 3:
            raise InputError(
                f"Z {place} closes a contour of fewer than 3 points: give it more"
            )
        contours.append(contour)
        points = []
    if points:
        raise InputError("the path ends inside a contour: close it with Z")
    return Outline(advance, tuple(contours))


def _whole(points: Array) -> Array:
    """A contour without a last point that repeats the first."""
    repeats = len(points) > 1 and np.array_equal(points[0], points[-1])
    return points[:-1] if repeats else points


def close_contour(points: Sequence[tuple[float, float, bool]]) -> Array | None:
    """The points of a closed contour as an array that begins on the curve.

    Points on the curve that repeat the one before are dropped, because the line between
    them has no length. A control point that repeats the one before is a corner, since a
    point on the curve lies between the two. A contour of control points alone gets one
    of the points that lie between them.

    Returns:
        `(N, 3)`, or None if fewer than 3 of the points differ, which enclose nothing.
    """
    kept: list[tuple[float, float, bool]] = []
    for point in points:
        if not (kept and point[2] and point == kept[-1]):
            kept.append(point)
    if len(kept) > 1 and kept[0][2] and kept[0] == kept[-1]:
        kept.pop()
    if len(kept) < 2:
        return None
    array = np.array(kept, dtype=float)
    on = np.flatnonzero(array[:, 2])
    if len(on):
        array = np.roll(array, -on[0], 0)
    else:
        middle = (array[0] + array[-1]) / 2
        array = np.concatenate([[[middle[0], middle[1], 1.0]], array])
    return array if len(np.unique(array, axis=0)) > 2 else None


def render(
    outline: Outline,
    pixels: float = 128.0,
    frame: tuple[float, float, float, float] = FRAME,
) -> npt.NDArray[np.float32]:
    """The raster of an outline: how much of each pixel lies inside.

    Each edge adds its signed area to the pixels that it crosses, and its height to all
    pixels to their right, which is how FreeType fills as well.

    Args:
        outline: any.
        pixels: number of pixels in an em.
        frame: left, bottom, right and top of the raster in ems; what lies outside is
            left out.

    Returns:
        `(H, W)` from 0 to 1, the top row first.

    Raises:
        ValueError: the raster has no pixels, or more than `MAX_PIXELS`.

    Example:
        >>> square = np.array([[0., 0, 1], [.5, 0, 1], [.5, .5, 1], [0, .5, 1]])
        >>> render(Outline(1.0, (square,)), 2, (0, 0, 1, 1))
        array([[0., 0.],
               [1., 0.]], dtype=float32)
    """
    left, bottom, right, top = frame
    ends = [(right - left) * pixels, (top - bottom) * pixels]
    if not all(math.isfinite(side) and side > 0 for side in ends):
        raise InputError(f"a raster of {pixels} pixels an em has no size: give more")
    width, height = (max(1, round(side)) for side in ends)
    if width * height > MAX_PIXELS:
        raise InputError(
            f"a raster of {width:,} by {height:,} pixels is larger than the "
            f"{MAX_PIXELS:,} that one may have: choose fewer pixels an em"
        )
    polygons = [
        (flatten(contour, FLATNESS / pixels) - (left, top)) * (pixels, -pixels)
        for contour in outline.contours
    ]
    filled = np.zeros((height, width + 1))
    if polygons:
        begin = np.concatenate(polygons)
        end = np.concatenate([np.roll(polygon, -1, 0) for polygon in polygons])
        _add_edges(filled, begin, end)
    covered = np.abs(filled.cumsum(1)[:, :-1])
    return covered.clip(0, 1).astype(np.float32)


def _add_edges(filled: Array, begin: Array, end: Array) -> None:
    """Add what edges `(E, 2)` to `(E, 2)` change along each row of pixels."""
    height, width = filled.shape
    limit = np.array([width - 1, height], dtype=float)
    # cut every edge wherever it passes from one pixel to the next, within the raster
    index, cuts = (
        [np.arange(len(begin))] * 2,
        [np.zeros(len(begin)), np.ones(len(begin))],
    )
    for axis in (0, 1):
        a, b = begin[:, axis], end[:, axis]
        low = np.maximum(np.floor(np.minimum(a, b)) + 1, 0)
        high = np.minimum(np.ceil(np.maximum(a, b)) - 1, limit[axis])
        count = np.maximum(0, high - low + 1).astype(np.int64)
        edge = np.repeat(np.arange(len(begin)), count)
        number = np.arange(len(edge)) - np.repeat(count.cumsum() - count, count)
        line = low[edge] + number
        index.append(edge)
        cuts.append((line - a[edge]) / (b - a)[edge])
    edge, t = np.concatenate(index), np.concatenate(cuts)
    order = np.lexsort((t, edge))
    edge, t = edge[order], t[order]
    same = edge[1:] == edge[:-1]
    edge, first, last = edge[1:][same], t[:-1][same], t[1:][same]
    way = (end - begin)[edge]
    middle = begin[edge] + way * ((first + last) / 2)[:, None]  # (P, 2)
    rise = way[:, 1] * (last - first)
    inside = (middle[:, 1] > 0) & (middle[:, 1] < height)
    x, row = middle[inside, 0].clip(0, limit[0]), middle[inside, 1].astype(np.int64)
    rise = rise[inside]
    column = np.minimum(x.astype(np.int64), width - 1)
    part = x - column
    np.add.at(filled, (row, column), rise * (1 - part))
    right = column + 1 < width
    np.add.at(filled, (row[right], column[right] + 1), (rise * part)[right])


def overlap(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Intersection over union of two rasters of the same size; 1 if both are empty.

    Example:
        >>> overlap([[1.0, 0.5]], [[1.0, 0.0]])
        0.6666666666666666
    """
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    union = np.maximum(a, b).sum()
    return float(np.minimum(a, b).sum() / union) if union else 1.0
