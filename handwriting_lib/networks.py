"""The networks of the book, wired as in Graves 2013, sections 4 and 5.

All of them read points `(B, T, 3)` and give, for each point, the raw output `6M + 1` of
a `StrokeMixture` over the next one. Every hidden layer sees the input, every hidden
layer feeds the output. `step` takes one point at a time and gives the same numbers as
`forward` on a line. Chapters 02 (feedforward), 08 (prediction) and 10 (synthesis).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .fused import linear_in, peephole_sequence, windowed_sequence
from .lstm import LSTMState, PeepholeLSTM
from .mixture import StrokeMixture
from .window import WindowParameters


class NetworkOutput(NamedTuple):
    """What `forward` of a network gives.

    Attributes:
        output: `(B, T, 6M + 1)` raw output; `mixture()` reads it.
        phi: `(B, T, U)` the window's weights, or None for a network without text.
        state: after the last point; hand it on to go on writing.
    """

    output: Tensor
    phi: Tensor | None
    state: SynthesisState | PredictionState | None

    def mixture(self, bias: float = 0.0, temperature: float = 1.0) -> StrokeMixture:
        """The density of the next point at each point."""
        return StrokeMixture.from_output(self.output, bias, temperature)


# --- no memory ---------------------------------------------------------------------


@dataclass(frozen=True)
class FeedforwardConfig:
    """Sizes: `points` seen at once, `hidden` units a layer, `mixtures` M."""

    points: int = 8
    hidden: int = 256
    layers: int = 2
    mixtures: int = 20


class FeedforwardPredictor(nn.Module):
    """The next point from the last k points, through tanh layers: a fixed memory.

    Example:
        >>> import torch
        >>> net = FeedforwardPredictor(FeedforwardConfig(points=4, hidden=16))
        >>> net(torch.zeros(2, 7, 3)).output.shape
        torch.Size([2, 7, 121])
    """

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

    def forward(self, ink: Tensor) -> NetworkOutput:
        """Points `(B, T, 3)`; before the first point the network sees zeros."""
        k = self.config.points
        padded = nn.functional.pad(ink, (0, 0, k - 1, 0))  # (B, T + k - 1, 3)
        seen = padded.unfold(1, k, 1).flatten(2)  # (B, T, 3k)
        return NetworkOutput(self.output(self.layers(seen)), None, None)


# --- memory, no text -----------------------------------------------------------------


@dataclass(frozen=True)
class PredictionConfig:
    """Sizes: `hidden` cells a layer (H), `layers`, `mixtures` (M), as in the paper.

    Without `peepholes` the cells are those of a plain LSTM: the weights from the cells
    to the gates are zero and stay so.
    """

    hidden: int = 400
    layers: int = 3
    mixtures: int = 20
    peepholes: bool = True


class PredictionState(NamedTuple):
    """The state of each layer."""

    layers: tuple[LSTMState, ...]


class PredictionNetwork(nn.Module):
    """Stacked peephole LSTMs that write without a text (section 4).

    Example:
        >>> import torch
        >>> net = PredictionNetwork(PredictionConfig(hidden=8))
        >>> net(torch.zeros(2, 7, 3)).output.shape
        torch.Size([2, 7, 121])
    """

    def __init__(self, config: PredictionConfig = PredictionConfig()) -> None:
        super().__init__()
        self.config = config
        sizes = [3] + [3 + config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(PeepholeLSTM(size, config.hidden) for size in sizes)
        self.output = nn.Linear(config.layers * config.hidden, 6 * config.mixtures + 1)
        if not config.peepholes:
            for layer in self.layers:
                nn.init.zeros_(layer.peephole.requires_grad_(False))  # type: ignore[union-attr, arg-type]

    def start(self, batch: int) -> PredictionState:
        """The state before the first point."""
        return PredictionState(tuple(layer.start(batch) for layer in self.layers))  # type: ignore[operator]

    def step(
        self, point: Tensor, state: PredictionState
    ) -> tuple[Tensor, PredictionState]:
        """One point `(B, 3)`: the raw output `(B, 6M + 1)` and the next state."""
        states: list[LSTMState] = []
        for layer, old in zip(self.layers, state.layers, strict=True):
            x = torch.cat([point, states[-1].h], -1) if states else point
            states.append(layer.step(x, old))  # type: ignore[operator]
        hidden = torch.cat([s.h for s in states], -1)  # (B, layers * H)
        return self.output(hidden), PredictionState(tuple(states))

    def forward(
        self,
        ink: Tensor,
        state: PredictionState | None = None,
        products: torch.dtype | None = None,
        gate_limit: float | None = None,
    ) -> NetworkOutput:
        """Whole lines, `(B, T, 3)`, through the fused layers.

        Args:
            ink: points.
            state: to go on from.
            products: the type of matrix products, such as `torch.bfloat16`.
            gate_limit: of the derivatives at the gates' inputs: see `clip_derivative`.
        """
        state = self.start(ink.shape[0]) if state is None else state
        x = ink.transpose(0, 1)  # (T, B, 3)
        hidden: list[Tensor] = []
        states = []
        for layer, old in zip(self.layers, state.layers, strict=True):
            inputs = torch.cat([x, hidden[-1]], -1) if hidden else x
            h, new = peephole_sequence(inputs, layer, old, products, gate_limit)  # type: ignore[arg-type]
            hidden.append(h)
            states.append(new)
        raw = linear_in(
            torch.cat(hidden, -1), self.output.weight, self.output.bias, products
        )
        return NetworkOutput(raw.transpose(0, 1), None, PredictionState(tuple(states)))


# --- memory and text -----------------------------------------------------------------


@dataclass(frozen=True)
class SynthesisConfig:
    """Sizes: H, layers, M, K, V; `step` is where kappa's step starts. The paper's size.

    The paper's alphabet has 57 characters; ours has 95 and the padding.
    """

    hidden: int = 400
    layers: int = 3
    mixtures: int = 20
    components: int = 10
    symbols: int = 96
    step: float = 0.06


class SynthesisState(NamedTuple):
    """The state of each layer, and of the window.

    Attributes:
        layers: output and cell of each layer.
        w: `(B, V)` what the window read at the last point.
        kappa: `(B, K)` where its components are.
    """

    layers: tuple[LSTMState, ...]
    w: Tensor
    kappa: Tensor


class SynthesisNetwork(nn.Module):
    """Writes a text: the prediction network with a soft window on it (section 5).

    The window is moved by the first layer alone. What it reads goes to layers 2 and up
    at the same point, and to layer 1 at the next.

    Example:
        >>> import torch
        >>> net = SynthesisNetwork(SynthesisConfig(hidden=8))
        >>> text = torch.tensor([[34, 73, 0], [34, 0, 0]])
        >>> mask = torch.tensor([[True, True, True], [True, True, False]])
        >>> net(torch.zeros(2, 7, 3), text, mask).phi.shape
        torch.Size([2, 7, 3])
    """

    def __init__(self, config: SynthesisConfig = SynthesisConfig()) -> None:
        super().__init__()
        self.config = config
        first = 3 + config.symbols
        sizes = [first] + [first + config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(PeepholeLSTM(size, config.hidden) for size in sizes)
        self.window = WindowParameters(config.hidden, config.components, config.step)
        self.output = nn.Linear(config.layers * config.hidden, 6 * config.mixtures + 1)

    def start(self, batch: int) -> SynthesisState:
        """The state before the first point: zeros."""
        zero = self.output.bias.new_zeros
        return SynthesisState(
            tuple(layer.start(batch) for layer in self.layers),  # type: ignore[operator]
            zero(batch, self.config.symbols),
            zero(batch, self.config.components),
        )

    def step(
        self, point: Tensor, state: SynthesisState, text: Tensor, text_mask: Tensor
    ) -> tuple[Tensor, SynthesisState, Tensor]:
        """One point of each line.

        Args:
            point: `(B, 3)` the point just written.
            state: of the point before.
            text: `(B, U)` int64 with the end slot.
            text_mask: `(B, U)` bool.

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

    def forward(
        self,
        ink: Tensor,
        text: Tensor,
        text_mask: Tensor,
        state: SynthesisState | None = None,
        products: torch.dtype | None = None,
        gate_limit: float | None = None,
    ) -> NetworkOutput:
        """Whole lines, through the fused layers.

        Args:
            ink: `(B, T, 3)` points.
            text: `(B, U)` int64 with the end slot.
            text_mask: `(B, U)` bool.
            state: to go on from.
            products: the type of matrix products, such as `torch.bfloat16`.
            gate_limit: of the derivatives at the gates' inputs: see `clip_derivative`.
        """
        state = self.start(ink.shape[0]) if state is None else state
        x = ink.transpose(0, 1)  # (T, B, 3)
        layer = self.layers[0]
        assert isinstance(layer, PeepholeLSTM)
        first = windowed_sequence(
            x, layer, self.window, state.layers[0], state.w, state.kappa,
            text, text_mask, products, gate_limit,
        )  # fmt: skip
        hidden, states = [first.h], [LSTMState(first.h[-1], first.c)]
        for layer, old in zip(self.layers[1:], state.layers[1:], strict=True):
            inputs = torch.cat([x, first.w, hidden[-1]], -1)  # (T, B, 3 + V + H)
            h, new = peephole_sequence(inputs, layer, old, products, gate_limit)  # type: ignore[arg-type]
            hidden.append(h)
            states.append(new)
        raw = linear_in(
            torch.cat(hidden, -1), self.output.weight, self.output.bias, products
        )
        end = SynthesisState(tuple(states), first.w[-1], first.kappa)
        return NetworkOutput(raw.transpose(0, 1), first.phi.transpose(0, 1), end)


# --- from a small network to a wide one -----------------------------------------------


@torch.no_grad()
def grow(small: nn.Module, wide: nn.Module) -> None:
    """Give a wide network what a small one has learned: at first both write alike.

    The small network's cells become the first cells of each layer. The new cells keep
    the random weights they read with, and are read with weights of zero, so they change
    nothing until training lets them.

    Args:
        small: a trained `PredictionNetwork` or `SynthesisNetwork`.
        wide: a network of the same kind with as many cells a layer or more, otherwise
            of the same sizes; it is changed in place.

    Raises:
        ValueError: the networks do not fit.

    Example:
        >>> import torch
        >>> small = PredictionNetwork(PredictionConfig(hidden=4))
        >>> wide = PredictionNetwork(PredictionConfig(hidden=6))
        >>> grow(small, wide)
        >>> ink = torch.randn(1, 5, 3)
        >>> torch.allclose(small(ink).output, wide(ink).output, atol=1e-5)
        True
    """
    old, new = getattr(small, "config", None), getattr(wide, "config", None)
    fits = isinstance(small, (PredictionNetwork, SynthesisNetwork)) and (
        type(small) is type(wide)
        and dataclasses.replace(new, hidden=old.hidden) == old  # type: ignore[union-attr, type-var]
        and new.hidden >= old.hidden  # type: ignore[union-attr]
    )
    if not fits:
        raise ValueError(f"a network with {old} cannot grow into one with {new}")
    few, many = old.hidden, new.hidden  # type: ignore[union-attr]

    def fill(target: Tensor, source: Tensor) -> None:
        """The old cells' weights; zeros where an old cell would read a new one."""
        target.zero_()
        target[..., : source.shape[-1]] = source

    for layer, into in zip(small.layers, wide.layers, strict=True):  # type: ignore[arg-type]
        for name in ("weight_ih", "weight_hh"):
            gates = getattr(into, name).view(4, many, -1)  # (4, H, I)
            fill(gates[:, :few], getattr(layer, name).view(4, few, -1))
        into.bias.view(4, many)[:, :few] = layer.bias.view(4, few)
        into.peephole[:, :few] = layer.peephole
    layers = len(small.layers)  # type: ignore[arg-type]
    fill(
        wide.output.weight.view(-1, layers, many),  # type: ignore[union-attr, operator]
        small.output.weight.view(-1, layers, few),  # type: ignore[union-attr, operator]
    )
    wide.output.bias.copy_(small.output.bias)  # type: ignore[union-attr, operator, arg-type]
    if isinstance(small, SynthesisNetwork) and isinstance(wide, SynthesisNetwork):
        fill(wide.window.weight, small.window.weight)
        wide.window.bias.copy_(small.window.bias)
