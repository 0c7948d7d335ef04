"""Words put side by side as one hand would write them: gaps, and one baseline.

Words in a corpus come one by one, and nothing says how high above the line each begins.
`baseline` finds the line under a word, and `join_words` sets words upon it, with gaps
between them. Chapter 14 joins words of one writer, so that a network that has read
single words learns to write several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..ink import offsets_to_positions

# Letter-body heights: how far apart feet of letters may stand and still agree.
BAND = 0.25


def baseline(ink: Tensor) -> float:
    """Estimate the height of the line under a word, relative to its first point.

    The feet of letters, where the pen turns upwards or a stroke has its lowest end,
    mostly stand on the line; the others belong to descenders, dots and apostrophes. The
    estimate is the mean of those feet that lie in the band that holds the most; of
    equal bands it is the lowest one.

    Args:
        ink: `(T, 3)` offsets in letter-body heights.

    Returns:
        The height in letter-body heights; it is negative for a word that begins above
        the line.

    Example:
        >>> import torch
        >>> up_and_down = torch.tensor([[0., 0., 0.], [.5, 1., 0.], [.5, -1., 1.]])
        >>> baseline(up_and_down)
        0.0
    """
    positions = offsets_to_positions(ink).double()
    y, end = positions[:, 1], positions[:, 2] > 0.5
    begin = torch.ones_like(end)
    begin[1:] = end[:-1]
    above = torch.full_like(y, torch.inf)
    left, right = above.clone(), above.clone()
    left[1:] = torch.where(begin[1:], torch.inf, y[:-1])
    right[:-1] = torch.where(end[:-1], torch.inf, y[1:])
    feet = y[(y <= left) & (y <= right)].sort().values  # (N,)
    inside = torch.searchsorted(feet, feet + BAND, right=True)
    count = inside - torch.arange(len(feet))
    first = int(count.argmax())
    return float(feet[first : first + int(count[first])].mean())


class Joined(NamedTuple):
    """Words that were joined.

    Attributes:
        ink: `(T, 3)` offsets of all words.
        word_ends: the rows after which a word ends and another one follows.
    """

    ink: Tensor
    word_ends: list[int]


def join_words(
    inks: Sequence[Tensor], gaps: Sequence[float], steps: Sequence[float]
) -> Joined:
    """Set words side by side on one baseline.

    Args:
        inks: `(T, 3)` offsets of each word, in letter-body heights.
        gaps: the distances between the rightmost point of all words before and the
            leftmost point of the next one, one fewer than words.
        steps: how much higher the baseline of each next word is than that of the word
            before, one fewer than words.

    Raises:
        ValueError: there are no words, or the numbers do not fit.

    Example:
        >>> import torch
        >>> dash = torch.tensor([[0., 0., 0.], [1., 0., 1.]])
        >>> join_words([dash, dash], [.5], [0.]).ink[:, 0]
        tensor([0.0000, 1.0000, 0.5000, 1.0000])
    """
    if not inks or not len(inks) == len(gaps) + 1 == len(steps) + 1:
        raise InputError(
            f"{len(inks)} words need {max(0, len(inks) - 1)} gaps and as many "
            f"steps, not {len(gaps)} and {len(steps)}"
        )
    rows, ends = [inks[0]], []
    xy = inks[0][:, :2].double().cumsum(0)
    right, pen, line = float(xy[:, 0].max()), xy[-1], baseline(inks[0])
    for ink, gap, step in zip(inks[1:], gaps, steps, strict=True):
        xy = ink[:, :2].double().cumsum(0)
        line += step
        shift = torch.stack(
            [right + gap - xy[:, 0].min(), xy.new_tensor(line - baseline(ink))]
        )
        ends.append(sum(map(len, rows)) - 1)
        moved = ink.clone()
        moved[0, :2] = (shift - pen).to(ink)
        rows.append(moved)
        xy = xy + shift
        right, pen = max(right, float(xy[:, 0].max())), xy[-1]
    return Joined(torch.cat(rows), ends)
