"""Draw ink as a PNG or a PDF with matplotlib's renderers.

Matplotlib is imported only when one is drawn.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..atomic import write_whole
from ..errors import InputError
from .layout import check_sides, css_color, lay_out_sheets, one_sheet
from .sheet import PER_INCH, RULE_COLOR, RULE_WIDTH, Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOLUTION = 2.0  # pixels of the PNG per pixel of the SVG


def to_png(
    inks: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    width: float | str | None = None,
    unit: float | None = None,
    line_width: float | str | None = None,
    color: str | Sequence[float] = "black",
    background: str | None = "white",
    resolution: float = RESOLUTION,
    ruled: bool = False,
    variable_width: bool = False,
) -> bytes:
    """Draw ink as a PNG, with the layout of `to_svg`.

    Args:
        inks: ink, a `Sheet` or a page of one sheet, as in `to_svg`.
        path: file to write the PNG to as well, or None.
        width: width of the picture as in `to_svg`, in pixels of the SVG or a length.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, as in `to_svg`.
        color: colour of the ink, any that matplotlib knows.
        background: colour of the background, likewise; None is transparent.
        resolution: pixels of the PNG per pixel of the SVG, of which an inch has 96.
        ruled: whether to draw the ruled lines of the sheet.
        variable_width: whether the width of a stroke follows the pen's speed.

    Returns:
        The bytes of the PNG.

    Raises:
        ValueError: there is no ink, its shape is wrong, a size is not positive, the
            picture is too large, or a page has several sheets.

    Example:
        >>> import torch
        >>> to_png(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))[1:4]
        b'PNG'
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if not 0 < resolution < float("inf"):
        raise InputError(f"resolution must be a positive number, not {resolution}")
    sheets = lay_out_sheets(
        inks,
        width=width,
        unit=unit,
        line_width=line_width,
        variable_width=variable_width,
    )
    sheet = one_sheet(sheets, "a PNG")
    per_inch = PER_INCH["px"] * resolution
    scale = per_inch / sheet.per_inch
    across = max(1, round(sheet.width * scale))
    down = max(1, round(sheet.height * scale))
    check_sides(across, down, "PNG")
    # a power of two: sizes in inches are exact, so that none is rounded down
    figure = _draw(sheet, scale, (across, down), 64, color, background, ruled)
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(
        file,
        metadata={"Software": None},
        pil_kwargs={"dpi": (per_inch, per_inch)},
    )
    if path is not None:
        write_whole(path, file.getvalue())
    return file.getvalue()


def to_pdf(
    inks: Any,
    *,
    width: float | str | None = None,
    unit: float | None = None,
    line_width: float | str | None = None,
    color: str | Sequence[float] = "black",
    background: str | None = None,
    ruled: bool = False,
    variable_width: bool = False,
) -> bytes:
    """Draw ink as a PDF of vectors, one page per sheet, with the layout of `to_svg`.

    Args:
        inks: ink, a `Sheet`, or a page of any number of sheets, as in `to_svg`.
        width: width of the picture as in `to_svg`, in pixels (96 to the inch) or a
            length.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, as in `to_svg`.
        color: colour of the ink, any that matplotlib knows.
        background: colour of the background, likewise; None is transparent.
        ruled: whether to draw the ruled lines of the sheets.
        variable_width: whether the width of a stroke follows the pen's speed.

    Returns:
        The bytes of the PDF.

    Raises:
        ValueError: there is no ink, its shape is wrong, or a size is not valid.

    Example:
        >>> import torch
        >>> to_pdf(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))[:5]
        b'%PDF-'
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages

    sheets = lay_out_sheets(
        inks,
        width=width,
        unit=unit,
        line_width=line_width,
        variable_width=variable_width,
    )
    file = io.BytesIO()
    silent = {"Creator": None, "Producer": None, "CreationDate": None}
    with PdfPages(file, metadata=silent) as pages:
        for sheet in sheets:
            scale = 72 / sheet.per_inch  # the backend draws at 72 dots to the inch
            size = (sheet.width * scale, sheet.height * scale)
            figure = _draw(sheet, scale, size, 72, color, background, ruled)
            FigureCanvasPdf(figure).print_pdf(pages)
    return file.getvalue()


def _draw(
    sheet: Sheet,
    scale: float,
    size: tuple[float, float],
    dpi: int,
    color: str | Sequence[float],
    background: str | None,
    ruled: bool,
) -> Figure:
    """A matplotlib figure of `size` at `dpi`, with `scale` of its dots per `unit`."""
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline
    from matplotlib.transforms import Affine2D

    across, down = size
    figure = Figure(
        (across / dpi, down / dpi), dpi=dpi, facecolor=css_color(background or "none")
    )
    transform = Affine2D().scale(scale, -scale).translate(0, down)

    def add(strokes: Sequence[torch.Tensor], filled: bool, **look: Any) -> None:
        if not strokes:  # an empty line
            return
        vertices, codes = [], []
        for stroke in strokes:
            if (stroke == stroke[0]).all():  # Agg draws no segment of length zero
                stroke = torch.stack([stroke[0], stroke[0] + 0.01 / scale])
            if filled:
                stroke = torch.cat([stroke, stroke[:1]])
            vertices.append(stroke)
            codes += [Outline.MOVETO] + [Outline.LINETO] * (len(stroke) - 1)
        path = Outline(torch.cat(vertices).numpy(), codes)
        path.should_simplify = False
        patch = PathPatch(path, fill=filled, snap=False, **look)
        patch.set_transform(transform)
        figure.add_artist(patch)

    points = scale * 72 / dpi  # per unit of the sheet
    if ruled and sheet.rules:
        rules = [torch.tensor([[0, y], [sheet.width, y]]).double() for y in sheet.rules]
        width = RULE_WIDTH * sheet.per_inch * points
        add(rules, False, edgecolor=RULE_COLOR, linewidth=width)
    for strokes in sheet.lines:
        if sheet.filled:
            add(strokes, True, facecolor=css_color(color), linewidth=0)
        else:
            add(
                strokes,
                False,
                edgecolor=css_color(color),
                linewidth=sheet.line_width * points,
                capstyle="round",
                joinstyle="round",
            )
    return figure
