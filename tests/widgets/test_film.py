"""The training film: what it refuses, what it shows, and how it is moved."""

from __future__ import annotations

import pytest
import torch

from handwriting_lib import Line
from handwriting_lib.widgets import TrainingFilm

from .conftest import HOSTILE, wait

TEXT = "a b"
# How many pixels at the edge of the first canvas have ink.
EDGE = """
const one = roots[0].querySelector('canvas');
const {data, width, height} = one.getContext('2d')
  .getImageData(0, 0, one.width, one.height);
let edge = 0;
for (let i = 3; i < data.length; i += 4) {
  const [x, y] = [(i >> 2) % width, Math.floor((i >> 2) / width)];
  if (data[i] && (!x || !y || x === width - 1 || y === height - 1)) edge++;
}
return edge;
"""
UPDATES, LOSSES = [0, 30, 1000], [3.4, 0.5, -1.25]


def make(length: int, reads: list[int], problem: str = "", text: str = TEXT) -> Line:
    """A zigzag of so many points, at each of which one character has all the weight."""
    dy = torch.tensor([1.0, -1.0]).repeat(length)[:length]
    ink = torch.stack([torch.full((length,), 0.3), dy, torch.zeros(length)], 1)
    ink[-1, 2] = 1
    at = torch.tensor(reads).repeat_interleave(-(-length // len(reads)))[:length]
    phi = torch.nn.functional.one_hot(at, len(text) + 1).float()
    return Line(text, 0, ink, not problem, problem, 1, 1, phi)


@pytest.fixture
def lines():
    return [
        make(40, [0], "ended before the text did"),
        make(30, [0, 2, 1], "went back from 'b' to ' '"),
        make(20, [0, 1, 2, 3]),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lines": [make(9, [0])]}, "at least two lines, not 1"),
        ({"updates": [0, 1]}, "3 lines need as many updates, not 2"),
        ({"losses": [1.0]}, "3 lines need as many losses, not 1"),
        ({"losses": [1.0, 2.0, float("inf")]}, "each loss must be a finite number"),
        ({"updates": [0, 9, 9]}, r"the updates must rise, not be \[0, 9, 9\]"),
        ({"at": 3}, "at must be from -3 to 2, not 3"),
        (
            {"lines": [make(9, [0]), make(9, [0]), make(9, [0], text="c")]},
            "of one text, not 'a b' and 'c'",
        ),
        (
            {"lines": 3 * [make(9, [0]).replace(phi=torch.ones(9, 3))]},
            r"phi at update 0 must have the shape \(9, 4\), .* not \(9, 3\)",
        ),
    ],
)
def test_what_is_no_film_is_refused(lines, changes, message):
    given = {"lines": lines, "updates": UPDATES, "losses": LOSSES, **changes}
    with pytest.raises(ValueError, match=message):
        TrainingFilm(**given)


def test_the_still_picture_has_every_line_at_a_size_that_fits(lines):
    wide = make(2000, [0])
    still = TrainingFilm([*lines, wide], [*UPDATES, 2000]).html.partition("</svg>")[0]
    assert still.count("<path") == 4
    assert float(still.partition('width="')[2].partition('"')[0]) < 450
    assert "from 0 to 2,000 updates" in still


@pytest.mark.book
@pytest.mark.parametrize("narrow", [False, True])
def test_the_slider_shows_each_checkpoint(show, lines, narrow):
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    film = TrainingFilm(lines, UPDATES, LOSSES, at=-1, caption=HOSTILE)
    page = show(film, **how)
    slider = page.slider("updates")
    said = page.find("output")
    height = page.run("return roots[0].querySelector('.widget').offsetHeight")
    shown = {}
    for key, words, value, points in [
        (
            None,
            "Loss \u22121.25 nats per point. It reads a ␣ b end. Complete.",
            "1,000",
            20,
        ),
        (
            Keys.HOME,
            "Loss 3.40 nats per point. It reads a. "
            "Not complete: ended before the text did.",
            "0",
            40,
        ),
        (
            Keys.ARROW_RIGHT,
            "Loss 0.50 nats per point. It reads a b ␣. "
            "Not complete: went back from 'b' to ' '.",
            "30",
            30,
        ),
    ]:
        if key:
            slider.send_keys(key)
        assert said.text == words
        assert slider.get_attribute("aria-valuetext") == value
        ink = page.run("return roots[0].querySelector('canvas').ariaLabel")
        assert ink == f"“a b”, written after {value} updates: {points} points"
        assert page.drawn()
        shown[value] = tuple(page.pictures())
    assert len(set(shown.values())) == 3
    if not narrow:  # nothing moves
        now = page.run("return roots[0].querySelector('.widget').offsetHeight")
        assert now == height
    slider.send_keys(Keys.END)
    assert tuple(page.pictures()) == shown["1,000"]


@pytest.mark.book
@pytest.mark.parametrize("reduced", [False, True])
def test_it_plays_to_the_last_checkpoint(show, lines, reduced):
    page = show(TrainingFilm(lines, UPDATES), reduced=reduced)
    assert page.find("output").text.startswith("It reads a.")  # no loss is known
    page.press("Play")
    if not reduced:
        wait(lambda: page.find("button").text == "Play")
    assert page.slider("updates").get_attribute("value") == "2"
    assert page.find("output").text.endswith("Complete.")


@pytest.mark.book
def test_the_ink_of_every_checkpoint_fits_its_panel(show):
    """However high or wide: nothing is drawn at the edge."""
    high = make(9, [0])
    high.ink[:, :2] *= 60
    page = show(TrainingFilm([high, make(600, [0])], [0, 1]), width=360)
    for at in (0, 1):
        page.slide("updates", at)
        page.settle()
        assert page.run(EDGE) == 0
    assert page.drawn()
