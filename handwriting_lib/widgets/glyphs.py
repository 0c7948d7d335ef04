"""Outlines of glyphs in the page: on a grid, and as the programs that a decoder drew.

Chapter 16 shows both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..drawing.outlines import outlines_to_svg
from ..errors import InputError
from ..outline import STYLES, Outline
from ..tokens.glyphs import GlyphTokens
from ..writing.glyphs import Glyph
from .host import Widget

STEPS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # of an em
SIZE = 160.0  # pixels an em of the still pictures
DIGITS = 5  # decimals of an em


class GlyphGrid(Widget):
    """Rounds the points of an outline to a grid while the reader moves its steps.

    Args:
        outlines: by what they are called, such as the character; at least one.
        grid: steps of an em that are shown first, one of `STEPS`.
        caption: text below the figure.

    Raises:
        ValueError: there is no outline or no point, or no such grid.

    Example:
        >>> from handwriting_lib.outline import parse
        >>> GlyphGrid({"A": parse("M 0 0 L 0.3 0.7 L 0.6 0 Z", 0.65)})
        <GlyphGrid: outlines on a grid: A>
    """

    def __init__(
        self, outlines: Mapping[str, Outline], grid: int = 32, *, caption: str = ""
    ) -> None:
        if not outlines or not all(one.contours for one in outlines.values()):
            raise InputError("give at least one outline, each with a contour")
        if grid not in STEPS:
            raise InputError(f"grid must be one of {STEPS}, not {grid!r}")
        glyphs = [
            {
                "name": name,
                "advance": round(one.advance, DIGITS),
                "contours": [
                    [[round(x, DIGITS), round(y, DIGITS), int(on)] for x, y, on in rows]
                    for rows in (contour.tolist() for contour in one.contours)
                ],
            }
            for name, one in outlines.items()
        ]
        label = f"outlines on a grid: {' '.join(outlines)}"
        super().__init__(
            ["glyph_paths", "glyph_grid"],
            {"glyphs": glyphs, "steps": STEPS, "grid": grid},
            still=outlines_to_svg([list(outlines.values())], size=SIZE / 2),
            label=label,
            caption=caption,
        )


class GlyphPrograms(Widget):
    """Runs the programs that a decoder drew, row by row.

    The reader chooses character, style and temperature, and whether the grammar was in
    force; all of the programs are in the page.

    Args:
        drawn: by temperature, what `draw_glyphs` drew under the grammar: of the same
            characters in the same styles, each at least once.
        free: the same without the grammar.
        tokens: of the model that drew them; None takes the default ones.
        caption: text below the figure.

    Raises:
        ValueError: a glyph is missing, or the two have other temperatures.

    Example:
        >>> import torch
        >>> wedge = [[2, 3, 5], [3, 6, 9], [3, 8, 5]]
        >>> rows = torch.tensor([[1, 9, 15], *wedge, [0, 15, 15]])
        >>> tokens = GlyphTokens(grid=8)
        >>> glyph = Glyph("A", "sans", rows, tokens.decode(rows), 9.0)
        >>> GlyphPrograms({0.6: [glyph]}, {0.6: [glyph]}, tokens)
        <GlyphPrograms: programs of glyphs: A, sans>
    """

    def __init__(
        self,
        drawn: Mapping[float, Sequence[Glyph]],
        free: Mapping[float, Sequence[Glyph]],
        tokens: GlyphTokens | None = None,
        *,
        caption: str = "",
    ) -> None:
        tokens = GlyphTokens() if tokens is None else tokens
        temperatures = sorted(drawn)
        if not temperatures or temperatures != sorted(free):
            raise InputError(
                "give glyphs of the same temperatures with the grammar and without, "
                f"not of {temperatures} and of {sorted(free)}"
            )
        every = [glyph for some in drawn.values() for glyph in some]
        characters = list(dict.fromkeys(glyph.character for glyph in every))
        styles = [s for s in STYLES if any(glyph.style == s for glyph in every)]
        packed: list[dict[str, Any]] = []
        known: dict[str, int] = {}  # most are drawn alike without the grammar
        for t, temperature in enumerate(temperatures):
            for is_free, some in enumerate((drawn[temperature], free[temperature])):
                found = {(glyph.character, glyph.style) for glyph in some}
                for character in characters:
                    for style in styles:
                        if (character, style) not in found:
                            raise InputError(
                                f"there is no {character!r} in the style {style} at "
                                f"temperature {temperature:g}: draw every character in "
                                "every style at every temperature"
                            )
                for glyph in some:
                    rows = glyph.rows.flatten().tolist()
                    like = known.setdefault(str(rows), len(packed))
                    packed.append({
                        "t": t, "free": is_free,
                        "c": characters.index(glyph.character),
                        "s": styles.index(glyph.style),
                        "rows": rows if like == len(packed) else like,
                        **_problem(glyph, tokens),
                    })  # fmt: skip
        first = (len(temperatures) - 1) // 2
        data = {
            "grid": tokens.grid, "lowest": list(tokens.lowest),
            "characters": characters, "styles": styles, "temperatures": temperatures,
            "first": first, "glyphs": packed,
        }  # fmt: skip
        shown = [g.outline for g in drawn[temperatures[first]] if g.outline]
        label = f"programs of glyphs: {' '.join(characters)}, {', '.join(styles)}"
        super().__init__(
            ["glyph_paths", "glyph_programs"],
            data,
            still=outlines_to_svg([shown[:4]], size=SIZE / 2) if shown else "",
            label=label,
            caption=caption,
        )


def _problem(glyph: Glyph, tokens: GlyphTokens) -> dict[str, Any]:
    """The number of the row that means nothing, and why."""
    try:
        tokens.decode(glyph.rows)
    except InputError as error:
        found = re.match(r"row (\d+): (.*)", str(error))
        if found:
            return {"bad": int(found[1]), "why": f"row {found[1]}: {found[2]}"}
        return {"bad": len(glyph.rows) + 1, "why": "it does not end"}
    return {"bad": 0, "why": ""}
