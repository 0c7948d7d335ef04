"""A clock to tune by hand: one LSTM cell with peepholes and without any input.

The cell is that of Graves 2013, equations 7 to 11, without inputs and without recurrent
weights, so that its gates see nothing but the cell itself. Its task is that of Gers,
Schraudolph and Schmidhuber 2002, to put out spikes at equal intervals. Chapter 05 shows
it.
"""

from __future__ import annotations

import math

from ..errors import InputError
from .host import Widget
from .shapes import PURPLE, VERMILLION, polyline, svg, within


class ClockTuner(Widget):
    """Shows when a cell ticks; the reader moves its step, its limit and its peepholes.

    The input gate is open, so each point adds `step` to the cell. When the cell passes
    `limit`, the output gate opens and the forget gate shuts, more sharply with larger
    peepholes.

    Args:
        step: initial step per point, from 0.02 to 0.5.
        limit: initial limit, from 0.1 to 3.
        peepholes: initial peepholes of the output gate and, with its sign changed, of
            the forget gate, from 0 to 200.
        period: points from tick to tick, to which the reader is asked to tune the
            clock; at least 2.
        caption: text below the figure.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> ClockTuner(period=12)
        <ClockTuner: a clock made of one cell, to tick every 12 points>
    """

    def __init__(
        self,
        step: float = 0.1,
        limit: float = 0.75,
        peepholes: tuple[float, float] = (200.0, 200.0),
        *,
        period: int = 12,
        caption: str = "",
    ) -> None:
        within("step", step, 0.02, 0.5)
        within("limit", limit, 0.1, 3)
        for gate, look in zip(("output", "forget"), peepholes, strict=True):
            within(f"the peephole of the {gate} gate", look, 0, 200)
        if period < 2:
            raise InputError(f"period must be at least 2 points, not {period}")
        label = f"a clock made of one cell, to tick every {period} points"
        c, teeth, ticks = 0.0, [], []
        for t in range(48):
            f = _gate(-peepholes[1] * (c - limit))
            c = f * c + step
            o = _gate(peepholes[0] * (c - limit))
            teeth.append((10.0 * t, 90 - 60 * min(c, 1.4)))
            ticks.append((10.0 * t, 150 - 40 * o))
        shapes = [polyline(teeth, VERMILLION), polyline(ticks, PURPLE)]
        data = {"step": step, "limit": limit, "target": period}
        super().__init__(
            ["timing"],
            data | {"look_o": peepholes[0], "look_f": peepholes[1]},
            still=svg(480, 160, shapes, label),
            label=label,
            caption=caption,
        )


def _gate(z: float) -> float:
    return 0.5 * (1 + math.tanh(z / 2))
