"""Write notebooks/NN_name.ipynb from book/NN_name.md; `--check` only looks.

How to write a chapter
======================
The chapter is `book/NN_name.md`; its notebook is written from it and never edited. The
file starts with

    ---
    file_format: mystnb
    kernelspec:
      name: python3
    ---

    # The window

The number in the file name is the chapter's: do not write it into the title. Add the
page to `_toc.yml`. What is listed here works in the book and in the notebook; anything
else stops the writer with file and line.

Code that runs: at most 25 lines of at most 79 columns.

    ```{code-cell} python
    import handwriting_lib as hw
    ```

A warning in a cell is an error, and so is a failing cell: show a failure on purpose
with `try` and `except`. Tags go under the first line, `:tags: [hide-input]`. Cells
tagged `book-only` or `notebook-only` are in one of the two and run only there; the
directives `{book-only}` and `{notebook-only}` do the same for text.

Figures need alt text of at least four words, one figure a cell. A caption is optional;
with a caption goes a name:

    ```{code-cell} python
    ---
    mystnb:
      image:
        alt: The word "ink" written three times, slower each time
      figure:
        name: fig-three-inks
        caption: The same word at three speeds.
    ---
    hw.plots.plot_ink(ink)
    ```

    ```{figure} images/pen.svg
    :name: fig-pen
    :alt: A pen held over a tablet
    The pen reports its position 100 times a second.
    ```

Put YAML values with a colon or a backslash between quotes. Files lie in `book/images`.

Predict, before a surprise:

    ```{admonition} Predict: what happens to phi when kappa doubles?
    :class: predict
    Write your answer down, then run the cell.
    ```

Notes: `{note}`, `{tip}`, `{important}`, `{warning}`, `{seealso}`, or `{admonition}`
with a title of your own. What opens at a click: `{dropdown} Title`.

Exercises have a title, a label `ex-NN-word`, and a number that comes by itself. Each is
followed by its solution. Code cells may stand between start and end:

    ```{exercise-start} Move the window
    :label: ex-09-move
    ```
    Text, equations, code cells.
    ```{exercise-end}
    ```

    ```{solution-start} ex-09-move
    :class: dropdown
    ```
    Words.

    ```{code-cell} python
    print("a cell that runs")
    ```
    ```{solution-end}
    ```

Without code cells `{exercise}` and `{solution}` do. A code cell inside those two, or
inside any other directive, is an error.

Equations: `$x$` in a line; alone, and with `\\begin{aligned}` where there are several:

    $$
    \\phi(t, u) = \\sum_k \\alpha_t^k \\exp(-\\beta_t^k (\\kappa_t^k - u)^2)
    $$ (eq-09-phi)

Labels: `(sec-09-stop)=` above a heading. References: {ref}`sec-09-stop`,
{ref}`its title <sec-09-stop>`, {ref}`ex-09-move`, {numref}`fig-pen`, {eq}`eq-09-phi`,
and to a page [the window](09_window.md). Terms of the glossary: {term}`stroke`, or
{term}`strokes <stroke>`. Labels are unique in the whole book, in lower
case with hyphens. The library: {func}`handwriting_lib.parts.window.soft_window`, with a
tilde before the name to show only its last part; also {class}, {meth}, {mod}.

Citations: {cite:t}`graves2013generating` for "Graves (2013)", {cite:p}`...` for one in
brackets, several keys with commas. Entries are added to `book/references.bib`.

Addresses are never typed out: `{{ repository }}` and `{{ site }}` are links,
`{{ install }}` is the pip command, `{{ version }}` the version, and
`[the licence](repo:LICENSE)` links to a file of the repository.
Tables are Markdown tables, or `{table} Caption` with `:name:` around one. Links to
other places are Markdown links. Footnotes and directives inside lists do not survive.

To look at it: `python book/_tools/build_book.py`, then
`python book/_tools/screenshot.py book/09_window out.png --width 360 --dark --whole`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

from labels import label_index, module_pages, read_bibliography
from myst import ChapterError, blocks, split_front_matter
from notebook_cells import Cells, code_cell, markdown_cell
from notebook_markdown import Context
from project import ROOT, Project, read_project

INSTALL = """\
# @title Run this first: it installs the book's library where it is missing.
import re
from importlib import metadata


def numbers(version):
    return [int(part) for part in re.findall(r"\\d+", version)[:3]]


try:
    found = metadata.version("handwriting-lib")
except metadata.PackageNotFoundError:
    found = "0"
if numbers(found) < numbers("{version}"):
    # torch stays as it is, and so does whatever else is already there.
    %pip install --quiet --no-deps {requirement}
    %pip install --quiet {dependencies}
    %pip install --quiet {for_widgets}
"""


def first_cells(page: str, project: Project) -> list[dict]:
    """The badge and the cell that installs the library."""
    badge = f"{project.site}/_static/colab-badge.svg"
    head = (
        f"[![Open this chapter in Colab]({badge})]({project.colab(page)})"
        f" · [Read it in the book]({project.page(page)})"
    )
    install = INSTALL.format(
        version=project.version,
        requirement=project.requirement,
        dependencies=" ".join(project.dependencies),
        for_widgets=" ".join(project.for_widgets),
    )
    hidden = {"cellView": "form", "jupyter": {"source_hidden": True}}
    return [markdown_cell(head), code_cell(install.strip("\n"), hidden)]


def notebook(source: str, context: Context) -> str:
    """The text of the notebook file for a chapter."""
    where = f"book/{context.page}.md"
    _, lines, line = split_front_matter(source, where)
    cells = Cells(context)
    for block in blocks(lines, line, where):
        cells.add(block)
    cells.close_words()
    if cells.solution:
        raise ChapterError(f"{where}: {cells.solution}: no {{solution-end}}")
    content = first_cells(context.page, context.project) + cells.done
    document = {
        "cells": [finish(cell, seen) for seen in [Counter()] for cell in content],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def finish(cell: dict, seen: Counter) -> dict:
    """Give a cell its id, made from what is in it, and cut its source into lines."""
    text = f"{cell['cell_type']}\n{cell['source']}"
    seen[text] += 1
    name = hashlib.sha256(f"{text}\n{seen[text]}".encode()).hexdigest()[:12]
    return {**cell, "id": name, "source": cell["source"].splitlines(keepends=True)}


def write_all(root: Path, check: bool) -> list[str]:
    """Write the notebooks that differ from their chapters, or with `check` none.

    Returns:
        The names of the files that were, or are, stale.
    """
    project = read_project(root)
    labels = label_index(root / "book")
    bibliography = read_bibliography(root / "book" / "references.bib")
    modules = module_pages(root / "book")
    folder = root / "notebooks"
    wanted = {}
    for path in sorted((root / "book").glob("[0-9][0-9]_*.md")):
        context = Context(project, labels, bibliography, path.stem, modules)
        text = notebook(path.read_text(encoding="utf-8"), context)
        wanted[folder / f"{path.stem}.ipynb"] = text
    stale = []
    for path in sorted({*wanted, *folder.glob("*.ipynb")}):
        now = path.read_text(encoding="utf-8") if path.exists() else None
        if now == wanted.get(path):
            continue
        stale.append(path.name)
        if not check and path in wanted:
            folder.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8", newline="\n")
        elif not check:
            path.unlink()  # its chapter is gone
    return stale


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write notebooks/ from book/.")
    parser.add_argument("--check", action="store_true", help="only look; 1 if stale")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        stale = write_all(options.root, options.check)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if options.check and stale:
        print(f"stale: {', '.join(stale)}; run book/_tools/write_notebooks.py")
        return 1
    if stale:
        print(f"written: {', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
