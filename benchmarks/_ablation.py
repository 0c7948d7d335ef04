"""What each part of `handwriting_lib.fast` earns: the same work with it left out.

The choice of a backend is made once per process, so a row that leaves something out
replaces the functions that make it, for the time of one call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar
from unittest import mock

import torch
from torch import Tensor

from handwriting_lib.fast import backend, products, sequences
from handwriting_lib.fast.torch_backend import BACKEND as PLAIN
from handwriting_lib.writing import stepper

T = TypeVar("T")


@contextlib.contextmanager
def without_backend() -> Iterator[None]:
    """Plain torch between the matrix products: no Numba, no Triton."""
    with contextlib.ExitStack() as stack:
        for module in (backend, sequences, stepper):
            patch = mock.patch.object(module, "backend_for", lambda _: PLAIN)
            stack.enter_context(patch)
        yield


@contextlib.contextmanager
def without_packing() -> Iterator[None]:
    """Matrix products by torch's own operators: no packed weights of oneDNN."""
    with mock.patch.object(products, "_can_pack", lambda _: False):
        yield


def inside(
    context: Callable[[], contextlib.AbstractContextManager[None]],
    function: Callable[[], T],
) -> Callable[[], T]:
    """The function, called inside of a context."""

    def run() -> T:
        with context():
            return function()

    return run


@contextlib.contextmanager
def plain_torch() -> Iterator[None]:
    """Neither a backend nor packed weights."""
    with without_backend(), without_packing():
        yield


def compiled_step(network: torch.nn.Module) -> Callable[..., tuple[Tensor, ...]]:
    """One step of a network by `torch.compile`, in one graph."""
    return torch.compile(network.step, fullgraph=True)  # type: ignore[return-value]
