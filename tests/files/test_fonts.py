"""A font that is made is a font: fontTools, FreeType and our own reader agree on it."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import ImageFont

from handwriting_lib.corpora.outlines import load_outlines
from handwriting_lib.errors import InputError
from handwriting_lib.files.fonts import UNITS, font_bytes, save_font
from handwriting_lib.outline import STYLES, Outline, in_order, parse

SERIF = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSerif.ttf"
WEDGE = parse("M 0 0 L 0.35 0.7 L 0.7 0 Z", advance=0.75)


@pytest.fixture(scope="module")
def serif():
    return load_outlines(SERIF, characters="HOgix8").fonts[0]


def test_a_font_comes_back_as_it_was(serif, tmp_path):
    save_font(
        serif.glyphs, tmp_path / "new.ttf", family="New Serif", style="serif",
        description="made by a test",
    )  # fmt: skip
    (again,) = load_outlines(tmp_path / "new.ttf", characters="HOgix8").fonts
    assert (again.family, again.style) == ("New Serif", "serif")
    assert again.em == pytest.approx(1.0, abs=1e-3)
    for character, outline in serif.glyphs.items():
        back = again.glyphs[character]
        assert len(back.points) == len(outline.points)
        assert np.abs(back.points - outline.points).max() <= 1 / UNITS
        assert back.advance == pytest.approx(outline.advance, abs=1 / UNITS)


def test_it_survives_fonttools_and_freetype(serif):
    content = font_bytes(serif.glyphs, family="New", description="drawn by X")
    assert content == font_bytes(serif.glyphs, family="New", description="drawn by X")
    with TTFont(io.BytesIO(content)) as font:
        names, metrics = font["name"], font["hmtx"]
        assert names.getDebugName(1) == "New" and "drawn by X" in names.getDebugName(10)
        assert "choice of whoever" in names.getDebugName(13)
        for name in font.getGlyphOrder():
            glyph = font["glyf"][name]
            if glyph.numberOfContours:
                assert metrics[name][1] == glyph.xMin
        saved = io.BytesIO()
        font.save(saved)
        xml = io.StringIO()
        font.saveXML(xml)
    face = ImageFont.truetype(io.BytesIO(saved.getvalue()), UNITS)
    for character, outline in serif.glyphs.items():
        assert face.getlength(character) == round(outline.advance * UNITS)
    assert face.getlength(" ") > 0
    mask = np.asarray(face.getmask("O", mode="L"))
    assert mask.sum() > 0


def test_a_font_says_what_made_it_even_if_nobody_told():
    with TTFont(io.BytesIO(font_bytes({"H": WEDGE}, family="x"))) as font:
        assert "handwriting_lib" in font["name"].getDebugName(10)


def test_every_style_is_told_by_its_classification(tmp_path):
    for style in STYLES:
        save_font({"H": WEDGE}, tmp_path / "x.ttf", family="x", style=style)
        assert load_outlines(tmp_path / "x.ttf").fonts[0].style == style


def test_curves_that_hide_their_points_stay(tmp_path):
    ring = np.array([[0.5, 0, 1], [0, 0, 0], [0, 0.7, 0], [1, 0.7, 0], [1, 0, 0]])
    outline = in_order(Outline(1.0, (ring.astype(float),)))
    save_font({"H": outline}, tmp_path / "x.ttf", family="x")
    back = load_outlines(tmp_path / "x.ttf", characters="H").fonts[0].glyphs["H"]
    assert len(back.points) == 5
    assert np.abs(back.points - outline.points).max() <= 1 / UNITS


@pytest.mark.parametrize(
    ("outlines", "options", "told"),
    [
        ({}, {}, "1 to"),
        ({"ab": WEDGE}, {}, "'ab'"),
        ({"\ud800": WEDGE}, {}, "no character"),
        ({"a": WEDGE.replace(advance=-1.0)}, {}, "'a'"),
        ({"a": parse("M 0 0 L 99 0 L 0 1 Z")}, {}, "16 ems"),
        ({"a": WEDGE}, {"family": "é"}, "family"),
        ({"a": WEDGE}, {"family": " "}, "family"),
        ({"a": WEDGE}, {"family": "x" * 32}, "family"),
        ({"a": WEDGE}, {"style": "gothic"}, "gothic"),
    ],
)
def test_what_no_font_can_have_is_told(outlines, options, told):
    with pytest.raises(InputError, match=told):
        font_bytes(outlines, **{"family": "x", **options})
    with pytest.raises(InputError, match=r"\.ttf"):
        save_font({"a": WEDGE}, "x.otf", family="x")
