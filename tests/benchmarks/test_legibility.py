"""The benchmark of bias and temperature at toy size: what it writes and prints."""

import pytest
import torch

import handwriting_lib as hw
from benchmarks import legibility
from handwriting_lib.evaluation.legibility import WHEEL

pytest.importorskip(WHEEL)


def test_bias_and_temperature_are_measured_on_the_same_texts(monkeypatch):
    monkeypatch.setattr(legibility, "BIASES", (0.0, 3.0))
    monkeypatch.setattr(legibility, "TEMPERATURES", (0.5,))
    monkeypatch.setattr(legibility, "TEXTS", 3)
    threads = torch.get_num_threads()
    result = legibility.run(model="unipen-184")
    torch.set_num_threads(threads)
    assert result["model"] == "unipen-184"
    assert result["fingerprint"] == hw.load_pretrained("unipen-184").fingerprint()
    pairs = [(row["bias"], row["temperature"]) for row in result["rows"]]
    assert pairs == [(0, 1), (3, 1), (legibility.BESIDE, 0.5)]
    wild, neat, _ = result["rows"]
    assert {row["legibility"]["lines"] for row in result["rows"]} == {3}
    assert wild["legibility"] != neat["legibility"]
    rows = [result["human"], *result["rows"]]
    assert all(0 <= row["unreadable"] <= 1 for row in rows)
    assert "bias" not in result["human"]
    told = legibility.table(result).splitlines()
    assert len(told) == 3 + len(rows) and told[3].startswith("human")
