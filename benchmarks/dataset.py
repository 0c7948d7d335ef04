"""Writing data sets: speed beside plain calls of `write`, memory, and kills.

    python -m benchmarks dataset --lines 100000 --rounds 5

Measured are the time of a set beside that of the same lines written with `write` in
batches of the same size, by turns; the peak memory of a process that writes a large set
beside that of one that writes 1,000 lines; and a set whose writing is killed ten times
at random, beside one that was left alone. In addition to `command`, `commit` and
`machine`, `results/dataset.json` holds:

    title, model            strings
    load                    load average of the machine before and after
    speed                   lines and rounds; lines a second of the processor with plain
                            calls and as a set without drawing, and the ratio of them,
                            each the median over the rounds; `drawing`, the seconds that
                            a line's picture, boxes and files take
    memory                  characters of a line, peaks in MB by the number of lines,
                            and their ratio
    kills                   lines; times that the process was killed; times that its
                            rows had been growing when it was; whether the names, the
                            texts and all other labels are the same at the end; largest
                            distance between two points of the ink, in letter bodies
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import handwriting_lib as hw
from handwriting_lib.writing import dataset
from handwriting_lib.writing.lines import BATCH

MODEL, SMALL, KILLS = "unipen-184", 1000, 10
CHILD = f"""
import sys, torch
import handwriting_lib as hw
from benchmarks import peak_memory
torch.set_num_threads(1)
lines, folder, ink = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "ink"
def texts():
    for i in range(lines):
        if i and i % 10_000 == 0:
            print(i, "lines,", round(peak_memory(), 1), "MB", file=sys.stderr)
        yield f"{{i % 100:02d}}"
hw.write_dataset(texts(), folder, {MODEL!r}, style="any", ink=ink, quiet=True)
print(round(peak_memory(), 1))
"""


def child(lines: int, folder: Path, ink: str = "") -> subprocess.Popen[str]:
    """A process that writes a set of two-digit lines, and prints its peak memory."""
    command = [sys.executable, "-c", CHILD, str(lines), str(folder), ink]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run(rounds: int, lines: int) -> dict[str, Any]:
    """Measure all of it."""
    torch.set_num_threads(1)
    before = os.getloadavg()
    folder = Path(tempfile.mkdtemp())
    try:
        result = {
            "title": "Data sets",
            "model": MODEL,
            "speed": speed(rounds, folder),
            "kills": kills(6 * BATCH, folder),
            "memory": memory(lines, folder),
        }
    finally:
        shutil.rmtree(folder)
    result["load"] = [round(x, 1) for x in (*before[:2], *os.getloadavg()[:2])]
    return result


def memory(lines: int, folder: Path) -> dict[str, Any]:
    """Peaks of two processes that write a small set and a large one."""
    peaks = {}
    for number in (SMALL, lines):
        process = child(number, folder / f"peak-{number}")
        peaks[str(number)] = float(process.communicate()[0])
    small, large = peaks.values()
    return {"characters": 2, "MB": peaks, "ratio": round(large / small, 3)}


# --- speed ---------------------------------------------------------------------------


def speed(rounds: int, folder: Path) -> dict[str, Any]:
    """Lines a second as a set and by plain calls, by turns."""
    texts = [f"a short line {i}" for i in range(2 * BATCH)]
    plain, whole, drawing = [], [], []
    for i in range(rounds + 1):  # the first warms up
        begin = time.process_time()
        for first in range(0, len(texts), BATCH):
            part = range(first, first + BATCH)
            chosen = [texts[n] for n in part]
            hw.write(chosen, MODEL, style="any", positions=list(part))
        plain.append(time.process_time() - begin)
        begin = time.process_time()
        drawing.append(
            spent_on_drawing(
                lambda at: hw.write_dataset(texts, at, MODEL, style="any", quiet=True),
                folder / f"speed-{i}",
            )
        )
        whole.append(time.process_time() - begin)
    pairs = list(zip(plain[1:], whole[1:], drawing[1:], strict=True))
    middle = statistics.median
    return {
        "lines": len(texts),
        "rounds": rounds,
        "plain": round(middle(len(texts) / p for p, _, _ in pairs), 2),
        "set": round(middle(len(texts) / (w - d) for _, w, d in pairs), 2),
        "ratio": round(middle(p / (w - d) for p, w, d in pairs), 3),
        "drawing": round(middle(d / len(texts) for _, _, d in pairs), 4),
    }


def spent_on_drawing(write: Callable[[Path], object], folder: Path) -> float:
    """Seconds of the processor that drawing and files take while a set is written."""
    spent = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal spent
            begin = time.process_time()
            try:
                return function(*arguments)
            finally:
                spent += time.process_time() - begin

        return call

    names = ("_draw", "_append")
    plain = {name: getattr(dataset, name) for name in names}
    try:
        for name, function in plain.items():
            setattr(dataset, name, timed(function))
        write(folder)
    finally:
        for name, function in plain.items():
            setattr(dataset, name, function)
    return spent


# --- kills ---------------------------------------------------------------------------


def kills(lines: int, folder: Path, seed: int = 1) -> dict[str, Any]:
    """Kill the writing of a set at random, and compare it with an unbroken one."""
    chance = random.Random(seed)
    whole, broken = folder / "whole", folder / "broken"
    child(lines, whole, "ink").communicate()
    times = [file.stat().st_mtime for file in whole.rglob("*.png")]
    span = (max(times) - min(times)) / 6
    killed = grown = 0
    for _ in range(KILLS):
        begin, had = time.time(), len(rows(broken))
        process = child(lines, broken, "ink")
        while process.poll() is None and not newer(broken, begin):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, span))
        killed += process.poll() is None
        process.kill()
        process.communicate()
        grown += len(rows(broken)) > had
    child(lines, broken, "ink").communicate()
    pairs = list(zip(rows(whole), rows(broken), strict=True))
    ink = [[np.array(row.pop("strokes")) for row in pair] for pair in pairs]
    return {
        "lines": lines,
        "killed": killed,
        "grown": grown,
        "same labels": all(a == b for a, b in pairs) and names(whole) == names(broken),
        "ink apart by": max(float(np.abs(a - b).max()) for a, b in ink),
    }


def newer(folder: Path, begin: float) -> bool:
    """Whether a picture was written since a time."""
    return any(file.stat().st_mtime > begin for file in folder.glob("*/*.png"))


def names(folder: Path) -> list[str]:
    """The names of all files of a set."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def rows(folder: Path) -> list[dict[str, Any]]:
    """All whole rows of a set, shard by shard."""
    files = sorted(folder.glob("*/metadata.jsonl"))
    lines = [row for f in files for row in f.read_text().splitlines(keepends=True)]
    return [json.loads(row) for row in lines if row.endswith("\n")]


def table(result: Mapping[str, Any]) -> str:
    """Format the results for a terminal."""
    lines = [f"{result['title']}: {result['model']}, load {result['load']}"]
    for part in ("speed", "memory", "kills"):
        lines += ["", f"{part}:"]
        lines += [f"    {name:20} {value}" for name, value in result[part].items()]
    return "\n".join(lines)
