"""What people hand to a picture: lines, arrays, colours as numbers; and plotters."""

import re
import xml.etree.ElementTree as ET

import pytest
import torch

import handwriting_lib as hw


@pytest.fixture(scope="module")
def line():
    return hw.write("hi", "unipen-184", seed=3)[0]


def test_a_line_a_list_of_lines_and_arrays_are_ink(line, tmp_path):
    wanted = hw.to_svg(line.ink, unit=1.0)
    for given in (line, [line], line.ink.numpy(), [line.ink.numpy()], [line.ink]):
        assert hw.to_svg(given, unit=1.0) == wanted
    hw.save([line, line], tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_text().count("<path") == 2


@pytest.mark.parametrize("wrong", ["hi", 3, [3], ["hi"]])
def test_what_is_no_ink_is_named(wrong):
    with pytest.raises(ValueError, match="must be a tensor"):
        hw.to_svg(wrong)


def test_a_colour_may_be_numbers(line):
    assert 'stroke="#ff0080"' in hw.to_svg(line, color=(1, 0, 0.5))
    assert hw.to_png(line, color=(1, 0, 0)) == hw.to_png(line, color="#ff0000")
    for wrong in ((1, 0), (2, 0, 0), 7):
        with pytest.raises(ValueError, match="colour must be"):
            hw.to_svg(line, color=wrong)


def test_a_missing_folder_is_named(line, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nope: create it"):
        hw.save(line, tmp_path / "nope" / "x.svg")


def test_an_svg_has_paper_only_when_asked_for_and_then_in_numbers(line, tmp_path):
    for name, paper in (("a.svg", 0), ("b.svg", 1)):
        options = {"background": "white"} if paper else {}
        hw.save(line, tmp_path / name, **options)
        svg = (tmp_path / name).read_text()
        assert svg.count("<rect") == paper and "%" not in svg
        if paper:
            root = ET.fromstring(svg)
            (rect,) = root.iter("{http://www.w3.org/2000/svg}rect")
            assert rect.get("width") == root.get("width")


def test_a_dot_has_a_length_that_plotters_keep():
    dot = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    path = re.search(r'd="([^"]+)"', hw.to_svg(dot, unit=1.0))[1]
    x1, y1, x2, y2 = map(float, re.findall(r"[\d.]+", path)[-4:])
    assert 0.3 < x2 - x1 < 1.2 and y1 == y2
