"""How the tests run, and what they leave aside.

Their threads wait passively and are few, so that tests beside other work are slower
but not many times slower; several test processes share the cores. Modules whose
optional package is not installed are left out.
"""

import os
from importlib.util import find_spec

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", str(min(os.cpu_count() or 1, 4)))
if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    share = max(1, int(os.environ["OMP_NUM_THREADS"]) // int(processes))
    os.environ["OMP_NUM_THREADS"] = str(share)

_NEEDS = {
    "handwriting_lib/fast/numba_backend.py": "numba",
    "handwriting_lib/fast/one_line.py": "numba",
    "handwriting_lib/fast/triton_backend.py": "triton",
}
collect_ignore = [file for file, package in _NEEDS.items() if not find_spec(package)]
