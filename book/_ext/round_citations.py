"""Citations as "(Graves, 2013)" and "Graves (2013)": author and year, round brackets.

The style to name in `bibtex_reference_style` is `author_year_round`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sphinx.application import Sphinx
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


def parentheses() -> BracketStyle:
    """Round brackets, and a semicolon between works as in the notebooks."""
    return BracketStyle(left="(", right=")", sep="; ", sep2="; ", last_sep="; ")


def in_the_text() -> BracketStyle:
    """Round brackets around the year, and a comma between works."""
    return BracketStyle(left="(", right=")", sep=", ", sep2=", ", last_sep=", ")


@dataclass
class RoundReferenceStyle(AuthorYearReferenceStyle):
    """Author and year in round brackets."""

    bracket_textual: BracketStyle = field(default_factory=in_the_text)
    bracket_parenthetical: BracketStyle = field(default_factory=parentheses)


def setup(app: Sphinx) -> dict:
    """Register the style."""
    register_plugin(
        "sphinxcontrib.bibtex.style.referencing",
        "author_year_round",
        RoundReferenceStyle,
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
