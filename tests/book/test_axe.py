"""What axe finds on the pages of the built book, in both themes.

axe-core (MPL-2.0) is no part of this repository. `npm pack axe-core` fetches it; unpack
the archive and set AXE_CORE to its file `axe.min.js`.
"""

import os
from pathlib import Path

import pytest
from labels import toc_pages
from places import BOOK

pytest.importorskip("selenium")
from browser import open_browser, serve, visit, why_no_browser

AXE = os.environ.get("AXE_CORE", "")
HTML = BOOK / "_build" / "html"
FINDINGS = """
const done = arguments[0];
axe.run(document, {resultTypes: ['violations']}).then(({violations}) => done(
  violations.filter(one => ['serious', 'critical'].includes(one.impact)).map(
    one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 150)).join(' | ')}`)
));
"""

pytestmark = [
    pytest.mark.book,
    pytest.mark.skipif(not AXE, reason="AXE_CORE names no axe.min.js"),
]


@pytest.fixture(scope="module")
def driver():
    """One browser for all pages."""
    if reason := why_no_browser():
        pytest.skip(reason)
    assert HTML.is_dir(), "run `make book` first"
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site():
    """Address of a server of the built book."""
    with serve(HTML) as address:
        yield address


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", toc_pages(BOOK))
def test_nothing_serious(driver, site, page, dark):
    visit(driver, f"{site}/{page}.html", dark=dark)
    driver.execute_script(Path(AXE).read_text(encoding="utf-8"))
    assert driver.execute_async_script(FINDINGS) == []
