"""Turn arrays into a widget in a page: the Python side that all widgets share.

A widget's HTML is a `<figure>` with a still picture, a caption, a block of JSON and a
script, which is inline because browsers block external modules on `file://`, and runs
before what follows the figure is there, so that nothing moves when the widget takes
over. Each figure has the whole script, so that an output in a notebook keeps working
when its neighbours are deleted. Ids are hashes of the content, so that rebuilding a
page does not change it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..atomic import write_whole
from ..errors import InputError
from ..ink import offsets_to_positions

STATIC = Path(__file__).parent / "static"
# The types in which arrays are stored; the script reads all of them as float32.
DTYPES = {"float32": np.float32, "int16": np.int16, "uint8": np.uint8}
# What a module exports, which a script cannot.
EXPORT = re.compile(r"^export (default )?", re.MULTILINE)
# What the caption asks the reader to do needs scripts.
NO_SCRIPTS = (
    "<noscript><p>Scripts do not run here, so this is a still picture: nothing in it"
    " can be moved, played or written on.</p></noscript>"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 1rem auto; max-width: 52rem;
  padding: 0 1rem; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def pack(array: Tensor | np.ndarray, dtype: str = "float32") -> dict[str, Any]:
    """Encode an array for the page, in base64, little-endian and row by row.

    Args:
        array: array of any shape.
        dtype: `"float32"`, or `"int16"` or `"uint8"`, which spread the array's range
            over the integers, with an error of at most half a step.

    Returns:
        A dictionary of `dtype`, `shape` and `data`, and for integers also of `scale`
        and `offset`: a number is `offset + scale * integer`.

    Raises:
        ValueError: a number is not finite.

    Example:
        >>> pack(np.array([0.0, 0.5, 1.0]), "uint8")["data"]
        'AID/'
    """
    if isinstance(array, Tensor):
        array = array.detach().cpu().double().numpy()
    values = np.asarray(array, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("a widget's array has a number that is not finite")
    packed: dict[str, Any] = {"dtype": dtype, "shape": list(values.shape)}
    if dtype != "float32":
        limits = np.iinfo(dtype)
        low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
        scale = float(high - low) / (int(limits.max) - int(limits.min)) or 1.0
        offset = float(low) - scale * int(limits.min)
        values = np.rint((values - offset) / scale).clip(limits.min, limits.max)
        packed |= {"scale": scale, "offset": offset}
    little = values.astype(np.dtype(DTYPES[dtype]).newbyteorder("<"))
    return packed | {"data": base64.b64encode(little.tobytes()).decode()}


def pack_ink(ink: Tensor) -> dict[str, Any]:
    """Encode a line of ink for the page: 16-bit positions, y up, and ends of strokes.

    Args:
        ink: `(T, 3)` offsets.
    """
    x, y, end = offsets_to_positions(ink.detach().cpu().double()).unbind(1)
    return {"x": pack(x, "int16"), "y": pack(y, "int16"), "end": pack(end, "uint8")}


@cache
def module_source(*names: str) -> str:
    """Join the JavaScript of a widget: the shared base, then files of `static/`.

    Args:
        names: names of the files without `.js`, in order; the last file exports `mount`
            and a default.

    Raises:
        ValueError: the source would end its `<script>` early.
    """
    style = (STATIC / "base.css").read_text(encoding="utf-8")
    parts = [f"const STYLE = {script_json(style)};"]
    for name in ("base", *names):
        parts.append((STATIC / f"{name}.js").read_text(encoding="utf-8").strip())
    source = "\n".join(parts) + "\n"
    if "</script" in source.lower() or "<!--" in source:
        raise InputError(
            f"the source of {names} would end its <script> early: it must have neither "
            "</script nor <!--"
        )
    return source


def script_json(data: Any) -> str:
    """Serialise data to JSON that is safe in a `<script>`, whatever its strings hold.

    Example:
        >>> script_json("</script>")
        '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def to_html(
    modules: Sequence[str],
    data: Mapping[str, Any],
    *,
    still: str,
    label: str,
    caption: str = "",
) -> str:
    """Return the HTML of a widget.

    Args:
        modules: files of `static/`, without `.js`, in order; the last is the widget.
        data: JSON-serialisable data for `mount`.
        still: trusted SVG or HTML, with all text in it escaped, which shows until the
            script takes over and where scripts do not run.
        label: description of the figure in words; any text is safe.
        caption: text below the figure; any text is safe.
    """
    source = module_source(*modules)
    script = EXPORT.sub(lambda found: "void " if found[1] else "", source)
    block = script_json(dict(data))
    if still.startswith("<svg ") and "style=" not in still.partition(">")[0]:
        # the whole of it, however narrow the page
        still = still.replace(
            "<svg ", '<svg style="max-width: 100%; height: auto;" ', 1
        )
    name = hashlib.sha256(f"{source}{block}".encode()).hexdigest()[:16]
    words = ""
    if caption:
        below = f'<figcaption style="margin-top: 6px;">{html.escape(caption)}'
        words = f"{below}</figcaption>\n"
    return (
        f'<figure data-widget="{name}" aria-label="{html.escape(label)}"'
        ' style="margin: 0.5rem 0; max-width: 100%;">\n'
        f'<div data-still style="max-width: 100%; overflow-x: auto;">{still}</div>\n'
        f"{NO_SCRIPTS}\n"
        f'<script type="application/json">{block}</script>\n'
        f'<script>\n(() => {{\n"use strict";\n{script}start("{name}", mount);\n'
        "})();\n</script>\n"
        f"{words}"
        "</figure>"
    )


class Widget:
    """A figure that displays itself as HTML and can be saved as a page.

    Args:
        modules: files of `static/`, without `.js`, in order; the last is the widget.
        data: JSON-serialisable data for the script.
        still: trusted SVG that shows where scripts do not run.
        label: description of the figure in words.
        caption: text below the figure.
    """

    def __init__(
        self,
        modules: Sequence[str],
        data: Mapping[str, Any],
        *,
        still: str,
        label: str,
        caption: str = "",
    ) -> None:
        self.label = label
        self.html = to_html(modules, data, still=still, label=label, caption=caption)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.label}>"

    def _repr_html_(self) -> str:
        return self.html

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a standalone page, which works from disk without any other file."""
        page = PAGE.format(title=html.escape(self.label), body=self.html)
        write_whole(path, page.encode())
