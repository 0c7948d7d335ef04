"""Speed of writing at the paper's size, for one line and for many lines together.

Each point depends on the point before it, so writing one line must read every weight at
least once per point; the row that streams as many bytes shows how long that takes. The
baseline is a plain loop over `SynthesisNetwork.step` and `StrokeMixture.sample`; a
second row runs it with a step compiled by `torch.compile`. The rows that disable a part
of `fast` show how much it contributes. With many lines, the matrix products take nearly
all of the time; a row times them alone, in float32. Chapters 10 and 11 build the
sampling (Graves 2013, sections 5.3 and 5.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from handwriting_lib import StrokeMixture, SynthesisConfig, SynthesisNetwork
from handwriting_lib.parts.mixture import draw_noise
from handwriting_lib.writing.stepper import Stepper, StepWeights

from . import Result, measure
from ._ablation import (
    compiled_step,
    inside,
    plain_torch,
    without_backend,
    without_packing,
)

SIZES = SynthesisConfig()  # the paper's sizes
POINTS, SLOTS, FEW, LINES, BIAS = 100, 32, 4, 64, 0.5
LOOP = "plain loop, one line"
COMPILED = "plain loop, its step by torch.compile, one line"
STREAM = "streaming the weights' bytes"
ONE, ONE_INT8 = "one line, float32", "one line, int8"
BLOCK, BLOCK_INT8 = (f"{FEW} lines, {kind}" for kind in ("float32", "int8"))
MANY, MANY_INT8 = (f"{LINES} lines, {kind}" for kind in ("float32", "int8"))
PRODUCTS = f"{LINES} lines, products alone"
WRITERS = {
    ONE: (1, "float32"),
    ONE_INT8: (1, "int8"),
    BLOCK: (FEW, "float32"),
    BLOCK_INT8: (FEW, "int8"),
    MANY: (LINES, "float32"),
    MANY_INT8: (LINES, "int8"),
}
NO_LOOP = "one line, without its compiled loop"
ABLATIONS = {
    "one line, plain torch": (1, plain_torch),
    f"{LINES} lines, without Numba": (LINES, without_backend),
    f"{LINES} lines, without packed weights": (LINES, without_packing),
    f"{LINES} lines, plain torch": (LINES, plain_torch),
}


def run(rounds: int) -> Result:
    """Time all rows with random weights, since the speed does not depend on them.

    Args:
        rounds: number of timed rounds.
    """
    torch.manual_seed(0)
    network = SynthesisNetwork(SIZES).eval()
    text = torch.randint(1, SIZES.symbols, (LINES, SLOTS))
    mask = torch.ones_like(text, dtype=torch.bool)
    noise = draw_noise((POINTS, LINES), None, network.output.bias)
    weights = {kind: StepWeights(network, kind) for kind in ("float32", "int8")}

    def plain_loop(step: Any) -> Callable[[], torch.Tensor]:
        @torch.inference_mode()
        def once() -> torch.Tensor:
            point, state = torch.zeros(1, 3), network.initial_state(1)
            for t in range(POINTS):
                output, state, _ = step(point, state, text[:1], mask[:1])
                mixture = StrokeMixture.from_output(output, BIAS)
                point = mixture.sample(noise=noise[t, :1])
            return point

        return once

    def writer(lines: int, own: StepWeights) -> Callable[[], torch.Tensor]:
        def once() -> torch.Tensor:
            stepper = Stepper(own, text[:lines], mask[:lines])
            first = torch.zeros(lines, 3)
            return stepper.write(first, noise[:, :lines], BIAS).drawn

        return once

    left_out: dict[str, Callable[[], Any]] = {}
    no_loop = StepWeights(network)
    no_loop.line_loop = None
    left_out[NO_LOOP] = writer(1, no_loop)
    for name, (lines, context) in ABLATIONS.items():
        with context():  # laying out the weights already makes the choices
            own = StepWeights(network)
            _ = own.packed, own.line_loop
        left_out[name] = inside(context, writer(lines, own))

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
        LOOP: plain_loop(network.step),
        COMPILED: plain_loop(compiled_step(network)),
        STREAM: streaming,
        PRODUCTS: products,
        **{name: writer(how[0], weights[how[1]]) for name, how in WRITERS.items()},
        **left_out,
    }
    drawn = {name: functions[name]() for name in (LOOP, ONE, BLOCK, MANY)}
    rows = measure(functions, LOOP, rounds)
    many = {name: how[0] for name, how in [*WRITERS.items(), *ABLATIONS.items()]}
    many[PRODUCTS] = LINES
    rates = {
        row.name: POINTS * many.get(row.name, 1) / row.median
        for row in rows
        if row.name != STREAM
    }
    passes = next(POINTS / row.median for row in rows if row.name == STREAM)
    notes: dict[str, Any] = {
        "points per second": {name: round(rate, 1) for name, rate in rates.items()},
        "passes over the weights' bytes per second": round(passes, 1),
        "GB/s of streaming": round(passes * 4 * count / 1e9, 1),
        "ratios of points per second": {
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
