"""The recogniser and how its errors are counted."""

from __future__ import annotations

import importlib.metadata
import math
import sys

import numpy as np
import pytest
import torch

from handwriting_lib.corpora import load_corpus
from handwriting_lib.data.transforms import scale_by_writer
from handwriting_lib.evaluation import legibility
from handwriting_lib.evaluation.legibility import (
    Reading,
    collapse,
    edit_distance,
    load_recogniser,
    picture,
    read_lines,
)


def brute_force(a, b):
    """Levenshtein's recursion as it is defined."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        brute_force(a[1:], b) + 1,
        brute_force(a, b[1:]) + 1,
        brute_force(a[1:], b[1:]) + (a[0] != b[0]),
    )


def test_edit_distance_is_that_of_its_definition():
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        n, m = torch.randint(0, 7, (2,), generator=generator).tolist()
        letters = torch.randint(0, 3, (n + m,), generator=generator).tolist()
        a, b = letters[:n], letters[n:]
        assert edit_distance(a, b) == edit_distance(b, a) == brute_force(a, b)


@pytest.mark.parametrize(
    "text, read, errors",
    [
        ("abc", "abc", 0),
        ("Abc", "abc", 1),  # case counts
        ("a bc", "abc", 1),  # and so do spaces
        ("abc", "", 3),
        ("ab", "xxxxx", 5),  # more errors than characters
    ],
)
def test_errors_of_a_line(text, read, errors):
    assert edit_distance(text, read) == errors
    assert Reading(text, read, errors).error_rate == pytest.approx(errors / len(text))


def test_collapse_drops_repeats_before_blanks():
    symbols = ["", "a", "b"]
    assert collapse([1, 1, 1], symbols) == "a"
    assert collapse([1, 0, 1], symbols) == "aa"  # the other order would give "a"
    assert collapse([0, 0], symbols) == ""
    assert collapse([2, 1, 2], symbols) == "bab"


def test_picture_has_the_recogniser_s_height_and_the_ink_s_shape():
    ink = torch.tensor([[0.0, 0.0, 0.0], [8.0, 0.0, 1.0]])
    drawn = picture(ink)
    # 8 wide and 0 high, with a margin of half a body on all sides: 9 to 1
    assert drawn.shape == (48, 9 * 48)
    assert drawn.min() == 0 and drawn.max() == 1
    assert drawn[:10].min() == 1  # the pen runs along the middle
    assert drawn[24, 60:-60].max() < 0.01
    # a pen of .12 bodies, as there are 48 pixels in one
    assert (1 - drawn[:, 200]).sum() == pytest.approx(0.12 * 48, rel=0.02)
    tall = torch.tensor([[0.0, 0.0, 0.0], [8.0, 3.0, 1.0]])
    assert picture(tall).shape == (48, 9 * 48 // 4)


@pytest.fixture(scope="module")
def recogniser():
    return load_recogniser()


@pytest.fixture(scope="module")
def lines():
    corpus = load_corpus("synthetic", samples=40, seed=5, writers=8)
    return [s for s in scale_by_writer(corpus.samples) if len(s.text) > 8][:24]


def test_recogniser_reads_synthetic_lines(recogniser, lines):
    readings = read_lines([s.ink for s in lines], [s.text for s in lines], recogniser)
    # a wrong list of characters, order of rows or scale of grey would read nothing
    assert np.median([r.error_rate for r in readings]) < 0.25
    assert sum(r.errors == 0 for r in readings) >= 2
    assert all(r.errors == edit_distance(r.text, r.read) for r in readings)


def test_recogniser_cannot_read_scattered_ink(recogniser, lines):
    generator = torch.Generator().manual_seed(1)
    scattered = []
    for s in lines[:8]:
        ink = s.ink.clone()
        turn = 2 * math.pi * torch.rand(len(ink), generator=generator)
        length = ink[:, :2].norm(dim=1)
        ink[:, 0], ink[:, 1] = length * turn.cos(), length * turn.sin()
        scattered.append(ink)
    readings = read_lines(scattered, [s.text for s in lines[:8]], recogniser)
    assert np.median([r.error_rate for r in readings]) > 0.7


def test_reading_does_not_depend_on_the_other_lines(recogniser, lines):
    inks, texts = [s.ink for s in lines[:4]], [s.text for s in lines[:4]]
    together = read_lines(inks, texts, recogniser)
    assert together[2] == read_lines([inks[2]], [texts[2]], recogniser)[0]


def test_blanks_at_the_ends_do_not_count(recogniser, lines):
    ink, text = lines[0].ink, lines[0].text
    bare, padded = read_lines([ink, ink], [text, f" {text} "], recogniser)
    assert bare == padded


def test_texts_and_lines_must_go_together(recogniser, lines):
    with pytest.raises(ValueError, match="one text per line, not 0 texts"):
        read_lines([lines[0].ink], [], recogniser)
    with pytest.raises(ValueError, match="the text ' ' is blank"):
        read_lines([lines[0].ink], [" "], recogniser)


def test_another_file_than_the_right_one_is_refused(tmp_path, monkeypatch):
    def with_file(content):
        path = tmp_path / legibility.NETWORK_FILE[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

        class Wheel:
            version = "3.9.9"

            def locate_file(self, name):
                return tmp_path / name

        monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Wheel())

    with_file(b"another network")
    with pytest.raises(ValueError, match=r"rec\.onnx is not the recogniser's.*3\.9\.9"):
        load_recogniser()
    with_file(b"")
    with pytest.raises(ValueError, match=r"rec\.onnx is missing"):
        load_recogniser()


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install handwriting-lib\[legibility\]"):
        load_recogniser()
    monkeypatch.undo()

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(ImportError, match=r"pip install handwriting-lib\[legibility\]"):
        load_recogniser()
