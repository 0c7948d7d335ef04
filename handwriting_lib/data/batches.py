"""Samples of different lengths as one rectangular batch: padding and masks.

Samples of similar length are batched together (*length buckets*), so that little of a
batch is padding. Chapter 01 explains the batches, and chapter 10 trains with them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..alphabet import pad_texts
from ..errors import InputError
from ..ink import Sample
from .transforms import Augmentation, Normalisation, augment


@dataclass(frozen=True)
class Batch:
    """Lines of ink and their texts, padded with zeros.

    Attributes:
        ink: `(B, T, 3)` normalised offsets.
        mask: `(B, T)` bool, true where there is ink.
        text: `(B, U)` int64 indices, with the end slot.
        text_mask: `(B, U)` bool, true for characters and the end slot.
    """

    ink: Tensor
    mask: Tensor
    text: Tensor
    text_mask: Tensor

    def __len__(self) -> int:
        return len(self.ink)

    @property
    def targets(self) -> int:
        """The number of points to predict, all but the first of each line."""
        return int(self.mask[:, 1:].sum())

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the ink, its mask, the text and its mask."""
        return self.ink, self.mask, self.text, self.text_mask

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch moved to `device`."""
        return Batch(*(tensor.to(device) for tensor in self.tensors()))

    def every(self, step: int, first: int = 0) -> Batch:
        """Return every `step`-th line, starting with line `first`."""
        return Batch(*(tensor[first::step] for tensor in self.tensors()))

    def replace(self, **changes: Tensor) -> Batch:
        """Return a copy of the batch with some attributes changed."""
        return replace(self, **changes)

    def texts(self, reads_text: bool) -> tuple[Tensor, ...]:
        """Return the text and its mask if the network reads text, otherwise `()`."""
        return (self.text, self.text_mask) if reads_text else ()


def make_batch(
    samples: Sequence[Sample],
    normalisation: Normalisation = Normalisation(),
    augmentation: Augmentation | None = None,
    generator: torch.Generator | None = None,
) -> Batch:
    """Pad samples to the length of the longest and stack them.

    Args:
        samples: the samples, with ink in letter-body heights.
        normalisation: the mean and standard deviation of the training set.
        augmentation: the random changes to make to each line; needs `generator`.
        generator: the random generator of the augmentation.

    Raises:
        ValueError: there are no samples, or there is augmentation without a generator.
    """
    if not samples:
        raise InputError("a batch needs at least one sample")
    lines = [s.ink for s in samples]
    if augmentation is not None:
        if generator is None:
            raise InputError("augmentation needs randomness: give a generator")
        lines = [augment(line, augmentation, generator) for line in lines]
    ink = torch.nn.utils.rnn.pad_sequence(
        [normalisation.apply(line) for line in lines], batch_first=True
    )
    # the first row means "no offset yet" and so stays 0 in normalised units
    ink[:, 0, :2] = 0
    lengths = torch.tensor([len(line) for line in lines])
    text, text_mask = pad_texts([s.text for s in samples])
    return Batch(ink, torch.arange(ink.shape[1]) < lengths[:, None], text, text_mask)


class LengthBuckets:
    """Draws batches of samples of similar length.

    A draw depends on its generator alone. A training run that seeds the generator from
    the step therefore draws the same batches after it resumes.

    Args:
        samples: the samples to draw from, in any order.
        points: the approximate number of points in a batch.
        largest: the maximum number of samples in a batch.
        spread: the number of candidates for each place in a batch. Candidates are
            neighbours in length, at 80 to 125 % of the length of one random sample, so
            a batch is smaller where these are few.
        lengths: the number of points of each sample, where it is not that of its ink;
            None counts them.

    Raises:
        ValueError: there are no samples.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        points: int = 9600,
        largest: int = 128,
        spread: int = 8,
        lengths: Sequence[int] | None = None,
    ) -> None:
        if not samples:
            raise InputError("there are no samples to draw from: give at least one")
        if lengths is None:
            lengths = [len(s.ink) for s in samples]
        order = sorted(
            range(len(samples)), key=lambda i: (lengths[i], samples[i].source)
        )
        self.samples = [samples[i] for i in order]
        self.lengths = [lengths[i] for i in order]
        self.points, self.largest, self.spread = points, largest, spread

    def __len__(self) -> int:
        return len(self.samples)

    def draw(self, generator: torch.Generator) -> list[Sample]:
        """Draw one batch of distinct samples of similar length."""
        total = len(self.samples)
        middle = int(torch.randint(total, (1,), generator=generator))
        length = self.lengths[middle]
        size = max(1, min(self.largest, self.points // length, total))
        window = min(size * self.spread, total)
        start = min(max(0, middle - window // 2), total - window)
        first = max(start, bisect_left(self.lengths, 0.8 * length))
        last = min(start + window, bisect_right(self.lengths, 1.25 * length))
        picks = torch.randperm(last - first, generator=generator)[:size]
        return [self.samples[first + int(i)] for i in picks]

    def in_order(self) -> list[list[Sample]]:
        """Return every sample once, in batches, shortest first."""
        batches: list[list[Sample]] = [[]]
        for s, length in zip(self.samples, self.lengths, strict=True):
            size = len(batches[-1]) + 1
            if batches[-1] and (size * length > self.points or size > self.largest):
                batches.append([])
            batches[-1].append(s)
        return batches
