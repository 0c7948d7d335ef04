"""Sliders over a network, moved as a hand would move them."""

import pytest
import torch

import handwriting_lib as hw

pytest.importorskip("ipywidgets")


@pytest.fixture(scope="module")
def model():
    return hw.load_pretrained("unipen-256")


def test_a_slider_writes_the_line_of_its_settings(model):
    box = hw.sliders(model, "hi", bias=1.0, seed=3)
    text, hand, bias, temperature, seed, _ = box.children
    picture = box.children[-1]
    for control, value in ((bias, 2.0), (temperature, 0.5), (seed, 4)):
        control.value = value
    (wanted,) = hw.write("hi", model, bias=2.0, temperature=0.5, seed=4)
    assert torch.equal(box.line.ink, wanted.ink)
    assert picture.value.startswith(hw.to_svg(wanted.ink, unit=1.0, title="hi"))
    hand.value = "any"
    (wanted,) = hw.write("hi", model, style="any", bias=2.0, temperature=0.5, seed=4)
    assert torch.equal(box.line.ink, wanted.ink)
    text.value = "ho"
    assert box.line.text == "ho"


def test_what_cannot_be_written_is_said_in_place_of_the_line(model):
    box = hw.sliders(model, "hi")
    text, *_, picture = box.children
    text.value = "<b>Zürich</b>"
    assert box.line is None
    assert "'ü'" in picture.value.replace("&#x27;", "'") and "<b>" not in picture.value
    text.value = "Zurich"
    assert box.line.text == "Zurich" and "<svg" in picture.value


def test_a_style_of_one_s_own_is_among_the_hands(model):
    style = hw.find_style(hw.style_names(model)[0], model).replace(name="mine")
    box = hw.sliders(model, "hi", style=style)
    hand = box.children[1]
    assert hand.value is style and hand.options[0] == ("mine", style)
    assert torch.equal(box.line.ink, hw.write("hi", model, style=style)[0].ink)
