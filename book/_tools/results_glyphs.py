"""What a glyph decoder draws, beside real fonts, on the page of results.

Every sentence that judges a figure is chosen here by the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results_words import capital, machine, percent, several, table


def glyph_words(result: Mapping[str, Any]) -> dict[str, str]:
    """What the template of the page of results wants.

    Args:
        result: the record of the benchmark `glyphs`.
    """
    rows = []
    for style, pair in result["styles"].items():
        cells = [style]
        for measure in ("alone", "readable", "style"):
            cells += [percent(pair[side][measure]) for side in ("drawn", "real")]
        cells += [f"{pair[side]['nearest']:.3f}" for side in ("drawn", "real")]
        cost = result["cross_entropy"][style]
        rows.append([*cells, f"{cost['row']:.2f}", f"{cost['row_alone']:.2f}"])
    head = [
        "",
        *(
            f"{measure}, {side}"
            for measure in ("alone", "readable", "style", "nearest")
            for side in ("drawn", "real")
        ),
        "nats per row",
        "without references",
    ]
    parses = result["parses"]
    return {
        "glyphs-model": f"`{result['model']}`",
        "glyphs-draws": f"{result['draws']}",
        "glyphs-temperature": f"{result['temperature']}",
        "glyphs-table": table(head, rows),
        "glyphs-parse": (
            f"Of {parses['drawn']['with']:,} glyphs drawn with the grammar at "
            f"temperature 1, {percent(parses['with'])} are outlines, and of "
            f"{parses['drawn']['without']:,} without it {percent(parses['without'])}."
        ),
        "glyphs-judged": f"{_readable(result['styles'])} {_copied(result['styles'])}",
        "glyphs-made": f"`{result['command']}` on {machine(result)}",
    }


def _readable(styles: Mapping[str, Any]) -> str:
    """In which styles the drawn glyphs are read about as often as real ones."""
    short = {
        style: pair["real"]["readable"] - pair["drawn"]["readable"]
        for style, pair in styles.items()
        if style != "all"
    }
    least = max(short, key=lambda style: short[style])
    near = [style for style, gap in short.items() if gap <= 0.1]
    said = (
        f"{capital(several(near))} glyphs are read at most 10 percentage points less "
        "often than real ones"
        if near
        else "In no style are the glyphs read within 10 percentage points of real ones"
    )
    return (
        f"{said}; the widest gap, {100 * short[least]:.0f} points, is that of {least}."
    )


def _copied(styles: Mapping[str, Any]) -> str:
    """Whether drawn glyphs are nearer to training glyphs than real new ones are."""
    drawn, real = (styles["all"][side]["nearest"] for side in ("drawn", "real"))
    if drawn <= real + 0.05:
        return (
            f"Their overlap with the nearest training glyph, {drawn:.3f} in the "
            f"median, is not above that of real new fonts by more than .05 "
            f"({real:.3f}), so by this measure the network does not copy."
        )
    return (
        f"Their overlap with the nearest training glyph, {drawn:.3f} in the median, is "
        f"above that of real new fonts ({real:.3f}): the network copies."
    )
