"""Readers of outside data, with inputs that are made and damaged at random.

Whatever a file holds, a reader returns what it can read or raises an error of the
library, within seconds and within a bound on memory. `make test` tries a few hundred
inputs a reader, the same ones each time; `make fuzz` tries 20,000 other ones
(`FUZZ_EXAMPLES` sets the number) and says how long that took. What it finds becomes an
`example` here or a test beside the reader's own.

Hypothesis takes longer to make an input of its own than most readers take to read it,
so it draws seeds, and readers of ink are given their inputs without it.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import re
import resource
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import handwriting_lib as hw
from handwriting_lib import alphabet
from handwriting_lib.corpora import (
    archives,
    collected,
    drawn,
    formats,
    iam,
    stroke_arrays,
    text,
    unipen,
)
from handwriting_lib.errors import HandwritingError
from handwriting_lib.files import checkpoints, models
from handwriting_lib.ink import KINDS
from handwriting_lib.training import config
from handwriting_lib.writing import styles

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
MEMORY = 2**30  # bytes that reading one input may ask for
SECONDS = 10  # of the processor that it may take
TRIED = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,  # which would count the time of others' programs: see `bounded`
    suppress_health_check=list(HealthCheck),
)
FIRST_SEED = time.time_ns() if "FUZZ_EXAMPLES" in os.environ else 0


@contextlib.contextmanager
def limited():
    """Let what runs take so much memory and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextlib.contextmanager
def in_time():
    """Let an input take so much time and no more, and only the library's errors."""
    begin = time.process_time()
    with contextlib.suppress(HandwritingError):
        yield
    assert time.process_time() - begin < SECONDS


@contextlib.contextmanager
def bounded():
    """Bound the time and the memory of one input."""
    with limited(), in_time():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readers")


# --- what inputs are made of ---------------------------------------------------------

NUMBERS = [2**31, 2**63, -(2**63), 10**30, 5000, 100_000, 1e-320, 1e308, -0.5,
           float("nan"), float("inf"), -float("inf")]  # fmt: skip
LETTERS = 'ab 0.-"\\/\u2019\u0301\u200d\ud83d\ude00\x00\n'


def number(chance):
    if chance.random() < 0.3:
        return chance.choice(NUMBERS)
    if chance.random() < 0.3:
        return chance.uniform(-1000, 1000)
    return chance.randint(-3, 70)


def word(chance):
    return "".join(chance.choices(LETTERS, k=chance.randint(0, 8)))


def value(chance, depth=0):
    """Any JSON value."""
    kind = chance.randint(0, 5 if depth < 3 else 3)
    if kind < 2:
        return number(chance)
    if kind < 4:
        return chance.choice([None, True, False, word(chance)])
    inner = [value(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    return inner if kind == 4 else {word(chance): one for one in inner}


def change(chance, document):
    """A JSON document with some of its values replaced, removed or repeated."""
    document = json.loads(json.dumps(document))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        parent, inside = None, document
        while isinstance(inside, (dict, list)) and len(inside):
            keys = list(inside) if isinstance(inside, dict) else range(len(inside))
            parent, key = inside, chance.choice(keys)
            inside = parent[key]
            if chance.random() < 0.15:
                break
        if parent is None:
            break
        what = chance.randint(0, 3)
        if isinstance(inside, (int, float)) and chance.random() < 0.7:
            parent[key] = number(chance)
        elif what == 0:
            del parent[key]
        elif what == 1 and isinstance(parent, list):
            parent.extend(parent[:50])
        else:
            parent[key] = value(chance)
    return document


def damage(chance, content):
    """Bytes with some of them changed, removed, repeated or put in."""
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randint(0, len(content))
        what, size = chance.randint(0, 8), chance.randint(1, 16)
        if what < 2:
            content[at : at + size] = chance.randbytes(size)
        elif what < 4:
            del content[at : at + size]
        elif what < 6:
            content[at:at] = content[at : at + size] * chance.randint(1, 30)
        elif what < 8:
            content[at:at] = chance.randbytes(chance.randint(1, 8))
        else:
            del content[at:]
    return bytes(content)


def vary_json(chance, document):
    """JSON bytes of a changed document, or damaged bytes of it, or any JSON."""
    what = chance.randint(0, 9)
    if what < 6:
        return json.dumps(change(chance, document)).encode()
    if what < 9:
        return damage(chance, json.dumps(document).encode())
    return json.dumps(value(chance)).encode()


def renumber(chance, content):
    """Text with some of its numbers and words replaced."""
    parts = re.split(rb"([\w.-]+)", content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(1, len(parts), 2)
        new = str(number(chance)).encode()
        parts[at] = chance.choice([new, new, chance.choice(parts[1::2]), b"", b"a b"])
    return b"".join(parts)


SEEDS = st.integers(0, 2**63 - 1)


def strategy(make, document):
    """A strategy of hypothesis that draws a seed for a function of this file."""
    return SEEDS.map(lambda seed: make(random.Random(seed), document))


def changed(document):
    return strategy(change, document)


def damaged(content):
    return strategy(damage, content)


def either(document):
    return strategy(vary_json, document)


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content)
    return file


ENDINGS = [*formats.ENDINGS, ".zip"]


# --- ink -----------------------------------------------------------------------------

STROKES = [[[0, 0, 0, 0.5], [3, 4, 10, 0.5], [5, 1, 20, None]], [[7, 7, 40, 0.1]]]
PAD = {
    "format": "handwriting_lib.collected",
    "version": 1,
    "y": "down",
    "samples": [
        {"text": "hi", "writer": "me", "strokes": STROKES, "kind": "line"},
        {"text": "it\u2019s", "strokes": STROKES, "character_of_point": [0, 1, 1, 2]},
    ],
}
BANK = [{"word": "hi", "points": [[0, 0, 1], [1, 2, 1], [2, 2, 0]], "aspect": 2.0}]

SEGMENTS = (
    b'.INCLUDE aaa/x.dat\n.SEGMENT WORD 0 OK "hi"\n.SEGMENT TEXT 0-1 OK "hi yo"\n'
)
PEN = b""".WRITER_ID someone
.COORD X Y
.POINTS_PER_SECOND 100
.X_POINTS_PER_INCH 300
.PEN_DOWN
0 0
3 4
5 1
.PEN_UP
.PEN_DOWN
7 7
9 2
12 3
.PEN_UP
"""
WORDS = [
    b".INCLUDE aaa/x.dat", b".INCLUDE aaa/y.dat", b".INCLUDE ", b".PEN_DOWN",
    b".PEN_UP",
    b".SEGMENT WORD 0-99999999999 OK \"a\"", b".SEGMENT TEXT 0:1-1:2 ? \"a b\"",
    b".SEGMENT CHARACTER 1,0 OK \"\\\"\"", b".COORD Y X T P", b".COORD X", b".COORD",
    b".DT 100", b".X_POINTS_PER_INCH 0", b".WRITER_ID", b"1e999 nan", b"-1 -1",
    b"99999999999999999999 1", b"1", b"1 2 3 4", b".COMMENT x", b".START_BOX",
]  # fmt: skip


def shuffle(chance, content, words=WORDS):
    """Lines of a file in another order, with others among them."""
    lines = content.split(b"\n")
    for _ in range(chance.choice((1, 1, 2, 6))):
        at = chance.randint(0, len(lines))
        lines.insert(at, chance.choice([*words, *lines]))
    return b"\n".join(lines)


def pieces(content):
    return strategy(shuffle, content)


def unipen_file(content):
    return st.one_of(pieces(content), damaged(content), st.just(content))


def told(chance):
    """What a caller may say about ink, mostly nothing."""
    if chance.random() < 0.5:
        return {}
    options = {
        "pen": drawn.PENS,
        "y": drawn.DIRECTIONS,
        "offsets": (True, False),
        "units": ("s", "mm,ms"),
    }
    return {k: chance.choice(v) for k, v in options.items() if chance.random() < 0.5}


def ink_of(file, said):
    """Read a file of ink, and check that what comes of it is ink."""
    with in_time():
        for sample in formats.load(file, **said).samples:
            assert sample.ink.isfinite().all() and len(sample.ink)
            assert sample.points_per_second is None or sample.points_per_second > 0


OBJECTS = [[{"x": x, "y": y, "time": t} for x, y, t, *_ in s] for s in STROKES]
COLUMNS = [[[0, 3, 5], [0, 4, 1], [0, 10, 20]], [[7], [7], [40]]]
SHAPE = {"type": "draw", "typeName": "shape", "x": 1, "y": 2, "rotation": 0.5,
         "parentId": "b", "props": {"segments": [{"points": OBJECTS[0]}]}}  # fmt: skip
OTHER_JSON = [
    [{"text": "hi", "strokes": OBJECTS}],
    {"samples": [{"label": "hi", "strokes": [{"X": [1, 2], "Y": [3, 4], "T": [0]}]}]},
    [{"points": one, "penColor": "black"} for one in OBJECTS],
    {"document": {"store": {"a": SHAPE, "b": {**SHAPE, "id": "b"}}}},
    {"elements": [{"type": "freedraw", "x": 1, "angle": 1,
                   "points": [[0, 0], [3, 1]]}]},
    {"word": "hi", "drawing": COLUMNS, "key_id": "1"},
    [[0, 0, 0], [3, 4, 0], [1, 1, 1]],
    [[[0, 0, 1, 0, 0], [3, 4, 0, 1, 0], [0, 0, 0, 0, 1]]],
    [{"word": "hi", "points": [[1, 2, 1, 0, 0], [3, 1, 0, 1, 0]]}],
    [[[0, 0], [3, 4]], [[1, 1]]],
]  # fmt: skip


INKML = b"""<?xml version="1.0"?><ink xmlns="http://www.w3.org/2003/InkML">
<context xml:id="c"><traceFormat><channel name="X" units="mm"/><channel name="Y"/>
<channel name="T" units="ms"/></traceFormat></context>
<annotation type="writer">me</annotation>
<trace xml:id="0" contextRef="#c">1 2 0, '3 '-1 "10, * * 5</trace><trace>#F 2 !3</trace>
<traceGroup><annotation type="truth">$hi$</annotation>
<annotation type="characterOfPoint">0 1 1</annotation>
<annotation type="pointsPerSecond">100</annotation>
<traceView traceDataRef="#0"/></traceGroup></ink>"""
XML = [
    b'<!DOCTYPE ink [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>', b"&b;",
    b"<traceGroup>", b"</traceGroup>", b"<trace>1 1, 2 2</trace>", b"<trace/>",
    b'<traceView traceDataRef="0"/>', b'<annotation type="truth">a</annotation>',
    b"<trace>" + b"9" * 400 + b" 1e308, '1e308 1</trace>", b"<a>" * 200, b"<![CDATA[",
]  # fmt: skip


XOPP = b"""<xournal><page><layer>
<stroke tool="pen" width="1 2">1 2 3 4 5 6</stroke>
<stroke tool="eraser">1 2</stroke>
</layer></page><page/></xournal>"""
STROKE = [b"<stroke>1 2 3</stroke>", b"<stroke>1 nan</stroke>", b"<page>", b"</page>"]


CSV = b"""x,y,t,pen,text,stroke
1,2,0,1,hi,0
3,1,10,1,hi,0
"5",4,20,0,hi,1
9,9,30,1,"a ""b"" c",2
"""
ROWS = [b"x;y;end_of_stroke", b"1;2;0", b"1,2,,1,,", b'"', b"1e308,1e308,1,1,hi,1",
        b"nan,inf,0,1,hi,2", b"", b"dx\tdy\tdown", b"1\t2\t1"]  # fmt: skip


def arrays(**named):
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def plain(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


THREE = np.array([[0, 0, 0], [3, 4, 0], [1, 1, 1]], np.float32)
FIVE = np.array([[[0, 0, 1, 0, 0], [3, 4, 0, 1, 0], [0, 0, 0, 0, 1]]], np.int16)
NUMPY = [
    plain(THREE), plain(FIVE), arrays(a=THREE, text=np.array(["hi"])),
    plain(np.array([None, 1], dtype=object)),
    arrays(a=FIVE, b=THREE, labels=np.array([b"a", b"b"]), c=np.zeros((2, 2))),
]  # fmt: skip


def saved():
    """The bytes of an `.npz` that the library writes."""
    samples = collected.from_json(PAD).samples
    with tempfile.TemporaryDirectory() as place:
        stroke_arrays.save(samples, Path(place) / "saved.npz")
        return (Path(place) / "saved.npz").read_bytes()


ONE_FILE = b"""
.SEGMENT WORD 0-1 OK "hi"
.SEGMENT TEXT 0:1-2:2 OK "hi yo"
"""


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/ink.json", json.dumps(PAD))
        archive.writestr("b.txt", "b" * 1000)
    return file.getvalue()


def tarred(mode, content=b"c" * 600):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name in ("a/ink.json", "../b.txt"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


ARCHIVES = {".zip": zipped(), ".tar": tarred("w"), ".tgz": tarred("w:gz")}
ARCHIVES[".tar.xz"] = tarred("w:xz")


def packed():
    """Ink in archives and compressed, by the name of the file."""
    plain = json.dumps(PAD).encode()
    inside = {"a/ink.json": plain, "b.INKML": INKML, "c.xopp": gzip.compress(XOPP),
              "d.csv.gz": gzip.compress(CSV), "._e.json": b""}  # fmt: skip
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    twice = gzip.compress(gzip.compress(plain, mtime=0), mtime=0)
    return {"ink.json.zip": file.getvalue(), "ink.tgz": tarred("w:gz", plain),
            "E.JSON.GZ": twice}  # fmt: skip


PACKED = packed()


def in_lines(chance, documents):
    """JSON lines, a document each."""
    lines = [vary_json(chance, chance.choice(documents)) for _ in range(3)]
    return b"\n".join(lines[: chance.randint(1, 3)])


def text_file(content, words):
    """Files with other lines, other numbers, or damaged."""

    def make(chance):
        how = chance.choice((0, 0, 1, 2))
        if how == 0:
            return renumber(chance, content)
        return damage(chance, content) if how == 1 else shuffle(chance, content, words)

    return make


def array_file(chance):
    """Arrays of other shapes, types and values, or damaged files of arrays."""
    if chance.random() < 0.2:
        return damage(chance, chance.choice(FILES))
    named: dict[str, np.ndarray] = {}
    for key in chance.sample(["a", "b", "text", "labels"], chance.randint(1, 3)):
        if key in "ab":
            array = np.array(chance.choice([THREE, FIVE])).astype(
                chance.choice(["f4", "f8", "i2", "i8", "u1", "f2", "c8", "?", "U3"])
            )
            for _ in range(chance.choice((0, 1, 1, 3))):
                with contextlib.suppress(OverflowError, ValueError):
                    array.flat[chance.randrange(array.size)] = number(chance)
            if chance.random() < 0.3:
                side = chance.choice((1, 2, 3, 5))
                array = np.resize(array, (chance.randint(0, 4), side))
            named[key] = array
        else:
            kind = chance.choice(["U", "S"])
            words = [word(chance) for _ in range(chance.randint(0, 2))]
            named[key] = np.array([w.encode("ascii", "ignore") for w in words], kind)
    if len(named) == 1 and chance.random() < 0.5:
        return plain(next(iter(named.values())))
    return arrays(**named)


def one_of(make, documents):
    return lambda chance: make(chance, chance.choice(documents))


FILES = [*NUMPY, saved()]
XOPPS = text_file(XOPP, STROKE)
INKS = {
    "json": ("ink.json", one_of(vary_json, [PAD, BANK])),
    "json of other programs": ("other.json", one_of(vary_json, OTHER_JSON)),
    "json lines": ("lines.ndjson", lambda chance: in_lines(chance, OTHER_JSON)),
    "inkml": ("ink.inkml", text_file(INKML, XML)),
    "xournal": ("page.xoj", XOPPS),
    "xournal, gzipped": ("page.xopp", lambda chance: gzip.compress(XOPPS(chance), 1)),
    "csv": ("table.csv", text_file(CSV, ROWS)),
    "arrays": ("arrays.npz", array_file),
    "unipen": ("pen.dat", text_file(b".VERSION 1\n" + PEN + ONE_FILE, WORDS)),
    **{f"packed {name}": (name, one_of(damage, [PACKED[name]])) for name in PACKED},
    "any bytes": ("any", lambda chance: chance.randbytes(chance.randint(0, 200))),
}


@pytest.mark.filterwarnings("ignore")  # numpy, of numbers too large for an array
@pytest.mark.parametrize("kind", INKS)
def test_ink(folder, kind):
    """Every file of ink, however damaged, ends in ink or in an error of the library."""
    name, make = INKS[kind]
    with limited():
        for seed in range(FIRST_SEED, FIRST_SEED + EXAMPLES):
            chance = random.Random(seed)
            content, said = make(chance), told(chance)
            at = name if kind != "any bytes" else name + chance.choice(["", *ENDINGS])
            try:
                ink_of(write(folder, at, content), said)
            except BaseException as error:
                error.add_note(f"{kind}, seed {seed}: {said} {content!r}")
                raise


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.json", b"[" * 200_000),
        ("large.json", b'[{"word": "hi", "points": [[0, 0, 1], [1e308, 2, 1]]}]'),
        ("entities.inkml", INKML.replace(b"<ink", XML[0] + b"<ink")),
    ],
)
def test_ink_found_before(folder, name, content):
    with limited():
        ink_of(write(folder, name, content), {})


def release(root, segments, pen, other):
    """A UNIPEN release of one file of segments and two of pen readings."""
    for name, content in [
        ("data/8/aaa/x.dat", segments),
        ("include/aaa/x.dat", pen),
        ("include/aaa/y.dat", other),
    ]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@TRIED
@given(unipen_file(SEGMENTS), unipen_file(PEN), unipen_file(PEN))
def test_unipen(folder, segments, pen, other):
    root = release(folder / "unipen", segments, pen, other)
    with bounded():
        for sample in unipen.read(root).samples:
            assert sample.ink.isfinite().all() and not alphabet.missing(sample.text)


@pytest.fixture(scope="module")
def cached(folder):
    """The bytes of a cache of a small release."""
    file = folder / "small.npz"
    unipen._to_cache(unipen.read(release(folder / "whole", SEGMENTS, PEN, PEN)), file)
    return file.read_bytes()


@TRIED
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # a damaged cache is a warning
def test_the_cache_of_unipen(folder, cached, data):
    file = write(folder, "cache.npz", data.draw(damaged(cached)))
    with bounded():
        read = unipen._from_cache(file, KINDS)
        assert read is None or all(s.ink.isfinite().all() for s in read.samples)


TEXT = b"OCR:\n\nA I0ne\n\nCSR:\n\nA line\nof two\n"
LINE = b"""<?xml version="1.0"?>
<WhiteboardCaptureSession><WhiteboardDescription><SensorLocation corner="top_left"/>
</WhiteboardDescription><StrokeSet><Stroke colour="black" start_time="1" end_time="2">
<Point x="5" y="9" time=".1"/><Point x="6" y="7" time=".2"/></Stroke><Stroke>
<Point x="8" y="9" time=".4"/></Stroke></StrokeSet></WhiteboardCaptureSession>"""
WRITER = b'<x><General><Form writerID="10085"/></General></x>'


@TRIED
@given(
    st.one_of(damaged(LINE), st.just(LINE)),
    st.one_of(damaged(TEXT), pieces(TEXT), st.just(TEXT)),
    st.one_of(damaged(WRITER), st.just(WRITER)),
)
def test_iam(folder, line, text, writer):
    root = folder / "iam"
    (root / "original/a01-000").mkdir(parents=True, exist_ok=True)
    (root / "a01-000u-01.xml").write_bytes(line)
    (root / "a01-000u.txt").write_bytes(text)
    (root / "original/a01-000/strokesu.xml").write_bytes(writer)
    (root / "trainset.txt").write_bytes(text)
    with bounded():
        assert all(s.ink.isfinite().all() for s in iam.load(root).samples)
    with bounded():
        iam.load(root, split="trainset")


LINES = b"""31/12/2023, 23:59 - Ann Lee: Happy new year!
[01.01.24, 00:00:12] ~ Bob: \xe2\x80\x8eimage omitted
1/1/24, 0:01\xe2\x80\xafAM - Bob left
1/1/24, 0:02 - Ann Lee: Bob
is: gone
"""
CHATS = [
    {"messages": [{"from": "Ann", "text": ["a", {"text": "b"}], "date": "2024"}]},
    {"messages": [{"sender_name": "Zo\u00c3\u00ab", "content": "x", "date": 1}]},
    [{"author": {"name": "Ann"}, "content": "hi"}, {"user": "Bob", "body": "\ud800"}],
]


@TRIED
@given(
    st.one_of(
        st.tuples(st.just(".txt"), st.one_of(damaged(LINES), pieces(LINES))),
        st.tuples(st.just(".json"), st.sampled_from(CHATS).flatmap(either)),
    ),
    st.booleans(),
)
@example((".json", b"[" * 200_000), False)
@example((".txt", LINES), True)
def test_chats(folder, made, keep_names):
    ending, content = made
    with bounded():
        read = text.load_text(
            write(folder, f"chat{ending}", content), keep_names=keep_names
        )
        assert read.text.strip() and read.text.encode()


@TRIED
@given(st.sampled_from(list(ARCHIVES)).flatmap(
    lambda ending: st.tuples(st.just(ending), damaged(ARCHIVES[ending]))
))  # fmt: skip
def test_archives(folder, damage):
    ending, content = damage
    file = write(folder, f"archive{ending}", content)
    with bounded():
        for name, inside in archives.read_files(file):
            assert isinstance(name, str) and isinstance(inside, bytes)


# --- models, styles, checkpoints -----------------------------------------------------


def tiny():
    torch.manual_seed(0)
    network = hw.SynthesisNetwork(
        hw.SynthesisConfig(hidden=4, layers=2, components=2, mixtures=2)
    )
    return hw.Model(network, about={"steps": 1})


def parts(content):
    """The header of a safetensors file as JSON, and the rest of it."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def together(header, rest):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


@st.composite
def changed_tensors(draw, content):
    """A safetensors file whose header, or the JSON within it, says something else."""
    if draw(st.booleans()):
        return draw(damaged(content))
    header, rest = parts(content)
    if draw(st.booleans()):
        (key,) = header["__metadata__"]
        inner = draw(changed(json.loads(header["__metadata__"][key])))
        header["__metadata__"][key] = json.dumps(inner)
    else:
        header = draw(changed(header))
    return together(header, rest)


MODEL = models.to_bytes(tiny())


@TRIED
@given(changed_tensors(MODEL))
def test_model_files(folder, content):
    file = write(folder, "model.safetensors", content)
    with bounded():
        assert models.load_model(file).num_parameters > 0


@pytest.fixture(scope="module")
def style(folder):
    """A model, and the bytes of a style of it."""
    model = models.load_model(write(folder, "tiny.safetensors", MODEL))
    sample = hw.load_corpus("synthetic", samples=1, seed=1).samples[0]
    styles.save_style(hw.make_style(model, sample), folder / "own.safetensors")
    return model, (folder / "own.safetensors").read_bytes()


@TRIED
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")
def test_style_files(folder, style, data):
    model, content = style
    file = write(folder, "style.safetensors", data.draw(changed_tensors(content)))
    with bounded():
        read = styles.load_style(file, model)
        assert read.point.isfinite().all() and read.text.strip()


@pytest.fixture(scope="module")
def checkpoint(folder):
    state = {
        "step": 3,
        "lr": 0.1,
        "network": {"w": torch.ones(2, 3)},
        "seen": [1, None],
    }
    checkpoints.save_checkpoint(state, folder / "checkpoint.safetensors")
    return (folder / "checkpoint.safetensors").read_bytes()


@TRIED
@given(data=st.data())
def test_checkpoints(folder, checkpoint, data):
    content = data.draw(changed_tensors(checkpoint))
    with bounded():
        checkpoints.load_checkpoint(write(folder, "damaged.safetensors", content))


def test_the_files_that_are_damaged_are_whole(folder, style, checkpoint):
    """Otherwise every reader would refuse everything."""
    assert hw.load_model(folder / "tiny.safetensors").name == "tiny"
    assert hw.load_style(folder / "own.safetensors", style[0]).name == "own"
    assert checkpoints.load_checkpoint(folder / "checkpoint.safetensors")["step"] == 3
    assert safetensors.torch.load(checkpoint)
    assert len(formats.load(write(folder, "i.json", json.dumps(PAD).encode())).samples)
    for ending, content in ARCHIVES.items():
        assert list(archives.read_files(write(folder, f"whole{ending}", content)))
    for name in PACKED:
        assert len(formats.load(write(folder, name, PACKED[name])).samples) > 1


# --- settings and text ---------------------------------------------------------------

CONFIG = (ROOT / "configs/unipen-256.toml").read_text(encoding="utf-8").splitlines()
TOML = st.one_of(
    st.sampled_from(["true", "-1", "0", "1e400", "nan", "[]", "[0.1, 2]", "{}", "'x'"]),
    SEEDS.map(lambda seed: str(number(random.Random(seed)))),
    st.text(max_size=5).map(json.dumps),
)


@st.composite
def config_file(draw):
    lines = list(CONFIG)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key, equals, _ = lines[at].partition("=")
        if equals and draw(st.booleans()):
            lines[at] = f"{key}= {draw(TOML)}"
        else:
            lines.insert(at, draw(st.sampled_from([*lines, "x = 1", "[recipe.x]"])))
    return "\n".join(lines).encode()


@TRIED
@given(st.one_of(config_file(), damaged("\n".join(CONFIG).encode())))
def test_configurations(folder, content):
    with bounded():
        config.read_config(write(folder, "config.toml", content))


HANDS = b'[birch]\ntext = "It has to be"\nink = "0123456789ab"\n'


@TRIED
@given(st.one_of(damaged(HANDS), pieces(HANDS)))
def test_lists_of_hands(folder, content):
    with bounded():
        styles.read_hands(write(folder, "hands.toml", content))


@TRIED
@given(st.text(max_size=300))
@example("x\u0301\u200d\ufe0f")
def test_texts(text):
    for accents in (False, True):
        folded, replaced = alphabet.fold(text, accents=accents)
        assert not set(replaced) & set(folded) or text == folded
        with bounded():
            *indices, end = alphabet.encode(folded).tolist()
            assert end == 0 and all(0 < index < 96 for index in indices)
    plain = alphabet.to_ascii(text)
    assert alphabet.to_ascii(plain) == plain
