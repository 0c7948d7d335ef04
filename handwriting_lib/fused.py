"""Whole sequences with a backward pass of their own.

Autograd records a Python loop point by point and keeps every intermediate tensor. The
functions here run the same loop in place, keep what the backward pass needs, and write
that pass out by hand: the derivatives of chapter 05 (peephole LSTM) and chapter 09
(soft window). All weight gradients are one matrix product over the whole sequence at
the end.

`products` is the type that matrix products are made in: `torch.bfloat16` halves their
time on processors that have it; states and sums stay in the type of the input. Inside,
time comes first, `(T, B, ...)`, so that one point of all lines is one block of memory.

On a GPU the loops are those of `kernels`, where Triton is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from .lstm import LSTMState, LSTMTrace, PeepholeLSTM, peephole_gradient
from .window import WindowTrace

# The backward passes prepare about so many numbers of a kind at a time. They are still
# in the processor's cache when they are used, and torch works on fewer than 32,768 with
# one thread: for so few, waking another costs more than it saves.
BLOCK = 32_000


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


def _forward_gates(
    z: Tensor, c: Tensor, peephole: Tensor, new_c: Tensor, tanh_c: Tensor
) -> None:
    """Turn gate inputs `z` `(B, 4H)` into gate values; fill the cell and its tanh."""
    batch, hidden = c.shape
    input_and_forget = z[:, : 2 * hidden].view(batch, 2, hidden)
    input_and_forget.addcmul_(peephole[:2], c[:, None]).sigmoid_()
    g = z[:, 2 * hidden : 3 * hidden]
    g.copy_(g.contiguous().tanh_())  # in one piece, tanh is several times as fast
    torch.mul(z[:, hidden : 2 * hidden], c, out=new_c)
    new_c.addcmul_(z[:, :hidden], g)
    z[:, 3 * hidden :].addcmul_(new_c, peephole[2]).sigmoid_()
    torch.tanh(new_c, out=tanh_c)


class _Slopes(NamedTuple):
    """The local derivatives of a block of points that the backward loop needs."""

    z_o: Tensor  # (T, B, H) d z_o for d h = 1
    cell: Tensor  # (T, B, H) d c for d h = 1, the way through tanh
    z_i: Tensor  # (T, B, H) d z_i for d c = 1, and so on
    z_f: Tensor
    z_g: Tensor
    before: Tensor  # (T, B, H) d c_{t-1} for d c_t = 1


def _slopes(gates: Tensor, c_before: Tensor, tanh_c: Tensor) -> _Slopes:
    """From the gate values `(T, B, 4H)` and cells `(T, B, H)` of T points."""
    i, f, g, o = gates.chunk(4, -1)
    return _Slopes(
        tanh_c * o * (1 - o),
        o * (1 - tanh_c * tanh_c),
        g * i * (1 - i),
        c_before * f * (1 - f),
        i * (1 - g * g),
        f,
    )


def _backward_gates(
    d_h: Tensor,
    d_c: Tensor,
    slopes: _Slopes,
    t: int,
    peephole: Tensor,
    d_z: Tensor,
    limit: float | None,
) -> None:
    """One point backwards: fill `d_z` `(B, 4H)`, turn `d_c` into that of `c_{t-1}`.

    A `limit` clips `d_z` before it goes any further (`lstm.clip_derivative`).
    """
    d_i, d_f, d_g, d_o = d_z.chunk(4, -1)  # (B, H) each
    torch.mul(d_h, slopes.z_o[t], out=d_o)
    if limit is not None:
        d_o.clamp_(-limit, limit)
    d_c.addcmul_(d_h, slopes.cell[t]).addcmul_(d_o, peephole[2])
    torch.mul(d_c, slopes.z_i[t], out=d_i)
    torch.mul(d_c, slopes.z_f[t], out=d_f)
    torch.mul(d_c, slopes.z_g[t], out=d_g)
    if limit is not None:
        d_z[:, : -d_o.shape[1]].clamp_(-limit, limit)
    d_c.mul_(slopes.before[t])
    d_c.addcmul_(d_i, peephole[0]).addcmul_(d_f, peephole[1])


def _blocks_from_the_end(steps: int, numbers: int) -> Iterator[tuple[int, int]]:
    """First point and end of each block, the last block first; `numbers` a point."""
    size = max(1, BLOCK // numbers)
    for end in range(steps, 0, -size):
        yield max(0, end - size), end


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
    recurrent = weight_hh.to(products).t()
    for t, z in enumerate(gates):
        if products == z.dtype:
            z.addmm_(hs[t], recurrent)
        else:
            z.add_(hs[t].to(products) @ recurrent)
        _forward_gates(z, cs[t], peephole, cs[t + 1], tanh_c[t])
        torch.mul(z[:, 3 * h.shape[1] :], tanh_c[t], out=hs[t + 1])
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
    d_z = torch.empty_like(gates)
    d_h = torch.zeros_like(d_c)
    d_peephole = torch.zeros_like(peephole)
    recurrent = weight_hh.to(products)
    for begin, end in _blocks_from_the_end(len(gates), d_c.numel()):
        slopes = _slopes(gates[begin:end], cs[begin:end], tanh_c[begin:end])
        for t in range(end - 1, begin - 1, -1):
            d_h += d_hs[t]
            _backward_gates(d_h, d_c, slopes, t - begin, peephole, d_z[t], limit)
            d_h = (d_z[t].to(products) @ recurrent).to(d_z.dtype)
        d_peephole += peephole_gradient(d_z[begin:end], cs[begin : end + 1])
    return d_z, d_h, d_peephole


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
    d_weight = d_z.flatten(0, 1).to(products).t() @ x.flatten(0, 1).to(products)
    return d_weight.to(d_z.dtype)


class _InProducts(torch.autograd.Function):
    """`x @ weight.T + bias` and its gradients, with products in another type."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, products: torch.dtype
    ) -> Tensor:
        x_low, weight_low = x.to(products), weight.to(products)
        ctx.save_for_backward(x_low, weight_low)
        ctx.full = x.dtype
        return linear(x_low, weight_low).to(x.dtype).add_(bias)

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(ctx: Any, d_out: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        d_low = d_out.to(x.dtype)
        d_x = (d_low @ weight).to(ctx.full) if ctx.needs_input_grad[0] else None
        d_weight = d_low.flatten(0, -2).t() @ x.flatten(0, -2)
        return d_x, d_weight.to(ctx.full), d_out.flatten(0, -2).sum(0), None


def linear_in(
    x: Tensor, weight: Tensor, bias: Tensor, products: torch.dtype | None = None
) -> Tensor:
    """`torch.nn.functional.linear` with its products made in the type `products`."""
    if products is None or products == x.dtype:
        return linear(x, weight, bias)
    return _InProducts.apply(x, weight, bias, products)


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
    hidden, symbols, slots = h.shape[1], w.shape[1], text.shape[1]
    components = kappa.shape[1]
    gates = z_input
    # the recurrent input is one block: w of the step before, then h
    wh = z_input.new_empty(steps + 1, batch, symbols + hidden)
    cs = z_input.new_empty(steps + 1, batch, hidden)
    tanh_c = z_input.new_empty(steps, batch, hidden)
    kappas = z_input.new_empty(steps + 1, batch, components)
    moves = z_input.new_empty(steps, batch, 3 * components)  # alpha, beta, step
    phis = z_input.new_empty(steps, batch, slots)
    wh[0, :, :symbols], wh[0, :, symbols:], cs[0], kappas[0] = w, h, c, kappa
    u = torch.arange(1, slots + 1, dtype=z_input.dtype, device=z_input.device)
    one_hot = torch.nn.functional.one_hot(text, symbols).to(z_input.dtype)
    recurrent, window_t = weight.to(products).t(), window_weight.t()
    for t, z in enumerate(gates):
        if products == z.dtype:
            z.addmm_(wh[t], recurrent)
        else:
            z.add_(wh[t].to(products) @ recurrent)
        _forward_gates(z, cs[t], peephole, cs[t + 1], tanh_c[t])
        h = wh[t + 1, :, symbols:]
        torch.mul(z[:, 3 * hidden :], tanh_c[t], out=h)
        move = torch.addmm(window_bias, h, window_t, out=moves[t]).exp_()
        alpha, beta, step = move.view(batch, 3, components).unbind(1)
        torch.add(kappas[t], step, out=kappas[t + 1])
        distance = kappas[t + 1][:, :, None] - u  # (B, K, U)
        bump = distance.square_().mul_(-beta[:, :, None]).exp_()
        torch.bmm(alpha[:, None], bump, out=phis[t][:, None])
        phis[t].mul_(mask)
        torch.bmm(phis[t][:, None], one_hot, out=wh[t + 1, :, None, :symbols])
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
    steps, batch, _ = gates.shape
    components = kappas.shape[2]
    symbols = d_ws.shape[2]
    u = torch.arange(1, text.shape[1] + 1, dtype=gates.dtype, device=gates.device)
    d_z, d_moves = torch.empty_like(gates), torch.empty_like(moves)
    d_wh = torch.zeros_like(wh[0])
    d_peephole = torch.zeros_like(peephole)
    recurrent = weight.to(products)
    for begin, end in _blocks_from_the_end(steps, d_c.numel()):
        slopes = _slopes(gates[begin:end], cs[begin:end], tanh_c[begin:end])
        for t in range(end - 1, begin - 1, -1):
            d_w = d_wh[:, :symbols] + d_ws[t]
            d_phi = d_w.gather(1, text).mul_(mask)  # (B, U)
            alpha, beta, step = moves[t].view(batch, 3, components).unbind(1)
            distance = kappas[t + 1][:, :, None] - u  # (B, K, U)
            weighted = (distance.square() * -beta[:, :, None]).exp_()
            weighted.mul_(alpha[:, :, None]).mul_(d_phi[:, None])
            d_log = d_moves[t].view(batch, 3, components)
            torch.sum(weighted, 2, out=d_log[:, 0])
            weighted.mul_(distance)
            d_kappa.addcmul_(beta, weighted.sum(2), value=-2)
            weighted.mul_(distance)
            torch.mul(weighted.sum(2), beta, out=d_log[:, 1]).neg_()
            torch.mul(d_kappa, step, out=d_log[:, 2])
            d_h = d_wh[:, symbols:] + d_hs[t]
            d_h.addmm_(d_moves[t], window_weight)
            _backward_gates(d_h, d_c, slopes, t - begin, peephole, d_z[t], limit)
            d_wh = (d_z[t].to(products) @ recurrent).to(d_z.dtype)
        d_peephole += peephole_gradient(d_z[begin:end], cs[begin : end + 1])
    return d_z, d_moves, d_wh, d_peephole


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
    z_input = linear(x, layer.weight_ih[:, :points], layer.bias)
    weight = torch.cat([layer.weight_ih[:, points:], layer.weight_hh], 1)
    return WindowedOutput(
        *_WindowedSequence.apply(
            z_input, state.h, state.c, w, kappa, weight, layer.peephole,
            window.weight, window.bias, text, text_mask, products or x.dtype,
            gate_limit,
        )
    )  # fmt: skip
