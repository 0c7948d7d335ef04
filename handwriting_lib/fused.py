"""Whole sequences with a backward pass of their own.

Autograd records a Python loop point by point and keeps every intermediate tensor. The
functions here run the same loop in place, keep what the backward pass needs, and write
that pass out by hand: the derivatives of chapter 05 (peephole LSTM) and chapter 09
(soft window). What happens between two products stands in `pointwise`. All weight
gradients are one matrix product over the whole sequence at the end.

`products` is the type that matrix products are made in: `torch.bfloat16` halves their
time on processors that have it; states and sums stay in the type of the input. Inside,
time comes first, `(T, B, ...)`, so that one point of all lines is one block of memory.

On a GPU the loops are those of `kernels`, where Triton is installed.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from . import pointwise
from .lstm import LSTMState, LSTMTrace, PeepholeLSTM, peephole_gradient
from .packed import PackedWeight, gradient_of_weight
from .window import WindowTrace


def _loops(x: Tensor) -> ModuleType:
    """Where the loops are: in `kernels` for a GPU, otherwise here."""
    if x.is_cuda:
        try:
            from . import kernels
        except ImportError:  # torch for Windows comes without Triton
            pass
        else:
            return kernels
    return sys.modules[__name__]


def points_for(x: Tensor) -> Any:
    """The module with what is done at a point.

    That is `compiled` for float32 on a CPU where Numba is installed, or `pointwise`.
    """
    on_cpu = x.device.type == "cpu" and x.dtype == torch.float32
    return (_compiled() if on_cpu else None) or pointwise


@cache
def _compiled() -> ModuleType | None:
    try:
        from . import compiled
    except (ImportError, RuntimeError):  # no Numba, or no place for its cache
        return None
    return compiled


def check_symbols(text: Tensor, symbols: int) -> None:
    """Raise a ValueError if a text on a CPU holds what a network of V symbols lacks."""
    if text.device.type == "cpu" and text.numel() and int(text.max()) >= symbols:
        raise ValueError(
            f"the text holds the symbol {int(text.max())}; the network knows "
            f"{symbols}, from 0 to {symbols - 1}"
        )


def peephole_forward(
    z_input: Tensor,
    h: Tensor,
    c: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    products: torch.dtype,
) -> LSTMTrace:
    """The loop of a peephole layer over T points; `z_input` `(T, B, 4H)` is used up."""
    gates = z_input
    hs = z_input.new_empty(len(gates) + 1, *h.shape)
    cs, tanh_c = torch.empty_like(hs), torch.empty_like(hs[1:])
    hs[0], cs[0] = h, c
    recurrent, points = PackedWeight(weight_hh.to(products)), points_for(z_input)
    z, row, cell, tanh, weight = map(points.ready, (gates, hs, cs, tanh_c, peephole))
    for t in range(len(gates)):
        product = recurrent.product(hs[t].to(products)).to(gates.dtype)
        points.forward_gates(
            z[t], points.ready(product), cell[t], weight, cell[t + 1], tanh[t],
            row[t + 1], 0,
        )  # fmt: skip
    return LSTMTrace(gates, hs, hs, cs, tanh_c)


def peephole_backward(
    trace: LSTMTrace,
    weight_hh: Tensor,
    peephole: Tensor,
    products: torch.dtype,
    d_hs: Tensor,
    d_c: Tensor,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loop backwards; `d_c` becomes that of the cell before the first point.

    Returns:
        The derivatives of `z_input`, of `h` before the first point, and of `peephole`.
    """
    gates, _, _, cs, tanh_c = trace
    d_z, d_hs = torch.empty_like(gates), d_hs.contiguous()
    d_next, bound = torch.zeros_like(d_c), math.inf if limit is None else limit
    recurrent, points = PackedWeight(weight_hh.t().to(products)), points_for(d_z)
    d_out, values, cell, tanh, d_cell, weight, d_inputs = map(
        points.ready, (d_hs, gates, cs, tanh_c, d_c, peephole, d_z)
    )
    for t in range(len(gates) - 1, -1, -1):
        points.backward_gates(
            d_out[t], points.ready(d_next), values[t], cell[t], tanh[t], d_cell,
            weight, d_inputs[t], bound,
        )  # fmt: skip
        d_next = recurrent.product(d_z[t].to(products)).to(d_z.dtype)
    return d_z, d_next, peephole_gradient(d_z, cs)


class _PeepholeSequence(torch.autograd.Function):
    """`z_input (T, B, 4H), h, c, weight_hh, peephole` to `h (T, B, H), last c`."""

    @staticmethod
    def forward(
        ctx: Any,
        z_input: Tensor,
        h: Tensor,
        c: Tensor,
        weight_hh: Tensor,
        peephole: Tensor,
        products: torch.dtype,
        gate_limit: float | None,
    ) -> tuple[Tensor, Tensor]:
        # z_input is overwritten: whoever calls this has made it for it
        ctx.loops = _loops(z_input)
        trace = ctx.loops.peephole_forward(z_input, h, c, weight_hh, peephole, products)
        ctx.save_for_backward(*trace, weight_hh, peephole)
        ctx.products, ctx.limit = products, gate_limit
        return trace.hs[1:], trace.cs[-1]

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(ctx: Any, d_hs: Tensor, d_last_c: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        *saved, weight_hh, peephole = ctx.saved_tensors
        trace, products = LSTMTrace(*saved), ctx.products
        d_c = d_last_c.clone(memory_format=torch.contiguous_format)
        d_z, d_h, d_peephole = ctx.loops.peephole_backward(
            trace, weight_hh, peephole, products, d_hs, d_c, ctx.limit
        )
        d_weight = _product_over_time(d_z, trace.hs_low[:-1], products)
        return d_z, d_h, d_c, d_weight, d_peephole, None, None


def _product_over_time(d_z: Tensor, x: Tensor, products: torch.dtype) -> Tensor:
    """The gradient of a weight: `(T, B, N)` and `(T, B, I)` to `(N, I)`."""
    flat = (part.flatten(0, 1).to(products) for part in (d_z, x))
    return gradient_of_weight(*flat).to(d_z.dtype)


class _LinearIn(torch.autograd.Function):
    """`x @ weight.T + bias` and its gradients, with products in a type of their own."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, products: torch.dtype
    ) -> Tensor:
        x_low, weight_low = x.to(products), weight.to(products)
        ctx.save_for_backward(x_low, weight_low)
        ctx.full = x.dtype
        if products != x.dtype:
            return linear(x_low, weight_low).to(x.dtype).add_(bias)
        # no view, as a product may be: nobody could write over it
        product = PackedWeight(weight).product(x, bias)
        return x.new_empty(0).set_(product)  # type: ignore[call-overload]

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(ctx: Any, d_out: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        d_flat = d_out.flatten(0, -2).to(x.dtype)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = PackedWeight(weight.t()).product(d_flat).to(ctx.full).view_as(x)
        d_weight = gradient_of_weight(d_flat, x.flatten(0, -2))
        return d_x, d_weight.to(ctx.full), d_out.flatten(0, -2).sum(0), None


def linear_in(
    x: Tensor, weight: Tensor, bias: Tensor, products: torch.dtype | None = None
) -> Tensor:
    """`torch.nn.functional.linear` with its products made in the type `products`."""
    return _LinearIn.apply(x, weight, bias, products or x.dtype)


def peephole_sequence(
    x: Tensor,
    layer: PeepholeLSTM,
    state: LSTMState,
    products: torch.dtype | None = None,
    gate_limit: float | None = None,
) -> tuple[Tensor, LSTMState]:
    """A peephole layer over whole lines; equal to `layer.forward`, and faster.

    Args:
        x: `(T, B, I)`, time first.
        layer: the layer whose weights to use.
        state: before the first point, `(B, H)` each.
        products: the type of matrix products; None keeps that of `x`.
        gate_limit: of the derivatives at the gates' inputs (`lstm.clip_derivative`).

    Returns:
        Outputs `(T, B, H)` and the state after the last point.
    """
    products = products or x.dtype
    z_input = linear_in(x, layer.weight_ih, layer.bias, products)
    h, c = _PeepholeSequence.apply(
        z_input, state.h, state.c, layer.weight_hh, layer.peephole, products,
        gate_limit,
    )  # fmt: skip
    return h, LSTMState(h[-1], c)


class FusedPeepholeLSTM(PeepholeLSTM):
    """A `PeepholeLSTM` whose `forward` runs fused; the weights are the same.

    Attributes:
        products: the type of matrix products, such as `torch.bfloat16`; None keeps
            that of the input.

    Example:
        >>> import torch
        >>> layer = FusedPeepholeLSTM(3, 8)
        >>> x = torch.randn(2, 5, 3)
        >>> torch.allclose(layer(x)[0], PeepholeLSTM.forward(layer, x)[0], atol=1e-6)
        True
    """

    products: torch.dtype | None = None

    def forward(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        gate_limit: float | None = None,
    ) -> tuple[Tensor, LSTMState]:
        state = self.start(x.shape[0]) if state is None else state
        h, state = peephole_sequence(
            x.transpose(0, 1), self, state, self.products, gate_limit
        )
        return h.transpose(0, 1), state


class WindowedOutput(NamedTuple):
    """What the first layer and its window give for whole lines, time first."""

    h: Tensor  # (T, B, H)
    w: Tensor  # (T, B, V) what the window reads
    phi: Tensor  # (T, B, U); no gradient flows through it
    c: Tensor  # (B, H) the last cell
    kappa: Tensor  # (B, K) the last place of each component


def windowed_forward(
    z_input: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    kappa: Tensor,
    weight: Tensor,
    peephole: Tensor,
    window_weight: Tensor,
    window_bias: Tensor,
    text: Tensor,
    mask: Tensor,
    products: torch.dtype,
) -> tuple[LSTMTrace, WindowTrace]:
    """The loop of the layer with the window; `z_input` `(T, B, 4H)` is used up."""
    steps, batch, _ = z_input.shape
    symbols, components, slots = w.shape[1], kappa.shape[1], text.shape[1]
    gates = z_input
    # the recurrent input is one block: w of the step before, then h
    wh = z_input.new_empty(steps + 1, batch, symbols + h.shape[1])
    cs = z_input.new_empty(steps + 1, *c.shape)
    tanh_c = torch.empty_like(cs[1:])
    kappas = z_input.new_empty(steps + 1, batch, components)
    moves = z_input.new_empty(steps, batch, 3 * components)  # alpha, beta, step
    phis = z_input.new_empty(steps, batch, slots)
    wh[0, :, :symbols], wh[0, :, symbols:], cs[0], kappas[0] = w, h, c, kappa
    text, mask = text.contiguous(), mask.contiguous()
    recurrent, window_t = PackedWeight(weight.to(products)), window_weight.t()
    points = points_for(z_input)
    z, row, cell, tanh, own, move, place, phi, letters, there = map(
        points.ready,
        (gates, wh, cs, tanh_c, peephole, moves, kappas, phis, text, mask),
    )
    for t in range(steps):
        product = recurrent.product(wh[t].to(products)).to(gates.dtype)
        points.forward_gates(
            z[t], points.ready(product), cell[t], own, cell[t + 1], tanh[t],
            row[t + 1], symbols,
        )  # fmt: skip
        torch.addmm(window_bias, wh[t + 1, :, symbols:], window_t, out=moves[t])
        points.forward_window(
            move[t], place[t], place[t + 1], phi[t], letters, there, row[t + 1], 0,
            symbols,
        )  # fmt: skip
    return (
        LSTMTrace(gates, wh, wh, cs, tanh_c),
        WindowTrace(kappas, moves, phis, text, mask),
    )


def windowed_backward(
    trace: LSTMTrace,
    window: WindowTrace,
    weight: Tensor,
    peephole: Tensor,
    window_weight: Tensor,
    products: torch.dtype,
    d_hs: Tensor,
    d_ws: Tensor,
    d_c: Tensor,
    d_kappa: Tensor,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loop backwards; `d_c`, `d_kappa` become those before the first point.

    Returns:
        The derivatives of `z_input`, of `moves` before their exponential, of `w` and
        `h` before the first point in one, and of `peephole`.
    """
    gates, wh, _, cs, tanh_c = trace
    kappas, moves, _, text, mask = window
    d_z, d_moves = torch.empty_like(gates), torch.empty_like(moves)
    d_hs, d_ws = d_hs.contiguous(), d_ws.contiguous()
    d_next, bound = torch.zeros_like(wh[0]), math.inf if limit is None else limit
    recurrent, points = PackedWeight(weight.t().to(products)), points_for(d_z)
    ready = points.ready
    d_read, move, place, letters, there, d_place, d_move = map(
        ready, (d_ws, moves, kappas, text, mask, d_kappa, d_moves)
    )
    values, cell, tanh, d_cell, own, d_inputs = map(
        ready, (gates, cs, tanh_c, d_c, peephole, d_z)
    )
    for t in range(len(gates) - 1, -1, -1):
        after = ready(d_next)
        points.backward_window(
            d_read[t], after, move[t], place[t + 1], letters, there, d_place, d_move[t]
        )
        d_h = torch.addmm(d_hs[t], d_moves[t], window_weight)
        points.backward_gates(
            ready(d_h), after, values[t], cell[t], tanh[t], d_cell, own, d_inputs[t],
            bound,
        )  # fmt: skip
        d_next = recurrent.product(d_z[t].to(products)).to(d_z.dtype)
    return d_z, d_moves, d_next, peephole_gradient(d_z, cs)


class _WindowedSequence(torch.autograd.Function):
    """The first layer, whose input holds the window that it moves itself."""

    @staticmethod
    def forward(
        ctx: Any,
        z_input: Tensor,
        h: Tensor,
        c: Tensor,
        w: Tensor,
        kappa: Tensor,
        weight: Tensor,
        peephole: Tensor,
        window_weight: Tensor,
        window_bias: Tensor,
        text: Tensor,
        text_mask: Tensor,
        products: torch.dtype,
        gate_limit: float | None,
    ) -> tuple[Tensor, ...]:
        # z_input is overwritten: whoever calls this has made it for it
        ctx.loops = _loops(z_input)
        trace, window = ctx.loops.windowed_forward(
            z_input, h, c, w, kappa, weight, peephole, window_weight, window_bias,
            text, text_mask.to(z_input.dtype), products,
        )  # fmt: skip
        ctx.save_for_backward(*trace, *window, weight, peephole, window_weight)
        ctx.products, ctx.limit = products, gate_limit
        ctx.mark_non_differentiable(window.phis)
        w, h = trace.hs[1:].tensor_split([w.shape[1]], -1)
        return h, w, window.phis, trace.cs[-1], window.kappas[-1]

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(  # type: ignore[override]
        ctx: Any, d_hs: Tensor, d_ws: Tensor, _phi: Tensor, d_c: Tensor, d_kappa: Tensor
    ) -> tuple[Any, ...]:
        *saved, weight, peephole, window_weight = ctx.saved_tensors
        trace, window = LSTMTrace(*saved[:5]), WindowTrace(*saved[5:])
        products, symbols = ctx.products, d_ws.shape[2]
        d_c, d_kappa = (
            d.clone(memory_format=torch.contiguous_format) for d in (d_c, d_kappa)
        )
        d_z, d_moves, d_wh, d_peephole = ctx.loops.windowed_backward(
            trace, window, weight, peephole, window_weight, products,
            d_hs, d_ws, d_c, d_kappa, ctx.limit,
        )  # fmt: skip
        d_weight = _product_over_time(d_z, trace.hs_low[:-1], products)
        h = trace.hs[1:, :, symbols:].flatten(0, 1)
        flat_moves = d_moves.flatten(0, 1)
        return (
            d_z, d_wh[:, symbols:], d_c, d_wh[:, :symbols], d_kappa,
            d_weight, d_peephole, flat_moves.t() @ h, flat_moves.sum(0),
            None, None, None, None,
        )  # fmt: skip


def windowed_sequence(
    x: Tensor,
    layer: PeepholeLSTM,
    window: torch.nn.Linear,
    state: LSTMState,
    w: Tensor,
    kappa: Tensor,
    text: Tensor,
    text_mask: Tensor,
    products: torch.dtype | None = None,
    gate_limit: float | None = None,
) -> WindowedOutput:
    """The first layer and the soft window over whole lines (Graves 2013, eqs 46 to 52).

    Args:
        x: `(T, B, 3)` points, time first.
        layer: takes `3 + V` inputs: the point, then the window of the step before.
        window: from `H` to `3K`: the logarithms of alpha, beta and kappa's step.
        state: of the layer before the first point, `(B, H)` each.
        w: `(B, V)` the window before the first point.
        kappa: `(B, K)` before the first point.
        text: `(B, U)` int64.
        text_mask: `(B, U)` bool.
        products: the type of matrix products; None keeps that of `x`.
        gate_limit: of the derivatives at the gates' inputs (`lstm.clip_derivative`).
    """
    points = x.shape[-1]
    check_symbols(text, layer.weight_ih.shape[1] - points)
    z_input = linear(x, layer.weight_ih[:, :points], layer.bias)
    weight = torch.cat([layer.weight_ih[:, points:], layer.weight_hh], 1)
    return WindowedOutput(
        *_WindowedSequence.apply(
            z_input, state.h, state.c, w, kappa, weight, layer.peephole,
            window.weight, window.bias, text, text_mask, products or x.dtype,
            gate_limit,
        )
    )  # fmt: skip
