"""One way to read a corpus, whether it lies in a folder or in an archive.

`read_files` yields names and bytes from a folder, a `.tar.xz`, `.tar.gz`, `.tgz`,
`.tar.bz2`, `.tar` or `.zip`; nothing is unpacked to disk, so no name in an archive can
write anywhere. `cache_folder` says where readers keep what took long to read.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import InputError

TAR_ENDINGS = (".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")


class CorpusError(InputError):
    """A corpus cannot be read; the message names the file and the remedy."""


def cache_folder() -> Path:
    """`$HANDWRITING_CACHE`, or `handwriting_lib` in `$XDG_CACHE_HOME` or `~/.cache`."""
    own = os.environ.get("HANDWRITING_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "handwriting_lib"


def read_files(
    path: str | Path, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes]]:
    """Yield `(name, content)` of each wanted file, in the order of the source.

    Args:
        path: a folder or an archive.
        wanted: is called with each name (relative, with forward slashes).

    Raises:
        CorpusError: there is nothing at `path`, it is not an archive, or it is damaged.
    """
    path = Path(path)
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            if file.is_file() and wanted(name):
                yield name, file.read_bytes()
        return
    if not path.exists():
        raise CorpusError(f"there is no file or folder {path}")
    try:
        if path.name.lower().endswith(TAR_ENDINGS):
            with tarfile.open(path, "r:*") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.isfile() and wanted(name):
                        content = archive.extractfile(member)
                        assert content is not None  # it is a regular file
                        yield name, content.read()
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as zipped:
                for info in zipped.infolist():
                    if not info.is_dir() and wanted(info.filename):
                        yield info.filename, zipped.read(info)
        else:
            raise CorpusError(
                f"{path} is neither a folder nor an archive: "
                f"{', '.join((*TAR_ENDINGS, '.zip'))} can be read"
            )
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        OSError,
    ) as error:
        reason = str(error).partition("\n")[0]  # tarfile lists all it has tried
        raise CorpusError(
            f"{path} is damaged or cut short ({reason}): get it again"
        ) from error
