"""Read the files of a corpus in the same way from a folder and from an archive.

`read_files` yields the names and contents of the files in a folder or in a `.tar.xz`,
`.tar.gz`, `.tgz`, `.tar.bz2`, `.tar` or `.zip` archive. Nothing is unpacked to disk, so
a malicious name in an archive cannot overwrite a file. The corpus readers of chapter 01
build on this module.
"""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ..atomic import write_whole
from ..errors import InputError

# Far above the 4 MB of the largest file in a corpus that the library knows; a small
# archive can claim gigabytes.
MAX_FILE_BYTES = 256 * 2**20
# LZMA is not among them: its header can ask for gigabytes.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
TAR_ENDINGS = (".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")


class CorpusError(InputError):
    """A corpus cannot be read or written; the message says why, and what to do."""


def read_files(
    path: str | Path, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes]]:
    """Yield `(name, content)` for each wanted file, in the order of the source.

    Args:
        path: the path of a folder or an archive.
        wanted: a predicate that is called with each name (relative, with forward
            slashes); files for which it is False are skipped.

    Raises:
        CorpusError: `path` does not exist, is not a known archive, is damaged or
            encrypted, or a file in it exceeds `MAX_FILE_BYTES`.
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
                        _check_size(path, name, member.size)
                        content = archive.extractfile(member)
                        assert content is not None  # never None for a regular file
                        yield name, content.read()
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as zipped:
                for info in zipped.infolist():
                    if not info.is_dir() and wanted(info.filename):
                        _check_size(path, info.filename, info.file_size)
                        if info.flag_bits & 1:
                            raise CorpusError(
                                f"{info.filename} in {path} is encrypted: unpack the "
                                "archive with its password and give the folder"
                            )
                        if info.compress_type not in ZIP_METHODS:
                            raise CorpusError(
                                f"{info.filename} in {path} is compressed by method "
                                f"{info.compress_type}, or damaged: pack it again as a "
                                "usual zip, or give the folder"
                            )
                        yield info.filename, zipped.read(info)
        else:
            raise CorpusError(
                f"{path} is neither a folder nor a known archive: give a folder, or a "
                f"file with one of the endings {', '.join((*TAR_ENDINGS, '.zip'))}"
            )
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        MemoryError,  # of an .xz that asks for more than there is
        NotImplementedError,  # a compression that zipfile lacks
        IndexError,  # zipfile, of an entry without a name
        UnicodeDecodeError,  # zipfile, of a name that is not the UTF-8 it claims
        OSError,
    ) as error:
        # tarfile lists every format it tried
        reason = str(error).partition("\n")[0] or "out of memory"
        raise CorpusError(
            f"{path} is damaged or cut short ({reason}): download or copy it again"
        ) from error


def _check_size(archive: Path, name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise CorpusError(
            f"{name} in {archive} has {size:,} bytes, more than the {MAX_FILE_BYTES:,} "
            "that a file of a corpus may have: unpack the archive and give the folder"
        )


def gunzip(content: bytes, name: str) -> bytes:
    """Decompress the content of a `.gz` file.

    Raises:
        CorpusError: it is damaged, or larger than `MAX_FILE_BYTES`.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            out = file.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(
            f"{name} is damaged or cut short ({error}): download or copy it again"
        ) from error
    if len(out) > MAX_FILE_BYTES:
        raise CorpusError(
            f"{name} holds more than the {MAX_FILE_BYTES:,} bytes that a file of a "
            "corpus may have: divide it"
        )
    return out


def write_ink(path: Path, content: bytes) -> None:
    """Write a whole file of ink, or none.

    Raises:
        CorpusError: it cannot be written.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise CorpusError(f"{path} cannot be written: {error}") from error
