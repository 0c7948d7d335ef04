"""UNIPEN from releases written by hand: format, traps, layouts and the cache."""

import io
import os
import re
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from handwriting_lib.corpora import load_corpus, unipen
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.unipen import (
    Span,
    clean_label,
    load,
    parse_delineation,
    read,
    read_components,
    read_points,
)
from handwriting_lib.ink import check_ink

ROOT = Path(__file__).resolve().parents[2]
DATA, PEN = "data/8/aaa/one.dat", "include/aaa/pen.dat"


# --- a release by hand -----------------------------------------------------------


def stroke(k, points=12):
    """Component number k of a pen file: its steps in x are k + 1, so ink tells it."""
    return [(200 * k + (k + 1) * i, i * i % 7) for i in range(points)]


def block(rows, down=True):
    lines = [" ".join(str(value) for value in row) for row in rows]
    return "\n".join([".PEN_DOWN" if down else ".PEN_UP", *lines]) + "\n"


def pen(*blocks, writer="Jane Doe", coord="X Y", head=""):
    return (
        f".VERSION 1.0\n{head}.WRITER_ID {writer}\n.COORD {coord}\n"
        f".POINTS_PER_SECOND 100\n{''.join(blocks)}"
    )


def strokes(count):
    return [block(stroke(k)) for k in range(count)]


def data(*segments, include="aaa/pen.dat"):
    return f".VERSION 1.0\n.INCLUDE {include}\n.HIERARCHY TEXT WORD\n" + "".join(
        f"{segment}\n" for segment in segments
    )


def release(folder, files, root=""):
    for name, content in files.items():
        path = folder / root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("latin-1"))
    return folder


def reading(tmp_path, *segments, pen_file=None, more=None):
    """What is read from one data file and one pen file of four strokes."""
    files = {DATA: data(*segments), PEN: pen_file or pen(*strokes(4))}
    return read(release(tmp_path, files | (more or {})))


def numbers_of(sample):
    """Which components a sample's ink comes from, told by its steps."""
    dx, end = sample.ink[:, 0], sample.ink[:, 2]
    inside = torch.cat([torch.tensor([False]), end[:-1] == 0])
    stroke_of = torch.cat([torch.zeros(1), end[:-1]]).cumsum(0)
    return [
        int(dx[inside & (stroke_of == i)].unique().item()) - 1
        for i in range(int(end.sum()))
    ]


def only(corpus):
    (sample,) = corpus.samples
    check_ink(sample.ink)
    return sample


# --- segments and components -----------------------------------------------------


def test_segments_become_samples(tmp_path):
    corpus = reading(
        tmp_path,
        '.SEGMENT TEXT 0-3 OK "hi there"',
        '.SEGMENT WORD 0 GOOD "hi"',
        '.SEGMENT CHARACTER 1 ? "t"',
        '.SEGMENT PAGE 0-3 OK "not a kind that we read"',
    )
    line, word, character = corpus.samples
    assert [s.kind for s in corpus.samples] == ["line", "word", "character"]
    assert [s.text for s in corpus.samples] == ["hi there", "hi", "t"]
    assert numbers_of(line) == [0, 1, 2, 3]
    assert numbers_of(word) == [0] and numbers_of(character) == [1]
    assert line.ink.shape == (48, 3) and line.ink.dtype == torch.float32
    assert line.ink[0, :2].tolist() == [0, 0]
    assert word.points_per_second == 100
    assert corpus.skipped == {}


def test_empty_components_are_not_counted(tmp_path):
    # counting them mislabels most donors without any error
    blocks = [block([], False), *strokes(1), block([], False), block([]),
              block(stroke(1)), block([], False)]  # fmt: skip
    corpus = reading(tmp_path, '.SEGMENT WORD 1 OK "yes"', pen_file=pen(*blocks))
    assert numbers_of(only(corpus)) == [1]


def test_pen_up_components_count_but_are_no_ink(tmp_path):
    up = block([(5, 5), (6, 6)], down=False)
    blocks = [block(stroke(0)), up, block(stroke(2))]
    corpus = reading(tmp_path, '.SEGMENT WORD 1-2 OK "yes"', pen_file=pen(*blocks))
    assert numbers_of(only(corpus)) == [2]


def test_includes_nest_and_set_what_follows(tmp_path):
    more = {
        "include/aaa/outer.dat": ".INCLUDE aaa/writer.hdr\n.INCLUDE aaa/inner.dat\n",
        "include/aaa/writer.hdr": ".WRITER_ID someone\n.COORD T Y X\n",
        "include/aaa/inner.dat": block([(0, y, x) for x, y in stroke(0)]),
        "data/1c/aaa/two.dat": data('.SEGMENT WORD 0 OK "in"', include="aaa/outer.dat"),
    }
    corpus = reading(tmp_path, '.SEGMENT WORD 1 OK "out"', more=more)
    inner = next(s for s in corpus.samples if s.text == "in")
    assert numbers_of(inner) == [0]
    assert len({s.writer for s in corpus.samples}) == 2


def test_letters_of_nested_pen_files_stay_with_their_file(tmp_path):
    files = {}
    for name, text in (("one", "ab cd"), ("two", "xy zz")):
        letters = [c for c in text if c != " "]
        files |= {
            f"include/aaa/{name}.top": f".INCLUDE aaa/{name}.pen\n",
            f"include/aaa/{name}.pen": pen(*strokes(4)),
            f"data/8/aaa/{name}.dat": data(
                f'.SEGMENT TEXT 0-3 OK "{text}"', include=f"aaa/{name}.top"
            ),
            f"data/3/aaa/{name}.dat": data(
                *(f'.SEGMENT CHARACTER {i} OK "{c}"' for i, c in enumerate(letters)),
                include=f"aaa/{name}.top",
            ),
        }
    corpus = read(release(tmp_path, files))
    lines = [s for s in corpus.samples if s.kind == "line"]
    assert len(lines) == 2
    for line in lines:
        owner = line.character_of_point
        assert owner.tolist() == sorted([0, 1, 3, 4] * 12)


@pytest.mark.parametrize(
    ("coord", "order"),
    [("X Y", "xy"), ("X Y T P", "xytp"), ("T X Y", "txy"), ("Y X", "yx")],
)
def test_columns_are_read_in_the_order_of_coord(tmp_path, coord, order):
    def row(x, y):
        return [{"x": x, "y": y, "t": 7, "p": 9}[c] for c in order]

    blocks = [block([row(x, y) for x, y in stroke(k)]) for k in range(2)]
    corpus = reading(
        tmp_path, '.SEGMENT WORD 0-1 OK "ab"', pen_file=pen(*blocks, coord=coord)
    )
    sample = only(corpus)
    assert numbers_of(sample) == [0, 1]
    assert sample.ink[1:12, 1].tolist() == np.diff(stroke(0), axis=0)[:, 1].tolist()


@pytest.mark.parametrize("points", [11, 12])
@pytest.mark.parametrize("coord", ["X Y", "P"])  # "P" tells nothing, as no .COORD does
def test_points_with_more_columns_than_coord_says(tmp_path, coord, points):
    # 12 points of 3 numbers also make 18 of 2: eight files of the release are like that
    rows = [(x, y, 40710) for x, y in stroke(2, points)]
    corpus = reading(
        tmp_path, '.SEGMENT WORD 0 OK "abc"', pen_file=pen(block(rows), coord=coord)
    )
    assert numbers_of(only(corpus)) == [2]
    assert len(only(corpus).ink) == points


def test_several_writers_in_one_file_and_one_writer_in_several(tmp_path):
    both = pen(block(stroke(0)), ".WRITER_ID John  Roe\n", block(stroke(1)),
               ".WRITER_ID jane doe\n", block(stroke(2)))  # fmt: skip
    corpus = reading(
        tmp_path,
        *(f'.SEGMENT WORD {k} OK "abc"' for k in range(3)),
        pen_file=both,
    )
    first, second, third = (s.writer for s in corpus.samples)
    assert first == third != second  # case and spaces do not make a writer


def test_writers_come_back_as_numbers_only(tmp_path):
    corpus = reading(tmp_path, '.SEGMENT WORD 0 OK "ab"', pen_file=pen(*strokes(1)))
    sample = only(corpus)
    assert re.fullmatch(r"w\d+", sample.writer)
    assert re.fullmatch(r"u\d+", sample.units)
    assert "doe" not in repr(sample).lower()


def test_donors_tablets_are_told_apart(tmp_path):
    more = {
        "data/6/bbb/two.dat": data('.SEGMENT WORD 0 OK "ab"', include="bbb/pen.dat"),
        "include/bbb/pen.dat": pen(*strokes(1)),
    }
    corpus = reading(tmp_path, '.SEGMENT WORD 0 OK "ab"', more=more)
    one, other = corpus.samples
    assert one.writer == other.writer and one.units != other.units


# --- delineations ------------------------------------------------------------------


def test_delineations_are_read():
    assert parse_delineation("4") == [Span(4, 0, None)]
    assert parse_delineation("4-5") == [Span(4, 0, None), Span(5, 0, None)]
    assert parse_delineation("4:3") == [Span(4, 3, 3)]
    assert parse_delineation("4:3-4:9") == [Span(4, 3, 9)]
    assert parse_delineation("4:3-6:9") == [
        Span(4, 3, None),
        Span(5, 0, None),
        Span(6, 0, 9),
    ]
    assert parse_delineation("1,3:2-4") == [
        Span(1, 0, None),
        Span(3, 2, None),
        Span(4, 0, None),
    ]


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "1:-2", "1,,2", "1;2", "5-3"])
def test_a_delineation_that_is_none_is_an_error(text):
    with pytest.raises(ValueError, match=r"delineation|backwards"):
        parse_delineation(text)


def test_points_within_a_component(tmp_path):
    corpus = reading(
        tmp_path,
        '.SEGMENT WORD 1:4-1:9 OK "abc"',
        '.SEGMENT WORD 0:6-1:5 OK "def"',
        '.SEGMENT WORD 0,2 OK "gh"',
    )
    inside, across, list_ = corpus.samples
    assert len(inside.ink) == 6 and numbers_of(inside) == [1]
    assert len(across.ink) == 12 and numbers_of(across) == [0, 1]
    assert len(list_.ink) == 24 and numbers_of(list_) == [0, 2]
    wanted = np.diff(stroke(1)[4:10], axis=0)
    assert inside.ink[1:, :2].tolist() == wanted.tolist()


# --- labels and quality ------------------------------------------------------------


def test_quotes_and_backslashes_are_escaped(tmp_path):
    corpus = reading(tmp_path, r'.SEGMENT WORD 0-1 OK "a\"b\\c"')
    assert only(corpus).text == r'a"b\c'


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("No one , he said , will see them .", "No one, he said, will see them."),
        ("Why ( oh why ) , now ?", "Why (oh why), now?"),
        ("two  spaces\tand a tab", "two spaces and a tab"),
        ("a ... b", "a ... b"),
        ("it 's", "it 's"),
    ],
)
def test_tokenised_labels_are_joined(label, text):
    assert clean_label(label) == text


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        ('WORD 0 BAD "ab"', "word: quality BAD"),
        ('WORD 0 bad "ab"', "word: quality BAD"),
        ('WORD 0 OK ""', "word: empty label"),
        ("WORD 0 OK", "word: empty label"),
        ('WORD 0 OK "caf\xe9"', "word: label outside printable ASCII"),
        (r'WORD 0 OK "a\nb"', "word: label with an unknown escape"),
        ('TEXT 0-1 OK "2 4 5 4 6"', "line: tokenised label whose spaces are unknown"),
        ('TEXT 0-1 OK "at 5 $ ."', "line: tokenised label whose spaces are unknown"),
        ('WORD 9 OK "ab"', "word: delineation beyond the last component"),
        ('WORD 0:3-0:99 OK "ab"', "word: delineation beyond the last point"),
        ('WORD 0:9-0:3 OK "ab"', "word: delineation beyond the last point"),
        ('WORD 3-1 OK "ab"', "word: delineation that cannot be read"),
        ('WORD x OK "ab"', "word: delineation that cannot be read"),
        ('WORD 0 OK "sevenletters"', "word: fewer than two points per character"),
    ],
)
def test_what_is_left_out_is_counted_with_its_reason(tmp_path, segment, reason):
    corpus = reading(tmp_path, '.SEGMENT WORD 2 OK "yes"', f".SEGMENT {segment}")
    assert only(corpus).text == "yes"
    assert corpus.skipped == {reason: 1}


def test_letters_that_cannot_be_read_spoil_nothing(tmp_path):
    more = {"data/3/aaa/one.dat": data('.SEGMENT CHARACTER 3-1 OK "a"')}
    corpus = reading(tmp_path, '.SEGMENT TEXT 0-1 OK "a b"', more=more)
    assert only(corpus).character_of_point is None
    assert corpus.skipped == {"character: delineation that cannot be read": 1}


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([block(stroke(0), down=False)], "word: no pen-down point"),
        ([".PEN_DOWN\n1 2\n3 x\n5 6\n"], "word: readings that are not numbers"),
        ([".PEN_DOWN\n1 2 3\n4 5\n6 7 8\n"], "word: readings that are not numbers"),
        ([block([(0, 0), (0.5, 1), (2, 2), (3, 3)])],
         "word: offsets that are not 16-bit integers"),
        ([block([(0, 0), (40000, 1), (2, 2), (3, 3)])],
         "word: offsets that are not 16-bit integers"),
    ],
)  # fmt: skip
def test_pen_files_that_cannot_be_used(tmp_path, blocks, reason):
    corpus = reading(tmp_path, '.SEGMENT WORD 0 OK "ab"', pen_file=pen(*blocks))
    assert corpus.samples == []
    assert corpus.skipped == {reason: 1}


def test_a_statement_may_go_on_in_the_next_line(tmp_path):
    corpus = reading(
        tmp_path,
        '.SEGMENT WORD 0 OK\n  "one"',
        ".SEGMENT WORD 1",
        '.SEGMENT WORD 2 OK "x"',
    )
    assert [s.text for s in corpus.samples] == ["one", "x"]
    assert corpus.skipped == {"word: empty label": 1}


def test_a_segment_without_quality_is_read(tmp_path):
    assert only(reading(tmp_path, '.SEGMENT WORD 0 "ab"')).text == "ab"


def test_several_lines_in_one_segment_are_left_out(tmp_path):
    rows = [[(10 * k + i, 500 - 300 * line + i % 5) for i in range(12)]
            for line in range(2) for k in range(6)]  # fmt: skip
    corpus = reading(
        tmp_path,
        '.SEGMENT TEXT 0-11 OK "two lines"',
        '.SEGMENT TEXT 0-5 OK "one line"',
        pen_file=pen(*(block(r) for r in rows)),
    )
    assert only(corpus).text == "one line"
    reason = "line: several lines in one segment, or a mark far behind"
    assert corpus.skipped == {reason: 1}


def test_a_text_of_one_word_is_a_word(tmp_path):
    corpus = reading(tmp_path, '.SEGMENT TEXT 0 OK "word"', '.SEGMENT TEXT 1 OK "c"')
    assert [s.kind for s in corpus.samples] == ["word", "character"]


def test_segments_that_recur_count_once(tmp_path):
    # all of category 6 recurs in category 7
    same = data('.SEGMENT WORD 0 OK "ab"', '.SEGMENT WORD 1 OK "cd"')
    more = {f"data/{category}/aaa/two.dat": same for category in "67"}
    corpus = reading(tmp_path, '.SEGMENT TEXT 1 OK "cd"', more=more)
    assert sorted(s.text for s in corpus.samples) == ["ab", "cd"]
    assert sum(corpus.skipped.values()) == 3
    assert set(corpus.skipped) == {"word: the same segment again"}


def test_a_header_after_the_pen_file_does_not_make_segments_alike(tmp_path):
    files = {"include/aaa/last.doc": ".COMMENT nothing\n"}
    for name in ("one", "two"):
        files[f"include/aaa/{name}.pen"] = pen(*strokes(1))
        files[f"data/6/aaa/{name}.dat"] = data(
            f'.INCLUDE aaa/last.doc\n.SEGMENT WORD 0 OK "{name}"',
            include=f"aaa/{name}.pen",
        )
    corpus = read(release(tmp_path, files))
    assert [s.text for s in corpus.samples] == ["one", "two"]


def test_a_missing_include_is_counted(tmp_path):
    lost = ('.SEGMENT WORD 0 OK "a"', '.SEGMENT WORD 1 OK "b"')
    more = {"data/8/aaa/two.dat": data(*lost, include="aaa/lost.dat")}
    corpus = reading(tmp_path, '.SEGMENT WORD 0 OK "ab"', more=more)
    assert only(corpus).text == "ab"
    assert corpus.skipped == {"pen file that the release lacks": 2}


@pytest.mark.parametrize(
    "files",
    [
        {"a": 6 * b".INCLUDE a\n"},
        {"a": b".INCLUDE b\n", "b": b".INCLUDE a\n"},
        {chr(97 + i): 6 * (b".INCLUDE %c\n" % (98 + i)) for i in range(8)},
        {chr(97 + i): b".INCLUDE %c\n" % (98 + i) for i in range(20)},
    ],
)
def test_includes_that_do_not_end_are_left_out_and_said(files, tmp_path, caplog):
    begin = time.monotonic()
    with pytest.raises(CorpusError, match="include file a includes itself"):
        read_components(["a"], files)
    assert time.monotonic() - begin < 1
    texts = {f"include/{name}": content.decode() for name, content in files.items()}
    bad = data('.SEGMENT WORD 0 OK "ab"', include="a")
    good = {DATA: data('.SEGMENT WORD 0 OK "cd"'), PEN: pen(*strokes(2))}
    corpus = read(release(tmp_path / "r", texts | good | {"data/2/aaa/bad.dat": bad}))
    assert only(corpus).text == "cd"
    assert corpus.skipped == {"pen file whose includes do not end": 1}
    assert "include file a includes itself" in caplog.text


def test_a_segment_cannot_ask_for_memory():
    for text in ("0-99999999", "0-60000,0-60000", ",".join(100_001 * ["0"])):
        with pytest.raises(ValueError, match="covers more than 100,000 components"):
            parse_delineation(text)


def test_components_know_how_to_be_read():
    files = {"a": b".COORD Y X\n.PEN_DOWN\n1 2\n3 4\n.PEN_UP\n.DT 5\n.PEN_DOWN\n5 6\n"}
    one, two = read_components(["a"], files)
    assert read_points(one).tolist() == [[2, 1], [4, 3]]
    assert read_points(two).tolist() == [[6, 5]]


# --- true characters -----------------------------------------------------------------


def aligned(tmp_path, letters, text="ab c"):
    segments = [f'.SEGMENT CHARACTER {where} OK "{label}"' for where, label in letters]
    more = {"data/3/aaa/one.dat": data(*segments)}
    corpus = reading(tmp_path, f'.SEGMENT TEXT 0-3 OK "{text}"', more=more)
    (line,) = [s for s in corpus.samples if s.kind == "line"]
    return line.character_of_point


def test_category_3_gives_the_character_of_each_point(tmp_path):
    owner = aligned(tmp_path, [("0", "a"), ("1-2", "b"), ("3", "c")])
    assert owner.tolist() == [0] * 12 + [1] * 24 + [3] * 12  # 2 is the space


def test_a_stroke_may_be_shared_by_letters(tmp_path):
    owner = aligned(tmp_path, [("0:0-0:5", "a"), ("0:6-2", "b"), ("3", "c")])
    assert owner.tolist() == [0] * 6 + [1] * 30 + [3] * 12


def test_labels_out_of_order_in_the_file_are_sorted_by_ink(tmp_path):
    owner = aligned(tmp_path, [("3", "c"), ("0", "a"), ("1-2", "b")])
    assert owner.tolist() == [0] * 12 + [1] * 24 + [3] * 12


@pytest.mark.parametrize(
    "letters",
    [
        [("0", "a"), ("1-2", "x"), ("3", "c")],  # another letter
        [("0", "a"), ("1-3", "b")],  # one too few
        [("0", "a"), ("1", "b"), ("2", "b"), ("3", "c")],  # one too many
        [("0", "a"), ("1", "b"), ("3", "c")],  # ink that belongs to nobody
    ],
)
def test_labels_that_do_not_spell_the_text_align_nothing(tmp_path, letters):
    assert aligned(tmp_path, letters) is None


# --- layouts -------------------------------------------------------------------------

FILES = {
    DATA: data('.SEGMENT TEXT 0-3 OK "ab c"', '.SEGMENT WORD 0-2 ? "ab"'),
    "data/3/aaa/one.dat": data('.SEGMENT CHARACTER 0 OK "a"',
                               '.SEGMENT CHARACTER 1-2 OK "b"',
                               '.SEGMENT CHARACTER 3 OK "c"'),
    "data/4/aaa/one.dat": data('.SEGMENT WORD 1 OK "unread"'),
    PEN: pen(*strokes(4)),
    "include/aaa/words.lex": "ab 3\n",
    "README": "Not part of it.\n",
}  # fmt: skip


def cd_rom(files):
    """As on the CD: upper-case names, CR LF, quoted include names with backslashes."""

    def quoted(match):
        return '.INCLUDE "' + match[1].upper().replace("/", "\\") + '"'

    upper = {}
    for name, content in files.items():
        content = re.sub(r"\.INCLUDE (\S+)", quoted, content)
        upper[name.upper()] = content.replace("\n", "\r\n")
    return upper


LAYOUTS = {
    "plain": ("", FILES),
    "patched": ("train_r01_v07/", FILES),
    "cd": ("UNIPEN/CDROM/train_r01_v07/", FILES),
    "upper": ("CDROM/TRAIN_R01_V07/", cd_rom(FILES)),
    "old mac": ("", {n: c.replace("\n", "\r") for n, c in FILES.items()}),
}


def packed(folder, files, root, ending):
    files = dict(sorted(files.items()))
    path = folder / f"release{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(root + name, content.encode("latin-1"))
    elif ending:
        mode = {".tar.xz": "w:xz", ".tgz": "w:gz"}[ending]
        with tarfile.open(path, mode) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(root + name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content.encode("latin-1")))
    else:
        release(path, files, root)
    return path


def assert_same(one, other):
    assert one.skipped == other.skipped
    assert len(one.samples) == len(other.samples) > 0
    for a, b in zip(one.samples, other.samples, strict=True):
        assert torch.equal(a.ink, b.ink)
        assert (a.character_of_point is None) == (b.character_of_point is None)
        if a.character_of_point is not None:
            assert torch.equal(a.character_of_point, b.character_of_point)
        none = {"ink": None, "character_of_point": None}
        assert a.replace(**none) == b.replace(**none)


@pytest.mark.parametrize("ending", ["", ".zip", ".tgz", ".tar.xz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_alike(tmp_path, layout, ending):
    root, files = LAYOUTS[layout]
    corpus = read(packed(tmp_path, files, root, ending))
    by_text = {s.text: s for s in corpus.samples}
    assert set(by_text) == {"ab c", "ab", "a", "b", "c"}  # nothing of category 4
    assert by_text["ab c"].character_of_point is not None
    assert numbers_of(by_text["ab"]) == [0, 1, 2]
    assert_same(corpus, read(packed(tmp_path / "other", FILES, "", "")))


# --- the cache ---------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDWRITING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("kinds", [("line", "word"), ("character", "line"), ("word",)])
def test_the_second_load_is_the_first(tmp_path, cache, monkeypatch, kinds):
    path = packed(tmp_path, FILES, "", ".tgz")
    first = load(path, kinds)
    monkeypatch.setattr(unipen, "read", None)  # from here on only the cache can answer
    second = load(path, kinds)
    assert_same(first, second)
    assert {s.kind for s in second.samples} == set(kinds)
    through_the_door = load_corpus(f"unipen:{path}", kinds=list(kinds))
    assert_same(second, through_the_door)


def test_what_was_left_out_is_in_the_cache_too(tmp_path, cache):
    files = {DATA: data('.SEGMENT WORD 0 BAD "a"', '.SEGMENT WORD 1 OK "b"')}
    path = release(tmp_path / "r", files | {PEN: pen(*strokes(2))})
    assert load(path).skipped == load(path).skipped == {"word: quality BAD": 1}


@pytest.mark.parametrize("name", [PEN, "include/aaa/noending"])
def test_the_cache_is_stale_when_the_source_changes(tmp_path, cache, name):
    include = name.removeprefix("include/")
    files = {DATA: data('.SEGMENT WORD 0 OK "ab"', include=include)}
    path = release(tmp_path / "r", files | {name: pen(*strokes(1))})
    assert numbers_of(load(path).samples[0]) == [0]
    release(path, {name: pen(block(stroke(3)))})
    assert numbers_of(load(path).samples[0]) == [3]


def test_an_archive_s_cache_is_stale_when_its_bytes_change(tmp_path, cache):
    path = packed(tmp_path, FILES, "", ".zip")
    before = load(path)
    about = path.stat()
    packed(tmp_path, FILES | {PEN: pen(*strokes(4)).replace("100", "200")}, "", ".zip")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert load(path).samples[0].points_per_second == 200
    assert before.samples[0].points_per_second == 100


@pytest.mark.parametrize("share", [0, 0.3, 0.999])
def test_a_damaged_cache_is_made_again(tmp_path, cache, share):
    path = packed(tmp_path, FILES, "", ".tgz")
    first = load(path)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert_same(load(path), first)
    assert len(file.read_bytes()) == len(whole)


def test_the_public_release_is_known_by_its_content(tmp_path, cache, monkeypatch):
    packs = [packed(tmp_path, FILES, "x/", ending) for ending in (".tgz", ".zip")]
    contents = {unipen._content_hash(path)[1] for path in packs}
    assert len(contents) == 1
    address = packs[0].as_uri()
    monkeypatch.setattr(unipen, "PUBLIC_RELEASE", address)
    with pytest.raises(CorpusError, match="no longer the release"):
        unipen.download()
    assert [*cache.rglob("*.t*z")] == []
    monkeypatch.setattr(unipen, "PUBLIC_CONTENT", contents.pop())
    assert unipen.download().exists()


def test_the_cache_holds_no_pickles_and_no_names(tmp_path, cache):
    load(packed(tmp_path, FILES, "", ".tgz"))
    (file,) = cache.iterdir()
    with np.load(file, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays)
        content = b"".join(arrays[name].tobytes() for name in arrays)
    assert b"jane" not in content.lower()


def test_no_release_no_cache(tmp_path, cache):
    with pytest.raises(CorpusError, match="handwriting corpus get unipen"):
        load()
    with pytest.raises(ValueError, match=r"no such kinds: \['page'\]"):
        load(packed(tmp_path, FILES, "", ""), ["page"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none.tar.xz", r"no file or folder .*none\.tar\.xz"),
        (lambda p: p, "holds no UNIPEN release"),
        (lambda p: release(p / "r", {"data/8/a.txt": "text"}), "no UNIPEN release"),
        (lambda p: release(p / "r", {PEN: pen(*strokes(1))}), "no UNIPEN release"),
        (lambda p: cut(packed(p, FILES, "", ".tar.xz")), "damaged or cut short"),
        (lambda p: cut(packed(p, FILES, "", ".tgz")), "damaged or cut short"),
        (lambda p: cut(packed(p, FILES, "", ".zip")), "damaged or cut short"),
    ],
)
def test_what_is_no_release_is_named_in_one_sentence(tmp_path, cache, make, message):
    for attempt in (load, lambda path: load_corpus(f"unipen:{path}")):
        with pytest.raises(CorpusError, match=message) as caught:
            attempt(make(tmp_path))
        assert "\n" not in str(caught.value)
    assert not cache.exists() or list(cache.iterdir()) == []


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


# --- the real release --------------------------------------------------------------

REAL = Path(
    os.environ.get("UNIPEN", ROOT.parent / "shared/data/unipen/train_r01_v07.tar.xz")
)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="needs the UNIPEN archive ($UNIPEN)")
def test_the_real_release():
    load(REAL)
    begin = time.monotonic()
    corpus = load(REAL)
    assert time.monotonic() - begin < 60  # from the cache; 3 s on an idle machine
    lines = [s for s in corpus.samples if s.kind == "line"]
    words = [s for s in corpus.samples if s.kind == "word"]
    known = [s for s in lines if s.character_of_point is not None]
    assert len(lines) >= 8_000
    assert len({s.source for s in words}) == len(words) >= 60_000
    assert len(known) >= 1_200
    for s in known:
        owner = s.character_of_point
        assert len(owner) == len(s.ink)
        letters = [i for i, c in enumerate(s.text) if c != " "]
        assert owner.unique().tolist() == letters  # every letter has ink, no space has
    assert all(re.fullmatch(r"w\d+", s.writer) for s in corpus.samples)
    assert len({s.writer for s in corpus.samples}) > 100
    assert sum(corpus.skipped.values()) > 0
    for s in corpus.samples[::97]:
        check_ink(s.ink, s.source)
