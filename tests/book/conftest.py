"""The tools of the book are scripts, not a package: put them on the path."""

import os
import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "book" / "_tools"))

# The book to look at; set it to test a copy.
BOOK = Path(os.environ.get("BOOK_ROOT", REPOSITORY)).resolve()
PAGES = Path(__file__).parent / "pages"


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
