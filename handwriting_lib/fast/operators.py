"""The recurrent layers as operators of `torch.library`, each with its derivative.

`handwriting::peephole_layer` is a layer over whole lines, and
`handwriting::windowed_layer` one with its soft window. To `torch.compile` (with
`fullgraph=True` too) and `torch.export` an operator is one node, whatever loop lies in
it. It may neither change its inputs nor return memory that two outputs share. A second
derivative is an error, not a wrong number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..alphabet import check_symbols
from ..parts.lstm import LSTMTrace
from ..parts.window import WindowTrace
from .backend import backend_for
from .loops import (
    peephole_backward,
    peephole_forward,
    windowed_backward,
    windowed_forward,
)
from .products import PackedWeight


def _product_in(x: Tensor, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """`x @ weight.T + bias` in memory of its own, with a product in `dtype`."""
    if dtype != x.dtype:
        return linear(x.to(dtype), weight.to(dtype)).to(x.dtype).add_(bias)
    return PackedWeight(weight).product(x, bias)


def _product_over_time(d_z: Tensor, x: Tensor) -> Tensor:
    """The gradient `(N, I)` of a weight from `(T, B, N)` and `(T, B, I)`."""
    d_flat = d_z.flatten(0, 1).to(x.dtype)
    return (d_flat.t() @ x.flatten(0, 1)).to(d_z.dtype)


def _kept(trace: LSTMTrace) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A trace as outputs; `hs_low` is empty where it would be `hs` once more."""
    low = trace.hs_low
    if low is trace.hs:
        low = low.new_empty(0)
    return trace.hs, trace.cs, trace.gates, trace.tanh_c, low


def _kept_shapes(
    x: Tensor, width: int, hidden: int, matmul_dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Tensors of the shapes that `_kept` returns, for rows of `width`."""
    (steps, batch, _), new = x.shape, x.new_empty
    hs = new(steps + 1, batch, width)
    low = new(0)
    if matmul_dtype != x.dtype:
        low = torch.empty_like(hs, dtype=matmul_dtype)
    cs = new(steps + 1, batch, hidden)
    return hs, cs, new(steps, batch, 4 * hidden), new(steps, batch, hidden), low


def _trace(kept: Sequence[Tensor]) -> LSTMTrace:
    hs, cs, gates, tanh_c, low = kept
    return LSTMTrace(gates, hs, low if len(low) else hs, cs, tanh_c)


def _last(d_states: Tensor | None, like: Tensor) -> Tensor:
    """The derivative of the last state, to be overwritten, from that of all states."""
    if d_states is None:
        return torch.zeros_like(like)
    return d_states[-1].clone(memory_format=torch.contiguous_format)


def _add_first(d_state: Tensor, d_states: Tensor | None) -> Tensor:
    """Add to the derivative of the first state what came from outside."""
    return d_state if d_states is None else d_state + d_states[0]


def _differentiate_twice(ctx: Any, *_: Any) -> Any:
    raise RuntimeError(
        "the fused layers have no second derivative: use the loops of `PeepholeLSTM` "
        "and `step`, which autograd records"
    )


# --- a layer -------------------------------------------------------------------------


@torch.library.custom_op("handwriting::peephole_layer", mutates_args=())
def peephole_layer(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    peephole: Tensor,
    matmul_dtype: torch.dtype,
    gate_limit: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run a layer over `x` `(T, B, I)`: hs, cs, gates, tanh_c, hs_low of `LSTMTrace`.

    hs_low is empty where it would be hs once more. Gradients flow through hs and cs.
    """
    with torch.autocast(x.device.type, enabled=False):
        z_input = _product_in(x, weight_ih, bias, matmul_dtype)
        backend = backend_for(z_input)
        return _kept(
            peephole_forward(backend, z_input, h, c, weight_hh, peephole, matmul_dtype)
        )


@peephole_layer.register_fake
def _(x: Tensor, h: Tensor, *others: Any) -> tuple[Tensor, ...]:
    matmul_dtype = others[-2]
    return _kept_shapes(x, h.shape[1], h.shape[1], matmul_dtype)


@torch.library.custom_op("handwriting::peephole_layer_backward", mutates_args=())
def _peephole_layer_backward(
    d_hs: Tensor,
    d_cs: Tensor | None,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    matmul_dtype: torch.dtype,
    gate_limit: float | None,
    needs_x: bool,
) -> list[Tensor]:
    """The derivatives of the tensors among the arguments of `peephole_layer`.

    Args:
        d_hs: derivative of hs.
        d_cs: derivative of cs, or None for zeros.
        inputs: x, weight_ih, weight_hh and peephole.
        kept: all outputs of `peephole_layer`.
        matmul_dtype: as there.
        gate_limit: as there.
        needs_x: whether the derivative of x is wanted; it is empty if not.
    """
    x, weight_ih, weight_hh, peephole = inputs
    trace = _trace(kept)
    with torch.autocast(x.device.type, enabled=False):
        d_c = _last(d_cs, trace.cs[-1])
        d_z, d_h, d_peephole = peephole_backward(
            backend_for(x), trace, weight_hh, peephole, d_hs[1:], d_c, gate_limit
        )
        d_x = x.new_empty(0)
        if needs_x:
            weight = PackedWeight(weight_ih.t().to(matmul_dtype))
            d_x = weight.product(d_z.to(matmul_dtype)).to(x.dtype).view_as(x)
        return [
            d_x,
            _add_first(d_h, d_hs),
            _add_first(d_c, d_cs),
            _product_over_time(d_z, x.to(matmul_dtype)),
            _product_over_time(d_z, trace.hs_low[:-1]),
            d_z.sum((0, 1)),
            d_peephole,
        ]


@_peephole_layer_backward.register_fake
def _(
    d_hs: Tensor,
    d_cs: Tensor | None,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    *others: Any,
) -> list[Tensor]:
    x, weight_ih, weight_hh, peephole = inputs
    state = kept[1][0]
    like = (state, state, weight_ih, weight_hh, weight_ih[:, 0], peephole)
    return [
        torch.empty_like(x) if others[-1] else x.new_empty(0),
        *(part.new_empty(part.shape) for part in like),
    ]


def _keep_peephole_layer(ctx: Any, inputs: Any, output: Any) -> None:
    x, _, _, weight_ih, weight_hh, _, peephole, *ctx.options = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(x, weight_ih, weight_hh, peephole, *output)


def _differentiate_peephole_layer(
    ctx: Any, d_hs: Tensor | None, d_cs: Tensor | None, *_: Any
) -> tuple[Any, ...]:
    inputs, kept = list(ctx.saved_tensors[:4]), list(ctx.saved_tensors[4:])
    if d_hs is None:
        d_hs = torch.zeros_like(kept[0])
    needs_x = ctx.needs_input_grad[0]
    d_x, *others = _peephole_layer_backward(
        d_hs, d_cs, inputs, kept, *ctx.options, needs_x
    )
    return d_x if needs_x else None, *others, None, None


_peephole_layer_backward.register_autograd(_differentiate_twice)
peephole_layer.register_autograd(
    _differentiate_peephole_layer, setup_context=_keep_peephole_layer
)


# --- the first layer and its window --------------------------------------------------


@torch.library.custom_op("handwriting::windowed_layer", mutates_args=())
def windowed_layer(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    kappa: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    peephole: Tensor,
    window_weight: Tensor,
    window_bias: Tensor,
    text: Tensor,
    text_mask: Tensor,
    matmul_dtype: torch.dtype,
    gate_limit: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Run the first layer over `x` `(T, B, 3)`: kappas, phis, hs, cs and what is kept.

    The outputs are kappas, phis and moves of `WindowTrace`, then those of
    `peephole_layer`, with the window vector before h in each row of hs. Gradients flow
    through kappas, hs and cs.

    Raises:
        ValueError: the text holds a symbol that the network lacks. Compiled code does
            not look, so it is looked at here, where no compiler takes it away.
    """
    check_symbols(text, w.shape[1])
    with torch.autocast(x.device.type, enabled=False):
        points = x.shape[2]
        z_input = linear(x, weight_ih[:, :points], bias)
        weight = torch.cat([weight_ih[:, points:], weight_hh], 1)
        trace, window = windowed_forward(
            backend_for(z_input), z_input, h, c, w, kappa, weight, peephole,
            window_weight, window_bias, text, text_mask.to(x.dtype), matmul_dtype,
        )  # fmt: skip
    return window.kappas, window.phis, window.moves, *_kept(trace)


@windowed_layer.register_fake
def _(
    x: Tensor, h: Tensor, c: Tensor, w: Tensor, kappa: Tensor, *others: Any
) -> tuple[Tensor, ...]:
    text, _, matmul_dtype, _ = others[-4:]
    (steps, batch, _), new, components = x.shape, x.new_empty, kappa.shape[1]
    hidden = h.shape[1]
    return (
        new(steps + 1, batch, components),
        new(steps, batch, text.shape[1]),
        new(steps, batch, 3 * components),
        *_kept_shapes(x, w.shape[1] + hidden, hidden, matmul_dtype),
    )


@torch.library.custom_op("handwriting::windowed_layer_backward", mutates_args=())
def _windowed_layer_backward(
    d_kappas: Tensor | None,
    d_hs: Tensor,
    d_cs: Tensor | None,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    gate_limit: float | None,
    needs_x: bool,
) -> list[Tensor]:
    """The derivatives of the floating-point tensors that `windowed_layer` takes.

    Args:
        d_kappas: derivative of kappas, or None for zeros.
        d_hs: derivative of hs.
        d_cs: derivative of cs, or None for zeros.
        inputs: x, weight_ih, weight_hh, peephole, window_weight, text and text_mask.
        kept: all outputs of `windowed_layer`.
        gate_limit: as there.
        needs_x: whether the derivative of x is wanted; it is empty if not.
    """
    x, weight_ih, weight_hh, peephole, window_weight, text, text_mask = inputs
    kappas, phis, moves, *rest = kept
    trace, points = _trace(rest), x.shape[2]
    symbols = weight_ih.shape[1] - points
    with torch.autocast(x.device.type, enabled=False):
        mask = text_mask.to(x.dtype).contiguous()
        window = WindowTrace(kappas, moves, phis, text.contiguous(), mask)
        d_c, d_kappa = _last(d_cs, trace.cs[-1]), _last(d_kappas, kappas[-1])
        weight = torch.cat([weight_ih[:, points:], weight_hh], 1)
        d_ws, d_outputs = d_hs[1:].tensor_split([symbols], -1)
        d_z, d_moves, d_row, d_peephole = windowed_backward(
            backend_for(x), trace, window, weight, peephole, window_weight,
            d_outputs, d_ws, d_c, d_kappa, gate_limit,
        )  # fmt: skip
        d_w, d_h = _add_first(d_row, d_hs).tensor_split([symbols], 1)
        d_seen, d_weight_hh = _product_over_time(d_z, trace.hs_low[:-1]).tensor_split(
            [symbols], 1
        )
        flat_moves = d_moves.flatten(0, 1)
        return [
            d_z @ weight_ih[:, :points] if needs_x else x.new_empty(0),
            d_h.clone(),
            _add_first(d_c, d_cs),
            d_w.clone(),
            _add_first(d_kappa, d_kappas),
            torch.cat([_product_over_time(d_z, x), d_seen], 1),
            d_weight_hh.clone(),
            d_z.sum((0, 1)),
            d_peephole,
            flat_moves.t() @ trace.hs[1:, :, symbols:].flatten(0, 1),
            flat_moves.sum(0),
        ]


@_windowed_layer_backward.register_fake
def _(
    d_kappas: Tensor | None,
    d_hs: Tensor,
    d_cs: Tensor | None,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    *others: Any,
) -> list[Tensor]:
    x, weight_ih, weight_hh, peephole, window_weight, *_ = inputs
    kappa, row, cell = kept[0][0], kept[3][0], kept[4][0]
    w = row[:, : row.shape[1] - cell.shape[1]]
    like = (
        cell, cell, w, kappa, weight_ih, weight_hh, weight_ih[:, 0], peephole,
        window_weight, window_weight[:, 0],
    )  # fmt: skip
    return [
        torch.empty_like(x) if others[-1] else x.new_empty(0),
        *(part.new_empty(part.shape) for part in like),
    ]


def _keep_windowed_layer(ctx: Any, inputs: Any, output: Any) -> None:
    x, _, _, _, _, weight_ih, weight_hh, _, peephole, window_weight, *others = inputs
    _, text, text_mask, _, ctx.limit = others
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:3], *output[5:])  # phi and what is kept
    read = x, weight_ih, weight_hh, peephole, window_weight, text, text_mask
    ctx.save_for_backward(*read, *output)


def _differentiate_windowed_layer(
    ctx: Any, d_kappas: Tensor | None, _phi: Any, _moves: Any, *others: Tensor | None
) -> tuple[Any, ...]:
    inputs, kept = list(ctx.saved_tensors[:7]), list(ctx.saved_tensors[7:])
    d_hs, d_cs = others[:2]
    if d_hs is None:
        d_hs = torch.zeros_like(kept[3])
    needs_x = ctx.needs_input_grad[0]
    d_x, *rest = _windowed_layer_backward(
        d_kappas, d_hs, d_cs, inputs, kept, ctx.limit, needs_x
    )
    return d_x if needs_x else None, *rest, None, None, None, None


_windowed_layer_backward.register_autograd(_differentiate_twice)
windowed_layer.register_autograd(
    _differentiate_windowed_layer, setup_context=_keep_windowed_layer
)
