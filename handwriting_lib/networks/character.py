"""The networks that compose: they predict the next character of a text.

`CharacterDecoder` is the decoder of GPT (Radford et al. 2018, 2019): embeddings of the
characters and of their positions, followed by layers of causal attention and of a
feedforward part, each with a norm before it and a residual connection around it.
`CharacterLSTM` has an LSTM in place of attention and no positions, and is otherwise the
same, so that the two differ only in how they remember what they have read. Chapter 13
builds both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu

from ..errors import InputError
from ..parts.attention import MultiHeadAttention
from ..tokens.characters import Vocabulary
from .config import NetworkConfig, Share


@dataclass(frozen=True)
class CharacterDecoderConfig(NetworkConfig):
    """The sizes of a `CharacterDecoder`.

    Attributes:
        symbols: V, the size of the vocabulary; training takes it from the text.
        width: D, the size of the embeddings and of the output of each layer.
        layers: number of layers.
        heads: number of heads of attention, which divides the width.
        block: number of characters that it can attend to, and the length of the pieces
            that it is trained on.
        dropout: share of activations dropped in training, after each part.
    """

    symbols: int = 96
    width: int = 168
    layers: int = 4
    heads: int = 6
    block: int = 256
    dropout: Share = 0.1


@dataclass(frozen=True)
class CharacterLSTMConfig(NetworkConfig):
    """The sizes of a `CharacterLSTM`.

    Attributes:
        symbols: V, the size of the vocabulary; training takes it from the text.
        width: D, the size of the embeddings and of the output of each layer.
        layers: number of layers.
        block: length of the pieces that it is trained on; it can read longer texts.
        dropout: share of activations dropped in training, after each part.
    """

    symbols: int = 96
    width: int = 296
    layers: int = 1
    block: int = 256
    dropout: Share = 0.1


class CharacterState(NamedTuple):
    """What a network keeps of the text that it has read.

    Attributes:
        text: `(B, t)` characters that attention can still see; empty for an LSTM.
        layers: what each layer keeps: the key-value cache of attention, or the output
            and the cell of an LSTM.
    """

    text: Tensor
    layers: tuple[Any, ...]


class CharacterOutput(NamedTuple):
    """What `forward` of a network of characters returns.

    Attributes:
        logits: `(B, T, V)` the scores of the next character, at each character.
        state: the state after the last one.
    """

    logits: Tensor
    state: CharacterState


class Layer(nn.Module):
    """A part that reads the past, then a feedforward part, each with a residual.

    Args:
        past: module that maps `(B, T, D)` and its own state to `(B, T, D)` and the
            state after it: causal attention or an LSTM.
        width: D; the feedforward part is four times as wide inside.
        dropout: share of the output of either part that is dropped in training.
    """

    def __init__(self, past: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.norm_past, self.past = nn.LayerNorm(width), past
        self.norm_wide = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.dropout = dropout

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        read, state = self.past(self.norm_past(x), state)
        x = x + dropout(read, self.dropout, self.training)
        wide = self.down(gelu(self.up(self.norm_wide(x))))
        return x + dropout(wide, self.dropout, self.training), state


class _LSTM(nn.LSTM):
    """`nn.LSTM`, which few CPUs can train in bfloat16: on a CPU it stays in float32."""

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:  # type: ignore[override]
        if x.device.type != "cpu":
            return super().forward(x, state)  # type: ignore[no-any-return]
        kept = next(self.parameters()).dtype
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.to(kept), state)  # type: ignore[no-any-return]


def _through(
    layers: nn.ModuleList, x: Tensor, states: Sequence[Any] | None
) -> tuple[Tensor, tuple[Any, ...]]:
    """Run `(B, T, D)` through layers; their states are None before the first call."""
    after = []
    for layer, state in zip(layers, states or [None] * len(layers), strict=True):
        x, state = layer(x, state)
        after.append(state)
    return x, tuple(after)


def sinusoids(length: int, width: int) -> Tensor:
    """Sines and cosines of positions, `(T, D)` (Vaswani et al. 2017, section 3.5).

    Positions that lie at a fixed distance from each other differ by the same rotation
    wherever they are, so a network can learn at once what holds for all of them.

    Args:
        length: T, the number of positions.
        width: D; the first half of it are sines.
    """
    half = (width + 1) // 2
    rates = 1e4 ** (-torch.arange(half) / half)
    angles = torch.arange(length)[:, None] * rates  # (T, D / 2)
    return torch.cat([angles.sin(), angles.cos()], 1)[:, :width]


def _initialise(network: nn.Module) -> None:
    """Draw weights that give outputs of standard deviation 1 for such inputs.

    The outputs of all residual parts are added up, so the weights that produce them are
    divided by the square root of their number (Radford et al. 2019, section 2.3). The
    scores begin close to zero: a new network finds all characters about equally
    probable.
    """
    layers: Any = network.layers
    ends = {id(layer.down) for layer in layers}
    ends |= {id(getattr(layer.past, "output", None)) for layer in layers}
    for module in network.modules():
        if isinstance(module, nn.Linear):
            share = math.sqrt(2 * len(layers)) if id(module) in ends else 1.0
            nn.init.normal_(module.weight, std=module.in_features**-0.5 / share)
            nn.init.zeros_(module.bias)
    nn.init.normal_(network.output.weight, std=0.02)  # type: ignore[arg-type,union-attr]


class CharacterDecoder(nn.Module):
    """Predicts each next character from up to `block` characters, by attention.

    Raises:
        ValueError: the heads do not divide the width.

    Example:
        >>> import torch
        >>> config = CharacterDecoderConfig(symbols=9, width=8, layers=2, heads=2)
        >>> net = CharacterDecoder(config)
        >>> net(torch.zeros(2, 5, dtype=torch.int64)).logits.shape
        torch.Size([2, 5, 9])
    """

    kind: ClassVar[str] = "character"
    Config: ClassVar[type] = CharacterDecoderConfig
    carries: ClassVar[Mapping[str, type]] = {"vocabulary": Vocabulary}
    reads_text: ClassVar[bool] = False

    def __init__(
        self, config: CharacterDecoderConfig = CharacterDecoderConfig()
    ) -> None:
        super().__init__()
        self.config, width, drop = config, config.width, config.dropout
        self.symbols = nn.Embedding(config.symbols, width)
        self.positions = nn.Embedding(config.block, width)
        self.dropout = nn.Dropout(drop)
        self.layers = nn.ModuleList(
            Layer(MultiHeadAttention(width, config.heads), width, drop)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.symbols)
        _initialise(self)
        with torch.no_grad():  # training begins with them, and changes them
            self.positions.weight.copy_(sinusoids(config.block, width))

    def _embed(self, text: Tensor, first: int = 0) -> Tensor:
        """`(B, T, D)` for characters whose positions count from `first`.

        Raises:
            ValueError: the last one lies beyond the block.
        """
        end = first + text.shape[1]
        if end > self.config.block:
            raise InputError(
                f"a text of {end} characters is too long for a network that reads "
                f"{self.config.block} at once: give the last {self.config.block}, or "
                "use step, which moves along"
            )
        positions = self.positions.weight[first:end]  # (T, D)
        return self.dropout(self.symbols(text) + positions)  # type: ignore[no-any-return]

    def forward(
        self, text: Tensor, state: CharacterState | None = None
    ) -> CharacterOutput:
        """The scores of the next character at each character.

        Args:
            text: `(B, T)` int64 characters.
            state: the state to continue from; None begins a text.

        Raises:
            ValueError: together with what the state has read, the text is longer than
                the block.
        """
        before = text[:, :0] if state is None else state.text  # (B, t)
        x = self._embed(text, before.shape[1])
        x, layers = _through(self.layers, x, state and state.layers)
        read = torch.cat([before, text], 1)
        return CharacterOutput(self.output(self.norm(x)), CharacterState(read, layers))

    def step(
        self, character: Tensor, state: CharacterState | None = None
    ) -> tuple[Tensor, CharacterState]:
        """Read one more character, at the cost of one and not of the whole text.

        Past the block the window slides. A cached key or value depends on the position
        that its character had in the window, so the cache is of no use once the window
        moves. To pay for this rarely, the window moves by half a block at a time: the
        older half is forgotten, and the other half is read again from position 0. In a
        long text each character is therefore read twice on average, and each is
        predicted from at least half a block.

        Args:
            character: `(B,)` int64.
            state: the state before it; None begins a text.

        Returns:
            `(B, V)` scores of the next character, and the state.
        """
        text, block = character[:, None], self.config.block
        if state is not None and state.text.shape[1] == block:
            text = torch.cat([state.text[:, block - block // 2 :], text], 1)
            state = None
        out = self(text, state)
        return out.logits[:, -1], out.state

    @torch.no_grad()
    def attention_maps(self, text: Tensor) -> Tensor:
        """How much each character reads from each other one, for pictures.

        Args:
            text: `(B, T)` int64 characters, up to a block.

        Returns:
            `(B, layers, heads, T, T)`; the last axis sums to one.
        """
        x, maps = self._embed(text), []
        for layer in self.layers:
            maps.append(layer.past.weights(layer.norm_past(x)))  # type: ignore[operator, union-attr]
            x, _ = layer(x)
        return torch.stack(maps, 1)


class CharacterLSTM(nn.Module):
    """Predicts each next character from all that came before, by an LSTM.

    Example:
        >>> import torch
        >>> net = CharacterLSTM(CharacterLSTMConfig(symbols=9, width=8))
        >>> net(torch.zeros(2, 5, dtype=torch.int64)).logits.shape
        torch.Size([2, 5, 9])
    """

    kind: ClassVar[str] = "character-lstm"
    Config: ClassVar[type] = CharacterLSTMConfig
    carries: ClassVar[Mapping[str, type]] = {"vocabulary": Vocabulary}
    reads_text: ClassVar[bool] = False

    def __init__(self, config: CharacterLSTMConfig = CharacterLSTMConfig()) -> None:
        super().__init__()
        self.config, width, drop = config, config.width, config.dropout
        self.symbols = nn.Embedding(config.symbols, width)
        self.dropout = nn.Dropout(drop)
        self.layers = nn.ModuleList(
            Layer(_LSTM(width, width, batch_first=True), width, drop)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.symbols)
        _initialise(self)

    def forward(
        self, text: Tensor, state: CharacterState | None = None
    ) -> CharacterOutput:
        """The scores of the next character at each character.

        Args:
            text: `(B, T)` int64 characters.
            state: the state to continue from; None begins a text.
        """
        x = self.dropout(self.symbols(text))  # (B, T, D)
        x, layers = _through(self.layers, x, state and state.layers)
        return CharacterOutput(
            self.output(self.norm(x)), CharacterState(text[:, :0], layers)
        )

    def step(
        self, character: Tensor, state: CharacterState | None = None
    ) -> tuple[Tensor, CharacterState]:
        """Read one more character.

        Args:
            character: `(B,)` int64.
            state: the state before it; None begins a text.

        Returns:
            `(B, V)` scores of the next character, and the state.
        """
        out = self(character[:, None], state)
        return out.logits[:, -1], out.state
