"""Does the guide help the cursive decoder to read its text, and how soon?

The record behind chapter 15, written to book/data/15_guide.json. The network of
configs/cursive.toml is trained on single words of UNIPEN for a short time, with the
guide and without it; nothing else differs. At each validation, on words of held-out
writers, a row says how many nats a point costs, with the text and without it. The text
counts once the two differ.

    python book/_tools/experiments/15_guide.py unipen:PATH

takes some 40 minutes of one core. Rows that are in the file already are not run again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw
from handwriting_lib.training.cursive import CursiveTask, measure
from handwriting_lib.training.loop import fit

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "15_guide.json"
UPDATES, EVERY, SEEDS = 1000, 100, (1,)


class Recorded(CursiveTask):
    """The task, which keeps what it measured."""

    rows: list[list[float]]

    def validate(self, network: torch.nn.Module, device: torch.device) -> float:
        found = measure(network, self.held_out["words"], device)
        self.rows.append([round(found.point, 3), round(found.without_text, 3)])
        return found.point


def main() -> None:
    torch.set_num_threads(1)
    config = hw.read_config(ROOT / "configs" / "cursive.toml")
    recipe = dataclasses.replace(
        config.recipe, steps=UPDATES, decay_share=0.0, word_share=(1.0, 1.0),
        synthetic_share=0.0, validate_every=EVERY,
    )  # fmt: skip
    source = sys.argv[1] if len(sys.argv) > 1 else "unipen"
    corpus = hw.load_corpus(source, kinds=("word",))
    data = hw.prepare_words(corpus, config)
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["guide"], row["seed"]) for row in rows}
    for seed in SEEDS:
        for guide in (True, False):
            if (guide, seed) in known:
                continue
            one = dataclasses.replace(
                config,
                model={**config.model, "guide": guide},
                recipe=dataclasses.replace(recipe, seed=seed),
            )
            task = Recorded(one, data)
            task.rows = []
            with tempfile.TemporaryDirectory() as folder:
                fit(task, folder)
            rows.append({"guide": guide, "seed": seed, "every": EVERY,
                         "nats_with_and_without_text": task.rows})  # fmt: skip
            FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


if __name__ == "__main__":
    main()
