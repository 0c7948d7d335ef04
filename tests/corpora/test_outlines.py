"""Fonts as outlines: one baseline, styles by classification, and hostile files."""

import io
import os
import tarfile
import zlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph, GlyphComponent

from handwriting_lib.corpora import load_corpus, outlines
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.outlines import Font, OutlineCorpus, load_outlines
from handwriting_lib.outline import STYLES, Outline, render
from handwriting_lib.tokens.glyphs import GlyphTokens

FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = Path(os.environ.get("FONTS", ROOT.parent / "shared/data/fonts/fonts.tar.xz"))


def square(pen, left=0, bottom=0, size=700):
    """A box, clockwise as TrueType has it."""
    pen.moveTo((left, bottom))
    for x, y in ((0, size), (size, size), (size, 0)):
        pen.lineTo((left + x, bottom + y))
    pen.closePath()


def component(name, x=0, y=0):
    part = GlyphComponent()
    part.glyphName, part.x, part.y, part.flags = name, x, y, 0x6
    return part


def composite(*parts):
    glyph = Glyph()
    glyph.numberOfContours, glyph.components = -1, list(parts)
    return glyph


def a_font(glyphs, mapped, classified=True, compiled=True, named=True):
    """A TrueType font with the glyphs of a table; returns its bytes."""
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *glyphs])
    builder.setupCharacterMap(mapped)
    pen = TTGlyphPen(None)
    square(pen)
    if not compiled:  # components that nothing could measure
        builder.font.recalcBBoxes = False
    table = {".notdef": Glyph(), **{n: g or pen.glyph() for n, g in glyphs.items()}}
    for glyph in table.values():
        for side in ("xMin", "yMin", "xMax", "yMax"):
            if not hasattr(glyph, side):
                setattr(glyph, side, 0)
    builder.setupGlyf(table, calcGlyphBounds=compiled)
    builder.setupHorizontalMetrics({name: (800, 0) for name in table})
    builder.setupHorizontalHeader()
    builder.setupNameTable({"familyName": "Sans Serif Mono", "styleName": "Regular"})
    builder.setupOS2(sFamilyClass=8 << 8 if classified else 0)
    builder.setupPost(keepGlyphNames=named)
    file = io.BytesIO()
    builder.font.recalcBBoxes = compiled
    builder.save(file)
    return file.getvalue()


def read(tmp_path, content, name="x.ttf", **options):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return load_outlines(f"fonts:{file}", **options)


# --- what is read --------------------------------------------------------------------


def test_all_glyphs_have_one_baseline_and_one_scale():
    font = load_outlines(FONTS / "DejaVuSans.ttf", characters="HIiyx").fonts[0]
    tops = {c: o.points[:, 1].max() for c, o in font.glyphs.items()}
    assert tops["H"] == pytest.approx(outlines.CAPITALS)
    assert tops["I"] == pytest.approx(tops["H"]) and tops["x"] < 0.8 * tops["H"]
    lows = {c: o.points[:, 1].min() for c, o in font.glyphs.items()}
    assert lows["i"] == lows["H"] == 0 and lows["y"] < -0.1
    assert font.glyphs["i"].advance < font.glyphs["H"].advance
    assert font.family == "DejaVu Sans" and "free of charge" in font.license
    assert (font.weight, font.is_slanted) == (400, False)
    bold = load_outlines(FONTS / "DejaVuSans-BoldOblique.ttf", characters="a").fonts[0]
    assert (bold.weight, bold.is_slanted) == (700, True)


def test_composites_are_put_together(tmp_path):
    content = a_font(
        {"H": None, "i": composite(component("H"), component("H", 0, 900))},
        {ord("H"): "H", ord("i"): "i"},
    )
    font = read(tmp_path, content).fonts[0]
    assert len(font.glyphs["i"].contours) == 2
    assert font.glyphs["i"].points[:, 1].max() == pytest.approx(1.6)


def test_cubic_curves_become_quadratic_ones(tmp_path):
    builder = FontBuilder(1000, isTTF=False)
    builder.setupGlyphOrder([".notdef", "O"])
    builder.setupCharacterMap({ord("O"): "O"})
    pen = T2CharStringPen(800, None)
    k = 0.5523 * 350  # a circle, counterclockwise as PostScript has it
    pen.moveTo((700, 350))
    pen.curveTo((700, 350 + k), (350 + k, 700), (350, 700))
    pen.curveTo((350 - k, 700), (0, 350 + k), (0, 350))
    pen.curveTo((0, 350 - k), (350 - k, 0), (350, 0))
    pen.curveTo((350 + k, 0), (700, 350 - k), (700, 350))
    pen.closePath()
    empty = T2CharStringPen(800, None).getCharString()
    builder.setupCFF("X", {}, {".notdef": empty, "O": pen.getCharString()}, {})
    builder.setupHorizontalMetrics({name: (800, 0) for name in (".notdef", "O")})
    builder.setupHorizontalHeader()
    builder.setupNameTable({"familyName": "X", "styleName": "Regular"})
    builder.setupOS2(sFamilyClass=8 << 8)
    builder.setupPost()
    file = io.BytesIO()
    builder.save(file)
    (contour,) = read(tmp_path, file.getvalue(), "x.otf").fonts[0].glyphs["O"].contours
    xy = contour[:, :2] - 0.35
    assert np.hypot(*xy[contour[:, 2] > 0.5].T) == pytest.approx(0.35, abs=2e-3)
    drawn = render(Outline(1.0, (contour,)), 64)
    assert drawn.sum() / 64**2 == pytest.approx(np.pi * 0.35**2, rel=2e-3)


@pytest.mark.parametrize("ending", [".woff", ".woff2"])
def test_compressed_fonts_are_the_same(tmp_path, ending):
    pytest.importorskip("brotli")
    pen = TTGlyphPen(None)
    pen.moveTo((350, 0))
    pen.qCurveTo((0, 0), (0, 700), (700, 700), (700, 0), (350, 0))
    pen.closePath()
    content = a_font({"H": None, "o": pen.glyph()}, {ord("H"): "H", ord("o"): "o"})
    font = TTFont(io.BytesIO(content))
    font.flavor = ending[1:]
    font.save(tmp_path / f"x{ending}")
    one = load_outlines(tmp_path / f"x{ending}").fonts[0]
    other = read(tmp_path, content).fonts[0]
    assert one.style == other.style and list(one.glyphs) == list("Ho")
    for character in "Ho":
        assert (one.glyphs[character].points == other.glyphs[character].points).all()


def test_the_style_is_the_folder_s_or_the_font_s_own(tmp_path):
    content = a_font({"H": None}, {ord("H"): "H"})  # of a family called Serif Mono
    assert read(tmp_path, content, "serif-mono.ttf").fonts[0].style == "sans"
    assert read(tmp_path, content, "display/x/x.ttf").fonts[0].style == "display"
    untold = a_font({"H": None}, {ord("H"): "H"}, classified=False)
    with pytest.raises(CorpusError, match="does not say its style"):
        read(tmp_path, untold)
    assert read(tmp_path, untold, "mono/x.ttf").fonts[0].style == "mono"
    serif = load_outlines(FONTS / "DejaVuSerif.ttf", characters="a").fonts[0]
    assert serif.style == "serif"


def test_archives_are_read_and_collections_counted(tmp_path):
    content = a_font({"H": None}, {ord("H"): "H"})
    with tarfile.open(tmp_path / "fonts.tar.gz", "w:gz") as archive:
        for name in ("serif/a/a.ttf", "mono/b/b.TTF", "x.ttc", "LICENSE"):
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    corpus = load_outlines(tmp_path / "fonts.tar.gz", characters="Hx")
    assert [font.style for font in corpus.fonts] == ["serif", "mono"]
    assert corpus.skipped == {
        "glyph that the font lacks": 2,
        "font in a format that is not read (.ttc)": 1,
    }


def test_no_family_is_on_both_sides():
    fonts = [
        Font(f"{style} {i}", style, f"{weight}.ttf", {}, weight=weight)
        for style in STYLES for i in range(9) for weight in (400, 700)
    ]  # fmt: skip
    split = OutlineCorpus("x", fonts).split()
    sides = [{font.family for font in side} for side in (split.train, split.validation)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 45
    for style in STYLES:
        assert sum(family.startswith(style) for family in sides[1]) == 2
    again = OutlineCorpus("x", fonts[::-1]).split()
    assert {font.family for font in again.validation} == sides[1]
    alone = OutlineCorpus("x", fonts[:2]).split()
    assert len(alone.train) == 2 and not alone.validation


def test_it_is_no_corpus_of_ink():
    with pytest.raises(CorpusError, match="load_outlines"):
        load_corpus("fonts:anything")


# --- hostile files -------------------------------------------------------------------


def test_a_font_may_be_cut_anywhere(tmp_path):
    content = a_font({"H": None}, {ord("H"): "H"})
    for length in (0, 3, 11, 12, 100, len(content) // 2, len(content) - 200):
        with pytest.raises(CorpusError, match=r"damaged|Unicode|style|characters"):
            read(tmp_path, content[:length])


def test_a_font_may_have_any_byte_wrong(tmp_path):
    content = a_font({"H": None}, {ord("H"): "H"})
    random = np.random.default_rng(1)
    for _ in range(150):
        wrong = bytearray(content)
        for place in random.integers(0, len(content), 6):
            wrong[place] = random.integers(0, 256)
        try:
            corpus = read(tmp_path, bytes(wrong))
        except CorpusError:
            continue
        assert all(len(font.glyphs) <= 72 for font in corpus.fonts)


@pytest.mark.parametrize("name", ["missing", "text.txt", "empty"])
def test_what_is_no_font_is_an_error(tmp_path, name):
    (tmp_path / "text.txt").write_text("no font")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError):
        load_outlines(tmp_path / name)


def test_a_font_without_a_character_map(tmp_path):
    font = TTFont(io.BytesIO(a_font({"H": None}, {ord("H"): "H"})))
    del font["cmap"]
    file = io.BytesIO()
    font.save(file)
    with pytest.raises(CorpusError, match=r"Unicode|damaged"):
        read(tmp_path, file.getvalue())


def test_glyphs_that_contain_themselves(tmp_path):
    glyphs = {
        "H": None,
        "a": composite(component("a")),
        "b": composite(component("c")),
        "c": composite(component("b")),
        # doubled a hundred times over
        "d0": composite(component("H"), component("H")),
        **{f"d{i}": composite(*[component(f"d{i - 1}")] * 2) for i in range(1, 100)},
    }
    mapped = {ord("H"): "H", ord("a"): "a", ord("b"): "b", ord("d"): "d99"}
    corpus = read(tmp_path, a_font(glyphs, mapped, compiled=False), characters="Habd")
    assert list(corpus.fonts[0].glyphs) == ["H"]
    assert sum(corpus.skipped.values()) == 3
    assert all("component" in why or "itself" in why for why in corpus.skipped)


def test_glyphs_without_end_and_without_anything(tmp_path):
    pen = TTGlyphPen(None)
    for i in range(1100):
        square(pen, i % 90, i // 90, 5 + i % 7)
    glyphs = {"H": None, "a": pen.glyph(), "b": Glyph()}
    corpus = read(
        tmp_path,
        a_font(glyphs, {ord("H"): "H", ord("a"): "a", ord("b"): "b"}),
        characters="Habc",
    )
    assert list(corpus.fonts[0].glyphs) == ["H"]
    assert corpus.skipped == {
        "glyph that the font lacks": 1,
        "glyph of too many points": 1,
        "glyph without an outline": 1,
    }


def test_65535_glyphs(tmp_path):
    names = {f"g{i}": Glyph() for i in range(65533)}
    content = a_font({"H": None, **names}, {ord("H"): "H"}, named=False)
    assert len(read(tmp_path, content, characters="H").fonts[0].glyphs) == 1


def test_a_small_file_may_not_claim_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(outlines, "MAX_UNPACKED", 2**20)
    packed = zlib.compress(bytes(2**22))
    entry = b"glyf" + (64).to_bytes(4, "big") + len(packed).to_bytes(4, "big")
    entry += (100).to_bytes(4, "big") + bytes(4)  # it claims 100 bytes
    head = b"wOFF\x00\x01\x00\x00" + bytes(4) + (1).to_bytes(2, "big")
    content = head.ljust(44, b"\0") + entry + packed
    with pytest.raises(CorpusError, match="too many bytes"):
        read(tmp_path, content, "x.woff")
    brotli = pytest.importorskip("brotli")
    packed = brotli.compress(bytes(2**22))
    head = b"wOF2\x00\x01\x00\x00" + bytes(4) + (1).to_bytes(2, "big")
    content = head.ljust(48, b"\0") + bytes([0, 100]) + packed
    with pytest.raises(CorpusError, match="too many bytes"):
        read(tmp_path, content, "x.woff2")
    monkeypatch.setattr(outlines, "MAX_FONT_BYTES", 100)
    with pytest.raises(CorpusError, match="too many bytes"):
        load_outlines(FONTS / "cmr10.ttf")


# --- the archive ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.exists(), reason="the archive of fonts is not here")
def test_the_archive_comes_back_to_half_a_step():
    corpus = load_outlines(f"fonts:{ARCHIVE}")
    tokens, worst = GlyphTokens(), 0.0
    assert len(corpus.fonts) == 119 and not corpus.skipped
    for font in corpus.fonts:
        for outline in font.glyphs.values():
            back = tokens.decode(tokens.encode(outline))
            worst = max(worst, np.abs(back.points - outline.points).max())
    assert worst * tokens.grid <= 0.5 + 1e-9
    split = corpus.split()
    for style in STYLES:
        assert len({f.family for f in split.validation if f.style == style}) >= 2
    assert not {f.family for f in split.train} & {f.family for f in split.validation}
