"""training.config."""

from __future__ import annotations

import dataclasses
import math
import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.transforms import (
    Augmentation,
    Limits,
    Thinning,
)
from ..errors import InputError


class ConfigError(InputError):
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
