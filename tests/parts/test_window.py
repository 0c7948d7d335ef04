"""The soft window against a triple loop."""

import math

import pytest
import torch

from handwriting_lib.parts.window import WindowParameters, soft_window

DOUBLE = torch.double


def window_by_loops(log_alpha, log_beta, log_step, kappa, text, lengths, symbols):
    """Graves 2013, eqs 46 to 51, one number at a time."""
    batch, components = log_alpha.shape
    w = torch.zeros(batch, symbols, dtype=DOUBLE)
    new_kappa = torch.zeros(batch, components, dtype=DOUBLE)
    phi = torch.zeros(text.shape, dtype=DOUBLE)
    for b in range(batch):
        for k in range(components):
            new_kappa[b, k] = kappa[b, k] + math.exp(log_step[b, k])
            for u in range(1, lengths[b] + 1):  # u counts from 1
                bump = math.exp(log_alpha[b, k]) * math.exp(
                    -math.exp(log_beta[b, k]) * (float(new_kappa[b, k]) - u) ** 2
                )
                phi[b, u - 1] += bump
                w[b, text[b, u - 1]] += bump
    return w, new_kappa, phi


def arguments(batch=3, components=4, slots=7, symbols=6, device="cpu"):
    numbers = torch.randn(3, batch, components, dtype=DOUBLE, device=device)
    kappa = 3 * torch.rand(batch, components, dtype=DOUBLE, device=device)
    text = torch.randint(symbols, (batch, slots), device=device)
    lengths = [slots, slots - 2, slots - 4]
    mask = torch.arange(slots) < torch.tensor(lengths)[:, None]
    return [*numbers, kappa, text, mask.to(device)], lengths


def test_the_window_is_the_triple_loop(device):
    (*numbers, text, mask), lengths = arguments(device=device)
    window = soft_window(*numbers, text, mask, 6)
    wanted = window_by_loops(*(n.cpu() for n in numbers), text.cpu(), lengths, 6)
    torch.testing.assert_close(tuple(part.cpu() for part in window), wanted)


def test_padding_of_texts_changes_nothing():
    # others have scaled the window by the padded length, or left padding unmasked
    (*numbers, text, mask), lengths = arguments()
    short = lengths[2]
    together = soft_window(*numbers, text, mask, 6)
    alone = soft_window(
        *(n[2:] for n in numbers), text[2:, :short], mask[2:, :short], 6
    )
    assert (together.phi[2, short:] == 0).all()
    torch.testing.assert_close(together.phi[2, :short], alone.phi[0])
    torch.testing.assert_close(together.w[2], alone.w[0])
    other = torch.where(mask, text, 5)
    torch.testing.assert_close(soft_window(*numbers, other, mask, 6), together)


def test_bumps_only_move_forward():
    (*numbers, text, mask), _ = arguments()
    log_alpha, log_beta, log_step, kappa = numbers
    places = [kappa]
    for _ in range(5):
        window = soft_window(log_alpha, log_beta, log_step, places[-1], text, mask, 6)
        places.append(window.kappa)
    steps = torch.stack(places).diff(dim=0)
    torch.testing.assert_close(steps, log_step.exp().expand(5, 3, 4))


def test_what_is_read_is_the_weighted_sum_of_characters():
    (*numbers, text, mask), _ = arguments()
    window = soft_window(*numbers, text, mask, 6)
    torch.testing.assert_close(window.w.sum(1), window.phi.sum(1))  # not normalised
    assert not torch.allclose(window.w.sum(1), torch.ones(3, dtype=DOUBLE))


def test_a_sharp_bump_reads_one_character():
    text = torch.tensor([[4, 2, 5, 0]])
    mask = torch.ones_like(text).bool()
    for place, character in enumerate(text[0].tolist()):
        kappa = torch.full((1, 1), float(place))
        zero = torch.zeros(1, 1)
        w = soft_window(zero, zero + 5, zero, kappa, text, mask, 6).w
        assert w[0].argmax() == character
        assert float(w[0, character]) == pytest.approx(1, abs=1e-6)


def test_the_window_has_gradients():
    (*numbers, text, mask), _ = arguments()
    for n in numbers:
        n.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *inputs: tuple(soft_window(*inputs, text, mask, 6)), numbers
    )


def test_parameters_come_in_the_order_alpha_beta_step():
    layer = WindowParameters(5, 4).double()
    h, kappa = torch.randn(3, 5, dtype=DOUBLE), torch.rand(3, 4, dtype=DOUBLE)
    (*_, text, mask), _ = arguments()
    alpha, beta, step = (h @ layer.weight.T + layer.bias).split(4, 1)
    wanted = soft_window(alpha, beta, step, kappa, text, mask, 6)
    torch.testing.assert_close(layer.read(h, kappa, text, mask, 6), wanted)


def test_the_window_starts_at_a_walking_pace():
    layer = WindowParameters(64, 200, step=0.05)
    steps = layer(torch.zeros(1, 64)).chunk(3, -1)[2].exp().detach()
    assert float(steps.mean()) == pytest.approx(0.05, rel=0.1)
    assert steps.unique().numel() > 100  # bumps that start alike stay alike


def test_the_window_starts_some_characters_wide():
    layer = WindowParameters(64, 5)
    alpha, beta, _ = layer(torch.zeros(1, 64)).chunk(3, -1)
    assert (alpha.exp() == 1).all()
    width = (0.5 / beta.exp()).sqrt()  # the deviation of each bump, in characters
    assert ((width > 0.8) & (width < 1)).all()
    largest = layer.weight.detach().abs().max()
    assert float(largest) < 0.1 / 8  # a tenth of torch's bound
