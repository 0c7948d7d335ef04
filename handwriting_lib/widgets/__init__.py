"""Figures that answer a hand: they run in the page, without a kernel.

A widget is one JavaScript file under `static/`, put together with what all share by
`host.py`, and a thin class over it that turns arrays into data. As the last value of a
cell it shows itself in Jupyter, VS Code and Colab, and on a static page; where scripts
do not run, a still picture stays. None asks another host for anything.
"""

from __future__ import annotations

from .concepts import ActivationShapes, GateTraces, MixtureSliders, WindowSliders
from .host import Widget
from .pad import Pad
from .player import Player
from .studio import Studio

__all__ = [
    "ActivationShapes",
    "GateTraces",
    "MixtureSliders",
    "Pad",
    "Player",
    "Studio",
    "Widget",
    "WindowSliders",
]
