"""Three networks on the same small budget: with the guide, without it, and Graves'.

The record behind chapter 15, written to book/data/15_small.json. All three see the same
single words of UNIPEN in the same batches, thinned and slanted alike: the cursive
decoder of configs/cursive-144.toml, the same without its guide, and the synthesis
network of Graves 2013 with about as many weights (`SYNTHESIS`), which is trained on the
ink before it is rounded to tokens. At each validation, on words of held-out writers, a
row says how many nats a point costs, with the text and without it. The unit is one for
all: the probability of the bin that the point's token names, given the tokens before it
(`evaluation.bins` integrates the mixture over it). The text counts once the two differ.

    python book/_tools/experiments/15_small.py unipen:PATH

takes about an hour of one core. Rows that are in the file already are not run again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw
from handwriting_lib.data.batches import Batch, make_batch
from handwriting_lib.data.transforms import Normalisation, measure_normalisation
from handwriting_lib.evaluation.bins import mixture_nats
from handwriting_lib.training.cursive import (
    CursiveData,
    CursiveTask,
    StrokeBatch,
    measure,
)
from handwriting_lib.training.ink import batch_loss
from handwriting_lib.training.loop import fit

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "15_small.json"
UPDATES, EVERY, SEEDS = 700, 100, (1, 2, 3)
SYNTHESIS = {"hidden": 240, "layers": 3, "step": 0.06}
# The learning rates of the recipes that the two networks ship with.
RATES = {"guide": 2e-3, "no guide": 2e-3, "synthesis": 2e-3}


class Recorded(CursiveTask):
    """The decoder's task, which keeps what it measured."""

    rows: list[list[float]]

    def validate(self, network: torch.nn.Module, device: torch.device) -> float:
        found = measure(network, self.held_out["words"], device)
        self.rows.append([round(found.point, 3), round(found.without_text, 3)])
        return found.point


class Mixture(Recorded):
    """The synthesis network on the decoder's batches."""

    normalisation: Normalisation

    def inks(self, step: int) -> list[hw.Sample]:
        lines, texts = self.drawn(step)
        return [
            hw.Sample(text, line.ink, "any", "drawn", units="letter bodies")
            for line, text in zip(lines, texts, strict=True)
        ]

    def batch(self, step: int) -> Batch:  # type: ignore[override]
        return make_batch(self.inks(step), self.normalisation)

    def loss(self, network: torch.nn.Module, batch: Any, scale: float = 1) -> Any:
        return batch_loss(network, batch)

    def validate(self, network: torch.nn.Module, device: torch.device) -> float:
        """As `measure` does for tokens, on the ink that the tokens stand for."""
        row = []
        for change in (lambda batch: batch, StrokeBatch.without_text):
            nats = torch.cat([
                nats for batch in self.held_out["words"]
                for nats in self.nats(network, change(batch))
            ])  # fmt: skip
            row.append(round(float(nats.mean()), 3))
        self.rows.append(row)
        return row[0]

    def nats(self, network: torch.nn.Module, batch: StrokeBatch) -> list[torch.Tensor]:
        lines, texts = zip(*batch.lines, strict=True)
        return mixture_nats(network, self.normalisation, lines, texts, self.tokens)

    def model(self, network: torch.nn.Module, about: Mapping[str, Any]) -> hw.Model:
        return hw.Model(network, self.normalisation, self.config.thinning, about=about)


def build(kind: str, seed: int, base: hw.TrainingConfig, data: CursiveData) -> Recorded:
    """The task of one row."""
    recipe = dataclasses.replace(
        base.recipe, steps=UPDATES, decay_share=0.5, word_share=(1.0, 1.0),
        synthetic_share=0.0, validate_every=EVERY, learning_rate=RATES[kind], seed=seed,
    )  # fmt: skip
    model = {**base.model, "guide": kind == "guide"}
    config = dataclasses.replace(base, model=model, recipe=recipe)
    if kind != "synthesis":
        return Recorded(config, data)
    task = Mixture(config, data)
    some = [ink for step in range(50) for ink in task.inks(-1 - step)]
    task.normalisation = measure_normalisation(some)
    recipe = dataclasses.replace(recipe, optimiser="adam", clip_norm=5.0)
    task.config = dataclasses.replace(
        config, network="synthesis", model=SYNTHESIS, recipe=recipe
    )
    return task


def run(base: hw.TrainingConfig, data: CursiveData) -> None:
    """Train what the record does not have yet."""
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["network"], row["seed"]) for row in rows}
    for seed in SEEDS:
        for kind in RATES:
            if (kind, seed) in known:
                continue
            task = build(kind, seed, base, data)
            task.rows = []
            begin = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                model = fit(task, folder, quiet=True)
            rows.append({
                "network": kind, "seed": seed, "weights": model.num_parameters,
                "every": EVERY, "points_per_batch": task.config.recipe.points_per_batch,
                "seconds": round(time.process_time() - begin),
                "nats_with_and_without_text": task.rows,
            })  # fmt: skip
            FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def main() -> None:
    torch.set_num_threads(1)
    config = hw.read_config(ROOT / "configs" / "cursive-144.toml")
    source = sys.argv[1] if len(sys.argv) > 1 else "unipen"
    corpus = hw.load_corpus(source, kinds=("word",))
    run(config, hw.prepare_words(corpus, config))


if __name__ == "__main__":
    main()
