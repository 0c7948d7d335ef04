"""Pages: wrapping, one baseline and size, words written again, interruptions."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.errors import InputError
from handwriting_lib.writing import pages
from handwriting_lib.writing.level import levelled, measure_level, typical_level
from handwriting_lib.writing.lines import Line, Writer
from handwriting_lib.writing.pages import (
    OtherPageError,
    PageInterrupted,
    page_from_json,
    write_page,
)
from handwriting_lib.writing.paper import (
    break_lines,
    page_layout,
    paragraphs,
    pieces,
)
from tests.zigzag import zigzag

LETTER = """Dear Ann,

thank you for the box of apples, which came on Monday; none of them was bruised,
and the children ate most of them at once. I shall make a pie of what is left.

Yours,
Quentin
"""


class Machine(Writer):
    """Writes zigzags."""

    backend = "none"

    def __init__(self, uneven=1.0, dropped="", stop_after=None):
        self.model = SimpleNamespace(
            name="machine", fingerprint=lambda: "2:machine",
            is_called=lambda name: name == "2:machine",
        )  # fmt: skip
        self.uneven, self.dropped = uneven, dropped
        self.drawn, self.stop_after = [], stop_after

    def choose_style(self, style):
        return None if style == "any" else style or "own"

    def style_of(self, line):
        return f"the hand of {line.text!r}"

    def draw(self, texts, generators, style, bias, temperature, keep_output):
        if self.stop_after is not None and len(self.drawn) >= self.stop_after:
            raise KeyboardInterrupt
        self.drawn += texts
        return [self.one(*job) for job in zip(texts, generators, strict=True)]

    def one(self, text, generator):
        return zigzag(text, generator, self.uneven, self.dropped)


def page_of(text=LETTER, writer=None, page=None, on_batch=None, seed=1, style=None,
            **layout):  # fmt: skip
    return write_page(
        text, writer or Machine(), layout=page_layout(**layout), seed=seed,
        page=page, on_batch=on_batch, style=style, redraws=1,
    )  # fmt: skip


# --- breaking lines ------------------------------------------------------------------


def test_greedy_lines_are_full_and_no_longer():
    generator = torch.Generator().manual_seed(1)
    widths = (5 * torch.rand(2000, generator=generator)).tolist()
    gaps = [1.0] * 2000
    starts = break_lines(widths, gaps, 40.0, indent=5.0)
    for number, (a, b) in enumerate(zip(starts, [*starts[1:], 2000], strict=True)):
        room = 40.0 - 5.0 * (number == 0)
        used = sum(widths[a:b]) + b - a - 1
        assert used <= room
        assert b == 2000 or used + 1 + widths[b] > room


def test_balanced_lines_are_as_many_and_more_alike():
    better = 0
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        widths = (5 * torch.rand(60, generator=generator)).tolist()

        def lacks(balanced, widths=widths):
            starts = break_lines(widths, [1.0] * 60, 30.0, balanced=balanced)
            ends = [*starts[1:], 60]
            return [
                30 - sum(widths[a:b]) - (b - a - 1)
                for a, b in zip(starts, ends, strict=True)
            ]

        greedy, even = lacks(False), lacks(True)
        assert len(greedy) == len(even) and min(even) >= -1e-9
        costs = [sum(x**2 for x in one[:-1]) for one in (greedy, even)]
        assert costs[1] <= costs[0]
        better += costs[1] < costs[0]
    assert better > 1


def test_wide_word_has_a_line_of_its_own():
    for balanced in (False, True):
        starts = break_lines([3, 50, 3], [1] * 3, 10, balanced=balanced)
        assert starts == [0, 1, 2]


def test_pieces_are_short_and_alike():
    words = ("it was a bright cold day in April and the clocks " * 40).split()
    divided = pieces(words)
    assert [word for piece in divided for word in piece] == words
    lengths = [len(" ".join(piece)) for piece in divided]
    assert max(lengths) <= 45 and min(lengths) >= 25


# --- texts as people paste them ------------------------------------------------------

PASTED = [
    ("one line", ["one line"]),
    ("two\nlines", ["two", "lines"]),
    ("Windows\r\nline\r\nends\r\n", ["Windows", "line", "ends"]),
    ("old Mac\rline", ["old Mac", "line"]),
    ("a\n\nb", ["a", "", "b"]),
    ("a\n\n\n\n\nb", ["a", "", "b"]),
    ("a\r\n\r\n\r\nb", ["a", "", "b"]),
    ("\n\n\na", ["a"]),
    ("a\n\n\n", ["a"]),
    ("   indented", ["indented"]),
    ("\tindented by a tab", ["indented by a tab"]),
    ("tab\tinside", ["tab inside"]),
    ("two  spaces   and three", ["two spaces and three"]),
    ("trailing   \nspaces\t\t\n", ["trailing", "spaces"]),
    ("a\n   \t \nb", ["a", "", "b"]),
    ("\ufeffa mark first", ["a mark first"]),
    ("\u201ccurly\u201d and \u2018single\u2019", ["\"curly\" and 'single'"]),
    ("a dash \u2014 and \u2013 another", ["a dash - and - another"]),
    ("so\u2026", ["so..."]),
    ("hard\u00a0space", ["hard space"]),
    ("soft\u00adhyphen", ["softhyphen"]),
    ("zero\u200bwidth", ["zerowidth"]),
    ("line\u2028separator", ["line", "separator"]),
    ("vertical\x0btab and\x0cfeed", ["vertical", "tab and", "feed"]),
    ("next\x85line", ["next", "line"]),
    ("\u2022 first\n\u2022 second", ["* first", "* second"]),
    ("- a list\n- of two", ["- a list", "- of two"]),
    ("1. one\n2. two", ["1. one", "2. two"]),
    ("http://example.org/a?b=c&d=%20", ["http://example.org/a?b=c&d=%20"]),
    ("x" * 80, ["x" * 80]),
    ("a " + "y" * 80 + " b", ["a " + "y" * 80 + " b"]),
    ("...", ["..."]),
    ("-", ["-"]),
    ("'", ["'"]),
    ("caf\u00e9", "'\u00e9'"),
    ("\u4f60\u597d", "'\u4f60'"),
    ("smile \U0001f600", "\U0001f600"),
    ("a\x00b", "'\\\\x00'"),
    ("", "empty"),
    (" \n\t\r\n", "empty"),
    ("z" * 300, "has 300 characters"),
    ("a" * 200_001, "200,001 characters"),
    (None, "must be a string"),
    (["a", "b"], "must be a string"),
]


@pytest.mark.parametrize(("text", "expected"), PASTED)
def test_pasted_text_is_a_page_or_one_sentence(text, expected):
    if isinstance(expected, str):
        with pytest.raises(hw.HandwritingError, match=expected) as error:
            page_of(text)
        assert "\n" not in str(error.value) and len(str(error.value)) < 400
    else:
        page = page_of(text)
        assert page.text.split("\n") == expected
        assert [word.text for word in page.words] == page.text.split()
        assert not page.missing


def test_accents_are_folded_when_asked_and_the_page_says_so():
    page = write_page(
        "caf\u00e9 \u201cnoir\u201d", Machine(), layout=page_layout(), ascii=True
    )
    assert page.text == 'cafe "noir"'
    assert page.replaced == {"\u00e9": "e", "\u201c": '"', "\u201d": '"'}


def test_ten_thousand_characters_are_wrapped():
    one = page_of(" ".join(LETTER.split()))
    text = "\n\n".join([one.text] * 60)
    assert len(text) > 10_000 and len(paragraphs(text)[0]) == 60
    page = one.replace(
        text=text,
        words=[
            dataclasses.replace(word, index=len(one.words) * k + word.index)
            for k in range(60) for word in one.words
        ],
    ).laid_out(one.layout)  # fmt: skip
    edge = page.layout.margin + page.layout.width
    assert max(word.x + word.width * word.size for word in page.words) <= edge + 1e-3
    assert [word.text for word in page.words] == text.split()
    rows = {(line.sheet, line.y) for line in page.lines}
    assert len(rows) == len(page.lines)  # no two on one rule
    assert len(page.sheets()) == page.words[-1].sheet + 1 > 1
    low = max(float(s[:, 1].max()) for sheet in page.sheets() for line in sheet.lines
              for s in line)  # fmt: skip
    assert low < page.layout.paper[1] - page.layout.margin / 2


# --- one hand ------------------------------------------------------------------------


def test_paragraphs_line_breaks_and_indents_are_kept():
    page = page_of(width="30ex", indent="2ex")
    y = {line.text.split()[0]: line.y for line in page.lines}
    pitch = page.layout.pitch
    assert y["thank"] - y["Dear"] == pytest.approx(2 * pitch)
    assert y["Quentin"] - y["Yours,"] == pytest.approx(pitch)
    x = {line.text.split()[0]: line.words[0].x for line in page.lines}
    assert x["thank"] - x["Quentin"] > 4
    assert all(0 <= x[name] - 20 < 1 for name in ("Quentin", "and") if name in x)


def test_uneven_lines_are_levelled():
    page = page_of(uneven := LETTER * 4, width="40ex")
    assert uneven
    size = page.layout.size
    bases, heights, slants = [], [], []
    for line in page.lines:
        for word in line.words:
            for at, character in enumerate(word.text):
                own = word.points[word.characters == at]
                if character in "aceimnorsuvwx":
                    bases.append(abs(float(own[:, 1].max()) - line.y) / size)
                    heights.append(float(own[:, 1].max() - own[:, 1].min()) / size)
                    down = own[1] - own[0]
                    slants.append(float(down[0] / down[1]))
    assert max(bases) < 0.25
    assert sum(bases) / len(bases) < 0.08
    assert 0.9 < min(heights) and max(heights) < 1.12
    assert max(slants) - min(slants) < 0.2


def test_level_undoes_shift_turn_size_and_slant():
    text = "gypsy quay jog amen union"
    drawn = Machine(uneven=0.0).one(text, torch.Generator().manual_seed(1))
    straight = Line(text, 0, drawn.ink, True, "", 1, 1, drawn.phi)
    letters = hw.writing.words.characters_of(straight)
    hand = typical_level([measure_level(straight, letters)])
    assert hand.body == pytest.approx(1, abs=0.02)
    xy = hw.offsets_to_positions(straight.ink)[:, :2].double()
    even = levelled(xy, measure_level(straight, letters), hand)
    a = 0.05
    turn = torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    lean = torch.tensor([[1.0, 0.1], [0.0, 1.0]])
    crooked = straight.replace(
        ink=torch.cat([straight.ink[:, :2] @ (1.15 * turn @ lean).T,
                       straight.ink[:, 2:]], 1)
    )  # fmt: skip
    level = measure_level(crooked, letters)
    assert level.slope == pytest.approx(math.tan(a), abs=0.005)
    bent = hw.offsets_to_positions(crooked.ink)[:, :2].double()
    off = levelled(bent, level, hand)[:, 1] - even[:, 1]
    assert off.abs().max() < 0.12
    assert bent[:, 1].max() - bent[:, 1].min() > 1.3 * (even[:, 1].max() + 1)


@pytest.mark.parametrize("text", ["AMEN 1234 KLM", "...", "-- --", "'\"'", "g j p"])
def test_level_of_lines_without_letter_bodies(text):
    drawn = Machine().one(text, torch.Generator().manual_seed(1))
    line = Line(text, 0, drawn.ink, True, "", 1, 1, drawn.phi)
    level = measure_level(line, hw.writing.words.characters_of(line))
    assert 0.5 < level.body < 2 and math.isfinite(level.base)


def test_same_seed_same_page_and_another_page_otherwise():
    one, two, other = page_of(), page_of(), page_of(seed=2)
    assert one.to_json() == two.to_json() != other.to_json()


def test_any_hand_is_one_for_the_whole_page():
    writer = Machine()
    page = page_of(LETTER, writer, style="any")
    assert page.style == f"the hand of {pages.LEAD!r}"
    assert writer.drawn.count(pages.LEAD) == 1


def test_word_wider_than_a_line_is_said():
    page = page_of("a " + "m" * 80 + " b", width="30ex")
    assert [len(line.words) for line in page.lines] == [1, 1, 1]
    (problem,) = page.problems
    assert "mmm" in problem and "75 mm" in problem


def test_incomplete_piece_is_said_and_kept():
    page = page_of(LETTER, Machine(dropped="apples"))
    (problem,) = page.problems
    assert "apples" in problem and "incomplete after 2 draws: skipped it" in problem
    assert [word.text for word in page.words] == page.text.split()


def test_layout_can_change_without_writing():
    page = page_of()
    writer = page.writer
    before = len(writer.drawn)
    narrow = page.laid_out(page_layout(width="25ex", size=4, paper="letter"))
    assert len(writer.drawn) == before
    assert len(narrow.lines) > len(page.lines)
    assert narrow.laid_out(page.layout).to_json() == page.to_json()


@pytest.mark.parametrize("wrap", ["greedy", "balanced"])
def test_batches_are_laid_out_as_a_whole_page_is(monkeypatch, wrap):
    monkeypatch.setattr(pages, "BATCH", 1)
    page = page_of(LETTER * 3, wrap=wrap, paper="120x90")
    assert page.words[-1].sheet > 1
    assert page.laid_out(page.layout).to_json() == page.to_json()


# --- words again ---------------------------------------------------------------------


def test_rewrite_changes_the_words_asked_for_and_nothing_else():
    page = page_of()
    new = page.rewrite([5, 12], seed=3)
    changed = [
        word.index
        for word, old in zip(new.words, page.words, strict=True)
        if not torch.equal(word.points, old.points)
    ]
    assert changed == [5, 12]
    for index in changed:
        word, old = new.words[index], page.words[index]
        assert (word.text, word.line, word.y) == (old.text, old.line, old.y)
        after = page.words[index + 1]
        if after.line == word.line:
            assert word.box.right < after.box.left
        assert word.box.left > page.words[index - 1].box.right or not index
    again = hw.rewrite(page, words=[5, 12], seed=3)
    assert again.to_json() == new.to_json()
    assert page.rewrite(5, seed=4).words[5].ink.shape == page.words[5].ink.shape


def test_word_that_never_fits_is_named():
    class Wider(Machine):
        def one(self, text, generator):
            drawn = super().one(text, generator)
            drawn.ink[:, 0] *= 2
            return drawn

    page = page_of()
    page = page.replace(writer=Wider())
    with pytest.raises(InputError, match=r"'thank' \(word 2\): none of 10 draws"):
        page.rewrite([2])
    assert len(page.writer.drawn) == 10


@pytest.mark.parametrize("words", [[999], [-1], ["a"], [True], [0.5]])
def test_words_that_there_are_not(words):
    with pytest.raises(InputError, match=r"no word|numbers of words"):
        page_of("a b c").rewrite(words)


# --- interruptions and files ---------------------------------------------------------


def test_interrupted_page_is_continued(monkeypatch):
    monkeypatch.setattr(pages, "BATCH", 2)
    seen = []
    whole = page_of(on_batch=seen.append)
    assert len(seen) > 2 and [len(p.words) for p in seen] == sorted(
        {len(p.words) for p in seen}
    )
    with pytest.raises(PageInterrupted, match="is missing from 'once") as stop:
        page_of(LETTER, Machine(stop_after=4))
    page = stop.value.page
    written = sum(len(text.split()) for text in page.writer.drawn)
    assert len(page.words) == written > 0
    assert " ".join(page.missing).split() == page.text.split()[written:]
    page.writer.stop_after = None
    page.writer.drawn.clear()
    assert page_of(LETTER, page.writer, page).to_json() == whole.to_json()
    assert page.writer.drawn == page.missing
    kept = page_from_json(json.loads(json.dumps(page.to_json()))).written_by(Machine())
    assert page_of(LETTER, Machine(), kept).to_json() == whole.to_json()


@pytest.mark.parametrize("change", [{"seed": 2}, {"text": "other"}, {"style": "x"}])
def test_another_page_is_not_continued(change):
    page = page_of()
    with pytest.raises(OtherPageError, match="another text, or was begun"):
        page_of(**{"text": LETTER, "page": page, **change})


def test_page_is_read_back_as_it_was():
    page = page_of()
    back = page_from_json(json.loads(json.dumps(page.to_json())))
    assert back.to_json() == page.to_json()
    for word, old in zip(back.words, page.words, strict=True):
        assert torch.equal(word.points, old.points)
    with pytest.raises(InputError, match="read without its model"):
        back.rewrite([1])
    new = back.written_by(Machine()).rewrite([1], seed=3)
    assert torch.equal(new.words[1].points, page.rewrite([1], seed=3).words[1].points)


def test_damaged_pages_are_refused():
    good = page_of("one two").to_json()
    ink = good["words"][0]["ink"]
    for damage in (
        {"format": "x"},
        {"words": good["words"][::-1]},
        {"words": [{**good["words"][0], "ink": []}]},
        {"words": [{**good["words"][0], "ink": [[1, 2]]}]},
        {"words": [{**good["words"][0], "ink": [[float("nan"), 0, 1]] * len(ink)}]},
        {"words": [{**good["words"][0], "x": float("inf")}]},
        {"layout": {}},
        {"manner": None},
        {"text": ""},
    ):
        with pytest.raises(InputError, match="no page"):
            page_from_json({**good, **damage})
    for nothing in (None, [], "x", {}):
        with pytest.raises(InputError, match="no page"):
            page_from_json(nothing)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"paper": "a9"}, "paper must be a3, a4"),
        ({"paper": "0x0"}, "side of the paper"),
        ({"paper": (1e9, 100)}, "side of the paper"),
        ({"size": 0}, "size.*0.3"),
        ({"size": 1e9}, "size"),
        ({"size": float("nan")}, "size must be a length from 0 to 5000 mm.*nan"),
        ({"size": "2ex"}, "size must be a length.*6.5in, not '2ex'"),
        ({"width": "-5"}, "width must be"),
        ({"width": 500}, "wider than the paper"),
        ({"width": 5}, "too short for letters"),
        ({"margin": 150}, "too short|no room|wider"),
        ({"margin": "two"}, "margin must be.*or 60ex, not 'two'"),
        ({"margin": "1e999"}, "margin must be a length.*'1e999'"),
        ({"indent": True}, "indent must be a length.*True"),
        ({"indent": "170mm"}, "too short"),
        ({"line_spacing": 0}, "line_spacing"),
        ({"line_spacing": 1e9}, "line_spacing"),
        ({"wrap": "justified"}, "greedy or balanced, not 'justified'"),
    ],
)
def test_impossible_layouts_are_refused(change, said):
    with pytest.raises(InputError, match=said):
        page_layout(**change)


# --- the shipped model ---------------------------------------------------------------


def test_page_by_hand(tmp_path):
    page = hw.write_page(
        "Dear Ann,\n\nthe apples came on Monday.", "unipen-256", width="30ex",
        style="birch", seed=2,
    )  # fmt: skip
    assert page.problems == [] and page.missing == []
    assert [word.text for word in page.words] == page.text.split()
    for line in page.lines:
        for left, right in zip(line.words, line.words[1:], strict=False):
            assert left.box.left < right.box.left
    path = tmp_path / "page.json"
    path.write_text(json.dumps(page.to_json()))
    new = hw.load_page(path, "unipen-256").rewrite([3], seed=5)
    same = [
        torch.equal(word.points, old.points)
        for word, old in zip(new.words, page.words, strict=True)
    ]
    assert same == [True, True, True, False, True, True, True]
