"""A training step as a CUDA graph: recorded once for each shape, then replayed.

A network reads a line point by point, so a training step on a GPU launches tens of
thousands of small kernels, and launching them from Python takes far longer than running
them. A CUDA graph launches them all at once. Because the shapes in a graph are fixed,
batches are padded to a few shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..data.batches import Batch

# Batches are padded to multiples of these numbers of lines, points and characters.
LINES, POINTS, SLOTS = 16, 64, 32


def pad_batch(batch: Batch) -> Batch:
    """Pad a batch to one of a few shapes; the padding is masked.

    Example:
        >>> import torch
        >>> ink, text = torch.zeros(3, 70, 3), torch.zeros(3, 9, dtype=torch.int64)
        >>> batch = Batch(ink, ink[..., 0] == 0, text, text == 0)
        >>> [tuple(tensor.shape) for tensor in pad_batch(batch).tensors()]
        [(16, 129, 3), (16, 129), (16, 32), (16, 32)]
    """
    lines, points = batch.mask.shape
    below, after = -lines % LINES, -(points - 1) % POINTS  # T points make T - 1 steps
    right = -batch.text.shape[1] % SLOTS
    pad = nn.functional.pad
    return Batch(
        pad(batch.ink, (0, 0, 0, after, 0, below)),
        pad(batch.mask, (0, after, 0, below)),
        pad(batch.text, (0, right, 0, below)),
        pad(batch.text_mask, (0, right, 0, below)),
    )


class _Recording(NamedTuple):
    graph: torch.cuda.CUDAGraph
    batch: Batch  # the graph's input
    loss: Tensor  # the graph's output


class GraphedLoss:
    """Computes the loss of a batch, and the gradients in `grad`, as CUDA graphs.

    Args:
        network: network on a GPU; its parameters may change in place, but must not be
            replaced.
        loss: function that computes the loss of a batch without waiting for the GPU.
            While a shape is recorded, no other loss of the network may be waiting for
            its backward pass, because autograd would join the stream of that loss to
            the recording.
    """

    def __init__(self, network: nn.Module, loss: Callable[[Batch], Tensor]) -> None:
        self.loss = loss
        self.weights = [p for p in network.parameters() if p.requires_grad]
        self.gradients = [torch.empty_like(p) for p in self.weights]
        self.recordings: dict[tuple[int, ...], _Recording] = {}
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, batch: Batch, scale: float = 1.0) -> Tensor:
        """The loss of a batch on any device; its gradients replace the previous ones.

        Args:
            batch: batch to score, which is padded and copied to the GPU.
            scale: factor that multiplies the gradients, but not the loss.
        """
        batch = pad_batch(batch)
        shape = *batch.mask.shape, batch.text.shape[1]
        if shape not in self.recordings:
            self.recordings[shape] = self._record(batch)
        recording = self.recordings[shape]
        for target, source in zip(
            recording.batch.tensors(), batch.tensors(), strict=True
        ):
            target.copy_(source, non_blocking=True)
        recording.graph.replay()
        for weight, gradient in zip(self.weights, self.gradients, strict=True):
            weight.grad = gradient
        if scale != 1.0:
            torch._foreach_mul_(self.gradients, scale)
        return recording.loss

    def _run(self, batch: Batch) -> Tensor:
        loss = self.loss(batch)
        torch._foreach_copy_(self.gradients, torch.autograd.grad(loss, self.weights))
        return loss.detach()

    def _record(self, batch: Batch) -> _Recording:
        device = self.weights[0].device
        batch = Batch(*(tensor.to(device, copy=True) for tensor in batch.tensors()))
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            self._run(batch)  # warm-up: compile and load before recording
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, pool=self.pool, stream=stream, capture_error_mode="thread_local"
        ):
            loss = self._run(batch)
        return _Recording(graph, batch, loss)
