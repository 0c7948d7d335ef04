"""Model files and checkpoints: round trips, and files that are something else."""

import json
import pickle
import resource

import pytest
import safetensors.torch
import torch

from handwriting_lib import alphabet
from handwriting_lib.data.transforms import Normalisation, Thinning
from handwriting_lib.files import models as checkpoints
from handwriting_lib.files.checkpoints import load_checkpoint, save_checkpoint
from handwriting_lib.files.models import (
    Model,
    ModelError,
    find_model,
    load_model,
    load_pretrained,
    pretrained_names,
    save_model,
    to_bytes,
)
from handwriting_lib.networks import build_network
from handwriting_lib.networks.character import (
    CharacterDecoder,
    CharacterDecoderConfig,
)
from handwriting_lib.networks.feedforward import FeedforwardConfig, FeedforwardPredictor
from handwriting_lib.networks.prediction import PredictionConfig, PredictionNetwork
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.tokens.characters import Vocabulary

NETWORKS = [
    SynthesisNetwork(SynthesisConfig(hidden=6, layers=2, mixtures=2, components=2)),
    PredictionNetwork(PredictionConfig(hidden=6, layers=2, mixtures=2)),
    FeedforwardPredictor(FeedforwardConfig(points=3, hidden=6, mixtures=2)),
]


def model(network=NETWORKS[0]):
    return Model(
        network,
        Normalisation((0.1, -0.2), (0.3, 0.4)),
        Thinning(0.25, 0.9),
        {"corpus": "synthetic", "steps": 10, "note": 'a "quoted" ümlaut'},
    )


def rewrite_header(path, **changes):
    """Change entries of a model file's header; the weights stay."""
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["handwriting_lib"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    header |= changes
    header = {key: value for key, value in header.items() if value is not None}
    content = {"handwriting_lib": json.dumps(header)}
    safetensors.torch.save_file(tensors, path, content)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


# --- model files -----------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: type(n).__name__)
def test_full_precision_comes_back_exactly(network, tmp_path):
    path = tmp_path / "full.safetensors"
    save_model(model(network), path, half=False)
    back = load_model(path)
    assert type(back.network) is type(network)
    assert back.network.config == network.config
    for key, tensor in network.state_dict().items():
        assert torch.equal(back.network.state_dict()[key], tensor)
    assert back.normalisation == Normalisation((0.1, -0.2), (0.3, 0.4))
    assert back.thinning == Thinning(0.25, 0.9)
    assert back.about == model().about
    assert back.name == "full"
    assert back.num_parameters == sum(p.numel() for p in network.parameters())
    assert not back.network.training


def test_half_precision_comes_close_in_half_the_space(tmp_path):
    network = SynthesisNetwork(SynthesisConfig(hidden=64, layers=1))
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_model(model(network), full, half=False)
    save_model(model(network), half)
    assert half.stat().st_size < 0.55 * full.stat().st_size
    for key, tensor in load_model(half).network.state_dict().items():
        assert tensor.dtype == torch.float32
        # half precision keeps 11 bits
        torch.testing.assert_close(
            tensor, network.state_dict()[key], rtol=2**-11, atol=1e-7
        )


def composer():
    network = CharacterDecoder(CharacterDecoderConfig(5, width=6, layers=1, heads=2))
    return Model(network, vocabulary=Vocabulary("\n abü"))


def test_a_model_over_characters_carries_its_vocabulary(tmp_path):
    path, made = tmp_path / "composer.safetensors", composer()
    save_model(made, path, half=False)
    back = load_model(path)
    assert back.carried == {"vocabulary": Vocabulary("\n abü")}
    text = torch.tensor([[1, 2, 3]])
    assert torch.equal(back.network(text).logits, made.network.eval()(text).logits)
    other = made.replace(vocabulary=Vocabulary("\n abc"))
    assert other.fingerprint() != made.fingerprint()
    with pytest.raises(ModelError, match="give all that a character model carries"):
        Model(made.network)
    for wrong in ("ba", "", 3, None):
        rewrite_header(path, carried={"vocabulary": {"characters": wrong}})
        with pytest.raises(ModelError, match="a vocabulary must have at least one"):
            load_model(path)


def test_in_int8_whatever_is_no_matrix_stays_as_it_is():
    # the weights of a norm are called so, too, and are no matrix
    made = composer()
    saved = safetensors.torch.load(to_bytes(made, torch.int8))
    for key, weight in made.network.state_dict().items():
        if weight.ndim == 2:
            step = saved[f"{key}.scale"][:, None]
            assert ((saved[key] * step - weight).abs() <= 0.501 * step).all()
        else:
            assert torch.equal(saved[key], weight)


def test_the_fingerprint_tells_models_apart_and_survives_half_precision(tmp_path):
    one, other = model(), model(SynthesisNetwork(NETWORKS[0].config))
    assert one.fingerprint() != other.fingerprint()
    for half in (True, False):
        path = tmp_path / f"{half}.safetensors"
        save_model(one, path, half)
        assert load_model(path).fingerprint() == one.fingerprint()


def test_a_loaded_model_gives_the_same_numbers(tmp_path, device):
    path = tmp_path / "m.safetensors"
    save_model(model(), path, half=False)
    text = torch.tensor([[34, 73, 0]])
    arguments = torch.randn(1, 5, 3), text, text == text
    wanted = NETWORKS[0](*arguments).output
    loaded = load_model(path, device)
    assert loaded.device.type == device.type
    back = loaded.network(*(a.to(device) for a in arguments)).output
    torch.testing.assert_close(back.cpu(), wanted)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no model file .*absent"):
        load_model(tmp_path / "absent.safetensors")
    with pytest.raises(FileNotFoundError, match="no model file"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a model",
        b"\x80\x04.",
        bytes(8) + b"{}",
        b"\xff" * 64,
        safetensors.torch.save({"a": torch.zeros(2)}),
        safetensors.torch.save({"a": torch.zeros(2)}, {"handwriting_lib": "{}"}),
        safetensors.torch.save({"a": torch.zeros(2)}, {"handwriting_lib": "[1]"}),
        safetensors.torch.save({"a": torch.zeros(2)}, {"handwriting_lib": "nonsense"}),
    ],
)
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"wrong\.safetensors is not a model file"):
        load_model(path)


def test_a_truncated_model_is_refused(tmp_path):
    path = tmp_path / "short.safetensors"
    save_model(model(), path)
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match=r"short\.safetensors is not a model"):
            load_model(path)


UNITS = {
    "normalisation": {"mean": [0.1, -0.2], "std": [0.5, 0.8]},
    "thinning": {"distance": 0.3, "angle": 1.0},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alphabet": alphabet.CHARACTERS.replace("Q", "")}, "another alphabet"),
        ({"format": "handwriting_lib.model.99"}, r"model\.99.*reads.*model\.1"),
        ({"kind": "transformer"}, "no kind of network 'transformer'"),
        ({"config": {"hidden": 6, "heads": 2}}, "heads"),
        ({"config": {"hidden": 7}}, "do not fit"),
        ({"carried": {}}, "is not a model file"),
        ({"carried": UNITS | {"thinning": None}}, "is not a model file"),
        ({"carried": UNITS | {"normalisation": {"mean": [0, 0]}}}, "is not a model"),
    ],
)
def test_a_model_of_another_kind_is_refused_with_the_reason(tmp_path, changes, message):
    path = tmp_path / "m.safetensors"
    save_model(model(), path)
    rewrite_header(path, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(path)


def test_a_file_of_format_1_loads(tmp_path):
    path = tmp_path / "old.safetensors"
    about = {"validation_nats_a_point": -0.5}
    save_model(model(), path)
    old = {"format": "handwriting_lib.model.1", "carried": None, "about": about}
    rewrite_header(path, **old, **UNITS, alphabet=alphabet.CHARACTERS)
    loaded = load_model(path)
    assert loaded.normalisation == Normalisation((0.1, -0.2), (0.5, 0.8))
    assert loaded.thinning == Thinning(0.3, 1.0)
    assert loaded.about == {"validation_nats_per_point": -0.5}
    assert loaded.fingerprint(1) == model().fingerprint(1)


def test_the_fingerprint_covers_the_normalisation_and_version_1_the_weights_alone():
    one = model()
    other = one.replace(normalisation=Normalisation((0.0, 0.0), (2.0, 2.0)))
    assert one.fingerprint(1) == other.fingerprint(1)
    assert one.fingerprint() != other.fingerprint()
    thinner = one.replace(thinning=Thinning(0.1, 0.5))
    assert one.fingerprint() == thinner.fingerprint()  # says how to prepare ink
    assert one.is_called(one.fingerprint()) and one.is_called(one.fingerprint(1))
    assert not one.is_called(other.fingerprint())


def test_shared_weights_and_whole_numbers_come_back(tmp_path):
    network = SynthesisNetwork(SynthesisConfig(hidden=6))
    network.layers[2].peephole = network.layers[1].peephole
    network.register_buffer("count", torch.tensor([2049]))
    save_model(Model(network), tmp_path / "m.safetensors", half=False)
    with safetensors.safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        assert file.get_tensor("count").tolist() == [2049]
        assert torch.equal(
            file.get_tensor("layers.1.peephole"), file.get_tensor("layers.2.peephole")
        )


def test_models_are_found_by_name_or_path(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path)
    save_model(model(), tmp_path / "tiny.safetensors")
    save_model(model(), tmp_path / "unnamed")
    assert pretrained_names() == ["tiny"]
    wanted = model().fingerprint()
    assert load_pretrained("tiny").fingerprint() == wanted
    assert find_model("tiny").fingerprint() == wanted
    assert find_model(tmp_path / "tiny.safetensors").fingerprint() == wanted
    assert find_model(tmp_path / "unnamed").fingerprint() == wanted
    with pytest.raises(ModelError, match="no model 'huge': choose one of tiny"):
        find_model("huge")


def test_a_network_of_another_kind_cannot_be_saved(tmp_path):
    with pytest.raises(ModelError, match="Linear is not a network"):
        save_model(Model(torch.nn.Linear(2, 2)), tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_header_cannot_ask_for_memory(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(model(), path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    ours = json.loads(header["__metadata__"]["handwriting_lib"])
    ours["config"]["hidden"] = 10_000  # 2 GB and more of weights
    header["__metadata__"]["handwriting_lib"] = json.dumps(ours)
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + size :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"layers.0.bias .* wants \(40000,\)"):
        load_model(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000  # kilobytes


def test_networks_are_built_from_their_configuration():
    network = build_network("prediction", {"hidden": 5})
    assert network.config == PredictionConfig(hidden=5)
    with pytest.raises(ValueError, match="hiden"):
        build_network("prediction", {"hiden": 5})


# --- checkpoints -----------------------------------------------------------------


def state():
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.randn(4, 3)).sum().backward()
    optimiser.step()
    return {
        "step": 7,
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": torch.get_rng_state(),
    }


def test_a_checkpoint_comes_back_exactly(tmp_path):
    saved = state()
    save_checkpoint(saved, tmp_path / "deep" / "c.safetensors")
    back = load_checkpoint(tmp_path / "deep" / "c.safetensors")
    assert back["step"] == 7
    torch.testing.assert_close(back["network"], dict(saved["network"]), rtol=0, atol=0)
    moments = back["optimiser"]["state"][0]
    assert torch.equal(moments["exp_avg"], saved["optimiser"]["state"][0]["exp_avg"])
    assert torch.equal(back["generator"], saved["generator"])


def test_a_missing_checkpoint_says_what_to_do(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint .*c\.safetensors.*without --resume"
    ):
        load_checkpoint(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04", b"\x80\x02K\x01K\x02", bytes(100)]
)
def test_a_file_that_is_no_checkpoint_is_refused(content, tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a training checkpoint"):
        load_checkpoint(path)


def test_other_contents_are_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    for other in ({"weights": torch.zeros(2)}, [1, 2], torch.zeros(3)):
        save_checkpoint({"step": 1}, path)
        load_checkpoint(path)
        save_checkpoint(other, path)
        with pytest.raises(ModelError, match="not a training checkpoint"):
            load_checkpoint(path)
    save_model(model(), path)
    with pytest.raises(ModelError, match="not a training checkpoint"):
        load_checkpoint(path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(state(), path)
    content = path.read_bytes()
    for share in (0.05, 0.5, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ModelError, match="cut short"):
            load_checkpoint(path)


@pytest.mark.parametrize("way", ["plain", "torch", "zip"])
def test_nothing_in_a_checkpoint_is_executed(tmp_path, way):
    trace, path = tmp_path / "trace", tmp_path / "c.safetensors"
    payload = {"step": 1, "network": Bomb(trace)}
    if way == "plain":
        path.write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, path, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(ModelError, match="not a training checkpoint"):
        load_checkpoint(path)
    with pytest.raises(ModelError):
        load_model(path)
    assert not trace.exists()
    if way == "plain":  # the bomb does go off when it is unpickled
        pickle.loads(path.read_bytes())["network"].close()
        assert trace.exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    save_checkpoint({"step": 1}, tmp_path / "c.safetensors")
    save_model(model(), tmp_path / "m.safetensors")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(TypeError, match="function is not JSON"):
        unsaveable = {"step": 2, "x": torch.zeros(9), "f": lambda: 0}
        save_checkpoint(unsaveable, tmp_path / "c.safetensors")

    def disk_full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints.os, "replace", disk_full)
    with pytest.raises(OSError, match="no space"):
        save_model(model(NETWORKS[1]), tmp_path / "m.safetensors")
    with pytest.raises(OSError, match="no space"):
        save_checkpoint({"step": 3}, tmp_path / "c.safetensors")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_writing_leaves_no_partial_file(tmp_path):
    for step in range(3):
        save_checkpoint({"step": step}, tmp_path / "c.safetensors")
        save_model(model(), tmp_path / "m.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "c.safetensors",
        "m.safetensors",
    ]
    assert load_checkpoint(tmp_path / "c.safetensors")["step"] == 2
