"""Writing at the paper's size: a point of one line, and of many lines together.

A point waits for the point before it, so the least that one line can cost is to read
every weight once: the row that streams as many bytes says how long that takes here. The
plain loop is `SynthesisNetwork.step` and `StrokeMixture.sample`, a point at a time.
Lines in a block of rows go through another matrix product than a line alone, with the
same digits. Of many lines the products take nearly all of the time, which bounds what
many can win over one: the row of products alone says where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from handwriting_lib import StrokeMixture, SynthesisConfig, SynthesisNetwork
from handwriting_lib.mixture import draw_noise
from handwriting_lib.sampling import ROWS
from handwriting_lib.stepping import Stepper, StepWeights

from . import Result, measure

SIZES = SynthesisConfig()  # the paper's
POINTS, SLOTS, LINES, BIAS = 100, 32, 64, 0.5
LOOP = "plain loop, one line"
STREAM = "streaming the weights' bytes"
ONE, ONE_INT8 = "one line, float32", "one line, int8"
BLOCK, BLOCK_INT8 = (f"{ROWS} lines, {kind}" for kind in ("float32", "int8"))
MANY, MANY_INT8 = (f"{LINES} lines, {kind}" for kind in ("float32", "int8"))
PRODUCTS = f"{LINES} lines, products alone"
WRITERS = {
    ONE: (1, "float32"),
    ONE_INT8: (1, "int8"),
    BLOCK: (ROWS, "float32"),
    BLOCK_INT8: (ROWS, "int8"),
    MANY: (LINES, "float32"),
    MANY_INT8: (LINES, "int8"),
}


def run(rounds: int) -> Result:
    """Random weights: speed does not depend on what they are."""
    torch.manual_seed(0)
    network = SynthesisNetwork(SIZES).eval()
    text = torch.randint(1, SIZES.symbols, (LINES, SLOTS))
    mask = torch.ones_like(text, dtype=torch.bool)
    noise = draw_noise((POINTS, LINES), None, network.output.bias)
    weights = {kind: StepWeights(network, kind) for kind in ("float32", "int8")}

    @torch.inference_mode()
    def plain_loop() -> torch.Tensor:
        point, state = torch.zeros(1, 3), network.start(1)
        for t in range(POINTS):
            output, state, _ = network.step(point, state, text[:1], mask[:1])
            mixture = StrokeMixture.from_output(output, BIAS)
            point = mixture.sample(noise=noise[t, :1])
        return point

    def writer(lines: int, kind: str) -> Callable[[], torch.Tensor]:
        def once() -> torch.Tensor:
            start = network.start(lines)
            stepper = Stepper(weights[kind], text[:lines], mask[:lines], start)
            first = torch.zeros(lines, 3)
            return stepper.write(first, noise[:, :lines], BIAS).drawn

        return once

    count = sum(p.numel() for p in network.parameters())
    stream = torch.randn(count)

    def streaming() -> None:
        for _ in range(POINTS):
            stream.sum()

    exact = weights["float32"]
    row = torch.rand(LINES, exact.width)
    reads = [*exact.reads, exact.cells[0], slice(None)]  # layers, window, output

    @torch.inference_mode()
    def products() -> None:
        for _ in range(POINTS):
            for weight, read in zip(exact.packed, reads, strict=True):
                weight.product(row[:, read])

    functions: dict[str, Callable[[], Any]] = {
        LOOP: plain_loop,
        STREAM: streaming,
        PRODUCTS: products,
        **{name: writer(*how) for name, how in WRITERS.items()},
    }
    drawn = {name: functions[name]() for name in (LOOP, ONE, BLOCK, MANY)}
    rows = measure(functions, LOOP, rounds)
    lines = {name: how[0] for name, how in WRITERS.items()} | {PRODUCTS: LINES}
    rates = {
        row.name: POINTS * lines.get(row.name, 1) / row.median
        for row in rows
        if row.name != STREAM
    }
    passes = next(POINTS / row.median for row in rows if row.name == STREAM)
    notes: dict[str, Any] = {
        "points a second": {name: round(rate, 1) for name, rate in rates.items()},
        "passes over the weights' bytes a second": round(passes, 1),
        "GB/s of streaming": round(passes * 4 * count / 1e9, 1),
        "ratios of points a second": {
            "one line over streaming": round(rates[ONE] / passes, 3),
            "one line, int8 over float32": round(rates[ONE_INT8] / rates[ONE], 2),
            f"{LINES} lines over one": round(rates[MANY] / rates[ONE], 2),
            f"{LINES} lines, products alone, over one": round(
                rates[PRODUCTS] / rates[ONE], 2
            ),
            f"{LINES} lines over the plain loop": round(rates[MANY] / rates[LOOP], 2),
            "one line over the plain loop": round(rates[ONE] / rates[LOOP], 2),
        },
        "largest difference of the last point from the plain loop's": {
            name: float((drawn[name][:1] - drawn[LOOP]).abs().max())
            for name in (ONE, BLOCK, MANY)
        },
    }
    return Result(
        "Writing, a point at a time",
        {"points": POINTS, "slots": SLOTS, "weights": count, **asdict(SIZES)},
        LOOP,
        rows,
        notes,
    )
