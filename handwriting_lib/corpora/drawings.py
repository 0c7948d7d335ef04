"""JSON of drawing programs: signature pads, Excalidraw, tldraw and Quick, Draw!.

- signature_pad's `toData()`: a list of strokes, `{"points": [{"x", "y", "time",
  "pressure"}, ...]}`, or in old versions a list of lists of such points.
- Excalidraw files: `{"type": "excalidraw", "elements": [...]}`; the elements of type
  `freedraw` have points relative to their own x and y.
- tldraw files and snapshots: shapes of type `draw`, whose points are relative to x and
  y of the shape, and those to the shape that it is in.
- Quick, Draw!: `{"word": ..., "drawing": [[[x, ...], [y, ...], [t, ...]], ...]}`, raw
  (with t in milliseconds) or simplified (without). Its word is what was to be drawn.

A drawing is one sample without a text, except in Quick, Draw!. In all of these
programs y points down. Deleted shapes are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .archives import CorpusError
from .drawn import Drawing, from_runs
from .json_points import (
    TEXTS,
    as_list,
    as_number,
    look_up,
    read_columns,
    read_point,
    read_strokes,
    show,
    text_of,
)

MAX_NESTED_SHAPES = 100


def read(obj: object, name: str) -> list[Drawing] | None:
    """Read JSON of one of these programs; None if it is of none of them.

    Raises:
        CorpusError: it is of one of them, but has no ink or is damaged.
    """
    if isinstance(obj, dict):
        if isinstance(obj.get("elements"), list):
            return [_excalidraw(obj["elements"], name)]
        if (shapes := _shapes(obj)) is not None:
            return [_tldraw(shapes, name)]
        if isinstance(obj.get("drawing"), list):
            return [_quick_draw(obj, name, 1)]
        return None
    if not isinstance(obj, list) or not obj:
        return None
    if all(isinstance(one, dict) and "drawing" in one for one in obj):
        return [_quick_draw(one, name, number) for number, one in enumerate(obj, 1)]
    if all(_is_run(one) for one in obj) and any(_points_of(one) for one in obj):
        rows = read_strokes([one for one in obj if _points_of(one)], name)
        return [Drawing(rows, None, name, name, y="down")]
    return None


def _is_run(value: object) -> bool:
    """Whether this is a stroke of a signature pad: its points have no pen."""
    if isinstance(value, dict) and look_up(value, TEXTS)[1] is not None:
        return False
    points = _points_of(value)
    return isinstance(points, list) and all(
        isinstance(point, dict) and "x" in point and not {"pen", "p"} & point.keys()
        for point in points
    )


def _points_of(value: object) -> Any:
    return value.get("points") if isinstance(value, dict) else value


# --- Quick, Draw! ---------------------------------------------------------------------


def _quick_draw(entry: dict[str, Any], name: str, number: int) -> Drawing:
    where = f"{name}: sample {number}"
    strokes = as_list(entry["drawing"], f"{where}: drawing", "strokes [[x], [y], [t]]")
    runs = []
    for i, stroke in enumerate(strokes, 1):
        at = f"{where}, stroke {i}"
        columns = as_list(stroke, at, "lists [x, ...], [y, ...] and perhaps [t, ...]")
        runs.append(read_columns(columns, at))
    return Drawing(
        from_runs(runs, where),
        text_of(entry, ("word",), where, "") or None,
        where,
        str(entry.get("key_id") or f"{name}:{number}"),
        y="down",
        clock=1e-3,
        kind="word",
    )


# --- Excalidraw -----------------------------------------------------------------------


def _excalidraw(elements: list[Any], name: str) -> Drawing:
    runs = []
    for number, element in enumerate(elements, 1):
        if not isinstance(element, dict):
            raise CorpusError(
                f"{name}: element {number} is {show(element)}: it must be an object"
            )
        if element.get("type") != "freedraw" or element.get("isDeleted"):
            continue
        where = f"{name}: element {number}"
        points = [
            read_point(point, f"{where}, point {j}")[:2]
            for j, point in enumerate(
                as_list(element.get("points"), f"{where}: points", "points [x, y]"), 1
            )
        ]
        if not points:
            continue
        xs, ys = zip(*points, strict=True)
        middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
        place = _place(element, "angle", where)
        runs.append([place.at(point, middle) for point in points])
    if not runs:
        raise CorpusError(f"{name} has no freedraw element: draw with the pencil")
    return Drawing(from_runs(runs, name), None, name, name, y="down", units="px")


class _Place:
    """Where a shape lies in what it is a part of: its x, y and angle."""

    def __init__(self, x: float, y: float, angle: float) -> None:
        self.x, self.y = x, y
        self.cos, self.sin = math.cos(angle), math.sin(angle)

    def at(
        self, point: tuple[float, float], about: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float]:
        """A point of the shape, turned about another, where the shape lies."""
        dx, dy = point[0] - about[0], point[1] - about[1]
        return (
            self.x + about[0] + self.cos * dx - self.sin * dy,
            self.y + about[1] + self.sin * dx + self.cos * dy,
        )


def _place(shape: dict[str, Any], angle: str, where: str) -> _Place:
    x, y, turn = (
        as_number(shape.get(key) or 0, f"{where}: {key}") for key in ("x", "y", angle)
    )
    return _Place(x, y, turn)


# --- tldraw ---------------------------------------------------------------------------


def _shapes(obj: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The records of a tldraw file, snapshot or clipboard; None if it is none."""
    inner = obj.get("document", obj)
    store = inner.get("store") if isinstance(inner, dict) else None
    records: Any = list(store.values()) if isinstance(store, dict) else None
    if records is None:
        records = obj.get("records", obj.get("shapes"))
    if not isinstance(records, list):
        return None
    return [
        record
        for record in records
        if isinstance(record, dict)
        and (record.get("typeName") == "shape" or "shapes" in obj)
    ]


def _tldraw(shapes: list[dict[str, Any]], name: str) -> Drawing:
    by_id = {str(shape.get("id")): shape for shape in shapes}
    drawn = [shape for shape in shapes if shape.get("type") == "draw"]
    if all(isinstance(shape.get("index"), str) for shape in drawn):
        drawn.sort(key=lambda shape: shape["index"])  # the order of drawing
    runs = []
    for number, shape in enumerate(drawn, 1):
        where = f"{name}: shape {number}"
        places = [_place(one, "rotation", where) for one in _around(shape, by_id)]
        run = []
        for point in _segments(shape, where):
            for place in places:
                point = place.at(point)
            run.append(point)
        if run:
            runs.append(run)
    if not runs:
        raise CorpusError(f"{name} has no shape of type draw: draw with the pencil")
    return Drawing(from_runs(runs, name), None, name, name, y="down", units="px")


def _around(
    shape: dict[str, Any], by_id: dict[str, dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The shape, the shape that it is in, and so on."""
    for _ in range(MAX_NESTED_SHAPES):
        yield shape
        parent = by_id.get(str(shape.get("parentId")))
        if parent is None:
            return
        shape = parent


def _segments(shape: dict[str, Any], where: str) -> Iterator[tuple[float, float]]:
    props = shape.get("props")
    segments = props.get("segments") if isinstance(props, dict) else None
    for segment in as_list(segments, f"{where}: segments", "segments"):
        points = segment.get("points") if isinstance(segment, dict) else None
        if points is None and isinstance(segment, dict) and "path" in segment:
            raise CorpusError(
                f"{where} has its points in a packed form (path), which this reader "
                "does not know: save the drawing with an earlier tldraw"
            )
        for j, point in enumerate(
            as_list(points, f"{where}: points", "points {x, y, z}"), 1
        ):
            yield read_point(point, f"{where}, point {j}")[:2]
