"""Ink in JSON: what the drawing pad saves, and banks of words that others collected.

The pad's format, which `save` writes and `load` reads:

    {"format": "handwriting_lib.collected", "version": 1, "y": "down",
     "samples": [{"text": "hello", "writer": "me",
                  "strokes": [[[x, y, t, pressure], ...], ...]}, ...]}

One list a pen-down run, one list a point. `t` (milliseconds) and `pressure` may be
missing or null; `t` gives `points_per_second` and pressure is not used. `"y"` says
where y points, `"down"` (a screen, the default) or `"up"`; the ink is always y up. A
sample may also have `"kind"` (`"line"` unless it says otherwise), `"source"`,
`"points_per_second"` and `"character_of_point"` (one index into the text a point).
Texts are taken as they are: no space is trimmed, no character replaced.

A word bank is a list of entries, or an object from word to entry:

    {"word": "hello", "points": [[x, y, pen], ...], "aspect": 4.0, "writer": "me"}

A point may also be `{"x": x, "y": y, "pen": pen}`. `"text"` or `"asciiSequence"` may
stand for `"word"`, `"author"` for `"writer"`, `"aspect_ratio"` or `"aspectRatio"` for
`"aspect"`, and all of them may lie in a `"metadata"` object. The aspect is the width
through the height of the box whose sides are 0..1 in x and y; x is multiplied by it, so
units are box heights. Without it x and y count in the same unit. y points down unless
`load` is told otherwise.

Banks differ in `pen`, and the file does not say how. With `pen="down"`, the default, 1
means that the pen draws: runs of 1 are strokes, and points with 0 are no ink (the
pages that collect this way repeat a stroke's last point with a 0). With
`pen="end_of_stroke"`, 1 stands on the last point of a stroke, as in this library.

Chapter 01 (`book/01_ink.md`) uses it for the reader's own hand.
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

from ..alphabet import missing
from ..ink import KINDS, Corpus, Sample, check_ink, from_strokes, to_strokes
from .archives import TAR_ENDINGS, CorpusError, read_files
from .iam import points_per_second

FORMAT = "handwriting_lib.collected"
VERSION = 1
PENS = ("down", "end_of_stroke")
# From so many points on, a wrong `pen` shows in the share of ones.
POINTS_TO_JUDGE = 50


class _Ink(NamedTuple):
    strokes: list[Tensor]  # (n, 2) each, y as in the file
    times: list[list[float]]  # seconds


def load(path: str | Path, *, pen: str = "down", y: str | None = None) -> Corpus:
    """Read a JSON file, or every `.json` in a folder or archive.

    Args:
        path: the pad's format or a word bank, see above.
        pen: what 1 means in a word bank, `"down"` or `"end_of_stroke"`.
        y: `"down"` or `"up"`; None takes the file's word, `"down"` where it says none.

    Returns:
        The samples, ink `(T, 3)` in the units of the file, y up; `skipped` counts
        the texts that are empty or have characters outside the alphabet.

    Raises:
        CorpusError: not JSON, or not in one of the formats; the message names the file,
            the sample, the value and what would be right.

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
    """Turn an object that came from JSON into samples; `load` without the file.

    Args:
        obj: lists, dictionaries, texts and numbers, in one of the formats above.
        name: how messages and sources call it.
        pen: as for `load`.
        y: as for `load`.

    Raises:
        CorpusError: as for `load`.

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
                f"{name} is what `handwriting write --json` wrote, lines of a network: "
                "take ink that a person wrote, as the pad's Save file has it"
            )
        text = _text(entry, ("text", "word", "asciiSequence"), where, word)
        if not text.strip():
            skipped["text is empty"] += 1
        elif missing(text):
            skipped["text has characters outside the alphabet"] += 1
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
    """Write samples in the pad's format; `load` gives them back.

    The file is written beside `path` and moved into place, so a crash leaves the old
    one. Two things do not come back: where the first point lay (its offset is 0, 0
    then), and a last stroke without an end (its last point gets one).

    Args:
        samples: at least one, ink `(T, 3)`; it is saved with `"y": "up"`.
        path: the file, which is replaced if there is one.

    Raises:
        CorpusError: there are no samples, or the file cannot be written.
        ValueError: a sample's ink is not a line of ink.

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
            # in double precision, so that the offsets come back exactly
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
        with contextlib.suppress(OSError):  # gone, once it is in its place
            unfinished.unlink()


def _is_json(name: str) -> bool:
    """Not the `._x.json` that some archivers add: they hold no JSON."""
    base = name.rpartition("/")[2]
    return base.lower().endswith(".json") and not base.startswith(".")


def _parse(content: bytes, name: str) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):  # json would keep the last one and say nothing
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
            f"{name} is not JSON in UTF-8 ({error}): save it from the pad again"
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
    """The first of the keys that is there, in the entry or its metadata."""
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
    """Strokes as lists of `[x, y, t, pressure]`, the last two optional."""
    strokes, times = [], []
    what = "strokes, each a list of points [x, y] or [x, y, t, pressure]"
    for i, stroke in enumerate(_list(value, f"{where}: strokes", what), 1):
        positions, stamps = [], []
        at = f"{where}, stroke {i}"
        for j, point in enumerate(_list(stroke, at, "points [x, y]"), 1):
            here = f"{at}, point {j}"
            point = _list(point, here, "numbers [x, y] (is a stroke missing a level?)")
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
            raise CorpusError(f"{at} has no points: give it one, or leave it out")
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
    """Points with a pen column, cut into strokes as `pen` says."""
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
        raise CorpusError(f"{where} has no ink under pen={pen!r}: try the other one")
    return _Ink(inked, [])


def _judge_pen(pens: Counter[bool], pen: str, name: str) -> None:
    """Most points do not end a stroke: the share of ones tells the readings apart."""
    total = pens.total()
    mostly_ones = pens[True] > total / 2
    if total >= POINTS_TO_JUDGE and mostly_ones != (pen == "down"):
        raise CorpusError(
            f"{name}: pen is 1 in {pens[True]} of {total} points, which does not fit "
            f"pen={pen!r}: say pen={PENS[pen == 'down']!r}"
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
    """Put a sample together from its ink and the rest of its entry."""
    if not ink.strokes:
        raise CorpusError(f"{where} has no strokes: draw it again, or leave it out")
    turn = torch.tensor([1.0, 1.0 if y == "up" else -1.0], dtype=torch.double)
    offsets = from_strokes([stroke * turn for stroke in ink.strokes])  # (T, 3)
    if not torch.isfinite(offsets).all():
        raise CorpusError(f"{where} has coordinates too large for 32 bits: scale them")
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
