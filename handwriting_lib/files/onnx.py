"""A trained network for onnxruntime and its like: one step, states in and out, ONNX.

ONNX says what a network computes in a form that many programs run. The file holds
`SynthesisNetwork.step` alone: whoever runs it draws the point from the output, with
`StrokeMixture` or code of their own, and hands the new states to the next step. Needs
the optional extra `onnx`: `pip install handwriting-lib[onnx]`.
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

    Inputs, for B lines of U characters with the end slot: `point` `(B, 3)`, normalised;
    `text` `(B, U)` int64; `text_mask` `(B, U)` bool; the states `h1`, `c1`, `h2`, ...
    `(B, H)` of each layer, `w` `(B, V)` and `kappa` `(B, K)`, zeros to begin with.
    Outputs: `output` `(B, 6M + 1)`, `phi` `(B, U)`, and each state again with `_next`
    behind its name. B and U are free. The metadata hold `alphabet` (indices count
    from 1; 0 is the end slot and padding), `mean` and `std` of the normalisation as
    JSON (an offset is what it was drawn as times std plus mean) and `fingerprint`.

    Args:
        model: with a `SynthesisNetwork`.

    Raises:
        ImportError: the packages that write ONNX are not installed.
        ModelError: the model has another network.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter is built on it
    except ImportError as error:
        raise MissingPackageError(
            "an ONNX file needs the packages onnx and onnxscript: "
            "pip install handwriting-lib[onnx]"
        ) from error
    network = model.network
    if not hasattr(network, "window"):
        raise ModelError(
            f"{model.name} is a {model.kind} network; an ONNX step is made of networks "
            "that read a text through a soft window (synthesis)"
        )
    lines, slots = 2, 5  # of the example that is traced; both are free in the file
    start = network.initial_state(lines)
    # one tensor each: the exporter takes a tensor that comes twice for one input
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
            warnings.simplefilter("ignore")  # the exporter's, about its own parts
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
        del part.metadata_props[:]  # where the code that was traced lies on this disk
    about = {
        "alphabet": CHARACTERS,
        "mean": json.dumps(list(model.normalisation.mean)),
        "std": json.dumps(list(model.normalisation.std)),
        "fingerprint": model.fingerprint(),
    }
    onnx.helper.set_model_props(proto, about)
    return proto.SerializeToString()


def export_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write one step to a file: see `onnx_step`."""
    write_whole(path, onnx_step(model))
