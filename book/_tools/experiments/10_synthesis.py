"""When does a small synthesis network begin to read, and what does it gain by it?

The record behind "The moment it begins to read" and "What goes wrong" in chapter 10,
written to book/data/10_synthesis.json. Data and network are those of the chapter's
cell on a CPU: words in one synthetic hand, 32 of them held out, three layers of 64
cells, batches of 1,500 points, Adam with a warm-up of 20 updates, gradient norm clipped
to 5. Each variant is trained for 420 updates, twice the budget of the cell, with two
seeds:

- "whole": the network of the chapter;
- "no wire": layer 1 does not read what the window read at the point before;
- "no text": no layer reads what the window reads.

Every 30 updates a row notes, on the held-out words, the loss with the own text and with
that of the neighbour ("own", "neighbour"), the share of points at which the largest
weight of the window is on the true character ("found"), and the share of updates since
the last row whose gradient had a norm above 5 ("large").

    python book/_tools/experiments/10_synthesis.py

takes about 10 minutes of one core. Rows that are in the file already are not run
again, so it can be interrupted; delete the file to start anew.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "10_synthesis.json"
VARIANTS = ("whole", "no wire", "no text")
SEEDS, UPDATES, EVERY, RATE, CLIP = (1, 2), 420, 30, 1e-2, 5.0


def train(variant: str, seed: int) -> dict:
    """One run: its measures after every 30 updates."""
    corpus = hw.load_corpus(
        "synthetic", samples=600, writers=1, kinds=("word",), seed=3
    )
    limits = hw.Limits(max_points=160, min_characters=3)
    samples = hw.prepare(corpus, limits=limits).samples
    training, held_out = samples[:-32], samples[-32:]
    held_out.sort(key=lambda sample: -len(sample.text))
    unit = hw.measure_normalisation(training)
    held = hw.make_batch(held_out, unit)
    neighbour = held.replace(
        text=held.text.roll(1, 0), text_mask=held.text_mask.roll(1, 0)
    )
    owners = [sample.character_of_point for sample in held_out]
    truth = torch.nn.utils.rnn.pad_sequence(owners, True)  # (B, T)

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    buckets = hw.LengthBuckets(training, points=1500)
    network = hw.SynthesisNetwork(
        hw.SynthesisConfig(hidden=64, mixtures=8, components=4, step=0.02)
    )

    @torch.no_grad()
    def cut() -> None:
        without = {"whole": 0, "no wire": 1, "no text": 3}[variant]
        for layer in network.layers[:without]:
            layer.weight_ih[:, 3 : 3 + network.config.symbols] = 0

    row = {"variant": variant, "seed": seed, "update": []}
    row |= {key: [] for key in ("own", "neighbour", "found", "large")}
    norms: list[float] = []

    @torch.no_grad()
    def measure(update: int) -> None:
        phi = network(held.ink, held.text, held.text_mask).phi
        found = (phi.argmax(-1) == truth)[held.mask].float().mean()
        row["update"].append(update)
        row["own"].append(round(hw.batch_loss(network, held).item(), 3))
        row["neighbour"].append(round(hw.batch_loss(network, neighbour).item(), 3))
        row["found"].append(round(found.item(), 3))
        share = sum(norm > CLIP for norm in norms) / max(1, len(norms))
        row["large"].append(round(share, 3))
        norms.clear()

    adam = torch.optim.Adam(network.parameters(), lr=RATE)
    for update in range(UPDATES + 1):
        cut()
        if update % EVERY == 0:
            measure(update)
        adam.param_groups[0]["lr"] = RATE * min(1, (update + 1) / 20)
        batch = hw.make_batch(buckets.draw(generator), unit)
        loss = hw.batch_loss(network, batch)
        adam.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        norms.append(norm.item())
        adam.step()
    return row


def main() -> None:
    torch.set_num_threads(1)
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["variant"], row["seed"]) for row in rows}
    left = [key for key in product(VARIANTS, SEEDS) if key not in known]
    most = int(sys.argv[1]) if len(sys.argv) > 1 else len(left)
    for variant, seed in sorted(left, key=lambda key: key[1])[:most]:
        row = train(variant, seed)
        print(variant, seed, row["own"], row["found"], row["large"], flush=True)
        rows.append(row)
        rows.sort(key=lambda row: (VARIANTS.index(row["variant"]), row["seed"]))
        lines = ",\n".join(json.dumps(row) for row in rows)
        FILE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
