"""What a label in the book points at: page, anchor, and the words for a link to it.

Sphinx knows this while it builds the book; a notebook has to know without building. The
numbers are Sphinx's: figures, tables, exercises and equations are counted by chapter,
and the chapter's number is the one in its file name.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from docutils.nodes import make_id
from myst import Equation, Fence, Text, blocks, chapter_number, split_front_matter
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.richtext import Text as RichText

TARGET = re.compile(r"^\(([\w:.-]+)\)=\s*$")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*$")
TERM = re.compile(r"^[^\s:`].*\S$")  # of a glossary: what is not indented
EXERCISES = ("exercise", "exercise-start")


@dataclass(frozen=True)
class Label:
    """Where a label is and what to call it.

    Attributes:
        page: name of the page, without folder and suffix.
        anchor: the id in the built page.
        kind: `section`, `figure`, `table`, `exercise`, `equation` or `term`.
        title: heading, caption or title as written; empty where there is none.
        number: as in `9.2`; empty for sections.
    """

    page: str
    anchor: str
    kind: str
    title: str
    number: str = ""

    @property
    def name(self) -> str:
        """What a link says when the author did not say it."""
        form = {"figure": "Fig. {}", "table": "Table {}", "exercise": "Exercise {}"}
        if self.kind == "equation":
            return f"({self.number})"
        return form[self.kind].format(self.number) if self.kind in form else self.title


def label_index(folder: Path) -> dict[str, Label]:
    """Read the labels of every page in `folder`.

    Raises:
        ValueError: when two places have the same label.
    """
    index: dict[str, Label] = {}
    for path in sorted(folder.glob("*.md")):
        for key, label in page_labels(path.stem, path.read_text(encoding="utf-8")):
            if key in index:
                raise ValueError(f"{path}: label {key} is also on {index[key].page}")
            index[key] = label
    return index


def page_labels(page: str, source: str) -> list[tuple[str, Label]]:
    """Labels of one page in order, each with what it points at."""
    if source.startswith("---"):
        lines, line = _after_front_matter(page, source)
    else:
        lines, line = source.splitlines(), 1
    number = chapter_number(page)
    return list(_walk(page, number, lines, line, Counter()))


def _after_front_matter(page: str, source: str) -> tuple[list[str], int]:
    if chapter_number(page) is not None:
        _, lines, line = split_front_matter(source, page)
        return lines, line
    end = source.splitlines().index("---", 1)
    return source.splitlines()[end + 1 :], end + 2


def _walk(page: str, chapter: int | None, lines: list[str], line: int, count: Counter):
    def numbered(kind: str) -> str:
        count[kind] += 1
        return f"{chapter}.{count[kind]}" if chapter is not None else str(count[kind])

    waiting: list[str] = []  # targets that still look for what they stand before
    for block in blocks(lines, line, page):
        if isinstance(block, Equation):
            if block.label:
                anchor = make_id(f"equation-{block.label}")
                label = Label(page, anchor, "equation", "", numbered("equation"))
                yield block.label, label
        elif isinstance(block, Text):
            for text in block.source:
                if target := TARGET.match(text):
                    waiting.append(target[1])
                elif text.strip():
                    heading = HEADING.match(text)
                    title = heading[2] if heading else ""
                    for key in waiting:
                        yield key, Label(page, make_id(key), "section", title)
                    waiting.clear()
        else:
            waiting.clear()
            yield from _fence_labels(page, block, numbered)
            if block.name not in (None, "code-cell"):
                yield from _walk(page, chapter, block.body, block.body_line, count)


def _fence_labels(page: str, fence: Fence, numbered):
    options = fence.options
    if fence.name == "math" and options.get("label"):
        key = options["label"]
        anchor = make_id(f"equation-{key}")
        yield key, Label(page, anchor, "equation", "", numbered("equation"))
    elif fence.name == "glossary":
        for line in fence.body:
            if TERM.match(line):
                plain = unicodedata.normalize("NFKD", line).encode("ascii", "ignore")
                anchor = re.sub(r"[^\w.-]+", "-", f"term-{plain.decode()}")
                yield f"term {line}", Label(page, anchor, "term", line)
    elif fence.name in EXERCISES:
        number = "" if "nonumber" in options else numbered("exercise")
        if key := options.get("label"):
            yield key, Label(page, key, "exercise", fence.argument, number)
    elif (caption := figure_caption(fence)) is not None:
        kind = "table" if fence.name == "table" else "figure"
        number = numbered(kind)
        if key := figure_options(fence).get("name"):
            yield key, Label(page, make_id(key), kind, caption, number)


def figure_options(fence: Fence) -> dict:
    """Name and caption of a code cell's figure, or the options of a directive."""
    if fence.name != "code-cell":
        return fence.options
    return (fence.options.get("mystnb") or {}).get("figure") or {}


def figure_caption(fence: Fence) -> str | None:
    """The caption of whatever is counted as a figure or table, None for the rest."""
    if fence.name == "figure":
        caption = "\n".join(fence.body).strip().split("\n\n")[0]
    elif fence.name == "table":
        caption = fence.argument
    elif fence.name == "code-cell":
        caption = str(figure_options(fence).get("caption") or "")
    else:
        caption = ""
    return caption.strip() or None


def read_bibliography(path: Path) -> BibliographyData:
    """Read `references.bib`; empty where there is none."""
    return parse_file(str(path)) if path.exists() else BibliographyData()


def author_and_year(entry: Entry) -> tuple[str, str]:
    """`("Carter *et al.*", "2016")`, for a citation in the text."""
    people = entry.persons.get("author", []) or entry.persons.get("editor", [])
    names = [
        str(RichText.from_latex(" ".join(who.prelast_names + who.last_names)))
        for who in people
    ]
    if len(names) > 2:
        author = f"{names[0]} *et al.*"
    else:
        author = " and ".join(names)
    return author, entry.fields.get("year", "n.d.")


def toc_pages(root: Path) -> list[str]:
    """Pages of the table of contents in order, as in `book/01_ink`."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = toc.get("parts", [{"chapters": toc.get("chapters", [])}])
    return [toc["root"], *(page for part in parts for page in _files(part["chapters"]))]


def _files(entries: list[dict]) -> Iterator[str]:
    for entry in entries:
        yield entry["file"]
        yield from _files(entry.get("sections", []))


def listed_modules(fence: Fence) -> list[str]:
    """Modules that a fence `{library-reference}` documents, in its order."""
    return [line.strip() for line in fence.body if line.strip()]


def module_pages(folder: Path) -> dict[str, str]:
    """The page of the reference for each module, as in `{"parts.lstm": "api/parts"}`.

    Raises:
        ValueError: when a module is listed twice.
    """
    pages: dict[str, str] = {}
    for path in sorted(folder.glob("api/*.md")):
        page = f"api/{path.stem}"
        for block in blocks(path.read_text(encoding="utf-8").splitlines(), 1, page):
            if not isinstance(block, Fence) or block.name != "library-reference":
                continue
            for module in listed_modules(block):
                if module in pages:
                    raise ValueError(f"{path}: {module} is also on {pages[module]}")
                pages[module] = page
    return pages
