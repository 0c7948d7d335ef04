"""Films of the window and of the density, frame by frame."""

import base64
import io

import numpy as np
import pytest
import torch

import handwriting_lib as hw

pytest.importorskip("celluloid")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def model():
    return hw.load_pretrained("unipen-256")


@pytest.fixture(scope="module")
def line(model):
    return hw.write("a $ & <b>", model, keep_output=True)[0]


def frames(film):
    with Image.open(io.BytesIO(film.data)) as gif:
        found, times = [], []
        for number in range(gif.n_frames):
            gif.seek(number)
            found.append(np.asarray(gif.convert("RGB"), dtype=float))
            times.append(gif.info["duration"])
    return found, times


def test_ink_grows_and_the_bars_follow_the_window(line):
    film = hw.animate_phi(line, frames=12, fps=8)
    pictures, times = frames(film)
    assert len(pictures) == 12
    assert times[:-1] == [120] * 11 and times[-1] == 1500  # GIFs count hundredths
    black = [(picture.max(-1) < 80).sum() for picture in pictures]
    assert all(np.diff(black) > 0)
    # where the bars stand: blue, by far more than red
    middles = [
        np.flatnonzero((picture[..., 2] - picture[..., 0] > 90).any(0)).mean()
        for picture in pictures
    ]
    assert middles[0] < middles[len(middles) // 2] < middles[-1]
    assert len(film.data) < 600_000


def test_an_outline_grows_point_by_point():
    corner = np.array([[0.1, 0, 1], [0.1, 0.7, 0], [0.6, 0.7, 0], [0.6, 0, 1]])
    film = hw.animate_outline(hw.Outline(0.7, (corner,)), fps=10)
    pictures, times = frames(film)
    assert len(pictures) == 4 and times == [100, 100, 100, 1500]
    black = [(picture.max(-1) < 80).sum() for picture in pictures]
    grey = [(np.abs(picture - 204).max(-1) < 12).sum() for picture in pictures]
    assert black[0] < black[-1] and max(grey[:3]) < 0.2 * grey[3]
    assert len(frames(hw.animate_outline(hw.Outline(0.7, (corner,)), frames=2))[0]) == 2
    with pytest.raises(ValueError, match="nothing to draw"):
        hw.animate_outline(hw.Outline(0.7, ()))


def test_the_density_moves_with_the_pen(line, model):
    film = hw.animate_mixture(line, model.normalisation, frames=10)
    pictures, _ = frames(film)
    assert len(pictures) == 10
    assert len(film.data) < 600_000
    # shading: red, by more than blue, and different from frame to frame
    shades = [picture[..., 0] - picture[..., 2] > 60 for picture in pictures]
    assert all(shade.any() for shade in shades)
    assert (shades[2] != shades[7]).any()


def test_a_film_shows_itself_with_words(line, tmp_path):
    film = hw.animate_phi(line, frames=2)
    data, about = film._repr_mimebundle_()
    assert base64.b64decode(data["image/gif"]) == film.data
    assert line.text in about["image/gif"]["alt"]
    film.save(tmp_path / "film.gif")
    assert (tmp_path / "film.gif").read_bytes() == film.data


def test_no_more_frames_than_points(line):
    short = line.replace(ink=line.ink[:3], phi=line.phi[:3])
    assert len(frames(hw.animate_phi(short, frames=50))[0]) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda line: hw.animate_phi(line.replace(phi=line.phi[:, 1:])), "must have"),
        (lambda line: hw.animate_mixture(line.replace(output=None)), "keep_output"),
        (lambda line: hw.animate_mixture(line.replace(ink=line.ink[1:])), "a row for"),
        (lambda line: hw.animate_phi(line, frames=0), "frames must be 1 to"),
        (lambda line: hw.animate_phi(line, fps=float("nan")), "fps 0.1 to 50"),
        (lambda line: hw.animate_phi(line.replace(ink=torch.zeros(0, 3))), "no points"),
    ],
)
def test_what_cannot_be_shown(line, call, message):
    with pytest.raises(ValueError, match=message):
        call(line)
