"""Outlines of glyphs as pictures: rows of glyphs on baselines, filled.

Within a row, each glyph stands where the advance of the one before it has led, as in a
line of print.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from ..atomic import write_whole
from ..errors import InputError
from ..outline import Outline, render, to_path

# Of a row, in ems: above the baseline and below it, and the margin on the other sides.
ABOVE, BELOW, MARGIN = 1.0, 0.4, 0.25
MAX_PIXELS = 2**26


def _sides(rows: Sequence[Sequence[Outline]]) -> tuple[float, float]:
    """The width and the height of a sheet in ems.

    Raises:
        ValueError: there are no glyphs.
    """
    if not any(rows):
        raise InputError("give at least one outline to draw")
    widest = max(sum(glyph.advance for glyph in row) for row in rows)
    return widest + 2 * MARGIN, len(rows) * (ABOVE + BELOW)


def outlines_to_svg(
    rows: Sequence[Sequence[Outline]],
    *,
    size: float = 48.0,
    color: str = "currentColor",
    title: str | None = None,
) -> str:
    """Draw rows of glyphs as an SVG with one `<path>` per glyph.

    Args:
        rows: outlines, row by row.
        size: pixels in an em.
        color: CSS colour of the glyphs.
        title: text for readers who cannot see them; any text is safe.

    Returns:
        A complete SVG file; its user unit is a thousandth of an em.

    Raises:
        ValueError: there are no glyphs, or the size is not positive.

    Example:
        >>> from handwriting_lib.outline import parse
        >>> wedge = parse("M 0 0 L 0.5 0.7 L 1 0 Z", advance=1.0)
        >>> for line in outlines_to_svg([[wedge]], size=10).splitlines(): print(line)
        <svg xmlns="http://www.w3.org/2000/svg" width="15" height="14"
         viewBox="0 0 1500 1400" role="img">
        <g fill="currentColor" transform="scale(1 -1)">
        <path transform="translate(250 -1000)" d="M0 0L500 700L1000 0Z"/>
        </g>
        </svg>
    """
    if not 0 < size < float("inf"):
        raise InputError(f"size must be a positive number of pixels, not {size!r}")
    width, height = _sides(rows)
    named = f"<title>{escape(title)}</title>\n" if title else ""
    paths = []
    for i, row in enumerate(rows):
        x, y = MARGIN, -i * (ABOVE + BELOW) - ABOVE
        for glyph in row:
            contours = [c * (1000.0, 1000.0, 1.0) for c in glyph.contours]
            path = to_path(Outline(0.0, tuple(contours)), 0)
            place = f"translate({1000 * x:.0f} {1000 * y:.0f})"
            paths.append(f'<path transform="{place}" d="{path}"/>\n')
            x += glyph.advance
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{width * size:g}" height="{height * size:g}"\n'
        f' viewBox="0 0 {1000 * width:.0f} {1000 * height:.0f}" role="img">\n{named}'
        f'<g fill="{escape(color)}" transform="scale(1 -1)">\n{"".join(paths)}</g>\n'
        "</svg>\n"
    )


def outline_sheet(
    rows: Sequence[Sequence[Outline]], size: float = 48.0
) -> npt.NDArray[np.float32]:
    """Draw rows of glyphs as a raster `(H, W)`, from 0 for paper to 1 for ink.

    Args:
        rows: outlines, row by row.
        size: pixels in an em.

    Raises:
        ValueError: there are no glyphs, or the raster is too large.
    """
    width, height = _sides(rows)
    if width * height * size**2 > MAX_PIXELS:
        raise InputError(
            f"a sheet of {width * size:,.0f} by {height * size:,.0f} pixels is too "
            "large: draw fewer glyphs, or smaller ones"
        )
    tall = max(1, round((ABOVE + BELOW) * size))
    sheet = np.zeros((tall * len(rows), max(1, round(width * size))), np.float32)
    for i, row in enumerate(rows):
        x = MARGIN
        for glyph in row:
            frame = (-x, -BELOW, width - x, ABOVE)
            drawn = render(glyph, size, frame)  # the whole row, which is mostly empty
            part = sheet[i * tall : (i + 1) * tall]
            down, across = (
                min(a, b) for a, b in zip(part.shape, drawn.shape, strict=True)
            )
            np.maximum(
                part[:down, :across], drawn[:down, :across], out=part[:down, :across]
            )
            x += glyph.advance
    return sheet


def save_outlines(
    rows: Sequence[Sequence[Outline]],
    path: str | os.PathLike[str],
    *,
    size: float = 48.0,
    title: str | None = None,
) -> None:
    """Write rows of glyphs to a file whose name ends in `.svg` or `.png`.

    Args:
        rows: outlines, row by row.
        path: file to write.
        size: pixels in an em.
        title: text for readers who cannot see them, in an SVG.

    Raises:
        ValueError: the name has another ending, or there are no glyphs.
    """
    ending = Path(path).suffix.lower()
    if ending == ".svg":
        write_whole(path, outlines_to_svg(rows, size=size, title=title).encode())
    elif ending == ".png":
        from matplotlib.image import imsave

        file = io.BytesIO()
        imsave(file, 1 - outline_sheet(rows, size), cmap="gray", vmin=0, vmax=1)
        write_whole(path, file.getvalue())
    else:
        raise InputError(
            f"{path}: the name of a picture of outlines must end in .svg or .png"
        )
