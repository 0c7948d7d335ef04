"""Texts that no network of the library has seen in training: `new_texts.txt`.

    python -m benchmarks._new_texts --corpus unipen:PATH

draws them from this book's prose with a fixed seed, so the file can be made again. The
first hundred are of one to three words, and none of these words is a word of a training
text of UNIPEN or of the synthetic corpus, be it a line, a word or a combination. The
others are runs of prose of about 20, 40 and 80 characters that are in no training line.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import handwriting_lib as hw
from handwriting_lib.evaluation.report import letters

from .pages import text_of

FILE = Path(__file__).with_name("new_texts.txt")
SHORT = ((1, 33), (2, 33), (3, 34))  # words of a text, and the number of texts
LONG = ((20, 67), (40, 67), (80, 66))  # characters, and the number of texts
SEED = 19
# what the shipped networks have read of synthetic ink
SYNTHETIC: tuple[dict[str, Any], ...] = (
    {"samples": 6000, "seed": 1, "writers": 400},
    {"samples": 4000, "seed": 1, "writers": 400, "kinds": ("word",)},
)


def read() -> list[str]:
    """The 300 texts, the short ones first."""
    return FILE.read_text(encoding="ascii").splitlines()


def groups() -> dict[str, list[str]]:
    """The texts by what they are: of few words, or of about so many characters."""
    found, texts = {}, iter(read())
    short = sum(number for _, number in SHORT)
    found["1 to 3 words"] = [next(texts) for _ in range(short)]
    for length, number in LONG:
        found[f"{length} characters"] = [next(texts) for _ in range(number)]
    return found


def words_in(texts: Sequence[str]) -> set[str]:
    """The words of some texts, reduced to lower-case letters and digits."""
    return {letters(word) for text in texts for word in text.split()}


def draw(known_texts: Sequence[str]) -> list[str]:
    """Draw the texts.

    Args:
        known_texts: all texts that a network may have been trained on.
    """
    rng = random.Random(SEED)
    prose = text_of(10**9).split()
    known_words, known_lines = words_in(known_texts), set(map(letters, known_texts))
    fresh = sorted(
        {
            word
            for word in prose
            if word.isalpha() and word.islower() and 3 <= len(word) <= 12
        }
    )
    fresh = [word for word in fresh if letters(word) not in known_words]
    rng.shuffle(fresh)
    words = iter(fresh)
    texts = [
        " ".join(next(words) for _ in range(count))
        for count, number in SHORT
        for _ in range(number)
    ]
    for length, number in LONG:
        runs = _runs(prose, length, rng)
        new = (run for run in runs if letters(run) not in known_lines)
        texts += [next(new) for _ in range(number)]
    return texts


def _runs(prose: Sequence[str], length: int, rng: random.Random) -> Iterator[str]:
    """Words of the prose that follow one another, within a tenth of a length."""
    while True:
        at = rng.randrange(len(prose))
        run = ""
        while len(run) < 0.9 * length and at < len(prose):
            run = f"{run} {prose[at]}".strip()
            at += 1
        if len(run) <= 1.1 * length and run.isascii():
            yield run


def known(corpus: str) -> list[str]:
    """The texts of the training side of a corpus, and of the synthetic ink."""
    sides = hw.split_by_writer(hw.load_corpus(corpus).samples)
    made = [s for o in SYNTHETIC for s in hw.load_corpus("synthetic", **o).samples]
    return [s.text for s in [*sides.train, *made]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw new_texts.txt again.")
    parser.add_argument("--corpus", default="unipen", help="such as unipen:PATH")
    texts = draw(known(parser.parse_args().corpus))
    FILE.write_text("\n".join(texts) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
