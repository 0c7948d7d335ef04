"""A fifth system: pairs of letters. It knows nothing of ink, and no ink serves it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from handwriting_lib.files.models import Model
from handwriting_lib.training.task import Task


@dataclass(frozen=True)
class Vocabulary:
    letters: str = " abcdefghijklmnopqrstuvwxyz"


class Pairs(nn.Module):  # the letter after each letter
    kind, Config, carries = "pairs", Vocabulary, {"vocabulary": Vocabulary}
    reads_text = False

    def __init__(self, config):
        super().__init__()
        self.config, size = config, len(config.letters)
        self.logits = nn.Parameter(torch.zeros(size, size))


class Batch(torch.Tensor):  # (B, T) letters
    targets = property(lambda self: self[:, 1:].numel())


class PairsTask(Task):
    unit = "nats_per_letter"

    def __init__(self, config, data):
        indices = torch.tensor([Vocabulary().letters.index(c) for c in data])
        self.config, self.rows = config, indices.unfold(0, 20, 20)  # (N, 20)
        self.targets = self.rows[:, 1:].numel()

    @classmethod
    def load(cls, config):
        return cls(config, Path(config.corpus).read_text())

    def batch(self, step):
        return self.rows[step % len(self.rows) :][:4].as_subclass(Batch)

    def loss(self, network, batch, scale=1.0):
        batch = batch.as_subclass(torch.Tensor)
        logits = network.logits[batch[:, :-1]]  # (B, T - 1, V)
        return nn.functional.cross_entropy(logits.mT, batch[:, 1:])

    def validate(self, network, device):
        return float(self.loss(network, self.rows))

    def model(self, network, about):
        return Model(network, about=about)
