"""Speed of a training update at the paper's size, in several versions.

The baseline is a plain loop: autograd through a Python loop over the points that calls
`SynthesisNetwork.step`. A second row runs it with a step compiled by `torch.compile`.
The rows that disable a part of `fast` show how much it contributes. `nn.LSTM` is a
reference without peepholes and without a window; it gets the window's output as input.
A row times the matrix products alone, one after the other, in the shapes of the fused
passes and by the library's own functions. It shows what the rest costs and is no bound:
on a GPU, CUDA graphs and `nn.LSTM` launch their products in other ways and are faster.

On a CPU the notes also hold the padding, the peak memory and the import time. On a GPU
the results go to a file of their own, `train-cuda.json`.
"""

from __future__ import annotations

import copy
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from handwriting_lib import StrokeMixture, SynthesisConfig, SynthesisNetwork
from handwriting_lib.corpora import load_corpus
from handwriting_lib.data.batches import Batch, LengthBuckets
from handwriting_lib.fast import PackedWeight, backend_for
from handwriting_lib.parts.mixture import mixture_loss
from handwriting_lib.training.cuda_graphs import GraphedLoss
from handwriting_lib.training.ink import batch_loss

from . import ROOT, Result, measure
from ._ablation import (
    compiled_step,
    inside,
    plain_torch,
    without_backend,
    without_packing,
)

SIZES = SynthesisConfig()  # the paper's sizes
SHAPES = {"cpu": (32, 200, 30), "cuda": (64, 700, 30)}  # lines, points, text slots
LONG = 700  # points per line, as in the paper, for measuring memory
SYNTHETIC: dict[str, Any] = {
    "samples": 600, "writers": 40, "kinds": ("line", "word"), "seed": 1,
}  # fmt: skip
DRAWS = 200  # number of batches whose padding is counted
LOOP = "plain loop under autograd"
OURS = "whole sequences"
COMPILED = "plain loop, its step by torch.compile"
BFLOAT16 = "whole sequences, bfloat16 products"
GRAPHS = {
    "CUDA graphs": None,
    "CUDA graphs, bfloat16 products": torch.bfloat16,
}
# Rows of whole sequences with a part of `fast` disabled, by kind of device.
ABLATIONS: dict[str, dict[str, Any]] = {
    "cpu": {
        "whole sequences, without Numba": without_backend,
        "whole sequences, without packed weights": without_packing,
        "whole sequences, plain torch": plain_torch,
    },
    "cuda": {"whole sequences, without Triton": without_backend},
}
TORCH = "nn.LSTM, no peepholes, no window"
PRODUCTS = "the matrix products alone"
LARGE = "one large product of as many operations"
IMPORT = """
import time, torch
begin = time.perf_counter()
import handwriting_lib
print(time.perf_counter() - begin)
"""


class LSTMStack(nn.Module):
    """`nn.LSTM` layers with the skip connections of `SynthesisNetwork`.

    The input at each point is the point concatenated with a given window vector.
    """

    def __init__(self, sizes: SynthesisConfig) -> None:
        super().__init__()
        first = 3 + sizes.symbols
        inputs = [first] + [first + sizes.hidden] * (sizes.layers - 1)
        self.layers = nn.ModuleList(
            nn.LSTM(size, sizes.hidden, batch_first=True) for size in inputs
        )
        hidden = sizes.layers * sizes.hidden
        self.output = nn.Linear(hidden, 6 * sizes.mixtures + 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden: list[Tensor] = []
        for layer in self.layers:
            seen = torch.cat([x, hidden[-1]], -1) if hidden else x
            hidden.append(layer(seen)[0])
        return self.output(torch.cat(hidden, -1))


def loop_output(
    network: SynthesisNetwork, ink: Tensor, batch: Batch, step: Any = None
) -> Tensor:
    """Run a network point by point in a Python loop.

    Args:
        network: network to run.
        ink: `(B, T, 3)` points to read.
        batch: batch that holds the texts.
        step: function to call instead of `network.step`, such as a compiled one.

    Returns:
        `(B, T, 6M + 1)` the raw output at every point.
    """
    state, outputs, step = network.initial_state(len(ink)), [], step or network.step
    for point in ink.unbind(1):
        output, state, _ = step(point, state, batch.text, batch.text_mask)
        outputs.append(output)
    return torch.stack(outputs, 1)


def random_batch(lines: int, points: int, slots: int, device: str) -> Batch:
    """Make random ink and texts without padding.

    Args:
        lines: number of lines.
        points: number of points per line that have a loss; the first point has none.
        slots: number of text slots per line.
        device: device of the batch.
    """
    generator = torch.Generator().manual_seed(1)
    ink = torch.randn(lines, points + 1, 3, generator=generator)
    ink[..., 2] = (ink[..., 2] > 1.5).float()
    text = torch.randint(1, SIZES.symbols, (lines, slots), generator=generator)
    text[:, -1] = 0
    every = torch.ones(lines, points + 1, dtype=torch.bool)
    return Batch(ink, every, text, torch.ones_like(text, dtype=torch.bool)).to(device)


def operations(sizes: SynthesisConfig, numbers: int) -> int:
    """Count the floating-point operations of the products with weights in an update.

    They are those of the forward pass, of the weights' gradients, and of the gradients
    of the inputs, except the ink's, which no update needs.

    Args:
        sizes: sizes of the network.
        numbers: number of points in the batch.
    """
    gates, read = 4 * sizes.hidden, sizes.symbols + sizes.hidden
    layers = [read] + [read + sizes.hidden] * (sizes.layers - 1)  # w and every h read
    inner = sum(gates * size for size in layers)
    inner += sizes.hidden * 3 * sizes.components
    inner += sizes.layers * sizes.hidden * (6 * sizes.mixtures + 1)
    points = sizes.layers * gates * 3  # forward and weights, not the ink's gradient
    return 2 * numbers * (3 * inner + 2 * points)


def products_alone(
    sizes: SynthesisConfig, lines: int, points: int, device: str
) -> Callable[[], None]:
    """A function that computes only the products of an update, in the fused shapes."""

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device)

    gates, outputs = 4 * sizes.hidden, 6 * sizes.mixtures + 1
    after = 3 + sizes.symbols + sizes.hidden
    first = 3, sizes.symbols + sizes.hidden  # in one product, per point
    shapes = [first] + [(after, sizes.hidden)] * (sizes.layers - 1)
    layers = [
        (
            random(points, lines, bulk),
            random(points, lines, each),
            random(points, lines, gates),
            random(gates, bulk),
            random(gates, each),
        )
        for bulk, each in shapes
    ]
    h, window = random(lines, sizes.hidden), random(3 * sizes.components, sizes.hidden)
    moves = random(points, lines, 3 * sizes.components)
    top = random(points * lines, sizes.layers * sizes.hidden)
    d_raw, weight = random(points * lines, outputs), random(outputs, top.shape[1])

    def run() -> None:
        for number, (x, read, d_z, w_bulk, w_each) in enumerate(layers):
            PackedWeight(w_bulk).product(x)
            forwards, backwards = PackedWeight(w_each), PackedWeight(w_each.t())
            for t in range(points):
                forwards.product(read[t])
                if not number:
                    h @ window.t()
            for t in range(points):
                backwards.product(d_z[t])
                if not number:
                    moves[t] @ window
            d_flat = d_z.flatten(0, 1)
            if number:
                PackedWeight(w_bulk.t()).product(d_flat)
            d_flat.t() @ x.flatten(0, 1)
            d_flat.t() @ read.flatten(0, 1)
            if not number:
                moves.flatten(0, 1).t() @ top[:, : sizes.hidden]
        PackedWeight(weight).product(top)
        PackedWeight(weight.t()).product(d_raw)
        d_raw.t() @ top

    return run


def graph_loss(
    network: nn.Module, matmul_dtype: torch.dtype | None
) -> Callable[[Batch], Tensor]:
    return lambda batch: batch_loss(network, batch, matmul_dtype)


def steps(
    batch: Batch, sizes: SynthesisConfig, device: str
) -> dict[str, Callable[[], Tensor]]:
    """The versions of a whole update: loss, gradients, clipping and a step of Adam.

    Args:
        batch: batch to train on.
        sizes: sizes of the networks.
        device: device of the networks.

    Returns:
        Functions by row name, each of which does one update and returns its loss.
    """
    torch.manual_seed(0)
    network = SynthesisNetwork(sizes).to(device)
    lines, points, _ = batch.ink.shape
    read = torch.rand(lines, points - 1, sizes.symbols, device=device)
    seen, target = batch.ink[:, :-1], batch.ink[:, 1:]

    def loss_of(output: Tensor) -> Tensor:
        return mixture_loss(
            StrokeMixture.from_output(output), target, batch.mask[:, 1:]
        )

    other = copy.deepcopy(network)
    step = compiled_step(other)
    losses: dict[str, tuple[nn.Module, Callable[[Any], Tensor]]] = {
        LOOP: (network, lambda own: loss_of(loop_output(own, seen, batch))),
        COMPILED: (other, lambda own: loss_of(loop_output(own, seen, batch, step))),
        OURS: (copy.deepcopy(network), lambda own: batch_loss(own, batch)),
        BFLOAT16: (
            copy.deepcopy(network),
            lambda own: batch_loss(own, batch, torch.bfloat16),
        ),
        TORCH: (
            LSTMStack(sizes).to(device),
            lambda own: loss_of(own(torch.cat([seen, read], -1))),
        ),
    }

    if device.startswith("cuda"):
        for name, matmul_dtype in GRAPHS.items():
            own = copy.deepcopy(network)
            recorded = GraphedLoss(own, graph_loss(own, matmul_dtype))
            losses[name] = own, lambda _, recorded=recorded: recorded(batch).clone()

    def update(own: nn.Module, loss: Callable[[Any], Tensor]) -> Callable[[], Tensor]:
        adam = torch.optim.Adam(own.parameters(), lr=1e-4)

        def once() -> Tensor:
            adam.zero_grad(set_to_none=True)
            value = loss(own)
            if value.requires_grad:  # a CUDA graph has already computed the gradients
                value.backward()
            nn.utils.clip_grad_norm_(own.parameters(), 5.0)
            adam.step()
            return value.detach()

        return once

    updates = {name: update(own, loss) for name, (own, loss) in losses.items()}
    for name, context in ABLATIONS[device.partition(":")[0]].items():
        own = copy.deepcopy(network)
        updates[name] = inside(context, update(own, lambda own: batch_loss(own, batch)))
    return updates


def synchronised(function: Callable[[], object], device: str) -> Callable[[], object]:
    """Wrap a function so that it returns only when the device has finished."""
    if not device.startswith("cuda"):
        return function

    def run() -> None:
        function()
        torch.cuda.synchronize(device)

    return run


def padding(source: str) -> dict[str, float]:
    """Measure padding in batches of samples of similar length and of any samples.

    Args:
        source: name of a corpus, as `load_corpus` accepts it.

    Returns:
        The share of padding, by kind of sample and of batch.
    """
    options = SYNTHETIC if source == "synthetic" else {}
    samples = load_corpus(source, **options).samples
    generator = torch.Generator().manual_seed(1)
    shares = {}
    for kind in sorted({sample.kind for sample in samples}):
        own = [sample for sample in samples if sample.kind == kind]
        lengths = torch.tensor([len(sample.ink) for sample in own])
        buckets = LengthBuckets(own)
        filled = {"length buckets": [0, 0], "any": [0, 0]}
        for _ in range(DRAWS):
            drawn = [len(sample.ink) for sample in buckets.draw(generator)]
            others = torch.randperm(len(own), generator=generator)[: len(drawn)]
            for name, chosen in [
                ("length buckets", torch.tensor(drawn)),
                ("any", lengths[others]),
            ]:
                filled[name][0] += int(chosen.sum())
                filled[name][1] += int(chosen.max()) * len(chosen)
        for name, (ink, numbers) in filled.items():
            shares[f"{kind}s, {name}"] = round(1 - ink / numbers, 4)
    return shares


def in_a_new_process(code: str) -> float:
    """Run Python code in a new process and return the number that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def print_peak_memory() -> None:
    """Print the peak memory, in GB, of a process that does two long updates."""
    lines, _, slots = SHAPES["cpu"]
    once = steps(random_batch(lines, LONG, slots, "cpu"), SIZES, "cpu")[OURS]
    for _ in range(2):
        once()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(most * (1 if sys.platform == "darwin" else 1024) / 1e9)


def device_memory(updates: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """Measure the peak memory of each kind of update on a GPU, in GB."""
    most = {}
    for name, once in updates.items():
        torch.cuda.reset_peak_memory_stats()
        once()
        most[name] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    return most


def run(rounds: int, device: str = "cpu", corpus: str = "synthetic") -> Result:
    """Time the updates, on a CPU at B = 32, T = 200 and on a GPU at B = 64, T = 700.

    Args:
        rounds: number of timed rounds.
        device: device to train on.
        corpus: name of the corpus whose padding is measured, on a CPU alone.
    """
    kind = device.partition(":")[0]
    lines, points, slots = SHAPES[kind]
    updates = steps(random_batch(lines, points, slots, device), SIZES, device)
    work = operations(SIZES, lines * points)
    side = 4 * SIZES.hidden
    large = torch.randn(work // (2 * side * side), side, device=device)
    square = PackedWeight(torch.randn(side, side, device=device))
    functions: dict[str, Callable[[], object]] = {
        **updates,
        PRODUCTS: products_alone(SIZES, lines, points, device),
        LARGE: lambda: square.product(large),
    }
    losses = {name: float(once()) for name, once in updates.items()}
    rows = measure(
        {name: synchronised(one, device) for name, one in functions.items()},
        LOOP,
        rounds,
    )
    seconds = {row.name: row.minimum for row in rows}
    notes: dict[str, Any] = {
        "GFLOP of a step's products": round(work / 1e9, 1),
        "GFLOP/s": {name: round(work / s / 1e9, 1) for name, s in seconds.items()},
        "share of the rate of the products alone": {
            name: round(seconds[PRODUCTS] / seconds[name], 3) for name in updates
        },
        "share of the rate of one large product": {
            name: round(seconds[LARGE] / seconds[name], 3) for name in updates
        },
        "difference of the first loss from the plain loop's": {
            name: abs(losses[name] - losses[LOOP])
            for name in updates
            if name not in (LOOP, TORCH)
        },
    }
    setting = {"lines": lines, "points": points, "slots": slots, **asdict(SIZES)}
    if kind == "cuda":
        setting["device"] = torch.cuda.get_device_name(device)
        setting["backend"] = backend_for(torch.zeros(1, device=device)).name
        setting["float32 products"] = torch.get_float32_matmul_precision()
        notes["peak memory, GB"] = device_memory(updates)
    else:
        setting["device"] = device
        name = corpus.partition(":")[0]
        notes[f"share of padding, {name}"] = padding(corpus)
        name = f"peak memory at {LONG} points, GB"
        notes[name] = in_a_new_process(
            "from benchmarks.train import print_peak_memory; print_peak_memory()"
        )
        notes["import after torch, s"] = statistics.median(
            in_a_new_process(IMPORT) for _ in range(rounds)
        )
    return Result("An update, all of it", setting, LOOP, rows, notes)
