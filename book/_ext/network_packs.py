"""The networks that write in the pages: beside them, once for the whole site.

A page of the Studio names the pack that it wants; after the build those packs, and no
others, are written to `_static/packs`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from project import PACKS

WANTED = re.compile(r'"name":"([\w.-]+)","folder":"' + re.escape(PACKS) + '"')


def wanted(html: Path) -> set[str]:
    """Names of the packs that the pages of a folder ask for."""
    pages = (page.read_text(encoding="utf-8") for page in html.glob("book/*.html"))
    return {name for text in pages for name in WANTED.findall(text)}


def write_packs(app: Sphinx, problem: Exception | None) -> None:
    """Write them; the event is `build-finished`."""
    if problem is not None or app.builder.format != "html":
        return
    if not (names := wanted(Path(app.outdir))):
        return
    from handwriting_lib.widgets.studio import write_pack

    folder = Path(app.outdir) / "book" / PACKS
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(names):
        write_pack(name, folder)


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("build-finished", write_packs)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
