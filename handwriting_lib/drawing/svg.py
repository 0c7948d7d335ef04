"""Draw ink as an SVG, without any drawing library.

The still pictures of the widgets are such SVGs; chapter 01 is the first to show one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from torch import Tensor

from .layout import css_color, lay_out_sheets, one_sheet
from .sheet import RULE_COLOR, RULE_WIDTH

INKSCAPE = "http://www.inkscape.org/namespaces/inkscape"
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(
    inks: Any,
    *,
    width: float | str | None = None,
    unit: float | None = None,
    line_width: float | str | None = None,
    color: str | Sequence[float] = "currentColor",
    background: str | None = None,
    title: str | None = None,
    ruled: bool = False,
    layers: bool = False,
    variable_width: bool = False,
) -> str:
    """Draw ink as an SVG with one `<path>` per line, in the order of writing.

    Args:
        inks: `(T, 3)` offsets, or several such lines, all in the same units; or a
            `Sheet`, or a page of one sheet.
        width: width of the picture, a number of pixels or a length such as `"170mm"`;
            None draws a letter body 20 pixels high.
        unit: letter-body height in the units of the ink; None measures it.
        line_width: width of the pen, a number of letter-body heights (None is 0.12) or
            a length such as `"0.5mm"`.
        color: CSS colour of the ink; `currentColor` takes that of the surrounding text.
        background: CSS colour of the background; None is transparent.
        title: text of the ink for readers who cannot see it; any text is safe.
        ruled: whether to draw the ruled lines of the sheet, which a plotter draws too.
        layers: whether to give each line a layer of its own, as Inkscape and vpype
            read them, with one path per stroke.
        variable_width: whether the width of a stroke follows the pen's speed. Strokes
            are then outlines to fill, of no use to a plotter.

    Returns:
        A complete SVG file, in millimetres if the sheet is. Coordinates are rounded to
        a hundredth of a pixel or a thousandth of a millimetre. A stroke of one point is
        a segment of a quarter of the pen's width, which round caps turn into a dot:
        plotters leave out segments of length zero.

    Raises:
        ValueError: there is no ink, its shape is wrong, a size is not valid, or a page
            has several sheets.

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
    sheets = lay_out_sheets(
        inks,
        width=width,
        unit=unit,
        line_width=line_width,
        variable_width=variable_width,
    )
    sheet = one_sheet(sheets, "an SVG")
    digits = 3 if sheet.unit == "mm" else 2
    w, h = _short(sheet.width, digits), _short(sheet.height, digits)
    suffix = sheet.unit if sheet.unit == "mm" else ""
    inkscape = f' xmlns:inkscape="{INKSCAPE}"\n' if layers else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg"{inkscape} width="{w}{suffix}"'
        f' height="{h}{suffix}"\n viewBox="0 0 {w} {h}" role="img">'
    ]
    if title is not None:
        parts.append(f"<title>{escape(_NOT_XML.sub('', title))}</title>")
    if background is not None:
        parts.append(
            f'<rect width="{w}" height="{h}" fill={_attribute(css_color(background))}/>'
        )
    if ruled and sheet.rules:
        rules = "".join(f"M0 {y}H{w}" for y in (_short(r, digits) for r in sheet.rules))
        layer = _layer(f"rules {len(sheet.lines) + 1}") if layers else ""
        parts += [
            f'<g{layer} fill="none" stroke="{RULE_COLOR}"'
            f' stroke-width="{_short(RULE_WIDTH * sheet.per_inch, digits)}">',
            f'<path d="{rules}"/>\n</g>',
        ]
    ink = _attribute(css_color(color))
    look = (
        f'fill={ink} stroke="none"'
        if sheet.filled
        else f'fill="none" stroke={ink}'
        f' stroke-width="{_short(sheet.line_width, digits)}"\n'
        ' stroke-linecap="round" stroke-linejoin="round"'
    )
    dot = sheet.line_width / 4
    lines = [
        [_path(stroke, dot, digits, sheet.filled) for stroke in strokes]
        for strokes in sheet.lines
        if strokes
    ]
    if layers:
        for i, paths in enumerate(lines):
            parts.append(f"<g{_layer(f'line {i + 1}')} {look}>")
            parts += [*(f'<path d="{path}"/>' for path in paths), "</g>"]
    else:
        parts.append(f"<g {look}>")
        parts += [*(f'<path d="{"".join(paths)}"/>' for paths in lines), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _layer(name: str) -> str:
    """The attributes that make a group a layer; vpype reads the number in its name."""
    return (
        f' id="{name.replace(" ", "-")}" inkscape:groupmode="layer"'
        f' inkscape:label="{name}"'
    )


def _short(number: float, digits: int = 2) -> str:
    """Format a number with few decimals, no trailing zeros and no `-0`."""
    text = f"{number:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub("", value))


def _path(stroke: Tensor, dot: float, digits: int, closed: bool) -> str:
    """The path of a stroke; a stroke of one point is `dot` long."""
    points = stroke.tolist()
    if len(points) == 1:
        ((x, y),) = points
        points.append([x + dot, y])
    first, *rest = [f"{_short(x, digits)} {_short(y, digits)}" for x, y in points]
    return f"M{first}L" + " ".join(rest) + ("Z" if closed else "")
