"""When does a small network's window find the letters, and from which start?

The record behind "A short training" and "The step starts wrong" in chapter 9, written
to book/data/09_window.json. Data and network are those of the chapter's cell: 184 words
of six letters in one synthetic hand, 16 more held out, one layer of 64 cells. Each
variant is trained for 600 updates with three seeds: batches of 16 words, Adam at 0.01
that falls to 0 over the last half, gradient norm clipped to 5. The variants are the
step with which the window starts, in characters per point: 0.03, 1 and 0.0028, and,
from 0.03, a network that does not read its window ("text" is false).

Every 20 updates a row notes, on the held-out words, how many characters the largest
weight is away from the truth ("away"), how often it is on it ("right"), and the
loss with the own text and with that of another word ("own", "other").

    python book/_tools/experiments/09_window.py

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

import numpy as np
import torch

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "09_window.json"
VARIANTS = ((0.03, True), (1.0, True), (0.0028, True), (0.03, False))
SEEDS, UPDATES, EVERY, RATE, CLIP = range(3), 600, 20, 1e-2, 5.0


def words() -> tuple[list[hw.Sample], list[hw.Sample]]:
    """Training and held-out words, as in the chapter."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("ilmwen"), 6)) for _ in range(200)]
    corpus = hw.load_corpus("synthetic", samples=200, texts=texts, writers=1, seed=3)
    samples = hw.prepare(corpus).samples
    return samples[:-16], samples[-16:]


def train(start: float, text: bool, seed: int) -> dict:
    """One run: its measures after every 20 updates."""
    training, held_out = words()
    unit = hw.measure_normalisation(training)
    test = hw.make_batch(held_out, unit)
    other = test.replace(text=test.text.roll(1, 0))  # all have six letters
    truths = torch.full(test.mask.shape, -1)  # (B, T)
    for row, sample in zip(truths, held_out, strict=True):
        row[: len(sample.ink)] = sample.character_of_point
    torch.manual_seed(seed)
    network = hw.SynthesisNetwork(
        hw.SynthesisConfig(64, 1, mixtures=5, components=3, step=start)
    )
    row = {"start": start, "text": text, "seed": seed, "update": []}
    row |= {key: [] for key in ("away", "right", "own", "other")}

    @torch.no_grad()
    def cut() -> None:
        if not text:
            network.layers[0].weight_ih[:, 3:] = 0

    @torch.no_grad()
    def measure(update: int) -> None:
        cut()
        phi = network(test.ink, test.text, test.text_mask).phi
        off = (phi.argmax(-1) - truths).abs()[test.mask].float()
        row["update"].append(update)
        row["away"].append(round(off.mean().item(), 3))
        row["right"].append(round((off == 0).float().mean().item(), 3))
        row["own"].append(round(hw.batch_loss(network, test).item(), 3))
        row["other"].append(round(hw.batch_loss(network, other).item(), 3))

    adam = torch.optim.Adam(network.parameters(), lr=RATE)
    measure(0)
    for update in range(1, UPDATES + 1):
        cut()
        adam.param_groups[0]["lr"] = RATE * min(1, 2 - 2 * update / UPDATES)
        pick = torch.randint(len(training), (16,)).tolist()
        batch = hw.make_batch([training[i] for i in pick], unit)
        loss = hw.batch_loss(network, batch)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        adam.step()
        if update % EVERY == 0:
            measure(update)
    return row


def main() -> None:
    torch.set_num_threads(1)
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["start"], row["text"], row["seed"]) for row in rows}
    left = [
        (v, seed) for seed, v in product(SEEDS, VARIANTS) if (*v, seed) not in known
    ]
    most = int(sys.argv[1]) if len(sys.argv) > 1 else len(left)
    for variant, seed in left[:most]:
        row = train(*variant, seed)
        print(variant, seed, row["away"][::5], row["own"][::5], flush=True)
        rows.append(row)
        rows.sort(key=lambda r: (VARIANTS.index((r["start"], r["text"])), r["seed"]))
        lines = ",\n".join(json.dumps(row) for row in rows)
        FILE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
