"""Change the library in one place at a time, and see whether its tests notice.

A fixed-seed sample of mutants of numbers, comparisons, operators and calls is taken
from the folders below, without strings and without what is logged or raised. Each
mutant runs against the tests of its own file, in a copy of the repository, and those
that survive are printed: `make mutants`. The tests that reach the changed line run
first. It takes hours, and `--resume` goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import coverage

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("parts", "data", "writing", "training", "files")
# The tests of files that have none of their own name.
TESTS = {
    "files/browser.py": "files/test_export.py",
    "files/checkpoints.py": "files/test_models.py",
    "files/onnx.py": "files/test_export.py",
    "training/task.py": "training/test_loop.py",
    "training/team.py": "training/test_loop.py",
    "writing/lines.py": "writing/test_sampling.py",
}
# Files that only a GPU runs.
LEFT_OUT = ("training/cuda_graphs.py",)
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
HANGS = 3600  # seconds after which tests that wait for something are given up
NO_TESTS = 5  # what pytest returns if it has none to run
MANY = 100  # tests that reach a line; if there are more, all are run at once
QUIET = ("log", "logger", "logging", "warnings")


class Mutant(NamedTuple):
    """One change: the number of a site in a file, and what it does there."""

    file: str
    site: int
    line: int
    change: str


def sites(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, str]]:
    """Places to change: parent, field, index in it, the new node, and a description."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            several = isinstance(value, list)
            for index, node in enumerate(value if several else [value]):
                if isinstance(node, ast.AST) and not _is_left_out(parent, field, node):
                    for new, change in _changes(node):
                        yield parent, field, index if several else None, new, change


def _is_left_out(parent: ast.AST, field: str, node: ast.AST) -> bool:
    if hasattr(parent, "_quiet"):
        node._quiet = True  # type: ignore[attr-defined]
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert):
        node._quiet = True  # type: ignore[attr-defined]
    if field in ("annotation", "returns", "decorator_list", "bases"):
        node._quiet = True  # type: ignore[attr-defined]
    if isinstance(node, ast.Call):
        called = node.func
        while isinstance(called, ast.Attribute):
            called = called.value
        name = called.id if isinstance(called, ast.Name) else ""
        if name in QUIET or name in ("renamed_arguments", "renamed_attributes"):
            node._quiet = True  # type: ignore[attr-defined]
    return hasattr(node, "_quiet")


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """What a node may become."""
    before = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value = node.value
        new = ast.Constant(value + 1 if type(value) is int else 2 * value + 1)
        yield new, f"{before} -> {ast.unparse(new)}"
    elif isinstance(node, ast.Compare | ast.BoolOp | ast.BinOp | ast.AugAssign):
        changed = copy.deepcopy(node)
        if isinstance(changed, ast.Compare):
            changed.ops[0] = SWAPS[type(changed.ops[0])]()  # type: ignore[call-overload]
        else:
            if isinstance(changed.op, ast.BitOr | ast.BitAnd | ast.BitXor | ast.LShift):
                return
            changed.op = SWAPS[type(changed.op)]()  # type: ignore[assignment]
        yield changed, f"{before} -> {ast.unparse(changed)}"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand, f"{before} -> {ast.unparse(node.operand)}"
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass(), f"{before} -> pass"
    elif isinstance(node, ast.Call):
        kept = node.args[0] if node.args else None
        if isinstance(node.func, ast.Attribute) and not isinstance(
            node.func.value, ast.Name
        ):
            kept = node.func.value  # x.y.clamp(...) -> x.y
        if kept is not None and not isinstance(kept, ast.Starred):
            yield kept, f"{before} -> {ast.unparse(kept)}"


def all_mutants(root: Path) -> list[Mutant]:
    """Every mutant of the folders, in a fixed order."""
    found = []
    for folder in FOLDERS:
        for file in sorted((root / "handwriting_lib" / folder).glob("*.py")):
            name = f"{folder}/{file.name}"
            if name in LEFT_OUT:
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for number, (parent, field, index, _, change) in enumerate(sites(tree)):
                node = getattr(parent, field)
                node = node if index is None else node[index]
                line = getattr(node, "lineno", 0)
                found.append(Mutant(name, number, line, " ".join(change.split())))
    return found


def mutated(source: str, site: int) -> str:
    """The source of a file with the change of one site."""
    tree = ast.parse(source)
    for number, (parent, field, index, new, _) in enumerate(sites(tree)):
        if number == site:
            if index is None:
                setattr(parent, field, new)
            else:
                getattr(parent, field)[index] = new
            return ast.unparse(ast.fix_missing_locations(tree))
    raise ValueError(f"there is no site {site}")


def tests_of(root: Path, file: str) -> list[str]:
    """The tests of a file, or those of its folder if there are none."""
    folder, name = file.split("/")
    own = Path("tests") / TESTS.get(file, f"{folder}/test_{name}")
    return [str(own if (root / own).exists() else own.parent)]


class Tests:
    """Some test files: which of their tests reach which line of the library."""

    def __init__(self, root: Path, files: list[str]) -> None:
        self.root, self.files = root, files
        begin = used()
        reach = "--cov=handwriting_lib", "--cov-context=test", "--cov-report="
        if not _passes(root, [*self.files, *reach], HANGS):
            raise SystemExit(f"{self.files} fail without a mutant")
        self.limit = int(3 * (used() - begin) + 60)
        data = coverage.CoverageData(str(root / ".coverage"))
        data.read()
        self.reached = {
            file: data.contexts_by_lineno(file) for file in data.measured_files()
        }

    def reaching(self, file: str, line: int) -> set[str]:
        """The tests that run a line; "" stands for its import, which all tests do."""
        lines = self.reached.get(str(self.root / "handwriting_lib" / file), {})
        return {name.rpartition("|")[0] for name in lines.get(line, [""])}

    def notice(self, mutant: Mutant) -> bool:
        """Whether a test fails: those that reach the line first, slow ones last."""
        near = sorted(self.reaching(mutant.file, mutant.line))
        rounds = [] if "" in near or len(near) > MANY else [near]
        return not all(
            _passes(self.root, [*tests, "-m", marked], self.limit)
            for tests in (*rounds, self.files)
            for marked in ("not slow", "slow")
        )


def _passes(root: Path, arguments: list[str], seconds: int) -> bool:
    """Whether tests pass within so many seconds of processor time."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=root,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # not the clock's: the machine may have other work
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds)),
    )
    try:
        return process.wait(HANGS) in (0, NO_TESTS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return False


def used() -> float:
    """Processor time of all tests so far, in seconds."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=300, help="mutants to try")
    parser.add_argument("--record", type=Path, default=Path("_build/mutants.json"))
    parser.add_argument("--resume", action="store_true", help="keep what is recorded")
    parser.add_argument("--only", help="mutants of files whose name begins so")
    arguments = parser.parse_args()
    chosen = random.Random(0).sample(all_mutants(ROOT), arguments.number)
    chosen = [one for one in chosen if one.file.startswith(arguments.only or "")]
    arguments.record.parent.mkdir(exist_ok=True)
    found: dict[str, bool] = {}
    if arguments.resume and arguments.record.exists():
        found = json.loads(arguments.record.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        ignored = shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__")
        shutil.copytree(ROOT, root, ignore=ignored)
        tests: dict[str, Tests] = {}
        for number, mutant in enumerate(chosen, 1):
            key = f"{mutant.file}:{mutant.line} {mutant.change}"
            if key in found:
                continue
            files = tests_of(root, mutant.file)
            if str(files) not in tests:
                tests[str(files)] = Tests(root, files)
            file = root / "handwriting_lib" / mutant.file
            source = file.read_text(encoding="utf-8")
            file.write_text(mutated(source, mutant.site), encoding="utf-8")
            found[key] = tests[str(files)].notice(mutant)
            file.write_text(source, encoding="utf-8")
            said = "killed  " if found[key] else "SURVIVED"
            print(f"{number:4} {said} {key}", flush=True)
            arguments.record.write_text(json.dumps(found, indent=1), encoding="utf-8")
    killed = sum(found.values())
    print(f"{killed} of {len(found)} killed ({killed / len(found):.0%}); survivors:")
    for key, dead in sorted(found.items()):
        if not dead:
            print(f"  {key}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
