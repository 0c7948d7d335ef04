"""The command line: `handwriting`, or `python -m handwriting_lib`.

Each command calls what the chapters of the book build: `corpus` chapter 1, `train`
chapter 10, `write` chapters 10 to 12, `evaluate` chapters 10 to 12, `style` chapter 12
(Graves 2013, section 5) and `compose` chapter 13. Bad input prints one sentence on
standard error and exits with status 2, without a traceback, because the library's own
errors already name the file or the value and say what would be right.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Sequence
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


def _texts(arguments: argparse.Namespace) -> list[str]:
    if bool(arguments.text) == bool(arguments.texts_file):
        raise UsageError(
            "give the texts to write either as arguments or with --texts-file, not both"
        )
    if not arguments.texts_file:
        return list(arguments.text)
    name = arguments.texts_file
    try:
        content = (
            sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        ).decode("utf-8-sig")  # without the mark that some editors put first
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}") from None
    texts = [line for line in content.splitlines() if line.strip()]
    if not texts:
        raise UsageError(f"{name} contains no text: give one text per line")
    return texts


# Suffixes that each option of `write` takes.
SUFFIXES = {"out": (".svg", ".png"), "json": (".json",), "gif": (".gif",)}


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
    for file in files:
        if file and not (folder := Path(file).absolute().parent).is_dir():
            raise UsageError(
                f"there is no folder {folder}: create it or choose another path"
            )


def _say_skipped(corpus: Any) -> None:
    """Say what the reader of a corpus left out, and why."""
    for reason, count in corpus.skipped.items():
        logging.info("the reader left out %d samples: %s", count, reason)


def _check_number(arguments: argparse.Namespace, lines: int) -> None:
    """Refuse more lines than the pictures hold, before any is written.

    With --json the lines are of use without a picture, so that this is a warning.
    """
    from .drawing.layout import check_number
    from .drawing.png import RESOLUTION

    try:
        if arguments.out and arguments.out.lower().endswith(".png"):
            check_number(lines, "PNG", RESOLUTION)
        if arguments.gif:
            check_number(lines, "GIF")
    except InputError as error:
        if not arguments.json:
            raise
        logging.warning("%s; the ink will be in %s", error, arguments.json)


def _write(arguments: argparse.Namespace) -> None:
    from .atomic import write_whole
    from .drawing.animation import write_gif
    from .drawing.picture import save
    from .drawing.svg import to_svg
    from .files.models import find_model
    from .systems import writer_of
    from .writing.lines import Interrupted, write_lines
    from .writing.styles import model_of

    texts = _texts(arguments)
    _check_suffixes(arguments)
    _check_folders(arguments.out, arguments.json, arguments.gif)
    _check_number(arguments, len(texts) * arguments.samples)
    device = _device(arguments.device)
    if arguments.model is None:
        model = model_of(arguments.style, device)
    else:
        model = find_model(arguments.model, device)
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
    if arguments.out:
        save(inks, arguments.out, unit=1.0)
    if arguments.gif:
        write_gif(inks, arguments.gif, unit=1.0)
    if not (arguments.out or arguments.json or arguments.gif):
        sys.stdout.write(to_svg(inks, unit=1.0) + "\n")
    replaced = {old: new for line in lines for old, new in line.replaced.items()}
    if replaced:
        listed = ", ".join(f"{old!r} by {new!r}" for old, new in replaced.items())
        logging.info("replaced in the texts: %s", listed)
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
    corpus = load_corpus(source, **told.get("corpus_options", {}))
    _say_skipped(corpus)
    listed = told.get("validation_options")
    held_out = load_corpus(source, **listed) if listed else None
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
        corpus = load_corpus(arguments.source)
        folder = Path(arguments.save)
        folder.mkdir(parents=True, exist_ok=True)
        for style in make_hands(hands, corpus.samples, model):
            save_style(style, folder / f"{style.name}.safetensors")
        return
    corpus = load_corpus(arguments.source)
    _say_skipped(corpus)
    samples = scale_by_writer(corpus.samples)
    texts = list(dict.fromkeys(s.text for s in samples))
    text = arguments.text or (texts[0] if len(texts) == 1 else None)
    chosen = [s for s in samples if s.text == text]
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


def _corpus_info(arguments: argparse.Namespace) -> None:
    from .corpora import load_corpus
    from .ink import KINDS

    name = arguments.source.partition(":")[0]
    options = {"kinds": KINDS} if name == "unipen" else {}
    corpus = load_corpus(arguments.source, **options)
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
        print(
            f"{kind:<12}{len(samples):>9,}{distinct:>10,}"
            f"{sum(s.character_of_point is not None for s in samples):>9,}"
            f"{len({s.writer for s in samples}):>9,}{characters:>12,}{points:>12,}"
            f"{points / characters:>13.1f}"
        )
    print(f"writers in total: {len({s.writer for s in corpus.samples}):,}")
    if corpus.skipped:
        print("skipped:")
    for reason, count in corpus.skipped.items():
        print(f"{count:>12,}  {reason}")
    if arguments.sheet:
        _contact_sheet(corpus.samples, arguments.sheet)


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
        description="Write lines of text by hand. Without --out, --json and --gif, an "
        "SVG picture goes to standard output.",
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
        "--out", help="picture file to draw all lines in, ending in .svg or .png"
    )
    write.add_argument(
        "--ascii", action="store_true",
        help="replace accented letters and signs by ASCII characters (curly quotes, "
        "dashes and invisible characters are replaced in any case)",
    )  # fmt: skip
    write.add_argument("--json", help="JSON file to save the points of all lines in")
    write.add_argument("--gif", help="GIF file to show the lines being written in")
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
        "unipen:PATH, iam:PATH, or a .json file of ink; for a network over characters: "
        "book, or a text file, the export of a chat, or a folder of these",
    )
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
        ".json file of ink (default: the corpus that the model was trained on)",
    )
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
        "--from", dest="source", required=True, metavar="INK.json",
        help="file that the drawing pad saved, or another corpus such as unipen:PATH",
    )  # fmt: skip
    style.add_argument(
        "--text",
        help="text of the line to use, needed if INK.json has several texts; if it has "
        "this text more than once, the last line is used",
    )
    style.add_argument(
        "--save", required=True, metavar="FILE",
        help="style file to write, ending in .safetensors; with --hands, a folder for "
        "the files",
    )  # fmt: skip
    style.add_argument(
        "--hands", metavar="LIST.toml",
        help="make a style for each entry of this list, which names the style and "
        "gives the text and the id of a line of INK.json",
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
        "iam:PATH, or a .json file of ink",
    )  # fmt: skip
    info.add_argument(
        "--sheet",
        help="picture file to draw a sample of the lines in, ending in .svg or .png",
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
