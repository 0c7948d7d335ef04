"""Pen strokes as arrays: offsets and positions, thinning, smoothing, slant.

A line of ink is a float tensor `(T, 3)` with the columns `dx, dy, end_of_stroke`.
One row is a *point*: one reading of the pen, one time step of a network. y points up.
`end_of_stroke` is 1 on the LAST point of a pen-down run, so the next offset is the
move with the pen in the air. The first row's offset is 0, 0.

Built in chapter 01 (`book/01_ink.md`). Graves 2013, section 4, uses the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .errors import InputError

KINDS = ("line", "word", "character")


@dataclass(frozen=True)
class Sample:
    """A piece of text and the ink that somebody, or something, wrote it with.

    Attributes:
        text: what the ink says.
        ink: `(T, 3)` float32 offsets, in the units of its source until scaled.
        writer: an opaque name that tells writers apart; never shown in results.
        source: where it came from: corpus, file and place in the file.
        kind: `"line"`, `"word"` or `"character"`.
        character_of_point: `(T,)` int64, the index in `text` of the character that
            each point belongs to, or None where nobody knows.
        points_per_second: the rate of the pen's readings, or None where unknown.
        units: names the unit of `ink` where a corpus mixes several; the samples of one
            writer in one unit share one scale.

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
        """The same sample with some attributes changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Corpus:
    """What a reader returns: the samples, and what it left out and why.

    Attributes:
        name: the source as it was asked for, such as `"synthetic"`.
        samples: in the order of the source.
        skipped: how many samples were left out, by reason.

    Example:
        >>> Corpus("empty", [], {"no text": 3}).skipped
        {'no text': 3}
    """

    name: str
    samples: list[Sample]
    skipped: dict[str, int] = field(default_factory=dict)


def check_ink(ink: Tensor, what: str = "ink") -> Tensor:
    """Return `ink` when it is a line of ink, and say what is wrong otherwise.

    Args:
        ink: anything that should be a `(T, 3)` tensor of finite offsets.
        what: the name to use in the message.

    Raises:
        ValueError: wrong shape, no point, a number that is not finite, or an
            `end_of_stroke` other than 0 and 1.
    """
    if ink.ndim != 2 or ink.shape[-1] != 3:
        raise InputError(
            f"{what} must have the shape (T, 3): dx, dy, end_of_stroke; "
            f"it has {tuple(ink.shape)}"
        )
    if len(ink) == 0:
        raise InputError(f"{what} has no points")
    if not torch.isfinite(ink).all():
        row = int((~torch.isfinite(ink)).any(1).nonzero()[0])
        raise InputError(f"{what} has a number that is not finite in row {row}")
    if not ((ink[:, 2] == 0) | (ink[:, 2] == 1)).all():
        raise InputError(f"{what}: end_of_stroke must be 0 or 1 in every row")
    return ink


def offsets_to_positions(ink: Tensor) -> Tensor:
    """Add the offsets up: `dx, dy` become `x, y`, the pen column stays.

    Args:
        ink: `(..., T, 3)` offsets.

    Returns:
        `(..., T, 3)`: `x, y, end_of_stroke`, in the units of `ink`.

    Example:
        >>> import torch
        >>> offsets_to_positions(torch.tensor([[0., 0., 0.], [1., 2., 1.]]))[1]
        tensor([1., 2., 1.])
    """
    xy = ink[..., :2].double().cumsum(-2).to(ink.dtype)
    return torch.cat([xy, ink[..., 2:]], dim=-1)


def positions_to_offsets(positions: Tensor) -> Tensor:
    """The inverse of `offsets_to_positions`, up to where the line starts.

    Args:
        positions: `(..., T, 3)`: `x, y, end_of_stroke`.

    Returns:
        `(..., T, 3)` offsets; the first row's offset is 0, 0.

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
        strokes: tensors `(n, 2)` of `x, y`, in the order of writing, y up.

    Returns:
        `(T, 3)` float32 offsets, T the sum of the n.

    Raises:
        ValueError: there is no stroke, or one of them has no point.

    Example:
        >>> import torch
        >>> from_strokes([torch.tensor([[0., 0.], [1., 0.]])])[:, 2]
        tensor([0., 1.])
    """
    if not strokes or any(len(stroke) == 0 for stroke in strokes):
        raise InputError("ink needs at least one stroke, and a stroke one point")
    xy = torch.cat([stroke[:, :2].double() for stroke in strokes])
    end = torch.zeros(len(xy), 1, dtype=torch.double)
    end[torch.tensor([len(stroke) for stroke in strokes]).cumsum(0) - 1] = 1
    return positions_to_offsets(torch.cat([xy, end], 1)).float()


def to_strokes(ink: Tensor) -> list[Tensor]:
    """Split a line of offsets into its pen-down runs of positions.

    Args:
        ink: `(T, 3)` offsets.

    Returns:
        One tensor `(n, 2)` of `x, y` a stroke. Points after the last
        `end_of_stroke` make a stroke of their own.
    """
    positions = offsets_to_positions(ink)
    ends = (ink[:, 2] > 0.5).nonzero()[:, 0] + 1
    pieces = torch.tensor_split(positions[:, :2], ends.cpu())
    return [piece for piece in pieces if len(piece)]


def letter_body_height(ink: Tensor) -> float:
    """The 80th minus the 20th percentile of y: about the height of an x.

    Args:
        ink: `(T, 3)` offsets.

    Returns:
        The height in the units of `ink`; 0 for a flat line.
    """
    y = offsets_to_positions(ink)[:, 1].sort().values
    last = len(y) - 1
    return float(y[round(0.8 * last)] - y[round(0.2 * last)])


def slant(ink: Tensor, shear: float) -> Tensor:
    """Lean the ink to the right by `shear` units of x for each unit of y.

    Args:
        ink: `(..., 3)` offsets.
        shear: the tangent of the angle; negative leans to the left.
    """
    dx, dy, end = ink.unbind(-1)
    return torch.stack([dx + shear * dy, dy, end], -1)


def smooth(ink: Tensor, strength: float = 0.25) -> Tensor:
    """Average each inner point of a stroke with its two neighbours.

    Stroke ends stay where they are, so no stroke gets shorter.

    Args:
        ink: `(T, 3)` offsets.
        strength: the weight of each neighbour, 0 (nothing happens) to 0.5.

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

    `measure` grows along the line and restarts at each stroke: `(T,)`.
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
    """Drop points that say little: keep one each time the pen has gone `distance`.

    Stroke starts and ends always stay. With `angle`, turning counts as well: a point
    stays whenever the way gone (in units of `distance`) plus the angle turned (in
    units of `angle`) passes a whole number, so corners and small loops keep more
    points than straight lines do.

    Args:
        ink: `(T, 3)` offsets.
        distance: in the units of `ink`; for scaled ink, letter-body heights.
        angle: radians, or None to look at distance alone.

    Returns:
        The thinned ink `(N, 3)` and the kept rows `(N,)`, an int64 index into `ink`
        (use it on `character_of_point`).

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
    if angle is not None:  # directions are noise below a quarter of the distance
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
    """The pen-down way so far in `unit`s, the stroke of each point, stroke ends."""
    end = positions[:, 2] > 0.5
    stroke = torch.zeros(len(end), dtype=torch.long, device=end.device)
    stroke[1:] = end[:-1].cumsum(0)
    step = positions[:, :2].diff(dim=0).norm(dim=1) / unit
    way = torch.zeros(len(end), dtype=positions.dtype, device=end.device)
    way[1:] = (step * ~end[:-1]).cumsum(0)
    # a hair above the sum, so that four steps of .05 count as one of .2
    return way * (1 + 1e-6), stroke, end
