"""Text as people have it, folded to the characters that a hand writes.

Word processors turn a straight quote into a curly one and two hyphens into a dash, and
copied text holds characters that nobody sees. These are folded to ASCII wherever the
library reads a text. Accented letters and signs are folded only when asked for, because
that changes what the text says.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple


class Folded(NamedTuple):
    """A folded text.

    Attributes:
        text: the text with everything replaced that could be.
        replaced: what stands for each character that was replaced, in order of their
            first occurrence; an invisible character is replaced by "".
    """

    text: str
    replaced: dict[str, str]


def _table(*rows: tuple[str, str]) -> dict[str, str]:
    return {character: plain for characters, plain in rows for character in characters}


# Folded everywhere.
TYPOGRAPHIC = _table(
    ("\u2018\u2019\u201a\u201b\u2032\u2035\u02bb\u02bc\u00b4\u2039\u203a", "'"),
    ("\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb", '"'),
    ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u2043", "-"),
    ("\u2022\u2023\u25e6\u25cf\u00b7", "*"),
    ("\u2026", "..."),
    ("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008", " "),
    ("\u2009\u200a\u202f\u205f\u3000", " "),
    # Soft hyphen, zero-width characters, direction marks, byte-order mark, variants.
    ("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff", ""),
    ("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufe0e\ufe0f", ""),
)
# Folded when asked for, beside letters with accents and what Unicode decomposes.
LETTERS_AND_SIGNS = {
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o",
    "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th",
    "Þ": "Th", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ŋ": "n", "Ŋ": "N",
    "\u0131": "i", "\u00d7": "x", "÷": "/", "±": "+-", "°": " deg ", "µ": "u",
    "μ": "u", "\u2044": "/",
    "¿": "?", "¡": "!", "€": "EUR", "£": "GBP", "¥": "JPY", "¢": "c", "©": "(c)",
    "®": "(r)", "§": "S", "¶": "P", "→": "->", "←": "<-", "≤": "<=", "≥": ">=",
    "≠": "!=", "≈": "~", "✓": "v",
}  # fmt: skip


def fold(text: str, accents: bool = False) -> Folded:
    """Replace typographic characters, and accents if asked, by their ASCII forms.

    A character without an ASCII form stays as it is: `alphabet.encode` names it.

    Args:
        text: any text.
        accents: fold accented letters, ligatures and signs such as ½ too.

    Example:
        >>> fold("so\u2026 caf\u00e9")
        Folded(text='so... café', replaced={'…': '...'})
        >>> fold("caf\u00e9", accents=True).text
        'cafe'
    """
    replaced: dict[str, str] = {}
    folded = []
    for character in unicodedata.normalize("NFC", text):  # joins combining accents
        plain = TYPOGRAPHIC.get(character)
        if plain is None and accents and not character.isascii():
            plain = _plain_letter(character)
        if plain is not None:
            replaced[character] = plain
        folded.append(character if plain is None else plain)
    whole = "".join(folded)
    if "°" in replaced:  # its plain form is a word
        whole = whole.replace(" deg  ", " deg ").replace("  deg ", " deg ")
    return Folded(whole, replaced)


def _plain_letter(character: str) -> str | None:
    """The ASCII form of a letter or sign, or None if it has none."""
    if character in LETTERS_AND_SIGNS:
        return LETTERS_AND_SIGNS[character]
    parts = unicodedata.normalize("NFKD", character)
    plain = "".join(
        LETTERS_AND_SIGNS.get(part, part)
        for part in parts
        if not unicodedata.combining(part)
    )
    return plain if plain and plain.isascii() and plain.isprintable() else None
