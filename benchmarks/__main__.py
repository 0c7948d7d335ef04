"""`python -m benchmarks NAME...`: measure, print a table, write the results."""

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

NOT_OF_SPEED = ("int8", "ladder", "legibility")


def names() -> list[str]:
    """The benchmarks: the modules of this folder."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Run one benchmark, print its table, write its results."""
    module = importlib.import_module(f".{name}", __package__)
    parameters = inspect.signature(module.run).parameters
    options = {key: getattr(arguments, key) for key in parameters}
    # where a corpus lies on this machine is nobody's business
    told = " ".join(
        f"--{key} {str(value).partition(':')[0]}{':PATH' if ':' in str(value) else ''}"
        for key, value in options.items()
    )
    about = {
        "command": f"python -m benchmarks {name} {told}",
        "commit": commit(),  # before: others may commit while this runs
    }
    result = module.run(**options)
    print(getattr(module, "table", table)(result), end="\n\n")
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
        help=f"{', '.join(names())}, or all: those of speed",
    )
    parser.add_argument("--rounds", type=int, default=9, help="of each (default: 9)")
    parser.add_argument(
        "--corpus",
        default="synthetic",
        help="of int8, ladder, legibility and the padding of train: unipen:PATH",
    )
    parser.add_argument(
        "--model", default="unipen-400", help="of int8 and legibility: a name or a file"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="the ladder's (default: 3)"
    )
    parser.add_argument(
        "--device", default="cpu", help="the training's, such as cuda (default: cpu)"
    )
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not 1 <= arguments.seeds <= 3:
        parser.error("--seeds must be 1, 2 or 3")
    wanted = arguments.names
    if "all" in wanted:
        wanted = [name for name in names() if name not in NOT_OF_SPEED]
    for name in wanted:
        measure(name, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
