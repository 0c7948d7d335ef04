"""Pages without two faults of the parts that make them.

The theme loads thebe, which this book does not use, and declares one of its constants
twice, which is an error in the console of every page. A list of references holds
entries that are no items of a list, so a screen reader hears neither how many there are
nor where one ends.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


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


def _is_of_thebe(file: Any) -> bool:
    body = getattr(file, "attributes", {}).get("body") or ""
    return "thebe" in f"{file} {body}".lower()


def setup(app: Sphinx) -> dict:
    """Register the extension; the theme adds its scripts before."""
    app.connect("html-page-context", repair, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
