"""CUDA graphs: the losses and gradients of the same step without one."""

import pytest
import torch

from handwriting_lib.data.batches import Batch
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.training.cuda_graphs import GraphedLoss, pad_batch
from handwriting_lib.training.ink import batch_loss

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device"
)


def a_batch(lines, points, slots):
    """Random ink with lines of different lengths."""
    ink = torch.randn(lines, points, 3)
    ink[..., 2] = (ink[..., 2] > 1).float()
    lengths = torch.randint(2, points + 1, (lines, 1))
    lengths[0] = points
    text = torch.randint(1, 20, (lines, slots))
    slots_used = torch.randint(1, slots + 1, (lines, 1))
    return Batch(
        ink,
        torch.arange(points) < lengths,
        text,
        torch.arange(slots) < slots_used,
    )


def loss_and_gradients(network, batch, matmul_dtype=None):
    loss = batch_loss(network, batch, matmul_dtype)
    slopes = torch.autograd.grad(loss, list(network.parameters()))
    return loss.detach(), slopes


def test_padding_changes_no_loss_and_no_gradient():
    network, batch = SynthesisNetwork(SynthesisConfig(hidden=8)), a_batch(3, 40, 7)
    padded = pad_batch(batch)
    assert padded.mask.shape == (16, 65) and padded.text.shape == (16, 32)
    assert padded.mask.sum() == batch.mask.sum()
    (one, slopes), (other, others) = (
        loss_and_gradients(network, b) for b in (batch, padded)
    )
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(slopes, others)


@needs_gpu
@pytest.mark.parametrize("matmul_dtype", [None, torch.bfloat16])
def test_a_graph_has_the_loss_and_gradients_of_the_step(matmul_dtype):
    network = SynthesisNetwork(SynthesisConfig(hidden=48)).cuda()
    graphed = GraphedLoss(network, lambda b: batch_loss(network, b, matmul_dtype))
    for shape in ((3, 40, 7), (20, 100, 30), (5, 60, 12)):  # the last has a graph
        batch = a_batch(*shape)
        loss = graphed(batch)
        slopes = [p.grad.clone() for p in network.parameters()]
        other, others = loss_and_gradients(network, batch.to("cuda"), matmul_dtype)
        torch.testing.assert_close(loss, other, rtol=1e-4, atol=1e-5)
        for a, b in zip(slopes, others, strict=True):
            assert (a - b).norm() <= 1e-3 * b.norm() + 1e-6
        with torch.no_grad():  # graphs read the weights as they are then
            for p in network.parameters():
                p.add_(0.01 * torch.randn_like(p))
    assert len(graphed.recordings) == 2


@needs_gpu
def test_a_gpu_has_the_losses_of_a_cpu():
    network, batch = SynthesisNetwork(SynthesisConfig(hidden=32)), a_batch(9, 80, 20)
    loss, slopes = loss_and_gradients(network, batch)
    others = loss_and_gradients(network.cuda(), batch.to("cuda"))
    torch.testing.assert_close(others[0].cpu(), loss, rtol=1e-4, atol=1e-5)
    for a, b in zip(others[1], slopes, strict=True):
        assert (a.cpu() - b).norm() <= 1e-3 * b.norm() + 1e-6
