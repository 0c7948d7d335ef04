"""The measures of networks over characters, and the baseline that costs nothing.

`cross_entropy` measures how well a model predicts a held-out text, `NGrams` predicts it
from counts alone, and `memorised_share` measures how much of a composed text is copied
from the training text. Chapter 13 introduces them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from ..errors import InputError
from ..files.models import Model
from ..tokens.characters import Vocabulary
from ..training.text import consecutive_pieces, nats_per_character
from ..writing.compose import vocabulary_of

TOGETHER = 32  # pieces of a text per batch


def cross_entropy(model: Model, text: str) -> float:
    """The cross-entropy of a model on a text, in nats per character.

    The text is cut into consecutive pieces of the length that the network was trained
    on, and each character but the first is predicted once. In each piece the network
    starts anew.

    Args:
        model: one over characters.
        text: at least two characters, all in the vocabulary of the model.

    Raises:
        ModelError: the model is of another kind.
        ValueError: the text is too short, or has characters that the model lacks.
    """
    tokens = vocabulary_of(model).encode(_at_least(text, 2))
    network = model.network
    pieces = consecutive_pieces(tokens, network.config.block, TOGETHER)
    training = network.training
    network.eval()
    try:
        return nats_per_character(network, pieces, model.device)
    finally:
        network.train(training)


class NGrams:
    """Counts of n-grams, backed off to shorter ones (Witten and Bell 1991, method C).

    After the last n - 1 characters h, the probability of a character c is

        p(c | h) = (count(h c) + kinds(h) p(c | h without its first)) / (count(h) +
        kinds(h)),

    where kinds(h) is the number of different characters that were seen after h: the
    larger it is, the more probable is a character that was not. The shortest context
    backs off to equal probabilities for all characters of the vocabulary.

    Args:
        text: text in which the n-grams are counted.
        order: n, the length of the longest n-grams; 1 counts single characters.
        vocabulary: all characters that may occur.

    Raises:
        ValueError: the order is below 1, or the text has a character that the
            vocabulary lacks.

    Example:
        >>> bigrams = NGrams("abab", 2, Vocabulary.of("abc"))
        >>> [round(bigrams.probability(c, "a"), 3) for c in "abc"]
        [0.148, 0.815, 0.037]
    """

    def __init__(self, text: str, order: int, vocabulary: Vocabulary) -> None:
        if type(order) is not int or order < 1:
            raise InputError(f"order must be a whole number of at least 1, not {order}")
        vocabulary.encode(text)  # names a character that is missing
        self.order, self.vocabulary = order, vocabulary
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for size in range(order):
            for i in range(size, len(text)):
                self.counts[text[i - size : i]][text[i]] += 1
        self.totals = {known: after.total() for known, after in self.counts.items()}

    def probability(self, character: str, known: str) -> float:
        """The probability of a character after the text that is known."""
        p = 1 / len(self.vocabulary)
        for size in range(min(self.order - 1, len(known)) + 1):
            after = self.counts.get(known[len(known) - size :])
            if after is None:  # nor will a longer one have been seen
                break
            total = self.totals[known[len(known) - size :]]
            p = (after[character] + len(after) * p) / (total + len(after))
        return p

    def cross_entropy(self, text: str) -> float:
        """The cross-entropy of the counts on a text, in nats per character.

        Each character but the first is predicted from those before it.

        Raises:
            ValueError: the text has fewer than two characters, or one that the
                vocabulary lacks.
        """
        self.vocabulary.encode(_at_least(text, 2))
        back = self.order - 1
        nats = (
            -math.log(self.probability(text[i], text[max(0, i - back) : i]))
            for i in range(1, len(text))
        )
        return sum(nats) / (len(text) - 1)


def memorised_share(composed: str, read: str, length: int = 20) -> float:
    """The share of the n-grams of a composed text that occur in the training text.

    Args:
        composed: text that a model composed, without the prompt.
        read: text that it was trained on.
        length: n, in characters.

    Raises:
        ValueError: the composed text is shorter than one n-gram.

    Example:
        >>> memorised_share("the cat", "a cat", length=4)  # only " cat" is a copy
        0.25
    """
    starts = range(len(_at_least(composed, length)) - length + 1)
    wanted = Counter(composed[i : i + length] for i in starts)
    copied = {
        gram
        for i in range(len(read) - length + 1)
        if (gram := read[i : i + length]) in wanted
    }
    return sum(wanted[gram] for gram in copied) / len(starts)


def _at_least(text: str, characters: int) -> str:
    """The text, if it has so many characters.

    Raises:
        ValueError: it has fewer.
    """
    if len(text) < characters:
        raise InputError(
            f"a text of {len(text)} characters is too short: give at least {characters}"
        )
    return text
