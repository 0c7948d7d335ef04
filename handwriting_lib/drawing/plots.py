"""Plot ink, window weights, mixtures, offsets and training curves with matplotlib.

Each function draws one figure: it takes an Axes and returns it. Without one, pyplot
makes a figure of a fitting size. Matplotlib is imported only when something is drawn,
its settings stay as they are, no figure is closed, and no title is set. The colours are
those of Okabe and Ito, which colour-blind readers can tell apart. The heatmaps follow
Graves 2013, figures 10 and 13. Chapters 01 (ink, offsets), 07 (densities), 08
(mixtures, training curves) and 09 (the window) introduce them.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.transforms import Normalisation
from ..errors import InputError
from ..ink import check_ink, offsets_to_positions, to_strokes
from ..parts.mixture import StrokeMixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY = "#CC79A7", "#E69F00", "#56B4E9"
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
BODY_UNITS = "letter-body heights"

# Components with a smaller weight than this add nothing visible.
LEAST_WEIGHT = 1e-4


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the given Axes, or that of a new figure of this size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def heat_colors() -> Colormap:
    """A colour map from white to dark red, so that a density of zero is invisible."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = ["#ffffff", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000"]
    return LinearSegmentedColormap.from_list("heat", shades)


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()


def plot_ink(
    ink: Tensor,
    ax: Axes | None = None,
    *,
    color: str | None = None,
    color_by: Tensor | None = None,
    line_width: float = 1.5,
    points: bool = False,
    pen_up: bool = False,
) -> Axes:
    """Draw a line of ink without axes, with x and y to the same scale.

    Args:
        ink: `(T, 3)` offsets in any unit.
        ax: Axes to draw on; None makes a figure.
        color: colour of the ink; None is black.
        color_by: `(T,)` values that colour the points. Integers, such as
            `character_of_point`, cycle through the colours; other numbers follow a
            scale from dark to light.
        line_width: width of the pen in typographic points, 1/72 of an inch.
        points: whether to mark every point of the ink, on a paler line.
        pen_up: whether to draw the moves with the pen in the air, as dashed lines.

    Raises:
        ValueError: `ink` is not a line of ink, or `color_by` has another length.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.], [1., 0., 1.]])
        >>> ax = plot_ink(ink, Figure().add_subplot(), pen_up=True)
        >>> ax.get_aspect()
        1.0
    """
    from matplotlib.collections import LineCollection

    ink = check_ink(ink.detach().cpu())
    if color_by is not None and color_by.shape != ink.shape[:1]:
        raise InputError(
            f"color_by must have one number per point, the shape ({len(ink)},), "
            f"not {tuple(color_by.shape)}"
        )
    strokes = [_numbers(stroke) for stroke in to_strokes(ink.double())]
    xy = np.concatenate(strokes)  # (T, 2)
    size = np.ptp(xy, 0)
    shape = size[1] / size[0] if size[0] > 0 else 1.0
    ax = _axes(ax, 9.0, float(np.clip(9 * (shape + 0.04), 0.5, 6)))
    if pen_up:
        moves = [[a[-1], b[0]] for a, b in itertools.pairwise(strokes)]
        ax.add_collection(
            LineCollection(moves, colors=SKY, linewidths=0.8, linestyles="dashed")
        )
    # One piece per stroke, or one from each point to the next where colours change. A
    # dot is a tiny segment rather than one of length zero, which Agg would skip.
    pieces, ends, first = [], [], 0
    for stroke in strokes:
        last = first + len(stroke) - 1
        if (stroke == stroke[0]).all():
            stroke = np.stack([stroke[0], stroke[0] + 1e-4 * (size.max() or 1.0)])
            pieces.append(stroke)
            ends.append(last)
        elif color_by is None:
            pieces.append(stroke)
            ends.append(last)
        else:
            pieces += list(np.stack([stroke[:-1], stroke[1:]], 1))  # (n - 1, 2, 2)
            ends += range(first + 1, last + 1)
        first = last + 1
    color = color or "black"
    collection = LineCollection(
        pieces,
        colors=_colors_of(color_by, ends, color),
        linewidths=line_width,
        capstyle="round",
        joinstyle="round",
        alpha=0.4 if points else None,
    )
    ax.add_collection(collection)
    if points:
        each = _colors_of(color_by, range(len(ink)), color)
        ax.scatter(xy[:, 0], xy[:, 1], 4 * line_width**2, each, lw=0, zorder=3)
    ax.set_aspect("equal")
    ax.margins(0.02 * max(1.0, shape), 0.02 * max(1.0, 1 / shape if shape else 1.0))
    ax.autoscale_view()
    ax.set_axis_off()
    return ax


def _colors_of(values: Tensor | None, rows: Sequence[int], plain: str) -> Any:
    """Colours of the pieces of ink, from the value of the point where each ends."""
    if values is None:
        return plain
    picked = values.detach().cpu()[list(rows)]
    if not values.is_floating_point():
        return [COLORS[int(value) % len(COLORS)] for value in picked]
    from matplotlib import colormaps

    low, high = float(values.min()), float(values.max())
    return colormaps["viridis"]((_numbers(picked) - low) / ((high - low) or 1.0))


def plot_phi(
    phi: Tensor, text: str, ax: Axes | None = None, *, truth: Tensor | None = None
) -> Axes:
    """Draw the window weights: where in the text the network reads at each point.

    Args:
        phi: `(T, U)` weights, where U is `len(text) + 1` with the end slot last, or
            `len(text)` without it.
        text: text that is written; it runs up the left side.
        ax: Axes to draw on; None makes a figure.
        truth: `(T,)` index in `text` of the character that each point belongs to, drawn
            as dots; negative indices are left out.

    Raises:
        ValueError: the shapes do not match.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ax = plot_phi(torch.eye(3), "if", Figure().add_subplot())
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['i', 'f', 'end']
    """
    if phi.ndim != 2 or phi.shape[1] - len(text) not in (0, 1) or not phi.numel():
        raise InputError(
            f"phi of {text!r} must have the shape (T, {len(text) + 1}), with the end "
            f"slot last, not {tuple(phi.shape)}"
        )
    if truth is not None and truth.shape != phi.shape[:1]:
        raise InputError(
            f"truth must have one number per point, the shape ({len(phi)},), "
            f"not {tuple(truth.shape)}"
        )
    slots = phi.shape[1]
    ax = _axes(ax, 9.0, min(1.2 + 0.13 * slots, 9.0))
    image = _numbers(phi).T  # (U, T)
    ax.imshow(
        image,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="Blues",
        vmin=0,
        vmax=float(np.quantile(image, 0.995) or image.max()) or 1.0,  # clips spikes
    )
    labels = [{" ": "\u2423"}.get(c, c) for c in text] + ["end"]
    ax.set_yticks(range(slots), labels[:slots], family="DejaVu Sans Mono")
    size = ax.get_window_extent().height / ax.figure.dpi  # inches
    room = 72 * size / slots
    for label in ax.get_yticklabels():
        label.set_parse_math(False)  # a dollar sign stands for itself
        label.set_fontsize(min(max(0.8 * room, 4.0), 9.0))
    ax.tick_params(axis="y", length=0)
    if truth is not None:
        index = _numbers(truth)
        index[index < 0] = np.nan
        ax.plot(index, ".", color=VERMILLION, markersize=3.5, markeredgewidth=0)
    ax.set_xlabel("point")
    return ax


def in_body_units(
    mixture: StrokeMixture, normalisation: Normalisation | None
) -> StrokeMixture:
    """Convert a mixture over normalised offsets to one in letter-body heights.

    Args:
        mixture: mixture of any leading shape.
        normalisation: normalisation of the offsets; None changes nothing.
    """
    if normalisation is None:
        return mixture
    std = mixture.mu.new_tensor(normalisation.std)
    return mixture.replace(
        mu=mixture.mu * std + mixture.mu.new_tensor(normalisation.mean),
        log_sigma=mixture.log_sigma + std.log(),
    )


def plot_mixture(
    mixture: StrokeMixture,
    ink: Tensor,
    ax: Axes | None = None,
    *,
    normalisation: Normalisation | None = None,
    cell: float = 0.05,
    margin: float = 1.0,
    show_ink: bool = True,
) -> Axes:
    """Draw where the network expected the pen, along a whole line of ink.

    At each point, the predicted density of the next offset is placed where the pen was,
    and all of these densities are summed (Graves 2013, figure 10). They are small and
    sharp within a stroke, and wide and faint after a pen lift; the colour scale follows
    the cube root, so that both are visible.

    Args:
        mixture: mixture of leading shape `(T,)`; entry t is the density of point t + 1,
            as a network's `forward` returns it.
        ink: `(T, 3)` offsets in letter-body heights.
        ax: Axes to draw on; None makes a figure.
        normalisation: normalisation of the mixture's offsets, or None if they are in
            letter-body heights.
        cell: side of a cell of the heatmap, in letter-body heights. Each component is
            blurred by 0.6 cells, so that a narrow one does not fall between cells.
        margin: margin around the ink, in letter-body heights.
        show_ink: whether to draw the ink as a thin line over the heatmap.

    Returns:
        The Axes; `ax.images[0]` holds the density per square letter-body height.

    Raises:
        ValueError: the shapes do not match, `cell` is not positive, or `margin` is
            negative.
    """
    from matplotlib.colors import PowerNorm

    ink = check_ink(ink.detach().cpu())
    if mixture.end_logit.shape != ink.shape[:1]:
        raise InputError(
            f"the mixture must have the leading shape ({len(ink)},) of the ink, "
            f"not {tuple(mixture.end_logit.shape)}"
        )
    if not (cell > 0 and margin >= 0):
        raise InputError(
            f"cell must be positive and margin at least 0, not {cell} and {margin}"
        )
    xy = _numbers(offsets_to_positions(ink.double()))[:, :2]
    low, high = xy.min(0) - margin, xy.max(0) + margin
    counts = np.maximum(np.ceil((high - low) / cell).astype(int), 1)
    high = low + counts * cell
    body = in_body_units(mixture, normalisation)
    density = np.zeros((counts[1], counts[0]))  # (rows, columns), y up
    pi = _numbers(body.log_pi.exp())  # (T, M)
    centre = _numbers(body.mu) + xy[:, None]  # (T, M, 2)
    sigma, rho = _numbers(body.log_sigma.exp()), _numbers(body.rho)
    # With 0.6 cells, the sum over cells matches the integral to a quarter of a percent.
    wide = np.sqrt(sigma**2 + (0.6 * cell) ** 2)
    rho = rho * sigma.prod(-1) / wide.prod(-1)
    for t, m in np.argwhere(pi > LEAST_WEIGHT):
        _add_gaussian(
            density, pi[t, m], centre[t, m] - low, wide[t, m], rho[t, m], cell
        )
    ax = _axes(ax, 9.0, float(np.clip(9 * counts[1] / counts[0], 0.8, 6)))
    ax.imshow(
        density,
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        interpolation="bilinear",
        cmap=heat_colors(),
        norm=PowerNorm(1 / 3, vmin=0, vmax=float(density.max()) or 1.0),
    )
    if show_ink:
        plot_ink(ink, ax, line_width=0.6)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_axis_off()
    return ax


def _add_gaussian(
    density: np.ndarray,
    weight: float,
    centre: np.ndarray,
    sigma: np.ndarray,
    rho: float,
    cell: float,
) -> None:
    """Add a Gaussian to the cells within five standard deviations of its mean."""
    rows, columns = density.shape
    near = np.floor((centre - 5 * sigma) / cell).astype(int)
    far = np.ceil((centre + 5 * sigma) / cell).astype(int)
    x0, x1 = max(near[0], 0), min(far[0], columns)
    y0, y1 = max(near[1], 0), min(far[1], rows)
    if x0 >= x1 or y0 >= y1:
        return
    z_x = ((np.arange(x0, x1) + 0.5) * cell - centre[0]) / sigma[0]  # (columns,)
    z_y = (((np.arange(y0, y1) + 0.5) * cell - centre[1]) / sigma[1])[:, None]
    rest = 1 - rho**2
    square = ((z_x - rho * z_y) ** 2 / rest + z_y**2) / 2  # (rows, columns)
    scale = weight / (2 * np.pi * sigma.prod() * np.sqrt(rest))
    density[y0:y1, x0:x1] += scale * np.exp(-square)


def plot_density(
    mixture: StrokeMixture,
    ax: Axes | None = None,
    *,
    normalisation: Normalisation | None = None,
    actual: Tensor | None = None,
    components: bool = False,
    extent: tuple[float, float, float, float] | None = None,
    cells: int = 200,
) -> Axes:
    """Draw the density of the next offset at one point; a cross marks the pen.

    Args:
        mixture: mixture of leading shape `()`, or with leading sizes of 1 only.
        ax: Axes to draw on; None makes a figure.
        normalisation: normalisation of the mixture's offsets, which puts the figure in
            letter-body heights; None keeps the units of the mixture.
        actual: `(2,)` or `(3,)` offset that followed, in the units of the figure.
        components: whether to outline each component at one standard deviation.
        extent: least and greatest dx, then least and greatest dy; None takes three
            standard deviations around the mean, and the pen.
        cells: number of cells along each side of the heatmap.

    Returns:
        The Axes; `ax.images[0]` holds the density.

    Raises:
        ValueError: the mixture holds more than one density.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> mixture = StrokeMixture.from_output(torch.zeros(7))
        >>> ax = plot_density(mixture, Figure().add_subplot())
        >>> ax.images[0].get_array().shape
        (200, 200)
    """
    if mixture.end_logit.numel() != 1:
        raise InputError(
            "plot_density shows one density, but the mixture has the leading shape "
            f"{tuple(mixture.end_logit.shape)}: choose one with mixture[t]"
        )
    lead = mixture.end_logit.ndim
    one = mixture.map(
        lambda part: part.detach().cpu().double().reshape(part.shape[lead:])
    )
    one = in_body_units(one, normalisation)
    if extent is None:
        middle = _numbers(one.mean)[:2]
        reach = 3 * float(one.covariance.diagonal().max().sqrt())
        x0, x1 = middle[0] - reach, middle[0] + reach
        y0, y1 = middle[1] - reach, middle[1] + reach
        edge = 0.1 * reach  # margin around the cross, where the pen is
        extent = (min(x0, -edge), max(x1, edge), min(y0, -edge), max(y1, edge))
    x0, x1, y0, y1 = extent
    centres = (torch.arange(cells, dtype=torch.double) + 0.5) / cells
    y, x = torch.meshgrid(
        y0 + centres * (y1 - y0), x0 + centres * (x1 - x0), indexing="ij"
    )
    parts = one.log_pi + one.component_log_prob(torch.stack([x, y], -1))
    density = parts.logsumexp(-1).exp()  # (cells, cells)
    ax = _axes(ax, 4.5, 4.2)
    ax.imshow(
        _numbers(density),
        origin="lower",
        extent=extent,
        interpolation="bilinear",
        cmap=heat_colors(),
        vmin=0,
        aspect="equal",
    )
    if components:
        _outline_components(one, ax)
    ax.plot(0, 0, "+", color="black", markersize=10)
    if actual is not None:
        dx, dy = _numbers(actual)[:2]
        ax.plot(dx, dy, "o", color="black", mec="white", label="what came")
        ax.legend(frameon=False, loc="lower right")
    ax.set_xlim(x0, x1)
    ax.set_ylim(y0, y1)
    unit = f" ({BODY_UNITS})" if normalisation is not None else ""
    ax.set_xlabel("dx" + unit)
    ax.set_ylabel("dy" + unit)
    end = float(torch.sigmoid(one.end_logit))
    ax.text(0.03, 0.95, f"end of stroke: {end:.2f}", transform=ax.transAxes, va="top")
    return ax


def _outline_components(one: StrokeMixture, ax: Axes) -> None:
    """Outline each component at one standard deviation, thinner for less weight."""
    turn = torch.linspace(0, 2 * torch.pi, 65, dtype=torch.double)
    n_x, n_y = turn.cos()[:, None], turn.sin()[:, None]  # (65, 1)
    n_y = one.rho * n_x + (1 - one.rho.square()).sqrt() * n_y  # (65, M)
    ring = torch.stack([n_x.expand_as(n_y), n_y], -1) * one.log_sigma.exp() + one.mu
    for weight, line in zip(one.log_pi.exp().tolist(), ring.unbind(1), strict=True):
        if weight > LEAST_WEIGHT:
            ax.plot(*_numbers(line).T, color=BLUE, linewidth=0.4 + 2 * weight)


def plot_offsets(
    inks: Tensor | Sequence[Tensor], ax: Axes | None = None, *, of: str = "both"
) -> Axes:
    """Plot the offsets with the pen down and those with the pen in the air.

    Args:
        inks: `(T, 3)` offsets, or several such lines; the first row of each is left
            out.
        ax: Axes to draw on; None makes a figure.
        of: `"both"` scatters dy against dx; `"dx"` or `"dy"` draws a histogram of one
            of them, with counts on a logarithmic scale.

    Raises:
        ValueError: an ink is not a line of ink, there is no offset to show, or `of` has
            another value.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.], [1., 0., 1.]])
        >>> ax = plot_offsets(ink, Figure().add_subplot())
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['pen down', 'pen in the air']
    """
    if of not in ("both", "dx", "dy"):
        raise InputError(f"of must be 'both', 'dx' or 'dy', not {of!r}")
    lines = [inks] if isinstance(inks, Tensor) and inks.ndim == 2 else list(inks)
    rows, lifted = [], []
    for ink in lines:
        ink = check_ink(ink.detach().cpu())
        rows.append(_numbers(ink[1:, :2]))
        lifted.append(_numbers(ink[:-1, 2]) > 0.5)
    if not sum(map(len, rows)):
        raise InputError("there is no offset to show: give a line of at least 2 points")
    offsets, air = np.concatenate(rows), np.concatenate(lifted)
    groups = [
        ("pen down", BLUE, offsets[~air]),
        ("pen in the air", VERMILLION, offsets[air]),
    ]
    ax = _axes(ax, 6.0, 3.0)
    if of == "both":
        for label, color, group in groups:
            ax.plot(
                *group.T, ".", color=color, label=label, markersize=3, alpha=0.5, mew=0
            )
        ax.set_aspect("equal")
        ax.set_xlabel("dx")
        ax.set_ylabel("dy")
    else:
        column = 0 if of == "dx" else 1
        bins = np.histogram_bin_edges(offsets[:, column], 60)
        for label, color, group in groups:
            values = group[:, column]
            ax.hist(values, bins.tolist(), histtype="step", color=color, label=label)
        ax.set_yscale("log")
        ax.set_xlabel(of)
        ax.set_ylabel("points")
    for handle in ax.legend(frameon=False, markerscale=3).legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return ax


def plot_curves(
    log: str | os.PathLike[str] | Sequence[Mapping[str, Any]],
    ax: Axes | None = None,
    *,
    label: str | None = None,
    color: str | None = None,
    average: int = 50,
) -> Axes:
    """Plot the training loss, its running mean and, as circles, the validation loss.

    Call it again on the same Axes, with another label and colour, to compare trainings.

    Args:
        log: path of a `log.jsonl`, or its entries: `step`, `loss` and, where there was
            a validation, `validation`. If a step was done twice, after a resume, its
            second entry counts; a last line that is still being written is ignored.
        ax: Axes to draw on; None makes a figure.
        label: name of the training in the legend.
        color: colour of the curves; None takes the next in turn.
        average: number of steps in the running mean, which is centred on its step.

    Raises:
        ValueError: the log has no steps, a line of it cannot be read, or `average` is
            below 1.

    Example:
        >>> from matplotlib.figure import Figure
        >>> log = [{"step": 1, "loss": 3.0, "validation": 2.5}]
        >>> ax = plot_curves(log, Figure().add_subplot(), label="small")
        >>> ax.get_ylabel()
        'negative log-likelihood (nats per point)'
    """
    if average < 1:
        raise InputError(f"average must be at least 1 step, not {average}")
    entries = _read_log(log) if isinstance(log, (str, os.PathLike)) else log
    for entry in entries:
        if "step" not in entry or "loss" not in entry:
            raise InputError(f"an entry of the log has no step or no loss: {entry}")
    by_step = {int(entry["step"]): entry for entry in entries}
    if not by_step:
        raise InputError("the log has no steps yet")
    steps = np.array(sorted(by_step))
    loss = np.array([float(by_step[step]["loss"]) for step in steps])
    held_out = [
        (step, by_step[step]["validation"])
        for step in steps
        if by_step[step].get("validation") is not None
    ]
    ax = _axes(ax, 6.0, 3.5)
    number = sum(line.get_gid() == "running mean" for line in ax.lines)
    color = color or COLORS[number % len(COLORS)]
    name = f"{label}: " if label else ""
    ax.plot(steps, loss, color=color, linewidth=0.8, alpha=0.25)
    total = np.concatenate([[0.0], loss.cumsum()])
    places = np.arange(len(loss))
    starts = np.maximum(places - (average - 1) // 2, 0)
    ends = np.minimum(places + average // 2 + 1, len(loss))
    mean = (total[ends] - total[starts]) / (ends - starts)
    ax.plot(steps, mean, color=color, label=name + "training", gid="running mean")
    if held_out:
        ax.plot(
            *np.array(held_out, dtype=float).T,
            "o--",
            color=color,
            label=name + "validation",
            markerfacecolor="white",
            linewidth=1,
            markersize=5,
        )
    ax.set_xlabel("step")
    ax.set_ylabel("negative log-likelihood (nats per point)")
    ax.legend(frameon=False)
    return ax


def _read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    entries = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):  # no newline yet: it is still being written
                break
            raise InputError(f"{path}, line {number} is not JSON: {error}") from error
    return entries
