"""The systems of the library: what each kind of network needs to be put to use.

A system is a kind of network (`networks.NETWORKS`) with the task that trains it, the
writer that writes with it, and the exporters that other engines read. A new system is
a line in `NETWORKS` and one in `SYSTEMS`; whatever is asked of a model that its system
cannot do is refused here, by name.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ._deprecation import renamed_arguments
from .drawing.png import to_png
from .errors import HandwritingError, InputError, MissingFileError
from .files.browser import export_browser
from .files.models import Model, ModelError, find_model
from .files.onnx import export_onnx
from .ink import Sample
from .networks import network_class
from .training.config import TrainingConfig
from .training.cursive import CursiveTask
from .training.glyph import GlyphTask
from .training.ink import InkTask
from .training.loop import Progress, fit
from .training.task import Task
from .training.text import TextTask
from .writing import dataset, pages
from .writing.cursive import CursiveWriter
from .writing.dataset import Written
from .writing.glyphs import glyph_sheet
from .writing.lines import Line, Writer, write_lines
from .writing.pages import Page, page_from_json
from .writing.paper import page_layout
from .writing.sampling import MixtureWriter, write_unconditional
from .writing.styles import Style, model_called, model_of, style_names

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
        sheet: draws what a model writes to a PNG file; None for a kind that writes
            nothing that can be drawn.
    """

    task: Callable[..., Task]
    writer: Callable[[Model, str], Writer] | None = None
    exporters: Mapping[str, Callable[..., None]] = field(default_factory=dict)
    measures: tuple[str, ...] = ()
    sheet: Callable[[Model, Path], None] | None = None


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


def _sheet_of(lines: Callable[[Model], list[Tensor]]) -> Callable[[Model, Path], None]:
    """What draws lines of ink, as a `System` wants it."""

    def draw(model: Model, file: Path) -> None:
        to_png(lines(model), file, unit=1.0, resolution=1.0)

    return draw


SYSTEMS: dict[str, System] = {
    "feedforward": System(InkTask, measures=("likelihood",), sheet=_sheet_of(_free)),
    "recurrent": System(InkTask, measures=("likelihood",), sheet=_sheet_of(_free)),
    "prediction": System(InkTask, measures=("likelihood",), sheet=_sheet_of(_free)),
    "synthesis": System(
        InkTask,
        MixtureWriter,
        {"browser": export_browser, "onnx": export_onnx},
        MEASURES,
        _sheet_of(_written),
    ),
    "character": System(TextTask, exporters={"browser": export_browser}),
    "character-lstm": System(TextTask),
    "cursive": System(CursiveTask, CursiveWriter, sheet=_sheet_of(_written)),
    "glyph": System(GlyphTask, sheet=glyph_sheet),
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
        sheet = SYSTEMS[model.kind].sheet
        if sheet is None:
            return
        file = Path(folder) / "sheets" / f"{progress.step:07d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            sheet(model, file)
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
            as `load_text` gives it, for networks over characters; as `load_outlines`
            gives it, for those over outlines.
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


def write_dataset(
    texts: Iterable[str],
    folder: str | Path,
    model: Model | str | Path | None = None,
    *,
    style: Style | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    seed: int = 1,
    redraws: int = 10,
    vary: bool = False,
    svg: bool = False,
    ink: bool = False,
    ascii: bool = False,
    precision: str = "float32",
    quiet: bool = False,
) -> Written:
    """Write a data set of lines: a picture and a row of labels each.

    `datasets.load_dataset("imagefolder", data_dir=folder)` reads it; see
    `writing.dataset` for what the rows say. A run that was interrupted goes on when it
    is repeated with the same texts and arguments. Under `torchrun` each process writes
    its share.

    Args:
        texts: the texts, one line each, which are read as they are needed. Blank ones
            are left out, and so are those that cannot be written, which are counted.
        folder: where to write: a new or empty folder, or a set that is to go on.
        model, style, bias, temperature, seed, redraws, ascii, precision: as for
            `write`. A line's ink depends on the seed and its number.
        vary: choose hand, bias, slant, size, pen, ink and paper of each line by the
            seed. A `style` that is given stays.
        svg: write an SVG of each line as well.
        ink: put the points of each line into its row as well, under `"strokes"`.
        quiet: show no progress bar.

    Returns:
        What this run has done: `Written`.

    Raises:
        DatasetError: the folder holds other files, or another set, or cannot be
            written.
        ValueError: as for `write`, except for texts.

    Example:
        >>> import json, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = write_dataset(["hi"], folder, quiet=True)
        ...     rows = (Path(folder) / "00000/metadata.jsonl").read_text()
        >>> done.lines, json.loads(rows)["words"][0]["text"]
        (1, 'hi')
    """
    found = model_of(style) if model is None else find_model(model)
    hands = style_names(found) if vary and style is None else []
    return dataset.write_dataset(
        texts,
        folder,
        writer_of(found, precision),
        style=style,
        bias=bias,
        temperature=temperature,
        seed=seed,
        redraws=redraws,
        vary=vary,
        hands=hands,
        svg=svg,
        ink=ink,
        ascii=ascii,
        quiet=quiet,
    )


def write_page(
    text: str,
    model: Model | str | Path | None = None,
    *,
    paper: str | tuple[float, float] = "a4",
    margin: float | str = 20.0,
    width: float | str | None = None,
    size: float | str = 2.5,
    line_spacing: float | str = "3.2ex",
    indent: float | str = 0.0,
    wrap: str = "greedy",
    style: Style | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    seed: int = 1,
    redraws: int = 10,
    ascii: bool = False,
    precision: str = "float32",
    page: Page | None = None,
    on_batch: Callable[[Page], None] | None = None,
) -> Page:
    """Write a text of any length by hand, wrapped to lines on sheets of paper.

    Lengths are in millimetres, or strings with a unit: `"17cm"`, or `"60ex"` for 60
    letter bodies.

    Args:
        text: paragraphs, with a blank line between them; other line ends are kept too.
        model: as in `write`.
        paper: `"a4"`, `"letter"` or another format, `"WxH"` in millimetres, or a pair.
        margin: margin on all sides.
        width: longest line; None takes what the margins leave. A word that is longer
            has a line of its own and is among `Page.problems`.
        size: height of the letter x.
        line_spacing: distance between two baselines.
        indent: of the first line of each paragraph.
        wrap: `"greedy"` fills each line, as people do; `"balanced"` makes the lines of
            a paragraph about equally long.
        style: the hand of the whole page, as in `write`. `"any"` makes one up, which
            the seed decides.
        bias: as in `write`.
        temperature: as in `write`.
        seed: as in `write`.
        redraws: how often a piece of the text may be drawn again if it is incomplete;
            one that stays so is among `Page.problems`.
        ascii: as in `write`; `Page.replaced` says what was replaced.
        precision: as in `write`.
        page: an unfinished one of the same text to go on with.
        on_batch: called with the page as far as it is finished, after each batch.

    Returns:
        The page: its lines, its words with their points, and its sheets.

    Raises:
        ValueError: a text, a length or another argument that cannot be used; the
            message names it.
        FileNotFoundError: there is no such model or style file.
        KeyboardInterrupt: Ctrl-C was pressed. The exception has the page as far as it
            is finished (`writing.pages.PageInterrupted`).

    Example:
        >>> page = write_page("Dear Ann,\\n\\nit is late.", "unipen-256", width="8ex")
        >>> [line.text for line in page.lines]
        ['Dear', 'Ann,', 'it is', 'late.']
    """
    layout = page_layout(
        paper=paper, margin=margin, width=width, size=size, line_spacing=line_spacing,
        indent=indent, wrap=wrap,
    )  # fmt: skip
    if page is not None and page.writer is not None and model is None:
        writer = page.writer
        if precision != "float32":
            writer = writer_of(page.writer.model, precision)
    else:
        writer = writer_of(
            model_of(style) if model is None else find_model(model), precision
        )
    return pages.write_page(
        text,
        writer,
        layout=layout,
        style=style,
        bias=bias,
        temperature=temperature,
        seed=seed,
        redraws=redraws,
        ascii=ascii,
        page=page,
        on_batch=on_batch,
    )


def load_page(
    path: str | Path,
    model: Model | str | Path | None = None,
    *,
    style: Style | str | Path | None = None,
    precision: str = "float32",
) -> Page:
    """Read a page that `handwriting write --page FILE --json PATH` saved.

    Args:
        path: the JSON file, which holds what `Page.to_json` gives.
        model: the model that wrote it; None finds it among those that come with the
            library.
        style: the hand it is written in; None finds it by the name in the file.
        precision: as in `write`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no page, or the model or the style is not that of the page.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"there is no page {path}")
    try:
        page = page_from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except (ValueError, RecursionError):
        raise InputError(
            f"{path} is no page that write_page made, or it is damaged"
        ) from None
    if model is None:
        model = model_called(page.manner.model)
    return page.written_by(writer_of(find_model(model), precision), style)
