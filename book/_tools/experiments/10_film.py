"""How does a small synthesis network come to write one word?

The record behind the training film of chapter 10, written to book/data/10_film.json.
Data, network and training are those of the chapter's cell on a CPU and of the first
seed in 10_synthesis.py: 470 words in one synthetic hand, 32 of them held out, three
layers of 64 cells, batches of 1,500 points, Adam with a warm-up of 20 updates, gradient
norm clipped to 5. But training goes on for 4,000 updates, over which the learning rate
falls along a cosine to nothing. One network, one seed.

At ten checkpoints the network writes the same word, which is not among the 470, from
the same random numbers: drawn once, and not again. A row for each notes

- "update";
- "ink": `[x, y, end_of_stroke]` per point, positions in letter-body heights, y up;
- "phi": the window's weights at each point, a column per character and one for the end
  slot;
- "problem": what `check_line` finds, "" if nothing;
- "loss", "neighbour" and "found" on the held-out words, as in 10_synthesis.py: nats per
  point with the own text and with that of the neighbour, and the share of points at
  which the largest weight is on the true character;
- "training": the loss on 32 of the words that the network is trained on.

    python book/_tools/experiments/10_film.py

takes about 10 minutes of one core.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "10_film.json"
CHECKPOINTS = (0, 30, 60, 90, 125, 250, 500, 1000, 2000, 4000)
RATE, CLIP, SEED = 1e-2, 5.0, 1
TEXT, BIAS, WRITING_SEED = "window", 1.0, 5


def train(at_checkpoint: Callable[[int, hw.Model, dict[str, float]], None]) -> None:
    """Train, and call back with update, model and measures at each checkpoint."""
    corpus = hw.load_corpus(
        "synthetic", samples=600, writers=1, kinds=("word",), seed=3
    )
    limits = hw.Limits(max_points=160, min_characters=3)
    samples = hw.prepare(corpus, limits=limits).samples
    assert TEXT not in {sample.text for sample in samples}
    training, held_out = samples[:-32], samples[-32:]
    held_out.sort(key=lambda sample: -len(sample.text))
    unit = hw.measure_normalisation(training)
    held = hw.make_batch(held_out, unit)
    neighbour = held.replace(
        text=held.text.roll(1, 0), text_mask=held.text_mask.roll(1, 0)
    )
    seen = hw.make_batch(training[:32], unit)
    owners = [sample.character_of_point for sample in held_out]
    truth = torch.nn.utils.rnn.pad_sequence(owners, True)  # (B, T)

    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    buckets = hw.LengthBuckets(training, points=1500)
    network = hw.SynthesisNetwork(
        hw.SynthesisConfig(hidden=64, mixtures=8, components=4, step=0.02)
    )
    model = hw.Model(network, unit, name="small")

    @torch.no_grad()
    def measure() -> dict[str, float]:
        phi = network(held.ink, held.text, held.text_mask).phi
        found = (phi.argmax(-1) == truth)[held.mask].float().mean()
        losses = {"loss": held, "neighbour": neighbour, "training": seen}
        row = {key: hw.batch_loss(network, of).item() for key, of in losses.items()}
        return {key: round(x, 3) for key, x in {**row, "found": found.item()}.items()}

    adam = torch.optim.Adam(network.parameters(), lr=RATE)
    for update in range(CHECKPOINTS[-1] + 1):
        if update in CHECKPOINTS:
            at_checkpoint(update, model, measure())
        falling = 0.5 * (1 + math.cos(math.pi * update / CHECKPOINTS[-1]))
        adam.param_groups[0]["lr"] = RATE * min(1, (update + 1) / 20) * falling
        batch = hw.make_batch(buckets.draw(generator), unit)
        loss = hw.batch_loss(network, batch)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        adam.step()


def write(model: hw.Model) -> dict[str, Any]:
    """The word, written once: ink, weights and what is wrong with it."""
    line = hw.write(TEXT, model, bias=BIAS, seed=WRITING_SEED, redraws=0)[0]
    ink = [
        [round(x, 2), round(y, 2), int(end)]
        for x, y, end in hw.offsets_to_positions(line.ink.double()).tolist()
    ]
    phi = [[round(weight, 2) for weight in row] for row in line.phi.tolist()]
    return {"problem": line.problem, "ink": ink, "phi": phi}


def main() -> None:
    torch.set_num_threads(1)
    frames: list[dict[str, Any]] = []

    def note(update: int, model: hw.Model, measures: dict[str, float]) -> None:
        frames.append({"update": update, **measures, **write(model)})
        print(update, measures, frames[-1]["problem"], flush=True)

    train(note)
    lines = ",\n".join(json.dumps(frame, separators=(",", ":")) for frame in frames)
    FILE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
