"""What decides a training: a recipe and the data, read from TOML."""

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

from ..data.transforms import (
    Augmentation,
    Limits,
    Thinning,
)
from ..deprecation import current, renamed_attributes, renamed_fields
from ..errors import InputError

log = logging.getLogger(__name__)


class ConfigError(InputError):
    """A training configuration is wrong; the message names the entry and the remedy."""


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
        steps: updates in all.
        seed: of weights, batches and augmentation.
        points_per_batch: about how many points a batch holds.
        optimiser: `"adam"`, `"muon"`, or `"rmsprop"` as in the paper, whose learning
            rate is for gradients of the nats of a line; see `optim.build_optimisers`.
        learning_rate: at its height.
        warmup_steps: steps until the learning rate is at its height.
        decay_share: the share of the steps, at the end, over which the learning rate
            falls.
        final_rate_share: the learning rate at the end, as a share of `learning_rate`.
        clip_norm: the largest norm of the gradient; 0 leaves it as it is.
        clip_derivatives: clip derivatives at every point, as in the paper: see
            `DerivativeLimits`.
        weight_noise: the standard deviation that adaptive weight noise starts with; 0
            trains without. Begin with a trained model (`TrainingConfig.init_from`).
        word_share: the share of batches of single words: at the start, and from
            `word_share_until` on.
        word_share_until: the share of the steps after which the second share holds.
        character_share: the share of batches of single characters.
        synthetic_share: the share of batches of synthetic lines.
        matmul_dtype: `"float32"` or `"bfloat16"`, the type of the matrix products.
        validate_every: steps between validations.
        validation_batches: how many batches a validation reads.

    Raises:
        ConfigError: `matmul_dtype` is no type of matrix products.
    """

    steps: int = 10_000
    seed: int = 1
    points_per_batch: int = 9600
    optimiser: str = "adam"
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    decay_share: float = 0.4
    final_rate_share: float = 0.02
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

    def __post_init__(self) -> None:
        if self.matmul_dtype not in MATMUL_DTYPES:
            raise ConfigError(
                f"matmul_dtype must be {' or '.join(MATMUL_DTYPES)}, not "
                f"{self.matmul_dtype!r}"
            )

    def learning_rate_at(self, step: int) -> float:
        """The learning rate: warm-up, a constant stretch, then half a cosine down."""
        up = min(1.0, (step + 1) / max(1, self.warmup_steps))
        begin = self.steps * (1 - self.decay_share)
        done = min(1.0, max(0.0, (step - begin) / max(1.0, self.steps - begin)))
        low = self.final_rate_share
        falling = low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * up * falling

    def word_share_at(self, step: int) -> float:
        """The share of batches of words at a step."""
        first, last = self.word_share
        done = step / max(1.0, self.steps * self.word_share_until)
        return max(last, first + (last - first) * done) if first > last else last


@renamed_fields(start="init_from")
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
            `recipe.synthetic_share` mixes in; they are never validated on.
        init_from: the name or path of a model to begin with; a wider network is grown
            from it (`networks.grow`). Empty: begin with random weights.
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
    init_from: str = ""
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
    renamed: Mapping[str, str] = getattr(cls, "RENAMED", {})
    for old in renamed.keys() & table.keys():
        log.warning("%s: %s is now called %s", where, old, renamed[old])
    for key, value in current(table, renamed).items():
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
