"""How a network goes on in the page: against torch, and where a hand sends it."""

from __future__ import annotations

import base64
import re

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.files.browser import browser_pack
from handwriting_lib.widgets import BiasByHalves, Branches, Futures, WindowHandle
from handwriting_lib.widgets.continuing import GOES_ON

from .conftest import wait

UNIT = hw.Normalisation((0.1, 0.02), (0.5, 0.3))


def model(network):
    """A model with weights away from zero."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weights in network.parameters():
            weights.copy_(0.4 * torch.randn(weights.shape))
    return hw.Model(network.eval(), UNIT)


@pytest.fixture(scope="module")
def free():
    sizes = {"hidden": 18, "layers": 2, "mixtures": 3}
    return model(hw.PredictionNetwork(hw.PredictionConfig(**sizes)))


@pytest.fixture(scope="module")
def reader():
    sizes = {"hidden": 12, "layers": 2, "mixtures": 2, "components": 2}
    return model(hw.SynthesisNetwork(hw.SynthesisConfig(**sizes)))


def test_what_cannot_go_on_is_refused(free, reader, scribble):
    with pytest.raises(ValueError, match="bias must be from 0 to 3, not 4"):
        Branches(free, bias=4)
    with pytest.raises(ValueError, match="seed must not be negative, not -1"):
        Branches(free, seed=-1)
    with pytest.raises(hw.ModelError, match="model is a synthesis network: choose"):
        Branches(reader)
    with pytest.raises(hw.ModelError, match="network, which cannot write in a Studio"):
        Futures(scribble(), free)
    with pytest.raises(ValueError, match="at must be from 0 to 39, not 40"):
        Futures(scribble(), reader, at=40)
    with pytest.raises(ValueError, match="bias must be from 0 to 3, not -1"):
        WindowHandle("ab", reader, bias=-1)
    with pytest.raises(ValueError, match="bias must be from 0 to 5, not 6"):
        BiasByHalves("ab", reader, bias=6)
    with pytest.raises(ValueError, match="something to write"):
        WindowHandle(" ", reader)
    feedforward = hw.Model(hw.FeedforwardPredictor(hw.FeedforwardConfig(hidden=4)))
    with pytest.raises(hw.ModelError, match="synthesis, prediction or character"):
        browser_pack(feedforward)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["free", "reader"])
@torch.no_grad()
def test_it_goes_on_as_in_torch(run_module, request, kind, scribble):
    """Outputs along a line, and the mean of many draws of the point after it."""
    one, sample = request.getfixturevalue(kind), scribble("ab c")
    network, norm = one.network, one.normalisation
    points = hw.offsets_to_positions(sample.ink)
    found = run_module(
        GOES_ON,
        """
        const engine = new Engine(loadPack(decode(given.pack)));
        const indices = given.text ? encode(given.text) : [];
        const known = [...readPoints(engine, given.points, indices)];
        const [x, y, end] = given.points.at(-1);
        const draws = [];
        for (let seed = 0; seed < 1000; seed++) {
          const random = randomNumbers(seed);
          const start = {x, y, known: known.at(-1)};
          const {value} = goOn(engine, start, {indices, bias: 0, random}).next();
          draws.push([value.x - x, value.y - y, value.end]);
        }
        return {outputs: known.map(({output}) => Array.from(output)), draws};
        """,
        pack=base64.b64encode(browser_pack(one, "float32")).decode(),
        points=points.tolist(),
        text=sample.text if network.reads_text else "",
    )
    read = norm.apply(sample.ink)[None]
    read[:, 0, :2] = 0
    texts = hw.pad_texts([sample.text]) if network.reads_text else ()
    result = network(read, *texts)
    assert torch.allclose(torch.tensor(found["outputs"]), result.output[0], atol=1e-4)
    last = result.mixture()[0, -1]
    mean = (last.log_pi.exp()[:, None] * last.mu).sum(0) * torch.tensor(norm.std)
    mean = torch.cat([mean + torch.tensor(norm.mean), last.end_logit.sigmoid()[None]])
    draws = torch.tensor(found["draws"])
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - mean).abs() < 4 * error).all()


def rows(page):
    return page.run("return roots[0].querySelectorAll('option').length")


def points(page):
    return int(page.slider("Point").get_attribute("max")) + 1


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_thirty_futures_of_any_point(show, reader, scribble, narrow):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(Futures(scribble("a b"), reader, at=3), **how)

    def told():
        wait(lambda: "After " in page.find("output").text)
        return page.find("output").text

    seen = {told()}
    pattern = r"After 20 points the 30 futures are [\d.]+ letter bodies apart"
    assert re.match(pattern, seen.pop())
    for label in ("Point", "Points ahead", "bias b"):
        before = page.pictures()
        page.slider(label).send_keys(Keys.END)
        seen.add(told())
        assert page.pictures() != before, label
    page.press("Thirty others")
    seen.add(told())
    assert len(seen) == 4
    ActionChains(page.driver).move_to_element(page.find("canvas")).click().perform()
    assert page.slider("Point").get_attribute("value") != "39"


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_a_line_branches_where_it_is_pressed(show, free, narrow):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(Branches(free), reduced=True, **how)
    wait(lambda: points(page) == 101)  # at once, because less motion was asked for
    before = page.pictures()
    ActionChains(page.driver).move_to_element(page.find("canvas")).click().perform()
    wait(lambda: rows(page) == 2)
    assert page.pictures() != before
    page.slider("Points ahead").send_keys(Keys.HOME)
    page.slider("Point").send_keys(Keys.HOME)
    page.press("Branch here")
    wait(lambda: rows(page) == 3 and points(page) == 21)
    for _ in range(4):
        page.press("Branch here")
    assert rows(page) == 6
    assert "5 branches are enough" in page.find("[role=status]").text
    for _ in range(6):
        page.press("Remove")
    assert rows(page) == 1
    assert "no branch to remove" in page.find("[role=status]").text
    before = page.pictures()
    page.press("Start over")
    wait(lambda: points(page) == 21)
    assert page.pictures() != before


@pytest.mark.slow
def test_a_pack_that_is_not_there_is_told(show, free):
    html = Branches(free).html.replace('{"pack":{"data":"', '{"pack":{"data":"AAAA')
    page = show(html)
    wait(lambda: "could not be loaded" in page.find("[role=status]").text)


@pytest.mark.slow
@torch.no_grad()
def test_the_window_goes_where_it_is_sent(run_module, reader):
    """The places kappa: as in torch at speed 1, then held, moved and sent."""
    found = run_module(
        ["reading", *GOES_ON, "steering"],
        """
        const engine = new Engine(loadPack(decode(given.pack)));
        const line = new Steered(engine, "abcdef", {bias: 0, seed: 1});
        const read = [];
        for (let t = 0; t < 10; t++) { read.push(line.point); line.step(1); }
        const kappa = () => Array.from(line.state.kappa);
        const answer = {read, free: kappa()};
        line.step(0);
        answer.held = kappa();
        line.move(2);
        answer.moved = kappa();
        answer.at = line.at;
        line.goTo(1);
        answer.sent = kappa();
        return answer;
        """,
        pack=base64.b64encode(browser_pack(reader, "float32")).decode(),
    )
    texts = hw.pad_texts(["abcdef"])
    points = torch.tensor(found["read"])[None]
    kappa = reader.network(points, *texts).state.kappa[0]
    assert torch.allclose(torch.tensor(found["free"]), kappa, rtol=1e-4)
    assert found["held"] == found["free"]
    moved = torch.tensor(found["moved"]) - torch.tensor(found["held"])
    assert torch.allclose(moved, torch.full_like(moved, 2.0), atol=1e-4)
    sent = (torch.tensor(found["moved"]) + 1 - found["at"]).clamp_min(0)
    assert torch.allclose(torch.tensor(found["sent"]), sent, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_the_window_is_taken_by_hand(show, reader, narrow):
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(WindowHandle("ab cd", reader), reduced=True, **how)

    def told():
        wait(lambda: "points; " in page.find("output").text)
        return int(page.find("output").text.split()[0])

    assert told() == 1
    page.press("Hold")
    hold = page.find("button[aria-pressed=true]")
    assert hold.text == "Hold"
    for words in ("Ten points", "Back", "Skip"):
        before = told(), page.pictures()
        page.press(words)
        assert told() == before[0] + 10 and page.pictures() != before[1]
    page.find(".character:nth-child(2)").click()
    assert told() == 41
    hold.send_keys(Keys.SPACE)
    assert hold.get_attribute("aria-pressed") == "false"
    page.slider("speed of κ").send_keys(Keys.END)
    page.press("Play")  # to the end at once, because less motion was asked for
    assert "the end" in page.find("output").text or told() == 1200
    page.press("Start over")
    assert told() == 1


@pytest.mark.slow
def test_halves_are_sharpened_as_in_the_library(run_module):
    """Weights and deviations of a row come from the densities that it mixes."""
    torch.manual_seed(0)
    output = torch.randn(6 * 4 + 1)
    rows = [{}, {"pi": True}, {"sigma": True}, {"pi": True, "sigma": True}]
    rows.append({"temperature": True})
    found = run_module(
        [*GOES_ON, "sharpening"],
        """
        const output = Float32Array.from(given.output);
        return given.rows.map(row => sharpened(output, 1.5, row))
          .map(({pi, logX, logY, end}) => [...pi, ...logX, ...logY, end]);
        """,
        output=output.tolist(),
        rows=rows,
    )
    plain, whole = (hw.StrokeMixture.from_output(output, b) for b in (0.0, 1.5))
    cold = hw.StrokeMixture.from_output(output, temperature=1 / 2.5)
    mixed = [(plain, plain), (whole, plain), (plain, whole), (whole, whole)]
    for numbers, (pi, sigma) in zip(found, [*mixed, (cold, cold)], strict=True):
        end = (cold if pi is cold else plain).end_logit.sigmoid()
        there = [pi.log_pi.exp(), *sigma.log_sigma.T, end[None]]
        assert torch.allclose(torch.tensor(numbers), torch.cat(there), atol=1e-5)


@pytest.mark.slow
def test_five_rows_are_written_anew(show, reader):
    from selenium.webdriver.common.keys import Keys

    page = show(BiasByHalves("ab c", reader), width=360, dark=True, over_http=True)

    def told():
        titles = "return [...roots[0].querySelectorAll('.title')].map(a => a.innerText)"
        wait(lambda: all("points)" in one for one in page.run(titles)))
        return page.run(titles)

    assert len(told()) == 5 and page.drawn()
    seen = [page.pictures()]
    page.press("Another seed")
    wait(lambda: page.pictures()[-1] != seen[0][-1])
    page.slider("sharpen by b").send_keys(Keys.HOME)
    told()
    words = page.slider("sharpen by b").get_attribute("aria-valuetext")
    assert words == "0.0, T = 1.00"
    # without sharpening all rows are the same line
    wait(lambda: len(set(page.pictures())) == 1)
