"""Animate the writing of ink, as a GIF or a video.

Frames are drawn with Pillow, the optional extra `gif` (`pip install
handwriting-lib[gif]`), and a video is encoded by ffmpeg. Each new piece of ink is drawn
on one canvas at four times the size, and each frame is the part of that canvas that has
changed, averaged down to a palette of few colours: a page that takes minutes to write
needs no more memory than one frame. Chapter 10 shows a GIF; the interactive figures of
the site use the Player instead.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import check_folder, write_whole
from ..errors import InputError, MissingPackageError
from .layout import MAX_MOVING_PIXELS, check_sides, css_color, lay_out_sheets
from .sheet import PER_INCH, RULE_COLOR, Sheet, check_dpi, stroke_widths

# Each pixel of a frame is the mean of OVERSAMPLE x OVERSAMPLE pixels of the canvas.
OVERSAMPLE = 4
INK_SHADES = 16
PEN_SHADES = 8
RULE = INK_SHADES + PEN_SHADES  # the colour of ruled lines, after the shades
POINTS_PER_SECOND = 60.0
# Viewers treat a shorter time than this as a mistake and show the frame for longer.
SHORTEST_FRAME = 0.02
MAX_SECONDS = 600.0
PEN_RADIUS = 1.8  # radius of the dot that marks the pen, in half line widths
DPI = PER_INCH["px"]


def write_gif(
    inks: Any,
    path: str | os.PathLike[str],
    **options: Any,
) -> None:
    """Write the GIF of `to_gif_bytes` to a file, which appears whole or not at all.

    All arguments but `path` are those of `to_gif_bytes`.
    """
    write_whole(path, to_gif_bytes(inks, **options))


def to_gif_bytes(
    inks: Any,
    *,
    seconds: float | None = None,
    fps: float = 20.0,
    width: float | str | None = None,
    hold: float = 1.0,
    unit: float | None = None,
    line_width: float | str | None = None,
    color: str | Sequence[float] = "black",
    background: str = "white",
    pen: str | None = None,
    paper: str | None = None,
    ruled: bool = False,
    variable_width: bool = False,
    dpi: float = DPI,
) -> bytes:
    """Animate ink in the order of writing, one line and one sheet after the other.

    Args:
        inks: ink, a `Sheet` or a page of any number of sheets, as in `save`.
        seconds: duration of the writing, at most 600; None writes 60 points per second,
            or more if it would last longer than that.
        fps: frames per second, at most 50. There are never more frames than points.
        width: width of the picture as in `save`; None draws a letter body 20 pixels
            high.
        hold: seconds for which a finished sheet stays, before the next one or before
            the loop starts again.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen as in `save`.
        color: colour of the ink, a name or `#rrggbb` as Pillow reads them.
        background: colour of the background.
        pen: colour of a dot that marks the pen, or None for no dot.
        paper: as in `save`.
        ruled: whether to draw ruled lines.
        variable_width: whether the width of a stroke follows the pen's speed.
        dpi: pixels per inch: 96 of them are 25.4 mm on a sheet in millimetres.

    Returns:
        The bytes of a GIF that loops forever.

    Raises:
        ImportError: Pillow is not installed.
        ValueError: there is no ink, its shape is wrong, a time, size or colour is not
            valid, or the picture is too large.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 0.], [3., -4., 1.]])
        >>> to_gif_bytes(ink)[:6]
        b'GIF89a'
    """
    sheets = lay_out_sheets(
        inks, width=width, unit=unit, line_width=line_width, paper=paper
    )
    film = _film(
        "GIF", sheets, seconds, fps, hold, color, background, pen, ruled,
        variable_width, dpi,
    )  # fmt: skip
    from PIL import Image
    from PIL.GifImagePlugin import getdata

    colors = film.palette.ljust(3 * 32, b"\0")  # 2 ** (4 + 1) of them
    file = io.BytesIO()
    file.write(struct.pack("<6sHHBBB", b"GIF89a", *film.size, 128 | 4, 0, 0))
    file.write(colors + b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # loops forever
    for frame in film.frames:
        picture = Image.fromarray(frame.index)
        picture.putpalette(colors)
        data = getdata(picture, frame.corner, duration=frame.milliseconds, disposal=1)
        file.write(b"".join(data))
    file.write(b";")
    return file.getvalue()


def write_video(
    inks: Any,
    path: str | os.PathLike[str],
    *,
    seconds: float | None = None,
    fps: float = 30.0,
    width: float | str | None = None,
    hold: float = 1.0,
    unit: float | None = None,
    line_width: float | str | None = None,
    color: str | Sequence[float] = "black",
    background: str = "white",
    pen: str | None = None,
    paper: str | None = None,
    ruled: bool = False,
    variable_width: bool = False,
    dpi: float = DPI,
) -> None:
    """Write a video of the ink being written, as `to_gif_bytes` animates it.

    Args:
        inks: ink, a `Sheet` or a page, as in `save`.
        path: file to write, of a kind that ffmpeg knows by its ending, such as `.mp4`.
            It appears whole or not at all.

    The other arguments are those of `to_gif_bytes`.

    Raises:
        ImportError: Pillow or ffmpeg is not installed.
        ValueError: as in `to_gif_bytes`, or ffmpeg cannot write such a file.
    """
    check_folder(path)
    sheets = lay_out_sheets(
        inks, width=width, unit=unit, line_width=line_width, paper=paper
    )
    film = _film(
        "video", sheets, seconds, fps, hold, color, background, pen, ruled,
        variable_width, dpi,
    )  # fmt: skip
    program = find_ffmpeg()
    palette = np.frombuffer(film.palette, np.uint8).reshape(-1, 3)
    across, down = (side + side % 2 for side in film.size)  # most players want it even
    shown = np.zeros((down, across), np.uint8)  # palette indices
    with tempfile.TemporaryDirectory(dir=Path(path).absolute().parent) as folder:
        target = Path(folder) / f"video{Path(path).suffix}"
        command = [
            program, "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{across}x{down}", "-r", f"{fps}", "-i", "-", "-an",
            "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(target),
        ]  # fmt: skip
        with open(Path(folder) / "errors", "w+b") as errors:
            # when it has stopped, the pipe breaks, here or as it is closed
            with (
                contextlib.suppress(BrokenPipeError),
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stderr=errors
                ) as encoder,
            ):
                assert encoder.stdin is not None
                elapsed, written = 0.0, 0
                for frame in film.frames:
                    x, y = frame.corner
                    rows, columns = frame.index.shape
                    shown[y : y + rows, x : x + columns] = frame.index
                    elapsed += frame.milliseconds / 1000
                    picture = palette[shown].tobytes()
                    while written < max(1, round(elapsed * fps)):
                        encoder.stdin.write(picture)
                        written += 1
            errors.seek(0)
            reason = errors.read().decode(errors="replace").strip().splitlines()
        if encoder.returncode:
            raise InputError(
                f"{path}: ffmpeg could not write it: {(reason or ['no reason'])[-1]}"
            )
        os.replace(target, path)


def find_ffmpeg() -> str:
    """The program ffmpeg: the one in the path, or that of the package imageio-ffmpeg.

    Raises:
        ImportError: there is neither.
    """
    if program := shutil.which("ffmpeg"):
        return program
    try:
        import imageio_ffmpeg
    except ImportError:
        raise MissingPackageError(
            "videos are encoded by ffmpeg, which is not installed: install it, for "
            "example with pip install handwriting-lib[video]"
        ) from None
    return imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True)
class _Frame:
    """What a frame changes: palette indices `(rows, columns)` from `corner` on."""

    index: np.ndarray
    corner: tuple[int, int]
    milliseconds: int


@dataclass(frozen=True)
class _Film:
    """Frames of `size` (width, height), the first of which covers all of it."""

    size: tuple[int, int]
    palette: bytes
    frames: Iterator[_Frame]


def _film(
    kind: str,
    sheets: Sequence[Sheet],
    seconds: float | None,
    fps: float,
    hold: float,
    color: str | Sequence[float],
    background: str,
    pen: str | None,
    ruled: bool,
    variable_width: bool,
    dpi: float,
) -> _Film:
    """Check the options and plan the frames, which are drawn as they are asked for."""
    try:
        from PIL import ImageColor
    except ImportError as error:
        raise MissingPackageError(
            f"a {kind} is drawn with Pillow: run pip install handwriting-lib[gif]"
        ) from error
    if not 0 < fps <= 1 / SHORTEST_FRAME:
        raise InputError(f"fps must be above 0 and at most 50, not {fps}")
    if not 0 <= hold <= 600:
        raise InputError(f"hold must be between 0 and 600 seconds, not {hold}")
    check_dpi(dpi)
    size = (
        math.ceil(max(s.width * dpi / s.per_inch for s in sheets)),
        math.ceil(max(s.height * dpi / s.per_inch for s in sheets)),
    )
    check_sides(*size, kind, MAX_MOVING_PIXELS)
    lengths = [sum(len(s) for line in sheet.lines for s in line) for sheet in sheets]
    points = sum(lengths)
    if not points:
        raise InputError(f"there is no ink for a {kind} to show: write something first")
    if seconds is None:
        seconds = max(points / POINTS_PER_SECOND, SHORTEST_FRAME)
        seconds = min(seconds, MAX_SECONDS)
    if not SHORTEST_FRAME <= seconds <= MAX_SECONDS:
        raise InputError(
            f"seconds must be between {SHORTEST_FRAME} and {MAX_SECONDS:g}, not "
            f"{seconds}"
        )

    def rgb(name: Any) -> np.ndarray:
        try:
            return np.array(ImageColor.getrgb(css_color(name))[:3], dtype=float)
        except ValueError:
            raise InputError(
                f"{name!r} is no colour that a {kind} can have: use a name or #rrggbb"
            ) from None

    palette = _palette(*map(rgb, (background, color, pen or color, RULE_COLOR)))

    def frames() -> Iterator[_Frame]:
        for sheet, length in zip(sheets, lengths, strict=True):
            if not length:
                continue
            share = seconds * length / points
            count = max(1, min(int(share * fps + 1e-6), length))
            shown = [math.ceil(length * (i + 1) / count) for i in range(count)]
            ticks = [round(100 * share * i / count) for i in range(count + 1)]
            scale = dpi / sheet.per_inch
            drawn = _frames(
                sheet, shown, scale, size, pen is not None, ruled, variable_width
            )
            for i, (index, corner) in enumerate(drawn):
                last = round(1000 * hold) if i == count - 1 else 0
                yield _Frame(index, corner, 10 * (ticks[i + 1] - ticks[i]) + last)

    return _Film(size, palette, frames())


def _palette(
    background: np.ndarray, ink: np.ndarray, pen: np.ndarray, rule: np.ndarray
) -> bytes:
    """Shades from the background to the ink, from it to the pen's dot, and the rule."""
    steps = np.linspace(0, 1, INK_SHADES)[:, None]
    shades = background + steps * (ink - background)
    steps = np.linspace(0, 1, PEN_SHADES + 1)[1:, None]
    dots = background + steps * (pen - background)
    return np.concatenate([shades, dots, rule[None]]).round().astype(np.uint8).tobytes()


def _frames(
    sheet: Sheet,
    shown: Sequence[int],
    scale: float,
    size: tuple[int, int],
    with_pen: bool,
    ruled: bool,
    variable_width: bool,
) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Yield what changes in each frame: palette indices and where they begin.

    Args:
        sheet: positions of the strokes.
        shown: number of points that each frame shows, in increasing order.
        scale: pixels per unit of the sheet.
        size: width and height of a frame.
        with_pen: whether to mark the pen, on all frames but the last.
        ruled: whether to draw the ruled lines.
        variable_width: whether the width of a stroke follows the pen's speed.
    """
    from PIL import Image, ImageDraw

    across, down = size
    big = scale * OVERSAMPLE
    canvas = Image.new("L", (across * OVERSAMPLE, down * OVERSAMPLE))
    draw = ImageDraw.Draw(canvas)
    paper = np.zeros(down, np.uint8)  # of each row
    if ruled:
        rows = [int(rule * scale) for rule in sheet.rules]
        paper[[row for row in rows if 0 <= row < down]] = RULE
    half = big * sheet.line_width / 2
    widths = stroke_widths(sheet) if variable_width else None
    way: list[tuple[float, float, float, bool]] = []
    for i, strokes in enumerate(sheet.lines):
        for j, stroke in enumerate(strokes):
            for k, (x, y) in enumerate(stroke.tolist()):
                radius = big * widths[i][j][k] / 2 if widths else half
                way.append((x * big, y * big, max(radius, 1.0), k == 0))
    dot_radius = PEN_RADIUS * max(half, 1.0)
    done = 0
    dot: tuple[float, float] | None = None
    for until in shown:
        first, reach = max(done - 1, 0), OVERSAMPLE
        changed = [(x, y, r) for x, y, r, _ in way[first:until]]
        for k in range(done, until):
            x, y, radius, begins = way[k]
            if not begins:
                before = way[k - 1][:2]
                draw.line([before, (x, y)], fill=255, width=round(2 * radius))
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
        if dot:
            changed.append((*dot, dot_radius))
        dot = way[until - 1][:2] if with_pen and until != len(way) else None
        if dot:
            changed.append((*dot, dot_radius))
        xs, ys, rs = np.array(changed).T
        box = [(xs - rs).min(), (ys - rs).min(), (xs + rs).max(), (ys + rs).max()]
        if not done:  # the first frame shows all of the paper
            box = [0, 0, across * OVERSAMPLE, down * OVERSAMPLE]
        left, top = (
            min(max(math.floor((v - reach) / OVERSAMPLE), 0), side - 1)
            for v, side in zip(box[:2], size, strict=True)
        )
        right, bottom = (
            min(max(math.ceil((v + reach) / OVERSAMPLE), low + 1), side)
            for v, low, side in zip(box[2:], (left, top), size, strict=True)
        )
        done = until
        part = tuple(OVERSAMPLE * v for v in (left, top, right, bottom))
        cover = _reduced(canvas.crop(part))
        index = np.rint(cover * (INK_SHADES - 1)).astype(np.uint8)
        index = np.where(index == 0, paper[top:bottom, None], index)
        if dot:
            x, y = dot[0] - part[0], dot[1] - part[1]
            r = dot_radius
            mask = Image.new("L", (part[2] - part[0], part[3] - part[1]))
            ImageDraw.Draw(mask).ellipse([x - r, y - r, x + r, y + r], fill=255)
            spot = _reduced(mask)
            shade = np.rint(spot * PEN_SHADES).astype(np.uint8)
            over = (shade > 0) & (spot >= cover - 0.5)
            index = np.where(over, INK_SHADES - 1 + shade, index)
        yield index, (left, top)


def _reduced(canvas: Any) -> np.ndarray:
    """The share of each pixel of a frame that the canvas covers."""
    return np.asarray(canvas.reduce(OVERSAMPLE), dtype=float) / 255
