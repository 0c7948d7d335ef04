"""The figure of attention: what it shows, and what a hand changes."""

from __future__ import annotations

import time

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.networks import build_network
from handwriting_lib.widgets.studio import FOLDER, write_pack

from .characters import make_decoder, prefer
from .conftest import HOSTILE

pytestmark = pytest.mark.book

TEXT = "a pen looks back"


@pytest.fixture(scope="module")
def view():
    return hw.AttentionView(TEXT, make_decoder(), caption=HOSTILE)


def opened(show, widget, **options):
    """The page, when the network has read the text."""
    page = show(widget, **options)
    end = time.monotonic() + 60
    while not page.run("return roots[0].querySelectorAll('.letter').length"):
        assert time.monotonic() < end, page.find("[role=status]").text
        time.sleep(0.05)
    return page


def shown(page):
    """The chosen character, what each head looks at most, and what may follow."""
    return page.run(
        """
        const all = name => [...roots[0].querySelectorAll(name)];
        return {
          at: Number(roots[0].querySelector('.letters').ariaValueNow) - 1,
          now: all('.letter').findIndex(one => one.classList.contains('now')),
          most: all('.tile').map(one => one.querySelector('.share').textContent),
          later: all('.tile').map(one => one.querySelectorAll('.later').length),
          next: all('.column').map(one => one.textContent),
          text: all('.letter').map(one => one.textContent).join(''),
        };
        """
    )


def choose(page, at):
    """Point at a character with the mouse."""
    from selenium.webdriver.common.action_chains import ActionChains

    letter = page.run("return roots[0].querySelectorAll('.letter')[arguments[0]]", at)
    ActionChains(page.driver).move_to_element(letter).perform()


def type_in(page, text):
    page.run(
        "const one = roots[0].querySelector('input');"
        "one.value = arguments[0]; one.dispatchEvent(new Event('input'));",
        text,
    )


@pytest.mark.parametrize("over_http", [True, False])
@pytest.mark.parametrize("width, dark", [(1200, False), (360, True)])
def test_it_shows_where_each_head_looks(show, view, over_http, width, dark):
    model = make_decoder()
    page = opened(show, view, width=width, dark=dark, over_http=over_http)
    tokens = model.carried["vocabulary"].encode(TEXT)[None]
    maps = model.network.attention_maps(tokens)[0].flatten(0, 1)
    for at in (len(TEXT) - 1, 5):
        if at == 5:
            choose(page, at)
        found = shown(page)
        assert found["at"] == found["now"] == at
        assert found["later"] == [len(TEXT) - 1 - at] * 6
        for head, said in enumerate(found["most"]):
            letter, share = said.split()
            weights = maps[head, at]
            assert abs(float(share) - float(weights.max())) < 0.03, (at, head)
            near = weights > weights.max() - 0.03
            signs = [c.replace(" ", "\u2423") for c in TEXT]
            assert letter in [c for c, close in zip(signs, near, strict=True) if close]
    theme = page.run("return roots[0].querySelector('.widget').dataset.theme")
    assert theme == ("dark" if dark else "light")


def test_the_temperature_is_that_of_the_softmax(show, view):
    model = make_decoder()
    page = opened(show, view)
    tokens = model.carried["vocabulary"].encode(TEXT)[None]
    with torch.inference_mode():
        logits = model.network(tokens).logits[0, -1]
    most = {}
    for temperature in (0.5, 2.0):
        page.slide("Temperature", temperature)
        p = (logits / temperature).softmax(-1)
        most[temperature] = float(shown(page)["next"][0][:4])
        assert abs(most[temperature] - float(p.max())) < 0.03
    assert most[0.5] > most[2.0]


def test_it_is_reached_by_keyboard(show, view):
    from selenium.webdriver.common.keys import Keys

    page = opened(show, view)
    page.run("roots[0].querySelector('button').focus();")
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    strip = page.run("return roots[0].activeElement")
    assert strip.get_attribute("role") == "slider"
    for key, at in [
        (Keys.ARROW_LEFT, len(TEXT) - 2),
        (Keys.HOME, 0),
        (Keys.ARROW_LEFT, 0),
        (Keys.ARROW_RIGHT, 1),
        (Keys.END, len(TEXT) - 1),
    ]:
        strip.send_keys(key)
        assert shown(page)["at"] == at
    strip.send_keys(Keys.HOME)
    words = f"\u201ca\u201d, character 1 of {len(TEXT)}"
    assert strip.get_attribute("aria-valuetext") == words
    assert "looks most at \u201ca\u201d" in page.find(".tile").get_attribute(
        "aria-label"
    )


def test_it_reads_what_is_typed(show, view):
    page = opened(show, view)
    type_in(page, "it\u2019s \u00fcber")
    assert shown(page)["text"] == "it's uber"
    assert "Written instead" in page.find("[role=status]").text
    before = shown(page)
    type_in(page, "\u6f22")
    assert "has never read \u201c\u6f22\u201d" in page.find("[role=status]").text
    assert page.find("input[aria-invalid]") is not None
    type_in(page, "")
    assert "Type something" in page.find("[role=status]").text
    assert shown(page) == before
    type_in(page, "x" * 60)
    assert shown(page)["text"] == "x" * 40  # the block


@pytest.mark.parametrize("reduced", [False, True])
def test_it_goes_on_until_there_is_no_room(show, reduced):
    page = opened(show, hw.AttentionView("a", prefer(make_decoder(), b=20)))
    if reduced:
        features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
        page.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": features}
        )
    press = page.find("button")
    press.click()
    if reduced:
        assert shown(page)["text"] == "a" + 39 * "b"
        assert "room for 40 characters" in page.find("[role=status]").text
        return
    assert press.text == "Stop"
    end = time.monotonic() + 60
    while len(shown(page)["text"]) < 4:
        assert time.monotonic() < end
    press.click()
    text = shown(page)["text"]
    assert text.startswith("abb") and len(text) < 40
    assert page.find("input").get_property("value") == text
    assert press.text == "Go on"
    time.sleep(0.4)
    assert shown(page)["text"] == text


def test_a_site_has_the_network_once(driver, tmp_path, monkeypatch):
    from browser import console, serve, visit

    from handwriting_lib.files import models

    monkeypatch.setattr(models, "PRETRAINED", tmp_path)
    hw.save_model(make_decoder(), tmp_path / "letters.safetensors")
    monkeypatch.setenv(FOLDER, "packs")
    view = hw.AttentionView(TEXT, "letters")
    assert '"name":"letters-int8","folder":"packs"' in view.html
    (tmp_path / "page.html").write_text(
        f"<!doctype html><meta charset=utf-8><link rel=icon href='data:,'>{view.html}",
        encoding="utf-8",
    )
    said = "return document.querySelector('[data-live]').shadowRoot.{}"
    with serve(tmp_path) as site:
        visit(driver, f"{site}/page.html")
        text = said.format("querySelector('[role=status]').textContent")
        end = time.monotonic() + 60
        while "could not be loaded: packs/letters-int8.bin: 404" not in (
            driver.execute_script(text)
        ):
            assert time.monotonic() < end
        (tmp_path / "packs").mkdir()
        write_pack("letters-int8", tmp_path / "packs")
        for address in (f"{site}/page.html", (tmp_path / "page.html").as_uri()):
            visit(driver, address)
            count = said.format("querySelectorAll('.letter').length")
            while driver.execute_script(count) != len(TEXT):
                assert time.monotonic() < end
    console(driver)


def test_the_still_picture_shows_where_scripts_do_not_run(show, view):
    page = show(view, scripts=False)
    still = page.driver.find_element("css selector", "[data-still] svg")
    assert still.size["width"] > 50
    assert len(still.find_elements("css selector", "rect")) > 20


def test_bad_arguments():
    model = make_decoder(characters="abc \n")
    with pytest.raises(ValueError, match="1 to 40 characters, not 0"):
        hw.AttentionView("", model)
    with pytest.raises(ValueError, match="1 to 40 characters, not 41"):
        hw.AttentionView("a" * 41, model)
    with pytest.raises(ValueError, match=r"never read: 'x'"):
        hw.AttentionView("x", model)
    with pytest.raises(
        ValueError, match=r"temperature must be from 0\.1 to 2\.0, not 0"
    ):
        hw.AttentionView("a", model, temperature=0)
    with pytest.raises(hw.ModelError, match="unipen-400 is a synthesis model, which"):
        hw.AttentionView("a", hw.load_pretrained())
    lstm = build_network("character-lstm", {"symbols": 5, "width": 8})
    lstm = hw.Model(lstm, vocabulary=hw.Vocabulary.of("abc \n"), name="mine")
    with pytest.raises(hw.ModelError, match="mine is a character-lstm network, which"):
        hw.AttentionView("a", lstm)
    with pytest.raises(hw.ModelError, match="letters is a character network, which"):
        hw.Studio(model)
    with pytest.raises(hw.ModelError, match="which cannot compose"):
        hw.Studio(composer=hw.load_pretrained())
