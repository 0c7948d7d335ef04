"""Tiny data and configurations that the tests of training share."""

import json

import pytest
import torch

from handwriting_lib.data.transforms import (
    Normalisation,
)
from handwriting_lib.ink import Sample
from handwriting_lib.networks import (
    FeedforwardConfig,
    FeedforwardPredictor,
    PredictionConfig,
    PredictionNetwork,
    SynthesisConfig,
    SynthesisNetwork,
)
from handwriting_lib.training.config import (
    Recipe,
    TrainingConfig,
)
from handwriting_lib.training.ink import (
    TrainingData,
)

SIZES = {"hidden": 10, "layers": 2, "mixtures": 2, "components": 2}


def zigzag(text, seed, kind):
    """A zigzag a character, a little different each time."""
    generator = torch.Generator().manual_seed(seed)
    steps = 8 * len(text)
    ink = torch.zeros(steps, 3)
    ink[:, 0] = 0.3
    ink[:, 1] = torch.tensor([1.0, -1.0]).repeat(steps // 2)
    ink[:, :2] += 0.1 * torch.randn(steps, 2, generator=generator)
    ink[7::8, 2] = 1
    ink[0, :2] = 0
    return Sample(text, ink, f"w{seed % 5}", f"zigzag#{seed}", kind)


def data():
    lines = [zigzag("ab ba", i, "line") for i in range(12)]
    words = [zigzag("ab", i, "word") for i in range(12)]
    return TrainingData([*lines[2:], *words[2:]], [*lines[:2], *words[:2]],
                        Normalisation((0.3, 0.0), (0.1, 1.0)))  # fmt: skip


def config(network="synthesis", model=SIZES, **recipe):
    recipe = {
        "steps": 20, "points_per_batch": 120, "learning_rate": 1e-2, "warmup_steps": 5,
        "validate_every": 5, "validation_batches": 4,
    } | recipe  # fmt: skip
    return TrainingConfig(network, model, recipe=Recipe(**recipe))


def log_of(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(folder):
    """What in a log does not depend on the clock."""
    names = ("step", "loss", "gradient_norm", "rate", "points")
    return [{name: line[name] for name in names} for line in log_of(folder)]


def validations(folder):
    """The losses on the held-out side, by step."""
    log = log_of(folder)
    return {line["step"]: line["validation"] for line in log if line["validation"]}


def assert_same_losses(one, other):
    """Step by step; a millionth is for sums that another process rounds otherwise."""
    assert [line["step"] for line in one] == [line["step"] for line in other]
    for a, b in zip(one, other, strict=True):
        assert a == pytest.approx(b, rel=1e-6)


def networks():
    return [
        SynthesisNetwork(SynthesisConfig(8, 2, 2, 2)),
        PredictionNetwork(PredictionConfig(8, 2, 2)),
        FeedforwardPredictor(FeedforwardConfig(4, 8, 2, 2)),
    ]
