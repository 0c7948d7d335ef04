"""The cursive decoder beside the synthesis network, on the page of results.

Every sentence that judges a figure is chosen here by the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results_words import machine, percent, several, table


def cursive_words(result: Mapping[str, Any]) -> dict[str, str]:
    """What the template of the page of results wants.

    Args:
        result: the record of the benchmark `cursive`.
    """
    cursive, synthesis = names = list(result["models"])
    groups = result["writing"]
    head = ["", *(f"`{name}`" for name in names)]

    def rows(of: str, *path: str, digits: int = 3) -> list[str]:
        found = [of]
        for name in names:
            value: Any = result
            for key in path:
                value = value[name if key == "*" else key]
            found.append(f"{value:.{digits}f}")
        return found

    likelihood = [
        rows(f"{kind}, {how}", "likelihood", kind, "*", how)
        for kind in result["likelihood"]
        for how in ("with text", "without text")
    ]
    writing = []
    for group, row in groups.items():
        cells = [group]
        for name in names:
            complete = row[name]["completeness"]
            cells += [
                percent(row[name]["legibility"]["mean"]["value"]),
                f"{percent(complete['first_draw'])}; "
                f"{percent(complete['after_redraws'])}",
            ]
        writing.append([*cells, _difference(row["difference"]["mean"])])
    others = [
        *(
            rows(
                f"baseline moves, {group}, letter bodies", "drift", group, "*", "median"
            )
            for group in result["drift"]
        ),
        rows("spread of the width of a word", "variety", "*", "width"),
        rows("spread of its slant, degrees", "variety", "*", "slant", digits=1),
        *(_speed(result, names, lines) for lines in ("1 line", "32 lines")),
        ["bytes of its file", *(f"{m['bytes']:,}" for m in result["models"].values())],
        ["weights", *(f"{m['weights']:,}" for m in result["models"].values())],
        [
            "points that it was trained on",
            *(f"{m['points']:,}" for m in result["models"].values()),
        ],
    ]
    nodes = max(abs(row["nodes"]) for row in result["likelihood"].values())
    short = next(iter(groups.values()))
    better = short["difference"]["mean"]
    cached = result["speed"][f"{cursive}, 1 line"]
    plain = result["speed"][f"{cursive}, 1 line without cache"]
    return {
        "cursive-likelihood": table(head, likelihood),
        "cursive-nodes": f"{nodes:.1g}",
        "cursive-writing": table(
            [
                "",
                *(
                    f"`{name}`, {what}"
                    for name in names
                    for what in ("misread", "complete")
                ),
                "difference",
            ],
            writing,
        ),
        "cursive-others": table(head, others),
        "cursive-judged": _judged(cursive, synthesis, better),
        "cursive-cache": f"{cached / plain:.1f}",
        "cursive-trained": several(
            [
                f"`{name}` on {model['points'] / 1e6:.0f} million points"
                for name, model in result["models"].items()
            ]
        ),
        "cursive-made": f"`{result['command']}` on {machine(result)}",
    }


def _difference(mean: Mapping[str, float]) -> str:
    """Percentage points, with their interval."""
    value, low, high = (100 * mean[key] for key in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _speed(result: Mapping[str, Any], names: list[str], lines: str) -> list[str]:
    found = [f"{result['speed'][f'{name}, {lines}']:,.0f}" for name in names]
    return [f"points per second, {lines}", *found]


def _judged(cursive: str, synthesis: str, mean: Mapping[str, float]) -> str:
    """Which of the two is read better on the short texts."""
    if mean["low"] > 0:
        return (
            f"On texts of one to three words `{cursive}` is read worse than "
            f"`{synthesis}`: the whole interval of the difference is above zero."
        )
    if mean["high"] < 0:
        return (
            f"On texts of one to three words `{cursive}` is read better than "
            f"`{synthesis}`: the whole interval of the difference is below zero."
        )
    return (
        "On texts of one to three words neither is read better: the interval of the "
        "difference holds zero."
    )
