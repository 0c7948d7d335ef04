"""Figures in which a network goes on: thirty futures of a point, branches of a line.

The network runs in the page, as in the Studio. Chapter 07 shows where a line could go
on (`Futures`), in chapter 08 a line that is written without a text branches
(`Branches`), in chapter 09 the reader takes the window (`WindowHandle`), and chapter 11
takes the bias apart (`BiasByHalves`).
"""

from __future__ import annotations

from ..drawing.svg import to_svg
from ..errors import InputError
from ..files.models import Model, load_pretrained
from ..ink import Sample
from ..systems import write
from ..writing.lines import Line
from ..writing.sampling import write_unconditional
from .host import Widget, pack_ink
from .pad import check_prompts
from .shapes import within
from .studio import ENGINE, network_data, prediction_data

# Files of `static/` with which a network goes on from any point of ink.
GOES_ON = (*ENGINE, "packs", "points", "continuing")


class Futures(Widget):
    """Draws thirty ways in which a network could go on from any point of a line.

    Args:
        line: line from `write` without a style of its own, or `Sample` in letter-body
            heights: the network reads it, whoever wrote it.
        model: model with a `SynthesisNetwork`; None takes `unipen-256`.
        at: index of the point to go on from at first.
        precision: precision of the weights in the page, as in `Studio`.
        caption: text below the figure.

    Raises:
        ValueError: there is no point `at`, or there is no such precision.
        ModelError: the network does not read text.

    Example:
        >>> from handwriting_lib import write
        >>> model = load_pretrained("unipen-256")
        >>> Futures(write("hi", model, style="any", seed=1)[0], model)
        <Futures: thirty futures of: hi>
    """

    def __init__(
        self,
        line: Line | Sample,
        model: Model | None = None,
        at: int = 0,
        *,
        precision: str = "int8",
        caption: str = "",
    ) -> None:
        model = load_pretrained("unipen-256") if model is None else model
        within("at", at, 0, len(line.ink) - 1)
        pack = network_data(model, precision)["pack"]
        ink = line.ink.detach().cpu()
        super().__init__(
            [*GOES_ON, "futures"],
            {"ink": pack_ink(ink), "text": line.text, "at": at, "pack": pack},
            still=to_svg(ink, title=line.text),
            label=f"thirty futures of: {line.text}",
            caption=caption,
        )


class Branches(Widget):
    """Writes a line without a text, which branches at every point that is pressed.

    Args:
        model: model with a `PredictionNetwork`; None takes `unipen-free`.
        bias: initial bias, from 0 to 3.
        seed: seed of the first line; "Start over" takes the next.
        caption: text below the figure.

    Raises:
        ValueError: the bias is out of its range, or the seed is negative.
        ModelError: the network is of another kind.

    Example:
        >>> Branches()
        <Branches: unipen-free writes on without a text, and branches>
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        bias: float = 0.5,
        seed: int = 1,
        caption: str = "",
    ) -> None:
        model = load_pretrained("unipen-free") if model is None else model
        within("bias", bias, 0, 3)
        if seed < 0:
            raise InputError(f"seed must not be negative, not {seed}")
        data = prediction_data(model)
        still = write_unconditional(model, 120, bias=bias, seed=seed)[0]
        label = f"{model.name} writes on without a text, and branches"
        super().__init__(
            [*GOES_ON, "branches"],
            {**data, "bias": bias, "seed": seed},
            still=to_svg(still, title=label),
            label=label,
            caption=caption,
        )


class WindowHandle(Widget):
    """Lets the reader take the window of a network that writes: hold, skip, go back.

    While the line is written, the reader holds the window, sends it to a character or
    changes its speed; the weights of the characters are shown as in the Player.

    Args:
        text: text to write, of printable ASCII.
        model: model with a `SynthesisNetwork`; None takes `unipen-256`.
        bias: initial bias, from 0 to 3.
        seed: seed of the first line; "Start over" takes the next.
        precision: precision of the weights in the page, as in `Studio`.
        caption: text below the figure.

    Raises:
        ValueError: the text is empty or has characters that the model lacks, the bias
            is out of its range, or there is no such precision.
        ModelError: the network does not read text.

    Example:
        >>> WindowHandle("hand in hand")
        <WindowHandle: the window over "hand in hand", taken by hand>
    """

    def __init__(
        self,
        text: str = "hand in hand",
        model: Model | None = None,
        *,
        bias: float = 1.0,
        seed: int = 1,
        precision: str = "int8",
        caption: str = "",
    ) -> None:
        model = load_pretrained("unipen-256") if model is None else model
        within("bias", bias, 0, 3)
        text = check_prompts([text])[0]
        pack = network_data(model, precision)["pack"]
        line = write(text, model, style="any", bias=bias, seed=seed)[0]
        super().__init__(
            ["reading", *GOES_ON, "steering"],
            {"text": text, "pack": pack, "bias": bias, "seed": seed},
            still=to_svg(line.ink, title=text),
            label=f'the window over "{text}", taken by hand',
            caption=caption,
        )


class BiasByHalves(Widget):
    """Writes a line with its weights alone, its deviations alone and all sharpened.

    Five rows share a seed: nothing sharpened, the weights of the components alone,
    their deviations alone, both as by the bias b of `write`, and all choices as by a
    temperature of 1 / (1 + b), which raises the weights to the same power.

    Args:
        text: text to write, of printable ASCII.
        model: model with a `SynthesisNetwork`; None takes `unipen-256`.
        bias: initial b, from 0 to 5.
        seed: seed of the first lines; "Another seed" takes the next.
        precision: precision of the weights in the page, as in `Studio`.
        caption: text below the figure.

    Raises:
        ValueError: the text is empty or has characters that the model lacks, the bias
            is out of its range, or there is no such precision.
        ModelError: the network does not read text.

    Example:
        >>> BiasByHalves("by halves")
        <BiasByHalves: "by halves", sharpened by halves>
    """

    def __init__(
        self,
        text: str = "one line, five ways",
        model: Model | None = None,
        *,
        bias: float = 2.0,
        seed: int = 1,
        precision: str = "int8",
        caption: str = "",
    ) -> None:
        model = load_pretrained("unipen-256") if model is None else model
        within("bias", bias, 0, 5)
        text = check_prompts([text])[0]
        pack = network_data(model, precision)["pack"]
        lines = write([text] * 2, model, style="any", bias=bias, seed=seed)
        super().__init__(
            [*GOES_ON, "sharpening"],
            {"text": text, "pack": pack, "bias": bias, "seed": seed},
            still=to_svg([line.ink for line in lines], title=text),
            label=f'"{text}", sharpened by halves',
            caption=caption,
        )
