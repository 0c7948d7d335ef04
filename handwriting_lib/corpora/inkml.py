"""InkML, the W3C's format for pen strokes, and CROHME's dialect of it.

Reference: "Ink Markup Language (InkML)", W3C Recommendation, 2011. A `trace` is a
pen-down run; its points are separated by commas, and their values by spaces, in the
order of the channels that a `traceFormat` declares (X and Y if it is missing). A value
may be the first or second difference of its channel (`'` and `"`), or repeat it (`*`).

A text comes from an `annotation` of type truth (or label, transcription, text). One
beneath `ink` is the text of all traces. One in a `traceGroup` is the text of that group
alone, and each such group is a sample; the outermost groups with a text count. CROHME's
files of formulas have both, so each is one sample, whose text is the formula in LaTeX,
without the dollar signs. y points down, as on a screen.

`save` writes a `traceGroup` for each sample, with everything that a `Sample` has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from ..ink import Sample, to_strokes
from .archives import CorpusError, write_ink
from .drawn import CLOCKS, LENGTHS, MAX_POINTS, Drawing, from_runs
from .json_points import show
from .samples import check_samples

NAMESPACE = "http://www.w3.org/2003/InkML"
TRUTHS = ("truth", "label", "transcription", "text")
NOTES = ("writer", "kind", "source", "units")
_TOKEN = re.compile(
    r"\s*([!'\"]?)\s*(\*|\?|[TF]|#[0-9A-Fa-f]{1,16}|"
    r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
)


class _Format(NamedTuple):
    channels: tuple[str, ...] = ("X", "Y")
    clock: float | None = None
    units: str = ""


def read(root: Element, name: str) -> list[Drawing]:
    """Read the parsed content of an InkML file.

    Raises:
        CorpusError: a trace cannot be read, or there is none.
    """
    formats = dict(_formats(root))
    traces: dict[str, Element] = {}
    for number, trace in enumerate(root.iter("trace")):
        traces.setdefault(trace.get("id", f"number {number}"), trace)
    if not traces:
        raise CorpusError(f"{name} has no trace: draw and save at least one stroke")
    truth = _annotation(root, *TRUTHS)
    common = {key: _annotation(root, key) for key in NOTES}
    order = {id(trace): number for number, trace in enumerate(traces.values())}
    pieces: list[tuple[str | None, Element, list[Element]]] = []
    if truth is None:
        pieces = [
            (_annotation(group, *TRUTHS), group, _members(group, traces, order))
            for group in _groups(root)
        ]
    named = {id(trace) for _, _, members in pieces for trace in members}
    if rest := [trace for trace in traces.values() if id(trace) not in named]:
        pieces.append((truth, root, rest))
    drawings = []
    size = 0
    for number, (text, element, members) in enumerate(pieces, 1):
        where = f"{name}: sample {number}"
        forms = [_format_of(trace, formats) for trace in members]
        runs = [
            _trace(trace.text or "", form.channels, f"{where}, stroke {i}")
            for i, (trace, form) in enumerate(zip(members, forms, strict=True), 1)
            if trace.get("type", "penDown") == "penDown"
        ]
        first = forms[0] if forms else _format_of(element, formats)
        drawing = Drawing(
            from_runs(runs, where), text, where, f"{name}:{number}",
            clock=first.clock, units=first.units,
        )  # fmt: skip
        size += len(drawing.rows)
        if size > MAX_POINTS:
            raise CorpusError(
                f"{name} names its traces so often that they have more than "
                f"{MAX_POINTS:,} points: divide it into several files"
            )
        for key in NOTES:
            found = _annotation(element, key) or common[key]
            setattr(drawing, key, found or getattr(drawing, key))
        _read_own(element, drawing)
        drawings.append(drawing)
    return drawings


def _annotation(element: Element, *kinds: str) -> str | None:
    for child in element.findall("annotation"):
        if (child.get("type") or "").lower() in kinds:
            text = child.text or ""
            if len(text.strip()) > 2 and text.strip()[0] == text.strip()[-1] == "$":
                text = text.strip().strip("$").strip()
            return text
    return None


def _groups(element: Element) -> Iterator[Element]:
    """The outermost groups of traces that say something about their ink."""
    for child in element:
        is_group = child.tag in ("traceGroup", "traceView")
        if is_group and _annotation(child, *TRUTHS, *NOTES) is not None:
            yield child
        else:
            yield from _groups(child)


def _members(
    element: Element, traces: dict[str, Element], order: dict[int, int]
) -> list[Element]:
    """The traces of a group, each once, in the order in which they were drawn."""
    wanted = {id(trace): trace for trace in element.iter("trace")}
    for view in element.iter("traceView"):
        key = (view.get("traceDataRef") or view.get("traceRef") or "").lstrip("#")
        if key in traces:
            wanted[id(traces[key])] = traces[key]
    known = [trace for number, trace in wanted.items() if number in order]
    return sorted(known, key=lambda trace: order[id(trace)])


def _formats(root: Element) -> Iterator[tuple[str, _Format]]:
    """The formats of traces, by their ids and by those of the contexts with them."""
    first = True
    for element in root.iter():
        if element.tag == "traceFormat":
            inner = [element]
        elif element.tag in ("context", "inkSource"):
            inner = element.findall(".//traceFormat")[:1]
        else:
            continue
        for declared in inner:
            channels = declared.findall(".//channel")
            units = {c.get("name", ""): c.get("units", "").lower() for c in channels}
            form = _Format(
                tuple(c.get("name", "") for c in channels) or ("X", "Y"),
                CLOCKS.get(units.get("T", "")),
                units.get("X", "") if units.get("X", "") in LENGTHS else "",
            )
            if first:
                yield "", form
                first = False
            yield element.get("id", ""), form


def _format_of(trace: Element, formats: dict[str, _Format]) -> _Format:
    named = trace.get("contextRef", "").lstrip("#")
    return formats.get(named) or formats.get("", _Format())


def _trace(text: str, channels: Sequence[str], where: str) -> list[tuple[float, ...]]:
    """Read the points of a trace as (x, y, t), NaN where there is no t."""
    try:
        places = channels.index("X"), channels.index("Y")
    except ValueError:
        listed = ", ".join(channels[:8])
        raise CorpusError(
            f"{where} has the channels {listed}: X and Y must be among them"
        ) from None
    time = channels.index("T") if "T" in channels else None
    orders = [0] * len(channels)  # of the differences that the values are
    states = [[0.0, 0.0, 0.0] for _ in channels]  # value, difference, second difference
    points: list[tuple[float, ...]] = []
    for number, piece in enumerate(text.strip().rstrip(",").split(","), 1):
        here = f"{where}, point {number}"
        tokens = _TOKEN.findall(piece)
        if not tokens or _TOKEN.sub("", piece).strip():
            raise CorpusError(f"{here} is {show(piece.strip())}: it must be numbers")
        if len(tokens) > len(channels) and channels != ("X", "Y"):
            raise CorpusError(
                f"{here} has {len(tokens)} values for {len(channels)} channels"
            )
        for i, (mark, value) in enumerate(tokens[: len(channels)]):
            if mark:
                orders[i] = "!'\"".index(mark)
            _step(states[i], orders[i], value)
        x, y = states[places[0]][0], states[places[1]][0]
        given = max(places) < len(tokens)
        if not given or not (math.isfinite(x) and math.isfinite(y)):
            raise CorpusError(
                f"{here} is {show(piece.strip())}: x and y must be finite numbers"
            )
        stamp = math.nan
        if time is not None and time < len(tokens):
            stamp = states[time][0]
        points.append((x, y, stamp))
    return points


def _step(state: list[float], order: int, value: str) -> None:
    """Go on by one value, which is a difference of this order, in a channel."""
    if value == "?":
        return
    if value != "*":  # which repeats what was given last
        if value in "TF":
            number = float(value == "T")
        else:
            number = float(int(value[1:], 16)) if value[0] == "#" else float(value)
        state[order] = number
    elif order == 0:
        return
    if order == 2:
        state[1] += state[2]
    if order >= 1:
        state[0] += state[1]


# --- what we write --------------------------------------------------------------------


def save(samples: Sequence[Sample], path: str | Path) -> None:
    """Write samples as InkML, from which `load_corpus` restores them.

    Args:
        samples: one or more samples with ink `(T, 3)`.
        path: path of the file; an existing file is replaced.

    Raises:
        CorpusError: there are no samples, or the file cannot be written.
        ValueError: the ink of a sample does not pass `check_ink`.
    """
    check_samples(samples, path)
    root = Element("ink", {"xmlns": NAMESPACE})
    for sample in samples:
        group = SubElement(root, "traceGroup")
        notes = {
            "truth": sample.text,
            "writer": sample.writer,
            "source": sample.source,
            "kind": sample.kind,
            "units": sample.units,
        }
        if sample.points_per_second is not None:
            notes["pointsPerSecond"] = repr(sample.points_per_second)
        if sample.character_of_point is not None:
            indices = sample.character_of_point.tolist()
            notes["characterOfPoint"] = " ".join(map(str, indices))
        for kind, text in notes.items():
            if text:
                SubElement(group, "annotation", {"type": kind}).text = text
        for stroke in to_strokes(sample.ink.double()):
            points = [f"{x!r} {-y!r}" for x, y in stroke.tolist()]
            SubElement(group, "trace").text = ", ".join(points)
    write_ink(Path(path), tostring(root, encoding="utf-8", xml_declaration=True))


def _read_own(element: Element, drawing: Drawing) -> None:
    """Read what only `save` writes: the rate, and the character of each point."""
    try:
        if rate := _annotation(element, "pointspersecond"):
            drawing.rate = float(rate)
            if not 0 < drawing.rate < math.inf:
                raise ValueError("it must be positive")
        if characters := _annotation(element, "characterofpoint"):
            drawing.characters = np.array(characters.split(), dtype=np.int64).tolist()
    except (ValueError, OverflowError) as error:
        raise CorpusError(
            f"{drawing.where}: pointsPerSecond or characterOfPoint is wrong ({error})"
        ) from error
