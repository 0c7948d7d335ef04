"""The task of every network over characters: predict the next one of a text.

The text is cut at one position. Training draws blocks from anywhere before it;
validation reads all that comes after it, in consecutive blocks. The loss is the
cross-entropy of the next character. Chapter 13 builds it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..corpora.text import TextCorpus, load_text
from ..files.models import Model, find_model
from ..networks import build_network
from ..parts.mixture import check_loss
from ..tokens.characters import Vocabulary
from .config import MATMUL_DTYPES, ConfigError, TrainingConfig
from .task import Task


@dataclass(frozen=True)
class TextBatch:
    """Pieces of a text.

    Attributes:
        text: `(B, T + 1)` int64 characters: the network reads the first T of a row and
            is asked for the last T.
        seed: seed of the dropout, so that a resumed run repeats the same steps.
    """

    text: Tensor
    seed: int = 0

    def __len__(self) -> int:
        return len(self.text)

    @property
    def targets(self) -> int:
        """The number of characters to predict."""
        return self.text[:, 1:].numel()

    def to(self, device: torch.device | str) -> TextBatch:
        """The same batch on another device."""
        return dataclasses.replace(self, text=self.text.to(device))

    def every(self, step: int, first: int) -> TextBatch:
        """Every `step`-th piece, starting with number `first`, with its own dropout."""
        return TextBatch(self.text[first::step], self.seed + 2**42 * first)


def text_loss(
    network: nn.Module, text: Tensor, matmul_dtype: torch.dtype | None = None
) -> Tensor:
    """The cross-entropy of a network over pieces of a text, in nats per character.

    Args:
        network: of characters.
        text: `(B, T + 1)` int64 characters.
        matmul_dtype: type of the matrix products; None keeps float32.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    kind = text.device.type
    with torch.autocast(kind, matmul_dtype, enabled=matmul_dtype is not None):
        logits = network(text[:, :-1]).logits  # (B, T, V)
    return check_loss(cross_entropy(logits.float().mT, text[:, 1:]))


def consecutive_pieces(text: Tensor, block: int, size: int) -> list[Tensor]:
    """Cut a text into batches of pieces; each character but the first is a target once.

    Args:
        text: `(T,)` int64 characters.
        block: number of targets of a piece; the last piece may have fewer.
        size: number of pieces in a batch.

    Returns:
        Tensors `(B, block + 1)`, and the last one `(1, rest + 1)`.

    Example:
        >>> import torch
        >>> consecutive_pieces(torch.arange(6), 2, 8)
        [tensor([[0, 1, 2],
                [2, 3, 4]]), tensor([[4, 5]])]
    """
    whole = (len(text) - 1) // block
    rest = text[whole * block :][None]  # (1, rest + 1)
    if not whole:
        return [rest]
    pieces = text[: whole * block + 1].unfold(0, block + 1, block)
    return [*pieces.split(size), *([rest] if rest.shape[1] > 1 else [])]


@torch.no_grad()
def nats_per_character(
    network: nn.Module, pieces: list[Tensor], device: torch.device
) -> float:
    """The mean cross-entropy over all targets of some pieces, in float32."""
    total = targets = 0.0
    for text in pieces:
        count = text[:, 1:].numel()
        total += float(text_loss(network, text.to(device))) * count
        targets += count
    return total / targets


class TextTask(Task):
    """The task of predicting the next character of a text.

    The vocabulary is that of the whole text, or that of the model that training starts
    from. A batch has `points_per_batch` characters. A validation reads the held-out
    text in batches of this size, or `validation_batches` evenly spaced ones of them if
    there are more.

    Args:
        config: configuration of the training run.
        data: the text, as `load_text` returns it.

    Raises:
        ConfigError: the text is too short for a block, or the configuration sets an
            option that only networks over ink have.
    """

    unit = "nats_per_character"

    def __init__(self, config: TrainingConfig, data: TextCorpus) -> None:
        recipe = config.recipe
        if recipe.clip_derivatives:
            raise ConfigError(
                "clip_derivatives is for networks over ink: leave it out, and set "
                "clip_norm"
            )
        known = find_model(config.init_from).carried if config.init_from else {}
        self.vocabulary = known.get("vocabulary") or Vocabulary.of(data.text)
        model = {**config.model, "symbols": len(self.vocabulary)}
        self.config = dataclasses.replace(config, model=model)
        with torch.device("meta"):  # checks the sizes before any memory is asked for
            network: Any = build_network(config.network, model)
        self.block = network.config.block
        self.text, held_out = (self.vocabulary.encode(side) for side in data.split())
        if len(self.text) <= self.block or len(held_out) < 2:
            raise ConfigError(
                f"{data.name} has {len(data.text):,} characters, of which "
                f"{len(self.text):,} are for training: a block of {self.block} needs "
                "more of them; give a longer text or choose a smaller block"
            )
        self.size = max(1, recipe.points_per_batch // self.block)
        self.targets = len(self.text) - 1
        self.matmul_dtype = MATMUL_DTYPES[recipe.matmul_dtype]
        pieces = consecutive_pieces(held_out, self.block, self.size)
        every = max(1, -(-len(pieces) // recipe.validation_batches))
        self.held_out = pieces[::every]

    @classmethod
    def load(cls, config: TrainingConfig) -> TextTask:
        """Build the task of a configuration, with the text that it names."""
        if unknown := config.corpus_options.keys() - {"keep_names"}:
            raise ConfigError(
                f"a text has no option {min(unknown)!r}: the only one is keep_names"
            )
        return cls(config, load_text(config.corpus, **config.corpus_options))

    def batch(self, step: int) -> TextBatch:
        seed = self.config.recipe.seed * 1_000_003 + step
        generator = torch.Generator().manual_seed(seed)
        ends = len(self.text) - self.block
        starts = torch.randint(ends, (self.size, 1), generator=generator)
        return TextBatch(self.text[starts + torch.arange(self.block + 1)], seed)

    def loss(self, network: nn.Module, batch: TextBatch, scale: float = 1.0) -> Tensor:
        device = batch.text.device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # dropout knows no other generator
            torch.manual_seed(batch.seed)
            return text_loss(network, batch.text, self.matmul_dtype)

    def validate(self, network: nn.Module, device: torch.device) -> float:
        return nats_per_character(network, self.held_out, device)

    def model(self, network: nn.Module, about: Mapping[str, Any]) -> Model:
        return Model(network, about=about, vocabulary=self.vocabulary)

    def recorded(
        self, network: nn.Module
    ) -> Callable[[TextBatch, float], Tensor] | None:
        """The loss of a compiled network; see `Task.recorded`."""
        compiled: Any = torch.compile(network)
        device = next(network.parameters()).device

        def step(batch: TextBatch, scale: float) -> Tensor:
            loss = self.loss(compiled, batch.to(device))
            (scale * loss).backward()
            return loss.detach()

        return step
