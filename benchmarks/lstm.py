"""Speed of one peephole LSTM layer, forward and backward, in several versions.

The fused layer is compared with the loop of chapter 5 (Graves 2013, eqs 7 to 11) and,
as a reference, with `nn.LSTM`, which has no peepholes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handwriting_lib.fast import (
    FusedPeepholeLSTM,
    PackedWeight,
    peephole_sequence,
)
from handwriting_lib.parts.lstm import PeepholeLSTM

from . import Result, Row, measure

POINTS, BATCH, INPUTS, HIDDEN = 200, 32, 480, 400
LOOP = "peephole loop under autograd"
FUSED = "peephole, fused"
BFLOAT16 = "peephole, fused, bfloat16 products"
TORCH = "nn.LSTM, no peepholes"
PRODUCTS = "the matrix products alone"


def run(rounds: int) -> Result:
    """Time a layer of the paper's size.

    Its input needs a gradient, as it does inside a network.

    Args:
        rounds: number of timed rounds.
    """
    torch.manual_seed(0)
    loop, fused = PeepholeLSTM(INPUTS, HIDDEN), FusedPeepholeLSTM(INPUTS, HIDDEN)
    fused.load_state_dict(loop.state_dict())
    reference = nn.LSTM(INPUTS, HIDDEN, batch_first=True)
    # points first in memory, as between a network's layers
    x = torch.randn(POINTS, BATCH, INPUTS).transpose(0, 1).requires_grad_()
    d_out = torch.randn(POINTS, BATCH, HIDDEN).transpose(0, 1)

    def in_bfloat16() -> Tensor:
        state = fused.initial_state(BATCH)
        out, _ = peephole_sequence(x.transpose(0, 1), fused, state, torch.bfloat16)
        return out.transpose(0, 1)

    layers = {
        LOOP: (lambda: loop(x)[0], loop),
        FUSED: (lambda: fused(x)[0], fused),
        BFLOAT16: (in_bfloat16, fused),
        TORCH: (lambda: reference(x)[0], reference),
    }

    def both_ways(name: str) -> Tensor:
        forward, layer = layers[name]
        out = forward()
        torch.autograd.grad(out, [x, *layer.parameters()], d_out)
        return out

    d_z = torch.randn(POINTS, BATCH, 4 * HIDDEN)

    def products_alone() -> None:
        """Compute only the products that every version needs, in the fused shapes."""
        x_flat, weight = x.detach().transpose(0, 1).flatten(0, 1), fused.weight_ih
        h, recurrent = d_out.transpose(0, 1), fused.weight_hh
        PackedWeight(weight).product(x_flat)
        forwards, backwards = PackedWeight(recurrent), PackedWeight(recurrent.t())
        for t in range(POINTS):
            forwards.product(h[t])
            backwards.product(d_z[t])
        d_flat = d_z.flatten(0, 1)
        PackedWeight(weight.t()).product(d_flat)
        d_flat.t() @ x_flat
        d_flat.t() @ h.flatten(0, 1)

    difference = float((both_ways(LOOP) - both_ways(FUSED)).detach().abs().max())
    timed = {name: lambda name=name: both_ways(name) for name in layers}
    rows: list[Row] = measure(timed | {PRODUCTS: products_alone}, LOOP, rounds)
    return Result(
        "One LSTM layer, forward and backward",
        {
            "points": POINTS,
            "batch": BATCH,
            "inputs": INPUTS,
            "hidden": HIDDEN,
            "type": "float32",
            "device": "cpu",
        },
        LOOP,
        rows,
        {"largest difference of fused from the loop": difference},
    )
