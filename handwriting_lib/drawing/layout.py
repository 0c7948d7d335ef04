"""Lay out lines of ink on a sheet.

Several lines are stacked on one sheet, each starting at the left edge, with their
baselines evenly spaced; a line that needs more room gets it. y points up in ink and
down on a sheet, so it is flipped here. Every kind of picture shares this layout, and so
do the still pictures of the widgets, which chapter 01 is the first to show.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..ink import check_ink, letter_body_height, to_strokes
from .sheet import LINE_WIDTH, PER_INCH, Sheet, parse_length, parse_paper, vary_width

# BODY_PIXELS is in pixels per letter-body height, the others in letter-body heights.
BODY_PIXELS = 20.0
MARGIN = 0.5
PITCH = 3.0  # between baselines, with room for a descender and an ascender
GAP = 0.3  # least space between the ink of two lines
MAX_SIDE = 2**16 - 1  # pixels: the most that a GIF and matplotlib's older versions take
MAX_PIXELS = 2**28  # in one picture: a gigabyte in RGBA
MAX_MOVING_PIXELS = MAX_PIXELS // 16  # in a frame, drawn at four times its size
PAPER_MARGIN = 20.0  # millimetres, or a tenth of small paper
PAPER_BODY = 3.0  # millimetres: about as high as people write a letter body


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
    width: float | str | None = None,
    unit: float | None = None,
    line_width: float | str = LINE_WIDTH,
) -> Sheet:
    """Stack lines of ink on a sheet that fits them.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        width: width of the sheet, a number of pixels or a length such as `"170mm"`;
            None draws a letter body 20 pixels high.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, a number of letter-body heights or a length.

    Returns:
        A sheet in pixels, or in millimetres if `width` is a length. Its `rules` are the
        baselines.

    Raises:
        ValueError: there is no ink, its shape is wrong, or a size is not positive.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.]])
        >>> sheet = lay_out(ink, unit=1.0)
        >>> sheet.lines[0][0].tolist(), sheet.width, sheet.height
        ([[10.0, 90.0], [70.0, 10.0]], 80.0, 100.0)
    """
    measure = "mm" if isinstance(width, str) else "px"
    if isinstance(width, str):
        width = parse_length(width, "width")
    thickness = None
    if isinstance(line_width, str):
        thickness = parse_length(line_width, "line_width") / 25.4 * PER_INCH[measure]
        line_width = LINE_WIDTH
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
    placed, rules = [], []
    for i, strokes in enumerate(lines):
        if i:
            need = bases[i - 1] - float(low[i - 1, 1]) + float(high[i, 1]) - bases[i]
            down += max(PITCH * unit, need + GAP * unit)
        shift = torch.stack(
            [MARGIN * unit - low[i, 0], low.new_tensor(down + bases[i])]
        )
        flip = low.new_tensor([1.0, -1.0])
        placed.append([scale * (shift + flip * stroke) for stroke in strokes])
        rules.append(scale * down)
    bottom = down + bases[-1] - float(low[-1, 1]) + MARGIN * unit
    across = scale * (widest + 2 * MARGIN * unit)
    pen = scale * unit * line_width if thickness is None else thickness
    return Sheet(across, scale * bottom, placed, pen, rules, measure)


def lay_out_sheets(
    ink: Any,
    *,
    width: float | str | None = None,
    unit: float | None = None,
    line_width: float | str | None = None,
    paper: str | None = None,
    variable_width: bool = False,
) -> list[Sheet]:
    """Lay out whatever can be drawn: lines of ink, a sheet, or a page of sheets.

    Args:
        ink: ink as in `lay_out`; a `Sheet` or a list of them; or an object with
            a method `sheets()`.
        width: as in `lay_out`; on paper, the width of the lines, a length. A sheet
            already has one.
        unit: letter-body height in the units of the ink, likewise.
        line_width: width of the pen as in `lay_out`; for a sheet, a length.
        paper: as in `parse_paper`; lines of ink are put on as many such sheets as they
            need. None fits the sheet to the ink.
        variable_width: whether the width of a stroke follows the pen's speed.

    Raises:
        ValueError: there is no ink, its shape is wrong, a size is not valid, or a size
            is given for a sheet that has it already.
    """
    sheets = [ink] if isinstance(ink, Sheet) else None
    if isinstance(ink, list) and ink and isinstance(ink[0], Sheet):
        sheets = ink
    if hasattr(ink, "sheets"):
        sheets = list(ink.sheets())
    if sheets is None:
        pen = LINE_WIDTH if line_width is None else line_width
        if paper is None:
            sheets = [lay_out(ink, width=width, unit=unit, line_width=pen)]
        else:
            sheets = _on_paper(ink, parse_paper(paper), width, unit, pen)
    else:
        for name, given in (("width", width), ("unit", unit), ("paper", paper)):
            if given is not None:
                raise InputError(
                    f"{name} cannot be {given!r} here: a page has its size already, so "
                    "choose it when the page is written"
                )
        if line_width is not None:
            if not isinstance(line_width, str):
                raise InputError(
                    "the line_width of a page must be a length such as '0.5mm', not "
                    f"{line_width!r}"
                )
            thickness = parse_length(line_width, "line_width") / 25.4
            sheets = [
                dataclasses.replace(s, line_width=thickness * PER_INCH[s.unit])
                for s in sheets
            ]
    return [vary_width(sheet) for sheet in sheets] if variable_width else sheets


def _on_paper(
    inks: Any,
    paper: tuple[float, float],
    width: float | str | None,
    unit: float | None,
    line_width: float | str,
) -> list[Sheet]:
    """Put stacked lines on sheets of paper, with margins, at a size that fits."""
    if width is not None and not isinstance(width, str):
        raise InputError(
            f"on paper, width must be a length such as '170mm', not {width!r}"
        )
    across, down = paper
    margin = min(PAPER_MARGIN, 0.1 * min(paper))
    room = across - 2 * margin
    fitted = lay_out(inks, unit=unit)
    tall = max(
        float(torch.cat(strokes)[:, 1].max() - torch.cat(strokes)[:, 1].min())
        for strokes in fitted.lines
    )
    wide_bodies = fitted.width / BODY_PIXELS - 2 * MARGIN  # of the widest line
    body = min(
        PAPER_BODY,
        room / max(wide_bodies, 1.0),
        (down - 2 * margin) / max(tall / BODY_PIXELS, 1.0),
    )
    if width:
        asked = parse_length(width, "width")
        if asked > across:
            raise InputError(f"width {width!r} is more than the paper's {across:g} mm")
        body = asked / max(wide_bodies, 1e-9)
    wide = fitted.width / BODY_PIXELS * body
    stack = lay_out(inks, width=f"{wide!r}mm", unit=unit, line_width=line_width)
    corner = MARGIN * body  # the stack's own margin
    left = margin if wide - 2 * corner <= room else (across - wide) / 2 + corner
    sheets: list[Sheet] = []
    start = 0.0
    for strokes, rule in zip(stack.lines, stack.rules, strict=True):
        y = torch.cat(strokes)[:, 1]
        if not sheets or float(y.max()) - start > down - margin:
            start = float(y.min()) - margin
            sheets.append(Sheet(across, down, [], stack.line_width, []))
        shift = torch.tensor([left - corner, -start], dtype=torch.float64)
        sheets[-1].lines.append([stroke + shift for stroke in strokes])
        sheets[-1].rules.append(rule - start)
    return sheets


def one_sheet(sheets: Sequence[Sheet], kind: str) -> Sheet:
    """The only sheet of several, for a picture that shows one.

    Raises:
        ValueError: there are more.
    """
    if len(sheets) != 1:
        raise InputError(
            f"{kind} shows one sheet, not {len(sheets)}: use save, which numbers the "
            "files, or save a PDF"
        )
    return sheets[0]


def check_sides(width: float, height: float, kind: str, most: int = MAX_PIXELS) -> None:
    """Refuse a picture of pixels that is too large, before memory is asked for.

    Args:
        width: width of the picture in its own pixels.
        height: height, likewise.
        kind: `"PNG"`, `"GIF"` or `"video"`, for the message.
        most: number of pixels in all.

    Raises:
        ValueError: a side has more than `MAX_SIDE` pixels, or all of it more than
            `most`.
    """
    if max(width, height) > MAX_SIDE or width * height > most:
        raise InputError(
            f"a {kind} has at most {MAX_SIDE} pixels a side and {most // 10**6} "
            f"million in all, and this ink needs {width:.0f} x {height:.0f}: draw "
            "fewer lines in one picture, a smaller one, or an SVG"
        )


def check_number(lines: int, kind: str, resolution: float = 1.0) -> None:
    """Refuse more lines than fit into a picture, before any of them is written.

    Args:
        lines: number of lines, drawn with a letter body `BODY_PIXELS` high.
        kind: of picture, for the message.
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
