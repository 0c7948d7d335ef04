"""Characters as tokens: the vocabulary of a text, which a model file carries.

The alphabet of the hand (`handwriting_lib.alphabet`) is fixed, because a hand can write
what it has learnt. A network that composes takes the characters of the text that it was
trained on, whatever their language. Chapter 13 builds it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError


def _codes(text: str) -> np.ndarray:
    """The code point of each character, `(T,)`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


@dataclass(frozen=True)
class Vocabulary:
    """The V characters that a network knows, in order; their places are the tokens.

    Attributes:
        characters: each character once, in the order of their code points.

    Raises:
        ValueError: there are no characters, or they repeat or are out of order.

    Example:
        >>> vocabulary = Vocabulary.of("hello")
        >>> vocabulary
        Vocabulary(characters='ehlo')
        >>> vocabulary.encode("hole")
        tensor([1, 3, 2, 0])
        >>> vocabulary.decode([1, 3, 2, 0])
        'hole'
    """

    characters: str

    def __post_init__(self) -> None:
        made = self.characters
        if not isinstance(made, str) or not made or "".join(sorted(set(made))) != made:
            raise InputError(
                "a vocabulary must have at least one character, and each once in the "
                f"order of code points, not {made!r}: make it with Vocabulary.of(text)"
            )

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The vocabulary of a text.

        Raises:
            ValueError: the text is empty.
        """
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    @cached_property
    def _known(self) -> np.ndarray:
        return _codes(self.characters)

    def missing(self, text: str) -> list[str]:
        """The characters of `text` that are not in the vocabulary, each once, in order.

        Example:
            >>> Vocabulary.of("hello").missing("help, Bob")
            ['p', ',', ' ', 'B', 'b']
        """
        known = set(self.characters)
        return [c for c in dict.fromkeys(text) if c not in known]

    def encode(self, text: str) -> Tensor:
        """Encode a text as tokens.

        Returns:
            `(T,)` int64, one token per character.

        Raises:
            ValueError: the vocabulary lacks a character; the message names each of them
                and its position.
        """
        if unknown := self.missing(text):
            listed = ", ".join(
                f"{c!r} ({unicodedata.name(c, f'code point {ord(c)}').lower()}) "
                f"at position {text.index(c) + 1}"
                for c in unknown[:8]
            )
            more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
            raise InputError(
                f"the text has characters that the model never read: {listed}{more}. "
                "Leave them out or replace them"
            )
        return torch.from_numpy(np.searchsorted(self._known, _codes(text)))

    def decode(self, tokens: Tensor | Iterable[int]) -> str:
        """Turn tokens back into text, the inverse of `encode`.

        Raises:
            ValueError: a token is outside 0 to V - 1.
        """
        numbers = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
        for number in numbers:
            if not 0 <= number < len(self):
                raise InputError(
                    f"token {number} must be between 0 and {len(self) - 1}"
                )
        return "".join(self.characters[number] for number in numbers)
