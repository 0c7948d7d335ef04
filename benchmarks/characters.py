"""The networks of chapter 13 and n-grams, compared on the prose of this book.

    python -m benchmarks characters --resume

A character decoder and a character LSTM of about as many weights are trained by the
recipes of `configs/character-book.toml` and `configs/character-lstm-book.toml`, at
their budget and at a quarter of it, from three seeds, and evaluated on the held-out
tenth of the text, which is its end. A training stops early, as its recipe says, and its
best validation counts. The learning rate of each network is the best of those tried
with one seed at a smaller budget.

Each training is recorded as soon as it is done, and `--resume` continues where an
earlier call was interrupted; checkpoints and trained networks are in
`_build/characters`. A record is `results/characters/NAME-STEPS-SEED.json`, or
`NAME-STEPS-SEED-RATE.json` for one of the other learning rates. Besides `command`,
`commit` and `machine`, which every benchmark records, it holds:

    corpus                  `name`, and the numbers of characters for `training` and
                            `held_out`
    network, model, recipe  what was trained, and how
    weights                 number of parameters
    characters_seen         number of characters that were predicted in training
    curve                   `[step, nats]`: cross-entropy on the held-out text in nats
                            per character, in the course of the training
    seconds                 training time, on a machine that may have had other work
    copied                  of `CHARACTERS` characters that the best network composed at
                            temperature `TEMPERATURE`: the share of their 20-grams that
                            occur in the training text

`n-grams.json` holds, for each order of the n-grams, the cross-entropy on the same
held-out text.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

import handwriting_lib as hw
from handwriting_lib.atomic import write_whole
from handwriting_lib.evaluation.text import NGrams, memorised_share
from handwriting_lib.training.config import TrainingConfig, read_config
from handwriting_lib.training.loop import CHECKPOINT

from . import RESULTS, ROOT, commit, machine

log = logging.getLogger(__name__)

CORPUS = "book"
RECORDS = RESULTS / "characters"
NETWORKS = ROOT / "_build" / "characters"  # checkpoints and trained networks
SEEDS = (1, 2, 3)
TRIAL = 600  # updates with which learning rates are tried
ORDERS = (1, 2, 3, 4, 5, 6)
CHARACTERS = 10_000
TEMPERATURE = 0.8


class Entrant(NamedTuple):
    """A network that is compared.

    Attributes:
        name: its name in records and tables.
        config: name of its configuration in `configs`, without the suffix.
        other_rates: learning rates that are tried besides that of the configuration.
    """

    name: str
    config: str
    other_rates: tuple[float, ...]

    def configured(self) -> TrainingConfig:
        """Its configuration."""
        return read_config(ROOT / "configs" / f"{self.config}.toml")


ENTRANTS = (
    Entrant("decoder", "character-book", (2e-3, 8e-3)),
    Entrant("LSTM", "character-lstm-book", (2e-3, 4e-3, 16e-3)),
)


class Training(NamedTuple):
    """One training; see the module's docstring."""

    entrant: Entrant
    steps: int
    seed: int
    rate: float | None = None  # None is the configuration's

    @property
    def label(self) -> str:
        """The name of its record and of its folder."""
        rate = "" if self.rate is None else f"-{self.rate:g}"
        return f"{self.entrant.name}-{self.steps}-{self.seed}{rate}"

    def config(self) -> TrainingConfig:
        """The entrant's configuration with these steps, this seed and this rate."""
        config = self.entrant.configured()
        recipe = dataclasses.replace(
            config.recipe,
            steps=self.steps,
            seed=self.seed,
            learning_rate=self.rate or config.recipe.learning_rate,
        )
        return dataclasses.replace(config, recipe=recipe)


def trainings(seeds: int) -> list[Training]:
    """All trainings, in their order."""
    tried = [
        Training(entrant, TRIAL, SEEDS[0], rate)
        for entrant in ENTRANTS
        for rate in (None, *entrant.other_rates)
    ]
    return tried + [
        Training(entrant, steps, seed)
        for share in (4, 1)
        for seed in SEEDS[:seeds]
        for entrant in ENTRANTS
        for steps in [entrant.configured().recipe.steps // share]
    ]


def trained(training: Training, resume: bool) -> dict[str, Any]:
    """Train and evaluate one network.

    Returns:
        What its record says of it.
    """
    config, folder = training.config(), NETWORKS / training.label
    resume = resume and (folder / CHECKPOINT).exists()
    text = hw.load_text(config.corpus)
    hw.train(config, text, folder, quiet=True, resume=resume)
    with (folder / "log.jsonl").open(encoding="utf-8") as lines:
        logged = [json.loads(line) for line in lines]
    read, held_out = text.split()
    model = hw.load_model(folder / "best.safetensors")
    composed = hw.compose(
        "\n", model, characters=CHARACTERS, temperature=TEMPERATURE, seed=training.seed
    )
    curve = [(e["step"], e["validation"]) for e in logged if e["validation"]]
    log.info("%s: %.4f nats per character", training.label, min(n for _, n in curve))
    return {
        "name": training.entrant.name,
        "corpus": counted(config.corpus, read, held_out),
        "network": config.network,
        "model": dict(config.model),
        "recipe": dataclasses.asdict(config.recipe),
        "weights": model.num_parameters,
        "characters_seen": logged[-1]["points"],
        "curve": curve,
        "seconds": logged[-1]["seconds"],
        "copied": memorised_share(composed[1:], read),
    }


def counted(corpus: str, read: str, held_out: str) -> dict[str, Any]:
    """What a record says of the text."""
    return {
        "name": Path(corpus).name, "training": len(read), "held_out": len(held_out),
    }  # fmt: skip


def n_grams(corpus: str) -> dict[str, Any]:
    """The cross-entropy of n-grams of each order on the held-out text."""
    read, held_out = hw.load_text(corpus).split()
    vocabulary = hw.Vocabulary.of(read + held_out)
    return {
        "name": "n-grams",
        "corpus": counted(corpus, read, held_out),
        "nats": {
            order: NGrams(read, order, vocabulary).cross_entropy(held_out)
            for order in ORDERS
        },
    }


def run(seeds: int = len(SEEDS), resume: bool = False) -> dict[str, Any]:
    """Train and evaluate all networks, and record each.

    Args:
        seeds: number of seeds to train from, at most `len(SEEDS)`.
        resume: whether to keep what is recorded and to continue what was interrupted.

    Returns:
        All records, as `collected` returns them.
    """
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    about = {
        "command": "python -m benchmarks characters --resume", "machine": machine(),
    }  # fmt: skip
    RECORDS.mkdir(parents=True, exist_ok=True)
    jobs = {"n-grams": lambda: n_grams(CORPUS)} | {
        training.label: lambda training=training: trained(training, resume)
        for training in trainings(seeds)
    }
    for label, job in jobs.items():
        file = RECORDS / f"{label}.json"
        if resume and file.exists():
            continue
        before = {"commit": commit()}  # commits may be made during the training
        record = json.dumps(before | about | job(), indent=2) + "\n"
        write_whole(file, record.encode())
    return collected(RECORDS)


def collected(folder: Path = RECORDS) -> dict[str, Any]:
    """Put the records of a folder together.

    Returns:
        `corpus`, the `n-grams`' nats by order, and `networks`: by name, `weights`,
        `runs`, the records of all seeds by their number of updates, and `rates`, the
        best nats per character by the learning rate that was tried.

    Raises:
        SystemExit: if records are missing, or they are not of the same text.
    """
    records = {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*.json"))
    }
    if "n-grams" not in records:
        raise SystemExit(
            f"{folder} holds no n-grams: run python -m benchmarks characters first"
        )
    counts = records.pop("n-grams")
    for label, record in records.items():
        if record["corpus"] != counts["corpus"]:
            raise SystemExit(
                f"{folder / label}.json is of another text than n-grams.json: train "
                "it again"
            )
    networks = {}
    for entrant in ENTRANTS:
        own = [r for r in records.values() if r["name"] == entrant.name]
        full = [r for r in own if r["recipe"]["steps"] != TRIAL]
        networks[entrant.name] = {
            "weights": own[0]["weights"] if own else None,
            "runs": {
                steps: sorted(
                    (r for r in full if r["recipe"]["steps"] == steps),
                    key=lambda record: record["recipe"]["seed"],
                )
                for steps in sorted({r["recipe"]["steps"] for r in full})
            },
            "rates": {
                r["recipe"]["learning_rate"]: best(r)[1]
                for r in sorted(own, key=lambda r: r["recipe"]["learning_rate"])
                if r["recipe"]["steps"] == TRIAL
            },
        }
    return {
        "corpus": counts["corpus"],
        "n-grams": {int(order): nats for order, nats in counts["nats"].items()},
        "networks": networks,
    }


def best(record: Mapping[str, Any]) -> tuple[int, float]:
    """The step of the best validation, and its nats per character."""
    step, nats = min(record["curve"], key=lambda point: point[1])
    return step, nats


def table(result: dict[str, Any]) -> str:
    """Format the comparison as a table for a terminal."""
    lines = [f"{'':10}  updates  nats per character, mean (sd) over the seeds"]
    for order, nats in result["n-grams"].items():
        lines.append(f"{f'{order}-grams':10}  {'':7}  {nats:.3f}")
    for name, network in result["networks"].items():
        for rate, nats in network["rates"].items():
            lines.append(f"{name:10}  {TRIAL:7}  {nats:.3f}  (rate {rate:g}, one seed)")
        for steps, runs in network["runs"].items():
            nats = [best(run)[1] for run in runs]
            sd = statistics.stdev(nats) if len(nats) > 1 else 0.0
            lines.append(
                f"{name:10}  {steps:7}  {statistics.fmean(nats):.3f} ({sd:.3f})"
            )
    return "\n".join(lines)
