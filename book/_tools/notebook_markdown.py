"""MyST Markdown to Markdown that any notebook shows.

Everything the book's pages may contain has its counterpart here; what has none is an
error with file and line, so that nothing leaks into a notebook.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from labels import Label, author_and_year, figure_caption
from myst import ChapterError, Equation, Fence, Text, blocks, replace_spans
from project import Project
from pybtex.database import BibliographyData

ADMONITIONS = (
    "note tip hint important warning caution attention danger error seealso".split()
)
PYTHON_ROLES = "func class meth attr mod data obj exc".split()
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
LINK_END = re.compile(r"\]\((?P<target>(?:#|repo:|[\w./-]+\.md\b)[^()\s]*)\)")
TITLED = re.compile(r"(?P<title>.*\S)\s*<(?P<target>[^<>]+)>$", re.S)
SUBSTITUTION = re.compile(r"\{\{\s*(\w+)\s*\}\}")
TARGET_LINE = re.compile(r"^\([\w:.-]+\)=\s*$")
EXTERNAL = re.compile(r"^(https?:|mailto:)")


@dataclass(frozen=True)
class Context:
    """What the words of one chapter may refer to."""

    project: Project
    labels: dict[str, Label]
    bibliography: BibliographyData
    page: str
    modules: dict[str, str]

    def error(self, line: int, message: str) -> ChapterError:
        """An error that says where."""
        return ChapterError(f"book/{self.page}.md:{line}: {message}")

    def label(self, key: str, line: int) -> Label:
        """Look a label up."""
        if key not in self.labels:
            raise self.error(line, f"nothing in the book has the label {key!r}")
        return self.labels[key]

    def address(self, label: Label) -> str:
        """Where a label is on the site."""
        return self.project.page(label.page, label.anchor)

    def documented(self, name: str, line: int) -> str:
        """Where the reference documents a name of the library."""
        module = name.removeprefix("handwriting_lib.")
        while module and module not in self.modules:
            module = module.rpartition(".")[0]
        if not module:
            raise self.error(line, f"no page of the reference documents {name!r}")
        return self.project.page(self.modules[module], name)


def convert(lines: list[str], line: int, context: Context) -> str:
    """Convert lines without code cells in them; `line` numbers the first."""
    parts = []
    for block in blocks(lines, line, f"book/{context.page}.md"):
        parts.append(convert_block(block, context))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).strip("\n")


def convert_block(block: Text | Equation | Fence, context: Context) -> str:
    """Convert one block."""
    if isinstance(block, Text):
        return _text(block, context)
    if isinstance(block, Equation):
        return _equation(block.body, block.label, block.line, context)
    if block.name is None:
        return "\n".join(block.source)
    markdown = _directive(block, context)
    return "\n".join(f"{block.indent}{line}".rstrip() for line in markdown.split("\n"))


def _text(block: Text, context: Context) -> str:
    kept = [
        "" if TARGET_LINE.match(line) or line.startswith("%") else line
        for line in block.source
    ]
    return prose("\n".join(kept), block.line, context)


def prose(text: str, line: int, context: Context) -> str:
    """Convert roles, links and substitutions; code spans stay as they are."""

    def plain(part: str) -> str:
        part = LINK.sub(lambda match: _link(match, line, context), part)
        part = LINK_END.sub(  # a link whose text has a code span in it
            lambda match: f"]({_target(match['target'], line, context)[0]})", part
        )
        known = context.project.substitutions()
        return SUBSTITUTION.sub(lambda match: known.get(match[1], match[0]), part)

    def role(name: str, content: str) -> str:
        return _role(name, content, line, context)

    return replace_spans(text, role, plain)


def _link(match: re.Match, line: int, context: Context) -> str:
    target = match["target"]
    if EXTERNAL.match(target):
        return match[0]
    if match["image"]:
        if len(match["text"].split()) < 3:
            raise context.error(line, f"{target}: the image needs a longer alt text")
        return f"![{match['text']}]({context.project.raw(f'book/{target}')})"
    address, name = _target(target, line, context)
    return f"[{match['text'] or name}]({address})"


def _target(target: str, line: int, context: Context) -> tuple[str, str]:
    """Where a link of the book leads, and what to call it."""
    if EXTERNAL.match(target):
        return target, target
    if target.startswith("repo:"):
        path = target.removeprefix("repo:")
        return context.project.file(path), path
    page, _, anchor = target.partition("#")
    if not page:
        label = context.label(anchor, line)
        return context.address(label), label.name
    if not page.endswith(".md"):
        raise context.error(line, f"{target}: link to a page (.md), a label or a site")
    return context.project.page(Path(page).stem, anchor), Path(page).stem


def _role(name: str, content: str, line: int, context: Context) -> str:
    content = " ".join(content.split())
    titled = TITLED.match(content)
    title, target = (titled["title"], titled["target"]) if titled else ("", content)
    if name in ("ref", "numref", "eq"):
        label = context.label(target, line)
        title = title.replace("%s", label.number) if name == "numref" else title
        return f"[{title or label.name}]({context.address(label)})"
    if name == "term":
        label = context.label(f"term {target}", line)
        return f"[{title or label.name}]({context.address(label)})"
    if name == "doc":
        stem = Path(target).name
        return f"[{title or stem}]({context.project.page(stem)})"
    if name in ("cite", "cite:p", "cite:t"):
        return _citation(content.split(","), name == "cite:t", line, context)
    if name.removeprefix("py:") in PYTHON_ROLES:
        short = target.startswith("~")
        target = target.lstrip("~")
        shown = title or (target.split(".")[-1] if short else target)
        return f"[`{shown}`]({context.documented(target, line)})"
    if name == "math":
        return f"${content}$"
    if name == "kbd":
        return f"<kbd>{content}</kbd>"
    raise context.error(line, f"the role {{{name}}} has no counterpart in notebooks")


def _citation(keys: list[str], textual: bool, line: int, context: Context) -> str:
    links = []
    for key in (key.strip() for key in keys):
        if key not in context.bibliography.entries:
            raise context.error(line, f"{key!r} is not in references.bib")
        author, year = author_and_year(context.bibliography.entries[key])
        address = context.project.page("references", f"ref-{key}")
        if textual:
            links.append(f"[{author} ({year})]({address})")
        else:
            links.append(f"[{author}, {year}]({address})")
    return ", ".join(links) if textual else f"({'; '.join(links)})"


def _equation(body: str, key: str | None, line: int, context: Context) -> str:
    tag = f" \\tag{{{context.label(key, line).number}}}" if key else ""
    return f"$$\n{body}{tag}\n$$"


def _directive(fence: Fence, context: Context) -> str:
    name, options = fence.name, fence.options
    if name == "math":
        body = "\n".join(fence.body).strip("\n")
        return _equation(body, options.get("label"), fence.line, context)
    if name == "notebook-only":
        return convert(fence.body, fence.body_line, context)
    if name == "book-only":
        return ""
    if name in ("figure", "image"):
        return _figure(fence, context)
    if name == "table":
        caption = figure_text(fence, context)
        return f"{caption}\n\n{convert(fence.body, fence.body_line, context)}"
    if name == "exercise":
        body = convert(fence.body, fence.body_line, context)
        return f"{exercise_heading(fence, context)}\n\n{body}"
    if name == "solution":
        body = convert(fence.body, fence.body_line, context)
        return fold(solution_title(fence, context), body)
    if name == "dropdown":
        title = prose(fence.argument, fence.line, context)
        return fold(title, convert(fence.body, fence.body_line, context))
    if name == "admonition" or name in ADMONITIONS:
        return _quote(fence, context)
    raise context.error(
        fence.line, f"the directive {{{name}}} has no counterpart in notebooks"
    )


def _quote(fence: Fence, context: Context) -> str:
    if fence.name == "admonition":
        title, body = fence.argument, fence.body
    else:  # what stands behind {note} is the first line of its text
        title = {"seealso": "See also"}.get(fence.name, fence.name.capitalize())
        body = [fence.argument, *fence.body] if fence.argument else fence.body
    title = prose(title, fence.line, context)
    inside = [f"**{title}**", "", *convert(body, fence.line, context).split("\n")]
    return "\n".join(f"> {line}".rstrip() for line in inside)


def _figure(fence: Fence, context: Context) -> str:
    alt = fence.options.get("alt", "")
    if len(alt.split()) < 4:
        raise context.error(fence.line, f"{fence.argument}: needs an `:alt:` text")
    image = f"![{alt}]({context.project.raw(f'book/{fence.argument}')})"
    caption = figure_text(fence, context)
    return f"{image}\n\n{caption}" if caption else image


def figure_text(fence: Fence, context: Context) -> str:
    """The caption of a figure or table with its number, in italics; or nothing."""
    caption = figure_caption(fence)
    if caption is None:
        return ""
    options = fence.options
    if fence.name == "code-cell":
        options = options["mystnb"]["figure"]
    if "name" not in options:
        raise context.error(fence.line, "what has a caption needs a name as well")
    label = context.label(options["name"], fence.line)
    return f"**{label.name}.** {prose(caption, fence.line, context)}"


def exercise_heading(fence: Fence, context: Context) -> str:
    """The line above an exercise, as in `### Exercise 9.2: Move the window`."""
    if "label" not in fence.options:
        raise context.error(fence.line, "an exercise needs a label for its solution")
    name = context.label(fence.options["label"], fence.line).name
    title = prose(fence.argument, fence.line, context)
    return f"### {name}: {title}" if title else f"### {name}"


def solution_title(fence: Fence, context: Context) -> str:
    """What stands on a folded solution."""
    label = context.label(fence.argument, fence.line)
    return f"Solution of {label.name[0].lower()}{label.name[1:]}"


def fold(title: str, body: str) -> str:
    """Text that opens at a click."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"
