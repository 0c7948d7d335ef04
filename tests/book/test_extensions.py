"""The extensions of the build, as functions."""

import pkgutil
import re

import pytest
from joined_streams import join_pieces
from labels import module_pages, toc_pages
from library_reference import literal, short_defaults, write_reference
from nbformat import NotebookNode
from page_repairs import name
from places import REPOSITORY

import handwriting_lib
from tests.seen import contrast


def test_markdown_code_in_docstrings():
    assert literal("`a`, two `Sample`s") == "``a``, two ``Sample``\\ s"
    assert literal("`(a)` or `b`c") == "``(a)`` or ``b``\\ c"
    assert literal("a `wide\n  name` and `b`") == "a ``wide\n  name`` and ``b``"


def test_what_is_no_markdown_code_stays():
    for text in ("``a`` b", ":func:`a` :py:class:`~b`", ">>> x = '`a`'\n... '`b`'"):
        assert literal(text) == text


def test_long_defaults_are_cut():
    signature = "(a: Font = Font(size=(1, (2, 3)), name='x'), b: int = 3, c=None)"
    assert short_defaults("(a: dict = <factory>)") == "(a: dict = ...)"
    assert short_defaults(signature) == "(a: Font = Font(...), b: int = 3, c=None)"


def test_modules_in_the_order_of_the_list():
    source = ["# Page\n\n```{library-reference}\nb.c\na\n```\n\nThe end.\n"]
    write_reference(None, "api/page", source)
    lines = source[0].splitlines()
    assert [line for line in lines if line.startswith("## ")] == ["## `b.c`", "## `a`"]
    assert lines[0] == "# Page" and lines[-1] == "The end."


def test_each_public_module_is_on_one_page_of_the_reference():
    package = handwriting_lib.__name__
    found = pkgutil.walk_packages(handwriting_lib.__path__, f"{package}.")
    names = {name.removeprefix(f"{package}.") for _, name, _ in found}
    public = {name for name in names if not re.search(r"^_|\._", name)}
    pages = module_pages(REPOSITORY / "book")
    assert set(pages) == public
    # and each page is in the book and on the overview
    listed = {page.removeprefix("book/") for page in toc_pages(REPOSITORY)}
    overview = (REPOSITORY / "book" / "api.md").read_text(encoding="utf-8")
    linked = re.findall(r"\((api/\w+)\.md\)", overview)
    assert set(pages.values()) == set(linked) == {p for p in listed if "/" in p}


def test_a_module_is_listed_once(tmp_path):
    (tmp_path / "api").mkdir()
    for room in ("a", "b"):
        page = "```{library-reference}\nink\n```\n"
        (tmp_path / "api" / f"{room}.md").write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match="ink is also on api/a"):
        module_pages(tmp_path)


def test_printed_pieces_are_put_together_as_they_were_printed():
    def piece(text, name="stdout"):
        return NotebookNode(output_type="stream", name=name, text=text)

    figure = NotebookNode(output_type="display_data", data={})
    outputs = [piece("a b"), piece(" c\n\nd"), figure, piece("\n")]
    outputs.append(piece("!", "stderr"))
    joined = join_pieces(outputs)
    assert [o.get("text") for o in joined] == ["a b c\n\nd\n", None, "!"]
    assert outputs[0]["text"] == "a b"


def test_links_can_be_read_on_the_ground_of_an_exercise():
    """4.5 to 1, as WCAG asks for; the ground of sphinx-exercise, twice in its title."""
    css = (REPOSITORY / "book" / "web" / "css" / "book.css").read_text("utf-8")
    [link] = re.findall(r"--pst-color-link: (#\w{6});", css)
    ground = [255.0, 255.0, 255.0]
    for _ in range(2):
        tint = (68, 138, 255)
        ground = [0.9 * g + 0.1 * t for g, t in zip(ground, tint, strict=True)]
    assert contrast(link, ground) >= 4.5


def test_what_has_words_on_it_is_named_by_them():
    small = '<button class="btn search-button" aria-label="Search"><i></i></button>'
    field = '<button class="btn search-button-field" title="Search"{}>Search</button>'
    summary = "<summary{}><p>Show code cell source</p></summary>"
    page = field.format(' aria-label="Search"') + small
    page += summary.format(' aria-label="Toggle hidden content"')
    assert name(page) == field.format("") + small + summary.format("")
