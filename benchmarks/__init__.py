"""Benchmarks of speed and memory, as ratios to a baseline measured in the same run.

`python -m benchmarks NAME` prints a table and writes `benchmarks/results/NAME.json`,
which holds the command, the commit, the machine and every figure. Absolute times differ
from machine to machine and from minute to minute, so every round measures each row
once, and the ratio is what counts. A benchmark is a module of this folder with a
function `run(rounds) -> Result`. `boxes`, `characters`, `dataset`, `int8`,
`ladder`, `legibility` and `pages` measure likelihood, legibility, evenness or memory as
well as speed, or instead of it; their docstrings describe their results.
"""

from __future__ import annotations

import gc
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from handwriting_lib.fast import backend_for

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Row:
    """The time of one measured function.

    Attributes:
        name: name of the function in tables and results.
        minimum: seconds of its fastest round.
        median: median seconds of its rounds.
        ratio: the baseline's minimum divided by this minimum: above 1 is faster.
        ratio_of_medians: the same ratio of the medians.
    """

    name: str
    minimum: float
    median: float
    ratio: float
    ratio_of_medians: float


@dataclass(frozen=True)
class Result:
    """What a benchmark measured.

    Attributes:
        title: heading of the table.
        setting: sizes and other conditions of the measurement.
        baseline: name of the row that the others are compared with.
        rows: the measured functions.
        notes: further figures, by description.
    """

    title: str
    setting: Mapping[str, Any]
    baseline: str
    rows: list[Row]
    notes: Mapping[str, Any] = field(default_factory=dict)


def measure(
    functions: Mapping[str, Callable[[], object]], baseline: str, rounds: int
) -> list[Row]:
    """Time functions in turn: each round calls every one of them once.

    Args:
        functions: functions to time, by name; each is called once beforehand to warm
            up.
        baseline: name of the function that the others are compared with.
        rounds: number of rounds.

    Returns:
        A row per function.
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
    """Make a row per timed function from the seconds of its rounds."""
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
    """Describe the processor and the software versions, without the host's name."""
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
        "backend": backend_for(torch.zeros(1)).name,
    }


def commit() -> str:
    """The hash of the current commit, with a `+` if the measured code differs."""

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
    """Format a result as a table for a terminal."""
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


def peak_memory() -> float:
    """The most memory that this process has held, in MB.

    `ru_maxrss` also counts what the parent held when it started the process, so on
    Linux the process alone is asked for.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (peak,) = re.findall(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.M)
        return int(peak) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)
