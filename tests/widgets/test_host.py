"""The base of all widgets: arrays, ids, text that stays text, and where they run."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.ink import offsets_to_positions
from handwriting_lib.widgets import (
    ActivationShapes,
    OwnHand,
    Pad,
    Player,
    Studio,
    WindowSliders,
)
from handwriting_lib.widgets.host import (
    STATIC,
    Widget,
    module_source,
    pack,
    pack_ink,
    script_json,
    to_html,
)
from tests.seen import contrast

from .conftest import HOSTILE

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"></svg>'


class Scripts(HTMLParser):
    """Tags, and what stands in each script, as a browser reads a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self.inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data
        else:
            self.text += data


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8"])
def test_pack_keeps_numbers(dtype):
    values = np.random.default_rng(1).normal(3, 20, (50, 4))
    packed = pack(values, dtype)
    raw = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(dtype))
    back = packed.get("offset", 0) + packed.get("scale", 1) * raw.astype(np.float64)
    steps = {"float32": 1e-6, "int16": 65535, "uint8": 255}[dtype]
    span = np.ptp(values)
    error = span / steps / 2 * 1.001 if dtype != "float32" else 1e-4
    assert packed["shape"] == [50, 4]
    assert np.abs(back.reshape(50, 4) - values).max() <= error


def test_pack_of_equal_numbers_and_of_none():
    for values in ([2.5] * 4, [0.0], []):
        packed = pack(np.array(values), "uint8")
        raw = np.frombuffer(base64.b64decode(packed["data"]), np.uint8)
        assert (packed["offset"] + packed["scale"] * raw).tolist() == values


def test_pack_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="not finite"):
        pack(torch.tensor([1.0, float("nan")]))


def test_script_json_cannot_end_its_script():
    data = {"a": HOSTILE, "<!--": ["<script>", "]]>", "\u2028\u2029"]}
    text = script_json(data)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == data
    with pytest.raises(ValueError):
        script_json({"x": float("nan")})


def test_text_from_outside_adds_no_tags():
    page = Scripts(
        to_html(
            ["window"], {"text": HOSTILE}, still=SVG, label=HOSTILE, caption=HOSTILE
        )
    )
    assert page.tags == [
        "figure", "div", "svg", "noscript", "p", "script", "script", "figcaption",
    ]  # fmt: skip
    assert HOSTILE in page.text
    assert json.loads(page.scripts[0])["text"] == HOSTILE


def test_a_page_built_again_stays_the_same():
    pages = [WindowSliders("letters", caption="c").html for _ in range(2)]
    assert pages[0] == pages[1]
    assert WindowSliders("other").html != pages[0]


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda p: p.name)
def test_no_script_parses_text_or_asks_for_anything(path):
    source = path.read_text(encoding="utf-8")
    words = {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("}
    loads = {"fetch(", "XMLHttpRequest", "import(", "new Function", "WebSocket"}
    if path.name == "packs.js":  # its weights lie beside the page
        loads -= {"fetch("}
    assert {word for word in words | loads if word in source} == set()
    assert "://" not in source.replace("http://www.w3.org/", "")


def test_source_that_would_end_its_script_is_refused(tmp_path, monkeypatch):
    for name in ("base.css", "base.js"):
        (tmp_path / name).write_text("")
    (tmp_path / "bad.js").write_text("const x = '</SCRIPT>';")
    monkeypatch.setattr("handwriting_lib.widgets.host.STATIC", tmp_path)
    module_source.cache_clear()
    with pytest.raises(ValueError, match="end its <script>"):
        module_source("bad")
    module_source.cache_clear()


def test_the_library_imports_without_a_widget_manager():
    code = (
        "import sys, handwriting_lib\n"
        "unwanted = {'anywidget', 'ipywidgets', 'IPython', 'matplotlib'}\n"
        "assert not unwanted & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# In the browser ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8"])
def test_the_script_reads_what_python_packed(run_module, dtype):
    values = np.random.default_rng(2).normal(-1, 5, 300)
    packed = pack(values, dtype)
    read = run_module([], "return Array.from(unpack(given.packed))", packed=packed)
    raw = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(dtype))
    there = packed.get("offset", 0) + packed.get("scale", 1) * raw.astype(np.float64)
    assert np.allclose(read, there, atol=1e-5)


@pytest.mark.slow
def test_the_script_reads_ink(run_module, scribble):
    ink = scribble().ink
    read = run_module(
        [],
        "const ink = unpackInk(given.ink);"
        "return [ink.x, ink.y, ink.end].map(one => Array.from(one))",
        ink=pack_ink(ink),
    )
    there = offsets_to_positions(ink).T
    assert torch.allclose(torch.tensor(read), there, atol=1e-3)
    assert torch.equal(torch.tensor(read[2]), ink[:, 2])


@pytest.mark.slow
def test_a_long_line_wraps_between_words_and_a_short_one_does_not(run_module, scribble):
    words = [scribble(seed=k, points=60).ink for k in range(6)]
    for word in words[1:]:
        word[0, 0] = 2.0  # a space
    ink = torch.cat(words)
    answer = run_module(
        [],
        """
        const ink = unpackInk(given.ink);
        return [2000, 300].map(width => {
          const place = wrap(ink, width);
          const xs = Array.from(ink.x, (v, i) => place.x(v, i));
          const ys = Array.from(ink.y, (v, i) => place.y(v, i));
          return {xs, ys, height: place.height, scale: place.scale};
        });
        """,
        ink=pack_ink(ink),
    )
    wide, narrow = answer
    starts = [torch.tensor(one["xs"]).reshape(6, -1)[:, 0] for one in answer]
    # how many words stand at the left edge; a single row stands in the middle
    assert [int((one < 30).sum()) for one in starts] == [0, 2]
    for one, width in ((wide, 2000), (narrow, 300)):
        assert 0 <= min(one["xs"]) and max(one["xs"]) <= width
        assert 0 <= min(one["ys"]) and max(one["ys"]) <= one["height"]
    assert narrow["scale"] >= 12
    # words stay whole: inside each, distances are those of the ink
    xy = offsets_to_positions(ink)[:, 0].reshape(6, -1)
    drawn = torch.tensor(narrow["xs"]).reshape(6, -1) / narrow["scale"]
    assert torch.allclose(drawn.diff(dim=1), xy.diff(dim=1), atol=2e-3)


@pytest.mark.slow
def test_random_numbers_look_uniform(run_module):
    draws = run_module(
        [],
        "const next = randomNumbers(7);return Array.from({length: 4000}, () => next())",
    )
    assert 0 <= min(draws) and max(draws) < 1
    assert abs(np.mean(draws) - 0.5) < 0.02 and abs(np.var(draws) - 1 / 12) < 0.005


# Where scripts run, a browser keeps what is in <noscript> as text, not as elements.
SENTENCE = "return document.querySelector('noscript p')?.textContent"


@pytest.mark.slow
def test_the_still_picture_stays_where_scripts_do_not_run(show):
    """All of it, also on a narrow page, and with a sentence that says so."""
    wide = f'<svg viewBox="0 0 2000 300" width="2000" height="300">{SVG[5:]}'
    for widget in (ActivationShapes(), to_html(["window"], {}, still=wide, label="w")):
        page = show(widget, scripts=False, width=360)
        assert page.run("return roots.length") == 0
        box = page.run(
            "const {width, height} = document.querySelector('[data-still] svg')"
            ".getBoundingClientRect(); return [width, height]"
        )
        assert min(box) > 40 and box[0] <= 360
        assert "this is a still picture" in page.run(SENTENCE)
    assert show(ActivationShapes()).run(SENTENCE) is None


@pytest.mark.slow
def test_the_still_picture_stays_where_mounting_fails(show):
    broken = to_html(["window"], {"text": 3}, still=SVG, label="broken")
    page = show(broken, complaints=["TypeError"])
    assert page.run("return roots.length") == 0
    assert page.run("return document.querySelectorAll('[data-still] svg').length") == 1


@pytest.mark.slow
def test_several_widgets_live_on_one_page(show):
    twice = WindowSliders("letters")
    page = show(twice, ActivationShapes(), twice)
    assert page.run("return roots.length") == 3
    before = [page.pictures(k) for k in range(3)]
    page.slide("κ, place", 6, widget=2)
    after = [page.pictures(k) for k in range(3)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False]


@pytest.mark.slow
def test_a_widget_follows_the_page_s_theme(show):
    style = "html { color: black } html[data-theme=dark] { color: #eee }"
    page = show(WindowSliders(), style=style)
    light = page.pictures()
    assert page.run("return roots[0].querySelector('.widget').dataset.theme") == "light"
    page.run("document.documentElement.dataset.theme = 'dark'")
    assert page.pictures() != light
    assert page.run("return roots[0].querySelector('.widget').dataset.theme") == "dark"


@pytest.mark.slow
def test_a_saved_page_works_from_the_disk(driver, tmp_path):
    from browser import console, visit

    path = tmp_path / "window.html"
    widget: Widget = WindowSliders("letters", caption=HOSTILE)
    widget.save(path)
    visit(driver, path.as_uri(), width=360)
    assert [one.text for one in console(driver)] == []
    assert driver.execute_script("return !!document.querySelector('[data-live]')")
    words = driver.execute_script(
        "return document.querySelector('figcaption').textContent"
    )
    assert words == HOSTILE


@pytest.mark.slow
def test_the_words_on_a_button_begin_its_name(show):
    """Who speaks to a page says what stands on the button."""
    model = hw.load_pretrained()
    ink = hw.write("an", model, seed=1)[0]
    page = show(Pad(["a"]), OwnHand(), Studio(text="hi", precision="int8"), Player(ink))
    named = page.run(
        "return roots.flatMap(root => [...root.querySelectorAll('button')]"
        ".map(one => [one.textContent, one.getAttribute('aria-label')]))"
    )
    assert len(named) > 20
    wrong = [
        (words, name) for words, name in named if name and not name.startswith(words)
    ]
    assert wrong == []


def test_colours_that_words_have_can_be_read():
    """4.5 to 1 on a widget's ground, as WCAG asks for; edges of fields 3 to 1."""
    source = (STATIC / "base.js").read_text("utf-8").partition("const PALETTES")[2]
    themes = re.findall(r"(?:light|dark): \{(.*?)\n  \}", source, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colors = dict(re.findall(r'(\w+): "(#\w{6})"', theme))
        for ground in ("surface", "field"):
            for name in "ink muted blue vermillion green purple edge".split():
                ratio = contrast(colors[name], colors[ground])
                assert ratio >= (3 if name == "edge" else 4.5), (name, ground, ratio)
