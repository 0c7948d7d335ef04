"""Sliders over your own network, in a notebook with a kernel.

A Studio carries a network into the page; `sliders` calls `write` on whatever network is
at hand, one that is still being trained for example, and draws the line as the sliders
move. Chapters 10 and 11 show it in their notebooks.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..drawing.svg import to_svg
from ..errors import HandwritingError, MissingPackageError
from ..files.models import Model, load_pretrained
from ..systems import write
from ..writing.styles import ANY, DEFAULT_HAND, Style, style_names

if TYPE_CHECKING:
    import ipywidgets


def sliders(
    model: Model | None = None,
    text: str = "a machine that writes",
    *,
    style: Style | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    seed: int = 1,
) -> ipywidgets.VBox:
    """Write a text with a network, again whenever a slider moves.

    Args:
        model: model with a `SynthesisNetwork`; None takes the default of the library.
        text: initial text.
        style: initial hand, as in `write`; the others that come with the model can be
            chosen.
        bias: initial bias, from 0 to 5.
        temperature: initial temperature, from 0.1 to 2.
        seed: initial seed.

    Returns:
        Controls and the line below them. What cannot be written is said in place of
        the line. The line itself is the attribute `line` of what is returned, None if
        there is none.

    Raises:
        ImportError: ipywidgets is not installed.

    Example:
        >>> box = sliders(text="hello")  # doctest: +SKIP
        >>> box.line.complete  # doctest: +SKIP
        True
    """
    try:
        import ipywidgets as ipw
    except ImportError as error:
        raise MissingPackageError(
            "sliders need ipywidgets: pip install 'handwriting-lib[widgets]'"
        ) from error
    model = load_pretrained() if model is None else model
    hands: list[tuple[str, Any]] = [(name, name) for name in style_names(model)]
    hands.append(("any: each seed has a hand of its own", ANY))
    if style is None:
        style = DEFAULT_HAND if (DEFAULT_HAND, DEFAULT_HAND) in hands else ANY
    if style not in [hand for _, hand in hands]:
        hands.insert(0, (getattr(style, "name", str(style)), style))
    wide = {
        "layout": ipw.Layout(width="28em"),
        "style": {"description_width": "7em"},
    }
    quick = {"continuous_update": False, **wide}  # one line each time a hand lets go
    controls: dict[str, Any] = {
        "text": ipw.Text(text, description="Text", **quick),
        "style": ipw.Dropdown(options=hands, value=style, description="Hand", **wide),
        "bias": ipw.FloatSlider(
            bias, min=0.0, max=5.0, step=0.05, description="Bias", **quick
        ),
        "temperature": ipw.FloatSlider(
            temperature, min=0.1, max=2.0, step=0.05, description="Temperature", **quick
        ),
        "seed": ipw.BoundedIntText(
            seed, min=0, max=2**31 - 1, description="Seed", **wide
        ),
    }
    picture = ipw.HTML()
    box = ipw.VBox([*controls.values(), picture])

    def draw(_: object = None) -> None:
        chosen = {name: control.value for name, control in controls.items()}
        box.line = None
        try:
            (box.line,) = write(chosen.pop("text"), model, **chosen)
        except HandwritingError as error:
            picture.value = f'<p role="alert">{html.escape(str(error))}</p>'
            return
        said = "" if box.line.complete else f"<p>Incomplete: {box.line.problem}.</p>"
        picture.value = to_svg(box.line.ink, unit=1.0, title=box.line.text) + said

    for control in controls.values():
        control.observe(draw, "value")
    draw()
    return box
