"""The command line: `handwriting`, also `python -m handwriting_lib`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from collections.abc import Sequence
from pathlib import Path


def _train(arguments: argparse.Namespace) -> None:
    from .corpora import load_corpus
    from .training import prepare_data, read_config, train

    config = read_config(arguments.config)
    changes = {"corpus": arguments.corpus} if arguments.corpus else {}
    if arguments.steps:
        recipe = dataclasses.replace(config.recipe, steps=arguments.steps)
        changes["recipe"] = recipe
    config = dataclasses.replace(config, **changes)
    folder = arguments.out or Path("runs") / Path(arguments.config).stem
    corpus = load_corpus(config.corpus, **config.corpus_options)
    data = prepare_data(corpus, config)
    train(
        config, data, folder, minutes=arguments.minutes, resume=arguments.resume,
        device=arguments.device,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="handwriting")
    commands = parser.add_subparsers(required=True)
    t = commands.add_parser("train")
    t.add_argument("config")
    t.add_argument("--corpus")
    t.add_argument("--steps", type=int)
    t.add_argument("--minutes", type=float)
    t.add_argument("--device", default="cpu")
    t.add_argument("--out", type=Path)
    t.add_argument("--resume", action="store_true")
    t.set_defaults(run=_train)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.run(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
