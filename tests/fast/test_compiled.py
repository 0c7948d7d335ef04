"""Compiled code on disk: when it is used, and when it is made again."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import handwriting_lib

pytest.importorskip("numba", reason="Numba is optional")

# One small function with a constant of another module, and the loop's, which calls it.
PROGRAM = """
import json, logging, sys
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
from handwriting_lib.fast import numba_backend, one_line
row, cells = np.array([[-1, 0.25, 1]], np.float32), np.zeros((1, 3), np.int8)
numba_backend.quantise(row, 0, cells, 0, 3)
x, y = np.ones(16, np.float32), np.zeros(4, np.float32)
one_line._add_up(np.ones((16, 4), np.float32), x, y)
hits = [sum(f.stats.cache_hits.values())
        for f in (numba_backend.quantise, one_line._add_up)]
print(json.dumps({"cells": cells.tolist(), "sum": y.tolist(), "hits": hits}))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the library that a test may change."""
    source = Path(handwriting_lib.__file__).parent
    ignored = shutil.ignore_patterns("pretrained", "__pycache__", "widgets")
    shutil.copytree(source, tmp_path / "handwriting_lib", ignore=ignored)
    return tmp_path / "handwriting_lib"


def run(package, **environment):
    """What the program prints with the copy, and what it says on the terminal."""
    told = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    told |= {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    told["HANDWRITING_CACHE"] = str(package.parent / "cache")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=told | environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def change(file, pattern, replacement):
    """Change a file but not its size or its time, which Numba looks at."""
    before = file.stat()
    content = file.read_text(encoding="utf-8")
    changed, number = re.subn(pattern, replacement, content)
    assert number == 1 and len(changed) == len(content)
    file.write_text(changed, encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
def test_it_is_compiled_once_and_again_when_a_source_or_a_constant_changes(package):
    first, said = run(package)
    assert first == {"cells": [[-127, 32, 127]], "sum": [16.0] * 4, "hits": [0, 0]}
    assert said.count("happens once") == 1
    again, said = run(package)
    assert again == first | {"hits": [1, 1]}
    assert said == ""
    # a constant of a module that the compiled one imports
    change(package / "fast/torch_backend.py", "INT8_STEPS = 127", "INT8_STEPS = 100")
    changed, said = run(package)
    assert changed["cells"] == [[-100, 25, 100]] and changed["hits"] == [0, 0]
    # a constant from outside the package `fast`, which no function of this program uses
    change(package / "parts/mixture.py", "SIGMA_FLOOR = 0.01", "SIGMA_FLOOR = 0.02")
    assert run(package)[0]["hits"] == [0, 0]
    # and a function's own source
    change(package / "fast/one_line.py", r"y\[:\] = 0\n", "y[:] = 1\n")
    assert run(package)[0]["sum"] == [17.0] * 4


@pytest.mark.slow
def test_damaged_files_are_made_again(package):
    first, _ = run(package)
    one, other = (package.parent / "cache" / "compiled").iterdir()
    one.write_bytes(one.read_bytes()[:40])
    content = bytearray(other.read_bytes())
    content[len(content) // 2] ^= 1
    other.write_bytes(content)
    assert run(package)[0] == first
    assert run(package)[0] == first | {"hits": [1, 1]}


@pytest.mark.slow
def test_without_a_folder_to_write_nothing_is_kept_and_all_works(package):
    in_the_way = package.parent / "file"
    in_the_way.write_text("a file is no folder")
    found, said = run(package, HANDWRITING_CACHE=str(in_the_way))
    assert found["sum"] == [16.0] * 4
    assert "cannot be kept" in said
