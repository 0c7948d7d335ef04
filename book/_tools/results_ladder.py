"""The ladder on the page of results, from benchmarks/results/ladder/*.json.

A training takes minutes, and all of them take hours, so there may be records of some
rungs, budgets and seeds only. Whatever has no record is left out, and the page says so.
Every sentence that judges a figure is chosen here by the figures.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from project import ROOT
from results_words import NBSP, Found, capital, count, machine, several, table

sys.path.insert(0, str(ROOT))  # the benchmarks are not installed
from benchmarks import ladder

Runs = Sequence[Found]

NATS, SSE = "nats_per_point", "squared_error"
ENOUGH = len(ladder.SEEDS)  # seeds on both sides, without which nothing is concluded
FEW = ladder.BUDGETS[0]
# The chapter that builds each rung, and what the rung adds to the one below.
CHAPTERS = {
    "constant Gaussian": "06_mixtures",
    "feedforward": "02_feedforward",
    "plain recurrent": "03_recurrence",
    "LSTM": "04_lstm",
    "peephole LSTM": "05_peephole",
    "three layers": "08_prediction",
    "synthesis": "10_synthesis",
}
ADDS = {
    "feedforward": "a network that sees the last 8 points",
    "plain recurrent": "plain recurrence in place of those points",
    "LSTM": "cells with gates",
    "peephole LSTM": "peepholes",
    "three layers": "two more layers",
    "synthesis": "the text",
}
STEPS = list(pairwise(CHAPTERS))
EQUAL = [*(rung.name for rung in ladder.rungs_of_equal_weights()), "three layers"]
DEPTH, TEXT = (EQUAL[-2], "three layers"), ("three layers", "synthesis")
TRAINED_ON = TEXT
NOTHING = "None of these networks has been trained yet."


class Compared(NamedTuple):
    """Two networks trained alike.

    Attributes:
        names: the one that is expected to be worse, and the other.
        gain: by how many nats per point the other is better, in the mean.
        clear: whether every seed of one is better than every seed of the other; None
            if there are too few seeds.
    """

    names: tuple[str, str]
    gain: float
    clear: bool | None

    def told(self) -> str:
        """The networks and the gain, for a list."""
        return f"*{self.names[0]}* to *{self.names[1]}* ({abs(self.gain):.3f})"


def collected(folder: Path) -> dict[str, Any]:
    """The records of a folder, and what made them."""
    found = ladder.collected(folder)
    records = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    made = {f"`{record['command']}` on {machine(record)}" for record in records}
    hours = sum(record["seconds"] for record in records) / 3600
    return found | {"made": sorted(made), "hours": hours, "trainings": len(records)}


# --- figures ----------------------------------------------------------------------


def runs_of(found: Found, name: str, steps: int) -> Runs:
    """The records of a rung at a budget, one for each seed."""
    return found["rungs"].get(name, {"runs": {}})["runs"].get(steps, [])


def every_run(found: Found) -> list[Found]:
    """All records at the ladder's learning rate."""
    rungs = found["rungs"].values()
    return [run for rung in rungs for runs in rung["runs"].values() for run in runs]


def enough(runs: Runs) -> bool:
    """Whether there are all seeds, or a model that does not depend on the seed."""
    return len(runs) >= ENOUGH or any(not run["curve"] for run in runs)


def compared(found: Found, names: tuple[str, str], steps: int) -> Compared | None:
    """Compare two rungs at a budget, if both have records."""
    below, above = (runs_of(found, name, steps) for name in names)
    if not below or not above:
        return None
    gain = ladder.mean(below, NATS) - ladder.mean(above, NATS)
    if not (enough(below) and enough(above)):
        return Compared(names, gain, None)
    one, other = figures(below), figures(above)
    return Compared(names, gain, max(one) < min(other) or max(other) < min(one))


def noise_costs(found: Found, name: str, steps: int) -> list[float]:
    """By how much weight noise is worse than no noise, for each seed that has both."""
    plain, noisy = (
        {run["seed"]: run[NATS] for run in runs_of(found, name + how, steps)}
        for how in (", trained on", ", weight noise")
    )
    return [noisy[seed] - plain[seed] for seed in sorted(plain.keys() & noisy.keys())]


# --- tables -----------------------------------------------------------------------


def mean(values: Sequence[float]) -> str:
    """The mean of a figure, or nothing."""
    return f"{math.fsum(values) / len(values):.3f}" if values else ""


def span(values: Sequence[float]) -> str:
    """The range of a figure, if there are several seeds."""
    ends = f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else ""
    return ends.replace(" ", NBSP)


def figures(runs: Runs, key: str = NATS) -> list[float]:
    """A figure of each seed."""
    return [run[key] for run in runs]


def budget_table(found: Found, names: Iterable[str], steps: int) -> str:
    """The figures of some rungs at a budget."""
    rows = [
        [
            name,
            mean(figures(runs)),
            span(figures(runs)),
            str(len(runs)) if runs[0]["curve"] else "",  # it needs none
            mean(figures(runs, SSE)),
            f"{found['rungs'][name]['weights']:,}",
        ]
        for name in names
        if (runs := runs_of(found, name, steps))
    ]
    return table(["rung", "nats per point", "range", "seeds", "SSE", "weights"], rows)


def missing(found: Found, names: Iterable[str], steps: int) -> str:
    """A sentence on what is not recorded, or nothing."""
    gone = [f"*{name}*" for name in names if not runs_of(found, name, steps)]
    return f"Not trained at this budget: {several(gone)}." if gone else ""


def judged(found: Found, pairs: Iterable[tuple[str, str]], steps: int) -> str:
    """Which differences are larger than the spread over the seeds."""
    every = [c for pair in pairs if (c := compared(found, pair, steps))]
    groups = {
        "Better on every seed, by nats per point": [
            c for c in every if c.clear and c.gain > 0
        ],
        "Worse on every seed": [c for c in every if c.clear and c.gain < 0],
        "Within the spread over the seeds, so that nothing can be said of the step": [
            c for c in every if c.clear is False
        ],
        "Too few seeds to tell": [c for c in every if c.clear is None],
    }
    return "\n".join(
        f"- {heading}: {several([c.told() for c in group])}."
        for heading, group in groups.items()
        if group
    )


def budgets(
    found: Found, names: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> str:
    """A table for each budget, with what can be concluded from it."""
    parts = []
    for steps in found["budgets"]:
        if any(runs_of(found, name, steps) for name in names):
            parts += [
                f"**{steps:,} updates**",
                budget_table(found, names, steps),
                missing(found, names, steps),
                judged(found, pairs, steps),
            ]
    return "\n\n".join(part for part in parts if part) or NOTHING


def noise(found: Found) -> str:
    """Networks trained on, with weight noise and without."""
    rows, told = [], []
    for steps in found["budgets"]:
        for name in TRAINED_ON:
            plain, noisy = (
                runs_of(found, name + how, steps)
                for how in (", trained on", ", weight noise")
            )
            if not plain and not noisy:
                continue
            costs = noise_costs(found, name, steps)
            first = runs_of(found, name, steps)
            means = [mean(figures(runs)) for runs in (first, plain, noisy)]
            updates = f"{steps:,} + {steps // 2:,}".replace(" ", NBSP)
            rows.append([name, updates, *means, mean(costs), span(costs)])
            if costs:
                told.append(noise_sentence(name, steps, costs))
    if not rows:
        return NOTHING
    head = ["net", "updates", "at first", "trained on", "with noise", "noise costs",
            "range"]  # fmt: skip
    return "\n\n".join([table(head, rows), "\n".join(f"- {t}" for t in told)]).strip()


def noise_sentence(name: str, steps: int, costs: Sequence[float]) -> str:
    """What weight noise does to one net."""
    where = f"After {steps:,} updates, {steps // 2:,} more with weight noise"
    cost, seeds = abs(math.fsum(costs) / len(costs)), count(len(costs))
    if len(costs) < ENOUGH:
        return f"{where}: too few seeds of *{name}* to tell."
    if min(costs) > 0 or max(costs) < 0:
        how = "higher" if costs[0] > 0 else "lower"
        return (
            f"{where} leave *{name}* {cost:.3f} nats per point {how} than as many "
            f"without noise, and {how} on each of the {seeds} seeds."
        )
    return f"{where} leave *{name}* higher on some seeds and lower on others."


def rates(found: Found) -> str:
    """The learning rates that were tried, and whether they would change the order."""
    tried = {n: r["rates"] for n, r in found["rungs"].items() if len(r["rates"]) > 1}
    if not tried:
        return NOTHING
    columns = sorted({rate for rates in tried.values() for rate in rates})
    rows = []
    for name, by_rate in tried.items():
        best = min(by_rate.values())
        told = (f"{by_rate[rate]:.3f}" if rate in by_rate else "" for rate in columns)
        rows.append([name, *(f"**{t}**" if t == f"{best:.3f}" else t for t in told)])
    whole = {n: r for n, r in tried.items() if len(r) == len(columns)}
    parts = [table(["rung", *(f"{rate:g}" for rate in columns)], rows)]
    if whole and ladder.RATE in columns:
        parts.append(rate_sentences(whole))
    return "\n\n".join(parts)


def rate_sentences(tried: Mapping[str, Mapping[float, float]]) -> str:
    """What the choice of one learning rate for all rungs means.

    Args:
        tried: the nats per point of the rungs for which all rates were tried.
    """
    told = []
    best = {name: min(rates, key=rates.__getitem__) for name, rates in tried.items()}
    if own := [f"*{name}*" for name, rate in best.items() if rate == ladder.RATE]:
        told.append(f"The ladder's rate is the best of these for {several(own)}.")
    if other := [
        f"*{name}* {tried[name][ladder.RATE] - tried[name][rate]:.3f} at {rate:g}"
        for name, rate in best.items()
        if rate != ladder.RATE
    ]:
        told.append(f"Another rate would gain nats per point: {several(other)}.")
    ends = [edge(next(iter(tried.values()))) for edge in (min, max)]
    if at_end := [f"*{name}*" for name, rate in best.items() if rate in ends]:
        told.append(
            f"The best rate of {several(at_end)} lies at the end of those tried, and "
            "one beyond it may be better still."
        )
    one = sorted(tried, key=lambda name: tried[name][ladder.RATE])
    own_best = sorted(tried, key=lambda name: min(tried[name].values()))
    which = f"Of the {count(len(tried))} rungs for which all rates were tried"
    if len(tried) > 1 and one == own_best:
        told.append(f"{which}, the order is the same if each has its own best rate.")
    elif len(tried) > 1:
        told.append(
            f"{which}, the order from best to worst would be "
            f"{several([f'*{n}*' for n in own_best])} if each had its own best rate. "
            f"With the ladder's rate for all it is {several([f'*{n}*' for n in one])}."
        )
    return " ".join(told)


# --- sentences --------------------------------------------------------------------


def best_budget(found: Found) -> int:
    """The budget at which most steps of the ladder can be judged, the largest such."""

    def known(steps: int) -> int:
        every = (compared(found, pair, steps) for pair in STEPS)
        return sum(c is not None and c.clear is not None for c in every)

    return max(found["budgets"], key=lambda steps: (known(steps), steps))


def finding(found: Found) -> str:
    """What each part adds, in plain words."""
    steps = best_budget(found)
    every = [c for pair in STEPS if (c := compared(found, pair, steps))]
    gained = sorted((c for c in every if c.clear and c.gain > 0), key=lambda c: -c.gain)
    lost = [c for c in every if c.clear and c.gain < 0]
    unclear = [c for c in every if c.clear is False]

    def parts(group: Sequence[Compared]) -> str:
        return several([f"{ADDS[c.names[1]]} ({abs(c.gain):.2f})" for c in group])

    if not any(c.clear is not None for c in every):
        planned = [t for t in ladder.trainings(ENOUGH) if t.rate == ladder.RATE]
        return (
            f"{len(every_run(found))} of the {len(planned)} trainings of the ladder "
            "are recorded, too few to say what a part adds."
        )
    told = [
        "The models of chapters 2 to 10 were trained alike, with "
        f"{steps:,} updates and {count(ENOUGH)} seeds each, and measured on the same "
        "lines by people whom none of them had seen."
    ]
    if gained:
        told.append(
            f"The next point became easier to predict, on every seed, with "
            f"{parts(gained)}; the numbers are nats per point."
        )
    if lost:
        told.append(f"It became harder with {parts(lost)}.")
    if unclear:
        adds = several([ADDS[c.names[1]] for c in unclear])
        told.append(f"What {adds} changed is no larger than what the seed changes.")
    judged = {c.names[1] for c in every if c.clear is not None}
    if left := [what for name, what in ADDS.items() if name not in judged]:
        told.append(f"There are too few records to judge {several(left)}.")
    return " ".join(told)


def beside_paper(found: Found) -> str:
    """Whether depth, the text and weight noise do here what they do in the paper."""
    steps, told, left = best_budget(found), [], []
    for names, what in ((DEPTH, "three layers"), (TEXT, "the text")):
        here = compared(found, names, steps)
        if here is None or here.clear is None:
            left.append(what)
        elif here.clear and here.gain > 0:
            helps = "help" if what == "three layers" else "helps"
            told.append(
                f"Here too {what} {helps}: *{names[1]}* is ahead of *{names[0]}* on "
                f"every seed, by {here.gain:.3f} nats per point after {steps:,} "
                "updates."
            )
        else:
            told.append(
                f"After {steps:,} updates, {what} did not show that here: *{names[1]}* "
                f"is {'ahead of' if here.gain > 0 else 'behind'} *{names[0]}* by "
                f"{abs(here.gain):.3f} nats per point"
                f"{'' if here.clear else ', within the spread over the seeds'}."
            )
    if left:
        told.append(f"There are too few records to judge {' and '.join(left)} here.")
    return " ".join(told)


def noise_beside_paper(found: Found) -> str:
    """Whether weight noise gains here, as it does in the paper."""
    every = [
        costs
        for steps in found["budgets"]
        for name in TRAINED_ON
        if len(costs := noise_costs(found, name, steps)) >= ENOUGH
    ]
    if not every:
        return "There are too few records to judge weight noise either."
    if all(max(costs) < 0 for costs in every):
        return "Weight noise gains in the paper, and here as well."
    if all(min(costs) > 0 for costs in every):
        return (
            "Weight noise gains in the paper, and loses at every budget here. It is a "
            "remedy against overfitting, of which networks as small as these, trained "
            "as briefly, may have little."
        )
    return "Weight noise gains in the paper; here it does not on all seeds and budgets."


def alt_text(found: Found) -> str:
    """What the figure of the curves shows."""
    told = []
    for steps in found["budgets"]:
        ends = {
            name: ladder.mean(runs, NATS)
            for name in CHAPTERS
            if (runs := runs_of(found, name, steps)) and runs[0]["curve"]
        }
        if ends:
            order = sorted(ends, key=ends.__getitem__)
            told.append(
                f"At the end of {steps:,} updates the order from the lowest curve to "
                f"the highest is {several(order)}."
            )
    return " ".join(
        ["Held-out nats per point over updates, a curve for each rung.", *told]
    )


def ladder_words(found: Found) -> dict[str, str]:
    """What the template wants of the ladder."""
    recipe, split = found["recipe"], found["split"]
    pages = {name: f"[{int(page[:2])}]({page}.md)" for name, page in CHAPTERS.items()}
    rungs = [[rung.name, pages[rung.name], rung.what] for rung in ladder.rungs()]
    held_out, train = split["validation"], split["train"]
    two = math.comb(2 * ENOUGH, ENOUGH) // 2
    return {
        "ladder-finding": finding(found),
        "ladder-rungs": table(["rung", "chapter", "what is new"], rungs, 3),
        "ladder-ink": (
            f"{train['lines']:,} lines and {train['words']:,} words of up to "
            f"{recipe['longest']} points by {train['writers']} writers of "
            f"{found['corpus'].upper()}, and no {{term}}`synthetic ink`"
        ),
        "ladder-recipe": (
            f"batches of {recipe['points_per_batch']:,} points, "
            f"{100 * recipe['word_share']:.0f} % of the batches words; "
            f"{capital(recipe['optimiser'])} at a {{term}}`learning rate` of "
            f"{ladder.RATE:g}; "
            f"{ladder.HIDDEN} cells per layer ({2 * ladder.HIDDEN} units in those of "
            "the feedforward network)"
        ),
        "ladder-held-out": (
            f"{held_out['lines']} lines by {held_out['writers']} writers"
        ),
        "ladder-budgets": budgets(found, list(CHAPTERS), STEPS),
        "ladder-equal": budgets(found, EQUAL, list(pairwise(EQUAL))),
        "ladder-noise": noise(found),
        "ladder-rates": rates(found),
        "ladder-few": f"{FEW:,}",
        "ladder-chance": f"one case in {count(two)}",
        "ladder-alt": alt_text(found),
        "ladder-paper": beside_paper(found),
        "ladder-paper-noise": noise_beside_paper(found),
        "ladder-hours": f"{found['hours']:.1f}",
        "ladder-trainings": str(found["trainings"]),
        "ladder-made": several(found["made"]),
    }


def for_the_book(found: Found) -> str:
    """The records that chapters and the page's figure read: book/data/ladder.json."""
    about = {
        "command": "make results, from benchmarks/results/ladder",
        "unit": "nats per point, offsets in letter-body heights",
        "corpus": found["corpus"],
        "held_out": found["split"]["validation"],
    }
    runs = [
        {
            "rung": name,
            "steps": steps,
            "seed": run["seed"],
            "weights": rung["weights"],
            "nats": round(run[NATS], 4),
            "sse": round(run[SSE], 4),
            "curve": {str(step): round(nats, 3) for step, nats in run["curve"]},
        }
        for name, rung in found["rungs"].items()
        for steps, some in rung["runs"].items()
        for run in some
    ]
    lines = ",\n  ".join(json.dumps(run) for run in runs)
    return f'{{"about": {json.dumps(about, indent=1)},\n "runs": [\n  {lines}\n ]}}\n'
