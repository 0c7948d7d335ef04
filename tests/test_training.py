"""The training loop: losses fall, runs resume, configurations that are wrong."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from handwriting_lib import training
from handwriting_lib.batches import make_batch
from handwriting_lib.checkpoints import ModelError, load_checkpoint, load_model
from handwriting_lib.ink import Corpus, Sample
from handwriting_lib.mixture import StrokeMixture
from handwriting_lib.networks import (
    FeedforwardConfig,
    FeedforwardPredictor,
    PredictionConfig,
    PredictionNetwork,
    SynthesisConfig,
    SynthesisNetwork,
)
from handwriting_lib.training import (
    ConfigError,
    Recipe,
    TrainingConfig,
    TrainingData,
    batch_loss,
    prepare_data,
    read_config,
    train,
    validate,
)
from handwriting_lib.transforms import Augmentation, Limits, Normalisation, Thinning

TESTS = Path(__file__).parent
SIZES = {"hidden": 10, "layers": 2, "mixtures": 2, "components": 2}


def zigzag(text, seed, kind):
    """A zigzag a character, a little different each time."""
    generator = torch.Generator().manual_seed(seed)
    steps = 8 * len(text)
    ink = torch.zeros(steps, 3)
    ink[:, 0] = 0.3
    ink[:, 1] = torch.tensor([1.0, -1.0]).repeat(steps // 2)
    ink[:, :2] += 0.1 * torch.randn(steps, 2, generator=generator)
    ink[7::8, 2] = 1
    ink[0, :2] = 0
    return Sample(text, ink, f"w{seed % 5}", f"zigzag#{seed}", kind)


def data():
    lines = [zigzag("ab ba", i, "line") for i in range(12)]
    words = [zigzag("ab", i, "word") for i in range(12)]
    return TrainingData([*lines[2:], *words[2:]], [*lines[:2], *words[:2]],
                        Normalisation((0.3, 0.0), (0.1, 1.0)))  # fmt: skip


def config(network="synthesis", model=SIZES, **recipe):
    recipe = {"steps": 20, "points": 120, "rate": 1e-2, "warm_up": 5,
              "validate_every": 5, "validation_batches": 4} | recipe  # fmt: skip
    return TrainingConfig(network, model, recipe=Recipe(**recipe))


def log_of(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(folder):
    """What in a log does not depend on the clock."""
    names = ("step", "loss", "gradient_norm", "rate", "points")
    return [{name: line[name] for name in names} for line in log_of(folder)]


def validations(folder):
    """The losses on the held-out side, by step."""
    log = log_of(folder)
    return {line["step"]: line["validation"] for line in log if line["validation"]}


def assert_same_losses(one, other):
    """Step by step; a millionth is for sums that another process rounds otherwise."""
    assert [line["step"] for line in one] == [line["step"] for line in other]
    for a, b in zip(one, other, strict=True):
        assert a == pytest.approx(b, rel=1e-6)


# --- it learns -------------------------------------------------------------------


@pytest.mark.parametrize("products", ["float32", "bfloat16"])
def test_the_loss_falls(tmp_path, device, products):
    seen = []
    model = train(config(steps=80, products=products), data(), tmp_path, quiet=True,
                  device=device, on_step=seen.append)  # fmt: skip
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
    assert saved.about["validation_nats_a_point"] == last["validation"]
    assert saved.about["points_seen"] == last["points"]
    assert saved.about["config"]["recipe"]["points"] == 120
    again = [make_batch(data().validation[:2], saved.normalisation),
             make_batch(data().validation[2:], saved.normalisation)]  # fmt: skip
    loss = validate(saved.network, again, torch.device("cpu"))
    assert loss == pytest.approx(last["validation"], rel=1e-5)


def test_a_run_is_a_function_of_its_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(config(steps=4, seed=seed), data(), tmp_path / name, quiet=True)
    one, same, other = (losses(tmp_path / name) for name in "abc")
    assert_same_losses(one, same)
    assert one[0]["loss"] != other[0]["loss"]


# --- it stops and goes on --------------------------------------------------------


def work(folder, resume=False, kill_after=None):
    """A training for another process, which may kill itself."""

    def watch(line):
        if line.step == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    train(config(), data(), folder, resume=resume, quiet=True, on_step=watch)


def in_another_process(*arguments):
    code = f"import test_training as t; t.work(*{arguments!r})"
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_run_goes_on_to_the_same_losses(tmp_path):
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    train(config(), data(), unbroken, quiet=True)
    done = in_another_process(str(killed), False, 13)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert load_checkpoint(killed / "checkpoint.pt")["step"] == 10
    assert len(log_of(killed)) == 13
    with (killed / "log.jsonl").open("a") as log:
        log.write('{"step": 14, "lo')  # a line that the kill cut short
    train(config(), data(), killed, resume=True, quiet=True)
    assert_same_losses(losses(killed), losses(unbroken))
    assert validations(killed) == pytest.approx(validations(unbroken), rel=1e-6)
    one, other = (load_model(f / "model.safetensors") for f in (killed, unbroken))
    for key, tensor in one.network.state_dict().items():
        torch.testing.assert_close(tensor, other.network.state_dict()[key])
    seconds = [line["seconds"] for line in log_of(killed)]
    assert seconds == sorted(seconds)


def test_two_processes_reach_the_losses_of_one(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    few = {"steps": 6, "validate_every": 3}
    train(config(**few), data(), one, quiet=True)
    script = tmp_path / "work.py"
    script.write_text(
        "import test_training as t\n"
        f"t.train(t.config(**{few!r}), t.data(), {str(two)!r}, quiet=True)\n"
    )
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
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


def test_minutes_stop_a_run_that_goes_on_later(tmp_path):
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    train(config(steps=12), data(), whole, quiet=True)
    train(config(steps=12), data(), parts, quiet=True, minutes=0)
    assert log_of(parts) == []
    assert load_checkpoint(parts / "checkpoint.pt")["step"] == 0
    for _ in range(12):  # so little time that each call makes one step
        train(config(steps=12), data(), parts, quiet=True, minutes=1e-9, resume=True)
    assert load_checkpoint(parts / "checkpoint.pt")["step"] == 12
    assert_same_losses(losses(parts), losses(whole))


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    train(config(steps=6), data(), tmp_path, quiet=True)
    before = losses(tmp_path), load_model(tmp_path / "model.safetensors")
    model = train(config(steps=6), data(), tmp_path, quiet=True, resume=True)
    assert losses(tmp_path) == before[0]
    assert model.fingerprint() == before[1].fingerprint()
    assert model.about["validation_nats_a_point"] is not None
    assert model.about == before[1].about


def test_a_model_names_its_corpus_but_not_where_it_lay(tmp_path):
    told = dataclasses.replace(config(steps=1), corpus="unipen:/home/me/release.tgz")
    model = train(told, data(), tmp_path, quiet=True)
    assert model.about["config"]["corpus"] == "unipen"
    assert b"/home/me" not in (tmp_path / "model.safetensors").read_bytes()


def test_a_run_may_be_made_longer(tmp_path):
    train(config(steps=6), data(), tmp_path, quiet=True)
    train(config(steps=9), data(), tmp_path, quiet=True, resume=True)
    assert [line["step"] for line in log_of(tmp_path)] == list(range(1, 10))


def test_a_new_run_starts_a_new_log(tmp_path):
    for _ in range(2):
        train(config(steps=3), data(), tmp_path, quiet=True)
    assert [line["step"] for line in log_of(tmp_path)] == [1, 2, 3]


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(ModelError, match=r"no checkpoint .*checkpoint\.pt"):
        train(config(), data(), tmp_path, quiet=True, resume=True)
    train(config(steps=1), data(), tmp_path, quiet=True)
    larger = config(model=SIZES | {"hidden": 11})
    with pytest.raises(ConfigError, match=r"checkpoint\.pt holds another network"):
        train(larger, data(), tmp_path, quiet=True, resume=True)


# --- it does not go on with what is not a number -----------------------------------


def test_a_run_that_ran_away_stops_with_an_error(tmp_path):
    with pytest.raises(FloatingPointError, match="run away"):
        train(config(rate=1e30, clip=1e30, warm_up=1), data(), tmp_path, quiet=True)


def test_a_gradient_that_is_no_number_stops_before_the_step(tmp_path, monkeypatch):
    def loss(network, *_):
        return (0 * next(network.parameters())).abs().sqrt().sum()  # 0, its slope NaN

    monkeypatch.setattr(training, "batch_loss", loss)
    with pytest.raises(FloatingPointError, match=r"gradient .* step 1"):
        train(config(), data(), tmp_path, quiet=True)
    assert not (tmp_path / "model.safetensors").exists()


# --- losses ------------------------------------------------------------------------


def networks():
    return [
        SynthesisNetwork(SynthesisConfig(8, 2, 2, 2)),
        PredictionNetwork(PredictionConfig(8, 2, 2)),
        FeedforwardPredictor(FeedforwardConfig(4, 8, 2, 2)),
    ]


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
    wanted, state = 0.0, network.start(1)
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


# --- schedules ----------------------------------------------------------------------


def test_the_rate_warms_up_stays_and_falls():
    recipe = Recipe(steps=1000, rate=0.1, warm_up=100, decay=0.4, last_rate=0.02)
    rates = [recipe.rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[99:600] == [0.1] * 501
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert recipe.rate_at(1000) == pytest.approx(0.002)
    assert min(rates) > 0


def test_lines_take_over_from_words():
    recipe = Recipe(steps=1000, words=(0.9, 0.2), words_until=0.4)
    shares = [recipe.words_at(step) for step in range(1000)]
    assert shares[0] == 0.9
    assert shares == sorted(shares, reverse=True)
    assert shares[400:] == pytest.approx([0.2] * 600)
    assert Recipe(words=(0.3, 0.3)).words_at(0) == 0.3


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
    limits = TrainingConfig(limits=Limits(points=2))
    with pytest.raises(ConfigError, match="wider limits"):
        prepare_data(Corpus("few", crowd(60)), limits)


# --- configurations ----------------------------------------------------------------


def toml(tmp_path, text):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_configuration_is_read_with_its_defaults(tmp_path):
    text = """
    corpus = "synthetic"
    [model]
    hidden = 8
    [limits]
    per_character = [5, 50]
    [augmentation]
    slant = 0
    [recipe]
    rate = 1
    words = [0.5, 0.25]
    """
    read = read_config(toml(tmp_path, text))
    assert read == TrainingConfig(
        corpus="synthetic",
        model={"hidden": 8},
        limits=Limits(per_character=(5.0, 50.0)),
        augmentation=Augmentation(slant=0.0),
        recipe=Recipe(rate=1.0, words=(0.5, 0.25)),
    )
    assert isinstance(read.recipe.rate, float)
    assert read_config(toml(tmp_path, "")) == TrainingConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 5", r"c\.toml: there is no entry 'steps'; there are network, model"),
        ("[recipe]\nspeed = 5", r"\[recipe\]: there is no entry 'speed'; .*steps"),
        ("[recipe]\nsteps = 5.5", r"\[recipe\]: steps must be a whole number, not 5"),
        ("[recipe]\nsteps = '5'", "steps must be a whole number, not '5'"),
        ("[recipe]\nsteps = true", "steps must be a whole number, not True"),
        ("[recipe]\nrate = 'fast'", "rate must be a number, not 'fast'"),
        ("[recipe]\nrate = [1]", "rate must be a number"),
        ("[recipe]\nproducts = 16", "products must be a text, not 16"),
        ("[recipe]\nwords = 0.5", r"words must be a list of 2, not 0\.5"),
        ("[recipe]\nwords = [0.5]", "words must be a list of 2"),
        ("[recipe]\nwords = [0.5, 'x']", "words must be a number, not 'x'"),
        ("[limits]\nwidth = [1, 2, 3]", r"\[limits\]: width must be a list of 2"),
        ("recipe = 5", r"c\.toml: recipe must be a table, not 5"),
        ("model = 'large'", "model must be a table, not 'large'"),
        ("corpus = 1", "corpus must be a text, not 1"),
        ("this is not TOML", r"c\.toml is not TOML"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_config(toml(tmp_path, text))


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no configuration file .*absent\.toml"):
        read_config(tmp_path / "absent.toml")


def test_bytes_that_are_no_text_are_no_configuration(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(tmp_path / "c.toml")


def test_a_wrong_network_or_type_of_products_is_named(tmp_path):
    with pytest.raises(ConfigError, match="float32 or bfloat16, not 'float16'"):
        train(config(products="float16"), data(), tmp_path, quiet=True)
    with pytest.raises(ModelError, match="no network 'transformer'"):
        train(config("transformer"), data(), tmp_path, quiet=True)
    with pytest.raises(ModelError, match="hiden"):
        train(config(model={"hiden": 8}), data(), tmp_path, quiet=True)


@pytest.mark.parametrize("path", sorted((TESTS.parent / "configs").glob("*.toml")),
                         ids=lambda path: path.name)  # fmt: skip
def test_the_configurations_that_ship_can_be_read(path):
    read = read_config(path)
    network = training.build_network(read.network, read.model)
    assert isinstance(network, nn.Module)
