"""Pen strokes as tokens: every offset in polar form, each part of it one of a few bins.

An offset has a direction, which is one of evenly spaced angles, and a length, which is
one of radii that grow by a constant factor. The angle comes first (aim, then shoot);
the radius and the state of the pen follow as one token, the *shot*. Two more tokens
stand where an angle could: one ends a word, the other ends the text. Nothing is
unknown. Chapter 14 builds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class StrokeTokens:
    """The tokens of ink: its bins, and the way from offsets to tokens and back.

    A point is a pair of tokens, angle and shot. The marks that end a word and a text
    are pairs as well, with `no_shot` in the second place.

    Attributes:
        angles: A, the number of directions; the first is that of the x axis.
        radii: R, the number of lengths.
        shortest: the smallest length, in letter-body heights.
        longest: the largest one; longer offsets are cut to it, and the next ones make
            up for what was cut.

    Raises:
        ValueError: there are fewer than 4 angles or 2 radii, or the lengths are not
            positive numbers in order.

    Example:
        >>> import torch
        >>> tokens = StrokeTokens(angles=4, radii=3, shortest=0.25, longest=4.0)
        >>> ink = torch.tensor([[0., 0., 0.], [0., .9, 0.], [-4., 0., 1.]])
        >>> tokens.encode(ink)
        tensor([[0, 0],
                [1, 2],
                [2, 5]])
        >>> tokens.decode(tokens.encode(ink)).round() + 0.0  # no negative zeros
        tensor([[ 0.,  0.,  0.],
                [ 0.,  1.,  0.],
                [-4.,  0.,  1.]])
    """

    angles: int = 96
    radii: int = 40
    shortest: float = 0.02
    longest: float = 12.0

    def __post_init__(self) -> None:
        for name, value, least in (
            ("angles", self.angles, 4),
            ("radii", self.radii, 2),
        ):
            if type(value) is not int or value < least:
                raise InputError(
                    f"{name} must be a whole number of at least {least}, not {value!r}"
                )
        if not 0 < self.shortest < self.longest < math.inf:
            raise InputError(
                "the shortest length must be above 0 and below the longest, not "
                f"{self.shortest!r} and {self.longest!r}"
            )

    @property
    def word(self) -> int:
        """The token that ends a word, in the place of an angle."""
        return self.angles

    @property
    def end(self) -> int:
        """The token that ends the text, in the place of an angle."""
        return self.angles + 1

    @property
    def no_shot(self) -> int:
        """What stands in the place of the shot after a mark; it is never predicted."""
        return 2 * self.radii

    @property
    def factor(self) -> float:
        """By how much each radius is longer than the one before."""
        return float((self.longest / self.shortest) ** (1 / (self.radii - 1)))

    def offsets(self) -> Tensor:
        """`(A, R, 2)`: the offset of each pair of bins, at their centres."""
        turn = torch.arange(self.angles, dtype=torch.double) * (
            2 * math.pi / self.angles
        )
        length = self.shortest * self.factor ** torch.arange(
            self.radii, dtype=torch.double
        )
        ray = torch.stack([turn.cos(), turn.sin()], -1)  # (A, 2)
        return (ray[:, None] * length[:, None]).float()  # (A, R, 2)

    def encode(self, ink: Tensor, word_ends: Iterable[int] = ()) -> Tensor:
        """Encode a line of ink; see `encode_all`.

        Args:
            ink: `(T, 3)` offsets in letter-body heights.
            word_ends: rows after which a word ends and another one follows.

        Returns:
            `(T + words - 1, 2)` int64 pairs, without an end token.
        """
        return self.encode_all([ink], [word_ends])[0]

    def encode_all(
        self, inks: Sequence[Tensor], word_ends: Sequence[Iterable[int]] | None = None
    ) -> list[Tensor]:
        """Encode lines of ink.

        Each offset is measured from where the tokens so far have led, not from where
        the pen was. What one bin rounds off, the next ones make up for, so the errors
        of a long line do not add up.

        Args:
            inks: `(T, 3)` offsets in letter-body heights each.
            word_ends: for each line, the rows after which a word ends and another one
                follows; None marks no words.

        Returns:
            `(T + words - 1, 2)` int64 pairs each, without an end token. The first row
            of ink, which has no offset, has the first angle and the shortest radius.
        """
        if not inks:
            return []
        padded = torch.nn.utils.rnn.pad_sequence(list(inks))  # (T, B, 3)
        target = padded[..., :2].double().numpy().copy()
        target[0] = 0.0
        target = target.cumsum(0)  # (T, B, 2) positions
        pairs = np.zeros((*target.shape[:2], 2), dtype=np.int64)
        pairs[..., 1] = padded[..., 2].numpy() > 0.5
        table = self.offsets().double().numpy()
        log_factor, log_least = math.log(self.factor), math.log(self.shortest)
        pen = target[0].copy()  # (B, 2) where the tokens have led
        for t in range(1, len(target)):
            dx, dy = (target[t] - pen).T
            angle = np.rint(np.arctan2(dy, dx) * (self.angles / (2 * math.pi)))
            angle = angle.astype(np.int64) % self.angles
            length = np.log(np.maximum(np.hypot(dx, dy), self.shortest))
            radius = np.rint((length - log_least) / log_factor).astype(np.int64)
            radius = np.minimum(radius, self.radii - 1)
            pairs[t, :, 0] = angle
            pairs[t, :, 1] += 2 * radius
            pen += table[angle, radius]
        rows = [torch.from_numpy(pairs[: len(ink), i]) for i, ink in enumerate(inks)]
        if word_ends is None:
            return rows
        return [
            self._marked(row, list(ends))
            for row, ends in zip(rows, word_ends, strict=True)
        ]

    def _marked(self, pairs: Tensor, ends: list[int]) -> Tensor:
        """The pairs with the mark that ends a word after each of the rows `ends`."""
        if not ends:
            return pairs
        mark = torch.tensor([[self.word, self.no_shot]])
        pieces = torch.tensor_split(pairs, torch.tensor(ends) + 1)
        return torch.cat([x for piece in pieces for x in (mark, piece)][1:])

    def decode(self, pairs: Tensor) -> Tensor:
        """Turn tokens back into ink; marks leave no trace in it.

        Args:
            pairs: `(N, 2)` int64 pairs.

        Returns:
            `(T, 3)` offsets in letter-body heights; that of the first row is 0, 0.

        Raises:
            ValueError: a token is not one of these.

        Example:
            >>> import torch
            >>> tokens = StrokeTokens()
            >>> tokens.decode(torch.tensor([[0, 0], [tokens.end, tokens.no_shot]]))
            tensor([[0., 0., 0.]])
        """
        angle, shot = pairs.unbind(-1)
        for name, values, most in (
            ("angle", angle, self.end), ("shot", shot, self.no_shot),
        ):  # fmt: skip
            if len(values) and not (
                0 <= int(values.min()) and int(values.max()) <= most
            ):
                wrong = values[(values < 0) | (values > most)][0]
                raise InputError(
                    f"the {name} token {int(wrong)} must be between 0 and {most}"
                )
        is_point = angle < self.angles
        if not torch.equal(is_point, shot < self.no_shot):
            raise InputError(
                "a point needs an angle and a shot, and a mark has no shot"
            )
        angle, shot = angle[is_point], shot[is_point]
        offset = self.offsets().to(pairs.device)[angle, shot // 2]  # (T, 2)
        offset[:1] = 0
        return torch.cat([offset, (shot % 2).to(offset)[:, None]], 1)
