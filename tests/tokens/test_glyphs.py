"""Outlines as tokens: half a step of the grid, nothing unknown, nothing misread."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from handwriting_lib.corpora.outlines import load_outlines
from handwriting_lib.errors import InputError
from handwriting_lib.outline import parse
from handwriting_lib.tokens.glyphs import (
    ADVANCE,
    CONTROL,
    END,
    GRAMMAR,
    KINDS,
    GlyphTokens,
)

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
TOKENS = GlyphTokens()


@pytest.fixture(scope="module")
def outlines():
    fonts = [
        load_outlines(FONTS / name).fonts[0]
        for name in ("DejaVuSerif-Italic.ttf", "cmti10.ttf")
    ]
    return [outline for font in fonts for outline in font.glyphs.values()]


@pytest.mark.parametrize("grid", [32, 128, 1000])
def test_no_point_moves_by_more_than_half_a_step(outlines, grid):
    tokens = GlyphTokens(grid)
    worst = 0.0
    for outline in outlines:
        rows = tokens.encode(outline)
        back = tokens.decode(rows)
        assert [len(c) for c in back.contours] == [len(c) for c in outline.contours]
        away = np.abs(back.points - outline.points)
        assert away[:, 2].max() == 0
        worst = max(worst, away[:, :2].max() * grid)
        assert abs(back.advance - outline.advance) * grid <= 0.5 + 1e-9
        assert torch.equal(tokens.encode(back), rows)
    assert 0.4 < worst <= 0.5 + 1e-9


def test_no_token_is_unknown(outlines):
    # a vocabulary without a sign once spoilt three fifths of somebody's glyphs
    rows = torch.cat([TOKENS.encode(outline) for outline in outlines])
    assert rows.min() >= 0 and rows[:, 0].unique().tolist() == list(range(len(KINDS)))
    assert rows[:, 1].max() <= TOKENS.no_x and rows[:, 2].max() <= TOKENS.no_y
    points = np.concatenate([outline.points for outline in outlines])
    assert (points[:, :2] < 0).any(0).all()  # there are signs to lose
    inside = rows[(rows[:, 0] != END) & (rows[:, 2] != TOKENS.no_y)]
    assert torch.equal(
        inside[:, 1:] + torch.tensor(TOKENS.lowest),
        torch.from_numpy(np.rint(points[:, :2] * TOKENS.grid).astype(np.int64)),
    )


def test_what_does_not_fit_is_refused():
    far = parse("M 0 0 L 9 0 L 0 1 Z", advance=1.0)
    for outline in (far, parse("", 1.0), parse("M0 0L1 0L0 1Z", 7.0)):
        assert not TOKENS.fits(outline)
        with pytest.raises(InputError, match="within"):
            TOKENS.encode(outline)
    for wrong in ({"grid": 4}, {"grid": 8.0}, {"left": 0.5}, {"top": 0.5}):
        with pytest.raises(InputError):
            GlyphTokens(**wrong)


rows_of_tokens = st.lists(
    st.tuples(st.integers(-1, 6), st.integers(-2, 240), st.integers(-2, 240)),
    max_size=12,
)


@given(rows_of_tokens)
@settings(max_examples=60, deadline=None)
def test_rows_are_an_outline_or_an_error(rows):
    try:
        outline = TOKENS.decode(rows)
    except InputError:
        return
    assert TOKENS.fits(outline)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_what_the_grammar_allows_is_read(data):
    state, rows = "begin", []
    while GRAMMAR[state]:
        kind = data.draw(st.sampled_from(sorted(GRAMMAR[state])))
        least = -TOKENS.lowest[0] if kind == ADVANCE else 0
        x = data.draw(st.integers(least, TOKENS.no_x - 1))
        y = data.draw(st.integers(0, TOKENS.no_y - 1))
        rows.append((kind, x, y))
        state = GRAMMAR[state][kind]
    outline = TOKENS.decode(rows)
    assert len(outline.points) == len(rows) - 2
    assert (outline.points[:, 2] < 0.5).sum() == sum(r[0] == CONTROL for r in rows)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "rows of 3"),
        ([[1, 50, 0]], "does not end"),
        ([[1, 50, 0], [0, 0, 0]], "row 2: no end"),
        ([[2, 50, 0]], "row 1: no start"),
        ([[1, 50, 0], [2, 1, 1], [3, 2, 2], [0, 0, 0]], "row 4: no end"),
        ([[1, 50, 0], [2, 1, 1], [9, 2, 2]], "row 3: no kind 9"),
        ([[1, 50, 0], [2, 1, 999]], "row 2: the coordinate 999"),
        ([[1, 47, 0]], "row 1: the advance must not be negative"),
    ],
)
def test_wrong_rows_are_told_apart(rows, told):
    with pytest.raises(InputError, match=told):
        TOKENS.decode(rows)
