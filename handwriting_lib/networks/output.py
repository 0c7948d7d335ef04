"""What the `forward` of a network over ink returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ..parts.mixture import StrokeMixture


class NetworkOutput(NamedTuple):
    """The raw output at every point, and what is needed to go on.

    Attributes:
        output: `(B, T, 6M + 1)` raw output; `mixture()` reads it.
        phi: `(B, T, U)` the weights of the window, or None for a network that reads no
            text.
        state: the state after the last point, to continue from; None for a network
            without memory.
    """

    output: Tensor
    phi: Tensor | None
    state: Any

    def mixture(self, bias: float = 0.0, temperature: float = 1.0) -> StrokeMixture:
        """The density of the next point, at each point."""
        return StrokeMixture.from_output(self.output, bias, temperature)
