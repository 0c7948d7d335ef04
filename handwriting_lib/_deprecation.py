"""Support for renamed parts of the library: old names still work, with a warning.

`CHANGELOG.md` lists all renamed parts.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

_INSIDE = (__file__, os.path.dirname(torch.__file__))

T = TypeVar("T", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def warn(old: str, new: str) -> None:
    """Warn that a name was changed, at the caller outside of this file and of torch."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=level
    )


def current(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Translate old names to new ones in values read from a file.

    Args:
        values: the values, under old or new names.
        names: the new name for each old name.
    """
    return {names.get(key, key): value for key, value in values.items()}


def renamed_arguments(**names: str) -> Callable[[T], T]:
    """Decorate a function to accept old keyword argument names, given as `old="new"`.

    If a call gives both, the old name wins, because `dataclasses.replace` always fills
    in the new one.
    """

    def decorate(function: T) -> T:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                warn(f"the argument {old}", names[old])
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def renamed_attributes(**names: str) -> Callable[[C], C]:
    """Decorate a class to keep old attribute and method names, given as `old="new"`."""

    def decorate(cls: C) -> C:
        for old, new in names.items():

            def get(self: Any, old: str = old, new: str = new) -> Any:
                warn(f"{cls.__name__}.{old}", new)
                return getattr(self, new)

            def set_(self: Any, value: Any, old: str = old, new: str = new) -> None:
                warn(f"{cls.__name__}.{old}", new)
                setattr(self, new, value)

            setattr(cls, old, property(get, set_))  # no docstring: not in the docs
        return cls

    return decorate


def renamed_fields(**names: str) -> Callable[[C], C]:
    """Decorate a dataclass to keep old field names, as arguments and attributes."""

    def decorate(cls: C) -> C:
        cls.__init__ = renamed_arguments(**names)(cls.__init__)  # type: ignore[misc]
        cls.RENAMED = names  # type: ignore[attr-defined]
        return renamed_attributes(**names)(cls)

    return decorate
