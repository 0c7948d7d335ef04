"""Writing with a mixture network: from texts to points, with a stop rule and a check.

Graves 2013, sections 5.3 (the stop rule), 5.4 (bias) and 5.5 (priming: here, styles).
A line leaves its batch when it is done, and no line goes out unmarked: see
`check_line`. Chapters 10 to 12.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..alphabet import pad_texts
from ..errors import InputError
from ..files.models import Model, ModelError
from ..ink import check_ink
from ..parts.mixture import StrokeMixture, draw_noise
from .lines import Drawn, Line, Writer, line_generator
from .stepper import Points, Stepper, StepWeights
from .styles import Style, choose_style, read_hand

# Nobody in UNIPEN's thinned lines needs more points per character than this.
POINTS_PER_CHARACTER = 40
# Letter-body heights: a stroke that begins so far left of a prime's end belongs to it.
BACK_OVER_THE_PRIME = 0.5
# After the stop rule has fired, the stroke under way may be finished. One that has not
# ended so many points later is cut, and its line is not complete.
LAST_STROKE = 40
# Points that are written between two looks at which lines are done.
STRETCH = 16


def check_line(phi: Tensor, text: str) -> str:
    """What is wrong with a line, from the weights of the window; "" if it is complete.

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
    check_phi(phi, text)
    end = len(text)
    if not phi.any(1).all():
        return "the window went dark"
    attended = phi.argmax(1).tolist()
    if end not in attended:
        return "ended before the text did"
    stop = attended.index(end)
    if len(attended) - stop - 1 >= LAST_STROKE:  # where a stroke is cut
        return "went on after the end of the text"
    furthest = 0
    for at in attended:
        if at < furthest - 1:
            return f"went back from {text[min(furthest, end - 1)]!r} to {text[at]!r}"
        furthest = max(furthest, at)
    return skipped(attended, text)


def check_phi(phi: Tensor, text: str) -> None:
    """Refuse weights `(T, U)` that are not those of a text of U - 1 characters.

    Raises:
        ValueError: phi and text do not belong together.
    """
    slots = len(text) + 1
    if phi.ndim != 2 or phi.shape[1] != slots:
        raise InputError(
            f"phi must have the shape (T, {slots}) for {text!r}: a column for each "
            f"character and one for the end slot; it has {tuple(phi.shape)}"
        )


def skipped(attended: Sequence[int], text: str) -> str:
    """Which character, spaces aside, was never attended to; "" if there is none."""
    visited = set(attended)
    for i, character in enumerate(text):
        if character != " " and i not in visited:
            return f"skipped {character!r}, character {i + 1}"
    return ""


def length_bound(text: str) -> int:
    """The most points that a text may take."""
    return POINTS_PER_CHARACTER * (len(text) + 1)


class MixtureWriter(Writer):
    """Writes with a network that reads a text through a soft window.

    Args:
        model: with a `SynthesisNetwork`.
        precision: of the weights; see `StepWeights`. The weights are copied.
    """

    def __init__(self, model: Model, precision: str = "float32") -> None:
        self.model = model
        self.weights = StepWeights(model.network, precision)
        self.backend = self.weights.backend.name

    def choose_style(self, style: Style | str | Path | None) -> Style | None:
        return choose_style(style, self.model)

    def style_of(self, line: Line) -> Style:
        return read_hand(self.model, line.text, line.ink, "any")

    @torch.no_grad()
    def draw(
        self,
        texts: Sequence[str],
        generators: Sequence[torch.Generator],
        style: Style | None = None,
        bias: float = 0.0,
        temperature: float = 1.0,
        keep_output: bool = False,
    ) -> list[Drawn]:
        """Draw each text once.

        With a style the network goes on from the prime: it reads the prime and the
        text, and the ink is that of the text alone.
        """
        like = self.weights.output_bias
        prime = style.prime if style is not None else ""
        whole = [prime + text for text in texts]
        lead = 1 if style is not None else 0  # the prime's last point is read first
        bounds = [lead + length_bound(text) for text in texts]
        text, text_mask = (part.to(like.device) for part in pad_texts(whole))
        on_cpu = like.new_zeros(1, device="cpu")
        noise = torch.nn.utils.rnn.pad_sequence(
            [
                draw_noise((n,), generator, on_cpu)
                for n, generator in zip(bounds, generators, strict=True)
            ]
        ).to(like.device)  # (T, B, 4)
        state, point = None, like.new_zeros(len(texts), 3)
        if style is not None:
            state, point = style.start(len(texts), like)
        stepper = Stepper(self.weights, text, text_mask, state)
        # in the type of the weights, or autocast would change the line
        with torch.autocast(like.device.type, enabled=False):
            traces = _write_until_done(
                stepper, point, noise, bias, temperature,
                ends=torch.tensor([len(t) for t in whole], device=like.device),
                limits=torch.tensor(bounds, device=like.device),
            )  # fmt: skip
        drawn = []
        for one, trace in zip(texts, traces, strict=True):
            points, phi = (
                torch.cat([getattr(part, name) for part in trace])
                for name in ("read", "phi")
            )
            first = 0
            if style is not None:
                first = _first_point(self.model.normalisation.invert(points))
            phi = phi[first:, : len(prime) + len(one) + 1].cpu()
            own = phi[:, len(prime) :].clone()  # without the padding of the batch
            problem = check_line(own, one) or _check_start(phi, prime)
            ink = _to_ink(self.model, points[first:])
            kept = None
            if keep_output:
                kept = torch.cat([part.output for part in trace])[first:].cpu()
            drawn.append(Drawn(ink, own, kept, problem))
        return drawn


def _write_until_done(
    stepper: Stepper,
    point: Tensor,
    noise: Tensor,
    bias: float,
    temperature: float,
    *,
    ends: Tensor,
    limits: Tensor,
) -> list[list[Points]]:
    """Write B lines, each until its text is done: stretches of each line's points.

    Args:
        stepper: with all B lines.
        point: `(B, 3)` the point before the first.
        noise: `(T, B, 4)` as `draw_noise` gives it.
        bias: see `StrokeMixture.from_output`.
        temperature: as above.
        ends: `(B,)` the end slot of each text.
        limits: `(B,)` the most points of each line.
    """
    rows = torch.arange(len(ends), device=ends.device)  # the lines still being written
    fired = torch.full_like(limits, len(noise))  # when the stop rule did
    traces: list[list[Points]] = [[] for _ in ends]
    for begin in range(0, len(noise), STRETCH):
        written = stepper.write(
            point, noise[begin : begin + STRETCH, rows], bias, temperature
        )
        t = torch.arange(begin, begin + len(written.read), device=ends.device)[:, None]
        at_end = written.phi.argmax(2) == ends[rows]  # (n, b)
        now = torch.where(at_end, t, len(noise)).amin(0)
        fired[rows] = torch.minimum(fired[rows], now)
        since = t - fired[rows]
        lifted = (written.read[..., 2] > 0.5) & (t > 0)
        over = (since >= 0) & (lifted | (since >= LAST_STROKE))
        over |= t + 1 >= limits[rows]
        lengths = torch.where(over, t - begin + 1, len(t)).amin(0)
        numbers = zip(rows.tolist(), lengths.tolist(), strict=True)
        for column, (i, n) in enumerate(numbers):
            # copies: views would keep the whole batch in memory
            read, phi, output = (part[:n, column].clone() for part in written[:3])
            traces[i].append(Points(read, phi, output, written.drawn))
        point = written.drawn
        (going,) = (~over.any(0)).nonzero(as_tuple=True)
        if not len(going):
            break
        if len(going) < len(rows):
            stepper, rows, point = stepper.select(going), rows[going], point[going]
    return traces


def _first_point(ink: Tensor) -> int:
    """Where the text begins, in ink whose first row is the last point of a prime.

    Strokes that begin back over the prime finish it, a bar of a t for example. They are
    no part of the text, and neither is the move to its first stroke.

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
    """What is wrong if the window went back into the prime; "" if it did not."""
    if int(phi.argmax(1).min()) < len(prime) - 2:
        return "went back into the line that the style was made from"
    return ""


def _to_ink(model: Model, points: Tensor) -> Tensor:
    """Normalised points as ink: the first row's offset is 0, the last point ends."""
    ink = model.normalisation.invert(points).cpu()
    ink[0, :2] = 0
    ink[-1, 2] = 1
    return ink.clone()


@torch.no_grad()
def write_unconditional(
    model: Model,
    points: int = 600,
    *,
    samples: int = 1,
    bias: float = 0.0,
    temperature: float = 1.0,
    seed: int = 1,
    prime: Tensor | None = None,
) -> list[Tensor]:
    """Ink without a text, from a network that reads none (section 4.3 of the paper).

    Args:
        model: a prediction, recurrent or feedforward model.
        points: number of points per line; those of the prime come on top.
        samples: number of lines.
        bias: 0 writes as people do, 1 and more neatly.
        temperature: below 1 more alike, above 1 more varied.
        seed: with the position of a line, it decides the line's randomness.
        prime: `(T, 3)` ink to continue, in letter-body heights; None begins anew. As in
            a batch, the offset of its first row is not read.

    Returns:
        One `(T + points, 3)` tensor per sample, in letter-body heights, which begins
        with the prime.

    Raises:
        ModelError: the network reads a text, or writes no ink.
        ValueError: the prime is not valid ink.
    """
    network = model.network
    if network.reads_text or "normalisation" not in network.carries:
        raise ModelError(
            f"{model.name} is a {model.kind} network: writing without a text takes a "
            "network over ink that reads none, such as unipen-free"
        )
    like = network.output.bias
    noise = torch.stack(
        [
            draw_noise((points,), line_generator(seed, i, 1), like)
            for i in range(samples)
        ]
    )  # (B, T, 4)
    lines = [noise.new_zeros(samples, 3)]
    if prime is not None:
        known = model.normalisation.apply(check_ink(prime, "the prime").to(like))
        known[0, :2] = 0  # "no offset yet", as in `make_batch`
        lines = [point.expand(samples, 3) for point in known]
    state, point = network.initial_state(samples), lines[-1]
    for one in lines[:-1]:
        state = network.step(one, state)[1]
    for t in range(points if prime is not None else points - 1):
        output, state = network.step(point, state)
        mixture = StrokeMixture.from_output(output, bias, temperature)
        point = mixture.sample(noise=noise[:, t])
        lines.append(point)
    return [_to_ink(model, line) for line in torch.stack(lines, 1)]
