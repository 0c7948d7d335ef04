"""Recipes and configurations: schedules, and what a file may say."""

from pathlib import Path

import pytest
from torch import nn

from handwriting_lib.corpora import iam
from handwriting_lib.data.transforms import (
    Augmentation,
    Limits,
)
from handwriting_lib.systems import train
from handwriting_lib.training import loop as training
from handwriting_lib.training.config import (
    ConfigError,
    Recipe,
    TrainingConfig,
    read_config,
)
from tests.training.tiny import config, data

TESTS = Path(__file__).parent


# --- schedules ----------------------------------------------------------------------


def test_the_rate_warms_up_stays_and_falls():
    recipe = Recipe(
        steps=1000,
        learning_rate=0.1,
        warmup_steps=100,
        decay_share=0.4,
        final_rate_share=0.02,
    )
    rates = [recipe.learning_rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[99:600] == [0.1] * 501
    assert rates[600:] == sorted(rates[600:], reverse=True)
    assert recipe.learning_rate_at(1000) == pytest.approx(0.002)
    assert min(rates) > 0


def test_lines_take_over_from_words():
    recipe = Recipe(steps=1000, word_share=(0.9, 0.2), word_share_until=0.4)
    shares = [recipe.word_share_at(step) for step in range(1000)]
    assert shares[0] == 0.9
    assert shares == sorted(shares, reverse=True)
    assert shares[400:] == pytest.approx([0.2] * 600)
    assert Recipe(word_share=(0.3, 0.3)).word_share_at(0) == 0.3


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
    points_per_character = [5, 50]
    [augmentation]
    slant = 0
    [recipe]
    learning_rate = 1
    word_share = [0.5, 0.25]
    clip_derivatives = true
    """
    read = read_config(toml(tmp_path, text))
    assert read == TrainingConfig(
        corpus="synthetic",
        model={"hidden": 8},
        limits=Limits(points_per_character=(5.0, 50.0)),
        augmentation=Augmentation(slant=0.0),
        recipe=Recipe(learning_rate=1.0, word_share=(0.5, 0.25), clip_derivatives=True),
    )
    assert isinstance(read.recipe.learning_rate, float)
    assert read_config(toml(tmp_path, "")) == TrainingConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 5", r"c\.toml: there is no entry 'steps'; choose one of network"),
        ("[recipe]\nspeed = 5", r"\[recipe\]: there is no entry 'speed'; .*steps"),
        ("[recipe]\nsteps = 5.5", r"\[recipe\]: steps must be a whole number, not 5"),
        ("[recipe]\nsteps = '5'", "steps must be a whole number, not '5'"),
        ("[recipe]\nsteps = true", "steps must be a whole number, not True"),
        (
            "[recipe]\nlearning_rate = 'fast'",
            "learning_rate must be a number, not 'fast'",
        ),
        ("[recipe]\nlearning_rate = [1]", "learning_rate must be a number"),
        ("[recipe]\nmatmul_dtype = 16", "matmul_dtype must be a string, not 16"),
        (
            "[recipe]\nclip_derivatives = 1",
            "clip_derivatives must be true or false, no",
        ),
        ("[recipe]\nweight_noise = true", "weight_noise must be a number, not True"),
        (
            "[recipe]\nword_share = 0.5",
            r"word_share must be a list of 2 values, not 0\.5",
        ),
        ("[recipe]\nword_share = [0.5]", "word_share must be a list of 2"),
        ("[recipe]\nword_share = [0.5, 'x']", "word_share must be a number, not 'x'"),
        (
            "[limits]\nwidth_per_character = [1, 2, 3]",
            r"\[limits\]: width_per_character must be a list of 2",
        ),
        ("recipe = 5", r"c\.toml: recipe must be a table, not 5"),
        ("model = 'large'", "model must be a table, not 'large'"),
        ("corpus = 1", "corpus must be a string, not 1"),
        ("this is not TOML", r"c\.toml is not TOML"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_config(toml(tmp_path, text))


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no configuration file .*absent\.toml"
    ):
        read_config(tmp_path / "absent.toml")


def test_bytes_that_are_no_text_are_no_configuration(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(tmp_path / "c.toml")


def test_a_wrong_network_or_type_of_products_is_named(tmp_path):
    with pytest.raises(ConfigError, match="float32 or bfloat16, not 'float16'"):
        train(config(matmul_dtype="float16"), data(), tmp_path, quiet=True)
    with pytest.raises(ValueError, match="no kind of network 'transformer'"):
        train(config("transformer"), data(), tmp_path, quiet=True)
    with pytest.raises(ValueError, match="hiden"):
        train(config(model={"hiden": 8}), data(), tmp_path, quiet=True)


@pytest.mark.parametrize("path", sorted((TESTS.parents[1] / "configs").glob("*.toml")),
                         ids=lambda path: path.name)  # fmt: skip
def test_the_configurations_that_ship_can_be_read(path):
    read = read_config(path)
    network = training.build_network(read.network, read.model)
    assert isinstance(network, nn.Module)


def test_the_paper_s_protocol_is_the_reader_s():
    for name in ("iam-paper", "iam-paper-noise"):
        how = read_config(TESTS.parents[1] / "configs" / f"{name}.toml")
        assert how.corpus_options == {"split": iam.PAPER_TRAINING}
        assert how.validation_options == {"split": iam.PAPER_VALIDATION}
        recipe = how.recipe
        assert recipe.optimiser == "rmsprop" and recipe.learning_rate_at(0) == 1e-4
        assert recipe.learning_rate_at(recipe.steps - 1) == 1e-4
        assert recipe.clip_derivatives and recipe.clip_norm == 0
        assert recipe.weight_noise == (0.075 if "noise" in name else 0)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("clip_norm = -1", "clip_norm must be at least 0, not -1"),
        ("validate_every = 0", "validate_every must be at least 1, not 0"),
        ("points_per_batch = -5", "points_per_batch must be at least 1, not -5"),
        ("word_share = [0.2, 1.9]", r"word_share must be .* at most 1, not \(0\.2, 1"),
        ("decay_share = 2", "decay_share must be at least 0 and at most 1, not 2"),
        ("steps = 0", "steps must be at least 1"),
        ("character_share = 0.7\nsynthetic_share = 0.6", "must not exceed 1 together"),
    ],
)
def test_an_entry_out_of_its_range_is_named(tmp_path, entry, message):
    with pytest.raises(ConfigError, match=rf"c\.toml \[recipe\]: .*{message}"):
        read_config(toml(tmp_path, f"[recipe]\n{entry}\n"))


def test_an_old_and_a_new_name_together_are_an_error(tmp_path):
    with pytest.raises(ConfigError, match="rate is the old name of learning_rate"):
        read_config(toml(tmp_path, "[recipe]\nrate = 1\nlearning_rate = 2\n"))


def test_a_byte_order_mark_is_no_error(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf[recipe]\nsteps = 7\n")
    assert read_config(tmp_path / "c.toml").recipe.steps == 7
