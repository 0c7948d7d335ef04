"""What does a window do whose height, sharpness and step may be negative?

The record behind "Linear instead of exponential" in chapter 9, written to
book/data/09_linear.json. The data and the network are those of 09_window.py, except
that the linear layer's output is taken as alpha, beta and the step of kappa themselves;
its biases start at the values whose logarithms the library starts with (1, 0.61 and
0.03). Three seeds, at most 80 updates with batches of 8 words, Adam at 0.01, gradient
norm clipped to 5.

A row notes how many updates were made, the loss of the last one (null if it was not a
number), the smallest beta and the largest weight that occurred, and the share of
steps that moved the window back.

    python book/_tools/experiments/09_linear.py

takes about two minutes of one core.
"""

from __future__ import annotations

import json
import math
import os
from importlib import import_module
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "09_linear.json"
UPDATES, BATCH, RATE, CLIP = 80, 8, 1e-2, 5.0
words = import_module("09_window").words


def train(seed: int) -> dict:
    """One run, until the loss is not a number or all updates are made."""
    training, _ = words()
    unit = hw.measure_normalisation(training)
    torch.manual_seed(seed)
    network = hw.SynthesisNetwork(
        hw.SynthesisConfig(64, 1, mixtures=5, components=3, step=0.03)
    )
    with torch.no_grad():
        network.window.bias.exp_()
    adam = torch.optim.Adam(network.parameters(), lr=RATE)
    sharpness, weight, back, steps = math.inf, 0.0, 0, 0
    for update in range(1, UPDATES + 1):  # noqa: B007
        pick = torch.randint(len(training), (BATCH,)).tolist()
        batch = hw.make_batch([training[i] for i in pick], unit)
        size, places = batch.text.shape
        u = torch.arange(1, places + 1)
        state, hidden = network.layers[0].initial_state(size), []
        w, kappa = torch.zeros(size, 96), torch.zeros(size, 3)
        for point in batch.ink[:, :-1].unbind(1):
            state = network.layers[0].step(torch.cat([point, w], -1), state)
            alpha, beta, step = network.window(state.h).chunk(3, -1)  # (B, K) each
            kappa = kappa + step
            distance = kappa[..., None] - u  # (B, K, U)
            bumps = alpha[..., None] * torch.exp(-beta[..., None] * distance**2)
            phi = bumps.sum(1) * batch.text_mask  # (B, U)
            w = torch.zeros(size, 96).scatter_add(1, batch.text, phi)
            hidden.append(state.h)
            sharpness = min(sharpness, beta.min().item())
            weight = max(weight, phi.abs().max().item())
            back, steps = back + int((step < 0).sum()), steps + step.numel()
        output = network.output(torch.stack(hidden, 1))
        log_prob = hw.StrokeMixture.from_output(output).log_prob(batch.ink[:, 1:])
        loss = -log_prob[batch.mask[:, 1:]].mean()
        if not loss.isfinite():
            break
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        adam.step()
    return {
        "seed": seed,
        "updates": update,
        "loss": round(loss.item(), 2) if loss.isfinite() else None,
        "smallest beta": round(sharpness, 2),
        "largest weight": weight if math.isfinite(weight) else None,
        "share of steps back": round(back / steps, 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    for seed in range(3):
        rows.append(train(seed))
        print(rows[-1], flush=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    FILE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
