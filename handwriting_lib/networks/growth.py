"""Widening a trained network: the wide one starts with what the small one knows."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from ..errors import InputError
from .prediction import PredictionNetwork
from .synthesis import SynthesisNetwork


@torch.no_grad()
def grow(small: nn.Module, wide: nn.Module) -> None:
    """Give a wide network what a small one has learned: at first both write alike.

    The small network's cells become the first cells of each layer. The new cells keep
    the random weights they read with, and are read with weights of zero, so they change
    nothing until training lets them.

    Args:
        small: a trained `PredictionNetwork` or `SynthesisNetwork`.
        wide: a network of the same kind with as many cells a layer or more, otherwise
            of the same sizes; it is changed in place.

    Raises:
        ValueError: the networks do not fit.

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
        raise InputError(f"a network with {old} cannot grow into one with {new}")
    few, many = old.hidden, new.hidden  # type: ignore[union-attr]

    def fill(target: Tensor, source: Tensor) -> None:
        """The old cells' weights; zeros where an old cell would read a new one."""
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
