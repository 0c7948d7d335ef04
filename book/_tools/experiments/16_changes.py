"""What helps a small glyph decoder? Coordinates, augmentation and dropout, with curves.

The record behind chapter 16, written to book/data/16_changes.json. Like 16_families.py,
whose network, letters and measures it shares, with all training families. A row names
what it changes against the recipe of the first row of its group (`GROUPS`):

    coordinates     400 updates; how a coordinate is read and scored: its place
                    ("absolute"), its offset from the point before ("relative"), or both
    regularisation  1,600 updates, both coordinates; augmentation and dropout as in
                    configs/glyph-168.toml, or without one of them, or both

All networks have the same seeds and see the same batches, but for what is changed. A
row's curve has, at every eighth of the updates, the nats per row of a program on fonts
of held-out families, and on fonts that the network has seen, unchanged, both with three
references.

    python book/_tools/experiments/16_changes.py fonts:PATH

takes about an hour of one core. Rows that are in the file already are not run again.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import handwriting_lib as hw
from handwriting_lib.training.glyph import GlyphData, measure
from handwriting_lib.training.loop import fit

families = importlib.import_module("16_families")  # beside this file

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "16_changes.json"
STILL: dict[str, Any] = {"weight": 0.0, "width": 0.0, "height": 0.0, "slant": 0.0}
MILD: dict[str, Any] = {"weight": 0.012, "width": 0.08, "height": 0.03, "slant": 0.05}
# For each group its updates, and for each row what it changes in model and task.
GROUPS: dict[str, tuple[int, dict[str, tuple[dict[str, Any], dict[str, Any]]]]] = {
    "coordinates": (400, {
        "absolute": ({"relative": False}, {}),
        "relative": ({"absolute": False}, {}),
        "both": ({}, {}),
    }),
    "regularisation": (1600, {
        "as trained": ({}, {}),
        "half the augmentation": ({}, MILD),
        "no augmentation": ({}, STILL),
        "no dropout": ({"dropout": 0.0}, {}),
        "neither": ({"dropout": 0.0}, STILL),
    }),
}  # fmt: skip
SEEDS, PARTS = (1, 2, 3), 8


class Following(families.Measuring):  # type: ignore[name-defined,misc]
    """The task of a row, which keeps its curve."""

    def follow(self, data: GlyphData) -> None:
        self.sides = [self.measured(some) for some in (data.validation, data.train)]
        self.curve: list[list[float]] = []

    def validate(self, network: torch.nn.Module, device: torch.device) -> float:
        nats = [round(measure(network, side, device).row, 3) for side in self.sides]
        self.curve.append(nats)
        return nats[0]


def run(base: hw.TrainingConfig, data: GlyphData, seeds: tuple[int, ...]) -> None:
    """Train what the record does not have yet."""
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["group"], row["change"], row["seed"]) for row in rows}
    for seed in seeds:
        for group, (updates, changes) in GROUPS.items():
            for name, (model, task) in changes.items():
                if (group, name, seed) in known:
                    continue
                recipe = dataclasses.replace(
                    base.recipe, steps=updates, points_per_batch=1200,
                    learning_rate=3e-3, warmup_steps=50,
                    validate_every=updates // PARTS, seed=seed,
                )  # fmt: skip
                sizes = {
                    **families.SIZES, "relative": True,
                    "dropout": base.model["dropout"], **model,
                }  # fmt: skip
                config = dataclasses.replace(
                    base, model=sizes, task={**base.task, **task}, recipe=recipe
                )
                learner = Following(config, data)
                learner.follow(data)
                begin = time.process_time()
                with tempfile.TemporaryDirectory() as folder:
                    made = fit(learner, folder, quiet=True)
                rows.append({
                    "group": group, "change": name, "seed": seed, "updates": updates,
                    "weights": made.num_parameters,
                    "seconds": round(time.process_time() - begin),
                    "held_out_and_seen": learner.curve,
                })  # fmt: skip
                FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def main() -> None:
    torch.set_num_threads(1)
    config = hw.read_config(ROOT / "configs" / "glyph-168.toml")
    config = dataclasses.replace(config, model={**config.model, **families.SIZES})
    source = sys.argv[1] if len(sys.argv) > 1 else "fonts:fonts"
    seeds = tuple(map(int, sys.argv[2:])) or SEEDS
    corpus = hw.load_outlines(source, characters=families.LETTERS)
    run(config, hw.prepare_fonts(corpus, config), seeds)


if __name__ == "__main__":
    main()
