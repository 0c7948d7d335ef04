"""The training loop: schedule, validation, checkpoints that a run resumes from.

`train` is the whole of it. What a step sees is a function of the seed and the number of
the step alone, so a run that was killed and resumed reaches the same losses as one that
was not. Built in chapter 10.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import random
import sys
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .batches import Batch, Buckets, make_batch
from .checkpoints import (
    Model,
    build_network,
    find_model,
    load_checkpoint,
    save_checkpoint,
    save_model,
)
from .corpora.synthetic import load as load_synthetic
from .graphs import GraphedLoss
from .ink import Corpus, Sample
from .lstm import clip_derivative
from .mixture import check_loss, mixture_loss
from .networks import FeedforwardPredictor, SynthesisNetwork, grow
from .optim import WeightNoise, build_optimisers
from .transforms import (
    Augmentation,
    Limits,
    Normalisation,
    Split,
    Thinning,
    measure_normalisation,
    prepare,
    split_by_writer,
)

log = logging.getLogger(__name__)


class ConfigError(ValueError):
    """A training configuration is wrong; the message names the entry and the remedy."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: updates in all.
        seed: of weights, batches and augmentation.
        points: about how many points a batch holds.
        optimiser: `"adam"`, `"muon"`, or `"rmsprop"` as in the paper, whose rate is for
            gradients of the nats of a line; see `optim.build_optimisers`.
        rate: the learning rate at its height.
        warm_up: steps until the rate is at its height.
        decay: the share of the steps, at the end, over which the rate falls.
        last_rate: the rate at the end, as a share of `rate`.
        clip: the largest norm of the gradient; 0 leaves it as it is.
        clip_derivatives: clip derivatives at every point, as in the paper: see
            `DerivativeLimits`.
        weight_noise: the standard deviation that adaptive weight noise starts with; 0
            trains without. Begin with a trained model (`TrainingConfig.start`).
        words: shares of batches of single words: at the start, and from `words_until`
            on.
        words_until: the share of the steps after which the second share holds.
        characters: the share of batches of single characters.
        synthetic: the share of batches of synthetic lines.
        products: `"float32"` or `"bfloat16"`, the type of matrix products.
        validate_every: steps between validations.
        validation_batches: how many batches a validation reads.
    """

    steps: int = 10_000
    seed: int = 1
    points: int = 9600
    optimiser: str = "adam"
    rate: float = 2e-3
    warm_up: int = 200
    decay: float = 0.4
    last_rate: float = 0.02
    clip: float = 5.0
    clip_derivatives: bool = False
    weight_noise: float = 0.0
    words: tuple[float, float] = (0.9, 0.2)
    words_until: float = 0.4
    characters: float = 0.0
    synthetic: float = 0.0
    products: str = "float32"
    validate_every: int = 250
    validation_batches: int = 12

    def rate_at(self, step: int) -> float:
        """Warm-up, a constant stretch, then half a cosine down."""
        up = min(1.0, (step + 1) / max(1, self.warm_up))
        begin = self.steps * (1 - self.decay)
        done = min(1.0, max(0.0, (step - begin) / max(1.0, self.steps - begin)))
        low = self.last_rate
        return self.rate * up * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))

    def words_at(self, step: int) -> float:
        """The share of batches of words at a step."""
        first, last = self.words
        done = step / max(1.0, self.steps * self.words_until)
        return max(last, first + (last - first) * done) if first > last else last


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training; `read_config` reads it from TOML.

    Attributes:
        network: `"synthesis"`, `"prediction"` or `"feedforward"`.
        model: the network's sizes.
        corpus: a source as `load_corpus` takes it.
        corpus_options: for the reader.
        validation_options: for the reader, once more: what it reads with them is the
            validation side, such as an official list of IAM-OnDB. Empty: writers and
            texts of the corpus are held out (`split_by_writer`).
        synthetic: what `corpora.synthetic.load` takes, for the synthetic lines that
            `recipe.synthetic` mixes in; they are never validated on.
        start: the name or path of a model to begin with; a wider network is grown from
            it (`networks.grow`). Empty: begin with random weights.
        thinning: which points stay.
        limits: which samples stay.
        augmentation: changes to each line.
        recipe: how it is trained.
    """

    network: str = "synthesis"
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    corpus: str = "unipen"
    corpus_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    validation_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    synthetic: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    start: str = ""
    thinning: Thinning = Thinning()
    limits: Limits = Limits()
    augmentation: Augmentation = Augmentation()
    recipe: Recipe = Recipe()


def read_config(path: str | Path) -> TrainingConfig:
    """Read a TOML file with the tables of `TrainingConfig`.

    Raises:
        ConfigError: the file is missing, is not TOML, or has an unknown entry.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"there is no configuration file {path}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return _from_table(TrainingConfig, table, str(path))


def _from_table(cls: type[Any], table: Mapping[str, Any], where: str) -> Any:
    """A frozen dataclass from a table, with lists as tuples; errors name the entry."""
    known = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(
                f"{where}: there is no entry {key!r}; there are {', '.join(known)}"
            )
        if dataclasses.is_dataclass(known[key]) and isinstance(value, Mapping):
            values[key] = _from_table(known[key], value, f"{where} [{key}]")  # type: ignore[arg-type]
        else:
            values[key] = _from_entry(known[key], value, f"{where}: {key}")
    return cls(**values)


def _from_entry(kind: Any, value: Any, where: str) -> Any:
    """A value of type `kind`: a number, a text, a tuple of such, or a table."""
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        if isinstance(value, list) and len(value) == len(parts):
            pairs = zip(parts, value, strict=True)
            return tuple(_from_entry(part, entry, where) for part, entry in pairs)
        raise ConfigError(f"{where} must be a list of {len(parts)}, not {value!r}")
    if kind is float and type(value) is int:
        return float(value)
    names = {int: "a whole number", float: "a number", str: "a text"}
    names[bool] = "true or false"
    fits = isinstance(value, typing.get_origin(kind) or kind)
    if not fits or (type(value) is bool and kind is not bool):
        wanted = names.get(kind, "a table")
        raise ConfigError(f"{where} must be {wanted}, not {value!r}")
    return value


@dataclass(frozen=True)
class TrainingData:
    """Prepared ink, split by writer, and the factors measured on the training side."""

    train: list[Sample]
    validation: list[Sample]
    normalisation: Normalisation
    synthetic: list[Sample] = dataclasses.field(default_factory=list)


def _prepare(corpus: Corpus, config: TrainingConfig) -> list[Sample]:
    """Scale, thin and select; what is left out is logged."""
    # a writer of characters alone has no letter-body height to scale them by
    scaled = {(s.writer, s.units) for s in corpus.samples if s.kind != "character"}
    known = [s for s in corpus.samples if (s.writer, s.units) in scaled]
    if len(known) < len(corpus.samples):
        log.info(
            "left out %d: character of a writer without lines or words",
            len(corpus.samples) - len(known),
        )
    corpus = dataclasses.replace(corpus, samples=known)
    prepared = prepare(corpus, config.thinning, config.limits)
    for reason, count in prepared.skipped.items():
        log.info("left out %d: %s", count, reason)
    return prepared.samples


def prepare_data(
    corpus: Corpus, config: TrainingConfig, validation: Corpus | None = None
) -> TrainingData:
    """Scale, thin, select and split a corpus as a configuration says.

    Args:
        corpus: what to train on, and to validate on when nothing else is given.
        config: its thinning, limits and shares.
        validation: the validation side; then all of `corpus` is for training.

    Raises:
        ConfigError: nothing is left for one side.
    """
    samples = _prepare(corpus, config)
    if validation is None:
        split = split_by_writer(samples)
    else:
        split = Split(samples, _prepare(validation, config))
    if split.left_out:
        log.info("left out %d: training line with a held-out text", split.left_out)
    if not split.train or not split.validation:
        raise ConfigError(
            f"{corpus.name} leaves {len(split.train)} samples for training and "
            f"{len(split.validation)} for validation; both need some: more writers, "
            "or wider limits"
        )
    made: list[Sample] = []
    if config.recipe.synthetic:
        lines = load_synthetic(**config.synthetic)
        made = prepare(lines, config.thinning, config.limits).samples
    return TrainingData(
        split.train, split.validation, measure_normalisation(split.train), made
    )


class _Batches(Dataset[Batch]):
    """The batches of a training: a function of the seed and the step."""

    def __init__(self, data: TrainingData, config: TrainingConfig) -> None:
        self.data, self.config = data, config
        lines = [s for s in data.train if s.kind == "line"]
        words = [s for s in data.train if s.kind == "word"]
        characters = [s for s in data.train if s.kind == "character"]
        recipe, points = config.recipe, config.recipe.points
        self.lines = Buckets(lines or words or characters, points)
        self.words = Buckets(words or lines or characters, points)
        self.mixed = [
            (share, Buckets(samples, points))
            for share, samples in (
                (recipe.synthetic, data.synthetic),
                (recipe.characters, characters),
            )
            if share and samples
        ]
        pools = [self.lines, self.words, *(pool for _, pool in self.mixed)]
        lengths = {id(s): len(s.ink) - 1 for pool in pools for s in pool.samples}
        self.training_points = sum(lengths.values())

    def in_order(self, first: int, end: int, workers: int) -> Iterator[Batch]:
        """Those of steps `first` to `end - 1`; `workers` make them ahead of time."""
        return iter(
            DataLoader(
                self, None, sampler=range(first, end), num_workers=workers,
                prefetch_factor=4 if workers else None,
            )
        )  # fmt: skip

    def __getitem__(self, step: int) -> Batch:
        recipe = self.config.recipe
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        is_words = torch.rand(1, generator=generator).item() < recipe.words_at(step)
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

    def for_validation(self) -> list[Batch]:
        """The same batches each time: lines and words by turns, of all lengths."""
        chosen: list[list[Sample]] = []
        half = max(1, self.config.recipe.validation_batches // 2)
        kinds = {s.kind for s in self.data.validation}
        for kind in ("line", "word") if kinds & {"line", "word"} else ("character",):
            side = [s for s in self.data.validation if s.kind == kind]
            if side:
                random.Random(0).shuffle(side)
                batches = Buckets(side, self.config.recipe.points).in_order()
                every = max(1, len(batches) // half)
                chosen += batches[every // 2 :: every][:half]
        return [make_batch(samples, self.data.normalisation) for samples in chosen]


class DerivativeLimits(NamedTuple):
    """The largest derivatives that go back through a network (section 4.1).

    They hold for the nats of one line, summed over its points. A mean over N points has
    derivatives N times as small, so its limits are `times(1 / N)`.

    Attributes:
        gates: at the inputs of the gates of every layer, at every point.
        output: at the inputs of the output layer's functions, at every point.
    """

    gates: float = 10.0
    output: float = 100.0

    def times(self, factor: float) -> DerivativeLimits:
        """The limits for a loss that is `factor` times as large."""
        return DerivativeLimits(self.gates * factor, self.output * factor)


def batch_loss(
    network: nn.Module,
    batch: Batch,
    products: torch.dtype | None = None,
    limits: DerivativeLimits | None = None,
) -> Tensor:
    """The negative log-likelihood a point of a batch, in nats and normalised units.

    Args:
        network: any of the library's networks.
        batch: the network reads all points but the last and is asked for the next.
        products: the type of matrix products.
        limits: of the derivatives of what this returns, on their way back; None clips
            none.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    seen, target = batch.ink[:, :-1], batch.ink[:, 1:]
    bare = network.module if isinstance(network, DistributedDataParallel) else network
    how = {"products": products, "gate_limit": limits.gates if limits else None}
    if isinstance(bare, SynthesisNetwork):
        out = network(seen, batch.text, batch.text_mask, **how)
    elif isinstance(bare, FeedforwardPredictor):
        out = network(seen)
    else:
        out = network(seen, **how)
    if limits:
        out = out._replace(output=clip_derivative(out.output, limits.output))
    return mixture_loss(out.mixture(), target, batch.mask[:, 1:])


@torch.no_grad()
def validate(network: nn.Module, batches: list[Batch], device: torch.device) -> float:
    """Nats a point over all points of some batches, in float32."""
    total = points = 0.0
    for batch in batches:
        count = float(batch.mask[:, 1:].sum())
        total += float(batch_loss(network, batch.to(device))) * count
        points += count
    return total / points


class _Team:
    """The processes of one training: one by itself, or those that `torchrun` started.

    Each takes its share of every batch's lines; DistributedDataParallel averages the
    gradients, so the losses are those of one process with the whole batch.
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

    def share(self, batch: Batch) -> tuple[Batch, float]:
        """This process's lines, and the weight of their mean loss in the average."""
        if len(batch.ink) < self.size:  # too few lines to share: each takes them all
            return batch, 1.0
        whole = batch.mask[:, 1:].sum()
        own = Batch(*(tensor[self.rank :: self.size] for tensor in batch))
        return own, float(own.mask[:, 1:].sum() * self.size / whole)

    def mean(self, value: Tensor) -> float:
        value = value.detach().clone()
        if self.size > 1:
            torch.distributed.all_reduce(value)
        return float(value) / self.size

    def agrees_with_first(self, answer: bool) -> bool:
        """What the first process answers: clocks differ."""
        return self.mean(torch.tensor(float(answer and self.rank == 0))) > 0

    def finish(self) -> None:
        if self.size > 1:
            torch.distributed.destroy_process_group()


def _cut_log(file: Path, step: int) -> None:
    """Drop what a run that was killed logged after its last checkpoint."""
    size = 0
    if file.exists():
        with file.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                    break
                size += len(line)
        os.truncate(file, size)


def _noise_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The source of a step's weight noise: a resumed run draws the same."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + step + 2**40)


def _restore(
    state: Mapping[str, Any],
    recipe: Recipe,
    network: nn.Module,
    optimisers: list[torch.optim.Optimizer],
    noise: WeightNoise | None,
) -> None:
    """Put a checkpoint's tensors back.

    Raises:
        RuntimeError, ValueError: it was made by another kind of training.
    """
    network.load_state_dict(state["network"])
    made, saved = state["optimiser"], state.get("optimisers")
    if saved is None:  # as checkpoints were when there was Adam alone
        made, saved = "adam", [made]
    if made != recipe.optimiser:
        raise ValueError(f"it was trained by {made}, not by {recipe.optimiser}")
    if (state.get("noise") is None) != (noise is None):
        raise ValueError("one has weight noise and the other has not")
    for optimiser, old in zip(optimisers, saved, strict=True):
        optimiser.load_state_dict(old)
    if noise:
        with torch.no_grad():
            noise.log_sds.copy_(state["noise"])


@dataclass
class Progress:
    """One line of a training's log: what `log.jsonl` holds.

    `description` is that of the weights, under weight noise, in nats a training point.
    """

    step: int
    loss: float
    gradient_norm: float
    rate: float
    points: int
    seconds: float
    validation: float | None = None
    description: float | None = None


def train(
    config: TrainingConfig,
    data: TrainingData,
    folder: str | Path,
    *,
    minutes: float | None = None,
    resume: bool = False,
    device: torch.device | str = "cpu",
    quiet: bool = False,
    on_step: Callable[[Progress], None] | None = None,
) -> Model:
    """Train a network, with validation and checkpoints.

    Args:
        config: what to train and how.
        data: as `prepare_data` gives it.
        folder: gets `checkpoint.pt` (to resume from), `model.safetensors` as it is now,
            `best.safetensors` as it was when validation was at its best, and
            `log.jsonl`.
        minutes: stop after so many, at a step that `resume` goes on from.
        resume: go on from the folder's checkpoint.
        device: where to train.
        quiet: show no progress bar.
        on_step: is called after each step.

    Returns:
        The model as it is at the end.

    Raises:
        ConfigError: `products` is no type of matrix products, or the checkpoint is of
            another network or optimiser.
        ValueError: there is no such optimiser, or not in this version of torch.
        ModelError: `resume` without a checkpoint.
        FloatingPointError: the loss or a gradient is not finite.
    """
    recipe, folder, device = config.recipe, Path(folder), torch.device(device)
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.products not in ("float32", "bfloat16"):
        raise ConfigError(
            f"products must be float32 or bfloat16, not {recipe.products!r}"
        )
    products = torch.bfloat16 if recipe.products == "bfloat16" else None
    team = _Team(device)
    device = team.device
    first = team.rank == 0
    torch.manual_seed(recipe.seed)
    network = build_network(config.network, config.model)
    if config.start and not resume:
        grow(find_model(config.start).network, network)
    network = network.to(device)
    noise = WeightNoise(network, recipe.weight_noise) if recipe.weight_noise else None
    trained = [*network.parameters(), *([noise.log_sds] if noise else [])]
    optimisers = build_optimisers(
        recipe.optimiser, network, recipe.rate, [noise.log_sds] if noise else []
    )
    step, points, seconds = 0, 0, 0.0
    validation: float | None = None
    best = math.inf
    if resume:
        state = load_checkpoint(folder / "checkpoint.pt")
        try:
            _restore(state, recipe, network, optimisers, noise)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"{folder / 'checkpoint.pt'} holds another network than the "
                f"configuration: {error}"
            ) from None
        step, points, seconds = state["step"], state["points"], state["seconds"]
        validation = state.get("validation")
        best = state.get("best", best)
        if first:
            _cut_log(folder / "log.jsonl", step)
    wrapped = team.wrap(network)
    # clipped derivatives have limits of their own for each batch
    graphed = None
    if device.type == "cuda" and team.size == 1 and not recipe.clip_derivatives:
        graphed = GraphedLoss(network, lambda b: batch_loss(network, b, products))
    batches = _Batches(data, config)
    workers = min(12, (os.cpu_count() or 1) - 1) if device.type == "cuda" else 0
    coming = batches.in_order(step, recipe.steps, workers)
    held_out = batches.for_validation()
    begin, before = time.monotonic(), seconds
    model = Model(network, data.normalisation, config.thinning)

    def save(validation: float | None) -> None:
        nonlocal model, best
        # which corpus, not where on this machine it lies
        source = Path(config.corpus.partition(":")[0]).name
        told = dataclasses.replace(config, corpus=source)
        about = {
            "steps": step,
            "points_seen": points,
            "hours": round(seconds / 3600, 3),
            "validation_nats_a_point": validation,
            "config": json.loads(json.dumps(dataclasses.asdict(told))),
        }
        model = Model(network, data.normalisation, config.thinning, about)
        if validation is not None and validation < best:
            best = validation
            save_model(model, folder / "best.safetensors", half=False)
        save_checkpoint(
            {
                "network": network.state_dict(),
                "optimiser": recipe.optimiser,
                "optimisers": [each.state_dict() for each in optimisers],
                "noise": noise.log_sds.detach() if noise else None,
                "step": step,
                "points": points,
                "seconds": seconds,
                "validation": validation,
                "best": best,
            },
            folder / "checkpoint.pt",
        )
        save_model(model, folder / "model.safetensors", half=False)

    bar = tqdm(
        total=recipe.steps, initial=step, disable=quiet or not first, unit="step"
    )
    record_file = folder / "log.jsonl" if first else Path(os.devnull)
    with record_file.open("a" if resume else "w") as record, bar:
        while step < recipe.steps:
            if minutes is not None and team.agrees_with_first(
                seconds - before >= 60 * minutes
            ):
                break
            batch = next(coming)
            seen = int(batch.mask[:, 1:].sum())
            points += seen
            # the paper's optimiser has its rate for nats a line
            scale = seen / len(batch.ink) if recipe.optimiser == "rmsprop" else 1.0
            if graphed is None:
                batch = batch.to(device)
            batch, weight = team.share(batch)
            limits = None
            if recipe.clip_derivatives:
                own = float(batch.mask[:, 1:].sum())
                limits = DerivativeLimits().times(scale * weight / own)
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
                for group in optimiser.param_groups:
                    group["lr"] = recipe.rate_at(step)
            with (
                noise.sampled(_noise_generator(recipe.seed, step, device))
                if noise
                else contextlib.nullcontext()
            ):
                if graphed is not None:
                    loss = check_loss(graphed(batch))
                    torch._foreach_mul_(graphed.gradients, scale)
                else:
                    loss = weight * batch_loss(wrapped, batch, products, limits)
                    (scale * loss).backward()
            description = None
            if noise:
                share = 1 / batches.training_points
                description = noise.add_description_length(scale * share) / scale
            norm = nn.utils.clip_grad_norm_(trained, recipe.clip or math.inf)
            if not torch.isfinite(norm):
                raise FloatingPointError(
                    f"the gradient is not finite at step {step + 1}: lower the rate "
                    "and go on from the last checkpoint with resume"
                )
            for optimiser in optimisers:
                optimiser.step()
            step += 1
            seconds = before + time.monotonic() - begin
            line = Progress(
                step,
                team.mean(loss),
                float(norm),
                recipe.rate_at(step - 1),
                points,
                seconds,
                description=description,
            )
            if first and (step % recipe.validate_every == 0 or step == recipe.steps):
                line.validation = validation = validate(network, held_out, device)
            record.write(json.dumps(dataclasses.asdict(line)) + "\n")
            record.flush()
            if line.validation is not None:  # the log is never behind the checkpoint
                save(validation)
            bar.update()
            bar.set_postfix(loss=f"{line.loss:.3f}", validation=validation)
            if on_step is not None:
                on_step(line)
    if first:
        save(validation)
    team.finish()
    network.eval()
    return model
