"""Speed of composing a text, with the key-value cache and without.

Every row continues one character by `CHARACTERS` most probable ones, which stays within
the block of 256. The baseline is a GPT as it is usually written (`_plain_gpt`), which
reads the whole text again for each character. The sizes are those of
`configs/character-book.toml` and `configs/character-lstm-book.toml`, and the weights
are random: the time does not depend on them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from handwriting_lib.networks import build_network

from . import Result, measure
from ._plain_gpt import PlainGPT
from .train_text import PlainLSTM, configured, setting

CHARACTERS = 250
SYMBOLS = 96
PLAIN = "a plain GPT that reads the whole text again"
WHOLE = "decoder without its cache"
CACHED = "decoder with its cache"
LSTM, TORCH = "LSTM", "nn.LSTM alone"


@torch.no_grad()
def continued(network: Any, text: Tensor) -> Tensor:
    """The text and the most probable characters after it, by `step`."""
    logits, state = network.step(text[:, -1])
    for _ in range(CHARACTERS):
        character = logits.argmax(-1)
        text = torch.cat([text, character[:, None]], 1)
        logits, state = network.step(character, state)
    return text


@torch.no_grad()
def read_again(decoder: Any, text: Tensor) -> Tensor:
    """The same for a decoder that reads the whole text for each character."""
    for _ in range(CHARACTERS):
        logits = decoder(text).logits[:, -1]
        text = torch.cat([text, logits.argmax(-1, keepdim=True)], 1)
    return text


@torch.no_grad()
def by_torch(network: PlainLSTM, text: Tensor) -> Tensor:
    """The same for `nn.LSTM`, whose state takes the place of a cache."""
    state = None
    for _ in range(CHARACTERS):
        out, state = network.lstm(network.symbols(text[:, -1:]), state)
        text = torch.cat([text, network.output(out)[:, -1].argmax(-1, keepdim=True)], 1)
    return text


def run(rounds: int) -> Result:
    """Time the composing of `CHARACTERS` characters.

    Args:
        rounds: number of timed rounds.

    Raises:
        RuntimeError: the rows of the decoder do not compose the same text.
    """
    torch.manual_seed(0)
    sizes = [configured(f"character-{n}").model for n in ("book", "lstm-book")]
    decoder: Any = build_network("character", {**sizes[0], "symbols": SYMBOLS}).eval()
    lstm: Any = build_network("character-lstm", {**sizes[1], "symbols": SYMBOLS}).eval()
    plain, alone = PlainGPT(decoder).eval(), PlainLSTM(SYMBOLS, sizes[1]["width"])
    begin = torch.ones(1, 1, dtype=torch.int64)
    timed = {
        PLAIN: lambda: plain.continued(begin, CHARACTERS),
        WHOLE: lambda: read_again(decoder, begin),
        CACHED: lambda: continued(decoder, begin),
        LSTM: lambda: continued(lstm, begin),
        TORCH: lambda: by_torch(alone, begin),
    }
    texts = [timed[name]() for name in (PLAIN, WHOLE, CACHED)]
    if not all(torch.equal(text, texts[0]) for text in texts):
        raise RuntimeError("the decoder and the plain GPT compose different texts")
    return Result(
        "Composing a text",
        {"characters": CHARACTERS, **setting(decoder, lstm)},
        PLAIN,
        measure(timed, PLAIN, rounds),
    )
