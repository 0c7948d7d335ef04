"""A page in a real browser: what it asks for, what it says, and how wide it gets.

Needs selenium, Chromium and its driver; on Debian `apt-get install chromium
chromium-driver`.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-default-apps --disable-extensions --disable-dev-shm-usage "
    "--hide-scrollbars"
).split()
# Answers when there is nothing left to typeset.
MATH_DONE = """
const done = arguments[arguments.length - 1];
const promise = window.MathJax && MathJax.startup && MathJax.startup.promise;
Promise.resolve(promise).then(() => document.fonts.ready).then(() => done(true));
"""


@dataclass(frozen=True)
class Message:
    """What a page wrote to the console; `level` is `SEVERE`, `WARNING` or `INFO`."""

    level: str
    text: str


def why_no_browser() -> str | None:
    """The reason why there is no browser to test with, None when there is one."""
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else None


@contextmanager
def open_browser() -> Iterator[webdriver.Chrome]:
    """Start Chromium with a profile of its own; close and remove both."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability(
        "goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"}
    )
    for flag in FLAGS:
        options.add_argument(flag)
    # The driver removes its service's files after the browser has let go of them.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options.add_argument(f"--user-data-dir={profile}")
        service = Service(shutil.which("chromedriver"))
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_page_load_timeout(60)
            driver.set_script_timeout(60)
            yield driver
        finally:
            driver.quit()


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine only; gives the address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def visit(
    driver: webdriver.Chrome,
    address: str,
    *,
    width: int = 1200,
    height: int = 900,
    dark: bool = False,
) -> None:
    """Load a page at a width in CSS pixels and wait until its equations stand."""
    theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": theme})
    # A window cannot be narrower than about 500 pixels; emulated metrics can.
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.get(address)
    driver.execute_async_script(MATH_DONE)


def console(driver: webdriver.Chrome) -> list[Message]:
    """What was written to the console since the last call."""
    return [Message(one["level"], one["message"]) for one in driver.get_log("browser")]


def requests(driver: webdriver.Chrome) -> list[str]:
    """Addresses that were asked for since the last call, those with data left out."""
    addresses = []
    for entry in driver.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            addresses.append(event["params"]["request"]["url"])
        elif event["method"] == "Network.webSocketCreated":
            addresses.append(event["params"]["url"])
    # chrome: is the browser's own first tab
    own = ("data:", "blob:", "chrome:")
    return [one for one in addresses if not one.startswith(own)]


def picture(driver: webdriver.Chrome, *, whole_page: bool) -> bytes:
    """The page as PNG, what the window shows or all of it."""
    options: dict = {"format": "png"}
    if whole_page:
        size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "scale": 1}
        clip |= {"width": size["width"], "height": size["height"]}
        options |= {"captureBeyondViewport": True, "clip": clip}
    return base64.b64decode(
        driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
    )
