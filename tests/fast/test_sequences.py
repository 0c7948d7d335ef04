"""The fused passes against loops under autograd, and their gradients by differences."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import linear

from handwriting_lib.fast.sequences import (
    FusedPeepholeLSTM,
    linear_in,
    peephole_sequence,
    windowed_sequence,
)
from handwriting_lib.parts.lstm import LSTMState, PeepholeLSTM, lstm_cell
from handwriting_lib.parts.window import soft_window

DOUBLE = torch.double
T, B, I, H, V, K, U = 4, 3, 2, 3, 5, 2, 6  # noqa: E741


def leaves(*shapes, device="cpu", dtype=DOUBLE):
    return [
        (0.7 * torch.randn(shape, dtype=dtype, device=device)).requires_grad_()
        for shape in shapes
    ]


def peephole_inputs(steps=T, **options):
    """x, h, c and the weights of a layer with inputs I."""
    return leaves(
        (steps, B, I), (B, H), (B, H), (4 * H, I), (4 * H, H), (4 * H,), (3, H),
        **options,
    )  # fmt: skip


def layer_of(weight_ih, weight_hh, bias, peephole):
    return SimpleNamespace(
        weight_ih=weight_ih, weight_hh=weight_hh, bias=bias, peephole=peephole
    )


def run_fused(x, h, c, *weights, matmul_dtype=None, limit=None):
    out, state = peephole_sequence(
        x, layer_of(*weights), LSTMState(h, c), matmul_dtype, limit
    )
    return out, state.h, state.c


def run_loop(x, h, c, *weights, limit=None):
    state, out = LSTMState(h, c), []
    for x_t in x:
        state = lstm_cell(x_t, state, *weights, limit)
        out.append(state.h)
    return torch.stack(out), state.h, state.c


def windowed_inputs(steps=T, **options):
    """x, h, c, w, kappa, the layer's weights, the window's weight and bias."""
    inputs = leaves(
        (steps, B, I), (B, H), (B, H), (B, V), (B, K),
        (4 * H, I + V), (4 * H, H), (4 * H,), (3, H), (3 * K, H), (3 * K,),
        **options,
    )  # fmt: skip
    with torch.no_grad():
        inputs[4].abs_()
    return inputs


def texts(device="cpu"):
    """Texts of 6, 4 and 3 slots; the rest is padding with an index of its own."""
    text = torch.tensor([[1, 2, 3, 4, 1, 0], [2, 2, 3, 0, 4, 4], [3, 1, 0, 1, 2, 3]])
    mask = torch.arange(U) < torch.tensor([6, 4, 3])[:, None]
    return text.to(device), mask.to(device)


def run_windowed(x, h, c, w, kappa, *weights, matmul_dtype=None, limit=None):
    text, mask = texts(x.device)
    layer, window = layer_of(*weights[:4]), SimpleNamespace()
    window.weight, window.bias = weights[4:]
    out = windowed_sequence(
        x, layer, window, LSTMState(h, c), w, kappa, text, mask, matmul_dtype, limit
    )
    return out.h, out.w, out.c, out.kappa, out.phi


def run_windowed_loop(x, h, c, w, kappa, *weights, limit=None):
    text, mask = texts(x.device)
    weight_ih, weight_hh, bias, peephole, window_weight, window_bias = weights
    state, hs, ws, phis = LSTMState(h, c), [], [], []
    for x_t in x:
        state = lstm_cell(
            torch.cat([x_t, w], 1), state, weight_ih, weight_hh, bias, peephole, limit
        )
        alpha, beta, step = linear(state.h, window_weight, window_bias).chunk(3, -1)
        w, kappa, phi = soft_window(alpha, beta, step, kappa, text, mask, V)
        hs.append(state.h)
        ws.append(w)
        phis.append(phi)
    return torch.stack(hs), torch.stack(ws), state.c, kappa, torch.stack(phis)


def gradients(outputs, inputs, seed=0):
    """Of a random weighted sum of the outputs."""
    generator = torch.Generator().manual_seed(seed)
    loss = sum(
        (o * torch.randn(o.shape, generator=generator).to(o)).sum() for o in outputs
    )
    return torch.autograd.grad(loss, inputs)


# --- one peephole layer ----------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_the_fused_layer_equals_the_loop(device, steps):
    inputs = peephole_inputs(steps, device=device)
    fused, loop = run_fused(*inputs), run_loop(*inputs)
    torch.testing.assert_close(fused, loop)
    torch.testing.assert_close(gradients(fused, inputs), gradients(loop, inputs))


def test_gradients_of_the_fused_layer_by_differences():
    assert torch.autograd.gradcheck(run_fused, peephole_inputs())


def test_each_output_alone_has_its_gradient():
    inputs = peephole_inputs()
    for i in range(3):
        fused, loop = run_fused(*inputs)[i], run_loop(*inputs)[i]
        for one, other in zip(
            torch.autograd.grad(fused.sum(), inputs),
            torch.autograd.grad(loop.sum(), inputs),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


def test_a_fused_layer_shares_its_weights_with_the_loop(device):
    fused, loop = FusedPeepholeLSTM(I, H).to(device), PeepholeLSTM(I, H).to(device)
    loop.load_state_dict(fused.state_dict())
    x = torch.randn(B, 50, I, device=device)  # batch first
    one, other = fused(x), loop(x)
    torch.testing.assert_close(one[0], other[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(tuple(one[1]), tuple(other[1]), atol=1e-6, rtol=1e-5)
    again = fused(x[:, 20:], fused(x[:, :20])[1])[0]
    torch.testing.assert_close(again, one[0][:, 20:], atol=1e-6, rtol=1e-5)


def test_frozen_weights_and_no_gradient_at_all():
    inputs = peephole_inputs()
    x, rest = inputs[0], [tensor.detach() for tensor in inputs[1:]]
    (one,) = torch.autograd.grad(run_fused(x, *rest)[0].sum(), x)
    (other,) = torch.autograd.grad(run_loop(x, *rest)[0].sum(), x)
    torch.testing.assert_close(one, other)
    with torch.no_grad():
        assert not run_fused(*inputs)[0].requires_grad


def test_inputs_are_left_as_they_were():
    inputs = peephole_inputs() + windowed_inputs()
    before = [tensor.detach().clone() for tensor in inputs]
    split = len(peephole_inputs())
    gradients(run_fused(*inputs[:split]), inputs[:split])
    gradients(run_windowed(*inputs[split:])[:4], inputs[split:])
    for tensor, copy in zip(inputs, before, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("windowed", [False, True])
def test_a_second_derivative_is_refused_not_wrong(windowed):
    if windowed:
        inputs, run = windowed_inputs(), run_windowed
    else:
        inputs, run = peephole_inputs(), run_fused
    (first,) = torch.autograd.grad(
        run(*inputs)[0].square().sum(), inputs[1], create_graph=True
    )
    with pytest.raises(RuntimeError, match="no second derivative"):
        first.sum().backward()


# --- the layer with the window ---------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 30])
def test_the_windowed_layer_equals_the_loop(device, steps):
    inputs = windowed_inputs(steps, device=device)
    fused, loop = run_windowed(*inputs), run_windowed_loop(*inputs)
    torch.testing.assert_close(fused, loop)
    torch.testing.assert_close(
        gradients(fused[:4], inputs), gradients(loop[:4], inputs)
    )


def test_gradients_of_the_windowed_layer_by_differences():
    # all inputs, the states before the first point, w and kappa among them
    assert torch.autograd.gradcheck(
        lambda *inputs: run_windowed(*inputs)[:4], windowed_inputs()
    )


def test_each_output_of_the_windowed_layer_has_its_gradient():
    inputs = windowed_inputs()
    for i in range(4):
        fused, loop = run_windowed(*inputs)[i], run_windowed_loop(*inputs)[i]
        one = torch.autograd.grad(fused.sum(), inputs, allow_unused=True)
        other = torch.autograd.grad(loop.sum(), inputs, allow_unused=True)
        for a, b in zip(one, other, strict=True):
            b = torch.zeros_like(a) if b is None else b
            torch.testing.assert_close(a, b)


def test_padding_of_texts_gets_no_weight():
    phi = run_windowed(*windowed_inputs())[4]
    assert (phi[:, 1, 4:] == 0).all() and (phi[:, 2, 3:] == 0).all()
    assert (phi[:, 0] > 0).all()


def test_phi_is_to_look_at_not_to_train_on():
    assert not run_windowed(*windowed_inputs())[4].requires_grad


def test_window_before_the_first_point_reaches_layer_1():
    # others have left out w_{t-1}
    inputs = windowed_inputs(steps=1)
    h = run_windowed(*inputs)[0]
    (gradient,) = torch.autograd.grad(h.sum(), inputs[3])
    assert (gradient != 0).all()


# --- clipped derivatives ---------------------------------------------------------


def ways(windowed):
    """Inputs, the fused way and the loop, both with outputs that have gradients."""
    if windowed:
        return windowed_inputs(30), run_windowed, run_windowed_loop
    return peephole_inputs(30), run_fused, run_loop


@pytest.mark.parametrize("windowed", [False, True])
def test_fused_and_loop_clip_the_same_derivatives(windowed):
    inputs, fused, loop = ways(windowed)
    plain = gradients(loop(*inputs)[:4], inputs)
    for limit in (0.01, 0.3):
        one = fused(*inputs, limit=limit)[:4]
        other = loop(*inputs, limit=limit)[:4]
        torch.testing.assert_close(one, other)
        clipped = gradients(one, inputs)
        torch.testing.assert_close(clipped, gradients(other, inputs))
        apart = [(a - b).abs().max() for a, b in zip(clipped, plain, strict=True)]
        assert max(apart) > 0.01  # the limit was reached


@pytest.mark.parametrize("windowed", [False, True])
def test_a_limit_that_is_not_reached_changes_nothing(windowed):
    inputs, fused, loop = ways(windowed)
    plain = gradients(fused(*inputs)[:4], inputs)
    for way in (fused, loop):
        far = gradients(way(*inputs, limit=1e6)[:4], inputs)
        torch.testing.assert_close(far, plain)


def test_a_fused_layer_clips_as_its_loop_does():
    layer = FusedPeepholeLSTM(I, H).double()
    x = torch.randn(B, 20, I, dtype=DOUBLE)
    weights = list(layer.parameters())
    one = layer(x, gate_limit=0.01)[0].square().sum()
    other = PeepholeLSTM.forward(layer, x, gate_limit=0.01)[0].square().sum()
    torch.testing.assert_close(
        torch.autograd.grad(one, weights), torch.autograd.grad(other, weights)
    )


# --- products in another type ----------------------------------------------------


def distance(one, other):
    return ((one - other).norm() / other.norm()).item()


@pytest.mark.parametrize("windowed", [False, True])
def test_bfloat16_products_come_close(device, windowed):
    # bfloat16 keeps 8 bits, relative steps of 0.4 %; sums stay in float32
    inputs = (windowed_inputs if windowed else peephole_inputs)(
        20, device=device, dtype=torch.float32
    )
    run = run_windowed if windowed else run_fused
    exact = run(*inputs)[:4]
    close = run(*inputs, matmul_dtype=torch.bfloat16)[:4]
    for one, other in zip(close, exact, strict=False):
        assert one.dtype == torch.float32
        assert distance(one, other) < 0.02
    pairs = zip(gradients(close, inputs), gradients(exact, inputs), strict=True)
    for one, other in pairs:
        assert one.dtype == torch.float32
        assert 0 < distance(one, other) < 0.05


def test_linear_in_is_linear(device):
    x, weight, bias = leaves((7, 2, 5), (4, 5), (4,), device=device, dtype=torch.float)
    exact = linear(x, weight, bias)
    torch.testing.assert_close(linear_in(x, weight, bias), exact)
    close = linear_in(x, weight, bias, torch.bfloat16)
    assert close.dtype == torch.float32
    assert 0 < distance(close, exact) < 0.01
    inputs = (x, weight, bias)
    pairs = zip(gradients([close], inputs), gradients([exact], inputs), strict=True)
    for one, other in pairs:
        assert distance(one, other) < 0.01
