"""Pages of Xournal and Xournal++: `.xopp` and `.xoj`, XML that is mostly gzipped.

A page with pen strokes is one sample without a text; strokes of the highlighter and
the eraser are left out. Coordinates are in points of 1/72 inch, and y points down. The
files have no time stamps of single points.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from .archives import CorpusError
from .drawn import Drawing, from_runs
from .json_points import as_number, show


def read(root: Element, name: str) -> list[Drawing]:
    """Read the parsed content of a file of Xournal.

    Raises:
        CorpusError: a stroke cannot be read, or no page has one.
    """
    drawings = []
    for number, page in enumerate(root.iter("page"), 1):
        where = f"{name}: page {number}"
        strokes = [s for s in page.iter("stroke") if s.get("tool", "pen") == "pen"]
        if strokes:
            runs = [
                list(_points(stroke.text or "", f"{where}, stroke {i}"))
                for i, stroke in enumerate(strokes, 1)
            ]
            rows = from_runs(runs, where)
            source = f"{name}:{number}"
            drawings.append(Drawing(rows, None, where, source, y="down", units="pt"))
    if not drawings:
        raise CorpusError(f"{name} has no stroke of the pen: write on a page first")
    return drawings


def _points(text: str, where: str) -> Iterator[tuple[float, float]]:
    values = text.split()
    if len(values) % 2:
        raise CorpusError(f"{where} has {len(values)} numbers: x and y need two each")
    for j, (x, y) in enumerate(zip(values[::2], values[1::2], strict=True), 1):
        yield _number(x, f"{where}, point {j}"), _number(y, f"{where}, point {j}")


def _number(text: str, where: str) -> float:
    try:
        return as_number(float(text), where)
    except ValueError as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{where} is {show(text)}: it must be a number") from None
