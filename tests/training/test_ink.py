"""The task over ink: its data, its batches and its loss."""

import dataclasses
import logging

import pytest
import torch

from handwriting_lib.data.batches import make_batch
from handwriting_lib.data.transforms import (
    Limits,
    Thinning,
)
from handwriting_lib.ink import Corpus
from handwriting_lib.parts.mixture import StrokeMixture
from handwriting_lib.training.config import (
    ConfigError,
    Recipe,
    TrainingConfig,
)
from handwriting_lib.training.ink import (
    InkTask,
    batch_loss,
    prepare_data,
    validate,
)
from tests.training.tiny import config, data, networks, zigzag

# --- what batches are made of --------------------------------------------------------


def kinds_drawn(batches, steps=600):
    """How often each kind of sample fills a batch."""
    seen = {}
    for step in range(steps):
        text = batches.batch(step).text[0]
        letters = "".join(chr(31 + int(i)) for i in text if i)
        seen[letters] = seen.get(letters, 0) + 1
    return {key: count / steps for key, count in seen.items()}


def test_characters_and_synthetic_lines_are_mixed_in_by_their_shares():
    some = data()
    some.train.extend(zigzag("x", i, "character") for i in range(6))
    some.synthetic.extend(zigzag("made up", i, "line") for i in range(6))
    recipe = {"word_share": (0.5, 0.5), "character_share": 0.2, "synthetic_share": 0.3}
    batches = InkTask(config(**recipe), some)
    shares = kinds_drawn(batches)
    wanted = {"x": 0.2, "made up": 0.3, "ab": 0.25, "ab ba": 0.25}
    assert shares == pytest.approx(wanted, abs=0.06)
    assert batches.targets == sum(
        len(s.ink) - 1 for s in [*some.train, *some.synthetic]
    )
    # and no share, no such batch, even where there are such samples
    batches = InkTask(config(word_share=(0.5, 0.5)), some)
    assert set(kinds_drawn(batches, 200)) == {"ab", "ab ba"}
    assert batches.targets == sum(len(s.ink) - 1 for s in data().train)
    # nor where a share is asked for and there are none
    batches = InkTask(config(**recipe), data())
    assert set(kinds_drawn(batches, 200)) == {"ab", "ab ba"}
    assert not any(
        s.kind == "character" or s.text == "made up" for s in some.validation
    )


def test_synthetic_lines_are_made_when_the_recipe_asks():
    how = TrainingConfig(thinning=Thinning(0.01, 0))
    assert prepare_data(Corpus("c", crowd(60)), how).synthetic == []
    how = dataclasses.replace(
        how, recipe=Recipe(synthetic_share=0.1), synthetic={"samples": 5, "seed": 4},
        limits=Limits(max_points=10_000, points_per_character=(1, 1000)),
    )  # fmt: skip
    prepared = prepare_data(Corpus("c", crowd(60)), how)
    assert len(prepared.synthetic) == 5
    assert all(s.source.startswith("synthetic:") for s in prepared.synthetic)
    held = {id(s) for s in [*prepared.train, *prepared.validation]}
    assert not held & {id(s) for s in prepared.synthetic}


def test_characters_of_writers_without_lines_are_left_out_and_logged(caplog):
    # their height is unknown, so they would be scaled wrongly
    lone = [zigzag("x", i, "character").replace(writer=f"lone{i}") for i in range(7)]
    kept = [zigzag("x", i, "character").replace(writer=f"w{i}") for i in range(60)]
    wide = TrainingConfig(thinning=Thinning(0.01, 0), limits=Limits(max_points=100))
    with caplog.at_level(logging.INFO, "handwriting_lib.training"):
        prepared = prepare_data(Corpus("c", [*crowd(60), *kept, *lone]), wide)
    assert "left out 7 samples: character of a writer without lines" in caplog.text
    everything = [*prepared.train, *prepared.validation]
    assert not any(s.writer.startswith("lone") for s in everything)
    assert sum(s.kind == "character" for s in everything) == 60


def test_an_official_validation_list_is_taken_as_it_is():
    raw = TrainingConfig(thinning=Thinning(0.01, 0))
    one = [s.replace(writer=f"a{s.writer}") for s in crowd(30)]
    other = [s.replace(writer=f"b{s.writer}") for s in crowd(20)]
    prepared = prepare_data(Corpus("one", one), raw, Corpus("other", other))
    assert sorted(s.source for s in prepared.train) == sorted(s.source for s in one)
    assert {s.writer[0] for s in prepared.train} == {"a"}
    assert len(prepared.validation) == 20
    assert {s.writer[0] for s in prepared.validation} == {"b"}


# --- losses ------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(3))
def test_a_loss_is_the_mean_over_the_points_of_all_lines(number):
    # others have counted the loss on padding
    network = networks()[number].double()
    samples = [zigzag("ab ba", 1, "line"), zigzag("ab", 2, "word")]
    samples = [s.replace(ink=s.ink.double()) for s in samples]
    together = batch_loss(network, make_batch(samples))
    alone = [batch_loss(network, make_batch([s])) for s in samples]
    counts = [len(s.ink) - 1 for s in samples]
    wanted = sum(a * n for a, n in zip(alone, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(together, wanted)


@torch.no_grad()
def test_the_loss_is_of_the_next_point():
    network = networks()[1]
    batch = make_batch([zigzag("ab ba", 1, "line")])
    wanted, state = 0.0, network.initial_state(1)
    for t in range(batch.ink.shape[1] - 1):
        output, state = network.step(batch.ink[:, t], state)
        mixture = StrokeMixture.from_output(output)
        wanted -= float(mixture.log_prob(batch.ink[:, t + 1]))
    loss = float(batch_loss(network, batch))
    assert loss == pytest.approx(wanted / (batch.ink.shape[1] - 1), rel=1e-5)


def test_validation_counts_points_not_batches():
    network = networks()[0]
    samples = [zigzag("ab ba ab ba", 1, "line"), zigzag("ab", 2, "word")]
    apart = [make_batch([s]) for s in samples]
    one = validate(network, [make_batch(samples)], torch.device("cpu"))
    assert validate(network, apart, torch.device("cpu")) == pytest.approx(one, rel=1e-5)


# --- data ---------------------------------------------------------------------------


def crowd(count):
    return [zigzag("ab ba", i, "line").replace(writer=f"w{i}") for i in range(count)]


def test_factors_are_measured_on_the_training_side():
    samples = crowd(60)
    raw = TrainingConfig(thinning=Thinning(0.01, 0))
    prepared = prepare_data(Corpus("c", samples), raw)
    assert not {s.writer for s in prepared.train} & {
        s.writer for s in prepared.validation
    }
    rows = torch.cat([s.ink[1:, :2] for s in prepared.train])
    assert prepared.normalisation.mean == pytest.approx(rows.mean(0).tolist(), abs=1e-5)
    assert prepared.normalisation.std == pytest.approx(rows.std(0).tolist(), rel=1e-5)


def test_a_corpus_that_leaves_one_side_empty_is_an_error():
    with pytest.raises(ConfigError, match=r"few leaves 0 .* and 0 for validation"):
        prepare_data(Corpus("few", []), TrainingConfig())
    limits = TrainingConfig(limits=Limits(max_points=2))
    with pytest.raises(ConfigError, match="wider limits"):
        prepare_data(Corpus("few", crowd(60)), limits)


# --- one writer alone ----------------------------------------------------------------


def by_one(count, texts):
    return [
        zigzag(texts[i % len(texts)], i, "line").replace(writer="me")
        for i in range(count)
    ]


def test_ink_by_one_writer_is_split_by_its_texts(caplog):
    texts = [c * 2 + " " + d for c in "abcd" for d in "wxyz"]
    how = TrainingConfig(thinning=Thinning(0.01, 0))
    with caplog.at_level(logging.INFO, "handwriting_lib.training"):
        prepared = prepare_data(Corpus("mine", by_one(48, texts)), how)
    assert "by one writer" in caplog.text
    sides = [{s.text for s in side} for side in (prepared.train, prepared.validation)]
    assert sides[1] and not sides[0] & sides[1]
    assert len(prepared.train) + len(prepared.validation) == 48


def test_a_single_text_cannot_be_split():
    how = TrainingConfig(thinning=Thinning(0.01, 0))
    with pytest.raises(ConfigError, match=r"leaves 5 samples .* 0 for validation"):
        prepare_data(Corpus("mine", by_one(5, ["ab"])), how)


def test_what_the_reader_left_out_is_said(caplog):
    how = TrainingConfig(thinning=Thinning(0.01, 0))
    skipped = {"text has characters outside the alphabet ('\u6f22')": 30}
    with caplog.at_level(logging.INFO, "handwriting_lib.training"):
        prepare_data(Corpus("c", crowd(60), skipped), how)
    assert "the reader left out 30 samples: text has characters" in caplog.text
    with pytest.raises(ConfigError, match="the reader left out 40: empty"):
        prepare_data(Corpus("c", [], {"empty": 40}), how)


def test_a_misspelt_entry_for_synthetic_lines_is_named():
    how = TrainingConfig(
        thinning=Thinning(0.01, 0), recipe=Recipe(synthetic_share=0.1),
        synthetic={"sample": 5},
    )  # fmt: skip
    with pytest.raises(ValueError, match="no option 'sample'"):
        prepare_data(Corpus("c", crowd(60)), how)
