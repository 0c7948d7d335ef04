"""Settings of the build that follow from other settings or from the repository.

The execution cache gets a folder with a hash of the library in its name, and pages may
write `{{ repository }}`, `{{ install }}` and `[text](repo:path)`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

sys.path.append(str(Path(__file__).resolve().parents[1] / "_tools"))

from project import cache_folder, read_project

# What `-n` cannot resolve, each with its reason. An inventory fetched at build time
# would resolve them and make the build depend on other people's hosts.
NITPICK_IGNORE = [
    # Other packages: their documentation is not part of this book.
    ("py:.*", r"(torch|numpy|np|matplotlib|safetensors|tqdm|ipywidgets|anywidget)\..*"),
    # The names under which modules of the library import them.
    ("py:.*", r"(Tensor|Module|Axes|Figure|Colormap|Generator|ArrayLike|NDArray)"),
    # Names that modules of the library give to types of arrays.
    ("py:.*", r"(Points|Stroke|Strokes)"),
    # The standard library.
    ("py:.*", r"(collections|typing|pathlib|dataclasses|datetime|enum)\..*"),
    ("py:.*", r"(os|io|random|xml)\..*"),
    ("py:.*", r"(Path|Any|Callable|Iterable|Iterator|Sequence|Mapping|Literal|Self)"),
    ("py:.*", r"(int|float|str|bool|bytes|object|dict|list|tuple|set|None|type)"),
    ("py:.*", r"(Exception|[A-Z]\w+Error|[A-Z]\w+Warning|NamedTuple|ModuleType)"),
]


def set_what_follows(app: Sphinx, config: Config) -> None:
    """Derive the settings; the event is `config-inited`."""
    root = Path(app.srcdir)
    config.nb_execution_cache_path = str(cache_folder(root))
    project = read_project(root)
    config.myst_substitutions = project.substitutions()
    config.myst_url_schemes = {
        **dict.fromkeys(("http", "https", "mailto")),
        "repo": {"url": project.file("{{path}}"), "title": "{{path}}"},
    }
    config.nitpick_ignore_regex = NITPICK_IGNORE


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("config-inited", set_what_follows, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
