"""A system is a file and a line in two tables: shown by a fifth one, `toy_system`."""

import json

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.networks import NETWORKS
from handwriting_lib.systems import SYSTEMS, System, exporter_of, writer_of
from tests.toy_system import Pairs, PairsTask, Vocabulary

TEXT = "the quick brown fox jumps over the lazy dog " * 40


@pytest.fixture(autouse=True)
def a_fifth_system(monkeypatch):
    """Its line in each table."""
    monkeypatch.setitem(NETWORKS, "pairs", Pairs)
    monkeypatch.setitem(SYSTEMS, "pairs", System(PairsTask))


@pytest.fixture
def config(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    file = tmp_path / "pairs.toml"
    file.write_text(
        f'network = "pairs"\ncorpus = "{(tmp_path / "text.txt").as_posix()}"\n'
        "[recipe]\nsteps = 60\nlearning_rate = 0.1\nwarmup_steps = 1\n"
        "validate_every = 20\n"
    )
    return file


def test_every_kind_of_network_is_a_system():
    assert set(NETWORKS) == set(SYSTEMS)
    assert all(kind == network.kind for kind, network in NETWORKS.items())


def test_it_trains_resumes_saves_and_loads(config, tmp_path, capsys):
    out = tmp_path / "run"
    train = ["train", str(config), "--out", str(out), "--device", "cpu"]
    assert main([*train, "--steps", "40"]) == 0
    assert main([*train, "--resume"]) == 0
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 61))
    losses = [line["validation"] for line in log if line["validation"]]
    assert losses[0] > losses[-1] and losses[-1] < 1.5
    model = hw.load_model(out / "model.safetensors")
    assert model.kind == "pairs" and model.carried == {"vocabulary": Vocabulary()}
    assert model.about["validation_nats_per_letter"] == losses[-1]
    # after a q comes a u
    letters = Vocabulary().letters
    after_q = model.network.logits[letters.index("q")]
    assert letters[int(after_q.argmax())] == "u"
    hw.save_model(model, tmp_path / "again.safetensors")
    again = hw.load_model(tmp_path / "again.safetensors")
    assert again.fingerprint() == model.fingerprint()


def test_it_trains_from_python_as_the_others_do(config, tmp_path):
    read = hw.read_config(config)
    model = hw.train(read, TEXT, tmp_path / "python", quiet=True)
    assert model.about["steps"] == 60


def test_it_is_listed(tmp_path, capsys):
    file = tmp_path / "other.toml"
    file.write_text('network = "triples"\n')
    assert main(["train", str(file), "--out", str(tmp_path / "r")]) == 2
    told = capsys.readouterr().err
    assert (
        "'triples'" in told
        and "character, character-lstm, cursive, feedforward, glyph, pairs, "
        "prediction, recurrent, synthesis"
        in told
    )


def test_it_is_refused_where_it_cannot_serve(tmp_path, capsys):
    model, ink = hw.Model(Pairs(Vocabulary()), name="letters"), torch.zeros(4, 3)
    file = tmp_path / "letters.safetensors"
    hw.save_model(model, file)
    for refused in (
        lambda: hw.write("a", model),
        lambda: hw.write_unconditional(model),
        lambda: writer_of(model),
        lambda: exporter_of(model, "onnx"),
        lambda: hw.browser_pack(model),
        lambda: hw.onnx_step(model),
        lambda: hw.Studio(model),
        lambda: hw.make_style(model, hw.Sample("a", ink, "w", "test")),
        lambda: hw.evaluate(model, hw.load_corpus("synthetic", samples=60, seed=1)),
        lambda: hw.widgets.GateTraces(ink, model),
        lambda: hw.Player(ink, model),
        lambda: model.normalisation,
    ):
        with pytest.raises(hw.HandwritingError, match=r"pairs|letters"):
            refused()
    for command in (
        ["write", "a", "--model", str(file)],
        ["export", "--model", str(file), "--onnx", str(tmp_path / "x.onnx")],
        ["export", "--model", str(file), "--browser", str(tmp_path / "x.bin")],
        ["evaluate", "--model", str(file), "--corpus", "synthetic"],
    ):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert "pairs" in told and "Traceback" not in told
