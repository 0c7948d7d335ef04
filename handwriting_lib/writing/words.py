"""Which points of a written line belong to which word, and to which character.

The weights phi of the window (Graves 2013, eq. 46) say what the network attends to at
each point. But they run ahead of the pen, and a dot or a bar that is added at the end
of a word is drawn when the window has already left the word, so phi alone is not
enough. Words consist of whole strokes and follow one another from left to right with
gaps between them. So `words_of` sorts the strokes by their place along the line, and
cuts them into words where phi and the gaps agree best, by dynamic programming.

`benchmarks/results/pages.json` records how often this is right on synthetic ink, whose
characters are known, with the weights of `unipen-400`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError
from ..ink import offsets_to_positions
from .lines import Line

# Added to the probability of each point in each word, so that a dot which is drawn late
# costs no more than its place along the line is worth.
FLOOR = 0.02
# The points of a stroke are not independent: n of them count as n to this power.
AGREEMENT = 0.7
# What a gap between two words is worth, in nats per letter-body height, and the width
# above which a gap is worth no more.
GAP_WORTH = 12.0
WIDEST_GAP = 2.0  # letter-body heights

Values = npt.NDArray[np.float64]


class Box(NamedTuple):
    """A rectangle around ink."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, eq=False)
class Word:
    """A word of a line.

    Attributes:
        text: the word.
        index: its number in the line, from 0.
        start: the index of its first character in the line's text.
        points: `(n,)` int64, the rows of the line's ink that belong to it, in order.
        box: the rectangle around them, in letter-body heights from the line's first
            point, y up.
    """

    text: str
    index: int
    start: int
    points: Tensor
    box: Box


def box_of(xy: Tensor) -> Box:
    """The rectangle around positions `(n, 2)`."""
    return Box(*xy.amin(0).tolist(), *xy.amax(0).tolist())


def words_of(line: Line) -> list[Word]:
    """The words of a line with their points; every point belongs to one word.

    Args:
        line: a written line, or any ink with its text and phi.

    Returns:
        The words in the order of the text.

    Raises:
        ValueError: ink, text and phi do not belong together.

    Example:
        >>> ink = torch.tensor([[0., 0., 1.], [3., 0., 1.]])
        >>> line = Line("a b", 0, ink, True, "", 1, 1, torch.eye(4)[[0, 2]])
        >>> [(word.text, word.points.tolist()) for word in words_of(line)]
        [('a', [0]), ('b', [1])]
    """
    spans = _spans(line)
    xy = offsets_to_positions(line.ink)[:, :2]  # (T, 2)
    owner = _owners(line, spans, xy)
    words = []
    for index, (start, end) in enumerate(spans):
        points = (owner == index).nonzero()[:, 0]
        box = box_of(xy[points])
        words.append(Word(line.text[start:end], index, start, points, box))
    return words


def characters_of(line: Line, words: list[Word] | None = None) -> Tensor:
    """The character that each point belongs to, `(T,)` int64, an index in the text.

    Within its word, a point belongs to the character that the network attended to most
    when it predicted the point.

    Args:
        line: as in `words_of`.
        words: the words of the line (`words_of`); None computes them.
    """
    before = _before(line.phi)
    owner = torch.empty(len(before), dtype=torch.long)
    for word in words_of(line) if words is None else words:
        own = before[word.points, word.start : word.start + len(word.text)]
        owner[word.points] = own.argmax(1) + word.start
    return owner


def _spans(line: Line) -> list[tuple[int, int]]:
    """The first index in the text of each word, and the index after its last."""
    shape = (len(line.ink), len(line.text) + 1)
    if tuple(line.phi.shape) != shape or not line.text.strip() or not len(line.ink):
        raise InputError(
            f"{line.text!r} with {shape[0]} points needs weights phi of the shape "
            f"{shape}, not {tuple(line.phi.shape)}"
        )
    return [match.span() for match in re.finditer(r"\S+", line.text)]


def _before(phi: Tensor) -> Tensor:
    """Phi where each point was predicted; the first point was not, and has its own."""
    return torch.cat([phi[:1], phi[:-1]]).cpu()


def _owners(line: Line, spans: list[tuple[int, int]], xy: Tensor) -> Tensor:
    """The number of the word that each point belongs to, `(T,)`."""
    before = _before(line.phi).double()
    each = torch.stack([before[:, a:b].sum(1) for a, b in spans], 1)  # (T, words)
    each = each / each.sum(1, keepdim=True).clamp_min(1e-12)
    ends = line.ink[:, 2] > 0.5
    piece = torch.zeros(len(ends), dtype=torch.long)  # (T,)
    piece[1:] = ends[:-1].cumsum(0)
    if int(piece[-1]) + 1 < len(spans):  # words share a stroke: cut it between them
        ends[:-1] |= each.argmax(1).diff() != 0
        piece[1:] = ends[:-1].cumsum(0)
    count = int(piece[-1]) + 1
    if count < len(spans):
        raise InputError(
            f"{line.text!r} has {len(spans)} words and only {count} strokes: write the "
            "line again"
        )
    fits = each.new_zeros(count, len(spans))  # log-likelihood of each piece in a word
    fits.index_add_(0, piece, (each + FLOOR).log())
    fits *= piece.bincount()[:, None] ** (AGREEMENT - 1)
    across = xy[:, 0].double()
    low = across.new_full((count,), torch.inf).scatter_reduce(0, piece, across, "amin")
    high = -across.new_full((count,), torch.inf)
    high = high.scatter_reduce(0, piece, across, "amax")
    order = (low + high).argsort(stable=True)
    cut = _cut(fits[order].numpy(), low[order].numpy(), high[order].numpy())
    words = torch.empty(count, dtype=torch.long)
    words[order] = torch.from_numpy(cut)
    return words[piece]


def _cut(fits: Values, low: Values, high: Values) -> npt.NDArray[np.int64]:
    """The best cut of pieces, sorted along the line, into consecutive words.

    Args:
        fits: `(S, W)` log-likelihood of each piece in each word.
        low: `(S,)` left end of each piece.
        high: `(S,)` right end of each piece.

    Returns:
        `(S,)` the word of each piece, from 0 to W - 1 without a gap.
    """
    pieces, words = fits.shape
    gaps = np.minimum.accumulate(low[::-1])[::-1][1:] - np.maximum.accumulate(high)[:-1]
    worth = GAP_WORTH * np.clip(gaps, -WIDEST_GAP, WIDEST_GAP)  # (S - 1,)
    best = np.full(words, -np.inf)  # of all cuts that have the last piece in each word
    best[0] = fits[0, 0]
    began = np.zeros((pieces, words), dtype=bool)
    for i in range(1, pieces):
        entered = np.concatenate([[-np.inf], best[:-1] + worth[i - 1]])
        began[i] = entered > best
        best = np.maximum(entered, best) + fits[i]
    cut = np.empty(pieces, dtype=np.int64)
    at = words - 1
    for i in range(pieces - 1, -1, -1):
        cut[i] = at
        at -= int(began[i, at])
    return cut
