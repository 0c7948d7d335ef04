"""Composing a text, character by character, for a reader or for the hand.

`hw.compose` continues a prompt with a network over characters, and `hw.write` writes
the result by hand. Chapter 13 lets the two machines work together.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import torch

from .. import alphabet
from ..errors import InputError
from ..files.models import Model, ModelError, find_model
from ..tokens.characters import Vocabulary
from .decode import Decoding, tokens
from .lines import line_generator

COMPOSER = "character-book"  # the model that composes where none is named
SENTENCE_END = re.compile(r"(?<!\bFig)(?<!\b[ei]\.[ge])[.!?][\"')]*\s\Z")


def vocabulary_of(model: Model) -> Vocabulary:
    """The vocabulary of a model that composes.

    Raises:
        ModelError: the model is of another kind, or its vocabulary does not fit.
    """
    vocabulary = model.carried.get("vocabulary")
    if not isinstance(vocabulary, Vocabulary):
        raise ModelError(
            f"{model.name} is a {model.kind} model, which cannot compose: choose a "
            f"model over characters, such as {COMPOSER}"
        )
    if len(vocabulary) != model.network.config.symbols:
        raise ModelError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary and "
            f"{model.network.config.symbols} in its network: train or save it again"
        )
    return vocabulary


def compose(
    prompt: str = "",
    model: Model | str | Path = COMPOSER,
    *,
    characters: int = 200,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 1,
    sentence: bool = False,
    hand: bool = False,
    redraws: int = 10,
) -> str:
    """Continue a prompt, character by character.

    Args:
        prompt: beginning of the text; if empty, a new paragraph is begun.
        model: one over characters, the name of one that comes with the library, or the
            path of its file.
        characters: number of characters to compose after the prompt; with `sentence`,
            the largest number.
        temperature: below 1 the text is more predictable, above 1 more varied; 0 always
            takes the most probable character.
        top_k: number of the most probable characters to draw from; None draws from all.
        top_p: draw only from the most probable characters that together reach this
            probability; 1 draws from all.
        seed: seed of all draws.
        sentence: stop at the end of the sentence. A sentence that does not end within
            `characters` is drawn again; if none does, the last is cut between words.
        hand: draw only what the hand can write, which is printable ASCII on one line,
            so that the result can be given to `hw.write`.
        redraws: largest number of times to draw a sentence again.

    Returns:
        The prompt and what follows it.

    Raises:
        ValueError: a character of the prompt is not in the vocabulary of the model or,
            with `hand`, not in that of the hand; or an argument is out of its range.
        FileNotFoundError: there is no such model file.
        ModelError: there is no such model, or it does not compose.

    Example:
        >>> from handwriting_lib.networks import build_network
        >>> network = build_network("character", {"symbols": 3})
        >>> model = Model(network, vocabulary=Vocabulary.of("no "))
        >>> len(compose("no", model, characters=10))
        12
    """
    decoding = Decoding(temperature, top_k, top_p)
    for name, value, least in (("characters", characters, 1), ("redraws", redraws, 0)):
        if type(value) is not int or value < least:
            raise InputError(
                f"{name} must be a whole number of at least {least}, not {value!r}"
            )
    model = find_model(model)
    vocabulary = vocabulary_of(model)
    if isinstance(prompt, str) and vocabulary.missing(prompt):
        prompt = alphabet.fold(prompt).text  # typographic quotes and dashes
    start = _start(prompt, vocabulary, hand)
    allowed = None
    if hand:
        may = alphabet.CHARACTERS + "\n" * sentence  # there a line ends
        allowed = torch.tensor([c in may for c in vocabulary.characters])
        if not any(c in alphabet.CHARACTERS for c in vocabulary.characters):
            raise ModelError(f"{model.name} knows no character that the hand can write")
    begin = vocabulary.encode(start)[None].to(model.device)  # (1, T)
    training = model.network.training
    model.network.eval()  # dropout would go on otherwise
    try:
        for draw in range(1, redraws + 2 if sentence else 2):
            generator = line_generator(seed, 0, draw)
            drawn = tokens(model.network, begin, decoding, generator, allowed)
            letters = (vocabulary.characters[int(token)] for token in drawn)
            if not sentence:
                return prompt + "".join(islice(letters, characters))
            said = ""
            for letter in islice(letters, characters + 1):  # the last shows the end
                said += letter
                if said.strip() and SENTENCE_END.search(said):
                    return prompt + said.rstrip()
                if hand and letter == "\n":
                    break
    finally:
        model.network.train(training)
    return prompt + _whole_words(said, characters)


def _start(prompt: str, vocabulary: Vocabulary, hand: bool) -> str:
    """What the network reads first: the prompt, or what a paragraph begins after.

    Raises:
        ValueError: a character of the prompt is unknown to the model or to the hand.
    """
    if not isinstance(prompt, str):
        raise InputError(f"the prompt must be a string, not {prompt!r}")
    if hand and (unknown := alphabet.missing(prompt)):
        raise InputError(
            f"the prompt has characters that the hand cannot write: "
            f"{', '.join(map(repr, unknown))}; replace them"
        )
    if prompt:
        return prompt
    for start in "\n ":
        if start in vocabulary.characters:
            return start
    raise InputError(
        "give a prompt of at least one character: the model knows no space"
    )


def _whole_words(text: str, most: int) -> str:
    """The beginning of a text, up to a number of characters, without a broken word."""
    if len(text) > most:
        text = text[:most].rpartition(" ")[0] or text[:most]
    return text.rstrip()
