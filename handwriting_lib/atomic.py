"""Files that are written whole or not at all, and the folder of caches."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import MissingFileError


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a file whose folder is missing.

    Raises:
        FileNotFoundError: it is.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise MissingFileError(
            f"there is no folder {folder}: create it or choose another path"
        )


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a new file beside `path`, then move it there.

    Whoever reads `path` meanwhile sees the old content or the new, never half of it.

    Args:
        path: the file to write; its folder must exist.
        content: the whole of it.
    """
    target = Path(path)
    check_folder(target)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the folder of cached corpora and compiled code.

    This is `$HANDWRITING_CACHE` if set, and otherwise the folder `handwriting_lib` in
    `$XDG_CACHE_HOME` or `~/.cache`.
    """
    own = os.environ.get("HANDWRITING_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "handwriting_lib"
