"""Save ink as an SVG, PNG or PDF file, chosen by the ending of its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..atomic import write_whole
from ..errors import InputError
from .layout import lay_out_sheets
from .png import RESOLUTION, to_pdf, to_png
from .sheet import PER_INCH, check_dpi
from .svg import to_svg

ENDINGS = (".svg", ".png", ".pdf")


def save(
    inks: Any,
    path: str | os.PathLike[str],
    *,
    width: float | str | None = None,
    unit: float | None = None,
    line_width: float | str | None = None,
    color: str | Sequence[float] = "black",
    background: str | None = "auto",
    title: str | None = None,
    paper: str | None = None,
    ruled: bool = False,
    variable_width: bool = False,
    layers: bool = False,
    dpi: float = PER_INCH["px"] * RESOLUTION,
) -> list[Path]:
    """Write ink to a file whose name ends in `.svg`, `.png` or `.pdf`.

    The file appears whole or not at all. A PDF has a page per sheet; an SVG or a PNG
    shows one sheet, so that of several sheets each goes to a file of its own:
    `letter-1.svg`, `letter-2.svg`. By default a PNG has white paper, and an SVG and a
    PDF have none, because a plotter would draw it.

    Args:
        inks: `(T, 3)` offsets, a `Line`, or several of them; a `Sheet`; or a page, that
            is, an object with a method `sheets()`.
        path: file to write.
        width: width of the picture, a number of pixels (96 to the inch) or a length
            such as `"170mm"`; None draws a letter body 20 pixels high. On paper, the
            width of the lines.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, a number of letter-body heights (None is 0.12) or
            a length such as `"0.5mm"`; for a page a length, or None for its own.
        color: colour of the ink.
        background: colour of the background; None is transparent.
        title: text of the ink for readers who cannot see it, in an SVG.
        paper: `a3`, `a4`, `a5`, `letter`, `legal` or width and height in millimetres
            such as `100x150`: lines go on as many such sheets as they need. None fits
            the picture to them.
        ruled: whether to draw ruled lines.
        variable_width: whether the width of a stroke follows the pen's speed: fast is
            thin.
        layers: whether each line of an SVG is a layer, with one path per stroke.
        dpi: pixels of a PNG per inch.

    Returns:
        The files that were written.

    Raises:
        ValueError: the name has another ending, there is no ink, its shape is wrong, or
            a size is not valid.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(
            f"{path}: the name of a picture must end in .svg, .png or .pdf"
        )
    check_dpi(dpi)
    if background == "auto":
        background = "white" if ending == ".png" else None
    sheets: Any = lay_out_sheets(
        inks,
        width=width,
        unit=unit,
        line_width=line_width,
        paper=paper,
        variable_width=variable_width,
    )
    if ending == ".pdf":
        content = to_pdf(sheets, color=color, background=background, ruled=ruled)
        write_whole(path, content)
        return [Path(path)]
    files = []
    for i, sheet in enumerate(sheets):
        if ending == ".svg":
            content = to_svg(
                sheet,
                color=color,
                background=background,
                title=title,
                ruled=ruled,
                layers=layers,
            ).encode()
        else:
            content = to_png(
                sheet,
                color=color,
                background=background,
                resolution=dpi / PER_INCH["px"],
                ruled=ruled,
            )
        number = f"-{i + 1}" if len(sheets) > 1 else ""
        files.append(Path(path).with_stem(Path(path).stem + number))
        write_whole(files[-1], content)
    return files
