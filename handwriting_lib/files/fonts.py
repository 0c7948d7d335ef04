"""Fonts as files: outlines become a TrueType font that other programs install.

The contours of `outline.Outline` are those of TrueType, so no curve changes; the
coordinates are rounded to 1/1024 of an em. The name table says what made the font, and
that its licence is the choice of whoever made it. The extra `fonts` brings fontTools.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_whole
from ..errors import InputError, MissingPackageError
from ..outline import STYLES, Outline

UNITS = 1024  # in an em
SPACE = 0.28  # ems, unless the outlines have a space of their own
LINE = (0.95, -0.3)  # ems: the least ascent and descent of a line
DATE = 3_850_070_400  # seconds since 1904: the same outlines give the same file
MAX_GLYPHS = 60_000
# The classification by which other programs, and `load_outlines`, tell the style.
PANOSE = {
    "serif": {"bFamilyType": 2, "bSerifStyle": 2, "bProportion": 3},
    "sans": {"bFamilyType": 2, "bSerifStyle": 11, "bProportion": 3},
    "mono": {"bFamilyType": 2, "bSerifStyle": 11, "bProportion": 9},
    "handwriting": {"bFamilyType": 3},
    "display": {"bFamilyType": 4},
}
DESCRIPTION = "Made with handwriting_lib."
LICENSE = (
    "No licence has been chosen. The licence of this font is the choice of whoever "
    "had it drawn, who should know that the network that drew it was trained on fonts "
    "with licences of their own."
)


def font_bytes(
    outlines: Mapping[str, Outline],
    *,
    family: str,
    style: str = "sans",
    description: str = DESCRIPTION,
    license: str = LICENSE,
) -> bytes:
    """A TrueType font of outlines, as the bytes of its file.

    Args:
        outlines: by character. Without one for the space, a blank of `SPACE` is added.
        family: name of the font's family, printable ASCII of up to 31 characters.
        style: one of `outline.STYLES`, for its classification.
        description: what made it, for its name table; best with the name of the model
            that drew the outlines.
        license: what its name table says about its licence.

    Raises:
        ValueError: there are no outlines, or a name, a character or an outline is not
            one that a font can have; the message names it.
        ImportError: fontTools is not installed.

    Example:
        >>> from handwriting_lib.outline import parse
        >>> wedge = parse("M 0 0 L 0.35 0.7 L 0.7 0 Z", advance=0.75)
        >>> font_bytes({"A": wedge}, family="Wedge")[:4]
        b'\\x00\\x01\\x00\\x00'
    """
    try:
        from fontTools.fontBuilder import FontBuilder
        from fontTools.pens.ttGlyphPen import TTGlyphPen
    except ImportError as error:
        raise MissingPackageError(
            "making a font needs fontTools: install it with "
            "pip install handwriting-lib[fonts]"
        ) from error
    if not re.fullmatch(r"[ -~]{1,31}", family) or not family.strip():
        raise InputError(
            "the family of a font must be a name of 1 to 31 characters of printable "
            f"ASCII, not {family!r}"
        )
    if style not in STYLES:
        raise InputError(f"there is no style {style!r}: choose {', '.join(STYLES)}")
    if not 0 < len(outlines) <= MAX_GLYPHS:
        raise InputError(
            f"a font needs 1 to {MAX_GLYPHS} outlines, not {len(outlines)}"
        )
    if wrong := [c for c in outlines if len(c) != 1 or 0xD800 <= ord(c) < 0xE000]:
        raise InputError(f"{wrong[0]!r} is no character that a font can have")

    missing = TTGlyphPen(None)
    _draw(missing, _box())
    glyphs, widths, mapped = {".notdef": missing.glyph()}, {".notdef": 0.6}, {}
    for character, outline in sorted({" ": Outline(SPACE, ()), **outlines}.items()):
        name = (
            f"uni{ord(character):04X}"
            if ord(character) < 65536
            else (f"u{ord(character):X}")
        )
        if not 0 <= outline.advance < 16 or np.abs(outline.points).max(initial=0) >= 16:
            raise InputError(f"the outline of {character!r} is larger than 16 ems")
        pen = TTGlyphPen(None)
        _draw(pen, outline)
        glyphs[name], widths[name] = pen.glyph(), outline.advance
        mapped[ord(character)] = name
    builder = FontBuilder(UNITS, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap(mapped)
    builder.setupGlyf(glyphs)
    table = builder.font["glyf"]
    builder.setupHorizontalMetrics(
        {n: (round(widths[n] * UNITS), getattr(table[n], "xMin", 0)) for n in glyphs}
    )
    heights = [o.points[:, 1] for o in outlines.values() if len(o.points)]
    top = max([LINE[0], *(float(y.max()) for y in heights)])
    low = min([LINE[1], *(float(y.min()) for y in heights)])
    ascent, descent = round(top * UNITS), round(low * UNITS)
    builder.setupHorizontalHeader(ascent=ascent, descent=descent)
    builder.setupNameTable(
        {
            "familyName": family,
            "styleName": "Regular",
            "uniqueFontIdentifier": f"{family}; {description}"[:200],
            "fullName": family,
            "version": "Version 1.000",
            "psName": re.sub(r"[^A-Za-z0-9]", "", family) or "Font",
            "description": description,
            "licenseDescription": license,
        }
    )
    tops = {c: float(o.points[:, 1].max()) for c, o in outlines.items() if o.contours}
    builder.setupOS2(
        sTypoAscender=ascent,
        sTypoDescender=descent,
        sTypoLineGap=0,
        usWinAscent=ascent,
        usWinDescent=-descent,
        sCapHeight=round(tops.get("H", 0.7) * UNITS),
        sxHeight=round(tops.get("x", 0.5) * UNITS),
        usWeightClass=400,
        fsType=0,
    )
    panose = builder.font["OS/2"].panose
    for key, value in PANOSE[style].items():
        setattr(panose, key, value)
    builder.setupPost(isFixedPitch=int(style == "mono"))
    builder.font.recalcTimestamp = False
    builder.font["head"].created = builder.font["head"].modified = DATE
    file = io.BytesIO()
    builder.save(file)
    return file.getvalue()


def _draw(pen: Any, outline: Outline) -> None:
    """Draw an outline with a pen of fontTools, in units of the font."""
    for contour in outline.contours:
        points = [tuple(round(v * UNITS) for v in row[:2]) for row in contour]
        pen.moveTo(points[0])
        between = []
        for (_, _, on), point in zip(
            [*contour[1:], contour[0]], [*points[1:], points[0]], strict=True
        ):
            between.append(point)
            if on > 0.5:
                pen.qCurveTo(*between)
                between = []
        pen.closePath()


def _box() -> Outline:
    """What stands for a character that the font lacks."""
    corners = np.array([[0.05, 0], [0.05, 0.7], [0.55, 0.7], [0.55, 0]])
    inner = np.array([[0.1, 0.05], [0.1, 0.65], [0.5, 0.65], [0.5, 0.05]])
    return Outline(
        0.6,
        tuple(np.insert(c, 2, 1.0, axis=1) for c in (corners, inner[::-1])),
    )


def save_font(
    outlines: Mapping[str, Outline],
    path: str | os.PathLike[str],
    *,
    family: str,
    style: str = "sans",
    description: str = DESCRIPTION,
    license: str = LICENSE,
) -> None:
    """Write a TrueType font, whole or not at all; see `font_bytes`.

    Args:
        outlines: by character.
        path: file to write, which ends in `.ttf`.
        family, style, description, license: as for `font_bytes`.

    Raises:
        ValueError: the name has another ending, or as for `font_bytes`.
        FileNotFoundError: there is no such folder.
    """
    if Path(path).suffix.lower() != ".ttf":
        raise InputError(f"{path}: the name of the font must end in .ttf")
    write_whole(
        path,
        font_bytes(
            outlines,
            family=family,
            style=style,
            description=description,
            license=license,
        ),
    )
