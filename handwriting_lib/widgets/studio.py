"""Studio: the network itself writes in the page, without a kernel.

The page gets the weights and an engine that computes the same numbers as torch
(`static/engine.js`), and writes whatever the reader types. A seed gives the line that
`write` returns in Python, unless the pack has int8 weights, which are coarser. With
`anywidget` and a kernel, `Studio.lines` has what was written in the page. Chapter 11
shows it.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from .._deprecation import renamed_arguments
from ..alphabet import FOLDING
from ..atomic import write_whole
from ..drawing.svg import to_svg
from ..errors import InputError, MissingPackageError
from ..files.browser import as_in_page, browser_pack
from ..files.models import (
    DEFAULT,
    Model,
    ModelError,
    find_model,
    load_pretrained,
    pretrained_names,
)
from ..ink import positions_to_offsets
from ..systems import write
from ..writing.compose import vocabulary_of
from ..writing.lines import Line
from ..writing.styles import (
    ANY,
    DEFAULT_HAND,
    Style,
    find_style,
    save_style,
    style_names,
)
from .host import Widget, module_source, pack_ink
from .pad import INSTALL

# The files of `static/` that form the engine, which need no other file, and those that
# form a Studio, which `mount` of another file puts into the page.
ENGINE = ("arithmetic", "randomness", "safetensors", "engine")
MODULES = (
    "reading", "folding", *ENGINE, "packs", "saving", "permalink", "studio"
)  # fmt: skip
# Those that form the decoder of chapter 13.
DECODER = ("arithmetic", "randomness", "safetensors", "packs", "decoder")
MODEL = "unipen-256"  # a larger one takes longer to load
# Characters per line, in a wide place and on a phone, as in static/studio.js.
COLUMNS, FEW_COLUMNS = 30, 18
# Environment variable that names the folder of a site with the files of `write_pack`.
# Its pages then share one copy of a shipped model instead of holding one each.
FOLDER = "HANDWRITING_PACKS"


class Studio(Widget):
    """Writes in the page; the reader sets text, style, bias, temperature and seed.

    The line of Python below the ink says `model` for a model of your own, and `style`
    or `styles[0]`, as it was given here, for a `Style`.

    Args:
        model: model with a `SynthesisNetwork`; None takes `unipen-256`. The default of
            `write`, `unipen-400`, is twice as large.
        text: initial text, of printable ASCII; line breaks and paragraphs stay, and
            long lines are wrapped.
        styles: styles to choose from, each as in `write`; None takes all that come with
            the model.
        style: initial style, as in `write`; None takes the default hand of the model if
            it is in the list.
        bias: initial bias, as in `write`.
        temperature: initial temperature, as in `write`.
        seed: initial seed, as in `write`.
        precision: precision of the weights in the page: `"int8"`, which takes 2.5 MB of
            a notebook for `unipen-256`, or `"half"` or `"float32"`, with which a line
            is that of `write`.
        composer: model with a `CharacterDecoder`, or its name or path as in `compose`,
            which thinks of a text at the press of a button; None shows no button. On
            the pages of a site its weights load when the button is first pressed.
        caption: text below the figure.

    Raises:
        ValueError: the text is empty or has characters that the model lacks, `styles`
            is not a list, or there is no such precision.
        ModelError: the network does not read text, or the composer does not compose.
        StyleError: there is no such style, or it belongs to another model.

    Example:
        >>> Studio(text="hello")
        <Studio: The network unipen-256 writes; at first: hello>
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
        precision: str = "int8",
        composer: Model | str | Path | None = None,
        caption: str = "",
    ) -> None:
        model = load_pretrained(MODEL) if model is None else model
        network = network_data(model, precision)
        if isinstance(styles, (Style, str, Path)):
            raise InputError("styles must be a list: give one style as styles=[style]")
        listed = style_names(model) if styles is None else list(styles)
        hands = [(one, f"styles[{i}]") for i, one in enumerate(listed)]
        if style is None:
            style = DEFAULT_HAND if DEFAULT_HAND in listed else ANY
        if style != ANY and style not in listed:
            hands.insert(0, (style, "style"))
        first = None if style == ANY else [one for one, _ in hands].index(style)
        writer, hand = model, style if style == ANY else find_style(style, model)
        if precision == "int8":  # the line that the page will write, and no other
            writer = as_in_page(model)
            if isinstance(hand, Style):
                hand = hand.replace(model=writer.fingerprint())
        options: dict[str, Any] = {
            "bias": bias, "temperature": temperature, "seed": seed,
        }  # fmt: skip
        broken = {n: tuple(_broken(text, n)) for n in (COLUMNS, FEW_COLUMNS)}
        lines = {  # short texts break alike
            rows: write(rows, writer, style=hand, redraws=3, **options)
            for rows in dict.fromkeys(broken.values())
        }
        written = {columns: lines[rows] for columns, rows in broken.items()}
        data: dict[str, Any] = {
            "text": text,
            **options,
            **network,
            "hands": [_hand(one, variable, model) for one, variable in hands],
            "hand": first,
            "folding": FOLDING,
            "still": {
                columns: [pack_ink(line.ink) for line in lines]
                for columns, lines in written.items()
            },
            "share": bool(os.environ.get(FOLDER)),  # a page of the book
        }
        if composer is not None:
            data["composer"] = decoder_data(find_model(composer))
        self.page_data = data
        self._lines: list[Line] = []
        super().__init__(
            _modules(composer is not None),
            data,
            still=to_svg([line.ink for line in written[COLUMNS]], unit=1.0, title=text),
            label=f"The network {model.name} writes; at first: {text}",
            caption=caption,
        )

    def __new__(cls, *args: Any, **options: Any) -> Studio:
        kind = cls
        if cls is Studio:
            kind = _live_class(options.get("composer") is not None) or cls
        # super() would skip anywidget's own __new__, which makes a live Studio
        made: Studio = super(Studio, kind).__new__(kind)
        return made

    # for help() and inspect.signature
    __new__.__wrapped__ = __init__  # type: ignore[attr-defined]

    @property
    def lines(self) -> list[Line]:
        """The lines that stand in the page, as `write` returns them.

        They are there as soon as the page has written all of them; until then, these
        are the lines before. An empty list if it has not written yet.

        Raises:
            ImportError: `anywidget`, through which the page reaches Python, is missing.
        """
        raise MissingPackageError(
            f"the lines reach Python through anywidget: run {INSTALL}, restart the "
            "kernel and run the cell again, or press 'Copy Python' on the Studio and "
            "run what it copies"
        )

    def _receive(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the page that all lines are written."""
        if message.get("kind") == "lines":
            self._lines = [_line(one, message) for one in message["lines"]]


def _line(found: Mapping[str, Any], message: Mapping[str, Any]) -> Line:
    """A line as the page tells of it: positions of the pen, y up, and phi."""
    positions = torch.tensor([found["x"], found["y"], found["end"]]).T.float()
    return Line(
        text=found["text"],
        sample=0,
        ink=positions_to_offsets(positions),
        complete=found["complete"],
        problem=found["problem"],
        seed=message["seed"],
        draws=found["draws"],
        phi=torch.tensor(found["phi"]),
        seconds=message["seconds"],
        backend="page",
    )


def _modules(composes: bool) -> tuple[str, ...]:
    """The files of `static/` of a Studio with a composer, or of one without."""
    return (*MODULES, *(("decoder", "composing") if composes else ("studio_widget",)))


@cache
def _live_class(composes: bool) -> type[Studio] | None:
    """Create a class of Studios that are anywidgets, or None without anywidget."""
    try:
        import anywidget
    except ImportError:
        return None

    class LiveStudio(Studio, anywidget.AnyWidget):
        """A Studio that tells Python what it writes, and a figure on static pages."""

        _esm = module_source(*_modules(composes), "live")

        def __init__(self, *args: Any, caption: str = "", **options: Any) -> None:
            anywidget.AnyWidget.__init__(self)
            Studio.__init__(self, *args, caption=caption, **options)
            self.caption = caption
            self.on_msg(self._hear)

        def __repr__(self) -> str:
            return f"<Studio: {self.label}>"

        def _hear(self, _: object, message: object, __: object) -> None:
            if isinstance(message, dict) and message.get("kind") == "ready":
                self.send(
                    {"kind": "data", "data": self.page_data, "caption": self.caption}
                )
            elif isinstance(message, dict):
                self._receive(message)

        @property
        def lines(self) -> list[Line]:
            return list(self._lines)

    return LiveStudio


def _broken(text: str, columns: int) -> list[str]:
    """The lines of a text, wrapped as `breakLines` of static/studio.js does it."""
    wrap = textwrap.TextWrapper(columns, break_long_words=False, break_on_hyphens=False)
    return [line for row in text.splitlines() for line in wrap.wrap(row)]


def _hand(style: Style | str | Path, variable: str, model: Model) -> dict[str, str]:
    """A style for the page: its name, its Python expression and its file in base64."""
    found = find_style(style, model)
    python = variable if isinstance(style, Style) else json.dumps(str(style))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "style.safetensors"
        save_style(found, path)
        data = base64.b64encode(path.read_bytes()).decode()
    return {"name": found.name, "python": python, "data": data}


def network_data(model: Model, precision: str) -> dict[str, Any]:
    """A network for the page: its Python expression, its pack, and how exact that is.

    Raises:
        ValueError: there is no such precision.
        ModelError: the network does not read text.
    """
    if not (model.network.reads_text and "normalisation" in model.carried):
        raise ModelError(
            f"{model.name} is a {model.kind} network, which cannot write in a "
            "Studio: choose a synthesis network"
        )
    ships, name = _ships(model), "model"
    if ships:  # the default needs no name
        default = model.name == DEFAULT
        name = "" if default else f'hw.load_pretrained("{model.name}")'
    pack = _pack(model, precision, ships)
    return {"model": name, "pack": pack, "exact": precision != "int8"}


def prediction_data(model: Model) -> dict[str, Any]:
    """A network that writes without a text for the page, which is its pack in int8.

    Raises:
        ModelError: the model is of another kind.
    """
    if model.kind != "prediction":
        raise ModelError(
            f"{model.name} is a {model.kind} network: choose a model of the kind "
            "prediction, which writes without a text"
        )
    return {"pack": _pack(model, "int8", _ships(model))}


def decoder_data(model: Model) -> dict[str, Any]:
    """A decoder over characters for the page, which is its pack in int8.

    Raises:
        ModelError: the model is of another kind, or its vocabulary does not fit.
    """
    vocabulary_of(model)
    if model.kind != "character":
        raise ModelError(
            f"{model.name} is a {model.kind} network, which has no attention to show: "
            "choose a model of the kind character"
        )
    return {"pack": _pack(model, "int8", _ships(model))}


def _pack(model: Model, precision: str, ships: bool) -> dict[str, Any]:
    """Where the page finds the weights: beside it, or in itself."""
    folder = os.environ.get(FOLDER)
    if folder and ships:
        return {"name": f"{model.name}-{precision}", "folder": folder}
    return {"data": base64.b64encode(browser_pack(model, precision)).decode()}


def _ships(model: Model) -> bool:
    """Whether the model is one of the library's, and unchanged."""
    return model.name in pretrained_names() and (
        load_pretrained(model.name).fingerprint() == model.fingerprint()
    )


def write_pack(name: str, folder: str | os.PathLike[str]) -> None:
    """Write the files that a site serves for a pack such as `unipen-256-half`.

    There are two: `NAME.bin` for pages that come over HTTP, and `NAME.js` with the same
    bytes for pages on disk, which can load nothing but scripts.

    Args:
        name: name of the pack, the name of the model and the precision.
        folder: folder to write the files to.

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
