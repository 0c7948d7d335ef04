"""Small decoders over characters, which need no training."""

from __future__ import annotations

import base64

import torch

from handwriting_lib import CharacterDecoder, CharacterDecoderConfig, Model, Vocabulary
from handwriting_lib.alphabet import CHARACTERS


def make_decoder(width=24, layers=2, heads=3, block=40, characters="\n" + CHARACTERS):
    """A model whose heads look at something and whose layers all count."""
    torch.manual_seed(3)
    vocabulary = Vocabulary.of(characters)
    config = CharacterDecoderConfig(len(vocabulary), width, layers, heads, block)
    network = CharacterDecoder(config).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    return Model(network, vocabulary=vocabulary, name="letters")


def prefer(model, **letters):
    """Let the scores depend little on the text, and more on what is preferred."""
    with torch.no_grad():
        model.network.output.weight.mul_(0.1)
        for letter, more in letters.items():
            at = model.carried["vocabulary"].characters.index(letter)
            model.network.output.bias[at] += more
    return model


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
