"""Who learns to keep time? Writes book/data/05_clock.json for chapter 5.

The task is the generation of timed spikes of Gers, Schraudolph and Schmidhuber (2002):
a network without any input puts out 1 at every N-th point and 0 at all others. A
network is a layer of LSTM cells and one linear output. Those without peepholes come
with the same cells, and with one cell more, which gives them more weights:

peephole 16, lstm 16, lstm 17    for N = 10 and N = 20
peephole 1, lstm 1, lstm 2       for N = 10

They start as `hw.PeepholeLSTM` does, with a forget bias of 1, but all biases have the
same random part as the other weights: without an input, cells whose biases are zero
would stay at zero. A network learns the first five periods from a state of zeros,
through all points at once: squared error, Adam, gradient norm clipped to 1, at most
3,000 updates. It has *fitted* them as soon as its output is above a half at the spikes
and nowhere else. It has *solved* the task, and stops, as soon as the same holds for 100
periods; that is tried every 25 updates.

Every kind has four learning rates at each N. Three seeds that are used for nothing else
choose among them: the rate that solves most of the pilot runs, and among equals the one
that needs the fewest updates, or leaves the smallest loss where none has solved it. At
this rate ten other seeds are trained. A seed fixes the first weights, so networks of
as many cells start as pairs.

    python book/_tools/experiments/05_clock.py

takes a few minutes of one core. The cells are compiled by numba, because torch needs
twenty times as long for layers so small; `--check` compares outputs and gradients with
autograd through `hw.PeepholeLSTM`. Rows that are in the file already are not run again.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from numba import njit
from numpy.typing import NDArray

FILE = Path(__file__).resolve().parents[2] / "data" / "05_clock.json"
CELLS = {10: (16, 1), 20: (16,)}  # of each N
PERIODS = 5  # in training
RATES = 1e-3, 3e-3, 1e-2, 3e-2
PILOT_SEEDS, SEEDS = (100, 101, 102), tuple(range(10))
UPDATES = 3000
Array = NDArray[np.float64]


@njit
def unpack(w: Array, H: int):
    """Views of all weights: W_h, bias, peepholes, output, bias of the output."""
    a, b, c = 4 * H * H, 4 * H * H + 4 * H, 4 * H * H + 7 * H
    W_h, bias, p = w[:a].reshape(4 * H, H), w[a:b], w[b:c].reshape(3, H)
    return W_h, bias, p, w[c : c + H], w[c + H :]


@njit
def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + np.exp(-x))


@njit
def run(w: Array, H: int, T: int):
    """Outputs `(T,)`, gates `(T, 4, H)`, and hs and cs `(T + 1, H)`."""
    W_h, bias, p, v, v_0 = unpack(w, H)
    out, gates = np.empty(T), np.empty((T, 4, H))
    hs, cs, z = np.zeros((T + 1, H)), np.zeros((T + 1, H)), np.empty(4 * H)
    for t in range(T):
        for j in range(4 * H):
            total = bias[j]
            for k in range(H):
                total += W_h[j, k] * hs[t, k]
            z[j] = total
        out[t] = v_0[0]
        for k in range(H):
            c = cs[t, k]
            i = sigmoid(z[k] + p[0, k] * c)
            f = sigmoid(z[H + k] + p[1, k] * c)
            g = np.tanh(z[2 * H + k])
            c = f * c + i * g
            o = sigmoid(z[3 * H + k] + p[2, k] * c)
            gates[t, 0, k], gates[t, 1, k], gates[t, 2, k], gates[t, 3, k] = i, f, g, o
            cs[t + 1, k], hs[t + 1, k] = c, o * np.tanh(c)
            out[t] += v[k] * hs[t + 1, k]
    return out, gates, hs, cs


@njit
def gradient(w: Array, H: int, d_out: Array, gates: Array, hs: Array, cs: Array):
    """The gradient of a loss whose derivatives at the outputs are `d_out`."""
    W_h, _, p, v, _ = unpack(w, H)
    d_w = np.zeros_like(w)
    d_W, d_bias, d_p, d_v, d_v_0 = unpack(d_w, H)
    eta, epsilon, delta = np.zeros(H), np.zeros(H), np.empty(4 * H)
    for t in range(len(d_out) - 1, -1, -1):
        d_v_0[0] += d_out[t]
        for k in range(H):
            i, f, g, o = gates[t, 0, k], gates[t, 1, k], gates[t, 2, k], gates[t, 3, k]
            c, tanh = cs[t, k], np.tanh(cs[t + 1, k])
            d_v[k] += d_out[t] * hs[t + 1, k]
            d_h = eta[k] + d_out[t] * v[k]
            d_o = d_h * tanh * o * (1 - o)
            d_c = epsilon[k] + d_h * o * (1 - tanh**2) + p[2, k] * d_o
            d_i, d_f = d_c * g * i * (1 - i), d_c * c * f * (1 - f)
            d_p[0, k] += d_i * c
            d_p[1, k] += d_f * c
            d_p[2, k] += d_o * cs[t + 1, k]
            epsilon[k] = d_c * f + p[0, k] * d_i + p[1, k] * d_f
            delta[k], delta[H + k] = d_i, d_f
            delta[2 * H + k], delta[3 * H + k] = d_c * i * (1 - g**2), d_o
            eta[k] = 0.0
        for j in range(4 * H):
            d_bias[j] += delta[j]
            for k in range(H):
                d_W[j, k] += delta[j] * hs[t, k]
                eta[k] += delta[j] * W_h[j, k]
    return d_w


@njit
def is_right(out: Array, N: int) -> bool:
    for t in range(len(out)):
        if (out[t] > 0.5) != (t % N == N - 1):
            return False
    return True


@njit
def train(w: Array, H: int, look: bool, N: int, rate: float):
    """The updates after which the task was fitted and solved, or -1, and the loss."""
    T, fitted, loss = N * PERIODS, -1, 0.0
    target, d_out = np.zeros(T), np.zeros(T)
    target[N - 1 :: N] = 1.0
    m, s = np.zeros_like(w), np.zeros_like(w)
    for update in range(UPDATES + 1):
        out, gates, hs, cs = run(w, H, T)
        d_out[:] = out - target
        loss = (d_out**2).sum() / PERIODS
        if is_right(out, N):
            fitted = update if fitted < 0 else fitted
            if update % 25 == 0 and is_right(run(w, H, 100 * N)[0], N):
                return fitted, update, loss
        g = gradient(w, H, 2 * d_out / PERIODS, gates, hs, cs)
        if not look:
            unpack(g, H)[2][:] = 0.0
        g /= max(1.0, np.sqrt((g**2).sum()))
        m += 0.1 * (g - m)
        s += 0.001 * (g**2 - s)
        root = np.sqrt(s / (1 - 0.999 ** (update + 1))) + 1e-8
        w -= rate * m / (1 - 0.9 ** (update + 1)) / root
    return fitted, -1, loss


def first_weights(H: int, look: bool, seed: int) -> Array:
    """All weights of a network, in one vector."""
    random = np.random.default_rng(seed)
    w = random.uniform(-1, 1, 4 * H * H + 8 * H + 1) * H**-0.5
    _, bias, p, _, _ = unpack(w, H)
    bias[H : 2 * H] += 1.0
    p *= look
    return w


def choose(rows: list[dict]) -> float:
    """The learning rate that is best in these pilot runs."""

    def quality(rate: float) -> tuple[int, float]:
        mine = [row for row in rows if row["rate"] == rate]
        done = [row["solved"] for row in mine if row["solved"] is not None]
        rest = sum(row["loss"] for row in mine)
        return -len(done), sum(done) if done else rest

    return min(RATES, key=quality)


def check() -> None:
    """Compare with autograd."""
    import torch

    import handwriting_lib as hw

    w, T = first_weights(16, True, 0), 30
    W_h, bias, p, v, v_0 = (torch.tensor(x) for x in unpack(w, 16))
    layer, output = hw.PeepholeLSTM(1, 16).double(), torch.nn.Linear(16, 1).double()
    with torch.no_grad():
        layer.weight_ih.zero_()
        pairs = (layer.weight_hh, W_h), (layer.bias, bias), (layer.peephole, p)
        for old, new in (*pairs, (output.weight, v[None]), (output.bias, v_0)):
            old.copy_(new)
    out = output(layer(torch.ones(1, T, 1).double())[0])[0, :, 0]
    out.square().sum().backward()
    mine, *kept = run(w, 16, T)
    torch.testing.assert_close(torch.tensor(mine), out.detach())
    parts = [layer.weight_hh, layer.bias, layer.peephole, output.weight, output.bias]
    theirs = torch.cat([part.grad.flatten() for part in parts])
    torch.testing.assert_close(torch.tensor(gradient(w, 16, 2 * mine, *kept)), theirs)
    print("equal to autograd")


def main() -> None:
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    keys = "N", "kind", "rate", "seed"
    known = {tuple(row[key] for key in keys): row for row in rows}

    def add(*key) -> dict:
        if key not in known:
            N, kind, rate, seed = key
            look, H = kind.startswith("peephole"), int(kind.split()[1])
            w = first_weights(H, look, seed)
            found = train(w, H, look, N, rate)
            fitted, solved = (int(n) if n >= 0 else None for n in found[:2])
            row = dict(zip(keys, key, strict=True)) | {
                "pilot": seed in PILOT_SEEDS,
                "weights": len(w) - (0 if look else 3 * H),
                "fitted": fitted, "solved": solved, "loss": round(found[2], 4),
            }  # fmt: skip
            print(row, flush=True)
            known[key] = row
            rows.append(row)
            lines = ",\n".join(json.dumps(row) for row in rows)
            FILE.write_text(f"[\n{lines}\n]\n")
        return known[key]

    tasks = [(N, cells) for N, every in CELLS.items() for cells in every]
    names = [(N, (f"peephole {H}", f"lstm {H}", f"lstm {H + 1}")) for N, H in tasks]
    for N, kind in [(N, kind) for N, kinds in names for kind in kinds]:
        pilots = [add(N, kind, *x) for x in product(RATES, PILOT_SEEDS)]
        rate = choose(pilots)
        for seed in SEEDS:
            add(N, kind, rate, seed)


if __name__ == "__main__":
    check() if "--check" in sys.argv else main()
