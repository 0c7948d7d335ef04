"""The book's first page in Chromium: what it loads, and how soon it writes.

`make book` comes first. The page is opened in a fresh browser under each condition,
from a server on this machine that compresses text with gzip, as public hosts do, and
from the disk. It is watched until the Studio has written its first line. The conditions
are measured by turns, and each figure is the median of the rounds; the load of the
machine is recorded beside them, because other work slows all of them down.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from . import ROOT

HTML = ROOT / "_build" / "html"
PAGE = "book/index.html"
SLOW = 1.6  # Mbit/s, with a round trip of so many milliseconds: a slow mobile network
ROUND_TRIP = 150
SETTLED = 1.0  # seconds after the last event of the network and the end of the line
PATIENCE = 120.0  # seconds to wait for a line
# What a server compresses; weights and fonts are sent as they are.
TEXT = ("text/", "image/svg", "application/json", "application/javascript")
OWN = ("data:", "blob:", "chrome:", "devtools:")  # these never leave the browser

# Runs before the page's own scripts.
WATCH = """
window.watched = {shift: 0, tasks: []};
new PerformanceObserver(list => list.getEntries().forEach(one => {
  if (!one.hadRecentInput) watched.shift += one.value;
})).observe({type: 'layout-shift', buffered: true});
new PerformanceObserver(list => list.getEntries().forEach(
  one => watched.tasks.push(one.duration)
)).observe({type: 'longtask', buffered: true});
"""
SEEN = """
const [ink] = performance.getEntriesByName('first ink');
const root = document.querySelector('[data-live]')?.shadowRoot;
const [paint] = performance.getEntriesByName('first-contentful-paint');
return {ink: ink?.startTime ?? null, paint: paint?.startTime ?? null,
        said: [...root?.querySelectorAll('[role=status]') ?? []].map(
          one => one.textContent).join(' '), ...watched};
"""


@dataclass(frozen=True)
class Condition:
    """How the page is opened.

    Attributes:
        scheme: `http`, or `file` for a copy of the book on the disk.
        network: Mbit/s, or None for no limit.
        processor: how many times the processor is slowed.
        width: of the window, in CSS pixels.
    """

    scheme: str = "http"
    network: float | None = None
    processor: int = 1
    width: int = 1200

    @property
    def name(self) -> str:
        speed = "fast" if self.network is None else f"{self.network} Mbit/s"
        where = "disk" if self.scheme == "file" else speed
        return f"{where}, processor {self.processor}x, {self.width} px"


CONDITIONS = [
    Condition("http", network, processor, width)
    for network in (None, SLOW)
    for processor in (1, 4)
    for width in (1200, 360)
] + [Condition("file", None, processor, 1200) for processor in (1, 4)]


@dataclass(frozen=True)
class Opening:
    """One opening of the page.

    Attributes:
        first_ink: seconds until the Studio has drawn its first points.
        first_paint: seconds until the first text or picture is shown.
        layout_shift: sum of the layout shifts, as browsers score them.
        longest_task: milliseconds of the longest task of the main thread.
        long_tasks: number of tasks over 50 milliseconds.
        requests: number of files.
        transfer: bytes received, headers included and text compressed.
        uncompressed: bytes of the files themselves.
        load: load average of the machine when it began.
    """

    first_ink: float
    first_paint: float
    layout_shift: float
    longest_task: float
    long_tasks: int
    requests: int
    transfer: int
    uncompressed: int
    load: float


@contextlib.contextmanager
def serve_compressed(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine, text compressed with gzip; gives the address."""
    packed: dict[Path, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = (folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
            if not path.is_relative_to(folder.resolve()) or not path.is_file():
                self.send_error(404)
                return
            kind = guess_type(path.name)[0] or "application/octet-stream"
            content = path.read_bytes()
            self.send_response(200)
            if kind.startswith(TEXT):
                if path not in packed:
                    packed[path] = gzip.compress(content, 6)
                content = packed[path]
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()


def open_page(address: str, condition: Condition) -> Opening:
    """Open the page in a browser of its own, and watch it until its line is written."""
    from browser import open_browser

    load = os.getloadavg()[0]
    with open_browser() as driver:
        cdp = driver.execute_cdp_cmd
        size = {"width": condition.width, "height": 900, "deviceScaleFactor": 1}
        cdp("Emulation.setDeviceMetricsOverride", {**size, "mobile": False})
        cdp("Emulation.setCPUThrottlingRate", {"rate": condition.processor})
        cdp("Network.enable", {})
        cdp("Network.setCacheDisabled", {"cacheDisabled": False})
        if condition.network is not None:
            speed = condition.network * 1e6 / 8
            limits = {"downloadThroughput": speed, "uploadThroughput": speed}
            limits |= {"offline": False, "latency": ROUND_TRIP}
            cdp("Network.emulateNetworkConditions", limits)
        cdp("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        driver.get_log("performance")
        driver.get(address)
        addresses: dict[str, str] = {}
        received: Counter[str] = Counter()
        bare: Counter[str] = Counter()
        began = quiet = time.monotonic()
        while True:
            for entry in driver.get_log("performance"):
                event = json.loads(entry["message"])["message"]
                kind, given = event["method"], event["params"]
                if kind == "Network.requestWillBeSent":
                    addresses[given["requestId"]] = given["request"]["url"]
                elif kind == "Network.dataReceived":
                    bare[given["requestId"]] += given["dataLength"]
                elif kind == "Network.loadingFinished":
                    received[given["requestId"]] = int(given["encodedDataLength"])
                else:
                    continue
                quiet = time.monotonic()
            seen = driver.execute_script(SEEN)
            written = seen["ink"] is not None and "a second" in seen["said"]
            if written and time.monotonic() - quiet > SETTLED:
                break
            if time.monotonic() - began > PATIENCE:
                raise RuntimeError(f"no line after {PATIENCE:.0f} s: {seen['said']!r}")
            time.sleep(0.2)
    files = [key for key, url in addresses.items() if not url.startswith(OWN)]
    return Opening(
        first_ink=seen["ink"] / 1000,
        first_paint=(seen["paint"] or 0) / 1000,
        layout_shift=seen["shift"],
        longest_task=max(seen["tasks"], default=0.0),
        long_tasks=len(seen["tasks"]),
        requests=len(files),
        transfer=sum(received[key] for key in files),
        uncompressed=sum(bare[key] or received[key] for key in files),
        load=load,
    )


def run(rounds: int) -> dict[str, Any]:
    """Open the page under every condition, by turns.

    Args:
        rounds: number of times that each condition is measured.
    """
    sys.path.append(str(ROOT / "book" / "_tools"))
    from browser import why_no_browser

    if reason := why_no_browser():
        raise SystemExit(f"this benchmark needs a web browser: {reason}")
    if not (HTML / PAGE).is_file():
        raise SystemExit(f"there is no {HTML / PAGE}: run `make book` first")
    openings: dict[str, list[Opening]] = {one.name: [] for one in CONDITIONS}
    with serve_compressed(HTML) as site:
        roots = {"http": site, "file": HTML.resolve().as_uri()}
        for _ in range(rounds):
            for one in CONDITIONS:
                address = f"{roots[one.scheme]}/{PAGE}"
                openings[one.name].append(open_page(address, one))
    return {
        "title": "The first page of the book in headless Chromium",
        "setting": {"rounds": rounds, "slow network": SLOW, "round trip": ROUND_TRIP},
        "load average": [
            min(o.load for found in openings.values() for o in found),
            max(o.load for found in openings.values() for o in found),
        ],
        "median": {name: median(found) for name, found in openings.items()},
        "openings": {
            name: [asdict(one) for one in found] for name, found in openings.items()
        },
    }


def median(openings: list[Opening]) -> dict[str, float]:
    """The median of each figure over openings under one condition."""
    rows = [asdict(one) for one in openings]
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def table(result: Mapping[str, Any]) -> str:
    """Format a result as a table for a terminal."""
    rows = result["median"]
    width = max(map(len, rows))
    low, high = result["load average"]
    head = "   ink s  paint s  shift  longest ms  tasks  files    sent MB  (bare)  load"
    lines = [f"{result['title']}; load {low:.2f} to {high:.2f}", "", " " * width + head]
    for name, row in rows.items():
        lines.append(
            f"{name:{width}}  {row['first_ink']:6.2f}  {row['first_paint']:7.2f}  "
            f"{row['layout_shift']:5.3f}  {row['longest_task']:10.0f}  "
            f"{row['long_tasks']:5.0f}  {row['requests']:5.0f}  "
            f"{row['transfer'] / 1e6:9.3f}  {row['uncompressed'] / 1e6:6.3f}  "
            f"{row['load']:4.2f}"
        )
    return "\n".join(lines)
