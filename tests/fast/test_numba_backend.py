"""The operations of a backend, compiled by Numba, against those in plain torch."""

import math

import pytest
import torch

from handwriting_lib.fast import operators, sequences
from handwriting_lib.fast.torch_backend import BACKEND as PLAIN
from handwriting_lib.parts.lstm import LSTMState, PeepholeLSTM

pytest.importorskip("numba", reason="Numba is optional")
from handwriting_lib.fast.numba_backend import BACKEND as NUMBA

BOTH = PLAIN, NUMBA
# H is no multiple of the numbers in a vector register, V + H neither
B, H, V, K, U = 5, 37, 9, 3, 11


def call(backend, name, arguments):
    getattr(backend, name)(
        *(backend.array(a) if isinstance(a, torch.Tensor) else a for a in arguments)
    )


def run(name, once, tolerance=2e-6):
    """What each backend makes of the same arguments."""
    results = [copies(once) for _ in BOTH]
    for backend, arguments in zip(BOTH, results, strict=True):
        call(backend, name, arguments)
    torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance)
    return results[1]


def copies(tensors):
    return [t.clone() if isinstance(t, torch.Tensor) else t for t in tensors]


def gates():
    """z, recurrent, c, peephole, new_c, tanh_c, row, V."""
    z, recurrent = 4 * torch.randn(B, 4 * H), 4 * torch.randn(B, 4 * H)
    c, peephole = torch.randn(B, H), torch.randn(3, H)
    return [z, recurrent, c, peephole, torch.empty(B, H), torch.empty(B, H),
            torch.zeros(B, V + H), V]  # fmt: skip


def window():
    """moves, kappa, new_kappa, phi, text, mask, row, 0, V."""
    text = torch.randint(V, (B, U))
    mask = (torch.arange(U) < torch.tensor([[U], [8], [5], [2], [1]])).float()
    moves, kappa = torch.randn(B, 3 * K), 6 * torch.rand(B, K)
    return [moves, kappa, torch.empty(B, K), torch.empty(B, U), text, mask,
            torch.zeros(B, V + H), 0, V]  # fmt: skip


def test_gates():
    *_, row, _ = run("forward_gates", gates())
    assert (row[:, :V] == 0).all()  # what stands before h is left alone


@pytest.mark.parametrize("limit", [math.inf, 0.25])
def test_gates_backwards(limit):
    z, recurrent, c, peephole, new_c, tanh_c, *row = gates()
    PLAIN.forward_gates(z, recurrent, c, peephole, new_c, tanh_c, *row)
    d_out, d_next, d_c = torch.randn(B, H), torch.randn(B, V + H), torch.randn(B, H)
    d_z = run(
        "backward_gates",
        [d_out, d_next, z, c, tanh_c, d_c, peephole, torch.empty(B, 4 * H), limit],
    )[7]
    largest = d_z.abs().max()
    assert largest == limit if limit < 1 else largest > 0.25


def test_window():
    _, _, _, phi, _, _, row, _, _ = run("forward_window", window())
    assert (phi[3, 2:] == 0).all() and (phi[0] > 0).all()
    assert (row[:, V:] == 0).all()  # what stands after w is left alone


def test_window_backwards():
    moves, kappa, new_kappa, phi, text, mask, *row = window()
    PLAIN.forward_window(moves, kappa, new_kappa, phi, text, mask, *row)
    d_w, d_next = torch.randn(B, V), torch.randn(B, V + H)
    d_kappa, d_moves = torch.randn(B, K), torch.empty(B, 3 * K)
    run(
        "backward_window",
        [d_w, d_next, moves, new_kappa, text, mask, d_kappa, d_moves],
    )


@pytest.mark.parametrize("sharp", [0.5, 2.0])
def test_a_draw(sharp):
    output = 2 * torch.randn(500, 6 * 20 + 1)
    pick, end, normal = torch.rand(500, 1), torch.randn(500, 1), torch.randn(500, 2)
    once = [output, sharp, pick, end, normal, torch.empty(500, 3)]
    # 1 - rho^2 loses digits where rho is near one
    point = run("draw", once, 1e-3)[-1]
    assert 0.2 < point[:, 2].mean() < 0.8


def test_large_numbers_and_none():
    # the exponential: 0 where it is too small for float32, infinite where too large
    z = torch.tensor([[-1000.0, -88.0, 0.0, 88.0, 1000.0, math.inf, -math.inf]] * 4)
    z = z.view(1, -1)
    values = []
    for backend in BOTH:
        tensors = [z.clone(), torch.zeros_like(z), torch.zeros(1, 7), torch.zeros(3, 7)]
        call(backend, "forward_gates", [*tensors, *torch.empty(3, 1, 7), 0])
        values.append(tensors[0])
    torch.testing.assert_close(*values, rtol=1e-6, atol=1e-30)
    far = [torch.zeros(1, 3), torch.full((1, 1), 100.0), torch.empty(1, 1),
           torch.ones(1, 2), torch.ones(1, 2, dtype=torch.int64), torch.ones(1, 2),
           torch.ones(1, V), 0, V]  # fmt: skip
    call(NUMBA, "forward_window", far)
    assert (far[3] == 0).all()  # dark, which `check_line` looks for


def test_a_number_that_is_none_stays_none():
    tensors = gates()
    tensors[0][1, 2] = math.nan
    call(NUMBA, "forward_gates", tensors)
    assert tensors[4][1, 2].isnan() and tensors[4].isnan().sum() == 1
    tensors = window()
    tensors[0][1, K] = math.nan
    call(NUMBA, "forward_window", tensors)
    assert tensors[3][1].isnan().all() and not tensors[3][0].isnan().any()


def test_what_a_product_reads_is_kept_in_its_type():
    z, recurrent, c, peephole, new_c, tanh_c, *_ = gates()
    moves, kappa, new_kappa, phi, text, mask, *_ = window()
    for backend in BOTH:
        one = torch.zeros(B, V + H)
        low = torch.zeros(B, V + H, dtype=torch.bfloat16)
        array = backend.array
        backend.forward_gates(
            array(z.clone()), array(recurrent), array(c), array(peephole),
            array(new_c), array(tanh_c), array(one), V, low,
        )  # fmt: skip
        backend.forward_window(
            array(moves.clone()), array(kappa), array(new_kappa), array(phi),
            array(text), array(mask), array(one), 0, V, low,
        )  # fmt: skip
        assert torch.equal(low, one.bfloat16()) and one[:, V:].all()


def test_a_layer_is_the_same_without_numba(monkeypatch):
    layer = PeepholeLSTM(3, H)
    x = torch.randn(6, B, 3)

    def run_layer(matmul_dtype):
        start = LSTMState(*torch.zeros(2, B, H))
        h, _ = sequences.peephole_sequence(x, layer, start, matmul_dtype)
        return [h, *torch.autograd.grad(h.square().sum(), layer.parameters())]

    for matmul_dtype, tolerance in ((None, 1e-5), (torch.bfloat16, 0.05)):
        with_numba = run_layer(matmul_dtype)
        with monkeypatch.context() as patch:
            patch.setattr(operators, "backend_for", lambda _: PLAIN)
            plain = run_layer(matmul_dtype)
        for a, b in zip(with_numba, plain, strict=True):
            size = max(1.0, b.abs().max().item())
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * size)


def test_cells_in_int8():
    row = 2 * torch.rand(B, V + H) - 1
    row[0, V : V + 4] = torch.tensor([1.0, -1.0, 0.5 / 127, 1.5 / 127])  # half to even
    cells = torch.zeros(B, 2 * H, dtype=torch.int8)
    mine = run("quantise", [row, V, cells, H, H], 0)[2]
    assert mine[0, H : H + 4].tolist() == [127, -127, 0, 2]
    assert not mine[:, :H].any() and mine[:, H:].unique().numel() > 50


def test_products_in_int8():
    whole = torch.randint(-(2**20), 2**20, (B, 4 * H), dtype=torch.int32)
    scale, bias = torch.rand(4 * H) / 2**18, torch.randn(B, 4 * H)
    z = run("dequantise", [whole, scale, bias, torch.empty(B, 4 * H)])[3]
    assert z.std() > 1
