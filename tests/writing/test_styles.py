"""Styles: what a network keeps of a line it has read, and how it goes on from there."""

import dataclasses
import json
import logging

import pytest
import safetensors.torch
import torch

import handwriting_lib as hw
from handwriting_lib.cli import main
from handwriting_lib.corpora import collected
from handwriting_lib.corpora.synthetic import load as load_synthetic
from handwriting_lib.evaluation.report import EvaluationSettings
from handwriting_lib.ink import slant
from handwriting_lib.writing import styles
from handwriting_lib.writing.sampling import (
    BACK_OVER_THE_PRIME,
    _check_start,
    _first_point,
)


@pytest.fixture(scope="module")
def model():
    return hw.load_pretrained()


@pytest.fixture(scope="module")
def sample():
    """A line that no person wrote, with raw points."""
    return load_synthetic(samples=1, seed=2).samples[0]


@pytest.fixture(scope="module")
def style(model, sample):
    return hw.make_style(model, sample, "test")


@pytest.fixture
def tiny():
    """Another model."""
    return hw.Model(hw.SynthesisNetwork(hw.SynthesisConfig(hidden=8)), name="tiny")


def tensors_of(style):
    state = style.state
    return [style.point, state.w, state.kappa, *(x for s in state.layers for x in s)]


# --- what a style is -----------------------------------------------------------------


def test_it_is_the_state_after_reading_point_by_point(model, sample, style):
    network = model.network
    scaled = hw.scale_by_writer([sample])[0].ink
    ink = model.normalisation.apply(model.thinning(scaled)[0])
    ink[0, :2] = 0
    text = hw.encode(sample.text + " ")[None]
    mask = torch.ones_like(text, dtype=torch.bool)
    mask[:, -1] = False
    state = network.initial_state(1)
    with torch.no_grad():
        for point in ink[:-1]:
            _, state, _ = network.step(point[None], state, text, mask)
    torch.testing.assert_close(style.point, ink[-1])
    torch.testing.assert_close(style.state.w, state.w, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(style.state.kappa, state.kappa, atol=1e-3, rtol=1e-4)
    for kept, layer in zip(style.state.layers, state.layers, strict=True):
        # half precision keeps eleven bits
        torch.testing.assert_close(kept.h, layer.h, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(kept.c, layer.c, atol=1e-3, rtol=1e-3)


def test_scaled_and_raw_ink_give_the_same_style(model, sample, style):
    other = hw.make_style(model, hw.scale_by_writer([sample])[0])
    for a, b in zip(tensors_of(style), tensors_of(other), strict=True):
        assert torch.equal(a, b)


def test_a_text_that_the_ink_does_not_say_is_noticed(model, sample, caplog):
    with caplog.at_level(logging.WARNING):
        hw.make_style(model, sample)
        assert not caplog.records
        hw.make_style(model, sample.replace(text=sample.text * 2))
    assert "check that the text is what the ink says" in caplog.text


def test_what_cannot_be_read_is_an_error(model, sample):
    with pytest.raises(hw.StyleError, match="choose a synthesis network"):
        hw.make_style(hw.Model(hw.PredictionNetwork()), sample)
    with pytest.raises(ValueError, match="'ü'"):
        hw.make_style(model, sample.replace(text="Zürich"))
    dot = sample.replace(ink=torch.tensor([[0.0, 0.0, 1.0]]), text=".")
    with pytest.raises(hw.StyleError, match="single point"):
        hw.make_style(model, dot)


# --- files ---------------------------------------------------------------------------


def test_a_file_gives_the_style_back_bit_by_bit(model, style, tmp_path):
    hw.save_style(style, tmp_path / "test.safetensors")
    again = hw.load_style(tmp_path / "test.safetensors", model)
    assert (again.text, again.model, again.name) == (style.text, style.model, "test")
    for a, b in zip(tensors_of(style), tensors_of(again), strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)
    assert (tmp_path / "test.safetensors").stat().st_size < 8000
    both = [hw.write("same", model, style=s, seed=4)[0] for s in (style, again)]
    assert torch.equal(both[0].ink, both[1].ink)


def test_a_file_holds_the_state_and_no_ink(style, tmp_path):
    hw.save_style(style, tmp_path / "x.safetensors")
    with safetensors.safe_open(tmp_path / "x.safetensors", "pt") as file:
        names = set(file.keys())
        header = json.loads(file.metadata()["handwriting_lib"])
    layers = {f"layers.{i}.{part}" for i in range(3) for part in "hc"}
    assert names == {"w", "kappa", "point"} | layers
    assert set(header) == {"format", "text", "model"}


def test_with_another_model_it_is_an_error(style, tiny, tmp_path):
    hw.save_style(style, tmp_path / "x.safetensors")
    with pytest.raises(hw.StyleError, match=r"x\.safetensors was made with the model"):
        hw.load_style(tmp_path / "x.safetensors", tiny)
    with pytest.raises(hw.StyleError, match="'test' was made with the model"):
        hw.write("a", tiny, style=style)
    with pytest.raises(hw.StyleError, match="no style 'nobody': it comes with none"):
        hw.write("a", tiny, style="nobody")


def test_files_that_are_no_styles_are_named(model, style, tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no style file .*x\.safetensors"):
        hw.load_style(path, model)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(hw.StyleError, match=r"x\.safetensors is not a style file"):
        hw.load_style(path, model)
    hw.save_model(model, path)
    with pytest.raises(hw.StyleError, match="is not a style file"):
        hw.load_style(path, model)
    nan = dataclasses.replace(style, point=torch.full((3,), float("nan")))
    short = dataclasses.replace(style, point=style.point[:2])
    for damaged in (nan, short):
        hw.save_style(damaged, path)
        with pytest.raises(hw.StyleError, match="is damaged"):
            hw.load_style(path, model)
    with pytest.raises(hw.StyleError, match=r"\.safetensors"):
        hw.save_style(style, tmp_path / "x.json")
    with pytest.raises(hw.StyleError, match="no folder"):
        hw.save_style(style, tmp_path / "none" / "x.safetensors")


# --- writing with a style ------------------------------------------------------------


def test_a_style_changes_the_ink_and_the_line_is_whole(model, style):
    texts = ["no two lines alike", "Q X Z", "a", "1984, and after!"]
    plain = hw.write(texts, model, seed=3)
    styled = hw.write(texts, model, style=style, seed=3)
    for before, line in zip(plain, styled, strict=True):
        assert line.complete, line.problem
        assert line.text == before.text
        assert line.phi.shape == (len(line.ink), len(line.text) + 1)
        assert torch.equal(line.ink[0, :2], torch.zeros(2)) and line.ink[-1, 2] == 1
        same = line.ink.shape == before.ink.shape
        assert not same or not torch.equal(line.ink, before.ink)


def test_the_line_starts_with_its_first_character_and_not_with_the_prime(model, style):
    lines = hw.write(["moment", "Year", "1234"] * 3, model, style=style, seed=2)
    for line in lines:
        attended = line.phi.argmax(1)
        assert attended[:4].max() <= 1 and attended[-1] >= len(line.text) - 1


def test_the_hand_that_was_read_goes_on(model, sample):
    # the same line leant to the left and to the right
    written = []
    for shear in (-0.5, 0.0, 0.5):
        leaning = sample.replace(ink=slant(sample.ink, shear))
        style = hw.make_style(model, leaning)
        lines = hw.write(["illegible minimum"] * 6, model, style=style, seed=1)
        ink = torch.cat([line.ink for line in lines])
        tall = ink[ink[:, 1].abs() > ink[:, 0].abs().clamp_min(0.2)]
        written.append(
            float((tall[:, 0] * tall[:, 1].sign()).sum() / tall[:, 1].abs().sum())
        )
    assert written[0] < written[1] < written[2]
    assert written[2] - written[0] > 0.2


def test_a_line_with_a_style_is_itself_alone_and_in_a_batch(model, style):
    texts = ["the quick brown fox", "a", "Q X Z", "1984"]
    together = hw.write(texts, model, style=style, seed=9, redraws=1)
    for position, line in enumerate(together):
        alone = hw.write(
            line.text, model, style=style, seed=9, redraws=1, positions=[position]
        )[0]
        assert alone.draws == line.draws and alone.ink.shape == line.ink.shape
        torch.testing.assert_close(alone.ink, line.ink, atol=1e-3, rtol=0)


def test_output_is_that_of_the_points_kept(model, style):
    line = hw.write("ab", model, style=style, keep_output=True, redraws=0)[0]
    assert line.output.shape == (len(line.ink), 121)


def test_strokes_that_finish_the_prime_are_no_part_of_the_text():
    back, gap = -2 - BACK_OVER_THE_PRIME, 5.0
    prime = [0.3, 0.1, 1.0]  # its last point
    bar = [[back, 1.0, 0.0], [0.6, 0.0, 1.0]]
    letter = [[gap, 0.0, 0.0], [0.1, 0.4, 0.0], [0.1, -0.4, 1.0]]
    assert _first_point(torch.tensor([prime, *bar, *letter])) == 3
    assert _first_point(torch.tensor([prime, *letter, *letter])) == 1
    # a bar of the text's own t stays, and so does all there is
    assert _first_point(torch.tensor([prime, *letter, *bar])) == 1
    assert _first_point(torch.tensor([prime, *bar])) == 1


def test_a_line_that_goes_back_into_the_prime_is_incomplete():
    prime = "ab "
    path = torch.tensor([2, 3, 4, 5])  # space, c, d, end
    phi = torch.nn.functional.one_hot(path, 6).float()
    assert _check_start(phi, prime) == ""
    phi[2] = torch.nn.functional.one_hot(torch.tensor(0), 6).float()
    assert "went back into the line" in _check_start(phi, prime)


# --- the command line ----------------------------------------------------------------


def test_one_s_own_hand_from_the_pad_s_file(model, tmp_path, capsys):
    lines = load_synthetic(samples=3, seed=5).samples
    collected.save(lines, tmp_path / "ink.json")
    out = tmp_path / "me.safetensors"
    made = ["style", "--from", str(tmp_path / "ink.json"), "--save", str(out)]
    assert main([*made, "--text", lines[1].text]) == 0
    style = hw.load_style(out, model)
    assert (style.text, style.name) == (lines[1].text, "me")
    drawn = tmp_path / "line.json"
    assert main(["write", "hi", "--style", str(out), "--json", str(drawn)]) == 0
    line = hw.write("hi", model, style=style)[0]
    assert json.loads(drawn.read_text())[0]["strokes"] == line.to_json()["strokes"]

    capsys.readouterr()
    assert main([*made, "--text", "something else"]) == 2
    said = capsys.readouterr().err
    assert "--text" in said and repr(lines[0].text) in said
    assert main(["write", "hi", "--style", "nobody"]) == 2
    assert "no style 'nobody'" in capsys.readouterr().err


def test_a_list_of_hands_makes_one_file_each(tmp_path, capsys):
    lines = load_synthetic(samples=3, seed=5).samples
    collected.save(lines, tmp_path / "ink.json")
    hands = tmp_path / "hands.toml"
    entries = [
        f"[{name}]\ntext = {json.dumps(s.text)}\nink = '{styles.sample_id(s)}'\n"
        for name, s in zip(("oak", "elm"), lines, strict=False)
    ]
    hands.write_text("".join(entries))
    folder = tmp_path / "made"
    made = [
        "style", "--from", str(tmp_path / "ink.json"), "--hands", str(hands),
        "--save", str(folder),
    ]  # fmt: skip
    assert main(made) == 0
    assert sorted(p.name for p in folder.iterdir()) == [
        "elm.safetensors", "oak.safetensors"
    ]  # fmt: skip

    def says(content):
        hands.write_text(content)
        capsys.readouterr()
        assert main(made) == 2
        return capsys.readouterr().err

    assert "strings for exactly the keys" in says("[oak]\ntext = 'a'\n")
    assert "strings for exactly the keys" in says("oak = ['ink', 'text']\n")
    assert "not TOML" in says("[oak")
    assert "no sample of the corpus" in says("[oak]\ntext = 'a'\nink = '0'\n")
    other = f"[oak]\ntext = 'other'\nink = '{styles.sample_id(lines[0])}'\n"
    assert "not 'other'" in says(other)


# --- the hands that ship ----------------------------------------------------------


@pytest.mark.parametrize("name", ["unipen-256", "unipen-400"])
def test_shipped_hands_are_those_of_the_list(name):
    own = hw.load_pretrained(name)
    listed = styles.read_hands(styles.HANDS / "hands.toml")
    assert hw.style_names(own) == sorted(listed) and len(listed) >= 8
    for hand, entry in listed.items():
        assert styles.find_style(hand, own).text == entry.text


def test_shipped_hands_write_and_differ(model):
    lines = [
        hw.write("quiet vow of ink", model, style=hand, seed=1)[0]
        for hand in hw.style_names(model)
    ]
    assert all(line.complete for line in lines), [line.problem for line in lines]
    widths = [float(line.ink[:, 0].sum()) for line in lines]
    assert max(widths) > 1.4 * min(widths)


def test_a_style_finds_the_model_that_it_was_made_with(sample, tmp_path, capsys):
    small = hw.load_pretrained("unipen-256")
    style = hw.make_style(small, sample, "mine")
    path = tmp_path / "mine.safetensors"
    hw.save_style(style, path)
    (wanted,) = hw.write("hi", small, style=style)
    for given in (style, path):
        assert torch.equal(hw.write("hi", style=given)[0].ink, wanted.ink)
    ink = tmp_path / "ink.json"
    assert main(["write", "hi", "--style", str(path), "--json", str(ink)]) == 0
    (entry,) = json.loads(ink.read_text())
    assert entry["strokes"] == wanted.to_json()["strokes"]
    for style in (None, "birch", "nobody", hw.make_style(hw.load_pretrained(), sample)):
        assert styles.model_of(style).name == "unipen-400"
    assert main(["write", "hi", "--style", str(path), "--model", "unipen-400"]) == 2
    assert "was made with the model" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["absent.safetensors", "folder/absent"])
def test_a_style_file_that_is_not_there_is_named(name):
    with pytest.raises(FileNotFoundError, match=f"no style file {name}"):
        hw.write("hi", style=name)


@pytest.mark.parametrize("name", ["unipen-400", "unipen-256"])
def test_without_a_style_the_hand_is_birch(name):
    model = hw.load_pretrained(name)
    default, birch, own = (
        hw.write(["hi", "you"], model, seed=5, **how)
        for how in ({}, {"style": "birch"}, {"style": "any"})
    )
    for mine, theirs, other in zip(default, birch, own, strict=True):
        assert torch.equal(mine.ink, theirs.ink)
        assert mine.ink.shape != other.ink.shape
    assert EvaluationSettings().style == "any"


def test_a_model_without_hands_gives_each_line_its_own():
    model = hw.load_pretrained("unipen-184")
    assert hw.style_names(model) == []
    default, own = (
        hw.write("hi", model, seed=5, **how)[0] for how in ({}, {"style": "any"})
    )
    assert torch.equal(default.ink, own.ink)
    with pytest.raises(hw.StyleError, match="no style 'birch'"):
        hw.write("hi", model, style="birch")
