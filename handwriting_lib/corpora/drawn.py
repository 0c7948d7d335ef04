"""Ink as a file holds it, and the one place that turns it into `Sample`s.

Every reader of a file gives a list of `Drawing`s: rows of x, y, time and pen as they
stand in the file, and what the file says about them. What it does not say is left None.
`to_samples` decides that for the whole file, by what its caller was told (`Told`) or
else by the content: whether x and y are offsets, what the pen column means, in which
direction y points, and in which unit the time stamps are.

Chapter 01 (`book/01_ink.md`) reads ink of other programs with these modules.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from ..alphabet import fold, missing
from ..ink import KINDS, Corpus, Sample, points_per_second
from .archives import CorpusError
from .judgement import POINTS_TO_JUDGE, are_offsets, is_upside_down, seconds_per_stamp

PENS = ("down", "end_of_stroke")
DIRECTIONS = ("down", "up")
CLOCKS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
LENGTHS = ("px", "pt", "mm", "cm", "in", "himetric", "dev")
MAX_POINTS = 20_000_000  # of one file: a group of traces may be named again and again

log = logging.getLogger(__name__)


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
        writer, kind, units: as in `Sample`.
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


def to_samples(
    drawings: Sequence[Drawing], name: str, told: Told = NOTHING_TOLD
) -> Corpus:
    """Turn the drawings of one file into a corpus, with y up.

    A drawing without a text gives a sample whose text is empty. A text that cannot be
    written, and points with the pen up, are counted in `skipped`. What was told by the
    content alone is logged.

    Args:
        drawings: what a reader found in the file.
        name: name of the file.
        told: what the caller says about the ink.

    Raises:
        CorpusError: there is no ink, or it contradicts what was told.
    """
    told.check()
    if not drawings:
        raise CorpusError(f"{name} has no samples: draw and save at least one")
    skipped: Counter[str] = Counter()
    kept: list[Drawing] = []
    for drawing in drawings:
        if reason := why_not(drawing.text):
            skipped[reason] += 1
        else:
            kept.append(drawing)
    if sum(len(drawing.rows) for drawing in kept) > MAX_POINTS:
        raise CorpusError(
            f"{name} has more than {MAX_POINTS:,} points: divide it into several files"
        )
    _settle_offsets(kept, told, name)
    _settle_pen(kept, told, name)
    _settle_clock(kept, told)
    samples = [_sample(drawing, told, skipped) for drawing in kept]
    nothing_said = told.y is None and all(drawing.y is None for drawing in kept)
    if nothing_said and is_upside_down(samples):
        log.warning(
            "%s looks upside down: its strokes begin low and end high, and turn "
            "clockwise; read it with y='up' (--y up) if y points up in it, or with "
            "y='down' (--y down) if it does not",
            name,
        )
    return Corpus(name, samples, dict(skipped))


def why_not(text: str | None) -> str | None:
    """The reason why a text cannot be written, or None; None is ink without a text."""
    if text is None:
        return None
    folded = fold(text).text
    if not folded.strip():
        return "text is empty"
    if absent := missing(folded):
        listed = ", ".join(repr(character) for character in absent)
        return f"text has characters outside the alphabet ({listed})"
    return None


# --- what a file does not say ---------------------------------------------------------


def _settle_offsets(drawings: Sequence[Drawing], told: Told, name: str) -> None:
    """Decide whether x and y are offsets, and sum them where they are."""
    open_ones = [drawing for drawing in drawings if drawing.offsets is None]
    found = told.offsets
    if found is None and open_ones:
        found = are_offsets([drawing.rows[:, :2] for drawing in open_ones])
        if found is not None and found != open_ones[0].usually_offsets:
            log.warning(
                "%s is read as %s, because as %s the pen would wander; tell the reader "
                "with offsets=%s (--%soffsets) if that is wrong",
                name, *(("offsets", "positions") if found else ("positions", "offsets")),
                not found, "no-" if found else "",
            )  # fmt: skip
    for drawing in open_ones:
        drawing.offsets = drawing.usually_offsets if found is None else found
    for drawing in drawings:
        if drawing.offsets:
            drawing.rows[:, :2] = drawing.rows[:, :2].cumsum(0)


def _settle_pen(drawings: Sequence[Drawing], told: Told, name: str) -> None:
    """Decide what 1 in the pen column means.

    Most points do not end a stroke, so ones are many or few depending on their meaning.
    """
    open_ones = [drawing for drawing in drawings if drawing.pen is None]
    total = sum(len(drawing.rows) for drawing in open_ones)
    ones = sum(int(drawing.rows[:, 3].sum()) for drawing in open_ones)
    judged = PENS[ones <= total / 2] if total >= POINTS_TO_JUDGE else None
    if told.pen and judged not in (told.pen, None):
        raise CorpusError(
            f"{name}: pen is 1 in {ones} of {total} points, which does not fit "
            f"pen={told.pen!r}: use pen={judged!r}"
        )
    if judged == "end_of_stroke" and not told.pen and not open_ones[0].usually_offsets:
        log.info(
            "%s: pen is 1 in %d of %d points, so it is read as the end of a stroke",
            name, ones, total,
        )  # fmt: skip
    for drawing in open_ones:
        usual = PENS[bool(drawing.offsets)]
        drawing.pen = told.pen or judged or usual


def _settle_clock(drawings: Sequence[Drawing], told: Told) -> None:
    """Decide what the time stamps count: seconds, thousandths or millionths of them."""
    open_ones = [drawing for drawing in drawings if drawing.clock is None]
    judged = seconds_per_stamp([drawing.rows[:, 2] for drawing in open_ones])
    for drawing in drawings:
        drawing.clock = told.clock or drawing.clock or judged


# --- from a drawing to a sample -------------------------------------------------------


def _sample(drawing: Drawing, told: Told, skipped: Counter[str]) -> Sample:
    rows, where = drawing.rows, drawing.where
    if drawing.pen == "down":
        rows = _without_air(drawing, skipped)
    if not len(rows):
        raise CorpusError(
            f"{where} has no ink under pen={drawing.pen!r}: try the other value"
        )
    end = rows[:, 3] > 0.5
    end[-1] = True
    direction = told.y or drawing.y or "down"
    xy = rows[:, :2] * (1.0, 1.0 if direction == "up" else -1.0)
    ink = np.zeros((len(rows), 3))  # (T, 3)
    with np.errstate(over="ignore", invalid="ignore"):
        ink[1:, :2] = np.diff(xy, axis=0)
        ink[:, 2] = end
        ink = ink.astype(np.float32)
    if not np.isfinite(ink).all():
        raise CorpusError(
            f"{where} has coordinates too large for 32 bits: scale them down"
        )
    if drawing.kind not in KINDS:
        raise CorpusError(
            f"{where}: kind is {drawing.kind!r}: it must be one of {', '.join(KINDS)}"
        )
    text = fold(drawing.text or "").text
    characters = drawing.characters
    if characters is not None:
        valid = isinstance(characters, list) and len(characters) == len(ink)
        if not valid or not all(
            type(index) is int and 0 <= index < len(text) for index in characters
        ):
            raise CorpusError(
                f"{where}: character_of_point must have an index from 0 to "
                f"{len(text) - 1} for each of the {len(ink)} points"
            )
        characters = torch.tensor(characters)  # (T,)
    return Sample(
        text,
        torch.from_numpy(ink),
        writer=drawing.writer,
        source=drawing.source,
        kind=drawing.kind,
        character_of_point=characters,
        points_per_second=drawing.rate or _rate(rows[:, 2], end, drawing.clock),
        units=told.length or drawing.units,
    )


def _without_air(drawing: Drawing, skipped: Counter[str]) -> np.ndarray:
    """The rows with the pen down, whose pen column now marks the ends of strokes."""
    rows = drawing.rows
    down = rows[:, 3] > 0.5
    repeats = np.zeros(len(rows), dtype=bool)  # a 0 that repeats the end of a stroke
    repeats[1:] = (rows[1:, :2] == rows[:-1, :2]).all(1)
    if air := int((~down & ~repeats).sum()):
        skipped["points with the pen up, which are no ink"] += air
    end = np.ones(len(rows))
    end[:-1] = ~down[1:]
    return np.column_stack([rows[:, :3], end])[down]


def _rate(stamps: np.ndarray, end: np.ndarray, clock: float | None) -> float | None:
    """Readings per second, from the time stamps of each stroke."""
    if clock is None or np.isnan(stamps).all():
        return None
    pieces = np.split(stamps, np.flatnonzero(end)[:-1] + 1)
    return points_per_second(
        [(piece[~np.isnan(piece)] * clock).tolist() for piece in pieces]
    )
