"""Which points of a written line belong to which word, and to which character.

The weights phi of the window (Graves 2013, eq. 46) say what the network attends to at
each point. They run ahead of the pen, and a dot or a bar that waits for the end of its
word is drawn when the window has left the word, so that phi alone is not enough. Words
are sets of whole strokes that follow one another from left to right with gaps between
them: `words_of` sorts the strokes by their place along the line and cuts them into
words where phi and the gaps agree best, by dynamic programming.

Judged on synthetic ink, whose characters are known, and read by `unipen-400`: see
`benchmarks/results/pages.json`.
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

# The least probability that a point is said to have in any word: a late dot costs at
# most so much, and its place along the line decides.
FLOOR = 0.02
# Nats that a gap of one letter-body height between two words is worth, and the widest
# gap that counts.
GAP_WORTH = 12.0
WIDEST_GAP = 1.0  # letter-body heights

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
        start: the index in the line's text of its first character.
        points: `(n,)` int64, the rows of the line's ink that are its own, in order.
        box: what they cover, in letter-body heights from the line's first point, y up.
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
    """The words of a line, with their points: every point belongs to one of them.

    Args:
        line: a written line, or any ink with its text and phi.

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
        words: what `words_of` gives for it; None finds them.
    """
    before = _before(line.phi)
    owner = torch.empty(len(before), dtype=torch.long)
    for word in words_of(line) if words is None else words:
        own = before[word.points, word.start : word.start + len(word.text)]
        owner[word.points] = own.argmax(1) + word.start
    return owner


def _spans(line: Line) -> list[tuple[int, int]]:
    """Where the words of the text begin and end."""
    shape = (len(line.ink), len(line.text) + 1)
    if tuple(line.phi.shape) != shape or not line.text.strip() or not len(line.ink):
        raise InputError(
            f"{line.text!r} with {shape[0]} points needs weights phi of the shape "
            f"{shape}, not {tuple(line.phi.shape)}"
        )
    return [match.span() for match in re.finditer(r"\S+", line.text)]


def _before(phi: Tensor) -> Tensor:
    """The weights at the prediction of each point; the first has but its own."""
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
