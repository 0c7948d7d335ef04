"""A hand, kept as the state of a network that has just read a line by its writer.

In primed sampling (Graves 2013, section 5.5) the network reads a line of ink together
with its text, the *prime*, and then continues with another text as if one hand wrote
both. A `Style` keeps what the network needs to continue: the state of each layer and of
the window, the last point, and the text of the prime. It holds no ink but that one
point, and only the model that made it can use it. Chapter 12 builds it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..alphabet import missing
from ..atomic import write_whole
from ..data.batches import pad_texts
from ..data.transforms import scale_by_writer
from ..errors import InputError, MissingFileError
from ..files.models import (
    PRETRAINED,
    Model,
    ModelError,
    load_pretrained,
    pretrained_names,
)
from ..ink import Sample, check_ink
from ..networks import SynthesisState
from ..parts.lstm import LSTMState

FORMAT = "handwriting_lib.style.2"
# A file of format 1 names its model by a fingerprint of version 1.
READABLE = ("handwriting_lib.style.1", FORMAT)
HANDS = PRETRAINED / "styles"  # MODEL/NAME.safetensors
# The hand that `write` takes where a model comes with it, and the word for none: each
# line then has a hand of its own.
DEFAULT_HAND, ANY = "birch", "any"
SCALED = "letter-body heights"  # the `units` that `scale_by_writer` sets
# The window may stop this many characters before the end of the prime; if it stops
# earlier, the text is probably not that of the ink.
SHORT_OF_THE_END = 2

log = logging.getLogger(__name__)


class StyleError(InputError):
    """A style cannot be made, found or used; the message says how to correct it."""


@dataclass(frozen=True, eq=False)
class Style:
    """The state of a network after it has read a line.

    Attributes:
        text: the text of the line.
        state: the state of the network before it reads `point`, for a batch of one.
        point: `(3,)` the last point of the line, normalised; the pen lifts after it.
        model: the fingerprint of the model that read the line.
        name: the name of the style file without its ending, or the name given to
            `make_style`.
    """

    text: str
    state: SynthesisState
    point: Tensor
    model: str
    name: str = "style"

    def replace(self, **changes: Any) -> Style:
        """The style with some attributes changed."""
        return dataclasses.replace(self, **changes)

    @property
    def prime(self) -> str:
        """The text that was read, and a space; both precede the text to write."""
        return self.text.rstrip() + " "

    def start(self, lines: int, like: Tensor) -> tuple[SynthesisState, Tensor]:
        """The state and the points that a batch of lines starts from.

        Args:
            lines: the number of lines B.
            like: a tensor of the network, which gives the device and the dtype.

        Returns:
            The state with B rows, and the points `(B, 3)`.
        """

        def rows(x: Tensor) -> Tensor:
            return x.to(like).expand(lines, -1).contiguous()

        layers = tuple(LSTMState(rows(s.h), rows(s.c)) for s in self.state.layers)
        return (
            SynthesisState(layers, rows(self.state.w), rows(self.state.kappa)),
            rows(self.point[None]),
        )


def make_style(model: Model, sample: Sample, name: str = "style") -> Style:
    """Let a network read a line of ink, and keep its state.

    Args:
        model: a model with a `SynthesisNetwork`.
        sample: a line of ink from a corpus reader, the drawing pad or
            `scale_by_writer`. It must not be thinned, because it is thinned here as the
            model requires. Ink that is not in letter-body heights is divided by the
            letter-body height of this one sample. Lines of 15 to 35 characters work
            best.
        name: the name of the style.

    Raises:
        StyleError: the network of the model reads no text.
        ValueError: the ink is not a line of ink or has a single point, or the text has
            characters that the model lacks.

    Example:
        >>> import torch
        >>> from handwriting_lib.corpora import load_corpus
        >>> sample = load_corpus("synthetic", samples=1, seed=1).samples[0]
        >>> style = make_style(load_pretrained(), sample)
        >>> style.text == sample.text, style.point.shape
        (True, torch.Size([3]))
    """
    if not (model.network.reads_text and "normalisation" in model.carried):
        raise StyleError(
            f"{model.name} is a {model.kind} network, which has no styles: "
            "choose a synthesis network"
        )
    if sample.units != SCALED:
        sample = scale_by_writer([sample])[0]
    return read_hand(model, sample.text, model.thinning(sample.ink)[0], name)


@torch.inference_mode()
def read_hand(model: Model, text: str, ink: Tensor, name: str) -> Style:
    """`make_style` from ink that is as the model wants it: scaled and thinned."""
    network = model.network
    like = network.output.bias
    ink = model.normalisation.apply(check_ink(ink)).to(like)
    if len(ink) < 2:
        raise StyleError("a single point does not show a hand: give a line of ink")
    ink[0, :2] = 0  # "no offset yet", as in training
    ink[-1, 2] = 1
    text = text.rstrip()
    slots, mask = (t.to(like.device) for t in pad_texts([text + " "]))
    mask[:, -1] = False  # the text continues, so there is no end slot yet
    out = network(ink[None, :-1], slots, mask)
    assert out.phi is not None
    at = int(out.phi[0, -1].argmax())
    if at < len(text) - 1 - SHORT_OF_THE_END:
        log.warning(
            "at the end of the ink the window is at %r, character %d of %d of %r: "
            "check that the text is what the ink says",
            text[at], at + 1, len(text), text,
        )  # fmt: skip
    # rounded as in the file, so that a style in memory equals the style read back
    layers = tuple(
        LSTMState(s.h.half().float().cpu(), s.c.half().float().cpu())
        for s in out.state.layers
    )
    state = SynthesisState(
        layers, out.state.w.float().cpu(), out.state.kappa.float().cpu()
    )
    return Style(text, state, ink[-1].float().cpu(), model.fingerprint(), name)


# --- files ---------------------------------------------------------------------------


def save_style(style: Style, path: str | Path) -> None:
    """Write a style file, a safetensors file of a few kilobytes.

    The states of the layers are stored in half precision, everything else in float32.

    Args:
        style: the style to save.
        path: the path of the file, which must end in `.safetensors`.

    Raises:
        StyleError: the path has another ending, or its folder does not exist.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StyleError(f"a style file must end in .safetensors, not {path.name!r}")
    if not path.absolute().parent.is_dir():
        raise StyleError(
            f"there is no folder {path.absolute().parent}: choose one that exists"
        )
    tensors = {
        "w": style.state.w,
        "kappa": style.state.kappa,
        "point": style.point,
    }
    for i, layer in enumerate(style.state.layers):
        tensors[f"layers.{i}.h"] = layer.h.half()
        tensors[f"layers.{i}.c"] = layer.c.half()
    header = {"format": FORMAT, "text": style.text, "model": style.model}
    tensors = {key: t.detach().cpu().contiguous() for key, t in tensors.items()}
    content = safetensors.torch.save(tensors, {"handwriting_lib": json.dumps(header)})
    write_whole(path, content)


def load_style(path: str | Path, model: Model) -> Style:
    """Read a style file.

    Args:
        path: the path of the file.
        model: the model to write with.

    Raises:
        FileNotFoundError: there is no such file.
        StyleError: the file is not a style file, is damaged, or belongs to another
            model.
    """
    path = Path(path)
    header = _read_header(path)
    _check_model(header["model"], model, str(path))
    config = model.network.config
    shapes = {"w": (1, config.symbols), "kappa": (1, config.components), "point": (3,)}
    for i in range(config.layers):
        shapes[f"layers.{i}.h"] = shapes[f"layers.{i}.c"] = (1, config.hidden)
    with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
        found = {key: file.get_tensor(key).float() for key in file.keys()}
    fits = {key: tuple(t.shape) for key, t in found.items()} == shapes
    if not fits or not all(t.isfinite().all() for t in found.values()):
        raise StyleError(
            f"{path} is damaged, its tensors are not those of a style: make it again"
        )
    layers = tuple(
        LSTMState(found[f"layers.{i}.h"], found[f"layers.{i}.c"])
        for i in range(config.layers)
    )
    state = SynthesisState(layers, found["w"], found["kappa"])
    return Style(header["text"], state, found["point"], header["model"], path.stem)


def _read_header(path: Path) -> Mapping[str, str]:
    """Read the text and the model's fingerprint from the header of a style file.

    Raises:
        FileNotFoundError: there is no such file.
        StyleError: the file is not a style file.
    """
    if not path.is_file():
        raise MissingFileError(f"there is no style file {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            header = json.loads((file.metadata() or {})["handwriting_lib"])
        form, text, model = (header[key] for key in ("format", "text", "model"))
    except (
        safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError,
    ):  # fmt: skip
        form = text = model = None
    valid = form in READABLE and isinstance(model, str)
    if not valid or not isinstance(text, str) or not text.strip() or missing(text):
        raise StyleError(
            f"{path} is not a style file (a .safetensors file that `handwriting style` "
            "or save_style wrote)"
        )
    return {"text": text, "model": model}


def _check_model(fingerprint: str, model: Model, what: str) -> None:
    if not model.is_called(fingerprint):
        raise StyleError(
            f"{what} was made with the model {fingerprint}, not with {model.name} "
            f"({model.fingerprint()}): make a style with this model or use the other"
        )


# --- hands that come with the library ------------------------------------------------


def style_names(model: Model | None = None) -> list[str]:
    """The names of the hands that come with the library for a model.

    Args:
        model: the model; None takes the one that `load_pretrained` loads by default.

    Example:
        >>> "nobody" in style_names()
        False
    """
    own = (load_pretrained() if model is None else model).fingerprints()
    files = HANDS.glob("*/*.safetensors")
    return sorted(file.stem for file in files if _read_header(file)["model"] in own)


def find_style(style: Style | str | Path, model: Model) -> Style:
    """Find a style by its name or by the path of its file; a `Style` is only checked.

    Args:
        style: one of `style_names(model)`, the path of a style file, or a style.
        model: the model to write with.

    Raises:
        FileNotFoundError: the path names no file.
        StyleError: there is no such style, or it belongs to another model.
    """
    if isinstance(style, Style):
        _check_model(style.model, model, f"the style {style.name!r}")
        return style
    if not isinstance(style, str | Path):
        raise StyleError(
            f"{model.name} takes a style, its name or the path of its file, not "
            f"{type(style).__name__}: make a style of ink with make_style"
        )
    text = str(style)
    if _is_path(text):
        return load_style(text, model)
    if file := _file_of(text, model):
        return load_style(file, model)
    names = ", ".join(style_names(model))
    known = f"choose one of {names}, or give" if names else "it comes with none; give"
    raise StyleError(
        f"{model.name} has no style {text!r}: {known} the path of a style file"
    )


def choose_style(style: Style | str | Path | None, model: Model) -> Style | None:
    """The style that a line is written in.

    Args:
        style: as in `find_style`; None takes the hand `birch` if it comes with the
            model, and `"any"` takes none, so that each line has a hand of its own.
        model: the model to write with.

    Returns:
        A style of the model, or None for a hand of each line's own.

    Raises:
        FileNotFoundError: the path names no file.
        StyleError: there is no such style, or it belongs to another model.

    Example:
        >>> choose_style(None, load_pretrained()).name
        'birch'
    """
    if style is None:
        style = _file_of(DEFAULT_HAND, model) or ANY
    return None if style == ANY else find_style(style, model)


def _file_of(name: str, model: Model) -> Path | None:
    """The file of a hand that comes with the library for a model, or None."""
    own = model.fingerprints()
    for folder in HANDS.iterdir():
        file = folder / f"{name}.safetensors"
        if file.is_file() and _read_header(file)["model"] in own:
            return file
    return None


def _is_path(text: str) -> bool:
    return text.endswith(".safetensors") or os.sep in text or Path(text).is_file()


def model_of(style: Any, device: torch.device | str = "cpu") -> Model:
    """The model that comes with the library and that a style was made with.

    Args:
        style: a style, its name or the path of its file; None or `"any"` for no
            particular one.
        device: where to put the model.

    Returns:
        The default model if the style was made with it, if there is no style, or if no
        model that comes with the library made it.

    Raises:
        FileNotFoundError: the path names no file.
        StyleError: the file is not a style file.
    """
    default = load_pretrained(device=device)
    if not isinstance(style, Style | str | Path) or style == ANY:
        return default
    if isinstance(style, Style):
        made_with = {style.model}
    elif _is_path(str(style)):
        made_with = {_read_header(Path(style))["model"]}
    else:
        files = HANDS.glob(f"*/{style}.safetensors")
        made_with = {_read_header(file)["model"] for file in files}
    if made_with.isdisjoint(default.fingerprints()):
        for name in pretrained_names():
            model = load_pretrained(name)
            if not made_with.isdisjoint(model.fingerprints()):
                return model.to(device)
    return default


def model_called(fingerprint: str) -> Model:
    """The model that comes with the library and has a fingerprint.

    Raises:
        ModelError: none of them has it.
    """
    for name in pretrained_names():
        model = load_pretrained(name)
        if model.is_called(fingerprint):
            return model
    raise ModelError(
        f"no model that comes with the library is called {fingerprint}: give the model "
        "by the path of its file"
    )


@dataclass(frozen=True)
class Hand:
    """The line that a named hand comes from: one entry of a list of hands.

    Attributes:
        text: the text of the line.
        ink: the `sample_id` of the line in its corpus.
    """

    text: str
    ink: str


def sample_id(sample: Sample) -> str:
    """Twelve hexadecimal digits that identify a sample without naming its writer."""
    return hashlib.sha256(f"{sample.kind} {sample.source}".encode()).hexdigest()[:12]


def read_hands(path: str | Path) -> dict[str, Hand]:
    """Read a list of hands, a TOML file with one table per name and keys as in `Hand`.

    Raises:
        FileNotFoundError: there is no such file.
        StyleError: the file is not TOML, or an entry has other keys or values that are
            not strings.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no list of hands {path}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StyleError(f"{path} is not TOML: {error}") from None
    entries = [field.name for field in dataclasses.fields(Hand)]
    for name, entry in table.items():
        valid = isinstance(entry, dict) and sorted(entry) == sorted(entries)
        if not valid or not all(isinstance(value, str) for value in entry.values()):
            raise StyleError(
                f"{path}: [{name}] must have strings for exactly the keys {entries}"
            )
    return {name: Hand(**entry) for name, entry in table.items()}


def make_hands(
    hands: Mapping[str, Hand], samples: Sequence[Sample], model: Model
) -> list[Style]:
    """Make the styles of a list of hands.

    Args:
        hands: the hands by name, as `read_hands` returns them.
        samples: the samples of the corpus as its reader returns them, with all lines
            and words of the writers concerned, because these decide the scale.
        model: the model that reads the lines.

    Raises:
        StyleError: a line is not among the samples, or has another text.
    """
    wanted = {hand.ink for hand in hands.values()}
    found = {sample_id(s): s for s in samples if sample_id(s) in wanted}
    for name, hand in hands.items():
        if hand.ink not in found:
            raise StyleError(f"{name}: no sample of the corpus has the id {hand.ink}")
        if found[hand.ink].text != hand.text:
            raise StyleError(
                f"{name}: the text of {hand.ink} is {found[hand.ink].text!r} in the "
                f"corpus, not {hand.text!r}"
            )
    writers = {s.writer for s in found.values()}
    scaled = scale_by_writer([s for s in samples if s.writer in writers])
    found = {sample_id(s): s for s in scaled if sample_id(s) in wanted}
    return [make_style(model, found[hand.ink], name) for name, hand in hands.items()]
