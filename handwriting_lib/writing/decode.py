"""Drawing tokens one at a time, for every system over tokens.

A network over tokens gives each possible next token a score. `Decoding` determines how
the next token is drawn from the scores, and `tokens` is the loop that draws a token and
lets the network read it, with the cache of all that it has read before. Chapter 13
builds both. `Grammar` says which tokens may be drawn at all where not every sequence of
tokens means something.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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


class Grammar:
    """Which tokens may follow, as a finite automaton, and how a sequence can still end.

    Args:
        follow: for each state, the tokens that may come next and the state that each
            leads to. A state that no token may follow ends a sequence.
        begin: the state before the first token.
        number: V, the number of tokens.

    Raises:
        ValueError: a state is unknown, or no sequence of tokens leads from it to an
            end.

    Example:
        >>> import torch
        >>> pairs = {"even": {0: "odd", 1: "end"}, "odd": {0: "even"}, "end": {}}
        >>> grammar = Grammar(pairs, "even", 2)
        >>> state = grammar.begin(1)
        >>> grammar.allowed(state, left=5), grammar.allowed(state, left=1)
        (tensor([[True, True]]), tensor([[False,  True]]))
        >>> grammar.ends(grammar.after(state, torch.tensor([1])))
        tensor([True])
    """

    def __init__(
        self, follow: Mapping[str, Mapping[int, str]], begin: str, number: int
    ) -> None:
        names = list(follow)
        try:
            self.first = names.index(begin)
            self.next = torch.full((len(names), number), -1)  # (S, V)
            for i, arcs in enumerate(follow.values()):
                for token, name in arcs.items():
                    self.next[i, token] = names.index(name)
        except (ValueError, IndexError) as error:
            raise InputError(f"the grammar names an unknown state: {error}") from None
        self.least = torch.tensor([math.inf if arcs else 0 for arcs in follow.values()])
        for _ in names:  # tokens to the nearest end, one step farther each time
            beyond = torch.where(self.next < 0, math.inf, self.least[self.next]).amin(1)
            self.least = torch.minimum(self.least, beyond + 1)
        if not self.least.isfinite().all():
            lost = names[int(self.least.argmax())]
            raise InputError(f"no sequence of tokens ends from the state {lost!r}")

    def begin(self, batch: int) -> Tensor:
        """`(B,)` the states before the first token."""
        return torch.full((batch,), self.first)

    def allowed(self, state: Tensor, left: int) -> Tensor:
        """The tokens that may be drawn, `(B, V)` bool on the CPU.

        Args:
            state: `(B,)` int64.
            left: number of tokens that there is room for, this one included. A token
                after which the sequence could no longer end in it is not allowed, so a
                sequence always ends in time if there was room for one to begin with.
        """
        after = self.next[state]  # (B, V)
        return (after >= 0) & (self.least[after] <= left - 1)

    def after(self, state: Tensor, token: Tensor) -> Tensor:
        """The states after a token each, `(B,)`; one that has ended stays as it is."""
        after = self.next[state, token]
        return torch.where(self.ends(state), state, after)

    def ends(self, state: Tensor) -> Tensor:
        """Whether a sequence has ended, `(B,)` bool."""
        return self.least[state] == 0


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
