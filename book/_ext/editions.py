"""What is only in the book, and what is only in the notebooks.

Cells tagged `notebook-only` and the directive of that name are dropped before the page
is read, so that the cells are not run either. `{book-only}` shows what it contains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from myst import Fence, blocks, chapter_number, split_front_matter


class BookOnly(Directive):
    """Shows its content; the notebook writer leaves it out."""

    has_content = True

    def run(self) -> list:
        """Parse the content where the directive stands."""
        box = nodes.container(classes=["book-only"])
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


def is_for_notebooks(fence: Fence) -> bool:
    """Whether a fence has no place in the book."""
    if fence.name == "code-cell":
        return "notebook-only" in fence.tags
    return fence.name == "notebook-only"


def book_source(source: str, page: str) -> str:
    """A page without the lines of such fences, emptied so that line numbers stay."""
    if chapter_number(page) is None:
        return source
    lines = source.splitlines()
    _, body, first = split_front_matter(source, page)
    for block in blocks(body, first, page):
        if isinstance(block, Fence) and is_for_notebooks(block):
            end = block.line - 1 + len(block.source)
            lines[block.line - 1 : end] = [""] * len(block.source)
    return "\n".join(lines) + "\n"


def drop_notebook_parts(app: Sphinx, page: str, source: list[str]) -> None:
    """Change what Sphinx has read; the event is `source-read`."""
    source[0] = book_source(source[0], page)


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.add_directive("book-only", BookOnly)
    app.connect("source-read", drop_notebook_parts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
