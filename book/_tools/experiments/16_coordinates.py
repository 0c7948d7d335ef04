"""Places or offsets? A small glyph decoder whose coordinates are scored in three ways.

The record behind chapter 16, written to book/data/16_coordinates.json. Every row trains
the network of 16_families.py, on the same fifteen letters of all training families, for
the same number of updates, with stronger augmentation and dropout (`TASK`, `DROPOUT`).
A row says how a coordinate is read and scored: by its place ("absolute"), by its offset
from the point before ("relative"), or by the sum of both scores. All rows of a seed see
the same batches. At every eighth of the updates, a row's curve has the nats per row of
a program on fonts of held-out families, and on fonts that the network has seen, both
unchanged and with three references.

    python book/_tools/experiments/16_coordinates.py fonts:PATH

takes about ten minutes of one core. Rows that are in the file already are not run
again.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

import handwriting_lib as hw
from handwriting_lib.training.glyph import GlyphData, measure
from handwriting_lib.training.loop import fit

families = importlib.import_module("16_families")  # beside this file

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "16_coordinates.json"
TASK = {
    "references": 3, "alone": 0.3, "fonts": 8,
    "weight": 0.016, "width": 0.12, "height": 0.05, "slant": 0.1,
}  # fmt: skip
DROPOUT = 0.2
WAYS: dict[str, dict[str, bool]] = {
    "absolute": {},
    "relative": {"absolute": False, "relative": True},
    "both": {"relative": True},
}
UPDATES, SEEDS, PARTS = 400, (1, 2, 3), 8


class Following(families.Measuring):  # type: ignore[name-defined,misc]
    """The task of a row, which keeps its curve."""

    def follow(self, data: GlyphData) -> None:
        self.sides = [self.measured(some) for some in (data.validation, data.train)]
        self.curve: list[list[float]] = []

    def validate(self, network: torch.nn.Module, device: torch.device) -> float:
        nats = [round(measure(network, side, device).row, 3) for side in self.sides]
        self.curve.append(nats)
        return nats[0]


def run(base: hw.TrainingConfig, data: GlyphData) -> None:
    """Train what the record does not have yet."""
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["way"], row["seed"]) for row in rows}
    for seed, (way, model) in itertools.product(SEEDS, WAYS.items()):
        if (way, seed) in known:
            continue
        recipe = dataclasses.replace(
            base.recipe, steps=UPDATES, points_per_batch=1200, learning_rate=3e-3,
            warmup_steps=50, validate_every=UPDATES // PARTS, seed=seed,
            weight_decay=0.05,
        )  # fmt: skip
        sizes = {**families.SIZES, "dropout": DROPOUT, **model}
        config = dataclasses.replace(base, model=sizes, task=TASK, recipe=recipe)
        learner = Following(config, data)
        learner.follow(data)
        begin = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            made = fit(learner, folder, quiet=True)
        rows.append({
            "way": way, "seed": seed, "updates": UPDATES,
            "weights": made.num_parameters,
            "seconds": round(time.process_time() - begin),
            "held_out_and_seen": learner.curve,
        })  # fmt: skip
        FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def main() -> None:
    torch.set_num_threads(1)
    config = hw.read_config(ROOT / "configs" / "glyph-176.toml")
    config = dataclasses.replace(config, model=families.SIZES)
    source = sys.argv[1] if len(sys.argv) > 1 else "fonts:fonts"
    corpus = hw.load_outlines(source, characters=families.LETTERS)
    run(config, hw.prepare_fonts(corpus, config))


if __name__ == "__main__":
    main()
