"""Films of what the network attends to and expects while a line is written.

They are GIFs of matplotlib figures, whose frames celluloid records, and need the
optional extra `gif` (`pip install handwriting-lib[gif]`). Chapters 07, 09, 10 and 11
show them. `animation.py` draws ink alone as it is written.
"""

from __future__ import annotations

import base64
import io
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..atomic import write_whole
from ..data.transforms import Normalisation
from ..errors import InputError, MissingPackageError
from ..ink import check_ink, offsets_to_positions
from ..outline import FRAME, Outline, flatten, segments
from ..parts.mixture import StrokeMixture
from .plots import BLUE, VERMILLION, heat_colors, in_body_units

MOST_FRAMES = 400
INCHES, DOTS = 6.4, 100  # width of a film, and its pixels per inch
# The range of the offsets dx and dy from the pen for which a density is drawn, and the
# side of a cell of its grid, in letter-body heights.
NEAR = ((-2.0, 4.0), (-1.25, 1.25))
CELL = 0.04
MARGIN = 1.0  # letter-body heights around the ink
# Number of colours in the palette of a film, and of frames that it is chosen from.
COLOURS, PALETTE_FRAMES = 64, 8
TEXT_INCHES = 0.9  # height of the bars over the text
HOLD = 1.5  # seconds that the last frame is shown


class Film:
    """A GIF that shows itself in a notebook.

    Attributes:
        data: the bytes of the GIF.
        label: what it shows, for readers who cannot see it.
    """

    def __init__(self, data: bytes, label: str) -> None:
        self.data, self.label = data, label

    def __repr__(self) -> str:
        return f"<Film: {self.label}>"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/gif": base64.b64encode(self.data).decode()}
        return data | {"text/plain": repr(self)}, {"image/gif": {"alt": self.label}}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the GIF to a file, which appears whole or not at all."""
        write_whole(path, self.data)


def animate_phi(line: Any, *, frames: int = 60, fps: float = 10.0) -> Film:
    """Show which characters the window reads while a line is written.

    Args:
        line: a line as `write` returns it, or anything with `ink` `(T, 3)`, `phi`
            `(T, U)` and `text` of U - 1 characters.
        frames: number of frames, at most one for each point.
        fps: frames per second.

    Returns:
        The film: above, the ink so far; below, each character of the text and a bar for
        its weight in the window. The last bar is that of the end slot.

    Raises:
        ValueError: the shapes do not match, or a number is out of its range.
        ImportError: the extra `gif` is not installed.
    """
    xy = _positions(line.ink)
    phi = line.phi.detach().cpu().double().numpy()
    if phi.shape != (len(xy), len(line.text) + 1):
        raise InputError(
            f"phi of {line.text!r} must have the shape ({len(xy)}, "
            f"{len(line.text) + 1}), with the end slot last, not {phi.shape}"
        )
    top = 3 * float(np.median(phi.max(1)))  # clips spikes, at lifts for example
    letters = [{" ": "\u2423"}.get(c, c) for c in line.text] + ["end"]
    size = min(11.0, 300 / len(letters))

    def draw(axes: Any, t: int) -> None:
        above, below = axes
        _draw_ink(above, xy, t)
        below.bar(range(len(letters)), phi[t], color=BLUE, width=0.8)

    def prepare(axes: Any) -> None:
        above, below = axes
        _frame_ink(above, xy)
        below.set_xlim(-0.8, len(letters) - 0.2)
        below.set_ylim(0, top or 1.0)
        ticks = below.set_xticks(range(len(letters)), letters, fontsize=size)
        for tick in ticks:
            tick.label1.set_parse_math(False)  # a dollar sign stands for itself
        below.tick_params(length=0)
        below.set_yticks([])
        below.spines[["left", "top", "right"]].set_visible(False)

    label = f"The line {line.text!r} is written; bars show the characters it reads"
    return _film(draw, prepare, xy, TEXT_INCHES, label, frames, fps)


def animate_mixture(
    line: Any,
    normalisation: Normalisation | None = None,
    *,
    bias: float = 0.0,
    frames: int = 60,
    fps: float = 10.0,
) -> Film:
    """Show where the network expects the next point, while a line is written.

    Args:
        line: a line that `write` returned with `keep_output=True`, or anything with
            `ink` `(T, 3)` and `output` `(T, 6M + 1)`, the raw output after each point.
        normalisation: that of the model that wrote the line; None if the offsets of
            the output are in letter-body heights.
        bias: at least 0; see `StrokeMixture.from_output`.
        frames: number of frames, at most one for each point.
        fps: frames per second.

    Returns:
        The film: above, the ink so far; below, the neighbourhood of the pen with the
        density of the next point. The colours of each frame run from 0 to the largest
        density in it, on a scale of cube roots, so that narrow and wide densities are
        both visible. Shades of different frames therefore cannot be compared.

    Raises:
        ValueError: the line has no output, the shapes do not match, or a number is out
            of its range.
        ImportError: the extra `gif` is not installed.
    """
    xy = _positions(line.ink)
    output = getattr(line, "output", None)
    if output is None:
        raise InputError(
            "the line has no output of the network: write it with keep_output=True"
        )
    if output.shape[:1] != (len(xy),):
        raise InputError(
            f"the output must have a row for each of the {len(xy)} points, not "
            f"{len(output)}"
        )
    mixture = StrokeMixture.from_output(output.detach().cpu().double(), bias)
    mixture = in_body_units(mixture, normalisation)
    (left, right), (low, high) = NEAR
    columns, rows = round((right - left) / CELL), round((high - low) / CELL)
    dy, dx = torch.meshgrid(
        torch.linspace(low, high, rows, dtype=torch.double),
        torch.linspace(left, right, columns, dtype=torch.double),
        indexing="ij",
    )
    offsets = torch.stack([dx, dy], -1)  # (rows, columns, 2)

    def draw(axes: Any, t: int) -> None:
        above, below = axes
        _draw_ink(above, xy, t)
        one = mixture[t]
        # a component narrower than a cell would fall between the cells
        wide = one.log_sigma.clamp_min(math.log(0.7 * CELL))
        parts = one.log_pi + one.replace(log_sigma=wide).component_log_prob(offsets)
        density = parts.logsumexp(-1).exp().numpy()
        below.imshow(
            np.cbrt(density / density.max()),
            origin="lower",
            extent=(left, right, low, high),
            cmap=heat_colors(),
            vmin=0.0,
            vmax=1.0,
            interpolation="bilinear",
            aspect="equal",
        )
        near = xy - [*xy[t, :2], 0]
        _draw_ink(below, near, t)

    def prepare(axes: Any) -> None:
        above, below = axes
        _frame_ink(above, xy)
        below.set_xlim(left, right)
        below.set_ylim(low, high)
        below.set_xticks([])
        below.set_yticks([])

    text = getattr(line, "text", "")
    label = (
        f"The line {text!r} is written; below, shading around the pen shows where the "
        "next point may be"
    )
    height = INCHES * (high - low) / (right - left)
    return _film(draw, prepare, xy, height, label, frames, fps)


def _positions(ink: Tensor) -> np.ndarray:
    """The `(T, 3)` positions of a line of ink."""
    ink = check_ink(ink.detach().cpu())
    return offsets_to_positions(ink.double()).numpy()


def _frame_ink(ax: Any, xy: np.ndarray) -> None:
    """Limit Axes to the ink, and leave out their frame."""
    (x0, y0), (x1, y1) = xy[:, :2].min(0) - MARGIN, xy[:, :2].max(0) + MARGIN
    ax.set_xlim(x0, x1)
    ax.set_ylim(y0, y1)
    ax.set_aspect("equal")
    ax.set_axis_off()


def _draw_ink(ax: Any, xy: np.ndarray, t: int) -> None:
    """Draw the points up to t, and a dot for the pen."""
    ends = np.flatnonzero(xy[:t, 2] > 0.5) + 1
    broken = np.insert(xy[: t + 1, :2], ends, np.nan, axis=0)  # not across a lift
    ax.plot(*broken.T, color="black", linewidth=1.3, solid_capstyle="round")
    ax.plot(*xy[t, :2], "o", color=VERMILLION, markersize=5)


def animate_outline(
    outline: Outline, *, frames: int = MOST_FRAMES, fps: float = 6.0
) -> Film:
    """Show the outline of a glyph being drawn, point by point.

    Args:
        outline: of a glyph.
        frames: largest number of frames; by default there is one for each point.
        fps: frames per second.

    Returns:
        The film: points on the curve as squares, control points as rings with the lines
        that lead to them, and what a finished contour encloses in grey.

    Raises:
        ValueError: the outline is empty, or a number is out of its range.
        ImportError: the extra `gif` is not installed.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Shape

    _check_pace(frames, fps)
    if not outline.contours:
        raise InputError("there is nothing to draw: the outline has no contours")
    _, bottom, _, top = FRAME
    xy = outline.points[:, :2]
    low = np.minimum(xy.min(0), (0, bottom / 2)) - 0.05
    high = np.maximum(xy.max(0), (outline.advance, top - 0.2)) + 0.05
    up = INCHES / 2
    figure = _figure(up * float(np.divide(*(high - low))), up)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes.set_axis_off()

    def draw(number: int) -> None:
        axes.axhline(0, color="0.85", linewidth=1)
        for x in (0, outline.advance):
            axes.axvline(x, color="0.85", linewidth=1)
        closed = []
        for contour in outline.contours:
            drawn, number = contour[:number], number - len(contour)
            if len(drawn) == 0:
                break
            if len(drawn) == len(contour):
                polygon = flatten(contour, 1e-3)
                closed.append(polygon)
                axes.plot(*np.append(polygon, polygon[:1], 0).T, color="black")
            else:
                for piece in segments(drawn)[:-1]:  # the last would close it
                    t = np.linspace(0, 1, 12)[:, None]
                    begin, end = piece[0], piece[-1]
                    bend = piece[1] if len(piece) == 3 else (begin + end) / 2
                    curve = (1 - t) ** 2 * begin + 2 * t * (1 - t) * bend + t**2 * end
                    axes.plot(*curve.T, color="black")
            is_on = drawn[:, 2] > 0.5
            axes.plot(*drawn[:, :2].T, color=BLUE, linewidth=0.8, alpha=0.6)
            axes.plot(*drawn[is_on, :2].T, "s", color=BLUE, markersize=5)
            axes.plot(
                *drawn[~is_on, :2].T,
                "o",
                color=VERMILLION,
                markersize=5,
                fillstyle="none",
            )
        if closed:
            corners = np.concatenate([np.append(c, c[:1], 0) for c in closed])
            codes = np.concatenate(
                [
                    [Shape.MOVETO, *[Shape.LINETO] * (len(c) - 1), Shape.CLOSEPOLY]
                    for c in closed
                ]
            )
            axes.add_patch(PathPatch(Shape(corners, codes), color="0.8", linewidth=0))

    total = len(xy)
    shown = np.unique(np.linspace(1, total, min(frames, total)).round().astype(int))
    label = f"The outline of a glyph is drawn point by point, {total} points in all"
    return _recorded(figure, draw, shown.tolist(), label, fps)


def _film(
    draw: Callable[[Any, int], None],
    prepare: Callable[[Any], None],
    xy: np.ndarray,
    below: float,
    label: str,
    frames: int,
    fps: float,
) -> Film:
    """Draw frames at points spread evenly over the line, and join them into a GIF.

    Args:
        draw: draws the frame of a point on the two Axes.
        prepare: sets up the two Axes before the first frame.
        xy: `(T, 3)` positions of the ink on the upper Axes.
        below: height of the lower Axes in inches.
        label: as in `Film`.
        frames: number of frames.
        fps: frames per second.
    """
    _check_pace(frames, fps)
    across, up = np.ptp(xy[:, :2], axis=0) + 2 * MARGIN
    heights = [INCHES * up / across, below]
    figure = _figure(INCHES, sum(heights))
    axes = figure.subplots(2, gridspec_kw={"height_ratios": heights})
    figure.subplots_adjust(0.01, 0.3 / sum(heights), 0.99, 1, hspace=0)
    prepare(axes)
    shown = np.unique(np.linspace(0, len(xy) - 1, frames).round().astype(int))
    return _recorded(figure, lambda t: draw(axes, t), shown.tolist(), label, fps)


def _check_pace(frames: int, fps: float) -> None:
    if not (1 <= frames <= MOST_FRAMES and 0.1 <= fps <= 50):
        raise InputError(
            f"frames must be 1 to {MOST_FRAMES} and fps 0.1 to 50, not {frames} and "
            f"{fps}"
        )


def _figure(across: float, up: float) -> Any:
    """A figure of so many inches that no notebook shows by itself."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((across, up), dpi=DOTS)
    FigureCanvasAgg(figure)
    return figure


def _recorded(
    figure: Any,
    draw: Callable[[int], None],
    shown: Sequence[int],
    label: str,
    fps: float,
) -> Film:
    """Take a picture of a figure for each of some numbers, and join them to a GIF.

    Args:
        figure: what is pictured.
        draw: draws the frame of a number.
        shown: the numbers.
        label: as in `Film`.
        fps: frames per second.
    """
    try:
        from celluloid import Camera
        from matplotlib.animation import PillowWriter
        from PIL import Image, ImageSequence
    except ImportError as error:
        raise MissingPackageError(
            "a film needs celluloid and Pillow: pip install 'handwriting-lib[gif]'"
        ) from error
    camera = Camera(figure)
    for number in shown:
        draw(number)
        camera.snap()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.gif"
        camera.animate().save(path, PillowWriter(), dpi=DOTS)  # times come below
        with Image.open(path) as gif:
            pictures = [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]
    # one palette for all frames, so that a frame stores only what changed
    some = pictures[:: max(1, len(pictures) // PALETTE_FRAMES)]
    wide, high = some[0].size
    sheet = Image.new("RGB", (wide, high * len(some)))
    for number, picture in enumerate(some):
        sheet.paste(picture, (0, high * number))
    palette = sheet.quantize(COLOURS)
    first, *rest = [
        picture.quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    file = io.BytesIO()
    times = [round(1000 / fps)] * len(rest) + [round(1000 * HOLD)]
    first.save(
        file, "GIF", save_all=True, append_images=rest, duration=times, loop=0
    )  # fmt: skip
    return Film(file.getvalue(), label)
