"""Recurrent layers over whole sequences, with a backward pass written by hand.

The loops are in `loops`, and `operators` makes each an operator of `torch.library`. It
is imported at the first call, because registering an operator takes torch some time; a
program that loads an exported network must import it first. Time comes first here,
`(T, B, ...)`.

`matmul_dtype` is the type of the matrix products: `torch.bfloat16` halves their time on
processors that support it. None takes that of `torch.autocast` where it is on. States,
sums and results are in the type of the weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from .._deprecation import renamed_attributes
from ..parts.lstm import LSTMState, PeepholeLSTM


def _matmul_dtype(x: Tensor, wanted: torch.dtype | None) -> torch.dtype:
    """The type of the matrix products: as asked, that of autocast, or that of x."""
    if wanted is None and torch.is_autocast_enabled(x.device.type):
        wanted = torch.get_autocast_dtype(x.device.type)
    return wanted or x.dtype


def _as_weights(like: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Under autocast, which lowers the type of what other layers pass on, raise it."""
    if torch.is_autocast_enabled(like.device.type):
        return tuple(tensor.to(like.dtype) for tensor in tensors)
    return tensors


def linear_in(
    x: Tensor, weight: Tensor, bias: Tensor, matmul_dtype: torch.dtype | None = None
) -> Tensor:
    """`torch.nn.functional.linear` with its product in `matmul_dtype`, in x's type."""
    dtype = _matmul_dtype(x, matmul_dtype)
    if dtype == x.dtype:
        return linear(x, weight, bias)
    return linear(x.to(dtype), weight.to(dtype)).to(x.dtype) + bias


def peephole_sequence(
    x: Tensor,
    layer: PeepholeLSTM,
    state: LSTMState,
    matmul_dtype: torch.dtype | None = None,
    gate_limit: float | None = None,
) -> tuple[Tensor, LSTMState]:
    """Run a peephole layer over whole lines: the same as `layer.forward`, but faster.

    Args:
        x: `(T, B, I)` input, time first.
        layer: layer whose weights are used.
        state: state before the first point, `(B, H)` each.
        matmul_dtype: type of the matrix products; None takes that of autocast where it
            is on, and otherwise that of `x`.
        gate_limit: limit on the derivatives at the inputs of the gates; see
            `parts.lstm.clip_derivative`.

    Returns:
        The outputs `(T, B, H)` and the state after the last point.
    """
    from .operators import peephole_layer

    matmul_dtype = _matmul_dtype(x, matmul_dtype)
    x, h, c = _as_weights(layer.bias, x, *state)
    hs, cs, *_ = peephole_layer(
        x, h, c, layer.weight_ih, layer.weight_hh, layer.bias, layer.peephole,
        matmul_dtype, gate_limit,
    )  # fmt: skip
    return hs[1:], LSTMState(hs[-1], cs[-1])


@renamed_attributes(products="matmul_dtype")
class FusedPeepholeLSTM(PeepholeLSTM):
    """A `PeepholeLSTM` with the same weights and a fused `forward`.

    Attributes:
        matmul_dtype: type of the matrix products, such as `torch.bfloat16`; None keeps
            that of the input.

    Example:
        >>> import torch
        >>> layer = FusedPeepholeLSTM(3, 8)
        >>> x = torch.randn(2, 5, 3)
        >>> torch.allclose(layer(x)[0], PeepholeLSTM.forward(layer, x)[0], atol=1e-6)
        True
    """

    matmul_dtype: torch.dtype | None = None

    def forward(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        gate_limit: float | None = None,
    ) -> tuple[Tensor, LSTMState]:
        state = self.initial_state(x.shape[0]) if state is None else state
        h, state = peephole_sequence(
            x.transpose(0, 1), self, state, self.matmul_dtype, gate_limit
        )
        return h.transpose(0, 1), state


class WindowedOutput(NamedTuple):
    """The outputs of the first layer and its window for whole lines, time first."""

    h: Tensor  # (T, B, H)
    w: Tensor  # (T, B, V) window vectors
    phi: Tensor  # (T, B, U); no gradient flows through it
    c: Tensor  # (B, H) the last cell
    kappa: Tensor  # (B, K) the last position of each component


def windowed_sequence(
    x: Tensor,
    layer: PeepholeLSTM,
    window: torch.nn.Linear,
    state: LSTMState,
    w: Tensor,
    kappa: Tensor,
    text: Tensor,
    text_mask: Tensor,
    matmul_dtype: torch.dtype | None = None,
    gate_limit: float | None = None,
) -> WindowedOutput:
    """Run the first layer and its soft window (Graves 2013, eqs 46 to 52) over lines.

    Args:
        x: `(T, B, 3)` points, time first.
        layer: layer with `3 + V` inputs: the point, then the previous window vector.
        window: linear map from `H` to `3K`, the logarithms of alpha, beta and the step
            of kappa.
        state: state of the layer before the first point, `(B, H)` each.
        w: `(B, V)` window vector before the first point.
        kappa: `(B, K)` positions of the window's components before the first point.
        text: `(B, U)` int64 symbols.
        text_mask: `(B, U)` bool mask, true for characters and the end slot.
        matmul_dtype: type of the matrix products; None takes that of autocast where it
            is on, and otherwise that of `x`.
        gate_limit: limit on the derivatives at the inputs of the gates; see
            `parts.lstm.clip_derivative`.
    """
    from .operators import windowed_layer

    matmul_dtype = _matmul_dtype(x, matmul_dtype)
    x, h, c, w, kappa = _as_weights(layer.bias, x, *state, w, kappa)
    kappas, phis, _, hs, cs, *_ = windowed_layer(
        x, h, c, w, kappa, layer.weight_ih, layer.weight_hh, layer.bias,
        layer.peephole, window.weight, window.bias, text, text_mask,
        matmul_dtype, gate_limit,
    )  # fmt: skip
    w, h = hs[1:].tensor_split([w.shape[1]], -1)
    return WindowedOutput(h, w, phis, cs[-1], kappas[-1])
