"""Names that were changed: the old ones still work, and warn.

The list of all of them stands in `CHANGELOG.md`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def warn(old: str, new: str, level: int = 3) -> None:
    """Say that a name was changed.

    Args:
        old: the name that was used.
        new: the name to use.
        level: how many calls up the warning points; 1 is here.
    """
    warnings.warn(
        f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=level
    )


def current(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Values under their present names, as files of earlier versions hold them.

    Args:
        values: under old names or new ones.
        names: the new name of each old one.
    """
    return {names.get(key, key): value for key, value in values.items()}


def renamed_arguments(**names: str) -> Callable[[T], T]:
    """A function whose keyword arguments have new names: `old="new"`.

    Where both are given, the old one counts: `dataclasses.replace` fills in the new.
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
    """A class whose attributes and methods have new names: `old="new"`."""

    def decorate(cls: C) -> C:
        for old, new in names.items():

            def get(self: Any, old: str = old, new: str = new) -> Any:
                warn(f"{cls.__name__}.{old}", new)
                return getattr(self, new)

            setattr(cls, old, property(get, doc=f"Deprecated: use `{new}`."))
        return cls

    return decorate


def renamed_fields(**names: str) -> Callable[[C], C]:
    """A dataclass whose fields have new names: as arguments and as attributes."""

    def decorate(cls: C) -> C:
        cls.__init__ = renamed_arguments(**names)(cls.__init__)  # type: ignore[misc]
        cls.RENAMED = names  # type: ignore[attr-defined]
        return renamed_attributes(**names)(cls)

    return decorate
