"""What a training resumes from: a torch file, loaded with `weights_only=True`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..atomic import write_whole
from ..errors import MissingFileError
from .models import ModelError


def save_checkpoint(state: Mapping[str, Any], path: str | Path) -> None:
    """Write a training checkpoint: tensors, numbers, strings, lists and dicts."""
    content = io.BytesIO()
    torch.save(dict(state), content)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a training checkpoint.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: the file is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"there is no checkpoint {path}: train without --resume first"
        )
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
