"""Sheets in millimetres: SVG for plotters, PDF, variable width, several sheets, video.

What is drawn is read back by other programs: vpype, svgpathtools, pdfium, Chromium,
ffmpeg.
"""

import dataclasses
import io
import math
import re
import subprocess
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pypdfium2
import pytest
import torch
import vpype
from PIL import Image
from svgpathtools import svg2paths2

from handwriting_lib.drawing import animation
from handwriting_lib.drawing.animation import to_gif_bytes, write_gif, write_video
from handwriting_lib.drawing.layout import lay_out, lay_out_sheets
from handwriting_lib.drawing.picture import save
from handwriting_lib.drawing.png import to_pdf, to_png
from handwriting_lib.drawing.sheet import (
    Sheet,
    outline,
    parse_length,
    parse_paper,
    stroke_widths,
    vary_width,
)
from handwriting_lib.drawing.svg import to_svg

PIXELS = 96 / 25.4  # to the millimetre, in vpype and in browsers


def sheet(lines=3, seed=1, width=210.0, height=297.0, **options):
    """Loops of a pen in lines down the page, some of them dots."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(lines):
        strokes = []
        for j in range(6):
            t = torch.linspace(0, 9, 40, dtype=torch.float64)
            wave = torch.stack([2 * t + 3 * t.sin(), 4 * t.cos()], 1)
            shift = torch.tensor([20 + 27.0 * j, 25 + 14.0 * i], dtype=torch.float64)
            noise = torch.rand(40, 2, generator=generator, dtype=torch.float64)
            strokes.append(wave + shift + 0.1 * noise)
        strokes.append(torch.tensor([[185.0, 25 + 14.0 * i]], dtype=torch.float64))
        rows.append(strokes)
    rules = [29 + 14.0 * i for i in range(lines)]
    return Sheet(width, height, rows, 0.4, rules, **options)


def page(*sheets):
    """What a page is to `save`: whatever has sheets."""
    return SimpleNamespace(sheets=lambda: list(sheets))


def ink_of(content, box=None):
    """Where a picture is dark."""
    with Image.open(io.BytesIO(content)) as image:
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        return np.asarray(paper.convert("L"), float) < 128


def render(pdf, dpi=96, number=0):
    """A page of a PDF as pdfium draws it."""
    document = pypdfium2.PdfDocument(pdf)
    drawn = document[number].render(scale=dpi / 72).to_pil()
    document.close()
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()


def overlap(one, other):
    """Intersection over union, after one is moved by at most a pixel."""
    rows, columns = (min(a, b) for a, b in zip(one.shape, other.shape, strict=True))
    one, other = one[:rows, :columns], other[:rows, :columns]
    return max(
        (one & moved).sum() / (one | moved).sum()
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
        for moved in [np.roll(other, (y, x), (0, 1))]
    )


# --- plotters ---


@pytest.mark.parametrize("layers", [False, True])
def test_vpype_reads_every_stroke_and_nothing_of_the_paper(tmp_path, layers):
    drawn = sheet()
    save(drawn, tmp_path / "a.svg", layers=layers)
    read = vpype.read_multilayer_svg(str(tmp_path / "a.svg"), 0.01, crop=False)
    assert read.page_size == pytest.approx((210 * PIXELS, 297 * PIXELS))
    strokes = [[len(s) for s in line] for line in drawn.lines]
    found = [[path for path in layer] for layer in read.layers.values()]
    assert list(read.layers) == ([1, 2, 3] if layers else [1])
    assert sum(map(len, found)) == sum(map(len, strokes)) == 21
    # the same strokes in the order of writing, at the places where they were put
    written = [stroke for line in drawn.lines for stroke in line]
    for stroke, path in zip(
        written, (p for layer in found for p in layer), strict=True
    ):
        begin = complex(*stroke[0].tolist()) * PIXELS
        assert abs(path[0] - begin) < 0.01
        if len(stroke) > 1:
            assert len(path) == len(stroke)
            assert abs(path[-1] - complex(*stroke[-1].tolist()) * PIXELS) < 0.01
        else:
            assert 0 < abs(path[-1] - path[0]) < 0.4 * PIXELS


def test_rules_are_a_layer_of_their_own(tmp_path):
    save(sheet(), tmp_path / "a.svg", layers=True, ruled=True)
    read = vpype.read_multilayer_svg(str(tmp_path / "a.svg"), 0.01, crop=False)
    assert [len(read.layers[i]) for i in (1, 2, 3, 4)] == [7, 7, 7, 3]


def test_svgpathtools_reads_it(tmp_path):
    drawn = sheet()
    save(drawn, tmp_path / "a.svg")
    paths, _, about = svg2paths2(str(tmp_path / "a.svg"))
    assert (about["width"], about["height"]) == ("210mm", "297mm")
    assert about["viewBox"] == "0 0 210 297"
    assert [len(path.continuous_subpaths()) for path in paths] == [7, 7, 7]
    lengths = [sum(_length(s) for s in line) + 0.1 for line in drawn.lines]
    assert [path.length() for path in paths] == pytest.approx(lengths, rel=1e-3)


def _length(stroke):
    return float(torch.linalg.vector_norm(stroke.diff(dim=0), dim=1).sum())


def test_lines_of_ink_go_on_paper_with_margins_and_on_as_many_sheets_as_they_need():
    generator = torch.Generator().manual_seed(2)
    ink = torch.rand(60, 3, generator=generator).round(decimals=3) - 0.4
    ink[:, 2] = (torch.arange(60) % 12 == 11).float()
    ink[0, :2] = 0
    sheets = lay_out_sheets([ink] * 40, unit=1.0, paper="a5")
    assert len(sheets) > 1
    assert sum(len(one.lines) for one in sheets) == 40
    for one in sheets:
        assert (one.width, one.height, one.unit) == (148, 210, "mm")
        x, y = torch.cat([s for line in one.lines for s in line]).T
        assert x.min() == pytest.approx(14.8) and x.max() <= 148 - 14.8 + 1e-6
        assert y.min() >= 14.8 - 1e-6 and y.max() <= 210 - 14.8 + 1e-6
        assert len(one.rules) == len(one.lines)
    (wide,) = lay_out_sheets(ink, unit=1.0, width="17cm")
    assert (wide.width, wide.unit) == (170, "mm")
    (pixels,) = lay_out_sheets(ink, unit=1.0, line_width="0.5mm")
    assert pixels.line_width == pytest.approx(0.5 * PIXELS)


# --- width from speed ---


@pytest.mark.parametrize("seed", range(12))
def test_the_outline_covers_what_a_round_pen_covers(seed):
    # an outline made of two offset curves has holes where a turn is sharper than the
    # pen is wide; the reference is the union of all discs on the way
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 14))
    points = generator.normal(size=(count, 2)).cumsum(0) * generator.choice([0.3, 1, 3])
    radius = generator.uniform(0.3, 1.2) * (1 + 0.02 * np.arange(count))
    corners = outline(torch.from_numpy(points), radius).numpy()
    low, high = points.min(0) - 2, points.max(0) + 2
    spots = low + (high - low) * generator.random((3000, 2))
    inside = _winding(corners, spots) != 0
    nearest = np.full(len(spots), math.inf)  # to a disc, in its radii
    for i in range(max(count - 1, 1)):
        j = min(i + 1, count - 1)
        for share in np.linspace(0, 1, 80):
            disc = points[i] + share * (points[j] - points[i])
            r = radius[i] + share * (radius[j] - radius[i])
            nearest = np.minimum(nearest, np.hypot(*(spots - disc).T) / r)
    assert inside[nearest < 0.85].all()
    assert not inside[nearest > 1.15].any()


def _winding(corners, spots):
    """How often a polygon winds about each spot."""
    x, y = spots.T
    winding = np.zeros(len(spots), int)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        winding += (y0 <= y) & (y < y1) & (side > 0)
        winding -= (y1 <= y) & (y < y0) & (side < 0)
    return winding


def test_fast_is_thin_and_slow_is_thick():
    x = torch.cat([torch.arange(20) * 0.1, 2 + torch.arange(20) * 1.0])
    stroke = torch.stack([x, 0 * x + 5], 1).double()
    drawn = Sheet(30, 10, [[stroke]], 0.4)
    ((width,),) = stroke_widths(drawn)
    assert width[:15].min() > 1.2 * 0.4 and width[25:].max() < 0.8 * 0.4
    assert np.all(np.diff(width) <= 1e-9)
    svg = to_svg(drawn, variable_width=True)
    assert 'stroke="none"' in svg and "Z" in svg
    varied = ink_of(to_png(drawn, variable_width=True, resolution=8))
    drawn_width = varied.sum(0) / (8 * PIXELS)
    column = [round(8 * PIXELS * x) for x in (1.0, 15.0)]
    assert drawn_width[column] == pytest.approx(width[[10, 33]], abs=0.05)


def test_variable_width_keeps_dots_and_size(tmp_path):
    drawn = sheet()
    assert vary_width(drawn).filled
    svg = to_svg(drawn, variable_width=True)
    assert svg.count("M") == 21 and 'width="210mm"' in svg
    plain, varied = (ink_of(to_png(drawn, variable_width=v)) for v in (False, True))
    assert plain.shape == varied.shape
    assert 0.5 < (plain & varied).sum() / (plain | varied).sum() < 1


# --- PDF and PNG ---


@pytest.mark.parametrize("look", [{}, {"variable_width": True}, {"ruled": True}])
def test_the_pdf_looks_like_the_png(look):
    drawn = sheet()
    png, pdf = ink_of(to_png(drawn, **look)), ink_of(render(to_pdf(drawn, **look), 192))
    assert png.shape == pytest.approx(pdf.shape, abs=1)
    assert png.sum() > 5000
    assert overlap(png, pdf) > 0.8


@pytest.mark.book
def test_the_pdf_looks_like_the_svg_in_a_browser(tmp_path):
    from browser import open_browser, picture, visit, why_no_browser

    if reason := why_no_browser():
        pytest.skip(reason)
    drawn = sheet()
    with open_browser() as driver:
        for look in ({}, {"variable_width": True}):
            save(drawn, tmp_path / "a.svg", **look)
            (tmp_path / "a.html").write_text(
                '<body style="margin:0"><img src="a.svg" style="display:block">'
            )
            visit(driver, (tmp_path / "a.html").as_uri(), width=900, height=1200)
            svg = ink_of(picture(driver, whole_page=False))[:1122, :793]
            assert svg.sum() > 2000
            assert overlap(svg, ink_of(render(to_pdf(drawn, **look)))) > 0.8


def test_a_pdf_has_vectors_a_page_a_sheet_and_the_size_of_the_paper(tmp_path):
    first, second = sheet(seed=1), sheet(lines=1, seed=2)
    save(page(first, second), tmp_path / "a.pdf", color="navy", ruled=True)
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == to_pdf(page(first, second), color="navy", ruled=True)
    assert b"/Subtype /Image" not in content and b"CreationDate" not in content
    document = pypdfium2.PdfDocument(content)
    assert len(document) == 2
    for i in range(2):
        assert document[i].get_size() == pytest.approx((595.28, 841.89), abs=0.01)
    document.close()
    counts = [ink_of(render(content, number=i)).sum() for i in range(2)]
    assert counts[0] > 2 * counts[1] > 0


def test_a_pdf_of_plain_lines(tmp_path):
    ink = torch.tensor([[0.0, 0.0, 0.0], [3.0, 4.0, 1.0], [1.0, 0.0, 1.0]])
    save(ink, tmp_path / "a.pdf", unit=1.0)
    layout = lay_out(ink, unit=1.0)
    document = pypdfium2.PdfDocument((tmp_path / "a.pdf").read_bytes())
    points = (layout.width * 0.75, layout.height * 0.75)
    assert document[0].get_size() == pytest.approx(points, abs=0.01)
    document.close()
    png = ink_of(to_png(ink, unit=1.0))
    assert overlap(png, ink_of(render((tmp_path / "a.pdf").read_bytes(), 192))) > 0.9


def test_a_png_has_the_dpi_asked_for(tmp_path):
    save(sheet(), tmp_path / "a.png", dpi=150)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1240, 1754)
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.02)


def test_several_sheets_are_numbered_files_of_svg_and_png(tmp_path):
    written = save(page(sheet(), sheet(seed=2)), tmp_path / "a.svg")
    assert [file.name for file in written] == ["a-1.svg", "a-2.svg"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-1.svg", "a-2.svg"]
    assert save(page(sheet()), tmp_path / "b.png", dpi=50) == [tmp_path / "b.png"]
    with pytest.raises(ValueError, match="one sheet, not 2"):
        to_svg(page(sheet(), sheet()))


def test_a_page_takes_another_pen_but_no_other_size(tmp_path):
    save(page(sheet()), tmp_path / "a.svg", line_width="1cm", color="#123456")
    group = ET.parse(tmp_path / "a.svg").getroot()[0]
    assert (group.get("stroke-width"), group.get("stroke")) == ("10", "#123456")
    for options in ({"width": "100mm"}, {"paper": "a4"}, {"unit": 1.0}):
        with pytest.raises(ValueError, match="has its size already"):
            save(page(sheet()), tmp_path / "b.svg", **options)
    with pytest.raises(ValueError, match=r"'0\.5mm'"):
        save(page(sheet()), tmp_path / "b.svg", line_width=0.5)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_rules_and_paper_are_there_only_when_asked_for(tmp_path, ending):
    def colours(**look):
        save(sheet(), tmp_path / f"a.{ending}", **look)
        return (tmp_path / f"a.{ending}").read_bytes()

    plain, ruled, paper = colours(), colours(ruled=True), colours(background="#ffeecc")
    if ending == "svg":
        assert plain.count(b"<path") == 3 and b"<rect" not in plain
        assert ruled.count(b"<path") == 4
        assert paper.count(b"<rect") == 1
        return
    raster = (lambda content: content) if ending == "png" else render
    images = [Image.open(io.BytesIO(raster(c))) for c in (plain, ruled, paper)]
    corners = [image.convert("RGB").getpixel((0, 0)) for image in images]
    assert corners == [(255, 255, 255), (255, 255, 255), (255, 238, 204)]
    edge = [np.asarray(image.convert("L"))[:, 2] for image in images]
    assert [int((column < column[0] - 20).any()) for column in edge] == [0, 1, 0]


def test_an_empty_line_and_an_empty_sheet_are_drawn(tmp_path):
    full = sheet(lines=2)
    gap = dataclasses.replace(full, lines=[full.lines[0], [], full.lines[1]])
    empty = dataclasses.replace(full, lines=[])
    assert to_png(gap) == to_png(full) and to_svg(gap) == to_svg(full)
    for name in ("a.svg", "a.png", "a.pdf"):
        save(empty, tmp_path / name, variable_width=True)
    assert "<path" not in (tmp_path / "a.svg").read_text()
    assert not ink_of((tmp_path / "a.png").read_bytes()).any()
    with pytest.raises(ValueError, match="no ink for a GIF"):
        to_gif_bytes(empty)


# --- sizes that cannot be ---


@pytest.mark.parametrize(
    "length", ["0", "0mm", "-3mm", "nan", "nanmm", "inf", "1e9mm", "6000mm", "", "mm",
               "12px", "1.2.3mm", "one", "1 0mm"],
)  # fmt: skip
def test_lengths_that_cannot_be_are_named(length, tmp_path):
    with pytest.raises(ValueError, match="above 0 and at most 5000 mm") as error:
        parse_length(length, "width")
    assert repr(length) in str(error.value)
    with pytest.raises(ValueError, match=r"line_width must be a length"):
        save(sheet(), tmp_path / "a.svg", line_width=length)
    with pytest.raises(ValueError, match="width must be a length"):
        save(torch.zeros(2, 3), tmp_path / "a.svg", width=length)
    assert not list(tmp_path.iterdir())


def test_lengths_and_papers():
    assert parse_length("6.5in", "x") == pytest.approx(165.1)
    assert parse_length(" 17 CM ", "x") == 170
    assert parse_length("3", "x") == 3
    assert parse_paper("Letter") == (215.9, 279.4)
    assert parse_paper("4inx6in") == pytest.approx((101.6, 152.4))
    for wrong in ("a9", "x", "10", "10x", "10x20x30", "0x10", "nanxnan", "1e9x10"):
        with pytest.raises(ValueError, match="paper"):
            parse_paper(wrong)


def test_pictures_too_large_to_hold_are_told_before_memory_is_asked_for(tmp_path):
    huge = sheet(width=5000.0, height=5000.0)
    with pytest.raises(ValueError, match="268 million"):
        save(huge, tmp_path / "a.png")
    with pytest.raises(ValueError, match="16 million"):
        write_gif(huge, tmp_path / "a.gif")
    for dpi in (0, -1, math.nan, math.inf, 1e9):
        with pytest.raises(ValueError, match="dpi must be between"):
            save(sheet(), tmp_path / "a.png", dpi=dpi)
        with pytest.raises(ValueError, match="dpi must be between"):
            write_gif(sheet(), tmp_path / "a.gif", dpi=dpi)
    with pytest.raises(ValueError, match="more than the paper"):
        lay_out_sheets(torch.ones(9, 3), width="300mm", paper="a4")
    with pytest.raises(ValueError, match="'170mm'"):
        lay_out_sheets(torch.ones(9, 3), width=300, paper="a4")


# --- moving ---


def moving(gif):
    """The frames of a GIF in colour, and how long each lasts."""
    frames, times = [], []
    with Image.open(io.BytesIO(gif)) as image:
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB"), float))
            times.append(image.info["duration"])
    return frames, times


def test_a_page_is_written_sheet_by_sheet():
    first, second = sheet(lines=2), sheet(lines=1, seed=2)
    gif = to_gif_bytes(
        page(first, second), seconds=3, fps=10, hold=0.7, ruled=True, dpi=48
    )
    frames, times = moving(gif)
    assert len(frames) == 30
    assert times == [100] * 19 + [800] + [100] * 9 + [800]
    for number, drawn in ((19, first), (29, second)):
        still = Image.open(io.BytesIO(to_png(drawn, resolution=0.5, ruled=True)))
        still = np.asarray(still.convert("L"), float)
        shown = frames[number].mean(-1)[: len(still), : still.shape[1]]
        assert np.abs(shown - still).mean() < 3
    # the second sheet begins empty, but for its rule and the first points
    assert (frames[20].mean(-1) < 128).sum() < (frames[19].mean(-1) < 128).sum() / 5
    assert (frames[0] == [184, 196, 214]).all(-1).sum() > 300  # a rule, from the start


def test_frames_hold_only_what_changes():
    gif = to_gif_bytes(sheet(lines=2), pen="red", dpi=40)
    frames, _ = moving(gif)
    assert len(frames) > 150
    assert len(gif) < 250 * len(frames)  # a whole frame has 150 000 pixels
    # the pen's dot leaves nothing behind
    red = [(np.abs(f - [255, 0, 0]).sum(-1) < 9).sum() for f in frames[::25]]
    assert max(red) < 12
    assert (np.abs(frames[-1] - [255, 0, 0]).sum(-1) < 200).sum() == 0


def test_a_gif_may_vary_the_width():
    drawn = dataclasses.replace(sheet(lines=2, height=60.0), line_width=2.0)
    still = ink_of(to_png(drawn, variable_width=True, resolution=1))
    differ = []
    for variable_width in (False, True):
        gif = to_gif_bytes(drawn, seconds=0.1, variable_width=variable_width)
        shown = moving(gif)[0][-1].mean(-1) < 128
        differ.append((shown[: len(still), : still.shape[1]] ^ still).mean())
    assert differ[1] < 0.5 * differ[0]


def test_a_video_shows_the_page_at_the_end(tmp_path):
    drawn = sheet(lines=1, height=51.0)
    write_video(drawn, tmp_path / "a.mp4", seconds=1, fps=10, hold=0.5, color="navy")
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    program = animation.find_ffmpeg()
    shown = subprocess.run(
        [program, "-loglevel", "error", "-i", tmp_path / "a.mp4", "-f", "rawvideo",
         "-pix_fmt", "gray", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    frames = np.frombuffer(shown, np.uint8).reshape(-1, 194, 794)
    assert len(frames) == 15
    still = ink_of(to_png(drawn, resolution=1))
    dark = [(frame[: len(still), : still.shape[1]] < 128) for frame in frames]
    assert overlap(dark[-1], still) > 0.7
    assert (
        0 < dark[0].sum() < 0.3 * dark[9].sum() and (dark[14] == dark[9]).mean() > 0.99
    )


def test_without_ffmpeg_or_with_a_file_it_cannot_write_one_sentence(
    tmp_path, monkeypatch
):
    with pytest.raises(ValueError, match=r"a\.nonsense: ffmpeg could not write it: ."):
        write_video(sheet(lines=1), tmp_path / "a.nonsense", seconds=0.1)
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_video(sheet(lines=1), tmp_path / "none" / "a.mp4")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(animation.shutil, "which", lambda _: None)
    assert re.search("ffmpeg", animation.find_ffmpeg())  # the package's own
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"handwriting-lib\[video\]"):
        write_video(sheet(lines=1), tmp_path / "a.mp4")
