"""The return value of `forward` for networks over ink."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from ..parts.mixture import StrokeMixture


class NetworkOutput(NamedTuple):
    """The raw output at every point, and the state to continue from.

    Attributes:
        output: `(B, T, 6M + 1)` raw output, which `mixture` turns into a density.
        phi: `(B, T, U)` weights of the window, or None for a network that reads no
            text.
        state: state after the last point.
    """

    output: Tensor
    phi: Tensor | None
    state: Any

    def mixture(self, bias: float = 0.0, temperature: float = 1.0) -> StrokeMixture:
        """The density of the next point at each point."""
        return StrokeMixture.from_output(self.output, bias, temperature)
