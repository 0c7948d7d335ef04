"""Pictures of every widget, light and dark, wide and narrow, for people who look.

python book/_tools/widget_screenshots.py [player window ...] --out _build/screenshots
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from browser import console, open_browser, picture, visit, why_no_browser
from project import ROOT

SIZES = {"wide": 900, "narrow": 360}


def player():
    """A written line with everything that the Player can show."""
    import handwriting_lib as hw

    model = hw.load_pretrained()
    line = hw.write("a machine that writes", model, bias=0.8, seed=2, keep_output=True)
    return hw.Player(line[0], model, caption="A line that the network wrote, replayed.")


def ink():
    """A corpus line: replay and nothing else."""
    import handwriting_lib as hw

    corpus = hw.load_corpus("synthetic", samples=1, seed=3, writers=4)
    return hw.Player(corpus.samples[0], caption="Synthetic ink.")


def activations():
    """The shapes of units."""
    from handwriting_lib.widgets import ActivationShapes

    return ActivationShapes(2.0, -1.0, caption="Weight and bias of a unit.")


def window():
    """The soft window."""
    from handwriting_lib.widgets import WindowSliders

    return WindowSliders("letters", [(1.0, 0.6, 3.5), (0.5, 2.0, 6.0)])


def mixture():
    """Two Gaussians."""
    from handwriting_lib.widgets import MixtureSliders

    return MixtureSliders(caption="Drag a component, or move its sliders.")


def optimisers():
    """Paths of optimisers in a valley."""
    from handwriting_lib.widgets import OptimiserPaths

    return OptimiserPaths(caption="Press a place to start there.")


def gates():
    """The gates of the second layer along a line."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import GateTraces

    model = hw.load_pretrained()
    line = hw.write("a machine that writes", model, bias=0.8, seed=2)[0]
    return GateTraces(line, model, layer=1)


def studio():
    """The shipped network, in the page."""
    import handwriting_lib as hw

    return hw.Studio(precision="int8")


def hands():
    """The same network with hands to choose from, and one chosen."""
    import handwriting_lib as hw

    model = hw.load_pretrained()
    styles = []
    for name, text, seed in [("first", "quiet vow of ink", 2), ("second", "to be", 4)]:
        ink = hw.write(text, model, style="any", seed=seed, bias=1.0)[0].ink
        sample = hw.Sample(text, ink, name, "write", units="letter-body heights")
        styles.append(hw.make_style(model, sample, name))
    return hw.Studio(styles=styles, style=styles[0], precision="int8")


def pad():
    """The drawing pad, before anything is drawn."""
    import handwriting_lib as hw

    return hw.Pad(["The pen remembers"])


def own_hand():
    """A line by hand to go on in, before anything is drawn."""
    import handwriting_lib as hw

    return hw.OwnHand()


def attention():
    """Where the heads of the decoder look."""
    import handwriting_lib as hw

    return hw.AttentionView()


def composing():
    """A Studio with a network that thinks of a text, before it is asked to."""
    import handwriting_lib as hw

    return hw.Studio(precision="int8", composer="character-book")


def thinning():
    """A line that is thinned while one looks."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import ThinningSliders

    corpus = hw.load_corpus("synthetic", samples=1, seed=3, texts=["quiz at twelve"])
    return ThinningSliders(hw.scale_by_writer(corpus.samples)[0])


def bins():
    """A line through tokens and back."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import BinSliders

    corpus = hw.load_corpus("synthetic", samples=1, seed=3, texts=["quiz at twelve"])
    return BinSliders(hw.prepare(corpus).samples[0])


def memory():
    """What one unit remembers of a line."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import MemorySlider

    corpus = hw.load_corpus("synthetic", samples=1, seed=3, texts=["quiz at twelve"])
    return MemorySlider(hw.prepare(corpus).samples[0])


def arrows():
    """What networks with a fixed memory expect next."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import StepArrows

    files = sorted((ROOT / "book" / "data").glob("02_arrows-*.safetensors"))
    corpus = hw.load_corpus("synthetic", samples=1, seed=3, texts=["quiz at twelve"])
    line = hw.prepare(corpus).samples[0]
    return StepArrows(line, [hw.load_model(file) for file in files], at=20)


def gate_handles():
    """Three gates to move along a line."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import GateHandles

    corpus = hw.load_corpus("synthetic", samples=1, seed=3, texts=["quiz at twelve"])
    return GateHandles(hw.prepare(corpus).samples[0])


def cells():
    """Cells to switch off along a line."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import CellsOff

    model = hw.load_pretrained("unipen-256")
    return CellsOff(hw.write("a cell", model, bias=0.8, seed=2)[0])


def timing():
    """A clock to tune."""
    from handwriting_lib.widgets import ClockTuner

    return ClockTuner()


def film():
    """A word that gets neater, as if by training."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import TrainingFilm

    biases = (0.0, 0.5, 1.0, 1.5)
    lines = [hw.write("window", bias=bias, seed=5)[0] for bias in biases]
    return TrainingFilm(lines, [0, 10, 100, 1000], [3.4, 1.5, -0.5, -1.6])


def em():
    """EM on a cloud of two parts."""
    import torch

    from handwriting_lib.widgets import EMSteps

    torch.manual_seed(0)
    cloud = torch.cat([torch.randn(400, 2), 0.3 * torch.randn(400, 2) + 1])
    return EMSteps(cloud, cloud[::300])


def pull():
    """What a mixture learns from a point."""
    from handwriting_lib.widgets import TargetPulls

    return TargetPulls([(1, -0.5, 0, 0.2, 0.2, 0), (1, 0.5, 0, 1, 0.5, 0.3)])


def futures():
    """Thirty futures of a point."""
    import handwriting_lib as hw
    from handwriting_lib.widgets import Futures

    model = hw.load_pretrained("unipen-256")
    return Futures(hw.write("tilt it", model, style="any", seed=2)[0], model, at=30)


def branches():
    """A line without a text that branches."""
    from handwriting_lib.widgets import Branches

    return Branches()


def handle():
    """The window, taken by hand."""
    from handwriting_lib.widgets import WindowHandle

    return WindowHandle()


def halves():
    """The bias by halves."""
    from handwriting_lib.widgets import BiasByHalves

    return BiasByHalves()


def grid():
    """An outline on a grid."""
    from handwriting_lib.outline import parse
    from handwriting_lib.widgets import GlyphGrid

    drop = parse("M 0.3 0 Q 0.05 0 0.05 0.25 Q 0.05 0.4 0.3 0.7 Q 0.55 0.4 0.55 0.25 "
                 "Q 0.55 0 0.3 0 Z", 0.6)  # fmt: skip
    return GlyphGrid({"drop": drop})


def programs():
    """A program, run row by row."""
    from handwriting_lib.outline import parse
    from handwriting_lib.tokens.glyphs import GlyphTokens
    from handwriting_lib.widgets import GlyphPrograms
    from handwriting_lib.writing.glyphs import Glyph

    tokens, wedge = GlyphTokens(), parse("M 0.05 0 L 0.3 0.7 L 0.55 0 Z", 0.6)
    glyph = Glyph("A", "sans", tokens.encode(wedge), wedge, 40.0)
    broken = Glyph("A", "sans", tokens.encode(wedge)[:-1], None, 40.0)
    return GlyphPrograms({0.5: [glyph]}, {0.5: [broken]}, tokens)


KINDS = (
    player, ink, activations, optimisers, window, mixture, gates, studio, hands, pad,
    own_hand, attention, composing, thinning, bins, memory, arrows, gate_handles,
    cells, timing, film, em, pull, futures, branches, handle, halves,
    grid, programs,
)  # fmt: skip
WIDGETS: dict[str, Callable] = {one.__name__: one for one in KINDS}


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Pictures of the widgets.")
    parser.add_argument("names", nargs="*", help="which ones; all when none is named")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "screenshots")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(WIDGETS):
        parser.error(f"no widget {sorted(unknown)}: say {', '.join(WIDGETS)}")
    if reason := why_no_browser():
        print(reason, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    complaints = 0
    with tempfile.TemporaryDirectory() as folder, open_browser() as driver:
        for name in options.names or WIDGETS:
            page = Path(folder) / f"{name}.html"
            WIDGETS[name]().save(page)
            for size, width in SIZES.items():
                for theme in ("light", "dark"):
                    dark = theme == "dark"
                    visit(driver, page.as_uri(), width=width, height=400, dark=dark)
                    time.sleep(0.3)  # what comes with the next frames
                    path = options.out / f"{name}-{size}-{theme}.png"
                    path.write_bytes(picture(driver, whole_page=True))
                    print(path)
            for message in console(driver):
                complaints += 1
                print(f"{name}: {message.text}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
