"""Do peepholes help on ink? Writes book/data/05_ink.json for chapter 5.

One layer reads synthetic lines by 34 writers, and is asked at each point for the next
offset and whether the pen lifts, as in chapter 5. Three layers are compared: 64 cells
with peepholes, the same 64 cells without, and 65 cells without, which have a few more
weights than the first. They are trained for 200 and for 1,000 updates. A pilot seed
chooses between two learning rates, for each layer and budget; three other seeds are
trained at the better one. A seed fixes the first weights and the batches, so the two
layers of 64 cells start as pairs. What is recorded is the loss on the lines of 6 other
writers: squared error of the offset in normalised units, and cross-entropy of the lift
in nats.

    python book/_tools/experiments/05_ink.py

takes some ten minutes of one core. Rows in the file are not run again.
"""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "05_ink.json"
KINDS = (64, True), (64, False), (65, False)  # cells, peepholes
RATES, BATCH, T, CLIP = (3e-3, 1e-2), 16, 100, 1.0
PILOT_SEED, SEEDS, UPDATES = 100, (0, 1, 2), (200, 1000)


def pieces(samples: list, unit: hw.Normalisation) -> Tensor:
    """Lines cut into pieces `(n, T + 1, 3)`; what is left over is dropped."""
    found = [piece for s in samples for piece in unit.apply(s.ink)[1:].split(T + 1)]
    return torch.stack([piece for piece in found if len(piece) == T + 1])


def read_ink() -> tuple[Tensor, Tensor]:
    """Pieces to train on, and pieces by other writers."""
    corpus = hw.load_corpus("synthetic", samples=400, seed=1, writers=40)
    lines = hw.prepare(corpus, limits=hw.Limits(max_points=700)).samples
    split = hw.split_by_writer(lines, share=0.15)
    unit = hw.measure_normalisation(split.train)
    return pieces(split.train, unit), pieces(split.validation, unit)


def new_layer(cells: int, peepholes: bool, seed: int) -> nn.Module:
    """A layer with peepholes, or torch's with the same first weights."""
    torch.manual_seed(seed)
    layer = hw.FusedPeepholeLSTM(3, cells)
    if peepholes:
        return layer
    plain = nn.LSTM(3, cells, batch_first=True)
    with torch.no_grad():
        plain.weight_ih_l0.copy_(layer.weight_ih)
        plain.weight_hh_l0.copy_(layer.weight_hh)
        plain.bias_ih_l0.copy_(layer.bias)
        plain.bias_hh_l0.zero_()
    plain.bias_hh_l0.requires_grad_(False)  # one bias, as in the paper
    return plain


def losses(layer: nn.Module, head: nn.Module, ink: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error of the offset; cross-entropy of the lift."""
    out = head(layer(ink[:, :-1])[0])
    step = (out[..., :2] - ink[:, 1:, :2]).square().sum(-1).mean()
    return step, binary_cross_entropy_with_logits(out[..., 2], ink[:, 1:, 2])


def run(
    cells: int, peepholes: bool, updates: int, rate: float, seed: int, inks: tuple
) -> dict:
    """Train one layer; its losses on held-out writers."""
    train, held = inks
    layer = new_layer(cells, peepholes, seed)
    torch.manual_seed(seed)
    head = nn.Linear(cells, 3)
    weights = [w for w in [*layer.parameters(), *head.parameters()] if w.requires_grad]
    adam = torch.optim.Adam(weights, lr=rate)
    batches = torch.Generator().manual_seed(seed)
    for update in range(updates):
        adam.param_groups[0]["lr"] = rate * min(1, 2 - 2 * update / updates)
        some = train[torch.randint(len(train), (BATCH,), generator=batches)]
        adam.zero_grad()
        sum(losses(layer, head, some)).backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        adam.step()
    with torch.no_grad():
        step, lift = losses(layer, head, held)
    return {
        "cells": cells, "peepholes": peepholes, "updates": updates, "rate": rate,
        "seed": seed, "pilot": seed == PILOT_SEED,
        "weights": sum(w.numel() for w in weights),
        "step": round(step.item(), 4), "lift": round(lift.item(), 4),
    }  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    keys = "cells", "peepholes", "updates", "rate", "seed"
    known = {tuple(row[key] for key in keys): row for row in rows}
    inks = read_ink()
    print("pieces:", *[len(part) for part in inks])

    def loss(*key) -> float:
        if key not in known:
            known[key] = run(*key, inks)
            rows.append(known[key])
            print(rows[-1], flush=True)
            lines = ",\n".join(json.dumps(row) for row in rows)
            FILE.write_text(f"[\n{lines}\n]\n")
        return known[key]["step"] + known[key]["lift"]

    for updates, kind in product(UPDATES, KINDS):
        pilots = {rate: loss(*kind, updates, rate, PILOT_SEED) for rate in RATES}
        best = min(pilots, key=pilots.__getitem__)
        for seed in SEEDS:
            loss(*kind, updates, best, seed)


if __name__ == "__main__":
    main()
