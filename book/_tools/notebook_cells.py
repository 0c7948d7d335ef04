"""The blocks of a chapter, gathered into the cells of a notebook.

Text is cut at headings. Code cells keep nothing of their settings for the book. What
stands in a solution is folded: text in `<details>`, code behind a title.
"""

from __future__ import annotations

import re

from myst import Equation, Fence, Text
from notebook_markdown import (
    Context,
    convert_block,
    exercise_heading,
    figure_text,
    fold,
    solution_title,
)

KEPT_TAGS = ("hide-input", "hide-output", "hide-cell", "raises-exception")
NEW_CELL = re.compile(r"^(#{1,2} |\+\+\+)")


class Cells:
    """The cells of one notebook while they are collected."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.done: list[dict] = []
        self.words: list[str] = []
        self.solution: str | None = None  # the title, while inside a solution
        self.folds = 0  # text cells of that solution so far

    def add(self, block: Text | Equation | Fence) -> None:
        """Take the next block of the chapter."""
        if isinstance(block, Text):
            self._text(block)
        elif not isinstance(block, Fence):
            self.words.append(convert_block(block, self.context))
        elif block.name == "code-cell":
            self._code(block)
        elif block.name == "exercise-start":
            self.close_words()
            self.words.append(exercise_heading(block, self.context) + "\n")
        elif block.name == "exercise-end":
            self.close_words()
        elif block.name == "solution-start":
            self.close_words()
            self.solution = solution_title(block, self.context)
            self.folds = 0
        elif block.name == "solution-end":
            self.close_words()
            self.solution = None
        else:
            if block.name in ("exercise", "solution"):
                self.close_words()
            self.words.append(convert_block(block, self.context))

    def _text(self, block: Text) -> None:
        start = 0
        for at, line in enumerate(block.source):
            if NEW_CELL.match(line):
                self._words(block, start, at)
                self.close_words()
                start = at + 1 if line.startswith("+++") else at
        self._words(block, start, len(block.source))

    def _words(self, block: Text, start: int, end: int) -> None:
        part = Text(block.source[start:end], block.line + start)
        self.words.append(convert_block(part, self.context))

    def _code(self, fence: Fence) -> None:
        if "book-only" in fence.tags:
            return
        self.close_words()
        source = "\n".join(fence.body).strip("\n")
        metadata: dict = {}
        if tags := [tag for tag in fence.tags if tag in KEPT_TAGS]:
            metadata["tags"] = tags
        if self.solution:
            source = f"# @title {self.solution}\n{source}"
        if self.solution or {"hide-input", "hide-cell"} & set(tags):
            metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
        self.done.append(code_cell(source, metadata))
        if caption := figure_text(fence, self.context):
            self.done.append(markdown_cell(caption))

    def close_words(self) -> None:
        """End the text cell that is being collected."""
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(self.words)).strip("\n")
        self.words = []
        if not text.strip():
            return
        if self.solution:
            more = ", continued" if self.folds else ""
            text = fold(self.solution + more, text)
            self.folds += 1
        self.done.append(markdown_cell(text))


def markdown_cell(source: str) -> dict:
    """A text cell without an id."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code_cell(source: str, metadata: dict) -> dict:
    """A code cell without an id and without outputs."""
    empty = {"execution_count": None, "outputs": []}
    return {"cell_type": "code", "metadata": metadata, "source": source, **empty}
