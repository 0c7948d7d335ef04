"""Widening a trained network without changing its output."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from ..errors import InputError
from .prediction import PredictionNetwork
from .synthesis import SynthesisNetwork


@torch.no_grad()
def grow(small: nn.Module, wide: nn.Module) -> None:
    """Copy a small network into a wide one, which then gives the same output.

    The small network's cells become the first cells of each layer. The new cells keep
    their random input weights, but the old cells, the window and the output read them
    with weights of zero, so they change nothing until training changes these weights.

    Args:
        small: trained `PredictionNetwork` or `SynthesisNetwork`.
        wide: network of the same kind with at least as many cells per layer, and
            otherwise of the same sizes; it is changed in place.

    Raises:
        ValueError: the networks differ in more than their numbers of cells, or `wide`
            has fewer cells.

    Example:
        >>> import torch
        >>> from handwriting_lib import PredictionConfig, PredictionNetwork
        >>> small = PredictionNetwork(PredictionConfig(hidden=4))
        >>> wide = PredictionNetwork(PredictionConfig(hidden=6))
        >>> grow(small, wide)
        >>> ink = torch.randn(1, 5, 3)
        >>> torch.allclose(small(ink).output, wide(ink).output, atol=1e-5)
        True
    """
    old, new = getattr(small, "config", None), getattr(wide, "config", None)
    fits = isinstance(small, (PredictionNetwork, SynthesisNetwork)) and (
        type(small) is type(wide)
        and dataclasses.replace(new, hidden=old.hidden) == old  # type: ignore[union-attr, type-var]
        and new.hidden >= old.hidden  # type: ignore[union-attr]
    )
    if not fits:
        raise InputError(
            f"a network with {old} cannot grow into one with {new}: use the same kind "
            "and sizes, with at least as many cells per layer"
        )
    few, many = old.hidden, new.hidden  # type: ignore[union-attr]

    def fill(target: Tensor, source: Tensor) -> None:
        """Copy the old cells' weights; zero those with which they read new cells."""
        target.zero_()
        target[..., : source.shape[-1]] = source

    for layer, into in zip(small.layers, wide.layers, strict=True):  # type: ignore[arg-type]
        for name in ("weight_ih", "weight_hh"):
            gates = getattr(into, name).view(4, many, -1)  # (4, H, I)
            fill(gates[:, :few], getattr(layer, name).view(4, few, -1))
        into.bias.view(4, many)[:, :few] = layer.bias.view(4, few)
        into.peephole[:, :few] = layer.peephole
    layers = len(small.layers)  # type: ignore[arg-type]
    fill(
        wide.output.weight.view(-1, layers, many),  # type: ignore[union-attr, operator]
        small.output.weight.view(-1, layers, few),  # type: ignore[union-attr, operator]
    )
    wide.output.bias.copy_(small.output.bias)  # type: ignore[union-attr, operator, arg-type]
    if isinstance(small, SynthesisNetwork) and isinstance(wide, SynthesisNetwork):
        fill(wide.window.weight, small.window.weight)
        wide.window.bias.copy_(small.window.bias)
