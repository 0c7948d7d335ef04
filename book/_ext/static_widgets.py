"""Pages without the state of widgets that lived in a kernel.

Pages show a widget's own HTML (`nb_mime_priority_overrides` in _config.yml). myst-nb
would still write the state of each ipywidget into the page, its whole script among it,
for a widget manager that is not there.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def drop_state(app: Sphinx, env: BuildEnvironment) -> None:
    """Take it out of what pages will load, when all pages have been read."""
    for page in getattr(env, "nb_metadata", {}).values():
        page.get("js_files", {}).pop("ipywidgets_state", None)


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.connect("env-updated", drop_state)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
