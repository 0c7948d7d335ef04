"""The task of networks over characters: batches, dropout, early stopping, errors."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.corpora.text import TextCorpus
from handwriting_lib.files.checkpoints import load_checkpoint
from handwriting_lib.files.models import load_model
from handwriting_lib.systems import train
from handwriting_lib.training.config import ConfigError, Recipe, TrainingConfig
from handwriting_lib.training.text import (
    TextTask,
    consecutive_pieces,
    text_loss,
)
from tests.training.tiny import assert_same_losses, log_of, losses, validations

ROOT = Path(__file__).parents[2]
TEXT = TextCorpus("abc", "the cat sat on the mat and ate the hat. " * 30)
NOISE = TextCorpus("noise", "".join(
    "abcdefgh"[i] for i in
    torch.randint(8, (900,), generator=torch.Generator().manual_seed(1)).tolist()
))  # fmt: skip
SIZES = {
    "character": {"width": 16, "layers": 2, "heads": 2, "block": 12},
    "character-lstm": {"width": 16, "layers": 1, "block": 12},
}


def config(network="character", dropout=0.0, **recipe):
    recipe = {
        "steps": 30, "points_per_batch": 48, "optimiser": "adamw", "warmup_steps": 5,
        "learning_rate": 1e-2, "decay_share": 1.0, "final_rate_share": 0.1,
        "clip_norm": 1.0, "validate_every": 10, "validation_batches": 99,
    } | recipe  # fmt: skip
    sizes = SIZES[network] | {"dropout": dropout}
    return TrainingConfig(network, sizes, "abc.txt", recipe=Recipe(**recipe))


@pytest.mark.parametrize("matmul_dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", SIZES)
def test_the_loss_falls(tmp_path, device, network, matmul_dtype):
    how = config(network, steps=60, matmul_dtype=matmul_dtype)
    model = train(how, TEXT, tmp_path, quiet=True, device=device)
    held_out = validations(tmp_path)
    assert list(held_out) == [10, 20, 30, 40, 50, 60]
    assert held_out[60] < 1.2 < 2.0 < log_of(tmp_path)[0]["loss"]
    assert model.kind == network and not model.network.training
    read = load_model(tmp_path / "model.safetensors")
    assert read.fingerprint() == model.fingerprint()
    assert read.carried["vocabulary"].characters == " .acdehmnost"
    assert read.network.config.symbols == 12
    assert read.about["validation_nats_per_character"] == held_out[60]


def test_the_rate_falls_by_a_cosine_to_a_tenth():
    recipe = config(steps=1000, warmup_steps=0).recipe
    rates = [recipe.learning_rate_at(step) for step in (0, 500, 999)]
    assert rates == pytest.approx([1e-2, 5.5e-3, 1e-3], rel=1e-3)


@pytest.mark.parametrize("network", SIZES)
def test_dropout_is_the_same_in_a_run_that_was_resumed(tmp_path, network):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    how = config(network, dropout=0.4, steps=9, validate_every=4)
    train(how, TEXT, whole, quiet=True)
    for part in range(9):
        torch.manual_seed(part)  # whatever the caller's generator does meanwhile
        torch.rand(part)
        # so little time that each call makes one step
        train(how, TEXT, parts, quiet=True, minutes=1e-9, resume=part > 0)
    train(how, TEXT, parts, quiet=True, resume=True)
    assert_same_losses(losses(parts), losses(whole))
    assert validations(parts) == pytest.approx(validations(whole), rel=1e-6)


def test_dropout_differs_from_step_to_step_and_leaves_the_caller_s_generator():
    task = TextTask(config(dropout=0.4), TEXT)
    network = hw.networks.build_network("character", task.config.model)
    batch, before = task.batch(3), torch.random.get_rng_state()
    one, same = (float(task.loss(network, batch).detach()) for _ in range(2))
    other = dataclasses.replace(batch, seed=task.batch(4).seed)
    assert one == same != float(task.loss(network, other).detach())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_batches_come_from_anywhere_before_the_border():
    text = "ab" * 40 + "cd" * 40 + "ef" * 10 + "Z" * 20  # the last fifth
    task = TextTask(config(points_per_batch=480), TextCorpus("x", text))
    known = task.vocabulary.encode(text[: len(text) * 9 // 10])
    starts = set()
    for step in range(40):
        batch = task.batch(step)
        assert len(batch) == 40 and batch.targets == 480
        assert torch.equal(batch.text, task.batch(step).text)
        assert not torch.equal(batch.text, task.batch(step + 1).text)
        for row in batch.text:
            places = (known.unfold(0, 13, 1) == row).all(1).nonzero()
            assert len(places)
            starts |= {int(places[0]), int(places[-1])}
    assert 0 in starts and len(known) - 13 in starts


def test_a_process_takes_its_pieces_and_a_dropout_of_its_own():
    batch = TextTask(config(), TEXT).batch(0)
    shares = [batch.every(2, first) for first in range(2)]
    for first, share in enumerate(shares):
        assert torch.equal(share.text, batch.text[first::2])
    assert shares[0].seed == batch.seed != shares[1].seed
    assert sum(share.targets for share in shares) == batch.targets


@pytest.mark.parametrize("length", [2, 3, 12, 13, 14, 24, 25, 26, 100])
def test_every_held_out_character_but_the_first_is_asked_for_once(length):
    text = torch.arange(length)
    pieces = consecutive_pieces(text, 12, 3)
    assert all(len(batch) <= 3 and batch.shape[1] <= 13 for batch in pieces)
    assert torch.cat([batch[:, 1:].flatten() for batch in pieces]).equal(text[1:])


def test_validation_is_the_mean_over_the_held_out_text():
    task = TextTask(config("character-lstm"), TEXT)
    network = hw.networks.build_network("character-lstm", task.config.model).eval()
    held_out = task.vocabulary.encode(TEXT.split()[1])
    total = 0.0
    with torch.no_grad():
        for first in range(0, len(held_out) - 1, 12):
            piece = held_out[first : first + 13][None]
            log_p = network(piece[:, :-1]).logits.log_softmax(-1)  # (1, T, V)
            total -= float(log_p[0].gather(1, piece[0, 1:, None]).sum())
    wanted = total / (len(held_out) - 1)
    cpu = torch.device("cpu")
    assert task.validate(network, cpu) == pytest.approx(wanted, rel=1e-5)
    few = TextTask(config("character-lstm", validation_batches=2), TEXT)
    assert len(few.held_out) == 2 < len(task.held_out)
    assert torch.equal(few.held_out[0], task.held_out[0])


def test_a_compiled_network_leaves_the_same_gradients(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: network)
    task = TextTask(config(dropout=0.3), TEXT)
    network = hw.networks.build_network("character", task.config.model)
    batch = task.batch(0)
    loss = task.recorded(network)(batch, 2.0)
    recorded = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    (2.0 * task.loss(network, batch)).backward()
    torch.testing.assert_close(recorded, [w.grad for w in network.parameters()])
    torch.testing.assert_close(loss, task.loss(network, batch).detach())


# --- early stopping ------------------------------------------------------------------


def test_training_stops_when_the_held_out_text_says_so(tmp_path):
    how = config(steps=400, validate_every=5, patience=3)
    model = train(how, NOISE, tmp_path, quiet=True)
    held_out = validations(tmp_path)
    best = min(held_out, key=held_out.get)
    assert model.about["steps"] == best + 15 < 400
    assert load_model(tmp_path / "best.safetensors").about["steps"] == best
    before = losses(tmp_path)
    again = train(how, NOISE, tmp_path, quiet=True, resume=True)
    assert again.about["steps"] == best + 15 and losses(tmp_path) == before


def test_patience_goes_on_where_a_run_was_interrupted(tmp_path):
    how = config(steps=400, validate_every=5, patience=3)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    end = train(how, NOISE, whole, quiet=True).about["steps"]
    resume = False
    while not resume or load_checkpoint(parts / "checkpoint.safetensors")["step"] < end:
        train(how, NOISE, parts, quiet=True, minutes=2e-3, resume=resume)
        resume = True
    train(how, NOISE, parts, quiet=True, resume=True)
    assert_same_losses(losses(parts), losses(whole))


def test_without_patience_it_goes_on_to_the_end(tmp_path):
    model = train(config(steps=40, validate_every=2), NOISE, tmp_path, quiet=True)
    assert model.about["steps"] == 40


# --- the command line ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["character-book", "character-lstm-book"])
def test_the_configurations_train_from_the_command_line(tmp_path, name):
    # the recipe as it is, on sizes that a test has time for
    toml = (ROOT / f"configs/{name}.toml").read_text()
    for old, new in (("width = 168", "width = 12"), ("width = 296", "width = 12"),
                     ("block = 256", "block = 32"), ("= 4096", "= 64")):  # fmt: skip
        toml = toml.replace(old, new)
    (tmp_path / "small.toml").write_text(toml)
    train = ["train", str(tmp_path / "small.toml"), "--out", str(tmp_path / "run")]
    assert main([*train, "--steps", "2", "--device", "cpu"]) == 0
    assert main([*train, "--steps", "3", "--device", "cpu", "--resume"]) == 0
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert model.about["steps"] == 3 and model.about["config"]["corpus"] == "book"


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("character*.toml")))
def test_the_configurations_fit_the_book(file):
    task = TextTask.load(hw.read_config(file))
    assert task.batch(0).text.shape == (task.size, 257)
    vocabulary = task.vocabulary
    assert len(vocabulary) == task.config.model["symbols"]


@pytest.mark.slow
def test_two_processes_reach_the_losses_of_one(tmp_path):
    (tmp_path / "abc.txt").write_text(TEXT.text)
    toml = tmp_path / "c.toml"
    toml.write_text(
        f'network = "character"\ncorpus = "{(tmp_path / "abc.txt").as_posix()}"\n'
        "[model]\nwidth = 16\nlayers = 2\nheads = 2\nblock = 12\ndropout = 0.0\n"
        '[recipe]\nsteps = 6\npoints_per_batch = 48\noptimiser = "adamw"\n'
        "validate_every = 2\npatience = 1\n"
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, before in (("one", []), ("two", launch)):
        command = [sys.executable, *before, "-m", "handwriting_lib", "train", str(toml)]
        done = subprocess.run(
            [*command, "--out", str(tmp_path / name), "--device", "cpu"],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) > 1
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


# --- what does not fit ---------------------------------------------------------------


def test_a_text_shorter_than_a_block_is_refused(tmp_path, capsys):
    with pytest.raises(ConfigError, match="abc has 13 characters, of which 12 are for"):
        TextTask(config(), TextCorpus("abc", "a" * 13))
    TextTask(config(), TextCorpus("abc", "a" * 16))
    file = tmp_path / "short.txt"
    file.write_text("too short")
    toml = str(ROOT / "configs/character-book.toml")
    out = str(tmp_path / "run")
    assert main(["train", toml, "--corpus", str(file), "--out", out]) == 2
    told = capsys.readouterr().err
    assert "a block of 256 needs more of them" in told and told.count("\n") == 1


def test_options_that_a_text_lacks_are_refused():
    how = dataclasses.replace(config(), corpus="book", corpus_options={"samples": 3})
    with pytest.raises(ConfigError, match="no option 'samples'"):
        TextTask.load(how)
    with pytest.raises(ConfigError, match="clip_derivatives is for networks over ink"):
        TextTask(config(clip_derivatives=True), TEXT)
    wrong = dataclasses.replace(config(), model={"points": 3})
    with pytest.raises(ValueError, match="configuration of a character network"):
        TextTask(wrong, TEXT)


def test_training_goes_on_with_the_vocabulary_of_the_model_it_starts_from(tmp_path):
    train(config(steps=2), TEXT, tmp_path / "first", quiet=True)
    start = str(tmp_path / "first" / "model.safetensors")
    how = dataclasses.replace(config(steps=2), init_from=start)
    other = TextCorpus("other", "the hat sat " * 40)
    model = train(how, other, tmp_path / "second", quiet=True)
    assert model.carried["vocabulary"].characters == " .acdehmnost"
    with pytest.raises(ValueError, match=r"never read: 'x' .* at position 5"):
        TextTask(how, TextCorpus("other", "the xat " * 40))


def test_training_may_go_on_with_another_dropout(tmp_path):
    first = train(config(steps=2), TEXT, tmp_path / "first", quiet=True)
    how = dataclasses.replace(
        config(steps=1, learning_rate=1e-9),
        init_from=str(tmp_path / "first" / "model.safetensors"),
        model={**config().model, "dropout": 0.35},
    )  # fmt: skip
    model = train(how, TEXT, tmp_path / "second", quiet=True)
    assert model.network.config.dropout == 0.35
    for one, two in zip(
        first.network.parameters(), model.network.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two, atol=1e-7, rtol=1e-6)


def test_a_loss_that_is_no_number_stops(tmp_path):
    network = hw.networks.build_network("character", SIZES["character"])
    nn.init.constant_(network.output.bias, float("nan"))
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        text_loss(network, torch.zeros(1, 4, dtype=torch.int64))


def test_the_log_is_that_of_every_task(tmp_path):
    train(config(steps=3), TEXT, tmp_path, quiet=True)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["points"] for line in lines] == [48, 96, 144]
