"""The command line: `handwriting`, also `python -m handwriting_lib`.

Bad input ends in one sentence on standard error and exit status 2, without a traceback:
the library's own errors name the file, the value and the remedy.
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


class UsageError(InputError):
    """The arguments do not go together."""


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"the device {name!r} cannot be used: {reason}") from None
    return name


def _texts(arguments: argparse.Namespace) -> list[str]:
    if bool(arguments.text) == bool(arguments.texts_file):
        raise UsageError("give texts to write, or --texts-file, and not both")
    if not arguments.texts_file:
        return list(arguments.text)
    try:
        lines = Path(arguments.texts_file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{arguments.texts_file} cannot be read: {error}") from None
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"{arguments.texts_file} has no line of text")
    return texts


def _check_folders(*files: str | None) -> None:
    """Before the work that they are to hold is done."""
    for file in files:
        if file and not (folder := Path(file).absolute().parent).is_dir():
            raise UsageError(f"there is no folder {folder}")


def _write(arguments: argparse.Namespace) -> None:
    from .drawing.animation import write_gif
    from .drawing.picture import save
    from .drawing.svg import to_svg
    from .files.models import find_model
    from .systems import writer_of
    from .writing.lines import write_lines

    texts = _texts(arguments)
    if arguments.out and Path(arguments.out).suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"--out must end in .svg or .png, not {arguments.out!r}")
    _check_folders(arguments.out, arguments.json, arguments.gif)
    model = find_model(arguments.model, _device(arguments.device))
    lines = write_lines(
        texts,
        writer_of(model, arguments.precision),
        style=arguments.style,
        bias=arguments.bias,
        temperature=arguments.temperature,
        samples=arguments.samples,
        seed=arguments.seed,
        redraws=arguments.redraws,
    )
    inks = [line.ink for line in lines]
    if arguments.out:
        save(inks, arguments.out, unit=1.0)
    if arguments.json:
        listed = json.dumps([line.to_json() for line in lines])
        Path(arguments.json).write_text(listed + "\n", encoding="utf-8")
    if arguments.gif:
        write_gif(inks, arguments.gif, unit=1.0)
    if not (arguments.out or arguments.json or arguments.gif):
        sys.stdout.write(to_svg(inks, unit=1.0) + "\n")
    for line in lines:
        if not line.complete:
            logging.warning(
                "%r, sample %d, is incomplete after %d draws: %s",
                line.text, line.sample, line.draws, line.problem,
            )  # fmt: skip


def _train(arguments: argparse.Namespace) -> None:
    from .systems import task_of
    from .training.config import read_config
    from .training.loop import fit

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
    if (folder / "checkpoint.pt").exists() and not arguments.resume:
        raise UsageError(
            f"{folder} holds a training already: go on with --resume, or name another "
            "folder with --out"
        )
    model = fit(
        task_of(config),
        folder,
        minutes=arguments.minutes,
        resume=arguments.resume,
        device=_device(arguments.device),
    )
    logging.info(
        "%d of %d updates; the model is in %s",
        model.about["steps"], config.recipe.steps, folder / "model.safetensors",
    )  # fmt: skip


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
    # options of the corpus that it was trained on mean nothing to another
    kind = Path(source.partition(":")[0]).name
    told = config if config.get("corpus") == kind else {}
    corpus = load_corpus(source, **told.get("corpus_options", {}))
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
            raise UsageError("--hands names the texts itself: leave --text out")
        hands = read_hands(arguments.hands)
        corpus = load_corpus(arguments.source)
        folder = Path(arguments.save)
        folder.mkdir(parents=True, exist_ok=True)
        for style in make_hands(hands, corpus.samples, model):
            save_style(style, folder / f"{style.name}.safetensors")
        return
    samples = scale_by_writer(load_corpus(arguments.source).samples)
    texts = list(dict.fromkeys(s.text for s in samples))
    text = arguments.text or (texts[0] if len(texts) == 1 else None)
    chosen = [s for s in samples if s.text == text]
    if not chosen:
        listed = ", ".join(repr(t) for t in texts[:8]) or "nothing that can be read"
        more = ", ..." if len(texts) > 8 else ""
        raise UsageError(
            f"say with --text what was written; {arguments.source} has {listed}{more}"
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
        raise UsageError("--precision is for --browser: an ONNX step is in float32")
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
        print(
            f"{kind:<12}{len(samples):>9,}{len({s.source for s in samples}):>10,}"
            f"{sum(s.character_of_point is not None for s in samples):>9,}"
            f"{len({s.writer for s in samples}):>9,}{characters:>12,}{points:>12,}"
            f"{points / characters:>13.1f}"
        )
    print(f"writers in all: {len({s.writer for s in corpus.samples}):,}")
    if corpus.skipped:
        print("skipped:")
    for reason, count in corpus.skipped.items():
        print(f"{count:>12,}  {reason}")
    if arguments.sheet:
        _contact_sheet(corpus.samples, arguments.sheet)


def _contact_sheet(samples: Sequence[Any], file: str, rows: int = 24) -> None:
    """A picture of lines (or of what there is) by as many writers as fit."""
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="handwriting", description="Teach a computer to write by hand."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    write = commands.add_parser(
        "write", help="write lines of text",
        description="Write lines of text; without --out, --json and --gif an SVG goes "
        "to standard output.",
    )  # fmt: skip
    write.add_argument("text", nargs="*", metavar="TEXT", help="a line to write")
    write.add_argument("--texts-file", help="a file with one text a line")
    write.add_argument(
        "--bias", type=float, default=1.25,
        help="0: as people write (default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--temperature", type=float, default=1.0,
        help="of all that is drawn (default: %(default)s)",
    )  # fmt: skip
    write.add_argument("--style", help="the hand: a name or a file")
    write.add_argument(
        "--model", default="unipen-400", help="a name or a file (default: %(default)s)"
    )
    write.add_argument(
        "--seed", type=int, default=1,
        help="the same gives the same lines (default: %(default)s)",
    )  # fmt: skip
    write.add_argument("--samples", type=int, default=1, help="lines a text")
    write.add_argument(
        "--redraws", type=int, default=10,
        help="of a line that is not complete (default: %(default)s)",
    )  # fmt: skip
    write.add_argument(
        "--precision", "--weights", default="float32", choices=["float32", "int8"],
        help="int8: faster on a CPU with AVX-512 VNNI; other lines",
    )  # fmt: skip
    write.add_argument("--out", help="a picture, .svg or .png, of all lines")
    write.add_argument("--json", help="the points of all lines")
    write.add_argument("--gif", help="the lines as they are written")
    write.add_argument("--device", default="auto", help="cpu, cuda, ...")
    write.set_defaults(run=_write)

    train = commands.add_parser("train", help="train a network")
    train.add_argument("config", metavar="CONFIG.toml")
    train.add_argument("--corpus", help="instead of the configuration's")
    train.add_argument("--steps", type=int, help="instead of the configuration's")
    train.add_argument("--minutes", type=float, help="stop after so many; see --resume")
    train.add_argument("--device", default="auto")
    train.add_argument("--out", type=Path, help="a folder; default: runs/CONFIG")
    train.add_argument("--resume", action="store_true", help="go on where it stopped")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser("evaluate", help="measure a model on human ink")
    evaluate.add_argument("--model", default="unipen-400", help="a name or a file")
    evaluate.add_argument("--corpus", help="instead of the one it was trained on")
    evaluate.add_argument(
        "--split", default="validation", choices=["validation", "train"]
    )
    evaluate.add_argument(
        "--texts", type=int, default=100, help="of human lines, to write as well"
    )
    evaluate.add_argument(
        "--lines", type=int, default=500, help="to write to count complete ones"
    )
    evaluate.add_argument("--bias", type=float, default=1.25)
    evaluate.add_argument("--temperature", type=float, default=1.0)
    evaluate.add_argument("--style", help="the hand: a name or a file")
    evaluate.add_argument("--seed", type=int, default=1)
    evaluate.add_argument("--redraws", type=int, default=10)
    evaluate.add_argument(
        "--only", metavar="PART,...",
        help="of likelihood, pace, alignment, completeness, legibility, styles, damage",
    )  # fmt: skip
    evaluate.add_argument("--json", help="the figures, with versions and counts")
    evaluate.add_argument("--device", default="auto")
    evaluate.set_defaults(run=_evaluate)

    style = commands.add_parser("style", help="make a style from ink")
    style.add_argument(
        "--from", dest="source", required=True, metavar="INK.json",
        help="what the drawing pad saved, or another corpus",
    )  # fmt: skip
    style.add_argument("--text", help="of the ink; where it stands twice, the last")
    style.add_argument(
        "--save", required=True, metavar="FILE",
        help="a .safetensors file for `write --style`; with --hands a folder",
    )  # fmt: skip
    style.add_argument("--hands", metavar="LIST.toml", help="make all of this list")
    style.add_argument("--model", default="unipen-400", help="a name or a file")
    style.set_defaults(run=_style)

    export = commands.add_parser("export", help="write a model for other engines")
    export.add_argument("--model", default="unipen-400", help="a name or a file")
    engine = export.add_mutually_exclusive_group(required=True)
    engine.add_argument("--browser", metavar="FILE", help="the pack of a page's engine")
    engine.add_argument("--onnx", metavar="FILE", help="one step for onnxruntime")
    export.add_argument(
        "--precision", "--weights", choices=["half", "int8", "float32"],
        help="of the pack (default: half)",
    )  # fmt: skip
    export.set_defaults(run=_export)

    corpus = commands.add_parser("corpus", help="get a corpus, or look at one")
    actions = corpus.add_subparsers(required=True, metavar="ACTION")
    info = actions.add_parser("info", help="counts, writers, what was skipped and why")
    info.add_argument("source", metavar="SOURCE", help="unipen:PATH, iam:PATH, ...")
    info.add_argument("--sheet", help="draw a contact sheet, .svg or .png")
    info.set_defaults(run=_corpus_info)
    get = actions.add_parser("get", help="download a corpus into the cache")
    get.add_argument("name", choices=["unipen"])
    get.add_argument("--url", help="instead of the public release's")
    get.set_defaults(run=_corpus_get)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        arguments.run(arguments)
    except BrokenPipeError:  # whoever read our output has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (ValueError, FloatingPointError, ImportError, OSError) as error:
        sys.stderr.write(f"handwriting: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
