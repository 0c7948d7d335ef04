"""Cells of a trained network along a line, which the reader switches off one by one.

The network runs in the page. It belongs to chapter 04.
"""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import torch
from torch import Tensor

from ..files.models import Model, load_pretrained
from ..ink import Sample
from ..parts.lstm import LSTMState
from ..parts.mixture import StrokeMixture
from ..writing.lines import Line
from .own_ink import _ink_of, _InkFigure
from .shapes import within
from .studio import ENGINE, prediction_data

LITTLE = 3  # of the cells that are shown, those that the network misses least


@torch.no_grad()
def losses_without(model: Model, ink: Tensor, off: Tensor) -> Tensor:
    """Measure what a line costs a network some of whose cells are switched off.

    A cell that is off has the output h = 0 at every point, for the layer itself, for
    the layer above and for the output.

    Args:
        model: model with a `PredictionNetwork`.
        ink: `(T, 3)` offsets in letter-body heights, of at least two points.
        off: `(N, layers, H)` booleans, N choices of the cells that are off.

    Returns:
        `(N, T - 1)` nats of each point after the first, in letter-body heights.
    """
    network, normal = model.network, model.normalisation
    points = normal.apply(ink).to(network.output.bias)
    points[0, :2] = 0
    unit = sum(torch.tensor(normal.std).log().tolist())
    on = [~one for one in off.to(points.device).unbind(1)]
    states = list(network.initial_state(len(off)).layers)
    losses = []
    for point, target in pairwise(points):
        x = point.expand(len(off), 3)
        for k, layer in enumerate(network.layers):
            below = [states[k - 1].h] if k else []
            new = layer.step(torch.cat([x, *below], -1), states[k])
            states[k] = LSTMState(new.h * on[k], new.c)
        raw = network.output(torch.cat([one.h for one in states], -1))
        losses.append(unit - StrokeMixture.from_output(raw).log_prob(target))
    return torch.stack(losses, 1).cpu()


def _chosen(model: Model, ink: Tensor, count: int) -> list[list[int]]:
    """The cells of a figure, as pairs of layer and cell: `CellsOff` says which."""
    layers, hidden = len(model.network.layers), model.network.config.hidden
    each = torch.eye(layers * hidden, dtype=torch.bool)
    off = torch.cat([each.new_zeros(1, layers * hidden), each])
    losses = losses_without(model, ink, off.unflatten(1, (layers, hidden))).mean(1)
    cost = losses[1:] - losses[0]
    most = cost.argsort(descending=True)[: count - LITTLE]
    cost[most] = torch.inf
    least = cost.abs().argsort()[:LITTLE]
    return [
        [cell // hidden, cell % hidden] for cell in [*most.tolist(), *least.tolist()]
    ]


class CellsOff(_InkFigure):
    """Switches off cells of a network along a line and shows what fails.

    Each cell that is shown is a small picture of the line, coloured by what the cell
    holds, c, while all cells are on, and a button. A cell that is switched off has the
    output h = 0 at every point. The figure says what the line then costs more, in nats
    per point, and colours the line by it.

    The cells are chosen by measuring. Each cell of the network is switched off alone on
    the given line; those whose absence costs most come first, and then three whose
    absence makes the least difference. This reads the line once for each cell: seconds
    for a network of 480 cells and a line of 100 points.

    Args:
        line: line from `write`, `Sample` or ink `(T, 3)`, thinned, in any unit.
        model: model with a `PredictionNetwork`; None takes `unipen-free`.
        cells: number of cells that are shown, from 4 to 12.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink or has a single point, or there are more
            or fewer cells.
        ModelError: the network is of another kind.

    Example:
        >>> import torch
        >>> from handwriting_lib import PredictionConfig, PredictionNetwork
        >>> model = Model(PredictionNetwork(PredictionConfig(hidden=4, layers=1)))
        >>> CellsOff(torch.tensor([[0., 0., 0.], [3., 4., 1.]]), model, cells=4)
        <CellsOff: cells to switch off along: 2 points of ink>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        model: Model | None = None,
        cells: int = 10,
        *,
        caption: str = "",
    ) -> None:
        model = load_pretrained("unipen-free") if model is None else model
        data = prediction_data(model)
        ink = _ink_of(line)[0]
        within("the number of points", len(ink), 2, 20_000)
        there = len(model.network.layers) * model.network.config.hidden
        within("cells", cells, LITTLE + 1, min(12, there))
        super().__init__(
            (*ENGINE, "packs", "continuing", "likelihood", "cells"),
            line,
            {
                **data,
                "cells": _chosen(model, ink, cells),
                "thinning": dataclasses.asdict(model.thinning),
            },
            label="cells to switch off along",
            caption=caption,
        )
