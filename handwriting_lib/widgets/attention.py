"""Attention: where each head of a character decoder looks, for any text.

The page gets the weights in int8 and reads what the reader types with the numbers of
`networks.character` (`static/decoder.js`). Chapter 13 shows it.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import torch
from torch import Tensor

from ..alphabet import FOLDING
from ..errors import InputError
from ..files.models import Model, find_model
from ..writing.compose import COMPOSER, vocabulary_of
from .host import Widget
from .studio import DECODER, decoder_data

LONGEST = 80  # characters that the figure holds
TEMPERATURES = (0.1, 2.0)
# The still picture: pixels, and characters per line in a tile.
_TILE, _LINE, _LETTER, _COLUMNS = 150, 14, 5.8, 24


class AttentionView(Widget):
    """Shows where each head of each layer looks, and what may come next.

    The reader edits the text, which the network reads in the page, chooses a character,
    moves the temperature over the scores of the next one, and lets the network go on.

    Args:
        text: initial text, of characters that the model knows.
        model: model with a `CharacterDecoder`, the name of one that comes with the
            library, or the path of its file.
        temperature: initial temperature, from 0.1 to 2.
        seed: seed of the characters that are drawn.
        caption: text below the figure.

    Raises:
        ValueError: the text is empty, too long, or has characters that the model never
            read, or the temperature is out of its range.
        FileNotFoundError: there is no such model file.
        ModelError: there is no such model, or it has no attention.

    Example:
        >>> from handwriting_lib import CharacterDecoder, CharacterDecoderConfig
        >>> from handwriting_lib import Vocabulary
        >>> config = CharacterDecoderConfig(symbols=3, width=16, layers=1, heads=2)
        >>> network, vocabulary = CharacterDecoder(config), Vocabulary.of("no ")
        >>> AttentionView("no no", Model(network, vocabulary=vocabulary, name="mine"))
        <AttentionView: Where the 1 x 2 heads of mine look in: no no>
    """

    def __init__(
        self,
        text: str = "The network reads what it has written.",
        model: Model | str | Path = COMPOSER,
        *,
        temperature: float = 1.0,
        seed: int = 1,
        caption: str = "",
    ) -> None:
        model = find_model(model)
        network = decoder_data(model)
        config = model.network.config
        longest = min(LONGEST, config.block)
        if not 1 <= len(text) <= longest:
            raise InputError(
                f"the text must have 1 to {longest} characters, not {len(text)}"
            )
        low, high = TEMPERATURES
        if not low <= temperature <= high:
            raise InputError(
                f"temperature must be from {low} to {high}, not {temperature}"
            )
        data = {
            "text": text,
            "longest": longest,
            "temperature": temperature,
            "temperatures": TEMPERATURES,
            "seed": seed,
            "folding": FOLDING,
            **network,
        }
        shape = f"{config.layers} x {config.heads}"
        label = f"Where the {shape} heads of {model.name} look in: {text}"
        super().__init__(
            ["folding", *DECODER, "attention"],
            data,
            still=_still(text, _last_weights(model, text), label),
            label=label,
            caption=caption,
        )


@torch.inference_mode()
def _last_weights(model: Model, text: str) -> Tensor:
    """What the last character reads, `(layers, heads, T)`."""
    network, training = model.network, model.network.training
    tokens = vocabulary_of(model).encode(text)[None].to(model.device)  # (1, T)
    network.eval()
    maps = network.attention_maps(tokens)  # (1, layers, heads, T, T)
    network.train(training)
    return maps[0, :, :, -1].cpu()  # type: ignore[no-any-return]


def _still(text: str, weights: Tensor, label: str) -> str:
    """A tile per head: the text, shaded by what its last character reads."""
    layers, heads, length = weights.shape
    lines = [text[i : i + _COLUMNS] for i in range(0, length, _COLUMNS)]
    high = _LINE * (len(lines) + 2)
    parts = []
    for layer in range(layers):
        for head in range(heads):
            x, y = _TILE * head, high * layer + _LINE
            row = weights[layer, head]
            most = int(row.argmax())
            title = f"layer {layer + 1}, head {head + 1}: {row[most]:.2f}"
            parts.append(f'<text x="{x}" y="{y}">{title}</text>')
            for i in (row > 0.01).nonzero()[:, 0].tolist():
                left = x + _LETTER * (i % _COLUMNS)
                top = y + _LINE * (i // _COLUMNS) + 4
                parts.append(
                    f'<rect x="{left:.1f}" y="{top}" width="{_LETTER}" '
                    f'height="{_LINE - 1}" fill="#0072b2" '
                    f'fill-opacity="{0.6 * float(row[i]) ** 0.5:.2f}"/>'
                )
            for i, line in enumerate(lines, 1):
                parts.append(
                    f'<text x="{x}" y="{y + _LINE * i}" xml:space="preserve" '
                    f'textLength="{_LETTER * len(line):.1f}" '
                    f'font-family="monospace">{escape(line)}</text>'
                )
    width = _TILE * heads
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{high * layers}" viewBox="0 0 {width} {high * layers}" role="img" '
        'style="width: max(100%, 600px); height: auto" fill="currentColor" '
        'font-family="sans-serif" font-size="10">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
