"""The built book as files: its pages, what they hold and where their links lead."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Tags without an end.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"}
VOID |= {"param", "source", "track", "wbr"}


@dataclass
class Page:
    """What the tests ask of one HTML file.

    Attributes:
        ids: everything that a link can lead to.
        links: addresses in href and src, as written.
        images: attributes of the pictures, the theme's own logos left out.
        outputs: the text of each output of a code cell.
    """

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.depth = 0  # of open tags, counted only inside an output

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = {key: value or "" for key, value in attrs}
        classes = values.get("class", "").split()
        if "id" in values:
            self.page.ids.add(values["id"])
        for key in ("href", "src"):
            if values.get(key):
                self.page.links.append(values[key])
        of_the_theme = "logo__image" in classes or "/images/logo_" in values.get(
            "src", ""
        )
        if tag == "img" and not of_the_theme:
            self.page.images.append(values)
        if tag in VOID:
            return
        if self.depth:
            self.depth += 1
        elif "cell_output" in classes:
            self.depth = 1
            self.page.outputs.append("")

    def handle_endtag(self, tag: str) -> None:
        if self.depth and tag not in VOID:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        if self.depth:
            self.page.outputs[-1] += data


@cache
def read_page(path: Path) -> Page:
    """Read one file of the built book, once."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    return reader.page


def broken_links(path: Path) -> list[str]:
    """Links of a page to places of the book that are not there."""
    broken = []
    for link in read_page(path).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or (link.startswith("#") and len(link) == 1):
            continue
        where = unquote(parts.path)
        target = (path.parent / where).resolve() if where else path.resolve()
        if not leads_somewhere(target, unquote(parts.fragment)):
            broken.append(link)
    return broken


def leads_somewhere(target: Path, anchor: str) -> bool:
    """Whether a file exists and has the anchor."""
    if not target.is_file():
        return False
    if not anchor or target.suffix != ".html":
        return True
    return anchor in read_page(target).ids
