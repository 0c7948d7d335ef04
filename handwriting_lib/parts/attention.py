"""Attention: each position reads from the others what its query asks for.

Vaswani et al. 2017, "Attention Is All You Need", section 3.2. A *query* is compared
with the *key* of each position; the softmax of the products, divided by the square root
of their size, gives the weights with which the *values* are averaged. With several
heads, this is done in parallel on slices of the width. PyTorch's
`scaled_dot_product_attention` does the work; `attention_by_hand` computes the same in
two loops and is the reference. Chapter 13 builds both.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from ..errors import InputError


def attention_by_hand(
    query: Tensor, key: Tensor, value: Tensor, causal: bool = False
) -> Tensor:
    """Scaled dot-product attention as loops over the positions: the reference.

    Args:
        query: `(T, D)` queries.
        key: `(S, D)` keys.
        value: `(S, E)` values.
        causal: the last T of the S positions are those of the queries, and none of them
            sees a later one.

    Returns:
        `(T, E)` averages of the values.

    Example:
        >>> import torch
        >>> values = torch.tensor([[1.0], [3.0]])
        >>> attention_by_hand(torch.zeros(2, 4), torch.ones(2, 4), values, causal=True)
        tensor([[1.],
                [2.]])
    """
    (length, size), known = query.shape, len(key)
    rows = []
    for t in range(length):
        seen = known - length + t + 1 if causal else known
        scores = [query[t] @ key[s] / math.sqrt(size) for s in range(seen)]
        weights = torch.softmax(torch.stack(scores), 0)  # (seen,)
        rows.append(sum(weights[s] * value[s] for s in range(seen)))
    return torch.stack(rows)  # type: ignore[arg-type]


def causal_mask(length: int, known: int, device: torch.device) -> Tensor:
    """`(T, S)` bool, true where the last T of S positions may look.

    `is_causal=True` of torch takes the FIRST T positions of S for those of the queries,
    so that with a cache a query would see little but the beginning.

    Example:
        >>> causal_mask(2, 4, torch.device("cpu")).int()
        tensor([[1, 1, 1, 0],
                [1, 1, 1, 1]], dtype=torch.int32)
    """
    everything = torch.ones(length, known, dtype=torch.bool, device=device)
    return everything.tril(known - length)


class KeyValues(NamedTuple):
    """The keys and values of positions that were read, `(B, heads, S, D / heads)`.

    In self-attention this is the key-value cache, and in cross-attention it is all that
    is kept of the other sequence.
    """

    keys: Tensor
    values: Tensor


class MultiHeadAttention(nn.Module):
    """Attention with several heads, of a sequence to itself or to another one.

    Calling the module computes causal self-attention and hands the cache from one call
    to the next. For cross-attention, call `read` once with the other sequence, and then
    `look` for each query.

    Args:
        width: D, the width of the input, of what is read and of the output.
        heads: number of heads, which divides the width.

    Raises:
        ValueError: the heads do not divide the width.

    Example:
        >>> import torch
        >>> attention = MultiHeadAttention(8, heads=2)
        >>> whole, _ = attention(torch.ones(1, 5, 8))
        >>> first, cache = attention(torch.ones(1, 4, 8))
        >>> last, cache = attention(torch.ones(1, 1, 8), cache)
        >>> torch.allclose(whole, torch.cat([first, last], 1), atol=1e-6)
        True
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise InputError(
                f"{heads} heads cannot share a width of {width}: choose a multiple of "
                f"{heads}"
            )
        self.width, self.heads = width, heads
        self.project = nn.Linear(width, 3 * width)  # queries, keys and values
        self.output = nn.Linear(width, width)

    def _split(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """`(B, T, parts * D)` as that many tensors `(B, heads, T, D / heads)`."""
        batch, length, _ = projected.shape
        heads = projected.view(batch, length, parts * self.heads, -1)
        return heads.transpose(1, 2).chunk(parts, 1)

    def read(self, source: Tensor) -> KeyValues:
        """The keys and values of a sequence `(B, S, D)`."""
        weight, bias = self.project.weight, self.project.bias
        projected = linear(source, weight[self.width :], bias[self.width :])
        return KeyValues(*self._split(projected, 2))

    def look(
        self,
        x: Tensor,
        known: KeyValues,
        *,
        mask: Tensor | None = None,
        causal: bool = False,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Let each position of `x` attend to what is known.

        Args:
            x: `(B, T, D)` input from which the queries are computed.
            known: what `read` returned.
            mask: `(B, S)` bool, true where there is something to read; None reads
                everything.
            causal: the last T positions of `known` are those of `x`, and none of them
                sees a later one.
            bias: added to the scores before the softmax, of a shape that broadcasts to
                `(B, heads, T, S)`; not for causal attention. -inf hides a position.

        Returns:
            `(B, T, D)`.
        """
        (query,) = self._split(self._query(x), 1)
        return self._attend(query, known, mask, causal, bias)

    def look_weights(self, x: Tensor, known: KeyValues, bias: Tensor) -> Tensor:
        """`(B, heads, T, S)`: with which weights `look` averages what is known.

        They are meant for pictures and checks, as those of `weights` are.

        Args:
            x: `(B, T, D)` input from which the queries are computed.
            known: what `read` returned.
            bias: as in `look`.
        """
        (query,) = self._split(self._query(x), 1)
        scores = query @ known.keys.mT / math.sqrt(query.shape[-1])  # (B, heads, T, S)
        return (scores + bias).softmax(-1)

    def _query(self, x: Tensor) -> Tensor:
        weight, bias = self.project.weight, self.project.bias
        return linear(x, weight[: self.width], bias[: self.width])  # (B, T, D)

    def _attend(
        self,
        query: Tensor,
        known: KeyValues,
        mask: Tensor | None,
        causal: bool,
        bias: Tensor | None = None,
    ) -> Tensor:
        """`look`, for a query that was projected and split."""
        length, seen = query.shape[2], known.keys.shape[2]
        allowed = None if mask is None else mask[:, None, None]  # (B, 1, 1, S)
        square = causal and mask is None and length == seen  # torch has a fast way
        if causal and not square and length > 1:
            below = causal_mask(length, seen, query.device)  # (T, S)
            allowed = below if allowed is None else allowed & below
        if bias is not None:
            bias = bias.to(query.dtype)
            allowed = bias if allowed is None else bias.masked_fill(~allowed, -math.inf)
        mixed = scaled_dot_product_attention(
            query,
            known.keys,
            known.values,
            attn_mask=allowed,
            is_causal=square,
        )  # (B, heads, T, D / heads)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def forward(
        self, x: Tensor, cache: KeyValues | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, KeyValues]:
        """Causal self-attention: each position sees itself and what came before.

        Args:
            x: `(B, T, D)` the positions that are new.
            cache: the cache that the call for the earlier positions returned, or None
                at the beginning.
            mask: `(B, S)` bool over the positions of the cache and the new ones, false
                for those that nothing may read; None lets all of them be read.

        Returns:
            `(B, T, D)`, and the cache with the new positions appended. A call never
            changes the cache that it is given, so a text can be continued in several
            ways from the same one.
        """
        query, key, value = self._split(self.project(x), 3)  # one product for all
        if cache is not None:
            key = torch.cat([cache.keys, key], 2)
            value = torch.cat([cache.values, value], 2)
        known = KeyValues(key, value)
        return self._attend(query, known, mask, causal=True), known

    def weights(self, x: Tensor) -> Tensor:
        """`(B, heads, T, T)`: how much each position of `x` reads from each other one.

        These are the weights of causal self-attention. They are meant for pictures,
        because `scaled_dot_product_attention` does not return them.
        """
        query, key, _ = self._split(self.project(x), 3)
        scores = query @ key.mT / math.sqrt(query.shape[-1])  # (B, heads, T, T)
        length = x.shape[1]
        below = causal_mask(length, length, x.device)
        return scores.masked_fill(~below, -math.inf).softmax(-1)
