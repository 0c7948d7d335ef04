"""The clock to tune: against the library's cell, and under a hand."""

from __future__ import annotations

import math

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.widgets import ClockTuner


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClockTuner(1.0), "step must be from 0.02 to 0.5, not 1.0"),
        (lambda: ClockTuner(limit=9), "limit must be from 0.1 to 3, not 9"),
        (lambda: ClockTuner(peepholes=(1, -1)), "of the forget gate must be from 0"),
        (lambda: ClockTuner(period=1), "period must be at least 2 points, not 1"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SETTINGS = [(0.1, 1.15, 200, 200), (0.1, 1.15, 200, 100), (0.3, 2.0, 7, 12)]


@pytest.mark.slow
def test_the_cell_is_the_library_s(run_module):
    """Its values and gates over 48 points, and the periods that chapter 5 tells."""
    found = run_module(
        ["timing"],
        """
        const run = ([step, limit, lookO, lookF], points) =>
          runClock({step, limit, lookO, lookF}, points);
        const periods = given.told.map(one => periodOf(run(one, COUNTED)).period);
        return {periods, rows: given.settings.map(one =>
          run(one, 48).map(({c, f, o, h}) => [c, f, o, h]))};
        """,
        settings=SETTINGS,
        told=[
            (0.1, 0.75, 200, 200), (0.1, 1.1, 200, 200), (0.1, 1.15, 200, 200),
            (0.1, 1.2, 200, 200), (0.1, 1.15, 200, 100), (0.1, 1.15, 200, 30),
            (0.1, 1.15, 5, 200),
        ],
    )  # fmt: skip
    assert found["periods"] == [8, None, 12, None, None, None, 12]
    for (step, limit, look_o, look_f), rows in zip(
        SETTINGS, found["rows"], strict=True
    ):
        # the input gate is open: a bias of 40 on it
        new = math.atanh(step)
        bias = [40.0, look_f * limit, new, -look_o * limit]
        bias = torch.tensor(bias, dtype=torch.double)
        look = torch.tensor([[0.0], [-look_f], [look_o]], dtype=torch.double)
        none, nothing = torch.zeros(4, 1).double(), torch.zeros(1, 1).double()
        state = hw.LSTMState(nothing, nothing)
        for row in rows:
            f = torch.sigmoid(bias[1] + look[1] * state.c)
            state = hw.lstm_cell(nothing, state, none, none, bias, look)
            o = torch.sigmoid(bias[3] + look[2] * state.c)
            there = torch.cat([state.c, f, o, state.h], 1)[0]
            assert torch.allclose(
                torch.tensor(row, dtype=torch.double), there, atol=1e-6
            )


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_a_clock_is_tuned(show, narrow):
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(ClockTuner(), **how)
    assert "at every 8 points; asked for are 12." in page.find("output").text
    page.slide("limit", 1.15)
    assert page.find("output").text.endswith("That is what was asked for.")
    labels = "step", "limit", "peephole of o", "peephole of f"
    for label in labels:
        before = page.pictures(), page.find("output").text
        page.slider(label).send_keys(Keys.HOME)
        assert page.pictures() != before[0], label
    assert (
        "tick" in page.find("output").text or "stays open" in page.find("output").text
    )
