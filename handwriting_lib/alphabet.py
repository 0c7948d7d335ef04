"""Text as indices of the 95 printable ASCII characters, and a fallback for others.

Index 0 is padding; 1 to 95 are the characters from space to tilde, so `V = 96`. After
the last character comes one *end slot*: an index 0 that is not masked. The window moves
there when the text is written, and the stop rule reads its weight.

Built in chapter 01; Graves 2013, section 5, uses 57 characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import torch
from torch import Tensor

from .errors import InputError
from .folding import fold

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


def to_ascii(text: str) -> str:
    """Replace accented letters, signs, quotes and dashes by their ASCII forms.

    A character without an ASCII form stays unchanged, so that `encode` reports it.

    Example:
        >>> to_ascii("Zürich…")
        'Zurich...'
    """
    return fold(text, accents=True).text
