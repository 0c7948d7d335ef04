"""What else was tried to make the glyph decoder draw better, with curves.

The record behind chapter 16, written to book/data/16_tried.json. Every trial is a
training of full size on all training fonts, by configs/glyph-176.toml with the changes
in `TRIALS`. A row has its validation curve (nats per row of held-out fonts, half with
references and half without) and what its network draws, at temperature 0.6: `DRAWS`
fonts of 72 characters in each style, measured as `python -m benchmarks glyphs` does it.

    first       the packaged network
    best        the same training, stopped where its validation was best
    longer      the packaged network, trained on without dropout and with less
                augmentation
    offsets     coordinates scored as places and as offsets from the point before, with
                more augmentation and dropout; a little narrower, so that as many
                weights fit into the file

    python book/_tools/experiments/16_tried.py fonts:PATH

takes some six hours of one core. Trainings are kept in _build/16_tried and go on where
they were interrupted; rows that are in the file are not run again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw
from handwriting_lib.outline import STYLES
from handwriting_lib.training.glyph import GlyphTask
from handwriting_lib.training.loop import CHECKPOINT, fit

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "16_tried.json"
RUNS = ROOT / "_build" / "16_tried"
DRAWS = 2  # fonts per style
Changes = dict[str, Any]
# For each trial: the folder of its training, the file in it, and what it changes in
# the tables model, task and recipe of the configuration.
TRIALS: dict[str, tuple[str, str, dict[str, Changes]]] = {
    "first": ("first", "model", {}),
    "best": ("first", "best", {}),
    "longer": ("longer", "model", {
        "model": {"dropout": 0.0},
        "task": {"weight": 0.006, "width": 0.04, "height": 0.015, "slant": 0.02},
        "recipe": {
            "steps": 1000, "learning_rate": 8e-4, "warmup_steps": 50,
            "decay_share": 0.95,
        },
    }),
    "offsets": ("offsets", "model", {
        "model": {"width": 168, "dropout": 0.2, "relative": True},
        "task": {"weight": 0.016, "width": 0.12, "height": 0.05, "slant": 0.1},
        "recipe": {"steps": 3600, "weight_decay": 0.05},
    }),
}  # fmt: skip


def trained(trial: str, corpus: hw.OutlineCorpus) -> tuple[hw.Model, dict[str, Any]]:
    """The network of a trial, and what its log says."""
    place, file, changes = TRIALS[trial]
    folder = RUNS / place
    if not (folder / f"{file}.safetensors").exists() or not finished(folder, changes):
        config = hw.read_config(ROOT / "configs" / "glyph-176.toml")
        config = dataclasses.replace(
            config,
            model={**config.model, **changes.get("model", {})},
            task={**config.task, **changes.get("task", {})},
            recipe=dataclasses.replace(config.recipe, **changes.get("recipe", {})),
            init_from=str(RUNS / "first/model.safetensors")
            if place == "longer"
            else "",
        )
        fit(
            GlyphTask(config, corpus), folder, quiet=True,
            resume=(folder / CHECKPOINT).exists(),
        )  # fmt: skip
    with (folder / "log.jsonl").open(encoding="utf-8") as lines:
        logged = [json.loads(line) for line in lines]
    curve = [
        [one["step"], round(one["validation"], 3)]
        for one in logged
        if one["validation"] is not None
    ]
    last = logged[-1]
    if file == "best":
        step = min(curve, key=lambda one: one[1])[0]
        (last,) = (one for one in logged if one["step"] == step)
    model = hw.load_model(folder / f"{file}.safetensors")
    return model, {
        "weights": model.num_parameters, "updates": last["step"],
        "points": last["points"], "seconds": round(last["seconds"]),
        "validation": curve,
    }  # fmt: skip


def finished(folder: Path, changes: dict[str, Changes]) -> bool:
    """Whether a training has come to its last update."""
    steps = changes.get("recipe", {}).get("steps", 5000)
    with (folder / "log.jsonl").open(encoding="utf-8") as lines:
        return any(json.loads(line)["step"] == steps for line in lines)


def measured(model: hw.Model, corpus: hw.OutlineCorpus) -> dict[str, Any]:
    """What the network draws, by the measures of the benchmark."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.glyphs import TEMPERATURE, compared

    split = corpus.split()
    drawn = [
        (style, hw.draw_font(model, style=style, seed=seed, temperature=TEMPERATURE))
        for style in STYLES
        for seed in range(1, DRAWS + 1)
    ]
    real = [(font.style, font.glyphs) for font in split.validation]
    found = compared(drawn, real, split.train)
    return {
        "draws": DRAWS,
        "readable": {s: round(found[s]["drawn"]["readable"], 3) for s in found},
        "nearest": round(found["all"]["drawn"]["nearest"], 3),
    }


def main() -> None:
    torch.set_num_threads(1)
    corpus = hw.load_outlines(sys.argv[1] if len(sys.argv) > 1 else "fonts:fonts")
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {row["trial"] for row in rows}
    for trial in TRIALS:
        if trial in known:
            continue
        model, told = trained(trial, corpus)
        rows.append({"trial": trial, **told, **measured(model, corpus)})
        FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


if __name__ == "__main__":
    main()
