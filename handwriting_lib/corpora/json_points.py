"""Values and points in JSON, checked one by one, with messages that name the place."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .archives import CorpusError
from .drawn import from_runs

TIMES = ("t", "time", "timestamp")
TEXTS = ("text", "word", "asciiSequence", "label")


def parse(content: bytes | str, name: str) -> object:
    """Parse JSON in UTF-8, with or without a byte order mark.

    Raises:
        CorpusError: it is not JSON, or an object has a key twice.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):  # json would silently keep the last one
            (key, times), *_ = Counter(key for key, _ in pairs).most_common(1)
            raise CorpusError(
                f"{name} has the key {show(key)} {times} times in one object: "
                "make the keys unique, or use a list of entries"
            )
        return found

    try:
        text = content if isinstance(content, str) else content.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=unique)
    except CorpusError:
        raise
    except (ValueError, RecursionError) as error:
        raise CorpusError(
            f"{name} is not JSON in UTF-8 ({error}): save it again in that format"
        ) from error


def show(value: object) -> str:
    """A value for a message, cut short."""
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def as_list(value: object, where: str, what: str) -> list[Any]:
    """The value if it is a list, and an error otherwise."""
    if not isinstance(value, list):
        raise CorpusError(f"{where} is {show(value)}: it must be a list of {what}")
    return value


def as_number(value: object, where: str) -> float:
    """The value if it is a finite number, and an error otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CorpusError(
            f"{where} is {show(value)}: it must be a number, without quotes"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CorpusError(f"{where} is {show(value)}: it must be a finite number")
    return number


def look_up(entry: dict[str, Any], keys: Sequence[str]) -> tuple[str, Any]:
    """Find the first key that has a value, in the entry or else in its metadata."""
    metadata = entry.get("metadata")
    for place in (entry, metadata if isinstance(metadata, dict) else {}):
        for key in keys:
            if place.get(key) is not None:
                return key, place[key]
    return keys[0], None


def text_of(
    entry: dict[str, Any], keys: Sequence[str], where: str, default: str | None
) -> str:
    """The first text under one of the keys, and an error if it is no text."""
    key, value = look_up(entry, keys)
    value = default if value is None else value
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {key} is {show(value)}: it must be a text")
    return value


def time_of(point: dict[str, Any], where: str) -> float:
    """The time stamp of a point that is an object, or NaN."""
    key, value = look_up(point, TIMES)
    return math.nan if value is None else as_number(value, f"{where}: {key}")


def read_point(point: object, where: str) -> tuple[float, float, float]:
    """Read x, y, t of a point: `[x, y, t, pressure]`, or an object with those keys."""
    if isinstance(point, dict):
        x, y = (as_number(point.get(key), f"{where}: {key}") for key in "xy")
        return x, y, time_of(point, where)
    point = as_list(point, where, "numbers [x, y] (are brackets missing?)")
    if not 2 <= len(point) <= 4:
        raise CorpusError(
            f"{where} is {show(point)}: it must be [x, y], [x, y, t] or "
            "[x, y, t, pressure]"
        )
    x, y = (as_number(v, f"{where}: {k}") for k, v in zip("xy", point[:2], strict=True))
    extra = [
        math.nan if value is None else as_number(value, f"{where}: {key}")
        for key, value in zip(("t", "pressure"), point[2:], strict=False)
    ]
    return x, y, extra[0] if extra else math.nan


def read_strokes(value: object, where: str) -> np.ndarray:
    """Read strokes into rows `(n, 4)`: see `drawn.Drawing`.

    A stroke is a list of points, an object with the list `points`, or an object of
    columns, `{"x": [...], "y": [...], "t": [...]}`.
    """
    what = "strokes, each a list of points [x, y] or [x, y, t, pressure]"
    runs = []
    for i, stroke in enumerate(as_list(value, f"{where}: strokes", what), 1):
        at = f"{where}, stroke {i}"
        if isinstance(stroke, dict):
            columns = {key.lower(): v for key, v in stroke.items() if len(key) == 1}
            if isinstance(columns.get("x"), list):
                runs.append(read_columns([columns.get(key) for key in "xyt"], at))
                continue
            stroke = stroke.get("points", stroke)
        points = as_list(stroke, at, "points [x, y]")
        runs.append(
            [read_point(one, f"{at}, point {j}") for j, one in enumerate(points, 1)]
        )
    return from_runs(runs, where)


def read_columns(columns: Sequence[Any], where: str) -> list[tuple[float, ...]]:
    """Read a stroke that is given as lists of x, y and perhaps t."""
    lists = [
        as_list(column, f"{where}: {key}", "numbers")
        for key, column in zip("xyt", columns, strict=False)
        if key != "t" or column is not None
    ]
    if len({len(column) for column in lists}) > 1 or len(lists) < 2:
        sizes = ", ".join(str(len(column)) for column in lists)
        raise CorpusError(
            f"{where} has {sizes} values of x, y and t: give each point all of them"
        )
    return [
        tuple(
            as_number(value, f"{where}, point {j}: {key}")
            for key, value in zip("xyt", point, strict=False)
        )
        for j, point in enumerate(zip(*lists, strict=True), 1)
    ]
