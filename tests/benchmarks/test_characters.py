"""The benchmarks of the networks over characters, at toy sizes."""

import json

import pytest

from benchmarks import characters, compose, train_text
from handwriting_lib.training.config import Recipe, TrainingConfig

SIZES = {
    "character-book": {"width": 8, "layers": 1, "heads": 2, "block": 16},
    "character-lstm-book": {"width": 8, "layers": 1, "block": 16},
}


def tiny(name, corpus="book"):
    recipe = Recipe(
        steps=8, points_per_batch=32, optimiser="adamw", validate_every=4,
        validation_batches=2,
    )  # fmt: skip
    network = "character-lstm" if "lstm" in name else "character"
    return TrainingConfig(network, SIZES[name], corpus=corpus, recipe=recipe)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The benchmark of the networks on a short text, with records in a new folder."""
    text = tmp_path / "text.txt"
    text.write_text("The pen goes on and on. " * 30)
    monkeypatch.setattr(
        characters.Entrant, "configured", lambda self: tiny(self.config, str(text))
    )
    monkeypatch.setattr(characters, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(characters, "NETWORKS", tmp_path / "networks")
    monkeypatch.setattr(characters, "TRIAL", 4)
    monkeypatch.setattr(characters, "CHARACTERS", 40)
    monkeypatch.setattr(characters, "CORPUS", str(text))
    return tmp_path / "records"


def test_every_training_is_recorded_and_kept(small):
    result = characters.run(seeds=2, resume=False)
    assert sorted(file.stem for file in small.glob("*.json")) == sorted(
        ["n-grams"]
        + [f"{name}-4-1{rate}" for name, rates in
           (("decoder", ("", "-0.002", "-0.008")),
            ("LSTM", ("", "-0.002", "-0.004", "-0.016")))
           for rate in rates]
        + [f"{name}-{steps}-{seed}" for name in ("decoder", "LSTM")
           for steps in (2, 8) for seed in (1, 2)]
    )  # fmt: skip
    record = json.loads((small / "decoder-8-2.json").read_text())
    assert record["recipe"]["seed"] == 2 and record["characters_seen"] == 8 * 32
    assert [step for step, _ in record["curve"]] == [4, 8]
    assert 0 <= record["copied"] <= 1
    network = result["networks"]["LSTM"]
    assert {steps: len(runs) for steps, runs in network["runs"].items()} == {2: 2, 8: 2}
    assert list(network["rates"]) == [0.002, 0.004, 0.016]
    assert min(result["n-grams"].values()) < max(result["n-grams"].values())
    assert "LSTM" in characters.table(result)
    # what is recorded is kept
    file = small / "LSTM-8-1.json"
    file.write_text(file.read_text().replace('"copied": ', '"copied": 0.5, "was": '))
    characters.run(seeds=2, resume=True)
    assert json.loads(file.read_text())["copied"] == 0.5


def test_records_of_another_text_are_refused(small):
    characters.run(seeds=1)
    file = small / "n-grams.json"
    other = json.loads(file.read_text())
    other["corpus"]["training"] += 1
    file.write_text(json.dumps(other))
    with pytest.raises(SystemExit, match=r"another text than n-grams\.json: train"):
        characters.collected(small)
    file.unlink()
    with pytest.raises(SystemExit, match="holds no n-grams: run python -m benchmarks"):
        characters.collected(small)


def test_speed_of_training_and_of_composing(monkeypatch):
    for module in (train_text, compose):
        monkeypatch.setattr(module, "configured", tiny)
    monkeypatch.setattr(compose, "CHARACTERS", 10)
    trained = train_text.run(rounds=1)
    assert [row.name for row in trained.rows] == [
        train_text.PLAIN, train_text.DECODER, train_text.LSTM, train_text.TORCH
    ]  # fmt: skip
    (difference,) = trained.notes.values()
    assert difference < 1e-5
    composed = compose.run(rounds=1)
    assert composed.baseline == compose.PLAIN and len(composed.rows) == 5


def test_the_plain_gpt_is_no_decoder_that_differs(monkeypatch):
    monkeypatch.setattr(compose, "configured", tiny)
    monkeypatch.setattr(compose, "CHARACTERS", 10)
    monkeypatch.setattr(compose, "read_again", lambda network, text: text)
    with pytest.raises(RuntimeError, match="compose different texts"):
        compose.run(rounds=1)
