"""How many fonts does it take? A small glyph decoder on 5, 15 and all families.

The record behind chapter 16, written to book/data/16_families.json. Every row trains
the same small network (`SIZES`) on fifteen letters (`LETTERS`) for the same number of
updates, on the fonts of some of the training families: one of each style for 5, three
of each for 15, all for 40. Which ones, the seed decides, and so the luck of the choice
is in the spread; those of 5 are among those of 15. The families that are held out are
those that `OutlineCorpus.split` holds out, the same for all rows. At the end, a row
says how many nats a row of a program costs, on fonts of the held-out families and on
fonts that the network has seen, unchanged, with three references of the same font and
without.

    python book/_tools/experiments/16_families.py fonts:PATH

takes less than ten minutes of one core. Rows that are in the file already are not run
again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

import handwriting_lib as hw
from handwriting_lib.training.glyph import (
    Change,
    GlyphBatch,
    GlyphData,
    GlyphFont,
    GlyphTask,
    measure,
)
from handwriting_lib.training.loop import fit

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "book" / "data" / "16_families.json"
SIZES = {"width": 64, "layers": 2, "readers": 1, "heads": 4, "grid": 128}
TASK = {"references": 3, "alone": 0.3, "fonts": 8}  # with the default augmentation
LETTERS = "Hamburgefonstiv"
UPDATES, SEEDS, NUMBERS = 400, (1, 2, 3), (5, 15, 40)
FONTS = 24  # whose letters are measured, on either side


class Measuring(GlyphTask):
    """The task of a row, which is not interrupted for validation."""

    def validate(self, network: torch.nn.Module, device: torch.device) -> float:
        return 0.0

    def measured(self, fonts: list[GlyphFont]) -> list[GlyphBatch]:
        """A batch for each of some fonts: letters unchanged, three as references."""
        random = np.random.default_rng(0)
        batches = []
        for i in range(FONTS):
            glyphs = fonts[i * len(fonts) // FONTS].glyphs
            order = [glyphs[k] for k in random.permutation(len(glyphs))]
            shown = self.settings.references
            style = fonts[i * len(fonts) // FONTS].style
            batches.append(
                self._batch([order[shown:]], [order[:shown]], [style], [Change()])
            )
        return batches


def chosen(fonts: list[GlyphFont], number: int, seed: int) -> list[GlyphFont]:
    """The fonts of some families, as many of each style as of the others."""
    families: dict[int, set[str]] = defaultdict(set)
    for font in fonts:
        families[font.style].add(font.family)
    random = np.random.default_rng(seed)
    kept: set[tuple[int, str]] = set()
    each = -(-number // len(families))
    for style in sorted(families):
        named = sorted(families[style])
        order = random.permutation(len(named))[:each]
        kept |= {(style, named[i]) for i in order}
    if number >= sum(map(len, families.values())):
        return fonts
    return [font for font in fonts if (font.style, font.family) in kept]


def run(base: hw.TrainingConfig, data: GlyphData) -> None:
    """Train what the record does not have yet."""
    rows = json.loads(FILE.read_text()) if FILE.exists() else []
    known = {(row["families"], row["seed"]) for row in rows}
    cpu = torch.device("cpu")
    for seed in SEEDS:
        for number in NUMBERS:
            if (number, seed) in known:
                continue
            recipe = dataclasses.replace(
                base.recipe, steps=UPDATES, points_per_batch=1200, learning_rate=3e-3,
                warmup_steps=50, validate_every=UPDATES, seed=seed, weight_decay=0.02,
            )  # fmt: skip
            config = dataclasses.replace(base, model=SIZES, recipe=recipe)
            fonts = chosen(data.train, number, seed)
            task = Measuring(config, dataclasses.replace(data, train=fonts))
            begin = time.process_time()
            with tempfile.TemporaryDirectory() as folder:
                model = fit(task, folder, quiet=True)
            row: dict[str, Any] = {
                "families": number, "seed": seed, "fonts": len(fonts),
                "glyphs": sum(len(font.glyphs) for font in fonts),
                "weights": model.num_parameters, "updates": UPDATES,
                "seconds": round(time.process_time() - begin),
            }  # fmt: skip
            model.network.eval()
            for name, some in (("held_out", data.validation), ("seen", fonts)):
                batches = task.measured(some)
                alone = [batch.alone() for batch in batches]
                row[name] = round(measure(model.network, batches, cpu).row, 3)
                row[name + "_alone"] = round(measure(model.network, alone, cpu).row, 3)
            rows.append(row)
            FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


def main() -> None:
    torch.set_num_threads(1)
    config = hw.read_config(ROOT / "configs" / "glyph-176.toml")
    config = dataclasses.replace(config, model=SIZES, task=TASK)
    source = sys.argv[1] if len(sys.argv) > 1 else "fonts:fonts"
    corpus = hw.load_outlines(source, characters=LETTERS)
    run(config, hw.prepare_fonts(corpus, config))


if __name__ == "__main__":
    main()
