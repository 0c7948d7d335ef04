"""Attention against loops, against torch, and against its own derivative."""

import math

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn.functional import scaled_dot_product_attention

from handwriting_lib.parts.attention import (
    KeyValues,
    MultiHeadAttention,
    attention_by_hand,
    causal_mask,
)

DOUBLE = torch.double


def numbers(*shape, seed=1, dtype=torch.float):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("seen", [5, 8])
def test_the_loops_by_hand_agree_with_torch(causal, seen):
    query, key, value = numbers(5, 4), numbers(seen, 4), numbers(seen, 3, seed=2)
    mask = causal_mask(5, seen, torch.device("cpu")) if causal else None
    wanted = scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(attention_by_hand(query, key, value, causal), wanted)


@pytest.mark.parametrize("causal", [False, True])
def test_the_loops_by_hand_pass_gradcheck(causal):
    inputs = [numbers(4, 3, seed=i, dtype=DOUBLE).requires_grad_() for i in range(3)]
    assert gradcheck(lambda q, k, v: attention_by_hand(q, k, v, causal), inputs)


def attention(width=12, heads=3, **options):
    torch.manual_seed(2)
    made = MultiHeadAttention(width, heads, **options)
    with torch.no_grad():  # so that the weights of attention differ
        made.project.weight[:width].mul_(4)
    return made.eval()


def by_hand(made, x, source, causal):
    """The whole module, one head at a time, with the loops."""
    query = made.project(x).chunk(3, -1)[0]
    _, key, value = made.project(source).chunk(3, -1)
    size = query.shape[-1] // made.heads
    heads = [
        attention_by_hand(*(part.split(size, -1)[h] for part in parts), causal)
        for h in range(made.heads)
        for parts in [(query, key, value)]
    ]
    return made.output(torch.cat(heads, -1))


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_each_head_looks_at_its_own_slice(heads, device):
    made, x = attention(heads=heads), numbers(2, 7, 12)
    out, _ = made.to(device)(x.to(device))
    made.cpu()
    for one, row in zip(out.cpu(), x, strict=True):
        torch.testing.assert_close(one, by_hand(made, row, row, causal=True))


def test_it_is_that_of_torch():
    made, x = attention(), numbers(2, 7, 12)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(made.project.weight)
        theirs.in_proj_bias.copy_(made.project.bias)
        theirs.out_proj.load_state_dict(made.output.state_dict())
    hidden = ~causal_mask(7, 7, torch.device("cpu"))
    wanted, weights = theirs(x, x, x, attn_mask=hidden, average_attn_weights=False)
    torch.testing.assert_close(made(x)[0], wanted)
    torch.testing.assert_close(made.weights(x), weights)


def test_the_cache_gives_what_the_whole_text_gives():
    made, x = attention(), numbers(2, 9, 12)
    whole, known = made(x)
    for cuts in ([1] * 9, [4, 5], [3, 1, 5], [9]):
        cache, parts = None, []
        for part in x.split(cuts, 1):
            out, cache = made(part, cache)
            parts.append(out)
        torch.testing.assert_close(torch.cat(parts, 1), whole)
        torch.testing.assert_close(cache, known)


def test_a_cache_is_a_value():
    made, x = attention(), numbers(1, 5, 12)
    _, cache = made(x[:, :4])
    kept = [part.clone() for part in cache]
    one, _ = made(x[:, 4:], cache)
    made(-x[:, 4:], cache)
    again, _ = made(x[:, 4:], cache)
    assert torch.equal(one, again)
    torch.testing.assert_close(cache, KeyValues(*kept))


@pytest.mark.parametrize("seed", range(5))
def test_the_future_never_leaks(seed):
    made, x = attention(), numbers(1, 8, 12, seed=seed)
    t = int(torch.randint(7, (), generator=torch.Generator().manual_seed(seed)))
    other = x.clone()
    other[:, t + 1 :] = numbers(1, 7 - t, 12, seed=seed + 100)
    one, two = made(x)[0], made(other)[0]
    assert torch.equal(one[:, : t + 1], two[:, : t + 1])
    assert not torch.allclose(one[:, t + 1 :], two[:, t + 1 :])


def test_cross_attention_reads_another_sequence_and_no_padding():
    made = attention()
    x, source = numbers(2, 4, 12), numbers(2, 6, 12, seed=3)
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None]
    out = made.look(x, made.read(source), mask=mask)
    for one, row, text, length in zip(out, x, source, (6, 4), strict=True):
        torch.testing.assert_close(one, by_hand(made, row, text[:length], False))
    # padding in the keys of a text that looks at itself
    made, x = attention(), numbers(1, 6, 12)
    mask = torch.arange(6)[None] < 4
    out = made.look(x, made.read(x), mask=mask, causal=True)
    torch.testing.assert_close(out[:, :4], made(x[:, :4])[0])


def test_weights_sum_to_one_and_know_no_future():
    weights = attention().weights(numbers(2, 6, 12))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 6))
    assert (weights.triu(1) == 0).all()


def test_without_the_root_the_softmax_saturates():
    # why the products are divided: for unit queries and keys they grow as sqrt(D)
    query, key = numbers(200, 256), numbers(200, 256, seed=2)
    products = query @ key.T
    assert products.std() == pytest.approx(math.sqrt(256), rel=0.05)
    assert products.softmax(-1).amax(-1).median() > 0.9
    assert (products / math.sqrt(256)).softmax(-1).amax(-1).median() < 0.1


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="5 heads cannot share a width of 12"):
        MultiHeadAttention(12, 5)
