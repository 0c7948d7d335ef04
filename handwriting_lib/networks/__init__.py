"""The networks, one per file, and the table that lists them by name.

A network is an `nn.Module` with a `config` (a frozen dataclass) and the following class
attributes, which are all that the rest of the library needs to know about its kind:

- `kind`: the name under which it is saved and configured;
- `Config`: the class of its `config`;
- `carries`: what a model file holds besides the weights, as a mapping from names to
  frozen dataclasses; networks over ink carry their normalisation and thinning;
- `reads_text`: whether it reads a text along with the ink.

Networks over ink also have `initial_state(batch_size)` and `step(point, state)`, with
which a line is written point by point. Networks over characters have `step(character,
state)`, where the state before the first character is None. Networks over the tokens of
strokes have `read(text, text_mask)` and `step(pair, state)`; one over the tokens of
outlines has `read(references, ...)` and `step(row, state)`.

To add a network, add a file to this folder and an entry to `NETWORKS`; an entry in
`systems.SYSTEMS` puts it to use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..errors import InputError
from .character import (
    CharacterDecoder,
    CharacterDecoderConfig,
    CharacterLSTM,
    CharacterLSTMConfig,
    CharacterOutput,
    CharacterState,
)
from .cursive import CursiveConfig, CursiveDecoder, CursiveOutput, CursiveState
from .feedforward import FeedforwardConfig, FeedforwardPredictor, FeedforwardState
from .glyph import GlyphConfig, GlyphDecoder, GlyphOutput, GlyphState
from .growth import grow
from .output import NetworkOutput
from .prediction import PredictionConfig, PredictionNetwork, PredictionState
from .recurrent import RecurrentConfig, RecurrentNetwork, RecurrentState
from .synthesis import SynthesisConfig, SynthesisNetwork, SynthesisState

NETWORKS: dict[str, type[Any]] = {
    network.kind: network
    for network in (
        FeedforwardPredictor,
        RecurrentNetwork,
        PredictionNetwork,
        SynthesisNetwork,
        CharacterDecoder,
        CharacterLSTM,
        CursiveDecoder,
        GlyphDecoder,
    )
}

__all__ = [
    "NETWORKS",
    "CharacterDecoder",
    "CharacterDecoderConfig",
    "CharacterLSTM",
    "CharacterLSTMConfig",
    "CharacterOutput",
    "CharacterState",
    "CursiveConfig",
    "CursiveDecoder",
    "CursiveOutput",
    "CursiveState",
    "FeedforwardConfig",
    "FeedforwardPredictor",
    "FeedforwardState",
    "GlyphConfig",
    "GlyphDecoder",
    "GlyphOutput",
    "GlyphState",
    "NetworkOutput",
    "PredictionConfig",
    "PredictionNetwork",
    "PredictionState",
    "RecurrentConfig",
    "RecurrentNetwork",
    "RecurrentState",
    "SynthesisConfig",
    "SynthesisNetwork",
    "SynthesisState",
    "build_network",
    "grow",
]


def network_class(kind: str) -> type[Any]:
    """The class of the networks of a kind.

    Raises:
        ValueError: the kind is not in `NETWORKS`.
    """
    if kind not in NETWORKS:
        raise InputError(
            f"there is no kind of network {kind!r}: choose one of "
            f"{', '.join(sorted(NETWORKS))}"
        )
    return NETWORKS[kind]


def build_network(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """Build a network with random weights.

    Args:
        kind: kind of network, a key of `NETWORKS`.
        config: entries of its `Config` that differ from the defaults.

    Raises:
        ValueError: the kind is not in `NETWORKS`, or its `Config` lacks an entry.
    """
    network = network_class(kind)
    try:
        return network(network.Config(**config))  # type: ignore[no-any-return]
    except TypeError as error:
        raise InputError(
            f"the configuration of a {kind} network is wrong: {error}"
        ) from None
