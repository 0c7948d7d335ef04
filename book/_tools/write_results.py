"""Write book/results.md from benchmarks/results/*.json; `--check` only looks.

The words stand in `results_template.md`; each `<<name>>` in it is a function here.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from project import ROOT

TEMPLATE = Path(__file__).with_name("results_template.md")
MODELS = ("unipen-400", "unipen-256", "unipen-184")
SPEED = ("lstm", "train", "train-cuda", "sample", "browser")

Found = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def machine(found: Found) -> str:
    """Where a benchmark ran, in words."""
    told = found["machine"]
    device = found.get("setting", {}).get("device", "cpu")
    card = "" if device == "cpu" else f", {device}"
    backend = f", {told['backend']} backend" if "backend" in told else ""
    return (
        f"{told['processor']}, {told['threads']} threads{card}, torch "
        f"{told['torch']}{backend}"
    )


# --- the ladder -------------------------------------------------------------------


def ladder(found: Found) -> dict[str, str]:
    """What the template wants of the ladder."""

    def cell(rung: Found, key: str, digits: int) -> str:
        mean, spread = rung["mean"][key], rung["spread"][key]
        beside = f" ({spread:.{digits}f})" if len(rung["runs"]) > 1 else ""
        return f"{mean:.{digits}f}{beside}"

    head = [
        "rung",
        "weights",
        "nats per point",
        "per line",
        "letter-body, per point",
        "SSE",
    ]
    columns = {
        "nats_per_point": 3,
        "nats_per_line": 1,
        "nats_per_point_letter_body": 3,
        "sse": 3,
    }
    rows = [
        [r["name"], f"{r['weights']:,}", *(cell(r, k, d) for k, d in columns.items())]
        for r in found["rungs"]
    ]
    budget, split = found["budget"], found["split"]["validation"]
    return {
        "ladder": table(head, rows),
        "ladder-budget": (
            f"{budget['steps']} updates of {budget['points_per_batch']:,} points, "
            f"lines and words of up to {budget['longest']} points, "
            f"{budget['hidden']} cells per layer, {len(budget['seeds'])} seeds. "
            "The figures are of "
            f"{split['lines']} lines by {split['writers']} writers."
        ),
        "ladder-sentences": "\n".join(f"- {s}" for s in ladder_sentences(found)),
        "ladder-sse": found["sse"],
        "ladder-command": found["command"],
        "ladder-machine": machine(found),
    }


def ladder_sentences(found: Found) -> list[str]:
    """A sentence for each rung that is not clearly better than the one below."""
    told = []
    for below, rung in zip(found["rungs"], found["rungs"][1:], strict=False):
        gain = below["mean"]["nats_per_point"] - rung["mean"]["nats_per_point"]
        spread = math.hypot(*(r["spread"]["nats_per_point"] for r in (below, rung)))
        error = spread / math.sqrt(len(rung["runs"]))  # of a difference of means
        name = f"*{rung['name'][0].upper()}{rung['name'][1:]}*"
        if gain <= 0:
            told.append(
                f"{name} is not better than *{below['name']}*: it is worse by "
                f"{-gain:.3f} nats per point (standard error {error:.3f})."
            )
        elif gain < 2 * error:
            told.append(
                f"{name} is ahead of *{below['name']}* by {gain:.3f} nats per point, "
                f"which is within twice the standard error ({error:.3f}): on this "
                "budget the step shows nothing."
            )
    return told


# --- the models -------------------------------------------------------------------


def models(reports: Sequence[Found]) -> dict[str, str]:
    """What the template wants of the evaluations of the shipped models."""
    measured = [report["measures"] for report in reports]
    human = measured[0]["legibility"]["human"]

    def interval(estimate: Found) -> str:
        return "{:.1f} % ({:.1f} to {:.1f})".format(
            *(100 * estimate[key] for key in ("value", "low", "high"))
        )

    def likely(key: str, digits: int = 3) -> list[str]:
        return [f"{m['likelihood'][key]:.{digits}f}" for m in measured]

    def misread(key: str) -> list[str]:
        return [interval(m["legibility"]["written"][key]) for m in measured]

    def complete(key: str) -> list[str]:
        return [percent(m["completeness"][key]) for m in measured]

    def paced(key: str, digits: int) -> list[str]:
        theirs = measured[0]["pace"][f"human_{key}"]
        spreads = [theirs, *(m["pace"][key] for m in measured)]
        return [f"{spread['mean']:.{digits}f}" for spread in spreads]

    def both(names: str, *found: Found) -> list[str]:
        return [", ".join(percent(f[name]) for name in names.split()) for f in found]

    aligned = [m["alignment"]["new texts"] for m in measured]
    damaged = [m["damage"] for m in measured]
    rows = [
        ["weights", "", *(f"{r['model']['parameters']:,}" for r in reports)],
        ["nats per point", "", *likely("nats_per_point")],
        ["nats per line", "", *likely("nats_per_line", 1)],
        ["letter-body, nats per point", "", *likely("body_nats_per_point")],
        ["SSE per point", "", *likely("sse")],
        ["misread, mean", interval(human["mean"]), *misread("mean")],
        ["misread, median", interval(human["median"]), *misread("median")],
        ["complete at first draw", "", *complete("first_draw")],
        ["complete after redraws", "", *complete("after_redraws")],
        ["unreadable", percent(human["unreadable"]), *complete("unreadable")],
        ["speed variation", *paced("speed_variation", 3)],
        ["points per character", *paced("points_per_character", 1)],
        ["alignment, exact and within one", "", *both("exact within_one", *aligned)],
        ["damage flagged, false alarms", "", *both("damaged whole", *damaged)],
    ]
    head = ["", "human", *(f"`{r['model']['name']}`" for r in reports)]
    settings, counts = reports[0]["settings"], reports[0]["counts"]
    new, likelihood = aligned[0], measured[0]["likelihood"]
    people = measured[0]["pace"]["human_speed_variation"]
    return {
        "models": table(head, rows),
        "human-unreadable": percent(human["unreadable"]),
        "speed-low": f"{people['low']:.2f}",
        "speed-high": f"{people['high']:.2f}",
        "alignment-lines": (
            f"{new['points']:,} points, {new['lines']} lines, {new['writers']} writers"
        ),
        "models-sentences": (
            f"The likelihood is of {counts['lines']} lines by {counts['writers']} "
            f"writers. {counts['texts']} texts were read, {settings['lines']} lines "
            f"counted, at a bias of {settings['bias']:g}; brackets hold 95 % of 2,000 "
            "bootstrap resamples of the texts."
        ),
        "models-command": f"`{reports[0]['command']}`.",
        "line-points": f"{likelihood['points'] / likelihood['lines']:.0f}",
        "default-bias": f"{settings['bias']:g}",
    }


def hands(reports: Sequence[Found]) -> dict[str, str]:
    """A table of the named hands of those models that have some."""
    human = reports[0]["measures"]["legibility"]["human"]
    with_hands = [r for r in reports if r["measures"]["styles"]]
    names = sorted(with_hands[0]["measures"]["styles"])

    def cells(style: Found) -> list[str]:
        read, complete = style["legibility"], style["completeness"]
        return [
            percent(read["mean"]["value"]),
            percent(read["median"]["value"]),
            percent(complete["unreadable"]),
        ]

    head = ["hand"]
    for report in with_hands:
        head += [f"`{report['model']['name']}`, mean", "median", "unreadable"]
    rows = []
    for name in names:
        styles = [report["measures"]["styles"][name] for report in with_hands]
        rows.append([name, *(cell for style in styles for cell in cells(style))])
    human_cells = [percent(human[key]["value"]) for key in ("mean", "median")]
    rows.append(
        ["human", *([*human_cells, percent(human["unreadable"])] * len(with_hands))]
    )
    told = []
    for report in with_hands:
        styles = report["measures"]["styles"]
        good = sum(
            all(
                styles[name]["legibility"][key]["value"] <= human[key]["value"]
                for key in ("mean", "median")
            )
            for name in names
        )
        told.append(
            f"Of the {len(names)} hands of `{report['model']['name']}`, {good} are "
            "read no worse than human lines of the same texts, in the mean and in the "
            "median."
        )
    return {"hands": table(head, rows), "hands-sentences": " ".join(told)}


# --- bias, temperature and speed --------------------------------------------------


def bias(found: Found) -> dict[str, str]:
    """A table of legibility against bias and temperature."""

    def cells(row: Found) -> list[str]:
        read = row["legibility"]
        return [
            *(percent(read[key]["value"]) for key in ("mean", "median")),
            percent(row["unreadable"]),
            f"{row['speed_variation']['mean']:.3f}",
        ]

    head = ["bias", "temperature", "misread, mean", "median", "unreadable", "speed"]
    rows = [
        [f"{row['bias']:g}", f"{row['temperature']:g}", *cells(row)]
        for row in found["rows"]
    ]
    return {
        "bias": table(head, [*rows, ["human", "", *cells(found["human"])]]),
        "bias-texts": str(found["texts"]),
        "bias-model": found["model"],
        "bias-command": found["command"],
    }


def speed(benchmarks: Iterable[Found]) -> dict[str, str]:
    """A table for each benchmark of speed."""
    parts = []
    for found in benchmarks:
        setting = ", ".join(
            f"{key} {value}"
            for key, value in found["setting"].items()
            if key != "device"
        )
        # lines together write more points in a round: what counts then is their rate
        rates = found["notes"].get("points per second", {})
        rows = []
        for row in found["rows"]:
            least = 1000 * row["minimum"]
            told = f"{least:,.0f} ms" if least > 99 else f"{least:.3g} ms"
            cells = [row["name"], told]
            faster = row["ratio"]
            if rates:
                a_second = found["setting"]["points"] / row["median"]
                a_second = rates.get(row["name"], a_second)
                cells.append(f"{a_second:,.0f}")
                faster = a_second / rates[found["baseline"]]
            rows.append([*cells, f"{faster:.2f}"])
        rate = ["points per second"] if rates else []
        columns = ["", "fastest round", *rate, "times as fast"]
        where = "" if found["setting"].get("device", "cpu") == "cpu" else ", on a GPU"
        parts.append(
            f"### {found['title']}{where}\n\n{setting[0].upper()}{setting[1:]}.\n\n"
            + table(columns, rows)
            + f"\n\nThe baseline is *{found['baseline']}*. Made by "
            f"`{found['command']}` on {machine(found)}."
        )
    return {"speed": "\n\n".join(parts)}


# --- the page ---------------------------------------------------------------------


def page(results: Path, template: str) -> str:
    """The page's text.

    Raises:
        ValueError: the template asks for something that is not here.
    """

    def read(name: str) -> Any:
        return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))

    reports = [read(f"evaluation-{name}") for name in MODELS]
    values = {
        **ladder(read("ladder")),
        **models(reports),
        **hands(reports),
        **bias(read("legibility")),
        **speed(read(name) for name in SPEED if (results / f"{name}.json").exists()),
    }
    wanted = set(re.findall(r"<<([\w-]+)>>", template))
    if wanted != set(values):
        odd = ", ".join(sorted(wanted ^ set(values)))
        raise ValueError(f"{TEMPLATE.name} and {Path(__file__).name} differ in: {odd}")
    return re.sub(r"<<([\w-]+)>>", lambda match: values[match[1]], template)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("--check", action="store_true", help="only look; 1 if stale")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    path = options.root / "book" / "results.md"
    template = TEMPLATE.read_text(encoding="utf-8")
    text = page(options.root / "benchmarks" / "results", template)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    if options.check:
        print("stale: book/results.md; run make results")
        return 1
    path.write_text(text, encoding="utf-8", newline="\n")
    print("written: book/results.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
