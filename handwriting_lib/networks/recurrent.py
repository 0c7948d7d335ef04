"""The plain recurrent network, whose layers remember by a single tanh.

It is wired as the prediction network is, so that the two differ in nothing but the kind
of their layers. Chapter 03 builds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..data.transforms import Normalisation, Thinning
from .config import NetworkConfig
from .output import NetworkOutput


@dataclass(frozen=True)
class RecurrentConfig(NetworkConfig):
    """The sizes of a `RecurrentNetwork`.

    Attributes:
        hidden: H, the number of units per layer.
        layers: number of hidden layers.
        mixtures: M, the number of components of the output mixture.
    """

    hidden: int = 400
    layers: int = 1
    mixtures: int = 20


class RecurrentState(NamedTuple):
    """The outputs of each layer, `(B, H)`, which are all that it remembers."""

    layers: tuple[Tensor, ...]


class RecurrentNetwork(nn.Module):
    """Stacked `nn.RNN` layers that predict the next point from all previous points.

    Example:
        >>> import torch
        >>> net = RecurrentNetwork(RecurrentConfig(hidden=8))
        >>> net(torch.zeros(2, 7, 3)).output.shape
        torch.Size([2, 7, 121])
    """

    kind: ClassVar[str] = "recurrent"
    Config: ClassVar[type] = RecurrentConfig
    carries: ClassVar[Mapping[str, type]] = {
        "normalisation": Normalisation,
        "thinning": Thinning,
    }
    reads_text: ClassVar[bool] = False

    def __init__(self, config: RecurrentConfig = RecurrentConfig()) -> None:
        super().__init__()
        self.config = config
        sizes = [3] + [3 + config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(
            nn.RNN(size, config.hidden, batch_first=True) for size in sizes
        )
        self.output = nn.Linear(config.layers * config.hidden, 6 * config.mixtures + 1)

    def initial_state(self, batch_size: int) -> RecurrentState:
        """The state before the first point: zeros."""
        zero = self.output.bias.new_zeros(batch_size, self.config.hidden)
        return RecurrentState((zero,) * self.config.layers)

    def step(
        self, point: Tensor, state: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        """Read a point `(B, 3)`; return the raw output `(B, 6M + 1)` and the state."""
        out, _, state = self(point[:, None], state)
        return out[:, 0], state

    def forward(
        self,
        ink: Tensor,
        state: RecurrentState | None = None,
        matmul_dtype: torch.dtype | None = None,
        gate_limit: float | None = None,
    ) -> NetworkOutput:
        """Run whole lines through the layers.

        Args:
            ink: `(B, T, 3)` points.
            state: state to continue from; None starts with zeros.
            matmul_dtype: ignored: `nn.RNN` computes in the type of the input. Accepted
                so that one task trains all networks.
            gate_limit: ignored, because there are no gates; accepted for the same
                reason.
        """
        state = self.initial_state(ink.shape[0]) if state is None else state
        hidden: list[Tensor] = []
        states = []
        for layer, old in zip(self.layers, state.layers, strict=True):
            inputs = torch.cat([ink, hidden[-1]], -1) if hidden else ink
            h, new = layer(inputs, old[None])
            hidden.append(h)
            states.append(new[0])
        raw = self.output(torch.cat(hidden, -1))
        return NetworkOutput(raw, None, RecurrentState(tuple(states)))
