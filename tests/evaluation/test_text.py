"""Measures of texts: n-grams against slow counts, copies against a search."""

import math
import random

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.evaluation.text import NGrams, cross_entropy, memorised_share
from handwriting_lib.networks import build_network
from handwriting_lib.tokens.characters import Vocabulary

TEXT = "the cat sat on the mat and ate the hat. "
VOCABULARY = Vocabulary.of(TEXT + "xyz")


def by_hand(text, character, known):
    """The recursion of the docstring, with counts by a search."""
    seen = [text[i + len(known)] for i in range(len(text) - len(known))
            if text.startswith(known, i)]  # fmt: skip
    shorter = by_hand(text, character, known[1:]) if known else 1 / len(VOCABULARY)
    kinds = len(set(seen))
    if not kinds:
        return shorter
    return (seen.count(character) + kinds * shorter) / (len(seen) + kinds)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_ngrams_are_those_by_hand(order):
    ngrams, draws = NGrams(TEXT, order, VOCABULARY), random.Random(1)
    for known in ("", "t", "the", "e cat ", "xthe", "zz", "and ate the"):
        character = draws.choice(VOCABULARY.characters)
        wanted = by_hand(TEXT, character, known[max(0, len(known) - order + 1) :])
        assert ngrams.probability(character, known) == pytest.approx(wanted)


@pytest.mark.parametrize("known", ["", "t", "the", "q", "the q", "t the ha"])
def test_the_probabilities_of_all_characters_sum_to_one(known):
    ngrams = NGrams(TEXT, 4, VOCABULARY)
    p = [ngrams.probability(c, known) for c in VOCABULARY.characters]
    assert sum(p) == pytest.approx(1.0) and min(p) > 0


def test_the_cross_entropy_is_the_mean_over_a_text():
    ngrams, text = NGrams(TEXT, 3, VOCABULARY), "the hat z"
    p = [ngrams.probability(text[i], text[:i]) for i in range(1, len(text))]
    wanted = -sum(map(math.log, p)) / len(p)
    assert ngrams.cross_entropy(text) == pytest.approx(wanted)


def test_longer_ngrams_know_more_until_the_text_runs_out():
    train, held_out = hw.load_text("book").split()
    vocabulary = Vocabulary.of(train + held_out)
    loss = [
        NGrams(train[:40_000], n, vocabulary).cross_entropy(held_out[:4_000])
        for n in (1, 2, 3, 4)
    ]
    assert loss == sorted(loss, reverse=True)
    assert math.log(len(vocabulary)) > loss[0] > 2.5 > loss[3] > 1.5


@pytest.mark.parametrize("kind", ["character", "character-lstm"])
def test_the_cross_entropy_of_a_model_is_that_of_its_pieces(kind):
    torch.manual_seed(1)
    sizes = {"symbols": len(VOCABULARY), "width": 12, "block": 16}
    network = build_network(kind, sizes | ({"heads": 2} if kind == "character" else {}))
    model = hw.Model(network, vocabulary=VOCABULARY)
    total = 0.0
    network.eval()
    with torch.no_grad():
        for first in range(0, len(TEXT) - 1, 16):
            piece = VOCABULARY.encode(TEXT[first : first + 17])
            log_p = network(piece[None, :-1]).logits[0].log_softmax(-1)
            total -= float(log_p.gather(1, piece[1:, None]).sum())
    network.train()
    wanted = total / (len(TEXT) - 1)
    assert cross_entropy(model, TEXT) == pytest.approx(wanted, rel=1e-5)
    assert network.training


def test_copies_are_those_that_a_search_finds():
    draws = random.Random(2)
    read = "".join(draws.choice("ab") for _ in range(300))
    composed = read[40:90] + "".join(draws.choice("ab") for _ in range(200))
    for length in (4, 8, 20):
        grams = [composed[i : i + length] for i in range(len(composed) - length + 1)]
        wanted = sum(gram in read for gram in grams) / len(grams)
        assert memorised_share(composed, read, length) == pytest.approx(wanted)
    assert memorised_share(read[50:100], read) == 1.0
    assert memorised_share("c" * 20, read) == 0.0


def test_texts_that_are_too_short_or_unknown_are_refused():
    ngrams = NGrams(TEXT, 2, VOCABULARY)
    model = hw.Model(build_network("character", {"symbols": len(VOCABULARY)}),
                     vocabulary=VOCABULARY)  # fmt: skip
    for call, told in (
        (lambda: ngrams.cross_entropy("a"), "a text of 1 characters is too short"),
        (lambda: ngrams.cross_entropy("aQ"), "never read: 'Q'"),
        (lambda: NGrams("aQ", 2, VOCABULARY), "never read: 'Q'"),
        (lambda: NGrams("a", 0, VOCABULARY), "order must be a whole number of at leas"),
        (lambda: memorised_share("a" * 19, TEXT), "give at least 20"),
        (lambda: cross_entropy(model, ""), "a text of 0 characters is too short"),
        (lambda: cross_entropy(hw.load_pretrained(), "abc"), "which cannot compose"),
    ):
        with pytest.raises(hw.HandwritingError, match=told):
            call()
