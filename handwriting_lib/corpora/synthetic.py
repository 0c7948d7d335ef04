"""Synthetic ink: single-line letters, written by a model of the hand. No download.

The shapes are those of single-line fonts (`glyphs.py`), the movement is that of the
sigma-lognormal model of Plamondon (`motor.py`, with references), and each writer bends
and places the letters in a manner of their own.

Because the plan is known, so is the character that every point belongs to: the
alignment that the soft window of chapter 09 has to find. Chapter 01 draws its first
lines here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..alphabet import CHARACTERS, missing
from ..errors import InputError
from ..ink import KINDS, Corpus, Sample, from_strokes
from .motor import Plan, Points, Writer, draw_writer, move
from .single_line.glyphs import FONTS, Font, Stroke, load_font

__all__ = [
    "FONTS", "Font", "Writer", "draw_text", "draw_writer", "load", "load_font",
    "write_text",
]  # fmt: skip

JOINED = 0.5  # cursive: strokes no farther apart than this (x-heights) are joined
CARE = 1.8  # how much longer the pen waits in signs, small and rare, than in letters


def write_text(
    text: str, font: Font, writer: Writer, rng: np.random.Generator
) -> Sample:
    """Write one line with the letters of `font` in the hand of `writer`.

    Args:
        text: printable ASCII, at least one character that is not a space.
        font: from `load_font`.
        writer: from `draw_writer`, or made by hand.
        rng: everything random comes from here.

    Returns:
        A `Sample` in x-heights, y up, with `character_of_point` and
        `points_per_second`. The labels are those of the plan: a point belongs to the
        character whose movement is nearest to its peak speed. Where a dot or a bar
        waited for the end of its word, they jump back.

    Raises:
        ValueError: the text is empty, or has characters outside printable ASCII.

    Example:
        >>> sample = write_text("Hi", load_font("EMSTech"), Writer(),
        ...                     np.random.default_rng(0))
        >>> sample.character_of_point.unique().tolist()
        [0, 1]
    """
    if not text.strip():
        raise InputError("the text is empty: give at least one character to write")
    if unknown := missing(text):
        raise InputError(
            f"{text!r} has characters that no font here has: "
            f"{', '.join(map(repr, unknown))}; printable ASCII can be written"
        )
    plans = _plan(text, font, writer, rng)
    rate = font.clock * writer.clock
    strokes, characters = move(plans, writer, rate, rng)
    return Sample(
        text=text,
        ink=from_strokes([torch.from_numpy(stroke) for stroke in strokes]),
        writer=writer.name,
        source=f"synthetic:{font.name}",
        kind="character" if len(text) == 1 else "word" if " " not in text else "line",
        character_of_point=torch.from_numpy(characters),
        points_per_second=rate,
        units="x-heights",
    )


def _plan(
    text: str, font: Font, writer: Writer, rng: np.random.Generator
) -> list[Plan]:
    """Where the pen is to go: the strokes of all letters, placed, bent and joined."""
    x = 0.0
    plans: list[Plan] = []
    waiting: list[Plan] = []
    joinable = False  # whether the last plan may go on
    phases = rng.uniform(0, 2 * math.pi, 2)

    def place(stroke: Stroke, bend: Points) -> tuple[Points, Points]:
        px, py = bend @ np.concatenate([stroke.targets, stroke.middles]).T
        px += x
        waves = np.sin(0.23 * px + phases[0]) + 0.6 * np.sin(0.61 * px + phases[1])
        lifted = py + writer.drift * waves + writer.tilt * px
        placed = np.stack([px + writer.slant * py, lifted], 1)
        return placed[: len(stroke.targets)], placed[len(stroke.targets) :]

    for u, character in enumerate(text):
        glyph = font.glyphs[character]
        bend = np.eye(2) + rng.normal(0, writer.deformation, (2, 2))
        bend[:, 0] *= writer.width
        letter = font.cursive and character.isalpha()
        if not letter:
            plans += waiting
            waiting, joinable = [], False
        for stroke in glyph.strokes:
            plan = Plan(
                *place(stroke, bend),
                np.full(len(stroke.middles), u, dtype=np.int64),
                np.full(len(stroke.middles), 1.0 if character.isalnum() else CARE),
            )
            if stroke.mark and letter and writer.delayed:
                waiting.append(plan)
            elif (
                joinable
                and not stroke.mark
                and math.dist(plans[-1].targets[-1], plan.targets[0]) < JOINED
            ):
                plans[-1] = plans[-1].join(plan)
            else:
                plans.append(plan)
                joinable = letter and not stroke.mark
        gap = writer.word_gap if character == " " else 1.0
        x += glyph.advance * writer.width * gap + writer.spacing
        x += rng.normal(0, 0.02)
    return plans + waiting


_NAMES = (
    "Abigail Boris Carmen Desmond Elif Fatima Gustav Hanna Igor Jun Kofi Leila Marta "
    "Noor Olga Pavel Quentin Rosa Sven Tariq Ulla Viktor Wanda Xenia Yusuf Zelda"
).split()
_NOUNS = (
    "apple bridge candle door engine feather garden hammer island jacket kettle lamp "
    "mirror needle orchard pencil quilt river shovel tunnel umbrella violin window "
    "xylophone yard zipper anvil jigsaw maze oxbow quarrel rocket squirrel wizard"
).split()
_VERBS = (
    "asked baked carried drew enjoyed fixed grew hid invented joined kept lost moved "
    "noticed opened painted quoted repaired sold took unpacked visited washed examined "
    "yanked zoomed past"
).split()
_ADJECTIVES = (
    "amber brave crooked dusty empty fuzzy golden heavy icy jolly keen lazy muddy "
    "narrow odd plain quick rusty silent tiny unequal velvet warm exact yellow zesty"
).split()
_ENDINGS = ("before noon", "by the sea", "in the rain", "without a word", "again",
            "for a week", "just like that", "behind the mill")  # fmt: skip


def draw_text(rng: np.random.Generator) -> str:
    """A line of 4 to about 50 characters: sentences, notes, figures, codes, headings.

    Example:
        >>> len(draw_text(np.random.default_rng(0))) > 3
        True
    """

    def one(words: Sequence[str]) -> str:
        return words[int(rng.integers(len(words)))]

    def number(top: int) -> int:
        return int(rng.integers(top))

    def signs(count: int, of: str = CHARACTERS[1:]) -> str:
        return "".join(one(of) for _ in range(count))

    noun, adjective, verb = one(_NOUNS), one(_ADJECTIVES), one(_VERBS)
    name, other, ending = one(_NAMES), one(_NAMES), one(_ENDINGS)
    kinds = (
        (6, f"{name} {verb} the {adjective} {noun}{one('.,.!?')}"),
        (4, f"The {noun} and the {one(_NOUNS)} {verb} us {ending}"),
        (4, f"{adjective} {noun}s, {one(_ADJECTIVES)} {one(_NOUNS)}s"),
        (3, f'"Is it {adjective}?" {name} asked {other}.'),
        (3, f"don't {one(('mind', 'forget', 'sell'))} {name}'s {noun}; {ending}"),
        (3, f"{number(24)}:{number(60):02d} {name} & {other}, room {number(900)}"),
        (3, f"{number(99)} {noun}s = ${number(999)}.{number(100):02d} "
            f"(-{number(60)}%)"),
        (2, f"{one(_ADJECTIVES)} {noun} {ending}".upper()),
        (2, f"{number(999)} + {number(999)} * {number(99)} / {number(9)} "
            f"{one('<>=')} {number(9999)}"),
        (2, f"{name.lower()}_{noun}@{adjective}.org #{number(9999)}"),
        (1, f"{noun}[{number(9)}] = {{{number(99)} | ~{number(9)}}} \\ {number(9)}^2"),
        (2, " ".join(signs(int(rng.integers(1, 5))) for _ in range(4))),
        (2, " ".join(signs(int(rng.integers(2, 7)), "".join(_NAMES)).title()
                     for _ in range(4))),
    )  # fmt: skip
    weights = np.array([weight for weight, _ in kinds], dtype=float)
    return kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))][1]


def load(
    samples: int = 200,
    seed: int = 0,
    kinds: Sequence[str] = ("line",),
    texts: Sequence[str] | None = None,
    writers: int = 40,
) -> Corpus:
    """Make a corpus. The same arguments give the same ink.

    Args:
        samples: how many. A smaller corpus is the beginning of a larger one.
        seed: other seeds give other texts and other writers, under the same names.
        kinds: of `"line"`, `"word"` and `"character"`; samples take turns.
        texts: what to write, in turns; by default texts are drawn at random, and all
            95 characters occur in a few hundred lines.
        writers: how many hands there are, each with a font of its own.

    Raises:
        ValueError: a count below 1, an unknown kind, no texts, or a text with nothing
            to write or with characters outside printable ASCII.

    Example:
        >>> corpus = load(samples=3, texts=["one", "two"])
        >>> [sample.text for sample in corpus.samples]
        ['one', 'two', 'one']
    """
    if samples < 1 or writers < 1:
        raise InputError(f"samples={samples}, writers={writers}: both start at 1")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or isinstance(kinds, str) or not kinds:
        raise InputError(f"kinds={kinds!r}: take a tuple of {', '.join(KINDS)}")
    if texts is not None and (isinstance(texts, str) or not texts):
        raise InputError(f"texts={texts!r}: give a list of at least one text")
    hands = []
    for i in range(writers):
        rng = np.random.default_rng([seed, 0, i])
        font = load_font(FONTS[int(rng.integers(len(FONTS)))])
        hands.append((font, draw_writer(rng, f"synthetic-{i:03d}")))
    made = []
    for i in range(samples):
        rng = np.random.default_rng([seed, 1, i])
        font, writer = hands[int(rng.integers(writers))]
        kind = kinds[i % len(kinds)]
        if texts is not None:
            text = texts[i % len(texts)]
        elif kind == "character":
            text = CHARACTERS[1 + int(rng.integers(len(CHARACTERS) - 1))]
        else:
            text = draw_text(rng)
            if kind == "word":
                words = text.split()
                text = words[int(rng.integers(len(words)))]
        sample = write_text(text, font, writer, rng)
        source = f"{sample.source}:seed {seed}:{i}"
        made.append(sample.replace(kind=kind, source=source))
    return Corpus("synthetic", made)
