"""Ink as a picture file: SVG by hand, PNG through matplotlib's Agg.

Several lines are stacked in one picture, each starting at the left edge, their
baselines evenly spaced; a line that needs more room gets it. y points up in ink and
down in a picture, so it is turned over here and nowhere else. Matplotlib loads only
when a PNG is made. Chapter 01 shows ink this way.
"""

from __future__ import annotations

import io
import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import torch
from torch import Tensor

from .ink import check_ink, letter_body_height, to_strokes

# All in letter-body heights, but for the first: pixels a letter-body height.
BODY_PIXELS = 20.0
MARGIN = 0.5
PITCH = 3.0  # from baseline to baseline: room for a descender and an ascender
GAP = 0.3  # the least space between the ink of two lines

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Layout(NamedTuple):
    """Where the strokes of a picture lie, in pixels, y down.

    Attributes:
        lines: the strokes of each ink, tensors `(n, 2)` of `x, y` in float64.
        width: of the picture.
        height: of the picture.
        line_width: of the pen.
    """

    lines: list[list[Tensor]]
    width: float
    height: float
    line_width: float


def as_inks(inks: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """One ink or several as a list of checked inks on the CPU.

    Raises:
        ValueError: there is none, or one of them is not a line of ink.
    """
    if isinstance(inks, Tensor):
        inks = [inks] if inks.ndim < 3 else list(inks)
    if not inks:
        raise ValueError("there is no ink to draw: give at least one line")
    names = [f"ink {i}" for i in range(len(inks))] if len(inks) > 1 else ["ink"]
    return [
        check_ink(ink.detach().cpu(), name)
        for ink, name in zip(inks, names, strict=True)
    ]


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
        width: of the picture in pixels; None draws a letter body 20 pixels high.
        unit: the letter-body height in the units of the ink; None measures it.
        line_width: of the pen, in letter-body heights.

    Raises:
        ValueError: no ink, ink of a wrong shape, or a size that is not positive.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.]])
        >>> layout = lay_out(ink, unit=1.0)
        >>> layout.lines[0][0].tolist(), layout.width, layout.height
        ([[10.0, 90.0], [70.0, 10.0]], 80.0, 100.0)
    """
    for name, value in (("width", width), ("unit", unit), ("line_width", line_width)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a positive number, not {value}")
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
    down = MARGIN * unit + float(high[0, 1]) - bases[0]  # the first baseline, y down
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


def _measure_unit(inks: Sequence[Tensor], size: Tensor) -> float:
    """The letter-body height of the median line, within reason for dots and dashes."""
    height = statistics.median(letter_body_height(ink) for ink in inks)
    across, up = size.amax(0).tolist()
    return max(height, 0.15 * up, 0.005 * across) or 1.0


def _baseline(strokes: Sequence[Tensor]) -> float:
    """y of the foot of the letter body, measured as `letter_body_height` does."""
    y = torch.cat(list(strokes))[:, 1].sort().values
    return float(y[round(0.2 * (len(y) - 1))])


def to_svg(
    inks: Tensor | Sequence[Tensor],
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str = "currentColor",
    background: str | None = None,
    title: str | None = None,
) -> str:
    """Ink as an SVG, one `<path>` a line.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        width: of the picture in pixels; None draws a letter body 20 pixels high.
        unit: the letter-body height in the units of the ink; None measures it.
        line_width: of the pen, in letter-body heights.
        color: any CSS colour; `currentColor` takes that of the text around.
        background: any CSS colour; None is transparent.
        title: what the ink says, for those who cannot see it; any text is safe.

    Returns:
        A whole SVG file. Coordinates are rounded to a hundredth of a pixel; a stroke
        of one point is a segment of length zero, which round caps make a dot.

    Raises:
        ValueError: no ink, ink of a wrong shape, or a size that is not positive.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.], [1., 0., 1.]])
        >>> for line in to_svg(ink, unit=1.0, title="<3").splitlines(): print(line)
        <svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"
         viewBox="0 0 100 100" role="img">
        <title>&lt;3</title>
        <g fill="none" stroke="currentColor" stroke-width="2.4"
         stroke-linecap="round" stroke-linejoin="round">
        <path d="M10 90L70 10M90 10L90 10"/>
        </g>
        </svg>
    """
    layout = lay_out(inks, width=width, unit=unit, line_width=line_width)
    w, h = _short(layout.width), _short(layout.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}"\n'
        f' viewBox="0 0 {w} {h}" role="img">'
    ]
    if title is not None:
        parts.append(f"<title>{escape(_NOT_XML.sub('', title))}</title>")
    if background is not None:
        parts.append(
            f'<rect width="100%" height="100%" fill={_attribute(background)}/>'
        )
    parts.append(
        f'<g fill="none" stroke={_attribute(color)}'
        f' stroke-width="{_short(layout.line_width)}"\n'
        ' stroke-linecap="round" stroke-linejoin="round">'
    )
    parts += [f'<path d="{_path(strokes)}"/>' for strokes in layout.lines]
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _short(number: float) -> str:
    """At most two decimals, no trailing zeros, no `-0`."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub("", value))


def _path(strokes: Sequence[Tensor]) -> str:
    pieces = []
    for stroke in strokes:
        first, *rest = [f"{_short(x)} {_short(y)}" for x, y in stroke.tolist()]
        pieces.append(f"M{first}L" + " ".join(rest or [first]))
    return "".join(pieces)


def to_png(
    inks: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str] | None = None,
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str = "black",
    background: str | None = "white",
    resolution: float = 2.0,
) -> bytes:
    """Ink as a PNG: the picture of `to_svg`, pixel by pixel.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        path: where to write it as well, or None.
        width: as in `to_svg`.
        unit: the letter-body height in the units of the ink; None measures it.
        line_width: of the pen, in letter-body heights.
        color: any colour that matplotlib knows.
        background: any colour that matplotlib knows; None is transparent.
        resolution: pixels of the PNG for each pixel of the SVG.

    Returns:
        The file.

    Raises:
        ValueError: no ink, ink of a wrong shape, or a size that is not positive.

    Example:
        >>> import torch
        >>> to_png(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))[1:4]
        b'PNG'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline
    from matplotlib.transforms import Affine2D

    if not 0 < resolution < float("inf"):
        raise ValueError(f"resolution must be a positive number, not {resolution}")
    layout = lay_out(inks, width=width, unit=unit, line_width=line_width)
    across = max(1, round(layout.width * resolution))
    down = max(1, round(layout.height * resolution))
    dpi = 64  # a power of two: sizes in inches are exact, and none is rounded down
    figure = Figure((across / dpi, down / dpi), dpi=dpi, facecolor=background or "none")
    canvas = FigureCanvasAgg(figure)
    vertices, codes = [], []
    for stroke in (s for strokes in layout.lines for s in strokes):
        if (stroke == stroke[0]).all():  # Agg draws no segment of length zero
            stroke = torch.stack([stroke[0], stroke[0] + 0.01])
        vertices.append(stroke)
        codes += [Outline.MOVETO] + [Outline.LINETO] * (len(stroke) - 1)
    outline = Outline(torch.cat(vertices).numpy(), codes)
    outline.should_simplify = False
    patch = PathPatch(
        outline,
        fill=False,
        edgecolor=color,
        linewidth=layout.line_width * resolution * 72 / dpi,  # in points
        capstyle="round",
        joinstyle="round",
        snap=False,
    )
    patch.set_transform(Affine2D().scale(resolution, -resolution).translate(0, down))
    figure.add_artist(patch)
    file = io.BytesIO()
    canvas.print_png(file, metadata={"Software": None})
    if path is not None:
        write_whole(path, file.getvalue())
    return file.getvalue()


def save(
    inks: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str = "black",
    background: str | None = "white",
    title: str | None = None,
) -> None:
    """Write ink to a file that ends in `.svg` or `.png`.

    The file appears whole or not at all. The arguments are those of `to_svg` and
    `to_png`; a PNG has no title.

    Raises:
        ValueError: another ending; otherwise as for `to_svg`.
    """
    ending = Path(path).suffix.lower()
    if ending == ".svg":
        content = to_svg(
            inks,
            width=width,
            unit=unit,
            line_width=line_width,
            color=color,
            background=background,
            title=title,
        ).encode()
    elif ending == ".png":
        content = to_png(
            inks,
            width=width,
            unit=unit,
            line_width=line_width,
            color=color,
            background=background,
        )
    else:
        raise ValueError(f"{path}: a picture's name ends in .svg or .png")
    write_whole(path, content)


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside its place and move it there: it is never half written."""
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
