"""Figures on the reader's own ink: a line is given, and the reader may write another.

What the reader writes stays in the browser, where every one of these figures finds it.
They belong to chapters 01 (thinning), 02 (a fixed memory), 03 (recurrence), 04 (the
gates of an LSTM cell) and 14 (tokens).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..data.transforms import Thinning
from ..drawing.svg import to_svg
from ..errors import InputError
from ..files.models import Model
from ..ink import Sample, check_ink
from ..networks.feedforward import FeedforwardPredictor
from ..tokens.strokes import StrokeTokens
from ..writing.lines import Line
from .host import Widget, pack, pack_ink
from .player import POINTS_PER_SECOND, in_letter_bodies
from .shapes import within

# Files of `static/` for a place to write in.
OWN_INK = ("storage", "surface", "points", "own_ink")


def _ink_of(line: Line | Sample | Tensor) -> tuple[Tensor, str]:
    """The ink of a line in letter bodies, and what to call it."""
    ink = check_ink((line if isinstance(line, Tensor) else line.ink).detach().cpu())
    text = "" if isinstance(line, Tensor) else line.text
    return in_letter_bodies(ink), text or f"{len(ink)} points of ink"


class _InkFigure(Widget):
    """A figure on a given line, or on one that the reader writes."""

    def __init__(
        self,
        modules: tuple[str, ...],
        line: Line | Sample | Tensor,
        data: dict[str, Any],
        *,
        label: str,
        caption: str,
    ) -> None:
        ink, name = _ink_of(line)
        super().__init__(
            [*OWN_INK, *modules],
            {"ink": pack_ink(ink), **data},
            still=to_svg(ink, title=name),
            label=f"{label}: {name}",
            caption=caption,
        )


class ThinningSliders(_InkFigure):
    """Thins a line while the reader moves the distance and the angle of `hw.thin`.

    Args:
        line: line before it is thinned: from `write`, `Sample` or ink `(T, 3)`, in any
            unit.
        distance: initial distance between points that stay, in letter-body heights,
            from 0.05 to 2.
        angle: initial turning that counts as much, in radians, from 0.25 to 3; None
            counts the distance alone.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink, or a number is out of its range.

    Example:
        >>> import torch
        >>> ThinningSliders(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))
        <ThinningSliders: which points stay: 2 points of ink>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        distance: float = 0.3,
        angle: float | None = 1.0,
        *,
        caption: str = "",
    ) -> None:
        within("distance", distance, 0.05, 2)
        if angle is not None:
            within("angle", angle, 0.25, 3)
        data = {"distance": distance, "angle": angle}
        label = "which points stay"
        super().__init__(("thinning",), line, data, label=label, caption=caption)


class BinSliders(_InkFigure):
    """Turns a line into tokens and back while the reader moves the number of bins.

    Args:
        line: thinned line from `write`, `Sample` or ink `(T, 3)`, in any unit.
        tokens: the bins that are shown first, of 4 to 128 angles and 4 to 64 radii;
            None takes 24 and 12.
        make_up: whether at first each offset is measured from where the tokens so far
            have led, so that errors do not add up, or from where the pen was.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink, or there are more or fewer bins.

    Example:
        >>> import torch
        >>> BinSliders(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))
        <BinSliders: ink through tokens: 2 points of ink>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        tokens: StrokeTokens | None = None,
        make_up: bool = True,
        *,
        caption: str = "",
    ) -> None:
        tokens = StrokeTokens(24, 12) if tokens is None else tokens
        within("angles", tokens.angles, 4, 128)
        within("radii", tokens.radii, 4, 64)
        data = {
            **dataclasses.asdict(tokens),
            "makeUp": make_up,
            "thinning": dataclasses.asdict(Thinning()),
        }
        label = "ink through tokens"
        super().__init__(("bins",), line, data, label=label, caption=caption)


class StepArrows(_InkFigure):
    """Shows where networks with a fixed memory expect the pen to go next, as arrows.

    An arrow is the mean of what a `FeedforwardPredictor` predicts after a point.

    Args:
        line: line from `write`, `Sample` or ink `(T, 3)`, thinned, in any unit.
        models: one to four models with a `FeedforwardPredictor`, which are named by
            the number of points that they read.
        at: index of the point whose arrows are shown first.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink, it has no point `at`, there are not one
            to four models, or one is of another kind.

    Example:
        >>> import torch
        >>> from handwriting_lib import FeedforwardConfig, FeedforwardPredictor, Model
        >>> model = Model(FeedforwardPredictor(FeedforwardConfig(points=2, hidden=4)))
        >>> StepArrows(torch.tensor([[0., 0., 0.], [3., 4., 1.]]), [model])
        <StepArrows: what 2 points expect next along: 2 points of ink>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        models: Sequence[Model],
        at: int = 0,
        *,
        caption: str = "",
    ) -> None:
        if not 1 <= len(models) <= 4:
            raise InputError(f"there must be one to four models, not {len(models)}")
        within("at", at, 0, len(_ink_of(line)[0]) - 1)
        nets = [_layers_of(model) for model in models]
        known = " or ".join(str(net["k"]) for net in nets)
        data = {
            "nets": nets,
            "at": at,
            "thinning": dataclasses.asdict(models[0].thinning),
        }
        label = f"what {known} points expect next along"
        super().__init__(("arrows",), line, data, label=label, caption=caption)


def _layers_of(model: Model) -> dict[str, Any]:
    """A feedforward network for the page."""
    network = model.network
    if not isinstance(network, FeedforwardPredictor):
        raise InputError(
            f"{model.name} is a {model.kind} network: choose models with a "
            "FeedforwardPredictor, whose memory has a fixed number of points"
        )
    layers = [one for one in network.modules() if isinstance(one, nn.Linear)]
    return {
        "k": network.config.points,
        "mean": list(model.normalisation.mean),
        "std": list(model.normalisation.std),
        "layers": [
            {"weight": pack(one.weight, "int16"), "bias": pack(one.bias, "int16")}
            for one in layers
        ],
    }


class MemorySlider(_InkFigure):
    """Colours a line by what a unit `h = w h + dy` still holds of it, beside `w^n`.

    Chapter 03 derives both: the share of an offset that is left after n points, and its
    derivative with respect to the weight.

    Args:
        line: line from `write`, `Sample` or ink `(T, 3)`, thinned, in any unit.
        weight: initial weight w, from 0.8 to 1.1.
        thinning: what the reader's own ink is thinned by.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink, or the weight is out of its range.

    Example:
        >>> import torch
        >>> MemorySlider(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))
        <MemorySlider: what one unit remembers of: 2 points of ink>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        weight: float = 0.98,
        *,
        thinning: Thinning = Thinning(),
        caption: str = "",
    ) -> None:
        within("weight", weight, 0.8, 1.1)
        data = {"weight": weight, "thinning": dataclasses.asdict(thinning)}
        label = "what one unit remembers of"
        super().__init__(("memory",), line, data, label=label, caption=caption)


class GateHandles(_InkFigure):
    """Lets the reader move the gates of one LSTM cell while it reads a line.

    The cell is `c = f c + i tanh(dy)` and `h = o tanh(c)`, where dy is how far the pen
    has just gone up, in letter-body heights. Chapter 04 builds it.

    Args:
        line: line from `write`, `Sample` or ink `(T, 3)`, thinned, in any unit.
        gates: where the sliders of the input, the forget and the output gate start,
            from 0 (shut) to 1 (open).
        thinning: what the reader's own ink is thinned by.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink, or a gate is out of its range.

    Example:
        >>> import torch
        >>> GateHandles(torch.tensor([[0., 0., 0.], [3., 4., 1.]]))
        <GateHandles: three gates to move along: 2 points of ink>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        gates: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        thinning: Thinning = Thinning(),
        caption: str = "",
    ) -> None:
        for name, gate in zip(("input", "forget", "output"), gates, strict=True):
            within(f"the {name} gate", gate, 0, 1)
        data = {
            "gates": list(gates),
            "rate": POINTS_PER_SECOND / 2,
            "thinning": dataclasses.asdict(thinning),
        }
        label = "three gates to move along"
        super().__init__(("gate_handles",), line, data, label=label, caption=caption)
