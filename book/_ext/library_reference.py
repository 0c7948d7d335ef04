"""The fence `{library-reference}`: modules of the library, from their docstrings.

Its content lists modules, one a line, in the order of reading. That each public module
stands on one page is for a test to say (tests/book/test_extensions.py).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from labels import listed_modules
from myst import Fence, blocks

PACKAGE = "handwriting_lib"
# Lines of an example, roles and what is literal already; then code.
CODE = re.compile(
    r"^ *(?:>>>|\.\.\.).*$|:[\w:]+:`[^`]*`|``.+?``|`(?P<code>[^`]+)`", re.M
)
# A default value that is an object: its repr fills lines, and Sphinx cannot parse it.
OBJECT = re.compile(r"(?<== )([A-Z]\w*)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))+\)")


def module_section(module: str) -> list[str]:
    """The lines of a page that document one module.

    What a package hands on from its modules is documented there, and not once more.
    """
    return [
        f"(module-{module.replace('.', '-')})=",
        f"## `{module}`",
        "",
        "```{eval-rst}",
        f".. automodule:: {PACKAGE}.{module}",
        "   :members:",
        "   :ignore-module-all:",
        "```",
        "",
    ]


def write_reference(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the fence by its sections, on `source-read`."""
    if "{library-reference}" not in source[0]:
        return
    out: list[str] = []
    for block in blocks(source[0].splitlines(), 1, page):
        if isinstance(block, Fence) and block.name == "library-reference":
            for module in listed_modules(block):
                out += module_section(module)
        else:
            out += block.source
    source[0] = "\n".join(out) + "\n"


def literal(docstring: str) -> str:
    """Code between single backticks, as in Markdown, for reStructuredText."""

    def double(match: re.Match) -> str:
        if match["code"] is None:
            return match[0]
        # An escaped space ends the code where a letter follows: `Sample`s.
        following = match.string[match.end() : match.end() + 1]
        gap = "\\ " if following.isalnum() else ""
        return f"``{match['code']}``{gap}"

    return CODE.sub(double, docstring)


def mark_code(app: Sphinx, what: str, name: str, thing, options, lines: list) -> None:
    """Rewrite a docstring in place, on `autodoc-process-docstring`."""
    lines[:] = literal("\n".join(lines)).split("\n")


def short_defaults(signature: str) -> str:
    """Cut what stands in a default value that is an object: `Font(...)`."""
    signature = re.sub(r"= <[^<>]*>", "= ...", signature)  # as of a field's factory
    return OBJECT.sub(r"\1(...)", signature)


def shorten(app, what, name, thing, options, signature, returned) -> tuple | None:
    """Shorten the signature, on `autodoc-process-signature`."""
    return (short_defaults(signature), returned) if signature else None


def setup(app: Sphinx) -> dict:
    """Register the extension; napoleon comes after it."""
    app.connect("source-read", write_reference)
    app.connect("autodoc-process-docstring", mark_code, priority=100)
    app.connect("autodoc-process-signature", shorten)
    for kind in PyObject.doc_field_types:
        if kind.name == "variable":
            kind.label = "Attributes"  # as in the docstrings
    return {"parallel_read_safe": True, "parallel_write_safe": True}
