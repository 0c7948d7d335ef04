"""Draw the book's diagrams, book/images/NN_*.svg; `--check` only compares.

All of them speak one visual language, which stands here once: a kind of part keeps its
colour through the book (`KINDS`, from Okabe and Ito's colour-blind-safe palette), time
runs to the right and the network grows upwards from the pen, and a dashed wire waits
for the next point. Drawings are narrow, so that they can be read on a phone.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from html import escape
from itertools import pairwise

from project import ROOT

IMAGES = ROOT / "book" / "images"
FONT = "DejaVu Sans, Verdana, sans-serif"
TEXT, GREY = "#1b1f24", "#6b7480"
SIZE, SMALL, SYMBOL = 18, 16, 20  # font sizes
INDEX = 15  # the smallest, 10 pixels on a phone
LINE, HEAD, CORNER = 2.2, 11, 8  # width of a wire, length of its arrow head, corners
MINUS = "\N{MINUS SIGN}"
WIDE = {"t": 0.39, "j": 0.28, "i": 0.28, "+": 0.84, "-": 0.84}  # of a letter, in ems
PALE = {"grey": "#f3f5f7", "line": "#cdd3da"}
# Stroke and fill of each kind of part.
KINDS = {
    "ink": ("#0072B2", "#eaf4fa"),
    "layer": ("#009E73", "#e8f6f1"),
    "cell": ("#E69F00", "#fdf3dc"),
    "gate": ("#CC79A7", "#faeff5"),
    "peephole": ("#56B4E9", "#e6f4fc"),
    "window": ("#D55E00", "#fdf1ea"),
    "head": (TEXT, "#faf5b8"),
    "output": (TEXT, "#ffffff"),
    "plain": (GREY, PALE["grey"]),
}

Point = tuple[float, float]


def number(value: float) -> str:
    """A coordinate with one digit at most."""
    return f"{round(value, 1):g}"


def formula(source: str, size: float) -> str:
    r"""The tspans of a formula: `!x` is a vector, `\rho` Greek, `_{..}` and `^{..}`."""
    found, low, below = [], 0.0, 0.0  # how low the pen is; how wide the index before
    token = r"!(?:\w|\\[A-Za-z]+)|\\[A-Za-z]+ ?|[_^]\{[^}]*\}|[^\W\d_]|[^!\\_^a-zA-Z]+"
    for part in re.findall(token, source):
        dx, wanted, style, scale = 0.0, 0.0, ' font-style="italic"', 1.0
        if part[0] in "_^":
            scale, wanted = max(0.75, INDEX / size), 0.27 if part[0] == "_" else -0.4
            if part[0] == "^" and below:  # an exponent stands above its index
                dx, wanted = -below, -0.48
            part = part[2:-1]
            below = sum(WIDE.get(letter, 0.62) for letter in part) * scale * size
        else:
            below = 0.0
            if part[0] == "!":
                part, style = part[1:], style + ' font-weight="bold"'
        part = re.sub(r"\\([A-Za-z]+) ?", greek, part).replace("-", MINUS)
        if not any(letter.isalpha() for letter in part):
            style = ""
        move = f' dx="{number(dx)}"' if dx else ""
        if step := wanted * size - low:
            move += f' dy="{number(step)}"'
        low = wanted * size
        shrink = f' font-size="{number(scale * size)}"' if scale != 1 else ""
        found.append(f"<tspan{move}{shrink}{style}>{escape(part)}</tspan>")
    if low:  # the next word stands on the line again
        found.append(f'<tspan dy="{number(-low)}">\N{ZERO WIDTH SPACE}</tspan>')
    return "".join(found)


def greek(name: re.Match[str]) -> str:
    """The letter of `\\rho`; `\\hat` goes on the letter before it."""
    if name[1] == "hat":
        return "\N{COMBINING CIRCUMFLEX ACCENT}"
    case = "SMALL" if name[1].islower() else "CAPITAL"
    return unicodedata.lookup(f"GREEK {case} LETTER {name[1].upper()}")


class Drawing:
    """One diagram: what is drawn first lies lowest."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.size, self.title, self.parts = (width, height), title, []

    def svg(self) -> str:
        """The file."""
        width, height = map(number, self.size)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="{FONT}" fill="{TEXT}">\n'
            f"<title>{escape(self.title)}</title>\n" + "\n".join(self.parts) + "\n"
            "</svg>\n"
        )

    def shape(self, tag: str, kind: str = "", **attributes: float | str) -> None:
        """Any element; with a kind, in its colours."""
        if kind:
            stroke, fill = KINDS[kind]
            style = {"fill": fill, "stroke": stroke, "stroke_width": 2}
            attributes = style | attributes
        pairs = (
            f'{name.replace("_", "-")}="{number(v) if not isinstance(v, str) else v}"'
            for name, v in attributes.items()
        )
        self.parts.append(f"<{tag} {' '.join(pairs)}/>")

    def text(
        self, x: float, y: float, words: str, size: float = SIZE, at: str = "middle"
    ) -> None:
        """Words whose middle line lies at y; what is between $ is a formula."""
        parts = words.split("$")
        parts[::2] = [escape(part) for part in parts[::2]]
        parts[1::2] = [formula(part, size) for part in parts[1::2]]
        where = f'x="{number(x)}" y="{number(y + 0.36 * size)}"'
        self.parts.append(
            f'<text {where} font-size="{number(size)}" text-anchor="{at}">'
            f"{''.join(parts)}</text>"
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        kind: str,
        *lines: str,
        size: float = SIZE,
    ) -> None:
        """A part around (x, y), with lines of text; the size is that of the first."""
        left, top = x - width / 2, y - height / 2
        sizes = {"width": width, "height": height, "rx": CORNER}
        self.shape("rect", kind, x=left, y=top, **sizes)
        for place, line in zip(spread(y, len(lines), 21), lines, strict=True):
            if place > y - 21 * (len(lines) - 1) / 2:
                size = SYMBOL if line.startswith("$") else SMALL
            elif len(lines) > 1:
                place -= 4  # for what hangs below it
            self.text(x, place, line, size)

    def operation(self, x: float, y: float, sign: str, kind: str = "plain") -> None:
        """A circle that multiplies or adds what comes in."""
        self.shape("circle", kind, cx=x, cy=y, r=14, fill="#ffffff", stroke=TEXT)
        turn = math.pi / 4 if sign == "times" else 0
        for angle in (turn, turn + math.pi / 2):
            dx, dy = 7 * math.cos(angle), 7 * math.sin(angle)
            line = {"stroke": TEXT, "stroke_width": LINE, "stroke_linecap": "round"}
            self.shape("line", x1=x - dx, y1=y - dy, x2=x + dx, y2=y + dy, **line)

    def wire(
        self,
        *points: Point,
        kind: str = "plain",
        dashed: bool = False,
        arrow: bool = True,
        over: bool = False,
        width: float = LINE,
    ) -> None:
        """A wire with round corners; `over` leaves a gap in the wires that it crosses.

        A dashed one carries something from one point to the next.
        """
        way, color = list(points), KINDS[kind][0]
        (x0, y0), (x1, y1) = points[-2:]
        head = HEAD + 2 * (width - LINE)
        if arrow:
            way[-1] = towards(way[-1], way[-2], 0.8 * head)
        if over:
            gap = [towards(way[0], way[1], 4), *way[1:]]
            white = {"stroke": "#ffffff", "stroke_width": width + 7}
            self.shape("path", d=rounded(gap), fill="none", **white)
        line = {"stroke": color, "stroke_width": width}
        line |= {"stroke_dasharray": "6 5"} if dashed else {}
        self.shape("path", d=rounded(way), fill="none", **line)
        if arrow:
            length = math.hypot(x1 - x0, y1 - y0)
            dx, dy = (x1 - x0) / length * head, (y1 - y0) / length * head
            sides = [(x1 - dx - s * dy, y1 - dy + s * dx) for s in (0.45, -0.45)]
            self.shape("path", d=straight([(x1, y1), *sides]) + "Z", fill=color)

    def dots(self, *points: Point, kind: str = "plain", radius: float = 4) -> None:
        """Where a wire branches, or a point of ink."""
        for x, y in points:
            self.shape("circle", cx=x, cy=y, r=radius, fill=KINDS[kind][0])


def straight(points: Iterable[Point]) -> str:
    """The path through points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def rounded(points: Sequence[Point], radius: float = CORNER) -> str:
    """The path through points with its corners rounded."""
    path = straight(points[:1])
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        ends = [towards(corner, other, radius) for other in (before, after)]
        numbers = [number(v) for point in (ends[0], corner, ends[1]) for v in point]
        path += "L{} {}Q{} {} {} {}".format(*numbers)
    return path + "L" + straight(points[-1:])[1:]


def towards(start: Point, end: Point, way: float) -> Point:
    """The point that lies this far from start to end, half the way at most."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = min(way / math.hypot(dx, dy), 0.5)
    return start[0] + share * dx, start[1] + share * dy


def spread(middle: float, count: int, gap: float) -> list[float]:
    """Count numbers, gap apart, around the middle."""
    return [middle + (i - (count - 1) / 2) * gap for i in range(count)]


def loops(left: float, middle: float, times: Iterable[float]) -> list[Point]:
    """A pen that writes loops like e and l, at each of these times."""
    return [
        (
            left + 17 * t + 30 * math.sin(t),
            middle + (27 + 5 * math.sin(t / 3)) * math.cos(t),
        )
        for t in times
    ]


def network() -> Drawing:
    """Chapter 2: two layers between the last k points and a guess."""
    d = Drawing(480, 570, "A feedforward network over the last k points")
    rows = {
        "ink": [(x, 408) for x in spread(230, 7, 46) if x != 230],
        "first": [(x, 300) for x in spread(230, 5, 58)],
        "second": [(x, 192) for x in spread(230, 5, 58)],
        "output": [(x, 84) for x in spread(230, 3, 74)],
    }
    line = {"stroke": "#b9c0c9", "stroke_width": 1.2}
    for low, high in pairwise(rows.values()):
        for x1, y1 in low:
            for x2, y2 in high:
                d.shape("line", x1=x1, y1=y1, x2=x2, y2=y2, **line)
    x2, y2 = rows["first"][-1]
    for x, y in rows["ink"]:
        d.wire((x, y), (x2, y2), kind="layer", arrow=False)
    for name, places in rows.items():
        kind = name if name in KINDS else "layer"
        for x, y in places:
            d.shape("circle", kind, cx=x, cy=y, r=15)
    d.shape("circle", "layer", cx=x2, cy=y2, r=15, stroke_width=4)
    d.text(404, y2, "a unit", SMALL, "start")
    d.dots(*((x, 408) for x in spread(230, 3, 12)), kind="ink", radius=2.5)
    d.text(394, 408, "$3k$ inputs", SMALL, "start")
    names = "$!s_{t}$", "$h^{1}$", "$h^{2}$", "$!y\\hat_{t}$"
    for y, name in zip((408, 300, 192, 84), names, strict=True):
        d.text(34, y, name, SYMBOL)
    for y, name in ((354, "$W^{1}$"), (246, "$W^{2}$"), (138, "$W^{3}$")):
        d.text(430, y, name, SYMBOL)
    names = "$\\Delta x$", "$\\Delta y$", "end"
    for (x, y), name in zip(rows["output"], names, strict=True):
        d.text(x, y - 31, name)
    d.text(230, 20, "guess for the next point")
    # the ink, with the points that are seen
    line = loops(34, 500, (i / 10 for i in range(225)))
    grey = {"fill": "none", "stroke": PALE["line"], "stroke_width": 2.5}
    d.shape("path", d=straight(line), **grey)
    d.shape("path", d=straight(line[64:130]), **grey | {"stroke": KINDS["ink"][0]})
    for x, y in line[12:64:13]:
        d.shape("circle", cx=x, cy=y, r=5, fill="#a9b1bb")
    d.dots(*line[64:130:13], kind="ink", radius=6)
    x, y = line[142]
    d.shape("circle", "output", cx=x, cy=y, r=6, stroke_dasharray="3 2.5")
    d.text(86, 556, "not seen", SMALL)
    d.text(204, 556, "last $k$ points", SMALL)
    d.text(x + 14, 556, "next", SMALL)
    d.wire((205, 466), (205, 428), kind="ink")
    return d


def unrolled() -> Drawing:
    """Chapter 3: the loop, and below it the same layer at three points."""
    d = Drawing(480, 540, "A recurrent layer as a loop, and unrolled over three points")

    def column(x: float, y: float, index: str, up: float = 84) -> None:
        d.wire((x, y + 72), (x, y + 26), kind="ink")
        d.wire((x, y - 26), (x, y - up), kind="output")
        d.box(x, y, 76, 52, "layer", f"$h_{{{index}}}$", size=SYMBOL)
        d.text(x, y + 88, f"$!x_{{{index}}}$", SYMBOL)
        d.text(x, y - up - 17, f"$!y\\hat_{{{index}}}$", SYMBOL)
        d.text(x + 8, y + 50, "$W_{x}$", SYMBOL, "start")
        d.text(x + 8, y - 44, "$W_{y}$", SYMBOL, "start")

    x, y = 240, 140
    column(x, y, "t", up=98)
    d.text(x - 120, y, "$h_{t-1}$", SYMBOL)
    d.text(x + 102, y - 32, "$W_{h}$", SYMBOL, "start")
    right, left = (x + 38, y), (x - 38, y)
    back = (x + 90, y), (x + 90, y - 64), (x - 90, y - 64), (x - 90, y)
    d.wire(right, *back, left, kind="layer", dashed=True, over=True)
    d.text(12, 20, "the loop", at="start")
    x, y = 240, 428
    for index, place in zip(("t-1", "t", "t+1"), spread(x, 3, 140), strict=True):
        column(place, y, index)
    for left, right in ((6, 62), (138, 202), (278, 342), (418, 474)):
        d.wire((left, y), (right, y), kind="layer", dashed=True)
        d.text((left + right) / 2 - 3, y - 20, "$W_{h}$", SYMBOL)
    d.text(12, 282, "unrolled: the same layer at three points", at="start")
    return d


def cell(peepholes: bool = False) -> Drawing:
    """Chapters 4 and 5: the LSTM cell, with or without peepholes."""
    title = "An LSTM cell with peepholes" if peepholes else "An LSTM cell"
    d = Drawing(480, 490, title)
    belt, top, rail = 36, 296, 424
    f, i, g, o, out = 118, 206, 294, 386, 452
    # the belt
    color, pale = KINDS["cell"]
    d.shape("rect", x=0, y=belt - 17, width=480, height=34, fill=pale)
    for side in (-17, 17):
        line = {"stroke": color, "stroke_width": 3}
        d.shape("line", x1=0, y1=belt + side, x2=480, y2=belt + side, **line)
    for x in (75, 160, 190, 300, 330, 360):
        chevron = straight([(x - 5, belt - 8), (x + 3, belt), (x - 5, belt + 8)])
        d.shape("path", d=chevron, fill="none", stroke=color, stroke_width=LINE)
    d.text(32, belt, "$c_{t-1}$", SYMBOL)
    d.text(448, belt, "$c_{t}$", SYMBOL)
    # what goes in
    d.wire((f, rail), (f, top + 42))
    for x in (i, g, o):
        d.wire((f - 60, rail), (x, rail), (x, top + 42))
    d.wire((f - 60, 480), (f - 60, rail), kind="ink", arrow=False)
    d.wire((0, rail), (f - 60, rail), kind="layer", dashed=True, arrow=False)
    d.dots((f - 60, rail), (f, rail), (i, rail), (g, rail), radius=4.5)
    d.text(70, 470, "$!x_{t}$", SYMBOL, "start")
    d.text(24, rail - 18, "$h_{t-1}$", SYMBOL)
    if peepholes:
        look = {"kind": "peephole", "width": 4}
        d.wire((58, belt + 17), (58, 214), (i - 22, 214), (i - 22, top - 42), **look)
        d.wire((58, 206), (58, top - 14), (f - 37, top - 14), **look)
        d.wire((342, belt + 17), (342, 224), (o - 22, 224), (o - 22, top - 42), **look)
        d.dots((58, 214), kind="peephole", radius=5.5)
        d.text(26, 250, "$p_{f}$", SYMBOL)
        d.text(162, 192, "$p_{i}$", SYMBOL)
        d.text(324, 160, "$p_{o}$", SYMBOL)
    # gates and what they multiply
    add = (i + g) / 2
    d.wire((f, top - 42), (f, belt + 14), kind="gate", over=peepholes)
    d.wire((i, top - 42), (i, 190), (add - 14, 190), kind="gate")
    d.wire((g, top - 42), (g, 190), (add + 14, 190), kind="layer")
    d.wire((add, 176), (add, belt + 14), kind="cell")
    d.wire((o, top - 42), (o, 204), kind="gate")
    d.wire((o, belt + 17), (o, 96), kind="cell")
    d.wire((o, 128), (o, 176), kind="cell")
    d.wire((out, 190), (out, rail), (480, rail), kind="layer", dashed=True)
    d.wire((o + 14, 190), (480, 190), kind="layer")
    d.dots((out, 190), kind="layer", radius=4.5)
    d.text(out, 166, "$h_{t}$", SYMBOL)
    d.box(o, 112, 60, 32, "plain", "tanh", size=SMALL)
    d.operation(f, belt, "times")
    d.operation(add, belt, "plus")
    d.operation(add, 190, "times")
    d.operation(o, 190, "times")
    for x, name, word in ((f, "f", "forget"), (i, "i", "input"), (o, "o", "output")):
        d.box(x, top, 74, 84, "gate", f"${name}_{{t}}$", word, "sigmoid", size=SYMBOL)
    d.box(g, top, 74, 84, "layer", "$g_{t}$", "new", "tanh", size=SYMBOL)
    return d


def head() -> Drawing:
    """Chapter 7: raw numbers in five groups, and the density that they describe."""
    d = Drawing(480, 690, "The mixture density head")
    d.wire((240, 640), (240, 602), kind="layer")
    d.box(240, 662, 76, 44, "layer", "$h_{t}$", size=SYMBOL)
    d.box(240, 580, 440, 40, "head", "$!y\\hat_{t} = W h_{t} + b$:  $6M + 1$ numbers")
    groups = (  # raw numbers of three components, how they are bent, what comes out
        ("e", 1, "1", "sigmoid", "0 to 1"),
        ("\\pi", 3, "M", "softmax", "sum to 1"),
        ("!\\mu", 6, "2M", "identity", "any"),
        ("!\\sigma", 6, "2M", "exp", "above 0"),
        ("\\rho", 3, "M", "tanh", "$-1$ to 1"),
    )
    left, top = 20.0, 494
    columns = spread(240, 5, 92)
    for (name, cells, count, bend, found), x in zip(groups, columns, strict=True):
        middle = left + 10 * cells
        d.wire((middle, 560), (middle, top + 22), kind="output")
        d.wire((middle, top), (x, 430), kind="output")
        for cell in range(cells):
            square = {"width": 20, "height": 20, "stroke_width": 1.4}
            d.shape("rect", "head", x=left + 20 * cell, y=top, **square)
        d.text(middle + 7, 540, f"${count}$", SMALL, "start")
        d.box(x, 410, 82, 36, "head", bend, size=SMALL)
        d.wire((x, 392), (x, 372), kind="output", arrow=False)
        d.text(x, 359, found, SMALL)
        index = "_{t}" if name == "e" else "_{t}^{j}"
        d.text(x, 334, f"${name}{index}$", SYMBOL)
        d.wire((x, 316), (x, 292), kind="output")
        left += 20 * cells + 15
    # the pen: a coin
    d.box(54, 102, 80, 164, "output", "goes on", "$1-e_{t}$", size=SMALL)
    d.box(54, 241, 80, 98, "head", "ends", "$e_{t}$", size=SMALL)
    # the offset: a mixture of three components
    d.shape("rect", "output", x=108, y=20, width=358, height=270, rx=CORNER)
    ink = loops(66, 222, (4.6 + i / 10 for i in range(35)))
    d.wire(*ink, kind="ink", arrow=False)
    d.dots(ink[-1], kind="ink", radius=6)
    d.text(ink[-1][0] + 4, ink[-1][1] + 22, "pen", SMALL)
    component(d, (256, 152), (28, 36), 0.75, 0.6)
    component(d, (344, 110), (62, 42), -0.4, 0.3)
    component(d, (352, 222), (40, 26), 0.0, 0.1)
    d.text(196, 104, "$\\pi$ = 0.6", SMALL)
    d.text(196, 126, "$\\rho$ = 0.75", SMALL)
    d.text(344, 48, "$\\pi$ = 0.3, $\\rho$ = $-0.4$", SMALL)
    d.text(352, 266, "$\\pi$ = 0.1, $\\rho$ = 0", SMALL)
    d.text(390, 120, "$!\\mu$", SYMBOL)
    d.wire((344, 168), (406, 168), kind="output")
    d.text(424, 176, "$\\sigma_{x}$", SYMBOL)
    d.wire((420, 110), (420, 68), kind="output")
    d.text(440, 84, "$\\sigma_{y}$", SYMBOL)
    return d


def component(
    d: Drawing, middle: Point, sigma: Point, rho: float, weight: float
) -> None:
    """A Gaussian as ellipses of one deviation and of half of one; y is up."""
    (x, y), (a, b) = middle, (sigma[0] ** 2, sigma[1] ** 2)
    c = rho * sigma[0] * sigma[1]
    turn = math.degrees(math.atan2(2 * c, a - b) / 2)
    root = math.hypot((a - b) / 2, c)
    wide, high = math.sqrt((a + b) / 2 + root), math.sqrt((a + b) / 2 - root)
    style = {"fill": "#F0E442", "stroke": TEXT, "stroke_width": 1.4}
    style["fill_opacity"] = f"{0.15 + weight:.2f}"
    style["transform"] = f"rotate({number(-turn)} {x} {y})"
    for size in (1, 0.5):
        d.shape("ellipse", cx=x, cy=y, rx=size * wide, ry=size * high, **style)
    d.dots(middle, kind="output", radius=3.5)


def wiring() -> Drawing:
    """Chapter 8: three layers at two points."""
    d = Drawing(480, 510, "Wiring of the prediction network at two points")
    rows = {1: 366, 2: 270, 3: 174}
    for x, now, after in ((118, "t", "t+1"), (354, "t+1", "t+2")):
        for y in rows.values():  # what a layer remembers
            end = min(x + 186, 476), y - 10
            d.wire((x + 50, y - 10), end, kind="layer", dashed=True)
            if now == "t":
                d.wire((0, y - 10), (x - 50, y - 10), kind="layer", dashed=True)
        d.wire((x, 440), (x, 389), kind="ink")
        rail = x - 80
        d.wire((x, 413), (rail, 413), (rail, 184), (x - 50, 184), kind="ink", over=True)
        d.wire((rail, 280), (x - 50, 280), kind="ink")
        d.dots((x, 413), (rail, 280), kind="ink")
        rail = x + 78
        out = (x + 30, rows[1] - 23), (x + 30, rows[1] - 44), (rail, rows[1] - 44)
        d.wire(*out, (rail, 76), (x + 58, 76), kind="layer", over=True)
        d.wire((x + 30, 247), (x + 30, 226), (rail, 226), kind="layer", arrow=False)
        d.dots((rail, 226), kind="layer")
        for layer, y in rows.items():
            d.wire((x, y - 23), (x, y - 73), kind="layer")
            d.text(x - 8, y - 48, f"$h_{{{now}}}^{{{layer}}}$", SYMBOL, "end")
            d.box(x, y, 100, 46, "layer", f"layer {layer}")
        d.wire((x, 55), (x, 38), kind="output")
        d.box(x, 78, 116, 46, "head", "mixture")
        d.text(x, 20, f"density of $!x_{{{after}}}$")
        d.box(x, 463, 100, 46, "ink", f"$!x_{{{now}}}$", size=SYMBOL)
    return d


def window() -> Drawing:
    """Chapter 9: a bump over the text, and what is read under it."""
    d = Drawing(480, 590, "The soft window over the text")
    word, rows, gap = [*"hand", "end"], ["end", *"adhn"], 50
    columns, kappa = spread(172, 5, gap), 2.3
    top, floor, x = 112, 452, 414

    def place(u: float) -> float:
        return columns[0] + gap * (u - 1)

    def bump(u: float, kappa: float = kappa) -> float:
        return math.exp(-0.6 * (kappa - u) ** 2)

    color = KINDS["window"][0]
    phi = [bump(u) for u in range(1, 6)]
    # what the first layer says, and who reads the window
    d.wire((x - 52, 422), (300, 422), kind="layer")
    d.text(326, 444, "$\\alpha\\hat, \\beta\\hat, \\kappa\\hat$", SIZE)
    d.wire((x, 506), (x, 454), kind="ink")
    d.box(x + 2, 422, 108, 60, "layer", "layer 1", "$h_{t}^{1}$")
    d.text(x, 522, "$!x_{t}$", SYMBOL)
    d.wire((x, top), (x, 62), kind="window")
    d.wire((x, top + 130), (x, 390), kind="window", dashed=True)
    d.box(x, 38, 116, 44, "layer", "layers 2, 3")
    d.text(x + 12, 88, "$!w_{t}$", SYMBOL, "start")
    d.text(x + 12, 300, "at", SMALL, "start")
    d.text(x + 12, 322, "$t + 1$", SMALL, "start")
    # the text, one-hot, and its weighted sum
    for row, name in enumerate(rows):
        y = top + 26 * row
        d.text(columns[0] - 26, y + 13, name, SMALL, "end")
        cells = [
            (middle, 36, p * (one == name), "1" if one == name else "0")
            for middle, one, p in zip(columns, word, phi, strict=True)
        ]
        read = sum(light for _, _, light, _ in cells)
        for middle, wide, light, words in [*cells, (x, 48, read, f"{read:.2f}")]:
            square = {"x": middle - wide / 2, "y": y, "width": wide, "height": 26}
            d.shape("rect", "window", **square, fill="#ffffff", stroke_width=1)
            opacity = f"{0.6 * light:.2f}"
            d.shape("rect", **square, fill=color, fill_opacity=opacity)
            d.text(middle, y + 13, words, SMALL)
    d.text(172, top - 20, "one column $!c_{u}$ per character")
    d.wire((columns[-1] + 22, top + 65), (x - 26, top + 65), kind="window")
    d.text(343, top + 46, "sum", SMALL)
    # the bump over the text, and where it was
    edge = {"stroke": GREY, "stroke_width": 1.4}
    d.shape("line", x1=50, y1=floor, x2=292, y2=floor, **edge)
    for u, p in enumerate(phi, 1):
        bar = {"x": place(u) - 9, "width": 18, "height": 100 * p}
        d.shape("rect", y=floor - 100 * p, fill=color, fill_opacity="0.45", **bar)
        d.wire((place(u), 332), (place(u), top + 136), kind="window")
        d.box(place(u), floor + 24, 42, 34, "window", word[u - 1], size=SMALL)
    before = kappa - 1
    for middle, dashes in ((before, "6 5"), (kappa, "none")):
        us = [0.5 + i / 20 for i in range(99)]
        curve = [(place(u), floor - 100 * bump(u, middle)) for u in us]
        line = {"fill": "none", "stroke": color, "stroke_width": LINE}
        d.shape("path", d=straight(curve), stroke_dasharray=dashes, **line)
    d.text(columns[-1] + 14, 290, "$\\phi(t, u)$", SIZE, "start")
    # kappa
    y = floor + 62
    d.wire((place(before), y), (place(kappa), y), kind="window")
    for u in (before, kappa):
        line = {"x1": place(u), "x2": place(u), "y1": y - 8, "y2": y + 8}
        d.shape("line", stroke=color, stroke_width=LINE, **line)
    d.text(place(before), y + 25, "$\\kappa_{t-1}$", SYMBOL)
    d.text(place(kappa), y + 25, "$\\kappa_{t}$", SYMBOL)
    d.text(place(kappa) + 14, y, "+ exp $\\kappa\\hat_{t}$", at="start")
    d.text(172, y + 58, "the place $\\kappa$ only moves forward", SMALL)
    return d


def machine() -> Drawing:
    """Chapter 10: the whole synthesis network at one point."""
    d = Drawing(480, 690, "The synthesis network at one point")
    x, wide, left, right = 232, 124, 170, 294
    rows = {"point": 616, 1: 512, "window": 400, 2: 286, 3: 186, "mixture": 88}
    # dashed: to the next point
    for name in (1, "window", 2, 3):
        y, kind = rows[name], "window" if name == "window" else "layer"
        top, low, far = y - 11, y + 13, right + 36
        if name == "window":
            top, low = y, y + 24
        turn = (right, top), (far, top), (far, low), (right, low)
        d.wire(*turn, kind=kind, dashed=True)
    d.wire((134, 400), (134, 512), (left, 512), kind="window", dashed=True)
    d.wire((146, 20), (40, 20), (40, 616), (left, 616), kind="ink", dashed=True)
    # the point goes to every layer
    d.wire((x, 592), (x, 537), kind="ink")
    d.wire((x, 564), (92, 564), (92, 176), (left, 176), kind="ink")
    d.wire((92, 276), (left, 276), kind="ink")
    d.dots((x, 564), (92, 276), kind="ink")
    # what the window reads
    d.wire((left, 400), (134, 400), (134, 196), (left, 196), kind="window")
    d.wire((134, 296), (left, 296), kind="window")
    d.dots((134, 400), (134, 296), kind="window")
    # every layer feeds the layer above and the mixture
    d.wire((274, 488), (274, 462), (352, 462), (352, 82), (296, 82), kind="layer")
    d.wire((352, 342), (x, 342), (x, 311), kind="layer")
    d.wire((274, 262), (274, 236), (352, 236), kind="layer", arrow=False)
    d.dots((352, 342), (352, 236), kind="layer")
    for y, up in ((488, 433), (262, 211), (162, 113)):
        d.wire((x, y), (x, up), kind="layer")
    # the text
    d.wire((384, 384), (294, 384), kind="window", over=True)
    d.box(426, 384, 84, 60, "window", "text", "$!c_{u}$")
    d.wire((x, 64), (x, 40), kind="output")
    d.text(x, 20, "density of $!x_{t+1}$")
    d.box(x, rows["mixture"], wide, 46, "head", "mixture")
    d.box(x, rows["point"], wide, 46, "ink", "$!x_{t}$", size=SYMBOL)
    d.box(x, rows["window"], wide, 64, "window", "window", "$\\phi(t, u)$")
    for layer in (1, 2, 3):
        d.box(x, rows[layer], wide, 46, "layer", f"layer {layer}")
    for layer, y in ((1, 462), (2, 236), (3, 138)):
        d.text(x - 8, y, f"$h_{{t}}^{{{layer}}}$", SYMBOL, "end")
    d.text(142, 344, "$!w_{t}$", SYMBOL, "start")
    d.text(142, 458, "$!w_{t-1}$", SYMBOL, "start")
    d.text(52, 42, "when it writes", SMALL, "start")
    d.text(x, 668, "dashed: handed on to the next point", SMALL)
    return d


def decoder_layer() -> Drawing:
    """Chapter 13: a layer of the decoder at one position."""
    d = Drawing(480, 706, "A layer of the decoder at one position")
    stream, middle, query, kept = 410, 170, 290, 472
    earlier, norms = (54, 128), (566, 262)
    # the stream, and what is added to it
    d.wire((stream, 640), (stream, 347), width=4)
    d.wire((stream, 318), (stream, 137), width=4)
    d.wire((stream, 108), (stream, 56), width=4)
    for y, norm, top, total in ((612, norms[0], 352, 332), (298, norms[1], 146, 122)):
        x = query if norm == norms[0] else middle
        d.wire((stream, y), (x, y), (x, norm + 18))
        d.dots((stream, y), radius=5)
        d.wire((middle, top), (middle, total), (stream - 15, total))
        d.operation(stream, total, "plus")
        d.box(x, norm, 100, 36, "plain", "norm", size=SMALL)
    # what earlier positions left, and what this one leaves
    pale = {"fill": PALE["grey"], "stroke": PALE["line"], "stroke_width": 1.5}
    d.shape("rect", x=12, y=kept - 32, width=242, height=64, rx=CORNER, **pale)
    for x in earlier:
        d.wire((x, 640), (x, kept + 22), kind="cell", dashed=True)
    d.wire((264, norms[0] - 18), (264, 522), (214, 522), (214, kept + 22), kind="cell")
    for x, name in zip((*earlier, 214), ("1", "2", "t"), strict=True):
        d.wire((x, kept - 20), (x, 412), kind="cell")
        words = f"$k_{{{name}}}$ $v_{{{name}}}$"
        d.box(x, kept, 62, 40, "cell", words, size=SIZE)
    d.dots((162, kept), (171, kept), (180, kept), radius=2)
    d.wire((query + 16, norms[0] - 18), (query + 16, 412), kind="window")
    d.text(query + 26, 480, "$q_{t}$", SYMBOL, "start")
    d.box(middle + 3, 382, 318, 60, "window", "attention", "every head by itself")
    # the part that works at each position by itself
    d.wire((middle, norms[1] - 18), (middle, 211), kind="layer")
    d.box(middle, 178, 172, 64, "layer", "feedforward", "up, GELU, down")
    # what comes in and what goes on
    d.box(stream, 662, 124, 44, "ink", "$c_{t}$ and place", size=SIZE)
    d.text(stream - 90, 30, "next layer, or norm and logits")
    d.text(stream - 12, 206, "residual", SMALL, "end")
    d.text(stream - 12, 227, "stream", SMALL, "end")
    d.text(91, 664, "left by earlier", SMALL)
    d.text(91, 685, "positions", SMALL)
    return d


def cursive_layer() -> Drawing:
    """Chapter 15: a layer of the cursive decoder at one point."""
    d = Drawing(480, 742, "A layer of the cursive decoder at one point")
    stream, middle, right = 50, 180, 396
    floors = (636, 436, 236)  # where each part leaves the stream, the lowest first
    tops = [floor - 166 for floor in floors]  # where it is added
    ends = [672, *(top - 14 for top in tops)]
    for low, high in zip(ends, [*(top + 15 for top in tops), 34], strict=True):
        d.wire((stream, low), (stream, high), width=4)
    names = (
        ("window", "attention", "to the ink so far"),
        ("window", "attention", "to the text"),
        ("layer", "feedforward", "up, GELU, down"),
    )
    for floor, top, (kind, *words) in zip(floors, tops, names, strict=True):
        d.wire((stream, floor), (middle, floor), (middle, floor - 22))
        d.dots((stream, floor), radius=5)
        d.wire((middle, floor - 50), (middle, floor - 78), kind=kind)
        d.wire((middle, floor - 138), (middle, top), (stream + 15, top))
        d.operation(stream, top, "plus")
        d.box(middle, floor - 36, 90, 32, "plain", "norm", size=SMALL)
        d.box(middle, floor - 108, 180, 60, kind, *words)
    d.text(middle + 10, floors[0] - 66, "$q_{t}$", SYMBOL, "start")
    d.text(middle + 10, floors[1] - 66, "$q_{t}$", SYMBOL, "start")
    # what the two kinds of attention read
    ink, text = floors[0] - 108, floors[1] - 108
    d.wire((320, ink), (271, ink), kind="cell", dashed=True)
    d.box(right, ink, 152, 40, "cell", "$k_{1}$ $v_{1}$ ... $k_{t}$ $v_{t}$")
    d.text(right, ink + 38, "cache of the ink", SMALL)
    d.wire((320, text - 20), (271, text - 20), kind="cell")
    d.box(right, text - 34, 152, 40, "cell", "$k_{u}$ $v_{u}$")
    d.text(right, text - 72, "characters", SMALL)
    d.wire((320, text + 20), (271, text + 20), kind="gate")
    d.box(right, text + 34, 152, 40, "gate", "guide")
    d.text(right, text + 72, "$\\xi_{t}$ and $m_{u}$", SYMBOL)
    # what comes in and what goes on
    d.box(stream + 75, 698, 234, 44, "ink", "angle, shot and place")
    d.text(stream - 30, 18, "next layer, or norm and scores", at="start")
    return d


def glyph_row() -> Drawing:
    """Chapter 16: the glyph decoder at one row, and its three predictions."""
    d = Drawing(480, 580, "The glyph decoder at one row")
    left, right, layers, heads = 128, 370, 340, 176
    # what comes in
    d.box(left, 532, 232, 64, "ink", "row $t$: kind, x, y", "character, style, place")
    d.wire((left, 500), (left, layers + 62))
    d.box(right, 532, 190, 64, "ink", "other glyphs", "of the same font")
    d.wire((right, 500), (right, 462))
    d.box(right, 436, 150, 48, "layer", "reader")
    d.wire((right, 412), (right, layers + 24), kind="cell")
    d.box(right, layers, 150, 44, "cell", "keys, values", size=SIZE)
    d.wire((right - 75, layers), (left + 117, layers), kind="cell")
    # the layers
    words = (
        "layers",
        "attention to the rows",
        "attention to references",
        "feedforward",
    )
    d.box(left, layers, 232, 122, "window", *words)
    d.wire((left, layers - 61), (left, 246), width=4, arrow=False)
    d.text(left + 14, 264, "$h_{t}$", SYMBOL, "start")
    # what goes out, one after the other
    places = (78, 240, 402)
    for x, name in zip(places, ("kind", "x", "y"), strict=True):
        d.wire((left, 246), (x, 246), (x, heads + 26))
        d.box(x, heads, 96, 50, "head", name)
        d.wire((x, heads - 26), (x, 92))
    for x, name in zip(places, ("k", "x", "y"), strict=True):
        d.box(x, 68, 96, 44, "output", f"${name}_{{t+1}}$")
    for i, name in ((0, "k"), (1, "k, x")):
        middle = (places[i] + places[i + 1]) / 2
        d.wire(
            (places[i] + 49, 68), (middle, 68), (middle, heads),
            (places[i + 1] - 49, heads), kind="gate",
        )  # fmt: skip
        d.text(middle + 8, 124, f"${name}$", SYMBOL, "start")
    d.text(240, 22, "the next row is drawn from left to right", SMALL)
    return d


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "02-network": network,
    "03-unrolled": unrolled,
    "04-cell": cell,
    "05-peepholes": partial(cell, peepholes=True),
    "07-head": head,
    "08-wiring": wiring,
    "09-window": window,
    "10-machine": machine,
    "13-layer": decoder_layer,
    "15-layer": cursive_layer,
    "16-row": glyph_row,
}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Draw the diagrams of the book.")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args(arguments).check
    stale = []
    for name, draw in DRAWINGS.items():
        file, svg = IMAGES / f"{name}.svg", draw().svg()
        if not check:
            file.write_text(svg, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != svg:
            stale.append(file.name)
    if stale:
        print(f"stale: {', '.join(stale)}; run {parser.prog}", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
