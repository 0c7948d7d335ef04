"""Ink in arrays, stroke-3 and stroke-5: `.npy`, `.npz`, and lists of lists in JSON.

A row of stroke-3 is `dx, dy, pen`, where pen is 1 on the last point of a stroke; some
files have the pen first, which is told by its zeros and ones. A row of stroke-5 is
`dx, dy, p1, p2, p3`: the pen draws on, lifts after this point, or the drawing has ended
before this row. Rows of zeros or NaN at the end are padding. x and y are offsets, as
the name says, unless the numbers are clearly positions.

An array `(T, 3)` or `(T, 5)` is one piece of ink, and `(N, T, 3)` or `(N, T, 5)` are N
of them. In an `.npz`, arrays of texts (`text`, `texts`, `labels` or `words`) go with
the ink in the order of the file. `save` writes an `.npz` that keeps everything that a
`Sample` has.

Nothing is unpickled. The `.npz` files of sketch-rnn hold object arrays, which are
pickles and can run arbitrary code when they are loaded; the error gives a line that
converts one.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..ink import Sample
from .archives import MAX_FILE_BYTES, ZIP_METHODS, CorpusError, write_ink
from .drawn import Drawing
from .json_points import as_number, show
from .samples import check_samples

MARK = "handwriting_lib.ink"  # in the files that `save` writes
TEXT_KEYS = ("text", "texts", "label", "labels", "word", "words")
WHY_NO_PICKLE = (
    "Python pickles, which can run arbitrary code when they are loaded, so they are "
    "not read: convert the file where it comes from, or, if you trust it, with"
)
CONVERT = (
    'python -c "import numpy as np; d = np.load({name!r}, allow_pickle=True, '
    "encoding='latin1'); np.savez('plain.npz', **{{f'{{k}}-{{i}}': a for k in d.files "
    'for i, a in enumerate(d[k])}})"'
)


def read(content: bytes, name: str) -> list[Drawing]:
    """Read the content of a `.npy` or `.npz` file.

    Raises:
        CorpusError: it is damaged, or holds pickles or arrays of other shapes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy, of headers by Python 2
            if content.startswith(b"PK"):
                arrays = _members(content, name)
            else:
                arrays = {"": _array(content, name)}
    except (CorpusError, MemoryError):
        raise
    except Exception as error:  # damaged bytes end in errors of a dozen kinds
        raise CorpusError(f"{name} is damaged ({error}): save it again") from error
    if "format" in arrays and str(arrays["format"]) == MARK:
        return _own(arrays, name)
    texts: list[str | None] = []
    inks: list[np.ndarray] = []
    for key, array in arrays.items():
        if array.dtype.kind in "US" and key.lower() in TEXT_KEYS:
            if array.dtype.kind == "S":
                array = np.char.decode(array, "utf-8", "replace")
            texts += array.ravel().tolist()
        elif array.dtype.kind in "fiu" and array.ndim in (2, 3):
            inks += list(array) if array.ndim == 3 else [array]
    if not inks:
        shapes = ", ".join(f"{v.dtype} {v.shape}" for v in arrays.values())
        raise CorpusError(
            f"{name} has no array of ink, (T, 3), (T, 5), (N, T, 3) or (N, T, 5) "
            f"numbers, but {show(shapes)}"
        )
    if texts and len(texts) != len(inks):
        raise CorpusError(
            f"{name} has {len(texts)} texts for {len(inks)} pieces of ink: give one "
            "each"
        )
    return [
        _drawing(ink, texts[i - 1] if texts else None, name, i)
        for i, ink in enumerate(inks, 1)
    ]


def from_lists(obj: object, name: str) -> list[Drawing] | None:
    """Read a JSON list of rows of numbers, or of such lists; None if it is neither.

    Raises:
        CorpusError: a row has another length, or a value is no number.
    """

    def are_rows(value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) > 0
            and all(isinstance(row, list) and len(row) in (3, 5) for row in value)
            and not any(isinstance(one, dict | list) for one in value[0])
        )

    if not isinstance(obj, list):
        return None
    parts = [obj] if are_rows(obj) else obj if all(map(are_rows, obj)) else []
    if not parts:
        return None
    drawings = []
    for number, part in enumerate(parts, 1):
        where = f"{name}: sample {number}"
        if len({len(row) for row in part}) > 1:
            raise CorpusError(f"{where} has rows of 3 and of 5 numbers: use one kind")
        rows = [
            [as_number(value, f"{where}, row {j}") for value in row]
            for j, row in enumerate(part, 1)
        ]
        drawings.append(_drawing(np.array(rows), None, name, number))
    return drawings


def from_stroke_5(points: Sequence[Sequence[Any]], where: str) -> np.ndarray:
    """Rows `(n, 4)` of points `[dx, dy, p1, p2, p3]`: see `drawn.Drawing`."""
    rows = [
        [as_number(value, f"{where}, point {j}") for value in point]
        for j, point in enumerate(points, 1)
    ]
    return _rows(np.array(rows), where)


def _rows(array: np.ndarray, where: str) -> np.ndarray:
    """Bring stroke-3 or stroke-5 `(T, 3 or 5)` into rows `(n, 4)`, without padding."""
    if array.ndim != 2 or array.shape[-1] not in (3, 5):
        raise CorpusError(
            f"{where} has the shape {array.shape}: it must be (T, 3) with dx, dy, pen "
            "or (T, 5) with dx, dy, p1, p2, p3"
        )
    array = array.astype(np.float64)
    if array.shape[1] == 5:
        ended = np.flatnonzero(array[:, 4] > 0.5)
        array = array[: ended[0] if len(ended) else None, [0, 1, 3]]
    used = np.flatnonzero((array != 0).any(1) & ~np.isnan(array).all(1))
    array = array[: used[-1] + 1 if len(used) else 0]
    if len(array) and not _is_pen(array[:, 2]) and _is_pen(array[:, 0]):
        array = array[:, [1, 2, 0]]
    if not len(array) or not np.isfinite(array).all() or not _is_pen(array[:, 2]):
        bad = "no rows" if not len(array) else "a pen that is neither 0 nor 1, or NaN"
        raise CorpusError(f"{where} has {bad}: its rows must be dx, dy, pen")
    return np.column_stack([array[:, :2], np.full(len(array), np.nan), array[:, 2]])


def _is_pen(column: np.ndarray) -> bool:
    return bool(((column == 0) | (column == 1)).all())


def _drawing(array: np.ndarray, text: str | None, name: str, number: int) -> Drawing:
    where = f"{name}: sample {number}"
    return Drawing(
        _rows(array, where),
        text,
        where,
        f"{name}:{number}",
        pen="end_of_stroke" if array.shape[-1] == 5 else None,
        offsets=None,
        usually_offsets=True,
    )


# --- files of numpy -------------------------------------------------------------------


def _members(content: bytes, name: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, whose sizes are checked before memory is asked for."""
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = [i for i in archive.infolist() if i.filename.endswith(".npy")]
        if sum(info.file_size for info in infos) > MAX_FILE_BYTES:
            raise CorpusError(
                f"{name} holds more than the {MAX_FILE_BYTES:,} bytes that a file of a "
                "corpus may have: divide it"
            )
        if other := [i for i in infos if i.compress_type not in ZIP_METHODS]:
            raise CorpusError(
                f"{name} is compressed by method {other[0].compress_type}, or damaged: "
                "save it again with np.savez"
            )
        for info in infos:
            key = info.filename.removesuffix(".npy")
            arrays[key] = _array(archive.read(info), name)
    return arrays


def _array(content: bytes, name: str) -> np.ndarray:
    """Read one array, whose header must fit the bytes that follow it."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise CorpusError(
            f"{name} holds object arrays, which are {WHY_NO_PICKLE} "
            f"{CONVERT.format(name=name)}"
        )
    count = 1
    for size in shape:
        count *= int(size)
    if count * dtype.itemsize > len(content) - stream.tell():
        raise CorpusError(f"{name} is cut short: copy it again")
    stream.seek(0)
    array: np.ndarray = np.load(stream, allow_pickle=False)
    return array


def save(samples: Sequence[Sample], path: str | Path) -> None:
    """Write samples as the plain arrays of an `.npz`, which `load_corpus` reads.

    Args:
        samples: one or more samples with ink `(T, 3)`.
        path: path of the file; an existing file is replaced.

    Raises:
        CorpusError: there are no samples, or the file cannot be written.
        ValueError: the ink of a sample does not pass `check_ink`.
    """
    check_samples(samples, path)
    about = [
        {
            "text": s.text, "writer": s.writer, "source": s.source, "kind": s.kind,
            "units": s.units, "rate": s.points_per_second,
            "aligned": s.character_of_point is not None,
        }
        for s in samples
    ]  # fmt: skip
    owners = [sample.character_of_point for sample in samples]
    aligned = [owner for owner in owners if owner is not None]
    content = io.BytesIO()
    np.savez(
        content,
        format=np.array(MARK),
        ink=np.concatenate([s.ink.numpy().astype(np.float32) for s in samples]),
        length=np.array([len(s.ink) for s in samples]),
        about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
        characters=torch.cat(aligned).numpy() if aligned else np.zeros(0, np.int64),
    )
    write_ink(Path(path), content.getvalue())


def _own(arrays: dict[str, np.ndarray], name: str) -> list[Drawing]:
    """Read what `save` has written."""
    drawings = []
    try:
        ink, length = arrays["ink"], arrays["length"].tolist()
        characters = arrays["characters"].tolist()
        about = json.loads(arrays["about"].tobytes())
        if ink.shape != (sum(length), 3) or min(length) < 1:
            raise ValueError("its lengths do not fit its ink")
        first = taken = 0
        for number, (size, one) in enumerate(zip(length, about, strict=True), 1):
            where = f"{name}: sample {number}"
            texts = ("text", "writer", "source", "kind", "units")
            if not all(isinstance(one[key], str) for key in texts):
                raise ValueError("a name in it is no text")
            rows = _rows_as_saved(ink[first : first + size], where)
            drawing = Drawing(rows, one["text"] or None, where, one["source"])
            drawing.offsets, drawing.y = True, "up"
            drawing.writer, drawing.kind = one["writer"], one["kind"]
            drawing.units = one["units"]
            drawing.rate = None if one["rate"] is None else float(one["rate"])
            if one["aligned"]:
                drawing.characters = characters[taken : taken + size]
                taken += size
            drawings.append(drawing)
            first += size
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{name} is damaged ({error}): save it again") from error
    return drawings


def _rows_as_saved(ink: np.ndarray, where: str) -> np.ndarray:
    rows = np.column_stack([ink[:, :2], np.full(len(ink), np.nan), ink[:, 2]]).astype(
        np.float64
    )
    if not np.isfinite(rows[:, [0, 1, 3]]).all() or not _is_pen(rows[:, 3]):
        raise CorpusError(f"{where} has numbers that are no ink: save it again")
    return rows
