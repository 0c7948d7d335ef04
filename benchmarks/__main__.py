"""`python -m benchmarks NAME...`: measure, print a table, write the results."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence

from . import RESULTS, __path__, commit, machine, table


def names() -> list[str]:
    """The benchmarks: the modules of this folder."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*names(), "all"], metavar="NAME",
                        help=f"{', '.join(names())}, or all")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=9, help="of each (default: 9)")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    wanted = names() if "all" in arguments.names else arguments.names
    for name in wanted:
        result = importlib.import_module(f".{name}", __package__).run(arguments.rounds)
        print(table(result), end="\n\n")
        about = {
            "command": f"python -m benchmarks {name} --rounds {arguments.rounds}",
            "commit": commit(),
            "machine": machine(),
        }
        RESULTS.mkdir(exist_ok=True)
        content = json.dumps(about | dataclasses.asdict(result), indent=2)
        (RESULTS / f"{name}.json").write_text(content + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
