"""Pen strokes as arrays: offsets and positions, thinning, smoothing, slant.

A line of ink is a float tensor `(T, 3)` with the columns `dx, dy, end_of_stroke`.
One row is a *point*: one reading of the pen and one time step of a network. The y axis
points up. `end_of_stroke` is 1 on the LAST point of a pen-down run, so the next offset
is the move with the pen in the air. The offset in the first row is 0, 0.

Built in chapter 01 (`book/01_ink.md`). Graves 2013, section 4, uses the same format.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .errors import InputError

KINDS = ("line", "word", "character")


@dataclass(frozen=True)
class Sample:
    """A piece of text and its ink, written by a person or a program.

    Attributes:
        text: the text that the ink spells.
        ink: `(T, 3)` float32 offsets, in the units of the source until scaled.
        writer: an opaque name that tells writers apart; never shown in results.
        source: the origin of the sample: corpus, file and position in the file.
        kind: `"line"`, `"word"` or `"character"`.
        character_of_point: `(T,)` int64, the index in `text` of the character that
            each point belongs to, or None if unknown.
        points_per_second: the sampling rate of the pen, or None if unknown.
        units: the name of the unit of `ink`, for a corpus that mixes several; samples
            of the same writer in the same unit share one scale.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [1., 2., 1.]])
        >>> Sample("l", ink, writer="w001", source="example").ink.shape
        torch.Size([2, 3])
    """

    text: str
    ink: Tensor
    writer: str
    source: str
    kind: str = "line"
    character_of_point: Tensor | None = None
    points_per_second: float | None = None
    units: str = ""

    def replace(self, **changes: object) -> Sample:
        """Return a copy of the sample with some attributes changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Corpus:
    """The samples that a reader returns, and a count of those that it skipped.

    Attributes:
        name: the source as requested, such as `"synthetic"`.
        samples: the samples, in the order of the source.
        skipped: the number of skipped samples for each reason.

    Example:
        >>> Corpus("empty", [], {"no text": 3}).skipped
        {'no text': 3}
    """

    name: str
    samples: list[Sample]
    skipped: dict[str, int] = field(default_factory=dict)


def check_ink(ink: Tensor, what: str = "ink") -> Tensor:
    """Return `ink` if it is a valid line of ink, and raise an error otherwise.

    Args:
        ink: the tensor to check: `(T, 3)` finite offsets.
        what: the name of the ink in the error message.

    Raises:
        ValueError: the shape is wrong, there are no points, a number is not finite, or
            an `end_of_stroke` is neither 0 nor 1.
    """
    if ink.ndim != 2 or ink.shape[-1] != 3:
        raise InputError(
            f"{what} must have the shape (T, 3) with the columns dx, dy, "
            f"end_of_stroke, not {tuple(ink.shape)}"
        )
    if len(ink) == 0:
        raise InputError(f"{what} has no points: give at least one")
    if not torch.isfinite(ink).all():
        row = int((~torch.isfinite(ink)).any(1).nonzero()[0])
        raise InputError(f"{what} has a number that is not finite in row {row}")
    if not ((ink[:, 2] == 0) | (ink[:, 2] == 1)).all():
        raise InputError(f"{what}: end_of_stroke must be 0 or 1 in every row")
    return ink


def offsets_to_positions(ink: Tensor) -> Tensor:
    """Sum the offsets: `dx, dy` become `x, y`, and the pen column stays unchanged.

    Args:
        ink: `(..., T, 3)` offsets.

    Returns:
        `(..., T, 3)` rows of `x, y, end_of_stroke`, in the units of `ink`.

    Example:
        >>> import torch
        >>> offsets_to_positions(torch.tensor([[0., 0., 0.], [1., 2., 1.]]))[1]
        tensor([1., 2., 1.])
    """
    xy = ink[..., :2].double().cumsum(-2).to(ink.dtype)
    return torch.cat([xy, ink[..., 2:]], dim=-1)


def positions_to_offsets(positions: Tensor) -> Tensor:
    """Invert `offsets_to_positions`, except for the position of the first point.

    Args:
        positions: `(..., T, 3)` rows of `x, y, end_of_stroke`.

    Returns:
        `(..., T, 3)` offsets; the offset in the first row is 0, 0.

    Example:
        >>> import torch
        >>> positions_to_offsets(torch.tensor([[5., 5., 0.], [6., 7., 1.]]))
        tensor([[0., 0., 0.],
                [1., 2., 1.]])
    """
    xy = positions[..., :2]
    first = torch.zeros_like(xy[..., :1, :])
    return torch.cat(
        [torch.cat([first, xy.diff(dim=-2)], dim=-2), positions[..., 2:]], dim=-1
    )


def from_strokes(strokes: Sequence[Tensor]) -> Tensor:
    """Join pen-down runs of positions into one line of offsets.

    Args:
        strokes: tensors `(n, 2)` of `x, y`, in the order of writing, with y up.

    Returns:
        `(T, 3)` float32 offsets, where T is the total number of points.

    Raises:
        ValueError: there are no strokes, or a stroke has no points.

    Example:
        >>> import torch
        >>> from_strokes([torch.tensor([[0., 0.], [1., 0.]])])[:, 2]
        tensor([0., 1.])
    """
    if not strokes or any(len(stroke) == 0 for stroke in strokes):
        raise InputError("ink needs at least one stroke, each with at least one point")
    xy = torch.cat([stroke[:, :2].double() for stroke in strokes])
    end = torch.zeros(len(xy), 1, dtype=torch.double)
    end[torch.tensor([len(stroke) for stroke in strokes]).cumsum(0) - 1] = 1
    return positions_to_offsets(torch.cat([xy, end], 1)).float()


def to_strokes(ink: Tensor) -> list[Tensor]:
    """Split a line of offsets into its pen-down runs of positions.

    Args:
        ink: `(T, 3)` offsets.

    Returns:
        One tensor `(n, 2)` of `x, y` per stroke. Points after the last
        `end_of_stroke` form a stroke of their own.
    """
    positions = offsets_to_positions(ink)
    ends = (ink[:, 2] > 0.5).nonzero()[:, 0] + 1
    pieces = torch.tensor_split(positions[:, :2], ends.cpu())
    return [piece for piece in pieces if len(piece)]


def letter_body_height(ink: Tensor) -> float:
    """Estimate the height of the letter x: the 80th minus the 20th percentile of y.

    Args:
        ink: `(T, 3)` offsets.

    Returns:
        The height in the units of `ink`; 0 for a flat line.
    """
    y = offsets_to_positions(ink)[:, 1].sort().values
    last = len(y) - 1
    return float(y[round(0.8 * last)] - y[round(0.2 * last)])


def slant(ink: Tensor, shear: float) -> Tensor:
    """Slant the ink to the right by `shear` units of x per unit of y.

    Args:
        ink: `(..., 3)` offsets.
        shear: the tangent of the angle; a negative value slants to the left.
    """
    dx, dy, end = ink.unbind(-1)
    return torch.stack([dx + shear * dy, dy, end], -1)


def smooth(ink: Tensor, strength: float = 0.25) -> Tensor:
    """Average each inner point of a stroke with its two neighbours.

    The two ends of each stroke stay in place.

    Args:
        ink: `(T, 3)` offsets.
        strength: the weight of each neighbour, from 0 (no smoothing) to 0.5.

    Raises:
        ValueError: `strength` is outside 0 to 0.5.
    """
    if not 0 <= strength <= 0.5:
        raise InputError(f"strength must be between 0 and 0.5, not {strength}")
    positions = offsets_to_positions(ink).double()
    xy, end = positions[:, :2], positions[:, 2] > 0.5
    inner = torch.zeros(len(ink), dtype=torch.bool, device=ink.device)
    if len(ink) > 2:
        inner[1:-1] = ~end[1:-1] & ~end[:-2]
    averaged = (1 - 2 * strength) * xy
    averaged[1:-1] += strength * (xy[:-2] + xy[2:])
    positions[:, :2] = torch.where(inner[:, None], averaged, xy)
    return positions_to_offsets(positions).to(ink.dtype)


def _keep_by_measure(measure: Tensor, stroke: Tensor, end: Tensor) -> Tensor:
    """Mark stroke starts and ends, and every point where `measure` passes an integer.

    `measure` `(T,)` grows along the line and is counted from the start of each stroke.
    """
    start = torch.ones_like(end)
    start[1:] = end[:-1]
    base = measure[start.nonzero()[:, 0]][stroke]
    whole = (measure - base).floor()
    passed = torch.zeros_like(end)
    passed[1:] = whole[1:] > whole[:-1]
    return passed | start | end


def thin(
    ink: Tensor, distance: float = 0.16, angle: float | None = None
) -> tuple[Tensor, Tensor]:
    """Drop redundant points: keep one each time the pen has travelled `distance`.

    The first and last points of a stroke are always kept. With `angle`, turning counts
    as well: a point is kept whenever the path length (in units of `distance`) plus the
    angle turned (in units of `angle`) passes a whole number, so corners and small loops
    keep more points than straight lines do.

    Args:
        ink: `(T, 3)` offsets.
        distance: the path length between kept points, in the units of `ink` (for
            scaled ink, letter-body heights).
        angle: the turning that counts as much as `distance`, in radians, or None to
            use the distance alone.

    Returns:
        The thinned ink `(N, 3)` and the kept rows `(N,)`, an int64 index into `ink`
        that also selects from `character_of_point`.

    Raises:
        ValueError: `distance` or `angle` is not positive.

    Example:
        >>> import torch
        >>> straight = torch.tensor([[.0, .0, .0]] + [[.05, .0, .0]] * 9)
        >>> straight[-1, 2] = 1.
        >>> thin(straight, distance=.2)[1]
        tensor([0, 4, 8, 9])
    """
    if distance <= 0 or (angle is not None and angle <= 0):
        raise InputError(
            f"distance and angle must be positive, not {distance} and {angle}"
        )
    positions = offsets_to_positions(ink).double()
    rows = torch.arange(len(ink), device=ink.device)
    if angle is not None:  # headings of shorter steps are mostly noise
        keep = _keep_by_measure(*_way(positions, distance / 4))
        positions, rows = positions[keep], rows[keep]
    way, stroke, end = _way(positions, distance)
    if angle is not None and len(rows) > 2:
        xy, inner = positions[:, :2], ~end
        inner[1:] &= ~end[:-1]
        inner[0] = False
        step = xy.diff(dim=0)
        heading = torch.atan2(step[:, 1], step[:, 0])
        turn = torch.zeros_like(way)
        turn[1:-1] = heading.diff()
        turn = torch.remainder(turn + torch.pi, 2 * torch.pi) - torch.pi
        way = way + (turn.abs() * inner).cumsum(0) / angle
    keep = _keep_by_measure(way, stroke, end)
    return positions_to_offsets(positions[keep]).to(ink.dtype), rows[keep]


def _way(positions: Tensor, unit: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pen-down path length in `unit`s, stroke indices and stroke ends."""
    end = positions[:, 2] > 0.5
    stroke = torch.zeros(len(end), dtype=torch.long, device=end.device)
    stroke[1:] = end[:-1].cumsum(0)
    step = positions[:, :2].diff(dim=0).norm(dim=1) / unit
    way = torch.zeros(len(end), dtype=positions.dtype, device=end.device)
    way[1:] = (step * ~end[:-1]).cumsum(0)
    # slightly above the sum, so that rounding does not make four steps of .05 fall
    # short of one of .2
    return way * (1 + 1e-6), stroke, end


def points_per_second(times: Iterable[Sequence[float]]) -> float | None:
    """Estimate the rate of the pen's readings over the time that it was down.

    The estimate is a mean over all strokes. Time stamps are rounded to hundredths of a
    second, so a median of their differences would jump between 50 and 100.

    Args:
        times: the time stamps of each stroke, in seconds.

    Returns:
        The readings per second, or None where the time stamps do not determine them.

    Example:
        >>> points_per_second([[0.0, 0.01, 0.03], [1.0, 1.01], [2.0]])
        75.0
    """
    steps, seconds = 0, 0.0
    for stamps in times:
        if len(stamps) > 1 and stamps[-1] > stamps[0]:
            steps += len(stamps) - 1
            seconds += stamps[-1] - stamps[0]
    rate = steps / seconds if seconds else math.inf
    return round(rate, 3) if math.isfinite(rate) and rate > 0 else None
