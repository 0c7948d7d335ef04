"""Every page of the built book, as a file and in a real browser.

`make book` comes first; without it the book is built here.
"""

import json
import re
from urllib.parse import urlsplit

import pytest
from labels import toc_pages
from myst import chapter_number
from places import BOOK
from project import read_project
from site_pages import broken_links, leads_somewhere, read_page

pytest.importorskip("selenium")
import build_book
from browser import console, open_browser, requests, serve, visit, why_no_browser

pytestmark = [pytest.mark.book, pytest.mark.unhurried]

PAGES = toc_pages(BOOK)
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|\b\w*Warning: ")
MATH = """
const shown = document.querySelectorAll('article .math');
const wrong = [...shown].filter(one => !one.querySelector('mjx-container'));
return {missing: wrong.map(one => one.textContent),
        errors: [...document.querySelectorAll('mjx-merror, [data-mjx-error]')]
                .map(one => one.getAttribute('data-mjx-error') || one.textContent)};
"""
WIDE = """
const limit = window.innerWidth;
const root = document.documentElement;
if (root.scrollWidth <= limit) return [];
const out = [...document.querySelectorAll('article *')].filter(
  one => one.getBoundingClientRect().right > limit + 1);
return [`page ${root.scrollWidth} > ${limit}`].concat(
  out.slice(0, 5).map(one => one.outerHTML.slice(0, 120)));
"""
UNLOADED = """
return [...document.images].filter(one => one.offsetParent && !one.naturalWidth)
  .map(one => one.src);
"""

WIDGETS = """
const done = arguments[0];
const see = () => [...document.querySelectorAll('figure[data-widget]')].map(one => {
  const root = one.querySelector('[data-live]')?.shadowRoot;
  return {live: Boolean(root?.querySelector('canvas, svg, button')),
          still: Boolean(one.querySelector('[data-still]')),
          theme: root?.querySelector('.widget')?.dataset.theme};
});
const since = performance.now();
const look = () => {
  const seen = see();
  const ready = seen.every(one => one.live && !one.still);
  if (ready || performance.now() - since > 5000) return done(seen);
  setTimeout(look, 20);
};
look();
"""


@pytest.fixture(scope="session")
def html():
    """The folder of the built book."""
    folder = BOOK / "_build" / "html"
    if not (folder / f"{PAGES[0]}.html").exists():
        assert build_book.main(["--root", str(BOOK)]) == 0
    return folder


@pytest.fixture(scope="module")
def driver():
    """One browser for all pages; a page that stays open keeps a core busy."""
    if reason := why_no_browser():
        pytest.skip(reason)
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def site(html):
    """Address of a server of the built book."""
    with serve(html) as address:
        yield address


def look(driver, address, allowed_start, width):
    """Visit a page and check what any page must hold; `address` may be a file."""
    console(driver)
    requests(driver)
    visit(driver, address, width=width)
    asked = requests(driver)
    assert asked, "the browser's log is empty"
    outside = [one for one in asked if not one.startswith(allowed_start)]
    assert outside == []
    assert [one.text for one in console(driver) if one.level != "INFO"] == []
    assert driver.execute_script(MATH) == {"missing": [], "errors": []}
    assert driver.execute_script(WIDE) == []
    assert driver.execute_script(UNLOADED) == []


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("page", PAGES)
def test_from_a_server(driver, site, page, width):
    look(driver, f"{site}/{page}.html", f"{site}/", width)


@pytest.mark.parametrize("page", PAGES)
def test_from_a_downloaded_folder(driver, html, page):
    folder = html.resolve().as_uri()
    look(driver, f"{folder}/{page}.html", f"{folder}/", 1200)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 360])
def test_widgets_live_on_the_pages(driver, html, width, dark):
    """Each one has taken over, from the disk, in the theme of its page."""
    pages = [html / f"{page}.html" for page in PAGES]
    pages = [page for page in pages if "data-widget" in page.read_text("utf-8")]
    assert {"01_ink.html", "09_window.html"} <= {page.name for page in pages}
    for page in pages:
        visit(driver, page.resolve().as_uri(), width=width, dark=dark)
        seen = driver.execute_async_script(WIDGETS)
        assert seen, page.name
        for widget in seen:
            theme = "dark" if dark else "light"
            assert widget == {"live": True, "still": False, "theme": theme}, page.name


def test_the_browser_sees_what_is_wrong(driver, tmp_path):
    """The checks above would be silent if the browser's logs were."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<article style='width: 3000px'><img src='http://localhost:9/x.png'>"
        "<span class='math'>x</span></article><script>nothing()</script>"
    )
    console(driver)
    requests(driver)
    visit(driver, bad.as_uri(), width=360)
    assert "http://localhost:9/x.png" in requests(driver)
    assert any("nothing is not defined" in one.text for one in console(driver))
    assert driver.execute_script(MATH)["missing"] == ["x"]
    assert driver.execute_script(WIDE)[0] == "page 3008 > 360"


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_book_lead_somewhere(html, page):
    assert broken_links(html / f"{page}.html") == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_words(html, page):
    images = read_page(html / f"{page}.html").images
    short = [one for one in images if len(one.get("alt", "").split()) <= 3]
    assert short == []


@pytest.mark.parametrize("page", PAGES)
def test_outputs_hold_no_traceback_and_no_warning(html, page):
    for output in read_page(html / f"{page}.html").outputs:
        assert not TRACEBACK.search(output), output


@pytest.mark.parametrize("page", PAGES)
def test_colab_button_where_a_notebook_is(html, page):
    links = read_page(html / f"{page}.html").links
    colab = [link for link in links if urlsplit(link).netloc.startswith("colab.")]
    name = page.split("/")[-1]
    if chapter_number(page) is None:
        assert colab == []
    else:
        assert colab == [read_project(BOOK).colab(name)]
        assert (BOOK / "notebooks" / f"{name}.ipynb").exists()


@pytest.mark.parametrize("page", [one for one in PAGES if chapter_number(one)])
def test_links_of_a_notebook_lead_into_the_book(html, page):
    site = read_project(BOOK).site
    path = BOOK / "notebooks" / f"{page.split('/')[-1]}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    words = "".join("".join(cell["source"]) for cell in cells)
    links = re.findall(rf"\({re.escape(site)}/([^)\s#]+)#?([^)\s]*)\)", words)
    assert links
    broken = [one for one in links if not leads_somewhere(html / one[0], one[1])]
    assert broken == []
