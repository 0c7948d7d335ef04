"""Speed and memory, as ratios against named baselines measured in the same run.

`python -m benchmarks NAME` prints a table and writes `benchmarks/results/NAME.json`:
the command, the commit, the machine and every figure. Absolute times differ from
machine to machine and from minute to minute, so rows are measured by turns, and what
counts is the ratio. A benchmark is a module of this folder with a function
`run(rounds) -> Result`. The ladder is one of likelihoods instead: it takes a corpus and
seeds, and its module says what its results look like.
"""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """One thing measured: seconds of its fastest and of its middle round.

    `ratio` and `ratio_of_medians` say how many times as fast as the baseline it is.
    """

    name: str
    minimum: float
    median: float
    ratio: float
    ratio_of_medians: float


@dataclass(frozen=True)
class Result:
    """What a benchmark measured, with what, against which row."""

    title: str
    setting: Mapping[str, Any]
    baseline: str
    rows: list[Row]
    notes: Mapping[str, Any] = field(default_factory=dict)


def measure(
    functions: Mapping[str, Callable[[], object]], baseline: str, rounds: int
) -> list[Row]:
    """Time functions by turns: each round calls every one of them once.

    Args:
        functions: what to call, by name; each is called once beforehand.
        baseline: the name of the one that the others are compared with.
        rounds: how many.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in functions.items():
                begin = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - begin)
    finally:
        gc.enable()
    return compare(seconds, baseline)


def compare(seconds: Mapping[str, Sequence[float]], baseline: str) -> list[Row]:
    """A row for each thing timed, from the seconds of its rounds."""
    least = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    return [
        Row(
            name,
            least[name],
            middle[name],
            least[baseline] / least[name],
            middle[baseline] / middle[name],
        )
        for name in seconds
    ]


def machine() -> dict[str, Any]:
    """The processor, its cores and the versions that matter; no names of hosts."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def commit() -> str:
    """The commit measured, with a `+` when the measured code has changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        measured = ("handwriting_lib", "benchmarks/*.py")
        changed = git("status", "--porcelain", "--", *measured)
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def table(result: Result) -> str:
    """The result for a terminal."""
    width = max(len(row.name) for row in result.rows)
    setting = ", ".join(f"{key} {value}" for key, value in result.setting.items())
    lines = [
        result.title,
        setting,
        "",
        f"{'':{width}}   least s  median s   speed  (median)",
    ]
    for row in result.rows:
        mark = "  the baseline" if row.name == result.baseline else ""
        lines.append(
            f"{row.name:{width}}  {row.minimum:8.4f}  {row.median:8.4f}  "
            f"{row.ratio:5.2f}x  {row.ratio_of_medians:7.2f}x{mark}"
        )
    for about, value in result.notes.items():
        if isinstance(value, Mapping):
            lines += ["", f"{about}:"]
            lines += [f"    {key:{width}}  {value[key]:.4g}" for key in value]
        else:
            said = f"{value:.4g}" if isinstance(value, float) else value
            lines += ["", f"{about}: {said}"]
    return "\n".join(lines)
