"""Do people dot their letters at once, or when the word is written?

The record behind chapter 14, written to book/data/14_late.json. Counted are the words
of letters that have an i, j, t or x with two letters or more behind it. In such a word
a stroke is *late* if all of it lies farther to the left of what was written before than
a letter is wide on average. A row for each corpus has

words, late    such words, and those with a late stroke;
last           of the latter, those in which nothing but late strokes follows the first
               of them: the word was finished, and then its marks were set;
writers, mostly_late
               writers of 10 such words or more, and those with a late stroke in more
               than half of them;
others, others_late
               words of letters without f, i, j, t, x, z and capitals, for comparison;
agree          for synthetic ink, whose characters are known: the share of words that
               are late by this measure and in truth, or in neither way.

    python book/_tools/experiments/14_late.py unipen:PATH

takes some 3 minutes of one core.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import handwriting_lib as hw

FILE = Path(__file__).resolve().parents[2] / "data" / "14_late.json"
MARKED, MAYBE = set("ijtx"), set("fijtxz")


def late_strokes(sample: hw.Sample) -> list[bool]:
    """Whether each stroke of a word is late."""
    ink = sample.ink.double().numpy()
    x = ink[:, 0].cumsum()
    ends = np.flatnonzero(ink[:, 2] > 0.5)
    strokes = np.split(x, ends[ends < len(x) - 1] + 1)
    letter = (x.max() - x.min()) / len(sample.text)
    right, found = -np.inf, []
    for stroke in strokes:
        found.append(bool(stroke.max() + letter < right))
        right = max(right, stroke.max())
    return found


def truly_late(sample: hw.Sample) -> bool:
    """Whether a character is returned to after one that follows it."""
    assert sample.character_of_point is not None
    at = sample.character_of_point.numpy()
    return bool((at < np.maximum.accumulate(at)).any())


def count(name: str, samples: list[hw.Sample]) -> dict[str, object]:
    row: dict[str, object] = {"corpus": name}
    words = late = last = others = others_late = agree = 0
    of_writer: dict[str, list[bool]] = defaultdict(list)
    for s in samples:
        if not s.text.isalpha() or len(s.text) < 3:
            continue
        if not MAYBE & set(s.text) and s.text.islower():
            others += 1
            others_late += any(late_strokes(s))
        if not MARKED & set(s.text[:-2]):
            continue
        found = late_strokes(s)
        is_late = any(found)
        words += 1
        late += is_late
        last += is_late and all(found[found.index(True) :])
        of_writer[s.writer].append(is_late)
        if s.character_of_point is not None:
            agree += is_late == truly_late(s)
    shares = [np.mean(own) for own in of_writer.values() if len(own) >= 10]
    row |= {"words": words, "late": late, "last": last, "writers": len(shares),
            "mostly_late": sum(bool(share > 0.5) for share in shares),
            "others": others, "others_late": others_late}  # fmt: skip
    if agree:
        row["agree"] = round(agree / words, 4)
    return row


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else "unipen"
    how = {"samples": 4000, "seed": 1, "writers": 400}  # as in configs/cursive-144.toml
    rows = [
        count("unipen", hw.load_corpus(source, kinds=("word",)).samples),
        count("synthetic", hw.load_corpus("synthetic", kinds=("word",), **how).samples),
    ]
    FILE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


if __name__ == "__main__":
    main()
