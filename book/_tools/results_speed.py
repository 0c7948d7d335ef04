"""The page of speed, from the benchmarks that measure times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results_words import Found, capital, machine, several, table

SPEED = (
    "lstm", "train", "train-cuda", "sample", "browser", "train_text", "compose",
)  # fmt: skip
PRODUCTS = "products alone"  # ends the name of a row that computes nothing else
BFLOAT16 = ", bfloat16 products"
# What the page begins with: benchmark, row, and what it is in words.
FIRST = (
    ("train", "whole sequences", "an update on a CPU"),
    ("train-cuda", "CUDA graphs", "an update on a GPU (as CUDA graphs)"),
    ("sample", "one line, float32", "writing a line on a CPU"),
)


def rates_of(found: Found) -> dict[str, float]:
    """Points per second of every row, or nothing if all rows do the same work.

    Lines that are written together make more points in a round, so what counts there
    is their rate.
    """
    rates = found["notes"].get("points per second")
    if rates is None:
        return {}
    points = found["setting"]["points"]
    return {
        r["name"]: rates.get(r["name"], points / r["median"]) for r in found["rows"]
    }


def factors(found: Found) -> dict[str, float]:
    """How many times as fast as the baseline each row is."""
    rates = rates_of(found)
    if rates:
        return {name: rate / rates[found["baseline"]] for name, rate in rates.items()}
    return {row["name"]: row["ratio"] for row in found["rows"]}


def remarks(found: Found) -> list[str]:
    """What the rows say of the yardsticks and of bfloat16."""
    speed, told = factors(found), []
    for name in speed:
        if name.endswith(PRODUCTS):
            own = [n for n in speed if speed[n] > speed[name] and "large" not in n]
            if own:
                listed = several([f"*{other}*" for other in own])
                told.append(f"Faster here than *{name}*: {listed}.")
    times = [
        f"of *{plain}* by {speed[plain] / speed[name]:.2f}"
        for name in speed
        if (plain := name.replace(BFLOAT16, "")) != name
    ]
    if times:
        told.append(f"Products in bfloat16 multiply the time {several(times)}.")
    return told


def section(found: Found) -> str:
    """The table of one benchmark, with its setting, its remarks and its command."""
    rates, speed = rates_of(found), factors(found)
    setting = ", ".join(
        f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}"
        for key, value in found["setting"].items()
        if key != "device"
    )
    rows = []
    for row in found["rows"]:
        least = 1000 * row["minimum"]
        told = [f"{least:,.0f} ms" if least > 99 else f"{least:.3g} ms"]
        if rates:
            told.append(f"{rates[row['name']]:,.0f}")
        rows.append([row["name"], *told, f"{speed[row['name']]:.2f}"])
    rate = ["points per second"] if rates else []
    where = "" if found["setting"].get("device", "cpu") == "cpu" else ", on a GPU"
    return "\n\n".join(
        [
            f"## {found['title']}{where}",
            f"{capital(setting)}.",
            table(["", "fastest round", *rate, "times as fast"], rows),
            " ".join([f"The baseline is *{found['baseline']}*.", *remarks(found)]),
            f"Made by `{found['command']}` on {machine(found)}.",
        ]
    )


def finding(benchmarks: Mapping[str, Found]) -> str:
    """The most important ratios, in words.

    Raises:
        ValueError: the library is slower than the plain loop.
    """
    told = []
    for name, row, words in FIRST:
        if name not in benchmarks:
            continue
        factor = factors(benchmarks[name])[row]
        if factor <= 1:
            raise ValueError(
                f"{name}.json: {row} is not faster than the plain loop, so the page of "
                "speed must begin with another sentence"
            )
        verb = "" if told else "is "
        told.append(f"{words} {verb}{factor:.1f} times{'' if told else ' as fast'}")
    return f"Compared with a plain loop, {several(told)}."


def speed_words(benchmarks: Mapping[str, Found]) -> dict[str, str]:
    """What the template of the page of speed wants."""
    ordered: Sequence[Found] = [benchmarks[n] for n in SPEED if n in benchmarks]
    return {
        "speed-finding": finding(benchmarks),
        "speed-tables": "\n\n".join(section(found) for found in ordered),
    }
