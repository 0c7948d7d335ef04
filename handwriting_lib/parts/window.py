"""The soft window: the position of the network in the text while it writes.

Graves 2013, eqs 46 to 51: K Gaussian bumps over the character positions u = 1..U give
each position a weight phi(t, u), and the network reads the weighted sum of the one-hot
characters. The location kappa of each bump only ever moves forward. The weights are not
normalised. Built in chapter 09.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Window(NamedTuple):
    """The output of the window at one step.

    Attributes:
        w: `(B, V)` weighted sum of the one-hot characters.
        kappa: `(B, K)` locations after this step; location 1 is the first character.
        phi: `(B, U)` weight of each position.
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
    """Run one step of the window.

    Args:
        log_alpha: `(B, K)` logarithms of the heights (eq. 49).
        log_beta: `(B, K)` logarithms of the inverse widths (eq. 50).
        log_step: `(B, K)` logarithms of the steps of kappa (eq. 51).
        kappa: `(B, K)` locations before this step.
        text: `(B, U)` int64 indices of the characters.
        text_mask: `(B, U)` bool, true for characters and the end slot; positions where
            it is false get no weight.
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
    """The tensors that a forward pass keeps for the backward pass, time first.

    Attributes:
        kappas: `(T + 1, B, K)` locations, from those before the first point on.
        moves: `(T, B, 3K)` alpha, beta and the step of kappa.
        phis: `(T, B, U)` weights of the positions.
        text: `(B, U)` int64 indices of the characters.
        mask: `(B, U)` mask in the dtype of `phis`, 1 for characters and the end slot.
    """

    kappas: Tensor
    moves: Tensor
    phis: Tensor
    text: Tensor
    mask: Tensor


class WindowParameters(nn.Linear):
    """Maps the first layer's output to the logarithms of alpha, beta and kappa's step.

    Args:
        hidden: H, the size of the first layer's output.
        components: K, the number of Gaussian bumps.
        step: the initial step of kappa, in characters per point: about one over the
            number of points per character.

    The initial values matter: small weights, widths of about a character and steps of
    the right size let the window move along the text within a few hundred updates.
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
        """Run `soft_window` for the first layer's output `h`, `(B, H)`.

        Under autocast kappa stays in the type of the weights: it is a sum of small
        steps.
        """
        alpha, beta, step = self(h).to(kappa.dtype).chunk(3, -1)
        return soft_window(alpha, beta, step, kappa, text, text_mask, symbols)
