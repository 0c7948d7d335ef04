"""The effect of int8 weights on lines in hands of the reader's own.

    python -m benchmarks hands --corpus unipen:PATH --model unipen-256

A page that goes on in the reader's hand (`widgets.OwnHand`) reads the drawn line with
the weights of its pack and writes with them. Here lines of held-out writers stand for
drawn ones: the float32 network and the network of the int8 pack each make styles from
the same ink, and write the same texts in them with the same random numbers. In addition
to `command`, `commit` and `machine`, which every benchmark records,
`results/hands.json` holds:

    title, corpus, model, bias
    hands                 number of writers, with one line each
    texts                 number of texts that are written in each hand
    primes                `measures.Legibility` of the writers' own lines
    float32, int8         `measures.Legibility` of the lines in the hands
    difference            `measures.Difference`: int8 minus float32, line by line
    incomplete            number of lines of each that stayed incomplete
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import handwriting_lib as hw
from handwriting_lib.evaluation.legibility import load_recogniser, read_lines
from handwriting_lib.evaluation.measures import TOGETHER, difference, legibility
from handwriting_lib.evaluation.report import (
    EvaluationSettings,
    choose_lines,
    held_out_lines,
    plain,
)
from handwriting_lib.files.browser import as_in_page

from .legibility import CORPUS_OPTIONS

log = logging.getLogger(__name__)

HANDS = 10
TEXTS = 40  # in each hand
LENGTHS = (15, 60)  # characters of a line that a hand is made from


@contextmanager
def warnings_of(name: str) -> Iterator[list[logging.LogRecord]]:
    """What a module warns of meanwhile."""
    found: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = found.append  # type: ignore[method-assign]
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)


def hands_of(
    lines: Sequence[hw.Sample], models: Sequence[hw.Model]
) -> list[tuple[hw.Sample, list[hw.Style]]]:
    """A line each of some writers, and the styles that the models make of it.

    As in the page, a line counts only if the window has read it to its end.
    """
    found: dict[str, tuple[hw.Sample, list[hw.Style]]] = {}
    for line in choose_lines(lines, lengths=LENGTHS):
        if line.writer not in found and len(found) < HANDS:
            with warnings_of("handwriting_lib.writing.styles") as said:
                styles = [hw.make_style(model, line, "drawn") for model in models]
            if not said:
                found[line.writer] = line, styles
    return list(found.values())


def run(corpus: str = "synthetic", model: str = "unipen-256") -> dict[str, Any]:
    """Write the same texts in the same hands with both kinds of weights.

    Args:
        corpus: name of a corpus, as `load_corpus` accepts it.
        model: name of a model, or path of its file.

    Returns:
        The results that the module's docstring describes.

    Raises:
        SystemExit: if the corpus leaves too few writers or texts.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    name = Path(corpus.partition(":")[0]).name
    whole = hw.find_model(model)
    page = as_in_page(whole)
    ink = hw.load_corpus(corpus, **CORPUS_OPTIONS.get(name, {}))
    prepared = held_out_lines(whole, ink).lines
    by_source = {line.source: line for line in prepared}
    drawn = [s for s in ink.samples if s.kind == "line" and s.source in by_source]
    hands = hands_of(drawn, [whole, page])
    primes = {line.text for line, _ in hands}
    texts = [s.text for s in choose_lines(prepared) if s.text not in primes]
    texts = texts[: HANDS * TEXTS]
    if len(hands) < HANDS or len(texts) < HANDS * TEXTS:
        raise SystemExit(
            f"the corpus {corpus} leaves {len(hands)} held-out writers and "
            f"{len(texts)} texts: {HANDS} and {HANDS * TEXTS} are needed"
        )
    recogniser = load_recogniser()
    readings: list[list[Any]] = [[], []]
    incomplete = [0, 0]
    for number, (_, styles) in enumerate(hands):
        some = texts[number::HANDS]  # a fair share for each hand
        for kind, (writer, style) in enumerate(zip((whole, page), styles, strict=True)):
            for begin in range(0, TEXTS, TOGETHER):
                part = some[begin : begin + TOGETHER]
                lines = hw.write(part, writer, style=style, seed=number + 1)
                incomplete[kind] += sum(not line.complete for line in lines)
                readings[kind] += read_lines([x.ink for x in lines], part, recogniser)
        log.info("hand %d of %d", number + 1, HANDS)
    own = [by_source[line.source] for line, _ in hands]
    float32, int8 = (plain(legibility(some)) for some in readings)
    return {
        "title": "Weights of one byte, in hands of one's own",
        "corpus": name,
        "model": whole.name,
        "bias": EvaluationSettings().bias,
        "hands": len(hands),
        "texts": TEXTS,
        "primes": plain(
            legibility(
                read_lines([s.ink for s in own], [s.text for s in own], recogniser)
            )
        ),
        "float32": float32,
        "int8": int8,
        "difference": plain(difference(*readings)),
        "incomplete": {"float32": incomplete[0], "int8": incomplete[1]},
    }


def table(result: Mapping[str, Any]) -> str:
    """Format the results for a terminal."""
    mean = result["difference"]["mean"]
    rows = [
        f"{result['title']}: {result['model']} on {result['corpus']}, "
        f"{result['hands']} hands, {result['texts']} texts in each",
        "",
    ]
    rows += [
        f"{kind:10}{result[kind]['mean']['value']:8.1%} misread, "
        f"{result['incomplete'][kind]} lines incomplete"
        for kind in ("float32", "int8")
    ]
    return "\n".join(
        [*rows, "difference {:.1%} ({:.1%} to {:.1%})".format(*mean.values())]
    )
