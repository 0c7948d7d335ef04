"""drawing.picture."""

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
        raise InputError(f"{path}: a picture's name ends in .svg or .png")
    write_whole(path, content)
