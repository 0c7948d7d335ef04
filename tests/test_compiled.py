"""What happens at a point, compiled by Numba, against `pointwise` in torch."""

import math
import sys

import pytest
import torch

from handwriting_lib import fused, pointwise
from handwriting_lib.lstm import LSTMState, PeepholeLSTM

pytest.importorskip("numba", reason="Numba is optional")
from handwriting_lib import compiled

BOTH = pointwise, compiled
# H is no multiple of the numbers in a vector register, V + H neither
B, H, V, K, U = 5, 37, 9, 3, 11


def close(one, other):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-6, atol=2e-6)


def copies(tensors):
    return [t.clone() if isinstance(t, torch.Tensor) else t for t in tensors]


def gates():
    """z, recurrent, c, peephole, new_c, tanh_c, row."""
    z, recurrent = 4 * torch.randn(B, 4 * H), 4 * torch.randn(B, 4 * H)
    c, peephole = torch.randn(B, H), torch.randn(3, H)
    return [z, recurrent, c, peephole, torch.empty(B, H), torch.empty(B, H),
            torch.zeros(B, V + H)]  # fmt: skip


def window():
    """moves, kappa, new_kappa, phi, text, mask, row, V."""
    text = torch.randint(V, (B, U))
    mask = (torch.arange(U) < torch.tensor([[U], [8], [5], [2], [1]])).float()
    moves, kappa = torch.randn(B, 3 * K), 6 * torch.rand(B, K)
    return [moves, kappa, torch.empty(B, K), torch.empty(B, U), text, mask,
            torch.zeros(B, V + H), V]  # fmt: skip


def test_gates():
    once = gates()
    results = [copies(once) for _ in BOTH]
    for points, tensors in zip(BOTH, results, strict=True):
        points.forward_gates(*tensors)
    close(*results)
    assert (results[1][-1][:, :V] == 0).all()  # what stands before h is left alone


@pytest.mark.parametrize("limit", [None, 0.25])
def test_gates_backwards(limit):
    z, recurrent, c, peephole, new_c, tanh_c, row = gates()
    pointwise.forward_gates(z, recurrent, c, peephole, new_c, tanh_c, row)
    d_out, d_next, d_c = torch.randn(B, H), torch.randn(B, V + H), torch.randn(B, H)
    once = [d_out, d_next, z, c, tanh_c, d_c, peephole, torch.empty(B, 4 * H), limit]
    results = [copies(once) for _ in BOTH]
    for points, tensors in zip(BOTH, results, strict=True):
        points.backward_gates(*tensors)
    close(*(tensors[:-1] for tensors in results))
    largest = results[1][7].abs().max()
    assert largest == limit if limit else largest > 0.25


def test_window():
    once = window()
    results = [copies(once) for _ in BOTH]
    for points, tensors in zip(BOTH, results, strict=True):
        points.forward_window(*tensors)
    close(*(tensors[:-1] for tensors in results))
    phi, row = results[1][3], results[1][6]
    assert (phi[3, 2:] == 0).all() and (phi[0] > 0).all()
    assert (row[:, V:] == 0).all()  # what stands after w is left alone


def test_window_backwards():
    tensors = window()
    pointwise.forward_window(*tensors)
    moves, _, kappa, _, text, mask, _, _ = tensors
    d_w, d_next = torch.randn(B, V), torch.randn(B, V + H)
    d_kappa, d_moves = torch.randn(B, K), torch.empty(B, 3 * K)
    once = [d_w, d_next, moves, kappa, text, mask, d_kappa, d_moves]
    results = [copies(once) for _ in BOTH]
    for points, own in zip(BOTH, results, strict=True):
        points.backward_window(*own)
    close(*results)


def test_large_numbers_and_none():
    # the exponential: 0 where it is too small for float32, infinite where too large
    z = torch.tensor([[-1000.0, -88.0, 0.0, 88.0, 1000.0, math.inf, -math.inf]] * 4)
    z = z.view(1, -1)
    values = []
    for points in BOTH:
        tensors = [z.clone(), torch.zeros_like(z), torch.zeros(1, 7), torch.zeros(3, 7)]
        points.forward_gates(*tensors, *torch.empty(3, 1, 7))
        values.append(tensors[0])
    torch.testing.assert_close(*values, rtol=1e-6, atol=1e-30)
    far = [torch.zeros(1, 3), torch.full((1, 1), 100.0), torch.empty(1, 1),
           torch.ones(1, 2), torch.ones(1, 2, dtype=torch.int64), torch.ones(1, 2),
           torch.ones(1, V), V]  # fmt: skip
    compiled.forward_window(*far)
    assert (far[3] == 0).all()  # dark, which `check_line` looks for


def test_a_number_that_is_none_stays_none():
    tensors = gates()
    tensors[0][1, 2] = math.nan
    compiled.forward_gates(*tensors)
    assert tensors[4][1, 2].isnan() and tensors[4].isnan().sum() == 1
    tensors = window()
    tensors[0][1, K] = math.nan
    compiled.forward_window(*tensors)
    assert tensors[3][1].isnan().all() and not tensors[3][0].isnan().any()


def test_who_uses_what(monkeypatch):
    assert fused._points(torch.zeros(1)) is compiled
    assert fused._points(torch.zeros(1, dtype=torch.float64)) is pointwise
    monkeypatch.setitem(sys.modules, "handwriting_lib.compiled", None)
    monkeypatch.delattr("handwriting_lib.compiled")
    assert fused._points(torch.zeros(1)) is pointwise


def test_a_layer_is_the_same_without_numba(monkeypatch):
    layer = PeepholeLSTM(3, H)
    x = torch.randn(6, B, 3)

    def both_ways():
        h, _ = fused.peephole_sequence(x, layer, LSTMState(*torch.zeros(2, B, H)))
        return [h, *torch.autograd.grad(h.square().sum(), layer.parameters())]

    with_numba = both_ways()
    monkeypatch.setattr(fused, "_points", lambda _: pointwise)
    for a, b in zip(with_numba, both_ways(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
