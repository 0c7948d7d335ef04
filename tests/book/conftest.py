"""A small book to build, for the tests of the book's tools."""

import shutil

import pytest
from places import PAGES, REPOSITORY


@pytest.fixture
def small_book(tmp_path):
    """A folder with the machinery of the book around three small pages."""
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copy(PAGES / "_toc.yml", tmp_path)
    for name in ("_ext", "_tools", "web"):
        shutil.copytree(REPOSITORY / "book" / name, tmp_path / "book" / name)
    shutil.copy(REPOSITORY / "book" / "references.bib", tmp_path / "book")
    for page in PAGES.glob("*.md"):
        shutil.copy(page, tmp_path / "book")
    (tmp_path / "book" / "images").mkdir()
    shutil.copy(PAGES / "pen.svg", tmp_path / "book" / "images")
    return tmp_path
