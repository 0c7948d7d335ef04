"""The synthesis network, which writes a given text (Graves 2013, section 5).

It is the prediction network with a soft window over the text, and it has the same skip
connections. `step` takes one point at a time and gives the same numbers as `forward` on
a whole line. Chapter 10 builds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .._deprecation import renamed_arguments, renamed_attributes
from ..data.transforms import Normalisation, Thinning
from ..fast import linear_in, peephole_sequence, windowed_sequence
from ..parts.lstm import LSTMState, PeepholeLSTM
from ..parts.window import WindowParameters
from .config import NetworkConfig
from .output import NetworkOutput


@dataclass(frozen=True)
class SynthesisConfig(NetworkConfig):
    """The sizes of a `SynthesisNetwork`; all defaults but `symbols` are the paper's.

    The paper's alphabet has 57 characters; ours has 95 and the padding symbol.

    Attributes:
        hidden: H, the number of cells per layer.
        layers: number of hidden layers.
        mixtures: M, the number of components of the output mixture.
        components: K, the number of components of the window.
        symbols: V, the size of the alphabet.
        step: initial step of kappa, in characters per point.
    """

    hidden: int = 400
    layers: int = 3
    mixtures: int = 20
    components: int = 10
    symbols: int = 96
    step: float = 0.06


class SynthesisState(NamedTuple):
    """The state of each layer and of the window.

    Attributes:
        layers: output and cell of each layer.
        w: `(B, V)` window vector: what the window read at the last point.
        kappa: `(B, K)` positions of the window's components.
    """

    layers: tuple[LSTMState, ...]
    w: Tensor
    kappa: Tensor


@renamed_attributes(start="initial_state")
class SynthesisNetwork(nn.Module):
    """The prediction network with a soft window over the text that it writes.

    Only the first layer moves the window. What the window reads goes to layers 2 and up
    at the same point, and to layer 1 at the next point.

    Example:
        >>> import torch
        >>> net = SynthesisNetwork(SynthesisConfig(hidden=8))
        >>> text = torch.tensor([[34, 73, 0], [34, 0, 0]])
        >>> mask = torch.tensor([[True, True, True], [True, True, False]])
        >>> net(torch.zeros(2, 7, 3), text, mask).phi.shape
        torch.Size([2, 7, 3])
    """

    kind: ClassVar[str] = "synthesis"
    Config: ClassVar[type] = SynthesisConfig
    carries: ClassVar[Mapping[str, type]] = {
        "normalisation": Normalisation,
        "thinning": Thinning,
    }
    reads_text: ClassVar[bool] = True

    def __init__(self, config: SynthesisConfig = SynthesisConfig()) -> None:
        super().__init__()
        self.config = config
        first = 3 + config.symbols
        sizes = [first] + [first + config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(PeepholeLSTM(size, config.hidden) for size in sizes)
        self.window = WindowParameters(config.hidden, config.components, config.step)
        self.output = nn.Linear(config.layers * config.hidden, 6 * config.mixtures + 1)

    @renamed_arguments(batch="batch_size")
    def initial_state(self, batch_size: int) -> SynthesisState:
        """The state before the first point: zeros."""
        zero = self.output.bias.new_zeros
        return SynthesisState(
            tuple(layer.initial_state(batch_size) for layer in self.layers),  # type: ignore[operator]
            zero(batch_size, self.config.symbols),
            zero(batch_size, self.config.components),
        )

    def step(
        self, point: Tensor, state: SynthesisState, text: Tensor, text_mask: Tensor
    ) -> tuple[Tensor, SynthesisState, Tensor]:
        """Read one point of each line.

        Args:
            point: `(B, 3)` points just written.
            state: state after the previous point.
            text: `(B, U)` int64 symbols, with the end slot.
            text_mask: `(B, U)` bool mask, true for characters and the end slot.

        Returns:
            The raw output `(B, 6M + 1)`, the next state, and phi `(B, U)`.
        """
        first = self.layers[0].step(torch.cat([point, state.w], -1), state.layers[0])  # type: ignore[operator]
        w, kappa, phi = self.window.read(
            first.h, state.kappa, text, text_mask, self.config.symbols
        )
        states = [first]
        for layer, old in zip(self.layers[1:], state.layers[1:], strict=True):
            states.append(layer.step(torch.cat([point, w, states[-1].h], -1), old))  # type: ignore[operator]
        hidden = torch.cat([s.h for s in states], -1)  # (B, layers * H)
        return self.output(hidden), SynthesisState(tuple(states), w, kappa), phi

    def layer_input(
        self, number: int, point: Tensor, before: SynthesisState, after: SynthesisState
    ) -> Tensor:
        """The input `(B, I)` of a layer at one step.

        Args:
            number: index of the layer, from 0.
            point: `(B, 3)` point of this step.
            before: state before the step.
            after: state after the step.
        """
        if not number:  # layer 1 reads the window of the previous step
            return torch.cat([point, before.w], -1)
        return torch.cat([point, after.w, after.layers[number - 1].h], -1)

    @renamed_arguments(products="matmul_dtype")
    def forward(
        self,
        ink: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: SynthesisState | None = None,
        matmul_dtype: torch.dtype | None = None,
        gate_limit: float | None = None,
    ) -> NetworkOutput:
        """Run whole lines through the fused layers.

        Args:
            ink: `(B, T, 3)` points.
            text: `(B, U)` int64 symbols, with the end slot.
            text_mask: `(B, U)` bool mask, true for characters and the end slot.
            state: state to continue from; None starts with zeros.
            matmul_dtype: type of the matrix products, such as `torch.bfloat16`; None
                keeps that of `ink`.
            gate_limit: limit on the derivatives at the inputs of the gates; see
                `clip_derivative`.
        """
        state = self.initial_state(ink.shape[0]) if state is None else state
        x = ink.transpose(0, 1)  # (T, B, 3)
        layer = self.layers[0]
        assert isinstance(layer, PeepholeLSTM)
        first = windowed_sequence(
            x, layer, self.window, state.layers[0], state.w, state.kappa,
            text, text_mask, matmul_dtype, gate_limit,
        )  # fmt: skip
        hidden, states = [first.h], [LSTMState(first.h[-1], first.c)]
        for layer, old in zip(self.layers[1:], state.layers[1:], strict=True):
            inputs = torch.cat([x, first.w, hidden[-1]], -1)  # (T, B, 3 + V + H)
            h, new = peephole_sequence(inputs, layer, old, matmul_dtype, gate_limit)  # type: ignore[arg-type]
            hidden.append(h)
            states.append(new)
        raw = linear_in(
            torch.cat(hidden, -1), self.output.weight, self.output.bias, matmul_dtype
        )
        end = SynthesisState(tuple(states), first.w[-1], first.kappa)
        return NetworkOutput(raw.transpose(0, 1), first.phi.transpose(0, 1), end)
