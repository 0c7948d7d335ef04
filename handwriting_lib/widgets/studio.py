"""Studio: the network itself, writing in the page.

The page gets the weights and an engine with the numbers of torch (`static/engine.js`):
whatever the reader types is written there and then, without a kernel. A seed writes the
line that `write` gives in Python, unless the pack has int8 weights, which are coarser.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..atomic import write_whole
from ..deprecation import renamed_arguments
from ..drawing.svg import to_svg
from ..errors import InputError
from ..files.browser import browser_pack
from ..files.models import Model, load_pretrained, pretrained_names
from ..systems import write
from ..writing.styles import Style, find_style, save_style, style_names
from .host import Widget

# The files of `static/` that are the engine; they need nothing else.
ENGINE = ("arithmetic", "randomness", "engine")
COLUMNS = 30  # characters a line, as in static/studio.js
# Where a site has the files of `write_pack`: its pages then share one copy of a shipped
# model, in place of one in each page.
FOLDER = "HANDWRITING_PACKS"


class Studio(Widget):
    """A network that writes in the page: text, hand, bias, temperature and seed are
    the reader's.

    The line of Python under it says `model` for a network of yours, and `style` or
    `styles[0]`, as it was given here, for a `Style`.

    Args:
        model: with a `SynthesisNetwork`, yours perhaps; None takes the library's own.
        text: to begin with, of printable ASCII; long texts are broken into lines.
        styles: the hands to choose from, each as in `write`; None takes all that come
            with the model.
        style: the hand to begin with, as in `write`.
        bias: as in `write`.
        temperature: as in `write`.
        seed: as in `write`.
        precision: `"half"`, `"int8"` or `"float32"`, of the weights in the page.
        caption: below the figure; any text.

    Raises:
        ValueError: the text is empty, or has characters that the model lacks; or
            `styles` is no list.
        ModelError: the network does not read text.
        StyleError: there is no such style, or it belongs to another model.

    Example:
        >>> Studio(text="hello", precision="int8")
        <Studio: The network unipen-400 writes; at first: hello>
    """

    @renamed_arguments(weights="precision")
    def __init__(
        self,
        model: Model | None = None,
        text: str = "a machine that writes",
        *,
        styles: Sequence[Style | str | Path] | None = None,
        style: Style | str | Path | None = None,
        bias: float = 1.25,
        temperature: float = 1.0,
        seed: int = 1,
        precision: str = "half",
        caption: str = "",
    ) -> None:
        ours = load_pretrained()
        model = ours if model is None else model
        ships = _ships(model)
        name = "model"  # how a line of Python names it
        if ships:
            default = model.name == ours.name
            name = "" if default else f'hw.load_pretrained("{model.name}")'
        folder = os.environ.get(FOLDER)
        pack = {"name": f"{model.name}-{precision}", "folder": folder}
        if not (folder and ships):
            pack = {"data": base64.b64encode(browser_pack(model, precision)).decode()}
        if isinstance(styles, (Style, str, Path)):
            raise InputError("styles must be a list; for one hand: styles=[hand]")
        listed = style_names(model) if styles is None else list(styles)
        hands = [(one, f"styles[{i}]") for i, one in enumerate(listed)]
        if style is not None and style not in listed:
            hands.insert(0, (style, "style"))
        first = None if style is None else [one for one, _ in hands].index(style)
        lines = textwrap.wrap(
            text, COLUMNS, break_long_words=False, break_on_hyphens=False
        )
        written = write(
            lines,
            model,
            style=style,
            bias=bias,
            temperature=temperature,
            seed=seed,
            redraws=3,
        )
        data: dict[str, Any] = {
            "text": text,
            "bias": bias,
            "temperature": temperature,
            "seed": seed,
            "model": name,
            "pack": pack,
            "exact": precision != "int8",
            "hands": [_hand(one, variable, model) for one, variable in hands],
            "hand": first,
        }
        super().__init__(
            ["reading", *ENGINE, "studio"],
            data,
            still=to_svg([line.ink for line in written], unit=1.0, title=text),
            label=f"The network {model.name} writes; at first: {text}",
            caption=caption,
        )


def _hand(style: Style | str | Path, variable: str, model: Model) -> dict[str, str]:
    """A style for the page: its name, how Python says it, and its file in base64."""
    found = find_style(style, model)
    python = variable if isinstance(style, Style) else json.dumps(str(style))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "style.safetensors"
        save_style(found, path)
        data = base64.b64encode(path.read_bytes()).decode()
    return {"name": found.name, "python": python, "data": data}


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
        ValueError: there is no such precision.
        ModelError: there is no such model.
    """
    model, _, precision = name.rpartition("-")
    pack = browser_pack(load_pretrained(model), precision)
    data = base64.b64encode(pack).decode()
    script = f'(globalThis.handwritingPacks ??= {{}})["{name}"] = "{data}";\n'
    write_whole(Path(folder) / f"{name}.bin", pack)
    write_whole(Path(folder) / f"{name}.js", script.encode())
