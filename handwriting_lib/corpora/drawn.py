"""Ink as a file holds it, before it is a `Sample`: what every reader of a file gives.

Every reader of a file gives a list of `Drawing`s: rows of x, y, time and pen as they
stand in the file, and what the file says about them. What it does not say is left None,
and `samples.to_samples` decides it for the whole file.

Chapter 01 (`book/01_ink.md`) reads ink of other programs with these modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .archives import CorpusError

PENS = ("down", "end_of_stroke")
DIRECTIONS = ("down", "up")
CLOCKS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
LENGTHS = ("px", "pt", "mm", "cm", "in", "himetric", "dev")
MAX_POINTS = 20_000_000  # of one file: a group of traces may be named again and again


class Told(NamedTuple):
    """What the caller says about ink; None follows the file, or else its content.

    Attributes:
        pen: meaning of 1 in a pen column, `"down"` or `"end_of_stroke"`.
        y: direction in which y points, `"down"` or `"up"`.
        offsets: whether x and y are offsets from the point before.
        units: unit of the time stamps (`"s"`, `"ms"`, `"us"`), or of the coordinates
            (one of `LENGTHS`), or both, separated by a comma.
    """

    pen: str | None = None
    y: str | None = None
    offsets: bool | None = None
    units: str | None = None

    def check(self) -> Told:
        """Return itself.

        Raises:
            CorpusError: a value is unknown.
        """
        if self.pen not in (*PENS, None):
            raise CorpusError(f"pen must be one of {', '.join(PENS)}, not {self.pen!r}")
        if self.y not in (*DIRECTIONS, None):
            raise CorpusError(f'y must be "down" or "up", not {self.y!r}')
        if self.offsets not in (True, False, None):
            raise CorpusError(f"offsets must be True or False, not {self.offsets!r}")
        known = (*CLOCKS, *LENGTHS)
        if self.units is not None and not set(self._units()) <= set(known):
            raise CorpusError(
                f"units must be among {', '.join(known)}, such as 'mm,ms', not "
                f"{self.units!r}"
            )
        return self

    def _units(self) -> list[str]:
        return [one.strip() for one in str(self.units or "").split(",") if one.strip()]

    @property
    def clock(self) -> float | None:
        """The seconds per unit of time."""
        return next((CLOCKS[one] for one in self._units() if one in CLOCKS), None)

    @property
    def length(self) -> str | None:
        """The name of the unit of the coordinates."""
        return next((one for one in self._units() if one in LENGTHS), None)


NOTHING_TOLD = Told()


@dataclass
class Drawing:
    """Ink with its text, if any, in the terms of the file that holds it.

    Attributes:
        rows: `(n, 4)` float64: x, y, time stamp (NaN where there is none), pen.
        text: text that the ink spells, or None if the file does not say it.
        where: name of the ink in messages, such as `"me.json: sample 3"`.
        source: as in `Sample`.
        pen: meaning of 1 in the pen column, or None if the file does not say it.
        offsets: whether x and y are offsets, or None if the file does not say it.
        usually_offsets: the more likely answer, for ink too short to tell.
        y: direction in which y points, or None if the file does not say it.
        clock: seconds per unit of the time stamps, or None if the file does not say it.
        writer: as in `Sample`.
        kind: as in `Sample`.
        units: as in `Sample`.
        rate: readings per second, or None to compute them from the time stamps.
        characters: index into the text for each point of ink, or None.
    """

    rows: np.ndarray
    text: str | None
    where: str
    source: str
    pen: str | None = "end_of_stroke"
    offsets: bool | None = False
    usually_offsets: bool = False
    y: str | None = None
    clock: float | None = None
    writer: str = "unknown"
    kind: str = "line"
    units: str = ""
    rate: float | None = None
    characters: Any = None


def from_runs(runs: Sequence[Sequence[Sequence[float]]], where: str) -> np.ndarray:
    """Join pen-down runs of `(x, y)` or `(x, y, t)` into rows `(n, 4)`.

    Raises:
        CorpusError: there is no run, or a run has no points.
    """
    if not runs:
        raise CorpusError(f"{where} has no strokes: draw it again, or leave it out")
    for number, run in enumerate(runs, 1):
        if not len(run):
            raise CorpusError(
                f"{where}, stroke {number} has no points: give it a point, or leave it "
                "out"
            )
    rows = np.full((sum(map(len, runs)), 4), np.nan)
    first = 0
    for run in runs:
        part = np.asarray(run, dtype=np.float64)  # (m, 2) or (m, 3)
        last = first + len(part)
        rows[first:last, : part.shape[1]] = part
        rows[first:last, 3] = 0
        rows[last - 1, 3] = 1
        first = last
    return rows
