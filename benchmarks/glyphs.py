"""What a glyph decoder draws, measured beside real fonts that it has never seen.

    python -m benchmarks glyphs --corpus fonts:PATH --model MODEL

Every character is drawn in every style, `DRAWS` times, as part of a font that belongs
together (`draw_font`). In addition to `command`, `commit` and `machine`, which every
benchmark records, `results/glyphs.json` holds:

    title, corpus, model    strings
    fingerprint             hash that identifies the model's weights
    temperature, draws      of the fonts that were drawn
    parses                  share of glyphs that are outlines, drawn with the grammar
                            and without it at temperature 1, and how many were drawn
    cross_entropy           nats per row and per glyph of the held-out families, with
                            references and without them, in all and by style
    styles                  for each style and for all, a row of `drawn` and one of
                            `real`, the held-out fonts:
      alone, in_word        share of glyphs read as their character; a font that lacks
                            a letter of the word does not count for `in_word`
      readable              the same share in a word, of the characters that are read in
                            at least half of the held-out fonts of the style
      nearest               median overlap with the nearest training glyph of the
                            character, over shift and scale
      style                 share that a classifier takes for the style; it was trained
                            on the training fonts
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import handwriting_lib as hw
from handwriting_lib.evaluation.glyphs import (
    fitted,
    nearest_overlap,
    read_glyph,
    train_style_classifier,
)
from handwriting_lib.outline import STYLES, Outline
from handwriting_lib.training.config import Recipe, TrainingConfig
from handwriting_lib.training.glyph import GlyphTask, measure

log = logging.getLogger(__name__)

DRAWS, TEMPERATURE = 4, 0.6
PARSED = {"with": 10_000, "without": 1_000}  # glyphs whose programs are counted

Drawn = tuple[str, Mapping[str, Outline]]  # a style, and the outlines of a font


def run(corpus: str = "fonts:fonts", model: str = "glyph") -> dict[str, Any]:
    """Measure a model.

    Args:
        corpus: fonts, as `load_outlines` takes them; the model's held-out families are
            those that its training held out.
        model: name of a model, or path of its file.

    Returns:
        The results that the module's docstring describes.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    drawer = hw.find_model(model)
    fonts = hw.load_outlines(corpus)
    split = fonts.split()
    drawn = [
        (style, hw.draw_font(drawer, style=style, seed=seed, temperature=TEMPERATURE))
        for style in STYLES for seed in range(1, DRAWS + 1)
    ]  # fmt: skip
    log.info("drew %d fonts", len(drawn))
    real = [(font.style, font.glyphs) for font in split.validation]
    return {
        "title": "Glyphs drawn, beside real ones of families that were held out",
        "corpus": Path(corpus.partition(":")[0]).name,
        "model": drawer.name,
        "fingerprint": drawer.fingerprint(),
        "temperature": TEMPERATURE,
        "draws": DRAWS,
        "parses": parses(drawer),
        "cross_entropy": cross_entropies(drawer, fonts),
        "styles": compared(drawn, real, split.train),
    }


def parses(drawer: hw.Model) -> dict[str, Any]:
    """The share of glyphs that are outlines, with the grammar and without."""
    known = drawer.carried["vocabulary"].characters
    found: dict[str, Any] = {"drawn": PARSED}
    for name, count in PARSED.items():
        text = (known * (count // len(known) + 1))[:count]
        good = sum(
            glyph.parses
            for i, style in enumerate(STYLES)
            for glyph in hw.draw_glyphs(
                text[i :: len(STYLES)], drawer, style=style, temperature=1.0,
                grammar=name == "with",
            )
        )  # fmt: skip
        found[name] = good / count
        log.info("%s the grammar, %d of %d glyphs are outlines", name, good, count)
    return found


def cross_entropies(
    drawer: hw.Model, fonts: hw.OutlineCorpus
) -> dict[str, dict[str, float]]:
    """Nats per row and per glyph of the held-out families, by style."""
    sizes = {
        key: value
        for key, value in vars(drawer.network.config).items()
        if key != "symbols"
    }
    config = TrainingConfig(
        "glyph", sizes, "fonts", recipe=Recipe(validation_batches=10**6)
    )
    held_out = GlyphTask(config, fonts).held_out
    found = {}
    for style in ("all", *STYLES):
        own = [b for b in held_out if style in ("all", STYLES[int(b.style[0])])]
        if own:
            cpu = torch.device("cpu")
            one = measure(drawer.network, own, cpu)
            other = measure(drawer.network, [batch.alone() for batch in own], cpu)
            found[style] = {
                "row": one.row, "glyph": one.glyph, "row_alone": other.row,
                "glyph_alone": other.glyph,
            }  # fmt: skip
    return found


def compared(
    drawn: Sequence[Drawn], real: Sequence[Drawn], training: Sequence[hw.Font]
) -> dict[str, dict[str, Any]]:
    """The rows of the measures, for each style and for all."""
    recogniser = hw.load_recogniser()
    classifier = train_style_classifier(training)
    rasters: dict[str, list[Any]] = defaultdict(list)
    for font in training:
        for character, outline in font.glyphs.items():
            rasters[character].append(fitted(outline))
    others = {character: np.stack(some) for character, some in rasters.items()}
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, some in (("real", real), ("drawn", drawn)):
        rows[name] = []
        for style, glyphs in some:
            told = classifier.styles(list(glyphs.items()))
            for (character, outline), said in zip(glyphs.items(), told, strict=True):
                read = read_glyph(character, glyphs, recogniser)
                rows[name].append({
                    "style": style, "character": character, "alone": read.alone,
                    "in_word": read.in_word, "told": said == style,
                    "nearest": nearest_overlap(outline, others[character])[0],
                })  # fmt: skip
            log.info("measured a %s font, %s", style, name)
    shares: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows["real"]:
        if row["in_word"] is not None:
            shares[row["style"], row["character"]].append(row["in_word"])
    readable = {cell for cell, read in shares.items() if np.mean(read) >= 0.5}
    return {
        style: {
            name: summary(
                [row for row in some if style in ("all", row["style"])], readable
            )
            for name, some in rows.items()
        }
        for style in ("all", *STYLES)
    }


def summary(
    rows: Sequence[Mapping[str, Any]], readable: set[tuple[str, str]]
) -> dict[str, float]:
    """One row of the results."""
    cells = [row for row in rows if (row["style"], row["character"]) in readable]
    return {
        "glyphs": len(rows),
        "alone": mean(row["alone"] for row in rows),
        "in_word": mean(row["in_word"] for row in rows),
        "readable": mean(row["in_word"] for row in cells),
        "nearest": float(np.median([r["nearest"] for r in rows])) if rows else 0.0,
        "style": mean(row["told"] for row in rows),
    }


def mean(values: Any) -> float:
    """The mean of the values that are not None; 0 where there are none."""
    listed = [value for value in values if value is not None]
    return float(np.mean(listed)) if listed else 0.0


def table(result: Mapping[str, Any]) -> str:
    """Format the rows as a table for a terminal."""
    parts = result["parses"]
    lines = [
        f"{result['title']}: {result['model']} on {result['corpus']}",
        f"outlines: {parts['with']:.1%} with the grammar, {parts['without']:.1%} "
        "without",
        "",
        f"{'style':<14}{'':<8}{'glyphs':>8}{'alone':>8}{'in word':>9}"
        f"{'readable':>10}{'nearest':>9}{'style':>8}{'nats/row':>10}",
    ]
    for style, rows in result["styles"].items():
        nats = result["cross_entropy"].get(style, {}).get("row", float("nan"))
        for name, row in rows.items():
            lines.append(
                f"{style:<14}{name:<8}{row['glyphs']:8,}{row['alone']:8.1%}"
                f"{row['in_word']:9.1%}{row['readable']:10.1%}{row['nearest']:9.3f}"
                f"{row['style']:8.1%}" + (f"{nats:10.3f}" if name == "real" else "")
            )
    return "\n".join(lines)
