"""Speed of a training update of the networks over characters.

The sizes, the batch and the optimiser are those of `configs/character-book.toml` and
`configs/character-lstm-book.toml`. The baseline is a GPT as it is usually written, with
a plain training loop (`_plain_gpt`). `nn.LSTM` between an embedding and an output layer
is what a network over characters needs at the least.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from handwriting_lib.corpora.text import load_text
from handwriting_lib.networks import build_network
from handwriting_lib.training.config import TrainingConfig, read_config
from handwriting_lib.training.optim import build_optimisers
from handwriting_lib.training.text import TextTask

from . import ROOT, Result, measure
from ._plain_gpt import PlainGPT

PLAIN = "a plain GPT and a plain loop"
DECODER, LSTM, TORCH = "decoder", "LSTM", "nn.LSTM alone"


class PlainLSTM(nn.Module):
    """`nn.LSTM` between an embedding and an output layer."""

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.symbols = nn.Embedding(symbols, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.output = nn.Linear(width, symbols)

    def forward(self, text: Tensor) -> Tensor:
        """The scores `(B, T, V)` of the next character, for `(B, T)` characters."""
        return self.output(self.lstm(self.symbols(text))[0])  # type: ignore[no-any-return]


def configured(name: str) -> TrainingConfig:
    """The configuration of that name in `configs`."""
    return read_config(ROOT / "configs" / f"{name}.toml")


def setting(decoder: nn.Module, lstm: nn.Module) -> dict[str, Any]:
    """What a result says of the networks."""
    return {
        "decoder's weights": sum(p.numel() for p in decoder.parameters()),
        "LSTM's weights": sum(p.numel() for p in lstm.parameters()),
        "type": "float32",
        "device": "cpu",
    }


def run(rounds: int) -> Result:
    """Time one update of each network.

    Args:
        rounds: number of timed rounds.
    """
    torch.manual_seed(0)
    text = load_text("book")
    task = TextTask(configured("character-book"), text)
    lstm_task = TextTask(configured("character-lstm-book"), text)
    decoder: Any = build_network("character", task.config.model)
    lstm = build_network("character-lstm", lstm_task.config.model)
    plain = PlainGPT(decoder)
    alone = PlainLSTM(len(task.vocabulary), lstm_task.config.model["width"])
    recipe = task.config.recipe

    def plain_loss(network: nn.Module) -> Tensor:
        batch = task.batch(0).text
        return cross_entropy(network(batch[:, :-1]).mT, batch[:, 1:])

    def update(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
        optimisers = build_optimisers(
            recipe.optimiser, network, recipe.learning_rate, [], recipe.weight_decay
        )

        def one() -> None:
            for optimiser in optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss().backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            for optimiser in optimisers:
                optimiser.step()

        return one

    plain.eval(), decoder.eval()
    with torch.no_grad():
        seen = task.batch(0).text[:, :-1]
        difference = float((plain(seen) - decoder(seen).logits).abs().max())
    plain.train(), decoder.train()
    timed = {
        PLAIN: update(plain, lambda: plain_loss(plain)),
        DECODER: update(decoder, lambda: task.loss(decoder, task.batch(0))),
        LSTM: update(lstm, lambda: lstm_task.loss(lstm, lstm_task.batch(0))),
        TORCH: update(alone, lambda: plain_loss(alone)),
    }
    return Result(
        "One update of the networks over characters",
        {
            "pieces": task.size,
            "characters": task.block,
            **setting(decoder, lstm),
        },
        PLAIN,
        measure(timed, PLAIN, rounds),
        {"largest difference of the decoder from the plain GPT": difference},
    )
