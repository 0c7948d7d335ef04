"""Saving and loading: what ships (safetensors) and what a training resumes from.

A *model file* is safetensors: weights, often in half precision, and in its header the
configuration and every factor between network units and ink. A *training checkpoint*
is a torch file with the optimiser's state in float32, loaded with `weights_only=True`.
Both are written to a new file and then moved into place. Nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from . import alphabet
from .networks import (
    FeedforwardConfig,
    FeedforwardPredictor,
    PredictionConfig,
    PredictionNetwork,
    SynthesisConfig,
    SynthesisNetwork,
)
from .transforms import Normalisation, Thinning

FORMAT = "handwriting_lib.model.1"
PRETRAINED = Path(__file__).parent / "pretrained"
NETWORKS: dict[str, tuple[type[nn.Module], type]] = {
    "synthesis": (SynthesisNetwork, SynthesisConfig),
    "prediction": (PredictionNetwork, PredictionConfig),
    "feedforward": (FeedforwardPredictor, FeedforwardConfig),
}


class ModelError(ValueError):
    """A model or checkpoint cannot be loaded; the message names the file and remedy."""


@dataclass(frozen=True)
class Model:
    """A network together with what turns its numbers into ink.

    Attributes:
        network: a `SynthesisNetwork`, `PredictionNetwork` or `FeedforwardPredictor`.
        normalisation: between its offsets and letter-body heights.
        thinning: of the ink that it was trained on.
        about: what a model card says: corpus, command, steps, seed, figures.
        name: of the file, or what it was called when built.
    """

    network: nn.Module
    normalisation: Normalisation = Normalisation()
    thinning: Thinning = Thinning()
    about: Mapping[str, Any] = field(default_factory=dict)
    name: str = "model"

    @property
    def parameters(self) -> int:
        """How many weights the network has."""
        return sum(p.numel() for p in self.network.parameters())

    def fingerprint(self) -> str:
        """A hash of the weights: tells whether two models are the same."""
        digest = hashlib.sha256()
        for key, tensor in sorted(self.network.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().half().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def network_kind(network: nn.Module) -> str:
    """The name under which a network is saved.

    Raises:
        ModelError: it is none of the library's.
    """
    for kind, (cls, _) in NETWORKS.items():
        if isinstance(network, cls):
            return kind
    raise ModelError(f"{type(network).__name__} is none of {sorted(NETWORKS)}")


def build_network(kind: str, config: Mapping[str, Any]) -> nn.Module:
    """A new network from its saved configuration.

    Raises:
        ModelError: there is no such kind, or its configuration has other entries.
    """
    if kind not in NETWORKS:
        raise ModelError(f"there is no network {kind!r}: say one of {sorted(NETWORKS)}")
    cls, config_cls = NETWORKS[kind]
    try:
        return cls(config_cls(**config))
    except TypeError as error:
        raise ModelError(f"the configuration of a {kind} network: {error}") from None


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new file to write to; it takes the place of `path` when that went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def to_bytes(
    model: Model, dtype: torch.dtype = torch.float16, form: str = FORMAT
) -> bytes:
    """A model as the bytes of its file.

    Args:
        model: what to save.
        dtype: of the weights. With `torch.int8` each row of a matrix has a scale of its
            own, the tensor `NAME.scale`, and what is no matrix stays in float32.
        form: the format's name in the header.
    """
    header = {
        "format": form,
        "kind": network_kind(model.network),
        "config": dataclasses.asdict(model.network.config),  # type: ignore[call-overload]
        "normalisation": dataclasses.asdict(model.normalisation),
        "thinning": dataclasses.asdict(model.thinning),
        "alphabet": alphabet.CHARACTERS,
        "about": dict(model.about),
    }
    tensors: dict[str, torch.Tensor] = {}
    for key, value in model.network.state_dict().items():
        weights = value.detach().cpu().float()
        if dtype != torch.int8:
            tensors[key] = weights.to(dtype).contiguous()
        elif key.split(".")[-1].startswith("weight"):
            scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
            tensors[key] = (weights / scale).round().to(torch.int8)
            tensors[f"{key}.scale"] = scale[:, 0].contiguous()
        else:
            tensors[key] = weights.contiguous()
    return safetensors.torch.save(tensors, {"handwriting_lib": json.dumps(header)})


def save_model(model: Model, path: str | Path, half: bool = True) -> None:
    """Write a model file.

    Args:
        model: what to save.
        path: ends in `.safetensors`.
        half: keep the weights in half precision, in half the space.
    """
    content = to_bytes(model, torch.float16 if half else torch.float32)
    with _replacing(Path(path)) as partial:
        partial.write_bytes(content)


def load_model(path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Read a model file; weights come back in float32, the network in evaluation mode.

    Raises:
        ModelError: the file is missing, is no model file, or was written with another
            alphabet.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no model file {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            header = json.loads((file.metadata() or {})["handwriting_lib"])
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}
        if header["format"] != FORMAT:
            raise ModelError(
                f"{path} has the format {header['format']!r}; this version of the "
                f"library reads {FORMAT!r}"
            )
        kind, config, letters, about, n = (
            header[k] for k in ("kind", "config", "alphabet", "about", "normalisation")
        )
        normalisation = Normalisation(tuple(n["mean"]), tuple(n["std"]))
        thinning = Thinning(**header["thinning"])
    except (safetensors.SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        raise ModelError(
            f"{path} is not a model file of handwriting_lib (a .safetensors file that "
            "`handwriting train` or save_model wrote)"
        ) from None
    if letters != alphabet.CHARACTERS:
        raise ModelError(f"{path} was trained with another alphabet")
    network = build_network(kind, config)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"the weights in {path} do not fit: {error}") from None
    return Model(network.to(device).eval(), normalisation, thinning, about, path.stem)


def pretrained_names() -> list[str]:
    """The models that come with the library."""
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def load_pretrained(
    name: str = "unipen-400", device: torch.device | str = "cpu"
) -> Model:
    """A model that comes with the library.

    Args:
        name: one of `pretrained_names()`.
        device: where to put it.

    Raises:
        ModelError: there is no such model.
    """
    if name not in pretrained_names():
        raise ModelError(
            f"there is no model {name!r}: say one of {', '.join(pretrained_names())}, "
            "or the path of a .safetensors file"
        )
    return load_model(PRETRAINED / f"{name}.safetensors", device)


def find_model(name_or_path: str | Path, device: torch.device | str = "cpu") -> Model:
    """A model by its name, or by the path of its file."""
    text = str(name_or_path)
    if text.endswith(".safetensors") or os.sep in text or Path(text).is_file():
        return load_model(text, device)
    return load_pretrained(text, device)


# --- what a training resumes from ------------------------------------------------


def save_checkpoint(state: Mapping[str, Any], path: str | Path) -> None:
    """Write a training checkpoint: tensors, numbers, strings, lists and dicts."""
    with _replacing(Path(path)) as partial:
        torch.save(dict(state), partial)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a training checkpoint.

    Raises:
        ModelError: the file is missing or is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {path}: train without --resume first")
    reason: Exception | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch did not write
            state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict) and "step" in state:
            return state
    except Exception as error:  # damaged bytes end in errors of a dozen kinds
        reason = error
    raise ModelError(
        f"{path} is not a training checkpoint, or it is cut short"
    ) from reason
