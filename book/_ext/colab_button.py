"""Point the theme's Colab button at `notebooks/`, and only where a notebook is.

The theme would open the page's own source, and Colab does not read Markdown.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from myst import chapter_number
from project import read_project


def retarget(app: Sphinx, pagename: str, template: str, context: dict, doctree) -> None:
    """Set the button's address, or take the button away; on `html-page-context`."""
    groups = context.get("header_buttons", [])
    name = Path(pagename).name
    if pagename.startswith("book/") and chapter_number(name) is not None:
        for group in groups:
            if group.get("label") == "launch-buttons":
                for button in group["buttons"]:
                    button["url"] = read_project(Path(app.srcdir)).colab(name)
                    button["tooltip"] = "Run this chapter on Colab"
    else:
        groups[:] = [
            group for group in groups if group.get("label") != "launch-buttons"
        ]


def setup(app: Sphinx) -> dict:
    """Register the extension; 900 comes after the theme has made its buttons."""
    app.connect("html-page-context", retarget, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
