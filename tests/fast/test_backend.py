"""Which backend is chosen, and that the choice changes no answer."""

import json
import os
import subprocess
import sys

import pytest
import torch

from handwriting_lib.fast import backend, backend_for

DRAW = """
import json, torch
import handwriting_lib as hw

lines = hw.write(["with and", "without"], "unipen-184", seed=5)
torch.manual_seed(0)
network = hw.SynthesisNetwork(hw.SynthesisConfig(hidden=24))
corpus = hw.load_corpus("synthetic", samples=4, seed=1)
batch = hw.make_batch(hw.prepare(corpus).samples)
loss = hw.batch_loss(network, batch)
loss.backward()
sums = [float(p.grad.abs().sum()) for p in network.parameters()]
print(json.dumps({
    "backend": lines[0].backend,
    "inks": [line.ink.tolist() for line in lines],
    "loss": float(loss),
    "gradients": sums,
}))
"""


@pytest.fixture
def fresh():
    """The choice is made once per process: forget it before and after."""
    backend._choose.cache_clear()
    yield
    backend._choose.cache_clear()


def test_double_precision_is_plain_torch():
    assert backend_for(torch.zeros(1, dtype=torch.float64)).name == "torch"


def test_a_cpu_takes_numba_where_it_is_installed():
    pytest.importorskip("numba", reason="Numba is optional")
    assert backend_for(torch.zeros(1)).name == "numba"


def test_without_numba_it_is_plain_torch(monkeypatch, fresh):
    monkeypatch.setitem(sys.modules, "handwriting_lib.fast.numba_backend", None)
    assert backend_for(torch.zeros(1)).name == "torch"


def test_the_environment_switches_everything_off(monkeypatch, fresh):
    monkeypatch.setenv("HANDWRITING_FAST", "0")
    assert backend_for(torch.zeros(1)).name == "torch"


@pytest.mark.slow
def test_plain_torch_gives_the_same_answers():
    found = []
    for fast in ("1", "0"):
        done = subprocess.run(
            [sys.executable, "-c", DRAW],
            env=os.environ | {"HANDWRITING_FAST": fast},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[1]["backend"] == "torch"
    for mine, plain in zip(*(one["inks"] for one in found), strict=True):
        torch.testing.assert_close(
            torch.tensor(mine), torch.tensor(plain), rtol=0, atol=1e-3
        )
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5)
    assert found[0]["gradients"] == pytest.approx(found[1]["gradients"], rel=1e-3)
