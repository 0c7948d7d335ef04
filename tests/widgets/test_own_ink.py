"""Figures on the reader's own ink: what they compute, and what a hand changes."""

from __future__ import annotations

import json
import math
import re

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.widgets import MemorySlider, ThinningSliders
from handwriting_lib.widgets.own_ink import OWN_INK

from .test_pad import NO_STORAGE, Hand

SLIDERS = {
    "thinning": ("distance d", "angle a"),
    "memory": ("weight w", "Point"),
}
STORED = "handwriting_lib/own_ink/line"
ZIGZAG = [
    [(60 + 80 * k + 10 * i, 60 + 60 * (i % 2)) for i in range(5)] for k in range(4)
]


@pytest.fixture(scope="module")
def raw():
    """A line of 461 points, before thinning."""
    how = {"samples": 4, "seed": 3, "writers": 8, "texts": ["quiz at twelve"]}
    corpus = hw.load_corpus("synthetic", **how)
    return hw.scale_by_writer(corpus.samples)[2]


@pytest.fixture(scope="module")
def figures(raw):
    ink = hw.thin(raw.ink, 0.3, 1.0)[0]
    return {"thinning": ThinningSliders(raw), "memory": MemorySlider(ink)}


def said(page):
    return page.find("output").text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ink: ThinningSliders(ink, 3), "distance must be from 0.05 to 2, not 3"),
        (lambda ink: ThinningSliders(ink, 1, 9), "angle must be from 0.25 to 3, not 9"),
        (lambda ink: MemorySlider(ink, 2), "weight must be from 0.8 to 1.1, not 2"),
        (lambda ink: MemorySlider(ink[:, :2]), "ink"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message, scribble):
    with pytest.raises(ValueError, match=message):
        make(scribble().ink)


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_they_show_and_every_slider_moves_them(show, figures, narrow):
    """By keyboard; once on a wide page, and once on a narrow dark one over HTTP."""
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(*figures.values(), **how)
    for k, (name, labels) in enumerate(SLIDERS.items()):
        for label in labels:
            before = page.pictures(k)
            page.slider(label, k).send_keys(Keys.HOME)
            assert page.pictures(k) != before, (name, label)


@pytest.mark.slow
def test_the_points_that_stay_are_those_of_python(show, raw):
    for angle in (None, 1.0):
        page = show(ThinningSliders(raw, 0.6, angle))
        rows = hw.thin(raw.ink, 0.6, angle)[1]
        assert said(page).startswith(f"{len(rows)} of {len(raw.ink)} points are left")
    page.run("roots[0].querySelector('input[type=checkbox]').click()")
    assert said(page).startswith(f"{len(hw.thin(raw.ink, 0.6)[1])} of ")
    assert not page.slider("angle a").is_enabled()


@pytest.mark.slow
def test_what_is_left_and_its_derivative_are_those_of_autograd(show, run_module, raw):
    """The unit of the chapter over the points, and the derivative of its echo."""
    ink = hw.thin(raw.ink, 0.3, 1.0)[0]
    n = len(ink) - 1
    w = torch.tensor(0.95, dtype=torch.double, requires_grad=True)
    left = w**n
    left.backward()
    page = show(MemorySlider(ink, 0.95))
    numbers = re.findall(r"(\d) · 10⁻(\S+?)[, ]", said(page))
    superscripts = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    found = [
        float(f"{digit}e-{power.translate(superscripts).rstrip('.')}")
        for digit, power in numbers
    ]
    assert found == [float(f"{left.item():.0e}"), float(f"{w.grad.item():.0e}")]
    h = 0.0
    for dy in ink[1:, 1] / hw.letter_body_height(ink):
        h = 0.95 * h + float(dy)
    there = float(re.search(r"h = (\S+);", said(page))[1].replace("\u2212", "-"))
    assert math.isclose(there, h, abs_tol=0.02)
    modules = [*OWN_INK, "memory"]
    halves = run_module(modules, "return [halfOf(0.932, 390), halfOf(1, 390)]")
    assert halves == [10, 195]  # what chapter 3 says


@pytest.mark.slow
@pytest.mark.parametrize("name", SLIDERS)
def test_a_hand_may_write_its_own_line(show, figures, name):
    page = show(figures[name])
    page.driver.execute_script("localStorage.clear()")
    given = page.pictures()[-1], said(page)
    hand = Hand(page, None)
    hand.press("Write my own line")
    assert said(page) == given[1]  # until there is ink
    for stroke in ZIGZAG:
        hand.draw(stroke)
    own = said(page)
    assert own != given[1]
    hand.press("Undo")
    assert said(page) != own
    hand.press("Clear")
    assert said(page) == given[1]
    hand.press("Undo", "Back to the given line")
    assert (page.pictures()[-1], said(page)) == given
    stored = json.loads(page.driver.execute_script(f"return localStorage['{STORED}']"))
    assert len(stored["strokes"]) == 3
    page = show(figures[name])  # it is there in the next figure
    Hand(page, None).press("Take my line")
    assert said(page) not in (given[1], own)
    page.driver.execute_script("localStorage.clear()")


@pytest.mark.slow
@pytest.mark.parametrize("content", ["3", '{"strokes": [[["x", 1]]], "frame": null}'])
def test_what_another_script_stored_is_left_alone(show, figures, content):
    page = show(figures["thinning"])
    page.driver.execute_script(f"localStorage['{STORED}'] = arguments[0]", content)
    page = show(figures["thinning"])
    Hand(page, None).press("Write my own line")
    page.driver.execute_script("localStorage.clear()")


@pytest.mark.slow
def test_without_storage_it_says_so(show, figures):
    page = show(NO_STORAGE, figures["thinning"])
    hand = Hand(page, None)
    hand.press("Write my own line")
    hand.draw(ZIGZAG[0])
    assert "does not keep the line" in hand.said
