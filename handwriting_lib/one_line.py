"""A line alone, written by one compiled loop.

A point of one line costs little more than reading the weights, so what is around the
products has to go: here a whole stretch of points is one call, and the processor's
cores share each product. With several lines a product is worth oneDNN's kernel, and
`stepping` writes them with `packed`.

A line must not depend on how many are written beside it, to the last digit: over
hundreds of points that digit can come to decide where the line goes. So products are
added up here in oneDNN's order, and `adds_up_alike` tries whether they are the same.

It takes Numba, like `compiled`, whose functions it calls at every point.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from . import compiled
from .packed import PackedWeight

# Columns of a weight that lie side by side: a multiple of a vector register's 16, and
# for long columns so few that all cores have some.
VECTOR, WIDTH, SHARES = 16, 64, 8
# oneDNN adds up to so many terms of a sum one after another; the last of several
# stretches is added up by itself.
TERMS = 512

_compiled = njit(cache=True, nogil=True, **compiled.OPTIONS)
_in_parallel = njit(cache=True, nogil=True, parallel=True, **compiled.OPTIONS)


def columns(weight: Tensor) -> Any:
    """A weight in columns, for a product with one row.

    Args:
        weight: `(N, K)`.

    Returns:
        `(P, K, n)`: n columns of its transpose in each of P panels; zeros fill up the
        last.
    """
    rows, length = weight.shape
    width = min(max(WIDTH, _up(rows // SHARES, VECTOR)), _up(rows, VECTOR))
    full = weight.new_zeros(_up(rows, width), length)
    full[:rows] = weight
    return full.unflatten(0, (-1, width)).transpose(1, 2).contiguous().numpy()


@cache
def adds_up_alike(rows: int, length: int) -> bool:
    """Whether a product here is that of `packed`, digit by digit: it is tried.

    Args:
        rows: N of a weight `(N, K)`.
        length: K.
    """
    generator = torch.Generator().manual_seed(0)
    plain: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
    weight = torch.randn(rows, length, generator=generator, **plain)
    x = torch.randn(4, length, generator=generator, **plain)
    panels = columns(weight)
    mine = np.empty((4, _columns(panels)), np.float32)
    for row, out in zip(x.numpy(), mine, strict=True):
        _multiply_part(panels, row, out, 0, 1)
    return np.array_equal(mine[:, :rows], PackedWeight(weight).product(x).numpy())


def cores() -> int:
    """How many share a product: as many as torch may use."""
    return min(_pool(), torch.get_num_threads())


@cache
def _pool() -> int:
    """The threads of Numba's pool, which is started; 1 where it is not to be used.

    A pool of Numba's own, without OpenMP or TBB, ends the process when two threads of
    Python use it at once.
    """
    threads = torch.get_num_threads()
    number = numba.get_num_threads()
    torch.set_num_threads(threads)  # with OpenMP torch shares the pool's setting
    return 1 if numba.threading_layer() == "workqueue" else number


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


class LayerWeights(NamedTuple):
    """Of one layer, as arrays.

    Attributes:
        panels: of `columns`: what it reads from `first` on in the row of all outputs.
        first: see there.
        weight_int8: `(4H, K)` int8, of the cells that it reads, from `first_int8` on;
            `(0, 1)` where there are none.
        first_int8: see there.
        scale: `(4H,)` of `weight_int8`.
        bias: `(1, 4H)`.
        peephole: `(3, H)`.
        own: where its outputs stand in the row.
    """

    panels: Any
    first: int
    weight_int8: Any
    first_int8: int
    scale: Any
    bias: Any
    peephole: Any
    own: int


class Weights(NamedTuple):
    """Of a network, as arrays.

    Attributes:
        layers: of each.
        window: panels of the window's weight.
        window_bias: `(3K,)`.
        output: panels of the output's.
        output_bias: `(6M + 1,)`.
        seen: where the point stands in the row of all outputs, then the window's w.
        symbols: V.
    """

    layers: tuple[LayerWeights, ...]
    window: Any
    window_bias: Any
    output: Any
    output_bias: Any
    seen: int
    symbols: int


class Buffers(NamedTuple):
    """What a line carries from point to point, `stepping.Stepper`'s own, as arrays.

    Attributes:
        row: `(1, R)`: outputs of all layers, the point and what the window reads.
        cells_int8: `(1, LH)` the outputs in int8, or `(1, 0)` in float32.
        kappa: `(1, K)`.
        moves: `(1, 3K)`, for the window's parameters.
        cells: `(L, 2, 1, H)`: before a point and after it, by turns.
        tanh_c: `(1, H)`, for the cells' tanh.
        text: `(1, U)` int64.
        mask: `(1, U)` float32.
    """

    row: Any
    cells_int8: Any
    kappa: Any
    moves: Any
    cells: Any
    tanh_c: Any
    text: Any
    mask: Any


@_compiled
def _add_up(panel, x, y):
    """y = x @ panel, one term after another; eight at a time stay in registers."""
    y[:] = 0
    length = len(x)
    whole = length // 8 * 8
    for k in range(0, whole, 8):
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        x4, x5, x6, x7 = x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        p0, p1, p2, p3 = panel[k], panel[k + 1], panel[k + 2], panel[k + 3]
        p4, p5, p6, p7 = panel[k + 4], panel[k + 5], panel[k + 6], panel[k + 7]
        for j in range(len(y)):
            total = y[j]
            total += p0[j] * x0
            total += p1[j] * x1
            total += p2[j] * x2
            total += p3[j] * x3
            total += p4[j] * x4
            total += p5[j] * x5
            total += p6[j] * x6
            total += p7[j] * x7
            y[j] = total
    for k in range(whole, length):
        p, x_k = panel[k], x[k]
        for j in range(len(y)):
            y[j] += p[j] * x_k


@_compiled
def _multiply_part(panels, x, y, part, parts):
    number, length, width = panels.shape
    cut = (length - 1) // TERMS * TERMS
    last = np.empty(width, np.float32)
    for q in range(part * number // parts, (part + 1) * number // parts):
        own = y[q * width : (q + 1) * width]
        if cut > 0:
            _add_up(panels[q, :cut], x[:cut], own)
            _add_up(panels[q, cut:], x[cut:length], last)
            for j in range(width):
                own[j] += last[j]
        else:
            _add_up(panels[q], x[:length], own)


@_compiled
def _multiply_int8_part(weight, x, y, part, parts):
    rows, length = weight.shape
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        own, total = weight[r], np.int32(0)
        for k in range(length):
            total += np.int32(own[k]) * np.int32(x[k])
        y[r] = total


@_in_parallel
def _multiply(panels, x, y, weight_int8, x_int8, whole, parts):
    """y = x @ panels and, of whole numbers, whole = x_int8 @ weight_int8.T."""
    if parts == 1:
        _multiply_part(panels, x, y, 0, 1)
        _multiply_int8_part(weight_int8, x_int8, whole, 0, 1)
    else:
        for part in prange(parts):
            _multiply_part(panels, x, y, part, parts)
            _multiply_int8_part(weight_int8, x_int8, whole, part, parts)


@_compiled
def write(weights, buffers, turn, noise, sharp, points, phi, output, parts):
    """Points of one line, each drawn from the mixture after the one before.

    Args:
        weights: `Weights`.
        buffers: `Buffers`, which go on.
        turn: which of the cells are those before the first point.
        noise: three arrays for `pointwise.draw` at each of n points.
        sharp: see there.
        points: `(n + 1, 1, 3)`; the first is read, the others are filled.
        phi: `(n, 1, U)` filled.
        output: `(n, 1, 6M + 1)` filled with the raw output.
        parts: how many cores share a product.
    """
    row, cells_int8, kappa, moves, cells, tanh_c, text, mask = buffers
    pick, end, normal = noise
    hidden, rounded = tanh_c.shape[1], cells_int8.shape[1] > 0
    z = np.empty((1, _columns(weights.layers[0].panels)), np.float32)
    rest, whole = np.empty_like(z), np.empty(z.shape, np.int32)
    window = np.empty(_columns(weights.window), np.float32)
    raw = np.empty(_columns(weights.output), np.float32)
    none = np.empty((0, 1), np.int8)
    for t in range(len(phi)):
        for k in range(3):
            row[0, weights.seen + k] = points[t, 0, k]
        for number in range(len(weights.layers)):
            layer = weights.layers[number]
            _multiply(
                layer.panels, row[0, layer.first :], z[0],
                layer.weight_int8, cells_int8[0, layer.first_int8 :], whole[0], parts,
            )  # fmt: skip
            if rounded:
                compiled.dequantise(whole, layer.scale, layer.bias, rest)
            compiled.forward_gates(
                z, rest if rounded else layer.bias, cells[number, turn],
                layer.peephole, cells[number, 1 - turn], tanh_c, row, layer.own,
            )  # fmt: skip
            if rounded:
                compiled.quantise(row, layer.own, cells_int8, number * hidden, hidden)
            if number == 0:
                _multiply_part(weights.window, row[0], window, 0, 1)
                for k in range(moves.shape[1]):
                    moves[0, k] = window[k] + weights.window_bias[k]
                compiled.forward_window(
                    moves, kappa, kappa, phi[t], text, mask, row,
                    weights.seen + 3, weights.symbols,
                )  # fmt: skip
        turn = 1 - turn
        _multiply(weights.output, row[0], raw, none, cells_int8[0], whole[0], parts)
        for k in range(len(weights.output_bias)):
            output[t, 0, k] = raw[k] + weights.output_bias[k]
        compiled.draw(output[t], sharp, pick[t], end[t], normal[t], points[t + 1])


@_compiled
def _columns(panels):
    return panels.shape[0] * panels.shape[2]
