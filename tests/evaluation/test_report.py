"""The whole evaluation: which lines it takes, what it reports, what it refuses."""

from __future__ import annotations

import dataclasses
import inspect
import json

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.corpora import load_corpus
from handwriting_lib.data.transforms import Limits
from handwriting_lib.evaluation import report as evaluation
from handwriting_lib.evaluation.report import (
    PARTS,
    EvaluationSettings,
    HeldOut,
    alignments,
    choose_lines,
    evaluate,
    held_out_lines,
    to_table,
)
from handwriting_lib.ink import Corpus
from handwriting_lib.networks.prediction import PredictionConfig, PredictionNetwork
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.training.config import TrainingConfig
from handwriting_lib.training.ink import prepare_data

LIMITS = Limits(max_points=600, min_characters=3)


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("synthetic", samples=150, seed=7, writers=30)


@pytest.fixture(scope="module")
def model():
    """An untrained network, saved with limits of its own."""
    torch.manual_seed(0)
    network = SynthesisNetwork(SynthesisConfig(hidden=8, layers=2, mixtures=2))
    about = {"config": json.loads(json.dumps({"limits": dataclasses.asdict(LIMITS)}))}
    return hw.Model(network.eval(), about=about, name="tiny")


@pytest.fixture(scope="module")
def shipped():
    return hw.load_pretrained("unipen-184")


# --- which lines ------------------------------------------------------------------


def test_lines_are_those_of_training(model, corpus):
    config = TrainingConfig(limits=LIMITS, thinning=model.thinning)
    data = prepare_data(corpus, config)
    for split, samples in (("validation", data.validation), ("train", data.train)):
        found = held_out_lines(model, corpus, split).lines
        wanted = [s for s in samples if s.kind == "line"]
        assert [s.source for s in found] == [s.source for s in wanted] != []
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a.ink, b.ink)
    held_out = held_out_lines(model, corpus)
    writers = {s.writer for s in held_out.lines}
    assert not writers & {s.writer for s in data.train}


def test_new_texts_are_those_of_no_training_line(model, corpus):
    held_out = held_out_lines(model, corpus)
    theirs = {s.writer for s in held_out.lines}
    texts = {s.text for s in corpus.samples if s.writer not in theirs}
    assert not any(s.text in texts for s in held_out.lines if held_out.is_new(s))
    line = held_out.lines[0]
    assert not HeldOut([], frozenset({"itis5"})).is_new(line.replace(text="It is, 5!"))


def test_a_corpus_may_have_a_validation_side_of_its_own(model, corpus):
    first, second = corpus.samples[:60], corpus.samples[60:90]
    found = held_out_lines(
        model, Corpus("a", first), validation=Corpus("b", second)
    ).lines
    assert {s.source for s in found} <= {s.source for s in second}


def test_no_lines_are_an_error(model, corpus):
    with pytest.raises(ValueError, match="validation side of x has no line"):
        held_out_lines(model, Corpus("x", []))
    with pytest.raises(ValueError, match="not 'test'"):
        held_out_lines(model, corpus, "test")


def test_chosen_lines_give_each_writer_a_turn(scribble):
    many = [scribble(f"text number {i:02}", 90, "many", seed=i) for i in range(20)]
    few = [scribble(f"another one {i:02}", 90, f"w{i}", seed=i) for i in range(3)]
    same = [scribble("text number 03", 90, "w4"), scribble("short", 90, "w5")]
    chosen = choose_lines([*many, *few, *same], seed=1)
    texts = [s.text for s in chosen]
    assert len(texts) == len(set(texts)) == 23
    assert "short" not in texts
    turns = {s.writer for s in chosen[:4]}
    assert turns >= {"w0", "w1", "w2", "many"} or turns >= {"w4"}
    again = choose_lines([*same, *few, *many], seed=1)
    assert {s.text for s in again} == set(texts)
    assert [s.text for s in choose_lines(many, seed=2)] != [
        s.text for s in choose_lines(many, seed=1)
    ]


def test_alignment_is_by_donor_and_names_none(model, corpus):
    held_out = held_out_lines(model, corpus)
    lines = [
        s.replace(source=f"{'secret' if i % 2 else 'other'}/data#{i}")
        for i, s in enumerate(held_out.lines)
    ]
    known = frozenset({evaluation.letters(lines[0].text)})
    found = alignments(model, HeldOut(lines, known))
    assert not any("secret" in name or "other" in name for name in found)
    assert found["all texts"].lines == len(lines)
    assert found["new texts"].lines == sum(
        evaluation.letters(s.text) not in known for s in lines
    )
    donors = [found[f"all texts, donor {n}"] for n in (1, 2)]
    assert sum(d.points for d in donors) == found["all texts"].points
    weighted = sum(d.points * d.exact for d in donors) / found["all texts"].points
    assert weighted == pytest.approx(found["all texts"].exact)
    assert alignments(model, HeldOut([], known)) == {}


# --- the whole --------------------------------------------------------------------


def test_settings_are_the_defaults_of_write():
    defaults = inspect.signature(hw.write).parameters
    for name in ("bias", "temperature", "seed", "redraws"):
        assert getattr(EvaluationSettings(), name) == defaults[name].default, name
    assert EvaluationSettings().style == "any"  # what a model does without a line


@pytest.mark.slow
def test_evaluate_measures_every_part(shipped, corpus, tmp_path):
    settings = EvaluationSettings(texts=4, lines=7, redraws=2)
    report = evaluate(shipped, corpus, settings)
    assert json.loads(json.dumps(report))["counts"] == report["counts"]
    measured = report["measures"]
    assert tuple(measured) == PARTS
    assert measured["completeness"]["lines"] == 7
    assert measured["pace"]["lines"] == 4
    assert measured["legibility"]["human"]["lines"] == 4
    # synthetic lines are print: they are read well, and the network knows them
    assert measured["legibility"]["human"]["mean"]["value"] < 0.4
    assert measured["alignment"]["all texts"]["exact"] > 0.6
    assert measured["likelihood"]["lines"] == report["counts"]["lines"]
    assert set(measured["styles"]) == set(hw.style_names(shipped))
    table = to_table(report)
    for part in PARTS:
        assert f"\n{part}\n" in table
    assert max(map(len, table.splitlines())) <= 120
    # what is measured alone is the same
    alone = evaluate(shipped, corpus, settings, ["legibility"])
    assert alone["measures"]["legibility"] == measured["legibility"]


def test_evaluate_refuses_what_it_cannot_measure(model, corpus):
    with pytest.raises(ValueError, match="no part 'beauty'"):
        evaluate(model, corpus, parts=["likelihood", "beauty"])
    with pytest.raises(ValueError, match="at least one text"):
        evaluate(model, corpus, EvaluationSettings(texts=0))
    with pytest.raises(ValueError, match="900 to 901 characters"):
        evaluate(model, corpus, EvaluationSettings(lengths=(900, 901)), ["pace"])
    other = hw.Model(PredictionNetwork(PredictionConfig(hidden=8)), name="silent")
    with pytest.raises(ValueError, match="silent is a prediction model"):
        evaluate(other, corpus)
    report = evaluate(other, corpus, parts=["likelihood"])
    assert report["measures"]["likelihood"]["points"] > 1000


# --- the command ------------------------------------------------------------------


def test_command_prints_a_table_and_writes_json(model, corpus, tmp_path, capsys):
    weights, file, ink = (
        tmp_path / n for n in ("tiny.safetensors", "r.json", "i.json")
    )
    hw.save_model(model, weights)
    from handwriting_lib.corpora.collected import save

    save(corpus.samples, ink)
    command = ["evaluate", "--model", str(weights), "--corpus", str(ink)]
    command += ["--only", "likelihood, alignment", "--seed", "3", "--json", str(file)]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "nats per point" in table and "all texts" in table
    report = json.loads(file.read_text())
    assert report["command"].startswith("handwriting evaluate --model tiny --corpus")
    assert report["command"].endswith("--only likelihood,alignment")
    assert "--seed 3" in report["command"]
    # what goes into the book must not tell where files lay
    assert str(tmp_path) not in file.read_text()
    assert report["settings"]["seed"] == 3
    assert list(report["measures"]) == ["likelihood", "alignment"]
    assert table.rstrip() == to_table(report)


def test_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["evaluate", "--json", str(tmp_path / "no" / "r.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    command = ["evaluate", "--corpus", "synthetic", "--only", "beauty"]
    assert main(command) == 2
    assert "no part 'beauty'" in capsys.readouterr().err
