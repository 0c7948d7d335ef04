"""Pages: a text of any length in one hand, wrapped to lines and placed on paper.

The width of a word is not known before it is written. So the text is written in pieces
of some forty characters, each from the state of the hand, and divided into words
(`words`); the pieces are levelled to one baseline, size and slant (`level`); and the
written words are then set in lines, as type is (`paper`). Breaking a line never takes
writing it again. Every word keeps its points, so that one that came out badly can be
written again while all others stay where they are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..drawing.sheet import LINE_WIDTH, Sheet
from ..errors import InputError
from ..ink import offsets_to_positions
from .level import Level, levelled, measure_level, typical_level
from .lines import Interrupted, Line, Writer, line_generator, write_lines
from .paper import PageLayout, Paragraph, break_lines, paragraphs, pieces
from .words import Box, box_of, characters_of, words_of

FORMAT = "handwriting_lib.page.1"
BATCH = 32  # pieces that are written together
# What a hand is made from where none is chosen: text of the length that styles take.
LEAD = "a hand for all of these lines"
USUAL_GAP = 1.4  # letter bodies between words, in a text without any
NARROWEST, WIDEST = 0.3, 2.5  # gap between two words of a piece, in usual ones
UNEVEN = 0.15  # standard deviation of the log of the gap between two pieces
# What a hand leaves uneven, in letter bodies: where lines begin, and their height.
RAGGED_LEFT, UNEVEN_BASE, UNEVEN_SLOPE = 0.12, 0.03, 0.001
# A word written again: the draws that it takes at most, the share of the gaps beside it
# that it may fill, the narrowest in old widths, how far it may be stretched, and how
# much it may rise or hang beyond the old one, in letter bodies.
DRAWS, FILL, THINNEST, STRETCH, BEYOND = 10, 0.3, 0.8, 0.06, 0.6
CONTEXT = 2  # words before it that are written with it and cut off
LONGEST_CONTEXT = 40  # characters


@dataclass(frozen=True, eq=False)
class PageWord:
    """A word on a page.

    Attributes:
        text: the word.
        index: its number on the page, from 0.
        line: the number of its line on the page, from 0.
        sheet: the number of the sheet of paper, from 0.
        x: millimetres from the left edge of the sheet to the left end of its ink.
        y: millimetres from the upper edge of the sheet to its baseline.
        size: height of the letter body, in millimetres.
        ink: `(n, 3)` float64 rows `x, y, end_of_stroke` in letter bodies from the left
            end on the baseline, y up.
        characters: `(n,)` int64 the index in `text` of each point's character.
        piece: the number of the piece that it was written in.
        gap: room before it in letter bodies, unless it begins a line.
    """

    text: str
    index: int
    line: int
    sheet: int
    x: float
    y: float
    size: float
    ink: Tensor
    characters: Tensor
    piece: int
    gap: float

    @property
    def width(self) -> float:
        """Its width in letter bodies."""
        return float(self.ink[:, 0].max())

    @property
    def points(self) -> Tensor:
        """`(n, 3)` rows `x, y, end_of_stroke` in millimetres on the sheet, y down."""
        place = self.ink.new_tensor([self.x, self.y, 0.0])
        return place + self.ink * self.ink.new_tensor([self.size, -self.size, 1.0])

    @property
    def strokes(self) -> list[Tensor]:
        """Its strokes, each `(n, 2)` millimetres on the sheet, y down."""
        points = self.points
        ends = (points[:, 2] > 0.5).nonzero()[:, 0] + 1
        return [s for s in torch.tensor_split(points[:, :2], ends) if len(s)]

    @property
    def box(self) -> Box:
        """What it covers, in millimetres on the sheet; y is larger at the bottom."""
        left, top, right, bottom = box_of(self.points[:, :2])
        return Box(left, bottom, right, top)


class PageLine(NamedTuple):
    """A line of a page: its text, its sheet, its baseline in millimetres, its words."""

    text: str
    sheet: int
    y: float
    words: list[PageWord]


@dataclass(frozen=True)
class Manner:
    """How a page is written: the arguments of `write` and the model's fingerprint."""

    style: str | None
    bias: float
    temperature: float
    seed: int
    redraws: int
    model: str


@dataclass(frozen=True, eq=False)
class Page:
    """A text written on paper.

    Attributes:
        text: what was asked for, folded, with its paragraphs.
        words: the words that are written, in order.
        layout: where lines go.
        manner: how it was written.
        hand: what is usual in the hand: its letter body and slant.
        gap: usual gap between its words, in letter bodies.
        replaced: what was written in place of each character of the text that was
            folded.
        faults: what is wrong with each piece that is not complete, by its number.
        writer: what writes it; None for a page that was read without a model.
        style: the hand that the writer writes in.
    """

    text: str
    words: list[PageWord]
    layout: PageLayout
    manner: Manner
    hand: Level | None = None
    gap: float = USUAL_GAP
    replaced: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[int, str] = field(default_factory=dict)
    writer: Writer | None = None
    style: Any = None

    def __repr__(self) -> str:
        rest = f", {len(self.missing)} pieces missing" if self.missing else ""
        return f"Page({len(self.words)} words on {len(self.lines)} lines{rest})"

    def replace(self, **changes: Any) -> Page:
        """The same page with some attributes changed."""
        return dataclasses.replace(self, **changes)

    @property
    def lines(self) -> list[PageLine]:
        """The lines, from the first to the last."""
        rows: dict[int, list[PageWord]] = {}
        for word in self.words:
            rows.setdefault(word.line, []).append(word)
        return [
            PageLine(
                " ".join(word.text for word in row), row[0].sheet,
                self.layout.baseline(_row(row[0], self.layout)), row,
            )
            for row in rows.values()
        ]  # fmt: skip

    @property
    def missing(self) -> list[str]:
        """The texts that are not written yet, in order; none when it is finished."""
        written = self.words[-1].piece + 1 if self.words else 0
        return [piece.text for piece in _plan(paragraphs(self.text)[0])[written:]]

    @property
    def problems(self) -> list[str]:
        """Its faults, which are incomplete pieces and words wider than a line."""
        found = list(self.faults.values())
        for word in self.words:
            wide = word.width * word.size
            if wide > self.layout.width:
                found.append(
                    f"the word {word.text!r} is {wide:.0f} mm wide, and a line has "
                    f"{self.layout.width:.0f} mm: it goes beyond the margin"
                )
        return found

    def sheets(self) -> list[Sheet]:
        """The sheets of paper that it takes, with their strokes in millimetres."""
        layout = self.layout
        count = self.words[-1].sheet + 1 if self.words else 1
        rules = [layout.baseline(row) for row in range(layout.rows)]
        lines: list[list[list[Tensor]]] = [[] for _ in range(count)]
        for line in self.lines:
            lines[line.sheet].append([s for word in line.words for s in word.strokes])
        return [
            Sheet(*layout.paper, one, LINE_WIDTH * layout.size, rules) for one in lines
        ]

    def rewrite(self, words: Sequence[int], seed: int = 1) -> Page:
        """Write some words again: see `rewrite`."""
        return rewrite(self, words, seed=seed)

    def written_by(self, writer: Writer, style: Any = None) -> Page:
        """The page with what writes it, to go on with it or to write words again.

        Args:
            writer: with the model that the page was written with.
            style: its hand; None finds it by its name.

        Raises:
            ValueError: the model is another one, or there is no such style.
        """
        manner = self.manner
        if not writer.model.is_called(manner.model):
            raise InputError(
                f"the page was written with the model {manner.model}, not with "
                f"{writer.model.name} ({writer.model.fingerprint()}): give the other"
            )
        hand = _one_hand(writer, manner.style if style is None else style, manner)
        return self.replace(writer=writer, style=hand)

    def laid_out(self, layout: PageLayout) -> Page:
        """The same words on other paper, in other lines or of another size."""
        begins = {
            word: paragraph.begins
            for word, paragraph in _first_words(paragraphs(self.text)[0])
        }
        placed = _lay(self.words, begins, layout, self.manner.seed)
        return self.replace(words=placed, layout=layout)

    def to_json(self) -> dict[str, Any]:
        """The page as plain lists and numbers, from which `page_from_json` makes it."""
        return {
            "format": FORMAT,
            "text": self.text,
            "replaced": dict(self.replaced),
            "missing": self.missing,
            "problems": self.problems,
            "manner": dataclasses.asdict(self.manner),
            "layout": dataclasses.asdict(self.layout),
            "hand": None if self.hand is None else dataclasses.asdict(self.hand),
            "gap": self.gap,
            "faults": {str(number): fault for number, fault in self.faults.items()},
            "words": [
                {
                    **{name: getattr(word, name) for name in _PLAIN},
                    "ink": [[x, y, int(end)] for x, y, end in word.ink.tolist()],
                    "characters": word.characters.tolist(),
                }
                for word in self.words
            ],
        }


_PLAIN = ("text", "line", "sheet", "x", "y", "size", "piece", "gap")


class PageInterrupted(KeyboardInterrupt):
    """Writing a page was interrupted, with Ctrl-C for example.

    Attributes:
        page: what is finished of it; `page.missing` has the texts that are not. Give it
            to `write_page` to go on.
    """

    def __init__(self, page: Page) -> None:
        lines, missing = len(page.lines), page.missing
        rest = f"; the text is missing from {missing[0]!r} on" if missing else ""
        super().__init__(f"interrupted: {lines} lines were finished{rest}")
        self.page = page


class OtherPageError(InputError):
    """A page to go on with was begun with another text or in another manner."""


class Piece(NamedTuple):
    """A part of the text that is written at a time.

    Attributes:
        text: its words.
        first: the number on the page of the first of them.
    """

    text: str
    first: int


def write_page(
    text: str,
    writer: Writer,
    *,
    layout: PageLayout,
    style: Any | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    seed: int = 1,
    redraws: int = 10,
    ascii: bool = False,
    page: Page | None = None,
    on_batch: Callable[[Page], None] | None = None,
) -> Page:
    """Write a page with a writer; see `systems.write_page` for the arguments.

    Raises:
        ValueError: the text cannot be written, an argument is out of its range, or the
            page to go on with is another one.
        PageInterrupted: the user pressed Ctrl-C; it has what was finished.
    """
    found, replaced = paragraphs(text, ascii)
    named = style
    if style is not None and not isinstance(style, str | Path):
        named = writer.choose_style(style).name
    manner = Manner(
        None if named is None else str(named), bias, temperature, seed, redraws,
        writer.model.fingerprint(),
    )  # fmt: skip
    whole = _joined(found)
    if page is None:
        page = Page(whole, [], layout, manner, replaced=replaced)
    elif (page.text, page.manner) != (whole, manner):
        raise OtherPageError(
            "the page to go on with has another text, or was begun with another "
            "model, style, bias, temperature or seed: give the same, or begin anew"
        )
    elif page.layout != layout:
        page = page.laid_out(layout)
    plan = _plan(found)
    begins = {word: paragraph.begins for word, paragraph in _first_words(found)}
    todo = plan[page.words[-1].piece + 1 if page.words else 0 :]

    def extended(page: Page, lines: Sequence[Line]) -> Page:
        """The page with more pieces written."""
        first, done = len(plan) - len(todo), len(page.words)
        page = _add(page, lines, plan[first : first + len(lines)], first)
        return page.replace(words=_lay(page.words, begins, layout, seed, done))

    try:
        if page.style is None:
            hand = _one_hand(writer, style, manner)
            page = page.replace(writer=writer, style=hand)
        while todo:
            batches = math.ceil(len(todo) / BATCH)
            batch = todo[: math.ceil(len(todo) / batches)]
            try:
                lines = write_lines(
                    [piece.text for piece in batch],
                    writer,
                    style=page.style,
                    bias=bias,
                    temperature=temperature,
                    seed=seed,
                    redraws=redraws,
                    positions=[piece.first for piece in batch],
                )
            except Interrupted as stop:
                count = 0  # of those before the first that is not finished
                while stop.numbers[count : count + 1] == [count]:
                    count += 1
                page = extended(page, stop.lines[:count])
                raise
            page = extended(page, lines)
            todo = todo[len(batch) :]
            if on_batch is not None:
                on_batch(page)
    except KeyboardInterrupt:
        raise PageInterrupted(page) from None
    return page


def rewrite(page: Page, words: Sequence[int], *, seed: int = 1) -> Page:
    """Write some words of a page again; all others keep every point.

    A word is drawn with the words before it, which are cut off, until it fits the place
    of the old one.

    Args:
        page: a page with its writer.
        words: their numbers in `page.words`.
        seed: another one draws other words.

    Raises:
        ValueError: there is no such word, the page has no writer, or none of ten draws
            fits; the message names the word.
    """
    wanted = [words] if isinstance(words, int) else list(words)
    for number in wanted:
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"words must be numbers of words, not {number!r}")
        if not 0 <= number < len(page.words):
            raise InputError(
                f"there is no word {number}: the page has {len(page.words)}, numbered "
                "from 0"
            )
    if page.writer is None or page.hand is None:
        raise InputError(
            "the page was read without its model, which alone can write it again: read "
            "it with load_page"
        )
    done = list(page.words)
    waiting = list(dict.fromkeys(wanted))
    starts = {number for number, _ in _first_words(paragraphs(page.text)[0])}
    for draw in range(1, DRAWS + 1):
        if not waiting:
            break
        leads = [_lead(page, number, starts) for number in waiting]
        lines = write_lines(
            [lead + page.words[n].text for lead, n in zip(leads, waiting, strict=True)],
            page.writer,
            style=page.style,
            bias=page.manner.bias,
            temperature=page.manner.temperature,
            seed=seed,
            redraws=0,
            positions=[-1 - DRAWS * number - draw for number in waiting],
        )
        for number, line in zip(tuple(waiting), lines, strict=True):
            new = _fitted(page, number, line)
            if new is not None:
                done[number] = new
                waiting.remove(number)
    if waiting:
        named = ", ".join(f"{page.words[n].text!r} (word {n})" for n in waiting)
        raise InputError(
            f"{named}: none of {DRAWS} draws fits the place of the old one; try "
            "another seed"
        )
    return page.replace(words=done)


def page_from_json(data: Any) -> Page:
    """Make a page from what `Page.to_json` gave, without its writer.

    Raises:
        ValueError: it is no page.
    """
    try:
        if data["format"] != FORMAT:
            raise KeyError("format")
        layout = {**data["layout"], "paper": tuple(data["layout"]["paper"])}
        words = [
            PageWord(
                **{name: one[name] for name in _PLAIN},
                index=index,
                ink=torch.tensor(one["ink"], dtype=torch.float64).reshape(-1, 3),
                characters=torch.tensor(one["characters"], dtype=torch.long),
            )
            for index, one in enumerate(data["words"])
        ]
        page = Page(
            data["text"], words, PageLayout(**layout), Manner(**data["manner"]),
            None if data["hand"] is None else Level(**data["hand"]),
            float(data["gap"]), dict(data["replaced"]),
            {int(number): fault for number, fault in data["faults"].items()},
        )  # fmt: skip
        expected = [w for one in paragraphs(page.text)[0] for w in one.words]
        sound = [word.text for word in words] == expected[: len(words)] and all(
            len(word.ink) == len(word.characters) > 0
            and bool(word.ink.isfinite().all())
            and math.isfinite(word.x + word.y + word.size + word.gap)
            for word in words
        )
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError):
        sound = False
    if not sound:
        raise InputError("this is no page that write_page made, or it is damaged")
    return page


# --- from the text to words ----------------------------------------------------------


def _joined(found: Sequence[Paragraph]) -> str:
    """The text with its line ends, and one blank line before each paragraph."""
    lines = []
    for number, one in enumerate(found):
        lines.append("\n" * (one.begins and number > 0) + " ".join(one.words))
    return "\n".join(lines)


def _first_words(found: Sequence[Paragraph]) -> Iterator[tuple[int, Paragraph]]:
    """The number on the page of the first word of each paragraph or line."""
    number = 0
    for one in found:
        yield number, one
        number += len(one.words)


def _plan(found: Sequence[Paragraph]) -> list[Piece]:
    """All pieces of a text."""
    plan = []
    for first, one in _first_words(found):
        for words in pieces(one.words):
            plan.append(Piece(" ".join(words), first))
            first += len(words)
    return plan


def _one_hand(writer: Writer, style: Any, manner: Manner) -> Any:
    """The style of a page, or, where any will do, one that the writer makes up."""
    hand = writer.choose_style(style)
    if hand is None:
        (line,) = write_lines(
            LEAD, writer, style="any", bias=manner.bias,
            temperature=manner.temperature, seed=manner.seed, redraws=manner.redraws,
        )  # fmt: skip
        hand = writer.style_of(line)
    return hand


def _add(page: Page, lines: Sequence[Line], batch: Sequence[Piece], first: int) -> Page:
    """The page with the words of more pieces, which have no place yet."""
    if not lines:
        return page
    parts = [words_of(line) for line in lines]
    letters = [characters_of(one, own) for one, own in zip(lines, parts, strict=True)]
    levels = [measure_level(one, of) for one, of in zip(lines, letters, strict=True)]
    hand = typical_level(levels) if page.hand is None else page.hand
    flat = [
        levelled(offsets_to_positions(line.ink.double())[:, :2], level, hand)
        for line, level in zip(lines, levels, strict=True)
    ]
    gap = page.gap
    if page.hand is None:
        gaps = [
            float(xy[right.points, 0].min() - xy[left.points, 0].max())
            for xy, words in zip(flat, parts, strict=True)
            for left, right in pairwise(words)
        ]
        gap = max(float(torch.tensor(gaps).median()), 0.4) if gaps else USUAL_GAP
    added, faults = list(page.words), dict(page.faults)
    for at, (line, xy) in enumerate(zip(lines, flat, strict=True)):
        number = first + at
        generator = line_generator(page.manner.seed, batch[at].first, 0)
        uneven = UNEVEN * torch.randn(1, generator=generator).item()
        room, before = gap * math.exp(uneven), None
        for word in parts[at]:
            own = xy[word.points]
            if before is not None:
                room = float(own[:, 0].min() - before[:, 0].max())
                room = min(max(room, NARROWEST * gap), WIDEST * gap)
            before = own
            ink, characters = _cut_out(line, xy, word.points, letters[at] - word.start)
            added.append(
                PageWord(
                    text=word.text, index=len(added), line=0, sheet=0, x=0.0, y=0.0,
                    size=page.layout.size, ink=ink, characters=characters,
                    piece=number, gap=round(room, 4),
                )
            )  # fmt: skip
        if not line.complete:
            faults[number] = (
                f"{line.text!r} is incomplete after {line.draws} draws: {line.problem}"
            )
    return page.replace(words=added, hand=hand, gap=gap, faults=faults)


def _cut_out(
    line: Line, xy: Tensor, points: Tensor, characters: Tensor
) -> tuple[Tensor, Tensor]:
    """A word by itself, from its left end, rounded so that JSON keeps it as it is."""
    own = xy[points]
    own = own - torch.stack([own[:, 0].min(), own.new_zeros(())])
    ends = line.ink[points, 2].double() > 0.5
    ends[:-1] |= points.diff() > 1  # another word lies between
    ends[-1] = True
    ink = torch.cat([own.round(decimals=4), ends[:, None].double()], 1)
    return ink + 0.0, characters[points]  # no negative zeros


# --- from words to lines -------------------------------------------------------------


def _row(word: PageWord, layout: PageLayout) -> int:
    """The row of the sheet that a word stands on, its baseline being uneven."""
    return round((word.y - layout.baseline(0)) / layout.pitch)


def _lay(
    words: Sequence[PageWord],
    begins: Mapping[int, bool],
    layout: PageLayout,
    seed: int,
    done: int = 0,
) -> list[PageWord]:
    """Place words in lines.

    Args:
        words: from the first of the page on.
        begins: for the number of each word that begins a line of the text, whether it
            begins a paragraph as well.
        layout: where lines go.
        seed: what the unevenness of the lines is drawn from.
        done: number of words that are placed already. They stay, except those of the
            last line of the text, which may go on.
    """
    size = layout.size
    firsts = [number for number in begins if number < len(words)]
    since = max((number for number in firsts if number < done), default=0)
    firsts = [number for number in firsts if number >= since]
    placed = list(words[:since])
    line, row, sheet = 0, 0, 0
    if placed:
        before = placed[-1]
        line, row, sheet = before.line + 1, _row(before, layout) + 1, before.sheet
    widths = [0.0] * since + [word.width * size for word in words[since:]]
    gaps = [word.gap * size for word in words]
    for first, last in zip(firsts, [*firsts[1:], len(words)], strict=True):
        indent = layout.indent if begins[first] else 0.0
        if begins[first] and first and row:  # a blank line, but not at the top
            row += 1
        starts = break_lines(
            widths[first:last], gaps[first:last], layout.width,
            indent=indent, balanced=layout.wrap == "balanced",
        )  # fmt: skip
        starts = [first + start for start in starts]
        for start, end in zip(starts, [*starts[1:], last], strict=True):
            if row >= layout.rows:
                row, sheet = 0, sheet + 1
            draw = torch.randn(3, generator=line_generator(seed, line, -1)).tolist()
            left, up, rise = (min(max(z, -2.0), 2.0) for z in draw)
            free = layout.width - sum(widths[start:end]) - sum(gaps[start + 1 : end])
            inset = indent * (start == first)
            x = layout.margin + inset
            x += min(max(free - inset, 0.0), abs(left) * RAGGED_LEFT * size)
            for number in range(start, end):
                x += gaps[number] * (number > start)
                along = (x - layout.margin) - layout.width / 2
                y = layout.baseline(row)
                y -= up * UNEVEN_BASE * size + rise * UNEVEN_SLOPE * along
                place = {"x": round(x, 4), "y": round(y, 4), "size": size}
                placed.append(
                    dataclasses.replace(words[number], line=line, sheet=sheet, **place)
                )
                x += widths[number]
            line, row = line + 1, row + 1
    return placed


# --- a word again --------------------------------------------------------------------


def _lead(page: Page, number: int, starts: set[int]) -> str:
    """The words of the same line of text that a word is written after."""
    lead: list[str] = []
    at = number
    while at not in starts and len(lead) < CONTEXT:
        at -= 1
        if len(" ".join([page.words[at].text, *lead])) > LONGEST_CONTEXT:
            break
        lead.insert(0, page.words[at].text)
    return "".join(word + " " for word in lead)


def _fitted(page: Page, number: int, line: Line) -> PageWord | None:
    """The last word of a line in the place of a word of the page, if it fits."""
    assert page.hand is not None
    if not line.complete:
        return None
    words = words_of(line)
    letters = characters_of(line, words)
    xy = levelled(
        offsets_to_positions(line.ink.double())[:, :2],
        measure_level(line, letters),
        page.hand,
    )
    own = words[-1]
    ink, characters = _cut_out(line, xy, own.points, letters - own.start)
    old, size = page.words[number], page.words[number].size

    def beside(step: int) -> float:
        """The free room on one side of the old word that the new one may take."""
        other = number + step
        if not 0 <= other < len(page.words) or page.words[other].line != old.line:
            return 0.0
        left, right = (old, page.words[other])[::step]
        free = (right.x - left.x) / size - left.width
        return FILL * min(max(free, 0.0), USUAL_GAP)

    wide = float(ink[:, 0].max())
    if wide > 0:
        stretch = min(max(old.width / wide, 1 - STRETCH), 1 + STRETCH)
        ink[:, 0] = (ink[:, 0] * stretch).round(decimals=4)
    more = float(ink[:, 0].max()) - old.width
    left, right = beside(-1), beside(1)
    if not -(1 - THINNEST) * max(old.width, 1.0) <= more <= left + right:
        return None
    if float(ink[:, 1].max()) > float(old.ink[:, 1].max()) + BEYOND:
        return None
    if float(ink[:, 1].min()) < float(old.ink[:, 1].min()) - BEYOND:
        return None
    shift = 0.0
    if more > 0:
        shift = max(more - right, min(left, more / 2))
    elif number and page.words[number - 1].line == old.line:
        shift = more / 2  # in the middle of the room
    x = round(old.x - shift * size, 4)
    return dataclasses.replace(old, x=x, ink=ink, characters=characters)
