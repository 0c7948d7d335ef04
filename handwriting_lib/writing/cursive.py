"""Writing with the cursive decoder: from a text to tokens, and from tokens to ink.

Each point takes two draws, the angle and then the shot, and one step of the network
with its key-value cache. A word may only end while the pen is lifted, and the text only
with its last word. Whether a line is complete is read from the cross-attention: see
`check_attention`. Chapter 15 builds it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..alphabet import pad_texts
from ..data.joining import join_words
from ..data.transforms import scale_by_writer
from ..files.models import Model, ModelError
from ..ink import Sample, check_ink, offsets_to_positions, positions_to_offsets
from .decode import Decoding
from .lines import Drawn, Line, Writer
from .sampling import STRETCH, check_phi, length_bound, skipped
from .styles import ANY, SCALED, Style, StyleError
from .words import words_of

# Characters with a part that people write after the word: dots, bars and accents. Of
# capitals and signs any stroke may come late.
LATE = frozenset("fijtxz")
# Words that the network knows together, as it was trained; and how many of those before
# a piece of a long text it sees with it.
TOGETHER, RUNNING = 5, 2
HAND_GAP = 1.3  # between the words of a hand, in letter-body heights


def check_attention(phi: Tensor, text: str) -> str:
    """What is wrong with a line, from its cross-attention; "" if it is complete.

    A line is complete when each character but spaces was the most attended one at some
    point, and none was returned to but those whose dots and bars may come late.

    Args:
        phi: `(T, U)` weights at each point, the end slot last.
        text: the U - 1 characters.

    Raises:
        ValueError: phi and text do not belong together.

    Example:
        >>> import torch
        >>> check_attention(torch.eye(3), "ab")
        ''
        >>> check_attention(torch.eye(3)[[0, 2]], "ab")
        "skipped 'b', character 2"
    """
    check_phi(phi, text)
    attended = phi[:, : len(text)].argmax(1).tolist()
    if problem := skipped(attended, text):
        return problem
    furthest = 0
    for at in attended:
        is_late = text[at] in LATE or not text[at].islower()
        if at < furthest - 1 and not is_late:
            return f"went back from {text[furthest]!r} to {text[at]!r}"
        if text[at : at + 1] != " ":  # a word's end is seen before its last letter
            furthest = max(furthest, at)
    return ""


@torch.no_grad()
def attention_over(
    model: Model, ink: Tensor, text: str, word_ends: Sequence[int] = ()
) -> Tensor:
    """What each head read when each point was drawn, `(layers, heads, T, U)`.

    As in `Line.phi`, a point has the weights at the token before it, where it was
    drawn. Nothing was read for the first point, which has those of the second.

    Args:
        model: with a `CursiveDecoder`.
        ink: `(T, 3)` offsets in letter-body heights, thinned as the model's.
        text: the U - 1 characters.
        word_ends: rows after which a word ends and another one follows.

    Raises:
        ValueError: the text is empty or has characters that the model lacks.
    """
    network: Any = model.network
    text_and_mask = [part.to(model.device) for part in pad_texts([text])]
    pairs = network.tokens.encode(ink, word_ends)  # (N, 2)
    drawn = (pairs[:, 0] < network.tokens.angles).nonzero()[:, 0]  # (T,)
    training = network.training
    network.eval()
    maps = network.attention_maps(pairs[None].to(model.device), *text_and_mask)[0]
    network.train(training)
    return maps[:, :, (drawn - 1).clamp_min(0)].cpu()  # type: ignore[no-any-return]


def sharpened(scores: Tensor, is_other: Tensor, bias: float) -> Tensor:
    """Multiply the scores of two kinds of tokens by 1 + bias, each kind by itself.

    How probable either kind is stays as it was. If all tokens were sharpened together,
    rare events such as the end of a word would become rarer still.

    Args:
        scores: `(B, V)` scores.
        is_other: `(V,)` bool, true for tokens of the second kind.
        bias: at least 0.

    Example:
        >>> import torch
        >>> p = torch.tensor([[0.6, 0.2, 0.2]])
        >>> sharpened(p.log(), torch.tensor([False, False, True]), 1.0).softmax(-1)
        tensor([[0.7200, 0.0800, 0.2000]])
    """
    kinds = torch.stack([is_other, ~is_other])  # (2, V)
    two = scores.float()[:, None].masked_fill(kinds, -math.inf)  # (B, 2, V)
    before = two.logsumexp(-1, keepdim=True)
    two = two * (1 + bias)
    after = two.logsumexp(-1, keepdim=True).clamp_min(-1e30)  # a kind may be forbidden
    return (two - after + before).amax(1)


class CursiveWriter(Writer):
    """Writes with a network over the tokens of strokes.

    Args:
        model: with a `CursiveDecoder`.
        precision: of the weights; only `"float32"`.

    Raises:
        ModelError: another precision is asked for.
    """

    backend = "torch"

    def __init__(self, model: Model, precision: str = "float32") -> None:
        if precision != "float32":
            raise ModelError(
                f"{model.name} is a {model.kind} model, which has no {precision} "
                "weights: leave precision out"
            )
        self.model = model
        head = model.about.get("aligned_head")  # see training.cursive.aligned_head
        self.head = None if head is None else (int(head[0]), int(head[1]))

    def choose_style(self, style: Any | str | Path | None) -> Prime | None:
        """A hand, from a word or several words that it wrote; see `make_prime`."""
        if style is None or (isinstance(style, str) and style == ANY):
            return None
        if isinstance(style, Prime):
            return style
        if isinstance(style, Sample):
            return make_prime(self.model, [style])
        if isinstance(style, str | Path | Style):
            raise ModelError(
                f"{self.model.name} is a {self.model.kind} model, whose hands come "
                f'from samples: give words of one writer, or "{ANY}", not {style!r}'
            )
        return make_prime(self.model, style)

    def style_of(self, line: Line) -> Prime:
        at = offsets_to_positions(line.ink)
        words = [
            Sample(
                word.text, positions_to_offsets(at[word.points]), "hand", "write",
                units=SCALED,
            )
            for word in words_of(line)
        ]  # fmt: skip
        return make_prime(self.model, words)

    @torch.no_grad()
    def draw(
        self,
        texts: Sequence[str],
        generators: Sequence[torch.Generator],
        style: Prime | None = None,
        bias: float = 0.0,
        temperature: float = 1.0,
        keep_output: bool = False,
    ) -> list[Drawn]:
        """Draw each text once.

        The bias sharpens angles and lengths, and leaves the probabilities of the marks
        and of a lifted pen as they are, as it does for a mixture (Graves 2013, section
        5.4): see `sharpened`. The temperature divides all scores. The network knows
        lines of a few words, so a longer text is written in pieces, each after the hand
        and the last words before it.
        """
        network: Any = self.model.network
        decoding = Decoding(temperature)
        training = network.training
        network.eval()  # dropout would go on otherwise
        lines = [_Unfinished(text, network, style) for text in texts]
        try:
            while waiting := [i for i, line in enumerate(lines) if line.is_unfinished]:
                pieces = [lines[i].next_piece() for i in waiting]
                noise = [
                    torch.rand(length_bound(piece.text), 2, generator=generators[i])
                    for i, piece in zip(waiting, pieces, strict=True)
                ]
                written = _write(network, pieces, noise, decoding, bias, self.head)
                for i, piece, one in zip(waiting, pieces, written, strict=True):
                    lines[i].add(piece, one)
        finally:
            network.train(training)
        return [line.drawn() for line in lines]


class _Piece(NamedTuple):
    """What is written next: `text`, after the tokens `(N, 2)` of the words `before`."""

    before: str
    pairs: Tensor
    text: str


class _Written(NamedTuple):
    """A piece as it came out.

    Attributes:
        pairs: `(N, 2)` its tokens, without the mark that ends the text.
        phi: `(N, U)` the weights of its characters and the end slot at each token.
        is_finished: whether the mark that ends the text came.
    """

    pairs: Tensor
    phi: Tensor
    is_finished: bool


class _Unfinished:
    """A line that is written piece by piece.

    Args:
        text: of the line.
        network: a `CursiveDecoder`.
        style: the hand, or None.
    """

    def __init__(self, text: str, network: Any, style: Prime | None) -> None:
        self.text, self.network, self.style = text, network, style
        self.left = text.split(" ")
        self.words: list[Tensor] = []  # rows x, y, end of stroke of each word
        self.phi: list[Tensor] = []
        self.is_unfinished, self.has_ended = True, True
        self.pen = torch.zeros(2)
        if style is not None:
            self.pen = offsets_to_positions(network.tokens.decode(style.pairs))[-1, :2]

    def next_piece(self) -> _Piece:
        """The next words, and those before that the network shall see."""
        hand = [] if self.style is None else self.style.text.split(" ")
        running = min(RUNNING, len(self.words), max(1, TOGETHER - 1 - len(hand)))
        count = max(1, TOGETHER - len(hand) - running)
        text = " ".join(self.left[:count])
        done = self.text.split(" ")[: -len(self.left)]
        before = " ".join([*hand, *done[len(done) - running :]])
        if not running:
            # without a hand, the pen is put down and that is all
            put_down = torch.zeros(1, 2, dtype=torch.long)
            return _Piece(
                before, put_down if self.style is None else self.style.pairs, text
            )
        ends, tokens = [], self.network.tokens
        rows = self.words[-running:]
        if self.style is not None:
            first = offsets_to_positions(tokens.decode(self.style.pairs))
            gap = HAND_GAP + float(first[:, 0].max() - torch.cat(rows)[:, 0].min())
            move = torch.tensor([gap, 0.0, 0.0])
            marks = self.style.pairs[:, 0] == tokens.word
            at = marks.nonzero()[:, 0] - torch.arange(int(marks.sum())) - 1
            ends = at.tolist()
            rows = [first, *(row + move for row in rows)]
        for row in rows[len(rows) - running : -1]:
            ends.append((ends[-1] if ends else -1) + len(row))
        ink = positions_to_offsets(torch.cat(rows))
        mark = torch.tensor([[tokens.word, tokens.no_shot]])
        return _Piece(before, torch.cat([tokens.encode(ink, ends), mark]), text)

    def add(self, piece: _Piece, written: _Written) -> None:
        """Put a piece behind what there is."""
        network, (pairs, phi, finished) = self.network, written
        put_down = not self.words and self.style is None
        if put_down:  # the first point is ink, and was not drawn
            pairs = torch.cat([piece.pairs, pairs])
            phi = torch.cat([phi[:1], phi])
        is_mark = pairs[:, 0] >= network.tokens.angles
        offset = network.offsets.cpu()[pairs[:, 0], pairs[:, 1] // 2]  # (N, 2)
        if put_down:
            offset[0] = 0
        at = self.pen + offset.cumsum(0)
        rows = torch.cat([at, (pairs[:, 1:] % 2).to(at)], 1)
        cuts = is_mark.nonzero()[:, 0] + 1
        for part in torch.tensor_split(torch.arange(len(pairs)), cuts):
            part = part[~is_mark[part]]
            if len(part):
                self.words.append(rows[part])
        self.pen = self.words[-1][-1, :2]
        start = len(self.text) - len(" ".join(self.left))
        whole = phi.new_zeros(len(phi), len(self.text) + 1)
        whole[:, start : start + phi.shape[1]] = phi
        self.phi.append(whole[~is_mark])
        self.left = self.left[len(piece.text.split(" ")) :]
        self.has_ended = finished
        self.is_unfinished = finished and bool(self.left)

    def drawn(self) -> Drawn:
        """The line, and what is wrong with it."""
        rows, phi = torch.cat(self.words), torch.cat(self.phi)
        ink = positions_to_offsets(rows)
        ink[-1, 2] = 1
        problem = "" if self.has_ended else "did not end within the length bound"
        return Drawn(ink, phi, None, problem or check_attention(phi, self.text))


class Prime(NamedTuple):
    """Ink that a line goes on from, in one hand.

    Attributes:
        text: of the ink, one or more words.
        pairs: `(N, 2)` its tokens, the mark that ends its last word included.
    """

    text: str
    pairs: Tensor

    @property
    def name(self) -> str:
        """The text and a mark of the tokens, which tells hands of one text apart."""
        mark = hashlib.sha256(self.pairs.numpy().tobytes()).hexdigest()[:8]
        return f"{self.text} ({mark})"


def make_prime(model: Model, words: Sequence[Sample], gap: float = HAND_GAP) -> Prime:
    """Set words of one writer side by side, for a line to go on from.

    Args:
        model: with a `CursiveDecoder`.
        words: from a corpus reader, the drawing pad or `scale_by_writer`. They must not
            be thinned. Ink that is not in letter-body heights is divided by that of
            these words.
        gap: between words, in letter-body heights.

    Raises:
        StyleError: there are no words, or a text is not a single word.
    """
    if not words:
        raise StyleError("a hand comes from words that it wrote: give at least one")
    for word in words:
        if not word.text or " " in word.text:
            raise StyleError(
                f"{word.text!r} is not a single word: give a sample for each word"
            )
    raw = [word.units != SCALED for word in words]
    scaled = scale_by_writer(words) if any(raw) else words
    inks = [model.thinning(check_ink(word.ink, "the prime"))[0] for word in scaled]
    inks = [torch.cat([ink[:-1], _ended(ink[-1:])]) for ink in inks]
    count = len(inks) - 1
    ink, ends = join_words(inks, [gap] * count, [0.0] * count)
    tokens: Any = model.network.tokens
    mark = torch.tensor([[tokens.word, tokens.no_shot]])
    pairs = torch.cat([tokens.encode(ink, ends), mark])
    return Prime(" ".join(word.text for word in words), pairs)


def _ended(point: Tensor) -> Tensor:
    """A point `(1, 3)` after which the pen is lifted."""
    return torch.cat([point[:, :2], torch.ones_like(point[:, 2:])], 1)


def _write(
    network: Any,
    pieces: Sequence[_Piece],
    noises: Sequence[Tensor],
    decoding: Decoding,
    bias: float,
    head: tuple[int, int] | None,
) -> list[_Written]:
    """Write pieces together.

    Args:
        network: a `CursiveDecoder`, in evaluation mode.
        pieces: what to write, and after what.
        noises: `(n, 2)` numbers from 0 to below 1 for each, two for each token; no
            more tokens are drawn.
        decoding: how tokens are drawn.
        bias: of angles and lengths.
        head: the layer and the head whose weights are returned; None averages all.
    """
    tokens, device = network.tokens, network.offsets.device
    whole = [f"{one.before} {one.text}".strip() for one in pieces]
    text, text_mask = (part.to(device) for part in pad_texts(whole))
    begins = [one.pairs.to(device) for one in pieces]
    lengths = torch.tensor([len(begin) for begin in begins], device=device)
    limits = torch.tensor([len(noise) for noise in noises], device=device)
    noise = pad_sequence(list(noises)).to(device)  # (T, B, 2)
    batch = len(pieces)
    ids = torch.arange(batch, device=device)  # lines that are still written
    is_mark = torch.arange(tokens.angles + 2, device=device) >= tokens.angles
    is_lifted = torch.arange(2 * tokens.radii, device=device) % 2 == 1
    pair = torch.stack([begin[-1] for begin in begins])
    written = []
    length = limits.clone()
    finished = torch.zeros(batch, dtype=torch.bool, device=device)
    out = network(
        pad_sequence(begins, batch_first=True), text, text_mask, lengths=lengths
    )
    hidden, angles = out.hidden[ids, lengths - 1], out.angles[ids, lengths - 1]
    state = out.state
    last = state.text.word.masked_fill(~text_mask, 0).amax(1)  # (B,) number of a word
    for t in range(len(noise)):
        is_last = state.track.word >= last[ids]
        lifted = (pair[:, 1] % 2 == 1) & (pair[:, 0] < tokens.angles)
        allowed = torch.ones(
            len(ids), tokens.angles + 2, dtype=torch.bool, device=device
        )
        allowed[:, tokens.word] = lifted & ~is_last
        allowed[:, tokens.end] = lifted & is_last
        scores = sharpened(angles.masked_fill(~allowed, -math.inf), is_mark, bias)
        angle = decoding.pick(scores, noise[t, ids, 0])
        scores = sharpened(network.shots_after(hidden, angle), is_lifted, bias)
        shot = decoding.pick(scores, noise[t, ids, 1])
        ends = angle >= tokens.angles
        pair = torch.stack([angle, torch.where(ends, tokens.no_shot, shot)], 1)
        row = pair.new_zeros(batch, 2)
        row[ids] = pair
        written.append(row)
        ended = (angle == tokens.end) & ~finished[ids]  # some read on: see below
        length[ids[ended]] = t
        finished[ids[ended]] = True
        going = ~finished[ids] & (t + 1 < limits[ids])
        if not going.any():
            break
        if t % STRETCH == 0 and not going.all():  # these leave the batch
            ids, pair, state = ids[going], pair[going], state.select(going)
        # a line that has ended reads on until it leaves; nothing of it is kept
        read = torch.where((pair[:, :1] == tokens.end), pair.new_tensor([0, 0]), pair)
        out, state = network.step(read, state)
        hidden, angles = out.hidden[:, -1], out.angles[:, -1]
    drawn = torch.stack(written, 1)  # (B, T, 2)
    rows = [row[:n] for row, n in zip(drawn, length.tolist(), strict=True)]
    full = [torch.cat(two) for two in zip(begins, rows, strict=True)]
    maps = network.attention_maps(pad_sequence(full, batch_first=True), text, text_mask)
    maps = (maps.mean((1, 2)) if head is None else maps[:, head[0], head[1]]).cpu()
    found = []
    for i, (piece, row) in enumerate(zip(pieces, rows, strict=True)):
        # each token was drawn at the one before it
        at = torch.arange(len(row)) + len(piece.pairs) - 1
        start = len(piece.before) + bool(piece.before)
        phi = maps[i, at, start : start + len(piece.text) + 1]
        found.append(_Written(row.cpu(), phi, bool(finished[i])))
    return found
