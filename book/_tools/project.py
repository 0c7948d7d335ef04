"""Where the book lives: every address and version, derived from one place.

`_config.yml` holds the address of the repository and of the site, `pyproject.toml` the
version. Everything that needs a link or a version asks here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Where the networks that write in pages lie, from a page in book/.
PACKS = "../_static/packs"
COLAB = "https://colab.research.google.com/github"
# What the outputs of a chapter depend on besides its own cells.
CELL_INPUTS = ("handwriting_lib", "book/data", "benchmarks/results", "requirements.txt")

# What the cells of a notebook need of the library's optional extras.
NOTEBOOK_EXTRAS = ("gif", "widgets")


@dataclass(frozen=True)
class Project:
    """The addresses of the book and what its library needs.

    Attributes:
        root: the folder of the repository.
        repository: address of the repository, without a slash at the end.
        site: address of the built book, without a slash at the end.
        branch: the branch that the site and the badges show.
        version: version of the library in `pyproject.toml`.
        dependencies: names of the packages that the library needs, torch left out.
        for_widgets: names of those that films and widgets of the notebooks need.
    """

    root: Path
    repository: str
    site: str
    branch: str
    version: str
    dependencies: tuple[str, ...]
    for_widgets: tuple[str, ...]

    @property
    def slug(self) -> str:
        """Owner and name, as in `ORG/a-machine-that-writes`."""
        return "/".join(self.repository.split("/")[-2:])

    @property
    def tag(self) -> str:
        """The git tag of this version."""
        return f"v{self.version}"

    @property
    def requirement(self) -> str:
        """What pip installs: the library as tagged in the repository."""
        return f"git+{self.repository}@{self.tag}"

    def page(self, name: str, anchor: str = "") -> str:
        """Address of a page of the book, `name` without a suffix."""
        return f"{self.site}/book/{name}.html" + (f"#{anchor}" if anchor else "")

    def colab(self, name: str) -> str:
        """Address that opens the notebook of a chapter in Colab."""
        return f"{COLAB}/{self.slug}/blob/{self.branch}/notebooks/{name}.ipynb"

    def file(self, path: str) -> str:
        """Address of a file in the repository, as a page to read."""
        return f"{self.repository}/blob/{self.branch}/{path}"

    def raw(self, path: str) -> str:
        """Address of a file's bytes in the repository."""
        return f"{self.repository}/raw/{self.branch}/{path}"

    def substitutions(self) -> dict[str, str]:
        """What a page may write as `{{ name }}`, as Markdown."""
        return {
            "repository": f"[{self.slug}]({self.repository})",
            "site": f"[{self.site.removeprefix('https://')}]({self.site})",
            "version": self.version,
            "install": f"`pip install {self.requirement}`",
        }


def read_project(root: Path = ROOT) -> Project:
    """Read `_config.yml` and `pyproject.toml` below `root`.

    Raises:
        ValueError: when an address or the version is missing.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    # A regular expression: tomllib is not there on Python 3.10.
    version = re.search(r'^version = "([^"]+)"', pyproject, re.M)
    listed = re.search(r"^dependencies = \[(.*?)^\]", pyproject, re.M | re.S)
    if version is None or listed is None:
        raise ValueError(f"{root}/pyproject.toml: no version or no dependencies")
    needed = re.findall(r'^\s*"([\w.-]+)[^";]*"', listed[1], re.M)  # no markers
    extras = [
        re.findall(rf"^{extra} = \[(.*?)\]", pyproject, re.M | re.S)[0]
        for extra in NOTEBOOK_EXTRAS
    ]
    try:
        repository = config["repository"]["url"].rstrip("/")
        site = config["html"]["baseurl"].rstrip("/")
    except KeyError as missing:
        raise ValueError(f"{root}/_config.yml: {missing} is missing") from None
    return Project(
        root=root,
        repository=repository,
        site=site,
        branch=config["repository"]["branch"],
        version=version[1],
        dependencies=tuple(name for name in needed if name != "torch"),
        for_widgets=tuple(re.findall(r'"([\w.-]+)[^"]*"', " ".join(extras))),
    )


def inputs_hash(root: Path = ROOT) -> str:
    """Hash of everything outside a chapter that its outputs depend on.

    The execution cache compares the cells of a notebook and nothing else: with this in
    its path, a change of the library runs the chapters again.
    """
    digest = hashlib.sha256()
    for name in CELL_INPUTS:
        top = root / name
        files = sorted(top.rglob("*")) if top.is_dir() else [top]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(file.relative_to(root).as_posix().encode() + b"\0")
                digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def cache_folder(root: Path = ROOT) -> Path:
    """The folder of the execution cache for the library as it is now."""
    return root / "_build" / ".jupyter_cache" / inputs_hash(root)
