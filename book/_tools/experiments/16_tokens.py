"""Which tokens suit outlines: grids, layouts, absolute and relative coordinates.

The record is book/data/16_tokens.json. Of a fixed choice of glyphs in every style:

freetype   our raster of the outline as it is, against FreeType's, at 256 pixels an em,
           for all glyphs of the chosen fonts: median and smallest intersection over
           union;
grids      for several grids: the largest distance, in steps along an axis, by which a
           point moves, and the median overlap of the rounded outline with the outline
           itself, by style, at 256 pixels an em;
layouts    tokens or rows per glyph, on average and at most, for every way to write an
           outline down: a token for each command and coordinate, or a row for each
           point; points of the curve between two control points written or left out;
           curves kept or split into lines that lie within half a step;
relative   what a table of frequencies makes of the coordinates, in nats per point, when
           they are absolute and when each is relative to the point before; how many
           different numbers either needs; and the largest error in steps if each
           relative coordinate is rounded on its own.

    python book/_tools/experiments/16_tokens.py fonts:PATH

takes a minute or two of one core.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from fontTools.ttLib import TTFont
from matplotlib.ft2font import FT2Font, LoadFlags

import handwriting_lib as hw
from handwriting_lib.corpora.archives import read_files
from handwriting_lib.corpora.outlines import ENDINGS
from handwriting_lib.outline import STYLES, flatten, overlap, render, segments, whole

FILE = Path(__file__).resolve().parents[2] / "data" / "16_tokens.json"
GRIDS = (32, 64, 128, 256)
CHARACTERS = "aegimsHQRW258@"  # of them the rasters
PIXELS, FONTS = 256, 3  # of a style


def chosen(corpus: hw.OutlineCorpus) -> list[tuple[hw.Font, str]]:
    """Some glyphs of a few fonts of each style, of different families."""
    pairs = []
    for style in STYLES:
        fonts = {f.family: f for f in corpus.fonts if f.style == style}
        named = [fonts[family] for family in sorted(fonts)]
        for font in named[:: max(1, len(named) // FONTS)][:FONTS]:
            pairs += [(font, c) for c in CHARACTERS if c in font.glyphs]
    return pairs


def against_freetype(source: str, pairs: list[tuple[hw.Font, str]]) -> dict[str, Any]:
    """Compare our rasters with FreeType's."""
    wanted = {font.name: font for font, _ in pairs}
    found = []
    files = read_files(
        Path(source.removeprefix("fonts:")), lambda name: name.endswith(ENDINGS)
    )
    for name, content in files:
        font = wanted.get(Path(name).name)
        if font is None:
            continue
        with tempfile.NamedTemporaryFile(suffix=".ttf") as plain:
            file = TTFont(io.BytesIO(content))
            file.flavor = None
            if "GSUB" in file:  # matplotlib would put the end form of a letter there
                del file["GSUB"]
            file.save(plain.name)
            face = FT2Font(plain.name)
            face.set_size(PIXELS, 72)
            em = font.em / PIXELS
            found += [best_overlap(face, c, font, em) for c in font.glyphs]
    return {"glyphs": len(found), "median": round(float(np.median(found)), 4),
            "least": round(float(min(found)), 4)}  # fmt: skip


def best_overlap(face: FT2Font, character: str, font: hw.Font, em: float) -> float:
    """The overlap of our raster with FreeType's, wherever in a pixel it has put it."""
    face.set_text(character, flags=LoadFlags.NO_HINTING)
    face.draw_glyphs_to_bitmap(antialiased=True)
    image = np.asarray(face.get_image()) / 255
    glyph = face.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    corner = np.floor(np.array(glyph.bbox[:2]) / 64)
    best = 0.0
    for x in (0, -1, 1):
        for y in (0, -1, 1):
            left, bottom = (corner[0] + x) * em, (corner[1] + y) * em
            size = image.shape[1] * em, image.shape[0] * em
            frame = left, bottom, left + size[0], bottom + size[1]
            drawn = render(font.glyphs[character], 1 / em, frame)
            best = max(best, overlap(drawn, image))
            if best > 0.99:  # a pixel beside, it would be far less
                return best
    return best


def grids(pairs: list[tuple[hw.Font, str]]) -> list[dict[str, Any]]:
    """What rounding to each grid costs."""
    true = {(f.name, c): render(f.glyphs[c], PIXELS) for f, c in pairs}
    rows = []
    for grid in GRIDS:
        tokens, moved = hw.GlyphTokens(grid), 0.0
        found = defaultdict(list)
        for font, c in pairs:
            back = tokens.decode(tokens.encode(font.glyphs[c]))
            away = np.abs(back.points - font.glyphs[c].points)[:, :2].max()
            moved = max(moved, float(away) * grid)
            raster = render(back, PIXELS)
            found[font.style].append(overlap(raster, true[font.name, c]))
        every = [v for values in found.values() for v in values]
        rows.append({
            "grid": grid, "farthest": round(moved, 4),
            "overlap": round(float(np.median(every)), 4),
            **{s: round(float(np.median(found[s])), 4) for s in STYLES if s in found},
        })  # fmt: skip
    return rows


def layouts(corpus: hw.OutlineCorpus) -> dict[str, Any]:
    """How long the programs of all glyphs are, in every layout, at the default grid."""
    tokens = hw.GlyphTokens()
    lengths = defaultdict(list)
    for font in corpus.fonts:
        for outline in font.glyphs.values():
            points, contours = len(outline.points), len(outline.contours)
            expanded = sum(len(whole(contour)) for contour in outline.contours)
            curves = sum(
                len(piece) == 3 for c in outline.contours for piece in segments(c)
            )
            lines = sum(len(flatten(c, 0.5 / tokens.grid)) for c in outline.contours)
            # M, L and Z are commands of their own; the command Q has two points
            commands = expanded - curves + contours
            lengths["token a coordinate, curves whole"].append(
                commands + 2 * expanded + 1
            )
            lengths["token a coordinate, hidden points left out"].append(
                3 * points + contours + 1
            )
            lengths["token a coordinate, curves split"].append(3 * lines + contours + 1)
            lengths["row a point, curves whole"].append(expanded + 2)
            lengths["row a point, hidden points left out"].append(points + 2)
            lengths["row a point, curves split"].append(lines + 2)
    return {
        name: {"mean": round(float(np.mean(some)), 1), "most": max(some)}
        for name, some in lengths.items()
    }


def entropy(values: np.ndarray) -> float:
    """Nats of a value in a table of their frequencies."""
    _, count = np.unique(values, return_counts=True)
    share = count / count.sum()
    return float(-(share * np.log(share)).sum())


def relative(corpus: hw.OutlineCorpus) -> dict[str, Any]:
    """Absolute coordinates beside those that count from the point before."""
    grid = hw.GlyphTokens().grid
    at, steps, worst = [], [], 0.0
    for font in corpus.fonts:
        for outline in font.glyphs.values():
            true = outline.points[:, :2] * grid
            rounded = np.rint(true)
            at.append(rounded)
            steps.append(np.diff(rounded, axis=0, prepend=0.0))
            alone = np.rint(np.diff(true, axis=0, prepend=0.0)).cumsum(0)
            worst = max(worst, float(np.abs(alone - true).max()))
    found = {}
    for name, parts in (("absolute", at), ("relative", steps)):
        table = np.concatenate(parts)
        found[name] = {
            "nats_per_point": round(sum(entropy(table[:, i]) for i in (0, 1)), 3),
            "numbers": int(np.ptp(table, axis=0).max()) + 1,
            "negative": round(float((table < 0).any(1).mean()), 3),
        }
    return {**found, "farthest_if_rounded_alone": round(worst, 2)}


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else "fonts:fonts"
    corpus = hw.load_outlines(source)
    pairs = chosen(corpus)
    record = {
        "fonts": len(corpus.fonts),
        "glyphs": sum(len(font.glyphs) for font in corpus.fonts),
        "rasters": len(pairs),
        "freetype": against_freetype(source, pairs),
        "grids": grids(pairs),
        "layouts": layouts(corpus),
        "relative": relative(corpus),
    }
    FILE.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
