"""Training film: one text, written at several checkpoints of a training.

Above is the ink, below where the network read (phi, chapter 09), and a slider goes
through the updates. Chapter 10 shows how a small network comes to write a word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from ..drawing.svg import to_svg
from ..errors import InputError
from ..ink import check_ink, offsets_to_positions
from ..writing.lines import Line
from .host import Widget, pack, pack_ink
from .shapes import within

# Letter-body heights that a line may take in the still picture.
_ACROSS, _UP = 20.0, 3.0


class TrainingFilm(Widget):
    """Shows a text as a network wrote it at each checkpoint, and where it read.

    Args:
        lines: lines from `write`, one per checkpoint, of one text: ink `(T, 3)` in
            letter-body heights and phi `(T, U)`. With one seed and `redraws=0`, only
            the network's weights differ from line to line.
        updates: number of updates at each checkpoint, rising.
        losses: loss at each checkpoint, in nats per point; None shows none.
        at: index of the checkpoint to show first; -1 is the last.
        caption: text below the figure.

    Raises:
        ValueError: there are fewer than two lines, or not as many updates or losses;
            the texts differ, or a phi does not fit its line; the updates do not rise, a
            loss is not finite, or there is no checkpoint `at`.

    Example:
        >>> import torch
        >>> ink, phi = torch.tensor([[0., 0., 0.], [1., 1., 1.]]), torch.eye(2)
        >>> line = Line("i", 0, ink, True, "", seed=1, draws=1, phi=phi)
        >>> TrainingFilm([line, line], [0, 100])
        <TrainingFilm: "i" at 2 checkpoints, from 0 to 100 updates>
    """

    def __init__(
        self,
        lines: Sequence[Line],
        updates: Sequence[int],
        losses: Sequence[float] | None = None,
        *,
        at: int = 0,
        caption: str = "",
    ) -> None:
        count = len(lines)
        if count < 2:
            raise InputError(f"a film needs at least two lines, not {count}")
        known = [math.nan] * count if losses is None else list(losses)
        for name, numbers in (("updates", updates), ("losses", known)):
            if len(numbers) != count:
                raise InputError(
                    f"{count} lines need as many {name}, not {len(numbers)}"
                )
        if losses is not None and not all(map(math.isfinite, losses)):
            raise InputError(f"each loss must be a finite number, not {list(losses)}")
        if list(updates) != sorted(set(updates)):
            raise InputError(f"the updates must rise, not be {list(updates)}")
        within("at", at, -count, count - 1)
        text = lines[0].text
        frames = []
        for line, update, loss in zip(lines, updates, known, strict=True):
            if line.text != text:
                raise InputError(
                    f"all lines must be of one text, not {text!r} and {line.text!r}"
                )
            ink = check_ink(line.ink.detach().cpu(), f"the ink at update {update}")
            shape = len(ink), len(text) + 1
            if line.phi.shape != shape:
                raise InputError(
                    f"phi at update {update} must have the shape {shape}, a row per "
                    f"point of the ink, not {tuple(line.phi.shape)}"
                )
            frames.append(
                {
                    "updates": int(update),
                    "ink": pack_ink(ink),
                    "phi": pack(line.phi, "uint8"),
                    "loss": None if math.isnan(loss) else float(loss),
                    "problem": line.problem,
                }
            )
        label = (
            f'"{text}" at {count} checkpoints, from {updates[0]:,} to '
            f"{updates[-1]:,} updates"
        )
        super().__init__(
            ["phi", "film"],
            {"text": text, "frames": frames, "at": at % count},
            still=to_svg([_fit(line.ink) for line in lines], unit=1.0, title=label),
            label=label,
            caption=caption,
        )


def _fit(ink: Tensor) -> Tensor:
    """Shrink ink to the room that a line has in the still picture."""
    place = offsets_to_positions(ink.detach().cpu())[:, :2]
    across, up = (place.amax(0) - place.amin(0)).tolist()
    scale = min(1.0, _ACROSS / max(across, 1e-6), _UP / max(up, 1e-6))
    return ink.detach().cpu() * ink.new_tensor([scale, scale, 1.0], device="cpu")
