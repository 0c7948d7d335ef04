"""Names that were changed still work, and warn."""

import dataclasses

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.training.config import Recipe


def test_an_old_argument_warns_and_counts():
    with pytest.warns(DeprecationWarning, match="inputs is deprecated: use input_size"):
        layer = hw.PeepholeLSTM(inputs=3, hidden_size=4)
    assert layer.input_size == 3
    with pytest.warns(DeprecationWarning, match="initial_state"):
        state = layer.start(2)
    assert state.h.shape == (2, 4)
    with pytest.warns(DeprecationWarning, match="precision"):
        assert hw.write("a", "unipen-184", weights="float32")[0].text == "a"


def test_an_old_field_warns_as_argument_and_as_attribute():
    with pytest.warns(DeprecationWarning, match="max_points"):
        limits = hw.Limits(points=7)
    with pytest.warns(DeprecationWarning, match="max_points"):
        assert limits.points == limits.max_points == 7
    with pytest.warns(DeprecationWarning, match="learning_rate"):
        assert dataclasses.replace(Recipe(), rate=0.5).learning_rate == 0.5
    with pytest.warns(DeprecationWarning, match="learning_rate_at"):
        Recipe().rate_at(3)


def test_an_old_name_of_the_package_warns():
    with pytest.warns(DeprecationWarning, match="LengthBuckets"):
        assert hw.Buckets is hw.LengthBuckets
    with pytest.warns(DeprecationWarning, match=r"handwriting_lib\.parts\.mixture"):
        assert hw.mixture.mixture_loss is hw.mixture_loss
    with pytest.raises(AttributeError, match="nonsense"):
        _ = hw.nonsense


def test_a_generator_may_still_come_first():
    mixture = hw.StrokeMixture.from_output(torch.zeros(2, 7))
    with pytest.warns(DeprecationWarning, match="generator=..."):
        old = mixture.sample(torch.Generator().manual_seed(1))
    assert torch.equal(old, mixture.sample(generator=torch.Generator().manual_seed(1)))


def test_an_old_entry_of_a_configuration_is_read(tmp_path, caplog):
    file = tmp_path / "old.toml"
    file.write_text('start = "x"\n[recipe]\nrate = 0.5\n[limits]\nshortest = 3\n')
    config = hw.read_config(file)
    assert (config.init_from, config.recipe.learning_rate) == ("x", 0.5)
    assert config.limits.min_characters == 3
    assert "rate is now called learning_rate" in caplog.text


def test_an_old_option_warns(tmp_path, capsys):
    out = tmp_path / "a.json"
    command = ["write", "a", "--model", "unipen-184", "--json", str(out)]
    assert main([*command, "--weights", "int8"]) == 0
    assert "--weights is deprecated: use --precision" in capsys.readouterr().err
    assert main([*command, "--weights", "int9"]) == 2
    assert "float32 or int8, not 'int9'" in capsys.readouterr().err
