"""The processes of a training run: one alone, or those that `torchrun` started."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


class Team:
    """Splits batches among the processes and combines their results.

    Each process takes its share of the sequences of every batch, and
    DistributedDataParallel averages the gradients, so the losses are those of a single
    process with the whole batch.
    """

    def __init__(self, device: torch.device) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = device
        if self.size > 1 and device.type == "cuda":
            self.device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if self.size > 1 and not torch.distributed.is_initialized():
            backend = "nccl" if device.type == "cuda" else "gloo"
            torch.distributed.init_process_group(backend)

    def wrap(self, network: nn.Module) -> nn.Module:
        return DistributedDataParallel(network) if self.size > 1 else network

    def share(self, batch: Any) -> tuple[Any, float]:
        """This process's share of a batch, and the weight of its mean loss."""
        if self.size == 1 or len(batch) < self.size:  # too few to split
            return batch, 1.0
        own = batch.every(self.size, self.rank)
        return own, own.targets * self.size / batch.targets

    def mean(self, value: Tensor) -> float:
        value = value.detach().clone()
        if self.size > 1:
            torch.distributed.all_reduce(value)
        return float(value) / self.size

    def agrees_with_first(self, answer: bool) -> bool:
        """The answer of the first process, which decides because clocks differ."""
        return (
            self.mean(
                torch.tensor(float(answer and self.rank == 0), device=self.device)
            )
            > 0
        )

    def finish(self) -> None:
        """Wait for every process, the first of which still saves, and part."""
        if self.size > 1:
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()
