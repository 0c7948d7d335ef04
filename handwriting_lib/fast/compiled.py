"""Functions compiled by Numba, kept on disk until what they were compiled from changes.

Numba's own cache looks at the file of a function alone. Here the key covers every
source file of the package `fast`, the numbers that its modules import from elsewhere,
and the versions of what compiles; so a changed constant is compiled in at once. A
damaged file is noticed and made again, and where no folder can be written nothing is
kept. The files are in `$NUMBA_CACHE_DIR`, if set, or with the other caches.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from ..atomic import cache_folder, write_whole

# Division by zero gives infinity, as in torch. A product and a sum may be fused into
# one instruction, but nothing is reordered.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}

log = logging.getLogger(__name__)


def compiled(parallel: bool = False) -> Callable[[Any], Any]:
    """A decorator that compiles a function at its first call, or reads it from disk.

    Args:
        parallel: let the cores share loops over `prange`.
    """

    def decorate(function: Any) -> Any:
        dispatcher = numba.njit(nogil=True, parallel=parallel, **OPTIONS)(function)
        dispatcher._cache = _Cache(function)
        return dispatcher

    return decorate


def inlined(function: Any) -> Any:
    """A decorator for small functions that are compiled into those that call them."""
    return numba.njit(**OPTIONS)(function)


class _Cache(FunctionCache):  # type: ignore[misc]
    """Keeps what a function was compiled to, a file for each signature and processor.

    A file holds a SHA-256 digest and the pickle that Numba makes of compiled code.
    """

    def __init__(self, function: Any) -> None:
        self._py_func = function
        self._impl = object.__new__(CompileResultCacheImpl)  # it looks for no folder
        own = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        self._cache_path = own or str(cache_folder() / "compiled")
        self._stamp = "\n".join(
            [_versions(), _sources(), *_numbers(function.__globals__)]
        )

    def _file(self, signature: Any, codegen: Any) -> Path:
        key = f"{self._stamp}\n{self._index_key(signature, codegen)}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        return Path(self._cache_path) / f"{self._py_func.__name__}-{digest}.bin"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        target_context.refresh()
        file = self._file(signature, target_context.codegen())
        try:
            content = file.read_bytes()
        except OSError:
            content = b""
        digest, data = content[:32], content[32:]
        if hashlib.sha256(data).digest() != digest:
            _say_once()
            return None
        return self._impl.rebuild(target_context, pickle.loads(data))

    def save_overload(self, signature: Any, result: Any) -> None:
        if not self._impl.check_cachable(result):
            return
        file = self._file(signature, result.codegen)
        data = pickle.dumps(self._impl.reduce(result))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, hashlib.sha256(data).digest() + data)
        except OSError as error:
            log.info("compiled code cannot be kept in %s: %s", file.parent, error)


@cache
def _say_once() -> None:
    log.info("compiling for this processor: it takes some seconds and happens once")


@cache
def _versions() -> str:
    names = ("numba", "llvmlite", "numpy")
    return " ".join([sys.version, *(importlib.metadata.version(n) for n in names)])


@cache
def _sources() -> str:
    """A digest of every source file of this package."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _numbers(names: Mapping[str, Any]) -> Iterator[str]:
    """The numbers of a module, and of the modules of this package that it imports."""
    for name, value in sorted(names.items()):
        if isinstance(value, int | float | np.generic):
            yield f"{name} = {value!r}"
        elif isinstance(value, ModuleType) and value.__package__ == __package__:
            yield from _numbers(vars(value))
