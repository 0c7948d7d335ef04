"""Model files: a network with everything that its numbers mean.

A model file is safetensors: the weights, often in half precision, and in the header
the kind of network, its configuration, what that kind carries (`networks`), and what a
model card says. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from .. import alphabet
from .._deprecation import renamed_attributes
from ..atomic import write_whole
from ..data.transforms import Normalisation, Thinning
from ..errors import InputError, MissingFileError
from ..networks import NETWORKS, build_network, network_class

FORMAT = "handwriting_lib.model.2"
# Format 1 names its network and its factors in the same way, and the alphabet always.
READABLE = ("handwriting_lib.model.1", FORMAT)
RENAMED = {"validation_nats_a_point": "validation_nats_per_point"}  # of format 1
# What a model carries to say how ink is prepared for it; it changes no number.
ADVICE = ("thinning",)
PRETRAINED = Path(__file__).parents[1] / "pretrained"
DEFAULT = "unipen-400"


class ModelError(InputError):
    """A model cannot be used or loaded; the message names it and the remedy."""


class NotCarriedError(ModelError, AttributeError):
    """A model is asked for something that its kind of network does not carry."""


@renamed_attributes(parameters="num_parameters")
class Model:
    """A network together with what its numbers mean. It is not changed once made.

    Args:
        network: one of `networks.NETWORKS`.
        normalisation: between the offsets of an ink network and letter-body heights.
        thinning: of the ink that an ink network was trained on.
        about: what a model card says: corpus, command, steps, seed, figures.
        name: of the file, or what the model was called when built.
        carried: whatever else its kind of network carries; what is not given takes its
            default.

    Raises:
        ModelError: the kind of network carries no such thing.

    Attributes:
        network: as given.
        carried: everything that the kind of network carries, by name.
        about: as given.
        name: as given.
    """

    def __init__(
        self,
        network: Any,
        normalisation: Normalisation | None = None,
        thinning: Thinning | None = None,
        about: Mapping[str, Any] | None = None,
        name: str = "model",
        **carried: Any,
    ) -> None:
        given = {"normalisation": normalisation, "thinning": thinning, **carried}
        given = {key: value for key, value in given.items() if value is not None}
        if getattr(network, "kind", None) not in NETWORKS:
            raise ModelError(
                f"{type(network).__name__} is not a network of the library: use one of "
                f"the kinds {', '.join(sorted(NETWORKS))}"
            )
        self.network = network
        carries = network.carries
        for key in given:
            if key not in carries:
                raise ModelError(f"a {self.kind} model carries no {key}")
        try:
            self.carried: Mapping[str, Any] = {
                key: given[key] if key in given else made()
                for key, made in carries.items()
            }
        except TypeError as error:
            raise ModelError(
                f"give all that a {self.kind} model carries ({', '.join(carries)}): "
                f"{error}"
            ) from None
        self.about = {} if about is None else about
        self.name = name

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.kind}, {self.num_parameters:,} weights>"

    @property
    def kind(self) -> str:
        """The kind of network, one of `networks.NETWORKS`."""
        return str(self.network.kind)

    @property
    def normalisation(self) -> Normalisation:
        """Between the offsets of the network and letter-body heights."""
        return self._get("normalisation")  # type: ignore[no-any-return]

    @property
    def thinning(self) -> Thinning:
        """Of the ink that the network was trained on."""
        return self._get("thinning")  # type: ignore[no-any-return]

    def _get(self, name: str) -> Any:
        if name not in self.carried:
            raise NotCarriedError(
                f"{self.name} is a {self.kind} model: it has no {name}"
            )
        return self.carried[name]

    @property
    def num_parameters(self) -> int:
        """How many weights the network has."""
        return sum(p.numel() for p in self.network.parameters())

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def replace(self, **changes: Any) -> Model:
        """The model with some of its arguments changed.

        Args:
            changes: `network`, `about`, `name`, or anything that the kind carries.
        """
        given = {"network": self.network, "about": self.about, "name": self.name}
        return Model(**(given | dict(self.carried) | changes))

    def to(self, device: torch.device | str) -> Model:
        """The same model on another device; its network is moved, as torch does."""
        self.network.to(device)
        return self

    def fingerprint(self, version: int = 2) -> str:
        """A hash that tells whether two models are the same.

        Args:
            version: 2 covers the weights, in half precision, and what the kind of
                network carries; 1, of the first files, the weights alone.
        """
        return self.fingerprints()[version - 1]

    def fingerprints(self) -> tuple[str, str]:
        """The fingerprints of versions 1 and 2, from one pass over the weights."""
        digest = hashlib.sha256()
        for key, tensor in sorted(self.network.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().half().cpu().contiguous().numpy().tobytes())
        weights = digest.hexdigest()[:16]
        meaning = {k: v for k, v in self.carried.items() if k not in ADVICE}
        digest.update(json.dumps(_tables(meaning), sort_keys=True).encode())
        return weights, f"2:{digest.hexdigest()[:16]}"

    def is_called(self, fingerprint: str) -> bool:
        """Whether a fingerprint, of either version, is that of this model."""
        return fingerprint in self.fingerprints()


def _tables(carried: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dataclasses.asdict(value) for name, value in carried.items()}


def _from_table(kind: Any, value: Any) -> Any:
    """A value of a type, as JSON holds it: dataclasses and tuples all the way down.

    Raises:
        KeyError: a field of a dataclass is missing, or there is another.
    """
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        if set(names) != set(value):
            raise KeyError(sorted(value))
        made: Any = kind
        return made(**{name: _from_table(hints[name], value[name]) for name in names})
    if isinstance(value, list):
        return tuple(_from_table(None, entry) for entry in value)
    return value


def to_bytes(
    model: Model, dtype: torch.dtype = torch.float16, form: str = FORMAT
) -> bytes:
    """A model as the bytes of its file.

    Args:
        model: what to save.
        dtype: of the weights. With `torch.int8` each row of a matrix has a scale of its
            own, the tensor `NAME.scale`, and whatever is no matrix stays in float32.
        form: the name of the format in the header.
    """
    header = {
        "format": form,
        "kind": model.kind,
        "config": dataclasses.asdict(model.network.config),
        "carried": _tables(model.carried),
        "fingerprint": model.fingerprint(),
        "about": dict(model.about),
    }
    if model.network.reads_text:
        header["alphabet"] = alphabet.CHARACTERS
    tensors: dict[str, torch.Tensor] = {}
    for key, value in model.network.state_dict().items():
        weights = value.detach().cpu()
        if not weights.is_floating_point():
            tensors[key] = weights.clone()
            continue
        weights = weights.float()
        if dtype != torch.int8:
            # A copy: two names of one tensor cannot be saved as such.
            tensors[key] = weights.to(dtype, copy=True).contiguous()
        elif key.split(".")[-1].startswith("weight") and weights.ndim == 2:
            scale = weights.abs().amax(1, keepdim=True).clamp_min(1e-30) / 127
            tensors[key] = (weights / scale).round().to(torch.int8)
            tensors[f"{key}.scale"] = scale[:, 0].contiguous()
        else:
            tensors[key] = weights.clone(memory_format=torch.contiguous_format)
    return safetensors.torch.save(tensors, {"handwriting_lib": json.dumps(header)})


def save_model(model: Model, path: str | Path, half: bool = True) -> None:
    """Write a model file.

    Args:
        model: what to save.
        path: ends in `.safetensors`; missing folders are made.
        half: keep the weights in half precision, in half the space.
    """
    content = to_bytes(model, torch.float16 if half else torch.float32)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def load_model(path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Read a model file; weights come back in float32, the network in evaluation mode.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: it is no model file, or was written with another alphabet.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there is no model file {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            header = json.loads((file.metadata() or {})["handwriting_lib"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        if header["format"] not in READABLE:
            raise ModelError(
                f"{path} has the format {header['format']!r}; this version of the "
                f"library reads {' and '.join(READABLE)}"
            )
        carries = network_class(header["kind"]).carries
        with torch.device("meta"):  # the shapes, before any memory is asked for
            planned = build_network(header["kind"], header["config"]).state_dict()
        _check_shapes(tensors, planned, path)
        network = build_network(header["kind"], header["config"])
        tables = header["carried"] if header["format"] == FORMAT else header
        carried = {k: _from_table(kind, tables[k]) for k, kind in carries.items()}
        letters, about = header.get("alphabet"), dict(header["about"])
        for old in about.keys() & RENAMED:
            about[RENAMED[old]] = about.pop(old)
    except ModelError:
        raise
    except InputError as error:  # no such kind, or no such entry
        raise ModelError(f"{path}: {error}") from None
    except (
        safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError,
    ):  # fmt: skip
        raise ModelError(
            f"{path} is not a model file of handwriting_lib (a .safetensors file that "
            "`handwriting train` or save_model wrote)"
        ) from None
    reads_text = network_class(header["kind"]).reads_text
    if reads_text and letters != alphabet.CHARACTERS:
        raise ModelError(f"{path} was trained with another alphabet")
    network.load_state_dict(tensors)  # half precision becomes float32 here
    return Model(network.to(device).eval(), about=about, name=path.stem, **carried)


def _check_shapes(
    found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], path: Path
) -> None:
    """Compare the weights in a file with those of a network.

    Raises:
        ModelError: a tensor is missing, has another shape, or belongs to no layer.
    """
    for name in sorted(wanted.keys() | found.keys()):
        shapes = [tuple(t[name].shape) if name in t else None for t in (found, wanted)]
        if shapes[0] != shapes[1]:
            raise ModelError(
                f"the weights in {path} do not fit: {name} has the shape {shapes[0]}, "
                f"and the network described in the header wants {shapes[1]}"
            )


def pretrained_names() -> list[str]:
    """The models that come with the library."""
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def load_pretrained(name: str = DEFAULT, device: torch.device | str = "cpu") -> Model:
    """A model that comes with the library.

    Args:
        name: one of `pretrained_names()`.
        device: where to put it.

    Raises:
        ModelError: there is no such model.
    """
    if name not in pretrained_names():
        raise ModelError(
            f"there is no model {name!r}: choose one of "
            f"{', '.join(pretrained_names())}, or give the path of a .safetensors file"
        )
    return load_model(PRETRAINED / f"{name}.safetensors", device)


def find_model(
    model: Model | str | Path | None, device: torch.device | str = "cpu"
) -> Model:
    """A model by its name, or by the path of its file.

    Args:
        model: a name or a path; None takes the default of the library; a `Model` is
            returned as it is.
        device: where to put a model that is loaded.
    """
    if isinstance(model, Model):
        return model
    if model is None:
        return load_pretrained(device=device)
    text = str(model)
    if text.endswith(".safetensors") or os.sep in text or Path(text).is_file():
        return load_model(text, device)
    return load_pretrained(text, device)
