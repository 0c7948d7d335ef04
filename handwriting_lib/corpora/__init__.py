"""Where ink comes from. Each reader returns a `Corpus` of `Sample`s.

`load_corpus` is the one door: `"synthetic"`, `"unipen:PATH"`, `"iam:PATH"`, or the
path of a JSON file that the drawing pad saved. Chapter 01 of the book goes through it.
"""

from __future__ import annotations

import inspect
from importlib import import_module

from ..ink import Corpus

SOURCES = ("synthetic", "unipen", "iam")


def load_corpus(source: str, **options: object) -> Corpus:
    """Read a corpus by its name.

    Args:
        source: `"synthetic"`; `"unipen"` (the copy that `handwriting corpus get unipen`
            put into the cache) or `"unipen:PATH"`; `"iam:PATH"`; or `FILE.json`, ink
            collected with the drawing pad. PATH is a folder or an archive
            (`.tar.xz`, `.tgz`, `.zip`).
        options: handed on to the reader.

    Raises:
        CorpusError: there is no such source or option, or the reader cannot read it.

    Example:
        >>> load_corpus("synthetic", samples=2, seed=1).samples[0].kind
        'line'
    """
    from .archives import CorpusError

    name, _, path = source.partition(":")
    where = [path] if path else []
    if (
        name == "unipen"
        or (name == "synthetic" and not path)
        or (name == "iam" and path)
    ):
        reader = name
    elif source.endswith(".json"):
        reader, where = "collected", [source]
    else:
        raise CorpusError(
            f"there is no corpus {source!r}: say synthetic, unipen[:PATH], iam:PATH, "
            "or the path of a .json file"
        )
    load = import_module(f".{reader}", __name__).load
    known = [p for p in inspect.signature(load).parameters if p != "path"]
    for option in options:
        if option not in known:
            raise CorpusError(
                f"the corpus {source!r} has no option {option!r}; there are "
                f"{', '.join(known)}"
            )
    corpus: Corpus = load(*where, **options)
    return corpus
