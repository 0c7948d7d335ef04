"""Drawing tokens one at a time, for every system over tokens.

A network over tokens gives each possible next token a score. `Decoding` determines how
the next token is drawn from the scores, and `tokens` is the loop that draws a token and
lets the network read it, with the cache of all that it has read before. Chapter 13
builds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError


@dataclass(frozen=True)
class Decoding:
    """How a token is drawn from the scores of all.

    Attributes:
        temperature: number by which the scores are divided. Below 1 the draws become
            more alike, above 1 more varied; 0 always takes the most probable token.
        top_k: number of the most probable tokens to draw from; None draws from all.
        top_p: draw only from the most probable tokens that together reach this
            probability, including the one that reaches it; 1 draws from all.

    Raises:
        ValueError: a number is outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        for name, value, wanted, fits in (
            ("temperature", self.temperature, "a number of at least 0",
             lambda t: _is_number(t) and 0 <= t < math.inf),
            ("top_k", self.top_k, "a whole number of at least 1, or None",
             lambda k: k is None or (type(k) is int and k >= 1)),
            ("top_p", self.top_p, "a number above 0 and at most 1",
             lambda p: _is_number(p) and 0 < p <= 1),
        ):  # fmt: skip
            if not fits(value):
                raise InputError(f"{name} must be {wanted}, not {value!r}")

    def probabilities(self, logits: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The probabilities with which tokens are drawn, `(B, V)`.

        Args:
            logits: `(B, V)` scores.
            allowed: `(V,)` bool, true for what may be drawn at all, such as what a
                grammar permits; None is everything.

        Example:
            >>> import torch
            >>> logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
            >>> Decoding(top_p=0.6).probabilities(logits)
            tensor([[0.6250, 0.3750, 0.0000]])
        """
        if allowed is not None:
            logits = logits.masked_fill(~allowed, -math.inf)
        if self.temperature == 0:
            first = logits.argmax(-1)  # (B,)
            return torch.nn.functional.one_hot(first, logits.shape[-1]).to(logits.dtype)
        # the difference first: a small temperature makes scores infinite
        best = logits.amax(-1, keepdim=True)
        p = ((logits - best) / self.temperature).softmax(-1)
        if self.top_k is None and self.top_p == 1:
            return p
        ordered, order = p.sort(stable=True, dim=-1, descending=True)
        before = ordered.cumsum(-1) - ordered  # what the more probable ones have
        dropped = before >= self.top_p
        if self.top_k is not None:
            dropped[..., self.top_k :] = True
        ordered = ordered.masked_fill(dropped, 0.0)
        kept = torch.zeros_like(p).scatter(-1, order, ordered)
        return kept / kept.sum(-1, keepdim=True)

    def draw(
        self,
        logits: Tensor,
        generator: torch.Generator,
        allowed: Tensor | None = None,
    ) -> Tensor:
        """Draw a token `(B,)` from `(B, V)` scores; `probabilities` says how."""
        p = self.probabilities(logits.detach().float().cpu(), allowed)
        drawn = torch.multinomial(p, 1, generator=generator)[:, 0]
        return drawn.to(logits.device)

    def pick(
        self, logits: Tensor, noise: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """Draw a token of each row with randomness of its own.

        Args:
            logits: `(B, V)` scores.
            noise: `(B,)` numbers, evenly from 0 to below 1.
            allowed: `(V,)` or `(B, V)` bool, true for what may be drawn.

        Returns:
            `(B,)` int64 tokens.

        Example:
            >>> import torch
            >>> Decoding().pick(torch.zeros(3, 4), torch.tensor([0.1, 0.3, 0.9]))
            tensor([0, 1, 3])
        """
        reached = self.probabilities(logits.float(), allowed).cumsum(-1)  # (B, V)
        # rounding may leave the sum a little off 1
        level = noise[:, None] * reached[:, -1:]
        return torch.searchsorted(reached, level, right=True)[:, 0]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


@torch.inference_mode()
def tokens(
    network: Any,
    prompt: Tensor,
    decoding: Decoding,
    generator: torch.Generator,
    allowed: Tensor | None = None,
) -> Iterator[Tensor]:
    """Draw tokens without end, each from the network's scores after all before it.

    Args:
        network: over tokens, in evaluation mode, with `forward`, `step` and a block
            (`networks.character`); a prompt longer than the block is read from its end.
        prompt: `(B, T)` int64 tokens to go on from, at least one.
        decoding: how tokens are drawn.
        generator: on the CPU; it decides all draws.
        allowed: `(V,)` bool on the CPU, true for what may be drawn.

    Yields:
        `(B,)` int64 tokens. The caller stops when it has enough.
    """
    logits, state = network(prompt[:, -network.config.block :])
    logits = logits[:, -1]  # (B, V)
    while True:
        token = decoding.draw(logits, generator, allowed)
        yield token
        logits, state = network.step(token, state)
