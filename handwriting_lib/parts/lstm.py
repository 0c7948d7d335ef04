"""The LSTM cell written out, and the peephole LSTM as a loop over points.

Graves 2013, eqs 7 to 11: the input and forget gates see the cell before the step
(`c_{t-1}`), and the output gate sees the cell after it (`c_t`). Peephole weights are
diagonal. Gates are ordered i, f, g, o as in torch. Built in chapters 04 and 05.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .._deprecation import renamed_arguments, renamed_attributes


class LSTMState(NamedTuple):
    """The output and the cell state of a layer, `(B, H)` each."""

    h: Tensor
    c: Tensor


class _ClipDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, d_x: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return d_x.clamp(-ctx.limit, ctx.limit), None


def clip_derivative(x: Tensor, limit: float | None) -> Tensor:
    """Return `x` unchanged, but clip the gradient in the backward pass.

    Graves 2013, section 4.1, clips the derivatives of the loss with respect to the
    inputs of the LSTM layers' gates and of the output layer. This happens at every
    point, so that no derivative grows as it travels back through a line.

    Args:
        x: a tensor of any shape.
        limit: the largest absolute value of a derivative; None disables clipping.

    Example:
        >>> import torch
        >>> x = torch.zeros(2, requires_grad=True)
        >>> (clip_derivative(x, 10.0) * torch.tensor([3.0, -500.0])).sum().backward()
        >>> x.grad
        tensor([  3., -10.])
    """
    return x if limit is None else _ClipDerivative.apply(x, limit)


def lstm_cell(
    x: Tensor,
    state: LSTMState,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    peephole: Tensor | None = None,
    gate_limit: float | None = None,
) -> LSTMState:
    """Run one step of an LSTM layer, written out.

    Args:
        x: `(B, I)` input.
        state: output and cell of the previous step, `(B, H)` each.
        weight_ih: `(4H, I)` weights of the input, with gates in the order i, f, g, o.
        weight_hh: `(4H, H)` weights of the previous output.
        bias: `(4H,)` bias; `nn.LSTMCell` keeps it as a sum of two.
        peephole: `(3, H)` weights from the cell to i, f, o; None for a plain LSTM.
        gate_limit: the limit of the derivatives at the gate inputs; see
            `clip_derivative`.

    Returns:
        Output and cell after the step, `(B, H)` each.

    Example:
        >>> import torch
        >>> state = LSTMState(torch.zeros(2, 4), torch.zeros(2, 4))
        >>> weights = torch.ones(16, 3), torch.ones(16, 4), torch.zeros(16)
        >>> lstm_cell(torch.zeros(2, 3), state, *weights).h.shape
        torch.Size([2, 4])
    """
    h, c = state
    z = linear(x, weight_ih, bias) + linear(h, weight_hh)  # (B, 4H)
    return gates_to_state(z, c, peephole, gate_limit)


def gates_to_state(
    z: Tensor, c: Tensor, peephole: Tensor | None, gate_limit: float | None = None
) -> LSTMState:
    """Compute the new state from the gate inputs: all that follows the matrix products.

    Args:
        z: `(B, 4H)` inputs of the gates i, f, g, o, without the peephole terms.
        c: `(B, H)` cell before the step.
        peephole: `(3, H)` weights from the cell to i, f, o, or None.
        gate_limit: the limit of the derivatives at the gate inputs, which include the
            peephole terms.
    """
    z_i, z_f, z_g, z_o = z.chunk(4, dim=-1)  # (B, H) each
    if peephole is not None:
        z_i = z_i + peephole[0] * c
        z_f = z_f + peephole[1] * c
    z_i, z_f, z_g = (clip_derivative(gate, gate_limit) for gate in (z_i, z_f, z_g))
    c = torch.sigmoid(z_f) * c + torch.sigmoid(z_i) * torch.tanh(z_g)
    if peephole is not None:
        z_o = z_o + peephole[2] * c
    z_o = clip_derivative(z_o, gate_limit)
    return LSTMState(torch.sigmoid(z_o) * torch.tanh(c), c)


class LSTMTrace(NamedTuple):
    """The tensors that a forward pass keeps for the backward pass, time first.

    Attributes:
        gates: `(T, B, 4H)` values of i, f, g, o.
        hs: `(T + 1, B, H)` outputs, from the one before the first point on; in the
            layer with the window `(T + 1, B, V + H)`, the window's output first.
        hs_low: `hs` in the dtype of the matrix products.
        cs: `(T + 1, B, H)` cells, from the one before the first point on.
        tanh_c: `(T, B, H)` tanh of the cells after each point.
    """

    gates: Tensor
    hs: Tensor
    hs_low: Tensor
    cs: Tensor
    tanh_c: Tensor


def peephole_gradient(d_z: Tensor, cs: Tensor) -> Tensor:
    """Compute the gradient of the peephole weights, `(3, H)`.

    Args:
        d_z: `(T, B, 4H)` derivatives at the gate inputs.
        cs: `(T + 1, B, H)` cells, from the one before the first point on.
    """
    d_i, d_f, _, d_o = d_z.chunk(4, -1)
    pairs = (d_i, cs[:-1]), (d_f, cs[:-1]), (d_o, cs[1:])
    return torch.stack([(d * c).sum((0, 1)) for d, c in pairs])


@renamed_attributes(inputs="input_size", hidden="hidden_size", start="initial_state")
class PeepholeLSTM(nn.Module):
    """A layer of peephole LSTM cells, as a Python loop over the points.

    Args:
        input_size: I, the size of the input at each point.
        hidden_size: H, the number of cells.
        forget_bias: the initial bias of the forget gate; 1 keeps the gate open early in
            training, so that the cell remembers.
        device: the device of the weights.
        dtype: the dtype of the weights.

    Shapes:
        `forward`: `(B, T, I)` to `(B, T, H)`.

    Example:
        >>> import torch
        >>> PeepholeLSTM(3, 8)(torch.zeros(2, 5, 3))[0].shape
        torch.Size([2, 5, 8])
    """

    @renamed_arguments(inputs="input_size", hidden="hidden_size")
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        bound = 1 / math.sqrt(hidden_size)

        def uniform(*shape: int) -> nn.Parameter:
            weight = torch.empty(*shape, device=device, dtype=dtype)
            return nn.Parameter(weight.uniform_(-bound, bound))

        self.weight_ih = uniform(4 * hidden_size, input_size)
        self.weight_hh = uniform(4 * hidden_size, hidden_size)
        self.bias = nn.Parameter(
            torch.zeros(4 * hidden_size, device=device, dtype=dtype)
        )
        self.peephole = uniform(3, hidden_size)
        with torch.no_grad():
            self.bias[hidden_size : 2 * hidden_size] = forget_bias

    @renamed_arguments(batch="batch_size")
    def initial_state(self, batch_size: int) -> LSTMState:
        """Return the state before the first point: zeros, `(B, H)` each."""
        zero = self.bias.new_zeros(batch_size, self.hidden_size)
        return LSTMState(zero, zero)

    def step(
        self, x: Tensor, state: LSTMState, gate_limit: float | None = None
    ) -> LSTMState:
        """Return the state that follows `state` after the input `x` `(B, I)`."""
        weights = self.weight_ih, self.weight_hh, self.bias, self.peephole
        return lstm_cell(x, state, *weights, gate_limit)

    def forward(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        gate_limit: float | None = None,
    ) -> tuple[Tensor, LSTMState]:
        """Run the layer over all points of a batch of lines.

        Args:
            x: `(B, T, I)` inputs.
            state: the state to continue from; None starts with zeros.
            gate_limit: the limit of the derivatives at the gate inputs; see
                `clip_derivative`.

        Returns:
            Outputs `(B, T, H)` and the state after the last point.
        """
        state = self.initial_state(x.shape[0]) if state is None else state
        outputs = []
        for x_t in x.unbind(1):
            state = self.step(x_t, state, gate_limit)
            outputs.append(state.h)
        return torch.stack(outputs, 1), state

    def extra_repr(self) -> str:
        return f"input_size={self.input_size}, hidden_size={self.hidden_size}"
