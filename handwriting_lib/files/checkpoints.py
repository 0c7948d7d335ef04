"""What a training resumes from: safetensors, the rest as JSON in the header.

The state is a tree of dicts, lists, numbers and tensors. In the header each tensor is
replaced by its name in the file, and a dict by the list of its pairs, because the keys
of an optimiser's state are numbers, which JSON would turn into strings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ..atomic import write_whole
from ..errors import MissingFileError
from .models import ModelError

FORMAT = "handwriting_lib.checkpoint.1"


def save_checkpoint(state: Mapping[str, Any], path: str | Path) -> None:
    """Write a training checkpoint.

    Args:
        state: tensors, numbers, strings and None, in dicts and lists; it has a "step".
        path: file to write; missing folders are made.

    Raises:
        TypeError: the state holds something else.
    """
    tensors: dict[str, torch.Tensor] = {}
    header = {"format": FORMAT, "state": _packed(state, tensors)}
    content = safetensors.torch.save(tensors, {"handwriting_lib": json.dumps(header)})
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a training checkpoint; its tensors are on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: the file is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"there is no checkpoint {path}: train without --resume first"
        )
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # type: ignore[no-untyped-call]
            header = json.loads((file.metadata() or {})["handwriting_lib"])
            if header["format"] != FORMAT:
                raise KeyError(header["format"])
            state = _unpacked(header["state"], file)
        if not isinstance(state, dict):
            raise TypeError(type(state))
        state["step"]
    except (
        safetensors.SafetensorError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise ModelError(
            f"{path} is not a training checkpoint, or it is cut short"
        ) from error
    return state


def _packed(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """A tree as JSON; its tensors are moved to `tensors`."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        # A copy: safetensors refuses two names of one tensor.
        copy = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        tensors[name] = copy
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _packed(each, tensors)] for key, each in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_packed(each, tensors) for each in value]
    return value


def _unpacked(value: Any, file: Any) -> Any:
    """The tree that `_packed` was given."""
    if isinstance(value, list):
        return [_unpacked(each, file) for each in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return file.get_tensor(value["tensor"])
        return {key: _unpacked(each, file) for key, each in value["pairs"]}
    return value
