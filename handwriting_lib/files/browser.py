"""A trained network for the browser: the pack that a page of the book reads.

`widgets/static/engine.js` runs synthesis and prediction networks and
`widgets/static/decoder.js` character decoders.

A pack is a safetensors file, a format that a web page can read in a few lines of code.
In half precision or float32 it is a model file as `save_model` writes it. In int8 it is
about half the size of half precision and holds a scale for each row of a matrix.
"""

from __future__ import annotations

import copy
import os

import safetensors.torch
import torch

from .._deprecation import renamed_arguments
from ..atomic import write_whole
from ..errors import InputError
from .models import FORMAT, Model, ModelError, to_bytes

INT8_FORMAT = "handwriting_lib.int8.1"
# Kinds of networks that a page can run.
KINDS = ("synthesis", "prediction", "character")
PRECISIONS = {"half": torch.float16, "int8": torch.int8, "float32": torch.float32}


@renamed_arguments(weights="precision")
def browser_pack(model: Model, precision: str = "half") -> bytes:
    """A model as the bytes of a pack.

    Args:
        model: a model with a `SynthesisNetwork`, a `PredictionNetwork` or a
            `CharacterDecoder`.
        precision: the number type of the weights: `"half"`, `"float32"`, or `"int8"`,
            which has half the size of `"half"` and a rounding error whose effect on
            legibility has to be measured.

    Raises:
        ValueError: there is no such precision.
        ModelError: a page cannot run the network.

    Example:
        >>> from handwriting_lib import SynthesisConfig, SynthesisNetwork
        >>> model = Model(SynthesisNetwork(SynthesisConfig(hidden=8)))
        >>> len(browser_pack(model, "int8")) < len(browser_pack(model, "float32"))
        True
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"the precision must be one of {', '.join(PRECISIONS)}, not {precision!r}"
        )
    if model.kind not in KINDS:
        raise ModelError(
            f"{model.name} is a {model.kind} network, which a page cannot run: choose "
            f"a model of the kind {', '.join(KINDS[:-1])} or {KINDS[-1]}"
        )
    form = INT8_FORMAT if precision == "int8" else FORMAT
    return to_bytes(model, PRECISIONS[precision], form)


@renamed_arguments(weights="precision")
def export_browser(
    model: Model, path: str | os.PathLike[str], precision: str = "half"
) -> None:
    """Write a pack to a file; `browser_pack` describes the arguments."""
    write_whole(path, browser_pack(model, precision))


def as_in_page(model: Model) -> Model:
    """The model with the weights that a page gets from its int8 pack.

    Raises:
        ModelError: a page cannot run the network.
    """
    pack = safetensors.torch.load(browser_pack(model, "int8"))
    tensors = {}
    for key, value in pack.items():
        if not key.endswith(".scale"):
            scale = pack.get(f"{key}.scale")
            tensors[key] = value if scale is None else value * scale[:, None]
    network = copy.deepcopy(model.network)
    network.load_state_dict(tensors)
    return model.replace(network=network)
