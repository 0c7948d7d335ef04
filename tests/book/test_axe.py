"""What axe finds on the pages of the built book, in both themes.

The package axe-core-python brings axe-core 4.4 (MPL-2.0). For a newer one, unpack what
`npm pack axe-core` fetches and set AXE_CORE to its file `axe.min.js`.
"""

import importlib.resources
import os
from pathlib import Path

import pytest
from labels import toc_pages
from places import BOOK

pytest.importorskip("selenium")
from browser import open_browser, serve, visit, why_no_browser
from selenium.webdriver.support.ui import WebDriverWait

pytest.importorskip("axe_core_python")
OWN = str(importlib.resources.files("axe_core_python") / "axe.min.js")
AXE = Path(os.environ.get("AXE_CORE", OWN)).read_text(encoding="utf-8")
HTML = BOOK / "_build" / "html"
FINDINGS = """
const [options, done] = arguments;
options.resultTypes = ['violations'];
axe.run(document, options).then(({violations}) => done(
  violations.filter(one => ['serious', 'critical'].includes(one.impact)).map(
    one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 150)).join(' | ')}`)
));
"""

# The themes differ in their colours alone.
COLOURS = {"runOnly": ["color-contrast"]}
# Colours fade from one theme to the other, and half way they have no contrast.
STILL = """
const sheet = document.createElement('style');
sheet.textContent = '*, ::before, ::after {transition: none !important}';
document.head.append(sheet);
"""
DARK = [{"name": "prefers-color-scheme", "value": "dark"}]
THEME = "return document.documentElement.dataset.theme"

pytestmark = [pytest.mark.book, pytest.mark.unhurried]


@pytest.fixture(scope="module")
def driver():
    """One browser for all pages."""
    if reason := why_no_browser():
        pytest.skip(reason)
    assert HTML.is_dir(), "run `make book` first"
    with open_browser() as browser:
        browser.set_script_timeout(300)  # seconds: some pages have 10,000 elements
        yield browser


@pytest.fixture(scope="module")
def site():
    """Address of a server of the built book."""
    with serve(HTML) as address:
        yield address


@pytest.mark.parametrize("page", toc_pages(BOOK))
def test_nothing_serious(driver, site, page):
    visit(driver, f"{site}/{page}.html")
    driver.execute_script(STILL)
    driver.execute_script(AXE)
    assert driver.execute_script(THEME) == "light"
    assert driver.execute_async_script(FINDINGS, {}) == []
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": DARK})
    WebDriverWait(driver, 10).until(lambda d: d.execute_script(THEME) == "dark")
    assert driver.execute_async_script(FINDINGS, COLOURS) == []
