"""Faster code for the same results, which can be switched off.

A recurrent layer runs over whole sequences with a backward pass of its own, and a
`Backend` for the device computes what happens at each point. With `HANDWRITING_FAST=0`
in the environment everything runs in plain torch.
"""

from __future__ import annotations

from .backend import Backend, backend_for, is_fast, plain_backend
from .products import PackedWeight
from .sequences import (
    FusedPeepholeLSTM,
    linear_in,
    peephole_sequence,
    windowed_sequence,
)
from .torch_backend import INT8_STEPS

__all__ = [
    "INT8_STEPS",
    "Backend",
    "FusedPeepholeLSTM",
    "PackedWeight",
    "backend_for",
    "is_fast",
    "linear_in",
    "peephole_sequence",
    "plain_backend",
    "windowed_sequence",
]
