"""The Player: what it packs, what it shows, and how a hand moves it."""

from __future__ import annotations

import base64
import json
import re
import time

import numpy as np
import pytest
import torch

from handwriting_lib import (
    Line,
    PredictionConfig,
    PredictionNetwork,
    StrokeMixture,
    load_corpus,
    load_pretrained,
    scale_by_writer,
    write,
)
from handwriting_lib.data.transforms import Normalisation
from handwriting_lib.files.models import Model
from handwriting_lib.networks.cursive import CursiveConfig, CursiveDecoder
from handwriting_lib.widgets import Player
from handwriting_lib.widgets import player as module
from handwriting_lib.widgets.host import module_source
from handwriting_lib.widgets.player import pack_mixture, read

from .conftest import HOSTILE


def data_of(widget) -> dict:
    """The block of JSON in a widget."""
    block = re.search(r'application/json">(.*?)</script>', widget.html, re.DOTALL)
    return json.loads(block[1])


@pytest.fixture(scope="session")
def sample():
    corpus = load_corpus("synthetic", samples=1, seed=3, writers=1, texts=["by hand"])
    return scale_by_writer(corpus.samples)[0]


@pytest.fixture(scope="session")
def cursive():
    return load_pretrained("cursive-144")


@pytest.fixture(scope="session")
def joined(cursive):
    """Two words by a cursive decoder."""
    torch.set_num_threads(1)
    return write("so it", cursive, style="any", bias=1.25, seed=2)[0]


def unpacked(packed) -> np.ndarray:
    """An array that was packed as uint8."""
    values = np.frombuffer(base64.b64decode(packed["data"]), np.uint8)
    return packed["offset"] + packed["scale"] * values.reshape(packed["shape"])


# What it packs -----------------------------------------------------------------------


def test_a_line_read_again_gives_what_it_was_written_with(line, model):
    output, phi = read(model, line.ink, line.text)
    assert torch.allclose(phi, line.phi, atol=2e-3)
    assert torch.allclose(output, line.output, atol=2e-2)


def test_parts_that_are_not_known_are_left_out(line, model, sample):
    bare = {"ink", "text", "rate", "at"}
    read_too = {"phi", "mixture", "end"}
    assert set(data_of(Player(line.ink))) == bare
    assert set(data_of(Player(sample))) == bare | {"truth"}
    assert set(data_of(Player(line.replace(output=None)))) == bare | {"phi"}
    assert set(data_of(Player(line, model))) == bare | read_too
    assert set(data_of(Player(sample, model))) == bare | read_too | {"truth"}
    free = Model(PredictionNetwork(PredictionConfig(hidden=8)))
    assert set(data_of(Player(line.ink, free))) == bare | {"mixture", "end"}


def test_600_points_stay_small(model):
    text = "a line of six hundred points or more"
    line = write(text, model, style="any", bias=0.5, keep_output=True)[0]
    line = line.replace(
        ink=line.ink[:600], phi=line.phi[:600], output=line.output[:600]
    )
    assert len(line.ink) == 600
    html = Player(line, model).html
    assert len(html) - len(module_source("reading", "phi", "player")) < 100_000


def test_what_cannot_be_shown_is_refused(line, model):
    with pytest.raises(ValueError, match=r"Player\(line, model\)"):
        Player(line)
    with pytest.raises(ValueError, match="at must be a point of the line, 0 to"):
        Player(line.ink, at=len(line.ink))
    with pytest.raises(ValueError, match="Zürich"):
        Player(line.replace(text="Zürich", output=None), model)
    with pytest.raises(ValueError, match="shape"):
        Player(torch.zeros(3, 2))
    drawer = load_pretrained("glyph-176")
    with pytest.raises(ValueError, match="glyph model, which reads no ink"):
        Player(line.ink, drawer)


def test_the_network_is_left_as_it_was(line, model):
    model.network.train()
    Player(line.replace(output=None), model)
    assert model.network.training
    model.network.eval()


def test_components_left_out_are_low(line, model):
    mixture = StrokeMixture.from_output(line.output)
    std = torch.tensor(model.normalisation.std)
    sigma = (mixture.log_sigma.exp() * std).clamp_min(0.02)
    height = mixture.log_pi.exp() / sigma.prod(-1)
    count = (height >= 0.005 * height.amax(1, keepdim=True)).sum(1)
    packed = pack_mixture(mixture, model.normalisation)["mixture"]
    assert packed["log_pi"]["shape"] == [int(count.sum())] and count.min() > 0


def test_every_head_of_a_cursive_decoder_is_there_the_aligned_one_first(
    joined, cursive
):
    cursive.network.train()
    data = data_of(Player(joined, cursive))
    assert cursive.network.training
    cursive.network.eval()
    aligned, mean, *single = unpacked(data["phi"])
    assert np.abs(aligned - joined.phi.numpy()).max() < 0.003
    assert len(single) == 16
    assert np.abs(np.mean(single, 0) - mean).max() < 0.005
    layer, head = cursive.about["aligned_head"]
    at = data["heads"].index(f"layer {layer + 1}, head {head + 1}") - 2
    assert np.array_equal(single[at], aligned)
    assert data["heads"][:2] == ["head aligned with the letters", "mean of all heads"]
    assert not data.keys() & {"mixture", "end"}


def test_heads_read_the_word_that_a_sample_is_in(sample, cursive):
    data = data_of(Player(sample, cursive))
    phi = unpacked(data["phi"])
    assert phi.shape == (18, len(sample.ink), len("by hand") + 1)
    second = sample.character_of_point > 2
    assert phi[:, second, :3].max() < 0.01 and phi[:, ~second, 3:].max() < 0.01
    unknown = sample.replace(character_of_point=None)
    assert "phi" not in data_of(Player(unknown, cursive))


def test_heads_of_ink_by_another_network(line, cursive):
    data = data_of(Player(line, cursive))
    assert len(data["heads"]) == 18 and "mixture" not in data
    with pytest.raises(ValueError, match="Zürich"):
        Player(line.replace(text="Zürich"), cursive)


def test_more_words_than_the_network_knows_keep_their_own_phi(cursive):
    ink = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]] + 5 * [[2.0, 0.0, 1.0]])
    phi = torch.eye(12)[[0, 0, 2, 4, 6, 8, 10]]
    data = data_of(Player(Line("a b c d e f", 0, ink, True, "", 1, 1, phi), cursive))
    assert "heads" not in data
    assert np.abs(unpacked(data["phi"]) - phi.numpy()).max() < 1e-6


def test_large_maps_are_the_aligned_head_and_the_mean(joined, cursive, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    data = data_of(Player(joined, cursive))
    assert data["phi"]["shape"] == [2, *joined.phi.shape]
    assert len(data["heads"]) == 2


def test_a_network_without_an_aligned_head_shows_the_mean(joined):
    small = CursiveDecoder(CursiveConfig(width=8, layers=1, heads=2))
    data = data_of(Player(joined, Model(small)))
    assert data["heads"] == [
        "mean of all heads",
        "layer 1, head 1",
        "layer 1, head 2",
    ]


# In the browser ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_the_density_drawn_is_that_of_the_mixture(run_module, line, model, bias):
    """Against `log_prob`, in letter-body heights; only the packing lies between."""
    unit = Normalisation((0.3, -0.1), (0.5, 0.8))
    mixture = StrokeMixture.from_output(line.output, bias)
    steps = [5, 40, len(line.ink) - 2]
    drawn = run_module(
        ["reading", "phi", "player"],
        """
        const mixture = readMixture(given.packed);
        const field = {left: -1, right: 1.8, bottom: -1.4, top: 1.4};
        return given.steps.map(t => Array.from(densityGrid(mixture, t, field, 70, 56)));
        """,
        packed=pack_mixture(mixture, unit)["mixture"],
        steps=steps,
    )
    x = -1 + 2.8 * (torch.arange(70) + 0.5) / 70
    y = 1.4 - 2.8 * (torch.arange(56) + 0.5) / 56
    offsets = torch.stack(
        [x.expand(56, 70), y[:, None].expand(56, 70), torch.zeros(56, 70)], -1
    )
    least = torch.tensor([0.02, 0.02]).log() - torch.tensor(unit.std).log()
    for t, grid in zip(steps, drawn, strict=True):
        at_t = mixture[t]
        at_t = at_t.replace(log_sigma=torch.maximum(at_t.log_sigma, least))
        log_p = torch.logsumexp(
            at_t.log_pi + at_t.component_log_prob(unit.apply(offsets)[..., :2]), -1
        )
        there = torch.exp(0.5 * (log_p - log_p.max())).numpy()
        here = np.array(grid).reshape(56, 70)
        assert np.abs(here - there).max() < 0.08
        assert np.abs(here - there).mean() < 0.005


@pytest.mark.slow
def test_the_peak_of_the_density_is_always_in_its_panel(run_module, line, model):
    """After a lift the next letter may begin far away."""
    reaches = run_module(
        ["reading", "phi", "player"],
        """
        const mixture = readMixture(given.mixture);
        const size = {width: 300, height: 300};
        return Array.from({length: mixture.first.length - 1}, (_, t) => {
          const [x, y] = peakOf(mixture, t);
          const reach = reachFor(size, [[x, y]]);
          const {field} = aroundPen(size, {x: [0], y: [0]}, 0, reach);
          const columns = 60;
          const grid = densityGrid(mixture, t, field, columns, columns);
          const at = grid.indexOf(1);
          const seen = x > field.left && x < field.right && Math.abs(y) < field.top;
          return {reach, seen, edge: [at % columns, Math.floor(at / columns)]};
        });
        """,
        mixture=data_of(Player(line, model))["mixture"],
    )
    assert len(reaches) == len(line.ink)
    assert all(one["seen"] for one in reaches)
    # the largest value that is drawn is not cut off at the edge either
    assert all(0 < place < 59 for one in reaches for place in one["edge"])
    assert {one["reach"] for one in reaches} > {1.4}  # most are near, some are far


@pytest.mark.slow
@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_it_shows_everything(show, line, model, over_http, width, dark):
    page = show(Player(line, model), width=width, dark=dark, over_http=over_http)
    assert page.drawn()
    assert len(page.pictures()) == 4
    assert page.run("return document.querySelector('[data-still]')") is None
    theme = page.run("return roots[0].querySelector('.widget').dataset.theme")
    assert theme == ("dark" if dark else "light")


@pytest.mark.slow
def test_parts_that_are_not_known_have_no_place(show, line, sample, model):
    free = Model(PredictionNetwork(PredictionConfig(hidden=8)))
    kinds = [
        (Player(line.ink), 1, 0),
        (Player(sample), 1, 7),
        (Player(line.replace(output=None)), 2, 7),
        (Player(line.ink, free), 3, 0),
        (Player(sample, model), 4, 8),
    ]
    page = show(*(kind[0] for kind in kinds))
    for k, (_, pictures, characters) in enumerate(kinds):
        assert page.drawn(k)
        assert len(page.pictures(k)) == pictures, k
        marks = page.run(
            "return roots[arguments[0]].querySelectorAll('.character').length", k
        )
        assert marks == characters, k


@pytest.mark.slow
def test_the_scrubber_moves_every_part_and_marks_the_character(show, line, model):
    page = show(Player(line, model))
    before = page.pictures()
    attended = line.phi.argmax(1).tolist()
    for t in (3, len(line.ink) // 2, len(line.ink) - 1):
        page.slide("Point", t)
        after = page.pictures()
        assert all(a != b for a, b in zip(before, after, strict=True))
        before = after
        marked = page.run(
            "return [...roots[0].querySelectorAll('.character')]"
            ".map((one, u) => one.classList.contains('now') ? u : -1)"
            ".filter(u => u >= 0)"
        )
        assert marked == [attended[t]]
    said = page.slider("Point").get_attribute("aria-valuetext")
    assert said.startswith(f"{len(line.ink)} of {len(line.ink)}, at ")
    chance = round(100 * float(torch.sigmoid(line.output[-1, 0])))
    words = page.run("return roots[0].querySelector('.said').textContent")
    assert abs(int(re.search(r"(\d+)\s%", words)[1]) - chance) <= 1


@pytest.mark.slow
def test_play_advances_pauses_and_ends(show, line):
    page = show(Player(line.ink, at=0))
    button = page.find("button.play")
    where = page.slider("Point")
    time.sleep(0.2)
    assert where.get_attribute("value") == "0"  # nothing moves unasked
    button.click()
    time.sleep(0.4)
    assert button.text == "Pause"
    button.click()
    paused = int(where.get_attribute("value"))
    assert 0 < paused < len(line.ink) - 1
    time.sleep(0.2)
    assert int(where.get_attribute("value")) == paused
    assert button.text == "Play"
    page.run("arguments[0].value = '4'", page.find("select"))
    button.click()
    deadline = time.monotonic() + 10
    while button.text == "Pause" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert int(where.get_attribute("value")) == len(line.ink) - 1
    button.click()  # from the start again
    time.sleep(0.15)
    assert int(where.get_attribute("value")) < len(line.ink) - 1


@pytest.mark.slow
def test_reduced_motion_jumps(show, line):
    page = show(Player(line.ink, at=0), reduced=True)
    page.find("button.play").click()
    assert int(page.slider("Point").get_attribute("value")) == len(line.ink) - 1
    assert page.find("button.play").text == "Play"


@pytest.mark.slow
def test_the_keyboard_reaches_and_moves_everything(show, line, model):
    from selenium.webdriver.common.keys import Keys

    page = show(Player(line, model, at=10))
    reached = []
    active = "return roots[0].activeElement"
    for _ in range(3):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.run(active).tag_name)
    assert reached == ["button", "select", "input"]
    page.run(active).send_keys(Keys.ARROW_RIGHT)
    assert page.slider("Point").get_attribute("value") == "11"
    page.run(active).send_keys(Keys.END)
    assert page.slider("Point").get_attribute("value") == str(len(line.ink) - 1)
    page.find("button.play").send_keys(Keys.SPACE)
    time.sleep(0.2)
    assert int(page.slider("Point").get_attribute("value")) < len(line.ink) - 1
    page.find("button.play").send_keys(Keys.SPACE)


@pytest.mark.slow
def test_a_press_on_a_picture_seeks(show, line, model):
    page = show(Player(line, model, at=0))
    phi = page.run("return roots[0].querySelectorAll('canvas')[1]")
    page.run(
        """
        const box = arguments[0].getBoundingClientRect();
        const x = box.left + 26 + 0.5 * (box.width - 26);
        arguments[0].setPointerCapture = () => {};
        arguments[0].dispatchEvent(new PointerEvent('pointerdown',
          {clientX: x, clientY: box.top + 5, buttons: 1, pointerId: 1}));
        """,
        phi,
    )
    value = int(page.slider("Point").get_attribute("value"))
    assert abs(value - len(line.ink) / 2) <= 1


@pytest.mark.slow
def test_pictures_and_controls_have_names(show, line, model):
    page = show(Player(line, model))
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    names = {
        role: [
            node["name"]["value"]
            for node in nodes
            if not node["ignored"] and node["role"]["value"] == role
        ]
        for role in ("image", "slider", "button", "combobox", "figure")
    }
    assert len(names["image"]) == 4 and all(names["image"])
    assert names["slider"] == ["Point"]
    assert names["button"] == ["Play"]
    assert names["combobox"] == ["Speed"]
    assert names["figure"] == [f"{line.text}, replayed"]


@pytest.mark.slow
def test_the_menu_chooses_the_head(show, joined, cursive):
    from selenium.webdriver.common.keys import Keys

    player = Player(joined, cursive)
    data = data_of(player)
    page = show(player, width=360, dark=True)
    menu = page.run("return [...roots[0].querySelectorAll('select')].at(-1)")
    assert menu.accessible_name == "Where it reads"
    for phi, name in list(zip(unpacked(data["phi"]), data["heads"], strict=True))[:4]:
        assert page.run("return arguments[0].selectedOptions[0].text", menu) == name
        marked = page.run(
            "return [...roots[0].querySelectorAll('.character')]"
            ".findIndex(one => one.classList.contains('now'))"
        )
        assert marked == phi[data["at"]].argmax()
        before = page.pictures()
        menu.send_keys(Keys.ARROW_DOWN)
        line, window = page.pictures()
        assert line == before[0] and window != before[1]


@pytest.mark.slow
def test_text_from_outside_is_only_text(show, line):
    hostile = HOSTILE.replace("\u2028", " ")
    phi = torch.zeros(len(line.ink), len(hostile) + 1)
    phi[:, 0] = 1
    page = show(
        Player(line.replace(text=hostile, phi=phi, output=None), caption=HOSTILE)
    )
    shown = page.run(
        "return [...roots[0].querySelectorAll('.character')]"
        ".map(one => one.textContent).join('')"
    )
    assert shown == hostile + "end"
    assert page.run("return roots[0].querySelector('img')") is None
    caption = page.run("return document.querySelector('figcaption').textContent")
    assert caption == HOSTILE
