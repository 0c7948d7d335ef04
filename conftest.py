"""How the tests run, and what they leave aside.

Their threads wait passively and are few, so that tests beside other work are slower
but not many times slower. Modules whose optional package is not installed are left out.
"""

import os
from importlib.util import find_spec

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", str(min(os.cpu_count() or 1, 4)))

_NEEDS = {
    "handwriting_lib/fast/numba_backend.py": "numba",
    "handwriting_lib/fast/one_line.py": "numba",
    "handwriting_lib/fast/triton_backend.py": "triton",
}
collect_ignore = [file for file, package in _NEEDS.items() if not find_spec(package)]
