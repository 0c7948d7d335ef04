"""Lay out lines of ink in a picture, in pixels.

Several lines are stacked in one picture, each starting at the left edge, with their
baselines evenly spaced; a line that needs more room gets it. y points up in ink and
down in a picture, so it is flipped here. SVGs, PNGs and GIFs share this layout, and so
do the still pictures of the widgets, which chapter 01 is the first to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..ink import check_ink, letter_body_height, to_strokes

# BODY_PIXELS is in pixels per letter-body height, the others in letter-body heights.
BODY_PIXELS = 20.0
MARGIN = 0.5
PITCH = 3.0  # between baselines, with room for a descender and an ascender
GAP = 0.3  # least space between the ink of two lines
MAX_SIDE = 2**16 - 1  # pixels: the most that a GIF and matplotlib's older versions take


class Layout(NamedTuple):
    """Positions of the strokes in a picture, in pixels, with y pointing down.

    Attributes:
        lines: strokes of each line, as float64 tensors `(n, 2)` of `x, y`.
        width: width of the picture.
        height: height of the picture.
        line_width: width of the pen.
    """

    lines: list[list[Tensor]]
    width: float
    height: float
    line_width: float


def as_inks(inks: Any) -> list[Tensor]:
    """Return one ink or several as a list of checked inks on the CPU.

    Raises:
        ValueError: there is no ink, or one of the inks is not a line of ink.
    """
    inks = getattr(inks, "ink", inks)  # a line or a sample has its ink with it
    if isinstance(inks, np.ndarray):
        inks = torch.from_numpy(inks)
    if isinstance(inks, Tensor):
        inks = [inks] if inks.ndim < 3 else list(inks)
    if not isinstance(inks, Sequence) or isinstance(inks, str):
        raise InputError(
            f"ink must be a tensor (T, 3), a line or a list of them, not {inks!r}"
        )
    if not inks:
        raise InputError("there is no ink to draw: give at least one line")
    names = [f"ink {i}" for i in range(len(inks))] if len(inks) > 1 else ["ink"]
    return [_as_ink(ink, name) for ink, name in zip(inks, names, strict=True)]


def _as_ink(ink: Any, name: str) -> Tensor:
    """One ink as a checked tensor on the CPU."""
    ink = getattr(ink, "ink", ink)
    if not isinstance(ink, Tensor | np.ndarray):
        raise InputError(f"{name} must be a tensor (T, 3) or a line, not {ink!r}")
    return check_ink(torch.as_tensor(ink).detach().cpu(), name)


def css_color(color: Any) -> str:
    """A colour as CSS knows it: a name as it is, three or four shares as #rrggbbaa.

    Raises:
        ValueError: it is neither a string nor three or four numbers from 0 to 1.

    Example:
        >>> css_color((1, 0, 0.5))
        '#ff0080'
    """
    if isinstance(color, str):
        return color
    shares: list[float] = list(color) if isinstance(color, Sequence) else []
    if len(shares) not in (3, 4) or not all(0 <= share <= 1 for share in shares):
        raise InputError(
            "a colour must be a name or three or four numbers from 0 to 1, not "
            f"{color!r}"
        )
    return "#" + "".join(f"{round(255 * share):02x}" for share in shares)


def lay_out(
    inks: Tensor | Sequence[Tensor],
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
) -> Layout:
    """Stack lines of ink in a picture.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        width: width of the picture in pixels; None draws a letter body 20 pixels high.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, in letter-body heights.

    Raises:
        ValueError: there is no ink, its shape is wrong, or a size is not positive.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.]])
        >>> layout = lay_out(ink, unit=1.0)
        >>> layout.lines[0][0].tolist(), layout.width, layout.height
        ([[10.0, 90.0], [70.0, 10.0]], 80.0, 100.0)
    """
    for name, value in (("width", width), ("unit", unit), ("line_width", line_width)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} must be a positive number, not {value}")
    inks = as_inks(inks)
    lines = [to_strokes(ink.double()) for ink in inks]
    low = torch.stack([torch.cat(strokes).amin(0) for strokes in lines])  # (N, 2)
    high = torch.stack([torch.cat(strokes).amax(0) for strokes in lines])  # (N, 2)
    if unit is None:
        unit = _measure_unit(inks, high - low)
    widest = float((high - low)[:, 0].max())
    if width is None:
        scale = BODY_PIXELS / unit
    else:
        scale = width / (widest + 2 * MARGIN * unit)
    bases = [_baseline(strokes) for strokes in lines]
    down = MARGIN * unit + float(high[0, 1]) - bases[0]  # first baseline, y down
    placed = []
    for i, strokes in enumerate(lines):
        if i:
            need = bases[i - 1] - float(low[i - 1, 1]) + float(high[i, 1]) - bases[i]
            down += max(PITCH * unit, need + GAP * unit)
        shift = torch.stack(
            [MARGIN * unit - low[i, 0], low.new_tensor(down + bases[i])]
        )
        flip = low.new_tensor([1.0, -1.0])
        placed.append([scale * (shift + flip * stroke) for stroke in strokes])
    bottom = down + bases[-1] - float(low[-1, 1]) + MARGIN * unit
    across = scale * (widest + 2 * MARGIN * unit)
    return Layout(placed, across, scale * bottom, scale * unit * line_width)


def check_sides(width: float, height: float, kind: str) -> None:
    """Refuse a picture of pixels with a side of more than `MAX_SIDE`.

    Args:
        width: width of the picture in its own pixels.
        height: height, likewise.
        kind: `"PNG"` or `"GIF"`, for the message.

    Raises:
        ValueError: a side is too long.
    """
    if max(width, height) > MAX_SIDE:
        raise InputError(
            f"a {kind} has at most {MAX_SIDE} pixels a side, and this ink needs "
            f"{width:.0f} x {height:.0f}: draw fewer lines in one picture, a narrower "
            "one, or an SVG"
        )


def check_number(lines: int, kind: str, resolution: float = 1.0) -> None:
    """Refuse more lines than fit into a picture, before any of them is written.

    Args:
        lines: number of lines, drawn with a letter body `BODY_PIXELS` high.
        kind: `"PNG"` or `"GIF"`, for the message.
        resolution: as in `to_png`.

    Raises:
        ValueError: there are too many.
    """
    most = int(MAX_SIDE / (PITCH * BODY_PIXELS * resolution))
    if lines > most:
        raise InputError(
            f"a {kind} holds at most {most} lines, not {lines}: write fewer texts or "
            "samples at a time, or an SVG"
        )


def _measure_unit(inks: Sequence[Tensor], size: Tensor) -> float:
    """The median letter-body height of the lines, bounded below for dots and dashes."""
    height = float(np.median([letter_body_height(ink) for ink in inks]))
    across, up = size.amax(0).tolist()
    return max(height, 0.15 * up, 0.005 * across) or 1.0


def _baseline(strokes: Sequence[Tensor]) -> float:
    """The y of the baseline: the lower percentile that `letter_body_height` uses."""
    y = torch.cat(list(strokes))[:, 1].sort().values
    return float(y[round(0.2 * (len(y) - 1))])
