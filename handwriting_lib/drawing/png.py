"""Draw ink as a PNG with matplotlib's Agg renderer.

Matplotlib is imported only when a PNG is drawn.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import torch
from torch import Tensor

from ..atomic import write_whole
from ..errors import InputError
from .layout import check_sides, css_color, lay_out

RESOLUTION = 2.0  # pixels of the PNG per pixel of the SVG


def to_png(
    inks: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str] | None = None,
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str | Sequence[float] = "black",
    background: str | None = "white",
    resolution: float = RESOLUTION,
) -> bytes:
    """Draw ink as a PNG, with the layout of `to_svg`.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        path: file to write the PNG to as well, or None.
        width: width of the picture in pixels of the SVG, as in `to_svg`.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, in letter-body heights.
        color: colour of the ink, any that matplotlib knows.
        background: colour of the background, likewise; None is transparent.
        resolution: pixels of the PNG per pixel of the SVG.

    Returns:
        The bytes of the PNG.

    Raises:
        ValueError: there is no ink, its shape is wrong, a size is not positive, or a
            side of the picture is too long.

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
        raise InputError(f"resolution must be a positive number, not {resolution}")
    layout = lay_out(inks, width=width, unit=unit, line_width=line_width)
    across = max(1, round(layout.width * resolution))
    down = max(1, round(layout.height * resolution))
    check_sides(across, down, "PNG")
    dpi = 64  # a power of two: sizes in inches are exact, so none is rounded down
    figure = Figure(
        (across / dpi, down / dpi), dpi=dpi, facecolor=css_color(background or "none")
    )
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
        edgecolor=css_color(color),
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
