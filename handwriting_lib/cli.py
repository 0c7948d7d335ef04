"""The command line: `handwriting`, or `python -m handwriting_lib`.

Each command calls what the chapters of the book build: `corpus` chapter 1, `train`
chapter 10, `write` chapters 10 to 12, `evaluate` chapters 10 to 12, `style` chapter 12
(Graves 2013, section 5) and `compose` chapter 13; `font` draws type. Bad input prints
one sentence on standard error and exits with status 2, without a traceback, because the
library's own errors already name the file or the value and say what would be right.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .errors import InputError

OUT_OF_MEMORY = (
    "out of memory: write fewer lines at a time, train with a smaller "
    "points_per_batch, or choose another --device"
)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, which torch says in words alone on a CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "can't allocate memory" in str(error)


class UsageError(InputError):
    """Command-line arguments that cannot be used, alone or together."""


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()  # "meta" makes tensors without numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"the device {name!r} cannot be used: {reason}") from None
    return name


def _content(name: str) -> str:
    """The text of a file, or of standard input for "-"."""
    try:
        return (
            sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        ).decode("utf-8-sig")  # without the mark that some editors put first
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}") from None


def _texts(arguments: argparse.Namespace) -> list[str]:
    if bool(arguments.text) == bool(arguments.texts_file):
        raise UsageError(
            "give the texts to write either as arguments or with --texts-file, not both"
        )
    if not arguments.texts_file:
        return list(arguments.text)
    name = arguments.texts_file
    texts = [line for line in _content(name).splitlines() if line.strip()]
    if not texts:
        raise UsageError(f"{name} contains no text: give one text per line")
    return texts


# Suffixes that each option of `write` takes.
SUFFIXES = {
    "out": (".svg", ".png", ".pdf"),
    "json": (".json",),
    "gif": (".gif",),
    "video": (".mp4", ".mov", ".webm"),
}


def _check_suffixes(arguments: argparse.Namespace) -> None:
    """Refuse output files whose suffix does not fit the option."""
    for option, suffixes in SUFFIXES.items():
        file = getattr(arguments, option)
        if file and Path(file).suffix.lower() not in suffixes:
            raise UsageError(
                f"--{option} must end in {' or '.join(suffixes)}, not {file!r}"
            )


def _check_folders(*files: str | None) -> None:
    """Refuse output files whose folders are missing, before any work is done."""
    from .atomic import check_folder

    for file in files:
        if file:
            check_folder(file)


def _color(name: str, option: str) -> str | None:
    """A colour that every kind of picture knows, from a name; None for `none`."""
    from matplotlib.colors import is_color_like, to_hex

    none = name.lower() == "none"
    if none and option == "--background":
        return None
    if none or not is_color_like(name):
        raise UsageError(
            f"{option} must be a colour such as black, navy or #1a2b3c, not {name!r}"
        )
    return to_hex(name)


def _look(arguments: argparse.Namespace) -> dict[str, Any]:
    """How pictures are to look, for each of the functions that draw one."""
    look: dict[str, Any] = {
        "line_width": arguments.line_width,
        "ruled": arguments.ruled,
        "variable_width": arguments.variable_width,
    }
    for name in ("color", "background"):
        given = getattr(arguments, name)
        if given is not None:
            look[name] = _color(given, f"--{name}")
    return look


def _check_look(arguments: argparse.Namespace) -> None:
    """Refuse sizes and colours that cannot be, before any line is written."""
    from .drawing.animation import find_ffmpeg
    from .drawing.sheet import check_dpi, parse_length, parse_paper

    if arguments.line_width:
        parse_length(arguments.line_width, "--line-width")
    if arguments.width and not arguments.page:
        parse_length(arguments.width, "--width")
    if arguments.paper:
        parse_paper(arguments.paper)
    if arguments.dpi is not None:
        check_dpi(arguments.dpi, "--dpi")
    if arguments.layers and not (arguments.out or "x.svg").lower().endswith(".svg"):
        raise UsageError("--layers is for SVG alone: let --out end in .svg")
    if arguments.video:
        find_ffmpeg()
    _look(arguments)


def _draw(arguments: argparse.Namespace, written: Any, **size: Any) -> None:
    """Draw what was written in all the pictures that were asked for.

    Args:
        arguments: those of the command.
        written: whatever `save` takes.
        size: options of `save` that say how large to draw it.
    """
    from .drawing.animation import write_gif, write_video
    from .drawing.layout import lay_out_sheets
    from .drawing.picture import save
    from .drawing.svg import to_svg

    look = _look(arguments)
    line_width = look.pop("line_width")
    sheets: Any = lay_out_sheets(written, line_width=line_width, **size)
    dpi = {} if arguments.dpi is None else {"dpi": arguments.dpi}
    if arguments.out:
        files = save(sheets, arguments.out, layers=arguments.layers, **look, **dpi)
        if len(files) > 1:
            logging.info("drawn in %d files: %s to %s", len(files), files[0], files[-1])
    moving = dict(look)
    if moving.get("background", "") is None:
        del moving["background"]  # a GIF and a video have one in any case
    if arguments.gif:
        write_gif(sheets, arguments.gif, **moving, **dpi)
    if arguments.video:
        write_video(sheets, arguments.video, **moving, **dpi)
    if not (arguments.out or arguments.json or arguments.gif or arguments.video):
        for sheet in sheets:
            sys.stdout.write(to_svg(sheet, layers=arguments.layers, **look) + "\n")
        if len(sheets) > 1:
            logging.info("%d sheets; --out writes a file for each", len(sheets))


def _say_skipped(corpus: Any) -> None:
    """Say what the reader of a corpus left out, and why."""
    for reason, count in corpus.skipped.items():
        logging.info("the reader left out %d samples: %s", count, reason)


def _check_number(arguments: argparse.Namespace, lines: int, paper: str | None) -> None:
    """Refuse more than the pictures hold, before any of it is written.

    With --json the lines are of use without a picture, so that this is a warning.

    Args:
        arguments: those of the command.
        lines: number of lines that are stacked where there is no paper.
        paper: as in `save`.
    """
    from .drawing.layout import MAX_MOVING_PIXELS, check_number, check_sides
    from .drawing.png import RESOLUTION
    from .drawing.sheet import PER_INCH, parse_paper

    png = arguments.out and arguments.out.lower().endswith(".png")
    inch = PER_INCH["px"]
    dpi = arguments.dpi or RESOLUTION * inch
    moving = arguments.dpi or inch
    try:
        if paper:
            inches = [side / PER_INCH["mm"] for side in parse_paper(paper)]
            if png:
                check_sides(inches[0] * dpi, inches[1] * dpi, "PNG")
            if arguments.gif or arguments.video:
                sides = (inches[0] * moving, inches[1] * moving)
                check_sides(*sides, "GIF or video", MAX_MOVING_PIXELS)
        elif not arguments.width:
            if png:
                check_number(lines, "PNG", dpi / inch)
            if arguments.gif or arguments.video:
                check_number(lines, "GIF or video", moving / inch)
    except InputError as error:
        if not arguments.json:
            raise
        logging.warning("%s; the ink will be in %s", error, arguments.json)


LEISURE = 20  # saving an unfinished page takes at most a part in so many of the time
# What lays out a page, beside the text, and what pictures of lines and pages look like.
PAGE_OPTIONS = ("margin", "size", "line_spacing", "indent", "wrap")
LOOK_OPTIONS = (
    "paper", "width", "line_width", "color", "background", "ruled", "variable_width",
    "layers", "dpi",
)  # fmt: skip


def _option(name: str) -> str:
    """An option as it is typed."""
    return "--" + name.replace("_", "-")


def _model(arguments: argparse.Namespace) -> Any:
    """The model that --model names, or the one that the style was made with."""
    from .files.models import find_model
    from .writing.styles import model_of

    device = _device(arguments.device)
    if arguments.model is None:
        return model_of(arguments.style, device)
    return find_model(arguments.model, device)


def _say_replaced(replaced: Mapping[str, str]) -> None:
    if replaced:
        listed = ", ".join(f"{old!r} by {new!r}" for old, new in replaced.items())
        logging.info("replaced in the texts: %s", listed)


def _write_page(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from .atomic import write_whole
    from .systems import load_page, write_page
    from .writing.pages import OtherPageError, Page, PageInterrupted

    if arguments.text or arguments.texts_file or arguments.samples != 1:
        raise UsageError(
            "--page takes its text from one file and writes it once: leave out TEXT, "
            "--texts-file and --samples"
        )
    text = _content(arguments.page)
    _check_suffixes(arguments)
    _check_folders(arguments.out, arguments.json, arguments.gif, arguments.video)
    _check_look(arguments)
    _check_number(arguments, 1, arguments.paper or "a4")
    model = _model(arguments)
    options = (*PAGE_OPTIONS, "paper", "width")
    chosen = {name: getattr(arguments, name) for name in options}
    given = {name: value for name, value in chosen.items() if value is not None}

    due = 0.0

    def finished(page: Page, at_once: bool = False) -> None:
        """Keep what is finished, so that a later call continues it."""
        nonlocal due
        bar.update(len(page.words) - bar.n)
        began = time.monotonic()
        if arguments.json and (at_once or began >= due):
            write_whole(arguments.json, f"{json.dumps(page.to_json())}\n".encode())
            now = time.monotonic()
            due = now + LEISURE * (now - began)

    def written(begun: Page | None) -> Page:
        return write_page(
            text,
            model,
            **given,
            style=arguments.style,
            bias=arguments.bias,
            temperature=arguments.temperature,
            seed=arguments.seed,
            redraws=arguments.redraws,
            ascii=arguments.ascii,
            precision=arguments.precision,
            page=begun,
            on_batch=finished,
        )

    begun = interrupted = None
    if arguments.json and Path(arguments.json).is_file():
        try:
            begun = load_page(
                arguments.json, model, style=arguments.style,
                precision=arguments.precision,
            )  # fmt: skip
        except InputError as error:
            logging.warning("%s is written anew: %s", arguments.json, error)
    with tqdm(total=len(text.split()), unit="word", delay=1) as bar:
        try:
            try:
                page = written(begun)
            except OtherPageError as error:
                logging.warning("%s is written anew: %s", arguments.json, error)
                page = written(None)
        except PageInterrupted as stop:
            if not stop.page.words:
                raise
            page, interrupted = stop.page, stop
        finished(page, at_once=True)
    _draw(arguments, page)
    _say_replaced(page.replaced)
    for problem in page.problems:
        logging.warning("%s", problem)
    if interrupted:
        raise interrupted


def _lines_of(name: str, samples: int) -> Iterator[str]:
    """The lines of a file of texts one by one, each as often as it is written."""
    try:
        with contextlib.ExitStack() as stack:
            if name == "-":
                file: Any = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig")
            else:
                file = stack.enter_context(open(name, encoding="utf-8-sig"))
            for text in file:
                for _ in range(samples):
                    yield text.rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}") from None


def _write_dataset(arguments: argparse.Namespace) -> None:
    from .systems import write_dataset

    if arguments.text or not arguments.texts_file:
        raise UsageError(
            "--dataset writes the texts of a file: give it as --texts-file"
        )
    for name in ("out", "json", "gif", "video", "page", *LOOK_OPTIONS, *PAGE_OPTIONS):
        if getattr(arguments, name):
            raise UsageError(
                "--dataset writes a picture and a row of labels per line, in a look "
                f"that it chooses: leave out {_option(name)}, and add --svg or --ink "
                "for more"
            )
    if arguments.samples < 1:
        raise UsageError(f"samples must be at least 1, not {arguments.samples}")
    source = arguments.texts_file
    if source != "-" and not Path(source).is_file():
        raise UsageError(f"{source} cannot be read: there is no such file")
    done = write_dataset(
        _lines_of(arguments.texts_file, arguments.samples),
        arguments.dataset,
        _model(arguments),
        style=arguments.style,
        bias=arguments.bias,
        temperature=arguments.temperature,
        seed=arguments.seed,
        redraws=arguments.redraws,
        vary=arguments.vary,
        svg=arguments.svg,
        ink=arguments.ink,
        ascii=arguments.ascii,
        precision=arguments.precision,
    )
    for reason, count in done.left_out.items():
        logging.warning("left out %d texts: %s", count, reason)
    logging.info(
        "wrote %d lines in %.1f s, %.1f a second (pictures and files took %.1f s); %d "
        "were there before, and %d of the new ones are incomplete",
        done.lines, done.seconds, done.lines / max(done.seconds, 1e-9), done.drawing,
        done.before, done.incomplete,
    )  # fmt: skip


def _write(arguments: argparse.Namespace) -> None:
    if arguments.dataset:
        _write_dataset(arguments)
        return
    for name in ("vary", "svg", "ink"):
        if getattr(arguments, name):
            raise UsageError(f"--{name} is for data sets: give the folder as --dataset")
    if arguments.page:
        _write_page(arguments)
        return
    for name in PAGE_OPTIONS:  # the others are for lines as well
        if getattr(arguments, name) is not None:
            raise UsageError(
                f"{_option(name)} lays out a page: give its text with --page"
            )
    _write_lines(arguments)


def _write_lines(arguments: argparse.Namespace) -> None:
    from .atomic import write_whole
    from .systems import writer_of
    from .writing.lines import Interrupted, write_lines

    texts = _texts(arguments)
    _check_suffixes(arguments)
    _check_folders(arguments.out, arguments.json, arguments.gif, arguments.video)
    _check_look(arguments)
    _check_number(arguments, len(texts) * arguments.samples, arguments.paper)
    model = _model(arguments)
    interrupted = None
    try:
        lines = write_lines(
            texts,
            writer_of(model, arguments.precision),
            style=arguments.style,
            bias=arguments.bias,
            temperature=arguments.temperature,
            samples=arguments.samples,
            seed=arguments.seed,
            redraws=arguments.redraws,
            ascii=arguments.ascii,
        )
    except Interrupted as stop:
        if not stop.lines:
            raise
        lines, interrupted = stop.lines, stop
    inks = [line.ink for line in lines]
    # The ink first: a picture may fail, and no line is to be lost with it.
    if arguments.json:
        listed = json.dumps([line.to_json() for line in lines])
        write_whole(arguments.json, f"{listed}\n".encode())
    _draw(arguments, inks, unit=1.0, width=arguments.width, paper=arguments.paper)
    replaced = {old: new for line in lines for old, new in line.replaced.items()}
    _say_replaced(replaced)
    for line in lines:
        if not line.complete:
            logging.warning(
                "%r, sample %d, is incomplete after %d draws: %s",
                line.text, line.sample, line.draws, line.problem,
            )  # fmt: skip
    if interrupted:
        raise interrupted


def _compose(arguments: argparse.Namespace) -> None:
    from .files.models import find_model
    from .writing.compose import compose

    text = compose(
        arguments.prompt,
        find_model(arguments.model, _device(arguments.device)),
        characters=arguments.characters,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        sentence=arguments.sentence,
        hand=arguments.hand,
    )
    sys.stdout.buffer.write(f"{text}\n".encode())


def _font(arguments: argparse.Namespace) -> None:
    from .drawing.outlines import save_outlines
    from .files.fonts import save_font
    from .files.models import find_model
    from .writing.glyphs import draw_font

    _check_folders(arguments.out, arguments.sheet)
    for option, suffixes in (("out", (".ttf",)), ("sheet", (".svg", ".png"))):
        file = getattr(arguments, option)
        if file and Path(file).suffix.lower() not in suffixes:
            raise UsageError(
                f"--{option} must end in {' or '.join(suffixes)}, not {file!r}"
            )
    model = find_model(arguments.model, _device(arguments.device))
    outlines = draw_font(
        model,
        style=arguments.style,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        seed=arguments.seed,
    )
    families = len(model.about.get("families", ()))
    trained = f", trained on the outlines of {families} families" if families else ""
    save_font(
        outlines,
        arguments.out,
        family=arguments.family or Path(arguments.out).stem[:31],
        style=arguments.style,
        description=f"Drawn by handwriting_lib {__version__} with the glyph decoder "
        f"{model.name}{trained} (style {arguments.style}, temperature "
        f"{arguments.temperature:g}, seed {arguments.seed}).",
    )
    if arguments.sheet:
        listed = list(outlines.values())
        rows = [listed[i : i + 18] for i in range(0, len(listed), 18)]
        save_outlines(rows, arguments.sheet, title="".join(outlines))
    logging.info("drew %d glyphs; their licence is yours to choose", len(outlines))


INK_OPTIONS = ("pen", "y", "offsets", "units")


def _add_ink_options(parser: argparse.ArgumentParser) -> None:
    """What a file of ink may not say; where it is left out, the content decides."""
    group = parser.add_argument_group("what a file of ink does not say")
    group.add_argument(
        "--pen", choices=["down", "end_of_stroke"],
        help="meaning of 1 in a pen column: the pen draws, or a stroke ends",
    )  # fmt: skip
    group.add_argument(
        "--y", choices=["down", "up"], help="direction in which y points"
    )
    group.add_argument(
        "--offsets", action=argparse.BooleanOptionalAction,
        help="x and y are offsets from the point before, or positions",
    )  # fmt: skip
    group.add_argument(
        "--units", metavar="UNIT,...",
        help="unit of the time stamps (s, ms or us), of the coordinates (px, pt, mm, "
        "cm, in, himetric or dev), or both, such as mm,ms",
    )  # fmt: skip


def _ink_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `_add_ink_options` that were given."""
    given = {name: getattr(arguments, name) for name in INK_OPTIONS}
    return {name: value for name, value in given.items() if value is not None}


def _train(arguments: argparse.Namespace) -> None:
    from .files.models import load_model
    from .systems import save_sheets, task_of
    from .training.config import read_config
    from .training.loop import check_folder, fit

    for name in ("steps", "minutes"):
        number = getattr(arguments, name)
        if number is not None and number <= 0:
            raise UsageError(f"--{name} must be above 0, not {number}")
    config = read_config(arguments.config)
    changes: dict[str, Any] = {}
    if arguments.corpus:
        changes["corpus"] = arguments.corpus
    if options := _ink_options(arguments):
        changes["corpus_options"] = {**config.corpus_options, **options}
    if arguments.steps:
        changes["recipe"] = dataclasses.replace(config.recipe, steps=arguments.steps)
    config = dataclasses.replace(config, **changes)
    folder = arguments.out or Path("runs") / Path(arguments.config).stem
    check_folder(folder, arguments.resume)  # before the corpus is read
    sheets, board = save_sheets(folder), None
    if arguments.tensorboard:
        from .training.board import Board

        board = Board(folder)

    def on_validation(progress: Any, model: Any) -> None:
        sheets(progress, model)
        if board is not None:
            board.on_validation(progress, model)

    model = fit(
        task_of(config),
        folder,
        minutes=arguments.minutes,
        resume=arguments.resume,
        device=_device(arguments.device),
        on_step=board.on_step if board else None,
        on_validation=on_validation,
    )
    logging.info(
        "trained for %d of %d updates; the model is in %s",
        model.about["steps"], config.recipe.steps, folder / "model.safetensors",
    )  # fmt: skip
    best = folder / "best.safetensors"
    if (
        best.exists()
        and (step := load_model(best).about["steps"]) < model.about["steps"]
    ):
        logging.info(
            "the best one in validation, after %d updates, is in %s", step, best
        )


def _evaluate(arguments: argparse.Namespace) -> None:
    from .atomic import write_whole
    from .corpora import load_corpus
    from .evaluation.report import PARTS, EvaluationSettings, evaluate, to_table
    from .files.models import find_model

    parts = [part.strip() for part in (arguments.only or ",".join(PARTS)).split(",")]
    _check_folders(arguments.json)
    model = find_model(arguments.model, _device(arguments.device))
    config = model.about.get("config", {})
    source = arguments.corpus or config.get("corpus", "unipen")
    # the reader's options for the training corpus mean nothing to another corpus
    kind = Path(source.partition(":")[0]).name
    told = config if config.get("corpus") == kind else {}
    options = _ink_options(arguments)
    corpus = load_corpus(source, **{**told.get("corpus_options", {}), **options})
    _say_skipped(corpus)
    listed = told.get("validation_options")
    held_out = load_corpus(source, **{**listed, **options}) if listed else None
    names = [field.name for field in dataclasses.fields(EvaluationSettings)]
    chosen = {n: getattr(arguments, n) for n in names if hasattr(arguments, n)}
    settings = EvaluationSettings(**chosen)
    report = evaluate(model, corpus, settings, parts, held_out)
    print(to_table(report))
    if arguments.json:
        where = f"{kind}:PATH" if ":" in source else kind
        command = ["handwriting", "evaluate", "--model", model.name, "--corpus", where]
        for name, value in chosen.items():
            if value is not None:
                shown = Path(value).stem if name == "style" else value
                command += [f"--{name}", f"{shown}"]
        for name, value in options.items():
            no = name == "offsets" and not value
            command += [f"--{'no-' if no else ''}{name}"]
            command += [] if name == "offsets" else [value]
        if arguments.only:
            command += ["--only", ",".join(parts)]
        content = json.dumps({"command": " ".join(command), **report}, indent=1)
        write_whole(arguments.json, f"{content}\n".encode())


def _style(arguments: argparse.Namespace) -> None:
    from .corpora import load_corpus
    from .data.transforms import scale_by_writer
    from .files.models import find_model
    from .writing.styles import make_hands, make_style, read_hands, save_style

    model = find_model(arguments.model)
    if arguments.hands:
        if arguments.text:
            raise UsageError(
                "--text cannot be used with --hands, whose list already gives the text "
                "of each style: leave --text out"
            )
        hands = read_hands(arguments.hands)
        corpus = load_corpus(arguments.source, **_ink_options(arguments))
        folder = Path(arguments.save)
        folder.mkdir(parents=True, exist_ok=True)
        for style in make_hands(hands, corpus.samples, model):
            save_style(style, folder / f"{style.name}.safetensors")
        return
    corpus = load_corpus(arguments.source, **_ink_options(arguments))
    _say_skipped(corpus)
    samples = scale_by_writer(corpus.samples)
    texts = list(dict.fromkeys(s.text for s in samples if s.text))
    text = arguments.text or (texts[0] if len(texts) == 1 else None)
    chosen = [s for s in samples if s.text == text]
    if text and not chosen and len(samples) == 1 and not texts:
        chosen = [samples[0].replace(text=text)]
    if not chosen and not texts and samples:
        raise UsageError(
            f"{arguments.source} does not say what its ink spells: give the text of a "
            "file with one line of ink with --text"
        )
    if not chosen:
        listed = ", ".join(repr(t) for t in texts[:8]) or "no readable text"
        more = ", ..." if len(texts) > 8 else ""
        raise UsageError(
            f"choose the text of the ink with --text: {arguments.source} contains "
            f"{listed}{more}"
        )
    style = make_style(model, chosen[-1], Path(arguments.save).stem)
    save_style(style, arguments.save)


def _export(arguments: argparse.Namespace) -> None:
    from .files.models import find_model
    from .systems import exporter_of

    _check_folders(arguments.browser, arguments.onnx)
    model = find_model(arguments.model)
    if arguments.browser:
        export = exporter_of(model, "browser")
        export(model, arguments.browser, arguments.precision or "half")
        return
    if arguments.precision:
        raise UsageError(
            "--precision is for --browser alone, because an ONNX step is always in "
            "float32: leave it out"
        )
    exporter_of(model, "onnx")(model, arguments.onnx)


def _font_info(arguments: argparse.Namespace) -> None:
    """Describe fonts, as `corpus info` does with `fonts:PATH`."""
    from .corpora.outlines import load_outlines
    from .drawing.outlines import save_outlines
    from .outline import SPECIMEN, STYLES

    if _ink_options(arguments):
        raise UsageError(
            "fonts hold no ink: leave out --pen, --y, --offsets and --units"
        )
    if arguments.sheet:
        _check_folders(arguments.sheet)
    corpus = load_outlines(arguments.source)
    held_out = {font.family for font in corpus.split().validation}
    print(corpus.name)
    print(
        f"{'style':<12}{'fonts':>9}{'families':>10}{'held out':>10}{'glyphs':>9}"
        f"{'points/glyph':>14}"
    )
    for style in STYLES:
        fonts = [font for font in corpus.fonts if font.style == style]
        if not fonts:
            continue
        sizes = [len(o.points) for font in fonts for o in font.glyphs.values()]
        families = {font.family for font in fonts}
        print(
            f"{style:<12}{len(fonts):>9,}{len(families):>10,}"
            f"{len(families & held_out):>10,}{len(sizes):>9,}"
            f"{sum(sizes) / len(sizes):>14.1f}"
        )
    print(f"held out: {', '.join(sorted(held_out)) or 'no family'}")
    if corpus.skipped:
        print("skipped:")
    for reason, count in corpus.skipped.items():
        print(f"{count:>12,}  {reason}")
    if arguments.sheet:
        fonts = sorted(corpus.fonts, key=lambda font: STYLES.index(font.style))
        rows = [
            [font.glyphs[c] for c in SPECIMEN if c in font.glyphs]
            for font in fonts[:: max(1, -(-len(fonts) // 40))]
        ]
        save_outlines([row for row in rows if row], arguments.sheet, size=32)


def _corpus_info(arguments: argparse.Namespace) -> None:
    if arguments.source.startswith("fonts:"):
        _font_info(arguments)
        return
    from .corpora import SOURCES, load_corpus
    from .ink import KINDS

    name = arguments.source.partition(":")[0]
    options = {"kinds": KINDS} if name == "unipen" else {}
    corpus = load_corpus(arguments.source, **options, **_ink_options(arguments))
    print(corpus.name)
    print(
        f"{'kind':<12}{'samples':>9}{'distinct':>10}{'aligned':>9}{'writers':>9}"
        f"{'characters':>12}{'points':>12}{'points/char':>13}"
    )
    for kind in KINDS:
        samples = [s for s in corpus.samples if s.kind == kind]
        if not samples:
            continue
        characters = sum(len(s.text) for s in samples)
        points = sum(len(s.ink) for s in samples)
        distinct = len({hash((s.text, s.ink.numpy().tobytes())) for s in samples})
        spelt = sum(len(s.ink) for s in samples if s.text)
        each = f"{spelt / characters:.1f}" if characters else "-"
        print(
            f"{kind:<12}{len(samples):>9,}{distinct:>10,}"
            f"{sum(s.character_of_point is not None for s in samples):>9,}"
            f"{len({s.writer for s in samples}):>9,}{characters:>12,}{points:>12,}"
            f"{each:>13}"
        )
    print(f"writers in total: {len({s.writer for s in corpus.samples}):,}")
    if untold := sum(not s.text for s in corpus.samples):
        print(
            f"samples without a text: {untold:,}; `handwriting style` takes the text "
            "of one with --text, and training needs the texts in the file"
        )
    if arguments.y is None and name not in SOURCES:
        _read_either_way_up(corpus.samples)
    if corpus.skipped:
        print("skipped:")
    for reason, count in corpus.skipped.items():
        print(f"{count:>12,}  {reason}")
    if arguments.sheet:
        _contact_sheet(corpus.samples, arguments.sheet)


def _read_either_way_up(samples: Sequence[Any], most: int = 5) -> None:
    """Say so if ink can be read only once it is turned over, and only if that helps.

    The recogniser, if it is installed, reads a few lines as they are and turned over.
    """
    import torch

    from .data.transforms import scale_by_writer
    from .errors import MissingPackageError
    from .evaluation.legibility import read_lines

    lines = [s for s in samples if len(s.text.strip()) > 2][:most]
    if not lines:
        return
    inks = [s.ink for s in scale_by_writer(lines)]
    texts = [s.text for s in lines]
    over = torch.tensor([1.0, -1.0, 1.0])
    try:
        as_is = sum(one.errors for one in read_lines(inks, texts))
        turned = sum(one.errors for one in read_lines([i * over for i in inks], texts))
    except MissingPackageError:
        return
    letters = sum(len(text) for text in texts)
    if turned < as_is - letters / 4:
        logging.warning(
            "the recogniser misreads %d of %d characters, and %d once the ink is "
            "turned over: it is upside down; give the other direction with --y",
            as_is, letters, turned,
        )  # fmt: skip


def _contact_sheet(samples: Sequence[Any], file: str, rows: int = 24) -> None:
    """Draw up to `rows` lines (any samples if there are none), one per writer first."""
    from .data.transforms import scale_by_writer
    from .drawing.picture import save

    lines = [s for s in samples if s.kind == "line"] or list(samples)
    by_writer: dict[str, Any] = {}
    for s in lines:
        by_writer.setdefault(s.writer, s)
    one_each = list(by_writer.values())
    chosen = (one_each[:: max(1, len(one_each) // rows)] + lines)[:rows]
    save([s.ink for s in scale_by_writer(chosen)], file, unit=1.0)


def _corpus_get(arguments: argparse.Namespace) -> None:
    from .corpora import unipen

    print(unipen.download(arguments.url))


def _add_old_option(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Accept the old name of an option, which the help does not show, and warn."""

    class Renamed(argparse.Action):
        def __call__(self, _: Any, namespace: Any, value: Any, __: Any = None) -> None:
            sys.stderr.write(f"handwriting: {old} is deprecated: use {new}\n")
            setattr(namespace, new.removeprefix("--"), value)

    parser.add_argument(old, action=Renamed, help=argparse.SUPPRESS)


def _add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="unipen-400",
        help="name of a model that comes with the library, or path of a model file "
        "(default: %(default)s)",
    )  # fmt: skip


def _add_device_option(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument(
        "--device", default="auto",
        help=f"device to {purpose} on, such as cpu or cuda; auto chooses cuda where it "
        "is available and cpu elsewhere (default: %(default)s)",
    )  # fmt: skip


def _add_page_options(write: argparse.ArgumentParser) -> None:
    """How a page is laid out; None leaves the default to `write_page`."""
    page = write.add_argument_group(
        "layout of a page",
        "With --page, lengths may also be in letter bodies, such as 60ex, which are as "
        "high as the letter x. --paper and --width are below.",
    )
    page.add_argument("--margin", help="margin on all sides (default: 20mm)")
    page.add_argument("--size", help="height of the letter x (default: 2.5mm)")
    page.add_argument(
        "--line-spacing", help="distance between baselines (default: 3.2ex)"
    )
    page.add_argument(
        "--indent", help="indent of the first line of each paragraph (default: none)"
    )
    page.add_argument(
        "--wrap", choices=["greedy", "balanced"],
        help="greedy fills each line; balanced makes the lines of a paragraph about "
        "equally long (default: greedy)",
    )  # fmt: skip


def _add_look_options(write: argparse.ArgumentParser) -> None:
    look = write.add_argument_group("pictures")
    look.add_argument(
        "--paper", metavar="a4|letter|WxH",
        help="paper to write on: a3, a4, a5, letter, legal, or width and height in "
        "millimetres such as 100x150 (default: a picture that fits the lines; for a "
        "page a4)",
    )  # fmt: skip
    look.add_argument(
        "--width", metavar="LENGTH",
        help="width of the picture or, with --paper or --page, of the longest line, "
        "such as 170mm, 17cm or 6.5in (default: what the ink needs if letter bodies "
        "are 20 pixels high, with --paper 3 mm; with --page, the paper between its "
        "margins)",
    )  # fmt: skip
    look.add_argument(
        "--line-width", metavar="LENGTH",
        help="width of the pen, such as 0.4mm (default: 0.12 letter bodies)",
    )  # fmt: skip
    look.add_argument(
        "--variable-width", action="store_true",
        help="let the width of a stroke follow the speed of the pen: fast is thin (for "
        "a screen or a printer; a plotter wants lines)",
    )  # fmt: skip
    look.add_argument(
        "--color", help="colour of the ink, such as navy or #1a2b3c (default: black)"
    )
    look.add_argument(
        "--background", metavar="COLOR",
        help="colour of the paper, or none (default: none in an SVG and a PDF, which a "
        "plotter would draw, and otherwise white)",
    )  # fmt: skip
    look.add_argument("--ruled", action="store_true", help="draw ruled lines")
    look.add_argument(
        "--layers", action="store_true",
        help="make each line a layer of the SVG, with one path per stroke, as Inkscape "
        "and vpype read them",
    )  # fmt: skip
    look.add_argument(
        "--dpi", type=float,
        help="pixels per inch (default: 192 in a PNG, 96 in a GIF or a video)",
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="handwriting",
        description="Teach a computer to write by hand. `handwriting COMMAND --help` "
        "explains the options of a command.",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error"
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    write = commands.add_parser(
        "write", help="write lines of text",
        description="Write lines of text by hand. Without --out, --json, --gif and "
        "--video, an SVG picture goes to standard output.",
    )  # fmt: skip
    write.add_argument(
        "text", nargs="*", metavar="TEXT",
        help="text of one line: printable ASCII, at most 256 characters",
    )  # fmt: skip
    write.add_argument(
        "--texts-file",
        help="UTF-8 file with one text per line, instead of TEXT arguments",
    )
    write.add_argument(
        "--page", metavar="FILE",
        help="UTF-8 file with a text of any length, or - for standard input, to write "
        "as a page: wrapped to lines, with its paragraphs, in one hand. With --json, "
        "an interrupted page is continued",
    )  # fmt: skip
    _add_page_options(write)
    write.add_argument(
        "--bias", type=float, default=1.25,
        help="how neatly to write: 0 writes as people do, higher values more neatly "
        "(default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--temperature", type=float, default=1.0,
        help="how much lines vary: above 1 more, below 1 less (default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--style",
        help="handwriting to imitate: name of a style that comes with the model, "
        "path of a style file, or any, which gives each line a hand of its own "
        "(default: birch where the model comes with it, otherwise any)",
    )
    write.add_argument(
        "--model",
        help="name of a model that comes with the library, or path of a model file "
        "(default: the model that the style was made with, or unipen-400)",
    )
    write.add_argument(
        "--seed", type=int, default=1,
        help="seed of the random numbers: the same seed gives the same lines "
        "(default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--samples", type=int, default=1,
        help="number of lines to write per text (default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--redraws", type=int, default=10,
        help="maximum number of times to draw an incomplete line again "
        "(default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--precision", default="float32", choices=["float32", "int8"],
        help="number type of the weights: int8 is faster on a CPU with AVX-512 VNNI, "
        "and its lines differ from those of float32 (default: %(default)s)",
    )  # fmt: skip
    _add_old_option(write, "--weights", "--precision")
    write.add_argument(
        "--out",
        help="picture file to draw all lines in, ending in .svg, .png or .pdf; of "
        "several sheets of paper, each goes to an SVG or PNG of its own",
    )
    write.add_argument(
        "--ascii", action="store_true",
        help="replace accented letters and signs by ASCII characters (curly quotes, "
        "dashes and invisible characters are replaced in any case)",
    )  # fmt: skip
    write.add_argument("--json", help="JSON file to save the points of all lines in")
    write.add_argument("--gif", help="GIF file to show the lines being written in")
    write.add_argument(
        "--video",
        help="video file to show the lines being written in, such as lines.mp4; needs "
        "ffmpeg or the extra video",
    )
    _add_look_options(write)
    write.add_argument(
        "--dataset", metavar="FOLDER",
        help="folder to write a data set in instead: a PNG of each line of "
        "--texts-file and its labels, with boxes of words and characters, which "
        "datasets.load_dataset('imagefolder') reads; an interrupted one is continued, "
        "and torchrun shares it among processes",
    )  # fmt: skip
    write.add_argument(
        "--vary", action="store_true",
        help="in a data set, choose hand, bias, slant, size, pen, ink and paper of "
        "each line by the seed",
    )  # fmt: skip
    write.add_argument(
        "--svg", action="store_true",
        help="in a data set, write an SVG of each line too",
    )  # fmt: skip
    write.add_argument(
        "--ink", action="store_true",
        help="in a data set, put the points of each line into its labels",
    )  # fmt: skip
    _add_device_option(write, "compute")
    write.set_defaults(run=_write)

    compose = commands.add_parser(
        "compose", help="compose a text",
        description="Go on from the beginning of a text, character by character, with "
        "a network over characters, and print the whole.",
    )  # fmt: skip
    compose.add_argument(
        "prompt", nargs="?", default="", metavar="PROMPT",
        help="beginning of the text (default: none)",
    )  # fmt: skip
    compose.add_argument(
        "--model", default="character-book",
        help="name of a model that comes with the library, or path of a model file "
        "(default: %(default)s)",
    )  # fmt: skip
    compose.add_argument(
        "--characters", type=int, default=200,
        help="number of characters to compose, or the most of them with --sentence "
        "(default: %(default)s)",
    )  # fmt: skip
    compose.add_argument(
        "--temperature", type=float, default=0.8,
        help="how much texts vary: above 1 more, below 1 less, and 0 always takes the "
        "most probable character (default: %(default)s)",
    )  # fmt: skip
    compose.add_argument(
        "--top-k", type=int,
        help="draw only from this many of the most probable characters (default: all)",
    )  # fmt: skip
    compose.add_argument(
        "--top-p", type=float, default=1.0,
        help="draw only from the most probable characters that together reach this "
        "probability (default: %(default)s, which is all)",
    )  # fmt: skip
    compose.add_argument(
        "--seed", type=int, default=1,
        help="seed of all random choices (default: %(default)s)",
    )  # fmt: skip
    compose.add_argument(
        "--sentence", action="store_true", help="stop at the end of the sentence"
    )
    compose.add_argument(
        "--hand", action="store_true",
        help="compose only what the hand can write: printable ASCII on one line",
    )  # fmt: skip
    _add_device_option(compose, "compute")
    compose.set_defaults(run=_compose)

    font = commands.add_parser(
        "font", help="draw a font",
        description="Draw the glyphs of a font with a glyph decoder, and write a "
        "TrueType file that other programs install.",
    )  # fmt: skip
    font.add_argument(
        "--model", required=True,
        help="path of the model file of a glyph decoder, or name of one that comes "
        "with the library",
    )  # fmt: skip
    font.add_argument(
        "--style", default="sans",
        choices=["serif", "sans", "mono", "handwriting", "display"],
        help="style of the font (default: %(default)s)",
    )  # fmt: skip
    font.add_argument(
        "--out", required=True, metavar="FILE.ttf", help="font file to write"
    )
    font.add_argument(
        "--family", help="name of the font's family (default: that of the file)"
    )
    font.add_argument(
        "--temperature", type=float, default=0.6,
        help="how much glyphs vary: above 1 more, below 1 less (default: %(default)s)",
    )  # fmt: skip
    font.add_argument(
        "--top-p", type=float, default=1.0,
        help="draw only from the most probable tokens that together reach this "
        "probability (default: %(default)s, which is all)",
    )  # fmt: skip
    font.add_argument(
        "--seed", type=int, default=1,
        help="seed of all random choices (default: %(default)s)",
    )  # fmt: skip
    font.add_argument(
        "--sheet", metavar="FILE",
        help="picture file to draw all glyphs in, ending in .svg or .png",
    )  # fmt: skip
    _add_device_option(font, "compute")
    font.set_defaults(run=_font)

    train = commands.add_parser(
        "train", help="train a network",
        description="Train a network as a TOML configuration describes, with "
        "checkpoints from which --resume continues.",
    )  # fmt: skip
    train.add_argument(
        "config", metavar="CONFIG.toml",
        help="configuration with the network, the corpus and the training recipe",
    )  # fmt: skip
    train.add_argument(
        "--corpus",
        help="corpus to train on instead of the configuration's: synthetic, unipen, "
        "unipen:PATH, iam:PATH, or a file or folder of ink; for a network over "
        "characters: book, or a text file, the export of a chat, or a folder of these; "
        "for a glyph decoder: fonts:PATH, a font or a folder or archive of fonts",
    )
    _add_ink_options(train)
    train.add_argument(
        "--steps", type=int,
        help="total number of updates, instead of the configuration's",
    )  # fmt: skip
    train.add_argument(
        "--minutes", type=float,
        help="stop after this many minutes; --resume continues from there",
    )  # fmt: skip
    _add_device_option(train, "train")
    train.add_argument(
        "--out", type=Path,
        help="folder for the checkpoint, the models and the log (default: runs/CONFIG)",
    )  # fmt: skip
    train.add_argument(
        "--resume", action="store_true",
        help="continue from the checkpoint in the folder --out",
    )  # fmt: skip
    train.add_argument(
        "--tensorboard", action="store_true",
        help="write curves and samples for TensorBoard to the folder board in --out "
        "(needs the extra tensorboard)",
    )  # fmt: skip
    train.set_defaults(run=_train)

    evaluate = commands.add_parser(
        "evaluate", help="measure a model on human ink",
        description="Compare a model with human lines, by default of writers whom it "
        "was not trained on, and print a table of the figures.",
    )  # fmt: skip
    _add_model_option(evaluate)
    evaluate.add_argument(
        "--corpus",
        help="corpus of human lines: synthetic, unipen, unipen:PATH, iam:PATH, or a "
        "file or folder of ink (default: the corpus that the model was trained on)",
    )
    _add_ink_options(evaluate)
    evaluate.add_argument(
        "--split", default="validation", choices=["validation", "train"],
        help="lines of held-out writers, or of those trained on (default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--texts", type=int, default=100,
        help="number of human lines whose texts the model writes for comparison "
        "(default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--lines", type=int, default=500,
        help="number of lines to write for the share of complete ones "
        "(default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--bias", type=float, default=1.25,
        help="how neatly to write: 0 writes as people do, higher values more neatly "
        "(default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--temperature", type=float, default=1.0,
        help="how much lines vary: above 1 more, below 1 less (default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--style", default="any",
        help="handwriting to imitate: name of a style that comes with the model, path "
        "of a style file, or any, which gives each line a hand of its own (default: "
        "%(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--seed", type=int, default=1,
        help="seed of all random choices, including which texts to write "
        "(default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--redraws", type=int, default=10,
        help="maximum number of times to draw an incomplete line again "
        "(default: %(default)s)",
    )  # fmt: skip
    evaluate.add_argument(
        "--only", metavar="PART,...",
        help="parts to measure, separated by commas: likelihood (of human ink), pace "
        "(pen speed and points per character), alignment (of the soft window with the "
        "true characters), completeness (share of complete lines), legibility (share "
        "of misread characters), styles (completeness and legibility of each style) "
        "and damage (how many damaged lines are noticed) (default: all)",
    )  # fmt: skip
    evaluate.add_argument(
        "--json", help="JSON file to save the figures in, with versions and counts"
    )
    _add_device_option(evaluate, "compute")
    evaluate.set_defaults(run=_evaluate)

    style = commands.add_parser(
        "style", help="make a style from ink",
        description="Make a style, with which `handwriting write --style` imitates a "
        "handwriting, from a line of ink and its text.",
    )  # fmt: skip
    style.add_argument(
        "--from", dest="source", required=True, metavar="INK",
        help="file of ink, such as the drawing pad and other programs save, or another "
        "corpus such as unipen:PATH",
    )  # fmt: skip
    _add_ink_options(style)
    style.add_argument(
        "--text",
        help="text of the line to use, needed if INK has several texts, or none; if it "
        "has this text more than once, the last line is used",
    )
    style.add_argument(
        "--save", required=True, metavar="FILE",
        help="style file to write, ending in .safetensors; with --hands, a folder for "
        "the files",
    )  # fmt: skip
    style.add_argument(
        "--hands", metavar="LIST.toml",
        help="make a style for each entry of this list, which names the style and "
        "gives the text and the id of a line of INK",
    )  # fmt: skip
    style.add_argument(
        "--model", default="unipen-400",
        help="model that is to write in this style: name of one that comes with the "
        "library, or path of a model file (default: %(default)s)",
    )  # fmt: skip
    style.set_defaults(run=_style)

    export = commands.add_parser(
        "export", help="write a model for other engines",
        description="Write a model to a file that another engine runs.",
    )  # fmt: skip
    _add_model_option(export)
    engine = export.add_mutually_exclusive_group(required=True)
    engine.add_argument(
        "--browser", metavar="FILE",
        help="write the weights for the JavaScript engine that runs in a web page",
    )  # fmt: skip
    engine.add_argument(
        "--onnx", metavar="FILE",
        help="write one step of the network as an ONNX file, for onnxruntime",
    )  # fmt: skip
    export.add_argument(
        "--precision", choices=["half", "int8", "float32"],
        help="number type of the weights in the --browser file (default: half)",
    )  # fmt: skip
    _add_old_option(export, "--weights", "--precision")
    export.set_defaults(run=_export)

    corpus = commands.add_parser(
        "corpus", help="download a corpus, or describe one",
        description="Download a corpus, or describe one.",
    )  # fmt: skip
    actions = corpus.add_subparsers(required=True, metavar="ACTION")
    info = actions.add_parser(
        "info", help="count samples and writers, and list what was skipped",
        description="Count the samples, writers and points of a corpus, and list what "
        "was skipped and why.",
    )  # fmt: skip
    info.add_argument(
        "source", metavar="SOURCE",
        help="corpus to read: synthetic, unipen (the downloaded copy), unipen:PATH, "
        "iam:PATH, or a file, folder or archive of ink: JSON of the drawing pad and "
        "other programs, JSON lines, InkML, Xournal++, UNIPEN, CSV, .npy or .npz; or "
        "fonts:PATH, a font or a folder or archive of fonts",
    )  # fmt: skip
    _add_ink_options(info)
    info.add_argument(
        "--sheet",
        help="picture file to draw a sample of the lines in, ending in .svg, .png or "
        ".pdf",
    )
    info.set_defaults(run=_corpus_info)
    get = actions.add_parser(
        "get", help="download a corpus into the cache",
        description="Download a corpus into the cache, where the other commands find "
        "it by its name.",
    )  # fmt: skip
    get.add_argument("name", choices=["unipen"], help="name of the corpus")
    get.add_argument(
        "--url", help="address of an archive to download instead of the public release"
    )
    get.set_defaults(run=_corpus_get)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in options
    if debug:
        words.remove("--debug")
    arguments = _parser().parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        arguments.run(arguments)
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as stop:
        if str(stop):  # how much was finished
            sys.stderr.write(f"handwriting: {stop}\n")
        return 130
    except (ValueError, FloatingPointError, ImportError, OSError) as error:
        if debug:
            raise
        sys.stderr.write(f"handwriting: {error}\n")
        return 2
    except Exception as error:  # a traceback is shown only when it is asked for
        if debug:
            raise
        if _is_out_of_memory(error):
            sys.stderr.write(f"handwriting: {OUT_OF_MEMORY}\n")
            return 2
        reason = (str(error).splitlines() or [""])[0]
        sys.stderr.write(
            f"handwriting: unexpected {type(error).__name__}: {reason} (run it again "
            "with --debug for the traceback)\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
