"""The report on a model: its measures on human lines by writers it has never seen.

`evaluate` applies the functions of `measures` to lines that are split and prepared as
the model's training data were. The command `handwriting evaluate` calls it and prints
`to_table`. Chapters 10 to 12 introduce the measures, and the results page lists them
for the models of the library.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from .._deprecation import current
from ..data.transforms import Limits, prepare, split_by_writer
from ..errors import InputError
from ..files.models import Model
from ..ink import Corpus, Sample
from ..systems import MEASURES, check_measures, writer_of
from ..writing.lines import Line, write_lines
from ..writing.styles import style_names
from .legibility import WHEEL, Reading, Recogniser, load_recogniser, read_lines
from .measures import (
    TOGETHER,
    Alignment,
    alignment,
    attention,
    completeness,
    damage,
    difference,
    legibility,
    likelihood,
    pace,
)

PARTS = MEASURES


# --- the lines that a model is compared with --------------------------------------


class HeldOut(NamedTuple):
    """Human lines to compare a model with.

    Attributes:
        lines: the lines, prepared as for training, in letter-body heights.
        known: the texts of all training lines, reduced by `letters`.
    """

    lines: list[Sample]
    known: frozenset[str]

    def is_new(self, sample: Sample) -> bool:
        """Whether no training line has this text."""
        return letters(sample.text) not in self.known


def letters(text: str) -> str:
    """Reduce a text to lower-case letters and digits, to compare it with others.

    Example:
        >>> letters("It's 5 o'clock.")
        'its5oclock'
    """
    return "".join(c for c in text.lower() if c.isalnum())


def held_out_lines(
    model: Model,
    corpus: Corpus,
    split: str = "validation",
    validation: Corpus | None = None,
) -> HeldOut:
    """The lines of one side of a corpus, split and prepared as for a model's training.

    The lines are those of `training.ink.prepare_data`, with the thinning and the limits
    that are saved with the model. Only the samples of the chosen side are prepared.

    Args:
        model: the model, which gives its `thinning` and the limits in its
            `about["config"]`, if it has any.
        corpus: the corpus as its reader returns it, with lines and words, because both
            decide the scale.
        split: `"validation"` for the held-out writers or `"train"` for the writers that
            the model was trained on.
        validation: the validation side, for a corpus that has a separate one.

    Raises:
        ValueError: there is no such split, or no line is left.
    """
    if split not in ("validation", "train"):
        raise InputError(f"the split must be validation or train, not {split!r}")
    if validation is None:
        sides = split_by_writer(corpus.samples)
        train, side = sides.train, getattr(sides, split)
        source = corpus
    else:
        train = corpus.samples
        source = validation if split == "validation" else corpus
        side = source.samples
    known = frozenset(letters(s.text) for s in train if s.kind == "line")
    # the scale of a writer is measured on everything that the writer wrote
    writers = {s.writer for s in side if s.kind == "line"}
    theirs = [s for s in source.samples if s.writer in writers]
    longer = [s for s in theirs if s.kind != "character"]
    saved: Mapping[str, Any] = model.about.get("config", {}).get("limits", {})
    table: dict[str, Any] = {
        key: tuple(entry) if isinstance(entry, list) else entry
        for key, entry in current(saved, Limits.RENAMED).items()
    }
    limits = Limits(**table)
    prepared = prepare(Corpus(corpus.name, longer), model.thinning, limits)
    kept = prepared.samples
    if validation is None:
        kept = getattr(split_by_writer(kept), split)
    lines = [s for s in kept if s.kind == "line"]
    if not lines:
        raise InputError(
            f"the {split} side of {corpus.name} has no lines: use a corpus with more "
            "writers"
        )
    return HeldOut(lines, known)


def choose_lines(
    lines: Sequence[Sample], seed: int = 1, lengths: tuple[int, int] = (12, 40)
) -> list[Sample]:
    """Choose lines with distinct texts, in an order in which the writers take turns.

    The first N lines are a fair choice of N: a writer with few lines counts as much as
    the others until those lines are used up.

    Args:
        lines: lines by one or more writers.
        seed: the seed of the order.
        lengths: the minimum and maximum number of characters.
    """
    shuffled = sorted(lines, key=lambda s: s.source)
    random.Random(seed).shuffle(shuffled)
    turns: dict[str, int] = defaultdict(int)
    texts: set[str] = set()
    chosen: list[tuple[int, Sample]] = []
    for s in shuffled:
        text = s.text.strip()
        if lengths[0] <= len(text) <= lengths[1] and text not in texts:
            texts.add(text)
            chosen.append((turns[s.writer], s))
            turns[s.writer] += 1
    return [s for _, s in sorted(chosen, key=lambda pair: pair[0])]


# --- everything -------------------------------------------------------------------


@dataclass(frozen=True)
class EvaluationSettings:
    """What an evaluation writes, and which human lines it compares that with.

    Attributes:
        split: the side of the corpus, `"validation"` or `"train"`.
        texts: the number of distinct texts of human lines that the model writes too.
        lines: the number of lines to write for `completeness`; texts are repeated if
            there are fewer.
        lengths: the minimum and maximum number of characters in these texts.
        bias: the bias, passed to `write`.
        temperature: the temperature, passed to `write`.
        style: the style, passed to `write`; `"any"` shows what the model does when it
            has no line to go on from.
        seed: the seed of the choice of lines, of writing, damage and resampling.
        redraws: the number of redraws allowed per line, passed to `write`.
    """

    split: str = "validation"
    texts: int = 100
    lines: int = 500
    lengths: tuple[int, int] = (12, 40)
    bias: float = 1.25
    temperature: float = 1.0
    style: str = "any"
    seed: int = 1
    redraws: int = 10


def evaluate(
    model: Model,
    corpus: Corpus,
    settings: EvaluationSettings = EvaluationSettings(),
    parts: Sequence[str] = PARTS,
    validation: Corpus | None = None,
) -> dict[str, Any]:
    """Measure a model against the human lines of a corpus.

    Args:
        model: a model with a `SynthesisNetwork`. For another network only the part
            `"likelihood"` can be measured.
        corpus: the corpus as its reader returns it.
        settings: what to write.
        parts: the parts to measure, from `PARTS`.
        validation: the validation side, for a corpus that has a separate one.

    Returns:
        A dictionary that can be written as JSON, with `model`, `corpus`, `settings`,
        `versions`, `counts`, and `measures`. The last has one entry per part, whose
        keys are the attributes of the tuples in `measures`.

    Raises:
        ValueError: there is no such part, or nothing to measure it on.
        ImportError: a part needs the recogniser, and it is not installed.
    """
    if unknown := set(parts) - set(PARTS):
        raise InputError(
            f"there is no part {sorted(unknown)[0]!r}: choose from {', '.join(PARTS)}"
        )
    check_measures(model, parts)
    if min(settings.texts, settings.lines) < 1:
        raise InputError(
            "an evaluation needs at least one text and one line, not "
            f"{settings.texts} and {settings.lines}"
        )
    held_out = held_out_lines(model, corpus, settings.split, validation)
    chosen = choose_lines(held_out.lines, settings.seed, settings.lengths)
    humans = chosen[: settings.texts]
    measures: dict[str, Any] = {}
    if "likelihood" in parts:
        measures["likelihood"] = likelihood(model, held_out.lines)
    if "alignment" in parts:
        measures["alignment"] = alignments(model, held_out)
    if set(parts) - {"likelihood", "alignment"}:
        if not chosen:
            raise InputError(
                "no held-out text has {} to {} characters: choose a wider range".format(
                    *settings.lengths
                )
            )
        measures |= measure_writing(model, chosen, settings, parts)
    return {
        "model": {
            "name": model.name,
            "fingerprint": model.fingerprint(),
            "parameters": model.num_parameters,
        },
        "corpus": Path(corpus.name.partition(":")[0]).name,
        "settings": {
            **dataclasses.asdict(settings),
            # the name alone, because the path would show where files lie
            "style": Path(settings.style).stem,
        },
        "versions": _versions(),
        "counts": {
            "lines": len(held_out.lines),
            "writers": len({s.writer for s in held_out.lines}),
            "lines_with_new_texts": sum(map(held_out.is_new, held_out.lines)),
            "texts": len(humans),
            "new_texts": sum(map(held_out.is_new, humans)),
            "writers_of_texts": len({s.writer for s in humans}),
        },
        "measures": {part: plain(measures[part]) for part in PARTS if part in parts},
    }


def alignments(model: Model, held_out: HeldOut) -> dict[str, Alignment]:
    """`alignment` over all aligned lines, over those with new texts, and by donor.

    Donors are numbered and not named, as the corpus asks.

    Args:
        model: a model with a `SynthesisNetwork`.
        held_out: lines, some of which may be aligned.

    Returns:
        An `Alignment` for each group: `"all texts"`, `"new texts"`,
        `"new texts, donor 1"` and so on. Groups without lines are left out.
    """
    aligned = [s for s in held_out.lines if s.character_of_point is not None]
    phis = attention(model, aligned)
    donors = sorted({_donor(s) for s in aligned})
    groups: dict[str, list[int]] = defaultdict(list)
    for i, s in enumerate(aligned):
        names = ["all texts", "new texts"] if held_out.is_new(s) else ["all texts"]
        for name in names:
            groups[name].append(i)
            groups[f"{name}, donor {donors.index(_donor(s)) + 1}"].append(i)
    return {
        name: alignment([phis[i] for i in group], [aligned[i] for i in group])
        for name, group in sorted(groups.items(), key=lambda item: item[0])
    }


def _donor(sample: Sample) -> str:
    """The donor of a sample's ink: the first folder of its path in the corpus."""
    return re.split("[/:#]", sample.source)[0]


def measure_writing(
    model: Model,
    chosen: Sequence[Sample],
    settings: EvaluationSettings,
    parts: Sequence[str],
) -> dict[str, Any]:
    """Measure the parts of `evaluate` that need written lines, on chosen human lines.

    Args:
        model: a model with a `SynthesisNetwork`.
        chosen: human lines from `choose_lines`, whose texts are written.
        settings: what to write.
        parts: parts from `PARTS`; `"likelihood"` and `"alignment"` are ignored here.

    Returns:
        For each part a named tuple, or a dictionary of named tuples.
    """
    humans = chosen[: settings.texts]
    count, texts, seed = settings.lines, len(humans), settings.seed
    wanted = [chosen[i % len(chosen)].text for i in range(max(count, texts))]
    measures: dict[str, Any] = {}
    own = set(parts) - {"styles"}
    number = len(wanted) if "completeness" in own else texts
    lines = _write_all(model, wanted[:number], settings, settings.style) if own else []
    if "pace" in parts:
        measures["pace"] = pace(humans, lines[:texts])
    if "damage" in parts:
        measures["damage"] = damage(model, lines[:texts], seed)
    if not set(parts) & {"completeness", "legibility", "styles"}:
        return measures
    recogniser = load_recogniser()
    readings = _read_all(lines, recogniser) if own - {"pace", "damage"} else []
    human = _read_all(humans, recogniser)
    if "completeness" in parts:
        measures["completeness"] = completeness(
            lines[:count], settings.redraws, readings[:count]
        )
    if "legibility" in parts:
        measures["legibility"] = {
            "human": legibility(human, seed),
            "written": legibility(readings[:texts], seed),
            "difference": difference(human, readings[:texts], seed),
        }
    if "styles" in parts:
        measures["styles"] = {}
        for style in style_names(model):
            lines = _write_all(model, wanted[:texts], settings, style)
            readings = _read_all(lines, recogniser)
            measures["styles"][style] = {
                "completeness": completeness(lines, settings.redraws, readings),
                "legibility": legibility(readings, seed),
                "difference": difference(human, readings, seed),
            }
    return measures


def _write_all(
    model: Model, texts: Sequence[str], settings: EvaluationSettings, style: str
) -> list[Line]:
    """Write one line per text, in batches; no line depends on its batch."""
    lines: list[Line] = []
    writer = writer_of(model)
    with tqdm(total=len(texts), desc=f"writing, style {style}", unit="line") as bar:
        for first in range(0, len(texts), TOGETHER):
            some = texts[first : first + TOGETHER]
            lines += write_lines(
                some,
                writer,
                style=style,
                bias=settings.bias,
                temperature=settings.temperature,
                seed=settings.seed,
                redraws=settings.redraws,
                positions=range(first, first + len(some)),
            )
            bar.update(len(some))
    return lines


def _read_all(
    lines: Sequence[Line] | Sequence[Sample], recogniser: Recogniser
) -> list[Reading]:
    shown = tqdm(lines, desc="reading", unit="line")
    return [read_lines([line.ink], [line.text], recogniser)[0] for line in shown]


def _versions() -> dict[str, str]:
    """The versions of the packages that decide the figures."""
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for name in ("handwriting-lib", "numpy", "matplotlib", "onnxruntime", WHEEL):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not needed for the chosen parts
    return versions


def plain(value: Any) -> Any:
    """Convert named tuples to dictionaries, recursively."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return value


# --- the table --------------------------------------------------------------------


def to_table(report: Mapping[str, Any]) -> str:
    """Format what `evaluate` returns as a table for a terminal."""
    counts, measures = report["counts"], report["measures"]
    rows = [
        "{} on {}, {} side: {lines} lines, {writers} writers, "
        "{lines_with_new_texts} lines with new texts".format(
            report["model"]["name"],
            report["corpus"],
            report["settings"]["split"],
            **counts,
        )
    ]
    if set(measures) - {"likelihood", "alignment"}:
        rows.append(
            "written: {texts} texts of {writers_of_texts} writers, {new_texts} of them "
            "new; ".format(**counts)
            + "bias {bias:g}, temperature {temperature:g}, style {style}, seed "
            "{seed}".format(**report["settings"])
        )
    for part, found in measures.items():
        rows += ["", part, *(f"  {row}" for row in _ROWS[part](found))]
    return "\n".join(rows)


def _likelihood_rows(found: Mapping[str, Any]) -> list[str]:
    return [
        f"{'':26}{'nats per point':>14}{'nats per line':>14}{'SSE per point':>14}",
        "{:26}{nats_per_point:14.3f}{nats_per_line:14.1f}{sse:14.3f}".format(
            "normalised units", **found
        ),
        "{:26}{body_nats_per_point:14.3f}{body_nats_per_line:14.1f}{body_sse:14.4f}".format(
            "letter-body heights", **found
        ),
    ]


def _pace_rows(found: Mapping[str, Any]) -> list[str]:
    rows = [f"{'':26}{'mean':>10}{'median':>10}{'5 %':>10}{'95 %':>10}{'inside':>10}"]
    for name in ("speed_variation", "points_per_character"):
        for who in ("human_", ""):
            title = f"{name.replace('_', ' ')}, {'human' if who else 'written'}"
            row = "{:26}{mean:10.2f}{median:10.2f}{low:10.2f}{high:10.2f}".format(
                title, **found[who + name]
            )
            inside = found[f"{name.split('_')[0]}_inside"]
            rows.append(row if who else f"{row}{inside:10.1%}")
    return rows


def _alignment_rows(found: Mapping[str, Any]) -> list[str]:
    head = f"{'':26}{'writers':>9}{'lines':>7}{'points':>8}{'exact':>8}{'+-1':>8}"
    return [head + f"{'exact, before':>16}"] + [
        "{:26}{writers:9}{lines:7}{points:8}{exact:8.1%}{within_one:8.1%}"
        "{exact_before:16.1%}".format(name, **group)
        for name, group in found.items()
    ]


def _completeness_row(found: Mapping[str, Any]) -> str:
    row = (
        "{first_draw:.1%} of {lines} lines complete at first draw, {after_redraws:.1%} "
        "after up to {redraws} redraws".format(**found)
    )
    lost = found["unreadable"]
    return row if lost is None else f"{row}; {lost:.1%} of these unreadable"


def _legibility_row(name: str, found: Mapping[str, Any]) -> str:
    def percent(estimate: Mapping[str, float]) -> str:
        return "{:7.1%} ({:5.1%} to {:5.1%})".format(*estimate.values())

    pooled = ""
    if "characters" in found:
        pooled = f"{found['characters']:9.1%}{found['unreadable']:12.1%}"
    return f"{name:26}{percent(found['mean'])}{percent(found['median'])}{pooled}"


_LEGIBILITY_HEAD = f"{'error rate per line':26}{'mean':>14}{'median':>23}"


def _legibility_rows(found: Mapping[str, Any]) -> list[str]:
    rows = [_legibility_row(name, measured) for name, measured in found.items()]
    return [_LEGIBILITY_HEAD + f"{'all':>17}{'unreadable':>12}", *rows]


def _style_rows(found: Mapping[str, Any]) -> list[str]:
    rows = [_LEGIBILITY_HEAD] if found else ["the model has no styles"]
    for name, style in found.items():
        rows.append(_legibility_row(name, style["legibility"]))
        rows.append(_legibility_row("  minus human", style["difference"]))
        rows.append("  " + _completeness_row(style["completeness"]))
    return rows


def _damage_rows(found: Mapping[str, Any]) -> list[str]:
    return [
        "flagged of {lines} lines per kind: cut {cut:.1%}, repeated {repeated:.1%}, "
        "run-on {run_on:.1%}, mean {damaged:.1%}; undamaged {whole:.1%}".format(**found)
    ]


_ROWS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "likelihood": _likelihood_rows,
    "pace": _pace_rows,
    "alignment": _alignment_rows,
    "completeness": lambda found: [_completeness_row(found)],
    "legibility": _legibility_rows,
    "styles": _style_rows,
    "damage": _damage_rows,
}
