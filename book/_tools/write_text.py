"""Write handwriting_lib/corpora/book.txt: the prose of this book as a corpus of text.

Chapter 13 trains on it, so it is a snapshot that is made anew on purpose and not with
every change of a page: run this file when the chapters are finished, then train the
models again that were trained on it.

What is kept are whole sentences of the chapters and of the pages at the back: no code,
no displayed formulas, no headings, tables, captions or lists of references. Short
formulas such as M = 20 stay, and code that is one word; a sentence with another formula
or other code in it is left out. A paragraph is a line. Everything is ASCII, so that
the hand can write whatever is composed from it. The chapters come last, because the
last tenth of a text is what training holds out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from labels import Label, label_index, toc_pages
from myst import FENCE, Equation, Fence, Text, blocks, chapter_number, replace_spans
from notebook_markdown import ADMONITIONS, TARGET_LINE, TITLED

from handwriting_lib.alphabet import missing, to_ascii

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "handwriting_lib" / "corpora" / "book.txt"
LEFT_OUT = ("api", "references", "results")  # not prose, or written by a tool
KEPT = {"admonition", "dropdown", "exercise", "solution", "glossary", *ADMONITIONS}
HOLE = "\x00"  # where something stood that no sentence can do without
WORD = re.compile(r"`([A-Za-z]+)`")
GREEK = "alpha|beta|epsilon|kappa|lambda|mu|phi|pi|rho|sigma|theta"
FORMULA = re.compile(
    rf"\$((?:\\(?:{GREEK})(?![a-z])|[A-Za-z0-9 =+.,<>-])+)\$"
)  # M = 20
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]+\)")
SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')]))\s+(?=[\"'(]*[A-Z])")
WHOLE = re.compile(r"[\"'(]*[A-Z].*[.!?][\"')]*$")


def pages() -> list[Path]:
    """The pages in the order of the corpus: the back matter, then the chapters."""
    names = [name for name in toc_pages(ROOT) if not {*name.split("/")} & {*LEFT_OUT}]
    names.sort(key=lambda name: chapter_number(name) or 0)  # stable: the rest first
    return [ROOT / f"{name}.md" for name in names]


def texts(lines: list[str], where: str) -> Iterator[list[str]]:
    """The lines of running text, also of what stands in boxes; a hole per equation."""
    for block in blocks(lines, 1, where):
        if isinstance(block, Text):
            yield block.source
        elif isinstance(block, Equation):
            yield [HOLE]
        elif isinstance(block, Fence) and block.name in KEPT:
            body = block.body
            if block.name == "glossary":  # what is not indented is a term
                body = [line.strip() if line.startswith(" ") else "" for line in body]
            yield [""]
            yield from texts(body, where)


def plain(text: str, labels: dict[str, Label]) -> str:
    """Markdown as plain text, with holes for code and formulas."""

    def role(name: str | None, content: str) -> str:
        titled = TITLED.match(content := " ".join(content.split()))
        if name in ("term", "doc"):
            return titled["title"] if titled else content
        if name in ("ref", "numref") and titled and "%s" not in titled["title"]:
            return titled["title"]
        if name in ("ref", "numref", "eq") and content in labels:
            return labels[content].name
        return "" if name in ("cite", "cite:p") else HOLE

    text = replace_spans(text, role, lambda part: part)
    text = re.sub(r"(?s)(`+).+?\1", HOLE, WORD.sub(r"\1", text))
    text = FORMULA.sub(lambda formula: formula[1].replace("\\", ""), text)
    text = re.sub(r"(?s)\$.+?\$", HOLE, text)
    text = re.sub(r"\{\{.*?\}\}", HOLE, text)
    text = LINK.sub(r"\1", text)
    text = re.sub(r"(?<!\w)([*_]{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)", r"\2", text)
    return re.sub(r"\s+([.,;:!?])", r"\1", text)


def paragraphs(lines: list[str]) -> Iterator[str]:
    """Paragraphs and items of lists, each on one line."""
    kept: list[str] = []
    for line in [*lines, ""]:
        item = re.match(r"\s*(?:[-*+]|\d+\.|:)\s+(.*)", line)
        ends = not line.strip() or item or re.match(r"#|\||%|> |\+\+\+", line)
        if ends or TARGET_LINE.match(line) or FENCE.match(line):
            if kept:
                yield " ".join(kept)
            kept = [item[1]] if item else []
        else:
            kept.append(line.strip())
    if kept:
        yield " ".join(kept)


def sentences(paragraph: str) -> Iterator[str]:
    """The sentences of a paragraph that are whole and hold what the hand can write."""
    for sentence in SENTENCE_END.split(paragraph):
        sentence = to_ascii(" ".join(sentence.split()))
        if WHOLE.match(sentence) and not missing(sentence) and "\\" not in sentence:
            yield sentence


def prose(path: Path, labels: dict[str, Label]) -> list[str]:
    """The paragraphs of one page."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines[0] == "---":
        lines = lines[lines.index("---", 1) + 1 :]
    running = [line for part in texts(lines, path.name) for line in part]
    made = (plain(text, labels) for text in paragraphs(running))
    return [line for text in made if (line := " ".join(sentences(text)))]


def main() -> int:
    labels = label_index(ROOT / "book")
    lines = [line for page in pages() for line in prose(page, labels)]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(lines):,} paragraphs, {TARGET.stat().st_size:,} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
