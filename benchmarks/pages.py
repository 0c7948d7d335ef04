"""Pages: what laying out costs, how even lines are, and whose points words have.

    python -m benchmarks pages

Measured are the time of a page beside that of the same lines written with `write`, the
peak memory of a long page beside that of a short one, the baseline, size and slant of
the lines of twenty pages, and the words of synthetic ink, whose characters are known.
In addition to `command`, `commit` and `machine`, `results/pages.json` holds:

    title, model            strings
    load                    load average of the machine before and after
    time                    characters; seconds of the processor and of the clock for
                            the page and for its lines with `write`, by turns; their
                            ratios, of the sums
    memory                  model; peak of a process that writes 1,000 and 10,000
                            characters, in MB, and the ratio
    even                    pages, lines and `incomplete` pieces of twenty pages, and:
      baseline              distance of a line from its rule, in letter bodies: the
                            median over the lines and the worst line
      size, slant           drift from the first line of a page to the last, as the
                            slope of a line through all of them (Theil and Sen): its
                            median over the pages, the largest of a page, and that of
                            all lines together; once from the letters that are known
                            (size a share, slant in degrees), once without knowing any
    words                   lines and words; share of a word's points in its box,
                            share of the points of a word in the box of a neighbour, and
                            the same in the boxes around the true points; share of
                            pairs of neighbours with more than .02
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

import handwriting_lib as hw
from handwriting_lib.data.transforms import Limits, prepare
from handwriting_lib.evaluation.measures import attention
from handwriting_lib.writing.level import BODIES, STANDING
from handwriting_lib.writing.lines import Line
from handwriting_lib.writing.words import Box, box_of, words_of

MODEL, SMALL = "unipen-400", "unipen-256"
CHARACTERS, LONG = 1000, 10_000
PAGES, PAGE_CHARACTERS = 20, 500
SHORTEST_LINE = 12  # letters that a line is measured by
SYNTHETIC: dict[str, Any] = {"samples": 240, "seed": 7, "writers": 120}


def text_of(characters: int, start: int = 0) -> str:
    """Prose of the book, as paragraphs, of about so many characters.

    Args:
        characters: the length.
        start: where in the book to begin.
    """
    prose = hw.load_text("book").text
    found: list[str] = []
    length = 0
    for paragraph in prose[start:].split("\n"):
        words = hw.to_ascii(paragraph).split()
        words = [w for w in words if not set(w) & set("$\\{}_^`<>[]|")]
        kept = " ".join(words)[: characters - length].rpartition(" ")[0]
        if len(kept) < 40:
            continue
        found.append(kept)
        length += len(kept)
        if length > characters - 60:
            break
    return "\n\n".join(found)


def run(rounds: int = 2) -> dict[str, Any]:
    """Measure everything once; only the times are taken by turns, `rounds` times."""
    torch.set_num_threads(1)
    before = os.getloadavg()
    model = hw.load_pretrained(MODEL)
    result = {
        "title": "Pages",
        "model": MODEL,
        "words": words_on_synthetic_ink(model),
        "even": evenness(model),
        "time": times(model, min(rounds, 2)),
        "memory": memory(),
    }
    result["load"] = [round(x, 1) for x in (*before[:2], *os.getloadavg()[:2])]
    return result


# --- time and memory -----------------------------------------------------------------


def times(model: hw.Model, rounds: int) -> dict[str, Any]:
    """A page and its lines by themselves, by turns."""
    text = text_of(CHARACTERS)
    lines = [line.text for line in hw.write_page(text, model).lines]
    functions: Mapping[str, Callable[[], object]] = {
        "page": lambda: hw.write_page(text, model, style="birch"),
        "lines": lambda: hw.write(lines, model, style="birch"),
    }
    spent = {name: [0.0, 0.0] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            begin = time.process_time(), time.perf_counter()
            function()
            spent[name][0] += time.process_time() - begin[0]
            spent[name][1] += time.perf_counter() - begin[1]
    return {
        "characters": len(text),
        "lines": len(lines),
        "rounds": rounds,
        "processor": {name: round(s[0] / rounds, 3) for name, s in spent.items()},
        "clock": {name: round(s[1] / rounds, 3) for name, s in spent.items()},
        "ratio, processor": round(spent["page"][0] / spent["lines"][0], 3),
        "ratio, clock": round(spent["page"][1] / spent["lines"][1], 3),
    }


def memory() -> dict[str, Any]:
    """Peaks of two processes that write a short page and a long one."""
    code = (
        "import json, torch, handwriting_lib as hw\n"
        "from benchmarks import peak_memory\n"
        "from benchmarks.pages import text_of\n"
        "torch.set_num_threads(1)\n"
        "page = hw.write_page(text_of({0}), {1!r})\n"
        "assert not page.missing\n"
        "print(json.dumps([len(page.text), round(peak_memory(), 1)]))\n"
    )
    peaks = {}
    for characters in (CHARACTERS, LONG):
        done = subprocess.run(
            [sys.executable, "-c", code.format(characters, SMALL)],
            capture_output=True,
            text=True,
            check=True,
        )
        written, peak = json.loads(done.stdout)
        peaks[str(written)] = peak
    short, long = peaks.values()
    return {"model": SMALL, "MB": peaks, "ratio": round(long / short, 3)}


# --- evenness ------------------------------------------------------------------------


def evenness(model: hw.Model) -> dict[str, Any]:
    """Baseline, size and slant of the lines of pages in all hands of the model."""
    hands = hw.style_names(model)
    off: list[float] = []
    incomplete = 0
    drift: dict[str, list[tuple[float, float]]] = {}
    together: dict[str, list[tuple[float, float]]] = {}
    for number in range(PAGES):
        page = hw.write_page(
            text_of(PAGE_CHARACTERS, 3000 * number), model,
            style=hands[number % len(hands)], seed=1 + number // len(hands),
        )  # fmt: skip
        incomplete += len(page.faults)
        found = [measured_line(line, page.layout.size) for line in page.lines]
        measures = [one for one in found if one is not None]
        off += [one["baseline"] for one in measures]
        at = np.linspace(0, 1, len(measures))
        for name in measures[0]:
            values = np.array([one[name] for one in measures])
            if name.startswith("size"):
                values = values / np.median(values)
            drift.setdefault(name, []).append((theil_sen(at, values), number))
            together.setdefault(name, []).extend(
                zip(at, values - np.median(values), strict=True)
            )
    size, slant = (
        {
            name.partition(", ")[2]: {
                "median": round(float(np.median([d for d, _ in drift[name]])), 4),
                "largest": round(max((abs(d) for d, _ in drift[name])), 4),
                "all lines": round(theil_sen(*np.array(together[name]).T), 4),
            }
            for name in drift
            if name.startswith(kind)
        }
        for kind in ("size", "slant")
    )
    distance = np.abs(off)
    return {
        "pages": PAGES,
        "hands": len(hands),
        "lines": len(off),
        "incomplete": incomplete,
        "baseline": {
            "median": round(float(np.median(distance)), 4),
            "worst": round(float(distance.max()), 4),
        },
        "size": size,
        "slant": slant,
    }


def measured_line(line: Any, size: float) -> dict[str, float] | None:
    """Where a line of a page stands and how it looks; None if it is too short.

    Args:
        line: a `PageLine`.
        size: letter body of the page in millimetres.
    """
    lows, tops = [], []
    for word in line.words:
        points = word.points
        for at, character in enumerate(word.text):
            own = points[word.characters == at, 1]
            if character in STANDING and len(own) > 2:
                lows.append(float(own.max()))
            if character in BODIES and len(own) > 2:
                tops.append(float(own.min()))
    if len(tops) < SHORTEST_LINE:
        return None
    base = float(np.median(lows))
    strokes = [stroke for word in line.words for stroke in word.strokes]
    y = torch.cat(strokes)[:, 1]
    rows = torch.quantile(y, y.new_tensor([0.2, 0.8]))
    step = torch.cat([stroke.diff(dim=0) for stroke in strokes])
    down = step[(step[:, 1] > 0) & (step[:, 0].abs() < 1.5 * step[:, 1])]
    lean = torch.atan(-down[:, 0] / down[:, 1])
    order = lean.argsort()
    reached = down[order, 1].cumsum(0)
    middle = int((reached < reached[-1] / 2).sum())
    return {
        "baseline": (line.y - base) / size,
        "size, letters": (base - float(np.median(tops))) / size,
        "size, percentiles": float(rows[1] - rows[0]) / size,
        "slant, strokes": float(lean[order][middle].rad2deg()),
        "slant, columns": column_slant(strokes),
    }


def column_slant(strokes: Sequence[Tensor]) -> float:
    """The slant that, undone, piles the ink up in the fewest columns, in degrees."""
    points = []
    for stroke in strokes:  # evenly along the way
        if len(stroke) > 1:
            step = stroke.diff(dim=0)
            number = (step.norm(dim=1) / 0.1).ceil().long().clamp(1, 200)
            share = torch.cat([torch.arange(n) / n for n in number.tolist()])
            start = stroke[:-1].repeat_interleave(number, 0)
            way = step.repeat_interleave(number, 0)
            points.append(start + share[:, None] * way)
    xy = torch.cat(points)
    angles = np.arange(-40, 60.5, 0.5)
    piled = []
    for angle in angles:
        x = xy[:, 0] + np.tan(np.radians(angle)) * xy[:, 1]
        columns = ((x - x.min()) / 0.25).long().bincount()
        piled.append(float((columns.double() ** 2).sum()))
    return float(angles[int(np.argmax(piled))])


def theil_sen(x: Any, y: Any) -> float:
    """The median slope of all pairs of points."""
    first, second = np.triu_indices(len(x), 1)
    across = np.asarray(x)[second] - np.asarray(x)[first]
    up = np.asarray(y)[second] - np.asarray(y)[first]
    return float(np.median(up[across != 0] / across[across != 0]))


# --- words ---------------------------------------------------------------------------


def words_on_synthetic_ink(model: hw.Model) -> dict[str, Any]:
    """Boxes of words around the points that `words_of` gives them and the true ones."""
    corpus = prepare(
        hw.load_corpus("synthetic", **SYNTHETIC), limits=Limits(max_points=700)
    )
    samples = [s for s in corpus.samples if " " in s.text]
    shares: dict[str, list[float]] = {"own": [], "others": [], "true others": []}
    wrong = points = 0
    for sample, phi in zip(samples, attention(model, samples), strict=True):
        line = Line(sample.text, 0, sample.ink, True, "", 1, 1, phi)
        xy = hw.offsets_to_positions(sample.ink)[:, :2]
        words = words_of(line)
        assert sample.character_of_point is not None
        starts = torch.tensor([word.start for word in words])
        at = sample.character_of_point
        true = torch.bucketize(at, starts, right=True) - 1
        own = [(true == word.index).nonzero()[:, 0] for word in words]
        boxes = [box_of(xy[rows]) for rows in own]
        points += len(xy)
        for word, rows in zip(words, own, strict=True):
            wrong += int((true[word.points] != word.index).sum())
            shares["own"].append(inside(xy[rows], word.box))
        for a, b in pairwise(range(len(words))):
            for i, j in ((a, b), (b, a)):
                shares["others"].append(inside(xy[own[j]], words[i].box))
                shares["true others"].append(inside(xy[own[j]], boxes[i]))
    found = {name: np.array(values) for name, values in shares.items()}
    return {
        "lines": len(samples),
        "words": len(found["own"]),
        "wrong points": round(wrong / points, 5),
        "own": {
            "mean": round(float(found["own"].mean()), 5),
            "least": round(float(found["own"].min()), 5),
        },
        "others": {
            "mean": round(float(found["others"].mean()), 5),
            "more than .02": round(float((found["others"] > 0.02).mean()), 5),
        },
        "others, true boxes": {
            "mean": round(float(found["true others"].mean()), 5),
            "more than .02": round(float((found["true others"] > 0.02).mean()), 5),
        },
    }


def inside(xy: Tensor, box: Box) -> float:
    """The share of points that lie in a box."""
    low, high = xy.new_tensor(box[:2]), xy.new_tensor(box[2:])
    near = 1e-4
    return float(((xy >= low - near) & (xy <= high + near)).all(1).double().mean())


def table(result: Mapping[str, Any]) -> str:
    """Format the results for a terminal."""
    rows = [f"{result['title']}: {result['model']}, load {result['load']}"]
    for part in ("time", "memory", "even", "words"):
        rows += ["", f"{part}:"]
        rows += [f"    {name:20} {value}" for name, value in result[part].items()]
    return "\n".join(rows)
