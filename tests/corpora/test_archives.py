"""Folders and archives read alike; what is damaged says so in one sentence."""

import io
import os
import tarfile
import zipfile

import pytest

from handwriting_lib.corpora import formats
from handwriting_lib.corpora.archives import CorpusError, read_files

FILES = {"a.txt": b"first", "sub/b.txt": b"second" * 500, "sub/empty": b""}
TARS = {".tar": "w", ".tar.xz": "w:xz", ".tgz": "w:gz", ".tar.gz": "w:gz",
        ".tar.bz2": "w:bz2"}  # fmt: skip


def pack(folder, ending, files=FILES, prefix=""):
    """The files as an archive, or as a folder when `ending` is empty."""
    path = folder / f"packed{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(prefix + name, content)
    elif ending:
        with tarfile.open(path, TARS[ending.lower()]) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(prefix + name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("ending", ["", ".zip", *TARS, ".TGZ"])
def test_folders_and_archives_give_the_same(tmp_path, ending):
    path = pack(tmp_path, ending)
    assert dict(read_files(path)) == FILES
    assert dict(read_files(str(path))) == FILES


@pytest.mark.parametrize("ending", ["", ".zip", ".tar.xz"])
def test_only_what_is_wanted_is_read(tmp_path, ending):
    wanted = read_files(pack(tmp_path, ending), lambda name: name.startswith("sub/"))
    assert sorted(name for name, _ in wanted) == ["sub/b.txt", "sub/empty"]


def test_a_leading_dot_is_no_part_of_a_name(tmp_path):
    assert dict(read_files(pack(tmp_path, ".tgz", prefix="./"))) == FILES


def test_nothing_is_written_to_disk(tmp_path):
    files = {"../../outside.txt": b"x", "/absolute.txt": b"y", "in.txt": b"z"}
    for ending in (".tgz", ".zip"):
        path = pack(tmp_path, ending, files)
        assert sorted(content for _, content in read_files(path)) == [b"x", b"y", b"z"]
        path.unlink()
    assert list(tmp_path.iterdir()) == []
    assert not (tmp_path.parent.parent / "outside.txt").exists()


def test_links_in_an_archive_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "l.tar", "w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert list(read_files(tmp_path / "l.tar")) == []


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.xz", ".tgz", ".tar.bz2"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_truncated_archive_is_named(tmp_path, ending, share):
    files = {f"f{i}": os.urandom(3000) for i in range(20)}
    path = pack(tmp_path, ending, files)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CorpusError, match="damaged or cut short") as caught:
        list(read_files(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".zip", ".tar.xz", ".tgz"])
def test_an_archive_that_is_none_is_named(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    path.write_text("<html>404: Not Found</html>" * 50)
    with pytest.raises(CorpusError, match="damaged or cut short"):
        list(read_files(path))


def test_flipped_bytes_are_noticed(tmp_path):
    path = pack(tmp_path, ".zip", {"f": os.urandom(3000)})
    content = bytearray(path.read_bytes())
    content[1500] ^= 255
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="damaged"):
        list(read_files(path))


def test_a_small_archive_cannot_claim_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr("handwriting_lib.corpora.archives.MAX_FILE_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dat", bytes(1001))
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("zeros.dat")
        member.size = 1001
        archive.addfile(member, io.BytesIO(bytes(1001)))
    for name in ("bomb.zip", "bomb.tar.gz"):
        with pytest.raises(CorpusError, match=r"zeros\.dat in .* has 1,001 bytes"):
            list(read_files(tmp_path / name))
        assert list(read_files(tmp_path / name, lambda name: "ones" in name)) == []


def test_an_encrypted_archive_says_so(tmp_path):
    path = tmp_path / "secret.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.dat", b"content")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # in the file's own header, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"a\.dat in .* is encrypted: unpack"):
        list(read_files(path))


@pytest.mark.parametrize("ending", ["zip", "npz"])
def test_a_compression_that_may_ask_for_gigabytes_is_refused(tmp_path, ending):
    path = tmp_path / f"ink.{ending}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", b"content")
    with pytest.raises(CorpusError, match=r"ink.* is compressed by method 14"):
        formats.load(path)


def test_nothing_there_and_not_an_archive(tmp_path):
    with pytest.raises(CorpusError, match=r"no file or folder .*none\.tar\.xz"):
        list(read_files(tmp_path / "none.tar.xz"))
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(CorpusError, match=r"x\.rar is neither .*\.zip"):
        list(read_files(tmp_path / "x.rar"))


def test_a_name_that_is_not_utf_8_is_no_traceback(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\u00fc", "content")  # the flag says UTF-8
    path.write_bytes(path.read_bytes().replace("\u00fc".encode(), b"\xa2\xa2"))
    with pytest.raises(CorpusError, match="damaged or cut short"):
        list(read_files(path))


def test_an_entry_without_a_name_is_no_traceback(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "content")
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02") + 28  # lengths of the name and of what follows
    path.write_bytes(content[:at] + b"\0\0\1\0" + content[at + 4 :])
    with pytest.raises(CorpusError, match="damaged or cut short"):
        list(read_files(path))
