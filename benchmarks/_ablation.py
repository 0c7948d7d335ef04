"""Ablations of `handwriting_lib.fast`: the same work with one of its parts disabled.

A backend is chosen once per process, so an ablation replaces the functions that make
the choice for the duration of one call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar
from unittest import mock

import torch
from torch import Tensor

from handwriting_lib.fast import backend, operators, products
from handwriting_lib.fast.torch_backend import BACKEND as PLAIN
from handwriting_lib.writing import stepper

T = TypeVar("T")


@contextlib.contextmanager
def without_backend() -> Iterator[None]:
    """Use plain torch between the matrix products, without Numba or Triton."""
    with contextlib.ExitStack() as stack:
        for module in (backend, operators, stepper):
            patch = mock.patch.object(module, "backend_for", lambda _: PLAIN)
            stack.enter_context(patch)
        yield


@contextlib.contextmanager
def without_packing() -> Iterator[None]:
    """Use torch's own matrix products, without the packed weights of oneDNN."""
    with mock.patch.object(products, "_can_pack", lambda _: False):
        yield


def inside(
    context: Callable[[], contextlib.AbstractContextManager[None]],
    function: Callable[[], T],
) -> Callable[[], T]:
    """Wrap a function so that each call runs inside a new context."""

    def run() -> T:
        with context():
            return function()

    return run


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Disable both the backend and the packed weights."""
    with without_backend(), without_packing():
        yield


def compiled_step(network: torch.nn.Module) -> Callable[..., tuple[Tensor, ...]]:
    """Compile one step of a network with `torch.compile`, as a single graph."""
    return torch.compile(network.step, fullgraph=True)  # type: ignore[return-value]
