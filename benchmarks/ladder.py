"""The models of chapters 2 to 10, compared on the same ink with the same budget.

    python -m benchmarks ladder --corpus unipen:PATH

Every rung is trained from three seeds on batches of the same ink, and evaluated by the
likelihood of the same held-out lines. The budget is small, because the ladder compares
what each rung adds and not how good a model can become. Chapter 8 reads the results. In
addition to `command`, `commit` and `machine`, which every benchmark records,
`results/ladder.json` holds:

    title, corpus           strings; `corpus` is the name of a corpus, such as "unipen"
    split                   {"train": COUNTS, "validation": COUNTS}, where COUNTS has
                            `lines`, `words`, `points` and `writers`; all figures are
                            measured on `validation`
    budget                  `steps`, `points_per_batch`, `longest` (the most points per
                            line), `rate` (the learning rate), `hidden` and so on
    units                   `std` and `mean` of the normalisation, in letter-body
                            heights, and `log_jacobian`, which is added to nats per
                            point in normalised units to give those in letter-body units
    sse                     a sentence that defines the squared error
    rungs                   a list with an entry per rung, from the lowest to the
                            highest:
      name, what            strings: a short name, and what is new on this rung
      weights               number of parameters
      runs                  a list with an entry per seed, or a single entry if the rung
                            does not depend on the seed:
        seed                1, 2 or 3
        points_seen         number of training points, without padding
        nats_per_point, nats_per_line
                            negative log-likelihood in normalised units: lower is better
        nats_per_point_letter_body, nats_per_line_letter_body
                            the same in letter-body heights
        sse                 squared error in normalised units
        seconds             training time, on a machine that may have had other work
      mean                  mean of each figure over the runs
      spread                standard deviation of each figure over the runs (n - 1), or
                            0 for a single run
"""

from __future__ import annotations

import dataclasses
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

import handwriting_lib as hw
from handwriting_lib.data.batches import Batch
from handwriting_lib.parts.mixture import RHO_LIMIT, SIGMA_FLOOR
from handwriting_lib.training.config import Recipe, TrainingConfig
from handwriting_lib.training.ink import TrainingData

log = logging.getLogger(__name__)

SEEDS = (1, 2, 3)
STEPS = 500
HIDDEN = 64
LINES = 300  # held-out lines on which every rung is evaluated
POINTS = 4800
LONGEST = 300  # points per line or word: short lines make an update cheap
NOISE = 0.075  # the paper's initial standard deviation
CORPUS_OPTIONS: dict[str, dict[str, Any]] = {
    "synthetic": {"samples": 3000, "writers": 200, "kinds": ("line", "word")}
}
SSE = (
    "squared distance of the next offset from the mean of its density (the weighted "
    "mean of the components' means), averaged over points, in normalised units"
)


@dataclasses.dataclass(frozen=True)
class Rung:
    """One model of the ladder.

    Attributes:
        name: short name.
        what: what is new on this rung.
        network: kind of network, or an empty string if the model is fitted in closed
            form and not trained.
        model: sizes of the network.
        noise: whether the second half of the training has weight noise.
    """

    name: str
    what: str
    network: str = ""
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    noise: bool = False


def rungs() -> list[Rung]:
    """All rungs, from the lowest to the highest."""
    one, three = {"hidden": HIDDEN, "layers": 1}, {"hidden": HIDDEN, "layers": 3}
    noise = (
        f"half the steps as below, half with noise of {NOISE:g} about each weight, "
        "its width learned"
    )
    return [
        Rung("constant Gaussian", "one density for all points: no network"),
        Rung("feedforward", "sees the last 8 points; a mixture of 20 Gaussians",
             "feedforward", {"hidden": 2 * HIDDEN}),
        Rung("LSTM", "a memory: one layer, no peepholes",
             "prediction", one | {"peepholes": False}),
        Rung("peephole LSTM", "gates that see the cell", "prediction", one),
        Rung("three layers", "three layers, all of which see the point and feed the "
             "output", "prediction", three),
        Rung("three layers, weight noise", noise, "prediction", three, True),
        Rung("synthesis", "knows the text, through the soft window", "synthesis",
             three),
        Rung("synthesis, weight noise", noise, "synthesis", three, True),
    ]  # fmt: skip


CONSTANTS = 6  # two means, two standard deviations, a correlation, a pen share


# --- evaluation ----------------------------------------------------------------------


class ConstantGaussian(nn.Module):
    """One bivariate Gaussian and one probability of lifting the pen, for all points.

    It is fitted in closed form to the mean, the covariance and the share of pen lifts
    of the training points.
    """

    reads_text = False

    def __init__(self, points: torch.Tensor) -> None:
        """Fit the density to `points`, the normalised `(N, 3)` training points."""
        super().__init__()
        points = points.double()
        mean, covariance = points.mean(0), torch.cov(points[:, :2].t())
        sd = covariance.diag().sqrt()
        rho = covariance[0, 1] / sd.prod() / RHO_LIMIT
        # StrokeMixture applies eqs 18 to 22 to a raw output, so invert them here
        raw = torch.zeros(7, dtype=torch.double)
        raw[0] = torch.logit(mean[2])
        raw[2:4] = mean[:2]
        raw[4:6] = (sd - SIGMA_FLOOR).log()
        raw[6] = torch.atanh(rho)
        self.raw = nn.Parameter(raw.float(), requires_grad=False)

    def forward(self, ink: torch.Tensor) -> hw.NetworkOutput:
        """Return the same output for each of the `(B, T, 3)` points."""
        return hw.NetworkOutput(self.raw.expand(*ink.shape[:2], 7), None, None)


@torch.no_grad()
def figures(
    network: Any, batches: Sequence[Batch], log_jacobian: float
) -> dict[str, float]:
    """Evaluate a network on all points of some lines.

    Args:
        network: network that predicts each point from those before it.
        batches: lines to predict, normalised.
        log_jacobian: nats per point to add for letter-body units.

    Returns:
        The negative log-likelihood in both units and the squared error, by the names
        in the module's docstring.
    """
    nats = squares = 0.0
    points = lines = 0
    for batch in batches:
        seen, target, mask = batch.ink[:, :-1], batch.ink[:, 1:], batch.mask[:, 1:]
        mixture = network(seen, *batch.texts(network.reads_text)).mixture()
        nats -= float(mixture.log_prob(target)[mask].double().sum())
        apart = mixture.mean[..., :2] - target[..., :2]  # (B, T, 2)
        squares += float(apart.square().sum(-1)[mask].double().sum())
        points += int(mask.sum())
        lines += len(mask)
    shift = points * log_jacobian
    return {
        "nats_per_point": nats / points,
        "nats_per_line": nats / lines,
        "nats_per_point_letter_body": (nats + shift) / points,
        "nats_per_line_letter_body": (nats + shift) / lines,
        "sse": squares / points,
    }


# --- training ------------------------------------------------------------------------


def recipe(steps: int, seed: int, noise: float = 0.0) -> Recipe:
    """The recipe of every rung, with a learning rate schedule scaled to the steps."""
    return Recipe(
        steps=steps,
        seed=seed,
        points_per_batch=POINTS,
        learning_rate=4e-3,
        warmup_steps=max(1, steps // 10),
        decay_share=0.5,
        word_share=(0.5, 0.5),
        weight_noise=noise,
        validate_every=steps,
        validation_batches=2,
    )


def trained(rung: Rung, data: TrainingData, seed: int) -> tuple[nn.Module, int]:
    """Train a rung's network for `STEPS` steps.

    Returns:
        The trained network, and the number of points that it was trained on.
    """
    config = TrainingConfig(rung.network, rung.model)
    steps = STEPS // 2 if rung.noise else STEPS
    with tempfile.TemporaryDirectory() as folder:
        first = dataclasses.replace(config, recipe=recipe(steps, seed))
        model = hw.train(first, data, Path(folder) / "first", quiet=True)
        points = model.about["points_seen"]
        if rung.noise:
            # a new seed, so that the second half does not repeat the first's batches
            second = dataclasses.replace(
                config,
                init_from=str(Path(folder) / "first" / "model.safetensors"),
                recipe=recipe(STEPS - steps, seed + 1000, NOISE),
            )
            model = hw.train(second, data, Path(folder) / "second", quiet=True)
            points += model.about["points_seen"]
    return model.network, points


def climb(
    rung: Rung, data: TrainingData, held_out: Sequence[Batch], seeds: Sequence[int]
) -> dict[str, Any]:
    """Train and evaluate one rung from every seed.

    Args:
        rung: the model.
        data: training data.
        held_out: batches of held-out lines.
        seeds: seeds to train from; a rung without a network uses only the first.

    Returns:
        The rung's entry of `rungs` in the results.
    """
    runs = []
    for seed in seeds if rung.network else seeds[:1]:
        begin = time.perf_counter()
        if rung.network:
            network, seen = trained(rung, data, seed)
        else:
            ink = torch.cat([s.ink[1:] for s in data.train])
            network, seen = ConstantGaussian(data.normalisation.apply(ink)), len(ink)
        seconds = time.perf_counter() - begin
        told = figures(network, held_out, data.normalisation.log_jacobian)
        runs.append({"seed": seed, "points_seen": seen, **told, "seconds": seconds})
        log.info(
            "%s, seed %d: %.4f nats per point, squared error %.4f, %.0f s",
            rung.name,
            seed,
            told["nats_per_point"],
            told["sse"],
            seconds,
        )
    numbers = [key for key in runs[0] if key != "seed"]
    columns = {key: [float(run[key]) for run in runs] for key in numbers}
    spread = statistics.stdev if len(runs) > 1 else lambda _: 0.0
    # unused peephole weights stay zero and get no gradient, so they do not count
    weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return {
        "name": rung.name,
        "what": rung.what,
        "weights": weights or CONSTANTS,
        "runs": runs,
        "mean": {key: statistics.fmean(column) for key, column in columns.items()},
        "spread": {key: spread(column) for key, column in columns.items()},
    }


def counts(samples: Sequence[hw.Sample]) -> dict[str, int]:
    """Count what one side of the split holds."""
    return {
        "lines": sum(s.kind == "line" for s in samples),
        "words": sum(s.kind == "word" for s in samples),
        "points": sum(len(s.ink) - 1 for s in samples),
        "writers": len({s.writer for s in samples}),
    }


def run(corpus: str = "synthetic", seeds: int = len(SEEDS)) -> dict[str, Any]:
    """Train and evaluate all rungs on one corpus.

    Args:
        corpus: name of a corpus, as `load_corpus` accepts it.
        seeds: number of seeds to train from, at most `len(SEEDS)`.

    Returns:
        The results that the module's docstring describes.

    Raises:
        SystemExit: if the corpus leaves no held-out line.
    """
    torch.set_num_threads(1)  # the products are too small for more threads
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    name = Path(corpus.partition(":")[0]).name
    ink = hw.load_corpus(corpus, **CORPUS_OPTIONS.get(name, {}))
    limits = hw.Limits(max_points=LONGEST, min_characters=3)
    data = hw.prepare_data(ink, TrainingConfig(limits=limits))
    lines = [s for s in data.validation if s.kind == "line"]
    random.Random(0).shuffle(lines)
    lines = lines[:LINES]
    if not lines:
        raise SystemExit(
            f"the corpus {corpus} leaves no held-out line to evaluate on: choose a "
            "corpus with more writers"
        )
    held_out = [
        hw.make_batch(samples, data.normalisation)
        for samples in hw.LengthBuckets(lines, 2 * POINTS).in_order()
    ]
    plain = recipe(STEPS, 0)
    return {
        "title": "The ladder: one split, one budget, one unit",
        "corpus": name,
        "split": {"train": counts(data.train), "validation": counts(lines)},
        "budget": {
            "steps": STEPS,
            "points_per_batch": POINTS,
            "longest": LONGEST,
            "hidden": HIDDEN,
            "optimiser": plain.optimiser,
            "rate": plain.learning_rate,
            "share_of_words": plain.word_share[0],
            "weight_noise": NOISE,
            "seeds": list(SEEDS[:seeds]),
        },
        "units": dataclasses.asdict(data.normalisation)
        | {"log_jacobian": data.normalisation.log_jacobian},
        "sse": SSE,
        "rungs": [climb(rung, data, held_out, SEEDS[:seeds]) for rung in rungs()],
    }


def table(result: Mapping[str, Any]) -> str:
    """Format the ladder as a table for a terminal."""
    width = max(len(rung["name"]) for rung in result["rungs"])
    lines = [
        result["title"],
        f"{result['corpus']}, {result['split']['validation']['lines']} held-out lines",
        "",
        f"{'':{width}}    weights   nats per point     nats per line    squared error",
    ]
    for rung in result["rungs"]:
        mean, spread = rung["mean"], rung["spread"]
        told = "  ".join(
            f"{mean[key]:8.{digits}f} ({spread[key]:.{digits}f})"
            for key, digits in (("nats_per_point", 3), ("nats_per_line", 1), ("sse", 3))
        )
        lines.append(f"{rung['name']:{width}}  {rung['weights']:9,}  {told}")
    return "\n".join(lines)
