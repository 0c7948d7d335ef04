"""GIFs: frames, times, growing ink, and the last frame against the ink itself."""

import io
import itertools
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from handwriting_lib.drawing import animation
from handwriting_lib.drawing.animation import to_gif_bytes, write_gif
from handwriting_lib.drawing.layout import lay_out
from handwriting_lib.drawing.png import to_png


def wave(points=80, strokes=4):
    """A line that moves on with each point, so that no two frames are alike."""
    t = torch.arange(points)
    ink = torch.stack([torch.full((points,), 0.2), 0.5 * torch.cos(t / 3), 0 * t], 1)
    ink[0, :2] = 0
    ink[:, 2] = ((t + 1) % (points // strokes) == 0).float()
    return ink


def frames(gif):
    """The frames as grey arrays, and how long each lasts, in milliseconds."""
    with Image.open(io.BytesIO(gif)) as image:
        pairs = [
            (np.asarray(frame.convert("L"), dtype=float), frame.info["duration"])
            for frame in ImageSequence.Iterator(image)
        ]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def test_frames_times_and_size():
    gif = to_gif_bytes(wave(), seconds=2, fps=20, hold=1.5, width=400)
    pictures, times = frames(gif)
    assert len(pictures) == 40
    assert times == [50] * 39 + [1550]
    assert pictures[0].shape[1] == 400
    with Image.open(io.BytesIO(gif)) as image:
        assert image.info["loop"] == 0


def test_the_ink_only_grows():
    pictures, _ = frames(to_gif_bytes(wave(), seconds=2))
    dark = [255 - picture for picture in pictures]
    totals = [d.sum() for d in dark]
    assert 0 < totals[0] < 0.1 * totals[-1]
    for before, after in itertools.pairwise(dark):
        assert (after >= before).all()
        assert after.sum() > before.sum()


def test_the_last_frame_is_the_picture():
    ink = wave()
    (*_, last), _ = frames(to_gif_bytes(ink, width=500, pen="red"))
    with Image.open(io.BytesIO(to_png(ink, width=500, resolution=1))) as image:
        still = np.asarray(image.convert("L"), dtype=float)
    rows = min(len(last), len(still))
    assert abs(len(last) - len(still)) <= 1
    # pixels at the edge of the pen differ by a shade or two, between two rasterisers
    assert np.abs(last[:rows] - still[:rows]).mean() < 3


def test_a_frame_shows_the_points_so_far_and_no_more():
    ink = wave(40, strokes=1)
    pictures, _ = frames(to_gif_bytes(ink, seconds=1, fps=20, unit=1.0))
    x = lay_out(ink, unit=1.0).lines[0][0][:, 0].numpy()
    for i, picture in enumerate(pictures):
        reached = np.nonzero((picture < 200).any(0))[0].max()
        assert reached == pytest.approx(x[2 * i + 1], abs=2.5)


def test_the_pen_is_a_dot_that_is_gone_at_the_end():
    gif = to_gif_bytes(wave(), seconds=1, pen="#d55e00")
    with Image.open(io.BytesIO(gif)) as image:
        red = [
            (
                np.abs(np.asarray(f.convert("RGB"), float) - [213, 94, 0]).sum(-1) < 9
            ).sum()
            for f in ImageSequence.Iterator(image)
        ]
    assert min(red[:-1]) > 3
    assert red[-1] == 0


def test_colours():
    gif = to_gif_bytes(wave(), color="#0000ff", background="#ffff00", seconds=1)
    with Image.open(io.BytesIO(gif)) as image:
        image.seek(image.n_frames - 1)
        colours = {colour for _, colour in image.convert("RGB").getcolors()}
    assert {(0, 0, 255), (255, 255, 0)} <= colours
    assert len(colours) <= 16


def test_several_lines_are_written_one_after_the_other():
    two, _ = frames(to_gif_bytes([wave(), wave()], seconds=4))
    half = len(two[0]) // 2
    middle = two[len(two) // 2 - 1]
    assert (middle[:half] < 128).any()
    assert not (middle[half + 5 :] < 128).any()
    assert (two[-1][half:] < 128).any()


def test_files_stay_small():
    generator = torch.Generator().manual_seed(1)
    t = torch.arange(600)
    loops = torch.stack([0.07 + 0.3 * torch.sin(t / 2), 0.3 * torch.cos(t / 2)], 1)
    ink = torch.cat([loops + 0.02 * torch.randn(600, 2, generator=generator),
                     (t % 15 == 14).float()[:, None]], 1)  # fmt: skip
    assert len(to_gif_bytes(ink, pen="red")) < 300_000


def test_a_dot_and_a_second_run_and_a_file(tmp_path):
    dot = torch.tensor([[0.0, 0.0, 1.0]])
    pictures, times = frames(to_gif_bytes(dot, hold=0.5))
    assert len(pictures) == 1
    assert times == [520]
    assert pictures[0].min() < 60
    write_gif(wave(), tmp_path / "a.gif", seconds=1)
    assert (tmp_path / "a.gif").read_bytes() == to_gif_bytes(wave(), seconds=1)
    assert os.listdir(tmp_path) == ["a.gif"]


def test_no_frame_is_too_short_for_viewers():
    _, times = frames(to_gif_bytes(wave(300), seconds=1.01, fps=50, hold=0))
    assert min(times) >= 20
    assert sum(times) == 1010


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps"),
        ({"fps": 60}, "at most 50"),
        ({"seconds": 0}, "seconds"),
        ({"hold": -1}, "hold"),
        ({"width": -3}, "width"),
        ({"color": "no colour"}, "no colour"),
    ],
)
def test_what_cannot_be_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        to_gif_bytes(wave(), **options)


def test_without_pillow_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install handwriting-lib\[gif\]"):
        to_gif_bytes(wave())


def test_a_long_animation_is_written_faster(monkeypatch):
    monkeypatch.setattr(animation, "MAX_SECONDS", 2.0)
    _, times = frames(to_gif_bytes(wave(300), hold=0))
    assert sum(times) == 2000  # 60 points a second would take five seconds


def test_a_side_that_is_too_long_is_told():
    with pytest.raises(ValueError, match="at most 65535 pixels a side"):
        to_gif_bytes(wave(), width=70_000)
