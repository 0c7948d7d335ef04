"""Where the tests of the book find things."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# The book to look at; set it to test a copy.
BOOK = Path(os.environ.get("BOOK_ROOT", REPOSITORY)).resolve()
PAGES = Path(__file__).parent / "pages"
