"""Own hand: a line of the reader's ink, and the network goes on in that hand.

The page reads the ink with the engine of the Studio and keeps the state as a style, as
`make_style` does. Nothing leaves the browser. Chapter 12 shows it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata

from ..alphabet import FOLDING
from ..files.models import Model, ModelError, load_pretrained
from .host import Widget
from .pad import STILL, check_prompts
from .studio import FOLDER, MODEL, MODULES, network_data

# Files of `static/` that a Studio does not need.
READS = (
    "storage", "surface", "points", "likelihood", "priming", "style_file", "own_hand"
)  # fmt: skip
# Short, so that a line fits on a phone, and long enough to show how letters join.
PROMPTS = (
    "just a quick line",
    "the pen remembers",
    "by the light of day",
    "my lazy fox dreams",
    "words flow on paper",
    "a hand like no other",
)
# Where the book says whose hand one may write in.
_CHAPTER = "12_style.html#sec-12-fair"


class OwnHand(Widget):
    """Asks for a line by hand, and a Studio goes on in that hand.

    The hands that are made stay in the browser, up to five of a network, and can be
    saved as style files, which `write(style=...)` takes. Style files from Python can be
    loaded. The line of Python below the ink names the saved file.

    Args:
        model: model with a `SynthesisNetwork`; None takes `unipen-256`.
        text: text to go on with, of printable ASCII.
        prompts: lines to write by hand, of which the first is asked for until a line
            cannot be read; None takes a list of short lines. Lines of 15 to 35
            characters work best.
        bias: initial bias, as in `write`.
        temperature: initial temperature, as in `write`.
        seed: initial seed, as in `write`.
        precision: precision of the weights in the page, as in `Studio`.
        caption: text below the figure.

    Raises:
        ValueError: there is no prompt, a prompt or the text is empty or has characters
            that the alphabet lacks, or there is no such precision.
        ModelError: the network does not read text.

    Example:
        >>> OwnHand(prompts=["the pen remembers"])
        <OwnHand: A pad for a line by hand, in which unipen-256 goes on>
    """

    def __init__(
        self,
        model: Model | None = None,
        text: str = "the machine goes on in my hand",
        *,
        prompts: Sequence[str] | None = None,
        bias: float = 1.0,
        temperature: float = 1.0,
        seed: int = 1,
        precision: str = "int8",
        caption: str = "",
    ) -> None:
        model = load_pretrained(MODEL) if model is None else model
        if not (model.network.reads_text and "normalisation" in model.carried):
            raise ModelError(
                f"{model.name} is a {model.kind} network, which has no hands: "
                "choose a synthesis network"
            )
        data = {
            "prompts": check_prompts(PROMPTS if prompts is None else prompts),
            "network": {
                "name": model.name,
                # the one that files get, and all that they may have
                "fingerprint": model.fingerprint(),
                "fingerprints": model.fingerprints(),
                "config": dataclasses.asdict(model.network.config),
            },
            "chapter": _chapter(),
            "text": check_prompts([text])[0],
            "bias": bias,
            "temperature": temperature,
            "seed": seed,
            "folding": FOLDING,
            **network_data(model, precision),
        }
        super().__init__(
            [*MODULES, *READS],
            data,
            still=STILL,
            label=f"A pad for a line by hand, in which {model.name} goes on",
            caption=caption,
        )


def _chapter() -> str | None:
    """The address of what the book says on forgery; None where the site is unknown."""
    if os.environ.get(FOLDER):  # a page of the book
        return _CHAPTER
    try:
        urls = metadata("handwriting-lib").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    site = dict(url.split(", ", 1) for url in urls).get("Documentation")
    return f"{site}book/{_CHAPTER}" if site else None
