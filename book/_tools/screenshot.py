"""Take a picture of a page of the built book, for people who look at pages.

python book/_tools/screenshot.py book/09_window --width 360 --dark --whole out.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from browser import open_browser, picture, serve, visit, why_no_browser
from project import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Picture of a page of the book.")
    parser.add_argument("page", help="as in book/09_window; #place scrolls there")
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--width", type=int, default=1200, help="in CSS pixels")
    parser.add_argument("--height", type=int, default=900, help="in CSS pixels")
    parser.add_argument("--dark", action="store_true", help="the dark theme")
    parser.add_argument("--whole", action="store_true", help="the page to its end")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    options = parser.parse_args(arguments)
    page, _, place = options.page.removesuffix(".html").partition("#")
    if not (options.html / f"{page}.html").exists():
        print(f"{options.html / page}.html: build the book first", file=sys.stderr)
        return 1
    if reason := why_no_browser():
        print(reason, file=sys.stderr)
        return 1
    with serve(options.html) as site, open_browser() as driver:
        address = f"{site}/{page}.html" + (f"#{place}" if place else "")
        size = {"width": options.width, "height": options.height}
        visit(driver, address, **size, dark=options.dark)
        options.out.write_bytes(picture(driver, whole_page=options.whole))
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
