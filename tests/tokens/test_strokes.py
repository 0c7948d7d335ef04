"""Ink as polar tokens: there and back, at the centres of the bins, nothing unknown."""

import math

import pytest
import torch

from handwriting_lib.corpora import load_corpus
from handwriting_lib.data.transforms import prepare
from handwriting_lib.errors import InputError
from handwriting_lib.ink import offsets_to_positions
from handwriting_lib.tokens.strokes import StrokeTokens

TOKENS = StrokeTokens()


@pytest.fixture(scope="module")
def inks():
    corpus = load_corpus("synthetic", samples=40, seed=4, kinds=("word", "line"))
    return [sample.ink for sample in prepare(corpus).samples]


def test_words_and_lines_come_back(inks):
    errors = []
    for ink, pairs in zip(inks, TOKENS.encode_all(inks), strict=True):
        back = TOKENS.decode(pairs)
        assert back.shape == ink.shape and torch.equal(back[:, 2], ink[:, 2])
        away = offsets_to_positions(back) - offsets_to_positions(ink)
        errors.append(away[:, :2].norm(dim=1))
    whole = torch.cat(errors)
    assert whole.mean() < 0.05 and whole.max() < 1.5


def test_errors_do_not_add_up():
    # each bin on its own would round every one of these steps by the same amount
    ink = torch.tensor([[0.0, 0.0, 0.0]] + [[0.2, 0.013, 0.0]] * 400)
    away = offsets_to_positions(TOKENS.decode(TOKENS.encode(ink)))
    away = away - offsets_to_positions(ink)
    assert away[:, :2].norm(dim=1).max() < 0.03


def test_a_bin_is_decoded_at_its_centre():
    # others decode at the left edge, which turns all ink by half a bin
    at = torch.linspace(-math.pi, math.pi, 721)[:-1]
    offsets = torch.stack([at.cos(), at.sin()], 1) * 0.7
    offsets = torch.cat([offsets, torch.zeros(len(at), 1)], 1)
    pairs = [TOKENS.encode(torch.stack([o * 0, o])) for o in offsets]
    back = torch.stack([TOKENS.decode(pair)[1] for pair in pairs])
    turned = torch.atan2(back[:, 1], back[:, 0]) - at
    turned = torch.remainder(turned + math.pi, 2 * math.pi) - math.pi
    assert abs(turned.mean()) < 1e-3
    assert turned.abs().max() <= math.pi / TOKENS.angles + 1e-6
    length = back.norm(dim=1) / 0.7
    assert length.max() <= math.sqrt(TOKENS.factor) + 1e-6


def test_every_token_is_known_and_used(inks):
    pairs = torch.cat(TOKENS.encode_all(inks))
    assert pairs.min() >= 0
    assert pairs[:, 0].max() < TOKENS.angles and pairs[:, 1].max() < TOKENS.no_shot
    assert len(pairs[:, 0].unique()) == TOKENS.angles


def test_a_line_alone_is_as_in_a_batch(inks):
    together = TOKENS.encode_all(inks[:5])
    assert all(
        torch.equal(TOKENS.encode(ink), pairs)
        for ink, pairs in zip(inks, together, strict=False)
    )


def test_words_are_marked_and_leave_no_trace(inks):
    ink = inks[0]
    pairs = TOKENS.encode(ink, [3, 7])
    marks = (pairs[:, 0] == TOKENS.word).nonzero()[:, 0]
    assert marks.tolist() == [4, 9]
    assert (pairs[marks, 1] == TOKENS.no_shot).all()
    assert torch.equal(TOKENS.decode(pairs), TOKENS.decode(TOKENS.encode(ink)))


def test_long_moves_are_made_up_for():
    ink = torch.tensor([[0.0, 0.0, 1.0], [20.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    back = offsets_to_positions(TOKENS.decode(TOKENS.encode(ink)))
    assert abs(back[1, 0] - 12) < 1e-4 and abs(back[2, 0] - 20) < 1


def test_what_is_no_token_is_named():
    with pytest.raises(InputError, match="angle token 98"):
        TOKENS.decode(torch.tensor([[98, 0]]))
    with pytest.raises(InputError, match="shot token 81"):
        TOKENS.decode(torch.tensor([[0, 81]]))
    with pytest.raises(InputError, match="a mark has no shot"):
        TOKENS.decode(torch.tensor([[0, 80]]))
    with pytest.raises(InputError, match="angles"):
        StrokeTokens(angles=3)
    with pytest.raises(InputError, match="shortest"):
        StrokeTokens(shortest=2.0, longest=1.0)
