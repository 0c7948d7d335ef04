"""The benchmarks at toy sizes: what they print and write, not how fast they are."""

import json
import platform
import time

import pytest

import benchmarks
from benchmarks import __main__ as door
from benchmarks import browser, lstm, measure
from handwriting_lib import SynthesisConfig


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


@pytest.mark.book
def test_the_browser_benchmark_compares_engines_that_agree(monkeypatch):
    pytest.importorskip("selenium")
    import browser as chromium  # of book/_tools

    if reason := chromium.why_no_browser():
        pytest.skip(reason)
    monkeypatch.delenv("ONNXRUNTIME_WEB", raising=False)
    monkeypatch.setattr(browser, "POINTS", 5)
    monkeypatch.setattr(browser, "SIZES", SynthesisConfig(hidden=16, layers=2))
    result = browser.run(1)
    assert result.baseline == browser.PLAIN
    assert [row.name for row in result.rows] == [
        browser.OURS, browser.INT8, browser.PLAIN
    ]  # fmt: skip
    assert result.notes["onnxruntime-web"].startswith("not measured")
    apart = result.notes["largest difference of the raw output from the baseline's"]
    assert apart[browser.OURS] < 1e-5 < apart[browser.INT8] < 0.1
    assert result.notes["points a second"][browser.OURS] > 0
