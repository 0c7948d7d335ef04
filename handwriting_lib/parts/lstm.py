"""The LSTM cell by hand, and the peephole LSTM as a loop over points.

Graves 2013, eqs 7 to 11: input and forget gates look at the cell before the step
(`c_{t-1}`), the output gate at the cell after it (`c_t`); peephole weights are
diagonal. Gates are ordered i, f, g, o as in torch. Chapters 04 and 05 build this.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..deprecation import renamed_arguments, renamed_attributes


class LSTMState(NamedTuple):
    """Hidden output and cell of a layer, `(B, H)` each."""

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
    """The same numbers; the derivative that comes back through them is clipped.

    Graves 2013, section 4.1, clips the derivatives of the loss at the inputs of the
    LSTM layers' gates and of the output layer, at every point, so that none grows on
    its way back through a line.

    Args:
        x: of any shape.
        limit: the largest size of a derivative; None clips nothing.

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
    """One step of an LSTM layer, written out.

    Args:
        x: `(B, I)` input.
        state: `(B, H)` output and cell of the step before.
        weight_ih: `(4H, I)` weights of the input, gates in the order i, f, g, o.
        weight_hh: `(4H, H)` weights of the output of the step before.
        bias: `(4H,)`; `nn.LSTMCell` keeps it as a sum of two.
        peephole: `(3, H)` weights from the cell to i, f, o; None for an LSTM without.
        gate_limit: of the derivatives at the gates' inputs: see `clip_derivative`.

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
    """From the gates' inputs to the new state: everything after the matrix products.

    Args:
        z: `(B, 4H)` inputs of the gates i, f, g, o.
        c: `(B, H)` the cell before the step.
        peephole: `(3, H)` or None.
        gate_limit: of the derivatives at the inputs, peepholes included.
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
    """What a pass over whole lines leaves for the way back, time first.

    Attributes:
        gates: `(T, B, 4H)` values of i, f, g, o.
        hs: `(T + 1, B, H)` outputs, that before the first point too; the layer with the
            window has `(T + 1, B, V + H)`, what the window read before the output.
        hs_low: the same in the type that products are made in.
        cs: `(T + 1, B, H)` cells.
        tanh_c: `(T, B, H)` their tanh.
    """

    gates: Tensor
    hs: Tensor
    hs_low: Tensor
    cs: Tensor
    tanh_c: Tensor


def peephole_gradient(d_z: Tensor, cs: Tensor) -> Tensor:
    """Of the peephole weights, `(3, H)`.

    Args:
        d_z: `(T, B, 4H)` derivatives at the gates' inputs.
        cs: `(T + 1, B, H)` the cells before, between and after the points.
    """
    d_i, d_f, _, d_o = d_z.chunk(4, -1)
    pairs = (d_i, cs[:-1]), (d_f, cs[:-1]), (d_o, cs[1:])
    return torch.stack([(d * c).sum((0, 1)) for d, c in pairs])


@renamed_attributes(inputs="input_size", hidden="hidden_size", start="initial_state")
class PeepholeLSTM(nn.Module):
    """One layer of peephole LSTM cells, as a Python loop over the points.

    Args:
        input_size: I, the size of an input.
        hidden_size: H, the number of cells.
        forget_bias: where the bias of the forget gate starts; 1 keeps the memory open
            early in training.
        device: where to make the weights.
        dtype: of the weights.

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

    def initial_state(self, batch_size: int) -> LSTMState:
        """The state before the first point: zeros, `(B, H)` each."""
        zero = self.bias.new_zeros(batch_size, self.hidden_size)
        return LSTMState(zero, zero)

    def step(
        self, x: Tensor, state: LSTMState, gate_limit: float | None = None
    ) -> LSTMState:
        """One point: `(B, I)` and a state to the next state."""
        weights = self.weight_ih, self.weight_hh, self.bias, self.peephole
        return lstm_cell(x, state, *weights, gate_limit)

    def forward(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        gate_limit: float | None = None,
    ) -> tuple[Tensor, LSTMState]:
        """All points of a batch of lines.

        Args:
            x: `(B, T, I)`.
            state: to continue from; None starts with zeros.
            gate_limit: of the derivatives at the inputs of the gates, see
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
