"""The chapters as they are written: cells that a reader can take in and run."""

import ast

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from myst import Fence, blocks, split_front_matter
from places import BOOK

CHAPTERS = sorted((BOOK / "book").glob("[0-9][0-9]_*.md"))


def cells(path):
    _, lines, line = split_front_matter(path.read_text(encoding="utf-8"), path.name)
    for block in blocks(lines, line, path.name):
        if isinstance(block, Fence) and block.name == "code-cell":
            yield block


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_cells_are_short_and_narrow(path):
    for cell in cells(path):
        where = f"{path.name}:{cell.line}"
        assert len(cell.body) <= 25, f"{where}: {len(cell.body)} lines, at most 25"
        widest = max(cell.body, key=len, default="")
        assert len(widest) <= 79, f"{where}: {len(widest)} columns, at most 79"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_cells_are_python(path):
    for cell in cells(path):
        source = TransformerManager().transform_cell("\n".join(cell.body))
        ast.parse(source, filename=f"{path.name}:{cell.line}")
