"""The cursive decoder beside the synthesis network: the same ink, texts and reader.

    python -m benchmarks cursive --corpus unipen:PATH --model cursive-144

Both networks predict the same held-out words and combinations of words, point by point,
in one unit: nats for the bin that the point's token names (`evaluation.bins`). Both
write the texts of `new_texts.txt`, which neither has read, and one recogniser reads
them. In addition to `command`, `commit` and `machine`, `results/cursive.json` holds:

    title, corpus           strings
    models                  for each network: weights, bytes of its file, updates and
                            points that it was trained on
    likelihood              for words and for combinations of 2 to 5 words: lines and
                            points, and for each network nats per point with the text,
                            without it (one letter in place of all others); nats per
                            mark for the decoder; `nodes`: how far half as many nodes of
                            the quadrature are off, in the mean
    writing                 for each group of texts and each network: number of lines,
                            share that was complete at first and after redraws,
                            `measures.Legibility` and, beside the first network,
                            `measures.Difference`; and the same for the short texts
                            with and without a letter whose dot or bar may come late
    drift                   for each group and network: how much higher the feet of the
                            letters of the last third of a line stand than those of the
                            first, in letter bodies: median and mean of the distance
    variety                 for each network: over words written several times, the
                            spread of their widths, as a share, and of their slants,
                            in degrees
    speed                   points per second of one thread: one line and 32 lines of
                            each network, and the decoder without its cache
"""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import handwriting_lib as hw
from handwriting_lib.alphabet import pad_texts
from handwriting_lib.evaluation.bins import NODES, mixture_nats
from handwriting_lib.evaluation.legibility import Reading, load_recogniser, read_lines
from handwriting_lib.evaluation.measures import (
    TOGETHER,
    completeness,
    difference,
    legibility,
)
from handwriting_lib.evaluation.report import plain
from handwriting_lib.training.config import Recipe, TrainingConfig
from handwriting_lib.training.cursive import (
    CursiveTask,
    StrokeBatch,
    measure,
    prepare_words,
)
from handwriting_lib.writing.level import STANDING, measure_level
from handwriting_lib.writing.lines import Line
from handwriting_lib.writing.words import characters_of

from . import RESULTS
from ._new_texts import groups

log = logging.getLogger(__name__)

RIVAL = "unipen-400"
BIAS, REDRAWS, SEED = 1.25, 10, 1
SHORT_TEXTS = "1 to 3 words"
LATE = frozenset("ijtx")  # letters whose dot or bar may come after the word
BATCHES = 8  # of held-out ink, of 2,000 points each
REPEATED, TIMES = 20, 8  # words of the measure of variety, and how often each
SPEED_TEXT, MANY = "the lines of it", 32


def run(
    corpus: str = "synthetic", model: str = "cursive-144", resume: bool = False
) -> dict[str, Any]:
    """Compare a cursive decoder with `RIVAL`, part by part.

    Ctrl-C keeps the parts that are finished, and `resume` goes on with the others.

    Args:
        corpus: name of a corpus with words, as `load_corpus` accepts it.
        model: name of a cursive model, or path of its file.
        resume: keep the parts that are recorded.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    models = [hw.find_model(model), hw.find_model(RIVAL)]
    names, texts = [one.name for one in models], groups()
    result: dict[str, Any] = {
        "title": "The cursive decoder and the synthesis network",
        "corpus": Path(corpus.partition(":")[0]).name,
        "models": {one.name: about(one) for one in models},
        "bias": BIAS,
        "redraws": REDRAWS,
    }
    file = RESULTS / "cursive.json"
    known = json.loads(file.read_text()) if resume and file.exists() else {}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "likelihood": lambda: likelihoods(
            models, hw.load_corpus(corpus, kinds=("word",))
        ),
        "speed": lambda: speed(models),
        "variety": lambda: variety(models, texts[SHORT_TEXTS]),
    }
    result |= {name: known[name] for name in parts if name in known}
    result |= {name: known.get(name, {}) for name in ("drift", "writing")}
    try:
        for name, part in parts.items():
            if name not in result:
                result[name] = part()
        for group, some in texts.items():
            if group not in result["writing"]:
                both = [write(one, some) for one in models]
                result["drift"][group] = dict(zip(names, map(drift, both), strict=True))
                result["writing"] |= readings_of(names, group, both)
    except KeyboardInterrupt:
        log.info("interrupted: what is finished is kept")
    return result


def about(model: hw.Model) -> dict[str, Any]:
    """What a network is, and what it was trained on."""
    folder = Path(hw.__file__).parent / "pretrained"
    file = folder / f"{model.name}.safetensors"
    return {
        "kind": model.kind,
        "weights": model.num_parameters,
        "bytes": file.stat().st_size if file.exists() else None,
        "updates": model.about.get("steps"),
        "points": model.about.get("points_seen"),
        "hours": model.about.get("hours"),
    }


# --- likelihood ---------------------------------------------------------------------


def likelihoods(models: Sequence[hw.Model], ink: hw.Corpus) -> dict[str, Any]:
    """Nats per point of the same held-out ink."""
    cursive, synthesis = models
    config = TrainingConfig(
        "cursive",
        model=vars(cursive.network.config),
        recipe=Recipe(points_per_batch=2000, validation_batches=2 * BATCHES),
        thinning=cursive.thinning,
    )
    task = CursiveTask(config, prepare_words(ink, config))
    cpu = torch.device("cpu")
    found: dict[str, Any] = {}
    for kind, batches in task.held_out.items():
        log.info("likelihood of %s", kind)
        ours = measure(cursive.network, batches, cpu)
        lines = sum(map(len, batches))
        asked = [nats(synthesis, batches, task, nodes) for nodes in (NODES, NODES // 2)]
        blank = [batch.without_text() for batch in batches]
        found[kind] = {
            "lines": lines,
            "points": len(asked[0]),
            "nodes": float((asked[0] - asked[1]).mean()),
            cursive.name: {
                "with text": ours.point,
                "without text": ours.without_text,
                "mark": ours.mark,
            },
            synthesis.name: {
                "with text": float(asked[0].mean()),
                "without text": float(nats(synthesis, blank, task).mean()),
            },
        }
    return found


def nats(
    model: hw.Model,
    batches: Sequence[StrokeBatch],
    task: CursiveTask,
    nodes: int = NODES,
) -> torch.Tensor:
    """Nats of all points of some batches under a mixture."""
    found = []
    for batch in batches:
        lines, texts = zip(*batch.lines, strict=True)
        found += mixture_nats(
            model.network, model.normalisation, lines, texts, task.tokens, nodes
        )
    return torch.cat(found)


# --- writing ------------------------------------------------------------------------


def write(model: hw.Model, texts: Sequence[str], **options: Any) -> list[Line]:
    """Write texts in no particular hand."""
    options = {"style": "any", "bias": BIAS, "redraws": REDRAWS, "seed": SEED} | options
    lines: list[Line] = []
    for first in range(0, len(texts), TOGETHER):
        some = texts[first : first + TOGETHER]
        at = range(first, first + len(some)) if "samples" not in options else None
        lines += hw.write(some, model, positions=at, **options)
        log.info("%s: %d lines", model.name, len(lines))
    return lines


def readings_of(
    names: Sequence[str], group: str, both: Sequence[list[Line]]
) -> dict[str, Any]:
    """What the recogniser makes of a group; the short texts are also split by marks."""
    recogniser = load_recogniser()
    readings: list[list[Reading]] = [
        [read_lines([x.ink], [x.text], recogniser)[0] for x in lines] for lines in both
    ]
    found = {group: judged(names, both, readings)}
    if group == SHORT_TEXTS:
        texts = [line.text for line in both[0]]
        for name, is_late in (("late marks", True), ("no late marks", False)):
            some = [i for i, x in enumerate(texts) if bool(LATE & set(x)) == is_late]
            found[f"{group}, {name}"] = judged(
                names,
                [[lines[i] for i in some] for lines in both],
                [[own[i] for i in some] for own in readings],
            )
    return found


def judged(
    names: Sequence[str],
    both: Sequence[Sequence[Line]],
    readings: Sequence[Sequence[Reading]],
) -> dict[str, Any]:
    """Completeness and legibility of the lines of both networks."""
    found: dict[str, Any] = {
        name: {
            "completeness": plain(completeness(lines, REDRAWS, own)),
            "legibility": plain(legibility(own)),
        }
        for name, lines, own in zip(names, both, readings, strict=True)
    }
    found["difference"] = plain(difference(readings[1], readings[0]))
    return found


def drift(lines: Sequence[Line]) -> dict[str, float]:
    """How far the baseline of a line moves from its first to its last third."""
    found = []
    for line in lines:
        xy = hw.offsets_to_positions(line.ink)[:, :2]
        of = characters_of(line)
        feet = []
        for at, character in enumerate(line.text):
            own = xy[of == at]
            if character in STANDING and len(own) > 2:
                feet.append((at / len(line.text), float(own[:, 1].min())))
        first = [y for place, y in feet if place < 1 / 3]
        last = [y for place, y in feet if place >= 2 / 3]
        if first and last:
            found.append(abs(statistics.median(last) - statistics.median(first)))
    return {
        "lines": len(found),
        "median": float(np.median(found)),
        "mean": float(np.mean(found)),
    }


def variety(models: Sequence[hw.Model], texts: Sequence[str]) -> dict[str, Any]:
    """How much the draws of one word differ."""
    words = [text for text in texts if " " not in text][:REPEATED]
    found = {}
    for model in models:
        lines = write(model, words, samples=TIMES)
        rows = [lines[i : i + TIMES] for i in range(0, len(lines), TIMES)]
        widths, slants = [], []
        for row in rows:
            wide = [float(np.ptp(hw.offsets_to_positions(x.ink)[:, 0])) for x in row]
            widths.append(float(np.std(wide) / np.mean(wide)))
            lean = [measure_level(x, characters_of(x)).slant for x in row]
            slants.append(float(np.std(np.degrees(np.arctan(lean)))))
        found[model.name] = {
            "words": len(words),
            "times": TIMES,
            "width": float(np.mean(widths)),
            "slant": float(np.mean(slants)),
        }
    return found


# --- speed --------------------------------------------------------------------------


def speed(models: Sequence[hw.Model]) -> dict[str, Any]:
    """Points per second, the faster of two rounds by turns."""
    rows: dict[str, list[float]] = {}
    for _ in range(2):
        for model in models:
            for count in (1, MANY):
                begin = time.perf_counter()
                lines = hw.write(
                    SPEED_TEXT, model, samples=count, style="any", redraws=0, bias=BIAS
                )
                seconds = time.perf_counter() - begin
                name = f"{model.name}, {count} line{'s' * (count > 1)}"
                points = sum(len(line.ink) for line in lines)
                rows.setdefault(name, []).append(points / seconds)
        rows.setdefault(f"{models[0].name}, 1 line without cache", []).append(
            uncached(models[0])
        )
    return {name: round(max(found), 1) for name, found in rows.items()}


@torch.no_grad()
def uncached(model: hw.Model, points: int = 200) -> float:
    """Points per second if the network reads the whole line anew at each point."""
    network: Any = model.network
    text = pad_texts([SPEED_TEXT])
    generator = torch.Generator().manual_seed(1)
    pairs = torch.zeros(1, 1, 2, dtype=torch.long)
    begin = time.perf_counter()
    for _ in range(points):
        out = network(pairs, *text)
        angle = torch.multinomial(
            out.angles[:, -1, : network.tokens.angles].softmax(-1), 1,
            generator=generator,
        )[:, 0]  # fmt: skip
        shots = network.shots_after(out.hidden[:, -1], angle)
        shot = torch.multinomial(shots.softmax(-1), 1, generator=generator)[:, 0]
        pairs = torch.cat([pairs, torch.stack([angle, shot], 1)[None]], 1)
    return points / (time.perf_counter() - begin)


def table(result: Mapping[str, Any]) -> str:
    """Format the results for a terminal."""
    names = list(result["models"])
    rows = [result["title"], ""]
    for kind, row in result.get("likelihood", {}).items():
        for name in names:
            own = row[name]
            rows.append(
                f"{kind}, {name}: {own['with text']:.3f} nats per point, "
                f"{own['without text']:.3f} without the text"
            )
    for group, row in result.get("writing", {}).items():
        for name in names:
            own = row[name]
            rows.append(
                f"{group}, {name}: {own['legibility']['characters']:.1%} misread, "
                f"{own['completeness']['after_redraws']:.1%} complete"
            )
    speeds = result.get("speed", {})
    rows += [f"{name}: {value:.0f} points/s" for name, value in speeds.items()]
    return "\n".join(rows)
