"""What ink looks like: upside down, as offsets, and in which unit of time.

A file of ink often does not say where y points, whether x and y are positions or
offsets, and what its time stamps count. These functions judge it by properties that
handwriting has whoever wrote it. Line by line, `is_upside_down` accuses none of 1,000
synthetic lines and 7 of 1,079 of UNIPEN, and notices 978 and 1,021 of them turned over;
`are_offsets` takes 9 of those of UNIPEN for offsets, and only once they are centred.
Chapter 01 (`book/01_ink.md`) reads ink of other programs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..ink import Sample, to_strokes

# With this many points or more, the ink says what its columns mean.
POINTS_TO_JUDGE = 50
CHARACTERS_TO_JUDGE = 8
POINTS_WITHOUT_TEXT = 100
# Below minus this, ink is upside down: see `uprightness`.
THRESHOLD = 0.3
# Of human ink, no line and 1 word of 500 has a longer way, in extents of the ink, ...
WANDERING = 8.5
# ... and 1 word of 20 has offsets that change less per point, in standard deviations.
SMOOTH = 0.2
RARE_SIGN = 0.02


def uprightness(sample: Sample) -> float:
    """How much ink looks like writing the right way up; below 0 it looks turned over.

    Three habits of writing add up. A stroke ends lower than it begins (the pen is
    pulled down), which counts twice. The pen turns counter-clockwise more than
    clockwise, as in a, c, d, e, g, o. And more letters rise above the body of the line
    than fall below it.

    Args:
        sample: ink `(T, 3)`, y up.
    """
    strokes = [stroke.double().numpy() for stroke in to_strokes(sample.ink)]
    y = np.concatenate(strokes)[:, 1]
    low, middle, high = np.percentile(y, [5, 50, 95])
    height = high - low
    if height <= 0:
        return 0.0
    falls = [stroke[0, 1] - stroke[-1, 1] for stroke in strokes if len(stroke) > 1]
    turned = total = 0.0
    for stroke in strokes:
        step = np.diff(stroke, axis=0)
        step = step[np.hypot(*step.T) > 0]
        heading = np.arctan2(step[:, 1], step[:, 0])
        turn = (np.diff(heading) + np.pi) % (2 * np.pi) - np.pi
        turn = turn[np.abs(turn) < 2.5]  # about turns go either way
        turned += float(turn.sum())
        total += float(np.abs(turn).sum())
    rising = (high + low - 2 * middle) / height
    fall = float(np.mean(falls)) / height if falls else 0.0
    return 2 * fall + (turned / total if total else 0.0) + float(rising) / 2


def is_upside_down(samples: Sequence[Sample]) -> bool:
    """Whether the samples of a file, taken together, look turned over.

    Args:
        samples: ink that was read under the assumption to be judged.
    """
    characters = sum(len(sample.text) for sample in samples)
    untold = sum(len(sample.ink) for sample in samples if not sample.text)
    if characters < CHARACTERS_TO_JUDGE and untold < POINTS_WITHOUT_TEXT:
        return False
    weights = [len(sample.ink) for sample in samples]
    looks = np.average([uprightness(sample) for sample in samples], weights=weights)
    return bool(looks < -THRESHOLD)


def are_offsets(parts: Sequence[np.ndarray]) -> bool | None:
    """Whether columns x and y hold offsets: True, False, or None if they do not tell.

    Offsets have either sign on both axes, and change so fast that, taken for positions,
    the pen's way is many times the extent of the ink. Positions on a screen or tablet
    are all of one sign on some axis, or change little from point to point.

    Args:
        parts: one array `(n, 2)` per piece of ink.
    """
    known = [part for part in parts if len(part) > 2 and np.isfinite(part).all()]
    if sum(map(len, known)) < POINTS_TO_JUDGE:
        return None
    both_signs = min(
        min((part > 0).mean(0).min(), (part < 0).mean(0).min()) for part in known
    )
    if both_signs < RARE_SIGN:
        return False
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        steps = [np.abs(np.diff(part, axis=0)) for part in known]
        extents = [np.hypot(*np.ptp(part, axis=0)) for part in known]
        ways = [
            np.hypot(*step.T).sum() / extent
            for step, extent in zip(steps, extents, strict=True)
        ]
        change = np.median(
            [
                (step.mean(0) / part.std(0)).max()
                for step, part in zip(steps, known, strict=True)
            ]
        )
    if np.median(ways) > WANDERING:
        return True
    return False if change < SMOOTH else None


def seconds_per_stamp(parts: Sequence[np.ndarray]) -> float:
    """The unit of time stamps in seconds, by the time between two readings.

    Pens are read 20 to 1,000 times a second.

    Args:
        parts: time stamps `(n,)` of pieces of ink, NaN where there is none.
    """
    steps = np.concatenate([np.diff(part) for part in parts] or [np.empty(0)])
    steps = steps[steps > 0]  # NaN is not
    step = float(np.median(steps)) if len(steps) else 1.0
    if step < 0.25:
        return 1.0
    return 1e-3 if step < 500 else 1e-6
