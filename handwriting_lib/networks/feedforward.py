"""The feedforward network, which predicts the next point from the last k points.

Chapter 02 builds it.
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
class FeedforwardConfig(NetworkConfig):
    """The sizes of a `FeedforwardPredictor`.

    Attributes:
        points: k, the number of points that the network reads at once.
        hidden: number of units per hidden layer.
        layers: number of hidden layers.
        mixtures: M, the number of components of the output mixture.
    """

    points: int = 8
    hidden: int = 256
    layers: int = 2
    mixtures: int = 20


class FeedforwardState(NamedTuple):
    """The last k points, `(B, k, 3)`, which are all that it remembers."""

    points: Tensor


class FeedforwardPredictor(nn.Module):
    """Predicts the next point from the last k points with a stack of tanh layers.

    Example:
        >>> import torch
        >>> net = FeedforwardPredictor(FeedforwardConfig(points=4, hidden=16))
        >>> net(torch.zeros(2, 7, 3)).output.shape
        torch.Size([2, 7, 121])
    """

    kind: ClassVar[str] = "feedforward"
    Config: ClassVar[type] = FeedforwardConfig
    carries: ClassVar[Mapping[str, type]] = {
        "normalisation": Normalisation,
        "thinning": Thinning,
    }
    reads_text: ClassVar[bool] = False

    def __init__(self, config: FeedforwardConfig = FeedforwardConfig()) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        size = 3 * config.points
        for _ in range(config.layers):
            layers += [nn.Linear(size, config.hidden), nn.Tanh()]
            size = config.hidden
        self.layers = nn.Sequential(*layers)
        self.output = nn.Linear(size, 6 * config.mixtures + 1)

    def initial_state(self, batch_size: int) -> FeedforwardState:
        """The state before the first point: zeros."""
        points = self.output.bias.new_zeros(batch_size, self.config.points, 3)
        return FeedforwardState(points)

    def step(
        self, point: Tensor, state: FeedforwardState
    ) -> tuple[Tensor, FeedforwardState]:
        """Read a point `(B, 3)`; return the raw output `(B, 6M + 1)` and the state."""
        out, _, state = self(point[:, None], state)
        return out[:, 0], state

    def forward(
        self,
        ink: Tensor,
        state: FeedforwardState | None = None,
        matmul_dtype: torch.dtype | None = None,
        gate_limit: float | None = None,
    ) -> NetworkOutput:
        """The output at each point.

        Args:
            ink: `(B, T, 3)` points.
            state: state to continue from; None starts with zeros.
            matmul_dtype: ignored, because the products here are few and stay in the
                type of the input; accepted so that one task trains all networks.
            gate_limit: ignored, because there are no gates; accepted for the same
                reason.
        """
        k = self.config.points
        state = self.initial_state(ink.shape[0]) if state is None else state
        known = torch.cat([state.points, ink], 1)  # (B, k + T, 3)
        seen = known[:, 1:].unfold(1, k, 1).flatten(2)  # (B, T, 3k)
        raw = self.output(self.layers(seen))
        return NetworkOutput(raw, None, FeedforwardState(known[:, -k:]))
