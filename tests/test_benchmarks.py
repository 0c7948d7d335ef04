"""The benchmarks at toy sizes: what they print and write, not how fast they are."""

import json
import platform
import time

import pytest

import benchmarks
from benchmarks import __main__ as door
from benchmarks import lstm, measure


def test_ratios_are_taken_against_the_baseline():
    functions = {"slow": lambda: time.sleep(0.02), "fast": lambda: time.sleep(0.002)}
    slow, fast = measure(functions, "slow", rounds=3)
    assert slow.ratio == slow.ratio_of_medians == 1
    assert fast.ratio == slow.minimum / fast.minimum > 2


def test_rows_are_measured_by_turns():
    calls = []
    functions = {name: lambda name=name: calls.append(name) for name in "ab"}
    measure(functions, "a", rounds=3)
    assert calls == ["a", "b"] * 4  # once beforehand, then each round


def test_a_result_names_command_commit_and_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(door, "RESULTS", tmp_path)
    for name, size in {"POINTS": 3, "BATCH": 2, "INPUTS": 4, "HIDDEN": 5}.items():
        monkeypatch.setattr(lstm, name, size)
    assert door.main(["lstm", "--rounds", "1"]) == 0
    written = json.loads((tmp_path / "lstm.json").read_text())
    assert written["command"] == "python -m benchmarks lstm --rounds 1"
    assert set(written["machine"]) == {
        "processor", "cores", "threads", "system", "python", "torch"
    }  # fmt: skip
    assert written["commit"] == benchmarks.commit()
    assert written["setting"]["hidden"] == 5
    names = [row["name"] for row in written["rows"]]
    assert names[0] == written["baseline"] == lstm.LOOP
    assert platform.node() not in json.dumps(written) or len(platform.node()) < 4
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert "the baseline" in printed


def test_there_is_a_list_of_benchmarks(capsys):
    assert "lstm" in door.names()
    with pytest.raises(SystemExit):
        door.main(["nonsense"])
    assert "invalid choice: 'nonsense'" in capsys.readouterr().err
