"""The build, on three small pages: what it makes of them and what it refuses."""

import re
from pathlib import Path

import pytest
from build_book import main

pytest.importorskip("jupyter_book")
pytestmark = pytest.mark.book


def build(root):
    return main(["--root", str(root)])


def change(root, old, new):
    page = root / "book" / "09_window.md"
    source = page.read_text(encoding="utf-8")
    assert old in source
    page.write_text(source.replace(old, new), encoding="utf-8")


def test_a_book(small_book, capfd):
    assert build(small_book) == 0, capfd.readouterr().err
    printed = capfd.readouterr().out.splitlines()
    assert Path(printed[-1]) == small_book / "_build" / "html" / "book" / "index.html"
    said = [line.split()[-1] for line in printed if re.match(r" *\d+% ", line)]
    assert "book/09_window" in said  # which page it was at
    ran = [line for line in printed if line.startswith("ran book/09_window in")]
    assert len(ran) == 1  # before Jupyter Book, which finds its outputs in the cache
    log = (small_book / "_build" / "build.log").read_text(encoding="utf-8")
    assert "Using cached notebook" in log and "Executed notebook" not in log
    html = small_book / "_build" / "html" / "book"
    page = (html / "09_window.html").read_text(encoding="utf-8")
    # numbers are those of the file name, though it is the only chapter
    for number in ("9. </span>The window", "Fig. 9.1", "Exercise 9.1", "(9.2)"):
        assert number in re.sub(r'<span class="section-number">', "", page), number
    assert "Only in the book." in page
    assert "Only in the notebook." not in page
    assert "the book must not run this" not in page
    colab = re.findall(r'href="(https://colab[^"]*)"', page)
    assert [link.split("/blob/")[1] for link in colab] == [
        "main/notebooks/09_window.ipynb"
    ]
    assert "THEBE_JS_URL" not in page and "sphinx-thebe" not in page
    assert 'data-default-mode="auto"' in page
    references = (html / "references.html").read_text(encoding="utf-8")
    assert references.count('role="list"') == 1
    entries = references.count('<div class="citation"')
    assert entries == references.count('role="listitem"') > 0
    index = (html / "index.html").read_text(encoding="utf-8")
    assert "colab" not in index
    said = 'content="What a link to &quot;the first page&quot; says, in two lines."'
    assert index.count("description") == index.count(said) == 2  # and for link previews
    assert re.search(r'"og:image" content="https://[^"]*/_static/cards/\w+.png"', page)
    mathjax = "vendor/mathjax"
    assert mathjax not in index and mathjax in page  # which has equations
    assert "fontawesome.js" not in page + index
    static = html.parent / "_static"
    assert len(list(static.glob("vendor/fontawesome/webfonts/*.woff"))) == 3
    sizes = [file.stat().st_size for file in static.rglob("fa-*")]
    assert sum(sizes) < 20_000
    assert len(list((small_book / "_build" / ".jupyter_cache").iterdir())) == 1
    # the library changes: the old cache goes, the chapter runs again
    (small_book / "handwriting_lib").mkdir()
    (small_book / "handwriting_lib" / "ink.py").write_text("x = 1\n")
    assert build(small_book) == 0
    assert len(list((small_book / "_build" / ".jupyter_cache").iterdir())) == 1
    assert "ran book/09_window in" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("import warnings; warnings.warn('careful')", "UserWarning: careful"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_cell_that_fails_or_warns_fails_the_build(small_book, capfd, new, message):
    change(small_book, "kappa = 1.5", new)
    assert build(small_book) == 1
    assert message in capfd.readouterr().err


def test_what_is_written_to_stderr_is_no_warning(small_book, capfd):
    """Progress bars go there."""
    change(small_book, "kappa = 1.5", "import sys; print('50 %', file=sys.stderr)")
    change(small_book, "print(2 * kappa)", "print(3.0)")
    assert build(small_book) == 0, capfd.readouterr().err
    page = small_book / "_build" / "html" / "book" / "09_window.html"
    assert ">50 %" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "broken",
    ["{ref}`nowhere`", "{cite:p}`nobody1900`", "{func}`handwriting_lib.nothing`"],
)
def test_a_broken_reference_fails_the_build(small_book, capfd, broken):
    change(small_book, "## Exercises", f"## Exercises\n\n{broken}")
    assert build(small_book) == 1
    assert "09_window.md" in capfd.readouterr().err


def test_a_widget_that_had_a_kernel_is_a_figure_on_its_page(small_book, capfd):
    pytest.importorskip("anywidget")
    cell = "import handwriting_lib as hw\n\nhw.Pad(['write this on the page'])"
    change(
        small_book,
        "(sec-09-idea)=",
        f"```{{code-cell}} python\n{cell}\n```\n\n(sec-09-idea)=",
    )
    assert build(small_book) == 0, capfd.readouterr().err
    page = small_book / "_build" / "html" / "book" / "09_window.html"
    html = page.read_text(encoding="utf-8")
    assert html.count("<figure data-widget=") == 1
    assert 'write this on the page"]' in html
    # neither the widget's view and state nor the scripts that would fetch a manager
    for word in ("jupyter.widget-", "require.min.js", "html-manager", "cdn."):
        assert word not in html, word
