"""What pytest leaves aside: modules whose optional package is not installed."""

from importlib.util import find_spec

_NEEDS = {
    "handwriting_lib/fast/numba_backend.py": "numba",
    "handwriting_lib/fast/one_line.py": "numba",
    "handwriting_lib/fast/triton_backend.py": "triton",
}
collect_ignore = [file for file, package in _NEEDS.items() if not find_spec(package)]
