"""The Studio: a network in a page, moved by a hand, and its line of Python."""

from __future__ import annotations

import ast
import base64
import dataclasses
import itertools
import json
import re
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.alphabet import fold, missing
from handwriting_lib.widgets import Studio
from handwriting_lib.widgets import studio as studio_module
from handwriting_lib.widgets.studio import FOLDER, MODEL, MODULES, write_pack
from handwriting_lib.writing import styles as styles_module
from tests.seen import SHIFTS

from .conftest import wait
from .typed import TYPED

pytestmark = pytest.mark.book

TEXT = '<img src=x onerror="window.hacked=1">'
HOSTILE = "</script><img src=x onerror='window.hacked=1'>"
SAVED = """
const [words, done] = arguments;
const roots = [...document.querySelectorAll('[data-live]')].map(one => one.shadowRoot);
const make = URL.createObjectURL;
URL.createObjectURL = blob => {
  URL.createObjectURL = make;
  const reader = new FileReader();
  reader.onload = () => done({type: blob.type, url: reader.result});
  reader.readAsDataURL(blob);
  return 'data:,';
};
[...roots[0].querySelectorAll('button')].find(one => one.textContent === words).click();
"""


CORNER = """
const [url, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  done([...context.getImageData(0, 0, 1, 1).data]);
};
image.src = url;
"""


@pytest.fixture(scope="module")
def studio():
    return Studio(text="hi there", seed=3, precision="int8", caption=HOSTILE)


@pytest.fixture(scope="module")
def long_studio():
    """Writes for most of a minute at the speed of a pen, long enough to be stopped."""
    return Studio(text="a pen that goes on and on " * 8, precision="int8")


@pytest.fixture(scope="module")
def hand():
    """A style, from a line that the network wrote."""
    model = hw.load_pretrained(MODEL)
    ink = hw.write("quiet vow of ink", model, seed=2)[0].ink
    sample = hw.Sample(
        "quiet vow of ink", ink, "nobody", "write", units="letter-body heights"
    )
    return hw.make_style(model, sample, "quiet")


def texts_of(code):
    """The texts in the line of Python below the ink."""
    return ast.literal_eval(ast.parse(code).body[0].value.args[0])


def status(page):
    return page.find("[role=status]").text


def finished(page):
    """Wait until the text is written; gives what is said then."""
    return wait(lambda: said if "points" in (said := status(page)) else "")


def at_once(page):
    page.run(
        "const one = [...roots[0].querySelectorAll('select')].at(-1);"
        "one.value = '0'; one.dispatchEvent(new Event('change'));"
    )


def type_in(page, text):
    """Put a text in the field, and press Enter there."""
    page.run(
        "const one = roots[0].querySelector('textarea');"
        "one.value = arguments[0];"
        "const options = {key: 'Enter', bubbles: true};"
        "one.dispatchEvent(new KeyboardEvent('keydown', options));",
        text,
    )


def ink(page):
    """The paper, as a picture."""
    return page.pictures()[0]


@pytest.mark.parametrize("over_http", [True, False])
@pytest.mark.parametrize("width, dark", [(1200, False), (360, True)])
def test_it_writes_without_a_kernel(show, studio, over_http, width, dark):
    page = show(studio, width=width, dark=dark, over_http=over_http)
    at_once(page)
    said = finished(page)
    assert int(said.split()[0]) > 60, said
    assert "incomplete" not in said
    assert page.drawn()


def test_it_writes_as_a_pen_does_and_can_be_stopped(show, long_studio):
    page = show(long_studio)
    first = ink(page)
    wait(lambda: ink(page) != first)
    button = page.find("button.primary")
    assert button.text == "Stop"
    button.click()
    assert (status(page), button.text) == ("Stopped.", "Write")
    page.settle()
    still = ink(page)
    time.sleep(0.2)
    assert ink(page) == still


def test_with_less_motion_it_writes_at_once(show, long_studio):
    page = show(long_studio, reduced=True)
    begin = time.monotonic()
    points = int(finished(page).split()[0])
    assert time.monotonic() - begin < points / 90 / 2  # half of a pen's time


def test_sliders_and_seed_change_the_ink(show, studio):
    page = show(studio)
    at_once(page)
    finished(page)
    seen = [ink(page)]
    for label, value in [("Bias", 2.0), ("Temperature", 0.4)]:
        page.slide(label, value)
        wait(lambda: ink(page) != seen[-1])
        finished(page)
        seen.append(ink(page))
    page.find("button[aria-label='Another seed, another line']").click()
    finished(page)
    seen.append(ink(page))
    assert page.find("input[type=number]").get_property("value") == "4"
    assert len(set(seen)) == 4


def test_the_line_of_python_writes_the_same_ink(show):
    options = {"seed": 5, "bias": 0.5, "precision": "half"}
    page = show(Studio(text='it\'s "here" \\ there, and everywhere', **options))
    at_once(page)
    said = finished(page)
    code = page.find("code").text
    names = {"hw": hw}
    exec(code, names)
    lines = names["lines"]
    assert len(lines) == 2
    assert sum(len(line.ink) for line in lines) == int(said.split()[0])


HANDS = """
const one = [...roots[0].querySelectorAll('select')].find(
  select => select.parentElement.textContent.startsWith('Hand'));
return one && [...one.options].map(option => option.textContent);
"""
LABELLED = "return roots[0].querySelector('select').labels[0].textContent"


def test_the_line_of_python_names_the_hand(show, hand, tmp_path, monkeypatch):
    """One that comes with the model, one in a file, and two that are only here."""
    model = hw.load_pretrained(MODEL)
    monkeypatch.setattr(styles_module, "HANDS", tmp_path)
    (tmp_path / model.name).mkdir()
    hw.save_style(hand, tmp_path / model.name / "calm.safetensors")
    file = tmp_path / "my hand.safetensors"
    hw.save_style(hand, file)
    given = ["calm", file, hand, hand]
    options = {"styles": given, "seed": 4, "precision": "half"}
    page = show(Studio(text="hi there, and everywhere all day", **options))
    at_once(page)
    finished(page)
    assert page.run(HANDS) == ["its own", "calm", "my hand", "quiet", "quiet (2)"]
    assert page.run(LABELLED).startswith("Hand")
    inks = [ink(page)]
    for i, python in enumerate(
        ["'any'", "'calm'", repr(str(file)), "styles[2]", "styles[3]"]
    ):
        choose(page, str(i - 1) if i else "")
        said = finished(page)
        code = page.find("code").text
        names = {"hw": hw, "styles": given}
        exec(code, names)
        assert f"style={python}".replace("'", '"') in code
        assert sum(len(line.ink) for line in names["lines"]) == int(said.split()[0])
        inks.append(ink(page))
    # the first again, and then all of one hand
    assert inks[0] == inks[1] != inks[2] == inks[3] == inks[4] == inks[5]


def choose(page, value):
    """Choose a hand."""
    page.run(
        "const one = roots[0].querySelector('select');"
        "one.value = arguments[0]; one.dispatchEvent(new Event('change'));",
        value,
    )


def test_hands_that_come_with_the_model_are_there_by_themselves(
    show, hand, tmp_path, monkeypatch
):
    monkeypatch.setattr(styles_module, "HANDS", tmp_path)
    model = hw.load_pretrained(MODEL)
    plain = len(Studio(text="hi", precision="int8").html)
    page = show(Studio(text="hi", precision="int8"))
    assert page.run(HANDS) is None  # nothing to choose
    (tmp_path / model.name).mkdir()
    files = [tmp_path / model.name / f"{name}.safetensors" for name in ("zoe", "amy")]
    for file in files:
        hw.save_style(hand, file)
    studio = Studio(text="hi", precision="int8")
    size = sum(file.stat().st_size for file in files)  # a few kilobytes each
    assert len(studio.html) - plain < 1.5 * size  # base64 takes a third more
    page = show(studio)
    assert page.run(HANDS) == ["its own", "amy", "zoe"]
    page = show(Studio(text="hi", precision="int8", styles=[]))
    assert page.run(HANDS) is None


@pytest.mark.parametrize("width, dark", [(1200, False), (360, True)])
def test_a_hand_is_chosen_by_keyboard(show, hand, width, dark):
    from selenium.webdriver.common.keys import Keys

    long = dataclasses.replace(hand, name="a hand with a name that is very long indeed")
    studio = Studio(text="hi there", styles=[hand, long], precision="int8", seed=3)
    page = show(studio, width=width, dark=dark)
    at_once(page)
    finished(page)
    first = ink(page)
    select = page.find("select")
    theme = page.run("return roots[0].querySelector('.widget').dataset.theme")
    assert theme == ("dark" if dark else "light")
    box = select.rect
    assert box["height"] >= 36 and box["x"] + box["width"] <= width
    # from the slider before it, with the keyboard alone
    page.run("roots[0].querySelector('input[aria-label=Temperature]').focus();")
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.run("return roots[0].activeElement.tagName") == "SELECT"
    outline = page.run("return getComputedStyle(roots[0].activeElement).outlineStyle")
    assert outline != "none"
    select.send_keys(Keys.ARROW_DOWN)
    finished(page)
    assert select.get_property("value") == "0"
    second = ink(page)
    assert second != first
    select.send_keys(Keys.ARROW_UP)
    finished(page)
    assert ink(page) == first


def test_it_begins_in_the_hand_that_is_asked_for(show, hand):
    options = {"text": "hi there", "precision": "float32", "seed": 3}
    still = {one: Studio(style=one, styles=[], **options).html for one in (None, hand)}
    page = show(Studio(style=hand, styles=[], **options))
    at_once(page)
    said = finished(page)
    assert page.run(HANDS) == ["its own", "quiet"]
    assert page.find("select").get_property("value") == "0"
    assert ", style=style, " in page.find("code").text
    lines = hw.write("hi there", style=hand, seed=3)
    assert int(said.split()[0]) == len(lines[0].ink)
    drawn = [html.split("<svg")[1].split("</svg>")[0] for html in still.values()]
    assert drawn[0] != drawn[1]


def test_the_name_of_a_hand_is_only_ever_text(show, hand):
    hostile = dataclasses.replace(hand, name=HOSTILE)
    page = show(Studio(text="hi", styles=[hostile], precision="int8"))
    assert page.run(HANDS) == ["its own", HOSTILE]
    choose(page, "0")
    at_once(page)
    finished(page)
    assert page.run("return document.images.length") == 0
    assert page.run("return roots[0].querySelectorAll('img').length") == 0


def test_another_model_is_named(show):
    model = hw.load_pretrained(MODEL)
    with torch.no_grad():
        model.network.output.bias.add_(0.01)
    page = show(Studio(model, "hi", precision="int8"))
    at_once(page)
    finished(page)
    assert page.find("code").text.startswith(
        'lines = hw.write(["hi"], model, style="any", bias='
    )
    model = hw.load_pretrained()
    other = hw.load_pretrained("unipen-184")  # it has no named hands
    for one, words in [
        (model, 'style="birch", bias='),
        (other, f'hw.load_pretrained("{other.name}"), style="any", bias='),
    ]:
        page = show(Studio(one, "hi", precision="int8"))
        at_once(page)
        finished(page)
        assert page.find("code").text.startswith(f'lines = hw.write(["hi"], {words}')


def test_what_the_network_cannot_write_is_said(show, studio):
    page = show(studio)
    type_in(page, "Zürich 漢")
    assert status(page) == "The network has not learned to write “漢”."
    assert page.find("textarea[aria-invalid]") is not None
    type_in(page, "   ")
    assert status(page) == "There is no text to write."
    at_once(page)
    type_in(page, "Zurich")
    finished(page)
    assert page.find("textarea[aria-invalid]") is None


def test_what_is_typed_on_a_phone_is_written_and_what_was_replaced_is_said(show):
    page = show(Studio(text="hi", precision="int8"))
    at_once(page)
    finished(page)
    type_in(page, "It\u2019s  Z\u00fcrich\u200b ")
    said = finished(page)
    assert said.count("Written instead: ' for \u2019, u for \u00fc.") == 1
    assert '["It\'s Zurich"]' in page.find("code").text
    type_in(page, "plain")
    assert "instead" not in finished(page)


TYPE_ALL = """
const [texts, done] = arguments;
const root = document.querySelector('[data-live]').shadowRoot;
const field = root.querySelector('textarea');
const seen = [];
const frame = () => new Promise(requestAnimationFrame);
(async () => {
  for (const text of texts) {
    root.querySelector('code').textContent = '';
    field.value = text;
    field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}));
    await frame();
    await frame();
    const read = selector => root.querySelector(selector).textContent;
    seen.push({typed: field.value, said: read('[role=status]'), code: read('code')});
  }
  done(seen);
})();
"""


def test_text_as_people_type_it_is_written_or_refused_in_one_sentence(show):
    """The text that is written is Python's; what is changed or refused is named."""
    assert len(set(TYPED)) >= 120
    page = show(Studio(text="hi", precision="int8"))
    at_once(page)
    finished(page)
    seen = page.driver.execute_async_script(TYPE_ALL, TYPED)
    for text, one in zip(TYPED, seen, strict=True):
        folded = fold(one["typed"], accents=True)
        said = one["said"]
        if not folded.text.strip():
            assert said == "There is no text to write."
        elif lacking := [c for c in missing(folded.text) if not c.isspace()]:
            assert said.startswith("The network has not learned to write “"), (
                text,
                said,
            )
            assert said.count(".") == 1 and said.endswith("."), said
            assert said.count("“") == min(len(lacking), 5), (text, said)
        elif len(max(folded.text.split(), key=len)) > 256:
            assert said == "500 characters are too many for one line."
        else:
            assert "points" in said or said.startswith("Writing."), (text, said)
            lines = texts_of(one["code"])
            assert " ".join(lines) == " ".join(folded.text.split())
            for character, plain in folded.replaced.items():
                if plain.strip():
                    assert f"{plain} for {character}" in said, (text, said)
            continue
        assert one["code"] == ""
    assert (
        page.run(
            "return document.images.length + roots[0].querySelectorAll('img, b').length"
        )
        == 0
    )
    page.find("button.primary").click()


def test_enter_that_ends_the_composing_of_a_character_writes_nothing(show, studio):
    page = show(studio)
    at_once(page)
    before = finished(page)
    page.run(
        "const one = roots[0].querySelector('textarea');"
        "one.value = 'half typed';"
        "for (const how of [{isComposing: true}, {keyCode: 229}]) {"
        "  one.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', ...how}));"
        "}"
    )
    page.settle()
    assert status(page) == before
    assert page.find("textarea").get_property("value") == "half typed"
    assert '["hi there"]' in page.find("code").text


def test_what_is_saved_and_copied_is_what_is_shown(show, studio):
    """Not the text that has been typed since, nor one that could not be written."""
    page = show(studio)
    at_once(page)
    points = int(finished(page).split()[0])
    code = page.find("code").text
    for other in ("typed since", "漢"):
        if other == "漢":
            type_in(page, other)
        page.run("roots[0].querySelector('textarea').value = arguments[0]", other)
        svg = page.driver.execute_async_script(
            SAVED.replace("readAsDataURL", "readAsText"), "Save SVG"
        )
        root = ElementTree.fromstring(svg["url"])
        assert root[0].text == "hi there"
        assert len(re.findall("[ML]", root[1].get("d"))) == points
        assert page.find("code").text == code


def test_the_panels_show_any_line_that_was_written(show):
    page = show(Studio(text="one line of ink, and another, and more", precision="int8"))
    at_once(page)
    finished(page)
    last = page.pictures()
    count = int(page.slider("Line").get_attribute("max"))
    words = [page.find(".text").get_attribute("textContent")]
    assert count == 2
    assert page.slider("Line").get_property("value") == str(count)
    page.slide("Line", 1)
    first = page.pictures()
    words.append(page.find(".text").get_attribute("textContent"))
    assert first[0] == last[0]  # the paper
    assert first[1] != last[1] and first[2] != last[2]
    assert words[0] != words[1] == "one line of ink, and another,end"


def test_no_two_controls_have_one_name(show, studio):
    page = show(studio)
    names = page.run(
        "return [...roots[0].querySelectorAll('button, select, input')].map(one =>"
        " one.getAttribute('aria-label')"
        " ?? one.labels[0]?.querySelector('span').textContent ?? one.textContent)"
    )
    assert len(set(names)) == len(names), names


def test_text_is_only_ever_text(show):
    page = show(Studio(text=TEXT, precision="int8", caption=HOSTILE))
    at_once(page)
    finished(page)
    assert page.run("return document.images.length") == 0
    assert page.run("return roots[0].querySelectorAll('img').length") == 0
    assert page.find("textarea").get_property("value") == TEXT
    saved = page.driver.execute_async_script(
        SAVED.replace("readAsDataURL", "readAsText"), "Save SVG"
    )
    root = ElementTree.fromstring(saved["url"])
    assert root[0].text.split() == TEXT.split()
    assert {one.tag.split("}")[1] for one in root} == {"title", "path"}


def test_saved_pictures_hold_the_ink(show, studio):
    page = show(studio)
    at_once(page)
    points = int(finished(page).split()[0])
    svg = page.driver.execute_async_script(
        SAVED.replace("readAsDataURL", "readAsText"), "Save SVG"
    )
    assert svg["type"] == "image/svg+xml"
    path = ElementTree.fromstring(svg["url"])[1].get("d")
    assert len(re.findall("[ML]", path)) == points
    # a letter body is 3 mm high on paper, and 20 units
    root = ElementTree.fromstring(svg["url"])
    across, down = (float(one) for one in root.get("viewBox").split()[2:])
    for side, units in (("width", across), ("height", down)):
        assert root.get(side).endswith("mm")
        assert float(root.get(side)[:-2]) == pytest.approx(units * 3 / 20, abs=0.06)
    assert re.fullmatch(r"ink\.svg: [\d.]+ by [\d.]+ mm\.", status(page))
    corners = []
    for _ in range(2):
        png = page.driver.execute_async_script(SAVED, "Save PNG")
        assert png["type"] == "image/png"
        corners.append(page.driver.execute_async_script(CORNER, png["url"]))
        page.find("input[type=checkbox]").click()
    assert corners == [[255, 255, 255, 255], [0, 0, 0, 0]]


LETTER = "Dear reader,\n\nthis is a longer line than fits, so it goes on.\nYours"


@pytest.mark.parametrize("width, dark", [(1200, False), (360, True)])
def test_paragraphs_stay_and_are_wrapped_in_one_hand(show, width, dark):
    page = show(Studio(text=LETTER, precision="int8"), width=width, dark=dark)
    at_once(page)
    finished(page)
    code = page.find("code").text
    lines = texts_of(code)
    assert " ".join(lines).split() == LETTER.split() and 'style="birch"' in code
    assert lines[0] == "Dear reader," and lines[-1] == "Yours"
    assert len(lines) == (4 if width == 1200 else 5)
    saved = page.driver.execute_async_script(
        SAVED.replace("readAsDataURL", "readAsText"), "Save SVG"
    )
    lines = []  # lowest fifth, above and below it, in letter bodies
    for path in ElementTree.fromstring(saved["url"])[1:]:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d"))]
        y = sorted((n / 20 for n in numbers[1::2]), reverse=True)
        base = y[round(0.2 * (len(y) - 1))]
        lines.append((base, base - y[-1], y[0] - base))
    for i, (before, after) in enumerate(itertools.pairwise(lines)):
        needed = before[2] + 0.5 + max(1.6, after[1])
        wanted = max(3.6, needed) + (0 if i else 1.8)  # a paragraph after the first
        assert after[0] - before[0] == pytest.approx(wanted, abs=0.05)


def test_shift_enter_begins_a_line_and_enter_writes(show, studio):
    from selenium.webdriver.common.keys import Keys

    page = show(studio)
    at_once(page)
    finished(page)
    field = page.find("textarea")
    field.clear()
    field.send_keys("one", Keys.SHIFT + Keys.ENTER, Keys.NULL, "two")
    assert field.get_property("value") == "one\ntwo"
    assert '["hi there"]' in page.find("code").text
    field.send_keys(Keys.ENTER)
    finished(page)
    assert '["one", "two"]' in page.find("code").text
    assert field.get_property("value") == "one\ntwo"


def test_the_saved_pdf_is_the_saved_svg(show):
    page = show(Studio(text=LETTER, precision="int8"))
    at_once(page)
    finished(page)
    pdf = page.driver.execute_async_script(SAVED, "Save PDF")
    assert re.fullmatch(r"ink\.pdf: [\d.]+ by [\d.]+ mm\.", status(page))
    svg = page.driver.execute_async_script(
        SAVED.replace("readAsDataURL", "readAsText"), "Save SVG"
    )
    assert pdf["type"] == "application/pdf"
    content = base64.b64decode(pdf["url"].split(",")[1])
    document = pypdfium2.PdfDocument(content)
    root = ElementTree.fromstring(svg["url"])
    sides = [float(root.get(side)[:-2]) for side in ("width", "height")]
    size = document[0].get_size()
    assert [side * 25.4 / 72 for side in size] == pytest.approx(sides, abs=0.06)
    assert document.get_metadata_dict()["Title"] == root[0].text
    assert len(document) == 1
    # pdfium sees the strokes of the SVG, and draws ink at each of their points
    strokes = "".join(path.get("d") for path in root[1:]).split("M")[1:]
    assert len(list(document[0].get_objects())) == len(strokes) > 20
    drawn = np.asarray(document[0].render(scale=4).to_pil().convert("L"), float)
    document.close()
    assert 0.01 < (drawn < 128).mean() < 0.2
    for stroke in strokes:
        points = np.array(re.findall(r"-?[\d.]+", stroke), float).reshape(-1, 2)
        x, y = (points * 4 * 3 / 20 * 72 / 25.4).astype(int).T  # a body is 20 and 3 mm
        assert (drawn[y, x] < 128).all()


def test_the_still_picture_shows_where_scripts_do_not_run(show, studio):
    page = show(studio, scripts=False)
    still = page.driver.find_element("css selector", "[data-still] svg")
    assert still.size["width"] > 50


def test_a_site_has_each_network_once(driver, tmp_path, monkeypatch):
    from browser import console, requests, serve, visit

    monkeypatch.setenv(FOLDER, "packs")
    studio = Studio(text="hi", precision="int8", styles=[])
    assert len(studio.html) < 100_000
    (tmp_path / "packs").mkdir()
    pack = f"{MODEL}-int8"
    write_pack(pack, tmp_path / "packs")
    page = f"<!doctype html><link rel=icon href='data:,'>{studio.html}{studio.html}"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    statuses = """
      return [...document.querySelectorAll('[data-live]')].map(
        one => one.shadowRoot?.querySelector('[role=status]')?.textContent ?? '');
    """

    def said():
        return driver.execute_script(statuses)

    def both_write():
        began = [one for one in said() if "Writing." in one or "points" in one]
        return len(began) == 2

    with serve(tmp_path) as site:
        for address, ending in [
            (f"{site}/page.html", "bin"),
            ((tmp_path / "page.html").as_uri(), "js"),
        ]:
            console(driver)
            requests(driver)
            visit(driver, address)
            wait(both_write)
            names = {one.split("/")[-1] for one in requests(driver)}
            assert names == {"page.html", f"{pack}.{ending}"}
            assert [one.text for one in console(driver)] == []
        # a pack that is not there is said to be missing
        for file in (tmp_path / "packs").iterdir():
            file.unlink()
        visit(driver, f"{site}/page.html")
        missing = f"could not be loaded: packs/{pack}.bin: 404"
        wait(lambda: all(missing in one for one in said()))
    console(driver)


PIXELS = """
const [canvas] = roots[0].querySelectorAll('canvas');
const {width, height} = canvas;
const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
return [width, height, ...data.filter((_, i) => i % 4 === 3)];
"""


@pytest.fixture
def site(driver, tmp_path, monkeypatch):
    """Gives a page of a book with a Studio on it, and a function that adds the pack."""
    from browser import console, serve

    from .conftest import Page

    monkeypatch.setenv(FOLDER, "packs")
    studio = Studio(text="hi there and here now", precision="int8", seed=3)
    (tmp_path / "packs").mkdir()
    icon = "<!doctype html><link rel=icon href='data:,'>"
    below = "<p>what comes below</p>" * 40
    (tmp_path / "page.html").write_text(icon + studio.html + below, encoding="utf-8")
    with serve(tmp_path) as address:
        yield (
            Page(driver),
            f"{address}/page.html",
            lambda: write_pack(f"{MODEL}-int8", tmp_path / "packs"),
        )
    driver.get("about:blank")
    console(driver)


@pytest.mark.parametrize("width, lines", [(1200, 1), (360, 2)])
def test_the_still_line_stays_until_ink_replaces_it(site, width, lines):
    from browser import visit

    page, address, add_pack = site
    visit(page.driver, address, width=width)
    wait(lambda: "could not be loaded" in status(page))
    still = torch.tensor(page.run(PIXELS))
    add_pack()
    visit(page.driver, address, width=width)
    at_once(page)
    assert "points" in finished(page)
    ink = torch.tensor(page.run(PIXELS))
    assert page.slider("Line").get_attribute("max") == str(lines)
    assert torch.equal(still[:2], ink[:2])  # the size
    seen = ink[2:] > 128
    assert seen.sum() > 300 and ((still[2:] > 128) != seen).sum() < 0.1 * seen.sum()
    assert page.driver.execute_async_script(SHIFTS) < 0.02


def test_a_link_writes_the_line_that_was_shared(site):
    from browser import console, visit

    page, address, add_pack = site
    add_pack()
    visit(page.driver, address)
    at_once(page)
    finished(page)
    choose(page, "1")
    page.slide("Bias", 1.7)
    page.slide("Temperature", 0.6)
    type_in(page, 'It\u2019s "ink" & so on #1?')
    wait(lambda: "temperature=0.6" in page.find("code").text)
    finished(page)
    page.run(
        "navigator.clipboard.writeText = async text => { window.copied = text; };"
        "roots[0].querySelector('textarea').value = 'typed since'"
    )
    page.find("button[aria-label='Share a link to this line']").click()
    assert status(page).startswith("Copied a link")
    link = page.driver.execute_script("return window.copied")
    assert link.startswith(f"{address}#write=It")
    shared, code = ink(page), page.find("code").text
    console(page.driver)
    page.driver.get("about:blank")
    visit(page.driver, link)
    at_once(page)
    finished(page)
    assert (ink(page), page.find("code").text) == (shared, code)
    typed = page.find("textarea").get_property("value")
    assert typed == 'It\u2019s "ink" & so on #1?'
    assert [one.text for one in console(page.driver)] == []
    # a link that is opened while the page is there, and one that is none
    fragment = "#write=hi&hand=any&seed=4&bias=0.5&temperature=1"
    page.driver.execute_script("location.hash = arguments[0]", fragment)
    wait(lambda: "bias=0.5" in page.find("code").text)
    finished(page)
    shared = ink(page)
    for hash_ in ("#write=%3Cimg src=x onerror=window.hacked=1>", "#nowhere"):
        page.driver.execute_script("location.hash = arguments[0]", hash_)
        time.sleep(0.1)
    assert (ink(page), page.find("input[type=number]").get_property("value")) == (
        shared,
        "4",
    )
    assert page.driver.execute_script("return window.hacked") is None


GOOD = "#write=hi&hand=birch&seed=2&bias=1&temperature=0.5"
LINKS = [
    GOOD.replace("hi", "%20%20"), GOOD.replace("hi", ""),
    GOOD.replace("hi", "w" * 4001), GOOD.replace("#write=hi&", "#"),
    GOOD.replace("#", "#x&"), GOOD.replace("#", ""),
    GOOD.replace("birch", "nobody"), GOOD.replace("birch", "__proto__"),
    GOOD.replace("birch", "toString"), GOOD.replace("birch", ""),
    *(GOOD.replace("seed=2", f"seed={x}") for x in ("-1", "1e9", "0x2", "2.5", 9**20)),
    *(GOOD.replace("bias=1", f"bias={x}") for x in ("NaN", "9", "-1", "Infinity", "")),
    *(GOOD.replace("0.5", x) for x in ("0", "2", "constructor", "%00", "%E0%A4%A")),
    "#write=hi", "#", "", "#write=" + "%" * 50, "#" + "write=hi&" * 2000,
]  # fmt: skip


def test_links_are_read_whole_or_not_at_all(run_module):
    hands = ["birch", "own & odd = #1"]
    read = run_module(
        [*MODULES, "studio_widget"],
        "return given.links.map(one => fromFragment(one, given.hands, RANGES));",
        links=[GOOD, GOOD.replace("birch", "any"), *LINKS],
        hands=hands,
    )
    line = {"text": "hi", "hand": 0, "seed": 2, "bias": 1, "temperature": 0.5}
    assert read == [line, line | {"hand": None}, *[None] * len(LINKS)]
    texts = [
        "a & b = c",
        "100 % #1 +1",
        "\u201cso\u201d \U0001f389",
        "&hand=any",
        "\\?",
    ]
    lines = [line | {"text": one, "hand": hands[1]} for one in texts]
    back = run_module(
        [*MODULES, "studio_widget"],
        "const { lines, hands } = given;"
        "return lines.map(one => fromFragment(toFragment(one), hands, RANGES));",
        lines=lines,
        hands=hands,
    )
    assert back == [one | {"hand": 1} for one in lines]


def test_bad_arguments():
    with pytest.raises(ValueError, match="ü"):
        Studio(text="Zürich")
    with pytest.raises(ValueError, match="no text"):
        Studio(text=" ")
    with pytest.raises(ValueError, match="int4"):
        Studio(text="a", precision="int4")
    with pytest.raises(ValueError, match="a list"):
        Studio(text="a", styles="amy")
    with pytest.raises(hw.StyleError, match="no style 'nobody'"):
        Studio(text="a", styles=["nobody"])
    with pytest.raises(hw.StyleError, match="no style 'nobody'"):
        Studio(text="a", style="nobody")


# --- Python ----------------------------------------------------------------------

# Plays a frontend with a kernel: it mounts the widget and keeps what it tells Python.
FRONTEND = """
window.told = [];
const hear = [];
const model = {
  on: (_, one) => hear.push(one), off: (_, one) => hear.splice(hear.indexOf(one), 1),
  send: message => {
    told.push(message);
    if (message.kind === 'ready') for (const one of hear) one(given.answer);
  },
};
const el = document.createElement('div');
document.body.append(el);
window.leave = render({ model, el });
window.listeners = () => hear.length;
return el.textContent;
"""


@pytest.fixture
def live_studio(monkeypatch):
    """A Studio with anywidget, and what it has sent to its page."""
    pytest.importorskip("anywidget")
    studio = Studio(text="hi there", seed=3, precision="half", caption="any caption")
    sent = []
    monkeypatch.setattr(type(studio), "send", lambda self, one: sent.append(one))
    yield studio, sent
    studio.close()


def test_python_has_the_lines_that_the_page_wrote(live_studio, run_module, driver):
    studio, sent = live_studio
    assert studio.lines == []
    studio._handle_custom_msg({"kind": "ready"}, [])
    source = Path(studio_module.__file__).parent / "static/live.js"
    render = source.read_text().replace("export default", "const { render } =")
    modules = studio_module._modules(False)
    said = run_module(modules, render + FRONTEND, answer=sent[0])
    assert said == "any caption"
    find = "return told.find(one => one.kind === 'lines') ?? null"
    studio._handle_custom_msg(wait(lambda: driver.execute_script(find)), [])
    (line,) = studio.lines
    (same,) = hw.write("hi there", hw.load_pretrained(MODEL), seed=3)
    assert (line.text, line.seed, line.complete, line.draws) == (
        same.text, same.seed, same.complete, same.draws,
    )  # fmt: skip
    torch.testing.assert_close(line.ink, same.ink, atol=2e-3, rtol=0)
    torch.testing.assert_close(line.phi, same.phi, atol=2e-3, rtol=0)
    assert driver.execute_script("leave(); return listeners()") == 0


def test_a_notebook_keeps_no_weights_of_a_studio(live_studio):
    studio, _ = live_studio
    assert len(json.dumps(studio.get_state())) < 200_000
    assert repr(studio).startswith("<Studio: The network unipen-256")
    for odd in (None, {}, {"kind": "else"}):
        studio._handle_custom_msg(odd, [])
    assert studio.lines == []


def test_without_anywidget_a_studio_draws_and_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    studio_module._live_class.cache_clear()
    try:
        studio = Studio(text="hi")
    finally:
        studio_module._live_class.cache_clear()
    assert type(studio) is Studio
    with pytest.raises(ImportError, match=r'pip install "handwriting-lib\[widgets\]"'):
        assert studio.lines
