"""What ships: every model has a card that says of it what its file says."""

import pytest

import handwriting_lib as hw
from handwriting_lib import cli
from handwriting_lib.files.models import PRETRAINED
from handwriting_lib.ink import check_ink

NAMES = hw.pretrained_names()
MODELS = {name: hw.load_pretrained(name) for name in NAMES}
COMPOSERS = [name for name in NAMES if name.startswith("character")]
DRAWERS = [name for name in NAMES if MODELS[name].kind == "glyph"]
READERS = [name for name in NAMES if MODELS[name].network.reads_text]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_the_default_is_of_the_paper_s_size():
    assert hw.load_pretrained().name == "unipen-400"


def test_card_and_file_agree(name):
    model = hw.load_pretrained(name)
    card = " ".join((PRETRAINED / f"{name}.md").read_text().split())
    about = model.about
    assert f"{model.num_parameters:,} weights" in card
    assert f"{about['steps']:,} updates" in card
    unit = "character" if name in COMPOSERS else "point"
    assert f"{about['points_seen']:,} {unit}s" in card
    assert f"{about[f'validation_nats_per_{unit}']:.3f}" in card
    assert model.fingerprint() in card
    if name in DRAWERS:
        assert "SIL Open Font License 1.1" in card
        assert all(family in card for family in about["families"])
    else:
        assert "CC BY 4.0" in card
        assert ("10.1109/ICPR.1994.576870" in card) == (unit == "point")


def test_file_is_small(name):
    assert (PRETRAINED / f"{name}.safetensors").stat().st_size < 8_000_000


def test_training_is_the_one_of_the_configuration(name):
    about = hw.load_pretrained(name).about
    config = hw.read_config(f"configs/{name}.toml")
    assert about["config"]["recipe"]["steps"] == config.recipe.steps
    if config.recipe.patience:  # the best one of a training that may stop early
        assert 0 < about["steps"] <= config.recipe.steps
    else:
        assert about["steps"] == config.recipe.steps
    assert dict(config.model).items() <= about["config"]["model"].items()


def test_the_composers_are_small_enough_together():
    sizes = [(PRETRAINED / f"{n}.safetensors").stat().st_size for n in COMPOSERS]
    assert len(sizes) == 2 and sum(sizes) < 6_000_000


@pytest.mark.parametrize("name", COMPOSERS)
def test_it_composes_what_the_hand_can_write(name):
    said = hw.compose("The pen", name, sentence=True, hand=True, characters=60)
    assert said.startswith("The pen") and len(said) <= 67
    assert hw.alphabet.missing(said) == []
    held_out = hw.load_text("book").split()[1]
    nats = hw.cross_entropy(hw.load_pretrained(name), held_out)
    told = MODELS[name].about["validation_nats_per_character"]
    assert nats == pytest.approx(told, abs=0.002)  # half precision


def test_what_it_draws_is_type_and_its_file_is_small():
    assert DRAWERS == ["glyph-176"]
    assert (PRETRAINED / "glyph-176.safetensors").stat().st_size < 6_000_000
    glyphs = hw.draw_glyphs("Hamburg", hw.load_pretrained("glyph-176"), style="sans")
    assert all(glyph.parses for glyph in glyphs)
    heights = {g.character: g.outline.points[:, 1].max() for g in glyphs}
    assert heights["H"] > heights["m"] > 0.3  # a capital, and a small letter, in ems


@pytest.mark.parametrize("name", READERS)
def test_it_obeys_the_text(name):
    texts = [
        "the quick brown fox",
        "It has to be symphonic",
        "Q X Z 1984",
        "a",
        "(716) 555-0123",
    ]
    lines = hw.write(texts, hw.load_pretrained(name), bias=1.0, seed=2)
    assert all(line.complete for line in lines), [line.problem for line in lines]


def test_what_does_not_read_writes_freely():
    others = [name for name in NAMES if name not in READERS + COMPOSERS + DRAWERS]
    assert others == ["unipen-free"]
    model = hw.load_pretrained("unipen-free")
    for ink in hw.write_unconditional(model, 400, samples=4, seed=2):
        check_ink(ink)  # no NaN, a pen column of 0 and 1
        # a hand stays near its line, moves on, and lifts the pen now and then
        where = hw.offsets_to_positions(ink)
        assert where[-1, 0] > 10 and where[:, 1].abs().max() < 12
        assert 10 < ink[:, 2].sum() < 150


def test_text_for_it_is_a_clear_error(capsys):
    assert cli.main(["write", "a text", "--model", "unipen-free"]) == 2
    message = "unipen-free is a prediction model, which cannot write text"
    assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match="prediction network"):
        hw.Studio(hw.load_pretrained("unipen-free"), "a text")
