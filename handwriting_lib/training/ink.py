"""The task of every network over ink: predict the next point of a line.

The ink is scaled, thinned, filtered and split by writer. Each batch is drawn at random
from the lines, words, characters or synthetic lines. The loss is the negative
log-likelihood of the next point under the network's mixture (Graves 2013, eq. 26).
Chapters 08 and 10 build it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._deprecation import renamed_arguments
from ..corpora import load_corpus
from ..data.batches import Batch, LengthBuckets, make_batch
from ..data.transforms import (
    Normalisation,
    Split,
    measure_normalisation,
    prepare,
    split_by_text,
    split_by_writer,
)
from ..files.models import Model
from ..ink import Corpus, Sample
from ..parts.lstm import clip_derivative
from ..parts.mixture import mixture_loss
from .config import MATMUL_DTYPES, ConfigError, TrainingConfig
from .cuda_graphs import GraphedLoss
from .task import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """Prepared ink, split by writer, and the normalisation of the training side."""

    train: list[Sample]
    validation: list[Sample]
    normalisation: Normalisation
    synthetic: list[Sample] = dataclasses.field(default_factory=list)


def _prepare(corpus: Corpus, config: TrainingConfig) -> list[Sample]:
    """Scale, thin and filter the ink; log how many samples are left out and why."""
    # without lines or words, a writer has no letter-body height to scale by
    scaled = {(s.writer, s.units) for s in corpus.samples if s.kind != "character"}
    known = [s for s in corpus.samples if (s.writer, s.units) in scaled]
    if len(known) < len(corpus.samples):
        log.info(
            "left out %d samples: character of a writer without lines or words",
            len(corpus.samples) - len(known),
        )
    corpus = dataclasses.replace(corpus, samples=known)
    prepared = prepare(corpus, config.thinning, config.limits)
    for reason, count in prepared.skipped.items():
        log.info("left out %d samples: %s", count, reason)
    return prepared.samples


def prepare_data(
    corpus: Corpus, config: TrainingConfig, validation: Corpus | None = None
) -> TrainingData:
    """Scale, thin, filter and split a corpus as a configuration says.

    Args:
        corpus: corpus to train on, and to validate on if no other is given.
        config: configuration with the thinning, the limits and the synthetic lines.
        validation: corpus to validate on; if given, all of `corpus` is for training.

    Raises:
        ConfigError: no samples are left for training or for validation.
    """
    for reason, count in corpus.skipped.items():
        log.info("the reader left out %d samples: %s", count, reason)
    samples = _prepare(corpus, config)
    if validation is None and len({s.writer for s in samples}) == 1:
        split = split_by_text(samples)
        log.info(
            "all ink is by one writer, so %d of its %d samples are held out by their "
            "texts",
            len(split.validation),
            len(samples),
        )
    elif validation is None:
        split = split_by_writer(samples)
    else:
        split = Split(samples, _prepare(validation, config))
    if split.left_out:
        log.info(
            "left out %d samples: training line with a held-out text", split.left_out
        )
    if not split.train or not split.validation:
        raise ConfigError(
            f"{corpus.name} leaves {len(split.train)} samples for training and "
            f"{len(split.validation)} for validation, but both need some: use more "
            f"writers or texts, or wider limits{_why_so_few(corpus)}"
        )
    made: list[Sample] = []
    if config.recipe.synthetic_share:
        lines = load_corpus("synthetic", **config.synthetic)
        made = prepare(lines, config.thinning, config.limits).samples
    return TrainingData(
        split.train, split.validation, measure_normalisation(split.train), made
    )


def _why_so_few(corpus: Corpus) -> str:
    """What the reader left out, as the end of a sentence."""
    listed = "; ".join(f"{count}: {why}" for why, count in corpus.skipped.items())
    return f" (the reader left out {listed})" if listed else ""


class DerivativeLimits(NamedTuple):
    """Limits on the derivatives in the backward pass (Graves 2013, section 4.1).

    They apply to the loss of one line, in nats summed over its points. The derivatives
    of a mean over N points are N times smaller, so its limits are `times(1 / N)`.

    Attributes:
        gates: limit at the inputs of the gates of every layer, at every point.
        output: limit at the raw output of the network, at every point.
    """

    gates: float = 10.0
    output: float = 100.0

    def times(self, factor: float) -> DerivativeLimits:
        """The limits for a loss that is `factor` times as large."""
        return DerivativeLimits(self.gates * factor, self.output * factor)


@renamed_arguments(products="matmul_dtype")
def batch_loss(
    network: nn.Module,
    batch: Batch,
    matmul_dtype: torch.dtype | None = None,
    limits: DerivativeLimits | None = None,
) -> Tensor:
    """The negative log-likelihood per point of a batch, in nats and normalised units.

    Args:
        network: any network of the library.
        batch: batch to score; at each point but the last, the network predicts the
            next.
        matmul_dtype: type of the matrix products; None keeps that of the ink.
        limits: limits on the derivatives of the returned loss in the backward pass;
            None clips nothing.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    seen, target = batch.ink[:, :-1], batch.ink[:, 1:]
    bare: Any = getattr(network, "module", network)  # unwrap DistributedDataParallel
    out = network(
        seen,
        *batch.texts(bare.reads_text),
        matmul_dtype=matmul_dtype,
        gate_limit=limits.gates if limits else None,
    )
    if limits:
        out = out._replace(output=clip_derivative(out.output, limits.output))
    return mixture_loss(out.mixture(), target, batch.mask[:, 1:])


@torch.no_grad()
def validate(network: nn.Module, batches: list[Batch], device: torch.device) -> float:
    """Nats per point over all points of some batches, in float32."""
    total = points = 0.0
    for batch in batches:
        total += float(batch_loss(network, batch.to(device))) * batch.targets
        points += batch.targets
    return total / points


class InkTask(Task):
    """The task of predicting the next point of a line, with or without its text.

    Args:
        config: configuration of the training run.
        data: prepared ink, as returned by `prepare_data`.
    """

    def __init__(self, config: TrainingConfig, data: TrainingData) -> None:
        self.config, self.data = config, data
        lines = [s for s in data.train if s.kind == "line"]
        words = [s for s in data.train if s.kind == "word"]
        characters = [s for s in data.train if s.kind == "character"]
        recipe, points = config.recipe, config.recipe.points_per_batch
        self.matmul_dtype = MATMUL_DTYPES[recipe.matmul_dtype]
        self.lines = LengthBuckets(lines or words or characters, points)
        self.words = LengthBuckets(words or lines or characters, points)
        self.mixed = [
            (share, LengthBuckets(samples, points))
            for share, samples in (
                (recipe.synthetic_share, data.synthetic),
                (recipe.character_share, characters),
            )
            if share and samples
        ]
        pools = [self.lines, self.words, *(pool for _, pool in self.mixed)]
        lengths = {id(s): len(s.ink) - 1 for pool in pools for s in pool.samples}
        self.targets = sum(lengths.values())
        self.held_out = self._held_out()

    @classmethod
    def load(cls, config: TrainingConfig) -> InkTask:
        """Build the task of a configuration, with the corpus that it names."""
        corpus = load_corpus(config.corpus, **config.corpus_options)
        validation = None
        if config.validation_options:
            validation = load_corpus(config.corpus, **config.validation_options)
        return cls(config, prepare_data(corpus, config, validation))

    def batch(self, step: int) -> Batch:
        recipe = self.config.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        is_words = torch.rand(1, generator=generator).item() < recipe.word_share_at(
            step
        )
        pool = self.words if is_words else self.lines
        left = torch.rand(1, generator=generator).item() if self.mixed else 1.0
        for share, other in self.mixed:
            if 0 <= left < share:
                pool = other
            left -= share
        return make_batch(
            pool.draw(generator),
            self.data.normalisation,
            self.config.augmentation,
            generator,
        )

    def _held_out(self) -> list[Batch]:
        """The validation batches: a fixed choice of lines and words of all lengths."""
        chosen: list[list[Sample]] = []
        half = max(1, self.config.recipe.validation_batches // 2)
        kinds = {s.kind for s in self.data.validation}
        for kind in ("line", "word") if kinds & {"line", "word"} else ("character",):
            side = [s for s in self.data.validation if s.kind == kind]
            if side:
                batches = LengthBuckets(
                    side, self.config.recipe.points_per_batch
                ).in_order()
                every = max(1, len(batches) // half)
                chosen += batches[every // 2 :: every][:half]
        return [make_batch(samples, self.data.normalisation) for samples in chosen]

    def loss(self, network: nn.Module, batch: Batch, scale: float = 1.0) -> Tensor:
        limits = None
        if self.config.recipe.clip_derivatives:
            limits = DerivativeLimits().times(scale / batch.targets)
        return batch_loss(network, batch, self.matmul_dtype, limits)

    def validate(self, network: nn.Module, device: torch.device) -> float:
        """Nats per point over all points of the held-out batches, in float32."""
        return validate(network, self.held_out, device)

    def model(self, network: nn.Module, about: Mapping[str, Any]) -> Model:
        return Model(network, self.data.normalisation, self.config.thinning, about)

    def recorded(self, network: nn.Module) -> Callable[[Batch, float], Tensor] | None:
        if self.config.recipe.clip_derivatives:  # the limits depend on the batch
            return None
        return GraphedLoss(network, lambda b: batch_loss(network, b, self.matmul_dtype))
