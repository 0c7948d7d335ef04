"""How good is a model? Its figures on human lines by writers it has never seen.

`evaluate` puts the measures of `measures` together, on lines that are split and
prepared as the model's training data were; `handwriting evaluate` calls it and prints
`to_table`. Chapters 10 to 12 and the page of results.
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

from ..data.transforms import Limits, prepare, split_by_writer
from ..deprecation import current
from ..errors import InputError
from ..files.models import Model
from ..ink import Corpus, Sample
from ..systems import can_write, writer_of
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

PARTS = (
    "likelihood",
    "pace",
    "alignment",
    "completeness",
    "legibility",
    "styles",
    "damage",
)


# --- the lines that a model is held against ---------------------------------------


class HeldOut(NamedTuple):
    """Human lines to hold a model against.

    Attributes:
        lines: prepared as for the model's training, in letter-body heights.
        known: the texts of all training lines, as `letters` gives them.
    """

    lines: list[Sample]
    known: frozenset[str]

    def is_new(self, sample: Sample) -> bool:
        """Whether no training line has this text."""
        return letters(sample.text) not in self.known


def letters(text: str) -> str:
    """What counts when texts are compared: no case, no spaces, no punctuation.

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

    The samples are those of `training.prepare_data`, with the thinning and the limits
    that the model was saved with; only those of the side asked for are prepared.

    Args:
        model: its `thinning`, and the limits in its `about["config"]`, if it has any.
        corpus: as its reader gives it, with lines and words (they decide the scale).
        split: `"validation"`: writers held out; `"train"`: the writers it learned from.
        validation: the validation side, where a corpus has a list of its own.

    Raises:
        ValueError: no such split, or no line is left.
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
    # all that these writers wrote decides their scale
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
            f"the {split} side of {corpus.name} has no line: it needs more writers"
        )
    return HeldOut(lines, known)


def choose_lines(
    lines: Sequence[Sample], seed: int = 1, lengths: tuple[int, int] = (12, 40)
) -> list[Sample]:
    """Lines with distinct texts, in an order that gives each writer a turn.

    The first N are a fair choice of N: writers with few lines count as much as others
    until theirs are used up.

    Args:
        lines: by one writer or several.
        seed: of the order.
        lengths: the least and the most characters.
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
    """What an evaluation writes, and what it holds it against.

    Attributes:
        split: `"validation"` or `"train"`.
        texts: of human lines, distinct, that the model writes as well.
        lines: written to count complete ones; more than there are texts repeats them.
        lengths: the least and the most characters of these texts.
        bias: as for `write`, like all that follow.
        temperature: as for `write`.
        style: as for `write`.
        seed: as for `write`.
        redraws: as for `write`.
    """

    split: str = "validation"
    texts: int = 100
    lines: int = 500
    lengths: tuple[int, int] = (12, 40)
    bias: float = 1.25
    temperature: float = 1.0
    style: str | None = None
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
        model: with a `SynthesisNetwork`; of another, likelihood alone can be measured.
        corpus: as its reader gives it.
        settings: what to write.
        parts: some of `PARTS`.
        validation: the validation side, where a corpus has a list of its own.

    Returns:
        What a JSON file can hold: `model`, `corpus`, `settings`, `versions`, `counts`,
        and `measures`, an entry a part, with the names of this module's tuples.

    Raises:
        ValueError: there is no such part, or nothing to measure it on.
        ImportError: something must be read, and the recogniser is not installed.
    """
    if unknown := set(parts) - set(PARTS):
        raise InputError(
            f"there is no part {sorted(unknown)[0]!r}: say some of {', '.join(PARTS)}"
        )
    if not can_write(model) and set(parts) != {"likelihood"}:
        raise InputError(
            f"{model.name} cannot read text: of it likelihood alone can be measured"
        )
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
                "no held-out text has {} to {} characters".format(*settings.lengths)
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
            # a hand, not where on this machine it lies
            "style": Path(settings.style).stem if settings.style else None,
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
    """`alignment` over the aligned lines: all, those with new texts, and by donor.

    Donors are numbered, not named, as the corpus asks.

    Args:
        model: with a `SynthesisNetwork`.
        held_out: lines, of which some are aligned.

    Returns:
        Under `"new texts"`, `"all texts"`, `"new texts, donor 1"` and so on; what has
        no line is left out.
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
    """Whoever gave the ink to the corpus: the first folder of its place in it."""
    return re.split("[/:#]", sample.source)[0]


def measure_writing(
    model: Model,
    chosen: Sequence[Sample],
    settings: EvaluationSettings,
    parts: Sequence[str],
) -> dict[str, Any]:
    """The parts of `evaluate` for which lines are written, on lines already chosen.

    Args:
        model: with a `SynthesisNetwork`.
        chosen: human lines, as `choose_lines` gives them; their texts are written.
        settings: what to write.
        parts: some of `PARTS`; of likelihood and alignment there is nothing here.

    Returns:
        A tuple or a table of such for each part.
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
    model: Model, texts: Sequence[str], settings: EvaluationSettings, style: str | None
) -> list[Line]:
    """One line a text, in batches; a line does not depend on its batch."""
    lines: list[Line] = []
    writer = writer_of(model)
    with tqdm(total=len(texts), desc=f"writing {style or ''}", unit="line") as bar:
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
    """Of what decides the figures."""
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for name in ("handwriting-lib", "numpy", "matplotlib", "onnxruntime", WHEEL):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # not needed for the parts that were asked for
    return versions


def plain(value: Any) -> Any:
    """Tuples with names as dictionaries, all the way down."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    return value


# --- the table --------------------------------------------------------------------


def to_table(report: Mapping[str, Any]) -> str:
    """What `evaluate` returns, as text for a terminal."""
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
        f"{'':26}{'nats a point':>14}{'nats a line':>14}{'SSE a point':>14}",
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
        "{first_draw:.1%} of {lines} lines at first draw, {after_redraws:.1%} after up "
        "to {redraws} redraws".format(**found)
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


_LEGIBILITY_HEAD = f"{'characters misread a line':26}{'mean':>14}{'median':>23}"


def _legibility_rows(found: Mapping[str, Any]) -> list[str]:
    rows = [_legibility_row(name, measured) for name, measured in found.items()]
    return [_LEGIBILITY_HEAD + f"{'all':>17}{'unreadable':>12}", *rows]


def _style_rows(found: Mapping[str, Any]) -> list[str]:
    rows = [_LEGIBILITY_HEAD] if found else ["the model has none"]
    for name, style in found.items():
        rows.append(_legibility_row(name, style["legibility"]))
        rows.append(_legibility_row("  less human", style["difference"]))
        rows.append("  " + _completeness_row(style["completeness"]))
    return rows


def _damage_rows(found: Mapping[str, Any]) -> list[str]:
    return [
        "flagged of {lines} lines each: cut {cut:.1%}, repeated {repeated:.1%}, run-on "
        "{run_on:.1%}, together {damaged:.1%}; undamaged {whole:.1%}".format(**found)
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
