"""Synthetic ink: single-line letters written by a model of the hand, with no download.

The shapes come from single-line fonts (`single_line/glyphs.py`), the movement from the
sigma-lognormal model of Plamondon (`motor.py`, which gives the references), and each
writer bends and places the letters in an individual manner.

Because the plan is known, so is the character that each point belongs to. This is the
alignment that the soft window of chapter 09 has to find. Chapter 01 draws its first
lines with this module.
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

JOINED = 0.5  # x-heights; cursive strokes no farther apart than this are joined
CARE = 1.8  # factor on the waits within signs, which are smaller and rarer than letters


def write_text(
    text: str, font: Font, writer: Writer, rng: np.random.Generator
) -> Sample:
    """Write one line with the letters of `font` in the hand of `writer`.

    Args:
        text: printable ASCII with at least one character that is not a space.
        font: a font from `load_font`.
        writer: a writer from `draw_writer`, or a `Writer` of your own.
        rng: the source of all randomness.

    Returns:
        A `Sample` in x-heights, y up, with `character_of_point` and
        `points_per_second`. The labels come from the plan: a point belongs to the
        character of the movement whose peak speed is nearest in time. The labels jump
        back where a dot or a bar has waited for the end of its word.

    Raises:
        ValueError: the text is empty or has characters outside printable ASCII.

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
            f"{text!r} has characters that the fonts lack "
            f"({', '.join(map(repr, unknown))}): use printable ASCII only"
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
    """Plan the strokes of all letters in writing order: placed, bent and joined."""
    x = 0.0
    plans: list[Plan] = []
    waiting: list[Plan] = []
    joinable = False  # whether the last plan may be continued
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
    """Draw a random text of 4 to about 50 characters.

    It is a sentence, a note, a calculation, a code or a heading.

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
    """Write a synthetic corpus; the same arguments give the same ink.

    Args:
        samples: the number of samples. A smaller corpus is the beginning of a larger
            one.
        seed: the seed of the texts and the writers. Another seed gives other texts
            and other writers, under the same names.
        kinds: the kinds of sample, among `"line"`, `"word"` and `"character"`, which
            the samples take in turn.
        texts: the texts to write, in turn. By default texts are drawn at random, and
            all 95 characters occur within a few hundred lines.
        writers: the number of writers, each of whom keeps to one font.

    Raises:
        ValueError: a count is below 1, a kind is unknown, `kinds` or `texts` is empty
            or a bare string, or a text is empty or has characters outside printable
            ASCII.

    Example:
        >>> corpus = load(samples=3, texts=["one", "two"])
        >>> [sample.text for sample in corpus.samples]
        ['one', 'two', 'one']
    """
    if samples < 1 or writers < 1:
        raise InputError(
            f"samples={samples} and writers={writers} must both be at least 1"
        )
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or isinstance(kinds, str) or not kinds:
        raise InputError(
            f"kinds={kinds!r}: give a tuple with one or more of {', '.join(KINDS)}"
        )
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
