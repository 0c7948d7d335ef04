"""Lines of ink from texts: what every writer shares.

A `Writer` draws each text once; `write_lines` checks the texts, gives every line a
source of randomness of its own, draws incomplete lines again, and says of each line
whether it is complete. A line draws from a generator seeded from (seed, position, draw
number), so it depends on no other line. Chapters 10 to 12.
"""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..alphabet import Folded, encode, fold
from ..errors import InputError
from ..files.models import Model
from ..ink import offsets_to_positions

MAX_TEXT_LENGTH = 256  # characters; longer texts are for several lines
# Lines that are written together: batches are cut by the number of the line.
BATCH = 64


@dataclass(frozen=True)
class Line:
    """One written line.

    Attributes:
        text: what was asked for.
        sample: its number among the samples of this text, from 0.
        ink: `(T, 3)` offsets in letter-body heights.
        complete: whether the checks found nothing wrong (`check_line`).
        problem: what they found, or "".
        seed: the one asked for.
        draws: how often the line was drawn.
        phi: `(T, U)` the weight of each character at each point.
        output: `(T, 6M + 1)` the raw output after each point, if asked for.
        seconds: the time that the whole call took.
        backend: what ran the operations between the matrix products (`fast.Backend`).
        replaced: what was written in place of each character of the text that was
            folded (`alphabet.fold`).
    """

    text: str
    sample: int
    ink: Tensor
    complete: bool
    problem: str
    seed: int
    draws: int
    phi: Tensor
    output: Tensor | None = None
    seconds: float = 0.0
    backend: str = "torch"
    replaced: Mapping[str, str] = field(default_factory=dict)

    def replace(self, **changes: Any) -> Line:
        """The same line with some attributes changed."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """What `handwriting write --json` says of a line: absolute positions, y up."""
        rows = offsets_to_positions(self.ink).tolist()
        return {
            "text": self.text,
            "sample": self.sample,
            "strokes": [[round(x, 4), round(y, 4), int(end)] for x, y, end in rows],
            "complete": self.complete,
            "seed": self.seed,
            "draws": self.draws,
            "points": len(self.ink),
            "seconds": round(self.seconds, 3),
            "backend": self.backend,
            "replaced": dict(self.replaced),
        }


class TooLongError(InputError):
    """A text has more characters than a line; it is for several."""


class Interrupted(KeyboardInterrupt):
    """Writing was interrupted, with Ctrl-C for example.

    Attributes:
        lines: the complete lines that were written until then, in order.
        numbers: which of the lines asked for they are, from 0.
    """

    def __init__(
        self, lines: Sequence[Line], wanted: int, numbers: Sequence[int] = ()
    ) -> None:
        super().__init__(f"interrupted: {len(lines)} of {wanted} lines were finished")
        self.lines, self.numbers = list(lines), list(numbers)


class Drawn(NamedTuple):
    """A text drawn once: see `Line` for the attributes."""

    ink: Tensor
    phi: Tensor
    output: Tensor | None
    problem: str


class Writer(ABC):
    """What draws texts with one model.

    Attributes:
        model: the one that writes.
        backend: as in `Line`.
    """

    model: Model
    backend: str

    @abstractmethod
    def choose_style(self, style: Any) -> Any:
        """A style of this model: by its name, by the path of its file, or itself.

        None is the model's default; `"any"` is no style, for which this gives None.
        """

    @abstractmethod
    def draw(
        self,
        texts: Sequence[str],
        generators: Sequence[torch.Generator],
        style: Any,
        bias: float,
        temperature: float,
        keep_output: bool,
    ) -> list[Drawn]:
        """Draw each text once.

        Args:
            texts: checked ones.
            generators: a source of randomness for each.
            style: as `choose_style` gives it.
            bias: at least 0; see `write_lines`.
            temperature: above 0.
            keep_output: keep the raw output.
        """

    @abstractmethod
    def style_of(self, line: Line) -> Any:
        """The hand of a line that this writer wrote, to write others in it."""


def line_generator(seed: int, position: int, draw: int) -> torch.Generator:
    """The source of randomness of one draw of one line."""
    digest = hashlib.sha256(f"{seed} {position} {draw}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def as_written(text: Any, number: int, ascii: bool) -> Folded:
    """A text folded, without spaces that no hand writes, and checked.

    Args:
        text: the text that was asked for.
        number: its number among the texts, for the message.
        ascii: as in `write_lines`.

    Raises:
        TooLongError: it has more than `MAX_TEXT_LENGTH` characters.
        ValueError: it is no string, empty, or has a character that no model writes.
    """
    if not isinstance(text, str):
        raise InputError(f"text {number} must be a string, not {text!r}")
    folded, replaced = fold(text, accents=ascii)
    folded = " ".join(part for part in folded.split(" ") if part)
    if len(folded) > MAX_TEXT_LENGTH:
        raise TooLongError(
            f"a text of {len(folded)} characters is too long for one line: "
            f"{MAX_TEXT_LENGTH} is the most; break it into several"
        )
    encode(folded)  # names a character that is missing before anything is written
    return Folded(folded, replaced)


def write_lines(
    texts: str | Sequence[str],
    writer: Writer,
    *,
    style: Any | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    samples: int = 1,
    seed: int = 1,
    redraws: int = 10,
    positions: Sequence[int] | None = None,
    keep_output: bool = False,
    ascii: bool = False,
) -> list[Line]:
    """Write texts with a writer; see `systems.write` for the arguments.

    Raises:
        ValueError: an empty text, a text that is too long or has characters that the
            model lacks, an argument out of its range, or a style of another model.
        Interrupted: the user pressed Ctrl-C; it has the lines that were finished.
    """
    folded = [
        as_written(text, number, ascii)
        for number, text in enumerate([texts] if isinstance(texts, str) else texts, 1)
    ]
    if not folded:
        raise InputError("there is no text to write: give at least one")
    for name, value in (("bias", bias), ("temperature", temperature)):
        if not isinstance(value, int | float):
            raise InputError(
                f"the {name} must be one number for all lines, not {value!r}"
            )
    if samples < 1 or redraws < 0:
        raise InputError(
            "samples must be at least 1 and redraws at least 0, not "
            f"{samples} and {redraws}"
        )
    jobs = [(one, k) for one in folded for k in range(samples)]
    numbers = list(range(len(jobs))) if positions is None else list(positions)
    if len(numbers) != len(jobs):
        raise InputError(
            f"{len(jobs)} lines need as many positions, not {len(numbers)}"
        )
    hand = writer.choose_style(style)
    begin = time.monotonic()
    done: dict[int, Line] = {}

    def draw_batch(waiting: Sequence[int]) -> None:
        for draw in range(1, redraws + 2):
            drawn = writer.draw(
                [jobs[i][0].text for i in waiting],
                [line_generator(seed, numbers[i], draw) for i in waiting],
                hand,
                bias,
                temperature,
                keep_output,
            )
            for i, (ink, phi, output, problem) in zip(waiting, drawn, strict=True):
                (text, replaced), sample = jobs[i]
                done[i] = Line(
                    text, sample, ink, not problem, problem, seed, draw, phi, output,
                    backend=writer.backend, replaced=replaced,
                )  # fmt: skip
            waiting = [i for i in waiting if not done[i].complete]
            if not waiting:
                break

    def finished() -> list[Line]:
        seconds = time.monotonic() - begin
        return [done[i].replace(seconds=seconds) for i in sorted(done)]

    try:
        for first in range(0, len(jobs), BATCH):
            draw_batch(range(first, min(first + BATCH, len(jobs))))
    except KeyboardInterrupt:
        complete = [line for line in finished() if line.complete]
        numbers = [i for i in sorted(done) if done[i].complete]
        raise Interrupted(complete, len(jobs), numbers) from None
    return finished()
