"""Text as indices of the 95 printable ASCII characters, and other text folded to them.

Index 0 is padding; 1 to 95 are the characters from space to tilde, so `V = 96`. After
the last character comes one *end slot*: an index 0 that is not masked. The window moves
there when the text is written, and the stop rule reads its weight.

Word processors turn a straight quote into a curly one and two hyphens into a dash, and
copied text holds characters that nobody sees. `fold` replaces them wherever the library
reads a text. Accented letters and signs are folded only when asked for, because that
changes what the text says.

Built in chapter 01; Graves 2013, section 5, uses 57 characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .errors import InputError

CHARACTERS = "".join(chr(code) for code in range(32, 127))
SIZE = len(CHARACTERS) + 1
PADDING = 0
END_SLOT = 0
_INDEX = {character: i + 1 for i, character in enumerate(CHARACTERS)}


def missing(text: str) -> list[str]:
    """List the characters of `text` that the alphabet lacks, each once, in order.

    Example:
        >>> missing("Zürich")
        ['ü']
    """
    return [c for c in dict.fromkeys(text) if c not in _INDEX]


def encode(text: str) -> Tensor:
    """Encode a text as indices, followed by the end slot.

    Args:
        text: a string of `CHARACTERS`, at least one of them not a space.

    Returns:
        `(U,)` int64 with `U = len(text) + 1`; the last entry is the end slot.

    Raises:
        ValueError: the text is empty or blank, or has characters that the alphabet
            lacks; the message names each of them and its position.

    Example:
        >>> encode("a b")
        tensor([66,  1, 67,  0])
    """
    if not text.strip():
        raise InputError("the text is empty: give at least one character to write")
    unknown = missing(text)
    if unknown:
        listed = ", ".join(
            f"{c!r} ({unicodedata.name(c, f'code point {ord(c)}').lower()}) "
            f"at position {text.index(c) + 1}"
            for c in unknown
        )
        raise InputError(
            f"{text!r} has characters that the model cannot write: {listed}. "
            "It writes the 95 printable ASCII characters: replace all others, or fold "
            "accents and signs with ascii=True (--ascii on the command line)"
        )
    return torch.tensor([*(_INDEX[c] for c in text), END_SLOT])


def pad_texts(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Encode texts as one padded index tensor and its mask.

    Returns:
        `(B, U)` int64 indices and a `(B, U)` bool mask, true for characters and the end
        slot; U is the length of the longest text plus 1.

    Raises:
        ValueError: a text is empty or has characters that the alphabet lacks.

    Example:
        >>> pad_texts(["ab", "c"])[0]
        tensor([[66, 67,  0],
                [68,  0,  0]])
    """
    rows = [encode(text) for text in texts]
    text = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return text, torch.arange(text.shape[1]) < lengths[:, None]


def decode(indices: Tensor | Sequence[int]) -> str:
    """Turn indices back into text, the inverse of `encode`; index 0 is skipped.

    Raises:
        ValueError: an index is outside 0 to 95.

    Example:
        >>> decode(encode("a b"))
        'a b'
    """
    values = [int(i) for i in indices]
    for value in values:
        if not 0 <= value < SIZE:
            raise InputError(f"index {value} must be between 0 and {SIZE - 1}")
    return "".join(CHARACTERS[i - 1] for i in values if i)


def check_symbols(text: Tensor, symbols: int) -> None:
    """Raise a ValueError if a text holds a symbol that the network lacks.

    While a CUDA graph is recorded nothing may wait for the GPU, so nothing is checked:
    the batch was checked when its shape was first run.
    """
    if not text.numel():
        return
    if text.is_cuda and torch.cuda.is_current_stream_capturing():
        return
    low, high = (int(end) for end in torch.aminmax(text))
    if low < 0 or high >= symbols:
        wrong = low if low < 0 else high
        raise InputError(
            f"the text holds the symbol {wrong}: use only the {symbols} symbols of the "
            f"network, 0 to {symbols - 1}"
        )


# --- other text ----------------------------------------------------------------------


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
)
# Folded to nothing everywhere, with all of the category Cf: soft hyphens, zero-width
# characters, direction marks and the byte-order mark among them.
VARIATION_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))
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
# Both tables together, for `widgets/static/folding.js`, which folds as `fold` does.
FOLDING = {"typographic": TYPOGRAPHIC, "letters": LETTERS_AND_SIGNS}


def fold(text: str, accents: bool = False) -> Folded:
    """Replace typographic characters, and accents if asked, by their ASCII forms.

    A character without an ASCII form stays as it is: `encode` names it.

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
        if character in VARIATION_SELECTORS or unicodedata.category(character) == "Cf":
            plain = ""
        elif plain is None and accents and not character.isascii():
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
    # of a combining accent that could not be joined to its letter nothing is left
    return plain if plain.isascii() and plain.isprintable() else None


def to_ascii(text: str) -> str:
    """Replace accented letters, signs, quotes and dashes by their ASCII forms.

    A character without an ASCII form stays unchanged, so that `encode` reports it.

    Example:
        >>> to_ascii("Zürich…")
        'Zurich...'
    """
    return fold(text, accents=True).text
