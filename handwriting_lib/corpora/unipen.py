r"""UNIPEN releases: the pen strokes of hundreds of writers, with their texts.

Reference: I. Guyon, L. Schomaker, R. Plamondon, M. Liberman and S. Janet, "UNIPEN
project of on-line data exchange and recognizer benchmarks", ICPR 1994,
doi 10.1109/ICPR.1994.576870. Data: train_r01_v07, CC BY 4.0, doi
10.5281/zenodo.1195803. The patched repository, the unpatched one and the CD-ROM are all
read, from a folder or an archive.

A release has two halves. `data/<category>/<donor>/...` holds `.SEGMENT` lines, each
with a kind, a *delineation* and a label. `include/...` holds the readings of the pen.
One rule keeps the labels right: component numbers count `.PEN_DOWN` and `.PEN_UP`
blocks, but only those that contain points.

Writers are returned as numbers (`w017`) because the ids in the files are often people's
names. Chapter 01 of the book reads this corpus.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import urllib.request
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from .. import alphabet
from ..atomic import cache_folder
from ..errors import InputError
from ..ink import KINDS, Corpus, Sample
from .archives import CorpusError, read_files

VERSION = 4  # of this reader; a new number invalidates old caches
PUBLIC_RELEASE = (
    "https://codeload.github.com/GreenCappuccino/train_r01_v07/tar.gz/"
    "552a4d440bc94bb34710650c0826be7deb986f7c"
)
# Of the files that the reader looks at: see `_content_hash`.
PUBLIC_CONTENT = "803aa1046761a4b6748efcf7281ab0f5ba4a7931bcfdcc6cb5aa383d2cd79b59"
CATEGORIES = ("1a", "1b", "1c", "1d", "2", "3", "6", "7", "8")
LARGEST_OFFSET = 32767  # the cache keeps offsets as 16-bit integers
# Bounds on what a file may ask for; the release stays far below them.
MAX_NESTED = 1000  # files that one pen file includes, directly or not
MAX_DEPTH = 8
MAX_SPANS = 100_000  # components that one segment covers
_DATA = re.compile(r"(?:^|/)data/(1[abcd]|[2-8])/(.+)$", re.I)
_INCLUDE = re.compile(r"(?:^|/)include/(.+)$", re.I)
# kind, delineation, quality and label; the last two may be absent
_SEGMENT = re.compile(
    rb'^\.SEGMENT[ \t]+(\w+)[ \t]+(\S+)(?:[ \t]+([^\s"]+))?'
    rb'(?:\s+"((?:[^"\\\r\n]|\\.)*)")?',
    re.M,
)
_PEN = re.compile(rb"(?:^|[\r\n])\.PEN_")
_DELINEATION = re.compile(r"^(\d+)(?::(\d+))?(?:-(\d+)(?::(\d+))?)?$")
_KIND = {"TEXT": "line", "WORD": "word", "CHARACTER": "character"}
_UNKNOWN = -1

log = logging.getLogger(__name__)


class Component(NamedTuple):
    """One `.PEN_DOWN` or `.PEN_UP` block that has points."""

    down: bool
    numbers: bytes
    columns: tuple[int, int, int]  # their number, and the indices of x and y
    writer: str
    rate: float | None


class Segment(NamedTuple):
    """One `.SEGMENT` line of a data file, and the pen files that it refers to."""

    kind: str
    includes: tuple[str, ...]
    delineation: str
    quality: str
    label: str
    category: str


# --- the two halves of a release ------------------------------------------------


def _lines_of(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Split a UNIPEN file into (keyword, argument); an argument may span lines."""
    for piece in re.split(rb"(?m)^\.(?=[A-Z])", content.replace(b"\r", b"\n"))[1:]:
        match = re.match(rb"[A-Z_]+", piece)
        assert match is not None  # the split requires a capital letter
        yield match[0].decode(), piece[match.end() :]


def _include_name(argument: bytes) -> str:
    name = argument.split(b"\n")[0].strip().strip(b'"').decode("latin-1")
    return name.replace("\\", "/").lower().removeprefix("include/")


def read_segments(category: str, content: bytes) -> Iterator[Segment]:
    includes = tuple(
        _include_name(argument)
        for keyword, argument in _lines_of(content)
        if keyword == "INCLUDE"
    )
    pen_files = tuple(n for n in includes if not n.endswith((".lex", ".freq")))
    for match in _SEGMENT.finditer(content.replace(b"\r", b"\n")):
        kind, where, quality, label = (
            group.decode("latin-1") for group in match.groups(b"")
        )
        if kind in _KIND:
            yield Segment(_KIND[kind], pen_files, where, quality, label, category)


def read_components(
    names: Sequence[str], files: dict[str, bytes], missing: Counter[str] | None = None
) -> list[Component]:
    """Read the numbered components of include files and of the files nested in them.

    Args:
        names: the lower-case names of include files, in the order of the data file.
        files: the content of each include file by its lower-case name.
        missing: a counter of the include files that the release lacks, which is
            updated.

    Returns:
        The components that have points; the numbers in a delineation index this list.

    Raises:
        CorpusError: a file includes itself, files more than `MAX_DEPTH` deep, or more
            than `MAX_NESTED` of them.
    """
    out: list[Component] = []
    state: dict[str, object] = {"columns": (2, 0, 1), "writer": "", "rate": None}

    walked = 0

    def walk(name: str, above: tuple[str, ...]) -> None:
        nonlocal walked
        walked += 1
        if walked > MAX_NESTED or len(above) > MAX_DEPTH or name in above:
            raise CorpusError(
                f"the include file {(*above, name)[0]} includes itself, nests files "
                f"more than {MAX_DEPTH} deep, or includes more than {MAX_NESTED:,} "
                "files: correct its .INCLUDE lines"
            )
        if name not in files:
            if missing is not None:
                missing[name] += 1
            return
        for keyword, argument in _lines_of(files[name]):
            if keyword in ("PEN_DOWN", "PEN_UP"):
                if argument.strip():
                    out.append(
                        Component(keyword == "PEN_DOWN", argument, **state)  # type: ignore[arg-type]
                    )
            elif keyword == "INCLUDE":
                walk(_include_name(argument), (*above, name))
            elif keyword == "COORD":
                columns = argument.split(b"\n")[0].split()
                if b"X" in columns and b"Y" in columns:
                    state["columns"] = (
                        len(columns), columns.index(b"X"), columns.index(b"Y")
                    )  # fmt: skip
            elif keyword == "WRITER_ID":
                state["writer"] = " ".join(argument.decode("latin-1").lower().split())
            elif keyword == "POINTS_PER_SECOND":
                state["rate"] = _number(argument)

    for name in names:
        walked = 0
        walk(name, ())
    return out


def _number(argument: bytes) -> float | None:
    try:
        return float(argument.split()[0])
    except (IndexError, ValueError):
        return None


def read_points(component: Component) -> np.ndarray | None:
    """Parse the readings of a component to `(n, 2)` float64 x, y; None if malformed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(component.numbers, sep=" ")
        except (DeprecationWarning, ValueError):  # not everything is a number
            return None
    if not np.isfinite(values).all():
        return None
    columns, x, y = component.columns
    in_first_line = len(component.numbers.lstrip().partition(b"\n")[0].split())
    if in_first_line > columns or values.size % columns:  # .COORD is absent or wrong
        columns = in_first_line
        if columns <= max(x, y) or values.size % columns:
            return None
    return values.reshape(-1, columns)[:, [x, y]]


class Span(NamedTuple):
    """Points `first` to `last` of one component, inclusive; None means to the end."""

    component: int
    first: int
    last: int | None


def parse_delineation(text: str) -> list[Span]:
    """Parse a delineation into spans, one per component.

    Raises:
        ValueError: the text is not a delineation, a range in it goes backwards, or it
            covers more than `MAX_SPANS` components.

    Example:
        >>> parse_delineation("3:10-4:2,7")[1]
        Span(component=4, first=0, last=2)
    """
    spans: list[Span] = []
    for part in text.split(","):
        match = _DELINEATION.match(part)
        if match is None:
            raise InputError(f"{text!r} is not a delineation such as 3:10-5:2,7")
        a, p, b, q = (int(g) if g is not None else None for g in match.groups())
        assert a is not None
        # "3:10" alone is one point; "3" alone is the whole component
        b, q = (a, p) if b is None else (b, q)
        if b < a:
            raise InputError(f"{text!r} goes backwards from {a} to {b}")
        if len(spans) + b - a >= MAX_SPANS:
            raise InputError(
                f"{text[:40]!r} covers more than {MAX_SPANS:,} components: correct it"
            )
        for i in range(a, b + 1):
            first = p if i == a and p is not None else 0
            spans.append(Span(i, first, q if i == b else None))
    return spans


# --- from segments to samples ----------------------------------------------------


class Skip(Exception):
    """A segment gives no sample; the message is the reason that is counted."""


def clean_label(label: str) -> str:
    r"""Restore a label as it was written: escapes resolved, punctuation rejoined.

    Raises:
        Skip: the label has an escape other than `\"` and `\\`, is empty, has
            characters outside printable ASCII, or is tokenised in such a way that its
            spaces are unknown.

    Example:
        >>> clean_label("No one , he said , will see them .")
        'No one, he said, will see them.'
    """
    if "\\" in re.sub(r'\\["\\]', "", label):
        raise Skip("label with an unknown escape")
    label = " ".join(re.sub(r"\\(.)", r"\1", label).split())
    if not label:
        raise Skip("empty label")
    if alphabet.missing(label):
        raise Skip("label outside printable ASCII")
    if re.search(r"(?:^| )\S \S \S(?: |$)", label):  # "2 4 5 4 6" may be 24546
        raise Skip("tokenised label whose spaces are unknown")
    if re.search(r"\w [.,;:!?](?: |$)", label):  # "them .": the label is tokenised
        if re.search(r"[@/$#*&]|\d \d", label):
            raise Skip("tokenised label whose spaces are unknown")
        label = re.sub(r" ([.,;:!?)])", r"\1", label)
        label = re.sub(r"([(]) ", r"\1", label)
    return label


def strokes_of(
    spans: Iterable[Span], points: PenReadings
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield the pen-down pieces of a segment: component, first point, readings."""
    for span in spans:
        if span.component >= len(points.components):
            raise Skip("delineation beyond the last component")
        if not points.components[span.component].down:
            continue
        xy = points[span.component]
        if xy is None:
            raise Skip("readings that are not numbers")
        last = len(xy) if span.last is None else span.last + 1
        if last > len(xy) or span.first >= last:
            raise Skip("delineation beyond the last point")
        yield span.component, span.first, xy[span.first : last]


class PenReadings:
    """The readings of a pen file's components, parsed on first access.

    Args:
        components: those that `read_components` gives.
    """

    def __init__(self, components: list[Component]) -> None:
        self.components = components
        self._parsed: dict[int, np.ndarray | None] = {}

    def __getitem__(self, i: int) -> np.ndarray | None:
        if i not in self._parsed:
            self._parsed[i] = read_points(self.components[i])
        return self._parsed[i]


def _check_one_line(strokes: list[np.ndarray]) -> None:
    """Raise `Skip` if the pen goes back by more than half the width of the ink."""
    x = np.concatenate([s[:, 0] for s in strokes])
    width = np.ptp(x)
    starts = np.array([s[0, 0] for s in strokes[1:]])
    ends = np.array([s[-1, 0] for s in strokes[:-1]])
    if len(starts) and (ends - starts).max() > 0.5 * width:
        raise Skip("several lines in one segment, or a mark far behind")


class _Labels:
    """The character segment that each pen reading belongs to (category 3)."""

    def __init__(self, segments: Iterable[Segment], points: PenReadings) -> None:
        self.owner: dict[int, np.ndarray] = {}  # component -> label index of each point
        spans = []
        for segment in segments:
            try:
                parsed = parse_delineation(segment.delineation)
                label = re.sub(r"\\(.)", r"\1", segment.label)
            except ValueError:
                continue
            spans.append((parsed[0].component, parsed[0].first, label, parsed))
        spans.sort(key=lambda entry: entry[:2])
        self.labels = [label for _, _, label, _ in spans]
        for index, (_, _, _, parsed) in enumerate(spans):
            for component, first, last in parsed:
                xy = points[component] if component < len(points.components) else None
                if xy is None:
                    continue
                owner = self.owner.setdefault(
                    component, np.full(len(xy), _UNKNOWN, dtype=np.int64)
                )
                owner[first : None if last is None else last + 1] = index

    def spell(
        self, text: str, pieces: list[tuple[int, int, np.ndarray]]
    ) -> np.ndarray | None:
        """Return each point's character, or None unless the labels spell `text`."""
        owners = []
        for component, first, xy in pieces:
            owner = self.owner.get(component)
            if owner is None:
                return None
            owners.append(owner[first : first + len(xy)])
        owner = np.concatenate(owners)
        used = np.unique(owner[owner != _UNKNOWN])
        letters = [i for i, c in enumerate(text) if c != " "]
        if (owner == _UNKNOWN).any() or len(used) != len(letters):
            return None
        if [self.labels[i] for i in used] != [text[i] for i in letters]:
            return None
        return np.asarray(letters)[np.searchsorted(used, owner)]


def _pen_files(includes: tuple[str, ...], with_points: set[str]) -> tuple[str, ...]:
    """Return the include files that hold points, or all if none does (nested files)."""
    return tuple(n for n in includes if n in with_points) or includes


def _samples_of(
    group: list[Segment],
    letters: list[Segment],
    components: list[Component],
    pen_file: str,
    skipped: Counter[str],
) -> Iterator[Sample]:
    """Yield the samples of all segments that refer to one pen file."""
    points = PenReadings(components)
    labels = _Labels(letters, points) if letters else None
    for segment in group:
        try:
            if segment.quality.upper() == "BAD":
                raise Skip("quality BAD")
            text = clean_label(segment.label)
            try:
                spans = parse_delineation(segment.delineation)
            except ValueError:
                raise Skip("delineation that cannot be read") from None
            kind = segment.kind
            if kind == "line" and " " not in text:  # a TEXT segment of one word
                kind = "word" if len(text) > 1 else "character"
            pieces = list(strokes_of(spans, points))
            if not pieces:
                raise Skip("no pen-down point")
            strokes = [xy for _, _, xy in pieces]
            if kind == "line":
                _check_one_line(strokes)
            if sum(map(len, strokes)) < 2 * len(text.replace(" ", "")):
                raise Skip("fewer than two points per character")
            xy = np.concatenate(strokes)
            offsets = np.diff(xy, axis=0, prepend=xy[:1])
            if np.abs(offsets).max() > LARGEST_OFFSET or (offsets % 1).any():
                raise Skip("offsets that are not 16-bit integers")
            end = np.zeros((len(xy), 1))
            end[np.cumsum([len(s) for s in strokes]) - 1] = 1
            owner = labels.spell(text, pieces) if labels and kind == "line" else None
        except Skip as reason:
            skipped[f"{segment.kind}: {reason}"] += 1
            continue
        first = components[pieces[0][0]]
        yield Sample(
            text,
            torch.from_numpy(np.concatenate([offsets, end], 1).astype(np.float32)),
            writer=first.writer or pen_file,
            source=f"{pen_file}#{segment.delineation}",
            kind=kind,
            character_of_point=None if owner is None else torch.from_numpy(owner),
            points_per_second=first.rate if first.rate and first.rate < 1000 else None,
            units=pen_file.partition("/")[0],  # donors used different tablets
        )


def read(path: str | Path) -> Corpus:
    """Read a whole release without the cache; `load` is usually the better choice.

    Args:
        path: the path of a folder or an archive that holds `data/` and `include/`.

    Returns:
        A corpus with samples of all kinds, as described for `load`.

    Raises:
        CorpusError: there is no release at `path`.
    """
    files: dict[str, bytes] = {}
    segments: list[Segment] = []
    seen: set[tuple[str, tuple[str, ...], str]] = set()
    skipped: Counter[str] = Counter()
    for name, content in read_files(
        path, lambda name: bool(_DATA.search(name) or _INCLUDE.search(name))
    ):
        if match := _INCLUDE.search(name):
            files[match[1].lower()] = content
        elif (match := _DATA.search(name)) and match[1].lower() in CATEGORIES:
            segments.extend(read_segments(match[1].lower(), content))
    if not files or not segments:
        raise CorpusError(
            f"{path} holds no UNIPEN release: it must have a folder data/ with the "
            "categories 1a to 8, and a folder include/ beside it"
        )
    with_points = {n for n, content in files.items() if _PEN.search(content)}
    groups: dict[tuple[str, ...], list[Segment]] = defaultdict(list)
    letters: dict[tuple[str, ...], list[Segment]] = defaultdict(list)
    for segment in segments:
        pen_files = _pen_files(segment.includes, with_points)
        key = (segment.kind, pen_files, segment.delineation)
        if segment.category == "3":
            letters[pen_files].append(segment)
        if key in seen:  # category 7 repeats category 6
            skipped[f"{segment.kind}: the same segment again"] += 1
            continue
        seen.add(key)
        groups[segment.includes].append(segment)
    samples: list[Sample] = []
    taken: set[tuple[str, str]] = set()
    absent: Counter[str] = Counter()
    for includes, group in groups.items():
        try:
            components = read_components(includes, files, absent)
        except CorpusError as error:
            log.warning("%s", error)
            skipped["pen file whose includes do not end"] += len(group)
            continue
        if not components:
            skipped["pen file that the release lacks"] += len(group)
            continue
        pen_files = _pen_files(includes, with_points)
        for s in _samples_of(
            group, letters[pen_files], components, pen_files[-1], skipped
        ):
            if (s.kind, s.source) in taken:  # a TEXT of one word may recur as a WORD
                skipped[f"{s.kind}: the same segment again"] += 1
            else:
                taken.add((s.kind, s.source))
                samples.append(s)
    for name in absent:
        log.info("include file %s is missing from %s", name, path)
    writers = _numbered("w", (s.writer for s in samples))
    tablets = _numbered("u", (s.units for s in samples))
    samples = [
        s.replace(writer=writers[s.writer], units=tablets[s.units]) for s in samples
    ]
    return Corpus(f"unipen:{Path(path).name}", samples, dict(skipped.most_common()))


def _numbered(letter: str, names: Iterable[str]) -> dict[str, str]:
    """Number the distinct names, in an order that is unrelated to their spelling."""
    ordered = sorted(set(names), key=lambda n: hashlib.sha256(n.encode()).digest())
    return {name: f"{letter}{i:03d}" for i, name in enumerate(ordered)}


# --- the download ------------------------------------------------------------------


def download(url: str | None = None) -> Path:
    """Download the release into the cache, where `load()` without a path finds it.

    Args:
        url: the URL of an archive; None uses the patched public release.

    Returns:
        The path of the archive.

    Raises:
        CorpusError: the download fails or is cut short, or what the server sends is
            not a release.
    """
    url = url or PUBLIC_RELEASE
    folder = default_path()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"download-{os.getpid()}.part.tar.gz"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            size = int(answer.headers.get("Content-Length") or 0) or None
            with (
                partial.open("wb") as file,
                tqdm(total=size, unit="B", unit_scale=True, desc="UNIPEN") as bar,
            ):
                while block := answer.read(1 << 20):
                    file.write(block)
                    bar.update(len(block))
                got = file.tell()
        if size is not None and got != size:
            raise CorpusError(f"{url} was cut off at {got} of {size} bytes: try again")
        names, content = _content_hash(partial)
        if not any(_DATA.search(name) for name in names):
            raise CorpusError(
                f"{url} holds no UNIPEN release: it must have a folder data/"
            )
        if url == PUBLIC_RELEASE and content != PUBLIC_CONTENT:
            raise CorpusError(
                f"{url} is no longer the release that this library knows, or was "
                f"changed on its way (its content has the hash {content}): try again, "
                "or give the address that you trust with --url"
            )
        target = folder / "train_r01_v07.tar.gz"
        os.replace(partial, target)
        return target
    except (OSError, ValueError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{url} cannot be downloaded: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _content_hash(path: Path) -> tuple[list[str], str]:
    """The names of the files of a release, and a hash of what its reader looks at.

    The hash does not depend on how the archive is compressed, on the order of its
    files, or on the name of the folder that holds them all.
    """
    hashes: dict[str, str] = {}
    for name, content in read_files(path):
        if found := _DATA.search(name) or _INCLUDE.search(name):
            hashes[found[0].lstrip("/")] = hashlib.sha256(content).hexdigest()
    listed = "".join(f"{hashes[name]} {name}\n" for name in sorted(hashes))
    return list(hashes), hashlib.sha256(listed.encode()).hexdigest()


# --- the cache -------------------------------------------------------------------


def default_path() -> Path:
    """Return the folder into which `handwriting corpus get unipen` puts the release."""
    return cache_folder() / "unipen"


def load(path: str | Path | None = None, kinds: Sequence[str] = KINDS[:2]) -> Corpus:
    """Load the samples of a release, which is cached when it is first read.

    Args:
        path: the path of a folder or an archive. None uses the release that
            `handwriting corpus get unipen` has put into the cache.
        kinds: the kinds to return, among `"line"`, `"word"` and `"character"`.

    Returns:
        A corpus in raw units (tablet counts, y up), with the true character of each
        point where category 3 of the release gives it.

    Raises:
        CorpusError: there is no release at `path`.
        ValueError: a kind is unknown.
    """
    if unknown := set(kinds) - set(KINDS):
        raise InputError(f"no such kinds: {sorted(unknown)}; choose from {KINDS}")
    source = Path(path) if path is not None else _downloaded()
    cached = cache_folder() / f"unipen-{_fingerprint(source)}-v{VERSION}.npz"
    corpus = _from_cache(cached, kinds) if cached.exists() else None
    if corpus is None:
        _to_cache(read(source), cached)
        corpus = _from_cache(cached, kinds)
        assert corpus is not None  # just written
    return Corpus(f"unipen:{source.name}", corpus.samples, corpus.skipped)


def _downloaded() -> Path:
    folder = default_path()
    archives = sorted(folder.glob("*.t*z")) if folder.is_dir() else []
    if not archives:
        raise CorpusError(
            f"there is no UNIPEN release in {folder}: run `handwriting corpus get "
            "unipen`, or give its path as unipen:PATH"
        )
    return archives[-1]


def _fingerprint(path: Path) -> str:
    """Hash an archive's bytes, or the names, sizes and times of a folder's files."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            about = file.stat()
            digest.update(f"{file} {about.st_size} {about.st_mtime_ns}\n".encode())
    elif path.exists():
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    else:
        raise CorpusError(f"there is no file or folder {path}")
    return digest.hexdigest()[:16]


def _pack(lines: Iterable[str]) -> np.ndarray:
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def _unpack(array: np.ndarray) -> list[str]:
    return array.tobytes().decode().split("\n")


def _to_cache(corpus: Corpus, file: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "reasons": _pack(corpus.skipped),
        "counts": np.array(list(corpus.skipped.values()), dtype=np.int64),
    }
    for kind in KINDS:
        samples = [s for s in corpus.samples if s.kind == kind]
        if not samples:
            continue
        ink = torch.cat([s.ink for s in samples]).numpy()
        owners = [s.character_of_point for s in samples]
        arrays |= {
            f"{kind}-offsets": ink[:, :2].astype(np.int16),
            f"{kind}-end": np.packbits(ink[:, 2] > 0.5),
            f"{kind}-length": np.array([len(s.ink) for s in samples]),
            f"{kind}-text": _pack(s.text for s in samples),
            f"{kind}-writer": _pack(s.writer for s in samples),
            f"{kind}-source": _pack(s.source for s in samples),
            f"{kind}-units": _pack(s.units for s in samples),
            f"{kind}-rate": np.array([s.points_per_second or 0 for s in samples]),
            f"{kind}-aligned": np.array([o is not None for o in owners]),
            f"{kind}-owner": np.concatenate(
                [o.numpy().astype(np.int16) for o in owners if o is not None]
                or [np.zeros(0, dtype=np.int16)]
            ),
        }
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}-{os.getpid()}.part.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    os.replace(partial, file)


def _from_cache(file: Path, kinds: Sequence[str]) -> Corpus | None:
    """Read a cached corpus; None, and a warning, if the file is damaged."""
    try:
        return _read_cache(file, kinds)
    except Exception as error:  # damaged bytes end in errors of a dozen kinds
        log.warning("%s is damaged and is made again: %s", file, error)
        return None


def _read_cache(file: Path, kinds: Sequence[str]) -> Corpus:
    samples: list[Sample] = []
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        reasons = _unpack(arrays["reasons"]) if arrays["reasons"].size else []
        skipped = dict(zip(reasons, arrays["counts"].tolist(), strict=True))
        for kind in kinds:
            if f"{kind}-length" not in arrays:
                continue
            part = {n: arrays[f"{kind}-{n}"] for n in (
                "offsets", "end", "length", "text", "writer", "source", "units",
                "rate", "aligned", "owner")}  # fmt: skip
            total = len(part["offsets"])
            ink = np.empty((total, 3), dtype=np.float32)
            ink[:, :2] = part["offsets"]
            ink[:, 2] = np.unpackbits(part["end"], count=total)
            lines = torch.from_numpy(ink).split(part["length"].tolist())
            aligned = part["length"] * part["aligned"]
            owners = torch.from_numpy(part["owner"].astype(np.int64)).split(
                aligned.tolist()
            )
            samples += [
                Sample(text, line, writer, where, kind, owner if known else None,
                       rate or None, units)
                for text, line, writer, where, units, owner, known, rate in zip(
                    _unpack(part["text"]), lines, _unpack(part["writer"]),
                    _unpack(part["source"]), _unpack(part["units"]), owners,
                    part["aligned"].tolist(), part["rate"].tolist(), strict=True)
            ]  # fmt: skip
    return Corpus("", samples, skipped)
