"""The task of the cursive decoder: what a batch holds, what is held out, learning."""

import dataclasses

import pytest
import torch

from handwriting_lib.alphabet import decode
from handwriting_lib.corpora import load_corpus
from handwriting_lib.data.joining import Joined
from handwriting_lib.files.models import load_model
from handwriting_lib.ink import Corpus, Sample
from handwriting_lib.networks import build_network
from handwriting_lib.systems import fit, task_of
from handwriting_lib.tokens.strokes import StrokeTokens
from handwriting_lib.training.config import ConfigError, Recipe, TrainingConfig
from handwriting_lib.training.cursive import (
    CursiveTask,
    aligned_head,
    disturbed,
    make_stroke_batch,
    measure,
    prepare_words,
    token_losses,
)
from tests.training.tiny import assert_same_losses, losses

SIZES = {"width": 24, "layers": 2, "heads": 2}
CPU = torch.device("cpu")


def config(task=None, dropout=0.0, **recipe):
    recipe = {
        "steps": 12, "points_per_batch": 300, "optimiser": "adamw", "warmup_steps": 5,
        "learning_rate": 1e-2, "clip_norm": 1.0, "word_share": (0.5, 0.5),
        "validate_every": 6, "validation_batches": 2,
    } | recipe  # fmt: skip
    return TrainingConfig("cursive", SIZES | {"dropout": dropout},
                          recipe=Recipe(**recipe), task=task or {})  # fmt: skip


@pytest.fixture(scope="module")
def words():
    texts = ["an", "oval", "tin", "(", "hand", "by two"]
    corpus = load_corpus("synthetic", samples=120, seed=2, kinds=("word",), texts=texts)
    return prepare_words(corpus, config())


def test_writers_are_held_out_and_words_are_words(words):
    sides = [{s.writer for s in side} for side in (words.train, words.validation)]
    assert all(sides) and not sides[0] & sides[1]
    assert not [s for s in words.train if " " in s.text]


def test_a_batch_is_decided_by_its_step(words):
    task = CursiveTask(config(), words)
    first, again = task.batch(3), CursiveTask(config(), words).batch(3)
    assert torch.equal(first.pairs, again.pairs)
    assert not torch.equal(first.pairs[0, :5], task.batch(4).pairs[0, :5])


def test_combinations_have_their_words_and_marks(words):
    task = CursiveTask(config({"words": [3, 3]}, word_share=(0.0, 0.0)), words)
    tokens = task.tokens
    for step in range(4):
        batch = task.batch(step)
        for pairs, mask, text in zip(batch.pairs, batch.mask, batch.text, strict=True):
            spelt = decode(text).split(" ")
            angle = pairs[1:, 0][mask]
            assert len(spelt) == 3 and "(" not in spelt
            assert (angle == tokens.word).sum() == 2
            assert (angle == tokens.end).sum() == 1 and angle[-1] == tokens.end
            # a word ends where the pen is lifted
            before = pairs[:-1][mask][angle >= tokens.angles]
            assert (before[:, 1] % 2 == 1).all()
            tokens.decode(pairs[:-1][mask])


def test_words_are_drawn_anew(words):
    task = CursiveTask(config(word_share=(1.0, 1.0)), words)
    counts = {len(task.batch(step).pairs[0]) for step in range(8)}
    assert len(counts) > 2
    loose = CursiveTask(config({"thinning_spread": 3.0}), words)
    points = [loose.batch(step).targets for step in range(6)]
    assert max(points) > 1.5 * min(points)


def test_padding_is_never_a_target():
    # a loss over padding looks better the more a batch is padded
    ink = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    long = torch.cat([ink[:2], ink[1:2].repeat(9, 1), ink[2:]])
    tokens, net = StrokeTokens(), task_net()
    alone = make_stroke_batch([Joined(ink, [])], ["l"], tokens)
    both = make_stroke_batch([Joined(ink, []), Joined(long, [])], ["l", "to"], tokens)
    assert alone.targets == 3 and both.targets == 3 + 12
    one, two = token_losses(net, alone), token_losses(net, both)
    torch.testing.assert_close(two.angles[0, :3], one.angles[0])
    torch.testing.assert_close(two.shots[0, :3], one.shots[0])
    assert two.angles[0, 3:].abs().max() == 0 == two.shots[0, 2:].abs().max()


def task_net():
    torch.manual_seed(1)
    return build_network("cursive", SIZES).eval()


def signs(count):
    """Words of two signs, each with a way of its own: the text says what comes next."""
    ways = {"h": [0.5, 0.0], "v": [0.0, 0.5], "o": [-0.35, 0.35], "q": [0.35, -0.35]}
    generator = torch.Generator().manual_seed(5)
    made = []
    for i in range(count):
        text = "".join("hvoq"[int(torch.randint(4, (1,), generator=generator))]
                       for _ in range(2))  # fmt: skip
        rows = [[0.0, 0.0, 0.0]]
        for c in text:
            rows += [[*ways[c], 0.0]] * 6 + [[1.0, 0.0, 0.0]]
        rows[-1][2] = 1.0
        made.append(Sample(text, torch.tensor(rows), f"w{i % 30}", f"#{i}", "word",
                           units="letter-body heights"))  # fmt: skip
    return Corpus("signs", made)


def test_it_learns_to_read_the_text():
    plain = dataclasses.replace(
        config({"thinning_spread": 1.0}, steps=120, word_share=(1.0, 1.0)),
        augmentation=dataclasses.replace(config().augmentation, slant=0.0, size=0.0,
                                         width=0.0),
    )  # fmt: skip
    data = prepare_words(signs(150), plain)
    task = CursiveTask(plain, data)
    net = task_net().train()
    optimiser = torch.optim.AdamW(net.parameters(), 5e-3)
    batches = task.held_out["words"]
    before = measure(net, batches, CPU)
    for step in range(60):
        loss = task.loss(net, task.batch(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    after = measure(net.eval(), batches, CPU)
    assert after.point < 0.3 * before.point
    assert after.without_text > after.point + 0.5
    assert abs(before.without_text - before.point) < 0.1


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_resumed_run_repeats_the_same_losses(words, tmp_path, dropout):
    made = config(dropout=dropout, decay_share=0.0)
    short = config(dropout=dropout, decay_share=0.0, steps=6)
    fit(CursiveTask(made, words), tmp_path / "whole", quiet=True)
    fit(CursiveTask(short, words), tmp_path / "cut", quiet=True)
    fit(CursiveTask(made, words), tmp_path / "cut", resume=True, quiet=True)
    assert_same_losses(losses(tmp_path / "whole"), losses(tmp_path / "cut"))
    model = load_model(tmp_path / "cut" / "best.safetensors")
    assert model.kind == "cursive" and model.thinning == made.thinning
    assert model.about["validation_nats_per_point"] < 9.2


def test_synthetic_words_are_mixed_in(words):
    made = config(synthetic_share=1.0)
    made = dataclasses.replace(
        made, synthetic={"samples": 20, "texts": ["zebra"], "writers": 3}
    )
    batch = CursiveTask(made, words).batch(0)
    assert {decode(row).split(" ")[0] for row in batch.text} == {"zebra"}


@pytest.mark.parametrize(
    ("task", "recipe", "told"),
    [
        ({"word": 3}, {}, "word"),
        ({"words": [1, 4]}, {}, "words"),
        ({"thinning_spread": 0.5}, {}, "thinning_spread"),
        ({"noise": 2}, {}, "noise must be from 0 to 1"),
        ({}, {"clip_derivatives": True}, "clip_derivatives"),
        ({}, {"character_share": 0.1}, "character_share"),
    ],
)
def test_wrong_settings_are_named(words, task, recipe, told):
    with pytest.raises(ConfigError, match=told):
        CursiveTask(config(task, **recipe), words)


def test_a_corpus_without_words_is_refused():
    lines = load_corpus("synthetic", samples=4, seed=1)
    with pytest.raises(ConfigError, match="words"):
        task_of(config(), prepare_words(lines, config()))


def test_the_head_that_follows_the_characters(words):
    """One that looks where a perfect one would look is found among others."""
    task = CursiveTask(config(), words)
    known = task.aligned
    assert all(word.character_of_point is not None for word in known)

    class Knowing(torch.nn.Module):
        tokens, offsets = StrokeTokens(), torch.zeros(1)

        def attention_maps(self, pairs, text, text_mask):
            maps = torch.zeros(len(pairs), 2, 3, pairs.shape[1], text.shape[1])
            maps[..., 0] = 0.5
            for i, word in enumerate(known):
                at = word.character_of_point[1:]
                maps[i, 1, 2, torch.arange(len(at)), at] = 1.0
            return maps

    assert aligned_head(Knowing(), known) == (1, 2)


def test_a_batch_gives_its_lines_back(words):
    task = CursiveTask(config(), words)
    lines, texts = task.drawn(5)
    for line, text, (pairs, said) in zip(
        lines, texts, task.batch(5).lines, strict=True
    ):
        assert said == text
        assert torch.equal(pairs, task.tokens.encode(line.ink, line.word_ends))


def test_noise_moves_what_is_read_and_not_what_is_asked_for(words):
    task = CursiveTask(config({"noise": 0.5}), words)
    batch, tokens = task.batch(3), task.tokens
    torch.manual_seed(1)
    read = disturbed(batch.pairs, 0.5, tokens)
    moved = (read != batch.pairs).any(-1)
    is_point = batch.pairs[..., 0] < tokens.angles
    assert not (moved & ~is_point).any()
    assert 0.35 < moved[is_point].float().mean() < 0.5  # some are moved by no bin
    assert torch.equal(read[..., 1] % 2, batch.pairs[..., 1] % 2)  # the pen
    turn = (read - batch.pairs)[..., 0][moved] % tokens.angles
    assert (turn.minimum(tokens.angles - turn) < 20).all()
    assert int(read[is_point][:, 1].max()) < 2 * tokens.radii
    network = build_network("cursive", task.config.model)
    clear = CursiveTask(config(), words)
    assert task.loss(network, batch) != clear.loss(network, batch)
    assert task.validate(network, CPU) == clear.validate(network, CPU)
