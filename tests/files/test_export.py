"""Packs and ONNX steps: what they hold, and what none can be made of."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from handwriting_lib import (
    CharacterDecoder,
    CharacterDecoderConfig,
    FeedforwardConfig,
    FeedforwardPredictor,
    Model,
    ModelError,
    Normalisation,
    SynthesisConfig,
    SynthesisNetwork,
    Vocabulary,
    browser_pack,
    encode,
    export_browser,
    export_onnx,
    load_model,
    load_pretrained,
    onnx_step,
    save_model,
)
from handwriting_lib.cli import main
from handwriting_lib.networks import build_network


def header(content: bytes) -> dict:
    """What stands in front of a pack's numbers."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])


def test_packs_are_small():
    model = load_pretrained()
    half, int8 = (len(browser_pack(model, one)) for one in ("half", "int8"))
    assert half < 2.02 * model.num_parameters
    assert int8 < 1.04 * model.num_parameters


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


def test_int8_is_within_half_a_step_of_each_weight():
    network = SynthesisNetwork(SynthesisConfig(hidden=4))
    packed = safetensors.torch.load(browser_pack(Model(network), "int8"))
    for name, weight in network.named_parameters():
        if name.rpartition(".")[2].startswith("weight"):
            step = packed[f"{name}.scale"][:, None]
            assert ((step * packed[name] - weight).abs() < 0.501 * step).all()
            assert int(packed[name].abs().amax(1).min()) == 127  # the whole range
        else:
            assert torch.equal(packed[name], weight)


def character_model(kind="character", **sizes):
    """A small network over characters."""
    vocabulary = Vocabulary.of("abc \n")
    network = build_network(kind, {"symbols": 5, "width": 16, **sizes})
    return Model(network, vocabulary=vocabulary, name="letters")


def test_a_pack_of_the_shipped_decoders_size_is_under_2_1_mb():
    config = CharacterDecoderConfig()
    assert (config.width, config.layers, config.heads, config.block) == (168, 4, 6, 256)
    vocabulary = Vocabulary("".join(map(chr, range(32, 128))))
    model = Model(CharacterDecoder(config), vocabulary=vocabulary)
    assert len(browser_pack(model, "int8")) < min(2_100_000, 1.06 * 1_440_000)


def test_the_command_writes_a_pack_of_a_decoder(tmp_path, capsys):
    model, file = character_model(heads=2), tmp_path / "letters.safetensors"
    save_model(model, file, half=False)
    pack = tmp_path / "pack.bin"
    command = ["export", "--browser", str(pack), "--precision", "int8", "--model"]
    assert main([*command, str(file)]) == 0
    content = pack.read_bytes()
    assert content == browser_pack(model, "int8")
    about = json.loads(header(content)["__metadata__"]["handwriting_lib"])
    assert about["carried"] == {"vocabulary": {"characters": "\n abc"}}
    packed = safetensors.torch.load(content)
    for name, weight in model.network.named_parameters():
        if weight.ndim == 2:
            step = packed[f"{name}.scale"][:, None]
            assert packed[name].dtype == torch.int8
            assert ((step * packed[name] - weight).abs() < 0.501 * step).all()
        else:
            assert torch.equal(packed[name], weight)
    save_model(character_model("character-lstm"), file)
    assert main([*command, str(file)]) == 2
    said = capsys.readouterr().err
    assert "the browser export is made for the kind synthesis or character" in said


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
    other = Model(FeedforwardPredictor(FeedforwardConfig(hidden=4)), name="mine")
    with pytest.raises(ModelError, match="mine is a feedforward network"):
        browser_pack(other)


def test_the_command_writes_a_pack(tmp_path):
    file = tmp_path / "pack.bin"
    assert main(["export", "--browser", str(file), "--weights", "int8"]) == 0
    content = file.read_bytes()
    assert header(content)["layers.0.weight_hh"]["dtype"] == "I8"
    assert content == browser_pack(load_pretrained(), "int8")


# --- ONNX ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stepped():
    """A small model, and onnxruntime with its step."""
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(1)
    network = SynthesisNetwork(SynthesisConfig(hidden=16, layers=2, step=0.3))
    model = Model(network, Normalisation((0.1, -0.2), (0.7, 1.3)))
    content = onnx_step(model)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return model, content, session


@pytest.mark.parametrize(("lines", "slots"), [(1, 1), (1, 30), (2, 5), (7, 12)])
@torch.no_grad()
def test_onnxruntime_writes_as_torch_does(stepped, lines, slots):
    model, _, session = stepped
    network = model.network
    text = torch.randint(1, 96, (lines, slots))
    mask = torch.arange(slots) < slots - torch.arange(lines)[:, None] % slots
    state = network.initial_state(lines)
    feed = {
        i.name: np.zeros((lines, *i.shape[1:]), np.float32)
        for i in session.get_inputs()
        if not i.name.startswith("text")
    }
    feed |= {"text": text.numpy(), "text_mask": mask.numpy()}
    names = [o.name for o in session.get_outputs()]
    for _ in range(50):
        point = torch.randn(lines, 3)
        output, state, phi = network.step(point, state, text, mask)
        given = dict(
            zip(names, session.run(None, feed | {"point": point.numpy()}), strict=True)
        )
        wanted = {"output": output, "phi": phi}
        wanted |= {"w_next": state.w, "kappa_next": state.kappa}
        for n, layer in enumerate(state.layers, 1):
            wanted |= {f"h{n}_next": layer.h, f"c{n}_next": layer.c}
        assert set(wanted) == set(given)
        for name, values in wanted.items():
            torch.testing.assert_close(
                torch.from_numpy(given[name]), values, rtol=1e-5, atol=1e-5
            )
        feed |= {
            name.removesuffix("_next"): values
            for name, values in given.items()
            if name.endswith("_next")
        }


def test_an_onnx_step_says_what_its_numbers_mean(stepped):
    model, _, session = stepped
    about = session.get_modelmeta().custom_metadata_map
    indices = [about["alphabet"].index(c) + 1 for c in "A ~z"]
    assert indices == encode("A ~z").tolist()[:4]
    unit = Normalisation(
        tuple(json.loads(about["mean"])), tuple(json.loads(about["std"]))
    )
    assert unit == model.normalisation
    assert about["fingerprint"] == model.fingerprint()


def test_an_export_leaves_the_loggers_as_they_were(stepped):
    assert logging.getLogger("torch.onnx").level == logging.NOTSET


def test_an_onnx_step_is_valid_and_one_file(stepped, tmp_path):
    onnx = pytest.importorskip("onnx")
    model, content, _ = stepped
    export_onnx(model, tmp_path / "step.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["step.onnx"]
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    assert b"networks.py" not in content  # nor where the code lay that was traced


def test_without_the_packages_there_is_a_remedy(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    file = tmp_path / "step.onnx"
    assert main(["export", "--onnx", str(file)]) == 2
    assert "pip install handwriting-lib[onnx]" in capsys.readouterr().err
    assert not file.exists()


def test_what_has_no_onnx_step(capsys, tmp_path):
    pytest.importorskip("onnxscript")
    other = Model(FeedforwardPredictor(FeedforwardConfig(hidden=4)), name="mine")
    with pytest.raises(ModelError, match="mine is a feedforward network"):
        onnx_step(other)
    file = str(tmp_path / "step.onnx")
    assert main(["export", "--onnx", file, "--weights", "int8"]) == 2
    assert "--precision is for --browser" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["export", "--onnx", file, "--browser", file])
    with pytest.raises(SystemExit):
        main(["export"])
    assert "one of the arguments --browser --onnx is required" in (
        capsys.readouterr().err
    )


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
    (example,) = (
        block.partition("```")[0]
        for block in readme.split("```python\n")[1:]
        if "onnxruntime" in block.partition("```")[0]
    )
    monkeypatch.chdir(tmp_path)
    assert main(["export", "--model", "unipen-184", "--onnx", "step.onnx"]) == 0
    found: dict = {}
    exec(example, found)
    assert found["output"].shape == (1, 121)
    assert found["phi"].argmax() == 0  # the first letter
    found["step"].run(None, found["feed"])  # and on
