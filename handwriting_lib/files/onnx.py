"""A trained network as ONNX: one step with its states, for onnxruntime and the like.

ONNX describes what a network computes in a form that many programs can run. The file
holds `SynthesisNetwork.step` alone. Its user draws each point from the output, with
`StrokeMixture` or other code, and passes the new states to the next step. The export
needs the optional extra `onnx`: `pip install handwriting-lib[onnx]`.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from ..alphabet import CHARACTERS
from ..atomic import write_whole
from ..errors import MissingPackageError
from ..networks import SynthesisNetwork, SynthesisState
from ..parts.lstm import LSTMState
from .models import Model, ModelError


class _Step(nn.Module):
    """`SynthesisNetwork.step` with plain tensors in and out."""

    def __init__(self, network: SynthesisNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, point: Tensor, text: Tensor, text_mask: Tensor, states: list[Tensor]
    ) -> tuple[Tensor, ...]:
        *cells, w, kappa = states
        layers = tuple(map(LSTMState, cells[::2], cells[1::2]))
        output, new, phi = self.network.step(
            point, SynthesisState(layers, w, kappa), text, text_mask
        )
        return (output, phi, *(part for s in new.layers for part in s), *new[1:])


def onnx_step(model: Model) -> bytes:
    """One step of a network, as the bytes of an ONNX file.

    For B lines of U characters, the end slot included, the inputs are `point` `(B, 3)`,
    normalised; `text` `(B, U)` int64; `text_mask` `(B, U)` bool; the states `h1`, `c1`,
    `h2`, ... `(B, H)` of the layers, `w` `(B, V)` and `kappa` `(B, K)`. All states are
    zero at the start. The outputs are `output` `(B, 6M + 1)`, `phi` `(B, U)`, and each
    state with `_next` appended to its name. B and U are dynamic. The metadata contain
    `alphabet` (its indices start at 1; 0 is the end slot and padding), `mean` and `std`
    of the normalisation as JSON (an offset is the value drawn times std plus mean), and
    `fingerprint`.

    Args:
        model: a model with a `SynthesisNetwork`.

    Raises:
        ImportError: the packages that write ONNX are not installed.
        ModelError: the network of the model has no soft window.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter is built on it
    except ImportError as error:
        raise MissingPackageError(
            "an ONNX file needs the packages onnx and onnxscript: install them with "
            "pip install handwriting-lib[onnx]"
        ) from error
    network = model.network
    if not hasattr(network, "window"):
        raise ModelError(
            f"{model.name} is a {model.kind} network; ONNX export needs one that reads "
            "text through a soft window: choose a synthesis network"
        )
    lines, slots = 2, 5  # sizes of the traced example; both are dynamic in the file
    start = network.initial_state(lines)
    # distinct tensors, because the exporter merges inputs that are the same tensor
    states = [part.clone() for s in start.layers for part in s]
    states += [start.w, start.kappa]
    names = [f"{part}{n + 1}" for n in range(len(start.layers)) for part in "hc"]
    names += ["w", "kappa"]
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    each = {0: batch}
    talk = [logging.getLogger(n) for n in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in talk]
    for logger in talk:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about the exporter's internals
            program = torch.onnx.export(
                _Step(network).eval(),
                (
                    start.w.new_zeros(lines, 3),
                    start.w.new_ones(lines, slots, dtype=torch.int64),
                    start.w.new_ones(lines, slots, dtype=torch.bool),
                    states,
                ),
                dynamo=True,
                verbose=False,
                input_names=["point", "text", "text_mask", *names],
                output_names=["output", "phi", *(f"{name}_next" for name in names)],
                dynamic_shapes={
                    "point": each,
                    "text": {0: batch, 1: length},
                    "text_mask": {0: batch, 1: length},
                    "states": [each] * len(states),
                },
            )
    finally:
        for logger, level in zip(talk, levels, strict=True):
            logger.setLevel(level)
    assert program is not None
    proto: Any = program.model_proto
    graph = proto.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]  # holds local paths of the traced code
    about = {
        "alphabet": CHARACTERS,
        "mean": json.dumps(list(model.normalisation.mean)),
        "std": json.dumps(list(model.normalisation.std)),
        "fingerprint": model.fingerprint(),
    }
    onnx.helper.set_model_props(proto, about)
    return proto.SerializeToString()


def export_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write one step to a file; `onnx_step` describes its contents."""
    write_whole(path, onnx_step(model))
