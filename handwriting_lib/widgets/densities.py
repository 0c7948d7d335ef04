"""Interactive figures of densities: EM step by step, and the learning from a point.

The equations are those of chapter 06 (EM) and chapter 07 (the gradients of the loss,
equations 26 to 37 of Graves 2013), which show the figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from .host import Widget, pack
from .shapes import (
    BLUE,
    GREEN,
    PURPLE,
    VERMILLION,
    Component,
    check_component,
    edge_of,
    polyline,
    svg,
    within,
)

MOST_STEPS = 5000  # in a cloud; more would be slow on a phone
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, "#c08a00", "#1f9bb0")


class EMSteps(Widget):
    """Fits a mixture to a cloud of steps by EM, half a round at a time.

    The reader presses E-step and M-step in turn, or lets both run, and drags the means.

    Args:
        cloud: `(N, 2)` steps dx, dy, with N from 2 to 5,000.
        means: `(M, 2)` initial means, with M from 1 to 6. At the start each component
            is as wide as the cloud, and all have the same weight.
        window: left, right, bottom and top of what is shown; None shows the middle 95 %
            of the cloud on each axis, with some room around it.
        caption: text below the figure.

    Raises:
        ValueError: a shape or a number of components is wrong, a number is not finite,
            or the cloud does not spread in both x and y.

    Example:
        >>> EMSteps(torch.randn(50, 2), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        <EMSteps: EM with 2 components on 50 steps>
    """

    def __init__(
        self,
        cloud: Tensor,
        means: Tensor | Sequence[Sequence[float]],
        *,
        window: tuple[float, float, float, float] | None = None,
        caption: str = "",
    ) -> None:
        cloud = cloud.detach().cpu().double()
        means = torch.as_tensor(means).detach().cpu().double()
        for name, one, most in (("cloud", cloud, MOST_STEPS), ("means", means, 6)):
            least = 2 if name == "cloud" else 1
            if one.ndim != 2 or one.shape[1] != 2 or not least <= len(one) <= most:
                raise InputError(
                    f"{name} must have the shape (N, 2) with N from {least} to {most}, "
                    f"not {tuple(one.shape)}"
                )
        if window is None:
            q = torch.tensor([0.025, 0.975], dtype=torch.double)
            low, high = cloud.quantile(q, 0)  # (2,) each
            room = 0.2 * (high - low).clamp_min(1e-6)
            (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
        else:
            left, right, bottom, top = window
            if not (left < right and bottom < top):
                raise InputError(
                    f"window must be left, right, bottom and top, not {window}"
                )
        label = f"EM with {len(means)} components on {len(cloud)} steps"
        scale = 300 / (top - bottom)
        shapes = [
            f'<rect x="{scale * (x - left):.0f}" y="{scale * (top - y):.0f}" width="2" '
            'height="2" fill="#8a93a0"/>'
            for x, y in cloud[:: max(1, len(cloud) // 800)].tolist()
            if left < x < right and bottom < y < top
        ]
        spread = cloud.T.cov(correction=0)
        width = spread.diagonal().sqrt()
        if (width == 0).any():
            raise InputError("the cloud must spread in both x and y")
        rho = float((spread[0, 1] / width.prod()).clamp(-1, 1))
        for (x, y), color in zip(means.tolist(), COLORS, strict=False):
            edge = edge_of((1.0, x, y, float(width[0]), float(width[1]), rho))
            places = [(scale * (u - left), scale * (top - v)) for u, v in edge]
            shapes.append(polyline(places, color))
        super().__init__(
            ["gaussians", "em"],
            {
                "x": pack(cloud[:, 0], "int16"),
                "y": pack(cloud[:, 1], "int16"),
                "box": [left, right, bottom, top],
                "start": means.tolist(),
            },
            still=svg(round(scale * (right - left)), 300, shapes, label),
            label=label,
            caption=caption,
        )


class TargetPulls(Widget):
    """Shows what a mixture would learn from one point, which the reader drags.

    It lists the responsibility of each component and the derivatives of `-log p`, draws
    the pull on each mean as an arrow, and takes a step downhill at a time.

    Args:
        components: one to three tuples `(weight, mu x, mu y, sigma x, sigma y, rho)`,
            as in `MixtureSliders`.
        target: initial x and y of the point, each from -3 to 3.
        caption: text below the figure.

    Raises:
        ValueError: there are not one to three components, or a number is out of range.

    Example:
        >>> TargetPulls([(1.0, 0.0, 0.0, 1.0, 0.5, 0.7)])
        <TargetPulls: what a mixture of 1 component learns from a point>
    """

    def __init__(
        self,
        components: Sequence[Component],
        target: tuple[float, float] = (0.0, 0.0),
        *,
        caption: str = "",
    ) -> None:
        if not 1 <= len(components) <= 3:
            raise InputError(
                f"there must be one to three components, not {len(components)}"
            )
        for axis, place in zip("xy", target, strict=True):
            within(f"{axis} of the target", place, -3, 3)
        shapes = []
        for one, color in zip(components, (BLUE, GREEN, PURPLE), strict=False):
            check_component(one)
            edge = [(50 * (3 + x), 50 * (3 - y)) for x, y in edge_of(one)]
            shapes.append(polyline(edge, color))
        x, y = target
        shapes.append(
            f'<circle cx="{50 * (3 + x):.1f}" cy="{50 * (3 - y):.1f}" r="5" '
            'fill="currentColor"/>'
        )
        many = "s" if len(components) > 1 else ""
        size = f"{len(components)} component{many}"
        label = f"what a mixture of {size} learns from a point"
        super().__init__(
            ["gaussians", "pull"],
            {"components": [list(one) for one in components], "target": list(target)},
            still=svg(300, 300, shapes, label),
            label=label,
            caption=caption,
        )
