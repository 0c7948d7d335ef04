"""XML without the parts of it that can exhaust memory or reach other files.

A document type may declare entities that grow without bound, or that name other files;
no file of ink needs one, so it is refused where it begins, whatever the encoding.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .archives import CorpusError

MAX_DEPTH = 100


def parse(content: bytes, name: str) -> Element:
    """Parse XML into a tree whose names have no namespaces.

    Raises:
        CorpusError: it is damaged, has a document type, or is nested too deep.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise CorpusError(f"{name} nests its elements more than {MAX_DEPTH} deep")
        builder.start(_local(tag), {_local(k): v for k, v in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(tag))

    def refuse(*_: Any) -> None:
        raise CorpusError(
            f"{name} has a document type, which may declare entities without bound: "
            "remove its <!DOCTYPE ...>"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{name} is damaged XML ({error}): save it again") from error


def _local(name: str) -> str:
    return name.rpartition("}")[2]
