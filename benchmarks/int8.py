"""The effect of int8 weights on written lines: error, likelihood and legibility.

    python -m benchmarks int8 --corpus unipen:PATH --model unipen-256

The same held-out texts are written with the same random numbers by the network as it
was saved, by the pack for the page's engine (`export_browser(..., "int8")`), and by
`write(precision="int8")`. In addition to `command`, `commit` and `machine`, which every
benchmark records, `results/int8.json` holds:

    title, corpus, model, texts, bias
    human                 `measures.Legibility` of the human lines
    rows                  a list with an entry per kind of weights:
      name                string
      bytes               size of the weights; None for `write(precision="int8")`
      error               largest difference between its raw outputs and those of the
                          float32 network, at the points of human lines; measured only
                          for the page's weights and None otherwise
      nats_per_point      negative log-likelihood of held-out lines, in normalised
                          units; None for `write(precision="int8")`, which only writes
      legibility          `measures.Legibility`
      difference          `measures.Difference` between `legibility` and the first
                          row's, text by text
      unreadable          share of lines with more than half of the text misread
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import handwriting_lib as hw
from handwriting_lib.alphabet import pad_texts
from handwriting_lib.evaluation.legibility import Reading, load_recogniser, read_lines
from handwriting_lib.evaluation.measures import (
    TOGETHER,
    difference,
    legibility,
    likelihood,
)
from handwriting_lib.evaluation.report import (
    EvaluationSettings,
    choose_lines,
    held_out_lines,
    plain,
)
from handwriting_lib.files.browser import as_in_page, browser_pack

from .legibility import CORPUS_OPTIONS

log = logging.getLogger(__name__)

TEXTS = 400
FORCED = 20  # human lines on which the raw outputs are compared


@torch.inference_mode()
def largest_error(a: hw.Model, b: hw.Model, lines: Sequence[hw.Sample]) -> float:
    """The largest difference between the raw outputs of two models on some lines."""
    largest = 0.0
    for line in lines:
        text, mask = pad_texts([line.text])
        ink = a.normalisation.apply(line.ink)[None]
        one, other = (m.network(ink, text, mask).output for m in (a, b))
        largest = max(largest, float((one - other).abs().max()))
    return largest


def run(corpus: str = "synthetic", model: str = "unipen-256") -> dict[str, Any]:
    """Write the texts of held-out lines with each kind of weights, and read them.

    Args:
        corpus: name of a corpus, as `load_corpus` accepts it.
        model: name of a model, or path of its file.

    Returns:
        The results that the module's docstring describes.

    Raises:
        SystemExit: if the corpus leaves no held-out text.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    name = Path(corpus.partition(":")[0]).name
    whole = hw.find_model(model)
    page = as_in_page(whole)
    held_out = held_out_lines(
        whole, hw.load_corpus(corpus, **CORPUS_OPTIONS.get(name, {}))
    ).lines
    chosen = choose_lines(held_out)[:TEXTS]
    if not chosen:
        raise SystemExit(
            f"the corpus {corpus} leaves no held-out text to write: choose a corpus "
            "with more writers"
        )
    recogniser = load_recogniser()
    texts = [line.text for line in chosen]
    size = whole.num_parameters
    kinds = [
        ("float32", whole, "float32", 4 * size),
        ("int8, in a page", page, "float32", len(browser_pack(whole, "int8"))),
        ('int8, `write(precision="int8")`', whole, "int8", None),
    ]
    rows: list[dict[str, Any]] = []
    first: list[Reading] = []
    for kind, writer, precision, count in kinds:
        readings = []
        for begin in range(0, len(texts), TOGETHER):
            some = texts[begin : begin + TOGETHER]
            numbers = range(begin, begin + len(some))
            lines = hw.write(
                some, writer, style="any", positions=numbers, precision=precision
            )
            readings += read_lines([line.ink for line in lines], some, recogniser)
        first = first or readings
        row: dict[str, Any] = {"name": kind, "bytes": count, "error": None}
        row["nats_per_point"] = None
        if precision == "float32":
            row["nats_per_point"] = likelihood(writer, held_out).nats_per_point
        if writer is not whole:
            row["error"] = largest_error(whole, writer, chosen[:FORCED])
        row["legibility"] = plain(legibility(readings))
        row["difference"] = plain(difference(first, readings))
        row["unreadable"] = row["legibility"]["unreadable"]
        log.info("%s", row)
        rows.append(row)
    human = read_lines([line.ink for line in chosen], texts, recogniser)
    return {
        "title": "Weights of one byte",
        "corpus": name,
        "model": whole.name,
        "texts": len(texts),
        "bias": EvaluationSettings().bias,
        "human": plain(legibility(human)),
        "rows": rows,
    }


def table(result: Mapping[str, Any]) -> str:
    """Format the rows as a table for a terminal."""
    lines = [
        f"{result['title']}: {result['model']} on {result['corpus']}, "
        f"{result['texts']} texts, bias {result['bias']:g}",
        "",
        f"{'':32}{'misread, mean':>15}{'median':>9}{'difference of means':>28}",
    ]
    for row in result["rows"]:
        read, apart = row["legibility"], row["difference"]["mean"]
        lines.append(
            f"{row['name']:32}{read['mean']['value']:15.1%}"
            f"{read['median']['value']:9.1%}"
            + "{:10.1%} ({:.1%} to {:.1%})".format(*apart.values())
        )
    return "\n".join(lines)
