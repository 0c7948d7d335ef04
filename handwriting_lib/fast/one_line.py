"""A compiled loop that writes a single line.

For a single line, the matrix products at a point cost little more than reading the
weights, so any overhead around them counts. Here one call writes many points, and the
cores of the CPU share each product. With several lines oneDNN's kernel pays off, and
`writing.stepper` writes them one point at a time.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import prange
from torch import Tensor

from . import numba_backend as points
from .compiled import compiled

# Columns per panel of a weight: a multiple of VECTOR, the numbers in a vector register;
# at least WIDTH; and about 1 / SHARES of a large weight, so that every core gets some.
VECTOR, WIDTH, SHARES = 16, 64, 8

# Numba compiles a function once more for each number that is written out in a call.
ZERO, ONE = np.int64(0), np.int64(1)


def columns(weight: Tensor) -> Any:
    """Lay out a weight in panels of columns, for products with a single row.

    Args:
        weight: `(N, K)` weight.

    Returns:
        `(P, K, n)` panels with n columns of the transpose each; the last is padded with
        zeros.
    """
    rows, length = weight.shape
    width = min(max(WIDTH, _up(rows // SHARES, VECTOR)), _up(rows, VECTOR))
    full = weight.new_zeros(_up(rows, width), length)
    full[:rows] = weight
    return full.unflatten(0, (-1, width)).transpose(1, 2).contiguous().numpy()


def cores() -> int:
    """The number of cores that share a product: at most as many as torch may use."""
    return min(_pool(), torch.get_num_threads())


@cache
def _pool() -> int:
    """Start Numba's thread pool and return its size, or 1 if it cannot be used.

    Numba's own pool, which it uses without OpenMP or TBB, ends the process when two
    Python threads use it at once.
    """
    threads = torch.get_num_threads()
    number = numba.get_num_threads()
    torch.set_num_threads(threads)  # with OpenMP, torch and the pool share this number
    return 1 if numba.threading_layer() == "workqueue" else number


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


class LayerWeights(NamedTuple):
    """The weights of one layer, as arrays.

    Attributes:
        panels: panels of the float32 weight (`columns`), which reads the row of all
            outputs.
        first: index of the first number of the row that `panels` reads.
        bias: `(1, 4H)` bias.
        peephole: `(3, H)` peephole weights.
        own: index of the layer's first output in the row.
    """

    panels: Any
    first: int
    bias: Any
    peephole: Any
    own: int


class Int8LayerWeights(NamedTuple):
    """The int8 weights of one layer, as arrays.

    Attributes:
        weight: `(4H, K)` int8 weight, which reads outputs of cells.
        first: index of the first output that it reads.
        scale: `(4H,)` scale of the weight.
    """

    weight: Any
    first: int
    scale: Any


class Weights(NamedTuple):
    """The weights of a network, as arrays.

    Attributes:
        layers: weights of each layer.
        window: panels of the window's weight.
        window_bias: `(3K,)` bias of the window.
        output: panels of the output layer's weight.
        output_bias: `(6M + 1,)` bias of the output layer.
        seen: index of the point in the row of all outputs; the window vector follows.
        symbols: V, the size of the alphabet.
    """

    layers: tuple[LayerWeights, ...]
    window: Any
    window_bias: Any
    output: Any
    output_bias: Any
    seen: int
    symbols: int


class Buffers(NamedTuple):
    """The buffers that a line keeps from point to point, as arrays.

    Attributes:
        row: `(1, R)` outputs of all layers, the point and what the window reads.
        cells_int8: `(1, LH)` outputs in int8, or `(1, 0)` in float32.
        kappa: `(1, K)` positions of the window's components.
        moves: `(1, 3K)` alpha, beta and the step of kappa.
        cells: `(L, 2, 1, H)` cells before and after a point, in alternating places.
        tanh_c: `(1, H)` tanh of the cells.
        text: `(1, U)` int64 symbols.
        mask: `(1, U)` float32 mask of the text.
    """

    row: Any
    cells_int8: Any
    kappa: Any
    moves: Any
    cells: Any
    tanh_c: Any
    text: Any
    mask: Any


@compiled()
def _add_up(panel, x, y):
    """Compute y = x @ panel; the sums stay in registers for eight terms at a time."""
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


@compiled()
def _multiply_part(panels, x, y, part, parts):
    """A part of y = x @ panels."""
    number, length, width = panels.shape
    for q in range(part * number // parts, (part + 1) * number // parts):
        _add_up(panels[q], x[:length], y[q * width : (q + 1) * width])


@compiled(parallel=True)
def _multiply(panels, x, y, parts):
    for part in prange(parts):
        _multiply_part(panels, x, y, np.int64(part), parts)


@compiled()
def _multiply_int8_part(weight, x, y, part, parts):
    """A part of y = x @ weight.T, in integers."""
    rows, length = weight.shape
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        own, total = weight[r], np.int32(0)
        for k in range(length):
            total += np.int32(own[k]) * np.int32(x[k])
        y[r] = total


@compiled(parallel=True)
def _multiply_int8(weight, x, y, parts):
    for part in prange(parts):
        _multiply_int8_part(weight, x, y, np.int64(part), parts)


@compiled()
def _write(weights, int8, buffers, turn, noise, sharp, drawn, phi, output, parts):
    """`LineLoop.write` on arrays; `parts` cores share each product.

    Where `int8` is None, Numba leaves out the branches that need it.
    """
    row, cells_int8, kappa, moves, cells, tanh_c, text, mask = buffers
    pick, end, normal = noise
    hidden = tanh_c.shape[1]
    z = np.empty((1, _columns(weights.layers[0].panels)), np.float32)
    rest, whole = np.empty_like(z), np.empty(z.shape, np.int32)
    window = np.empty(_columns(weights.window), np.float32)
    raw = np.empty(_columns(weights.output), np.float32)
    for t in range(len(phi)):
        for k in range(3):
            row[0, weights.seen + k] = drawn[t, 0, k]
        for number in range(len(weights.layers)):
            layer = weights.layers[number]
            if parts == 1:
                _multiply_part(layer.panels, row[0, layer.first :], z[0], ZERO, parts)
            else:
                _multiply(layer.panels, row[0, layer.first :], z[0], parts)
            if int8 is None:
                added = layer.bias
            else:
                of_cells = int8[number]
                seen = cells_int8[0, of_cells.first :]
                if parts == 1:
                    _multiply_int8_part(of_cells.weight, seen, whole[0], ZERO, parts)
                else:
                    _multiply_int8(of_cells.weight, seen, whole[0], parts)
                points.dequantise(whole, of_cells.scale, layer.bias, rest)
                added = rest
            points.forward_gates(
                z, added, cells[number, turn], layer.peephole,
                cells[number, 1 - turn], tanh_c, row, layer.own,
            )  # fmt: skip
            if int8 is not None:
                points.quantise(row, layer.own, cells_int8, number * hidden, hidden)
            if number == 0:
                _multiply_part(weights.window, row[0], window, ZERO, ONE)
                for k in range(moves.shape[1]):
                    moves[0, k] = window[k] + weights.window_bias[k]
                points.forward_window(
                    moves, kappa, kappa, phi[t], text, mask, row,
                    weights.seen + 3, weights.symbols,
                )  # fmt: skip
        turn = 1 - turn
        if parts == 1:
            _multiply_part(weights.output, row[0], raw, ZERO, parts)
        else:
            _multiply(weights.output, row[0], raw, parts)
        for k in range(len(weights.output_bias)):
            output[t, 0, k] = raw[k] + weights.output_bias[k]
        points.draw(output[t], sharp, pick[t], end[t], normal[t], drawn[t + 1])


@compiled()
def _columns(panels):
    return panels.shape[0] * panels.shape[2]


class LineLoop:
    """The compiled loop with the weights of a network.

    Args:
        weights: weights of the network, a `writing.stepper.StepWeights` on a CPU in
            float32.
    """

    def __init__(self, weights: Any) -> None:
        *layers, window, output = (columns(matrix) for matrix in weights.matrices)
        arrays = []
        for number, panels in enumerate(layers):
            bias = weights.biases[number][None].numpy()
            peephole = weights.peepholes[number].numpy()
            first, own = weights.reads[number].start, weights.cells[number].start
            arrays.append(LayerWeights(panels, first, bias, peephole, own))
        self.int8 = None
        if weights.int8:
            self.int8 = tuple(
                Int8LayerWeights(one.weight.numpy(), reads.start, one.scale.numpy())
                for one, reads in zip(weights.int8, weights.reads_int8, strict=True)
            )
        self.weights = Weights(
            tuple(arrays), window, weights.window_bias.numpy(), output,
            weights.output_bias.numpy(), weights.seen.start, weights.config.symbols,
        )  # fmt: skip

    def write(
        self,
        buffers: tuple[Tensor, ...],
        turn: int,
        noise: tuple[Tensor, ...],
        sharp: float,
        points: Tensor,
        phi: Tensor,
        output: Tensor,
    ) -> None:
        """Write n points of a line, each drawn from the mixture after the previous one.

        Args:
            buffers: tensors of `Buffers`, which are updated in place.
            turn: index, 0 or 1, of the cells before the first point.
            noise: `pick`, `end` and `normal` of `Backend.draw`, for n points.
            sharp: factor of the mixture's log-weights, as in `Backend.draw`.
            points: `(n + 1, 1, 3)` points; the first is read, the others are filled in.
            phi: `(n, 1, U)` buffer for the weights of the window.
            output: `(n, 1, 6M + 1)` buffer for the raw output.
        """
        _write(
            self.weights, self.int8, Buffers(*(b.numpy() for b in buffers)), turn,
            tuple(n.numpy() for n in noise), sharp, points.numpy(), phi.numpy(),
            output.numpy(), cores(),
        )  # fmt: skip
