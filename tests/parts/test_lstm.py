"""The LSTM by hand against torch's own, and the peepholes against a scalar loop."""

import math

import pytest
import torch
from torch import nn

from handwriting_lib.parts.lstm import (
    LSTMState,
    PeepholeLSTM,
    clip_derivative,
    lstm_cell,
    peephole_gradient,
)

DOUBLE = torch.double


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def peephole_cell_by_scalars(x, h, c, layer):
    """Graves 2013, eqs 7 to 11, one number at a time. Lists of floats, (B, ...)."""
    w, r = layer.weight_ih.tolist(), layer.weight_hh.tolist()
    bias, peephole = layer.bias.tolist(), layer.peephole.tolist()
    hidden = layer.hidden_size
    new_h, new_c = [], []
    for x_b, h_b, c_b in zip(x, h, c, strict=True):

        def gate(number, j, x_b=x_b, h_b=h_b):
            row = number * hidden + j
            total = bias[row]
            for k, value in enumerate(x_b):
                total += w[row][k] * value
            for k, value in enumerate(h_b):
                total += r[row][k] * value
            return total

        h_row, c_row = [], []
        for j in range(hidden):
            i = sigmoid(gate(0, j) + peephole[0][j] * c_b[j])
            f = sigmoid(gate(1, j) + peephole[1][j] * c_b[j])
            cell = f * c_b[j] + i * math.tanh(gate(2, j))
            o = sigmoid(gate(3, j) + peephole[2][j] * cell)  # the cell AFTER the step
            c_row.append(cell)
            h_row.append(o * math.tanh(cell))
        new_h.append(h_row)
        new_c.append(c_row)
    return new_h, new_c


def copy_to_torch(layer, other):
    """The weights of `layer`, without its peepholes, into one of torch's."""
    suffix = "_l0" if isinstance(other, nn.LSTM) else ""
    with torch.no_grad():
        layer.peephole.zero_()
        getattr(other, "weight_ih" + suffix).copy_(layer.weight_ih)
        getattr(other, "weight_hh" + suffix).copy_(layer.weight_hh)
        getattr(other, "bias_ih" + suffix).copy_(layer.bias)
        getattr(other, "bias_hh" + suffix).zero_()
    return other


def test_without_peepholes_the_cell_is_torch_s(device):
    layer = PeepholeLSTM(5, 7).to(device, DOUBLE)
    reference = copy_to_torch(layer, nn.LSTMCell(5, 7).to(device, DOUBLE))
    x, h, c = (torch.randn(3, n, dtype=DOUBLE, device=device) for n in (5, 7, 7))
    ours = lstm_cell(x, LSTMState(h, c), layer.weight_ih, layer.weight_hh, layer.bias)
    theirs = reference(x, (h, c))
    torch.testing.assert_close(tuple(ours), theirs)
    torch.testing.assert_close(tuple(layer.step(x, LSTMState(h, c))), theirs)


def test_without_peepholes_the_layer_is_torch_s(device):
    layer = PeepholeLSTM(5, 7).to(device, DOUBLE)
    reference = nn.LSTM(5, 7, batch_first=True).to(device, DOUBLE)
    copy_to_torch(layer, reference)
    x = torch.randn(3, 9, 5, dtype=DOUBLE, device=device)
    h, c = torch.randn(2, 3, 7, dtype=DOUBLE, device=device)
    ours, state = layer(x, LSTMState(h, c))
    theirs, (h_n, c_n) = reference(x, (h[None], c[None]))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(tuple(state), (h_n[0], c_n[0]))


def test_peepholes_follow_the_paper():
    layer = PeepholeLSTM(3, 4).double()
    with torch.no_grad():
        layer.peephole.normal_()
        layer.bias.normal_()
    x, h, c = (torch.randn(2, n, dtype=DOUBLE) for n in (3, 4, 4))
    for _ in range(3):
        wanted = peephole_cell_by_scalars(x.tolist(), h.tolist(), c.tolist(), layer)
        h, c = layer.step(x, LSTMState(h, c))
        torch.testing.assert_close(h, torch.tensor(wanted[0], dtype=DOUBLE))
        torch.testing.assert_close(c, torch.tensor(wanted[1], dtype=DOUBLE))


@pytest.mark.parametrize("gate", [0, 1, 2])
def test_each_peephole_is_diagonal(gate):
    layer = PeepholeLSTM(3, 4).double()
    x, h, c = (torch.randn(1, n, dtype=DOUBLE) for n in (3, 4, 4))
    before = layer.step(x, LSTMState(h, c)).h
    with torch.no_grad():
        layer.peephole[gate, 2] += 1
    changed = (layer.step(x, LSTMState(h, c)).h != before)[0]
    assert changed.tolist() == [False, False, True, False]


def test_the_loop_is_the_step_again_and_again():
    layer = PeepholeLSTM(3, 4).double()
    x, state = torch.randn(2, 6, 3, dtype=DOUBLE), layer.initial_state(2)
    whole, end = layer(x)
    for t in range(6):
        state = layer.step(x[:, t], state)
        torch.testing.assert_close(whole[:, t], state.h)
    torch.testing.assert_close(tuple(end), tuple(state))


def test_going_on_from_a_state_is_going_on():
    layer = PeepholeLSTM(3, 4).double()
    x = torch.randn(2, 6, 3, dtype=DOUBLE)
    whole, end = layer(x)
    first, middle = layer(x[:, :2])
    second, last = layer(x[:, 2:], middle)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(tuple(last), tuple(end))


def test_lines_do_not_see_their_neighbours():
    layer = PeepholeLSTM(3, 4).double()
    x = torch.randn(3, 6, 3, dtype=DOUBLE)
    together = layer(x)[0]
    for row in range(3):
        torch.testing.assert_close(layer(x[row : row + 1])[0], together[row : row + 1])


def test_the_forget_gate_starts_open():
    layer = PeepholeLSTM(3, 4, forget_bias=2.0)
    assert layer.bias.tolist() == [0] * 4 + [2] * 4 + [0] * 8
    assert all((s == 0).all() and s.shape == (5, 4) for s in layer.initial_state(5))
    assert "input_size=3, hidden_size=4" in repr(layer)


def test_the_gradient_of_the_peepholes_is_that_of_autograd():
    T, B, H = 4, 2, 3
    z = torch.randn(T, B, 4 * H, dtype=DOUBLE, requires_grad=True)
    peephole = torch.randn(3, H, dtype=DOUBLE, requires_grad=True)
    cs, loss = [torch.randn(B, H, dtype=DOUBLE)], torch.zeros((), dtype=DOUBLE)
    for at in z:
        i, f, g, o = at.chunk(4, -1)
        i, f = i + peephole[0] * cs[-1], f + peephole[1] * cs[-1]
        cs.append(f.sigmoid() * cs[-1] + i.sigmoid() * g.tanh())
        loss = loss + ((o + peephole[2] * cs[-1]).sigmoid() * cs[-1].tanh()).sum()
    loss.backward()
    computed = peephole_gradient(z.grad, torch.stack(cs).detach())
    torch.testing.assert_close(computed, peephole.grad)


def test_weights_start_within_the_bound_of_torch_s_cell():
    layer = PeepholeLSTM(30, 25)
    for weight in (layer.weight_ih, layer.weight_hh):
        assert 0.19 < float(weight.detach().abs().max()) <= 1 / math.sqrt(25)


# --- clipped derivatives -----------------------------------------------------------


def test_a_clipped_derivative_changes_no_number():
    x = torch.randn(4, dtype=DOUBLE, requires_grad=True)
    y = clip_derivative(x, 2.0)
    assert torch.equal(x, y)
    (gradient,) = torch.autograd.grad(
        y, x, torch.tensor([1.0, -3.0, 2.5, 0.0]).double()
    )
    assert gradient.tolist() == [1.0, -2.0, 2.0, 0.0]
    assert clip_derivative(x, None) is x


def test_derivatives_are_clipped_at_every_gate_of_every_point():
    # eqs 7 to 11 with each gate's input named, against one clamp on each by hooks
    layer, limit = PeepholeLSTM(3, 4).double(), 0.02
    x = torch.randn(2, 6, 3, dtype=DOUBLE)
    state, hs, seen = layer.initial_state(2), [], []

    def clamp(d):
        seen.append(d)
        return d.clamp(-limit, limit)

    for x_t in x.unbind(1):
        z = x_t @ layer.weight_ih.t() + state.h @ layer.weight_hh.t() + layer.bias
        z_i, z_f, z_g, z_o = z.chunk(4, -1)
        z_i, z_f = (p * state.c + z_k for p, z_k in zip(layer.peephole, (z_i, z_f)))  # noqa: B905
        for gate in (z_i, z_f, z_g):
            gate.register_hook(clamp)
        c = z_f.sigmoid() * state.c + z_i.sigmoid() * z_g.tanh()
        z_o = z_o + layer.peephole[2] * c
        z_o.register_hook(clamp)
        state = LSTMState(z_o.sigmoid() * c.tanh(), c)
        hs.append(state.h)
    weights = list(layer.parameters())
    wanted = torch.autograd.grad(torch.stack(hs, 1).square().sum(), weights)
    reached = torch.stack(seen).abs() > limit
    assert reached.any() and not reached.all()
    ours = layer(x, gate_limit=limit)[0]
    torch.testing.assert_close(ours, torch.stack(hs, 1))
    torch.testing.assert_close(
        torch.autograd.grad(ours.square().sum(), weights), wanted
    )
