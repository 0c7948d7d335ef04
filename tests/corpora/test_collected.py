"""The pad's JSON and word banks: round trips, readings of `pen`, and bad input."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from handwriting_lib.corpora import collected, load_corpus
from handwriting_lib.corpora.archives import CorpusError
from handwriting_lib.corpora.collected import from_json, save
from handwriting_lib.corpora.formats import load
from handwriting_lib.ink import Sample


def pad(*samples: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "format": "handwriting_lib.collected",
        "version": 1,
        "samples": list(samples),
        **more,
    }


def sample(**changes: Any) -> dict[str, Any]:
    return {"text": "l", "writer": "me", "strokes": [[[0, 0], [1, 2]]], **changes}


def word(**changes: Any) -> dict[str, Any]:
    return {"word": "l", "points": [[0, 0, 1], [1, 2, 1]], **changes}


def written(folder: Path, content: object, name: str = "me.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


# The drawing pad


def test_a_pad_file(tmp_path: Path) -> None:
    strokes = [
        [[10, 50, 0], [13, 46, 20], [14, 52, 40]],
        [[20, 40, 900, 0.5]],
        [[30, 45, 1500, None], [31, 45, None, 0.25]],
    ]
    file = written(tmp_path, pad(sample(text="Hi you", strokes=strokes)))
    corpus = load_corpus(str(file))
    got = corpus.samples[0]
    assert got.ink.tolist() == [  # y down on the screen, up here
        [0, 0, 0],
        [3, 4, 0],
        [1, -6, 1],
        [6, 12, 1],
        [10, -5, 0],
        [1, 0, 1],
    ]
    assert got.ink.dtype == torch.float32
    assert (got.text, got.writer, got.kind) == ("Hi you", "me", "line")
    assert got.source == "me.json:1"
    assert got.points_per_second == pytest.approx(50)
    assert (corpus.name, corpus.skipped) == (str(file), {})


def test_where_y_points() -> None:
    down, flagged = pad(sample()), pad(sample(), y="up")
    assert from_json(down).samples[0].ink[1].tolist() == [1, -2, 1]
    assert from_json(flagged).samples[0].ink[1].tolist() == [1, 2, 1]
    assert from_json(down, y="up").samples[0].ink[1].tolist() == [1, 2, 1]
    assert from_json(flagged, y="down").samples[0].ink[1].tolist() == [1, -2, 1]
    assert from_json([word()], y="up").samples[0].ink[1].tolist() == [1, 2, 1]


def test_what_may_be_left_out() -> None:
    got = from_json(pad({"text": "l", "strokes": [[[0, 0]]]})).samples[0]
    assert (got.writer, got.points_per_second) == ("unknown", None)
    assert got.character_of_point is None
    assert got.ink.tolist() == [[0, 0, 1]]


def test_texts_that_cannot_be_written_are_counted() -> None:
    texts = ["", "  ", "Z\u00fcrich", "a\nb", "it\u2019s", "a b"]
    corpus = from_json(pad(*(sample(text=t) for t in texts)))
    assert [s.text for s in corpus.samples] == ["it's", "a b"]  # typography is folded
    assert corpus.samples[1].source == "JSON:6"
    assert corpus.skipped == {
        "text is empty": 2,
        "text has characters outside the alphabet ('\u00fc')": 1,
        "text has characters outside the alphabet ('\\n')": 1,
    }


# Saving


def line_of_ink(points: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    ink = torch.randn(points, 3, generator=generator)
    ink[:, 2] = (ink[:, 2] > 1).float()
    ink[0, :2], ink[-1, 2] = 0, 1
    return ink


def test_round_trip_is_exact(tmp_path: Path) -> None:
    ink = line_of_ink()
    samples = [
        Sample("one line", ink, writer="me", source="pad"),
        Sample(
            "word",
            ink[:7] * torch.tensor([1e-4, 1e4, 1.0]),
            writer="you",
            source="bank:7",
            kind="word",
            character_of_point=torch.tensor([0, 0, 1, 1, 2, 3, 3]),
            points_per_second=62.5,
        ),
    ]
    samples[1].ink[-1, 2] = 1
    file = tmp_path / "ink.json"
    save(samples, file)
    corpus = load(file)
    assert corpus.skipped == {}
    for before, after in zip(samples, corpus.samples, strict=True):
        assert torch.equal(before.ink, after.ink)
        assert (before.text, before.writer) == (after.text, after.writer)
        assert (before.source, before.kind) == (after.source, after.kind)
        assert before.points_per_second == after.points_per_second
    labels = corpus.samples[1].character_of_point
    assert labels is not None and labels.tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert corpus.samples[0].character_of_point is None
    save(corpus.samples, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


def test_a_failed_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ink.json"
    good = Sample("l", line_of_ink(), "me", "pad")
    save([good], file)
    before = file.read_bytes()
    bad = good.replace(ink=torch.tensor([[float("nan"), 0, 1]]))
    with pytest.raises(ValueError, match="the ink of sample 2"):
        save([good, bad], file)
    with pytest.raises(CorpusError, match="no samples to save"):
        save([], file)

    def full(*paths: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CorpusError, match=r"ink\.json cannot be written: No space"):
        save([good, good], file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]  # nothing half-written is left


def test_saving_where_nothing_can_be_saved(tmp_path: Path) -> None:
    good = Sample("l", line_of_ink(), "me", "pad")
    file = written(tmp_path, "[]")
    for place in (tmp_path / "no" / "folder.json", file / "below.json", tmp_path):
        with pytest.raises(CorpusError, match="cannot be written"):
            save([good], place)


# Word banks

# Two strokes as a collecting page writes them: a 0 repeats the end of each stroke.
DOWN = [
    [0.0, 0.5, 1],
    [0.25, 0.75, 1],
    [0.25, 0.75, 0],
    [0.5, 0.5, 1],
    [0.75, 0.5, 1],
    [0.75, 0.5, 0],
]
END = [[0.0, 0.5, 0], [0.25, 0.75, 1], [0.5, 0.5, 0], [0.75, 0.5, 1]]
# Aspect 4: a quarter of the width is one height of the box.
EXPECTED = [[0, 0, 0], [1, -0.25, 1], [1, 0.25, 0], [1, 0, 1]]


@pytest.mark.parametrize(("points", "pen"), [(DOWN, "down"), (END, "end_of_stroke")])
def test_both_readings_of_pen(points: list[list[float]], pen: str) -> None:
    corpus = from_json([word(points=points, aspect=4)], pen=pen)
    assert corpus.samples[0].ink.tolist() == EXPECTED
    assert corpus.samples[0].kind == "word"
    assert corpus.skipped == {}


@pytest.mark.parametrize(
    "entry",
    [
        {"text": "it", "points": DOWN, "aspect_ratio": 4, "writer": "w"},
        {
            "points": [{"x": x, "y": y, "pen": p == 1} for x, y, p in DOWN],
            "word": "it",
            "aspect": 4.0,
            "author": "w",
        },
        {
            "metadata": {"author": "w", "asciiSequence": "it", "aspectRatio": 4},
            "points": [{"x": x, "y": y, "p": p} for x, y, p in DOWN],
        },
    ],
)
def test_spellings_of_an_entry(entry: dict[str, Any]) -> None:
    for bank in ([entry], {"key": entry}):
        got = from_json(bank).samples[0]
        assert got.ink.tolist() == EXPECTED
        assert (got.text, got.writer) == ("it", "w")


def test_an_object_from_word_to_entry() -> None:
    bank = {"it": {"points": DOWN}, "samples": word(word=None), "": word(word=None)}
    corpus = from_json(bank)
    assert [s.text for s in corpus.samples] == ["it", "samples"]
    assert corpus.skipped == {"text is empty": 1}
    # without an aspect x and y count in one unit
    assert corpus.samples[0].ink[1].tolist() == [0.25, -0.25, 1]


def test_points_in_the_air_are_counted() -> None:
    points = [[0, 0, 1], [1, 0, 1], [1, 0, 0], [5, 5, 0], [6, 5, 0], [7, 5, 1]]
    corpus = from_json([word(points=points)])
    assert corpus.samples[0].ink.tolist() == [[0, 0, 0], [1, 0, 1], [6, -5, 1]]
    assert corpus.skipped == {"points with the pen up, which are no ink": 2}


def test_an_unfinished_last_stroke_is_ended() -> None:
    got = from_json([word(points=[[0, 0, 0], [1, 0, 0]])], pen="end_of_stroke")
    assert got.samples[0].ink.tolist() == [[0, 0, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    ("points", "pen", "other"),
    [(DOWN, "end_of_stroke", "down"), (END[:1] * 9 + END[3:], "down", "end_of_stroke")],
)
def test_the_wrong_reading_of_pen_is_noticed(
    points: list[list[float]], pen: str, other: str
) -> None:
    """Read the wrong way round, a bank gives ink without an error: dots and jumps."""
    bank = [word(points=points)] * 20
    assert len(from_json(bank, pen=other).samples) == 20
    with pytest.raises(CorpusError, match=f"use pen='{other}'"):
        from_json(bank, pen=pen)


def test_folders_and_archives(tmp_path: Path) -> None:
    bank = json.dumps([word(points=DOWN)])
    archive = tmp_path / "bank.json.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("bank.json", bank)
        zipped.writestr("__MACOSX/._bank.json", b"\x00\x05\x16\x07")
    assert [s.source for s in load(archive).samples] == ["bank.json:1"]
    folder = tmp_path / "inside"
    folder.mkdir()
    with pytest.raises(CorpusError, match=r"holds no file of ink"):
        load(folder)
    written(folder, pad(sample(), sample(text="")), "a.json")
    written(folder, pad(sample(), sample(text="")), "b.json")
    corpus = load(folder)
    assert [s.source for s in corpus.samples] == ["a.json:1", "b.json:1"]
    assert corpus.skipped == {"text is empty": 2}


# Bad input: the message names the file, the sample, the value, and what would be right


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"me\.json is not JSON"),
        ("{'text': 1}", r"me\.json is not JSON"),
        ("[" * 100_000, r"me\.json is not JSON"),
        ("9" * 5000, r"me\.json is .*(JSON|must be a list)"),
        ("[]", r"me\.json has no samples"),
        ("{}", r"me\.json has no samples"),
        ("null", r"me\.json is None: it must be a list of samples"),
        ('{"a": {"points": []}, "a": {"points": []}}', r"the key 'a' 2 times"),
    ],
)
def test_files_that_are_not_it(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        load(written(tmp_path, content))


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "me.json"
    file.write_bytes(b"\x80\x04pickle")
    with pytest.raises(CorpusError, match="holds Python pickles, which can run"):
        load(file)
    file.write_bytes(b"[\xff]")
    with pytest.raises(CorpusError, match="not JSON in UTF-8"):
        load(file)
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps([word()]).encode())
    assert len(load(file).samples) == 1  # a byte order mark is no error
    with pytest.raises(CorpusError, match="no file or folder"):
        load(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (pad(), "has no samples"),
        (pad(format="other"), "the format is 'other'"),
        (pad(sample(), version=2), "version 2: it must be"),
        (pad(sample(), format=None), "the format is None"),
        (pad(samples={"a": 1}), r"samples is {'a': 1}: it must be a list"),
        (pad(sample(), y="left"), 'must be "down" or "up", not \'left\''),
        (pad(sample(), y=["up"]), 'must be "down" or "up"'),
    ],
)
def test_the_frame_of_a_pad_file(obj: object, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        from_json(obj)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "text is None: it must be a text"),
        ({"text": 5}, "text is 5: it must be a text"),
        ({"writer": 7}, "writer is 7"),
        ({"kind": "page"}, "kind is 'page'.*line, word, character"),
        ({"strokes": None}, "strokes is None"),
        ({"strokes": []}, "has no strokes"),
        ({"strokes": [[[0, 0]], []]}, "stroke 2 has no points"),
        ({"strokes": [[0, 0], [1, 1]]}, "stroke 1, point 1 is 0.*brackets missing"),
        ({"strokes": [[[[0, 0]]]]}, r"stroke 1, point 1 is \[\[0, 0\]\]"),
        ({"strokes": [[[0]]]}, r"point 1 is \[0\]: it must be \[x, y\]"),
        ({"strokes": [[[0, 1, 2, 3, 4]]]}, r"point 1 is \[0, 1, 2, 3, 4\]"),
        ({"strokes": [{"x": 0, "y": 0}]}, "stroke 1 is {'x': 0, 'y': 0}"),
        ({"strokes": [[[0, 0], ["1", 0]]]}, "point 2: x is '1'.*without quotes"),
        ({"strokes": [[[0, True]]]}, "y is True: it must be a number"),
        ({"strokes": [[[0, None]]]}, "y is None"),
        ({"strokes": [[[0, 0, "now"]]]}, "t is 'now'"),
        ({"strokes": [[[0, 0, 1, "hard"]]]}, "pressure is 'hard'"),
        ({"strokes": [[[0, 10**400]]]}, "y is 1000.*finite"),
        ({"strokes": [[[0, 0], [1e300, 0]]]}, "too large for 32 bits"),
        ({"points_per_second": 0}, "points_per_second is 0.0"),
        ({"points_per_second": "60"}, "points_per_second is '60'"),
        ({"character_of_point": [0]}, "index from 0 to 0 for each of the 2 points"),
        ({"character_of_point": [0, 1]}, "index from 0 to 0"),
        ({"character_of_point": [0, 0.0]}, "index from 0 to 0"),
    ],
)
def test_bad_samples_of_a_pad(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=f"me: sample 2.*{message}"):
        from_json(pad(sample(), sample(**change)), name="me")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_json_lets_through(tmp_path: Path, number: str) -> None:
    """`json.loads` takes all four; a NaN in the ink shows after hours of training."""
    content = json.dumps(pad(sample(strokes=[[[0, 0], [1, "!"]]])))
    file = written(tmp_path, content.replace('"!"', number))
    message = r"me\.json: sample 1, stroke 1, point 2: y is .*finite number"
    with pytest.raises(CorpusError, match=message):
        load(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"word": None}, "text is None"),
        ({"points": None}, "points is None"),
        ({"points": []}, "has no ink"),
        ({"points": [[0, 0, 0]]}, "has no ink under pen='down'"),
        ({"points": [[0, 0]]}, r"point 1 is \[0, 0\]: it must be \[x, y, pen\]"),
        ({"points": [[0, 0, 2]]}, "pen is 2: it must be 0 or 1"),
        ({"points": [[0, 0, "1"]]}, "pen is '1'"),
        ({"points": [{"x": 0, "y": 0}]}, "pen is None"),
        ({"points": [["0", 0, 1]]}, "x is '0'"),
        ({"points": [[float("inf"), 0, 1]]}, "x is inf"),
        ({"aspect": 0}, "aspect is 0.0.*positive"),
        ({"aspect": "4:1"}, "aspect is '4:1'"),
    ],
)
def test_bad_entries_of_a_bank(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=f"bank: sample 2.*{message}"):
        from_json([word(), word(**change)], name="bank")


def test_entries_that_are_no_objects() -> None:
    with pytest.raises(CorpusError, match=r"sample 1 is \[1, 2\].*word and points"):
        from_json([[1, 2]])
    with pytest.raises(CorpusError, match=r"sample 1 is 'x'.*text and strokes"):
        from_json(pad("x"))  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="pen must be one of down, end_of_stroke"):
        from_json([word()], pen="up")


def test_long_values_are_shortened() -> None:
    with pytest.raises(CorpusError) as caught:
        from_json([["x" * 10_000]])
    assert len(str(caught.value)) < 200


def test_nothing_is_executed(tmp_path: Path) -> None:
    import pickle

    file = tmp_path / "me.json"
    file.write_bytes(pickle.dumps([word()]))
    with pytest.raises(CorpusError, match="pickles"):
        load(file)
    assert not hasattr(collected, "pickle")
