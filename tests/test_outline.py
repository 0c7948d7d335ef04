"""Outlines: paths there and back, one order of contours, rasters against FreeType's."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font, LoadFlags

from handwriting_lib.corpora.outlines import load_outlines
from handwriting_lib.errors import InputError
from handwriting_lib.outline import (
    Outline,
    close_contour,
    flatten,
    in_order,
    overlap,
    parse,
    render,
    signed_area,
    to_path,
)

SERIF = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSerif.ttf"
RING = "M0 0L0 1L1 1L1 0ZM.25 .25L.75 .25L.75 .75L.25 .75Z"


@pytest.fixture(scope="module")
def serif():
    return load_outlines(SERIF, characters="HagiQ@08").fonts[0]


def test_a_path_comes_back(serif):
    for outline in serif.glyphs.values():
        back = parse(to_path(outline, 5), outline.advance)
        assert len(back.contours) == len(outline.contours)
        for one, other in zip(back.contours, outline.contours, strict=True):
            polygons = [flatten(contour, 1e-3) for contour in (one, other)]
            assert overlap_of(*polygons) > 0.999


def overlap_of(one, other):
    rasters = [
        render(Outline(0.0, (np.insert(polygon, 2, 1.0, axis=1),)))
        for polygon in (one, other)
    ]
    return overlap(*rasters)


@pytest.mark.parametrize(
    "path",
    [
        "0 0", "M 0 0", "M 0 0 L 1 Z", "M 0 0 L 1 0 Z", "L 0 0 L 1 1 Z", "Z",
        "M 0 0 M 1 1 Z", "M 0 0 L 1 0 Q 1 1 Z", "M 0 0 C 1 1 2 2 3 3 Z", "M a b",
        "M 0 0 L 1e999 0 L 0 1 Z", "M 0 0 l 1 0 l 0 1 z",
    ],
)  # fmt: skip
def test_a_wrong_path_is_told_apart(path):
    with pytest.raises(InputError):
        parse(path)


@given(st.text(alphabet="MLQZ 0123.-e", max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_path_is_an_outline_or_an_error(path):
    try:
        outline = parse(path)
    except InputError:
        return
    assert all(len(contour) > 2 for contour in outline.contours)


@given(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans())
@settings(max_examples=12, deadline=None)
def test_contours_have_one_order(first, second, backwards, swapped):
    outer, hole = parse(RING).contours
    contours = [np.roll(outer, first, 0), np.roll(hole, second, 0)]
    if backwards:
        contours = [contour[::-1] for contour in contours]
    if swapped:
        contours.reverse()
    one = in_order(Outline(1.0, tuple(contours)))
    assert to_path(one) == to_path(in_order(parse(RING)))
    assert signed_area(one.contours[0]) == -1.0
    assert one.contours[0][0, :2].tolist() == [0.0, 0.0]


def test_the_order_changes_no_pixel(serif):
    for outline in serif.glyphs.values():
        turned = outline.replace(
            contours=tuple(np.roll(c[::-1], 1, 0) for c in outline.contours[::-1])
        )
        assert overlap(render(turned), render(in_order(turned))) > 0.9999


def test_contours_that_enclose_nothing_are_dropped():
    assert close_contour([(0, 0, True)] * 5) is None
    assert close_contour([(0, 0, True), (1, 0, True), (0, 0, True)]) is None
    circle = [(0, 0, False), (0, 1, False), (1, 1, False), (1, 0, False)]
    closed = close_contour(circle)
    assert closed.shape == (5, 3) and closed[0].tolist() == [0.5, 0.0, 1.0]


def test_a_doubled_control_point_is_a_corner():
    on, off, end = (0.0, 0.0, True), (1.0, 0.0, False), (1.0, 1.0, True)
    for points in ([on, on, off, off, end], [off, end, on, off]):
        closed = close_contour(points)
        assert len(closed) == 4
        raster = render(Outline(0.0, (closed,)), 64, (0, 0, 1, 1))
        assert raster.mean() == pytest.approx(0.5)  # a triangle, with straight sides
    assert close_contour([on, off, off]) is None


# --- rasters -------------------------------------------------------------------------


def test_areas_are_counted_in_parts_of_pixels():
    slope = parse("M 0 0 L 0 1 L 1 0 Z")
    assert render(slope, 2, (0, 0, 1, 1)).tolist() == [[0.5, 0.0], [1.0, 0.5]]
    for frame in ((0, 0, 1, 1), (0.5, 0.5, 1.5, 1.5), (-1, -1, 0.5, 0.5)):
        left, bottom, right, top = frame
        wanted = 0.0  # a count of points on a fine lattice
        for x in np.arange(left, right, 1 / 64) + 1 / 128:
            y = np.arange(bottom, top, 1 / 64) + 1 / 128
            wanted += ((x > 0) & (y > 0) & (x + y < 1)).sum()
        assert render(slope, 16, frame).sum() / 16**2 == pytest.approx(
            wanted / 64**2, abs=0.02
        )


def test_a_hole_is_empty_and_a_doubled_part_is_not():
    ring = parse(RING)
    assert render(ring, 4, (0, 0, 1, 1))[1:3, 1:3].max() == 0
    both = Outline(0.0, (ring.contours[0], ring.contours[1][::-1]))
    assert render(both, 4, (0, 0, 1, 1)).min() == 1


def test_rasters_are_those_of_freetype(serif):
    pixels = 256  # of the font's own em
    face = FT2Font(str(SERIF))
    face.set_size(pixels, 72)
    for character, outline in serif.glyphs.items():
        glyph = face.load_char(ord(character), flags=LoadFlags.NO_HINTING)
        image = np.zeros((400, 400), np.uint8)
        face.set_text(character, flags=LoadFlags.NO_HINTING)
        face.draw_glyphs_to_bitmap(antialiased=True)
        image = np.asarray(face.get_image()) / 255
        x, y, *_ = glyph.bbox
        left, bottom = np.floor(x / 64), np.floor(y / 64)
        height, width = image.shape
        em = serif.em / pixels
        # the bitmap's place within a pixel or two is matplotlib's: try those
        best = 0.0
        for right in (-1, 0, 1):
            for up in (-1, 0, 1):
                corner = (left + right) * em, (bottom + up) * em
                frame = (*corner, corner[0] + width * em, corner[1] + height * em)
                best = max(best, overlap(render(outline, 1 / em, frame), image))
        assert best > 0.99, character


def test_a_raster_has_a_size():
    for pixels in (0, -1, float("nan"), float("inf"), 1e6):
        with pytest.raises(InputError, match="raster"):
            render(parse(RING), pixels)
    assert render(Outline(1.0, ()), 8).max() == 0
