"""Write the book's pages of results from benchmarks/results; `--check` only looks.

The words stand in `results_template.md` and `speed_template.md`; each `<<name>>` in
them is a figure or a sentence that is made here from the records. A sentence that draws
a conclusion is chosen by the figures, and where they deny what the page says, nothing
is written. `book/data/ladder.json` holds what the book's cells need of the ladder.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import results_characters
import results_cursive
import results_glyphs
from project import ROOT
from results_ladder import collected, for_the_book, ladder_words
from results_speed import SPEED, speed_words
from results_words import NBSP, Found, count, percent, several, table

import handwriting_lib as hw

TEMPLATES = {
    f"book/{name}.md": Path(__file__).with_name(f"{name}_template.md")
    for name in ("results", "speed")
}
MODELS = ("unipen-400", "unipen-256", "unipen-184")


# --- the models -------------------------------------------------------------------


@cache
def training_ink(name: str) -> str:
    """What a model that comes with the library was trained on, as its file tells."""
    config = hw.load_pretrained(name).about["config"]
    synthetic = config.get("synthetic")  # older files do not mention it
    more = f" and {synthetic['samples']:,} synthetic lines" if synthetic else ""
    return config["corpus"].upper() + more


def interval(estimate: Found) -> str:
    """A share with its 95 % interval."""
    return "{:.1f} % ({:.1f} to {:.1f})".format(
        *(100 * estimate[key] for key in ("value", "low", "high"))
    )


def models(reports: Sequence[Found]) -> dict[str, str]:
    """What the template wants of the evaluations of the shipped models."""
    measured = [report["measures"] for report in reports]
    human = measured[0]["legibility"]["human"]

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

    def shares(key: str, found: Sequence[Found]) -> list[str]:
        return [percent(f[key]) for f in found]

    aligned = [m["alignment"]["all texts"] for m in measured]
    damaged = [m["damage"] for m in measured]
    names = [report["model"]["name"] for report in reports]
    rows = [
        ["trained on", "", *(training_ink(name) for name in names)],
        ["weights", "", *(f"{r['model']['parameters']:,}" for r in reports)],
        ["nats per point", "", *likely("body_nats_per_point")],
        ["nats per line", "", *likely("body_nats_per_line", 0)],
        ["SSE per point", "", *likely("body_sse")],
        ["misread, mean", interval(human["mean"]), *misread("mean")],
        ["misread, median", interval(human["median"]), *misread("median")],
        ["complete at first draw", "", *complete("first_draw")],
        ["complete after redraws", "", *complete("after_redraws")],
        ["unreadable", percent(human["unreadable"]), *complete("unreadable")],
        ["speed variation", *paced("speed_variation", 3)],
        ["points per character", *paced("points_per_character", 1)],
        ["alignment, exact", "", *shares("exact", aligned)],
        ["alignment, within one", "", *shares("within_one", aligned)],
        ["damage flagged", "", *shares("damaged", damaged)],
        ["false alarms", "", *shares("whole", damaged)],
    ]
    settings, counts = reports[0]["settings"], reports[0]["counts"]
    likelihood, people = measured[0]["likelihood"], measured[0]["pace"]
    variation = people["human_speed_variation"]
    new = [m["alignment"]["new texts"] for m in measured]
    exact = sorted(found["exact"] for found in new)
    donor = measured[0]["alignment"]["all texts, donor 1"]
    return {
        "models": table(["", "human", *(f"`{name}`" for name in names)], rows),
        "human-unreadable": percent(human["unreadable"]),
        "speed-low": f"{variation['low']:.2f}",
        "speed-high": f"{variation['high']:.2f}",
        "alignment-lines": (
            f"the {aligned[0]['lines']} lines ({aligned[0]['points']:,} points) by "
            f"{count(aligned[0]['writers'])} held-out writers whose alignment is "
            f"recorded, {donor['lines']} of them from one donor. The texts of "
            f"{aligned[0]['lines'] - new[0]['lines']} of them were in training as "
            "well, in other people's hands. The other "
            f"{count(new[0]['lines'])} lines are too few for figures of their own; on "
            f"them the exact share lies between {percent(exact[0])} and "
            f"{percent(exact[-1])}"
        ),
        "likelihood-lines": (f"{counts['lines']} lines by {counts['writers']} writers"),
        "models-texts": str(counts["texts"]),
        "models-lines": str(settings["lines"]),
        "models-command": reports[0]["command"],
        "models-rms": f"{math.sqrt(likelihood['body_sse']):.2f}",
        "line-points": f"{likelihood['points'] / likelihood['lines']:.0f}",
        "default-bias": f"{settings['bias']:g}",
        "models-finding": models_finding(reports),
    }


def models_finding(reports: Sequence[Found]) -> str:
    """Which model predicts best, and by how much."""

    def nats(report: Found) -> float:
        return float(report["measures"]["likelihood"]["body_nats_per_point"])

    best, *others = sorted(reports, key=nats)
    gaps = [nats(other) - nats(best) for other in others]
    behind = several(
        [
            f"`{other['model']['name']}` is {gap:.2f} behind"
            for other, gap in zip(others, gaps, strict=True)
        ]
    )
    ranked = [report["model"] for report in (best, *others)]
    sizes = several([f"{model['parameters'] / 1e6:.1f}" for model in ranked])
    ink = {model["name"]: training_ink(model["name"]) for model in ranked}
    more = ""
    if len(set(ink.values())) > 1:
        read = several([f"`{name}` on {what}" for name, what in ink.items()])
        more = f" They were not trained on the same ink either: {read}."
    return (
        "Of the models that come with the library and read a text, "
        f"`{best['model']['name']}` is the best at predicting lines by people whom "
        f"none of them has seen, with {nats(best):.2f} nats per point; {behind}. A "
        f"difference of {gaps[0]:.2f} means that the density of the point that came "
        f"next is {math.exp(gaps[0]):.2f} times as high (geometric mean). In this "
        f"order the models have {sizes} million weights.{more}"
    )


def hands(reports: Sequence[Found]) -> dict[str, str]:
    """A table of the named hands of those models that have some."""
    human = reports[0]["measures"]["legibility"]["human"]
    with_hands = [r for r in reports if r["measures"]["styles"]]
    names = sorted(with_hands[0]["measures"]["styles"])
    both = ("mean", "median")

    def cells(read: Found, unreadable: float) -> list[str]:
        return [*(percent(read[key]["value"]) for key in both), percent(unreadable)]

    head, rows, told = ["hand"], [[name] for name in names], []
    for report in with_hands:
        model, styles = report["model"]["name"], report["measures"]["styles"]
        head += [f"`{model}`, mean", "median", "unreadable"]
        for row in rows:
            style = styles[row[0]]
            row += cells(style["legibility"], style["completeness"]["unreadable"])
        good = sum(
            all(s["legibility"][key]["value"] <= human[key]["value"] for key in both)
            for s in styles.values()
        )
        told.append(f"{good} of the {len(names)} hands of `{model}`")
    rows.append(["human", *(cells(human, human["unreadable"]) * len(with_hands))])
    models = [report["model"]["name"] for report in with_hands]
    return {
        "hands": table(head, rows),
        "hands-count": several(told),
        "hands-ink": several(
            [f"`{n}` was trained on {training_ink(n)}" for n in models]
        ),
    }


# --- bias and temperature ---------------------------------------------------------


def bias(found: Found, report: Found) -> dict[str, str]:
    """Legibility against bias and temperature.

    Args:
        found: the record of the benchmark.
        report: the evaluation of the same model at the default bias.

    Raises:
        ValueError: what the page says of bias and temperature does not hold.
    """

    def cells(row: Found) -> list[str]:
        read = row["legibility"]
        return [
            *(percent(read[key]["value"]) for key in ("mean", "median")),
            percent(row["unreadable"]),
            f"{row['speed_variation']['mean']:.3f}",
        ]

    def misread(row: Found) -> float:
        return float(row["legibility"]["mean"]["value"])

    human, rows = found["human"], found["rows"]
    plain = [row for row in rows if row["temperature"] == 1]
    band = human["legibility"]["mean"]
    inside = [r["bias"] for r in plain if misread(r) <= band["high"]]
    cooler = [
        (misread(row), misread(same))
        for row in rows
        for same in plain
        if row["temperature"] < 1 and row["bias"] == same["bias"]
    ]
    pace = report["measures"]["pace"]
    even = pace["speed_variation"]["mean"] < pace["human_speed_variation"]["mean"]
    read = report["measures"]["legibility"]
    written = read["written"]["mean"]["value"]
    holds = {
        "the page says that a bias makes lines easier to read": inside
        and min(misread(row) for row in plain) < misread(plain[0]) > written,
        "the page says that a bias spaces points more evenly than a hand": even,
        "the page says that a lower temperature does not help": cooler
        and all(cool > same for cool, same in cooler),
    }
    for words, true in holds.items():
        if not true:
            raise ValueError(f"{words}, which the records deny: write other words")
    head = ["bias", "temperature", "misread, mean", "median", "unreadable", "speed"]
    told = [[f"{r['bias']:g}", f"{r['temperature']:g}", *cells(r)] for r in rows]
    return {
        "bias": table(head, [*told, ["human", "", *cells(human)]]),
        "bias-texts": str(found["texts"]),
        "bias-model": found["model"],
        "bias-ink": training_ink(found["model"]),
        "bias-command": found["command"],
        "bias-human": percent(misread(human)),
        "bias-alt": (
            "Two curves of misread characters fall with the bias, the mean from "
            f"{100 * misread(plain[0]):.0f} to {100 * misread(plain[-1]):.0f} per "
            "cent, and reach the grey band of human lines at a bias of "
            f"{inside[0]:g}. Beside it the speed variation falls from "
            f"{plain[0]['speed_variation']['mean']:.2f} to "
            f"{plain[-1]['speed_variation']['mean']:.2f}"
        ),
        "legibility-finding": (
            f"Of the characters that `{found['model']}` writes at the default bias, a "
            f"recogniser misreads {percent(written)}, and of those in people's lines "
            f"of the same {report['counts']['texts']} texts "
            f"{percent(read['human']['mean']['value'])}"
            f"{chance(read['difference']['mean'])}. But recognisers like tidy writing, "
            "and the bias makes it tidy: at bias 0, where the network writes as it has "
            f"learnt to, {percent(misread(plain[0]))} of its characters are misread "
            f"and {percent(misread(human))} of people's ({found['texts']} texts)"
            f"{chance(plain[0]['difference']['mean'])}."
        ),
    }


def chance(difference: Found) -> str:
    """Whether a difference could be one of the texts that were drawn."""
    if difference["low"] <= 0 <= difference["high"]:
        return ", a difference that other texts might reverse"
    return ""


def int8(found: Found) -> dict[str, str]:
    """What weights of one byte cost."""
    whole, byte = found["rows"][:2]
    cost = byte["nats_per_point"] - whole["nats_per_point"]
    return {
        "int8-model": found["model"],
        "int8-ink": training_ink(found["model"]),
        "int8-cost": (
            f"{'add' if cost >= 0 else 'save'} {abs(cost):.4f} nats per point on "
            f"held-out lines. Averaged over {found['texts']} lines, "
            + misread_of(whole["legibility"], byte["legibility"], byte["difference"])
        ),
        "int8-command": found["command"],
    }


def misread_of(whole: Found, byte: Found, difference: Found) -> str:
    """How much of a line is misread with weights of four bytes and of one."""
    four, one = (percent(read["mean"]["value"]) for read in (whole, byte))
    low, high = (100 * difference["mean"][end] for end in ("low", "high"))
    return (
        f"the share of misread characters per line is {one} with int8 and {four} with "
        f"float32; the 95 % interval of the difference runs from {low:+.1f} to "
        f"{high:+.1f} percentage points"
    )


def int8_in_hands(found: Found) -> dict[str, str]:
    """What weights of one byte cost where a page writes in a reader's own hand."""
    return {
        "int8-hands": (
            f"In the hands of {found['hands']} held-out writers, each made from one "
            "line with the same weights, as a page makes them, and averaged over "
            f"{found['hands'] * found['texts']} lines, "
            + misread_of(found["float32"], found["int8"], found["difference"])
        ),
        "int8-hands-command": found["command"],
    }


# --- the pages --------------------------------------------------------------------


def texts(root: Path) -> dict[str, str]:
    """The text of every file that is written, by its path from the root.

    Raises:
        ValueError: the templates ask for something that is not here, or the records
            deny what they say.
        SystemExit: the ladder has no records.
    """
    results = root / "benchmarks" / "results"

    def read(name: str) -> Any:
        return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))

    reports = [read(f"evaluation-{name}") for name in MODELS]
    legibility, ladder = read("legibility"), collected(results / "ladder")
    (same,) = [r for r in reports if r["model"]["name"] == legibility["model"]]
    fast = {n: read(n) for n in SPEED if (results / f"{n}.json").exists()}
    values = {
        **ladder_words(ladder),
        **models(reports),
        **hands(reports),
        **bias(legibility, same),
        **speed_words(fast),
        **int8(read("int8")),
        **int8_in_hands(read("hands")),
        **results_characters.character_words(
            results_characters.collected(results / "characters"), read("train_text")
        ),
        **results_cursive.cursive_words(read("cursive")),
        **results_glyphs.glyph_words(read("glyphs")),
    }
    pages = {path: t.read_text(encoding="utf-8") for path, t in TEMPLATES.items()}
    return {
        **filled(pages, values),
        "book/data/ladder.json": for_the_book(ladder),
    }


def filled(pages: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Put the values where the templates name them.

    Raises:
        ValueError: a name has no value, or a value no name.
    """
    slot = re.compile(r"<<([\w-]+)>>")
    wanted = {name for page in pages.values() for name in slot.findall(page)}
    if wanted != set(values):
        odd = ", ".join(sorted(wanted ^ set(values)))
        raise ValueError(f"the templates and {Path(__file__).name} differ in: {odd}")
    return {
        path: wrapped(slot.sub(lambda m: values[m[1]], text))
        for path, text in pages.items()
    }


def wrapped(page: str) -> str:
    """Break the prose of a page into lines of a hundred columns.

    Cells and the front matter stay as they are, and so do tables and headings.
    """
    kept = re.split(r"(^---\n.*?^---\n|^```.*?^```\n)", page, flags=re.M | re.S)
    for place in range(0, len(kept), 2):
        blocks = re.split(r"(\n\n+|\n(?=- |\d+\. ))", kept[place])
        for i, block in enumerate(blocks):
            if block.strip() and not re.match(r"\s*[|#(]", block):
                item = re.match(r"- |\d+\. |", block)
                # What stands alone and has a meaning at the beginning of a line.
                words = re.sub(
                    r"\s+(?=([-+*%>#=|]+|\d+[.)])(\s|$))", NBSP, block[item.end() :]
                )
                blocks[i] = textwrap.fill(
                    item[0] + re.sub(r"[ \n]+", " ", words),
                    100,
                    subsequent_indent=" " * item.end(),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
        kept[place] = "".join(blocks)
    return "".join(kept).rstrip("\n") + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("--check", action="store_true", help="only look; 1 if stale")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    stale = 0
    for name, text in texts(options.root).items():
        path = options.root / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = 1
        if options.check:
            print(f"stale: {name}; run make results")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"written: {name}")
    return stale if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
