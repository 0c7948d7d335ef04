"""Each notebook runs by itself, in a folder that holds nothing else.

The book's build runs the cells of every chapter, those of the solutions too. What only
a notebook has is its first cell, and that it stands alone. All of them take minutes, so
`make test` runs the first cell and one notebook; `make test-notebooks` runs each.
"""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from places import BOOK

NOTEBOOKS = sorted((BOOK / "notebooks").glob("*.ipynb"))
QUICKEST = "03_recurrence"
PROGRESS = re.compile(r"\d+%\|.*\|")  # of tqdm


def run(notebook, folder):
    """Execute all cells; an error in one of them is raised."""
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources=resources
    )
    client.execute()


def complaints(notebook):
    """What cells wrote to stderr, progress bars apart: warnings, mostly."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                for line in output["text"].replace("\r", "\n").splitlines():
                    if line and not PROGRESS.search(line):
                        yield f"cell {number}: {line}"


def test_complaints_are_not_progress():
    text = "\r 50%|##5  | 1/2 [00:00<00:00,  9.8it/s]\nUserWarning: no\n"
    output = nbformat.v4.new_output("stream", name="stderr", text=text)
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    assert list(complaints(nbformat.v4.new_notebook(cells=[cell]))) == [
        "cell 0: UserWarning: no"
    ]


def test_there_is_one_for_each_chapter():
    chapters = (BOOK / "book").glob("[0-9][0-9]_*.md")
    assert [n.stem for n in NOTEBOOKS] == sorted(c.stem for c in chapters) != []


@pytest.mark.slow
def test_the_first_cell_leaves_an_installed_library_alone(tmp_path):
    first = set()
    for path in NOTEBOOKS:
        cells = nbformat.read(path, 4).cells
        first.add(next(cell.source for cell in cells if cell.cell_type == "code"))
    (source,) = first  # the same in all of them
    assert "%pip install" in source
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    run(notebook, tmp_path)
    assert notebook.cells[0].outputs == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=[] if path.stem == QUICKEST else pytest.mark.notebooks,
        )
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs_alone(path, tmp_path):
    notebook = nbformat.read(path, 4)
    run(notebook, tmp_path)
    assert list(complaints(notebook)) == []
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    assert all(cell.execution_count for cell in ran)
