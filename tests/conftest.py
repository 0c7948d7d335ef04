"""Fixtures that several test files share."""

from __future__ import annotations

import os

import pytest
import torch

from handwriting_lib.ink import Sample

if not torch.cuda.is_available():  # Triton reads this when it is first imported
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True)
def seed():
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Run the test on each device, and skip those that are missing."""
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device(request.param)


@pytest.fixture
def scribble():
    """A function that makes samples: loops to the right, in letter-body heights."""

    def make(text="abc", points=40, writer="w1", kind="line", seed=0, source="test"):
        generator = torch.Generator().manual_seed(seed)
        angle = torch.linspace(0, 0.9 * len(text) * 6.28, points)
        angle = angle + 0.3 * torch.randn(points, generator=generator)
        dx, dy = 0.12 + 0.25 * angle.cos(), 0.35 * angle.sin()
        end = torch.zeros(points)
        end[points // len(text) - 1 :: points // len(text)] = 1
        end[-1] = 1
        ink = torch.stack([dx, dy, end], 1)
        ink[0, :2] = 0
        return Sample(text, ink, writer, f"{source}#{seed}", kind)

    return make
