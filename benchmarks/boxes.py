"""The boxes of words and characters in data sets, on ink whose characters are known.

    python -m benchmarks boxes

Synthetic ink is read by shipped models, and drawn as `write_dataset` draws its lines.
The box that the picture of a line would have for a word or a character is compared with
the one around the true points. In addition to `command`, `commit` and `machine`,
`results/boxes.json` holds:

    title                   string
    lines                   number of lines
    models                  for each model: `right points`, the share of the points that
                            are in the right character; for `words` and `characters`:
                            how many there are, the share whose box touches the true
                            one, and, of the overlap (the area that both boxes have,
                            divided by that of either), the mean and the share above .5
                            and above .9
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import handwriting_lib as hw
from handwriting_lib.data.transforms import Limits, prepare
from handwriting_lib.drawing.layout import BODY_PIXELS, lay_out
from handwriting_lib.evaluation.measures import attention
from handwriting_lib.ink import Sample
from handwriting_lib.writing import dataset
from handwriting_lib.writing.lines import Line
from handwriting_lib.writing.words import characters_of, words_of

# unipen-256 has read no synthetic ink, unipen-400 has, in hands by other seeds.
MODELS = ("unipen-256", "unipen-400")
SYNTHETIC: dict[str, Any] = {"samples": 160, "seed": 7, "writers": 80}


def run() -> dict[str, Any]:
    """Judge the boxes that each model gives."""
    torch.set_num_threads(1)
    corpus = prepare(
        hw.load_corpus("synthetic", **SYNTHETIC), limits=Limits(max_points=700)
    )
    samples = [s for s in corpus.samples if s.character_of_point is not None]
    return {
        "title": "Boxes",
        "lines": len(samples),
        "models": {name: boxes(samples, name) for name in MODELS},
    }


def boxes(samples: Sequence[Sample], name: str) -> dict[str, Any]:
    """Boxes in pictures of ink, beside those of its known characters."""
    overlaps: dict[str, list[float]] = {"words": [], "characters": []}
    wrong = points = 0
    look = dataset.Look()
    for sample, phi in zip(
        samples, attention(hw.load_pretrained(name), samples), strict=True
    ):
        line = Line(sample.text, 0, sample.ink, True, "", 1, 1, phi)
        sheet = lay_out(sample.ink, unit=1.0, line_width=look.line_width)
        xy = torch.cat(list(sheet.lines[0])) * look.size / BODY_PIXELS
        pen = sheet.line_width * look.size / BODY_PIXELS / 2
        found = dataset._boxes(line, xy, pen, (float("inf"), float("inf")))
        true = sample.character_of_point
        words = words_of(line)
        owner = characters_of(line, words)
        wrong += int((owner != true).sum())
        points += len(true)
        starts = torch.tensor([word.start for word in words])
        within = torch.bucketize(true, starts, right=True) - 1
        for kind, of, mine, given in (
            ("words", within, range(len(words)), found["words"]),
            ("characters", true, owner.unique().tolist(), found["characters"]),
        ):
            boxes = dict(zip(mine, (one["box"] for one in given), strict=True))
            for i in of.unique().tolist():
                own = xy[of == i]
                right = [*(own.amin(0) - pen).tolist(), *(own.amax(0) + pen).tolist()]
                overlaps[kind].append(overlap(boxes[i], right) if i in boxes else 0.0)
    return {
        "right points": round(1 - wrong / points, 5),
    } | {kind: told(np.array(shares)) for kind, shares in overlaps.items()}


def told(shares: Any) -> dict[str, float]:
    """How many overlaps there are, and how large they are."""
    return {
        "number": len(shares),
        "found": round(float((shares > 0).mean()), 5),
        "mean": round(float(shares.mean()), 5),
        "above .5": round(float((shares > 0.5).mean()), 5),
        "above .9": round(float((shares > 0.9).mean()), 5),
    }


def overlap(one: list[float], two: list[float]) -> float:
    """The area that two boxes have in common, divided by the area of either."""
    sides = [min(one[k + 2], two[k + 2]) - max(one[k], two[k]) for k in (0, 1)]
    common = max(0.0, sides[0]) * max(0.0, sides[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, two)]
    return common / (sum(areas) - common)


def table(result: Mapping[str, Any]) -> str:
    """Format the results for a terminal."""
    rows = [f"{result['title']}: {result['lines']} lines"]
    for name, found in result["models"].items():
        rows += ["", f"{name}:"]
        rows += [f"    {key:14} {value}" for key, value in found.items()]
    return "\n".join(rows)
