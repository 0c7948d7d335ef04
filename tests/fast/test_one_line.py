"""A line by itself, in one compiled loop, against the same line point by point."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.parts.mixture import draw_noise
from handwriting_lib.writing.stepper import Stepper, StepWeights

pytest.importorskip("numba", reason="Numba is optional")
from handwriting_lib.fast import one_line

POINTS, SLOTS = 40, 7


def network_of(layers, hidden):
    """With numbers of rows that fill no panel."""
    config = hw.SynthesisConfig(
        hidden=hidden, layers=layers, mixtures=5, components=4, symbols=20, step=0.2
    )
    network = hw.SynthesisNetwork(config)
    with torch.no_grad():
        for layer in network.layers:
            layer.peephole.normal_(0, 0.5)
    return network


def asked(lines):
    """Text, mask, first points and noise of some lines."""
    text = torch.randint(1, 20, (lines, SLOTS))
    mask = torch.ones_like(text, dtype=torch.bool)
    noise = draw_noise((POINTS, lines), None, torch.zeros(1))
    return text, mask, torch.randn(lines, 3), noise


def written(weights, network, text, mask, first, noise, bias=0.5):
    """A stretch of points in two parts, and the state after it."""
    stepper = Stepper(weights, text, mask, network.initial_state(len(text)))
    parts = []
    for some in noise.split([POINTS - 15, 15]):
        parts.append(stepper.write(first, some, bias, 0.8))
        first = parts[-1].drawn
    together = [torch.cat(part) for part in zip(*[p[:3] for p in parts], strict=True)]
    layers = [value for state in stepper.state.layers for value in state]
    return [*together, first, *layers, stepper.state.w, stepper.state.kappa]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize(("layers", "hidden"), [(1, 24), (3, 24), (2, 290)])
def test_it_is_the_loop_over_points(layers, hidden, precision):
    network, line = network_of(layers, hidden), asked(1)
    weights, plain = (StepWeights(network, precision) for _ in range(2))
    plain.line_loop = None
    assert weights.line_loop is not None
    mine, theirs = (written(w, network, *line) for w in (weights, plain))
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    assert mine[0].std() > 0.1


@pytest.mark.parametrize("shape", [(1, 1), (30, 400), (121, 1299), (1000, 70)])
def test_columns_hold_the_weight(shape):
    weight = torch.randn(shape)
    panels = torch.from_numpy(one_line.columns(weight))
    side_by_side = panels.transpose(1, 2).flatten(0, 1)
    assert torch.equal(side_by_side[: len(weight)], weight)
    assert not side_by_side[len(weight) :].any()


def test_any_number_of_cores_gives_the_same(monkeypatch):
    network, line = network_of(2, 290), asked(1)
    results = []
    for cores in (1, 2, 3):
        monkeypatch.setattr(one_line, "cores", lambda cores=cores: cores)
        results.append(written(StepWeights(network), network, *line))
    for result in results[1:]:
        assert all(map(torch.equal, result, results[0]))


def test_two_threads_write_at_once():
    model = hw.load_pretrained("unipen-184")

    def write(position):
        return hw.write("two at once", model, seed=1, positions=[position])[0].ink

    wanted = [write(position) for position in range(4)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(write, range(4)))
    assert all(map(torch.equal, found, wanted))


def test_what_it_cannot_do_is_left_to_the_loop():
    network = network_of(1, 24)
    assert StepWeights(network.double()).line_loop is None
    assert StepWeights(network.to("meta").float()).line_loop is None


def run(script, **environment):
    """What a Python of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_torch_keeps_its_number_of_threads():
    script = """if True:
        import torch
        import handwriting_lib as hw
        from handwriting_lib.fast import one_line
        hw.write("a line", "unipen-184")
        print(torch.get_num_threads(), one_line.cores())
        torch.set_num_threads(2)
        hw.write("a line", "unipen-184")
        print(torch.get_num_threads())
        torch.set_num_threads(1)
        hw.write("a line", "unipen-184")
        print(torch.get_num_threads(), one_line.cores())
    """
    assert run(script, OMP_NUM_THREADS="1") == ["1", "1", "2", "1", "1"]


@pytest.mark.slow
def test_threads_with_a_pool_that_serves_one_alone():
    script = """if True:
        from concurrent.futures import ThreadPoolExecutor
        import handwriting_lib as hw
        from handwriting_lib.fast import one_line
        with ThreadPoolExecutor(2) as pool:
            lines = pool.map(lambda k: hw.write("a", "unipen-184", seed=k), range(4))
            print(len(list(lines)), one_line.cores())
    """
    assert run(script, NUMBA_THREADING_LAYER="workqueue") == ["4", "1"]
