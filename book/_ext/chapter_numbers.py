"""Number a chapter by its file name: `book/09_window` is chapter 9.

Sphinx counts the entries of the table of contents, so chapter 9 would become 2 as long
as others are missing. Figures, exercises and equations take their first number from
the chapter, and the notebook writer reads it from the file name as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from myst import chapter_number


def renumber(env: BuildEnvironment) -> None:
    """Replace the first part of every section number by the number in the file name."""
    for page, numbers in env.toc_secnumbers.items():
        chapter = chapter_number(page)
        if chapter is None:
            continue
        for anchor, number in numbers.items():
            if number:
                numbers[anchor] = (chapter, *number[1:])
        env.titles[page]["secnumber"] = [chapter]
        for reference in env.tocs[page].findall(nodes.reference):
            if reference.get("secnumber"):
                reference["secnumber"] = [chapter, *reference["secnumber"][1:]]


def install(app: Sphinx) -> None:
    """Wrap the numbering of sections, which runs right before that of figures.

    The collector of the table of contents has replaced that of Sphinx by then.
    """
    original = TocTreeCollectorWithStyles.assign_section_numbers
    if getattr(original, "by_file_name", False):
        return

    def assign(self, env: BuildEnvironment) -> list[str]:
        changed = original(self, env)
        renumber(env)
        return changed

    assign.by_file_name = True
    TocTreeCollectorWithStyles.assign_section_numbers = assign


def setup(app: Sphinx) -> dict:
    """Register the extension; other extensions have done their patching by then."""
    app.connect("builder-inited", install)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
