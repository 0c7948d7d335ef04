"""The notebook writer, on strings and on the small book of tests/book/pages."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from labels import label_index, page_labels, read_bibliography
from myst import ChapterError
from notebook_markdown import Context, convert
from places import BOOK, REPOSITORY
from project import read_project
from write_notebooks import main, notebook

HEAD = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n"
# What only the book understands: fences, roles, labels, substitutions, anchors.
LEAK = re.compile(
    r"^ *(?:> *)*[`:~]{3,}\{|\{[a-z][\w:-]*\}`|^\([\w-]+\)=|\{\{|\]\(#|\.md\)"
    r"|^\+\+\+|^%(?!pip)|\$\$ *\([\w-]+\)|^:[\w-]+:|mystnb|\[\]\(",
    re.M,
)


def context(page="09_window", **labels):
    return Context(
        read_project(REPOSITORY),
        labels,
        read_bibliography(REPOSITORY / "book" / "references.bib"),
        page,
        {"parts": "api/parts", "parts.window": "api/windows"},
    )


def chapter(body, page="09_window"):
    """The cells that come after the two that every notebook begins with."""
    source = HEAD + body
    where = context(page, **dict(page_labels(page, source)))
    return json.loads(notebook(source, where))["cells"][2:]


def text(cell):
    return "".join(cell["source"])


def md(source, **labels):
    return convert(source.split("\n"), 1, context(**labels))


def test_prose_math_tables_and_plain_code_stay():
    source = (
        "Words with $x^2$, `{code}` and **bold**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
        "\n```python\n{ref}`in code`\n```\n\n$$\nx = y\n$$"
    )
    assert md(source) == source


def test_admonitions_become_quotes():
    source = "```{admonition} Predict: where to?\n:class: predict\nThink.\n\nRun.\n```"
    assert md(source) == "> **Predict: where to?**\n>\n> Think.\n>\n> Run."
    assert md(":::{note} Short\n:::") == "> **Note**\n>\n> Short"


def test_directives_within_directives():
    source = "````{tip}\n```{math}\n:label: eq-x\nx\n```\n````"
    cells = chapter(source)
    assert text(cells[0]) == "> **Tip**\n>\n> $$\n> x \\tag{9.1}\n> $$"


def test_equations_keep_their_numbers():
    cells = chapter("$$\na\n$$ (eq-a)\n\n$$\nb\n$$\n\n$$c$$ (eq-c)\n\nSee {eq}`eq-c`.")
    assert "\na \\tag{9.1}\n" in text(cells[0])
    assert "\nb\n" in text(cells[0])
    assert "[(9.2)](https://" in text(cells[0])
    assert "09_window.html#equation-eq-c)" in text(cells[0])


def test_citations():
    assert md("{cite:t}`carter2016experiments`").startswith("[Carter *et al.* (2016)](")
    both = md("{cite:p}`graves2013generating, hochreiter1997long`")
    assert both.startswith("([Graves, 2013](https://")
    assert "; [Hochreiter and Schmidhuber, 1997](" in both
    assert both.endswith("references.html#ref-hochreiter1997long))")


def test_references_to_the_library_show_code():
    link = md("{func}`~handwriting_lib.parts.window.soft_window`")
    assert link.startswith("[`soft_window`](https://")
    name = "handwriting_lib.parts.window.soft_window"
    assert link.endswith(f"/book/api/windows.html#{name})")
    link = md("{class}`handwriting_lib.parts.Window`")  # as an __init__ hands it on
    assert link.endswith("/book/api/parts.html#handwriting_lib.parts.Window)")


def test_links_inside_the_book_lead_to_the_site():
    assert md("[w](09_window.md)").endswith("/book/09_window.html)")
    assert md("[`w` x](09_window.md#a)").endswith("/book/09_window.html#a)")
    assert md("[l](repo:LICENSE)").endswith("/blob/main/LICENSE)")
    assert md("[o](https://example.org/a.md)") == "[o](https://example.org/a.md)"


def test_labels_and_comments_vanish():
    cells = chapter("# Title\n\n(sec-a)=\n## Part\n% secret\n[](#sec-a) {ref}`sec-a`")
    assert [text(cell).split("\n")[0] for cell in cells] == ["# Title", "## Part"]
    assert "secret" not in text(cells[1])
    assert text(cells[1]).count("[Part](https://") == 2


def test_figures_keep_alt_text_and_number():
    figure = (
        "```{figure} images/p.svg\n:name: fig-p\n:alt: A pen over paper\nCaption.\n```"
    )
    cell = text(chapter(figure + "\n\n{numref}`fig-p` {numref}`Bild %s <fig-p>`")[0])
    assert "![A pen over paper](https://" in cell
    assert "**Fig. 9.1.** Caption." in cell
    assert "[Fig. 9.1](https://" in cell
    assert "[Bild 9.1](https://" in cell


def test_settings_of_a_cell_stay_in_the_book():
    cell = (
        "```{code-cell} python\n---\ntags: [hide-input, my-tag]\nmystnb:\n"
        "  image:\n    alt: A wave of ink again\n  figure:\n    name: fig-w\n"
        "    caption: One wave.\n---\nprint(1)\n```"
    )
    code, caption = chapter(cell)
    assert text(code) == "print(1)"
    assert code["metadata"]["tags"] == ["hide-input"]
    assert "mystnb" not in json.dumps(code)
    assert text(caption) == "**Fig. 9.1.** One wave."


def test_code_in_a_solution_is_a_cell():
    cells = chapter(
        "```{exercise-start} Halve it\n:label: ex-09-half\n```\nHow?\n"
        "```{exercise-end}\n```\n\n"
        "```{solution-start} ex-09-half\n:class: dropdown\n```\nSo:\n\n"
        "```{code-cell} python\nprint(1 / 2)\n```\nDone.\n"
        "```{solution-end}\n```\nAfter."
    )
    kinds = [cell["cell_type"] for cell in cells]
    assert kinds == ["markdown", "markdown", "code", "markdown", "markdown"]
    assert text(cells[0]) == "### Exercise 9.1: Halve it\n\nHow?"
    assert "<summary>Solution of exercise 9.1</summary>\n\nSo:" in text(cells[1])
    assert text(cells[2]).endswith("print(1 / 2)")
    assert cells[2]["metadata"]["jupyter"] == {"source_hidden": True}
    assert "continued</summary>\n\nDone." in text(cells[3])
    assert text(cells[4]) == "After."


def test_editions():
    cells = chapter(
        "```{code-cell} python\n:tags: [book-only]\na\n```\n"
        "```{code-cell} python\n:tags: [notebook-only]\nb\n```\n"
        ":::{book-only}\nc\n:::\n:::{notebook-only}\nd\n:::"
    )
    assert [text(cell) for cell in cells] == ["b", "d"]
    assert cells[0]["metadata"] == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("```{mermaid}\nx\n```", "09_window.md:1: the directive {mermaid}"),
        ("\n{term}`ink`", "nothing in the book has the label 'term ink'"),
        ("\n{menuselection}`ink`", "the role {menuselection}"),
        ("{ref}`nowhere`", "the label 'nowhere'"),
        ("{mod}`handwriting_lib.inks`", "documents 'handwriting_lib.inks'"),
        ("{cite:p}`nobody1900`", "'nobody1900' is not in references.bib"),
        ("```{note}\n```{code-cell}\nx\n```\n```", "{code-cell}"),
        ("```{note}\nx", "never closed"),
        ("$$\nx", "never closed"),
        ("```{figure} a.png\n:alt: short\n```", "needs an `:alt:` text"),
        ("![no words](a.png)", "longer alt text"),
        ("[a](a.txt)", "link to a page"),
    ],
)
def test_what_cannot_be_carried_over_is_an_error(source, message):
    with pytest.raises(ChapterError, match=re.escape(message)):
        md(source)


def test_a_chapter_needs_front_matter():
    with pytest.raises(ChapterError, match="front matter"):
        notebook("# Title\n", context())


def test_a_solution_needs_an_end():
    with pytest.raises(ChapterError, match=r"no \{solution-end\}"):
        chapter(
            "```{exercise} E\n:label: ex-e\nx\n```\n"
            "```{solution-start} ex-e\n```\nFor ever."
        )


def test_a_label_stands_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.md").write_text("(sec-x)=\n# X\n", encoding="utf-8")
    with pytest.raises(ValueError, match="sec-x"):
        label_index(tmp_path)


def test_first_cells_come_from_the_configuration(small_book):
    config = small_book / "_config.yml"
    moved = config.read_text(encoding="utf-8").replace("ORG", "pen")
    config.write_text(moved, encoding="utf-8")
    assert main(["--root", str(small_book)]) == 0
    cells = json.loads((small_book / "notebooks" / "09_window.ipynb").read_text())[
        "cells"
    ]
    badge, install = text(cells[0]), text(cells[1])
    assert "github/pen/a-machine-that-writes/blob/main/notebooks/09_window" in badge
    assert "git+https://github.com/pen/a-machine-that-writes@v" in install
    assert "ORG" not in badge + install
    # Colab has a torch that fits its GPU: no line may bring another.
    for line in install.splitlines():
        if "%pip" in line:
            assert "torch" not in line
            assert "--no-deps" in line or "git+" not in line


def test_second_run_changes_nothing_and_check_sees_changes(small_book, capsys):
    root = ["--root", str(small_book)]
    target = small_book / "notebooks" / "09_window.ipynb"
    assert main([*root, "--check"]) == 1
    assert not target.exists()
    assert main(root) == 0
    first = target.read_bytes()
    assert main([*root, "--check"]) == 0
    assert main(root) == 0
    assert target.read_bytes() == first
    nbformat.validate(nbformat.reads(first.decode(), as_version=4))
    page = small_book / "book" / "09_window.md"
    page.write_text(page.read_text() + "\nOne more line.\n")
    capsys.readouterr()
    assert main([*root, "--check"]) == 1
    assert "09_window.ipynb" in capsys.readouterr().out
    orphan = target.with_name("11_gone.ipynb")
    orphan.write_text("{}")
    assert main(root) == 0
    assert not orphan.exists()


def test_ids_come_from_content():
    before = chapter("# A\n\n```{code-cell}\nx\n```\n```{code-cell}\nx\n```")
    after = chapter("# B\n\n```{code-cell}\nx\n```\n```{code-cell}\nx\n```")
    assert before[0]["id"] != after[0]["id"]
    assert [cell["id"] for cell in before[1:]] == [cell["id"] for cell in after[1:]]
    assert before[1]["id"] != before[2]["id"]


def leaks(path):
    """What only the book understands, in the text cells of a notebook file."""
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    found = []
    for cell in document["cells"]:
        if cell["cell_type"] == "markdown":
            word = re.sub(r"^```\w*\n.*?^```$", "", text(cell), flags=re.M | re.S)
            # code spans, but not the backticks of a role
            word = re.sub(r"(?<![}`])(`+)(?!`)[^`]+\1", "code", word)
            found += [hit[0] for hit in LEAK.finditer(word)]
    return found


@pytest.mark.parametrize(
    "leak",
    (
        "{ref}`x`|:::{note}|> ```{tip}|(sec-x)=|{{ site }}|[](#x)|$$ (e)|:label: x|"
        "[a](09_window.md)|% comment|+++"
    ).split("|"),
)
def test_the_leak_test_sees_leaks(tmp_path, leak):
    path = tmp_path / "leak.ipynb"
    cell = {"cell_type": "markdown", "source": ["`code` and\n", f"{leak}\n", "words"]}
    path.write_text(json.dumps({"cells": [cell]}))
    assert leaks(path)


def test_nothing_leaks_from_the_small_book(small_book):
    assert main(["--root", str(small_book)]) == 0
    assert leaks(small_book / "notebooks" / "09_window.ipynb") == []


def test_nothing_leaks_from_the_book():
    for path in (BOOK / "notebooks").glob("*.ipynb"):
        assert leaks(path) == [], path


def test_notebooks_are_fresh():
    assert main(["--check", "--root", str(BOOK)]) == 0


def test_terms_lead_to_the_glossary():
    glossary = (
        "```{glossary}\n:sorted:\n\nlearning rate\n  How far.\n\nEM\n  A loop.\n```"
    )
    labels = dict(page_labels("glossary", glossary))
    found = md("{term}`learning rate`, {term}`the loop <EM>`", **labels)
    page = read_project(REPOSITORY).page
    assert found == (
        f"[learning rate]({page('glossary', 'term-learning-rate')}), "
        f"[the loop]({page('glossary', 'term-EM')})"
    )
