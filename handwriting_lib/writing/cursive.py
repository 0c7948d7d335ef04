"""Writing with the cursive decoder: from a text to tokens, and from tokens to ink.

Each point takes two draws, the angle and then the shot, and one step of the network
with its key-value cache. A word may only end while the pen is lifted, and the text only
with its last word. Whether a line is complete is read from the cross-attention: see
`check_attention`. Chapter 15 builds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

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
        furthest = max(furthest, at)
    return ""


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

        The scores are multiplied by 1 + bias, as those of the mixture's components are
        (Graves 2013, section 5.4), and divided by the temperature.
        """
        network: Any = self.model.network
        training = network.training
        network.eval()  # dropout would go on otherwise
        try:
            before = "" if style is None else style.text + " "
            whole = [before + one for one in texts]
            text, text_mask = (part.to(self.model.device) for part in pad_texts(whole))
            bounds = [length_bound(one) for one in texts]
            noise = torch.nn.utils.rnn.pad_sequence(
                [
                    torch.rand(bound, 2, generator=generator)
                    for bound, generator in zip(bounds, generators, strict=True)
                ]
            ).to(text.device)  # (T, B, 2)
            # without a prime, the pen is put down and that is all
            begin = (
                torch.zeros(1, 2, dtype=torch.long) if style is None else style.pairs
            )
            begin = begin.to(text.device)
            rows, finished = _write(
                network, text, text_mask, begin, noise,
                torch.tensor(bounds, device=text.device),
                Decoding(temperature / (1 + bias)),
            )  # fmt: skip
            full = torch.nn.utils.rnn.pad_sequence(
                [torch.cat([begin, row]) for row in rows], batch_first=True
            )
            maps = network.attention_maps(full, text, text_mask).mean((1, 2)).cpu()
        finally:
            network.train(training)
        drawn = []
        for i, (one, row) in enumerate(zip(texts, rows, strict=True)):
            # each token was drawn at the one before it
            at = torch.arange(len(begin) - 1, len(begin) - 1 + len(row))
            if style is None:  # the first point is ink, and was not drawn
                at, row = torch.cat([at[:1], at]), torch.cat([begin, row])
            row = row.cpu()
            ink = network.tokens.decode(row)
            ink[-1, 2] = 1
            at = at[row[:, 0] < network.tokens.angles]  # marks are no points
            phi = maps[i, at, len(before) : len(before) + len(one) + 1]
            problem = "" if finished[i] else "did not end within the length bound"
            problem = problem or check_attention(phi, one)
            drawn.append(Drawn(ink, phi, None, problem))
        return drawn


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


def make_prime(model: Model, words: Sequence[Sample], gap: float = 1.3) -> Prime:
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
    text: Tensor,
    text_mask: Tensor,
    begin: Tensor,
    noise: Tensor,
    limits: Tensor,
    decoding: Decoding,
) -> tuple[list[Tensor], list[bool]]:
    """The tokens `(N, 2)` that go on from `begin`, and whether the end token came.

    They are those of each line after `begin` and before the end token.
    """
    tokens, device = network.tokens, text.device
    batch = len(text)
    pair = begin[-1].expand(batch, 2)
    written = []
    ids = torch.arange(batch, device=device)  # lines that are still written
    length = limits.clone()
    finished = torch.zeros(batch, dtype=torch.bool, device=device)
    out = network(begin.expand(batch, -1, 2), text, text_mask)
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
        angle = decoding.pick(out.angles[:, -1], noise[t, ids, 0], allowed)
        shot = decoding.pick(
            network.shots_after(out.hidden[:, -1], angle), noise[t, ids, 1]
        )
        is_mark = angle >= tokens.angles
        pair = torch.stack([angle, torch.where(is_mark, tokens.no_shot, shot)], 1)
        whole = pair.new_zeros(batch, 2)
        whole[ids] = pair
        written.append(whole)
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
    rows = torch.stack(written, 1)  # (B, T, 2)
    return (
        [row[:n] for row, n in zip(rows, length.clamp_max(rows.shape[1]), strict=True)],
        finished.tolist(),
    )
