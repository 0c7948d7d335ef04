"""The networks, one file each, and the table that names them.

A network is an `nn.Module` with a `config` (a frozen dataclass) and these class
attributes, which are all that the rest of the library asks about its kind:

- `kind`: the name under which it is saved and configured;
- `Config`: the class of its `config`;
- `carries`: what a model file holds beside the weights, name by name, as classes of
  frozen dataclasses: ink networks carry the factors between their numbers and ink;
- `reads_text`: whether it is given a text along with the ink;
- `recurrent`: whether it has a state, with `initial_state`, `step` and `layer_input`.

A new network is a file in this folder and a line in `NETWORKS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ..errors import InputError
from .feedforward import FeedforwardConfig, FeedforwardPredictor
from .growth import grow
from .output import NetworkOutput
from .prediction import PredictionConfig, PredictionNetwork, PredictionState
from .synthesis import SynthesisConfig, SynthesisNetwork, SynthesisState

NETWORKS: dict[str, type[Any]] = {
    network.kind: network
    for network in (FeedforwardPredictor, PredictionNetwork, SynthesisNetwork)
}

__all__ = [
    "NETWORKS",
    "FeedforwardConfig",
    "FeedforwardPredictor",
    "NetworkOutput",
    "PredictionConfig",
    "PredictionNetwork",
    "PredictionState",
    "SynthesisConfig",
    "SynthesisNetwork",
    "SynthesisState",
    "build_network",
    "grow",
]


def network_class(kind: str) -> type[Any]:
    """The class of a kind of network.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in NETWORKS:
        raise InputError(
            f"there is no kind of network {kind!r}: choose one of "
            f"{', '.join(sorted(NETWORKS))}"
        )
    return NETWORKS[kind]


def build_network(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """A new network with random weights.

    Args:
        kind: one of `NETWORKS`.
        config: the entries of its `Config` that differ from the default.

    Raises:
        ValueError: there is no such kind, or its `Config` lacks one of the entries.
    """
    network = network_class(kind)
    try:
        return network(network.Config(**config))  # type: ignore[no-any-return]
    except TypeError as error:
        raise InputError(f"the configuration of a {kind} network: {error}") from None
