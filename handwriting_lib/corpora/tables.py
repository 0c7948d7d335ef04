"""Ink in tables: one reading of the pen a row, with named columns (CSV).

The first row names the columns, in any order and case; commas, semicolons or tabs
separate them.

- `x`, `y`: positions. `dx`, `dy`: offsets.
- `t`, `time` or `timestamp`: in any unit, which is told by the numbers.
- `stroke` or `stroke_id`: another value is another stroke. Without it, `pen` or `p`
  (as in word banks: 1 draws, or ends a stroke), `pen_down` or `down`, `pen_up`,
  `end_of_stroke` or `eos`. Without any of these, the ink is one stroke.
- `text`, `label`, `word` or `transcription`: the text of the ink that the row is in.
- `sample`, `sample_id` or `line`: another value is another piece of ink. Without it,
  another text is.
- `writer`, `author` or `user`. Other columns are ignored.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from itertools import groupby, pairwise

import numpy as np

from .archives import CorpusError
from .drawn import Drawing
from .json_points import show

NAMES = {
    "x": ("x",), "y": ("y",), "dx": ("dx",), "dy": ("dy",),
    "t": ("t", "time", "timestamp"),
    "stroke": ("stroke", "stroke_id", "strokeid"),
    "pen": ("pen", "p", "pen_state"),
    "down": ("pen_down", "down"),
    "up": ("pen_up", "up"),
    "end": ("end_of_stroke", "eos"),
    "text": ("text", "label", "word", "transcription"),
    "sample": ("sample", "sample_id", "line", "line_id"),
    "writer": ("writer", "author", "user"),
}  # fmt: skip
DELIMITERS = ",;\t|"


def columns_of(head: str) -> tuple[dict[str, int], str] | None:
    """The columns that a first row names, and what separates them; None without x, y.

    Example:
        >>> columns_of("Time;X;Y")
        ({'x': 1, 'y': 2, 't': 0}, ';')
    """
    for delimiter in DELIMITERS:
        names = [name.strip().strip('"').lower() for name in head.split(delimiter)]
        found = {
            key: names.index(name)
            for key, accepted in NAMES.items()
            for name in reversed(accepted)
            if name in names
        }
        if {"x", "y"} <= found.keys() or {"dx", "dy"} <= found.keys():
            return found, delimiter
    return None


def read(text: str, name: str) -> list[Drawing]:
    """Read a table whose first row names the columns.

    Raises:
        CorpusError: a row cannot be read, or there is none.
    """
    head, _, body = text.partition("\n")
    told = columns_of(head.rstrip("\r"))
    if told is None:
        raise CorpusError(
            f"{name} begins with {show(head)}: its first row must name the columns, "
            "x and y among them"
        )
    columns, delimiter = told
    names = "xy" if {"x", "y"} <= columns.keys() else ("dx", "dy")
    others = ("t", "pen", "down", "up", "end")
    numbered = [*names, *(key for key in others if key in columns)]

    def rows() -> Iterator[tuple[tuple[str, ...], str, list[float]]]:
        """The sample that a row is in, its stroke, and its numbers."""
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
        for number, row in enumerate(reader, 2):
            if not any(value.strip() for value in row):
                continue
            where = f"{name}, row {number}"
            if len(row) <= max(columns.values()):
                raise CorpusError(f"{where} has {len(row)} values: it lacks a column")
            key = tuple(
                row[columns[k]] if k in columns else ""
                for k in ("sample", "text", "writer")
            )
            stroke = row[columns["stroke"]] if "stroke" in columns else ""
            yield (
                key,
                stroke,
                [_number(row[columns[k]], f"{where}: {k}", k == "t") for k in numbered],
            )

    drawings = []
    try:
        for number, (key, group) in enumerate(groupby(rows(), lambda row: row[0]), 1):
            where = f"{name}: sample {number}"
            listed = list(group)
            values = np.array([row[2] for row in listed])  # (n, columns)
            strokes = [row[1] for row in listed]
            drawings.append(_drawing(key, strokes, values, numbered, where, columns))
            drawings[-1].source = f"{name}:{number}"
            drawings[-1].offsets = True if names != "xy" else None
    except csv.Error as error:
        raise CorpusError(f"{name} is no table: {error}") from error
    if not drawings:
        raise CorpusError(f"{name} has no rows below the names of its columns")
    return drawings


def _drawing(
    key: tuple[str, ...],
    strokes: list[str],
    values: np.ndarray,
    names: list[str],
    where: str,
    columns: dict[str, int],
) -> Drawing:
    _, text, writer = key
    rows = np.full((len(values), 4), np.nan)
    rows[:, :2] = values[:, :2]
    if "t" in names:
        rows[:, 2] = values[:, names.index("t")]
    pen: str | None = "end_of_stroke"
    rows[:, 3] = 0
    rows[-1, 3] = 1
    state = next((name for name in names[2:] if name != "t"), None)
    if "stroke" in columns:
        rows[:-1, 3] = [a != b for a, b in pairwise(strokes)]
    elif state is not None:
        column = values[:, names.index(state)]
        if not ((column == 0) | (column == 1)).all():
            bad = column[(column != 0) & (column != 1)][0]
            raise CorpusError(f"{where}: {state} is {bad:g}: it must be 0 or 1")
        rows[:, 3] = 1 - column if state == "up" else column
        pen = {"pen": None, "end": "end_of_stroke"}.get(state, "down")
    return Drawing(
        rows, text if "text" in columns else None, where, "", pen=pen,
        writer=writer.strip() or "unknown",
    )  # fmt: skip


def _number(text: str, where: str, may_lack: bool) -> float:
    text = text.strip().replace(",", ".")
    words = {"true": "1", "false": "0"}
    if not text and may_lack:
        return math.nan
    try:
        number = float(words.get(text.lower(), text))
    except ValueError:
        raise CorpusError(f"{where} is {show(text)}: it must be a number") from None
    if not math.isfinite(number):
        raise CorpusError(f"{where} is {show(text)}: it must be a finite number")
    return number
