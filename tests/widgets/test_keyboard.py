"""Every control of every widget, reached and moved with the keyboard alone."""

from __future__ import annotations

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib import widgets as package
from handwriting_lib.widgets import (
    AttentionView,
    BinSliders,
    CellsOff,
    EMSteps,
    Futures,
    GateHandles,
    GateTraces,
    GlyphGrid,
    GlyphPrograms,
    MemorySlider,
    Player,
    StepArrows,
    Studio,
    TargetPulls,
    ThinningSliders,
    TrainingFilm,
)

from .characters import make_decoder
from .conftest import wait
from .test_cells import make_free
from .test_glyphs import GLYPH, WEDGE

pytestmark = pytest.mark.book

SEEN = """
const wanted = 'button, input, select, textarea, a[href], [tabindex="0"]';
const shown = one => one.checkVisibility() && !one.disabled;
const every = roots.map(root => [...root.querySelectorAll(wanted)].filter(shown));
const labelled = one => one.getAttribute('aria-label')
  ?? [...one.labels ?? []].map(label => label.textContent).join() ?? '';
"""
CONTROLS = SEEN + "return every.map(one => one.length);"
FOCUS = (
    SEEN
    + """
const root = document.activeElement?.shadowRoot;
const one = root?.activeElement;
if (!one) return null;
const {outlineStyle, outlineWidth} = getComputedStyle(one);
const {top, bottom} = one.getBoundingClientRect();
return {
  widget: roots.indexOf(root), at: every[roots.indexOf(root)].indexOf(one),
  tag: one.outerHTML.slice(0, 80), range: one.type === 'range' && +one.max > +one.min,
  outline: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
  inView: top < innerHeight && bottom > 0,
  name: (labelled(one) || one.textContent).trim(),
};
"""
)
VALUE = """
const one = document.activeElement.shadowRoot.activeElement;
return {value: +one.value, max: +one.max, words: one.getAttribute('aria-valuetext')};
"""


def test_every_control_is_reached_and_moved_by_keyboard(show, model, line):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    one = (1.0, 0.0, 0.0, 1.0, 1.0, 0.0)
    arrows = hw.FeedforwardPredictor(hw.FeedforwardConfig(points=1, hidden=4))
    special = {
        "AttentionView": lambda: AttentionView("an ink", make_decoder()),
        "BinSliders": lambda: BinSliders(line),
        "CellsOff": lambda: CellsOff(line, make_free(), cells=4),
        "EMSteps": lambda: EMSteps(torch.randn(40, 2), [(0.0, 0.0), (1.0, 1.0)]),
        "Futures": lambda: Futures(line),
        "GateHandles": lambda: GateHandles(line),
        "MemorySlider": lambda: MemorySlider(line),
        "StepArrows": lambda: StepArrows(line, [hw.Model(arrows)]),
        "TrainingFilm": lambda: TrainingFilm([line, line.replace(seed=4)], [0, 1]),
        "TargetPulls": lambda: TargetPulls([one]),
        "ThinningSliders": lambda: ThinningSliders(line),
        "GlyphGrid": lambda: GlyphGrid({"A": WEDGE}),
        "GlyphPrograms": lambda: GlyphPrograms({0.5: [GLYPH]}, {0.5: [GLYPH]}),
        "GateTraces": lambda: GateTraces(line, model),
        "Player": lambda: Player(line, model),
        "Studio": lambda: Studio(
            text="an ink", precision="int8", styles=[], composer=make_decoder()
        ),
    }
    names = [name for name in package.__all__ if name != "Widget"]
    made = [special.get(name, getattr(package, name))() for name in names]
    page = show("<button id=before>before</button>", *made, "<button>after</button>")
    wait(
        lambda: page.run(CONTROLS)[names.index("AttentionView")] > 3
    )  # the decoder has read its text
    count = page.run(CONTROLS)
    page.run("document.getElementById('before').focus()")
    reached = []

    def press(key, shift=False):
        chain = ActionChains(page.driver)
        if shift:
            chain = chain.key_down(Keys.SHIFT)
        chain = chain.send_keys(key)
        (chain.key_up(Keys.SHIFT) if shift else chain).perform()

    for _ in range(sum(count) + 20):
        press(Keys.TAB)
        if (now := page.run(FOCUS)) is None:
            break
        reached.append((now["widget"], now["at"]))
        assert now["outline"] and now["name"] and now["inView"], now
        if now["range"]:
            before = page.run(VALUE)
            least = before["value"] < before["max"]
            press(Keys.ARROW_RIGHT if least else Keys.ARROW_LEFT)
            after = page.run(VALUE)
            assert after["value"] != before["value"], now
            assert after["words"] != before["words"], now
    # no trap: all of them, in order, and then what comes after the widgets
    assert reached == [(w, at) for w, n in enumerate(count) for at in range(n)]
    assert page.driver.switch_to.active_element.text == "after"
    press(Keys.TAB, shift=True)
    assert page.run(FOCUS)["widget"] == len(made) - 1
