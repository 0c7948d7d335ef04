"""What the training loop asks of a task.

A *task* is what is trained: where the batches come from, what the loss of one is, how
the network is validated, and what its model file says. The loop knows nothing else, so
another system brings a task of its own and leaves the loop as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..files.models import Model
from .config import TrainingConfig


class TrainingBatch(Protocol):
    """One batch: some sequences and what is to be predicted of them."""

    @property
    def targets(self) -> int:
        """How many points or tokens the loss is a mean over."""
        ...

    def __len__(self) -> int:
        """How many sequences there are."""
        ...

    def to(self, device: torch.device | str) -> Any:
        """The same batch on another device."""
        ...

    def every(self, step: int, first: int) -> Any:
        """Each `step`-th sequence, from number `first` on."""
        ...


class Task(ABC):
    """A training task; subclasses also define `targets`.

    Attributes:
        config: what is trained and how.
        targets: points or tokens in the whole training set.
        unit: of the loss, for logs and model files.
    """

    config: TrainingConfig
    targets: int
    unit: str = "nats_per_point"

    @abstractmethod
    def batch(self, step: int) -> Any:
        """The `TrainingBatch` of a step: a function of the seed and the step alone."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Any, scale: float = 1.0) -> Tensor:
        """The mean loss of a batch over its targets.

        Args:
            network: the network, perhaps wrapped by DistributedDataParallel.
            batch: as `batch` gives it, on the device of the network.
            scale: what the loop multiplies the loss by before the backward pass.

        Raises:
            FloatingPointError: the loss is not finite.
        """

    @abstractmethod
    def validate(self, network: nn.Module, device: torch.device) -> float:
        """The mean loss over held-out targets; lower is better."""

    @abstractmethod
    def model(self, network: nn.Module, about: Mapping[str, Any]) -> Model:
        """The network as it is saved, with what its kind carries."""

    def recorded(self, network: nn.Module) -> Callable[[Any, float], Tensor] | None:
        """The loss of a batch by CUDA graphs (`cuda_graphs`), or None: not this task.

        It takes the batch and the scale, and leaves the gradients of the scaled loss in
        the parameters, so it needs no backward pass.
        """
        return None
