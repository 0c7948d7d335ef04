"""Writing: from texts to lines of ink, with a stop rule and a check of every line.

Graves 2013, sections 5.3 (the stop rule), 5.4 (bias) and 5.5 (priming: here, styles).
Each line draws from a generator of its own, seeded from (seed, position, draw number),
so a line does not depend on its neighbours in the batch, and leaves it when it is done.
No line goes out unmarked: see `check_line`. Chapters 10 to 12.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .batches import pad_texts
from .checkpoints import Model, find_model, load_pretrained
from .ink import offsets_to_positions
from .mixture import StrokeMixture, draw_noise
from .networks import PredictionNetwork, SynthesisNetwork
from .stepping import Stepper, StepWeights
from .styles import Style, find_style

LONGEST_TEXT = 256  # characters; longer texts are for several lines
# Nobody in UNIPEN's thinned lines needs more points a character than this.
POINTS_A_CHARACTER = 40
# Letter-body heights: a stroke that begins so far left of a prime's end belongs to it.
BACK_OVER_THE_PRIME = 0.5
# After the stop rule has fired the stroke under way may be finished. One that has not
# ended so many points later is cut, and its line is not complete.
LAST_STROKE = 40
# Points that are written between two looks at which lines are done.
STRETCH = 16
# Torch adds up in another order when a product has less than four rows, or a sum less
# than 32 columns. Over hundreds of points the last digit can come to decide where a
# line goes: in whole blocks a line alone is the line in a batch. `one_line` keeps
# torch's order, so that a line needs no company where it can be used.
ROWS, SLOTS = 4, 32


class Line(NamedTuple):
    """One written line.

    Attributes:
        text: what was asked for.
        sample: its number among the samples of this text, from 0.
        ink: `(T, 3)` offsets in letter-body heights.
        complete: whether `check_line` found nothing wrong.
        problem: what it found, or "".
        seed: the one asked for.
        draws: how often the line was drawn.
        phi: `(T, U)` the window's weights at each point.
        output: `(T, 6M + 1)` the raw output after each point, if asked for.
        seconds: the time that the batch took.
    """

    text: str
    sample: int
    ink: Tensor
    complete: bool
    problem: str
    seed: int
    draws: int
    phi: Tensor
    output: Tensor | None
    seconds: float

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
        }


def check_line(phi: Tensor, text: str) -> str:
    """What is wrong with a line, from the window's weights; "" when it is complete.

    A line is complete when the end slot came to have the largest weight, writing ended
    soon after, and the most attended character visited every character but spaces in
    order, skipping none and going back by no more than one.

    Args:
        phi: `(T, U)` weights at each point, the end slot last.
        text: the U - 1 characters.

    Raises:
        ValueError: phi and text do not belong together.

    Example:
        >>> import torch
        >>> check_line(torch.eye(3), "ab")
        ''
        >>> check_line(torch.eye(3)[:2], "ab")
        'ended before the text did'
    """
    end = len(text)
    if phi.ndim != 2 or phi.shape[1] != end + 1:
        raise ValueError(
            f"phi must have the shape (T, {end + 1}) for {text!r}: a column for each "
            f"character and one for the end slot; it has {tuple(phi.shape)}"
        )
    if not phi.any(1).all():
        return "the window went dark"
    attended = phi.argmax(1).tolist()
    if end not in attended:
        return "ended before the text did"
    stop = attended.index(end)
    if len(attended) - stop - 1 >= LAST_STROKE:  # where `write` cuts a stroke
        return "went on after the end of the text"
    furthest = 0
    for at in attended:
        if at < furthest - 1:
            return f"went back from {text[min(furthest, end - 1)]!r} to {text[at]!r}"
        furthest = max(furthest, at)
    visited = set(attended)
    for i, character in enumerate(text):
        if character != " " and i not in visited:
            return f"skipped {character!r}, character {i + 1}"
    return ""


def line_generator(seed: int, position: int, draw: int) -> torch.Generator:
    """The source of randomness of one draw of one line."""
    digest = hashlib.sha256(f"{seed} {position} {draw}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def length_bound(text: str) -> int:
    """The most points that a text may take."""
    return POINTS_A_CHARACTER * (len(text) + 1)


def write(
    texts: str | Sequence[str],
    model: Model | str | Path | None = None,
    *,
    style: Style | str | Path | None = None,
    bias: float = 1.25,
    temperature: float = 1.0,
    samples: int = 1,
    seed: int = 1,
    redraws: int = 10,
    positions: Sequence[int] | None = None,
    keep_output: bool = False,
    weights: str = "float32",
) -> list[Line]:
    """Write texts by hand.

    Args:
        texts: one text or several, of printable ASCII, up to 256 characters each.
        model: with a `SynthesisNetwork`, or the name of one that comes with the
            library, or the path of its file; None takes the library's own.
        style: the hand: a `Style`, the name of one that comes with the model
            (`style_names`), or the path of a file. None: each line has its own.
        bias: 0 writes as people do, 1 and more neatly; section 5.4 of the paper. At the
            default fewer than 2 in 100 lines of 12 to 40 characters cannot be read.
        temperature: below 1 more alike, above 1 more varied.
        samples: lines a text.
        seed: with the position of a line and the number of its draw it decides the
            line's randomness.
        redraws: how often an incomplete line may be drawn again.
        positions: one a line, to get a line again that was written in another batch;
            None numbers the lines from 0.
        keep_output: keep the raw output at each point, for figures.
        weights: `"int8"` rounds most weights to a byte each, which is faster on a CPU
            with AVX-512 VNNI and writes other lines: see `StepWeights`.

    Returns:
        `len(texts) * samples` lines, texts in order and samples within them.

    Raises:
        ValueError: an empty text, a text too long or with characters that the model
            lacks, an argument out of its range, or a style of another model; the
            message names it.

    Example:
        >>> line = write("hi", seed=3)[0]
        >>> line.ink.shape[1], line.phi.shape[1]
        (3, 3)
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if model is None:
        model = load_pretrained()
    elif not isinstance(model, Model):
        model = find_model(model)
    network = model.network
    if not isinstance(network, SynthesisNetwork):
        raise ValueError(
            f"{model.name} is not a synthesis network: it cannot read text"
        )
    if not texts:
        raise ValueError("there is no text to write")
    if samples < 1 or redraws < 0:
        raise ValueError(
            "samples must be at least 1 and redraws at least 0, not "
            f"{samples} and {redraws}"
        )
    for text in texts:
        if len(text) > LONGEST_TEXT:
            raise ValueError(
                f"a text of {len(text)} characters is too long for one line: "
                f"{LONGEST_TEXT} is the most; break it into several"
            )
    pad_texts(texts)  # names a character that is missing before anything is written
    jobs = [(text, k) for text in texts for k in range(samples)]
    numbers = list(range(len(jobs))) if positions is None else list(positions)
    if len(numbers) != len(jobs):
        raise ValueError(
            f"{len(jobs)} lines need as many positions, not {len(numbers)}"
        )
    hand = None if style is None else find_style(style, model)
    begin = time.monotonic()
    done: dict[int, Line] = {}
    waiting = list(range(len(jobs)))
    step_weights = StepWeights(network, weights)
    for draw in range(1, redraws + 2):
        drawn = _draw(
            model,
            step_weights,
            [jobs[i][0] for i in waiting],
            [line_generator(seed, numbers[i], draw) for i in waiting],
            hand,
            bias,
            temperature,
            keep_output,
        )
        for i, (ink, phi, output) in zip(waiting, drawn, strict=True):
            text, sample = jobs[i]
            whole, phi = phi, phi[:, -len(text) - 1 :]
            problem = check_line(phi, text)
            if not problem and hand is not None:
                problem = _check_start(whole, hand.prime)
            done[i] = Line(
                text, sample, ink, not problem, problem, seed, draw, phi, output, 0.0
            )
        waiting = [i for i in waiting if not done[i].complete]
        if not waiting:
            break
    seconds = time.monotonic() - begin
    return [done[i]._replace(seconds=seconds) for i in range(len(jobs))]


@torch.inference_mode()
def _draw(
    model: Model,
    weights: StepWeights,
    texts: list[str],
    generators: list[torch.Generator],
    style: Style | None,
    bias: float,
    temperature: float,
    keep_output: bool,
) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """Draw each text once: ink in letter-body heights, phi, raw output.

    With a style the network goes on from the prime: what it reads is the prime and the
    text, and phi has columns for both. The ink is that of the text alone.
    """
    network = model.network
    assert isinstance(network, SynthesisNetwork)
    device = network.output.bias.device
    prime = style.prime if style is not None else ""
    whole = [prime + t for t in texts]
    text, text_mask = (t.to(device) for t in pad_texts(whole))
    fill = (0, -text.shape[1] % SLOTS)
    text, text_mask = (torch.nn.functional.pad(t, fill) for t in (text, text_mask))
    lead = 1 if style is not None else 0  # the prime's last point is read first
    bounds = [lead + length_bound(t) for t in texts]
    like = network.output.bias.new_zeros(1, device="cpu")
    noise = torch.nn.utils.rnn.pad_sequence(
        [draw_noise((n,), g, like) for n, g in zip(bounds, generators, strict=True)]
    ).to(device)  # (T, B, 4)
    ends = torch.tensor([len(t) for t in whole], device=device)
    limit = torch.tensor(bounds, device=device)
    lines = len(texts)  # still being written
    rows = _in_blocks(torch.arange(lines, device=device), weights)
    if style is None:
        state, point = network.start(len(rows)), noise.new_zeros(len(rows), 3)
    else:
        state, point = style.start(len(rows), network.output.bias)
    stepper = Stepper(weights, text[rows], text_mask[rows], state)
    fired = torch.full_like(limit, len(noise))  # when the stop rule did
    traces: list[list[tuple[Tensor, ...]]] = [[] for _ in texts]
    for begin in range(0, len(noise), STRETCH):
        written = stepper.write(
            point, noise[begin : begin + STRETCH, rows], bias, temperature
        )
        t = torch.arange(begin, begin + len(written.read), device=device)[:, None]
        at_end = written.phi.argmax(2) == ends[rows]  # (n, b)
        now = torch.where(at_end, t, len(noise)).amin(0)
        fired[rows] = torch.minimum(fired[rows], now)
        since = t - fired[rows]
        lifted = (written.read[..., 2] > 0.5) & (t > 0)
        over = (since >= 0) & (lifted | (since >= LAST_STROKE))
        over |= t + 1 >= limit[rows]
        lengths = torch.where(over, t - begin + 1, len(t)).amin(0)
        kept = written[:3] if keep_output else written[:2]
        numbers = zip(rows[:lines].tolist(), lengths[:lines].tolist(), strict=True)
        for column, (i, n) in enumerate(numbers):
            # a copy: a view would keep the whole batch in memory
            traces[i].append(tuple(part[:n, column].clone() for part in kept))
        point = written.drawn
        (going,) = (~over[:, :lines].any(0)).nonzero(as_tuple=True)
        if len(going) < lines:
            if not len(going):
                break
            lines, going = len(going), _in_blocks(going, weights)
            stepper, rows, point = stepper.select(going), rows[going], point[going]
    drawn = []
    for i, trace in enumerate(traces):
        points, phi, *output = (torch.cat(parts) for parts in zip(*trace, strict=True))
        first = 0
        if style is not None:
            first = _first_point(model.normalisation.invert(points))
        ink = _to_ink(model, points[first:])
        own = phi[first:, : len(whole[i]) + 1].cpu()
        drawn.append((ink, own, output[0][first:].cpu() if keep_output else None))
    return drawn


def _in_blocks(rows: Tensor, weights: StepWeights) -> Tensor:
    """The same numbers, and the last one again until they fill blocks of `ROWS`."""
    if len(rows) == 1 and weights.alone is not None:
        return rows
    return torch.cat([rows, rows[-1:].expand(-len(rows) % ROWS)])


def _first_point(ink: Tensor) -> int:
    """Where the text begins, in ink whose first row is the last point of a prime.

    Strokes that begin back over the prime finish it, a bar of a t for example. They are
    no part of the text, and neither is the way to its first stroke.

    Args:
        ink: `(T, 3)` in letter-body heights.
    """
    x = ink[1:, 0].cumsum(0)  # from the prime's last point
    ends = (ink[:-1, 2] > 0.5).nonzero()[:, 0]
    starts = [0, *(int(end) for end in ends if end > 0)]
    for start in starts:
        if x[start] >= -BACK_OVER_THE_PRIME:
            return start + 1
    return 1


def _check_start(phi: Tensor, prime: str) -> str:
    """Whether the window went back into the prime once the text had begun."""
    if int(phi.argmax(1).min()) < len(prime) - 2:
        return "went back into the line that the style was made from"
    return ""


def _to_ink(model: Model, points: Tensor) -> Tensor:
    """Normalised points as ink: the first row's offset is 0, the last point ends."""
    ink = model.normalisation.invert(points).cpu()
    ink[0, :2] = 0
    ink[-1, 2] = 1
    return ink.clone()


@torch.inference_mode()
def write_freely(
    model: Model,
    points: int = 600,
    *,
    samples: int = 1,
    bias: float = 0.0,
    temperature: float = 1.0,
    seed: int = 1,
) -> list[Tensor]:
    """Ink without a text, from a `PredictionNetwork` (section 4.3 of the paper).

    Returns:
        One `(points, 3)` tensor a sample, in letter-body heights.

    Raises:
        ValueError: the model has another network.
    """
    network = model.network
    if not isinstance(network, PredictionNetwork):
        raise ValueError(f"{model.name} is not a prediction network")
    like = network.output.bias
    noise = torch.stack(
        [
            draw_noise((points,), line_generator(seed, i, 1), like)
            for i in range(samples)
        ]
    )  # (B, T, 4)
    state, point = network.start(samples), noise.new_zeros(samples, 3)
    lines = [point]
    for t in range(points - 1):
        output, state = network.step(point, state)
        mixture = StrokeMixture.from_output(output, bias, temperature)
        point = mixture.sample(noise=noise[:, t])
        lines.append(point)
    return [_to_ink(model, line) for line in torch.stack(lines, 1)]
