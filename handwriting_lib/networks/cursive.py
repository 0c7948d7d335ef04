"""The cursive decoder: it writes a given text in tokens, point by point.

A decoder with causal self-attention over its own ink and cross-attention to the
characters of the text (Vaswani et al. 2017, section 3.1), over the tokens of
`tokens.strokes`. One position is one point: the angle is predicted first, and then the
radius and the pen, given the angle. Chapter 15 builds it.

Attention knows no order, so both sides are told where they are. A point knows how far
the pen has come in its word, in points and in letter-body heights, and how high it is.
A character knows its number in its word, and the place where its letter would stand if
all characters had the widths that the network has learnt. Both places are on one scale,
which is the *guide*: at each point, each head prefers the characters within some
distance of the place of the pen, and each chooses the distance, and moves the place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, softplus

from ..alphabet import encode
from ..data.transforms import Thinning
from ..parts.attention import KeyValues, MultiHeadAttention
from ..tokens.strokes import StrokeTokens
from .config import NetworkConfig, Share

# Shortest and longest wavelengths of the sinusoids that say where a position is, and
# their number: along the line and across it in letter-body heights, along the pen's way
# in points, and along the text in characters and in words.
ALONG, ACROSS = (1.0, 96.0, 8), (0.5, 16.0, 6)
POINTS, CHARACTERS, WORDS = (4.0, 512.0, 8), (2.0, 64.0, 8), (2.0, 32.0, 4)
# Distance from the place of the pen at which a head of a new network halves a character
# is about this, in letter-body heights: the first head is the sharpest.
FIRST_REACH, NEXT_REACH = 1.4, 1.6
SPACE = int(encode("a b")[1])
FIRST_WIDTH = 1.6  # of all characters, in letter-body heights, before they are learnt


@dataclass(frozen=True)
class CursiveConfig(NetworkConfig):
    """The sizes of a `CursiveDecoder`.

    Attributes:
        symbols: V, the size of the alphabet of the text.
        angles: A, the number of directions of an offset.
        radii: R, the number of lengths of an offset.
        shortest: the shortest length, in letter-body heights.
        longest: the longest one.
        width: D, the size of the embeddings and of the output of each layer.
        layers: number of layers.
        heads: number of heads of either attention, which divides the width.
        guide: whether cross-attention prefers what is near the place of the pen, in the
            word that is being written, or has to find all of this itself.
        dropout: share of activations dropped in training, after each part.
    """

    symbols: int = 96
    angles: int = 96
    radii: int = 40
    shortest: float = 0.02
    longest: float = 12.0
    width: int = 160
    layers: int = 4
    heads: int = 4
    guide: bool = True
    dropout: Share = 0.0


class Characters(NamedTuple):
    """What the network has made of a text.

    Attributes:
        known: keys and values of the characters for each layer.
        place: `(B, U)` where each letter is expected in its word, in letter-body
            heights from the beginning of the word.
        word: `(B, U)` number of the word that each character belongs to; a space
            belongs to the word before it.
        mask: `(B, U)` bool, true for characters and the end slot.
    """

    known: tuple[KeyValues, ...]
    place: Tensor
    word: Tensor
    mask: Tensor


class Track(NamedTuple):
    """Where the pen is after each token, with a last axis or without.

    Attributes:
        x: distance along the line from its first point, in letter-body heights.
        y: height above the first point.
        right: the largest x so far.
        begin: x where the word began: the right edge of what was there before.
        points: number of tokens since the word began.
        word: number of words that have ended.
    """

    x: Tensor
    y: Tensor
    right: Tensor
    begin: Tensor
    points: Tensor
    word: Tensor


class CursiveState(NamedTuple):
    """What a network keeps of the ink that it has read, and of the text.

    Attributes:
        text: the characters, as the layers see them.
        layers: the key-value cache of each layer.
        track: where the pen is, `(B,)` each.
        mask: `(B, N)` bool, true for the N positions of the cache that hold a token of
            the row; None if all of them do.
    """

    text: Characters
    layers: tuple[KeyValues, ...]
    track: Track
    mask: Tensor | None = None

    def select(self, rows: Tensor) -> CursiveState:
        """The state of some rows of the batch."""
        text = self.text
        return CursiveState(
            Characters(
                tuple(KeyValues(k[rows], v[rows]) for k, v in text.known),
                *(part[rows] for part in text[1:]),
            ),
            tuple(KeyValues(k[rows], v[rows]) for k, v in self.layers),
            Track(*(part[rows] for part in self.track)),
            None if self.mask is None else self.mask[rows],
        )


class CursiveOutput(NamedTuple):
    """What `forward` of a `CursiveDecoder` returns.

    Attributes:
        hidden: `(B, T, D)` output of the last layer, from which the shots come.
        angles: `(B, T, A + 2)` the scores of the next angle or mark, at each token.
        shots: `(B, T, 2R)` the scores of the next shot, given the angles that were
            handed in, or None.
        state: the state after the last token.
    """

    hidden: Tensor
    angles: Tensor
    shots: Tensor | None
    state: CursiveState


def waves(value: Tensor, shortest: float, longest: float, number: int) -> Tensor:
    """Sines and cosines of a number at several wavelengths, `(..., 2 * number)`."""
    steps = torch.arange(number, device=value.device) / max(1, number - 1)
    length = shortest * (longest / shortest) ** steps
    angle = value[..., None] * (2 * math.pi / length)
    return torch.cat([angle.sin(), angle.cos()], -1)


class Layer(nn.Module):
    """Attention to the ink, attention to the text, and a feedforward part.

    Each has a norm before it and a residual connection around it.

    Args:
        config: of the network.
    """

    def __init__(self, config: CursiveConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.dropout = config.dropout
        self.norm_ink, self.ink = nn.LayerNorm(width), MultiHeadAttention(width, heads)
        self.norm_text, self.text = (
            nn.LayerNorm(width),
            MultiHeadAttention(width, heads),
        )
        self.guide = nn.Linear(width, 3 * heads) if config.guide else None
        self.norm_wide = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def bias(self, x: Tensor, track: Track, text: Characters) -> Tensor:
        """What is added to the scores of the characters, `(B, heads or 1, T, U)`.

        Args:
            x: `(B, T, D)` normalised input of the cross-attention.
            track: `(B, T)` each.
            text: what is attended to.
        """
        if self.guide is None:
            return torch.where(text.mask, 0.0, -math.inf)[:, None, None]  # (B, 1, 1, U)
        last = text.word.masked_fill(~text.mask, 0).amax(1, keepdim=True)  # (B, 1)
        now = track.word.minimum(last)  # (B, T): the last word is never left
        allowed = (now[:, :, None] == text.word[:, None]) & text.mask[:, None]
        shift, stretch, nearness = self.guide(x).float().mT.chunk(3, 1)  # (B, heads, T)
        way = (track.x - track.begin)[:, None]  # (B, 1, T)
        place = way * stretch.exp() + shift  # (B, heads, T)
        distance = place[..., None] - text.place[:, None, None]  # (B, heads, T, U)
        bias = -nearness.exp()[..., None] * distance.square()
        return bias.masked_fill(~allowed[:, None], -math.inf)

    def forward(
        self,
        x: Tensor,
        track: Track,
        text: Characters,
        known: KeyValues,
        cache: KeyValues | None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, KeyValues]:
        def dropped(part: Tensor) -> Tensor:
            return dropout(part, self.dropout, self.training)

        mixed, cache = self.ink(self.norm_ink(x), cache, mask)
        x = x + dropped(mixed)
        at = self.norm_text(x)
        x = x + dropped(self.text.look(at, known, bias=self.bias(at, track, text)))
        return x + dropped(self.down(gelu(self.up(self.norm_wide(x))))), cache


class CursiveDecoder(nn.Module):
    """Predicts each next point of a line from the text and the points before it.

    Raises:
        ValueError: the heads do not divide the width, or the tokens are impossible.

    Example:
        >>> import torch
        >>> from handwriting_lib.alphabet import pad_texts
        >>> net = CursiveDecoder(CursiveConfig(width=8, layers=1, heads=2))
        >>> pairs = torch.zeros(2, 5, 2, dtype=torch.int64)
        >>> net(pairs, *pad_texts(["a b", "c"])).angles.shape
        torch.Size([2, 5, 98])
    """

    kind: ClassVar[str] = "cursive"
    Config: ClassVar[type] = CursiveConfig
    carries: ClassVar[Mapping[str, type]] = {"thinning": Thinning}
    reads_text: ClassVar[bool] = True

    def __init__(self, config: CursiveConfig = CursiveConfig()) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.tokens = tokens = StrokeTokens(
            config.angles, config.radii, config.shortest, config.longest
        )
        table = torch.zeros(tokens.angles + 2, tokens.radii + 1, 2)
        table[:-2, :-1] = tokens.offsets()
        self.offsets: Tensor
        self.register_buffer("offsets", table, persistent=False)
        self.angle_in = nn.Embedding(tokens.angles + 2, width)
        self.shot_in = nn.Embedding(2 * tokens.radii + 1, width)
        size = 2 * sum(number for *_, number in (ALONG, ACROSS, POINTS, WORDS))
        self.track_in = nn.Linear(size, width)
        self.symbols = nn.Embedding(config.symbols, width)
        self.widths = nn.Embedding(config.symbols, 1)
        size = 2 * sum(number for *_, number in (ALONG, CHARACTERS, WORDS))
        self.place_in = nn.Linear(size, width)
        self.near, self.far = (nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.norm_symbols = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.angles = nn.Linear(width, tokens.angles + 2)
        self.aim = nn.Linear(width, width)
        self.angle_out = nn.Embedding(tokens.angles + 2, width)
        self.shots = nn.Linear(width, 2 * tokens.radii)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Draw the weights so that parts begin at scale 1 and their sum stays there."""
        parts = math.sqrt(3 * len(self.layers))
        ends = {id(module) for layer in self.layers for module in (
            layer.ink.output, layer.text.output, layer.down)}  # type: ignore[union-attr]  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Linear):
                share = parts if id(module) in ends else 1.0
                nn.init.normal_(module.weight, std=module.in_features**-0.5 / share)
                nn.init.zeros_(module.bias)
        for head in (self.angles, self.shots):
            nn.init.normal_(head.weight, std=0.02)
        # softplus of it is the width of a character
        self.widths.weight.fill_(math.log(math.expm1(FIRST_WIDTH)))
        heads = self.config.heads
        reach = FIRST_REACH * NEXT_REACH ** torch.arange(heads)
        for layer in self.layers:
            if layer.guide is not None:
                guide: nn.Linear = layer.guide  # type: ignore[assignment]
                guide.weight.zero_()
                guide.bias[2 * heads :] = (math.log(2) / reach.square()).log()

    def read(self, text: Tensor, text_mask: Tensor) -> Characters:
        """Read a text, once for all points of its line.

        Args:
            text: `(B, U)` int64 symbols, with the end slot.
            text_mask: `(B, U)` bool, true for characters and the end slot.
        """
        is_space = text == SPACE
        word = is_space.cumsum(1) - is_space.long()  # (B, U)
        width = softplus(self.widths(text)[..., 0])  # (B, U)
        edge = width.cumsum(1)
        past = _before(edge * is_space)  # (B, U): what lies before the word
        place = edge - width / 2 - past
        number = torch.arange(text.shape[1], device=text.device)
        first = _before((number + 1) * is_space)  # (B, U)
        signs = torch.cat(
            [
                waves(place, *ALONG),
                waves((number - first).to(place), *CHARACTERS),
                waves(word.to(place), *WORDS),
            ],
            -1,
        )
        x = self.symbols(text) * text_mask[..., None]  # (B, U, D)
        context = self.far(gelu(self.near(x.mT)) * text_mask[:, None]).mT
        x = self.norm_symbols(x + context + self.place_in(signs))
        known = tuple(layer.text.read(x) for layer in self.layers)  # type: ignore[operator,union-attr]
        return Characters(known, place, word, text_mask)

    def follow(self, pairs: Tensor, before: Track | None = None) -> Track:
        """Where the pen is after each token, `(B, T)` each.

        Args:
            pairs: `(B, T, 2)` int64 tokens.
            before: where it was before them; None is the beginning of a line.
        """
        angle, shot = pairs.unbind(-1)
        batch, length = angle.shape
        offset = self.offsets[angle, shot // 2]  # (B, T, 2)
        if before is None:
            zero = offset.new_zeros(batch)
            before = Track(zero, zero, zero, zero, zero.long() - 1, zero.long())
            # the first row of ink has no offset
            offset = torch.cat([torch.zeros_like(offset[:, :1]), offset[:, 1:]], 1)
        x, y = offset.cumsum(1).unbind(-1)
        x, y = x + before.x[:, None], y + before.y[:, None]
        right = x.cummax(1).values.maximum(before.right[:, None])
        is_word = angle == self.tokens.word
        at = torch.arange(length, device=pairs.device).expand(batch, -1)
        last = torch.where(is_word, at, -1).cummax(1).values  # (B, T)
        begin = torch.where(
            last < 0, before.begin[:, None], right.gather(1, last.clamp_min(0))
        )
        points = torch.where(last < 0, before.points[:, None] + 1 + at, at - last)
        word = before.word[:, None] + is_word.cumsum(1)
        return Track(x, y, right, begin, points, word)

    def _embed(self, pairs: Tensor, track: Track) -> Tensor:
        """`(B, T, D)` for tokens and where they have led."""
        signs = torch.cat(
            [
                waves(track.x - track.begin, *ALONG),
                waves(track.y, *ACROSS),
                waves(track.points.to(track.x), *POINTS),
                waves(track.word.to(track.x), *WORDS),
            ],
            -1,
        )
        angle, shot = pairs.unbind(-1)
        return self.angle_in(angle) + self.shot_in(shot) + self.track_in(signs)  # type: ignore[no-any-return]

    def forward(
        self,
        pairs: Tensor,
        text: Tensor | None = None,
        text_mask: Tensor | None = None,
        following: Tensor | None = None,
        state: CursiveState | None = None,
        lengths: Tensor | None = None,
    ) -> CursiveOutput:
        """The scores of the next angle at each token, and of the next shot.

        Args:
            pairs: `(B, T, 2)` int64 tokens, from the first point of the line or after
                those that `state` has read.
            text: `(B, U)` int64 symbols, with the end slot; not with a state, which has
                read it.
            text_mask: `(B, U)` bool, true for characters and the end slot.
            following: `(B, T)` int64, the angle or mark that follows each token, for
                which the scores of the shots are wanted.
            state: the state to continue from; None begins a line.
            lengths: `(B,)` number of tokens of each row, the others being padding; the
                state returned is that after each row's own last token. None reads all
                T of them. Not with a state.
        """
        (batch, length), mask = pairs.shape[:2], None
        if state is None:
            assert text is not None and text_mask is not None
            if lengths is not None:
                mask = torch.arange(length, device=pairs.device) < lengths[:, None]
            characters, caches = self.read(text, text_mask), None
        else:
            assert lengths is None
            characters, caches = state.text, state.layers
            if state.mask is not None:
                new = state.mask.new_ones(batch, length)
                mask = torch.cat([state.mask, new], 1)  # (B, N + T)
        track = self.follow(pairs, state and state.track)
        x, after = self._embed(pairs, track), []
        for i, layer in enumerate(self.layers):
            x, cache = layer(
                x, track, characters, characters.known[i], caches and caches[i], mask
            )
            after.append(cache)
        hidden = self.norm(x)
        return CursiveOutput(
            hidden,
            self.angles(hidden),
            None if following is None else self.shots_after(hidden, following),
            CursiveState(characters, tuple(after), _last(track, lengths), mask),
        )

    def shots_after(self, hidden: Tensor, angle: Tensor) -> Tensor:
        """The scores of the shots `(..., 2R)`, once the angle is known.

        Args:
            hidden: `(..., D)` what `forward` returned.
            angle: `(...)` int64.
        """
        return self.shots(gelu(self.aim(hidden) + self.angle_out(angle)))  # type: ignore[no-any-return]

    def step(
        self, pair: Tensor, state: CursiveState
    ) -> tuple[CursiveOutput, CursiveState]:
        """Read one more token of each line, at the cost of one.

        Args:
            pair: `(B, 2)` int64.
            state: the state before it.
        """
        out = self(pair[:, None], state=state)
        return out, out.state

    @torch.no_grad()
    def attention_maps(self, pairs: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """How much each point reads from each character, `(B, layers, heads, T, U)`.

        Args:
            pairs: `(B, T, 2)` int64 tokens.
            text: `(B, U)` int64 symbols, with the end slot.
            text_mask: `(B, U)` bool, true for characters and the end slot.
        """
        characters, track = self.read(text, text_mask), self.follow(pairs)
        x, maps = self._embed(pairs, track), []
        for layer, known in zip(self.layers, characters.known, strict=True):
            mixed, _ = layer.ink(layer.norm_ink(x))  # type: ignore[operator]
            at = layer.norm_text(x + mixed)  # type: ignore[operator]
            bias = layer.bias(at, track, characters)  # type: ignore[operator]
            maps.append(layer.text.look_weights(at, known, bias))  # type: ignore[operator,union-attr]
            x, _ = layer(x, track, characters, known, None)
        return torch.stack(maps, 1)


def _last(track: Track, lengths: Tensor | None) -> Track:
    """Where the pen is after the last token of each row, `(B,)` each."""
    if lengths is None:
        return Track(*(part[:, -1] for part in track))
    at = lengths[:, None] - 1
    return Track(*(part.gather(1, at)[:, 0] for part in track))


def _before(marked: Tensor) -> Tensor:
    """`(B, U)` the largest of the values at earlier positions, 0 at the first one."""
    highest = marked.cummax(1).values[:, :-1]
    return torch.nn.functional.pad(highest, (1, 0))
