"""Chapters as blocks: the part of MyST Markdown that this book is written in.

A chapter is front matter and then blocks: text, fences (code, directives, code cells)
and display equations. This module finds them and knows nothing of what becomes of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

FENCE = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|:{3,}|~{3,})(?P<info>[^`]*)$")
DIRECTIVE = re.compile(r"^\{(?P<name>[\w:+.-]+)\}\s*(?P<argument>.*)$")
OPTION = re.compile(r"^:(?P<key>[\w-]+):(?:\s+(?P<value>.*))?$")
EQUATION_END = re.compile(r"\$\$\s*(?:\((?P<label>[\w:.-]+)\))?\s*$")
# A role with its content, a code span, or neither: code spans hide what is in them.
SPAN = re.compile(
    r"(?:\{(?P<role>[a-zA-Z][\w:.+-]*)\})?(?P<ticks>`+)(?P<content>.+?)(?<!`)(?P=ticks)(?!`)",
    re.S,
)


class ChapterError(ValueError):
    """Something in a chapter that the notebook writer cannot carry over."""


@dataclass
class Text:
    """Lines of ordinary Markdown, from `line` on."""

    source: list[str]
    line: int


@dataclass
class Equation:
    """A `$$` block."""

    body: str
    label: str | None
    line: int
    source: list[str]


@dataclass
class Fence:
    """A fenced block; `name` is None for code that is only shown.

    Attributes:
        name: the directive, or None.
        argument: what follows it on the line; for code, the language.
        options: `:key: value` lines or the YAML block at the head.
        body: the lines inside, without the options.
        line: number of the line that opens it.
        source: the lines as they stand, with both fences.
        indent: the spaces before the fence.
    """

    name: str | None
    argument: str
    options: dict
    body: list[str]
    line: int
    source: list[str]
    indent: str = ""

    @property
    def body_line(self) -> int:
        """Number of the first line of the body."""
        return self.line + len(self.source) - 1 - len(self.body)

    @property
    def tags(self) -> list[str]:
        """The tags of a code cell, written as YAML or with commas between them."""
        tags = self.options.get("tags", [])
        return tags if isinstance(tags, list) else re.findall(r"[\w-]+", tags)


Block = Text | Equation | Fence


def split_front_matter(source: str, where: str) -> tuple[dict, list[str], int]:
    """Take the YAML at the head off: its values, the other lines, the first's number.

    Raises:
        ChapterError: when the front matter does not make the file a notebook.
    """
    lines = source.splitlines()
    if not lines or lines[0].rstrip() != "---" or "---" not in lines[1:]:
        raise ChapterError(f"{where}: no front matter; copy it from another chapter")
    end = lines.index("---", 1)
    matter = yaml.safe_load("\n".join(lines[1:end])) or {}
    if matter.get("file_format") != "mystnb" or "kernelspec" not in matter:
        raise ChapterError(f"{where}: needs `file_format: mystnb` and a kernelspec")
    return matter, lines[end + 1 :], end + 2


def blocks(lines: list[str], line: int, where: str) -> Iterator[Block]:
    """Cut lines into blocks, in order. `line` is the number of the first one.

    Raises:
        ChapterError: for a fence or an equation that is never closed.
    """
    text: list[str] = []
    start = line
    at = 0
    while at < len(lines):
        opening = FENCE.match(lines[at])
        equation = lines[at].startswith("$$")
        if not opening and not equation:
            if not text:
                start = line + at
            text.append(lines[at])
            at += 1
            continue
        if text:
            yield Text(text, start)
            text = []
        if opening:
            end = _closing(lines, at, opening, f"{where}:{line + at}")
            yield _fence(lines[at : end + 1], opening, line + at, where)
        else:
            end = _equation_end(lines, at, f"{where}:{line + at}")
            whole = "\n".join(lines[at : end + 1])
            label = EQUATION_END.search(whole)["label"]
            body = EQUATION_END.sub("", whole)[2:].strip("\n")
            yield Equation(body, label, line + at, lines[at : end + 1])
        at = end + 1
    if text:
        yield Text(text, start)


def _closing(lines: list[str], at: int, opening: re.Match, where: str) -> int:
    mark = opening["mark"]
    shut = re.compile(rf"^ *{re.escape(mark[0])}{{{len(mark)},}}\s*$")
    for end in range(at + 1, len(lines)):
        if shut.match(lines[end]):
            return end
    raise ChapterError(f"{where}: the fence {mark}{opening['info']} is never closed")


def _equation_end(lines: list[str], at: int, where: str) -> int:
    for end in range(at, len(lines)):
        rest = lines[end][2:] if end == at else lines[end]
        if EQUATION_END.search(rest):
            return end
    raise ChapterError(f"{where}: the equation is never closed with $$")


def _fence(lines: list[str], opening: re.Match, line: int, where: str) -> Fence:
    indent = opening["indent"]
    body = [text.removeprefix(indent) for text in lines[1:-1]]
    directive = DIRECTIVE.match(opening["info"].strip())
    if directive is None:
        language = opening["info"].strip()
        return Fence(None, language, {}, body, line, lines, indent)
    try:
        options, taken = _options(body)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", error)
        raise ChapterError(f"{where}:{line}: options: {problem}") from None
    return Fence(
        name=directive["name"],
        argument=directive["argument"].strip(),
        options=options,
        body=body[taken:],
        line=line,
        source=lines,
        indent=indent,
    )


def _options(body: list[str]) -> tuple[dict, int]:
    """Read the options at the head of a directive; say how many lines they take."""
    if body and body[0].rstrip() == "---" and "---" in body[1:]:
        end = body.index("---", 1)
        options, taken = yaml.safe_load("\n".join(body[1:end])) or {}, end + 1
    else:
        options, taken = {}, 0
        while taken < len(body) and (option := OPTION.match(body[taken])):
            options[option["key"]] = option["value"] or ""
            taken += 1
    return options, taken


def replace_spans(text: str, role: Callable, plain: Callable) -> str:
    """Rewrite prose: `role(name, content)` for roles, `plain(text)` between spans.

    Code spans stay as they are. A span never crosses an empty line.
    """
    out = []
    for part in re.split(r"(\n[ \t]*\n)", text):
        at = 0
        for span in SPAN.finditer(part):
            out.append(plain(part[at : span.start()]))
            out.append(role(span["role"], span["content"]) if span["role"] else span[0])
            at = span.end()
        out.append(plain(part[at:]))
    return "".join(out)


def chapter_number(name: str) -> int | None:
    """The number in the name of a chapter's file: 9 for `book/09_window`."""
    match = re.match(r"(\d\d)_", Path(name).name)
    return int(match[1]) if match else None
