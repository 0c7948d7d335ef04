"""What a page shows: how well its colours can be told apart, and how much it moves."""

from __future__ import annotations

from collections.abc import Sequence

# Calls its argument with the sum of the layout shifts so far, as browsers score them.
SHIFTS = """
const done = arguments[0];
new PerformanceObserver(list => done(
  list.getEntries().reduce((sum, one) => sum + one.value, 0)
)).observe({type: 'layout-shift', buffered: true});
setTimeout(() => done(0), 500);
"""


def luminance(color: str | Sequence[float]) -> float:
    """The relative luminance of WCAG, of `#rrggbb` or of three parts from 0 to 255."""
    if isinstance(color, str):
        color = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    parts = [one / 255 for one in color]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str | Sequence[float], b: str | Sequence[float]) -> float:
    """The contrast ratio of WCAG, from 1 to 21."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)
