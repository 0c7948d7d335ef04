"""Packs: what they weigh, what they hold, and what none can be made of."""

from __future__ import annotations

import json

import pytest
import torch

from handwriting_lib import (
    Model,
    ModelError,
    PredictionConfig,
    PredictionNetwork,
    SynthesisConfig,
    SynthesisNetwork,
    browser_pack,
    export_browser,
    load_model,
    load_pretrained,
)
from handwriting_lib.cli import main


def header(content: bytes) -> dict:
    """What stands in front of a pack's numbers."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])


def test_packs_are_small():
    model = load_pretrained()
    half, int8 = (len(browser_pack(model, one)) for one in ("half", "int8"))
    assert half < 2.02 * model.parameters
    assert int8 < 1.04 * model.parameters


def test_a_pack_of_the_papers_size_is_under_8_mb():
    assert len(browser_pack(Model(SynthesisNetwork(SynthesisConfig())))) < 8_000_000


@pytest.mark.parametrize("weights", ["half", "float32"])
def test_a_pack_is_a_model_file(tmp_path, weights):
    model = load_pretrained()
    export_browser(model, tmp_path / "pack.safetensors", weights)
    again = load_model(tmp_path / "pack.safetensors")
    assert again.fingerprint() == model.fingerprint()
    assert again.normalisation == model.normalisation


def test_an_int8_pack_is_not_taken_for_a_model_file(tmp_path):
    export_browser(load_pretrained(), tmp_path / "pack.safetensors", "int8")
    with pytest.raises(ModelError, match=r"has the format 'handwriting_lib\.int8\.1'"):
        load_model(tmp_path / "pack.safetensors")


def test_rows_of_zeros_stay_zeros_in_int8():
    network = SynthesisNetwork(SynthesisConfig(hidden=4))
    with torch.no_grad():
        network.output.weight[3] = 0
    content = browser_pack(Model(network), "int8")
    entry = header(content)["output.weight"]
    start = 8 + int.from_bytes(content[:8], "little") + entry["data_offsets"][0]
    columns = entry["shape"][1]
    assert set(content[start + 3 * columns : start + 4 * columns]) == {0}


def test_what_is_no_pack():
    with pytest.raises(ValueError, match="half, int8, float32, not 'int4'"):
        browser_pack(load_pretrained(), "int4")
    other = Model(PredictionNetwork(PredictionConfig(hidden=4)), name="mine")
    with pytest.raises(ModelError, match="mine is a prediction network"):
        browser_pack(other)


def test_the_command_writes_a_pack(tmp_path):
    file = tmp_path / "pack.bin"
    assert main(["export", "--browser", str(file), "--weights", "int8"]) == 0
    content = file.read_bytes()
    assert header(content)["layers.0.weight_hh"]["dtype"] == "I8"
    assert content == browser_pack(load_pretrained(), "int8")
