"""Data sets: each line once whatever happens, and labels that fit the pictures."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import handwriting_lib as hw
from handwriting_lib import cli
from handwriting_lib.writing import dataset
from handwriting_lib.writing.dataset import DatasetError, write_dataset
from handwriting_lib.writing.lines import Drawn, Writer


class Scribe(Writer):
    """Draws each letter as a slanted stroke of its own, and never fails."""

    backend = "none"

    def __init__(self, name: str = "scribe") -> None:
        self.model: Any = SimpleNamespace(fingerprint=lambda: name)
        self.drawn = 0

    def choose_style(self, style: Any) -> Any:
        return None if style == "any" else style

    def style_of(self, line: hw.Line) -> Any:
        raise AssertionError("a data set asks for no hand of a line")

    def draw(
        self, texts: Any, generators: Any, style: Any, bias: float,
        temperature: float, keep_output: bool,
    ) -> list[Drawn]:  # fmt: skip
        lines = []
        for text, generator in zip(texts, generators, strict=True):
            self.drawn += 1
            height = 1 + torch.rand(1, generator=generator).item()
            letters = [i for i, c in enumerate(text) if c != " "]
            strokes = [torch.tensor([[i, 0], [i + 0.5, height]]) for i in letters]
            phi = torch.zeros(2 * len(letters), len(text) + 1)
            for row, letter in enumerate(letters):  # phi is a point ahead of the pen
                phi[2 * row, letter] = phi[max(0, 2 * row - 1), letter] = 1
            phi[-1, -1] = 1
            lines.append(Drawn(hw.from_strokes(strokes), phi, None, ""))
        return lines


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of ten lines, batches of four."""
    monkeypatch.setattr(dataset, "SHARD", 10)
    monkeypatch.setattr(dataset, "BATCH", 4)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that cost nothing."""
    monkeypatch.setattr(dataset, "to_png", lambda ink, **_: b"png")


TEXTS = [f"text {i} ab" for i in range(27)]


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a set, shard by shard."""
    files = sorted(folder.glob("*/metadata.jsonl"))
    return [json.loads(row) for f in files for row in f.read_text().splitlines()]


def listing(folder: Path) -> list[str]:
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*"))


@pytest.mark.filterwarnings("ignore")  # of the packages that datasets imports
def test_datasets_reads_it(tmp_path: Path, small: None) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    texts = TEXTS[:12]
    write_dataset(texts, tmp_path / "set", Scribe(), vary=True, hands=["a"], svg=True)
    read = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "set"), cache_dir=str(tmp_path / "cache")
    )["train"].sort("number")
    assert read["text"][:] == texts
    for row in read:
        picture = np.asarray(row["image"].convert("RGB")).astype(int)
        assert picture.shape == (row["height"], row["width"], 3)
        ink = np.abs(picture - picture[0, 0]).sum(2) > 60
        assert [word["text"] for word in row["words"]] == row["text"].split()
        letters = [one["text"] for one in row["characters"]]
        assert letters == list(row["text"].replace(" ", ""))
        for kind in ("words", "characters"):
            left = ink.copy()
            for one in row[kind]:
                x0, y0, x1, y1 = one["box"]
                rect = (
                    slice(int(y0), int(np.ceil(y1))),
                    slice(int(x0), int(np.ceil(x1))),
                )
                inside = ink[rect]
                # the box is tight: there is ink at each of its sides
                assert inside[:3].any() and inside[-3:].any()
                assert inside[:, :3].any() and inside[:, -3:].any()
                left[rect] = False
            assert not left.any()


def test_rows_and_files(tmp_path: Path, small: None, stub: None) -> None:
    done = write_dataset(TEXTS, tmp_path / "set", Scribe(), seed=3, ink=True, svg=True)
    assert (done.lines, done.before, done.left_out) == (27, 0, {})
    names = [f"{n // 10:05d}/{n:08d}.{e}" for n in range(27) for e in ("png", "svg")]
    shards = ["00000", "00001", "00002"]
    assert listing(tmp_path / "set") == sorted(
        [*names, *shards, *(f"{s}/metadata.jsonl" for s in shards), "dataset.json"]
    )
    found = rows(tmp_path / "set")
    assert [row["text"] for row in found] == TEXTS
    assert [row["number"] for row in found] == list(range(27))
    first = found[0]
    expected = {
        "file_name": "00000000.png", "svg": "00000000.svg", "text": "text 0 ab",
        "hand": "any", "seed": 3, "complete": True, "bias": 1.25, "slant": 0,
        "color": "black", "paper": "white", "line_width": 0.12, "size": 40,
    }  # fmt: skip
    assert expected.items() <= first.items()
    (line,) = dataset.write_lines(TEXTS[:1], Scribe(), seed=3, positions=[0])
    assert first["strokes"] == line.to_json()["strokes"]


def test_what_varies_depends_on_the_seed_and_the_number(
    tmp_path: Path, small: None, stub: None
) -> None:
    hands = ["a", "b", "c"]
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        write_dataset(
            TEXTS, tmp_path / name, Scribe(), vary=True, hands=hands, seed=seed
        )
    one, again, other = (rows(tmp_path / n) for n in ("one", "again", "other"))
    assert one == again
    for key in ("hand", "bias", "slant", "color", "paper", "line_width", "size"):
        assert len({row[key] for row in one}) > 2
        assert [row[key] for row in one] != [row[key] for row in other]
    assert {row["hand"] for row in one} == {*hands, "any"}
    write_dataset(TEXTS[:4], tmp_path / "told", Scribe(), vary=True, style="d")
    assert {row["hand"] for row in rows(tmp_path / "told")} == {"d"}


def test_texts_are_read_as_they_are_needed(
    tmp_path: Path, small: None, stub: None
) -> None:
    seen = []

    def texts() -> Any:
        for i in range(25):
            seen.append(len(rows(tmp_path / "set")))
            yield f"{i}"

    write_dataset(texts(), tmp_path / "set", Scribe())
    assert seen == [0] * 10 + [10] * 10 + [20] * 5


def test_texts_that_cannot_be_written(tmp_path: Path, small: None, stub: None) -> None:
    texts = ["one", "", "Zürich", "two", "x" * 300, " \t", "it\u2019s", 7]
    done = write_dataset(texts, tmp_path / "set", Scribe())  # type: ignore[arg-type]
    found = rows(tmp_path / "set")
    assert [(row["number"], row["text"]) for row in found] == [
        (0, "one"), (2, "two"), (4, "it's"),
    ]  # fmt: skip
    assert done.left_out == {
        "a text with characters that the model lacks": 1,
        "a text too long for one line": 1,
        "no text": 1,
    }
    with pytest.raises(ValueError, match="there is no text to write"):
        write_dataset(["", " "], tmp_path / "empty", Scribe())


def test_killed_ten_times(
    tmp_path: Path, small: None, stub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any write, even in the middle of a row, and resumed: the same set."""
    how = {"vary": True, "hands": ["a", "b"], "ink": True}
    write_dataset(TEXTS, tmp_path / "whole", Scribe(), **how)
    chance = random.Random(5)
    left = 0

    def dies(write: Any) -> Any:
        def maybe(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise SystemExit
            return write(*arguments)

        return maybe

    def torn(place: Path, found: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:  # half of the rows are in the file, and half of the next
            content = "".join(f"{json.dumps(row)}\n" for row in found).encode()
            with (place / dataset.ROWS).open("ab") as file:
                file.write(content[: chance.randrange(len(content))])
            raise SystemExit
        append(place, found)

    append = dataset._append
    monkeypatch.setattr(dataset, "_append", torn)
    monkeypatch.setattr(dataset, "_write", dies(dataset._write))
    monkeypatch.setattr(dataset, "_in_order", dies(dataset._in_order))
    for _ in range(10):
        left = chance.randint(1, 7)
        with pytest.raises(SystemExit):
            write_dataset(TEXTS, tmp_path / "killed", Scribe(), **how)
    left = 0
    last = Scribe()
    write_dataset(TEXTS, tmp_path / "killed", last, **how)
    assert last.drawn < len(TEXTS)
    assert listing(tmp_path / "whole") == listing(tmp_path / "killed")
    for one, two in zip(
        rows(tmp_path / "whole"), rows(tmp_path / "killed"), strict=True
    ):
        ink = [np.array(row.pop("strokes")) for row in (one, two)]
        assert np.abs(ink[0] - ink[1]).max() < 1e-3
        assert one == two
    again = Scribe()
    done = write_dataset(TEXTS, tmp_path / "killed", again, **how)
    assert (done.lines, done.before, again.drawn) == (0, 27, 0)


def test_two_processes_write_the_set_of_one(
    tmp_path: Path, small: None, stub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(TEXTS, tmp_path / "one", Scribe())
    monkeypatch.setenv("WORLD_SIZE", "2")
    lines = []
    for rank in (1, 0):
        monkeypatch.setenv("RANK", str(rank))
        lines.append(write_dataset(TEXTS, tmp_path / "two", Scribe()).lines)
    assert lines == [10, 17]
    assert listing(tmp_path / "one") == listing(tmp_path / "two")
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


@pytest.mark.slow
def test_torchrun_writes_the_set_of_one_process(tmp_path: Path) -> None:
    texts = [f"{i:02d}" for i in range(13)]
    script = tmp_path / "work.py"
    script.write_text(
        "import sys\nimport handwriting_lib as hw\n"
        "from handwriting_lib.writing import dataset\n"
        "dataset.SHARD = 4\n"
        f"done = hw.write_dataset({texts}, sys.argv[1], 'unipen-184', style='any',\n"
        "                        ink=True, vary=True, quiet=True)\n"
        "open(f'{sys.argv[1]}-{done.lines}', 'w').close()\n"
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, before in (("one", []), ("two", launch)):
        done = subprocess.run(
            [sys.executable, *before, str(script), str(tmp_path / name)],
            env=os.environ
            | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
    assert {f.name for f in tmp_path.glob("*-*")} == {"one-13", "two-8", "two-5"}
    assert listing(tmp_path / "one") == listing(tmp_path / "two")
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert [row["text"] for row in two] == texts
    for a, b in zip(one, two, strict=True):
        ink = [np.array(row.pop("strokes")) for row in (a, b)]
        assert np.abs(ink[0] - ink[1]).max() < 1e-3
        assert a == b


def test_memory_does_not_grow_with_the_set(
    tmp_path: Path, small: None, stub: None
) -> None:
    def peak(lines: int) -> float:
        tracemalloc.start()
        texts = (f"{i:04d}" * 20 for i in range(lines))  # all of one length
        write_dataset(texts, tmp_path / str(lines), Scribe(), ink=True)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(10)  # what is imported and cached once
    assert peak(150) < 1.3 * peak(30)


# What is refused: one sentence, and nothing is overwritten


def test_somebody_elses_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"holds other files, such as mine\.txt"):
        write_dataset(TEXTS, folder, Scribe())
    assert listing(folder) == ["mine.txt"]
    (folder / "dataset.json").write_text('{"format": "other"}')
    with pytest.raises(DatasetError, match="is not of a data set"):
        write_dataset(TEXTS, folder, Scribe())
    with pytest.raises(DatasetError, match="cannot be written"):
        write_dataset(TEXTS, folder / "mine.txt", Scribe())
    assert (folder / "mine.txt").read_text() == "mine"


def test_an_unwritable_folder(tmp_path: Path, small: None, stub: None) -> None:
    folder = tmp_path / "set"
    write_dataset(TEXTS[:4], folder, Scribe())
    before = rows(folder)
    shard = folder / "00000"
    (tmp_path / "away").mkdir()
    for name in ("metadata.jsonl", "dataset.json"):  # a folder stands in its place
        file = shard / name if name.startswith("meta") else folder / name
        file.rename(tmp_path / "away" / name)
        file.mkdir()
        with pytest.raises(DatasetError, match="cannot be written") as told:
            write_dataset(TEXTS, folder, Scribe())
        assert "\n" not in str(told.value)
        file.rmdir()
        (tmp_path / "away" / name).rename(file)
    if os.geteuid():  # root may write anywhere
        for place in (shard, folder):
            place.chmod(0o500)
        with pytest.raises(DatasetError, match="cannot be written"):
            write_dataset(TEXTS, folder, Scribe())
        with pytest.raises(DatasetError, match="cannot be written"):
            write_dataset(TEXTS, folder / "new", Scribe())
        for place in (folder, shard):
            place.chmod(0o700)
    assert rows(folder) == before


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"seed": 2}, "seed 1, not 2"),
        ({"bias": 1.0, "vary": True}, "bias 1.25, not 1.0, vary False, not True"),
        ({"writer": Scribe("other")}, "model 'scribe', not 'other'"),
    ],
)
def test_a_set_with_other_settings(
    tmp_path: Path, stub: None, how: dict[str, Any], message: str
) -> None:
    write_dataset(TEXTS[:2], tmp_path / "set", Scribe())
    before = rows(tmp_path / "set")
    writer = how.pop("writer", Scribe())
    with pytest.raises(DatasetError, match=message):
        write_dataset(TEXTS, tmp_path / "set", writer, **how)
    assert rows(tmp_path / "set") == before


def test_a_full_disk(
    tmp_path: Path, small: None, stub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = dataset.write_whole, []

    def full(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) > 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(path, content)

    monkeypatch.setattr(dataset, "write_whole", full)
    with pytest.raises(
        DatasetError, match=r"cannot be written \(No space left"
    ) as told:
        write_dataset(TEXTS, tmp_path / "set", Scribe())
    assert "\n" not in str(told.value) and "run the same again" in str(told.value)
    finished = rows(tmp_path / "set")
    monkeypatch.setattr(dataset, "write_whole", whole)
    done = write_dataset(TEXTS, tmp_path / "set", Scribe())
    assert done.before == len(finished) == 4
    assert [row["text"] for row in rows(tmp_path / "set")] == TEXTS


# With a model


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: object) -> tuple[int, str]:
        status = cli.main(["write", *(str(word) for word in words)])
        return status, capsys.readouterr().err

    texts = tmp_path / "texts.txt"
    texts.write_text("\ufeffab\n\ncd\r\n", encoding="utf-8")
    known = "--texts-file", texts, "--model", "unipen-184", "--style", "any"
    folder = tmp_path / "set"
    assert run(*known, "--dataset", folder, "--samples", 2)[0] == 0
    found = rows(folder)
    assert [row["text"] for row in found] == ["ab", "ab", "cd", "cd"]
    for row in found:
        with Image.open(folder / "00000" / row["file_name"]) as picture:
            size = picture.size
        assert size == (row["width"], row["height"])
        boxes = [word["box"] for word in row["words"]]
        assert all(0 <= b[0] < b[2] <= size[0] for b in boxes)
    new = (*known[2:], "--dataset", tmp_path / "new")
    for words, message in [
        (("ab", "--dataset", folder), "give it as --texts-file"),
        ((*known, "--dataset", folder, "--out", "a.png"), "leave out --out"),
        ((*known, "--vary"), "is for data sets"),
        ((*known, "--dataset", folder, "--seed", 2), "other settings"),
        ((*known, "--dataset", folder, "--samples", 0), "at least 1"),
        (("--texts-file", folder / "no", *new), "cannot be read"),
    ]:
        status, said = run(*words)
        assert status == 2 and message in said and said.count("\n") == 1, said
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"ef\n")))
    words = ("--texts-file", "-", *known[2:], "--dataset", tmp_path / "in")
    assert run(*words)[0] == 0
    assert [row["text"] for row in rows(tmp_path / "in")] == ["ef"]
