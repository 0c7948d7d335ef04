"""The fence `{library-reference}`: every module of the library, from its docstrings.

Its content lists modules, one a line, in the order of reading. A module of the list
that does not exist is left out; a public module that is not on the list is a warning,
and warnings fail the build: no module stays undocumented.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.util import logging

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from myst import Fence, blocks

logger = logging.getLogger(__name__)
PACKAGE = "handwriting_lib"
# Lines of an example, roles and what is literal already; then code.
CODE = re.compile(
    r"^ *(?:>>>|\.\.\.).*$|:[\w:]+:`[^`]*`|``.+?``|`(?P<code>[^`]+)`", re.M
)
# A default value that is an object: its repr fills lines, and Sphinx cannot parse it.
OBJECT = re.compile(r"(?<== )([A-Z]\w*)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))+\)")


def public_modules(package: str = PACKAGE) -> list[str]:
    """Names of the package's modules below it, those with an underscore left out."""
    spec = find_spec(package)
    if spec is None:
        return []
    found = pkgutil.walk_packages(spec.submodule_search_locations, f"{package}.")
    names = (name.removeprefix(f"{package}.") for _, name, _ in found)
    return sorted(
        name for name in names if not name.startswith("_") and "._" not in name
    )


def module_section(module: str) -> list[str]:
    """The lines of a page that document one module."""
    return [
        f"(module-{module.replace('.', '-')})=",
        f"## `{module}`",
        "",
        "```{eval-rst}",
        f".. automodule:: {PACKAGE}.{module}",
        "   :members:",
        "```",
        "",
    ]


def expand(wanted: list[str], existing: list[str]) -> tuple[list[str], list[str]]:
    """The lines to put in the fence's place, and the modules missing on the list."""
    lines = [
        line for name in wanted if name in existing for line in module_section(name)
    ]
    return lines, sorted(set(existing) - set(wanted))


def write_reference(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the fence by its sections, on `source-read`."""
    if "{library-reference}" not in source[0]:
        return
    out: list[str] = []
    for block in blocks(source[0].splitlines(), 1, page):
        if isinstance(block, Fence) and block.name == "library-reference":
            wanted = [line.strip() for line in block.body if line.strip()]
            lines, missing = expand(wanted, public_modules())
            for name in missing:
                logger.warning("add module %s to the list", name, location=page)
            out += lines
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
