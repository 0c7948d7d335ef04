"""UNIPEN in one file: pen readings and the segments that name them, side by side.

A release keeps the two in separate folders (`unipen.py`). Tools that write the format
often put `.COORD`, `.PEN_DOWN` and `.SEGMENT` into one file, which is read here.
Without a segment that can be read, the whole file is one sample without a text. y
points up.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from .archives import CorpusError
from .drawn import Drawing, from_runs
from .unipen import (
    PenReadings,
    Skip,
    clean_label,
    parse_delineation,
    read_components,
    read_segments,
    strokes_of,
)


def read(content: bytes, name: str) -> tuple[list[Drawing], dict[str, int]]:
    """Read a file, and count the segments that give no sample, by the reason.

    Raises:
        CorpusError: the file has no point, or includes files that are not in it.
    """
    missing: Counter[str] = Counter()
    components = read_components([name.lower()], {name.lower(): content}, missing)
    down = [i for i, component in enumerate(components) if component.down]
    if not down:
        why = f"it includes {', '.join(missing)}, so " if missing else ""
        raise CorpusError(
            f"{name} has no .PEN_DOWN with points: {why}give a whole release as "
            "unipen:PATH, or the file with the pen's readings"
        )
    points = PenReadings(components)
    rate = components[down[0]].rate
    about = {"y": "up", "rate": rate if rate and 0 < rate < 1000 else None,
             "writer": components[down[0]].writer or "unknown"}  # fmt: skip
    drawings: list[Drawing] = []
    skipped: dict[str, int] = defaultdict(int)
    for segment in read_segments("", content):
        where = f"{name}: segment {segment.delineation}"
        try:
            text = clean_label(segment.label)
            spans = parse_delineation(segment.delineation)
            runs = [xy for _, _, xy in strokes_of(spans, points)]
            if not runs:
                raise Skip("no pen-down point")
        except (Skip, ValueError) as reason:
            skipped[f"{segment.kind}: {reason}"] += 1
            continue
        source = f"{name}#{segment.delineation}"
        drawings.append(Drawing(from_runs(runs, where), text, where, source, **about))  # type: ignore[arg-type]
        drawings[-1].kind = segment.kind
    if not drawings:
        runs = [xy for i in down if (xy := points[i]) is not None and len(xy)]
        if not runs or not all(np.isfinite(run).all() for run in runs):
            raise CorpusError(f"{name} has readings that are not numbers: correct them")
        drawings.append(Drawing(from_runs(runs, name), None, name, name, **about))  # type: ignore[arg-type]
    return drawings, dict(skipped)
