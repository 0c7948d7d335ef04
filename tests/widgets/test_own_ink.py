"""Figures on the reader's own ink: what they compute, and what a hand changes."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.widgets import (
    BinSliders,
    GateHandles,
    MemorySlider,
    StepArrows,
    ThinningSliders,
)
from handwriting_lib.widgets.own_ink import OWN_INK, _layers_of

from .conftest import wait
from .test_pad import NO_STORAGE, Hand

SLIDERS = {
    "thinning": ("distance d", "angle a"),
    "bins": ("angles A", "radii R"),
    "memory": ("weight w", "Point"),
    "arrows": ("Point",),
    "gates": (),
}
ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "book" / "data").glob("02_arrows-*.safetensors"))
MODELS = [hw.load_model(file) for file in FILES]
STORED = "handwriting_lib/own_ink/line"
FREE = hw.Model(hw.PredictionNetwork(hw.PredictionConfig(hidden=2)))
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
    return {
        "thinning": ThinningSliders(raw),
        "bins": BinSliders(ink),
        "memory": MemorySlider(ink),
        "arrows": StepArrows(ink, MODELS, at=20),
        "gates": GateHandles(ink),
    }


def said(page):
    """What the figure says of its ink."""
    return page.find("output, table").text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ink: ThinningSliders(ink, 3), "distance must be from 0.05 to 2, not 3"),
        (lambda ink: ThinningSliders(ink, 1, 9), "angle must be from 0.25 to 3, not 9"),
        (
            lambda ink: BinSliders(ink, hw.StrokeTokens(220, 40)),
            "angles must be from 4 to 128, not 220",
        ),
        (lambda ink: MemorySlider(ink, 2), "weight must be from 0.8 to 1.1, not 2"),
        (lambda ink: MemorySlider(ink[:, :2]), "ink"),
        (
            lambda ink: GateHandles(ink, (1, 2, 1)),
            "forget gate must be from 0 to 1, not 2",
        ),
        (lambda ink: StepArrows(ink, []), "one to four models, not 0"),
        (lambda ink: StepArrows(ink, MODELS, 99), "at must be from 0 to 39, not 99"),
        (lambda ink: StepArrows(ink, [FREE]), "model is a prediction network: choose"),
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
def test_bins_are_those_of_python(show, run_module, raw):
    """Tokens and the ink that comes back, with errors made up for and without."""
    ink = hw.thin(raw.ink, 0.3, 1.0)[0]
    ink[0, :2] = 0
    # corners, which lie on the edges between two bins, and more than the longest one
    edges = torch.tensor([[0, 0, 0], [1, 1, 0], [-1, 1, 0], [0, 0, 0], [40, -3, 1.0]])
    for one in (ink, edges):
        points = hw.offsets_to_positions(one.double()).tolist()
        for tokens in (hw.StrokeTokens(4, 4), hw.StrokeTokens()):
            given = {"points": points, "bins": dataclasses.asdict(tokens)}
            found = run_module(
                [*OWN_INK, "bins"],
                "const made = throughBins(given.points, given.bins, true);"
                "return [made.pairs, made.points];",
                **given,
            )
            pairs = tokens.encode(one)
            rows = torch.tensor(found[0])
            assert torch.equal(rows[:, 0], pairs[:, 0])
            assert torch.equal(rows[:, 1], pairs[:, 1] // 2)
            back = hw.offsets_to_positions(tokens.decode(pairs))
            torch.testing.assert_close(torch.tensor(found[1]), back)
    page = show(BinSliders(ink, hw.StrokeTokens(16, 8)))
    assert said(page).startswith("Each point is one of 256 pairs of tokens, 8.0 bits")
    away = re.compile(r"back ([\d.]+) letter bodies")
    mended = float(away.search(said(page))[1])
    assert mended < 0.1
    page.run("roots[0].querySelector('input[type=checkbox]').click()")
    assert float(away.search(said(page))[1]) > 3 * mended  # errors add up


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
@torch.no_grad()
def test_arrows_lead_where_torch_says(show, run_module, raw):
    """The means of what the networks put out, also of a mixture, in letter bodies."""
    torch.manual_seed(1)
    config = hw.FeedforwardConfig(points=3, hidden=8, mixtures=4)
    unit = hw.Normalisation((0.1, 0.0), (0.5, 0.3))
    models = [*MODELS, hw.Model(hw.FeedforwardPredictor(config), unit)]
    ink = hw.thin(raw.ink, 0.3, 1.0)[0][:60]
    ink[-1, 2] = 1
    points = hw.offsets_to_positions(ink).tolist()
    found = run_module(
        [*OWN_INK, "arrows"],
        "return given.nets.map(net => predictor(net)(given.points));",
        nets=[_layers_of(model) for model in models],
        points=points,
    )
    for model, arrows in zip(models, found, strict=True):
        read = model.normalisation.apply(ink)[None]
        read[:, 0, :2] = 0
        mixture = model.network(read).mixture()[0]
        mean = (mixture.log_pi.exp()[..., None] * mixture.mu).sum(-2)
        mean = model.normalisation.invert(torch.cat([mean, mean[:, :1]], 1))[:, :2]
        assert torch.allclose(torch.tensor(arrows), mean, atol=2e-3)
    with pytest.raises(AssertionError):  # and no two networks agree
        torch.testing.assert_close(found[0], found[1], atol=0.05, rtol=0)


@pytest.mark.slow
def test_gates_are_moved_while_a_cell_reads(show, raw):
    """What is let in, kept and shown, against the sums in Python."""
    ink = hw.thin(raw.ink, 0.3, 1.0)[0]
    page = show(GateHandles(ink), reduced=True)
    page.slide("forget gate f", 0.9)
    for _ in range(3):
        page.press("Ten points")
    page.slide("input gate i", 0)
    page.slide("forget gate f", 1)
    page.slide("output gate o", 0.5)
    before = page.pictures()
    page.find("button.play").click()  # to the end at once, for less motion
    assert page.pictures() != before
    up = (ink[:, 1] / hw.letter_body_height(ink)).tanh()
    c = 0.0
    for dy in up[1:30].tolist():
        c = 0.9 * c + dy
    found = re.search(r"c = (\S+) and shows h = (\S+);", said(page))
    numbers = [float(one.replace("\u2212", "-")) for one in found.groups()]
    assert numbers == pytest.approx([c, 0.5 * math.tanh(c)], abs=0.02)
    assert said(page).startswith(f"Point {len(ink)} of {len(ink)}")
    page.press("Start over")
    assert said(page).startswith("Press Play")


@pytest.mark.slow
def test_a_line_that_is_read_asks_for_no_more_frames(show, scribble):
    """A clock that one of its steps pauses does not run on unseen."""
    page = show(GateHandles(scribble("an", 30).ink))
    page.press("Play")
    wait(lambda: said(page).startswith("Point 30 of 30"))
    frames = page.driver.execute_async_script(
        """
        const done = arguments[0], ask = window.requestAnimationFrame;
        let count = 0;
        window.requestAnimationFrame = work => (count += 1, ask(work));
        setTimeout(() => done(count), 300);
        """
    )
    assert frames == 0
    assert page.find("button.play").text == "Play"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["thinning", "bins", "memory", "arrows"])
def test_a_hand_may_write_its_own_line(show, figures, name):
    page = show(figures[name])
    page.driver.execute_script("localStorage.clear()")
    given = page.pictures()[1:], said(page)
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
    assert (page.pictures()[1:], said(page)) == given
    stored = json.loads(page.driver.execute_script(f"return localStorage['{STORED}']"))
    assert len(stored["strokes"]) == 3
    page = show(figures[name])  # it is there in the next figure
    page.press("Take my line")
    assert said(page) not in (given[1], own)
    page.driver.execute_script("localStorage.clear()")


@pytest.mark.slow
@pytest.mark.parametrize("content", ["3", '{"strokes": [[["x", 1]]], "frame": null}'])
def test_what_another_script_stored_is_left_alone(show, figures, content):
    page = show(figures["thinning"])
    page.driver.execute_script(f"localStorage['{STORED}'] = arguments[0]", content)
    page = show(figures["thinning"])
    page.press("Write my own line")
    page.driver.execute_script("localStorage.clear()")


@pytest.mark.slow
def test_without_storage_it_says_so(show, figures):
    page = show(NO_STORAGE, figures["thinning"])
    hand = Hand(page, None)
    hand.press("Write my own line")
    hand.draw(ZIGZAG[0])
    assert "does not keep the line" in hand.said
