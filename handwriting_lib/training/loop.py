"""The training loop: schedule, validation, and checkpoints to resume from.

`fit` trains the network of any task (`training.task`). What a step sees depends only on
the seed and the step number, so a run that was killed and resumed reaches the same
losses as one that was not. Chapter 10 builds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..errors import InputError, NumericalError
from ..fast import is_fast
from ..files.checkpoints import load_checkpoint, save_checkpoint
from ..files.models import Model, find_model, save_model
from ..networks import build_network, grow
from ..parts.mixture import check_loss
from .config import ConfigError
from .optim import WeightNoise, build_optimisers
from .task import Task
from .team import Team

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Progress:
    """The record of one step, which is one line of `log.jsonl`.

    Attributes:
        step: number of updates so far.
        loss: loss of the batch.
        gradient_norm: norm of the gradient before clipping.
        rate: learning rate of the step.
        points: number of points or tokens seen so far.
        seconds: training time so far, in seconds.
        validation: validation loss, or None if the step had no validation.
        description: description length of the weights in nats per training point, or
            None without weight noise.
    """

    step: int
    loss: float
    gradient_norm: float
    rate: float
    points: int
    seconds: float
    validation: float | None = None
    description: float | None = None


class _Batches(Dataset[Any]):
    """The batches of a task, indexed by step."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def __getitem__(self, step: int) -> Any:
        return self.task.batch(step)

    def in_order(self, first: int, end: int, workers: int) -> Iterator[Any]:
        """The batches of steps `first` to `end - 1`; `workers` processes prefetch."""
        return iter(
            DataLoader(
                self, None, sampler=range(first, end), num_workers=workers,
                prefetch_factor=4 if workers else None, generator=torch.Generator(),
            )
        )  # fmt: skip


class _Run:
    """The state of a training run, which a checkpoint saves and restores."""

    def __init__(
        self, task: Task, folder: Path, device: torch.device, resume: bool
    ) -> None:
        self.task, self.folder, config = task, folder, task.config
        recipe = config.recipe
        self.checkpoint = folder / CHECKPOINT
        with torch.random.fork_rng(devices=[]):  # the caller's generator stays as it is
            torch.manual_seed(recipe.seed)
            self.network = build_network(config.network, config.model)
            if config.init_from and not resume:
                self._begin_with(find_model(config.init_from))
        self.network.to(device)
        self.noise = None
        if recipe.weight_noise:
            self.noise = WeightNoise(self.network, recipe.weight_noise)
        others = [self.noise.log_sds] if self.noise else []
        self.trained = [*self.network.parameters(), *others]
        self.optimisers = build_optimisers(
            recipe.optimiser,
            self.network,
            recipe.learning_rate,
            others,
            recipe.weight_decay,
        )
        self.step, self.points, self.seconds = 0, 0, 0.0
        self.validation: float | None = None
        self.best, self.best_step = math.inf, 0
        if resume:
            self._resume()

    def _begin_with(self, model: Model) -> None:
        """Take the weights of a model, or grow from a smaller one of the same kind."""
        is_same_kind = model.kind == self.network.kind
        if is_same_kind and model.network.config.fits(self.network.config):
            self.network.load_state_dict(model.network.state_dict())
        else:
            grow(model.network, self.network)

    def _resume(self) -> None:
        """Restore the state from the checkpoint.

        Raises:
            ConfigError: the checkpoint was made with another configuration.
        """
        state = load_checkpoint(self.checkpoint)
        try:
            self._restore(state)
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"{self.checkpoint} was made with another configuration: {error}"
            ) from None
        planned, steps = state.get("planned"), self.task.config.recipe.steps
        if planned not in (None, steps):
            log.warning(
                "this run was planned for %d updates and goes on for %d: from here on "
                "its learning rate is that of the latter", planned, steps,
            )  # fmt: skip
        self.step, self.points = state["step"], state["points"]
        self.seconds = state["seconds"]
        self.validation = state["validation"]
        self.best = state["best"]
        self.best_step = state.get("best_step", self.step)  # not in older checkpoints

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        made, saved = state["optimiser"], state["optimisers"]
        optimiser = self.task.config.recipe.optimiser
        if made != optimiser:
            raise InputError(f"it was trained by {made}, not by {optimiser}")
        if (state["noise"] is None) != (self.noise is None):
            raise InputError("only one of the two uses weight noise")
        for each, old in zip(self.optimisers, saved, strict=True):
            each.load_state_dict(old)
        if self.noise:
            with torch.no_grad():
                self.noise.log_sds.copy_(state["noise"])

    def is_stale(self) -> bool:
        """Whether the last validations brought nothing new, as many as are allowed."""
        recipe = self.task.config.recipe
        since = (self.step - self.best_step) // recipe.validate_every
        return 0 < recipe.patience <= since

    def model(self) -> Model:
        """The current model, with the metadata for its card."""
        # the name of the corpus, but not its path on this machine
        config = self.task.config
        source = Path(config.corpus.partition(":")[0]).name
        about = {
            "steps": self.step,
            "points_seen": self.points,
            "hours": round(self.seconds / 3600, 3),
            f"validation_{self.task.unit}": self.validation,
            "config": json.loads(
                json.dumps(
                    dataclasses.asdict(dataclasses.replace(config, corpus=source))
                )
            ),
        }
        return self.task.model(self.network, about)

    def save(self) -> None:
        """Write the checkpoint and the model, and save a new best model as such."""
        model = self.model()
        if self.validation is not None and self.validation < self.best:
            self.best, self.best_step = self.validation, self.step
            save_model(model, self.folder / "best.safetensors", half=False)
        save_checkpoint(
            {
                "network": self.network.state_dict(),
                "optimiser": self.task.config.recipe.optimiser,
                "optimisers": [each.state_dict() for each in self.optimisers],
                "noise": self.noise.log_sds.detach() if self.noise else None,
                "step": self.step,
                "planned": self.task.config.recipe.steps,
                "points": self.points,
                "seconds": self.seconds,
                "validation": self.validation,
                "best": self.best,
                "best_step": self.best_step,
            },
            self.checkpoint,
        )
        save_model(model, self.folder / "model.safetensors", half=False)


def noise_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The source of the weight noise of a step: a resumed run draws the same."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + step + 2**40)


def _cut_log(file: Path, step: int) -> None:
    """Drop the lines that a killed run logged after its last checkpoint."""
    size = 0
    if file.exists():
        with file.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                    break
                size += len(line)
        os.truncate(file, size)


def check_folder(folder: Path, resume: bool) -> None:
    """Refuse to write over a training run.

    Raises:
        ValueError: the folder holds a run that is not to be continued, or that cannot.
    """
    old = folder / "checkpoint.pt"  # of 0.1.0: a pickle
    if old.exists() and resume and not (folder / CHECKPOINT).exists():
        raise InputError(
            f"{old} is of an earlier version and cannot be resumed: train again, or "
            f"start from {folder / 'model.safetensors'} with init_from"
        )
    if not resume and (old.exists() or (folder / CHECKPOINT).exists()):
        raise InputError(
            f"{folder} already holds a training run: continue it with resume "
            "(--resume), or use another folder (--out)"
        )


def fit(
    task: Task,
    folder: str | Path,
    *,
    minutes: float | None = None,
    resume: bool = False,
    device: torch.device | str = "cpu",
    quiet: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    on_validation: Callable[[Progress, Model], None] | None = None,
) -> Model:
    """Train the network of a task, with validation and checkpoints.

    Args:
        task: task that provides the configuration, the batches and the loss.
        folder: folder for `checkpoint.safetensors` (to resume from),
            `model.safetensors` (the latest model), `best.safetensors` (the model with
            the best validation loss) and `log.jsonl`.
        minutes: time after which training stops, at a step that `resume` continues
            from; None sets no limit.
        resume: whether to continue from the checkpoint in `folder`.
        device: device to train on.
        quiet: whether to hide the progress bar.
        on_step: function called with the `Progress` of each step.
        on_validation: function called with the `Progress` of each step that had a
            validation and the model at that step, in evaluation mode; for sheets of
            samples and for loggers.

    Returns:
        The model after the last step.

    Raises:
        ConfigError: the checkpoint was made with another configuration.
        ValueError: the optimiser is unknown, or this version of torch lacks it.
        FileNotFoundError: `resume` is true, but there is no checkpoint.
        FloatingPointError: the loss or a gradient is not finite.
    """
    recipe, folder = task.config.recipe, Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    check_folder(folder, resume)
    team = Team(torch.device(device))
    first = team.rank == 0
    run = _Run(task, folder, team.device, resume)
    if resume and first:
        _cut_log(folder / "log.jsonl", run.step)
    wrapped = team.wrap(run.network)
    on_gpu = team.device.type == "cuda"
    recorded = None
    if on_gpu and team.size == 1 and is_fast():
        recorded = task.recorded(run.network)
    workers = min(12, (os.cpu_count() or 1) - 1) if on_gpu else 0
    coming = _Batches(task).in_order(run.step, recipe.steps, workers)
    begin, before = time.monotonic(), run.seconds
    bar = tqdm(
        total=recipe.steps, initial=run.step, disable=quiet or not first, unit="step"
    )
    record_file = folder / "log.jsonl" if first else Path(os.devnull)
    with record_file.open("a" if resume else "w") as record, bar:
        while run.step < recipe.steps:
            late = minutes is not None and run.seconds - before >= 60 * minutes
            may_stop = minutes is not None or recipe.patience > 0
            if may_stop and team.agrees_with_first(late or run.is_stale()):
                break
            batch = next(coming)
            run.points += batch.targets
            # the learning rate of the paper's optimiser is meant for nats per line
            scale = 1.0
            if recipe.optimiser == "rmsprop":
                scale = batch.targets / len(batch)
            batch, weight = team.share(batch)
            for optimiser in run.optimisers:
                optimiser.zero_grad(set_to_none=True)
                for group in optimiser.param_groups:
                    group["lr"] = recipe.learning_rate_at(run.step)
            with (
                run.noise.sampled(noise_generator(recipe.seed, run.step, team.device))
                if run.noise
                else contextlib.nullcontext()
            ):
                if recorded is not None:
                    loss = check_loss(recorded(batch, scale))
                else:
                    batch = batch.to(team.device)
                    loss = weight * task.loss(wrapped, batch, scale * weight)
                    (scale * loss).backward()
            description = None
            if run.noise:
                share = scale / task.targets
                description = run.noise.add_description_length(share) / scale
            norm = nn.utils.clip_grad_norm_(run.trained, recipe.clip_norm or math.inf)
            if not torch.isfinite(norm):
                raise NumericalError(
                    f"the gradient is not finite at step {run.step + 1}: lower the "
                    "learning rate and resume from the last checkpoint"
                )
            for optimiser in run.optimisers:
                optimiser.step()
            run.step += 1
            run.seconds = before + time.monotonic() - begin
            line = Progress(
                run.step,
                team.mean(loss),
                float(norm),
                recipe.learning_rate_at(run.step - 1),
                run.points,
                run.seconds,
                description=description,
            )
            is_due = run.step % recipe.validate_every == 0 or run.step == recipe.steps
            if first and is_due:
                run.network.eval()
                with torch.no_grad():
                    run.validation = task.validate(run.network, team.device)
                run.network.train()
                line.validation = run.validation
            record.write(json.dumps(dataclasses.asdict(line)) + "\n")
            record.flush()
            if line.validation is not None:  # the log is never behind the checkpoint
                run.save()
                if on_validation is not None:
                    run.network.eval()
                    on_validation(line, run.model())
                    run.network.train()
            bar.update()
            bar.set_postfix(loss=f"{line.loss:.3f}", validation=run.validation)
            if on_step is not None:
                on_step(line)
    if first:
        run.save()
    team.finish()
    run.network.eval()
    return run.model()
