"""The effect of bias and temperature on the lines that a model writes.

    python -m benchmarks legibility --corpus unipen:PATH

The same held-out texts are written at each bias (Graves 2013, section 5.4) and
temperature, and the same recogniser reads them and the human lines of these texts.
Chapter 11 uses the results. In addition to `command`, `commit` and `machine`, which
every benchmark records, `results/legibility.json` holds:

    title, corpus, model    strings
    fingerprint             hash that identifies the model's weights
    texts                   number of texts written
    human                   a row without `bias`, `temperature`, `difference` and
                            `first_draw`
    rows                    a list with an entry per pair of bias and temperature:
      bias, temperature     arguments of `write`
      legibility            `measures.Legibility`: share of misread characters
      difference            `measures.Difference`: that share minus the human lines'
      unreadable            share of lines with more than half of the text misread
      first_draw            share of lines that were complete at the first draw
      speed_variation       `measures.Spread`
      points_per_character  `measures.Spread`
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import handwriting_lib as hw
from handwriting_lib.evaluation.report import (
    EvaluationSettings,
    choose_lines,
    held_out_lines,
    measure_writing,
    plain,
)

log = logging.getLogger(__name__)

BIASES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
TEMPERATURES = (0.5, 0.75, 1.25)
BESIDE = 0.75  # bias of the rows whose temperature is not 1
TEXTS = 150
# Few lines, but of enough writers for the split to hold some of them out.
CORPUS_OPTIONS: dict[str, dict[str, Any]] = {
    "synthetic": {"samples": 300, "writers": 40, "kinds": ("line", "word")}
}


def run(corpus: str = "synthetic", model: str = "unipen-400") -> dict[str, Any]:
    """Measure each bias at temperature 1, and each other temperature at one bias.

    Args:
        corpus: name of a corpus, as `load_corpus` accepts it.
        model: name of a model, or path of its file.

    Returns:
        The results that the module's docstring describes.

    Raises:
        SystemExit: if the corpus leaves no held-out text.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    name = Path(corpus.partition(":")[0]).name
    writer = hw.find_model(model)
    ink = hw.load_corpus(corpus, **CORPUS_OPTIONS.get(name, {}))
    chosen = choose_lines(held_out_lines(writer, ink).lines)[:TEXTS]
    if not chosen:
        raise SystemExit(
            f"the corpus {corpus} leaves no held-out text to write: choose a corpus "
            "with more writers"
        )
    pairs = [(bias, 1.0) for bias in BIASES] + [(BESIDE, t) for t in TEMPERATURES]
    rows, human = [], {}
    for bias, temperature in pairs:
        row, human = measured(writer, chosen, bias, temperature)
        log.info("%s", row)
        rows.append({"bias": bias, "temperature": temperature, **row})
    return {
        "title": "Bias, temperature and what a reader makes of them",
        "corpus": name,
        "model": writer.name,
        "fingerprint": writer.fingerprint(),
        "texts": len(chosen),
        "human": human,
        "rows": rows,
    }


def measured(
    model: hw.Model, chosen: list[hw.Sample], bias: float, temperature: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure one row of the results, without bias and temperature.

    Args:
        model: model that writes the texts.
        chosen: human lines whose texts are written.
        bias: argument of `write`.
        temperature: argument of `write`.

    Returns:
        The row of the written lines, and the row of the human lines.
    """
    settings = EvaluationSettings(
        texts=len(chosen), lines=len(chosen), bias=bias, temperature=temperature
    )
    parts = ("pace", "completeness", "legibility")
    found = plain(measure_writing(model, chosen, settings, parts))
    pace, legible = found["pace"], found["legibility"]
    row = {
        "legibility": legible["written"],
        "difference": legible["difference"],
        "unreadable": legible["written"]["unreadable"],
        "first_draw": found["completeness"]["first_draw"],
        "speed_variation": pace["speed_variation"],
        "points_per_character": pace["points_per_character"],
    }
    human = {
        "legibility": legible["human"],
        "unreadable": legible["human"]["unreadable"],
        "speed_variation": pace["human_speed_variation"],
        "points_per_character": pace["human_points_per_character"],
    }
    return row, human


def table(result: Mapping[str, Any]) -> str:
    """Format the rows as a table for a terminal."""
    lines = [
        f"{result['title']}: {result['model']} on {result['corpus']}, "
        f"{result['texts']} texts",
        "",
        f"{'bias':>6}{'temperature':>13}{'misread, mean':>22}{'median':>22}"
        f"{'unreadable':>12}{'speed variation':>17}",
    ]
    for row in [result["human"], *result["rows"]]:
        name = f"{row['bias']:6g}{row['temperature']:13g}" if "bias" in row else "human"
        misread = "".join(
            "{:8.1%} ({:5.1%},{:6.1%})".format(*row["legibility"][key].values())
            for key in ("mean", "median")
        )
        told = f"{row['unreadable']:12.1%}{row['speed_variation']['mean']:17.3f}"
        lines.append(f"{name:19}{misread}{told}")
    return "\n".join(lines)
