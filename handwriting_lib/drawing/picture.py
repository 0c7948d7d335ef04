"""Save ink as an SVG or PNG file, chosen by the ending of its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from ..atomic import write_whole
from ..errors import InputError
from .png import to_png
from .svg import to_svg


def save(
    inks: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str | Sequence[float] = "black",
    background: str | None = "auto",
    title: str | None = None,
) -> None:
    """Write ink to a file whose name ends in `.svg` or `.png`.

    The file appears whole or not at all. The arguments are those of `to_svg` and
    `to_png`; a PNG has no title. By default a PNG has white paper and an SVG none,
    because a plotter would draw it.

    Raises:
        ValueError: the name has another ending, there is no ink, its shape is wrong, or
            a size is not positive.
    """
    ending = Path(path).suffix.lower()
    if background == "auto":
        background = "white" if ending == ".png" else None
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
        raise InputError(f"{path}: the name of a picture must end in .svg or .png")
    write_whole(path, content)
