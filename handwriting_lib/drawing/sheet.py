"""A sheet with lines of writing on it: what every picture is drawn from.

Pictures for the screen are measured in CSS pixels, 96 to the inch, and pages for
printers and plotters in millimetres; `unit` says which. SVG, PNG, PDF, GIF and video
draw the same sheet.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

MAX_SIDE = 5000.0  # millimetres: the longest side that every reader of PDF accepts
PER_INCH = {"mm": 25.4, "px": 96.0}
MILLIMETRES = {"mm": 1.0, "cm": 10.0, "in": 25.4}
PAPERS = {
    "a3": (297.0, 420.0),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
}
LINE_WIDTH = 0.12  # usual width of the pen, in letter bodies
# The width of a stroke of variable width, in widths of the pen: the square root of how
# slow the pen is beside its median, within these bounds.
THINNEST, THICKEST = 0.55, 1.5
SMOOTHING = (1.0, 3.0, 4.0, 3.0, 1.0)  # weights of neighbouring points
RULE_COLOR = "#b8c4d6"
RULE_WIDTH = 0.01  # inches
ARC_STEP = math.pi / 6  # of the polygons that stand for round ends
_LENGTH = re.compile(r"\s*((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[0-9]+)?)\s*([a-z]*)\s*")


@dataclass(frozen=True)
class Sheet:
    """Positions of the strokes on a sheet, y pointing down from the top left corner.

    Attributes:
        width: width of the sheet, in `unit`.
        height: height, likewise.
        lines: strokes of each line of writing in the order of writing, as float64
            tensors `(n, 2)` of `x, y`.
        line_width: width of the pen.
        rules: y of the ruled lines, which are drawn only when asked for.
        unit: `"mm"`, or `"px"` for CSS pixels, 96 to the inch.
        filled: whether the strokes are outlines to fill, as `vary_width` makes them.
    """

    width: float
    height: float
    lines: list[list[Tensor]]
    line_width: float
    rules: list[float] = field(default_factory=list)
    unit: str = "mm"
    filled: bool = False

    @property
    def per_inch(self) -> float:
        """How many `unit` an inch has."""
        return PER_INCH[self.unit]


def parse_length(
    value: float | str, name: str, *, body: float | None = None, zero: bool = False
) -> float:
    """A length such as `"170mm"`, `"17cm"`, `"6.5in"` or 170, in millimetres.

    Args:
        value: number and unit; without a unit it is in millimetres.
        name: what the length is for, for the message.
        body: height of a letter body in millimetres, if lengths in letter bodies are
            allowed, such as `"60ex"`; `ex` is CSS's unit, the height of the letter x.
        zero: whether it may be 0.

    Raises:
        ValueError: it is no length, or not above 0 and at most 5000 mm.

    Example:
        >>> parse_length("17cm", "width"), parse_length("60ex", "width", body=2.5)
        (170.0, 150.0)
    """
    units = {"": 1.0, **MILLIMETRES, **({} if body is None else {"ex": body})}
    length = math.nan
    if isinstance(value, str):
        if match := _LENGTH.fullmatch(value.lower()):
            length = float(match[1]) * units.get(match[2], math.nan)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        length = float(value)
    if not (0 <= length <= MAX_SIDE and (length or zero)):
        least = "from 0 to" if zero else "above 0 and at most"
        more = " or 6.5in" if body is None else ", 6.5in or 60ex"
        raise InputError(
            f"{name} must be a length {least} {MAX_SIDE:g} mm, such as 170mm, "
            f"17cm{more}, not {value!r}"
        )
    return length


def parse_paper(paper: str) -> tuple[float, float]:
    """Width and height of a paper, in millimetres.

    Args:
        paper: `a3`, `a4`, `a5`, `letter`, `legal`, or width and height such as
            `100x150` in millimetres or `4inx6in`.

    Raises:
        ValueError: there is no such paper, or a side is not above 0 and at most 5000
            mm.

    Example:
        >>> parse_paper("A4"), parse_paper("100x150")
        ((210.0, 297.0), (100.0, 150.0))
    """
    if paper.lower() in PAPERS:
        return PAPERS[paper.lower()]
    sides = paper.lower().split("x")
    if len(sides) != 2:
        raise InputError(
            f"paper must be {', '.join(PAPERS)}, or width and height in millimetres "
            f"such as 100x150, not {paper!r}"
        )
    width, height = (parse_length(side, "each side of the paper") for side in sides)
    return width, height


def check_dpi(dpi: float, name: str = "dpi") -> None:
    """Refuse a number of pixels per inch that no picture has.

    Args:
        dpi: pixels per inch.
        name: what it is called, for the message.

    Raises:
        ValueError: it is not between 1 and 10000.
    """
    if not 1 <= dpi <= 10_000:
        raise InputError(f"{name} must be between 1 and 10000, not {dpi:g}")


def vary_width(sheet: Sheet) -> Sheet:
    """The sheet with strokes whose width follows the pen's speed: fast is thin.

    The length of an offset stands for the speed: points lie evenly in time or, once
    thinned, closer together in curves, where a pen is slow. Each stroke becomes the
    outline that `outline` gives, to be filled.
    """
    widths = stroke_widths(sheet)
    lines = [
        [outline(stroke, width / 2) for stroke, width in zip(strokes, row, strict=True)]
        for strokes, row in zip(sheet.lines, widths, strict=True)
    ]
    return dataclasses.replace(sheet, lines=lines, filled=True)


def stroke_widths(sheet: Sheet) -> list[list[np.ndarray]]:
    """The width of the pen at each point of each stroke, from its smoothed speed."""
    speeds = [[_speed(stroke) for stroke in strokes] for strokes in sheet.lines]
    moving = [v[v > 0] for row in speeds for v in row]
    usual = float(np.median(np.concatenate(moving))) if any(map(len, moving)) else 1.0

    def width(speed: np.ndarray) -> np.ndarray:
        if len(speed) == 1:  # a dot
            return np.array([sheet.line_width])
        relative = np.sqrt(usual / np.maximum(speed, 1e-9 * usual))
        return sheet.line_width * np.clip(relative, THINNEST, THICKEST)

    return [[width(speed) for speed in row] for row in speeds]


def _speed(stroke: Tensor) -> np.ndarray:
    """The smoothed speed at each point: offset lengths around it. (n,)"""
    if len(stroke) == 1:
        return np.zeros(1)
    lengths = torch.linalg.vector_norm(stroke.diff(dim=0), dim=1).numpy()  # (n - 1,)
    at = np.concatenate([lengths[:1], (lengths[1:] + lengths[:-1]) / 2, lengths[-1:]])
    weights = np.array(SMOOTHING) / sum(SMOOTHING)
    side = len(weights) // 2
    return np.convolve(np.pad(at, side, mode="edge"), weights, "valid")


def outline(stroke: Tensor, radius: np.ndarray) -> Tensor:
    """The outline of a stroke with round ends, a polygon to fill by the non-zero rule.

    The polygon goes along one side of the stroke and back along the other. Where the
    stroke turns sharply, the outer side goes round the point in an arc, and the inner
    side through the point itself: then every piece of the polygon winds the same way,
    and no piece cancels another, however the stroke crosses itself.

    Args:
        stroke: positions `(n, 2)`.
        radius: half the width of the pen at each point, `(n,)`.

    Returns:
        Corners of the polygon, `(m, 2)`.
    """
    points = stroke.numpy()
    keep = np.concatenate([[True], (np.abs(np.diff(points, axis=0)) > 1e-9).any(1)])
    points, radius = points[keep], radius[keep]
    if len(points) == 1:
        corners = _arc(points[0], radius[0], 0.0, 2 * math.pi)
        return torch.from_numpy(np.array(corners[:-1]))
    steps = np.diff(points, axis=0)
    lengths = np.hypot(*steps.T)
    angles = np.arctan2(steps[:, 1], steps[:, 0])
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    quarter = math.pi / 2
    for i in range(1, len(points) - 1):
        p, r = points[i], radius[i]
        before, after = angles[i - 1], angles[i]
        turn = (after - before + math.pi) % (2 * math.pi) - math.pi
        miter = r * math.tan(min(abs(turn), 3.0) / 2)
        if abs(turn) < ARC_STEP and miter < min(lengths[i - 1], lengths[i]) / 2:
            middle, reach = before + turn / 2, r / math.cos(turn / 2)
            left += [p + reach * _direction(middle - quarter)]
            right += [p + reach * _direction(middle + quarter)]
            continue
        side = -quarter if turn > 0 else quarter  # of the outside of the turn
        outer = _arc(p, r, before + side, turn)
        inner = [p + r * _direction(before - side), p, p + r * _direction(after - side)]
        left += outer if turn > 0 else inner
        right += inner if turn > 0 else outer
    start = _arc(points[0], radius[0], angles[0] + quarter, math.pi)
    end = _arc(points[-1], radius[-1], angles[-1] - quarter, math.pi)
    return torch.from_numpy(np.array([*start, *left, *end, *right[::-1]]))


def _direction(angle: float) -> np.ndarray:
    return np.array([math.cos(angle), math.sin(angle)])


def _arc(centre: np.ndarray, radius: float, begin: float, turn: float) -> list:
    """Points of an arc, both ends among them."""
    count = max(1, math.ceil(abs(turn) / ARC_STEP - 1e-9))
    return [
        centre + radius * _direction(begin + turn * k / count) for k in range(count + 1)
    ]
