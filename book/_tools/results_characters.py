"""The networks over characters on the page of results, from the records of chapter 13.

Every sentence that judges a figure is chosen here by the figures.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from project import ROOT
from results_words import Found, count, machine, several, table

sys.path.insert(0, str(ROOT))  # the benchmarks are not installed
from benchmarks import characters

ENOUGH = len(
    characters.SEEDS
)  # seeds on both sides, without which nothing is concluded
DECODER, LSTM = (entrant.name for entrant in characters.ENTRANTS)


def collected(folder: Path) -> dict[str, Any]:
    """The records of a folder, and what made them."""
    result = characters.collected(folder)
    runs = [
        run
        for network in result["networks"].values()
        for some in network["runs"].values()
        for run in some
    ]
    return result | {"about": runs[-1]}


def nats(runs: Sequence[Found]) -> list[float]:
    """The best validation of each seed, in nats per character."""
    return [characters.best(run)[1] for run in runs]


def compared(result: Mapping[str, Any], faster: float) -> str:
    """Which of the two networks is better, budget by budget.

    Args:
        result: what `collected` returns.
        faster: the time of an update of the decoder over that of the LSTM.
    """
    by_budget = {name: result["networks"][name]["runs"] for name in (DECODER, LSTM)}
    told = []
    for steps in by_budget[DECODER]:
        ours, theirs = (by_budget[name].get(steps, []) for name in (DECODER, LSTM))
        if min(len(ours), len(theirs)) < ENOUGH:
            told.append(f"With {steps:,} updates there are too few seeds to compare.")
            continue
        a, b = nats(ours), nats(theirs)
        gap = abs(statistics.fmean(a) - statistics.fmean(b))
        if max(a) < min(b) or max(b) < min(a):
            better, worse = (DECODER, LSTM) if max(a) < min(b) else (LSTM, DECODER)
            told.append(
                f"With at most {steps:,} updates every seed of the {better} is better "
                f"than every seed of the {worse}, in the mean by {gap:.3f} nats."
            )
        else:
            told.append(
                f"With at most {steps:,} updates neither network is better on every "
                f"seed; the means differ by {gap:.3f} nats."
            )
    told.append(
        f"An update of the decoder takes {faster:.1f} times as long as one of the LSTM."
    )
    return " ".join(told)


def at_equal_time(
    result: Mapping[str, Any], seconds: Mapping[str, float]
) -> list[list[str]]:
    """The best that each network reached within the time of the decoder's budgets.

    Args:
        result: what `collected` returns.
        seconds: time of an update of each network, by its name.

    Returns:
        A row for each budget of the decoder: the minutes of its updates, and for each
        network the mean over the seeds of the best validation within them, at whichever
        budget it was.
    """
    rows = []
    for budget in result["networks"][DECODER]["runs"]:
        limit = budget * seconds[DECODER]
        row = [f"{limit / 60:.1f}"]
        for name in (DECODER, LSTM):
            by_seed: dict[int, float] = {}
            for runs in result["networks"][name]["runs"].values():
                for run in runs:
                    seed = run["recipe"]["seed"]
                    for step, value in run["curve"]:
                        if step * seconds[name] <= limit * (1 + 1e-9):
                            by_seed[seed] = min(value, by_seed.get(seed, value))
            row.append(f"{statistics.fmean(by_seed.values()):.3f}")
        rows.append(row)
    return rows


def beside_n_grams(result: Mapping[str, Any]) -> str:
    """How the networks compare with counts."""
    order, counts = min(result["n-grams"].items(), key=lambda item: item[1])
    told = []
    for name in (LSTM, DECODER):
        runs = result["networks"][name]["runs"]
        if runs:
            steps = max(runs)
            mean = statistics.fmean(nats(runs[steps]))
            side = "below" if mean < counts else "above"
            told.append(f"the {name} is {abs(mean - counts):.2f} nats {side} them")
    return (
        f"The best n-grams are those of order {order}, with {counts:.3f} nats, and "
        f"cost a few seconds of counting: at the larger budget {several(told)}."
    )


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """The rows of the table."""
    found = [
        [f"{order}-grams", "", "", f"{value:.3f}", "", ""]
        for order, value in result["n-grams"].items()
    ]
    for name in (DECODER, LSTM):
        network = result["networks"][name]
        for steps, runs in network["runs"].items():
            values = nats(runs)
            at = statistics.fmean(characters.best(run)[0] for run in runs)
            copied = statistics.fmean(run["copied"] for run in runs)
            found.append(
                [
                    name,
                    f"{network['weights']:,}",
                    f"{steps:,}",
                    f"{statistics.fmean(values):.3f} ({min(values):.3f} to "
                    f"{max(values):.3f}; {count(len(runs))})",
                    f"{at:,.0f}",
                    f"{100 * copied:.1f} %",
                ]
            )
    return found


def character_words(result: Mapping[str, Any], speed: Found) -> dict[str, str]:
    """What the template of the page of results wants.

    Args:
        result: what `collected` returns.
        speed: the record of the benchmark `train_text`.
    """
    seconds = {row["name"]: row["minimum"] for row in speed["rows"]}
    head = ["", "weights", "updates", "nats per character (range; seeds)",
            "best after", "copied"]  # fmt: skip
    rates = [
        f"{name} "
        + several(
            [f"{nats:.3f} at {rate:g}" for rate, nats in network["rates"].items()]
        )
        for name, network in result["networks"].items()
    ]
    about = result["about"]
    recipe, block = about["recipe"], about["model"]["block"]
    return {
        "characters-training": f"{result['corpus']['training']:,}",
        "characters-held-out": f"{result['corpus']['held_out']:,}",
        "characters-batch": (
            f"{recipe['points_per_batch'] // block} pieces of {block} characters"
        ),
        "characters-table": table(head, rows(result)),
        "characters-compared": compared(result, seconds[DECODER] / seconds[LSTM]),
        "characters-times": table(
            ["minutes", DECODER, LSTM], at_equal_time(result, seconds)
        ),
        "characters-n-grams": beside_n_grams(result),
        "characters-rates": f"{several(rates)} ({characters.TRIAL} updates)",
        "characters-copied": f"{characters.CHARACTERS:,}",
        "characters-temperature": f"{characters.TEMPERATURE:g}",
        "characters-made": f"`{about['command']}` on {machine(about)}",
    }
