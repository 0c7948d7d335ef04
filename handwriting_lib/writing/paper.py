"""From a text and a sheet of paper to lines: layout, paragraphs and line breaks.

Lengths are in millimetres, or in letter bodies (`60ex`). Lines are broken at spaces
alone, either greedily, as people do, or so that they are about equally long.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from ..alphabet import encode, fold, missing
from ..drawing.sheet import parse_length, parse_paper
from ..errors import InputError
from .lines import MAX_TEXT_LENGTH

SMALLEST, LARGEST = 0.3, 200.0  # letter bodies, in millimetres
MAX_CHARACTERS = 200_000  # of a page
# Characters that are written at a time: about as many as the models were trained on.
PIECE = 45
# Room above the first baseline and below the last, in letter bodies.
ASCENT, DESCENT = 2.2, 1.2
WRAPS = ("greedy", "balanced")

_LINE_END = re.compile("\r\n?|[\n\x0b\x0c\x85\u2028\u2029]")


@dataclass(frozen=True)
class PageLayout:
    """Where lines go on paper, in millimetres; `page_layout` makes one.

    Attributes:
        paper: width and height of a sheet.
        margin: margin on all four sides.
        width: longest line.
        size: height of a letter body.
        pitch: distance between baselines.
        indent: of the first line of each paragraph.
        wrap: `"greedy"` or `"balanced"`.
    """

    paper: tuple[float, float]
    margin: float
    width: float
    size: float
    pitch: float
    indent: float
    wrap: str

    @property
    def rows(self) -> int:
        """The number of lines on a sheet."""
        room = self.paper[1] - 2 * self.margin - (ASCENT + DESCENT) * self.size
        return int(room / self.pitch + 1e-9) + 1

    def baseline(self, row: int) -> float:
        """The y of a row of a sheet, from its upper edge."""
        return self.margin + ASCENT * self.size + row * self.pitch


def page_layout(
    *,
    paper: Any = "a4",
    margin: Any = 20.0,
    width: Any = None,
    size: Any = 2.5,
    line_spacing: Any = "3.2ex",
    indent: Any = 0.0,
    wrap: str = "greedy",
) -> PageLayout:
    """Where lines go on paper; see `systems.write_page` for the arguments.

    Raises:
        ValueError: a length is none, or there is no room for a line.
    """
    if not isinstance(paper, str):
        paper = "x".join(map(str, paper)) if isinstance(paper, Sequence) else f"{paper}"
    across, down = parse_paper(paper)
    length = partial(parse_length, zero=True)  # what is too small is refused below
    body = length(size, "size")
    if not SMALLEST <= body <= LARGEST:
        raise InputError(
            f"size, the height of a letter x, must be from {SMALLEST} to {LARGEST:g} "
            f"mm, not {size!r}"
        )
    edge = length(margin, "margin", body=body)
    longest = across - 2 * edge if width is None else length(width, "width", body=body)
    pitch = length(line_spacing, "line_spacing", body=body)
    inset = length(indent, "indent", body=body)
    if not body <= pitch <= down:
        raise InputError(
            f"line_spacing must be at least a letter body, {body:g} mm, and at most "
            f"the height of the paper, not {line_spacing!r}"
        )
    if wrap not in WRAPS:
        raise InputError(f"wrap must be {' or '.join(WRAPS)}, not {wrap!r}")
    if edge + longest > across + 1e-6:
        raise InputError(
            f"lines of {longest:g} mm and a margin of {edge:g} mm are wider than the "
            f"paper, {across:g} mm: choose a smaller width or margin"
        )
    if longest - inset < 4 * body:
        raise InputError(
            f"lines of {longest:g} mm with an indent of {inset:g} mm are too short for "
            f"letters {body:g} mm high: choose a smaller size, margin or indent, or "
            "wider paper"
        )
    if down - 2 * edge < (ASCENT + DESCENT) * body:
        raise InputError(
            f"paper of {down:g} mm with a margin of {edge:g} mm is too low for a line "
            f"of letters {body:g} mm high: choose smaller ones or higher paper"
        )
    return PageLayout((across, down), edge, longest, body, pitch, inset, wrap)


class Paragraph(NamedTuple):
    """A line of the text as it was given, which may take several lines on paper.

    Attributes:
        words: its words.
        begins: whether it begins a paragraph: the first, or one after a blank line.
    """

    words: list[str]
    begins: bool


def paragraphs(
    text: Any, ascii: bool = False
) -> tuple[list[Paragraph], dict[str, str]]:
    """Take a text apart at its line ends, and fold it as `write` does.

    Several blank lines count as one, and spaces and tabs at the ends of lines and
    repeated ones are dropped.

    Args:
        text: any text, with the line ends of any system.
        ascii: fold accented letters and signs too.

    Returns:
        The lines that are not blank, and what was replaced by what.

    Raises:
        ValueError: the text is no string, empty, too long, or has characters that no
            model writes; the message names the word.

    Example:
        >>> paragraphs("Dear Ann,\\r\\n\\r\\nit\u2019s  late.")[0]
        [Paragraph(words=['Dear', 'Ann,'], begins=True), \
Paragraph(words=["it's", 'late.'], begins=True)]
    """
    if not isinstance(text, str):
        raise InputError(f"the text of a page must be a string, not {text!r}")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"a text of {len(text):,} characters is too long for a page: "
            f"{MAX_CHARACTERS:,} is the most; write it in parts"
        )
    found, replaced, begins = [], {}, True
    for line in _LINE_END.split(text):
        plain, changed = fold(line, accents=ascii)
        words = [word for word in plain.split(" ") if word]
        if not words:
            begins = True
            continue
        for word in words:
            if missing(word):
                encode(word)  # names the character
            if len(word) > MAX_TEXT_LENGTH:
                raise InputError(
                    f"the word {word[:20]}... has {len(word)} characters, and no hand "
                    f"writes more than {MAX_TEXT_LENGTH} at a time: divide it"
                )
        found.append(Paragraph(words, begins))
        replaced.update({old: new for old, new in changed.items() if old != "\t"})
        begins = False
    if not found:
        raise InputError("the text is empty: give at least one character to write")
    return found, replaced


def pieces(words: Sequence[str], most: int = PIECE) -> list[list[str]]:
    """Divide the words of a line into pieces of about the same length.

    Args:
        words: at least one.
        most: characters of a piece; a longer word is a piece of its own.

    Example:
        >>> pieces("one two three four".split(), most=10)
        [['one', 'two'], ['three', 'four']]
    """
    starts = break_lines(
        [float(len(word)) for word in words],
        [1.0] * len(words), most, balanced=True, last_counts=True,
    )  # fmt: skip
    return [
        list(words[a:b]) for a, b in zip(starts, [*starts[1:], len(words)], strict=True)
    ]


def break_lines(
    widths: Sequence[float],
    gaps: Sequence[float],
    limit: float,
    *,
    indent: float = 0.0,
    balanced: bool = False,
    last_counts: bool = False,
) -> list[int]:
    """Break words into lines.

    Args:
        widths: width of each word.
        gaps: space before each word, which one that begins a line does not take.
        limit: longest line. A word that is wider has a line of its own.
        indent: room that the first line lacks.
        balanced: take as many lines as need be and make them about equally long: the
            sum of the squares of what they lack is the least. False puts as much as
            possible into each line.
        last_counts: balance the last line with the others.

    Returns:
        The index of the word that begins each line.

    Example:
        >>> break_lines([3, 3, 3, 3, 3], [1] * 5, 12)
        [0, 3]
        >>> break_lines([3, 3, 3, 3], [1] * 4, 12, balanced=True, last_counts=True)
        [0, 2]
    """
    count = len(widths)

    def greedy(first: int, room: float) -> int:
        """The end of the longest line that begins with a word."""
        used, end = widths[first], first + 1
        while end < count and used + gaps[end] + widths[end] <= room:
            used += gaps[end] + widths[end]
            end += 1
        return end

    ends = [0]
    while ends[-1] < count:
        ends.append(greedy(ends[-1], limit - indent * (len(ends) == 1)))
    if not balanced:
        return ends[:-1]
    # the least cost of the words from each on, and the end of its line
    best = [(0, 0.0, count)] * (count + 1)
    for first in range(count - 1, -1, -1):
        room = limit - indent * (first == 0)
        used, choices = 0.0, []
        for end in range(first + 1, greedy(first, room) + 1):
            used += widths[end - 1] + gaps[end - 1] * (end - 1 > first)
            lack = max(room - used, 0.0)
            cost = 0.0 if end == count and not last_counts else lack**2
            lines, after, _ = best[end]
            choices.append((lines + 1, cost + after, end))
        best[first] = min(choices)
    starts = [0]
    while (end := best[starts[-1]][2]) < count:
        starts.append(end)
    return starts
