"""IAM-OnDB from trees written by hand: the layout, and each trap of the release."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from handwriting_lib.corpora import load_corpus
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.iam import (
    PAPER_TRAINING,
    PAPER_VALIDATION,
    SPLITS,
    load,
    points_per_second,
    splits,
)
from handwriting_lib.ink import check_ink, offsets_to_positions

UNEQUAL = "forms with different numbers of text lines and stroke files"
NO_WRITER = "forms without a writerID, the form id stands in (kept)"
HEAD = '<?xml version="1.0" encoding="ISO-8859-1"?>\n'


def stroke_xml(*strokes: str, head: str = HEAD) -> bytes:
    inside = "".join(f'<Stroke colour="black">{stroke}</Stroke>' for stroke in strokes)
    return (
        f"{head}<WhiteboardCaptureSession><WhiteboardDescription>"
        '<SensorLocation corner="top_left"/>'
        '<DiagonallyOppositeCoords x="6512" y="1376"/></WhiteboardDescription>'
        f"<StrokeSet>{inside}</StrokeSet></WhiteboardCaptureSession>"
    ).encode("latin-1")


def points(*rows: tuple[float, float, float]) -> str:
    return "".join(f'<Point x="{x}" y="{y}" time="{t}"/>' for x, y, t in rows)


def line(mark: int) -> bytes:
    """Ink that tells which file it came from: the second point is `mark` further."""
    return stroke_xml(points((100, 100, 5.0), (100 + mark, 90, 5.01)))


def text(*lines: str, ocr: str = "Wr0ng") -> bytes:
    return f"OCR:\n\n{ocr}\n\nCSR:\n\n{chr(10).join(lines)}\n".encode("latin-1")


def writer_xml(writer: str) -> bytes:
    return (
        f'{HEAD}<WhiteboardCaptureSession><General><Form id="x" writerID="{writer}"/>'
        "</General><StrokeSet/></WhiteboardCaptureSession>"
    ).encode()


STROKES = {
    "lineStrokes/a01/a01-000/a01-000u-01.xml": line(1),
    "lineStrokes/a01/a01-000/a01-000u-02.xml": line(2),
    "lineStrokes/a01/a01-003/a01-003-01.xml": line(3),
    "lineStrokes/a01/a01-003/a01-003x-01.xml": line(4),
}
TEXTS = {
    "ascii/a01/a01-000/a01-000u.txt": text("first line", "second line"),
    "ascii/a01/a01-003/a01-003.txt": text("no letter"),
    "ascii/a01/a01-003/a01-003x.txt": text("with a letter"),
}
WRITERS = {
    "original/a01/a01-000/strokesu.xml": writer_xml("10135"),
    "original/a01/a01-003/strokes.xml": writer_xml("10007"),
    "original/a01/a01-003/strokesx.xml": writer_xml("10008"),
}
LISTS = {
    "trainset.txt": b" a01-000u \r\n\r\n",
    "testset_v.txt": b"a01-003\n",
    "testset_t.txt": b"a01-003x\n",
    "testset_f.txt": b"a02-000\n",
}
RELEASE = {**STROKES, **TEXTS, **WRITERS, **LISTS}


def tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def tar_gz(path: Path, files: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def form(folder: Path, lines: bytes, *strokes: bytes, name: str = "a01-000u") -> Path:
    """A release with a single form."""
    files = {f"ascii/a01/{name[:7]}/{name}.txt": lines}
    for number, content in enumerate(strokes, 1):
        files[f"lineStrokes/a01/{name[:7]}/{name}-{number:02d}.xml"] = content
    return tree(folder, files)


def pairs(path: Path) -> list[tuple[str, float]]:
    """Text and mark of each line: do ink and text belong together?"""
    return [(s.text, s.ink[1, 0].item()) for s in load(path).samples]


ALL = [
    ("first line", 1.0),
    ("second line", 2.0),
    ("no letter", 3.0),
    ("with a letter", 4.0),
]


def test_a_folder_as_unpacked(tmp_path: Path) -> None:
    corpus = load(tree(tmp_path, RELEASE))
    assert [(s.text, s.ink[1, 0].item()) for s in corpus.samples] == ALL
    assert corpus.skipped == {}
    assert corpus.name == f"iam:{tmp_path}"
    assert [s.source for s in corpus.samples] == [
        "iam:a01-000u-01",
        "iam:a01-000u-02",
        "iam:a01-003-01",
        "iam:a01-003x-01",
    ]
    assert {s.kind for s in corpus.samples} == {"line"}
    assert [s.writer for s in corpus.samples] == ["10135", "10135", "10007", "10008"]


def test_the_nesting_of_the_archives(tmp_path: Path) -> None:
    nested = {f"lineStrokes-all/{name}": c for name, c in STROKES.items()}
    nested |= {f"ascii-all/{name}": c for name, c in TEXTS.items()}
    nested |= {f"original-xml-part/{name}": c for name, c in WRITERS.items()}
    nested |= {f"task1/{name}": c for name, c in LISTS.items()}
    corpus = load(tree(tmp_path, nested))
    assert [s.text for s in corpus.samples] == [t for t, _ in ALL]
    assert corpus.skipped == {}
    assert set(splits(tmp_path)) == set(SPLITS)


def test_a_folder_of_archives(tmp_path: Path) -> None:
    """The release comes as separate archives; so it must be read from them together."""
    tar_gz(tmp_path / "lineStrokes-all.tar.gz", STROKES)
    tar_gz(tmp_path / "ascii-all.tar.gz", TEXTS)
    (tmp_path / "more").mkdir()
    tar_gz(tmp_path / "more" / "original-xml-part.tar.gz", WRITERS)
    tree(tmp_path, LISTS)
    (tmp_path / "lineImages-all.tar.gz").write_bytes(b"pictures, which are not opened")
    corpus = load(tmp_path)
    assert [(s.text, s.ink[1, 0].item()) for s in corpus.samples] == ALL
    assert [s.writer for s in corpus.samples] == ["10135", "10135", "10007", "10008"]
    assert corpus.skipped == {}
    assert [s.text for s in load(tmp_path, split="testset_v").samples] == ["no letter"]


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_one_archive(tmp_path: Path, ending: str) -> None:
    archive = tmp_path / f"iam{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for name, content in RELEASE.items():
                zipped.writestr(name, content)
    else:
        # the texts first: nothing may hang on the order inside an archive
        tar_gz(archive, dict(reversed(RELEASE.items())))
    assert sorted(pairs(archive)) == sorted(ALL)
    assert [s.text for s in load(archive, split="testset_t").samples] == [
        "with a letter"
    ]


def test_folder_and_archive_together_are_not_read_twice(tmp_path: Path) -> None:
    tree(tmp_path, RELEASE)
    tar_gz(tmp_path / "lineStrokes-all.tar.gz", STROKES)
    corpus = load(tmp_path)
    assert len(corpus.samples) == 4
    assert corpus.skipped == {"stroke files found twice (the first is read)": 4}


def test_load_corpus_leads_here(tmp_path: Path) -> None:
    tree(tmp_path, RELEASE)
    assert len(load_corpus(f"iam:{tmp_path}", split="trainset").samples) == 2


def test_y_is_turned_up_and_only_the_pen_lifts_end_strokes(tmp_path: Path) -> None:
    xml = stroke_xml(
        points((10, 50, 1.0), (13, 46, 1.02), (14, 52, 1.04)),
        points((20, 40, 1.5)),  # a dot: one point, and it stays
        points((30, 45, 2.0), (31, 45, 2.02)),
    )
    sample = load(form(tmp_path, text("i i"), xml)).samples[0]
    assert check_ink(sample.ink).dtype == torch.float32
    assert sample.ink.tolist() == [
        [0, 0, 0],
        [3, 4, 0],
        [1, -6, 1],
        [6, 12, 1],
        [10, -5, 0],
        [1, 0, 1],
    ]
    assert offsets_to_positions(sample.ink)[-1, :2].tolist() == [21, 5]
    assert sample.points_per_second == pytest.approx(50)  # 3 steps in .06 s


def test_the_rate_is_taken_while_the_pen_is_down() -> None:
    assert points_per_second([[0, 0.01, 0.02], [9, 9.01]]) == pytest.approx(100)
    assert points_per_second([[1.0], []]) is None
    assert points_per_second([[1.0, 1.0], [3.0, 2.0]]) is None  # clocks that stand


@pytest.mark.parametrize("lines", [2, 4])
def test_unequal_counts_are_never_zipped(tmp_path: Path, lines: int) -> None:
    """`zip` pairs what it can: with a line missing, every later one is wrong."""
    written = text(*(f"line {i}" for i in range(lines)))
    corpus = load(form(tmp_path, written, line(1), line(2), line(3)))
    assert corpus.samples == []
    assert corpus.skipped == {UNEQUAL: 1}


def test_a_damaged_file_keeps_its_place(tmp_path: Path) -> None:
    """Dropped before counting, it would shift the lines that follow."""
    corpus = load(form(tmp_path, text("one", "two", "three"), line(1), b"<a>", line(3)))
    got = [(s.text, s.ink[1, 0].item()) for s in corpus.samples]
    assert got == [("one", 1.0), ("three", 3.0)]
    assert corpus.skipped == {"stroke files that are damaged XML": 1, NO_WRITER: 1}


def test_files_are_ordered_by_number(tmp_path: Path) -> None:
    """As texts, 10 stands before 9 when the zero is left out."""
    files = {f"lineStrokes/a01-000u-{i}.xml": line(i) for i in range(1, 12)}
    files["ascii/a01-000u.txt"] = text(*(f"line {i}" for i in range(1, 12)))
    tree(tmp_path, files)
    assert pairs(tmp_path) == [(f"line {i}", float(i)) for i in range(1, 12)]


def test_only_the_csr_section_counts(tmp_path: Path) -> None:
    written = b"OCR:\n\nf1rst l1ne\nsecond Iine\n\nCSR: \n\nfirst line\nsecond line\n\n"
    tree(tmp_path, {"a01-000u.txt": written})
    assert pairs(form(tmp_path, written, line(1), line(2))) == ALL[:2]


@pytest.mark.parametrize(
    "written",
    [
        b"OCR:\n\nx\n\nCSR:\n\none%%%%%%%%%%%two\n",
        b"OCR:\r\n\r\nx\r\n\r\nCSR:\r\n\r\none\r\n%%%%%%%%%%%\r\ntwo\r\n",
        b"CSR:\n\none\n\n\n%%%\n\n  two  \n\nOCR:\n\nx\ny\n",
    ],
)
def test_percent_separators_and_line_ends(tmp_path: Path, written: bytes) -> None:
    assert pairs(form(tmp_path, written, line(1), line(2))) == [("one", 1), ("two", 2)]


def test_one_percent_sign_is_text(tmp_path: Path) -> None:
    assert pairs(form(tmp_path, text("5 % of 10 %"), line(1))) == [("5 % of 10 %", 1)]


def test_latin_1_does_not_split_lines(tmp_path: Path) -> None:
    r"""`str.splitlines` breaks at \x85, so counts would differ."""
    corpus = load(form(tmp_path, text("wait\x85 caf\xe9", "next"), line(1), line(2)))
    assert [(s.text, s.ink[1, 0].item()) for s in corpus.samples] == [("next", 2.0)]
    assert corpus.skipped["lines with characters outside the alphabet"] == 1


def test_entities_are_unescaped(tmp_path: Path) -> None:
    written = text("&quot;R&amp;D&quot; &copy right &#39;tis", "&pound;5")
    corpus = load(form(tmp_path, written, line(1), line(2)))
    assert [s.text for s in corpus.samples] == ['"R&D" &copy right \'tis']
    assert corpus.skipped["lines with characters outside the alphabet"] == 1


@pytest.mark.parametrize("head", [HEAD, ""])
def test_stroke_files_are_latin_1_declared_or_not(tmp_path: Path, head: str) -> None:
    xml = stroke_xml(points((1, 1, 0), (2, 1, 0.1)), head=f"{head}<!-- caf\xe9 -->")
    assert pairs(form(tmp_path, text("a"), xml)) == [("a", 1.0)]


def test_points_that_lack_an_attribute_are_counted(tmp_path: Path) -> None:
    xml = stroke_xml(
        '<Point x="1" y="1" time="0"/><Point y="7" time=".1"/><Point x="5"/>'
        '<Point x="nan" y="1" time=".2"/><Point x="2" y="1e400" time=".2"/>'
        '<Point x="2" y="1"/>',
        '<Point time=".3"/>',
        "",
    )
    corpus = load(form(tmp_path, text("a"), xml))
    assert corpus.samples[0].ink.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert corpus.skipped == {
        "points without x or y": 5,
        "points without time (kept)": 1,
        "strokes without points": 2,
        NO_WRITER: 1,
    }


def test_a_line_without_usable_ink_is_counted(tmp_path: Path) -> None:
    huge = stroke_xml(points((0, 0, 0), (1e300, 0, 1)))
    corpus = load(form(tmp_path, text("a", "b", "c"), stroke_xml(), huge, line(3)))
    assert [(s.text, s.ink[1, 0].item()) for s in corpus.samples] == [("c", 3.0)]
    assert corpus.skipped["lines without ink"] == 1
    assert corpus.skipped["lines with a number that is too large"] == 1


def test_entity_declarations_are_refused(tmp_path: Path) -> None:
    """A few hundred bytes of nested entities unfold to gigabytes."""
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    corpus = load(form(tmp_path, text("a", "b"), bomb, line(2)))
    assert [s.text for s in corpus.samples] == ["b"]
    assert corpus.skipped["stroke files with a DOCTYPE or ENTITY declaration"] == 1


def test_forms_that_cannot_be_joined_are_counted(tmp_path: Path) -> None:
    form(tmp_path, text("a"), line(1))
    form(tmp_path, b"OCR:\n\nx\n", line(1), name="a01-001u")
    form(tmp_path, text("no strokes"), name="a01-002u")
    form(tmp_path, text("broken"), line(1), name="z01-000z")
    tree(tmp_path, {"lineStrokes/a01-004-01.xml": line(1)})
    corpus = load(tmp_path)
    assert [s.source for s in corpus.samples] == ["iam:a01-000u-01"]
    assert corpus.skipped == {
        "forms without text in a CSR section": 1,
        "forms with text but no stroke files": 1,
        "forms known to be broken": 1,
        "forms with stroke files but no text": 1,
        NO_WRITER: 1,
    }


@pytest.mark.parametrize("content", [writer_xml("0"), b"<Form", b"<!DOCTYPE a><a/>"])
def test_without_a_writer_the_form_stands_in(tmp_path: Path, content: bytes) -> None:
    tree(tmp_path, {"original/a01/a01-000/strokesu.xml": content})
    corpus = load(form(tmp_path, text("a"), line(1)))
    assert corpus.samples[0].writer == "a01-000u"
    assert corpus.skipped == {NO_WRITER: 1}


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    form(tmp_path, text("a"), line(1))
    tree(
        tmp_path,
        {
            "lineStrokes/a01/a01-000/._a01-000u-02.xml": b"an archiver's leftover",
            "lineImages/a01/a01-000/a01-000u-01.tif": b"",
            "readme.txt": b"",
        },
    )
    assert pairs(tmp_path) == [("a", 1.0)]


def test_the_lists(tmp_path: Path) -> None:
    tree(tmp_path, RELEASE)
    assert splits(tmp_path) == {
        "trainset": {"a01-000u"},
        "testset_v": {"a01-003"},
        "testset_t": {"a01-003x"},
        "testset_f": {"a02-000"},
    }
    training = load(tmp_path, split=PAPER_TRAINING)
    assert [s.text for s in training.samples] == [ALL[0][0], ALL[1][0], ALL[3][0]]
    assert training.skipped == {"forms on the list but not among the files": 1}
    validation = load(tmp_path, split=PAPER_VALIDATION)
    # a01-003 must not draw in a01-003x, whose name begins the same
    assert [s.text for s in validation.samples] == ["no letter"]


def test_lists_that_share_a_form_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, {**RELEASE, "testset_v.txt": b"a01-003\na01-000u\n"})
    with pytest.raises(CorpusError, match=r"a01-000u .*trainset.*testset_v"):
        load(tmp_path, split="trainset")
    assert len(load(tmp_path).samples) == 4  # without a split they do not matter


def test_lists_that_differ_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, {**RELEASE, "old/trainset.txt": b"a01-003\n"})
    with pytest.raises(CorpusError, match=r"two files trainset\.txt"):
        splits(tmp_path)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("train", "no split 'train'"),
        ("trainset+", "no split ''"),
        ("testset_t", "has no testset_t.txt"),
        ("testset_f", "no stroke and text files"),
    ],
)
def test_splits_that_cannot_be_had(tmp_path: Path, split: str, message: str) -> None:
    files = {name: c for name, c in RELEASE.items() if name != "testset_t.txt"}
    with pytest.raises(CorpusError, match=message):
        load(tree(tmp_path, files), split=split)


def test_nothing_found_says_what_should_be_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no stroke and text files.*lineStrokes/a01"):
        load(tmp_path)
    with pytest.raises(CorpusError, match=str(tmp_path)):
        load(tmp_path)
    with pytest.raises(CorpusError, match=r"none of the lists trainset\.txt"):
        splits(tmp_path)
    with pytest.raises(CorpusError, match="no file or folder"):
        load(tmp_path / "missing")
    archive = tar_gz(tmp_path / "lineStrokes-all.tar.gz", STROKES)
    with pytest.raises(CorpusError, match=r"has no text files.*ascii-all"):
        load(archive)


def test_an_archive_cut_short(tmp_path: Path) -> None:
    long = stroke_xml(points(*((i * i % 997, i * 31 % 641, i) for i in range(3000))))
    files = {**RELEASE, "lineStrokes/a01/a01-007/a01-007u-01.xml": long}
    archive = tar_gz(tmp_path / "iam.tar.gz", files)
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(CorpusError, match="damaged or cut short"):
        load(archive)
