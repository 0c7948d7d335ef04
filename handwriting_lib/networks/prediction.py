"""The prediction network, which writes without a text (Graves 2013, section 4).

Skip connections lead from the input to every hidden layer, and from every hidden layer
to the output. Chapter 08 builds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .._deprecation import renamed_arguments, renamed_attributes
from ..data.transforms import Normalisation, Thinning
from ..fast import linear_in, peephole_sequence
from ..parts.lstm import LSTMState, PeepholeLSTM
from .config import NetworkConfig
from .output import NetworkOutput


@dataclass(frozen=True)
class PredictionConfig(NetworkConfig):
    """The sizes of a `PredictionNetwork`; the defaults are the paper's.

    Attributes:
        hidden: H, the number of cells per layer.
        layers: number of hidden layers.
        mixtures: M, the number of components of the output mixture.
        peepholes: whether the cells have peepholes; if not, the weights from the cells
            to the gates are zero and stay zero, as in a plain LSTM.
    """

    hidden: int = 400
    layers: int = 3
    mixtures: int = 20
    peepholes: bool = True


class PredictionState(NamedTuple):
    """The state of each layer."""

    layers: tuple[LSTMState, ...]


@renamed_attributes(start="initial_state")
class PredictionNetwork(nn.Module):
    """Stacked peephole LSTMs that predict the next point from all previous points.

    Example:
        >>> import torch
        >>> net = PredictionNetwork(PredictionConfig(hidden=8))
        >>> net(torch.zeros(2, 7, 3)).output.shape
        torch.Size([2, 7, 121])
    """

    kind: ClassVar[str] = "prediction"
    Config: ClassVar[type] = PredictionConfig
    carries: ClassVar[Mapping[str, type]] = {
        "normalisation": Normalisation,
        "thinning": Thinning,
    }
    reads_text: ClassVar[bool] = False

    def __init__(self, config: PredictionConfig = PredictionConfig()) -> None:
        super().__init__()
        self.config = config
        sizes = [3] + [3 + config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(PeepholeLSTM(size, config.hidden) for size in sizes)
        self.output = nn.Linear(config.layers * config.hidden, 6 * config.mixtures + 1)
        if not config.peepholes:
            for layer in self.layers:
                nn.init.zeros_(layer.peephole.requires_grad_(False))  # type: ignore[union-attr, arg-type]

    @renamed_arguments(batch="batch_size")
    def initial_state(self, batch_size: int) -> PredictionState:
        """The state before the first point: zeros."""
        layers: Any = self.layers
        return PredictionState(tuple(one.initial_state(batch_size) for one in layers))

    def step(
        self, point: Tensor, state: PredictionState
    ) -> tuple[Tensor, PredictionState]:
        """Read a point `(B, 3)`; return the raw output `(B, 6M + 1)` and the state."""
        states: list[LSTMState] = []
        for layer, old in zip(self.layers, state.layers, strict=True):
            x = torch.cat([point, states[-1].h], -1) if states else point
            states.append(layer.step(x, old))  # type: ignore[operator]
        hidden = torch.cat([s.h for s in states], -1)  # (B, layers * H)
        return self.output(hidden), PredictionState(tuple(states))

    def layer_input(
        self,
        number: int,
        point: Tensor,
        before: PredictionState,
        after: PredictionState,
    ) -> Tensor:
        """The input `(B, I)` of a layer at one step.

        Args:
            number: index of the layer, from 0.
            point: `(B, 3)` point of this step.
            before: state before the step.
            after: state after the step.
        """
        below = [after.layers[number - 1].h] if number else []
        return torch.cat([point, *below], -1)

    @renamed_arguments(products="matmul_dtype")
    def forward(
        self,
        ink: Tensor,
        state: PredictionState | None = None,
        matmul_dtype: torch.dtype | None = None,
        gate_limit: float | None = None,
    ) -> NetworkOutput:
        """Run whole lines through the fused layers.

        Args:
            ink: `(B, T, 3)` points.
            state: state to continue from; None starts with zeros.
            matmul_dtype: type of the matrix products, such as `torch.bfloat16`; None
                keeps that of `ink`.
            gate_limit: limit on the derivatives at the inputs of the gates; see
                `clip_derivative`.
        """
        state = self.initial_state(ink.shape[0]) if state is None else state
        x = ink.transpose(0, 1)  # (T, B, 3)
        hidden: list[Tensor] = []
        states = []
        for layer, old in zip(self.layers, state.layers, strict=True):
            inputs = torch.cat([x, hidden[-1]], -1) if hidden else x
            h, new = peephole_sequence(inputs, layer, old, matmul_dtype, gate_limit)  # type: ignore[arg-type]
            hidden.append(h)
            states.append(new)
        raw = linear_in(
            torch.cat(hidden, -1), self.output.weight, self.output.bias, matmul_dtype
        )
        return NetworkOutput(raw.transpose(0, 1), None, PredictionState(tuple(states)))
