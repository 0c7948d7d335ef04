"""The loops with Triton kernels and in plain torch; without a GPU, interpreted."""

import pytest
import torch

from handwriting_lib.fast import loops
from handwriting_lib.fast.torch_backend import BACKEND as PLAIN

pytest.importorskip("triton", reason="Triton is there for Linux only")
from handwriting_lib.fast.triton_backend import BACKEND as TRITON

BOTH = TRITON, PLAIN

T, B, H, V, K, U = 3, 3, 20, 9, 3, 40  # U is more than a kernel takes at a time


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KINDS = [
    (torch.float64, torch.float64, 1e-9),
    (torch.float32, torch.float32, 1e-5),
    (torch.float32, torch.bfloat16, 0.06),
]


def random(*shape, dtype, scale=0.5):
    return scale * torch.randn(shape, dtype=dtype, device=DEVICE)


def layer_inputs(dtype):
    """z_input, h, c, weight_hh, peephole."""
    shapes = (T, B, 4 * H), (B, H), (B, H), (4 * H, H), (3, H)
    return [random(*shape, dtype=dtype) for shape in shapes]


def windowed_inputs(dtype):
    """All that the layer with the window takes but the type of products."""
    z_input, h, c, _, peephole = layer_inputs(dtype)
    text = torch.randint(V, (B, U), device=DEVICE)
    mask = torch.arange(U, device=DEVICE) < torch.tensor([[U], [35], [2]]).to(DEVICE)
    w, kappa = random(B, V, dtype=dtype), random(B, K, dtype=dtype).abs() * 30
    weights = random(4 * H, V + H, dtype=dtype), peephole
    window = random(3 * K, H, dtype=dtype), random(3 * K, dtype=dtype)
    return [z_input, h, c, w, kappa, *weights, *window, text, mask.to(dtype)]


def close(one, other, tolerance):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype, matmul_dtype, tolerance", KINDS)
@pytest.mark.parametrize("limit", [None, 0.0625])
def test_peephole_kernels_equal_the_loop(dtype, matmul_dtype, tolerance, limit):
    z_input, *rest = layer_inputs(dtype)
    traces = [
        loops.peephole_forward(backend, z_input.clone(), *rest, matmul_dtype)
        for backend in BOTH
    ]
    close(*traces, tolerance)
    # the loops hand on views: derivatives come with strides of their own
    d_hs = random(B, T, H, dtype=dtype).transpose(0, 1)
    d_c = random(B, H, dtype=dtype)
    results = []
    for backend in BOTH:
        d = d_c.clone()
        gradients = loops.peephole_backward(
            backend, traces[1], *rest[2:], d_hs, d, limit
        )
        results.append((*gradients, d))
    close(*results, tolerance)
    assert results[0][0].abs().max() > (0.06 if limit else 0.1)


@pytest.mark.parametrize("dtype, matmul_dtype, tolerance", KINDS)
@pytest.mark.parametrize("limit", [None, 0.0625])
def test_windowed_kernels_equal_the_loop(dtype, matmul_dtype, tolerance, limit):
    z_input, *rest = windowed_inputs(dtype)
    (one, read), (other, window) = (
        loops.windowed_forward(backend, z_input.clone(), *rest, matmul_dtype)
        for backend in BOTH
    )
    close(one, other, tolerance)
    close(read, window, tolerance)
    assert (read.phis[:, 2, 2:] == 0).all() and (read.phis[:, 0] > 0).any()
    d_out = random(B, T, V + H, dtype=dtype).transpose(0, 1)
    d_ws, d_hs = d_out.tensor_split([V], -1)
    starts = random(B, H, dtype=dtype), random(B, K, dtype=dtype)
    results = []
    for backend in BOTH:
        d_c, d_kappa = (start.clone() for start in starts)
        gradients = loops.windowed_backward(
            backend, other, window, rest[4], rest[5], rest[6],
            d_hs, d_ws, d_c, d_kappa, limit,
        )  # fmt: skip
        results.append((*gradients, d_c, d_kappa))
    for a, b in zip(*results, strict=True):
        # moments of distances up to 40: compared by size
        torch.testing.assert_close(
            a, b, rtol=tolerance, atol=tolerance * max(1.0, b.abs().max().item())
        )
