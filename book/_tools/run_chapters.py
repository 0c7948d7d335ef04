"""Run the chapters whose outputs are not in the execution cache, several at a time.

Jupyter Book runs them one after another. Here each has one thread, because networks as
small as those of the chapters gain little from a second, and threads that wait for each
other would hold up whatever else the machine does. A chapter that fails stays out of
the cache, so that the build runs it again and reports the cell that failed.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from labels import toc_pages
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from project import ROOT, cache_folder

sys.path.append(str(Path(__file__).resolve().parents[1] / "_ext"))

from editions import book_source

KERNELS = 4  # the most at a time: some need more than a gigabyte


def run_chapters(root: Path) -> None:
    """Run them, and print a line for each that has been run.

    Args:
        root: folder of `_config.yml`, which holds the longest time for a cell.
    """
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    timeout = settings["execute"]["timeout"]
    cache = get_cache(cache_folder(root))
    waiting = []
    for page in toc_pages(root):
        path = root / f"{page}.md"
        text = book_source(path.read_text(encoding="utf-8"), page)
        if is_myst_markdown_notebook(text):
            notebook = read_myst_markdown_notebook(text, path=path)
            try:
                cache.match_cache_notebook(notebook)
            except KeyError:
                waiting.append((page, notebook))

    def run(page: str, notebook: Any) -> tuple[str, Any, Any]:
        folder = str((root / page).parent)
        result = single_nb_execution(notebook, folder, timeout, allow_errors=False)
        return page, notebook, result

    with ThreadPoolExecutor(min(os.cpu_count() or 1, KERNELS)) as pool:
        for done in as_completed([pool.submit(run, *chapter) for chapter in waiting]):
            page, notebook, result = done.result()
            ending = ", until a cell failed" if result.err else ""
            print(f"ran {page} in {result.time:.0f} s{ending}", flush=True)
            if not result.err:
                seconds = {"execution_seconds": result.time}
                bundle = CacheBundleIn(notebook, str(root / f"{page}.md"), data=seconds)
                cache.cache_notebook_bundle(bundle, check_validity=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of _config.yml")
    run_chapters(parser.parse_args().root.resolve())
