"""Training configurations: a recipe and the data to train on, read from TOML."""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .._deprecation import current, renamed_attributes, renamed_fields
from ..data.transforms import (
    Augmentation,
    Limits,
    Thinning,
)
from ..errors import InputError, MissingFileError

log = logging.getLogger(__name__)


class ConfigError(InputError):
    """A training configuration is wrong; the message names the entry and the remedy."""


# Names of numbers of a recipe, and the least and the greatest that they may be.
RANGES: tuple[tuple[str, float, float], ...] = (
    ("steps points_per_batch validate_every validation_batches", 1, math.inf),
    ("learning_rate warmup_steps clip_norm weight_noise seed", 0, math.inf),
    ("weight_decay patience", 0, math.inf),
    ("decay_share final_rate_share word_share word_share_until", 0, 1),
    ("character_share synthetic_share", 0, 1),
)
MATMUL_DTYPES = {"float32": None, "bfloat16": torch.bfloat16}


@renamed_fields(
    points="points_per_batch",
    rate="learning_rate",
    warm_up="warmup_steps",
    decay="decay_share",
    last_rate="final_rate_share",
    clip="clip_norm",
    words="word_share",
    words_until="word_share_until",
    characters="character_share",
    synthetic="synthetic_share",
    products="matmul_dtype",
)
@renamed_attributes(rate_at="learning_rate_at", words_at="word_share_at")
@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: total number of updates.
        seed: seed of the initial weights, the batches and the augmentation.
        points_per_batch: approximate number of points per batch.
        optimiser: `"adam"`, `"adamw"`, `"muon"`, or `"rmsprop"` as in the paper, whose
            learning rate is meant for gradients of nats per line; see
            `optim.build_optimisers`.
        learning_rate: peak learning rate.
        warmup_steps: number of steps over which the learning rate rises to its peak.
        decay_share: share of the steps, at the end, over which the learning rate falls.
        final_rate_share: learning rate at the end, as a share of `learning_rate`.
        weight_decay: share, times the learning rate, by which AdamW shrinks the
            matrices at each step; the other optimisers do not read it.
        clip_norm: largest norm of the gradient; 0 turns this clipping off.
        clip_derivatives: whether to clip the derivatives at every point, as in the
            paper; see `DerivativeLimits`.
        weight_noise: initial standard deviation of the adaptive weight noise; 0 trains
            without noise. Start from a trained model (`TrainingConfig.init_from`).
        word_share: share of batches of single words at the start, and from
            `word_share_until` on; in between it falls linearly.
        word_share_until: share of the steps after which the second `word_share` holds.
        character_share: share of batches of single characters.
        synthetic_share: share of batches of synthetic lines.
        matmul_dtype: `"float32"` or `"bfloat16"`, the type of the matrix products.
        validate_every: number of steps between validations.
        validation_batches: number of batches that a validation reads.
        patience: number of validations in a row without a new best after which training
            stops early; 0 trains to the end. The best model is kept in either case.

    Raises:
        ConfigError: `matmul_dtype` is neither `"float32"` nor `"bfloat16"`.
    """

    steps: int = 10_000
    seed: int = 1
    points_per_batch: int = 9600
    optimiser: str = "adam"
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    decay_share: float = 0.4
    final_rate_share: float = 0.02
    weight_decay: float = 0.1
    clip_norm: float = 5.0
    clip_derivatives: bool = False
    weight_noise: float = 0.0
    word_share: tuple[float, float] = (0.9, 0.2)
    word_share_until: float = 0.4
    character_share: float = 0.0
    synthetic_share: float = 0.0
    matmul_dtype: str = "float32"
    validate_every: int = 250
    validation_batches: int = 12
    patience: int = 0

    def __post_init__(self) -> None:
        if self.matmul_dtype not in MATMUL_DTYPES:
            raise ConfigError(
                f"matmul_dtype must be {' or '.join(MATMUL_DTYPES)}, not "
                f"{self.matmul_dtype!r}"
            )
        for names, low, high in RANGES:
            for name in names.split():
                value = getattr(self, name)
                for number in value if isinstance(value, tuple) else (value,):
                    if not low <= number <= high:
                        most = "" if high == math.inf else f" and at most {high:g}"
                        raise ConfigError(
                            f"{name} must be at least {low:g}{most}, not {value!r}"
                        )
        if self.character_share + self.synthetic_share > 1:
            raise ConfigError(
                "character_share and synthetic_share must not exceed 1 together, not "
                f"{self.character_share:g} and {self.synthetic_share:g}"
            )

    def learning_rate_at(self, step: int) -> float:
        """The learning rate at a step: warm-up, a constant phase, then cosine decay."""
        up = min(1.0, (step + 1) / max(1, self.warmup_steps))
        begin = self.steps * (1 - self.decay_share)
        done = min(1.0, max(0.0, (step - begin) / max(1.0, self.steps - begin)))
        low = self.final_rate_share
        falling = low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * up * falling

    def word_share_at(self, step: int) -> float:
        """The share of batches of single words at a step."""
        first, last = self.word_share
        done = step / max(1.0, self.steps * self.word_share_until)
        return max(last, first + (last - first) * done) if first > last else last


@renamed_fields(start="init_from")
@dataclass(frozen=True)
class TrainingConfig:
    """Everything that determines a training run; `read_config` reads it from TOML.

    Attributes:
        network: kind of network, a key of `networks.NETWORKS`.
        model: sizes of the network, under the names that its `Config` gives them.
        corpus: source of the ink, in the form that `load_corpus` takes.
        corpus_options: options of the corpus reader.
        validation_options: options with which the reader loads the validation side,
            such as an official list of IAM-OnDB. If empty, writers and texts of the
            corpus are held out (`split_by_writer`).
        synthetic: arguments of `corpora.synthetic.load` for the synthetic lines that
            `recipe.synthetic_share` mixes in; they are never used for validation.
        init_from: name or path of a model to start from; a wider network is grown from
            it (`networks.grow`). If empty, training starts from random weights.
        thinning: rule that decides which points are kept.
        limits: bounds that decide which samples are kept.
        augmentation: random changes to each line.
        recipe: recipe by which the network is trained.
        task: settings that the task of another system defines for itself.
    """

    network: str = "synthesis"
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    corpus: str = "unipen"
    corpus_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    validation_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    synthetic: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    init_from: str = ""
    thinning: Thinning = Thinning()
    limits: Limits = Limits()
    augmentation: Augmentation = Augmentation()
    recipe: Recipe = Recipe()
    task: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def read_config(path: str | Path) -> TrainingConfig:
    """Read a `TrainingConfig` from a TOML file.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: the file is not TOML, or has an unknown or wrong entry.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no configuration file {path}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return _from_table(TrainingConfig, table, str(path))


def _from_table(cls: type[Any], table: Mapping[str, Any], where: str) -> Any:
    """Build a frozen dataclass from a table; errors name the entry that is wrong."""
    hints = typing.get_type_hints(cls)
    known = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    renamed: Mapping[str, str] = getattr(cls, "RENAMED", {})
    for old in renamed.keys() & table.keys():
        if renamed[old] in table:
            raise ConfigError(
                f"{where}: {old} is the old name of {renamed[old]}: give one of the two"
            )
        log.warning("%s: %s is now called %s", where, old, renamed[old])
    for key, value in current(table, renamed).items():
        if key not in known:
            raise ConfigError(
                f"{where}: there is no entry {key!r}; choose one of {', '.join(known)}"
            )
        if dataclasses.is_dataclass(known[key]) and isinstance(value, Mapping):
            values[key] = _from_table(known[key], value, f"{where} [{key}]")  # type: ignore[arg-type]
        else:
            values[key] = _from_entry(known[key], value, f"{where}: {key}")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _from_entry(kind: Any, value: Any, where: str) -> Any:
    """Check that a TOML value has the type `kind`; lists become tuples."""
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        if isinstance(value, list) and len(value) == len(parts):
            pairs = zip(parts, value, strict=True)
            return tuple(_from_entry(part, entry, where) for part, entry in pairs)
        raise ConfigError(
            f"{where} must be a list of {len(parts)} values, not {value!r}"
        )
    if kind is float and type(value) is int:
        return float(value)
    names = {int: "a whole number", float: "a number", str: "a string"}
    names[bool] = "true or false"
    fits = isinstance(value, typing.get_origin(kind) or kind)
    if not fits or (type(value) is bool and kind is not bool):
        wanted = names.get(kind, "a table")
        raise ConfigError(f"{where} must be {wanted}, not {value!r}")
    return value
