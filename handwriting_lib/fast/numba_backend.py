"""The operations of a `Backend` compiled for the CPU by Numba, in float32.

Torch passes through memory once per operation, and at one point of a line each
operation is so small that starting it costs as much as computing it. Here each cell is
read once and written once.

Numba compiles a function at its first call, and `compiled` keeps the result, so only
the first run waits. The extra `fast` installs Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..parts.mixture import RHO_LIMIT, SIGMA_FLOOR
from .backend import Backend
from .compiled import compiled, inlined
from .torch_backend import INT8_STEPS

_f = np.float32
_RHO_LIMIT, _SIGMA_FLOOR = _f(RHO_LIMIT), _f(SIGMA_FLOOR)
_ONE, _HALF, _INT8_STEPS = _f(1), _f(0.5), _f(INT8_STEPS)
# exp(x) = 2^n exp(r) with |r| <= log(2)/2. The two parts of log(2) keep r accurate.
_LOG2_E, _LOG_2, _LOG_2_REST = _f(np.log2(np.e)), _f(0.693359375), _f(-2.12194440e-4)
_LOWEST, _HIGHEST = _f(-87), _f(89)  # exp is 0 below and infinite above
# The polynomial of Cephes' expf (Moshier 1992), from the highest power down.
_P0, _P1, _P2 = _f(1.9875691500e-4), _f(1.3981999507e-3), _f(8.3334519073e-3)
_P3, _P4, _P5 = _f(4.1665795894e-2), _f(1.6666665459e-1), _f(5.0000001201e-1)
_EXPONENT_BIAS, _FRACTION_BITS = np.int32(127), np.int32(23)


@inlined
def _exp(x):
    """The exponential to a relative error of 1e-7; comparisons let nan stay nan."""
    bounded = _LOWEST if x < _LOWEST else x
    bounded = _HIGHEST if bounded > _HIGHEST else bounded
    n = np.floor(bounded * _LOG2_E + _HALF)
    r = bounded - n * _LOG_2 - n * _LOG_2_REST
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    p = p * r * r + r + _ONE
    power = np.int32((np.int32(n) + _EXPONENT_BIAS) << _FRACTION_BITS).view(np.float32)
    return _f(0) if x < _LOWEST else p * power


@inlined
def _sigmoid(x):
    return _ONE / (_ONE + _exp(-x))


@inlined
def _tanh(x):
    e = _exp(_f(-2) * abs(x))  # at most 1, so nothing overflows
    size = (_ONE - e) / (_ONE + e)
    return -size if x < 0 else size


@inlined
def _clip(x, limit):
    x = -limit if x < -limit else x
    return limit if x > limit else x


@compiled()
def forward_gates(z, recurrent, c, peephole, new_c, tanh_c, row, first):
    """`Backend.forward_gates`."""
    batch, hidden = c.shape
    p_i, p_f, p_o = peephole[0], peephole[1], peephole[2]
    for b in range(batch):
        i, f = z[b, :hidden], z[b, hidden : 2 * hidden]
        g, o = z[b, 2 * hidden : 3 * hidden], z[b, 3 * hidden :]
        r_i, r_f = recurrent[b, :hidden], recurrent[b, hidden : 2 * hidden]
        r_g = recurrent[b, 2 * hidden : 3 * hidden]
        r_o = recurrent[b, 3 * hidden :]
        old, new, tanh, h = c[b], new_c[b], tanh_c[b], row[b, first : first + hidden]
        # one loop per gate: the compiler vectorises short loops
        for j in range(hidden):
            i[j] = _sigmoid(i[j] + r_i[j] + old[j] * p_i[j])
        for j in range(hidden):
            f[j] = _sigmoid(f[j] + r_f[j] + old[j] * p_f[j])
        for j in range(hidden):
            g[j] = _tanh(g[j] + r_g[j])
        for j in range(hidden):
            new[j] = f[j] * old[j] + i[j] * g[j]
        for j in range(hidden):
            o[j] = _sigmoid(o[j] + r_o[j] + new[j] * p_o[j])
        for j in range(hidden):
            tanh[j] = _tanh(new[j])
            h[j] = o[j] * tanh[j]


@compiled()
def backward_gates(d_out, d_next, gates, c, tanh_c, d_c, peephole, d_z, limit):
    """`Backend.backward_gates`."""
    batch, hidden = c.shape
    first, limit = d_next.shape[1] - hidden, _f(limit)
    p_i, p_f, p_o = peephole[0], peephole[1], peephole[2]
    for b in range(batch):
        gates_i, gates_f = gates[b, :hidden], gates[b, hidden : 2 * hidden]
        gates_g, gates_o = gates[b, 2 * hidden : 3 * hidden], gates[b, 3 * hidden :]
        d_z_i, d_z_f = d_z[b, :hidden], d_z[b, hidden : 2 * hidden]
        d_z_g, d_z_o = d_z[b, 2 * hidden : 3 * hidden], d_z[b, 3 * hidden :]
        outside, after, cell, tanh, d_cell = (
            d_out[b], d_next[b, first:], c[b], tanh_c[b], d_c[b]
        )  # fmt: skip
        for j in range(hidden):
            i, f, g, o = gates_i[j], gates_f[j], gates_g[j], gates_o[j]
            d_h = outside[j] + after[j]
            d_o = _clip(d_h * tanh[j] * o * (_ONE - o), limit)
            d = d_cell[j] + d_h * o * (_ONE - tanh[j] * tanh[j]) + d_o * p_o[j]
            d_i = _clip(d * g * i * (_ONE - i), limit)
            d_f = _clip(d * cell[j] * f * (_ONE - f), limit)
            d_z_g[j] = _clip(d * i * (_ONE - g * g), limit)
            d_cell[j] = d * f + d_i * p_i[j] + d_f * p_f[j]
            d_z_i[j], d_z_f[j], d_z_o[j] = d_i, d_f, d_o


@compiled()
def forward_window(moves, kappa, new_kappa, phi, text, mask, row, first, symbols):
    """`Backend.forward_window`."""
    batch, components = kappa.shape
    for b in range(batch):
        weight, there = phi[b], mask[b]
        weight[:] = 0
        for k in range(components):
            alpha, beta = _exp(moves[b, k]), _exp(moves[b, components + k])
            step = _exp(moves[b, 2 * components + k])
            moves[b, k], moves[b, components + k] = alpha, beta
            moves[b, 2 * components + k] = step
            place = kappa[b, k] + step
            new_kappa[b, k] = place
            for u in range(len(weight)):
                distance = place - _f(u + 1)
                weight[u] += alpha * _exp(-beta * (distance * distance))
        row[b, first : first + symbols] = 0
        for u in range(len(weight)):
            weight[u] *= there[u]
            row[b, first + text[b, u]] += weight[u]


@compiled()
def backward_window(d_w, d_next, moves, kappa, text, mask, d_kappa, d_moves):
    """`Backend.backward_window`."""
    batch, components = kappa.shape
    slots = text.shape[1]
    d_phi, weighted = np.empty(slots, np.float32), np.empty(slots, np.float32)
    for b in range(batch):
        for u in range(slots):
            at = text[b, u]
            d_phi[u] = (d_w[b, at] + d_next[b, at]) * mask[b, u]
        for k in range(components):
            alpha, beta = moves[b, k], moves[b, components + k]
            step, place = moves[b, 2 * components + k], kappa[b, k]
            for u in range(slots):
                distance = place - _f(u + 1)
                weighted[u] = alpha * _exp(-beta * (distance * distance)) * d_phi[u]
            total, first, second = _f(0), _f(0), _f(0)
            for u in range(slots):
                distance = place - _f(u + 1)
                total += weighted[u]
                first += weighted[u] * distance
                second += weighted[u] * distance * distance
            d_place = d_kappa[b, k] - _f(2) * beta * first
            d_kappa[b, k] = d_place
            d_moves[b, k] = total
            d_moves[b, components + k] = -beta * second
            d_moves[b, 2 * components + k] = d_place * step


@compiled()
def draw(output, sharp, pick, end, normal, point):
    """`Backend.draw`."""
    batch, mixtures, sharp = len(output), output.shape[1] // 6, _f(sharp)
    share = np.empty(mixtures, np.float32)
    for b in range(batch):
        raw = output[b]
        largest = raw[1]
        for m in range(1, mixtures):
            largest = max(largest, raw[1 + m])
        total = _f(0)
        for m in range(mixtures):
            share[m] = _exp((raw[1 + m] - largest) * sharp)
            total += share[m]
        chosen, below = 0, share[0] / total
        while chosen < mixtures - 1 and below < pick[b, 0]:
            chosen += 1
            below += share[chosen] / total
        at = 1 + mixtures + chosen
        rho = _tanh(raw[at + 4 * mixtures]) * _RHO_LIMIT
        along, across = normal[b, 0], normal[b, 1]
        turned = across * np.sqrt(_ONE - rho * rho) + rho * along
        sigma_1 = _exp(raw[at + 2 * mixtures]) + _SIGMA_FLOOR
        sigma_2 = _exp(raw[at + 3 * mixtures]) + _SIGMA_FLOOR
        point[b, 0] = raw[at] + sigma_1 * along
        point[b, 1] = raw[at + mixtures] + sigma_2 * turned
        point[b, 2] = raw[0] > end[b, 0]


@compiled()
def quantise(row, first, cells, first_cell, hidden):
    """`Backend.quantise`."""
    for b in range(len(row)):
        h, steps = row[b, first : first + hidden], cells[b, first_cell:]
        for j in range(hidden):
            steps[j] = np.int8(np.rint(h[j] * _INT8_STEPS))


@compiled()
def dequantise(whole, scale, bias, z):
    """`Backend.dequantise`."""
    for b in range(len(whole)):
        for j in range(len(scale)):
            z[b, j] = bias[b, j] + _f(whole[b, j]) * scale[j]


class NumbaBackend:
    """The Numba backend, on NumPy arrays that share the memory of the tensors.

    The arguments are described in `Backend`.
    """

    name = "numba"

    def array(self, tensor: Tensor) -> Any:
        return tensor.detach().numpy()

    def read(self, tensor: Tensor) -> Any:
        return tensor.detach().float().numpy()

    def forward_gates(
        self,
        z: Any,
        recurrent: Any,
        c: Any,
        peephole: Any,
        new_c: Any,
        tanh_c: Any,
        row: Any,
        first: int,
        low: Tensor | None = None,
    ) -> None:
        forward_gates(z, recurrent, c, peephole, new_c, tanh_c, row, first)
        if low is not None:
            own = slice(first, first + c.shape[1])
            low[:, own] = torch.from_numpy(row[:, own])

    def backward_gates(
        self,
        d_out: Any,
        d_next: Any,
        gates: Any,
        c: Any,
        tanh_c: Any,
        d_c: Any,
        peephole: Any,
        d_z: Any,
        limit: float,
        d_low: Tensor | None = None,
    ) -> None:
        backward_gates(d_out, d_next, gates, c, tanh_c, d_c, peephole, d_z, limit)
        if d_low is not None:
            d_low.copy_(torch.from_numpy(d_z))

    def forward_window(
        self,
        moves: Any,
        kappa: Any,
        new_kappa: Any,
        phi: Any,
        text: Any,
        mask: Any,
        row: Any,
        first: int,
        symbols: int,
        low: Tensor | None = None,
    ) -> None:
        forward_window(moves, kappa, new_kappa, phi, text, mask, row, first, symbols)
        if low is not None:
            own = slice(first, first + symbols)
            low[:, own] = torch.from_numpy(row[:, own])

    def backward_window(
        self,
        d_w: Any,
        d_next: Any,
        moves: Any,
        kappa: Any,
        text: Any,
        mask: Any,
        d_kappa: Any,
        d_moves: Any,
    ) -> None:
        backward_window(d_w, d_next, moves, kappa, text, mask, d_kappa, d_moves)

    draw = staticmethod(draw)
    quantise = staticmethod(quantise)
    dequantise = staticmethod(dequantise)

    def line_loop(self, weights: Any) -> Any:
        from .one_line import LineLoop

        return LineLoop(weights)


BACKEND: Backend = NumbaBackend()
