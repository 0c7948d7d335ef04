"""Words on one baseline: where it lies, and where the next word begins."""

import pytest
import torch

from handwriting_lib.corpora.single_line.glyphs import FONTS, load_font
from handwriting_lib.data.joining import baseline, join_words
from handwriting_lib.errors import InputError
from handwriting_lib.ink import from_strokes, offsets_to_positions


def printed(word, font):
    """A word as a font draws it, with its baseline at 0, and its ink."""
    strokes, x = [], 0.0
    for glyph in (font.glyphs[c] for c in word):
        for stroke in glyph.strokes:
            moved = torch.as_tensor(stroke.targets).clone()
            moved[:, 0] += x
            strokes.append(moved)
        x += glyph.advance
    return from_strokes(strokes), float(strokes[0][0, 1])


@pytest.mark.parametrize("word", ["hello", "yellow", "gallery", "Minimum", "quilt"])
def test_the_baseline_is_that_of_the_font(word):
    away = []
    for name in FONTS:
        ink, first = printed(word, load_font(name))
        away.append(abs(baseline(ink) + first))
    assert sorted(away)[len(away) // 2] < 0.15


def test_a_single_dot_stands_on_its_line():
    assert baseline(torch.tensor([[0.0, 0.0, 1.0]])) == 0


def test_words_are_joined_side_by_side():
    word = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0], [1.0, -2.0, 1.0]])
    low = torch.tensor([[0.0, 0.0, 0.0], [-1.0, -1.0, 0.0], [2.0, 3.0, 1.0]])
    joined = join_words([word, low, word], [0.5, 1.5], [0.25, 0.0])
    at = offsets_to_positions(joined.ink)
    assert joined.word_ends == [2, 5]
    assert torch.equal(at[:, 2], torch.cat([word, low, word])[:, 2])
    assert at[3:6, 0].min() == 2.5 and at[4, 1] == 0.25
    assert at[6, 0] == at[:6, 0].max() + 1.5 and at[6, 1] == 0.25
    torch.testing.assert_close(joined.ink[4:6], low[1:])


def test_the_numbers_have_to_fit():
    with pytest.raises(InputError, match="2 words need 1 gaps"):
        join_words([torch.zeros(1, 3)] * 2, [], [])
    with pytest.raises(InputError, match="0 words"):
        join_words([], [], [])
