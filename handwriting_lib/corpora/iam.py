"""IAM-OnDB, the corpus of Graves 2013, read in the form in which it is distributed.

The corpus requires registration and must not be redistributed, so no part of it ships
with this library. Give `load` a folder with the original archives
(`lineStrokes-all.tar.gz`, `ascii-all.tar.gz`, `original-xml-part.tar.gz`) and the
lists, a folder with the unpacked files, or one archive of all of them. Files are
recognised by name, so `lineStrokes/...` and `lineStrokes-all/lineStrokes/...` both
work:

    lineStrokes/a01/a01-000/a01-000u-01.xml    the ink of one line
    ascii/a01/a01-000/a01-000u.txt             the text of one form, line by line
    original/a01/a01-000/strokesu.xml          who wrote the form (may be missing)
    trainset.txt testset_v.txt testset_t.txt testset_f.txt    one form id per line

The four lists have 5,364, 1,438, 1,518 and 3,859 lines of ink. Graves (section 4.1)
trains on 10,741 lines, which is everything except the smaller validation list, and
reports the loss on that list: `split=PAPER_TRAINING` and `split=PAPER_VALIDATION`. This
protocol has no held-out test set. Results of a run that trains on `trainset` alone
cannot be compared with the paper's table, so state which protocol a result follows.

Chapter 01 (`book/01_ink.md`) reads this corpus; Graves 2013 uses it in sections 4.1
and 5.1.
"""

from __future__ import annotations

import html
import logging
import math
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..alphabet import missing
from ..ink import Corpus, Sample, from_strokes, points_per_second
from .archives import TAR_ENDINGS, CorpusError, read_files

logger = logging.getLogger(__name__)

SPLITS = ("trainset", "testset_v", "testset_t", "testset_f")
PAPER_TRAINING = "trainset+testset_t+testset_f"
PAPER_VALIDATION = "testset_v"
# The release has ink for this form but no usable text.
BROKEN_FORMS = frozenset({"z01-000z"})

_FORM = r"[a-z]\d\d-\d{3}[a-z]?"  # some ids have no last letter: a01-003
_STROKE_FILE = re.compile(rf"(?:.*/)?({_FORM})-(\d+)\.xml")
_TEXT_FILE = re.compile(rf"(?:.*/)?({_FORM})\.txt")
_WRITER_FILE = re.compile(r"(?:.*/)?([a-z]\d\d-\d{3})/strokes([a-z]?)\.xml")
_LIST_FILE = re.compile(rf"(?:.*/)?({'|'.join(SPLITS)})\.txt")
_SEPARATOR = re.compile(r"\r\n|\r|\n|%{3,}")  # not splitlines: \x85 is a character here
_LAYOUT = (
    "it should hold files such as lineStrokes/a01/a01-000/a01-000u-01.xml and "
    "ascii/a01/a01-000/a01-000u.txt, or the archives lineStrokes-all.tar.gz and "
    "ascii-all.tar.gz that contain them"
)


class _Line(NamedTuple):
    """The content of one stroke file, which keeps its place in the form without ink."""

    ink: Tensor | None  # (T, 3)
    points_per_second: float | None
    skipped: Counter[str]


def load(path: str | Path, *, split: str | None = None) -> Corpus:
    """Read the lines of IAM-OnDB with their texts.

    `skipped` counts what was left out, by reason, in the unit that the reason begins
    with (forms, lines, stroke or text files, strokes or points). A reason that ends in
    "(kept)" counts what is irregular but still in the corpus. The forms, files and
    lines concerned are logged by name.

    Args:
        path: the path of a folder or an archive with the files listed in the module's
            docstring.
        split: one of `SPLITS`, or several of them joined with "+". None reads every
            form.

    Returns:
        A corpus of samples of kind `"line"`, in the order of the source. The ink is
        `(T, 3)` offsets in the units of the whiteboard, y up. The writer is the
        `writerID` of the file under `original/`. Where that is missing, the form id
        stands in: one person wrote the form, but the same person may have written
        others, so split by the official lists. The source looks like
        `"iam:a01-000u-01"`.

    Raises:
        CorpusError: there is nothing to read, an archive is damaged, or the split is
            unknown or its list missing.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     here = pathlib.Path(folder)
        ...     text = "OCR:\\n\\nA I0ne\\n\\nCSR:\\n\\nA line\\n"
        ...     _ = (here / "a01-000u.txt").write_text(text)
        ...     _ = (here / "a01-000u-01.xml").write_text(
        ...         "<WhiteboardCaptureSession><StrokeSet><Stroke>"
        ...         "<Point x='5' y='9' time='.1'/><Point x='6' y='7' time='.2'/>"
        ...         "</Stroke></StrokeSet></WhiteboardCaptureSession>")
        ...     sample = load(here).samples[0]
        >>> sample.text, sample.source, sample.writer
        ('A line', 'iam:a01-000u-01', 'a01-000u')
        >>> sample.ink  # the pen went up: y grows
        tensor([[0., 0., 0.],
                [1., 2., 1.]])
    """
    chosen = None if split is None else _forms_of(path, split)
    forms: dict[str, dict[int, _Line]] = {}
    texts: dict[str, bytes] = {}
    writers: dict[str, str] = {}
    skipped: Counter[str] = Counter()

    def wanted(name: str) -> bool:
        form = _form_of(name)
        return form is not None and (chosen is None or form in chosen)

    for name, content in _files(path, wanted):
        form = _form_of(name)
        assert form is not None  # wanted() has checked this
        if match := _STROKE_FILE.fullmatch(name):
            lines, number = forms.setdefault(form, {}), int(match[2])
            if number in lines:
                _count(skipped, "stroke files found twice (the first is read)", name)
            else:
                lines[number] = _read_strokes(content)
        elif _TEXT_FILE.fullmatch(name):
            if form in texts:
                _count(skipped, "text files found twice (the first is read)", name)
            else:
                texts[form] = content
        elif writer := _read_writer(content):
            writers.setdefault(form, writer)
    if not forms or not texts:
        lacks = " and ".join(
            what for what, found in (("stroke", forms), ("text", texts)) if not found
        )
        raise CorpusError(
            f"{path} has no {lacks} files of IAM-OnDB"
            f"{'' if split is None else f' for split {split}'}: {_LAYOUT}"
        )
    for form in texts.keys() - forms.keys():
        _count(skipped, "forms with text but no stroke files", form)
    for form in (chosen or set()) - texts.keys() - forms.keys():
        _count(skipped, "forms on the list but not among the files", form)

    samples: list[Sample] = []
    for form, lines in forms.items():
        samples += _join(form, lines, texts.get(form), writers.get(form), skipped)
    return Corpus(f"iam:{path}", samples, dict(skipped))


def splits(path: str | Path) -> dict[str, set[str]]:
    """Read the official lists of forms that are found at `path`.

    Args:
        path: the path of a folder or an archive, as for `load`.

    Returns:
        The ids of the forms of each list that is found, by its name in `SPLITS`.

    Raises:
        CorpusError: there is no list, two copies of a list differ, or a form is on two
            lists, so that training lines could be validation lines as well.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "testset_v.txt"
        ...     _ = file.write_text(" a01-000u \\n\\na01-003\\n")
        ...     sorted(splits(folder)["testset_v"])
        ['a01-000u', 'a01-003']
    """
    lists: dict[str, set[str]] = {}
    for name, content in _files(path, lambda name: bool(_LIST_FILE.fullmatch(name))):
        key = Path(name).stem
        ids = set(content.decode("latin-1").split())
        if lists.setdefault(key, ids) != ids:
            raise CorpusError(
                f"{path} has two files {key}.txt that differ: remove one of them"
            )
    if not lists:
        raise CorpusError(
            f"{path} has none of the lists "
            f"{', '.join(f'{name}.txt' for name in SPLITS)}: put them beside the "
            "stroke files, or leave split out to read every form"
        )
    lists = {key: lists[key] for key in SPLITS if key in lists}
    owner: dict[str, str] = {}
    for key, ids in lists.items():
        for form in sorted(ids):
            if owner.setdefault(form, key) != key:
                raise CorpusError(
                    f"{path}: form {form} is in both {owner[form]}.txt and {key}.txt, "
                    "but the lists must not share forms: download them again"
                )
    return lists


def _forms_of(path: str | Path, split: str) -> set[str]:
    """Return the form ids of one list, or of several joined with "+"."""
    names = split.split("+")
    for name in names:
        if name not in SPLITS:
            raise CorpusError(
                f"there is no split {name!r}: choose {', '.join(SPLITS)}, or several "
                f"joined with +, such as {PAPER_TRAINING}"
            )
    lists = splits(path)
    for name in names:
        if name not in lists:
            raise CorpusError(f"{path} has no {name}.txt, which split {split} needs")
    return set().union(*(lists[name] for name in names))


def _files(
    path: str | Path, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted files of a folder and the archives in it, or of one archive."""
    yield from read_files(path, wanted)
    if Path(path).is_dir():
        for file in sorted(Path(path).rglob("*")):
            name = file.name.lower()
            # lineImages-all.tar.gz is the largest archive and holds no ink
            if (
                file.is_file()
                and name.endswith((*TAR_ENDINGS, ".zip"))
                and not name.startswith(("lineimages", "."))
            ):
                yield from read_files(file, wanted)


def _form_of(name: str) -> str | None:
    """Return the form that a file belongs to, or None for files of other kinds."""
    if match := _STROKE_FILE.fullmatch(name) or _TEXT_FILE.fullmatch(name):
        return match[1]
    if match := _WRITER_FILE.fullmatch(name):
        return match[1] + match[2]
    return None


def _count(skipped: Counter[str], reason: str, name: str) -> None:
    skipped[reason] += 1
    logger.info("%s: %s", reason, name)


def _parse(content: bytes) -> ElementTree.Element | str:
    """Parse an XML file; return its root, or the reason why there is none."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        return "with a DOCTYPE or ENTITY declaration"  # entities can exhaust the memory
    try:
        # some files do not declare their encoding, and the parser would assume UTF-8
        parser = ElementTree.XMLParser(encoding="iso-8859-1")
        return ElementTree.fromstring(content, parser)
    except ElementTree.ParseError:
        return "that are damaged XML"


def _read_writer(content: bytes) -> str | None:
    root = _parse(content)
    if isinstance(root, str):
        return None
    form = root.find(".//Form")
    writer = "" if form is None else form.get("writerID", "").strip()
    return writer if writer.strip("0") else None  # zeros mean that nobody filled it in


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_strokes(content: bytes) -> _Line:
    """Parse one stroke file into pen-down runs, with y turned to point up."""
    root = _parse(content)
    if isinstance(root, str):
        return _Line(None, None, Counter({f"stroke files {root}": 1}))
    skipped: Counter[str] = Counter()
    strokes: list[Tensor] = []
    times: list[list[float]] = []
    for stroke in root.iter("Stroke"):
        positions, stamps = [], []
        for point in stroke.iter("Point"):
            x, y = _number(point.get("x")), _number(point.get("y"))
            time = _number(point.get("time"))
            if x is None or y is None:
                skipped["points without x or y"] += 1
                continue
            positions.append((x, -y))
            if time is None:
                skipped["points without time (kept)"] += 1
            else:
                stamps.append(time)
        if positions:  # one point may be the dot of an i, so it is kept
            strokes.append(torch.tensor(positions, dtype=torch.double))  # (n, 2)
            times.append(stamps)
        else:
            skipped["strokes without points"] += 1
    ink = from_strokes(strokes) if strokes else None  # (T, 3)
    if ink is None:
        skipped["lines without ink"] += 1
    elif not torch.isfinite(ink).all():
        ink = None
        skipped["lines with a number that is too large"] += 1
    return _Line(ink, points_per_second(times), skipped)


def _read_text(content: bytes) -> list[str]:
    """Return the lines of the CSR section, the text as written; [] without one.

    The OCR section above it is the output of a recogniser, errors included.
    """
    parts = re.split(r"^[ \t]*(OCR|CSR):", content.decode("latin-1"), flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    csr = _SEPARATOR.split(sections.get("CSR", ""))
    lines = (" ".join(line.split()) for line in csr)
    return [
        # only with the semicolon: html.unescape alone would turn "&copy" into a sign
        re.sub(r"&#?\w+;", lambda entity: html.unescape(entity[0]), line)
        for line in lines
        if line
    ]


def _join(
    form: str,
    lines: dict[int, _Line],
    content: bytes | None,
    writer: str | None,
    skipped: Counter[str],
) -> list[Sample]:
    """Pair the stroke files of a form with its lines of text, or count the reason."""
    text = _read_text(content or b"") or []
    reason = None
    if form in BROKEN_FORMS:
        reason = "forms known to be broken"
    elif content is None:
        reason = "forms with stroke files but no text"
    elif not text:
        reason = "forms without text in a CSR section"
    elif len(text) != len(lines):  # pairing would shift later lines
        reason = "forms with different numbers of text lines and stroke files"
    if reason:
        _count(skipped, reason, f"{form} ({len(text)} and {len(lines)} lines)")
        return []
    if writer is None:
        _count(skipped, "forms without a writerID, the form id stands in (kept)", form)
        writer = form
    samples = []
    for (number, line), written in zip(sorted(lines.items()), text, strict=True):
        source = f"iam:{form}-{number:02d}"
        skipped.update(line.skipped)
        if line.ink is None:
            logger.info("%s: %s", source, ", ".join(line.skipped))
        elif missing(written):
            _count(skipped, "lines with characters outside the alphabet", source)
        else:
            rate = line.points_per_second
            samples.append(
                Sample(written, line.ink, writer, source, points_per_second=rate)
            )
    return samples
