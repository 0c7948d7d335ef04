"""Drawing tokens: probabilities against a slow count, draws against probabilities."""

import math
from itertools import islice

import pytest
import torch

from handwriting_lib.errors import InputError
from handwriting_lib.networks import build_network
from handwriting_lib.writing.decode import Decoding, tokens

LOGITS = torch.tensor([[0.1, 2.0, -1.0, 1.2, 0.1], [3.0, 0.0, 0.5, -2.0, 1.0]])


def by_hand(row, temperature, top_k, top_p):
    """One row at a time: sort, keep while there is room, divide by what was kept."""
    weights = [math.exp(value / temperature) for value in row]
    p = [weight / sum(weights) for weight in weights]
    kept, reached = {}, 0.0
    for i in sorted(range(len(p)), key=lambda i: -p[i]):
        if reached >= top_p or len(kept) == (top_k or len(p)):
            break
        kept[i] = p[i]
        reached += p[i]
    return [kept.get(i, 0.0) / sum(kept.values()) for i in range(len(p))]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 5, 9])
@pytest.mark.parametrize("top_p", [0.01, 0.6, 0.9, 1.0])
def test_probabilities_are_those_by_hand(temperature, top_k, top_p):
    p = Decoding(temperature, top_k, top_p).probabilities(LOGITS)
    wanted = [by_hand(row, temperature, top_k, top_p) for row in LOGITS.tolist()]
    torch.testing.assert_close(p, torch.tensor(wanted))


def test_equal_scores_are_cut_to_the_number_asked_for():
    p = Decoding(top_k=2).probabilities(torch.zeros(1, 4))
    assert p.tolist() == [[0.5, 0.5, 0.0, 0.0]]


def test_a_temperature_of_zero_takes_the_best():
    generator = torch.Generator().manual_seed(1)
    for temperature in (0, 1e-30):
        drawn = Decoding(temperature).draw(LOGITS, generator)
        assert drawn.tolist() == [1, 0]
    allowed = torch.tensor([True, False, True, True, True])
    assert Decoding(0).draw(LOGITS, generator, allowed).tolist() == [3, 0]


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(top_k=2, top_p=0.9)])
def test_what_is_not_allowed_is_never_drawn(decoding):
    allowed = torch.tensor([True, False, True, True, False])
    p = decoding.probabilities(LOGITS, allowed)
    assert (p[:, ~allowed] == 0).all()
    torch.testing.assert_close(p.sum(-1), torch.ones(2))


def test_draws_follow_the_probabilities():
    decoding, generator = Decoding(1.5), torch.Generator().manual_seed(1)
    drawn = decoding.draw(LOGITS[:1].expand(20_000, -1), generator)
    shares = drawn.bincount(minlength=5) / 20_000
    wanted = decoding.probabilities(LOGITS[:1])[0]
    torch.testing.assert_close(shares, wanted, atol=0.015, rtol=0)


@pytest.mark.parametrize("kind", ["character", "character-lstm"])
@pytest.mark.parametrize("length", [1, 5, 8, 11])
def test_the_loop_gives_what_reading_everything_anew_gives(kind, length):
    torch.manual_seed(3)
    sizes = {"symbols": 7, "width": 12, "layers": 2, "block": 8}
    network = build_network(kind, sizes | ({"heads": 2} if kind == "character" else {}))
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 2:
                weight.normal_(0, 0.5)
    network.eval()
    text = torch.randint(7, (2, length))
    drawn = tokens(network, text, Decoding(), torch.Generator().manual_seed(2))
    cached = torch.stack(list(islice(drawn, max(0, 9 - min(length, 8)))), 1)
    generator, known = torch.Generator().manual_seed(2), text[:, -8:]
    with torch.no_grad():
        for token in cached.T:
            again = Decoding().draw(network(known).logits[:, -1], generator)
            assert torch.equal(again, token)
            known = torch.cat([known, again[:, None]], 1)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("temperature", [-0.1, math.inf, math.nan, "1", None, True]),
        ("top_k", [0, -3, 1.5, "2", True]),
        ("top_p", [0, -1, 1.1, math.nan, None]),
    ],
)
def test_numbers_out_of_range_are_refused(name, wrong):
    for value in wrong:
        with pytest.raises(InputError, match=rf"{name} must be a .*, not {value!r}"):
            Decoding(**{name: value})
