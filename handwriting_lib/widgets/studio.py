"""Studio: the network itself, writing in the page.

The page gets the weights and an engine with the numbers of torch (`static/engine.js`):
whatever the reader types is written there and then, without a kernel. A seed writes the
line that `write` gives in Python, unless the pack has int8 weights, which are coarser.
"""

from __future__ import annotations

import base64
import os
import textwrap
from pathlib import Path
from typing import Any

from ..checkpoints import Model, load_pretrained, pretrained_names
from ..export import browser_pack
from ..rendering import to_svg, write_whole
from ..sampling import write
from .host import Widget

# The files of `static/` that are the engine; they need nothing else.
ENGINE = ("arithmetic", "randomness", "engine")
COLUMNS = 30  # characters a line, as in static/studio.js
# Where a site has the files of `write_pack`: its pages then share one copy of a shipped
# model, in place of one in each page.
FOLDER = "HANDWRITING_PACKS"


class Studio(Widget):
    """A network that writes in the page: text, bias, temperature and seed are the
    reader's.

    Args:
        model: with a `SynthesisNetwork`, yours perhaps; None takes the library's own.
        text: to begin with, of printable ASCII; long texts are broken into lines.
        bias: as in `write`.
        temperature: as in `write`.
        seed: as in `write`.
        weights: `"half"`, `"int8"` or `"float32"`, of the copy that goes into the page.
        caption: below the figure; any text.

    Raises:
        ValueError: the text is empty, or has characters that the model lacks.
        ModelError: the network does not read text.

    Example:
        >>> Studio(text="hello", weights="int8")
        <Studio: The network unipen-256 writes; at first: hello>
    """

    def __init__(
        self,
        model: Model | None = None,
        text: str = "a machine that writes",
        *,
        bias: float = 0.75,
        temperature: float = 1.0,
        seed: int = 1,
        weights: str = "half",
        caption: str = "",
    ) -> None:
        name = ""  # how a line of Python names the model
        if model is None:
            model, ships = load_pretrained(), True
        elif ships := _ships(model):
            name = f'hw.load_pretrained("{model.name}")'
        else:
            name = "model"
        folder = os.environ.get(FOLDER)
        pack = {"name": f"{model.name}-{weights}", "folder": folder}
        if not (folder and ships):
            pack = {"data": base64.b64encode(browser_pack(model, weights)).decode()}
        lines = textwrap.wrap(
            text, COLUMNS, break_long_words=False, break_on_hyphens=False
        )
        written = write(
            lines, model, bias=bias, temperature=temperature, seed=seed, redraws=3
        )
        data: dict[str, Any] = {
            "text": text,
            "bias": bias,
            "temperature": temperature,
            "seed": seed,
            "model": name,
            "pack": pack,
            "exact": weights != "int8",
        }
        super().__init__(
            ["reading", *ENGINE, "studio"],
            data,
            still=to_svg([line.ink for line in written], unit=1.0, title=text),
            label=f"The network {model.name} writes; at first: {text}",
            caption=caption,
        )


def _ships(model: Model) -> bool:
    """Whether it is one of the library's, and unchanged."""
    return model.name in pretrained_names() and (
        load_pretrained(model.name).fingerprint() == model.fingerprint()
    )


def write_pack(name: str, folder: str | os.PathLike[str]) -> None:
    """Write what a site serves for a pack such as `unipen-256-half`.

    Two files: `NAME.bin` for pages that come over http, and `NAME.js` with the same
    bytes for pages on a disk, which may load nothing but scripts.

    Raises:
        ValueError: there is no such type of weights.
        ModelError: there is no such model.
    """
    model, _, weights = name.rpartition("-")
    pack = browser_pack(load_pretrained(model), weights)
    data = base64.b64encode(pack).decode()
    script = f'(globalThis.handwritingPacks ??= {{}})["{name}"] = "{data}";\n'
    write_whole(Path(folder) / f"{name}.bin", pack)
    write_whole(Path(folder) / f"{name}.js", script.encode())
