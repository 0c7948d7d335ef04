"""The interface between the training loop and a task.

A *task* defines what is trained: where the batches come from, how their loss is
computed, how the network is validated, and what its model file holds. The loop knows
nothing else, so a new system defines a task of its own and leaves the loop unchanged.
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
    """A batch of sequences and the targets to predict."""

    @property
    def targets(self) -> int:
        """The number of points or tokens that the loss is averaged over."""
        ...

    def __len__(self) -> int:
        """The number of sequences."""
        ...

    def to(self, device: torch.device | str) -> Any:
        """The same batch on another device."""
        ...

    def every(self, step: int, first: int) -> Any:
        """Every `step`-th sequence, starting with number `first`."""
        ...


class Task(ABC):
    """A training task; subclasses also define `targets`.

    Attributes:
        config: configuration of the training run.
        targets: number of points or tokens in the whole training set.
        unit: unit of the loss, for logs and model files.
    """

    config: TrainingConfig
    targets: int
    unit: str = "nats_per_point"

    @abstractmethod
    def batch(self, step: int) -> Any:
        """The `TrainingBatch` of a step; it depends only on the seed and the step."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Any, scale: float = 1.0) -> Tensor:
        """The mean loss of a batch over its targets.

        Args:
            network: network to train, possibly wrapped in DistributedDataParallel.
            batch: batch that `batch` returned, on the device of the network.
            scale: factor by which the loop multiplies the loss before the backward
                pass.

        Raises:
            FloatingPointError: the loss is not finite.
        """

    @abstractmethod
    def validate(self, network: nn.Module, device: torch.device) -> float:
        """The mean loss over held-out targets; lower is better."""

    @abstractmethod
    def model(self, network: nn.Module, about: Mapping[str, Any]) -> Model:
        """The model to save: the network, what its kind carries, and `about`."""

    def recorded(self, network: nn.Module) -> Callable[[Any, float], Tensor] | None:
        """A function that computes the loss as CUDA graphs, or None without support.

        It takes a batch and a scale, and leaves the gradients of the scaled loss in the
        parameters, so it needs no backward pass (see `cuda_graphs`).
        """
        return None
