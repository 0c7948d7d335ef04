"""The training loop: losses fall, runs resume, configurations that are wrong."""

import dataclasses
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from handwriting_lib.data.batches import make_batch
from handwriting_lib.files.checkpoints import load_checkpoint
from handwriting_lib.files.models import Model, ModelError, load_model, save_model
from handwriting_lib.networks.prediction import PredictionConfig, PredictionNetwork
from handwriting_lib.parts.mixture import StrokeMixture
from handwriting_lib.systems import train
from handwriting_lib.training import loop as training
from handwriting_lib.training.config import (
    ConfigError,
)
from handwriting_lib.training.ink import (
    DerivativeLimits,
    InkTask,
    batch_loss,
    validate,
)
from handwriting_lib.training.optim import (
    GravesRMSprop,
    WeightNoise,
    description_length,
)
from handwriting_lib.training.team import Team
from tests.training.tiny import (
    SIZES,
    assert_same_losses,
    config,
    data,
    log_of,
    losses,
    networks,
    validations,
    zigzag,
)

TESTS = Path(__file__).parent


# --- it learns -------------------------------------------------------------------


@pytest.mark.parametrize("matmul_dtype", ["float32", "bfloat16"])
def test_the_loss_falls(tmp_path, device, matmul_dtype):
    seen = []
    model = train(
        config(steps=80, matmul_dtype=matmul_dtype), data(), tmp_path, quiet=True,
        device=device, on_step=seen.append,
    )  # fmt: skip
    log = log_of(tmp_path)
    assert [line["step"] for line in log] == list(range(1, 81))
    assert [dataclasses.asdict(line) for line in seen] == log
    first, last = log[0]["loss"], sum(line["loss"] for line in log[-5:]) / 5
    assert last < first - 0.5
    held_out = validations(tmp_path)
    assert list(held_out) == list(range(5, 81, 5))
    assert held_out[80] < held_out[5] - 0.3
    assert all(math.isfinite(line["gradient_norm"]) for line in log)
    assert not model.network.training
    assert all(p.dtype == torch.float32 for p in model.network.parameters())


@pytest.mark.parametrize(
    ("network", "model"),
    [
        ("prediction", {"hidden": 8, "layers": 2, "mixtures": 2}),
        ("feedforward", {"points": 4, "hidden": 8, "mixtures": 2}),
    ],
)
def test_networks_without_a_text_train_too(tmp_path, network, model):
    train(config(network, model, steps=40), data(), tmp_path, quiet=True)
    log = log_of(tmp_path)
    assert log[-1]["loss"] < log[0]["loss"] - 0.2


def test_what_is_saved_is_what_was_trained(tmp_path):
    model = train(config(steps=7), data(), tmp_path, quiet=True)
    saved = load_model(tmp_path / "model.safetensors")
    assert saved.fingerprint() == model.fingerprint()
    assert saved.normalisation == data().normalisation
    assert saved.about["steps"] == 7
    last = log_of(tmp_path)[-1]
    assert saved.about["validation_nats_per_point"] == last["validation"]
    assert saved.about["points_seen"] == last["points"]
    assert saved.about["config"]["recipe"]["points_per_batch"] == 120
    again = [make_batch(data().validation[:2], saved.normalisation),
             make_batch(data().validation[2:], saved.normalisation)]  # fmt: skip
    loss = validate(saved.network, again, torch.device("cpu"))
    assert loss == pytest.approx(last["validation"], rel=1e-5)


def test_the_log_says_at_which_learning_rate_a_step_was_made(tmp_path):
    how = config(steps=8, warmup_steps=3)
    train(how, data(), tmp_path, quiet=True)
    rates = [how.recipe.learning_rate_at(step) for step in range(8)]
    assert [line["rate"] for line in log_of(tmp_path)] == rates
    assert len(set(rates)) > 3


def test_a_run_is_a_function_of_its_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(config(steps=4, seed=seed), data(), tmp_path / name, quiet=True)
    one, same, other = (losses(tmp_path / name) for name in "abc")
    assert_same_losses(one, same)
    assert one[0]["loss"] != other[0]["loss"]


# --- it stops and goes on --------------------------------------------------------


# what a recipe may need its checkpoint to keep
PAPER = {
    "optimiser": "rmsprop", "learning_rate": 1e-3, "clip_norm": 0.0,
    "clip_derivatives": True, "weight_noise": 0.05,
}  # fmt: skip
WAYS = {"adam": {}, "the paper's": PAPER,
        "muon": {"optimiser": "muon", "weight_noise": 0.01}}  # fmt: skip


def work(folder, resume=False, kill_after=None, way="adam"):
    """A training for another process, which may kill itself."""

    def watch(line):
        if line.step == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    how = config(**WAYS[way])
    train(how, data(), folder, resume=resume, quiet=True, on_step=watch)


def work_until(seconds, folder, steps):
    """A training for another process, killed so long after its first checkpoint.

    Without seconds it goes on to its end.
    """
    timer = threading.Timer(seconds or 0, os.kill, [os.getpid(), signal.SIGKILL])
    timer.daemon = True

    def watch(line):
        if seconds is None:
            return
        time.sleep(0.01)  # no machine is so fast that it is done before the kill
        if (Path(folder) / "checkpoint.safetensors").exists() and not timer.is_alive():
            timer.start()

    how = config(steps=steps, validate_every=3)
    resume = (Path(folder) / "checkpoint.safetensors").exists()
    train(how, data(), folder, resume=resume, quiet=True, on_step=watch)


def in_another_process(*arguments, call="work"):
    """Call a function of this file in a process of its own, and in one thread.

    MKL takes fewer threads where the machine is busy, and then adds in another order.
    """
    code = f"from tests.training import test_loop as t; t.{call}(*{arguments!r})"
    paths = str(TESTS.parents[1])
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("way", WAYS)
def test_a_killed_run_goes_on_to_the_same_losses(tmp_path, way):
    if way == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    # all in other processes: what ran in this one before may change a last digit
    done = in_another_process(str(unbroken), False, None, way)
    assert done.returncode == 0, done.stderr
    done = in_another_process(str(killed), False, 13, way)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert load_checkpoint(killed / "checkpoint.safetensors")["step"] == 10
    assert len(log_of(killed)) == 13
    with (killed / "log.jsonl").open("a") as log:
        log.write('{"step": 14, "lo')  # a line that the kill cut short
    done = in_another_process(str(killed), True, None, way)
    assert done.returncode == 0, done.stderr
    assert_same_losses(losses(killed), losses(unbroken))
    assert validations(killed) == pytest.approx(validations(unbroken), rel=1e-6)
    for name in ("model", "best"):
        one, other = (load_model(f / f"{name}.safetensors") for f in (killed, unbroken))
        for key, tensor in one.network.state_dict().items():
            torch.testing.assert_close(tensor, other.network.state_dict()[key])
    seconds = [line["seconds"] for line in log_of(killed)]
    assert seconds == sorted(seconds)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_run_outlives_kills_at_any_moment(tmp_path):
    """`make kills` tries fifty."""
    kills = int(os.environ.get("KILLS", "2"))
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    moments, steps = random.Random(1), 100 * kills
    for _ in range(kills):
        arguments = moments.uniform(0, 0.4), str(killed), steps
        done = in_another_process(*arguments, call="work_until")
        assert done.returncode == -signal.SIGKILL, done.stderr or "it was not killed"
    for folder in (killed, unbroken):
        done = in_another_process(None, str(folder), steps, call="work_until")
        assert done.returncode == 0, done.stderr
    assert_same_losses(losses(killed), losses(unbroken))
    assert validations(killed) == pytest.approx(validations(unbroken), rel=1e-6)
    assert [line["step"] for line in log_of(killed)] == [*range(1, steps + 1)]


def test_each_process_gets_its_share_of_a_batch():
    team, batch = Team(torch.device("cpu")), make_batch(data().train[:6])
    assert team.share(batch) == (batch, 1.0)
    team.size, targets = 2, 0
    for team.rank in range(2):
        own, weight = team.share(batch)
        assert torch.equal(own.ink, batch.ink[team.rank :: 2])
        assert weight == pytest.approx(2 * own.targets / batch.targets)
        targets += own.targets
    assert targets == batch.targets
    team.size = 7  # too few to split
    assert team.share(batch) == (batch, 1.0)


@pytest.mark.parametrize("way", ["adam", "the paper's"])
def test_two_processes_reach_the_losses_of_one(tmp_path, monkeypatch, way):
    one, two = tmp_path / "one", tmp_path / "two"
    low = (0.01, 0.05)  # limits that are reached
    monkeypatch.setattr(DerivativeLimits.__new__, "__defaults__", low)
    few = {"steps": 6, "validate_every": 3} | WAYS[way]
    train(config(**few), data(), one, quiet=True)
    script = tmp_path / "work.py"
    script.write_text(
        "from tests.training import test_loop as t\n"
        f"t.DerivativeLimits.__new__.__defaults__ = {low}\n"
        f"t.train(t.config(**{few!r}), t.data(), {str(two)!r}, quiet=True)\n"
    )
    paths = str(TESTS.parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc-per-node", "2", str(script)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for a, b in zip(losses(one), losses(two), strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_the_command_line_under_torchrun_gives_the_losses_of_one_process(tmp_path):
    toml = tmp_path / "c.toml"
    toml.write_text(
        'corpus = "synthetic"\n[corpus_options]\nsamples = 120\nseed = 1\n'
        "[model]\nhidden = 8\n[limits]\nmax_points = 2000\n"
        "[recipe]\nsteps = 4\npoints_per_batch = 3000\nvalidate_every = 2\n"
    )
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, before in (("one", []), ("two", launch)):
        command = [*before, "-m", "handwriting_lib", "train", str(toml)]
        done = subprocess.run(
            [
                sys.executable,
                *command,
                "--out",
                str(tmp_path / name),
                "--device",
                "cpu",
            ],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            cwd=TESTS.parents[1],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert load_model(tmp_path / name / "model.safetensors").about["steps"] == 4
    one, two = (
        [line["loss"] for line in log_of(tmp_path / name)] for name in ("one", "two")
    )
    assert len(one) == 4 and two == pytest.approx(one, rel=1e-4)


def test_minutes_stop_a_run_that_goes_on_later(tmp_path):
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    train(config(steps=12), data(), whole, quiet=True)
    train(config(steps=12), data(), parts, quiet=True, minutes=0)
    assert log_of(parts) == []
    assert load_checkpoint(parts / "checkpoint.safetensors")["step"] == 0
    for _ in range(12):  # so little time that each call makes one step
        train(config(steps=12), data(), parts, quiet=True, minutes=1e-9, resume=True)
    assert load_checkpoint(parts / "checkpoint.safetensors")["step"] == 12
    assert_same_losses(losses(parts), losses(whole))


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    train(config(steps=6), data(), tmp_path, quiet=True)
    before = losses(tmp_path), load_model(tmp_path / "model.safetensors")
    model = train(config(steps=6), data(), tmp_path, quiet=True, resume=True)
    assert losses(tmp_path) == before[0]
    assert model.fingerprint() == before[1].fingerprint()
    assert model.about["validation_nats_per_point"] is not None
    assert model.about == before[1].about


def test_a_model_names_its_corpus_but_not_where_it_lay(tmp_path):
    told = dataclasses.replace(config(steps=1), corpus="unipen:/home/me/release.tgz")
    model = train(told, data(), tmp_path, quiet=True)
    assert model.about["config"]["corpus"] == "unipen"
    assert b"/home/me" not in (tmp_path / "model.safetensors").read_bytes()


def test_a_run_may_be_made_longer_and_says_so(tmp_path, caplog):
    train(config(steps=6), data(), tmp_path, quiet=True)
    train(config(steps=9), data(), tmp_path, quiet=True, resume=True)
    assert [line["step"] for line in log_of(tmp_path)] == list(range(1, 10))
    assert "planned for 6 updates and goes on for 9" in caplog.text
    caplog.clear()
    train(config(steps=9), data(), tmp_path, quiet=True, resume=True)
    assert "planned" not in caplog.text


def test_a_run_is_not_written_over(tmp_path):
    train(config(steps=3), data(), tmp_path, quiet=True)
    with pytest.raises(ValueError, match="already holds a training run"):
        train(config(steps=3), data(), tmp_path, quiet=True)
    assert [line["step"] for line in log_of(tmp_path)] == [1, 2, 3]


def test_a_checkpoint_that_would_have_to_be_unpickled_is_not_resumed(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"checkpoint\.pt is of an earlier version"):
        train(config(), data(), tmp_path, quiet=True, resume=True)
    with pytest.raises(ValueError, match="already holds a training run"):
        train(config(), data(), tmp_path, quiet=True)


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*checkpoint"):
        train(config(), data(), tmp_path, quiet=True, resume=True)
    train(config(steps=1), data(), tmp_path, quiet=True)
    larger = config(model=SIZES | {"hidden": 11})
    with pytest.raises(ConfigError, match=r"checkpoint.* was made with another"):
        train(larger, data(), tmp_path, quiet=True, resume=True)


def test_a_checkpoint_of_another_kind_of_training_is_an_error(tmp_path):
    train(config(steps=1), data(), tmp_path, quiet=True)
    for change, message in [
        ({"optimiser": "rmsprop"}, "trained by adam, not by rmsprop"),
        ({"weight_noise": 0.1}, "only one of the two uses weight noise"),
    ]:
        with pytest.raises(ConfigError, match=message):
            train(config(**change), data(), tmp_path, quiet=True, resume=True)


def test_the_best_model_is_kept(tmp_path):
    # a rate that rises again, so that validation has its best before the end
    train(config(steps=40), data(), tmp_path, quiet=True)
    risky = config(steps=60, learning_rate=0.3, warmup_steps=1, decay_share=0.0)
    train(risky, data(), tmp_path, quiet=True, resume=True)
    by_step = validations(tmp_path)
    best = load_model(tmp_path / "best.safetensors")
    last = load_model(tmp_path / "model.safetensors")
    assert best.about["validation_nats_per_point"] == min(by_step.values())
    assert by_step[best.about["steps"]] == min(by_step.values())
    assert last.about["steps"] == 60 > best.about["steps"]


# --- the paper's way -----------------------------------------------------------------


def one_batch():
    return make_batch([*data().train[:3], *data().train[-2:]], data().normalisation)


def first_step(tmp_path, monkeypatch, **recipe):
    """The weights before and after one step on one batch."""
    batch, how = one_batch(), config(steps=1, warmup_steps=1, decay_share=0.0, **recipe)
    monkeypatch.setattr(InkTask, "batch", lambda *_: batch)
    torch.manual_seed(how.recipe.seed)
    network = training.build_network(how.network, how.model)
    model = train(how, data(), tmp_path, quiet=True)
    return network, batch, model.network


def test_rmsprop_sees_the_gradient_of_the_nats_of_a_line(tmp_path, monkeypatch):
    # the paper's rate and epsilon are for sums over a line, not for means over points
    network, batch, trained = first_step(
        tmp_path, monkeypatch, optimiser="rmsprop", learning_rate=1e-4, clip_norm=0.0
    )
    optimiser = GravesRMSprop(network.parameters())
    count = batch.mask[:, 1:].sum()
    loss = batch_loss(network, batch)
    (loss * count / len(batch.ink)).backward()
    optimiser.step()
    torch.testing.assert_close(network.state_dict(), trained.state_dict())
    # the log stays in nats per point
    assert log_of(tmp_path)[0]["loss"] == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
def test_derivatives_are_clipped_for_the_nats_of_a_line(
    tmp_path, monkeypatch, optimiser
):
    # whichever mean is taken, the limits hold for the sum over one line's points
    low = DerivativeLimits(0.01, 0.05)
    defaults = low.gates, low.output
    monkeypatch.setattr(DerivativeLimits.__new__, "__defaults__", defaults)
    network, batch, _ = first_step(
        tmp_path, monkeypatch, optimiser=optimiser, clip_norm=0.0, clip_derivatives=True
    )
    count = int(batch.mask[:, 1:].sum())
    scale = count / len(batch.ink) if optimiser == "rmsprop" else 1.0

    logged = log_of(tmp_path)[0]["gradient_norm"]
    by_hand = sum_clipped(network, batch, low)
    assert logged == pytest.approx(by_hand * scale / count, rel=1e-5)
    plain = sum_clipped(network, batch, DerivativeLimits(1e9, 1e9))
    assert by_hand < 0.7 * plain


def sum_clipped(network, batch, limits):
    """The norm of the gradient of the sum of all lines' nats, line by line."""
    total = [torch.zeros_like(p) for p in network.parameters()]
    for row in range(len(batch.ink)):
        steps, slots = int(batch.mask[row].sum()), int(batch.text_mask[row].sum())
        ink = batch.ink[row : row + 1, :steps]
        text, mask = (t[row : row + 1, :slots] for t in (batch.text, batch.text_mask))
        out = network(ink[:, :-1], text, mask, gate_limit=limits.gates)
        raw = out.output.detach().requires_grad_()
        nats = -StrokeMixture.from_output(raw).log_prob(ink[:, 1:]).sum()
        (slope,) = torch.autograd.grad(nats, raw)
        slope = slope.clamp(-limits.output, limits.output)
        gradients = torch.autograd.grad(out.output, list(network.parameters()), slope)
        total = [a + b for a, b in zip(total, gradients, strict=True)]
    return nn.utils.get_total_norm(total).item()


@pytest.mark.parametrize("number", range(3))
def test_limits_that_are_not_reached_change_no_gradient(number):
    network = networks()[number]
    batch = make_batch([zigzag("ab ba", 1, "line"), zigzag("ab", 2, "word")])
    weights = list(network.parameters())
    plain = torch.autograd.grad(batch_loss(network, batch), weights)
    far = batch_loss(network, batch, None, DerivativeLimits())
    assert torch.equal(far, batch_loss(network, batch))
    for one, other in zip(torch.autograd.grad(far, weights), plain, strict=True):
        torch.testing.assert_close(one, other)
    near = batch_loss(network, batch, None, DerivativeLimits(1e-5, 1e-5))
    clipped = torch.autograd.grad(near, weights)
    assert sum(map(torch.norm, clipped)) < 0.1 * sum(map(torch.norm, plain))


def test_a_clip_of_zero_leaves_the_gradient_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "build_optimisers", lambda kind, network, *_: [
        torch.optim.SGD(network.parameters(), lr=1.0)
    ])  # fmt: skip
    for clip, length in ((0.0, 1.0), (0.01, None)):
        folder = tmp_path / str(clip)
        network, _, trained = first_step(
            folder, monkeypatch, clip_norm=clip, learning_rate=1.0
        )
        moved = [
            a - b
            for a, b in zip(network.parameters(), trained.parameters(), strict=True)
        ]
        norm = nn.utils.get_total_norm(moved).item()
        logged = log_of(folder)[0]["gradient_norm"]
        assert norm == pytest.approx(logged * length if length else clip, rel=1e-3)


def test_under_noise_the_means_are_validated_and_saved(tmp_path):
    start, noisy = tmp_path / "start", tmp_path / "noisy"
    train(config(steps=60), data(), start, quiet=True)
    how = dataclasses.replace(
        config(steps=20, learning_rate=1e-3, weight_noise=0.05),
        init_from=str(start / "model.safetensors"),
    )
    model = train(how, data(), noisy, quiet=True)
    saved = load_model(noisy / "model.safetensors")
    assert saved.fingerprint() == model.fingerprint()
    again = InkTask(how, data()).held_out
    loss = validate(saved.network, again, torch.device("cpu"))
    last = log_of(noisy)[-1]
    assert last["validation"] == pytest.approx(loss, rel=1e-5)

    log_sds = load_checkpoint(noisy / "checkpoint.safetensors")["noise"]
    assert log_sds.shape == (model.num_parameters,)
    assert ((log_sds - math.log(0.05)).abs() > 1e-3).float().mean() > 0.9  # learned
    points = sum(len(s.ink) - 1 for s in data().train)
    means = WeightNoise(model.network).means().detach()
    nats = description_length(means, log_sds.exp()).item()
    assert last["description"] == pytest.approx(nats / points, rel=0.01)
    # with the noise, the same weights read worse than their means
    noise = WeightNoise(model.network)
    noise.log_sds = log_sds
    drawn = []
    for seed in range(5):
        with noise.sampled(torch.Generator().manual_seed(seed)):
            drawn.append(validate(model.network, again, torch.device("cpu")))
    assert sum(drawn) / 5 > loss
    assert log_of(start)[-1]["description"] is None


def test_every_step_has_noise_of_its_own():
    device = torch.device("cpu")
    draws = [
        torch.randn(4, generator=training.noise_generator(seed, step, device)).tolist()
        for seed, step in [(1, 0), (1, 1), (2, 0), (1, 0)]
    ]
    assert draws[0] == draws[3]
    assert len({tuple(draw) for draw in draws}) == 3


def test_an_unknown_optimiser_is_named(tmp_path):
    with pytest.raises(ValueError, match="no optimiser 'sgd'"):
        train(config(optimiser="sgd"), data(), tmp_path, quiet=True)


# --- it begins with a smaller model --------------------------------------------------


def test_training_starts_from_a_smaller_model(tmp_path):
    small = train(config(steps=60), data(), tmp_path / "small", quiet=True)
    file = tmp_path / "small" / "model.safetensors"
    wider = dataclasses.replace(
        config(model=SIZES | {"hidden": 14}, steps=5, learning_rate=1e-9),
        init_from=str(file),
    )
    grown = train(wider, data(), tmp_path / "wide", quiet=True)
    assert grown.network.config.hidden == 14
    before = validations(tmp_path / "small")[60]
    assert validations(tmp_path / "wide")[5] == pytest.approx(before, abs=1e-4)
    torch.testing.assert_close(
        grown.network.layers[0].peephole[:, :10], small.network.layers[0].peephole,
        atol=1e-6, rtol=0,
    )  # fmt: skip

    # what is resumed goes on from its checkpoint, not from the start again
    longer = dataclasses.replace(wider, recipe=dataclasses.replace(
        wider.recipe, steps=8, learning_rate=0.03, warmup_steps=1))  # fmt: skip
    train(longer, data(), tmp_path / "wide", quiet=True, resume=True)
    moved = dataclasses.replace(longer, recipe=dataclasses.replace(
        longer.recipe, steps=9, learning_rate=1e-9))  # fmt: skip
    file.unlink()
    again = train(moved, data(), tmp_path / "wide", quiet=True, resume=True)
    assert validations(tmp_path / "wide")[9] != pytest.approx(before, abs=1e-4)
    assert again.about["steps"] == 9


def test_a_start_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="no model 'unheard-of'"):
        how = dataclasses.replace(config(), init_from="unheard-of")
        train(how, data(), tmp_path, quiet=True)
    save_model(Model(PredictionNetwork(PredictionConfig(8, 2, 2))),
               tmp_path / "other.safetensors")  # fmt: skip
    how = dataclasses.replace(config(), init_from=str(tmp_path / "other.safetensors"))
    with pytest.raises(ValueError, match="cannot grow into"):
        train(how, data(), tmp_path, quiet=True)


# --- it does not go on with what is not a number -----------------------------------


def test_a_run_that_ran_away_stops_with_an_error(tmp_path):
    with pytest.raises(FloatingPointError, match="run away"):
        train(
            config(learning_rate=1e30, clip_norm=1e30, warmup_steps=1),
            data(),
            tmp_path,
            quiet=True,
        )


def test_a_gradient_that_is_no_number_stops_before_the_step(tmp_path, monkeypatch):
    def loss(_, network, *__):
        return (0 * next(network.parameters())).abs().sqrt().sum()  # 0, its slope NaN

    monkeypatch.setattr(InkTask, "loss", loss)
    with pytest.raises(FloatingPointError, match=r"gradient .* step 1"):
        train(config(), data(), tmp_path, quiet=True)
    assert not (tmp_path / "model.safetensors").exists()


def test_training_leaves_the_global_generator_as_it_was(tmp_path):
    before = torch.get_rng_state()
    train(config(steps=2), data(), tmp_path, quiet=True)
    assert torch.equal(torch.get_rng_state(), before)
