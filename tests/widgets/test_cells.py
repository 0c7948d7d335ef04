"""Cells that are switched off: what the page says against torch, and by keyboard."""

from __future__ import annotations

import base64
import re

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.files.browser import browser_pack
from handwriting_lib.widgets import CellsOff
from handwriting_lib.widgets.cells import _chosen, losses_without
from handwriting_lib.widgets.continuing import GOES_ON
from handwriting_lib.widgets.own_ink import OWN_INK, _ink_of

from .conftest import HOSTILE, wait
from .test_pad import Hand

ZIGZAG = [(60 + 20 * i, 60 + 60 * (i % 2)) for i in range(9)]


def make_free():
    """A small network that predicts, with weights away from zero."""
    torch.manual_seed(3)
    config = hw.PredictionConfig(hidden=12, layers=2, mixtures=3)
    network = hw.PredictionNetwork(config).eval().requires_grad_(False)
    for weights in network.parameters():
        weights.copy_(0.4 * torch.randn(weights.shape))
    return hw.Model(network, hw.Normalisation((0.1, 0.02), (0.5, 0.3)))


@pytest.fixture(scope="module")
def free():
    return make_free()


def number(words):
    return float(words.replace("\u2212", "-"))


def costs(page):
    """What the buttons say that each cell costs, once all of them say it."""
    spans = "[...roots[0].querySelectorAll('button.cell span:last-child')]"
    read = f"return {spans}.map(one => one.textContent)"
    wait(lambda: not any("…" in one for one in page.run(read)))
    return [number(re.match(r"off: (\S+) nats", one)[1]) for one in page.run(read)]


def said(page):
    cells = "roots[0].querySelector('.cells')"
    return page.run(f"return {cells}.previousElementSibling.textContent")


def test_what_cannot_be_shown_is_refused(free, scribble):
    with pytest.raises(ValueError, match="cells must be from 4 to 12, not 3"):
        CellsOff(scribble(), free, cells=3)
    with pytest.raises(ValueError, match="points must be from 2 to 20000, not 1"):
        CellsOff(torch.tensor([[0.0, 0.0, 1.0]]), free)
    synthesis = hw.Model(hw.SynthesisNetwork(hw.SynthesisConfig(hidden=4)))
    with pytest.raises(hw.ModelError, match="model is a synthesis network: choose"):
        CellsOff(scribble(), synthesis)


@torch.no_grad()
def test_a_cell_that_is_off_is_one_whose_weights_are_zero(free, scribble):
    """To hold h at 0 is to cut every connection that leads from the cell."""
    ink, hidden = scribble().ink, free.network.config.hidden
    off = torch.zeros(3, 2, hidden, dtype=torch.bool)
    off[1, 0, 5] = off[2, 1, 7] = True
    for choice, losses in zip(off, losses_without(free, ink, off), strict=True):
        cut = make_free().network
        for k, cells in enumerate(choice):
            cut.layers[k].weight_hh[:, cells] = 0
            if k == 0:
                cut.layers[1].weight_ih[:, 3:][:, cells] = 0
            cut.output.weight[:, k * hidden :][:, :hidden][:, cells] = 0
        points = free.normalisation.apply(ink)[None]
        points[:, 0, :2] = 0
        expected = -cut(points).mixture()[0, :-1].log_prob(points[0, 1:])
        expected += torch.tensor(free.normalisation.std).log().sum()
        torch.testing.assert_close(losses, expected, atol=1e-4, rtol=1e-4)


def test_cells_are_chosen_by_what_their_absence_costs(free, scribble):
    ink, hidden = scribble().ink, free.network.config.hidden
    cells = _chosen(free, ink, 6)
    each = torch.eye(2 * hidden, dtype=torch.bool).unflatten(1, (2, hidden))
    losses = losses_without(free, ink, each).mean(1)
    whole = losses_without(free, ink, each[:1] & False).mean()
    cost = {(k // hidden, k % hidden): float(v) for k, v in enumerate(losses - whole)}
    found = [cost.pop(tuple(one)) for one in cells]
    assert found[:3] == sorted(found[:3], reverse=True)
    assert found[2] >= max(cost.values())
    assert max(map(abs, found[3:])) <= min(map(abs, cost.values()))


@pytest.mark.slow
def test_losses_are_those_of_torch(run_module, free, scribble):
    """At each point, with no cell off, one and several, with weights in float32."""
    ink = scribble().ink
    sets = [[], [[0, 3]], [[1, 4], [0, 2], [1, 9]]]
    found = run_module(
        [*OWN_INK, *(one for one in GOES_ON if one != "points"), "likelihood", "cells"],
        """
        const engine = new Engine(loadPack(decode(given.pack)));
        return given.sets.map(off => {
          const reading = lossesOf(engine, given.points, off);
          for (;;) {
            const {value, done} = reading.next();
            if (done) return value.losses;
          }
        });
        """,
        pack=base64.b64encode(browser_pack(free, "float32")).decode(),
        points=hw.offsets_to_positions(ink).tolist(),
        sets=sets,
    )
    off = torch.zeros(3, 2, free.network.config.hidden, dtype=torch.bool)
    for k, cells in enumerate(sets):
        for layer, cell in cells:
            off[k, layer, cell] = True
    losses = losses_without(free, ink, off)
    torch.testing.assert_close(torch.tensor(found), losses, atol=2e-3, rtol=1e-3)
    assert (losses[0] - losses[1]).abs().max() > 0.05  # what is off is missed


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_a_cell_is_switched_off_by_keyboard(show, free, scribble, narrow):
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(CellsOff(scribble(), free, cells=6, caption=HOSTILE), **how)
    shown = costs(page)
    assert len(shown) == 6
    assert said(page).startswith("All cells are on: this line costs ")
    one = page.find("button.cell")
    assert one.get_attribute("aria-pressed") == "false"
    assert re.match(r"Cell \d+ of layer [12]", one.accessible_name)
    before = page.pictures()[1]
    one.send_keys(Keys.SPACE)
    assert one.get_attribute("aria-pressed") == "true"
    wait(lambda: "off: the line costs" in said(page))
    assert page.pictures()[1] != before
    base, lost = (number(v) for v in re.findall(r"(\S+) \((\S+)\)", said(page))[0])
    assert lost == shown[0]
    ink, none = _ink_of(scribble())[0], torch.zeros(1, 2, 12, dtype=torch.bool)
    whole = float(losses_without(free, ink, none).mean())
    assert base == pytest.approx(whole, abs=0.05)  # the page's weights are of 8 bits
    page.press("Switch all on")
    assert one.get_attribute("aria-pressed") == "false"
    assert said(page).startswith("All cells are on")
    assert page.pictures()[1] == before


@pytest.mark.slow
def test_a_hand_may_write_its_own_line(show, free, scribble):
    page = show(CellsOff(scribble(), free, cells=4), reduced=True)
    page.driver.execute_script("localStorage.clear()")
    given = costs(page)
    hand = Hand(page, None)
    hand.press("Write my own line")
    hand.draw(ZIGZAG)
    assert costs(page) != given
    hand.press("Back to the given line")
    assert costs(page) == given
    page.driver.execute_script("localStorage.clear()")
