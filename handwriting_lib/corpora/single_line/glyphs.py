"""Single-line fonts: letters as the lines that a pen follows, not as outlines.

`load_font` reads one of the SVG fonts in this folder (`README.md` names the authors and
licences) and turns its glyphs into pen strokes. The fonts were drawn for plotters, for
which it does not matter where a line begins. Pieces whose ends touch are therefore
merged, lines that run upwards are reversed, dots become ticks, and dots and bars come
last.

Each stroke is then cut into targets for the motor model (`motor.py`), with which
`synthetic.py` writes. Chapter 01 uses all three modules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...alphabet import CHARACTERS
from ...errors import InputError
from ..motor import Points, aim, even

FOLDER = Path(__file__).parent

# Distances are in x-heights.
TOUCHING = 0.05  # ends less than this apart are treated as one
RETRACED = 1.5  # the pen retraces its line up to this far instead of lifting
DOT = 0.25  # a stroke that is both narrower and lower than this is a dot

TOKEN = re.compile(r"([A-Za-z])|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "Z": 0}


@dataclass(frozen=True)
class Stroke:
    """One pen-down movement of a glyph, as the targets of a motor plan.

    Attributes:
        targets: `(N + 1, 2)`, the point where the pen starts and the end of each arc.
        middles: `(N, 2)`, the point halfway along each arc.
        mark: whether a cursive hand may add the stroke when the word is finished, as
            for the dot of an i or a j, the bar of a t or an f, or the second line of an
            x.
    """

    targets: Points
    middles: Points
    mark: bool = False


@dataclass(frozen=True)
class Glyph:
    """The strokes of a character in the order of writing, and its advance width."""

    strokes: tuple[Stroke, ...]
    advance: float


@dataclass(frozen=True)
class Font:
    """Glyphs for the 95 printable ASCII characters, measured in x-heights, y up.

    Attributes:
        name: the name of its file without the ending, such as `"EMSTech"`.
        cursive: whether neighbouring letters are joined.
        clock: the number of readings of the pen per second. A font whose letters take
            more movements has a slower clock, so that a character has 23 to 30 points
            in every font.
        glyphs: the glyph of each character, with the baseline at y = 0.
    """

    name: str
    cursive: bool
    clock: float
    glyphs: Mapping[str, Glyph]


@dataclass(frozen=True)
class _Hand:
    """The properties of a font that its file does not state.

    `upwards` holds the characters whose lines may run upwards, as in letters that begin
    with a joining stroke. Some signs do not suit a pen (Hershey's digits and brackets
    consist of double lines), so the `borrowed` ones come from the font `lender`.
    """

    cursive: bool
    clock: float
    upwards: str = ""
    borrowed: str = ""
    lender: str = ""


_LOWER = "abcdefghijklmnopqrstuvwxyz"
_OTHER = "".join(c for c in CHARACTERS if not c.isalpha())
_HANDS = {
    "EMSTech": _Hand(False, 57, "AMNPQ4^"),
    "EMSReadability": _Hand(False, 60, "ABDFHMNPRkhmnpr", "$Y", "EMSTech"),
    "EMSFelix": _Hand(True, 52, "abcdehijklmnopqrstuvwxyzABDKMNPRVW", "$", "EMSTech"),
    "EMSAllure": _Hand(True, 39, _LOWER + _LOWER.upper()),
    "HersheySans1": _Hand(False, 57, "N", "$@[]{}~`", "EMSTech"),
    "HersheyScript1": _Hand(True, 36, _LOWER + _LOWER.upper(), _OTHER, "EMSAllure"),
}
FONTS = tuple(_HANDS)


def parse_path(path: str, curve_points: int = 8) -> list[Points]:
    """Parse an SVG path of the commands M, L, H, V, C and Z, absolute or relative.

    Args:
        path: the `d` attribute of the path, such as `"M 0 0 L 1e+03 0"`.
        curve_points: the number of points that replace a Bezier curve.

    Returns:
        One array `(n, 2)` per line, n at least 2, in the units of the path.

    Raises:
        ValueError: the path has something that is neither a number nor one of these
            commands, has a wrong count of numbers, or does not begin with M.

    Example:
        >>> parse_path("M 0 0 h 2 v 1 z")[0].tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 0.0]]
    """
    rest = TOKEN.sub("", path).strip(" ,\t\r\n")
    if rest:
        raise InputError(
            f"the path {path!r} has something unreadable: {rest!r}; use numbers and "
            f"the commands {', '.join(TAKES)}"
        )
    tokens: list[str] = [match.group() for match in TOKEN.finditer(path)]
    lines: list[list[Points]] = []
    here, command, i = np.zeros(2), "", 0
    while i < len(tokens):
        if tokens[i].isalpha():
            command, i = tokens[i], i + 1
        kind = command.upper()
        takes = TAKES.get(kind)
        if takes is None or (not lines and kind != "M"):
            raise InputError(
                f"the path {path!r} has {command or tokens[i]!r} where it should have "
                f"one of the commands {', '.join(TAKES)}, and M first"
            )
        words = tokens[i : i + takes]
        if len(words) < takes or any(word.isalpha() for word in words):
            raise InputError(f"the path {path!r}: {command} takes {takes} numbers")
        values, i = np.array([float(word) for word in words]), i + takes
        base = here if command.islower() else np.zeros(2)
        if kind == "M":
            here = base + values
            lines.append([here])
            command = "l" if command.islower() else "L"  # further pairs are lines
            continue
        if kind == "Z":
            if i < len(tokens) and not tokens[i].isalpha():
                raise InputError(f"the path {path!r}: {command} takes 0 numbers")
            new = [lines[-1][0]]
        elif kind == "H":
            new = [np.array([base[0] + values[0], here[1]])]
        elif kind == "V":
            new = [np.array([here[0], base[1] + values[0]])]
        elif kind == "L":
            new = [base + values]
        else:
            a, b, end = base + values.reshape(3, 2)
            s = np.linspace(0, 1, curve_points + 1)[1:, None]
            new = list((1 - s) ** 3 * here + 3 * (1 - s) ** 2 * s * a
                       + 3 * (1 - s) * s**2 * b + s**3 * end)  # fmt: skip
        lines[-1].extend(new)
        here = lines[-1][-1]
    return [np.array(line) for line in lines if len(line) > 1]


@cache
def load_font(name: str) -> Font:
    """Read one of the fonts in `FONTS`.

    Raises:
        ValueError: there is no such font.

    Example:
        >>> font = load_font("EMSTech")
        >>> len(font.glyphs), font.cursive, len(font.glyphs["i"].strokes)
        (95, False, 2)
    """
    if name not in _HANDS:
        raise InputError(f"there is no font {name!r}: choose from {', '.join(FONTS)}")
    hand = _HANDS[name]
    root = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    lines: dict[str, tuple[list[Points], float]] = {}
    for element in root.iter("{http://www.w3.org/2000/svg}glyph"):
        character = element.get("unicode", "")
        if character in CHARACTERS and character:
            advance = float(element.get("horiz-adv-x", "nan"))
            lines[character] = parse_path(element.get("d", "")), advance
    if name == "EMSAllure":  # a second line inside its o makes it look like an a
        lines["o"][0].pop()
    x_height = max(float(line[:, 1].max()) for line in lines["x"][0])
    glyphs = {}
    for character in CHARACTERS:
        if character in hand.borrowed:
            glyphs[character] = load_font(hand.lender).glyphs[character]
            continue
        pieces, advance = lines[character]
        strokes = _order([piece / x_height for piece in pieces], character, hand)
        glyphs[character] = Glyph(tuple(strokes), advance / x_height)
    return Font(name, hand.cursive, hand.clock, glyphs)


def _order(pieces: Sequence[Points], character: str, hand: _Hand) -> list[Stroke]:
    """Merge, reverse and sort the pieces of a glyph, and cut each into arcs."""
    strokes: list[Stroke] = []
    parts = [part for piece in pieces for part in _detach_bar(piece)]
    for piece in _merge(parts, character in _LOWER and character not in "ft"):
        width, height = np.ptp(piece, axis=0)
        (dx, dy) = piece[-1] - piece[0]
        if max(width, height) < DOT and character in ".:;!?ij":
            middle = (piece.max(0) + piece.min(0)) / 2
            piece = middle + np.array([[-0.02, 0.05], [0.02, -0.05]])
            mark = character in "ij"
        else:
            if character not in hand.upwards and (
                dy > 0.3 or (abs(dy) <= 0.3 and dx < -0.3)
            ):
                piece = piece[::-1]
            mark = (character in "ft" and height < 0.4 * width) or (
                character == "x" and bool(strokes)
            )
        strokes.append(Stroke(*aim(piece), mark))
    # Dots come last, also those below ! and ?, but not the upper dot of : and ;
    return sorted(strokes, key=lambda s: s.mark or (
        character == "?" and len(s.targets) == 2))  # fmt: skip


def _detach_bar(piece: Points) -> list[Points]:
    """Split off a bar that a plotter draws halfway down a stem."""
    for i, point in enumerate(piece):
        back = np.flatnonzero(np.hypot(*(piece - point).T) < TOUCHING)[-1] + 1
        there = piece[i:back]
        if np.ptp(there[:, 0]) > DOT and np.ptp(there[:, 1]) < 2 * TOUCHING:
            bar = there[[np.argmin(there[:, 0]), np.argmax(there[:, 0])]]
            stem = np.concatenate([piece[: i + 1], piece[back:]])
            return [*_detach_bar(stem), bar] if len(stem) > 1 else [piece]
    return [piece]


def _merge(pieces: Sequence[Points], lower: bool) -> list[Points]:
    """Join pieces that a pen would draw without lifting.

    Ends that touch are joined, with one piece reversed if necessary. In lower-case
    letters, the pen also goes back along its line to where the next piece leaves it,
    and up to the top of a stem that it has reached.
    """
    left, merged = list(pieces), []

    def near(a: Points, b: Points) -> bool:
        return math.dist(a, b) < TOUCHING

    while left:
        line = left.pop(0)
        found = True
        while found:
            found = False
            for i, piece in enumerate(left):
                if near(line[-1], piece[0]):
                    joined = [line, piece[1:]]
                elif near(line[-1], piece[-1]):
                    joined = [line, piece[-2::-1]]
                elif near(line[0], piece[-1]):
                    joined = [piece[:-1], line]
                elif near(line[0], piece[0]):
                    joined = [piece[:0:-1], line]
                elif (
                    lower
                    and i == 0
                    and math.dist(line[-1], piece[0]) < RETRACED
                    and any(_passes(way, line[-1], piece[0]) for way in (line, piece))
                ):
                    joined = [line, piece]
                else:
                    continue
                line, found = np.concatenate(joined), True
                left.pop(i)
                break
        merged.append(line)
    return merged


def _passes(line: Points, start: Points, end: Points) -> bool:
    """Return whether the straight path from `start` to `end` lies on `line`."""
    points = np.stack([start, (start + end) / 2, end])  # (3, 2)
    gaps = np.hypot(*(even(line)[:, None] - points).transpose(2, 0, 1))  # (n, 3)
    return bool((gaps.min(0) < 2 * TOUCHING).all())
