"""Interactive figures that run in the page, without a kernel.

A widget is one JavaScript file under `static/`, which `host.py` joins with the code
that all widgets share, and a thin Python class that turns arrays into data. As the last
value of a cell it displays itself in Jupyter, VS Code and Colab, and on a static page;
where scripts do not run, a still picture stays. No widget requests anything from
another host.
"""

from __future__ import annotations

from .attention import AttentionView
from .cells import CellsOff
from .concepts import (
    ActivationShapes,
    GateTraces,
    MixtureSliders,
    OptimiserPaths,
    WindowSliders,
)
from .continuing import BiasByHalves, Branches, Futures, WindowHandle
from .densities import EMSteps, TargetPulls
from .film import TrainingFilm
from .glyphs import GlyphGrid, GlyphPrograms
from .host import Widget
from .own_hand import OwnHand
from .own_ink import (
    BinSliders,
    GateHandles,
    MemorySlider,
    StepArrows,
    ThinningSliders,
)
from .pad import Pad
from .player import Player
from .studio import Studio
from .timing import ClockTuner

__all__ = [
    "ActivationShapes",
    "AttentionView",
    "BiasByHalves",
    "BinSliders",
    "Branches",
    "CellsOff",
    "ClockTuner",
    "EMSteps",
    "Futures",
    "GateHandles",
    "GateTraces",
    "GlyphGrid",
    "GlyphPrograms",
    "MemorySlider",
    "MixtureSliders",
    "OptimiserPaths",
    "OwnHand",
    "Pad",
    "Player",
    "StepArrows",
    "Studio",
    "TargetPulls",
    "ThinningSliders",
    "TrainingFilm",
    "Widget",
    "WindowHandle",
    "WindowSliders",
]
