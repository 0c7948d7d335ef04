"""Printed output as it was printed, however the kernel cut it into pieces.

A kernel sends what a cell prints in pieces, cut wherever its buffer was flushed.
myst-nb ends every piece with a newline when it merges them, so a line could break in
its middle, in one build and not in the next. Here the pieces are put together before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import myst_nb.core.render
from nbformat import NotebookNode
from sphinx.application import Sphinx

Merge = Callable[[list[NotebookNode]], list[NotebookNode]]


def join_pieces(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """All pieces of one stream in the place of the first of them."""
    joined: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output["output_type"] != "stream":
            joined.append(output)
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            streams[output["name"]] = NotebookNode(output)
            joined.append(streams[output["name"]])
    return joined


def _join_first(merge: Merge) -> Merge:
    @functools.wraps(merge)
    def merged(outputs: list[NotebookNode]) -> list[NotebookNode]:
        return merge(join_pieces(outputs))

    return merged


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    render = myst_nb.core.render
    if not hasattr(render.coalesce_streams, "__wrapped__"):
        render.coalesce_streams = _join_first(render.coalesce_streams)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
