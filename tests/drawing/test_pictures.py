"""Ink as SVG and PNG, checked against the positions and the decoded pixels."""

import io
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image

from handwriting_lib.drawing.layout import lay_out
from handwriting_lib.drawing.picture import save
from handwriting_lib.drawing.png import to_png
from handwriting_lib.drawing.svg import to_svg

SVG = "{http://www.w3.org/2000/svg}"


def scribble(points=60, seed=1, size=0.3):
    generator = torch.Generator().manual_seed(seed)
    ink = size * torch.randn(points, 3, generator=generator)
    ink[:, 0] += 0.2
    ink[:, 2] = (torch.arange(points) % 13 == 12).float()
    ink[0, :2] = 0
    ink[-1, 2] = 1
    return ink


def lines_of(svg):
    """The strokes of each path: lists of arrays (n, 2)."""
    lines = []
    for path in ET.fromstring(svg).iter(SVG + "path"):
        runs = path.get("d").split("M")[1:]
        numbers = [re.findall(r"-?\d+(?:\.\d+)?", run) for run in runs]
        lines.append([np.array(n, dtype=float).reshape(-1, 2) for n in numbers])
    return lines


def pixels(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGBA"), dtype=float)


def test_the_coordinates_are_the_positions_turned_over():
    ink = scribble()
    (strokes,) = lines_of(to_svg(ink, unit=1.0))
    ends = ink[:, 2].bool().numpy()
    assert [len(s) for s in strokes] == [13, 13, 13, 13, 8]
    assert len(strokes) == ends.sum()
    drawn = np.concatenate(strokes)
    expected = ink[:, :2].double().numpy().cumsum(0) * [20, -20]
    difference = drawn - expected
    assert np.abs(difference - difference[0]).max() < 0.011
    view = ET.fromstring(to_svg(ink, unit=1.0)).get("viewBox").split()
    assert drawn.min(0) == pytest.approx([10, 10], abs=0.01)
    size = np.array(view[2:], dtype=float)
    assert size - drawn.max(0) == pytest.approx([10, 10], abs=0.02)


def test_the_width_asked_for_is_the_width():
    svg = ET.fromstring(to_svg([scribble(), scribble(seed=2)], width=640))
    assert svg.get("width") == "640"
    assert svg.get("viewBox").startswith("0 0 640 ")


def test_raw_units_do_not_change_the_picture():
    ink = scribble()
    large = ink * torch.tensor([512.0, 512.0, 1.0])
    assert to_svg(ink) == to_svg(large)


def test_text_is_escaped_and_the_svg_stays_xml():
    nasty = "<img src=x onerror=alert(1)> & \"'</title><script>\x00\x1f\ud800"
    svg = to_svg(scribble(), title=nasty, color='red" onload="x', background="<b>&")
    root = ET.fromstring(svg.encode())
    assert root.find(SVG + "title").text == nasty[:-3]
    assert [e.tag for e in root.iter() if e.tag[len(SVG) :] in ("img", "script")] == []
    assert "onload" not in root.find(SVG + "g").attrib
    assert root.find(SVG + "g").get("stroke") == 'red" onload="x'
    assert root.find(SVG + "rect").get("fill") == "<b>&"


def test_no_background_and_the_color_of_the_text_unless_asked():
    root = ET.fromstring(to_svg(scribble()))
    assert root.find(SVG + "rect") is None
    assert root.find(SVG + "title") is None
    assert root.find(SVG + "g").get("stroke") == "currentColor"


def test_lines_do_not_overlap_and_start_at_the_left():
    tall = scribble(200, seed=3, size=1.5)
    inks = [scribble(), tall, scribble(seed=4), tall]
    lines = [np.concatenate(strokes) for strokes in lines_of(to_svg(inks))]
    for above, below in itertools.pairwise(lines):
        assert above[:, 1].max() < below[:, 1].min()
    assert np.ptp([line[:, 0].min() for line in lines]) < 0.011


def test_ordinary_lines_have_even_baselines():
    ink = scribble()
    lines = lay_out([ink] * 3, unit=float(np.ptp(ink[:, 1].numpy().cumsum()))).lines
    first = [strokes[0][0, 1].item() for strokes in lines]
    assert np.diff(first) == pytest.approx([60, 60])


def test_a_dot_is_a_short_segment_with_round_caps():
    dots = torch.tensor([[0.0, 0.0, 1.0], [5.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    svg = to_svg(dots, unit=1.0)
    (strokes,) = lines_of(svg)
    assert [len(s) for s in strokes] == [2, 2, 2]
    for start, end in strokes:  # a quarter of the width of the pen
        assert end - start == pytest.approx([0.6, 0.0], abs=0.02)
    assert ET.fromstring(svg).find(SVG + "g").get("stroke-linecap") == "round"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_png_has_the_size_and_the_ink_of_the_svg(seed):
    dots = torch.tensor([[2.0, 0.5, 1.0], [0.5, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ink = torch.cat([scribble(seed=seed), dots])
    layout = lay_out(ink, unit=1.0)
    image = pixels(to_png(ink, unit=1.0, resolution=3))
    down, across, _ = image.shape
    assert (across, down) == (round(layout.width * 3), round(layout.height * 3))
    for stroke in layout.lines[0]:
        x, y = (3 * stroke.numpy()).astype(int).T
        assert (image[y, x, :3] < 30).all()
    ink_share = (image[..., :3].mean(-1) < 128).mean()
    assert 0.005 < ink_share < 0.5
    assert (image[..., 3] == 255).all()


def test_every_size_is_exact():
    # a size in inches that is rounded down loses a row: 8.07 * 100 < 807
    for width in range(800, 830):
        image = pixels(to_png(scribble(20), width=width, resolution=1))
        assert image.shape[1] == width


def test_a_png_without_background_is_transparent():
    image = pixels(to_png(scribble(), color="red", background=None))
    assert image[0, 0, 3] == 0
    assert image[..., 3].max() == 255
    assert (image[image[..., 3] == 255][:, :3] == [255, 0, 0]).all()


def test_the_settings_of_matplotlib_stay_and_pyplot_is_not_loaded():
    code = (
        "import sys, torch, handwriting_lib as r\n"
        "assert not any(m.startswith('matplotlib') for m in sys.modules)\n"
        "r.to_svg(torch.zeros(1, 3))\n"
        "assert not any(m.startswith('matplotlib') for m in sys.modules)\n"
        "import matplotlib; before = matplotlib.rcParams.copy()\n"
        "r.to_png(torch.zeros(1, 3))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.rcParams.copy() == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_save_chooses_by_the_ending(tmp_path):
    ink = scribble()
    save(ink, tmp_path / "a.svg", title="a & b")
    save([ink, ink], str(tmp_path / "b.PNG"), width=300)
    root = ET.parse(tmp_path / "a.svg").getroot()
    assert root.find(SVG + "title").text == "a & b"
    with Image.open(tmp_path / "b.PNG") as image:
        assert image.width == 600
    to_png(ink, tmp_path / "c.png")
    assert sorted(os.listdir(tmp_path)) == ["a.svg", "b.PNG", "c.png"]


def test_another_ending_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg.*\.svg, \.png or \.pdf"):
        save(scribble(), tmp_path / "a.jpg")
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    save(scribble(), tmp_path / "a.svg")
    before = (tmp_path / "a.svg").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(scribble(seed=2), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.svg"]


@pytest.mark.parametrize(
    ("inks", "options", "message"),
    [
        ([], {}, "no ink"),
        (torch.zeros(0, 3), {}, "no points"),
        (torch.zeros(4, 2), {}, r"shape \(T, 3\)"),
        ([torch.zeros(2, 3), torch.full((2, 3), torch.nan)], {}, "ink 1.*not finite"),
        (torch.zeros(4, 3), {"width": 0}, "width"),
        (torch.zeros(4, 3), {"unit": -1.0}, "unit"),
        (torch.zeros(4, 3), {"line_width": float("inf")}, "line_width"),
    ],
)
def test_what_cannot_be_drawn_is_named(inks, options, message):
    with pytest.raises(ValueError, match=message):
        to_svg(inks, **options)
    with pytest.raises(ValueError, match=message):
        to_png(inks, **options)


def test_a_batch_is_drawn_line_by_line_without_gradients():
    batch = torch.stack([scribble(), scribble(seed=2)]).requires_grad_()
    assert len(lines_of(to_svg(batch))) == 2
