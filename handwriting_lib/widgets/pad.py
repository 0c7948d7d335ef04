"""Pad: collect the reader's own handwriting in the page, as samples in Python.

With `anywidget` and a kernel, the ink is in `pad.samples` as soon as a line is kept.
Without them, the same pad keeps the ink in the browser and saves it to a file that
`load_corpus` reads. In both cases `corpora/collected.py` is the one reader. Chapters 01
and 12 use the pad.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..alphabet import FOLDING, fold, missing
from ..corpora import collected
from ..errors import InputError, MissingPackageError
from ..ink import Sample
from .host import Widget, module_source

MODULES = ("folding", "collected", "storage", "surface", "pad")  # files of `static/`
INSTALL = 'pip install "handwriting-lib[widgets]"'

# Short, so that a line fits on a phone; together they have all 95 characters.
PROMPTS = (
    "the pen remembers",
    "a lazy dog jumps",
    "quiet vow of ink",
    "Ada, Bo and Carl",
    "Doha, Eve & Finn",
    "Gus met Hal (Ivy)",
    "Jim, Kay or Liz?",
    "Max: no; Nina: yes",
    "Oslo-Paris, Quito",
    'Rex\'s "Sir Tom"',
    "Una / Vic, Walt!",
    "Xena_17@Yale.org",
    "Zoe: 24 + 36 = 60",
    "#5 is $8.90 * 7%",
    "[x] <y> {z} |`k`|",
    "~x^2 \\ 2 = half",
)
STILL = """<svg viewBox="0 0 700 150" width="700" height="150" role="img"
 xmlns="http://www.w3.org/2000/svg" style="max-width: 100%; height: auto;">
<title>A line to write on</title>
<rect x="1" y="1" width="698" height="148" rx="8" fill="none" stroke="#8a919c"/>
<path d="M12 60H688" stroke="#8a919c" stroke-dasharray="4 6"/>
<path d="M12 96H688" stroke="#8a919c"/>
<text x="24" y="90" font-family="sans-serif" font-size="26" fill="#8a919c"
>Here one writes by hand; it needs scripts.</text></svg>"""


class Pad(Widget):
    """Asks for lines of text one by one and records how they are written.

    Kept lines stay in the browser, separately for each list of prompts, and are there
    again when the page or the notebook is reopened. "Start over" removes them. "Open
    file" reads files that a pad saved, and word banks in the formats of `load_corpus`.

    Args:
        prompts: texts to write; None takes a list with all 95 characters.
        writer: name of the writer, which the samples carry.
        caption: text below the pad.

    Raises:
        ValueError: there is no prompt, a prompt is empty or has characters that the
            alphabet lacks, or `writer` is not a name.

    Example:
        >>> Pad(["hello", "world"])
        <Pad: A pad to write 2 texts on>
    """

    def __init__(
        self,
        prompts: Sequence[str] | None = None,
        *,
        writer: str = "me",
        caption: str = "",
    ) -> None:
        texts = check_prompts(PROMPTS if prompts is None else prompts)
        if not isinstance(writer, str) or not writer:
            raise InputError(f"writer must be a name, such as 'me', not {writer!r}")
        self.pad_data = {
            "prompts": texts, "writer": writer, "key": _key(texts),
            "folding": FOLDING,
        }  # fmt: skip
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        label = f"A pad to write {len(texts)} text{'s' * (len(texts) > 1)} on"
        super().__init__(
            MODULES, self.pad_data, still=STILL, label=label, caption=caption
        )

    def __new__(cls, *args: Any, **options: Any) -> Pad:
        kind = (_live_class() or cls) if cls is Pad else cls
        # super() would skip anywidget's own __new__, which makes a live pad
        made: Pad = super(Pad, kind).__new__(kind)
        return made

    # for help() and inspect.signature
    __new__.__wrapped__ = __init__  # type: ignore[attr-defined]

    @property
    def samples(self) -> list[Sample]:
        """All kept lines, in the order in which they were kept.

        Ink is `(T, 3)` offsets in pixels of the surface, y up; `points_per_second`
        comes from the times of the points.

        Raises:
            ImportError: `anywidget`, through which the page reaches Python, is missing.
        """
        raise MissingPackageError(
            f"the ink reaches Python through anywidget: run {INSTALL}, restart the "
            "kernel and run the cell again, or press 'Save file' on the pad and read "
            "the saved file with load_corpus('ink.json')"
        )

    @property
    def sample(self) -> Sample:
        """The line that was kept last.

        Raises:
            ImportError: `anywidget` is missing, as for `samples`.
            ValueError: no line has been kept yet.
        """
        samples = self.samples
        if not samples:
            raise InputError(
                "the pad has no line yet: run the cell that shows it, write a line and "
                "press 'Keep'"
            )
        return samples[-1]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the samples as `.json`, or the pad as a standalone page in `.html`.

        Args:
            path: file to write, whose ending decides; `load_corpus` reads the JSON.

        Raises:
            ValueError: the path has another ending, or no line has been kept yet.
            ImportError: the path ends in `.json`, and `anywidget` is missing.
        """
        ending = Path(path).suffix.lower()
        if ending == ".html":
            return super().save(path)
        if ending != ".json":
            raise InputError(
                f"{os.fspath(path)} must end in .json (the ink) or .html (the pad)"
            )
        assert self.sample  # raises if no line has been kept
        return collected.save(self.samples, Path(path))

    def _receive(self, _: object, message: object, __: object) -> None:
        """Handle a message of the page that a line was kept or dropped."""
        if not isinstance(message, dict) or not isinstance(message.get("id"), str):
            return
        name = message["id"]
        if message.get("kind") == "drop":
            self._kept.pop(name, None)
        elif message.get("kind") == "keep":
            self._kept[name] = (float(message["order"]), message["entry"])


def check_prompts(prompts: Sequence[str]) -> list[str]:
    if isinstance(prompts, str):
        raise InputError(f"prompts must be a list, as in Pad([{prompts!r}])")
    folded = []
    for prompt in prompts:
        if not isinstance(prompt, str) or not (text := fold(prompt).text).strip():
            raise InputError(
                f"each prompt must be a text with something to write, not {prompt!r}"
            )
        folded.append(text)
        if unknown := missing(text):
            raise InputError(
                f"the prompt {prompt!r} has {unknown[0]!r}, which the alphabet lacks: "
                "use alphabet.to_ascii to replace accents"
            )
    if not prompts:
        raise InputError("a pad needs at least one prompt, as in Pad(['hello'])")
    return folded


def _key(texts: Sequence[str]) -> str:
    """The key of this pad's lines in the browser's storage, one per list of texts."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    return f"handwriting_lib/pad/{digest[:12]}"


@cache
def _live_class() -> type[Pad] | None:
    """Create the class of pads that are anywidgets, or None without anywidget."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None

    class LivePad(Pad, anywidget.AnyWidget):
        """A pad that sends its ink to Python, and still is a figure on static pages."""

        _esm = module_source(*MODULES)
        data = traitlets.Dict().tag(sync=True)

        def __init__(self, *args: Any, caption: str = "", **options: Any) -> None:
            anywidget.AnyWidget.__init__(self)
            Pad.__init__(self, *args, caption=caption, **options)
            self.data = {**self.pad_data, "caption": caption}
            self.on_msg(self._receive)

        def __repr__(self) -> str:
            return f"<Pad: {self.label}>"

        @property
        def samples(self) -> list[Sample]:
            if not self._kept:
                return []
            entries = [entry for _, entry in sorted(self._kept.values(), key=_order)]
            document = {
                "format": collected.FORMAT,
                "version": collected.VERSION,
                "y": "down",
                "samples": entries,
            }
            return collected.from_json(document, name="pad").samples

    return LivePad


def _order(kept: tuple[float, dict[str, Any]]) -> float:
    return kept[0]
