"""One synthetic hand in pieces, on which the experiments of chapters 7 and 8 train.

Of 1,040 lines, 750 have at most 500 points; 40 of these are held out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

import handwriting_lib as hw

LINES, HELD, SEED = 1040, 40, 3
T = 120  # steps per piece


class Hand(NamedTuple):
    """The lines of the hand, and what becomes of them.

    Attributes:
        samples: all lines that were kept, the held-out ones first.
        norm: normalisation, measured on the lines for training.
        train: `(n, T + 1, 3)` normalised pieces for training.
        held: `(n, T + 1, 3)` normalised pieces of the held-out lines.
    """

    samples: list[hw.Sample]
    norm: hw.Normalisation
    train: Tensor
    held: Tensor

    def about(self) -> str:
        """The hand in words, for a record."""
        return f"synthetic, seed {SEED}, {len(self.train)} pieces of {T} steps"


def load() -> Hand:
    """Draw the hand, and cut its lines into pieces."""
    corpus = hw.load_corpus("synthetic", samples=LINES, writers=1, seed=SEED)
    samples = hw.prepare(corpus).samples
    norm = hw.measure_normalisation(samples[HELD:])
    train, held = (_pieces(some, norm) for some in (samples[HELD:], samples[:HELD]))
    return Hand(samples, norm, train, held)


def _pieces(samples: list[hw.Sample], norm: hw.Normalisation) -> Tensor:
    """Cut lines into pieces; what is left at the end of a line is dropped."""
    found: list[Tensor] = []
    for sample in samples:
        ink = norm.apply(sample.ink)[1:]
        found += [piece for piece in ink.split(T + 1) if len(piece) == T + 1]
    return torch.stack(found)
