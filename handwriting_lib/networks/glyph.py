"""The glyph decoder: it draws the outline of a character, point by point.

A decoder with causal self-attention over the points that it has drawn (Vaswani et al.
2017, section 3.1), over the tokens of `tokens.glyphs`. It is told the character and the
style. It also reads some *references*, which are other glyphs of the same font, through
cross-attention: a reader, a layer of self-attention that sees all of their points at
once, makes keys and values of them. A position is a point: its kind is predicted first,
then x given the kind, and then y given both.

The score of a coordinate is the sum of two: one for the place itself, which knows the
heights and stems that recur in a font, and one for the offset from the point before,
which knows a curve wherever it lies. Both end in the same softmax over places.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu

from ..errors import InputError
from ..outline import STYLES
from ..parts.attention import KeyValues, MultiHeadAttention
from ..tokens.characters import Vocabulary
from ..tokens.glyphs import ADVANCE, END, KINDS, GlyphTokens
from .config import NetworkConfig, Share

# Wavelengths, in steps of the grid, of the sinusoids with which the embeddings of
# coordinates begin: neighbouring numbers are alike before anything is learnt.
SHORTEST, LONGEST = 4.0, 512.0


@dataclass(frozen=True)
class GlyphConfig(NetworkConfig):
    """The sizes of a `GlyphDecoder`.

    Attributes:
        symbols: V, the number of characters; training takes it from the fonts.
        grid: number of steps of a coordinate in an em.
        points: largest number of rows in a program, its advance and its end included.
        width: D, the size of the embeddings and of the output of each layer.
        layers: number of layers of the decoder.
        readers: number of layers that read the references.
        heads: number of heads of attention, which divides the width.
        dropout: share of activations dropped in training, after each part.
        absolute: whether places are scored as such.
        relative: whether the offset from the point before is read as well, and scored.

    Raises:
        ValueError: an entry is out of its range, or coordinates are neither absolute
            nor relative.
    """

    symbols: int = 72
    grid: int = 128
    points: int = 160
    width: int = 176
    layers: int = 4
    readers: int = 1
    heads: int = 4
    dropout: Share = 0.1
    absolute: bool = True
    relative: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.absolute or self.relative):
            raise InputError("coordinates must be absolute or relative, or both")


class ReferenceRows(NamedTuple):
    """Other glyphs of F fonts as tokens, the references of a font one after the other.

    Attributes:
        rows: `(F, S, 3)` int64; S is 0 where no font has any.
        mask: `(F, S)` bool, true for rows, false for padding.
        character: `(F, S)` int64, the character that each row is of.
        number: `(F, S)` int64, the number of each row in its program.
    """

    rows: Tensor
    mask: Tensor
    character: Tensor
    number: Tensor


def reference_rows(
    shown: Sequence[Sequence[tuple[int, np.ndarray]]], tokens: GlyphTokens
) -> ReferenceRows:
    """The references of some fonts, padded.

    Args:
        shown: for each font, the place of a character in the vocabulary and the program
            `(N + 2, 3)` of its glyph, any number of them.
        tokens: of the programs.
    """
    length = max((sum(len(p) for _, p in glyphs) for glyphs in shown), default=0)
    rows = np.tile(
        np.array([END, tokens.no_x, tokens.no_y]), (len(shown), length, 1)
    )  # (F, S, 3)
    character = np.zeros((len(shown), length), dtype=np.int64)
    number = np.zeros_like(character)
    mask = np.zeros((len(shown), length), dtype=bool)
    for i, glyphs in enumerate(shown):
        at = 0
        for which, program in glyphs:
            part = slice(at, at + len(program))
            rows[i, part], mask[i, part], character[i, part] = program, True, which
            number[i, part] = np.arange(len(program))
            at += len(program)
    return ReferenceRows(
        *(torch.from_numpy(part) for part in (rows, mask, character, number))
    )


class References(NamedTuple):
    """What the network has made of the references of F fonts.

    Attributes:
        known: keys and values `(F, heads, S + 1, D / heads)` for each layer; the first
            is there without any reference too.
        mask: `(F, S + 1)` bool, true where there is something to read.
    """

    known: tuple[KeyValues, ...]
    mask: Tensor

    def select(self, rows: Tensor) -> References:
        """The references of some glyphs; those of one font serve all of them."""
        if len(self.mask) == 1:
            return self
        return References(
            tuple(KeyValues(k[rows], v[rows]) for k, v in self.known), self.mask[rows]
        )


class GlyphState(NamedTuple):
    """What a network keeps of the programs that it has read, and of what it was told.

    Attributes:
        told: `(B, D)` embedding of character and style.
        references: of one font, or of B.
        layers: the key-value cache of each layer.
        row: `(B, 3)` the row that was read last.
        number: number of rows that were read.
    """

    told: Tensor
    references: References
    layers: tuple[KeyValues, ...]
    row: Tensor
    number: int

    def select(self, rows: Tensor) -> GlyphState:
        """The state of some glyphs of the batch."""
        return GlyphState(
            self.told[rows],
            self.references.select(rows),
            tuple(KeyValues(k[rows], v[rows]) for k, v in self.layers),
            self.row[rows],
            self.number,
        )


class GlyphOutput(NamedTuple):
    """What `forward` of a `GlyphDecoder` returns.

    Attributes:
        hidden: `(B, T, D)` output of the last layer, from which coordinates come.
        kinds: `(B, T, 5)` the scores of the next row's kind.
        across: `(B, T, X)` the scores of its x, given the kinds that were handed in, or
            None.
        up: `(B, T, Y)` those of its y, given kind and x, or None.
        state: the state after the last row.

    With a mask, hidden and scores are of the rows alone that it asks for: `(P, ...)`.
    """

    hidden: Tensor
    kinds: Tensor
    across: Tensor | None
    up: Tensor | None
    state: GlyphState


class Wide(nn.Module):
    """The feedforward part: four times as wide inside, with a norm before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(gelu(self.up(self.norm(x))))  # type: ignore[no-any-return]


class Reader(nn.Module):
    """A layer that reads the references: attention in both directions.

    Args:
        config: of the network.
    """

    def __init__(self, config: GlyphConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.norm = nn.LayerNorm(config.width)
        self.attention = MultiHeadAttention(config.width, config.heads)
        self.wide = Wide(config.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        at = self.norm(x)
        read = self.attention.look(at, self.attention.read(at), mask=mask)
        x = x + dropout(read, self.dropout, self.training)
        return x + dropout(self.wide(x), self.dropout, self.training)


class Layer(nn.Module):
    """Attention to the program so far, attention to the references, a feedforward part.

    Each has a norm before it and a residual connection around it.

    Args:
        config: of the network.
    """

    def __init__(self, config: GlyphConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.dropout = config.dropout
        self.norm_past, self.past = (
            nn.LayerNorm(width),
            MultiHeadAttention(width, heads),
        )
        self.norm_reference, self.reference = (
            nn.LayerNorm(width),
            MultiHeadAttention(width, heads),
        )
        self.wide = Wide(width)

    def forward(
        self, x: Tensor, known: KeyValues, mask: Tensor, cache: KeyValues | None
    ) -> tuple[Tensor, KeyValues]:
        def dropped(part: Tensor) -> Tensor:
            return dropout(part, self.dropout, self.training)

        past, cache = self.past(self.norm_past(x), cache)
        x = x + dropped(past)
        # the glyphs of one font ask the same references, all in one row
        fonts = known.keys.shape[0]
        at = self.norm_reference(x).view(fonts, -1, x.shape[-1])  # (F, B / F * T, D)
        x = x + dropped(self.reference.look(at, known, mask=mask).view_as(x))
        return x + dropped(self.wide(x)), cache


class Coordinate(nn.Module):
    """The scores of a coordinate, given what has been predicted of the row already.

    Args:
        config: of the network.
        number: X, the number of tokens of the coordinate.
    """

    def __init__(self, config: GlyphConfig, number: int) -> None:
        super().__init__()
        width = config.width
        self.number = number
        self.aim = nn.Linear(width, width)
        self.scores = nn.Linear(width, number) if config.absolute else None
        self.offsets = nn.Linear(width, 2 * number - 1) if config.relative else None

    def forward(self, hidden: Tensor, known: Tensor, before: Tensor) -> Tensor:
        """The scores `(..., X)`.

        Args:
            hidden: `(..., D)`.
            known: `(..., D)` embedding of what is known of the row.
            before: `(...)` the token of the point before.
        """
        aim = gelu(self.aim(hidden) + known)
        total = hidden.new_zeros(()) if self.scores is None else self.scores(aim)
        if self.offsets is not None:
            places = torch.arange(self.number, device=hidden.device)
            offset = places - before[..., None] + (self.number - 1)  # (..., X)
            total = total + self.offsets(aim).gather(-1, offset)
        return total  # type: ignore[no-any-return]


class GlyphDecoder(nn.Module):
    """Predicts each next point of an outline from the character, the style and a font.

    Raises:
        ValueError: the heads do not divide the width, or the grid is too coarse.

    Example:
        >>> import torch
        >>> config = GlyphConfig(symbols=9, width=8, layers=2, heads=2)
        >>> net = GlyphDecoder(config)
        >>> rows = torch.zeros(4, 5, 3, dtype=torch.int64)
        >>> character, style = torch.arange(4), torch.tensor([0, 0, 1, 1])
        >>> net(rows, character, style).kinds.shape
        torch.Size([4, 5, 5])
    """

    kind: ClassVar[str] = "glyph"
    Config: ClassVar[type] = GlyphConfig
    carries: ClassVar[Mapping[str, type]] = {"vocabulary": Vocabulary}
    reads_text: ClassVar[bool] = False

    def __init__(self, config: GlyphConfig = GlyphConfig()) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.tokens = GlyphTokens(config.grid)
        across, up = self.tokens.no_x, self.tokens.no_y
        self.symbols = nn.Embedding(config.symbols, width)
        self.styles = nn.Embedding(len(STYLES), width)
        self.kinds_in = nn.Embedding(len(KINDS), width)
        self.x_in, self.y_in = (nn.Embedding(n + 1, width) for n in (across, up))
        self.positions = nn.Embedding(config.points + 1, width)
        if config.relative:  # offsets from the point before
            self.x_from, self.y_from = (
                nn.Embedding(2 * n - 1, width) for n in (across, up)
            )
        self.nothing = nn.Parameter(torch.zeros(width))
        self.readers = nn.ModuleList(Reader(config) for _ in range(config.readers))
        self.norm_read = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.kinds = nn.Linear(width, len(KINDS))
        self.kinds_out = nn.Embedding(len(KINDS), width)
        self.x_out = nn.Embedding(across + 1, width)
        self.x, self.y = Coordinate(config, across), Coordinate(config, up)
        self._initialise()

    def _initialise(self) -> None:
        """Draw weights for outputs of standard deviation 1; scores begin near zero."""
        layers: Any = [*self.readers, *self.layers]
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.5)
        with torch.no_grad():
            for layer in layers:  # all residual parts add up
                layer.wide.down.weight /= math.sqrt(3 * len(layers))
                for part in layer.children():
                    if isinstance(part, MultiHeadAttention):
                        part.output.weight /= math.sqrt(3 * len(layers))
            tables = [self.x_in, self.y_in, self.x_out, self.positions]
            if self.config.relative:
                tables += [self.x_from, self.y_from]
            for table in tables:
                table.weight.copy_(_sinusoids(*table.weight.shape))
            heads = [self.kinds, self.x.scores, self.y.scores]
            for head in (*heads, self.x.offsets, self.y.offsets):
                if head is not None:
                    nn.init.normal_(head.weight, std=0.02)

    def _place(self, rows: Tensor) -> Tensor:
        """`(..., 2)` the x and y of rows; the origin where a row is not a point."""
        left, bottom = self.tokens.lowest
        origin = torch.tensor([-left, -bottom], device=rows.device)
        is_point = (rows[..., 0] != END) & (rows[..., 0] != ADVANCE)
        return torch.where(is_point[..., None], rows[..., 1:], origin)

    def _embed(self, rows: Tensor, before: Tensor, number: Tensor) -> Tensor:
        """`(B, T, D)` for rows `(B, T, 3)`.

        Args:
            rows: to embed.
            before: `(B, T, 3)` the row before each.
            number: of each row in its program, `(T,)` or `(B, T)`.
        """
        kind, x, y = rows.unbind(-1)
        # rows that have no coordinates say so by the last token of each
        embedded = self.kinds_in(kind) + self.x_in(x) + self.y_in(y)
        embedded = embedded + self.positions(number)
        if self.config.relative:
            moved = self._place(rows) - self._place(before)
            most = torch.tensor(
                [self.tokens.no_x - 1, self.tokens.no_y - 1], device=rows.device
            )
            x_from, y_from = (moved + most).unbind(-1)
            embedded = embedded + self.x_from(x_from) + self.y_from(y_from)
        return embedded  # type: ignore[no-any-return]

    def begin(self, batch: int, device: torch.device | str | None = None) -> Tensor:
        """`(B, 1, 3)` the rows that a network reads before the first of a program."""
        row = torch.tensor([END, self.tokens.no_x, self.tokens.no_y], device=device)
        return row.expand(batch, 1, 3)

    def read(self, references: ReferenceRows | None = None) -> References:
        """Read the references of F fonts; None is one font without any."""
        x = self.nothing.expand(len(references.rows) if references else 1, 1, -1)
        mask = torch.ones(len(x), 1, dtype=torch.bool, device=x.device)
        if references is not None:
            is_first = references.number[..., None] == 0
            before = references.rows.roll(1, 1)
            before = torch.where(is_first, self.begin(1, x.device), before)
            rows = self._embed(references.rows, before, references.number)
            x = torch.cat([x, rows + self.symbols(references.character)], 1)
            mask = torch.cat([mask, references.mask], 1)  # (F, S + 1)
        for reader in self.readers:
            x = reader(x, mask)
        x = self.norm_read(x)  # (F, S + 1, D)
        known = tuple(layer.reference.read(x) for layer in self.layers)  # type: ignore[operator,union-attr]
        return References(known, mask)

    def forward(
        self,
        rows: Tensor,
        character: Tensor | None = None,
        style: Tensor | None = None,
        references: ReferenceRows | None = None,
        following: Tensor | None = None,
        mask: Tensor | None = None,
        state: GlyphState | None = None,
    ) -> GlyphOutput:
        """The scores of the next row, at each row.

        Args:
            rows: `(B, T, 3)` int64, from `begin` on or after those that `state` has
                read.
            character: `(B,)` int64; not with a state, which knows it.
            style: `(B,)` int64, places in `outline.STYLES`; likewise.
            references: of F fonts, each the font of B / F glyphs in a row; None reads
                none.
            following: `(B, T, 3)` int64, the row that follows each, for whose
                coordinates scores are wanted.
            mask: `(B, T)` bool, true where any scores are wanted; None is everywhere.
            state: the state to continue from; None begins a program.

        Raises:
            ValueError: the program is longer than `points`.
        """
        if state is None:
            assert character is not None and style is not None
            read = self.read(references)
            told = self.symbols(character) + self.styles(style)  # (B, D)
            number, caches, last = 0, None, rows[:, 0]
        else:
            told, read, caches, last, number = state
        length = number + rows.shape[1]
        if length > self.config.points + 1:
            raise InputError(
                f"a program of {length - 1} rows is too long: this network reads "
                f"{self.config.points}"
            )
        before = torch.cat([last[:, None], rows[:, :-1]], 1)
        at = torch.arange(number, length, device=rows.device)
        x, after = self._embed(rows, before, at) + told[:, None], []
        for i, layer in enumerate(self.layers):
            x, cache = layer(x, read.known[i], read.mask, caches and caches[i])
            after.append(cache)
        hidden, came = self.norm(x), rows
        if mask is not None:
            hidden, came = hidden[mask], rows[mask]  # (P, D), (P, 3)
            following = None if following is None else following[mask]
        across = up = None
        if following is not None:
            kind, to_x, _ = following.unbind(-1)
            across = self.across(hidden, came, kind)
            up = self.up(hidden, came, kind, to_x)
        after_state = GlyphState(told, read, tuple(after), rows[:, -1], length)
        return GlyphOutput(hidden, self.kinds(hidden), across, up, after_state)

    def across(self, hidden: Tensor, row: Tensor, kind: Tensor) -> Tensor:
        """The scores of x `(..., X)`, once the kind is known.

        Args:
            hidden: `(..., D)` what `forward` returned.
            row: `(..., 3)` int64, the row that was read before.
            kind: `(...)` int64.
        """
        known = self.kinds_out(kind)
        return self.x(hidden, known, self._place(row)[..., 0])  # type: ignore[no-any-return]

    def up(self, hidden: Tensor, row: Tensor, kind: Tensor, x: Tensor) -> Tensor:
        """The scores of y `(..., Y)`, once the kind and x are known.

        Args:
            hidden: `(..., D)` what `forward` returned.
            row: `(..., 3)` int64, the row that was read before.
            kind: `(...)` int64.
            x: `(...)` int64.
        """
        known = self.kinds_out(kind) + self.x_out(x)
        return self.y(hidden, known, self._place(row)[..., 1])  # type: ignore[no-any-return]

    def step(self, row: Tensor, state: GlyphState) -> tuple[GlyphOutput, GlyphState]:
        """Read one more row of each program, at the cost of one.

        Args:
            row: `(B, 3)` int64.
            state: the state before it.
        """
        out = self(row[:, None], state=state)
        return out, out.state


def _sinusoids(length: int, width: int) -> Tensor:
    """Sines and cosines of whole numbers, `(length, width)`."""
    number = (width + 1) // 2
    steps = torch.arange(number) / max(1, number - 1)
    wavelength = SHORTEST * (LONGEST / SHORTEST) ** steps
    angle = torch.arange(length)[:, None] * (2 * math.pi / wavelength)
    return torch.cat([angle.sin(), angle.cos()], 1)[:, :width]
