"""Outlines of glyphs as tokens: a kind and two coordinates for every point.

A glyph is a short program. Its first row says how far the pen advances to the next
glyph; then each point of its contours has a row: the first point of a contour, a point
on the curve, or a control point beside it. A last row ends the program. A contour
closes by itself, where the next one begins or the program ends. Two control points in a
row have a point on the curve between them, as in TrueType, so that the tokens are as
few as the font's own points.

Coordinates are steps of a grid, counted from the left and from the bottom of a fixed
range. All signs and all numbers in this range therefore have a token, and nothing is
unknown. `GRAMMAR` says which kinds may follow which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..outline import Outline, overlap, parse, render, to_path

__all__ = [
    "GRAMMAR",
    "KINDS",
    "GlyphTokens",
    "overlap",
    "parse",
    "render",
    "to_path",
]

KINDS = ("end", "advance", "start", "line", "control")
END, ADVANCE, START, LINE, CONTROL = range(len(KINDS))

# The kinds that may follow, and the state in which each of them leaves the program. A
# contour needs three points before another may begin or the program may end.
GRAMMAR: Mapping[str, Mapping[int, str]] = {
    "begin": {ADVANCE: "empty"},
    "empty": {START: "one point"},
    "one point": {LINE: "two points", CONTROL: "two points"},
    "two points": {LINE: "contour", CONTROL: "contour"},
    "contour": {LINE: "contour", CONTROL: "contour", START: "one point", END: "done"},
    "done": {},
}


@dataclass(frozen=True)
class GlyphTokens:
    """The tokens of outlines: the way from contours to rows of tokens and back.

    A row is (kind, x, y). The first row of a program has an x alone, the advance, and
    the last one, which ends it, has neither; `no_x` and `no_y` stand in these places.

    Attributes:
        grid: number of steps in an em.
        left: lowest x, in ems.
        bottom: lowest y, in ems.
        right: largest x, in ems.
        top: largest y, in ems.

    Raises:
        ValueError: the grid has fewer than 8 steps, or the range does not hold the
            origin and the em.

    Example:
        >>> tokens = GlyphTokens(grid=8, left=0.0, bottom=0.0, right=1.0, top=1.0)
        >>> wedge = parse("M 0 0 L 0.5 1 L 1 0 Z", advance=1.0)
        >>> tokens.encode(wedge)
        tensor([[1, 8, 9],
                [2, 0, 0],
                [3, 4, 8],
                [3, 8, 0],
                [0, 9, 9]])
        >>> to_path(tokens.decode(tokens.encode(wedge)))
        'M0 0L0.5 1L1 0Z'
    """

    grid: int = 128
    left: float = -0.375
    bottom: float = -0.5625
    right: float = 1.375
    top: float = 1.25

    def __post_init__(self) -> None:
        if type(self.grid) is not int or not 8 <= self.grid <= 4096:
            raise InputError(
                f"grid must be a whole number from 8 to 4096, not {self.grid!r}"
            )
        if not (self.left <= 0 < 1 <= self.right and self.bottom <= 0 < 1 <= self.top):
            raise InputError(
                "the range must hold the square from 0 to 1, not "
                f"{self.left} to {self.right} and {self.bottom} to {self.top}"
            )

    @property
    def lowest(self) -> tuple[int, int]:
        """The step at the left end of the range, and the one at its bottom."""
        return round(self.left * self.grid), round(self.bottom * self.grid)

    @property
    def no_x(self) -> int:
        """What stands in the place of an x; also the number of tokens for one."""
        return round(self.right * self.grid) - self.lowest[0] + 1

    @property
    def no_y(self) -> int:
        """What stands in the place of a y; also the number of tokens for one."""
        return round(self.top * self.grid) - self.lowest[1] + 1

    def _steps(self, outline: Outline) -> np.ndarray:
        """The coordinates of all points as tokens, `(N, 2)`, unchecked."""
        scaled = outline.points[:, :2] * self.grid
        return np.rint(scaled).astype(np.int64) - self.lowest

    def fits(self, outline: Outline) -> bool:
        """Whether all points and the advance lie in the range, and there are points."""
        steps = self._steps(outline)
        advance = round(outline.advance * self.grid)
        return bool(
            len(steps)
            and (steps >= 0).all()
            and (steps < (self.no_x, self.no_y)).all()
            and 0 <= advance < self.no_x + self.lowest[0]
        )

    def encode(self, outline: Outline) -> Tensor:
        """The program of an outline.

        Each coordinate is rounded to the nearest step, so no point moves by more than
        half a step along either axis.

        Args:
            outline: of a glyph.

        Returns:
            `(N + 2, 3)` int64 rows for N points.

        Raises:
            ValueError: a point or the advance lies outside the range, or there are no
                points.
        """
        if not self.fits(outline):
            raise InputError(
                "an outline must have points, all of them within "
                f"{self.left:g} to {self.right:g} and {self.bottom:g} to {self.top:g} "
                "ems: scale it, or choose wider ranges"
            )
        kinds = [
            kind
            for contour in outline.contours
            for kind in (START, *np.where(contour[1:, 2] > 0.5, LINE, CONTROL))
        ]
        rows = np.empty((len(kinds) + 2, 3), dtype=np.int64)
        advance = round(outline.advance * self.grid) - self.lowest[0]
        rows[0] = ADVANCE, advance, self.no_y
        rows[1:-1, 0] = kinds
        rows[1:-1, 1:] = self._steps(outline)
        rows[-1] = END, self.no_x, self.no_y
        return torch.from_numpy(rows)

    def decode(self, rows: Tensor | Iterable[Iterable[int]]) -> Outline:
        """The outline of a program, the inverse of `encode`.

        Args:
            rows: `(N + 2, 3)` int64.

        Raises:
            ValueError: a token is not one of these, a row stands where the grammar does
                not allow it, or the program does not end; the message says where.

        Example:
            >>> tokens = GlyphTokens(grid=8)
            >>> tokens.decode([[1, 3, 15], [0, 15, 15]])
            Traceback (most recent call last):
            handwriting_lib.errors.InputError: row 2: no end may follow here
        """
        table = np.asarray(rows.cpu() if isinstance(rows, Tensor) else list(rows))
        if table.ndim != 2 or table.shape[1] != 3:
            raise InputError(f"a program must have rows of 3 tokens, not {table.shape}")
        state, advance = "begin", 0.0
        contours: list[np.ndarray] = []
        points: list[tuple[float, float, float]] = []
        for number, (kind, x, y) in enumerate(table.tolist(), 1):
            if kind not in GRAMMAR[state]:
                name = KINDS[kind] if 0 <= kind < len(KINDS) else f"kind {kind}"
                raise InputError(f"row {number}: no {name} may follow here")
            for value, most, has in (
                (x, self.no_x, kind != END),
                (y, self.no_y, kind not in (END, ADVANCE)),
            ):
                if has and not 0 <= value < most:
                    raise InputError(
                        f"row {number}: the coordinate {value} must be between 0 and "
                        f"{most - 1}"
                    )
            if kind == ADVANCE and x < -self.lowest[0]:
                raise InputError(f"row {number}: the advance must not be negative")
            state = GRAMMAR[state][kind]
            if kind in (START, END) and points:
                contours.append(np.array(points))
                points = []
            if kind == ADVANCE:
                advance = (x + self.lowest[0]) / self.grid
            elif kind != END:
                at = (
                    (x + self.lowest[0]) / self.grid,
                    (y + self.lowest[1]) / self.grid,
                )
                points.append((*at, float(kind != CONTROL)))
        if state != "done":
            raise InputError("the program does not end: its last row must be an end")
        return Outline(advance, tuple(contours))
