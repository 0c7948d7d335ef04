"""Build the book into _build/html; any warning, broken reference or bad cell fails.

Every page is made anew: an incremental build forgets the warnings of pages that it
does not touch. What chapters computed is kept, for as long as neither their cells nor
the library change: `run_chapters.py` runs those that did. The last line printed is the
path of the first page.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from labels import toc_pages
from project import PACKS, ROOT, cache_folder

# Inside the kernels, where stderr is dropped. By name, because -W error would also stop
# at deprecations inside packages that a chapter only imports.
KERNEL_WARNINGS = "error::UserWarning,error::RuntimeWarning,error::FutureWarning"
# Where Jupyter Book and Sphinx start to describe their own state.
END = re.compile(r'^Exception occurred:|^Traceback.*\n  File "<string>"', re.M)
# A chapter that has been run, and a page that Sphinx begins to read.
PAGE = re.compile(r"^ran .*|reading sources\.\.\. \[ *(\d+%\] \S+)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# From Jupyter's executor down to the cell that failed.
EXECUTOR = re.compile(r"^Traceback[^\n]*\n  File.*?^nbclient\.\S+ ", re.M | re.S)


def clean(root: Path) -> None:
    """Remove the last build and the caches of other versions of the library."""
    build = root / "_build"
    for name in ("html", ".doctrees", "jupyter_execute"):
        shutil.rmtree(build / name, ignore_errors=True)
    cache = cache_folder(root)
    for old in cache.parent.glob("*"):
        if old != cache:
            shutil.rmtree(old, ignore_errors=True)


def commands(root: Path) -> list[list[str]]:
    """What runs the chapters, and the call of Jupyter Book."""
    chapters = str(Path(__file__).with_name("run_chapters.py"))
    run = "from jupyter_book.cli.main import main; main()"
    flags = ["-W", "-n", "--keep-going"]
    return [
        [sys.executable, chapters, "--root", str(root)],
        [sys.executable, "-c", run, "build", str(root), *flags],
    ]


def build(root: Path) -> int:
    """Build, and print what went wrong; 0 when nothing did."""
    version = metadata.version("jupyter-book")
    if not version.startswith("1."):
        # Version 2 ignores _config.yml and _toc.yml and exits 0.
        print(f"jupyter-book {version}: this book needs version 1", file=sys.stderr)
        return 1
    clean(root)
    log = root / "_build" / "build.log"
    log.parent.mkdir(exist_ok=True)
    # The errors of a page come on stderr, the progress on stdout.
    print(f"Building the book; progress goes to {log}", flush=True)
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONWARNINGS": KERNEL_WARNINGS,
        "HANDWRITING_PACKS": PACKS,
    }
    failed = 0
    with log.open("w", encoding="utf-8") as progress, TemporaryFile("w+") as errors:
        for command in commands(root):
            if not failed:
                failed = follow(command, root, environment, progress, errors)
        errors.seek(0)
        report = errors.read()
    html = root / "_build" / "html"
    missing = [page for page in toc_pages(root) if not (html / f"{page}.html").exists()]
    if failed or missing:
        unbuilt = "\n".join(f"not built: {page}" for page in missing)
        print(problems(report) or unbuilt, file=sys.stderr)
        print(f"The book was not built; see {log}", file=sys.stderr)
        return 1
    print(html / f"{toc_pages(root)[0]}.html")
    return 0


def follow(
    command: list[str],
    root: Path,
    environment: dict[str, str],
    progress: TextIO,
    errors: TextIO,
) -> int:
    """Run a command, and print which page it is at.

    Args:
        command: the command.
        root: folder to run it in.
        environment: its environment variables.
        progress: file for what it prints.
        errors: file for its errors.

    Returns:
        Its exit status.
    """
    with subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            progress.write(line)
            progress.flush()
            if page := PAGE.search(COLOURS.sub("", line)):
                print((page[1] or page[0]).replace("]", "").rstrip(), flush=True)
        return process.wait()


def problems(stderr: str) -> str:
    """What a person needs of the report: the warnings, and the cell that failed."""
    report = END.split(COLOURS.sub("", stderr))[0]
    lines = EXECUTOR.sub("", report).splitlines()
    return "\n".join(line for line in lines if "[IPKernelApp]" not in line).strip()


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Build the book into _build/html.")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of _config.yml")
    return build(parser.parse_args(arguments).root.resolve())


if __name__ == "__main__":
    sys.exit(main())
