"""Files of ink by any program: telling the kind of a file, reading and writing it.

The kind is told from the content, never from the ending alone. What can be read is the
JSON of the drawing pad, of word banks and of other programs (`collected.py`), JSON
lines, InkML, Xournal++, UNIPEN in one file, tables with named columns (CSV) and arrays
(`.npy`, `.npz`); each alone, in `.gz`, in an archive, or many in a folder. Python
pickles are refused unread.

Chapter 01 (`book/01_ink.md`) reads ink of other programs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..ink import Corpus, Sample
from . import collected, inkml, stroke_arrays, tables, unipen_file, xml_tree, xournal
from .archives import MAX_FILE_BYTES, TAR_ENDINGS, CorpusError, gunzip, read_files
from .drawn import Drawing, Told
from .json_points import as_list, parse, show
from .samples import to_samples

ARCHIVES = (*TAR_ENDINGS, ".zip")
PICKLES = (".pkl", ".pickle", ".pt", ".pth")
ENDINGS = (
    ".json", ".jsonl", ".ndjson", ".inkml", ".xml", ".xopp", ".xoj", ".csv", ".tsv",
    ".npy", ".npz", ".dat", ".unp", ".excalidraw", ".tldr", ".gz", *PICKLES,
)  # fmt: skip
MAX_BYTES = 2**30  # of all files of a corpus
KINDS_IN_WORDS = (
    "JSON or JSON lines, InkML, Xournal++, UNIPEN, CSV with the columns x and y, or "
    "arrays in .npy or .npz"
)
_UNIPEN = re.compile(rb"(?m)^\.(VERSION|COORD|PEN_DOWN|SEGMENT|WRITER_ID|INCLUDE)\b")


def load(
    path: str | Path,
    *,
    pen: str | None = None,
    y: str | None = None,
    offsets: bool | None = None,
    units: str | None = None,
) -> Corpus:
    """Read a file of ink, or all of those in a folder or archive.

    What neither the file nor the caller says is inferred from the ink where that is
    possible; what is assumed or looks wrong is logged.

    Args:
        path: path of a file, folder or archive.
        pen: meaning of 1 in a pen column, `"down"` or `"end_of_stroke"`.
        y: direction in which y points, `"down"` or `"up"`.
        offsets: whether x and y are offsets from the point before.
        units: unit of the time stamps (s, ms, us), of the coordinates (px, pt, mm, ...)
            or both, as in `"mm,ms"`.

    Returns:
        A corpus with ink `(T, 3)` in the units of the file, y up. Ink without a text
        has the text `""`. `skipped` counts what was left out, by the reason.

    Raises:
        CorpusError: there is no file, a file is not of a known kind, is damaged, or
            contradicts what the caller said; the message says what would be right.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "me.csv"
        ...     _ = file.write_text("x,y,t\\n5,9,0\\n6,7,10\\n")
        ...     load(file).samples[0].ink
        tensor([[0., 0., 0.],
                [1., 2., 1.]])
    """
    told = Told(pen, y, offsets, units).check()
    samples: list[Sample] = []
    skipped: Counter[str] = Counter()
    for name, content in ink_files(Path(path)):
        drawings, left_out = read(content, name)
        corpus = to_samples(drawings, name, told)
        samples += corpus.samples
        skipped.update(corpus.skipped)
        skipped.update(left_out)
    return Corpus(str(path), samples, dict(skipped))


def save_ink(samples: Sequence[Sample], path: str | Path) -> None:
    """Write samples in a format that `load_corpus` restores them from.

    Args:
        samples: one or more samples with ink `(T, 3)`.
        path: path of the file, which ends in `.json` (what the drawing pad reads),
            `.inkml` or `.npz`; an existing file is replaced.

    Raises:
        CorpusError: the ending is another one, there are no samples, or the file cannot
            be written.
        ValueError: the ink of a sample is invalid.

    Example:
        >>> import pathlib, tempfile, torch
        >>> ink = torch.tensor([[0., 0., 0.], [.1, 2., 1.]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "me.inkml"
        ...     save_ink([Sample("l", ink, writer="me", source="pad")], file)
        ...     bool((load(file).samples[0].ink == ink).all())
        True
    """
    writers: dict[str, Callable[[Sequence[Sample], Path], None]] = {
        ".json": collected.save,
        ".inkml": inkml.save,
        ".npz": stroke_arrays.save,
    }
    path = Path(path)
    save = writers.get(path.suffix.lower())
    if save is None:
        raise CorpusError(
            f"{path} must end in {', '.join(writers)}, which say how ink is written"
        )
    save(samples, path)


# --- the files ------------------------------------------------------------------------


def ink_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of ink at a path, unpacked.

    Raises:
        CorpusError: there is none, or they are too large.
    """
    if not path.exists():
        raise CorpusError(f"there is no file or folder {path}")
    found = total = 0
    for name, content in _packed_files(path):
        found += 1
        for _ in range(2):  # a .xopp is gzipped by itself, and may be so again
            if content.startswith(b"\x1f\x8b"):
                content = gunzip(content, name)
        total += len(content)
        if total > MAX_BYTES:
            raise CorpusError(
                f"{path} holds more than {MAX_BYTES:,} bytes of ink: read it in parts"
            )
        yield name, content
    if not found:
        raise CorpusError(
            f"{path} holds no file of ink: it may hold {KINDS_IN_WORDS}, with the "
            "usual endings; give a release of UNIPEN as unipen:PATH, and IAM-OnDB as "
            "iam:PATH"
        )


def _packed_files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if file.is_file() and is_archive(name):
                for inner, content in read_files(file, is_ink):
                    yield f"{name}/{inner}", content
            elif file.is_file() and is_ink(name):
                yield name, _content(file)
    elif is_archive(path.name):
        yield from read_files(path, is_ink)
    else:
        yield path.name, _content(path)


def is_archive(name: str) -> bool:
    """Whether this is an archive, by its ending."""
    return name.lower().endswith(ARCHIVES) and not _is_hidden(name)


def is_ink(name: str) -> bool:
    """Whether this may be a file of ink, unlike the `._x.json` that archivers add."""
    return name.lower().endswith(ENDINGS) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


def _content(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise CorpusError(
                f"{file} has {size:,} bytes, more than the {MAX_FILE_BYTES:,} that a "
                "file of ink may have: divide it"
            )
        return file.read_bytes()
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error}") from error


# --- the kind of a file ---------------------------------------------------------------


def read(content: bytes, name: str) -> tuple[list[Drawing], dict[str, int]]:
    """Read the content of a file, whose kind it tells, and count what it leaves out.

    Raises:
        CorpusError: it is of no known kind, or damaged.
    """
    ending = name.lower().removesuffix(".gz")
    if ending.endswith(PICKLES) or re.match(rb"\x80[\x02-\x05]", content):
        raise CorpusError(
            f"{name} holds {stroke_arrays.WHY_NO_PICKLE} json.dump or np.savez"
        )
    if content.startswith((b"PK\x03\x04", b"\x93NUMPY")):
        return stroke_arrays.read(content, name), {}
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # as Windows saves "Unicode"
        text = content.decode("utf-16", "replace")
        if text.lstrip("\ufeff").lstrip().startswith("<"):  # which names its encoding
            return _read_xml(content, name), {}
        content = text.encode()
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:4096]
    if start.startswith(b"<"):
        return _read_xml(content, name), {}
    if ending.endswith((".jsonl", ".ndjson")):
        return _read_lines(content, name), {}
    if start[:1] in (b"{", b"[") or ending.endswith(".json"):
        return _read_json(content, name), {}
    if _UNIPEN.search(start.replace(b"\r", b"\n")):
        return unipen_file.read(content, name)
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").lstrip()
    if tables.columns_of(text[:4096].partition("\n")[0].strip()):
        return tables.read(text, name), {}
    raise CorpusError(
        f"{name} is no ink that this library reads (it begins with "
        f"{show(content[:24])}): convert it to {KINDS_IN_WORDS}"
    )


def _read_json(content: bytes, name: str) -> list[Drawing]:
    try:
        document = parse(content, name)
    except CorpusError:
        lines = content.split(b"\n", 2)
        if len(lines) > 1 and _is_json(lines[0]) and lines[1][:1] in (b"{", b"["):
            return _read_lines(content, name)
        raise
    return collected.read(document, name)


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(parse(line, ""), dict | list)
    except CorpusError:
        return False


def _read_lines(content: bytes, name: str) -> list[Drawing]:
    """Read JSON lines: a sample each, or a document each."""
    lines = [
        parse(line, f"{name}, line {number}")
        for number, line in enumerate(content.split(b"\n"), 1)
        if line.strip()
    ]
    if all(
        isinstance(one, dict) and not isinstance(one.get("samples"), list)
        for one in lines
    ):
        return collected.read(lines, name)
    return [
        drawing
        for number, one in enumerate(as_list(lines, name, "samples"), 1)
        for drawing in collected.read(one, f"{name}, line {number}")
    ]


def _read_xml(content: bytes, name: str) -> list[Drawing]:
    root = xml_tree.parse(content, name)
    if root.tag == "ink":
        return inkml.read(root, name)
    if root.tag == "xournal":
        return xournal.read(root, name)
    if root.tag == "svg":
        raise CorpusError(
            f"{name} is an SVG picture, which does not say how the pen moved: save the "
            "strokes from the program that drew it"
        )
    raise CorpusError(
        f"{name} has the XML element {show(root.tag)}: it must be ink (InkML) or "
        "xournal; give IAM-OnDB as iam:PATH"
    )
