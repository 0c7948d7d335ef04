"""Does noise in what it reads help the cursive decoder to write?

The record behind chapter 15, written to book/data/15_noise.json. `cursive-144` is
trained on with its own recipe, half of the batches single words, for `UPDATES` updates:
once as before, and once with a share of the points that it reads a few bins away from
where they are (`noise` in `training.cursive.CursiveSettings`). A row has, every `EVERY`
updates, the nats per point of held-out words and combinations, read without noise, and
at the end the share of characters that the recogniser misreads of the first `TEXTS`
short texts of benchmarks/new_texts.txt, drawn once each in any hand. The row "as
packaged" is cursive-144 itself.

    python book/_tools/experiments/15_noise.py unipen:PATH

takes about half an hour of one core. Rows that are in the file are not run again, and a
training that was interrupted goes on from _build/15_noise.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import handwriting_lib as hw
from handwriting_lib.evaluation.legibility import load_recogniser, read_lines
from handwriting_lib.evaluation.measures import legibility
from handwriting_lib.training.cursive import CursiveTask
from handwriting_lib.training.loop import CHECKPOINT, fit

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "15_noise.json"
START, UPDATES, EVERY, TEXTS = "cursive-144", 1200, 300, 60
SHARES = (0.0, 0.2)


def misread(model: hw.Model) -> dict[str, Any]:
    """What the recogniser makes of short texts, and how many lines were complete."""
    sys.path.insert(0, str(ROOT))
    from benchmarks._new_texts import groups
    from benchmarks.cursive import BIAS, SHORT_TEXTS, write

    recogniser = load_recogniser()
    lines = write(model, groups()[SHORT_TEXTS][:TEXTS], redraws=0)
    found = legibility([read_lines([x.ink], [x.text], recogniser)[0] for x in lines])
    return {
        "texts": TEXTS, "bias": BIAS, "misread": round(found.mean.value, 3),
        "interval": [round(found.mean.low, 3), round(found.mean.high, 3)],
        "complete": round(sum(line.complete for line in lines) / len(lines), 3),
    }  # fmt: skip


def trained(share: float, source: str) -> tuple[hw.Model, dict[str, Any]]:
    """One training, and its curve."""
    config = hw.read_config(ROOT / "configs" / f"{START}.toml")
    recipe = dataclasses.replace(
        config.recipe, steps=UPDATES, learning_rate=1e-3, warmup_steps=100,
        decay_share=0.7, word_share=(0.5, 0.5), validate_every=EVERY,
        validation_batches=4,
    )  # fmt: skip
    config = dataclasses.replace(
        config, recipe=recipe, init_from=START, task={"noise": share}, corpus=source
    )
    folder = ROOT / "_build" / "15_noise" / f"{share:g}"
    model = fit(
        CursiveTask.load(config), folder, quiet=True,
        resume=(folder / CHECKPOINT).exists(),
    )  # fmt: skip
    logged = [json.loads(line) for line in (folder / "log.jsonl").open()]
    return model, {
        "noise": share, "updates": UPDATES, "points": logged[-1]["points"],
        "seconds": round(logged[-1]["seconds"]), "every": EVERY,
        "nats": [
            round(one["validation"], 3) for one in logged
            if one["validation"] is not None
        ],
    }  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    source = sys.argv[1] if len(sys.argv) > 1 else "unipen"
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {row["network"] for row in rows}
    wanted: list[tuple[str, float | None]] = [
        ("as packaged", None), *((f"noise {share:g}", share) for share in SHARES)
    ]  # fmt: skip
    for name, share in wanted:
        if name in known:
            continue
        begin, row = time.process_time(), {"network": name}
        model = hw.load_pretrained(START)
        if share is not None:
            model, told = trained(share, source)
            row |= told
        rows.append({**row, **misread(model)})
        print(name, round(time.process_time() - begin), "s", flush=True)
        FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


if __name__ == "__main__":
    main()
