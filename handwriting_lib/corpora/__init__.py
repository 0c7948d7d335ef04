"""Where ink comes from. Each reader returns a `Corpus` of `Sample`s.

`load_corpus` is the one door: `"synthetic"`, `"unipen:PATH"`, `"iam:PATH"`, or the
path of a JSON file that the drawing pad saved. Chapter 01 of the book goes through it.
"""

from __future__ import annotations

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
        CorpusError: there is no such source, or the reader cannot read it.

    Example:
        >>> load_corpus("synthetic", samples=2, seed=1).samples[0].kind
        'line'
    """
    from .archives import CorpusError

    name, _, path = source.partition(":")
    if name == "synthetic" and not path:
        from .synthetic import load as load_synthetic

        return load_synthetic(**options)  # type: ignore[arg-type]
    if name == "unipen":
        from .unipen import load as load_unipen

        return load_unipen(path or None, **options)  # type: ignore[arg-type]
    if name == "iam" and path:
        from .iam import load as load_iam

        return load_iam(path, **options)  # type: ignore[arg-type]
    if source.endswith(".json"):
        from .collected import load as load_collected

        return load_collected(source, **options)  # type: ignore[arg-type]
    raise CorpusError(
        f"there is no corpus {source!r}: say synthetic, unipen[:PATH], iam:PATH, "
        "or the path of a .json file"
    )
