"""The soft window: where in the text the network is while it writes.

Graves 2013, eqs 46 to 51. K Gaussian bumps over the character positions u = 1..U give
each position a weight phi(t, u); what the network reads is the weighted sum of one-hot
characters. Each bump's place kappa only ever moves forward. Nothing is normalised.
Chapter 09 builds it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Window(NamedTuple):
    """What the window gives at one step.

    Attributes:
        w: `(B, V)` the weighted sum of one-hot characters.
        kappa: `(B, K)` the places after this step; position 1 is the first character.
        phi: `(B, U)` the weight of each position.
    """

    w: Tensor
    kappa: Tensor
    phi: Tensor


def soft_window(
    log_alpha: Tensor,
    log_beta: Tensor,
    log_step: Tensor,
    kappa: Tensor,
    text: Tensor,
    text_mask: Tensor,
    symbols: int,
) -> Window:
    """One step of the window.

    Args:
        log_alpha: `(B, K)` logarithms of the heights (eq. 49).
        log_beta: `(B, K)` logarithms of the inverse widths (eq. 50).
        log_step: `(B, K)` logarithms of the way to go (eq. 51).
        kappa: `(B, K)` the places before this step.
        text: `(B, U)` int64.
        text_mask: `(B, U)` bool; masked positions get no weight.
        symbols: V, the size of the alphabet.

    Example:
        >>> import torch
        >>> zero = torch.zeros(1, 1)
        >>> text = torch.tensor([[3, 5, 0]])
        >>> window = soft_window(zero, zero, zero, zero, text, text == text, 8)
        >>> window.phi
        tensor([[1.0000, 0.3679, 0.0183]])
    """
    kappa = kappa + log_step.exp()  # (B, K)
    u = torch.arange(1, text.shape[1] + 1, dtype=kappa.dtype, device=kappa.device)
    distance = kappa[..., None] - u  # (B, K, U)
    bumps = torch.exp(log_alpha[..., None] - log_beta.exp()[..., None] * distance**2)
    phi = bumps.sum(1) * text_mask  # (B, U)
    w = phi.new_zeros(phi.shape[0], symbols).scatter_add(1, text, phi)  # (B, V)
    return Window(w, kappa, phi)


class WindowTrace(NamedTuple):
    """What a pass over whole lines leaves for the way back, time first.

    Attributes:
        kappas: `(T + 1, B, K)` places, those before the first point too.
        moves: `(T, B, 3K)` alpha, beta and kappa's step.
        phis: `(T, B, U)` weights.
        text: `(B, U)` int64.
        mask: `(B, U)` 1 for characters and the end slot, in the type of the weights.
    """

    kappas: Tensor
    moves: Tensor
    phis: Tensor
    text: Tensor
    mask: Tensor


class WindowParameters(nn.Linear):
    """From the first layer's output to the logarithms of alpha, beta and kappa's step.

    Args:
        hidden: H.
        components: K.
        step: where kappa's step starts, in characters a point: about one over the
            number of points that a character takes.

    The start matters: small weights, widths of about a character, and steps of the
    right size let the window walk within a few hundred updates.
    """

    def __init__(self, hidden: int, components: int, step: float = 0.06) -> None:
        super().__init__(hidden, 3 * components)
        self.components = components
        with torch.no_grad():
            self.weight.mul_(0.1)
            alpha, beta, move = self.bias.view(3, components).unbind()
            alpha.zero_()
            beta.fill_(-0.5)
            move.normal_(0, 0.1).add_(math.log(step))

    def read(
        self, h: Tensor, kappa: Tensor, text: Tensor, text_mask: Tensor, symbols: int
    ) -> Window:
        """The window for the first layer's output `h` `(B, H)`: see `soft_window`."""
        alpha, beta, step = self(h).chunk(3, -1)
        return soft_window(alpha, beta, step, kappa, text, text_mask, symbols)
