"""Animate the writing of ink as a GIF.

Frames are drawn with Pillow alone, the optional extra `gif` (`pip install
handwriting-lib[gif]`). Each new piece of ink is drawn on one canvas at four times the
size, and each frame is that canvas averaged down to a palette of 24 colours. Chapter 10
shows such a GIF; the interactive figures of the site use the Player instead.
"""

from __future__ import annotations

import io
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ..atomic import write_whole
from ..errors import InputError, MissingPackageError
from .layout import Layout, check_sides, lay_out

if TYPE_CHECKING:
    from PIL import Image

# Each pixel of a frame is the mean of OVERSAMPLE x OVERSAMPLE pixels of the canvas.
OVERSAMPLE = 4
INK_SHADES = 16
PEN_SHADES = 8
POINTS_PER_SECOND = 60.0
# Viewers treat a shorter time than this as a mistake and show the frame for longer.
SHORTEST_FRAME = 0.02
MAX_SECONDS = 600.0
MAX_PIXELS = 2**28  # of all frames together: they are in memory until the end
PEN_RADIUS = 1.8  # radius of the dot that marks the pen, in half line widths


def write_gif(
    inks: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    fps: float = 20.0,
    width: float | None = None,
    hold: float = 1.0,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str | Sequence[float] = "black",
    background: str = "white",
    pen: str | None = None,
) -> None:
    """Write the GIF of `to_gif_bytes` to a file, which appears whole or not at all.

    All arguments but `path` are those of `to_gif_bytes`.
    """
    content = to_gif_bytes(
        inks,
        seconds=seconds,
        fps=fps,
        width=width,
        hold=hold,
        unit=unit,
        line_width=line_width,
        color=color,
        background=background,
        pen=pen,
    )
    write_whole(path, content)


def to_gif_bytes(
    inks: Tensor | Sequence[Tensor],
    *,
    seconds: float | None = None,
    fps: float = 20.0,
    width: float | None = None,
    hold: float = 1.0,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str | Sequence[float] = "black",
    background: str = "white",
    pen: str | None = None,
) -> bytes:
    """Animate ink in the order of writing, one line after the other.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        seconds: duration of the writing, at most 600; None writes 60 points per second,
            or more if it would last longer than that.
        fps: frames per second, at most 50. There are never more frames than points, and
            a long animation of a large picture has fewer, so that it fits in memory.
        width: width of the picture in pixels; None draws a letter body 20 pixels high.
        hold: seconds for which the last frame stays before the loop starts again.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, in letter-body heights.
        color: colour of the ink, a name or `#rrggbb` as Pillow reads them.
        background: colour of the background.
        pen: colour of a dot that marks the pen, or None for no dot.

    Returns:
        The bytes of a GIF that loops forever.

    Raises:
        ImportError: Pillow is not installed.
        ValueError: there is no ink, its shape is wrong, a time, size or colour is not
            valid, or a side of the picture is too long.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 0.], [3., -4., 1.]])
        >>> to_gif_bytes(ink)[:6]
        b'GIF89a'
    """
    try:
        from PIL import Image, ImageColor
    except ImportError as error:
        raise MissingPackageError(
            "GIFs are drawn with Pillow: run pip install handwriting-lib[gif]"
        ) from error
    if not 0 < fps <= 1 / SHORTEST_FRAME:
        raise InputError(f"fps must be above 0 and at most 50, not {fps}")
    if not 0 <= hold <= 600:
        raise InputError(f"hold must be between 0 and 600 seconds, not {hold}")
    layout = lay_out(inks, width=width, unit=unit, line_width=line_width)
    check_sides(layout.width, layout.height, "GIF")
    points = sum(len(stroke) for strokes in layout.lines for stroke in strokes)
    if seconds is None:
        seconds = max(points / POINTS_PER_SECOND, SHORTEST_FRAME)
        seconds = min(seconds, MAX_SECONDS)
    if not SHORTEST_FRAME <= seconds <= MAX_SECONDS:
        raise InputError(
            f"seconds must be between {SHORTEST_FRAME} and {MAX_SECONDS:g}, not "
            f"{seconds}"
        )
    fitting = int(MAX_PIXELS / (layout.width * layout.height))
    count = max(1, min(int(seconds * fps + 1e-6), points, fitting))
    shown = [math.ceil(points * (i + 1) / count) for i in range(count)]
    rgb = [
        np.array(ImageColor.getrgb(name)[:3], dtype=float)
        for name in (background, color, pen or color)
    ]
    palette = _palette(*rgb)
    frames: list[Image.Image] = []
    for index in _frames(layout, shown, with_pen=pen is not None):
        frame = Image.fromarray(index)
        frame.putpalette(palette)
        frames.append(frame)
    ticks = [round(100 * seconds * i / count) for i in range(count + 1)]
    lasts = [10 * (b - a) for a, b in itertools.pairwise(ticks)]
    lasts[-1] += round(1000 * hold)
    file = io.BytesIO()
    frames[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=lasts,
        loop=0,
        disposal=1,
        optimize=False,  # it would give each frame a palette of its own
    )
    return file.getvalue()


def _palette(background: np.ndarray, ink: np.ndarray, pen: np.ndarray) -> bytes:
    """Shades from the background to the ink, then from it to the pen's dot."""
    steps = np.linspace(0, 1, INK_SHADES)[:, None]
    shades = background + steps * (ink - background)
    steps = np.linspace(0, 1, PEN_SHADES + 1)[1:, None]
    dots = background + steps * (pen - background)
    return np.concatenate([shades, dots]).round().astype(np.uint8).tobytes()


def _frames(
    layout: Layout, shown: Sequence[int], *, with_pen: bool
) -> Iterator[np.ndarray]:
    """Yield the palette indices `(height, width)` of each frame.

    Args:
        layout: positions of the strokes.
        shown: number of points that each frame shows, in increasing order.
        with_pen: whether to mark the pen, on all frames but the last.
    """
    from PIL import Image, ImageDraw

    across, down = math.ceil(layout.width), math.ceil(layout.height)
    big = (across * OVERSAMPLE, down * OVERSAMPLE)
    canvas = Image.new("L", big)
    draw = ImageDraw.Draw(canvas)
    radius = max(layout.line_width * OVERSAMPLE / 2, 1.0)
    way: list[tuple[float, float, bool]] = [
        (x * OVERSAMPLE, y * OVERSAMPLE, i == 0)
        for strokes in layout.lines
        for stroke in strokes
        for i, (x, y) in enumerate(stroke.tolist())
    ]
    done = 0
    for until in shown:
        for k in range(done, until):
            x, y, first = way[k]
            if not first:
                before = way[k - 1][:2]
                draw.line([before, (x, y)], fill=255, width=round(2 * radius))
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
        done = until
        cover = np.asarray(canvas.reduce(OVERSAMPLE), dtype=float) / 255
        index = np.rint(cover * (INK_SHADES - 1)).astype(np.uint8)
        if with_pen and until != len(way):
            x, y, _ = way[until - 1]
            r = radius * PEN_RADIUS
            mask = Image.new("L", big)
            ImageDraw.Draw(mask).ellipse([x - r, y - r, x + r, y + r], fill=255)
            dot = np.asarray(mask.reduce(OVERSAMPLE), dtype=float) / 255
            shade = np.rint(dot * PEN_SHADES).astype(np.uint8)
            over = (shade > 0) & (dot >= cover - 0.5)
            index = np.where(over, INK_SHADES - 1 + shade, index)
        yield index
