"""A browser with widgets in it, over http and from the disk."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from handwriting_lib import load_pretrained, write

HOSTILE = '</script><img src=x onerror="window.hacked=1">&amp;\'\u2028'
# All canvases of all widgets, as text; where the shadow roots are.
ROOTS = """
const roots = [...document.querySelectorAll('[data-live]')].map(one => one.shadowRoot);
"""


def wait(condition, seconds=60):
    """Wait until a condition holds. The limit allows for a busy machine."""
    end = time.monotonic() + seconds
    while not (held := condition()):
        assert time.monotonic() < end, "the condition did not come to hold"
        time.sleep(0.05)
    return held


@pytest.fixture(scope="session")
def model():
    return load_pretrained()


@pytest.fixture(scope="session")
def line(model):
    """A written line with everything that a Player can show."""
    torch.set_num_threads(1)
    return write("an ink", model, style="any", bias=0.8, seed=3, keep_output=True)[0]


@dataclass
class Page:
    """A page that is open in the browser."""

    driver: object

    def run(self, script: str, *arguments):
        """Run a script's function body; `roots` are the shadow roots of the widgets."""
        return self.driver.execute_script(ROOTS + script, *arguments)

    def settle(self) -> None:
        """Wait until what was asked for has been drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()));"
        )

    def pictures(self, widget: int = 0) -> list[str]:
        """What each canvas of a widget shows."""
        self.settle()
        return self.run(
            "return [...roots[arguments[0]].querySelectorAll('canvas')]"
            ".map(one => one.toDataURL())",
            widget,
        )

    def find(self, selector: str, widget: int = 0):
        """An element of a widget."""
        return self.run(
            "return roots[arguments[0]].querySelector(arguments[1])", widget, selector
        )

    def slider(self, label: str, widget: int = 0):
        """A slider by its label."""
        found = self.find(f'input[type="range"][aria-label="{label}"]', widget)
        assert found is not None, label
        return found

    def button(self, words: str, widget: int = 0):
        """A button by the words on it."""
        found = self.run(
            "return [...roots[arguments[0]].querySelectorAll('button')]"
            ".find(one => one.textContent === arguments[1])",
            widget,
            words,
        )
        assert found is not None, words
        return found

    def press(self, *words: str) -> None:
        """Press buttons of the first widget, one after another."""
        for one in words:
            self.button(one).click()

    def slide(self, label: str, value: float, widget: int = 0) -> None:
        """Move a slider as a hand does."""
        self.run(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            self.slider(label, widget),
            value,
        )

    def drawn(self, widget: int = 0) -> bool:
        """Whether every canvas of a widget has something on it."""
        self.settle()
        return self.run(
            """
            const canvases = [...roots[arguments[0]].querySelectorAll('canvas')];
            return canvases.length > 0 && canvases.every(one => {
              const {data} = one.getContext('2d')
                .getImageData(0, 0, one.width, one.height);
              return data.some(value => value > 0);
            });
            """,
            widget,
        )


@pytest.fixture(scope="package")
def driver():
    """One browser for all tests of widgets; a page left open keeps a core busy."""
    pytest.importorskip("selenium")
    from browser import open_browser, why_no_browser

    if reason := why_no_browser():
        pytest.skip(reason)
    with open_browser() as browser:
        yield browser


@pytest.fixture
def show(driver, tmp_path):
    """Shows HTML or widgets in a page, and checks what holds for any page."""
    from browser import console, requests, serve, visit

    def open_page(
        *widgets,
        width=1200,
        dark=False,
        over_http=False,
        reduced=False,
        scripts=True,
        style="",
        complaints=(),
    ) -> Page:
        folder = Path(tmp_path)
        body = "\n".join(one if isinstance(one, str) else one.html for one in widgets)
        scheme = '<meta name="color-scheme" content="light dark">'
        page = f"<!doctype html><meta charset=utf-8>{scheme}<style>{style}</style>"
        (folder / "page.html").write_text(page + body, encoding="utf-8")
        console(driver)
        requests(driver)
        driver.execute_cdp_cmd(
            "Emulation.setScriptExecutionDisabled", {"value": not scripts}
        )
        try:
            if over_http:
                with serve(folder) as site:
                    visit(driver, f"{site}/page.html", width=width, dark=dark)
            elif scripts:
                visit(driver, (folder / "page.html").as_uri(), width=width, dark=dark)
            else:
                size = {"width": width, "height": 900, "deviceScaleFactor": 1}
                driver.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride", {**size, "mobile": False}
                )
                driver.get((folder / "page.html").as_uri())
        finally:
            driver.execute_cdp_cmd(
                "Emulation.setScriptExecutionDisabled", {"value": False}
            )
        if reduced:
            features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        asked = [one for one in requests(driver) if not one.endswith("/favicon.ico")]
        assert [Path(one).name for one in asked] == ["page.html"]
        said = [one.text for one in console(driver) if "favicon" not in one.text]
        for part in complaints:
            assert any(part in one for one in said), said
        if not complaints:
            assert said == []
        page = Page(driver)
        page.settle()
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
        return page

    yield open_page
    # the second is about the tests' own reading of pixels
    own = ("favicon", "willReadFrequently")
    left = [one.text for one in console(driver)]
    assert [one for one in left if not any(word in one for word in own)] == []
    assert driver.execute_script("return window.hacked") is None


@pytest.fixture
def run_module(show):
    """Runs statements after the source of a widget; gives what they `return`."""
    from handwriting_lib.widgets.host import module_source, script_json

    def run(names, statements, **given):
        page = show(
            f"<script type=module>{module_source(*names)}\n"
            f"const given = {script_json(given)};\n"
            f"window.answer = JSON.stringify((() => {{ {statements} }})());</script>"
        )
        return json.loads(page.run("return window.answer"))

    return run
