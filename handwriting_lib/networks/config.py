"""What the configurations of networks share: their sizes have ranges."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ..errors import InputError

# Far above any network of the library; a file's header may say anything.
MAX_SIZE, MAX_LAYERS = 2**16, 100
Share = float  # the type of an entry from 0 to below 1


@dataclass(frozen=True)
class NetworkConfig:
    """The base of a network's configuration, which checks every entry by its type.

    Raises:
        ValueError: a size is not a whole number from 1 to `MAX_SIZE` (`MAX_LAYERS` for
            the layers), a number is not positive and finite, a `Share` is not from
            0 to below 1, or a switch is neither true nor false.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            most = MAX_LAYERS if name == "layers" else MAX_SIZE
            wanted, fits = {
                "int": (f"a whole number from 1 to {most}", _is_size(value, most)),
                "float": ("a positive number", _is_positive(value)),
                "bool": ("true or false", isinstance(value, bool)),
                "Share": ("a number from 0 to below 1", _is_share(value)),
            }[str(field.type)]
            if not fits:
                raise InputError(f"{name} must be {wanted}, not {value!r}")

    def fits(self, other: NetworkConfig) -> bool:
        """Whether weights of a network of the other configuration fit this one.

        They are of one class, and differ at most in their dropout.
        """
        one, two = (dataclasses.asdict(c) | {"dropout": 0.0} for c in (self, other))
        return type(self) is type(other) and one == two


def _is_size(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1
