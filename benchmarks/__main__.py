"""Run benchmarks, print a table of each, and write its results to a JSON file."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Sequence

from . import RESULTS, __path__, commit, machine, table

# Not among `all`; page is of speed, but it needs a built book.
NOT_OF_SPEED = (
    "boxes", "characters", "cursive", "dataset", "glyphs", "hands", "int8", "ladder",
    "legibility", "page", "pages",
)  # fmt: skip


def names() -> list[str]:
    """The names of the benchmarks, which are the public modules of this folder."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Run one benchmark, print its table and write its results.

    Args:
        name: name of the benchmark.
        arguments: parsed command line, with the options that its `run` may take.
    """
    module = importlib.import_module(f".{name}", __package__)
    parameters = inspect.signature(module.run).parameters
    options = {key: getattr(arguments, key) for key in parameters}
    # results are published, so they must not reveal where a corpus lies
    told = " ".join(
        f"--{key} {str(value).partition(':')[0]}{':PATH' if ':' in str(value) else ''}"
        for key, value in options.items()
        if not isinstance(value, bool)  # such as resume, which changes no result
    )
    about = {
        "command": f"python -m benchmarks {name} {told}",
        "commit": commit(),  # taken first, since commits may be made during the run
    }
    result = module.run(**options)
    print(getattr(module, "table", table)(result), end="\n\n")
    if hasattr(module, "RECORDS"):
        return  # it has recorded its trainings one by one
    if not isinstance(result, dict):
        result = dataclasses.asdict(result)
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps(about | {"machine": machine()} | result, indent=2)
    device = options.get("device", "cpu")
    file = name if device == "cpu" else f"{name}-{device.partition(':')[0]}"
    (RESULTS / f"{file}.json").write_text(content + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="+",
        choices=[*names(), "all"],
        metavar="NAME",
        help=f"benchmarks to run: {', '.join(names())}, or all (all those of speed)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=9,
        help="number of times that each row is measured (default: %(default)s)",
    )
    parser.add_argument(
        "--corpus",
        default="synthetic",
        help="corpus for hands, int8, ladder, legibility and the padding of train, "
        "such as unipen:PATH, and fonts for glyphs, as fonts:PATH (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--model",
        default="unipen-400",
        help="model for glyphs, hands, int8 and legibility: the name of one that comes "
        "with the library, or the path of a model file (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=3,
        help="number of seeds that characters and ladder train from, 1 to 3 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--lines",
        type=int,
        default=10_000,
        help="lines of the large set of dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep the trainings that characters and ladder have recorded, and go on",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="device for train, such as cuda (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {arguments.rounds}")
    if not 1 <= arguments.seeds <= 3:
        parser.error(f"--seeds must be 1, 2 or 3, not {arguments.seeds}")
    wanted = arguments.names
    if "all" in wanted:
        wanted = [name for name in names() if name not in NOT_OF_SPEED]
    for name in wanted:
        measure(name, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
