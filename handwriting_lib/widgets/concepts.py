"""Widgets that show one idea each: activation shapes, optimisers, gates and so on.

They share the base of the Player. The equations are those of Graves 2013: 7 to 11 (the
gates), 15 to 26 (the mixture), 38 to 41 (its optimiser) and 46 to 51 (the window).
Chapters 02 (activation shapes), 04 and 05 (gates), 06 (mixtures) and 09 (the window)
and the page on optimisers show them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..data.batches import pad_texts
from ..drawing.svg import to_svg
from ..errors import InputError
from ..files.models import Model
from ..ink import Sample, check_ink
from ..parts.lstm import PeepholeLSTM
from ..writing.lines import Line
from .host import Widget, pack, pack_ink
from .player import POINTS_PER_SECOND, in_letter_bodies

# The colours of the scripts' light theme, which are legible on a dark page too.
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#ba5100", "#00805c", "#a8508a"


class ActivationShapes(Widget):
    """Shows how weight and bias change a unit `f(w x + b)`: sigmoid, tanh and ReLU.

    Args:
        weight: initial value of the weight's slider, from -5 to 5.
        bias: initial value of the bias's slider, from -5 to 5.
        caption: text below the figure.

    Example:
        >>> ActivationShapes(weight=2.0)
        <ActivationShapes: sigmoid, tanh and ReLU of w x + b>
    """

    def __init__(
        self, weight: float = 1.0, bias: float = 0.0, *, caption: str = ""
    ) -> None:
        _within("weight", weight, -5, 5)
        _within("bias", bias, -5, 5)
        label = "sigmoid, tanh and ReLU of w x + b"

        def curve(shape: Callable[[float], float], color: str) -> str:
            points = []
            for i in range(101):
                x = -5 + i / 10
                y = min(max(shape(weight * x + bias), -1.4), 2.4)
                points.append((4 * i, 50 * (2.4 - y)))
            return _polyline(points, color)

        curves = [
            curve(lambda z: 1 / (1 + math.exp(-z)), BLUE),
            curve(math.tanh, VERMILLION),
            curve(lambda z: max(0.0, z), GREEN),
        ]
        super().__init__(
            ["activations"],
            {"weight": weight, "bias": bias},
            still=_svg(400, 190, curves, label),
            label=label,
            caption=caption,
        )


# Learning rates at which the paths of OptimiserPaths begin, set by hand for its valley.
RATES = {
    "sgd": 0.07, "momentum": 0.02, "adagrad": 0.5, "rmsprop": 0.03,
    "adam": 0.2, "adamw": 0.2, "muon": 0.3, "muonw": 0.3,
}  # fmt: skip


class OptimiserPaths(Widget):
    """Shows the paths of optimisers over a loss of two weights, update by update.

    The reader chooses the loss, the start, the learning rates and the weight decay.
    Each optimiser takes the steps of its class in `torch.optim`, RMSprop those of
    `GravesRMSprop`. For Muon, which needs a matrix, the two weights are the diagonal of
    a 2 x 2 matrix; its learning rate is adjusted with `match_rms_adamw`.

    Args:
        start: where the paths begin, x from -3 to 3 and y from -2.25 to 2.25.
        decay: weight decay of AdamW and of Muon with decay, from 0 to 1.
        shown: optimisers that are shown at first: some of `"sgd"`, `"momentum"`,
            `"adagrad"`, `"rmsprop"`, `"adam"`, `"adamw"`, `"muon"` and `"muonw"`, which
            is Muon with decay.
        updates: length of the paths, from 10 to 1000.
        caption: text below the figure.

    Raises:
        ValueError: a number is out of its range, or there is no such optimiser.

    Example:
        >>> OptimiserPaths(shown=("sgd", "momentum"))
        <OptimiserPaths: paths of optimisers over a loss of two weights>
    """

    def __init__(
        self,
        start: tuple[float, float] = (-1.24, -1.68),
        decay: float = 0.3,
        *,
        shown: Sequence[str] = ("sgd", "momentum", "adam", "adamw", "muonw"),
        updates: int = 150,
        caption: str = "",
    ) -> None:
        _within("x of the start", start[0], -3, 3)
        _within("y of the start", start[1], -2.25, 2.25)
        _within("decay", decay, 0, 1)
        _within("updates", updates, 10, 1000)
        if wrong := [name for name in shown if name not in RATES]:
            raise InputError(
                f"there is no optimiser {wrong[0]!r}: choose from {', '.join(RATES)}"
            )
        label = "paths of optimisers over a loss of two weights"
        super().__init__(
            ["optimisers"],
            {
                "start": list(start),
                "decay": decay,
                "shown": list(shown),
                "updates": updates,
                "rates": RATES,
            },
            still=_svg(480, 360, _valley_paths(start), label),
            label=label,
            caption=caption,
        )


def _valley_paths(start: tuple[float, float]) -> list[str]:
    """Gradient descent (blue) and momentum (green) in the valley of that widget."""
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])  # columns: along and across
    steep = turn @ torch.diag(torch.tensor([1.0, 25.0])) @ turn.T
    middle = torch.tensor([1.6, 1.2])

    def curve(places: Tensor, color: str) -> str:
        x, y = places.unbind(-1)
        points = torch.stack([80 * (3 + x), 80 * (2.25 - y)], -1).tolist()
        return _polyline(points, color)

    angle = torch.linspace(0, 2 * math.pi, 65)
    circle = torch.stack([angle.cos(), angle.sin() / 5], -1)  # (65, 2)
    shapes = [
        curve(middle + (2 * loss) ** 0.5 * circle @ turn.T, "#8a93a0")
        for loss in (0.1, 0.5, 2.0, 8.0)
    ]
    for color, rate, keep in ((BLUE, 0.07, 0.0), (GREEN, 0.02, 0.9)):
        w, v = torch.tensor(start), torch.zeros(2)
        path = [w]
        for _ in range(60):
            v = keep * v + steep @ (w - middle)
            w = w - rate * v
            path.append(w)
        shapes.append(curve(torch.stack(path), color))
    return shapes


class WindowSliders(Widget):
    """Shows the soft window over a text, with bumps that the reader moves.

    Args:
        text: text whose characters the window weights, 1 to 24 of them.
        bumps: one to three tuples `(alpha, beta, kappa)` of height, inverse squared
            width and position, where position 1 is the first character.
        caption: text below the figure.

    Example:
        >>> WindowSliders("letters", [(1.0, 0.6, 3.5)])
        <WindowSliders: the window over "letters">
    """

    def __init__(
        self,
        text: str = "letters",
        bumps: Sequence[tuple[float, float, float]] = ((1.0, 0.6, 3.5),),
        *,
        caption: str = "",
    ) -> None:
        if not 1 <= len(text) <= 24:
            raise InputError(f"the text must have 1 to 24 characters, not {len(text)}")
        _from_one_to_three("bumps", len(bumps))
        for alpha, beta, kappa in bumps:
            _within("alpha", alpha, 0, 2)
            _within("beta", beta, 0.02, 5)
            _within("kappa", kappa, 0, len(text) + 1)
        bars = []
        for u, character in enumerate(text, 1):
            phi = sum(a * math.exp(-b * (k - u) ** 2) for a, b, k in bumps)
            tall = 60 * min(phi, 2.2)
            bars.append(
                f'<rect x="{30 * u - 10}" y="{140 - tall:.1f}" width="20" '
                f'height="{tall:.1f}" fill="{BLUE}"/>'
                f'<text x="{30 * u}" y="160" text-anchor="middle" '
                f'fill="currentColor">{escape(character)}</text>'
            )
        label = f'the window over "{text}"'
        super().__init__(
            ["window"],
            {"text": text, "bumps": [list(bump) for bump in bumps]},
            still=_svg(30 * len(text) + 30, 170, bars, label),
            label=label,
            caption=caption,
        )


class MixtureSliders(Widget):
    """Shows a mixture of bivariate Gaussians whose parameters the reader moves.

    It draws the density, an ellipse of one standard deviation per component and sampled
    points, and shows what the bias of section 5.4 does to all of them.

    Args:
        components: one to three tuples `(weight, mu x, mu y, sigma x, sigma y, rho)`,
            whose weights are divided by their sum.
        caption: text below the figure.

    Example:
        >>> MixtureSliders([(1.0, 0.0, 0.0, 1.0, 0.5, 0.7)])
        <MixtureSliders: a mixture of 1 Gaussian>
    """

    def __init__(
        self,
        components: Sequence[tuple[float, float, float, float, float, float]] = (
            (0.6, -0.8, -0.3, 0.9, 0.4, 0.6),
            (0.4, 1.3, 0.7, 0.4, 0.7, -0.3),
        ),
        *,
        caption: str = "",
    ) -> None:
        _from_one_to_three("components", len(components))
        ellipses = []
        for (weight, x, y, sx, sy, rho), color in zip(
            components, (BLUE, GREEN, PURPLE), strict=False
        ):
            _within("weight", weight, 0.01, 1)
            for name, mu in (("mu x", x), ("mu y", y)):
                _within(name, mu, -3, 3)
            for name, sigma in (("sigma x", sx), ("sigma y", sy)):
                _within(name, sigma, 0.05, 2)
            _within("rho", rho, -0.98, 0.98)
            points = []
            for i in range(65):
                a, b = math.cos(i * math.pi / 32), math.sin(i * math.pi / 32)
                across = rho * a + math.sqrt(1 - rho**2) * b
                points.append((50 * (3 + x + sx * a), 50 * (3 - y - sy * across)))
            ellipses.append(_polyline(points, color))
        many = "s" if len(components) > 1 else ""
        label = f"a mixture of {len(components)} Gaussian{many}"
        super().__init__(
            ["mixture"],
            {"components": [list(part) for part in components]},
            still=_svg(300, 300, ellipses, label),
            label=label,
            caption=caption,
        )


class Gates(NamedTuple):
    """Gates and cells of a layer along a line, each `(T, H)`.

    Attributes:
        i: activation of the input gate.
        f: activation of the forget gate.
        o: activation of the output gate.
        c: state of the cell after the step.
    """

    i: Tensor
    f: Tensor
    o: Tensor
    c: Tensor


@torch.inference_mode()
def trace_gates(model: Model, ink: Tensor, text: str = "", layer: int = 0) -> Gates:
    """Run a network over ink and return the gates of one layer.

    Args:
        model: model with a `PredictionNetwork` or a `SynthesisNetwork`.
        ink: `(T, 3)` offsets in letter-body heights.
        text: text of the ink, which only a `SynthesisNetwork` reads.
        layer: index of the layer, from 0; -1 is the last.

    Raises:
        ValueError: the network has no gates, there is no such layer, or the text has
            characters that the model lacks.

    Example:
        >>> from handwriting_lib import PredictionConfig, PredictionNetwork
        >>> model = Model(PredictionNetwork(PredictionConfig(hidden=4)))
        >>> trace_gates(model, torch.zeros(7, 3)).f.shape
        torch.Size([7, 4])
    """
    network = model.network
    layers = list(getattr(network, "layers", []))
    if not layers or not all(isinstance(one, PeepholeLSTM) for one in layers):
        raise InputError(
            f"a {model.kind} network has no gates: choose a model with LSTM layers"
        )
    if not -len(layers) <= layer < len(layers):
        raise InputError(
            f"layer must be from {-len(layers)} to {len(layers) - 1}, not {layer}"
        )
    layer %= len(layers)
    cells = layers[layer]
    device = network.output.bias.device
    points = model.normalisation.apply(ink)[None].to(device)  # (1, T, 3)
    points[:, 0, :2] = 0
    read = pad_texts([text]) if network.reads_text else ()
    text_batch = [part.to(device) for part in read]
    state = network.initial_state(1)
    rows: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for point in points.unbind(1):  # (1, 3)
        before = state
        state = network.step(point, before, *text_batch)[1]
        x = network.layer_input(layer, point, before, state)
        rows.append((x, *before.layers[layer], state.layers[layer].c))
    x, h, c, new = (torch.cat(part) for part in zip(*rows, strict=True))  # (T, ...)
    z = linear(x, cells.weight_ih, cells.bias) + linear(h, cells.weight_hh)
    z_i, z_f, _, z_o = z.chunk(4, -1)  # (T, H) each
    p_i, p_f, p_o = cells.peephole
    i, f, o = (
        torch.sigmoid(gate).cpu()
        for gate in (z_i + p_i * c, z_f + p_f * c, z_o + p_o * new)
    )
    return Gates(i, f, o, new.cpu())


class GateTraces(Widget):
    """Shows gates and cells of an LSTM layer along a line, as colours of its ink.

    Args:
        line: line from `write`, `Sample` or ink `(T, 3)`, in letter-body heights.
        model: model whose gates are shown; see `trace_gates`.
        layer: index of the layer, from 0; -1 is the last. The label counts from 1.
        cells: indices of the cells, or their number, which takes those whose output
            varies most.
        caption: text below the figure.

    Raises:
        ValueError: there is no such cell, or `trace_gates` refuses the model, the layer
            or the text.
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        model: Model,
        *,
        layer: int = 0,
        cells: int | Sequence[int] = 8,
        caption: str = "",
    ) -> None:
        ink = check_ink((line if isinstance(line, Tensor) else line.ink).detach().cpu())
        text = "" if isinstance(line, Tensor) else line.text
        gates = trace_gates(model, ink, text, layer)
        number = layer % len(model.network.layers) + 1  # readers count from 1
        hidden = gates.c.shape[1]
        if isinstance(cells, int):
            _within("cells", cells, 1, hidden)
            spread = (gates.o * gates.c.tanh()).var(0, correction=0)
            cells = spread.argsort(descending=True)[:cells].tolist()
        wrong = [cell for cell in cells if not 0 <= cell < hidden]
        if wrong or not cells:
            raise InputError(f"cells must be from 0 to {hidden - 1}, not {wrong}")
        traces = {
            name: pack(part[:, list(cells)], "uint8")
            for name, part in gates._asdict().items()
        }
        data = {
            "ink": pack_ink(in_letter_bodies(ink)),
            "text": text,
            "cells": list(cells),
            "rate": POINTS_PER_SECOND,
            "traces": traces,
        }
        super().__init__(
            ["gates"],
            data,
            still=to_svg(ink, title=text or "ink"),
            label=f"gates of layer {number} along {text or 'a line of ink'}",
            caption=caption,
        )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} must be from {low} to {high}, not {value}")


def _from_one_to_three(name: str, count: int) -> None:
    if not 1 <= count <= 3:
        raise InputError(f"there must be one to three {name}, not {count}")


def _polyline(points: Sequence[tuple[float, float]], color: str) -> str:
    listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{listed}" fill="none" stroke="{color}" stroke-width="2"/>'
    )


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    """Wrap shapes in an SVG with a title for readers who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img"><title>{escape(title)}</title>'
        + "".join(parts)
        + "</svg>"
    )
