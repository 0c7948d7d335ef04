"""The systems of the library: what each kind of network needs to be put to use.

A system is a kind of network (`networks.NETWORKS`) with the task that trains it, the
writer that writes with it, and the exporters that other engines read. A new system is
a line in `NETWORKS` and one in `SYSTEMS`; whatever is asked of a model that its system
cannot do is refused here, by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ._deprecation import renamed_arguments
from .drawing.png import to_png
from .errors import HandwritingError
from .files.browser import export_browser
from .files.models import Model, ModelError, find_model
from .files.onnx import export_onnx
from .ink import Sample
from .networks import network_class
from .training.config import TrainingConfig
from .training.cursive import CursiveTask
from .training.ink import InkTask
from .training.loop import Progress, fit
from .training.task import Task
from .training.text import TextTask
from .writing.cursive import CursiveWriter
from .writing.lines import Line, Writer, write_lines
from .writing.sampling import MixtureWriter, write_unconditional
from .writing.styles import Style, model_of

log = logging.getLogger(__name__)

# What `evaluate` can measure of a model.
MEASURES = (
    "likelihood",
    "pace",
    "alignment",
    "completeness",
    "legibility",
    "styles",
    "damage",
)


@dataclass(frozen=True)
class System:
    """What one kind of network needs beside its class.

    Attributes:
        task: the class of its training task: `task(config, data)`, and
            `task.load(config)` for the corpus that a configuration names.
        writer: makes a `Writer` from a model and a precision of the weights; None for
            a kind that reads no text.
        exporters: functions of a model and a path, by the name of the engine.
        measures: what `evaluate` can measure, some of `MEASURES`.
        sample: what a model writes, as lines of ink for a sheet; None for a kind that
            writes no ink.
    """

    task: Callable[..., Task]
    writer: Callable[[Model, str], Writer] | None = None
    exporters: Mapping[str, Callable[..., None]] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    sample: Callable[[Model], list[Tensor]] | None = None


# What a sheet of samples says, and how long its lines without a text are.
SHEET_TEXTS = ("hello", "bridge", "nothing", "symphonic", "a quick fox")
SHEET_POINTS, SHEET_SEED = 300, 1


def _written(model: Model) -> list[Tensor]:
    """Lines of a model that reads a text, each drawn once, in any hand."""
    lines = write_lines(
        SHEET_TEXTS, writer_of(model), style="any", bias=0.5, seed=SHEET_SEED, redraws=0
    )
    return [line.ink for line in lines]


def _free(model: Model) -> list[Tensor]:
    """Lines of a model that reads none."""
    return write_unconditional(
        model, SHEET_POINTS, samples=len(SHEET_TEXTS), bias=0.5, seed=SHEET_SEED
    )


SYSTEMS: dict[str, System] = {
    "feedforward": System(InkTask, measures=("likelihood",), sample=_free),
    "recurrent": System(InkTask, measures=("likelihood",), sample=_free),
    "prediction": System(InkTask, measures=("likelihood",), sample=_free),
    "synthesis": System(
        InkTask,
        MixtureWriter,
        {"browser": export_browser, "onnx": export_onnx},
        MEASURES,
        _written,
    ),
    "character": System(TextTask, exporters={"browser": export_browser}),
    "character-lstm": System(TextTask),
    "cursive": System(CursiveTask, CursiveWriter, sample=_written),
}


def task_of(config: TrainingConfig, data: Any = None) -> Task:
    """The training task of a configuration.

    Args:
        config: what is trained and how.
        data: prepared for the task; None loads the corpus that the configuration names.

    Raises:
        ValueError: there is no such kind of network.
    """
    network_class(config.network)  # names the kinds that there are
    make: Any = SYSTEMS[config.network].task
    return make.load(config) if data is None else make(config, data)  # type: ignore[no-any-return]


def check_measures(model: Model, parts: Sequence[str]) -> None:
    """Refuse an evaluation of what a model does not do.

    Raises:
        ModelError: one of the parts cannot be measured of this kind of network.
    """
    able = SYSTEMS[model.kind].measures
    if set(parts) <= set(able):
        return
    choice = f"choose from {', '.join(able)}" if able else "nothing can be measured"
    raise ModelError(
        f"{model.name} is a {model.kind} model, of which not all of {', '.join(parts)} "
        f"can be measured: {choice}"
    )


def writer_of(model: Model, precision: str = "float32") -> Writer:
    """What writes texts with a model.

    Args:
        model: of a kind that reads text.
        precision: of its weights: see `write`.

    Raises:
        ModelError: the model reads no text.
    """
    make = SYSTEMS[model.kind].writer
    if make is None:
        able = [kind for kind, system in SYSTEMS.items() if system.writer]
        raise ModelError(
            f"{model.name} is a {model.kind} model, which cannot write text: choose a "
            f"model of the kind {' or '.join(able)}"
        )
    return make(model, precision)


def save_sheets(folder: str | Path) -> Callable[[Progress, Model], None]:
    """A function that draws samples at each validation, for `train`'s `on_validation`.

    Args:
        folder: of the training run; the sheets are `sheets/STEP.png` in it.
    """

    def save(progress: Progress, model: Model) -> None:
        sample = SYSTEMS[model.kind].sample
        if sample is None:
            return
        file = Path(folder) / "sheets" / f"{progress.step:07d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            to_png(sample(model), file, unit=1.0, resolution=1.0)
        except HandwritingError as error:  # no reason to end a training
            log.warning("no samples at step %d: %s", progress.step, error)

    return save


def exporter_of(model: Model, engine: str) -> Callable[..., None]:
    """What writes a model to a file for another engine.

    Args:
        model: any.
        engine: `"browser"` or `"onnx"`.

    Raises:
        ModelError: there is no such engine, or it does not run this kind of network.
    """
    exporters = SYSTEMS[model.kind].exporters
    if engine not in exporters:
        able = [kind for kind, system in SYSTEMS.items() if engine in system.exporters]
        made = f"made for the kind {' or '.join(able)}" if able else "unknown"
        raise ModelError(
            f"{model.name} is a {model.kind} model: the {engine} export is {made}"
        )
    return exporters[engine]


def train(
    config: TrainingConfig,
    data: Any,
    folder: str | Path,
    *,
    minutes: float | None = None,
    resume: bool = False,
    device: torch.device | str = "cpu",
    quiet: bool = False,
    on_step: Callable[[Progress], None] | None = None,
    on_validation: Callable[[Progress, Model], None] | None = None,
) -> Model:
    """Train a network of any kind; see `training.loop.fit` for the other arguments.

    Args:
        config: what to train and how.
        data: prepared for its task: as `prepare_data` gives it, for networks over ink;
            as `load_text` gives it, for networks over characters.
        folder: gets the checkpoint, the models and the log.
        minutes: stop after so many, at a step that `resume` continues from.
        resume: continue from the checkpoint in the folder.
        device: where to train.
        quiet: show no progress bar.
        on_step: called after each step.
        on_validation: called after each validation; see `save_sheets`.

    Returns:
        The model as it is at the end.
    """
    return fit(
        task_of(config, data),
        folder,
        minutes=minutes,
        resume=resume,
        device=device,
        quiet=quiet,
        on_step=on_step,
        on_validation=on_validation,
    )


@renamed_arguments(weights="precision")
def write(
    texts: str | Sequence[str],
    model: Model | str | Path | None = None,
    *,
    style: Style | Sample | Sequence[Sample] | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    samples: int = 1,
    seed: int = 1,
    redraws: int = 10,
    positions: Sequence[int] | None = None,
    keep_output: bool = False,
    ascii: bool = False,
    precision: str = "float32",
) -> list[Line]:
    """Write texts by hand.

    Args:
        texts: one text or several, of printable ASCII, up to 256 characters each.
        model: one that reads text, or the name of one that comes with the library, or
            the path of its file; None takes the one that the style was made with, or
            the default of the library.
        style: the hand: a `Style`, the name of one that comes with the model
            (`style_names`), or the path of a file. None takes the hand `birch` if it
            comes with the model; `"any"` gives each line a hand of its own, which is
            also what a model without hands does. A cursive model takes one word of a
            writer, or several: `Sample`s that are not thinned.
        bias: 0 writes as people do, 1 and more neatly; section 5.4 of the paper. At the
            default, fewer than 2 in 100 lines of 12 to 40 characters cannot be read.
        temperature: below 1 more alike, above 1 more varied.
        samples: lines per text.
        seed: with the position of a line and the number of its draw, it decides the
            line's randomness.
        redraws: how often an incomplete line may be drawn again.
        positions: one per line, to write a line again that was written in another
            batch; None numbers the lines from 0.
        keep_output: keep the raw output at each point, for figures.
        ascii: fold accented letters and signs to ASCII. Typographic quotes, dashes and
            invisible characters are folded in any case, and spaces at the ends and
            repeated spaces are dropped; `Line.replaced` says what was replaced.
        precision: `"int8"` rounds most weights to a byte each, which is faster on a CPU
            with AVX-512 VNNI and writes other lines: see `StepWeights`.

    Returns:
        `len(texts) * samples` lines, texts in order and samples within them.

    Raises:
        ValueError: an empty text, a text that is too long or has characters that the
            model lacks, an argument out of its range, or a style of another model; the
            message names it.
        FileNotFoundError: there is no such model or style file.
        KeyboardInterrupt: Ctrl-C was pressed. The exception has the lines that were
            finished (`writing.lines.Interrupted`).

    Example:
        >>> line = write("hi", seed=3)[0]
        >>> line.ink.shape[1], line.phi.shape[1]
        (3, 3)
    """
    return write_lines(
        texts,
        writer_of(model_of(style) if model is None else find_model(model), precision),
        style=style,
        bias=bias,
        temperature=temperature,
        samples=samples,
        seed=seed,
        redraws=redraws,
        positions=positions,
        keep_output=keep_output,
        ascii=ascii,
    )
