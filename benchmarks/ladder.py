"""The models of chapters 2 to 10, compared on the same ink with the same budgets.

    python -m benchmarks ladder --corpus unipen:PATH --resume

Every rung is trained from three seeds on batches of the same ink, at a small budget and
at one ten times as large, and evaluated by the likelihood of the same held-out lines.
All rungs have the same learning rate, and a few others are tried at the small budget.
The ladder compares what each rung adds and not how good a model can become. Chapter 8
reads the results.

Since it takes some seven hours of one core, each training is recorded as soon as it is
done, and `--resume` continues where an earlier call was interrupted, even in the middle
of a training: checkpoints and trained networks are in `_build/ladder`. A record is
`results/ladder/NAME-STEPS-SEED.json`, or `NAME-STEPS-SEED-RATE.json` for one of the
other learning rates. Besides `command`, `commit` and `machine`, which every benchmark
records, it holds:

    corpus                  name of the corpus, such as "unipen"
    split                   {"train": COUNTS, "validation": COUNTS}, where COUNTS has
                            `lines`, `words`, `points` and `writers`; all figures are
                            measured on `validation`
    recipe                  `points_per_batch`, `longest` (the most points per line)
                            and so on
    normalisation           `std` and `mean` of the offsets, in letter-body heights
    rung                    `name` and `what` (what is new on this rung)
    weights                 number of parameters that are trained
    steps, seed             number of updates, and the seed
    learning_rate           its peak
    begins_with             name of the rung whose network of the same seed and budget
                            this training begins with, or an empty string
    points_seen             number of training points, without padding
    nats_per_point, nats_per_line
                            negative log-likelihood of the held-out lines, in
                            letter-body heights: lower is better
    squared_error           mean over points of the squared distance of the next offset
                            from the mean of its density (the weighted mean of the
                            components' means), in squared letter-body heights
    seconds                 training time, on a machine that may have had other work
    curve                   `[step, nats_per_point]` in the course of the training
"""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

import handwriting_lib as hw
from handwriting_lib.atomic import write_whole
from handwriting_lib.data.batches import Batch
from handwriting_lib.parts.mixture import RHO_LIMIT, SIGMA_FLOOR
from handwriting_lib.training.config import Recipe, TrainingConfig
from handwriting_lib.training.ink import TrainingData
from handwriting_lib.training.loop import CHECKPOINT

from . import RESULTS, ROOT, commit, machine

log = logging.getLogger(__name__)

RECORDS = RESULTS / "ladder"
NETWORKS = ROOT / "_build" / "ladder"  # checkpoints and trained networks
SEEDS = (1, 2, 3)
BUDGETS = (500, 5000)  # updates
RATE = 16e-3  # learning rate
OTHER_RATES = (2e-3, 4e-3, 8e-3, 32e-3, 64e-3)
HIDDEN = 64
# One layer of so many units has about the weights of three layers of `HIDDEN` cells.
EQUAL = {"feedforward": 265, "recurrent": 274, "prediction": 148}
LINES = 300  # held-out lines on which every rung is evaluated
POINTS = 4800
LONGEST = 300  # points per line or word: short lines make an update cheap
NOISE = 0.075  # the paper's initial standard deviation
CURVE = 20  # evaluations per training
CORPUS_OPTIONS: dict[str, dict[str, Any]] = {
    "synthetic": {"samples": 3000, "writers": 200, "kinds": ("line", "word")}
}


@dataclasses.dataclass(frozen=True)
class Rung:
    """One model of the ladder.

    Attributes:
        name: short name.
        what: what is new on this rung.
        network: kind of network, or an empty string if the model is fitted in closed
            form and not trained.
        model: sizes of the network.
        begins_with: name of the rung whose trained network this one begins with.
        noise: initial standard deviation of its weight noise.
    """

    name: str
    what: str
    network: str = ""
    model: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    begins_with: str = ""
    noise: float = 0.0


def rungs() -> list[Rung]:
    """The rungs that add a part each, from the lowest to the highest."""
    one, three = {"hidden": HIDDEN, "layers": 1}, {"hidden": HIDDEN, "layers": 3}
    return [
        Rung("constant Gaussian", "one density for all points: no network"),
        Rung("feedforward", "two layers that see the last 8 points; a mixture of 20 "
             "Gaussians, as on all rungs that follow", "feedforward",
             {"hidden": 2 * HIDDEN}),
        Rung("plain recurrent", "one layer of tanh units that reads all points",
             "recurrent", one),
        Rung("LSTM", "one layer of cells and gates, no peepholes",
             "prediction", one | {"peepholes": False}),
        Rung("peephole LSTM", "gates that see the cell", "prediction", one),
        Rung("three layers", "three layers, all of which see the point and feed the "
             "output", "prediction", three),
        Rung("synthesis", "knows the text, through the soft window", "synthesis",
             three),
    ]  # fmt: skip


def rungs_of_equal_weights() -> list[Rung]:
    """One layer of more units each, with about the weights of *three layers*."""
    one = {name: {"hidden": hidden} for name, hidden in EQUAL.items()}
    lstm = one["prediction"] | {"layers": 1}
    return [
        Rung("wide feedforward", "two layers", "feedforward", one["feedforward"]),
        Rung("wide plain recurrent", "one layer", "recurrent", one["recurrent"]),
        Rung("wide LSTM", "one layer, no peepholes", "prediction",
             lstm | {"peepholes": False}),
        Rung("wide peephole LSTM", "one layer", "prediction", lstm),
    ]  # fmt: skip


def rungs_that_go_on() -> list[Rung]:
    """Trained networks that are trained on, with weight noise and without."""
    found = []
    for below in rungs():
        if below.name in ("three layers", "synthesis"):
            more = f"*{below.name}*, trained for half as many updates again"
            found += [
                dataclasses.replace(below, name=f"{below.name}, trained on",
                                    what=more, begins_with=below.name),
                dataclasses.replace(below, name=f"{below.name}, weight noise",
                                    what=f"{more} with weight noise",
                                    begins_with=below.name, noise=NOISE),
            ]  # fmt: skip
    return found


def every_rung() -> list[Rung]:
    """All rungs, in the order in which they are reported."""
    return [*rungs(), *rungs_of_equal_weights(), *rungs_that_go_on()]


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
    network: Any, batches: Sequence[Batch], normalisation: hw.Normalisation
) -> dict[str, float]:
    """Evaluate a network on all points of some lines.

    Args:
        network: network that predicts each point from those before it.
        batches: lines to predict, normalised.
        normalisation: that of the batches, which leads back to letter-body heights.

    Returns:
        The negative log-likelihood and the squared error, by the names in the module's
        docstring.
    """
    scale = torch.tensor(normalisation.std)
    nats = squares = 0.0
    points = lines = 0
    for batch in batches:
        seen, target, mask = batch.ink[:, :-1], batch.ink[:, 1:], batch.mask[:, 1:]
        mixture = network(seen, *batch.texts(network.reads_text)).mixture()
        nats -= float(mixture.log_prob(target)[mask].double().sum())
        apart = scale * (mixture.mean[..., :2] - target[..., :2])  # (B, T, 2)
        squares += float(apart.square().sum(-1)[mask].double().sum())
        points += int(mask.sum())
        lines += len(mask)
    nats += points * normalisation.log_jacobian
    return {
        "nats_per_point": nats / points,
        "nats_per_line": nats / lines,
        "squared_error": squares / points,
    }


# --- training ------------------------------------------------------------------------


def recipe(steps: int, seed: int, rate: float = RATE, noise: float = 0.0) -> Recipe:
    """The recipe of every rung, with a learning rate schedule scaled to the steps."""
    return Recipe(
        steps=steps,
        seed=seed,
        points_per_batch=POINTS,
        learning_rate=rate,
        warmup_steps=max(1, steps // 10),
        decay_share=0.5,
        word_share=(0.5, 0.5),
        weight_noise=noise,
        validate_every=max(1, steps // CURVE),
        validation_batches=10_000,  # all of them
    )


class Training(NamedTuple):
    """One training of the ladder; see the module's docstring."""

    rung: Rung
    steps: int
    seed: int
    rate: float = RATE

    @property
    def label(self) -> str:
        """The name of its record and of its folder."""
        name = self.rung.name.replace(",", "").replace(" ", "-")
        rate = "" if self.rate == RATE else f"-{self.rate:g}"
        return f"{name}-{self.steps}-{self.seed}{rate}"


def trained(
    training: Training, data: TrainingData, resume: bool
) -> tuple[hw.Model, list[dict[str, Any]]]:
    """Train a rung's network, or go on with a training that was interrupted.

    Returns:
        The trained model, and the lines of its log (`training.loop.Progress`).
    """
    rung, steps, seed, rate = training
    folder, start = NETWORKS / training.label, ""
    if rung.begins_with:
        below = Training(Rung(rung.begins_with, ""), steps, seed)
        start = str(NETWORKS / below.label / "model.safetensors")
        # a new seed, so that it does not repeat the first training's batches
        steps, seed = steps // 2, seed + 1000
    config = TrainingConfig(
        rung.network,
        rung.model,
        init_from=start,
        recipe=recipe(steps, seed, rate, rung.noise),
    )
    resume = resume and (folder / CHECKPOINT).exists()
    model = hw.train(config, data, folder, quiet=True, resume=resume)
    with (folder / "log.jsonl").open(encoding="utf-8") as lines:
        return model, [json.loads(line) for line in lines]


def climb(
    training: Training, data: TrainingData, held_out: Sequence[Batch], resume: bool
) -> dict[str, Any]:
    """Train and evaluate one network.

    Returns:
        What its record says of it.
    """
    rung = training.rung
    begin, shift = time.perf_counter(), data.normalisation.log_jacobian
    curve: list[tuple[int, float]] = []
    if rung.network:
        model, logged = trained(training, data, resume)
        network, seen = model.network, logged[-1]["points"]
        seconds = logged[-1]["seconds"]
        curve = [
            (line["step"], line["validation"] + shift)
            for line in logged
            if line["validation"] is not None
        ]
    else:
        ink = torch.cat([s.ink[1:] for s in data.train])
        network, seen = ConstantGaussian(data.normalisation.apply(ink)), len(ink)
        seconds = time.perf_counter() - begin
    told = figures(network, held_out, data.normalisation)
    log.info(
        "%s: %.4f nats per point, squared error %.4f, %.0f s",
        training.label,
        told["nats_per_point"],
        told["squared_error"],
        seconds,
    )
    # unused peephole weights stay zero and get no gradient, so they do not count
    weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return {
        "rung": {"name": rung.name, "what": rung.what},
        "weights": weights or CONSTANTS,
        "steps": training.steps,
        "seed": training.seed,
        "learning_rate": training.rate,
        "begins_with": rung.begins_with,
        "points_seen": seen,
        **told,
        "seconds": seconds,
        "curve": curve,
    }


def counts(samples: Sequence[hw.Sample]) -> dict[str, int]:
    """Count what one side of the split holds."""
    return {
        "lines": sum(s.kind == "line" for s in samples),
        "words": sum(s.kind == "word" for s in samples),
        "points": sum(len(s.ink) - 1 for s in samples),
        "writers": len({s.writer for s in samples}),
    }


def trainings(seeds: int) -> list[Training]:
    """All trainings, in their order."""
    every = every_rung()
    tried = [
        Training(rung, BUDGETS[0], SEEDS[0], rate)
        for rung in rungs()
        if rung.network not in ("", "synthesis")
        for rate in OTHER_RATES
    ]
    return tried + [
        Training(rung, steps, seed)
        for steps in BUDGETS
        for group in (every[: len(rungs())], every[len(rungs()) :])
        for seed in SEEDS[:seeds]
        for rung in group
        if rung.network or seed == SEEDS[0]  # the constant does not depend on the seed
    ]


def run(
    corpus: str = "synthetic", seeds: int = len(SEEDS), resume: bool = False
) -> dict[str, Any]:
    """Train and evaluate all rungs on one corpus, and record each.

    Args:
        corpus: name of a corpus, as `load_corpus` accepts it.
        seeds: number of seeds to train from, at most `len(SEEDS)`.
        resume: whether to keep what is recorded and to continue what was interrupted.

    Returns:
        All records, as `collected` returns them.

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
    data = dataclasses.replace(data, validation=lines)
    held_out = [
        hw.make_batch(samples, data.normalisation)
        for samples in hw.LengthBuckets(lines, 2 * POINTS).in_order()
    ]
    plain = recipe(1, 0)
    about = {
        "command": f"python -m benchmarks ladder --corpus {name}"
        f"{':PATH' if ':' in corpus else ''} --resume",
        "machine": machine(),
        "corpus": name,
        "split": {"train": counts(data.train), "validation": counts(lines)},
        "recipe": {
            "points_per_batch": POINTS,
            "longest": LONGEST,
            "optimiser": plain.optimiser,
            "word_share": plain.word_share[0],
            "weight_noise": NOISE,
        },
        "normalisation": dataclasses.asdict(data.normalisation),
    }
    RECORDS.mkdir(parents=True, exist_ok=True)
    for training in trainings(seeds):
        file = RECORDS / f"{training.label}.json"
        if resume and file.exists():
            continue
        before = {"commit": commit()}  # commits may be made during the training
        told = climb(training, data, held_out, resume)
        record = json.dumps(before | about | told, indent=2) + "\n"
        write_whole(file, record.encode())
    return collected(RECORDS)


def collected(folder: Path = RECORDS) -> dict[str, Any]:
    """Put the records of a folder together.

    Returns:
        What all records share (`corpus`, `split`, `recipe`, `normalisation`), the
        `budgets`, the `seeds`, and `rungs`: the recorded rungs by name, in the order of
        the ladder, each with `what`, `weights` and `runs`, a mapping from a budget to a
        list with the record of each seed, and `rates`, a mapping from each learning
        rate that was tried at the smallest budget to its nats per point.

    Raises:
        SystemExit: if there are no records, or they differ in what they must share.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise SystemExit(
            f"{folder} holds no records: run python -m benchmarks ladder first"
        )
    records = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    shared = ("corpus", "split", "recipe", "normalisation")
    for file, record in zip(files, records, strict=True):
        for key in shared:
            if record[key] != records[0][key]:
                raise SystemExit(
                    f"{file} and {files[0]} differ in {key}: they are not of one ladder"
                )
    found: dict[str, Any] = {}
    for rung in every_rung():
        own = [record for record in records if record["rung"]["name"] == rung.name]
        main = [record for record in own if record["learning_rate"] == RATE]
        if own:
            found[rung.name] = {
                "what": own[0]["rung"]["what"],
                "weights": own[0]["weights"],
                "runs": {
                    steps: sorted(
                        (r for r in main if r["steps"] == steps),
                        key=lambda record: record["seed"],
                    )
                    for steps in sorted({record["steps"] for record in main})
                },
                "rates": {
                    r["learning_rate"]: r["nats_per_point"]
                    for r in sorted(own, key=lambda record: record["learning_rate"])
                    if r["steps"] == BUDGETS[0] and r["seed"] == SEEDS[0]
                },
            }
    return {key: records[0][key] for key in shared} | {
        "budgets": sorted({record["steps"] for record in records}),
        "seeds": sorted({record["seed"] for record in records}),
        "rungs": found,
    }


def mean(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    """The mean of a figure over the seeds."""
    return statistics.fmean(float(run[key]) for run in runs)


def spread(runs: Sequence[Mapping[str, Any]], key: str) -> float:
    """The standard deviation of a figure over the seeds (n - 1); 0 for one seed."""
    values = [float(run[key]) for run in runs]
    return statistics.stdev(values) if len(values) > 1 else 0.0


def table(result: Mapping[str, Any]) -> str:
    """Format the ladder as a table for a terminal."""
    width = max(len(name) for name in result["rungs"])
    lines = []
    for steps in result["budgets"]:
        lines += [
            f"{result['corpus']}, {result['split']['validation']['lines']} held-out "
            f"lines, {steps} updates",
            f"{'':{width}}    weights   nats per point    squared error",
        ]
        for name, rung in result["rungs"].items():
            if runs := rung["runs"].get(steps):
                told = "  ".join(
                    f"{mean(runs, key):8.3f} ({spread(runs, key):.3f})"
                    for key in ("nats_per_point", "squared_error")
                )
                lines.append(f"{name:{width}}  {rung['weights']:9,}  {told}")
        lines.append("")
    return "\n".join(lines)
