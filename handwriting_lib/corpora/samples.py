"""From drawings to samples: the one place where ink of any file becomes a `Sample`.

What a file does not say about its ink is decided here for the whole file, by what the
caller was told (`drawn.Told`) or else by the content: whether x and y are offsets, what
the pen column means, in which direction y points, and what the time stamps count.

Chapter 01 (`book/01_ink.md`) reads ink of other programs with these modules.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..alphabet import fold, missing
from ..ink import KINDS, Corpus, Sample, check_ink, points_per_second
from .archives import CorpusError
from .drawn import MAX_POINTS, NOTHING_TOLD, PENS, Drawing, Told
from .judgement import POINTS_TO_JUDGE, are_offsets, is_upside_down, seconds_per_stamp

log = logging.getLogger(__name__)


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
            what = ("offsets", "positions") if found else ("positions", "offsets")
            log.warning(
                "%s is read as %s, because as %s the pen would wander; tell the reader "
                "with offsets=%s (--%soffsets) if that is wrong",
                name, *what, not found, "no-" if found else "",
            )  # fmt: skip
    for drawing in open_ones:
        drawing.offsets = drawing.usually_offsets if found is None else found
    for drawing in drawings:
        if told.offsets is not None:
            drawing.offsets = told.offsets
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
    times = [(piece[~np.isnan(piece)] * clock).tolist() for piece in pieces]
    return points_per_second(times) or None  # 0 where it is rounded to that


def check_samples(samples: Sequence[Sample], path: str | Path) -> None:
    """Refuse samples that no file can hold.

    Raises:
        CorpusError: there are none.
        ValueError: the ink of a sample does not pass `check_ink`.
    """
    if not samples:
        raise CorpusError(f"there are no samples to save in {path}: give at least one")
    for number, sample in enumerate(samples, 1):
        check_ink(sample.ink, f"the ink of sample {number}")
