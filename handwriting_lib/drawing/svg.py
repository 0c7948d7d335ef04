"""Draw ink as an SVG, without any drawing library.

The still pictures of the widgets are such SVGs; chapter 01 is the first to show one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from torch import Tensor

from .layout import css_color, lay_out

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(
    inks: Tensor | Sequence[Tensor],
    *,
    width: float | None = None,
    unit: float | None = None,
    line_width: float = 0.12,
    color: str | Sequence[float] = "currentColor",
    background: str | None = None,
    title: str | None = None,
) -> str:
    """Draw ink as an SVG with one `<path>` per line.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units.
        width: width of the picture in pixels; None draws a letter body 20 pixels high.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, in letter-body heights.
        color: CSS colour of the ink; `currentColor` takes that of the surrounding text.
        background: CSS colour of the background; None is transparent.
        title: text of the ink for readers who cannot see it; any text is safe.

    Returns:
        A complete SVG file. Coordinates are rounded to a hundredth of a pixel. A stroke
        of one point is a segment of a quarter of the pen's width, which round caps turn
        into a dot: plotters leave out segments of length zero.

    Raises:
        ValueError: there is no ink, its shape is wrong, or a size is not positive.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.], [1., 0., 1.]])
        >>> for line in to_svg(ink, unit=1.0, title="<3").splitlines(): print(line)
        <svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"
         viewBox="0 0 100 100" role="img">
        <title>&lt;3</title>
        <g fill="none" stroke="currentColor" stroke-width="2.4"
         stroke-linecap="round" stroke-linejoin="round">
        <path d="M10 90L70 10M90 10L90.6 10"/>
        </g>
        </svg>
    """
    layout = lay_out(inks, width=width, unit=unit, line_width=line_width)
    w, h = _short(layout.width), _short(layout.height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}"\n'
        f' viewBox="0 0 {w} {h}" role="img">'
    ]
    if title is not None:
        parts.append(f"<title>{escape(_NOT_XML.sub('', title))}</title>")
    if background is not None:
        parts.append(
            f'<rect width="{w}" height="{h}" fill={_attribute(css_color(background))}/>'
        )
    parts.append(
        f'<g fill="none" stroke={_attribute(css_color(color))}'
        f' stroke-width="{_short(layout.line_width)}"\n'
        ' stroke-linecap="round" stroke-linejoin="round">'
    )
    dot = layout.line_width / 4
    parts += [f'<path d="{_path(strokes, dot)}"/>' for strokes in layout.lines]
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _short(number: float) -> str:
    """Format a number with at most two decimals, no trailing zeros and no `-0`."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub("", value))


def _path(strokes: Sequence[Tensor], dot: float) -> str:
    """The path of some strokes; a stroke of one point is `dot` pixels long."""
    pieces = []
    for stroke in strokes:
        points = stroke.tolist()
        if len(points) == 1:
            ((x, y),) = points
            points.append([x + dot, y])
        first, *rest = [f"{_short(x)} {_short(y)}" for x, y in points]
        pieces.append(f"M{first}L" + " ".join(rest))
    return "".join(pieces)
