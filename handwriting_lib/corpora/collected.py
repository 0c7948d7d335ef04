"""Ink in JSON: what the drawing pad saves, word banks, and drawings of other programs.

The pad's format, which `save` writes, is

    {"format": "handwriting_lib.collected", "version": 1, "y": "down",
     "samples": [{"text": "hello", "writer": "me",
                  "strokes": [[[x, y, t, pressure], ...], ...]}, ...]}

with one list per pen-down run and, in it, one list per point, or an object
`{"x": x, "y": y, "t": t, "pressure": pressure}`. `t` (milliseconds) and
`pressure` may be missing or null; `points_per_second` is computed from `t`, and the
pressure is ignored. `"y"` says where y points, `"down"` (as on a screen, the default)
or `"up"`; the ink of a `Sample` is always y up. A sample may also have `"kind"`
(`"line"` by default), `"source"`, `"points_per_second"` and `"character_of_point"` (one
index into the text per point). Texts are kept as they are: no space is trimmed and no
character replaced. `format` and `version` may be missing, and so may all but the list
of samples, or a sample may stand alone. Ink without `"text"` has the text `""`.

A word bank is a list of entries, or an object that maps each word to its entry:

    {"word": "hello", "points": [[x, y, pen], ...], "aspect": 4.0, "writer": "me"}

A point may also be `{"x": x, "y": y, "pen": pen}`. The keys `"text"` and
`"asciiSequence"` may replace `"word"`, `"author"` may replace `"writer"`, and
`"aspect_ratio"` or `"aspectRatio"` may replace `"aspect"`; all of them may be in a
`"metadata"` object. The aspect is the width divided by the height of the box in which x
and y run from 0 to 1. x is multiplied by it, so the unit is the height of the box.
Without it, x and y are taken to have the same unit. y points down unless the reader is
told otherwise.

Banks differ in the meaning of `pen`, and the file does not state it. With `pen="down"`,
1 means that the pen draws: runs of 1 are strokes, and points with 0 are no ink (the
pages that collect words in this form repeat the last point of a stroke with a 0). With
`pen="end_of_stroke"`, 1 marks the last point of a stroke, as in this library. The share
of ones tells which of them it is, and is `"down"` in a bank too small to tell. A bank
may also hold offsets, or points `[dx, dy, p1, p2, p3]`: see `stroke_arrays.py`.

What other programs save in JSON is read by `drawings.py`.

Chapter 01 (`book/01_ink.md`) reads the reader's own handwriting with this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..ink import Corpus, Sample, to_strokes
from . import drawings, stroke_arrays
from .archives import CorpusError, write_ink
from .drawn import Drawing, Told
from .json_points import (
    TEXTS,
    as_list,
    as_number,
    look_up,
    read_strokes,
    show,
    text_of,
    time_of,
)
from .samples import check_samples, to_samples, why_not

FORMAT = "handwriting_lib.collected"
VERSION = 1
NO_INK = np.zeros((0, 4))


def from_json(
    obj: object,
    *,
    name: str = "JSON",
    pen: str | None = None,
    y: str | None = None,
    offsets: bool | None = None,
    units: str | None = None,
) -> Corpus:
    """Convert an object that was parsed from JSON into a corpus.

    Args:
        obj: object in one of the formats that the module's docstring describes.
        name: name of the object in messages and in `Sample.source`.
        pen, y, offsets, units: what the object does not say, as for `load_corpus`.

    Returns:
        A corpus with ink `(T, 3)` in the units of the file, y up. `skipped` counts the
        texts that are empty or have characters outside the alphabet, and the points of
        word banks that are no ink.

    Raises:
        CorpusError: the object is not in one of the formats; the message names the
            sample and the value, and says what would be right.

    Example:
        >>> corpus = from_json({"format": FORMAT, "version": 1, "samples": [
        ...     {"text": "l", "strokes": [[[5, 5], [5, 9]]]},
        ...     {"text": "", "strokes": [[[3, 3]]]}]})
        >>> corpus.samples[0].ink  # down on the screen is down
        tensor([[ 0.,  0.,  0.],
                [ 0., -4.,  1.]])
        >>> corpus.skipped
        {'text is empty': 1}
    """
    told = Told(pen, y, offsets, units).check()
    return to_samples(read(obj, name), name, told)


def read(obj: object, name: str) -> list[Drawing]:
    """Read an object that was parsed from JSON: see `from_json`.

    Raises:
        CorpusError: as for `from_json`.
    """
    if (found := drawings.read(obj, name)) is not None:
        return found
    if (found := stroke_arrays.from_lists(obj, name)) is not None:
        return found
    if _are_strokes(obj):
        return [Drawing(read_strokes(obj, name), None, name, name)]
    if isinstance(obj, dict) and any(
        isinstance(obj.get(key), list) for key in ("strokes", "points")
    ):
        obj = [obj]  # one entry alone
    is_pad = isinstance(obj, dict) and (
        isinstance(obj.get("format"), str) or isinstance(obj.get("samples"), list)
    )
    y: Any = None
    entries: list[tuple[str | None, Any]]
    if is_pad:
        assert isinstance(obj, dict)
        unknown = (obj.get("format", FORMAT), obj.get("version", VERSION))
        if unknown != (FORMAT, VERSION):
            raise CorpusError(
                f"{name}: the format is {show(obj.get('format'))}, version "
                f"{show(obj.get('version'))}: it must be {FORMAT!r}, version {VERSION}"
            )
        listed = as_list(obj.get("samples"), f"{name}: samples", "samples")
        entries = [(None, entry) for entry in listed]
        y = obj.get("y")
    elif isinstance(obj, dict):
        entries = list(obj.items())
    else:
        what = "samples: a list, or an object with the key samples"
        entries = [(None, entry) for entry in as_list(obj, name, what)]
    if not entries:
        raise CorpusError(f"{name} has no samples: draw and save at least one")
    if y not in ("down", "up", None):
        raise CorpusError(f'{name}: y must be "down" or "up", not {show(y)}')
    return [
        _entry(entry, word, f"{name}: sample {number}", f"{name}:{number}", is_pad, y)
        for number, (word, entry) in enumerate(entries, 1)
    ]


def _are_strokes(obj: object) -> bool:
    """Whether this is a list of lists of points [x, y] or [x, y, t, pressure]."""
    if not isinstance(obj, list) or not obj:
        return False
    if not all(isinstance(run, list) and run for run in obj):
        return False
    points = [point for run in obj for point in run]
    return all(isinstance(point, list) and len(point) in (2, 4) for point in points)


def _entry(
    entry: Any, word: str | None, where: str, source: str, is_pad: bool, y: str | None
) -> Drawing:
    """Read one sample, with its ink only if its text can be written."""
    if not isinstance(entry, dict):
        raise CorpusError(
            f"{where} is {show(entry)}: it must be an object with the keys "
            f"{'text and strokes' if is_pad else 'word and points'}"
        )
    is_bank = not is_pad and "strokes" not in entry
    if not is_pad and not is_bank and "complete" in entry:
        raise CorpusError(
            f"{where} comes from `handwriting write --json`, so a network wrote it: "
            "use ink that a person wrote, saved with the pad's Save file"
        )
    text: str | None = None
    told = not set(TEXTS).isdisjoint(entry) or look_up(entry, TEXTS)[1] is not None
    if is_bank or word is not None or told:
        text = text_of(entry, TEXTS, where, word)
    drawing = Drawing(NO_INK, text, where, source, y=y)
    if why_not(text):
        return drawing
    if is_bank:
        _read_bank(drawing, entry, where)
    else:
        drawing.rows = read_strokes(entry.get("strokes"), where)
        drawing.clock, drawing.offsets = (1e-3, False) if is_pad else (None, None)
    drawing.kind = entry.get("kind", "word" if is_bank else "line")
    drawing.writer = text_of(entry, ("writer", "author"), where, "unknown")
    drawing.source = text_of(entry, ("source",), where, source)
    drawing.units = text_of(entry, ("units",), where, "")
    drawing.characters = entry.get("character_of_point")
    if (rate := entry.get("points_per_second")) is not None:
        drawing.rate = as_number(rate, f"{where}: points_per_second")
        if drawing.rate <= 0:
            raise CorpusError(
                f"{where}: points_per_second is {drawing.rate}: it must be positive"
            )
    return drawing


def _read_bank(drawing: Drawing, entry: dict[str, Any], where: str) -> None:
    """Read points with a pen column, as they are, into a drawing."""
    key, aspect = look_up(entry, ("aspect", "aspect_ratio", "aspectRatio"))
    aspect = 1.0 if aspect is None else as_number(aspect, f"{where}: {key}")
    if aspect <= 0:
        raise CorpusError(f"{where}: {key} is {aspect}: width/height must be positive")
    points = as_list(entry.get("points"), f"{where}: points", "points [x, y, pen]")
    if points and all(isinstance(p, list) and len(p) == 5 for p in points):
        drawing.rows = stroke_arrays.from_stroke_5(points, where)
        drawing.usually_offsets = True
    else:
        drawing.rows = np.array(
            [_bank_point(p, f"{where}, point {j}") for j, p in enumerate(points, 1)]
        ).reshape(-1, 4)  # (n, 4)
        drawing.pen = None
    drawing.rows[:, 0] *= aspect
    drawing.offsets = None


def _bank_point(point: object, here: str) -> tuple[float, float, float, float]:
    time = math.nan
    if isinstance(point, dict):
        time = time_of(point, here)
        point = [point.get("x"), point.get("y"), point.get("pen", point.get("p"))]
    if not isinstance(point, list) or len(point) != 3:
        raise CorpusError(
            f"{here} is {show(point)}: it must be [x, y, pen] or an object with "
            "the keys x, y and pen"
        )
    x, y = as_number(point[0], f"{here}: x"), as_number(point[1], f"{here}: y")
    if point[2] not in (0, 1):  # true and false pass: they equal 1 and 0
        raise CorpusError(f"{here}: pen is {show(point[2])}: it must be 0 or 1")
    return x, y, time, float(point[2])


def save(samples: Sequence[Sample], path: str | Path) -> None:
    """Write samples in the pad's format, from which `load_corpus` restores them.

    The file is written beside `path` and then moved into place, so a crash leaves an
    old file intact. Two things are not restored: the position of the first point (its
    offset becomes 0, 0), and a last stroke without an end (its last point becomes the
    end).

    Args:
        samples: one or more samples with ink `(T, 3)`, saved with `"y": "up"`.
        path: the path of the file; an existing file is replaced.

    Raises:
        CorpusError: there are no samples, or the file cannot be written.
        ValueError: the ink of a sample does not pass `check_ink`.

    Example:
        >>> import pathlib, tempfile, torch
        >>> ink = torch.tensor([[0., 0., 0.], [.1, 2., 1.]])
        >>> sample = Sample("l", ink, writer="me", source="pad")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "me.json"
        ...     save([sample], file)
        ...     again = from_json(json.loads(file.read_text())).samples[0]
        >>> bool((again.ink == sample.ink).all())
        True
    """
    path = Path(path)
    check_samples(samples, path)
    entries = []
    for sample in samples:
        entry: dict[str, object] = {
            "text": sample.text,
            "writer": sample.writer,
            "source": sample.source,
            "kind": sample.kind,
            # in double precision, so that the offsets are restored exactly
            "strokes": [stroke.tolist() for stroke in to_strokes(sample.ink.double())],
        }
        if not sample.text:
            del entry["text"]
        if sample.units:
            entry["units"] = sample.units
        if sample.points_per_second is not None:
            entry["points_per_second"] = sample.points_per_second
        if sample.character_of_point is not None:
            entry["character_of_point"] = sample.character_of_point.tolist()
        entries.append(entry)
    document = {"format": FORMAT, "version": VERSION, "y": "up", "samples": entries}
    write_ink(path, json.dumps(document, allow_nan=False).encode())
