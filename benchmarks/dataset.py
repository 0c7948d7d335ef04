"""Writing data sets: speed beside plain calls of `write`, memory, and kills.

By turns, each round writes the same lines as a set and by calls of `write` in batches
of the same size; the ratio leaves out the time for pictures and files, which is stated
apart. Peak memory is that of a process of its own for a small and for a large set
(`--lines 100000` for the largest). Last, a set is written by
processes that are killed at random, and compared with one that was left alone.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import handwriting_lib as hw
from handwriting_lib.writing.lines import BATCH

MODEL, SMALL, KILLS = "unipen-184", 1000, 10
CHILD = """
import sys
import handwriting_lib as hw
from benchmarks import peak_memory
lines, folder, ink = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "ink"
texts = (f"{i:06d}" for i in range(lines))
hw.write_dataset(texts, folder, "unipen-184", style="any", ink=ink, quiet=True)
print(round(1024 * peak_memory()))
"""


def child(lines: int, folder: Path, ink: str = "") -> subprocess.Popen[str]:
    """A process that writes a set of short lines, and prints its peak memory in KiB."""
    command = [sys.executable, "-c", CHILD, str(lines), str(folder), ink]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def peak(lines: int, folder: Path) -> float:
    """The peak memory of a process that writes so many lines, in MiB."""
    answer, _ = child(lines, folder / f"peak-{lines}").communicate()
    return round(int(answer) / 1024, 1)


def speed(rounds: int, folder: Path) -> dict[str, Any]:
    """Lines per second as a set and by plain calls, by turns."""
    texts = [f"a short line {i}" for i in range(2 * BATCH)]
    ratios, pictures, each = [], [], []
    for i in range(rounds + 1):  # the first warms up
        begin = time.perf_counter()
        for first in range(0, len(texts), BATCH):
            part = range(first, min(first + BATCH, len(texts)))
            chosen = [texts[n] for n in part]
            hw.write(chosen, MODEL, style="any", positions=list(part))
        plain = time.perf_counter() - begin
        done = hw.write_dataset(
            texts, folder / f"speed-{i}", MODEL, style="any", quiet=True
        )
        if i:
            ratios.append(plain / (done.seconds - done.drawing))
            pictures.append(done.drawing / len(texts))
            each.append(len(texts) / plain)
    median = statistics.median
    return {
        "speed against plain calls, without pictures": round(median(ratios), 3),
        "plain lines per second": round(median(each), 2),
        "seconds per picture and its files": round(median(pictures), 4),
    }


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a set, shard by shard."""
    files = sorted(folder.glob("*/metadata.jsonl"))
    return [json.loads(row) for f in files for row in f.read_text().splitlines()]


def kills(lines: int, folder: Path, seed: int = 1) -> dict[str, Any]:
    """Kill the writing of a set at random, and compare it with an unbroken one."""
    chance = random.Random(seed)
    begin = time.monotonic()
    child(lines, folder / "whole", "ink").communicate()
    whole_time = time.monotonic() - begin
    killed = 0
    for _ in range(KILLS):
        process = child(lines, folder / "killed", "ink")
        try:
            process.wait(chance.uniform(0.2, 0.9) * whole_time)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    child(lines, folder / "killed", "ink").communicate()
    pairs = list(zip(rows(folder / "whole"), rows(folder / "killed"), strict=True))
    apart = max(
        float(np.abs(np.array(a["strokes"]) - np.array(b["strokes"])).max())
        for a, b in pairs
    )
    same = all(
        (a["file_name"], a["text"], a["hand"]) == (b["file_name"], b["text"], b["hand"])
        for a, b in pairs
    )
    return {"kills": killed, "same names and texts": same, "ink apart by": apart}


def run(rounds: int, lines: int) -> Mapping[str, Any]:
    """Measure all of it."""
    folder = Path(tempfile.mkdtemp())
    try:
        small, large = peak(SMALL, folder), peak(lines, folder)
        return {
            "title": "Writing data sets",
            "setting": {"model": MODEL, "lines": lines, "batch": BATCH},
            **speed(rounds, folder),
            f"peak memory of {SMALL} lines, MiB": small,
            f"peak memory of {lines} lines, MiB": large,
            "ratio of peaks": round(large / small, 3),
            **kills(2 * BATCH, folder),
        }
    finally:
        shutil.rmtree(folder)


def table(result: Mapping[str, Any]) -> str:
    """The figures, one a line."""
    return "\n".join(f"{key:<48} {value}" for key, value in result.items())
