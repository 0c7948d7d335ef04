"""Readers of handwriting corpora; each returns a `Corpus` of `Sample`s.

`load_corpus` is the common entry point, which chapter 01 of the book uses. It reads
`"synthetic"`, `"unipen:PATH"`, `"iam:PATH"`, or a file, folder or archive of ink that
the drawing pad or another program saved (`formats.py`).
Texts without ink, which chapter 13 learns from, are read by `text.load_text`, and fonts
(`"fonts:PATH"`) by `outlines.load_outlines`.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

from ..ink import Corpus

SOURCES = ("synthetic", "unipen", "iam")


def load_corpus(source: str | Path, **options: object) -> Corpus:
    """Read the corpus that `source` names.

    Args:
        source: `"synthetic"`; `"unipen"` (the copy that `handwriting corpus get unipen`
            put into the cache) or `"unipen:PATH"`; `"iam:PATH"`; or the path of a file
            of ink, of a folder or of an archive (`.tar.xz`, `.tgz`, `.zip`).
        options: keyword arguments of the reader's own `load`; for files of ink `pen`,
            `y`, `offsets` and `units`, which say what a file does not (see
            `formats.load`).

    Raises:
        CorpusError: the source or an option is unknown, or the corpus cannot be read.

    Example:
        >>> load_corpus("synthetic", samples=2, seed=1).samples[0].kind
        'line'
    """
    from .archives import CorpusError

    source = str(source)
    name, _, path = source.partition(":")
    where = [path] if path else []
    if (
        name == "unipen"
        or (name == "synthetic" and not path)
        or (name == "iam" and path)
    ):
        reader = name
    elif name == "fonts" and path:
        raise CorpusError(
            f"{source!r} names fonts, which hold outlines and no ink: read them with "
            "load_outlines, or train a glyph decoder on them"
        )
    elif Path(source).exists() or Path(source).suffix:
        reader, where = "formats", [source]
    else:
        raise CorpusError(
            f"there is no corpus {source!r}: choose synthetic, unipen[:PATH] or "
            "iam:PATH, or give the path of a file, folder or archive of ink"
        )
    load = import_module(f".{reader}", __name__).load
    known = [p for p in inspect.signature(load).parameters if p != "path"]
    for option in options:
        if option not in known:
            raise CorpusError(
                f"the corpus {source!r} has no option {option!r}: choose from "
                f"{', '.join(known)}"
            )
    corpus: Corpus = load(*where, **options)
    return corpus
