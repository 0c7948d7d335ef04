"""A sheet of paper with writing on it, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet of paper, in millimetres from its top left corner, y down.

    Attributes:
        width: width of the paper.
        height: height of the paper.
        lines: strokes of each line of writing, as float64 tensors `(n, 2)` of `x, y`.
        line_width: width of the pen.
        rules: y of each ruled line; there may be none.
    """

    width: float
    height: float
    lines: list[list[Tensor]]
    line_width: float
    rules: list[float]
