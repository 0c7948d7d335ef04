"""Pages without three faults of the parts that make them.

The theme loads thebe, which this book does not use, and declares one of its constants
twice, which is an error in the console of every page. A list of references holds
entries that are no items of a list, so a screen reader hears neither how many there are
nor where one ends. The search field and the headings of hidden cells are named by other
words than those that stand on them, so who speaks to the page cannot press them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

# Names that are not the words on what they name, with what is around them.
MISNAMED = re.compile(
    r'(<button\b[^>]*\bsearch-button-field\b[^>]*) aria-label="Search"'
    r'|(<summary) aria-label="Toggle hidden content"'
)


def repair(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Change what the theme and docutils have made of a page, before it is written."""
    for files in (context["script_files"], context["css_files"]):
        files[:] = [one for one in files if not _is_of_thebe(one)]
    if "body" in context:
        context["body"] = context["body"].replace(
            'role="doc-biblioentry"', 'role="listitem"'
        )


def name(page: str) -> str:
    """Let what has words on it be named by them."""
    return MISNAMED.sub(lambda found: found[1] or found[2], page)


def name_controls(app: Sphinx, problem: Exception | None) -> None:
    """Do so in all pages; the event is `build-finished`."""
    if problem is not None or app.builder.format != "html":
        return
    for file in Path(app.outdir).rglob("*.html"):
        page = file.read_text(encoding="utf-8")
        if (named := name(page)) != page:
            file.write_text(named, encoding="utf-8")


def _is_of_thebe(file: Any) -> bool:
    body = getattr(file, "attributes", {}).get("body") or ""
    return "thebe" in f"{file} {body}".lower()


def setup(app: Sphinx) -> dict:
    """Register the extension; the theme adds its scripts before."""
    app.connect("html-page-context", repair, priority=900)
    app.connect("build-finished", name_controls)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
