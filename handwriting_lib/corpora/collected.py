"""Ink in JSON: the files that the drawing pad saves, and word banks by others.

The pad's format, which `save` writes and `load` reads, is

    {"format": "handwriting_lib.collected", "version": 1, "y": "down",
     "samples": [{"text": "hello", "writer": "me",
                  "strokes": [[[x, y, t, pressure], ...], ...]}, ...]}

with one list per pen-down run and, in it, one list per point. `t` (milliseconds) and
`pressure` may be missing or null; `points_per_second` is computed from `t`, and the
pressure is ignored. `"y"` says where y points, `"down"` (as on a screen, the default)
or `"up"`; the ink that `load` returns is always y up. A sample may also have `"kind"`
(`"line"` by default), `"source"`, `"points_per_second"` and `"character_of_point"` (one
index into the text per point). Texts are kept as they are: no space is trimmed and no
character replaced.

A word bank is a list of entries, or an object that maps each word to its entry:

    {"word": "hello", "points": [[x, y, pen], ...], "aspect": 4.0, "writer": "me"}

A point may also be `{"x": x, "y": y, "pen": pen}`. The keys `"text"` and
`"asciiSequence"` may replace `"word"`, `"author"` may replace `"writer"`, and
`"aspect_ratio"` or `"aspectRatio"` may replace `"aspect"`; all of them may be in a
`"metadata"` object. The aspect is the width divided by the height of the box in which x
and y run from 0 to 1. x is multiplied by it, so the unit is the height of the box.
Without it, x and y are taken to have the same unit. y points down unless `load` is told
otherwise.

Banks differ in the meaning of `pen`, and the file does not state it. With `pen="down"`,
the default, 1 means that the pen draws: runs of 1 are strokes, and points with 0 are no
ink (the pages that collect words in this form repeat the last point of a stroke with a
0). With `pen="end_of_stroke"`, 1 marks the last point of a stroke, as in this library.

Chapter 01 (`book/01_ink.md`) reads the reader's own handwriting with this module.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..alphabet import fold, missing
from ..ink import (
    KINDS,
    Corpus,
    Sample,
    check_ink,
    from_strokes,
    points_per_second,
    to_strokes,
)
from .archives import TAR_ENDINGS, CorpusError, read_files

FORMAT = "handwriting_lib.collected"
VERSION = 1
PENS = ("down", "end_of_stroke")
# With this many points or more, the share of ones reveals a wrong `pen`.
POINTS_TO_JUDGE = 50


class _Ink(NamedTuple):
    strokes: list[Tensor]  # one (n, 2) tensor per stroke, y as in the file
    times: list[list[float]]  # time stamps of each stroke, in seconds


def load(path: str | Path, *, pen: str = "down", y: str | None = None) -> Corpus:
    """Read a JSON file, or every `.json` file in a folder or archive.

    Args:
        path: the path of a JSON file, or of a folder or archive with JSON files, in one
            of the formats that the module's docstring describes.
        pen: the meaning of 1 in a word bank, `"down"` or `"end_of_stroke"`.
        y: the direction in which y points, `"down"` or `"up"`. None follows the file,
            or is `"down"` where the file does not state it.

    Returns:
        A corpus with ink `(T, 3)` in the units of the file, y up. `skipped` counts the
        texts that are empty or have characters outside the alphabet, and the points of
        word banks that are no ink.

    Raises:
        CorpusError: a file is not JSON or not in one of the formats; the message names
            the file, the sample and the value, and says what would be right.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "me.json"
        ...     _ = file.write_text('[{"word": "l", "points": [[0, 0, 1], [0, 1, 1]]}]')
        ...     load(file).samples[0].source
        'me.json:1'
    """
    path = Path(path)
    if path.is_file() and not path.name.lower().endswith((*TAR_ENDINGS, ".zip")):
        try:
            files = [(path.name, path.read_bytes())]
        except OSError as error:
            raise CorpusError(f"{path} cannot be read: {error}") from error
    else:
        files = list(read_files(path, _is_json))
    if not files:
        raise CorpusError(f"{path} holds no .json file: give the path of one")
    samples: list[Sample] = []
    skipped: Counter[str] = Counter()
    for name, content in files:
        corpus = from_json(_parse(content, name), name=name, pen=pen, y=y)
        samples += corpus.samples
        skipped.update(corpus.skipped)
    return Corpus(str(path), samples, dict(skipped))


def from_json(
    obj: object, *, name: str = "JSON", pen: str = "down", y: str | None = None
) -> Corpus:
    """Convert an object that was parsed from JSON, as `load` does with a file.

    Args:
        obj: an object in one of the formats that the module's docstring describes.
        name: the name of the object in messages and in `Sample.source`.
        pen: the meaning of 1 in a word bank, as for `load`.
        y: the direction in which y points, as for `load`.

    Returns:
        The same corpus that `load` returns, under the name `name`.

    Raises:
        CorpusError: the object is not in one of the formats, or `pen` or `y` is
            unknown.

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
    if pen not in PENS:
        raise CorpusError(f"pen must be one of {', '.join(PENS)}, not {pen!r}")
    is_pad = isinstance(obj, dict) and (
        isinstance(obj.get("format"), str) or isinstance(obj.get("samples"), list)
    )
    entries: list[tuple[str | None, Any]]
    if is_pad:
        assert isinstance(obj, dict)
        if obj.get("format") != FORMAT or obj.get("version") != VERSION:
            raise CorpusError(
                f"{name}: the format is {_show(obj.get('format'))}, version "
                f"{_show(obj.get('version'))}: it must be {FORMAT!r}, version {VERSION}"
            )
        listed = _list(obj.get("samples"), f"{name}: samples", "samples")
        entries = [(None, entry) for entry in listed]
        y = obj.get("y", "down") if y is None else y
    elif isinstance(obj, dict):
        entries = list(obj.items())
    else:
        what = "samples: a list, or an object with the key samples"
        entries = [(None, entry) for entry in _list(obj, name, what)]
    if not entries:
        raise CorpusError(f"{name} has no samples: draw and save at least one")
    if y not in ("down", "up", None):
        raise CorpusError(f'{name}: y must be "down" or "up", not {_show(y)}')

    samples: list[Sample] = []
    skipped: Counter[str] = Counter()
    pens: Counter[bool] = Counter()
    for number, (word, entry) in enumerate(entries, 1):
        where = f"{name}: sample {number}"
        if not isinstance(entry, dict):
            raise CorpusError(
                f"{where} is {_show(entry)}: it must be an object with the keys "
                f"{'text and strokes' if is_pad else 'word and points'}"
            )
        if not is_pad and "complete" in entry and "strokes" in entry:
            raise CorpusError(
                f"{name} comes from `handwriting write --json`, so a network wrote its "
                "lines: use ink that a person wrote, saved with the pad's Save file"
            )
        text = fold(_text(entry, ("text", "word", "asciiSequence"), where, word)).text
        if not text.strip():
            skipped["text is empty"] += 1
        elif missing(text):
            unknown = ", ".join(repr(character) for character in missing(text))
            skipped[f"text has characters outside the alphabet ({unknown})"] += 1
        else:
            if is_pad:
                ink = _pad_ink(entry.get("strokes"), where)
            else:
                ink = _bank_ink(entry, where, pen, pens, skipped)
            source = f"{name}:{number}"
            samples.append(_sample(entry, text, ink, where, source, not is_pad, y))
    _judge_pen(pens, pen, name)
    return Corpus(name, samples, dict(skipped))


def save(samples: Sequence[Sample], path: str | Path) -> None:
    """Write samples in the pad's format, from which `load` restores them.

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
        ...     bool((load(file).samples[0].ink == sample.ink).all())
        True
    """
    path = Path(path)
    if not samples:
        raise CorpusError(f"there are no samples to save in {path}: give at least one")
    entries = []
    for number, sample in enumerate(samples, 1):
        check_ink(sample.ink, f"the ink of sample {number}")
        entry: dict[str, object] = {
            "text": sample.text,
            "writer": sample.writer,
            "source": sample.source,
            "kind": sample.kind,
            # in double precision, so that the offsets are restored exactly
            "strokes": [stroke.tolist() for stroke in to_strokes(sample.ink.double())],
        }
        if sample.points_per_second is not None:
            entry["points_per_second"] = sample.points_per_second
        if sample.character_of_point is not None:
            entry["character_of_point"] = sample.character_of_point.tolist()
        entries.append(entry)
    document = {"format": FORMAT, "version": VERSION, "y": "up", "samples": entries}
    content = json.dumps(document, allow_nan=False)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(content, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise CorpusError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # it is gone once it has been moved
            unfinished.unlink()


def _is_json(name: str) -> bool:
    """Whether this is a JSON file, unlike the `._x.json` that some archivers add."""
    base = name.rpartition("/")[2]
    return base.lower().endswith(".json") and not base.startswith(".")


def _parse(content: bytes, name: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):  # json would silently keep the last one
            (key, times), *_ = Counter(key for key, _ in pairs).most_common(1)
            raise CorpusError(
                f"{name} has the key {_show(key)} {times} times in one object: "
                "make the keys unique, or use a list of entries"
            )
        return found

    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=unique)
    except CorpusError:
        raise
    except (ValueError, RecursionError) as error:
        raise CorpusError(
            f"{name} is not JSON in UTF-8 ({error}): save it again in that format"
        ) from error


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:37]}..."


def _list(value: object, where: str, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise CorpusError(f"{where} is {_show(value)}: it must be a list of {what}")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CorpusError(
            f"{where} is {_show(value)}: it must be a number, without quotes"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CorpusError(f"{where} is {_show(value)}: it must be a finite number")
    return number


def _get(entry: dict[str, Any], keys: Sequence[str]) -> tuple[str, Any]:
    """Find the first key that has a value, in the entry or else in its metadata."""
    metadata = entry.get("metadata")
    for place in (entry, metadata if isinstance(metadata, dict) else {}):
        for key in keys:
            if place.get(key) is not None:
                return key, place[key]
    return keys[0], None


def _text(
    entry: dict[str, Any], keys: Sequence[str], where: str, default: str | None
) -> str:
    key, value = _get(entry, keys)
    value = default if value is None else value
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {key} is {_show(value)}: it must be a text")
    return value


def _pad_ink(value: object, where: str) -> _Ink:
    """Read strokes as lists of points `[x, y, t, pressure]`, the last two optional."""
    strokes, times = [], []
    what = "strokes, each a list of points [x, y] or [x, y, t, pressure]"
    for i, stroke in enumerate(_list(value, f"{where}: strokes", what), 1):
        positions, stamps = [], []
        at = f"{where}, stroke {i}"
        for j, point in enumerate(_list(stroke, at, "points [x, y]"), 1):
            here = f"{at}, point {j}"
            point = _list(point, here, "numbers [x, y] (are brackets missing?)")
            if not 2 <= len(point) <= 4:
                raise CorpusError(
                    f"{here} is {_show(point)}: it must be [x, y], [x, y, t] or "
                    "[x, y, t, pressure]"
                )
            x, y = _number(point[0], f"{here}: x"), _number(point[1], f"{here}: y")
            positions.append((x, y))
            for column, extra in zip(("t", "pressure"), point[2:], strict=False):
                if extra is not None:
                    extra = _number(extra, f"{here}: {column}")
                    if column == "t":
                        stamps.append(extra / 1000)
        if not positions:
            raise CorpusError(f"{at} has no points: give it a point, or leave it out")
        strokes.append(torch.tensor(positions, dtype=torch.double))  # (n, 2)
        times.append(stamps)
    return _Ink(strokes, times)


def _bank_ink(
    entry: dict[str, Any],
    where: str,
    pen: str,
    pens: Counter[bool],
    skipped: Counter[str],
) -> _Ink:
    """Cut points with a pen column into strokes, according to the meaning of `pen`."""
    key, aspect = _get(entry, ("aspect", "aspect_ratio", "aspectRatio"))
    aspect = 1.0 if aspect is None else _number(aspect, f"{where}: {key}")
    if aspect <= 0:
        raise CorpusError(f"{where}: {key} is {aspect}: width/height must be positive")
    strokes: list[list[tuple[float, float]]] = [[]]
    last = None
    points = _list(entry.get("points"), f"{where}: points", "points [x, y, pen]")
    for j, point in enumerate(points, 1):
        here = f"{where}, point {j}"
        if isinstance(point, dict):
            point = [point.get("x"), point.get("y"), point.get("pen", point.get("p"))]
        if not isinstance(point, list) or len(point) != 3:
            raise CorpusError(
                f"{here} is {_show(point)}: it must be [x, y, pen] or an object with "
                "the keys x, y and pen"
            )
        x, y = _number(point[0], f"{here}: x"), _number(point[1], f"{here}: y")
        if point[2] not in (0, 1):  # true and false pass: they equal 1 and 0
            raise CorpusError(f"{here}: pen is {_show(point[2])}: it must be 0 or 1")
        one = bool(point[2])
        pens[one] += 1
        if one or pen == "end_of_stroke":
            strokes[-1].append((x * aspect, y))
        elif (x, y) != last:
            skipped["points with the pen up, which are no ink"] += 1
        if one == (pen == "end_of_stroke"):
            strokes.append([])
        last = (x, y)
    inked = [torch.tensor(stroke, dtype=torch.double) for stroke in strokes if stroke]
    if not inked:
        raise CorpusError(f"{where} has no ink under pen={pen!r}: try the other value")
    return _Ink(inked, [])


def _judge_pen(pens: Counter[bool], pen: str, name: str) -> None:
    """Raise an error if the share of ones contradicts `pen`.

    Most points do not end a stroke, so ones are many or few depending on their meaning.
    """
    total = pens.total()
    mostly_ones = pens[True] > total / 2
    if total >= POINTS_TO_JUDGE and mostly_ones != (pen == "down"):
        raise CorpusError(
            f"{name}: pen is 1 in {pens[True]} of {total} points, which does not fit "
            f"pen={pen!r}: use pen={PENS[pen == 'down']!r}"
        )


def _sample(
    entry: dict[str, Any],
    text: str,
    ink: _Ink,
    where: str,
    source: str,
    is_word: bool,
    y: str | None,
) -> Sample:
    """Build a sample from its ink and the rest of its entry."""
    if not ink.strokes:
        raise CorpusError(f"{where} has no strokes: draw it again, or leave it out")
    turn = torch.tensor([1.0, 1.0 if y == "up" else -1.0], dtype=torch.double)
    offsets = from_strokes([stroke * turn for stroke in ink.strokes])  # (T, 3)
    if not torch.isfinite(offsets).all():
        raise CorpusError(
            f"{where} has coordinates too large for 32 bits: scale them down"
        )
    kind = entry.get("kind", "word" if is_word else "line")
    if kind not in KINDS:
        raise CorpusError(
            f"{where}: kind is {_show(kind)}: it must be one of {', '.join(KINDS)}"
        )
    rate = entry.get("points_per_second")
    if rate is None:
        rate = points_per_second(ink.times)
    elif (rate := _number(rate, f"{where}: points_per_second")) <= 0:
        raise CorpusError(f"{where}: points_per_second is {rate}: it must be positive")
    characters = entry.get("character_of_point")
    if characters is not None:
        valid = isinstance(characters, list) and len(characters) == len(offsets)
        if not valid or not all(
            type(index) is int and 0 <= index < len(text) for index in characters
        ):
            raise CorpusError(
                f"{where}: character_of_point must have an index from 0 to "
                f"{len(text) - 1} for each of the {len(offsets)} points"
            )
        characters = torch.tensor(characters)  # (T,)
    return Sample(
        text,
        offsets,
        writer=_text(entry, ("writer", "author"), where, "unknown"),
        source=_text(entry, ("source",), where, source),
        kind=kind,
        character_of_point=characters,
        points_per_second=rate,
    )
