"""The book's first page: how much it loads, how long until it writes, what moves.

Each opening is in a browser of its own, which has nothing of the page in store.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from dataclasses import dataclass

import pytest
from labels import toc_pages
from PIL import Image
from places import BOOK
from project import read_project

import handwriting_lib as hw
from tests.seen import SHIFTS

pytest.importorskip("selenium")
import build_book
from browser import open_browser, serve, why_no_browser

pytestmark = pytest.mark.book

HTML = BOOK / "_build" / "html"
PAGE = f"{toc_pages(BOOK)[0]}.html"
MOST_BYTES = 3_500_000
MOST_SHIFT = 0.02
MOST_SECONDS = 2.0
NOT_HERE = ("mathjax", "fontawesome.js", "searchindex")  # nothing needs them
QUIET = 1.0  # seconds without a new event of the network
# Answers when the Studio has drawn its first points: milliseconds since the navigation
# began, and the hands that the reader can choose, null where there are none.
FIRST_INK = """
const done = arguments[0];
const look = () => {
  const [mark] = performance.getEntriesByName('first ink');
  if (!mark) return setTimeout(look, 20);
  const root = document.querySelector('[data-live]').shadowRoot;
  const hands = [...root.querySelectorAll('select')].find(
    one => one.labels[0].textContent.startsWith('Hand'));
  done([mark.startTime, hands ? [...hands.options].map(one => one.textContent) : null]);
};
look();
"""


@dataclass
class Opening:
    """One opening of the page.

    Attributes:
        seconds: until the first ink.
        shift: sum of the layout shifts until then, as browsers score them.
        hands: to choose from, or None.
        sizes: bytes of each answer, headers included, by address.
        failed: addresses that did not load.
    """

    seconds: float
    shift: float
    hands: list[str] | None
    sizes: dict[str, int]
    failed: list[str]


def open_page(address: str, width: int = 1200) -> Opening:
    """Open the page, and wait until it has ink and asks for nothing more."""
    with open_browser() as driver:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(address)
        milliseconds, hands = driver.execute_async_script(FIRST_INK)
        asked: dict[str, str] = {}  # number of a request to its address
        bytes_of: dict[str, int] = {}
        failed: set[str] = set()
        quiet = time.monotonic()
        while time.monotonic() - quiet < QUIET:
            for entry in driver.get_log("performance"):
                event = json.loads(entry["message"])["message"]
                kind, given = event["method"], event["params"]
                if not kind.startswith("Network."):
                    continue
                quiet = time.monotonic()
                if kind == "Network.requestWillBeSent":
                    asked[given["requestId"]] = given["request"]["url"]
                elif kind == "Network.loadingFinished":
                    bytes_of[given["requestId"]] = given["encodedDataLength"]
                elif kind == "Network.loadingFailed":
                    failed.add(given["requestId"])
            time.sleep(0.05)
        shift = driver.execute_async_script(SHIFTS)
    own = ("data:", "blob:", "chrome:")  # these never leave the browser
    asked = {key: url for key, url in asked.items() if not url.startswith(own)}
    sizes: dict[str, int] = {}
    for key, url in asked.items():
        sizes[url] = sizes.get(url, 0) + bytes_of.get(key, 0)
    lost = [url for key, url in asked.items() if key in failed or key not in bytes_of]
    return Opening(milliseconds / 1000, shift, hands, sizes, lost)


@pytest.fixture(scope="module")
def openings():
    """The page from a local server, several times."""
    if reason := why_no_browser():
        pytest.skip(reason)
    if not (HTML / PAGE).exists():
        assert build_book.main(["--root", str(BOOK)]) == 0
    with serve(HTML) as site:
        yield [open_page(f"{site}/{PAGE}", width) for width in (1200, 360, 1200)]


def test_everything_comes_from_the_book_itself(openings):
    for one in openings:
        [site] = [url.removesuffix(PAGE) for url in one.sizes if url.endswith(PAGE)]
        assert [url for url in one.sizes if not url.startswith(site)] == []
        assert one.failed == []


def test_the_whole_transfer_is_below_3_5_megabytes(openings):
    for one in openings:
        packs = [size for url, size in one.sizes.items() if url.endswith(".bin")]
        files = [path.stat().st_size for path in HTML.glob("_static/packs/*.bin")]
        assert len(packs) == 1 and packs[0] >= min(files)  # the sizes are real ones
        largest = sorted(one.sizes.items(), key=lambda pair: -pair[1])[:5]
        assert sum(one.sizes.values()) < MOST_BYTES, largest
        names = " ".join(one.sizes)
        assert [part for part in NOT_HERE if part in names] == []


def test_a_copy_on_the_disk_loads_as_little():
    opening = open_page((HTML / PAGE).resolve().as_uri())
    paths = [url.partition("/html/")[2].partition("?")[0] for url in opening.sizes]
    files = [HTML / path for path in paths]
    assert any(file.suffix == ".js" and "packs" in file.parts for file in files)
    assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_nothing_moves_when_the_ink_replaces_the_still_line(openings):
    assert [one.shift for one in openings if one.shift >= MOST_SHIFT] == []


def test_a_link_to_the_page_shows_its_first_figure():
    page = (HTML / PAGE).read_text(encoding="utf-8")
    found = dict(re.findall(r'<meta property="(og:\w+)" content="([^"]*)"', page))
    site = read_project(BOOK).site
    card = HTML / found["og:image"].removeprefix(f"{site}/")
    assert found["og:url"] == f"{site}/{PAGE}"
    assert found["og:title"] and len(found["og:description"]) > 60
    with Image.open(card) as image:
        assert image.size == (1200, 630)


def test_the_first_ink_is_there_within_2_seconds(openings):
    """The median: one opening may meet a machine that is busy."""
    seconds = [one.seconds for one in openings]
    assert statistics.median(seconds) < MOST_SECONDS, seconds


def test_the_hands_of_the_network_can_be_chosen(openings):
    [pack] = [url for url in openings[0].sizes if url.endswith(".bin")]
    model = pack.split("/")[-1].rpartition("-")[0]
    names = hw.style_names(hw.load_pretrained(model))
    expected = ["its own", *names] if names else None
    assert [one.hands for one in openings] == [expected] * len(openings)
