"""Outlines in the page: against the library's tokens and rasters, and under a hand."""

from __future__ import annotations

import numpy as np
import pytest

import handwriting_lib as hw
from handwriting_lib.outline import overlap, parse, render
from handwriting_lib.widgets import GlyphGrid, GlyphPrograms
from handwriting_lib.widgets.glyphs import STEPS
from handwriting_lib.writing.glyphs import Glyph

TOKENS = hw.GlyphTokens()
WEDGE = parse("M 0.05 0 L 0.3 0.7 L 0.55 0 Z", 0.6)
RING = parse(
    "M 0.3 -0.01 Q 0.05 0 0.04 0.25 Q 0.03 0.51 0.31 0.5 Q 0.56 0.47 0.55 0.24 "
    "Q 0.54 0 0.3 -0.01 Z M 0.31 0.1 L 0.44 0.23 L 0.3 0.4 L 0.17 0.26 Z",
    0.61,
)
GLYPH = Glyph("A", "sans", TOKENS.encode(WEDGE), WEDGE, 40.0)


def glyph(character, style, outline=WEDGE, keep=None):
    """A glyph, or one whose program breaks off."""
    rows = TOKENS.encode(outline)[:keep]
    return Glyph(character, style, rows, None if keep else outline, 40.0)


def programs():
    every = [glyph("A", "sans"), glyph("o", "sans", RING), glyph("o", "sans", WEDGE)]
    broken = [glyph("A", "sans", keep=3), *every[1:]]
    return GlyphPrograms({0.5: every, 1.0: every}, {0.5: every, 1.0: broken})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GlyphGrid({}), "at least one outline"),
        (lambda: GlyphGrid({" ": hw.Outline(0.3, ())}), "each with a contour"),
        (lambda: GlyphGrid({"A": WEDGE}, 100), "grid must be one of .*, not 100"),
        (lambda: GlyphPrograms({}, {}), "same temperatures"),
        (lambda: GlyphPrograms({1: [GLYPH]}, {2: [GLYPH]}), r"of \[1\] and of \[2\]"),
        (
            lambda: GlyphPrograms({1: [GLYPH, glyph("b", "sans")]}, {1: [GLYPH]}),
            "no 'b' in the style sans at temperature 1:",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
def test_the_grid_and_the_overlap_are_those_of_python(run_module):
    given = [[[float(v) for v in row] for row in c] for c in RING.contours]
    found = run_module(
        ["glyph_paths", "glyph_grid"],
        """
        return given.steps.map(steps => {
          const rounded = onGrid(given.ring, steps);
          const away = farthest(given.ring, rounded);
          return [rounded, away, overlapOf(given.ring, rounded)];
        });
        """,
        ring=given,
        steps=STEPS,
    )
    for steps, (rounded, away, shared) in zip(STEPS, found, strict=True):
        tokens = hw.GlyphTokens(steps)
        back = tokens.decode(tokens.encode(RING))
        for ours, theirs in zip(back.contours, rounded, strict=True):
            assert np.allclose(ours, theirs, atol=1e-9)
        moved = np.abs(back.points - RING.points).max()
        assert away == pytest.approx(moved, abs=1e-6)
        wanted = overlap(render(RING, 256), render(back, 256))
        assert shared == pytest.approx(wanted, abs=0.01)


@pytest.mark.slow
def test_a_program_makes_the_contours_of_python(run_module):
    rows = TOKENS.encode(RING)
    found = run_module(
        ["glyph_paths"],
        """
        return given.rows.map((_, i) => {
          const run = runProgram(given.rows, i + 1, given);
          return [run.closed, run.open, rowInWords(given.rows[i], given)];
        });
        """,
        rows=rows.tolist(),
        grid=TOKENS.grid,
        lowest=list(TOKENS.lowest),
    )
    closed, unfinished, words = found[-1]
    assert unfinished == [] and words == "end"
    for ours, theirs in zip(TOKENS.decode(rows).contours, closed, strict=True):
        assert np.allclose(ours, [[x, y, int(on)] for x, y, on in theirs])
    assert found[0][2] == "advance 78" and found[1][2] == "start 38, \N{MINUS SIGN}1"
    assert [len(open_) for _, open_, _ in found[:5]] == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_they_show_and_every_control_moves_them(show, narrow):
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(GlyphGrid({"A": WEDGE, "o": RING}), programs(), **how)
    before = page.pictures(0), page.find("output", 0).text
    page.slider("steps of an em", 0).send_keys(Keys.HOME)
    assert page.pictures(0) != before[0] and page.find("output", 0).text != before[1]

    def says(*parts):
        page.settle()
        said = page.find("output", 1).text
        assert all(part in said for part in parts), said

    says("Row 5 of 5: end.", "3 programs", "3 are outlines")
    page.slider("row", 1).send_keys(Keys.HOME)
    says("Row 1 of 5: advance 77.")
    page.slider("temperature", 1).send_keys(Keys.END)
    page.find("input[type=checkbox]", 1).click()
    says("Row 3 of 3", "no outline: it does not end", "2 are outlines")
    first = page.pictures(1)
    which = page.find("select", 1)
    page.run(
        "arguments[0].value = '1'; arguments[0].dispatchEvent(new Event('change'))",
        which,
    )
    says("of 14: end.")
    assert page.pictures(1) != first
    page.button("Another draw", 1).click()
    says("Row 5 of 5: end.")
