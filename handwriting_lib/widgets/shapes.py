"""Still pictures of widgets, and checks of what their sliders can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ..errors import InputError

# The colours of the scripts' light theme, which are legible on a dark page too.
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#ba5100", "#00805c", "#a8508a"
# A weight, two means, two standard deviations and a correlation.
Component = tuple[float, float, float, float, float, float]


def within(name: str, value: float, low: float, high: float) -> None:
    """Check that a number lies in the range of its slider.

    Raises:
        ValueError: it does not.
    """
    if not low <= value <= high:
        raise InputError(f"{name} must be from {low} to {high}, not {value}")


def check_component(part: Component) -> None:
    """Check the numbers of a bivariate Gaussian against what the plane shows.

    Raises:
        ValueError: a number is out of its range.
    """
    weight, x, y, sx, sy, rho = part
    within("weight", weight, 0.01, 1)
    for name, mu in (("mu x", x), ("mu y", y)):
        within(name, mu, -3, 3)
    for name, sigma in (("sigma x", sx), ("sigma y", sy)):
        within(name, sigma, 0.05, 2)
    within("rho", rho, -0.98, 0.98)


def edge_of(part: Component) -> list[tuple[float, float]]:
    """Places at one standard deviation around a component, 65 in a closed curve."""
    _, x, y, sx, sy, rho = part
    places = []
    for i in range(65):
        a, b = math.cos(i * math.pi / 32), math.sin(i * math.pi / 32)
        across = rho * a + math.sqrt(1 - rho**2) * b
        places.append((x + sx * a, y + sy * across))
    return places


def polyline(points: Sequence[tuple[float, float]], color: str) -> str:
    """A curve through places in the picture."""
    listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{listed}" fill="none" stroke="{color}" stroke-width="2"/>'
    )


def svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    """Wrap shapes in an SVG with a title for readers who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img"><title>{escape(title)}</title>'
        + "".join(parts)
        + "</svg>"
    )
