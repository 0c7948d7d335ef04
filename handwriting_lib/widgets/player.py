"""Player: replay ink point by point, with what the network read and expected.

The ink is a line that `write` returned, a line of a corpus, or bare ink. A model adds
where it reads (phi, chapter 09), where it expects the pen (the density, chapter 07) and
whether the stroke will end. Of a cursive decoder each head reads in its own way, and a
menu chooses among them (chapter 15). What is not known is left out. Chapter 01 is the
first to show a Player.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.batches import pad_texts
from ..data.transforms import Normalisation
from ..drawing.svg import to_svg
from ..errors import InputError
from ..files.models import Model
from ..ink import Sample, check_ink, letter_body_height, offsets_to_positions
from ..networks.cursive import CursiveDecoder
from ..parts.mixture import StrokeMixture
from ..writing.cursive import TOGETHER, attention_over
from ..writing.lines import Line
from ..writing.words import words_of
from .host import Widget, pack, pack_ink

POINTS_PER_SECOND = 60.0
# The picture shows the height of the density, so components lower than this share of
# the highest one add nothing visible. Standard deviations below THINNEST letter-body
# heights count as THINNEST when heights are compared.
LEAST_HEIGHT, THINNEST = 0.005, 0.02
# Bytes in the page above which the maps of the single heads are left out.
MOST_BYTES = 500_000


class Player(Widget):
    """Replays a line: the reader plays it, scrubs, and inspects every point.

    Args:
        line: line from `write`, corpus `Sample` or ink `(T, 3)`.
        model: model whose predictions are shown. It is run over the ink, whoever wrote
            it, unless the line has kept its raw output. Ink that it is run over must be
            in letter-body heights. Of a cursive decoder a menu offers every head, the
            one that is aligned with the letters first. It is run without the hand that
            the line was written in, and only over ink of up to five words whose ends
            are known; other ink shows the phi that it comes with, if any. Where the
            maps would be large, only the aligned head and the mean are kept.
        bias: bias of the density that is shown, as in `write`.
        temperature: temperature of the density that is shown, as in `write`.
        at: index of the point to show first; None takes the last, or one in mid-line
            if there is phi or a density to show.
        caption: text below the figure.

    Raises:
        ValueError: `line` is not a line of ink, it has raw output and no model that
            gives its units, the model reads no ink or cannot read the text, or there
            is no point `at`.

    Example:
        >>> ink = torch.tensor([[0., 0., 0.], [3., 4., 1.], [1., 0., 1.]])
        >>> Player(ink)
        <Player: 3 points of ink, replayed>
    """

    def __init__(
        self,
        line: Line | Sample | Tensor,
        model: Model | None = None,
        *,
        bias: float = 0.0,
        temperature: float = 1.0,
        at: int | None = None,
        caption: str = "",
    ) -> None:
        ink = check_ink((line if isinstance(line, Tensor) else line.ink).detach().cpu())
        text = "" if isinstance(line, Tensor) else line.text
        phi = line.phi if isinstance(line, Line) else None
        output = line.output if isinstance(line, Line) else None
        truth = line.character_of_point if isinstance(line, Sample) else None
        heads: dict[str, Any] = {}
        if output is not None and model is None:
            raise InputError(
                "the line has raw output in the units of its network: give the model "
                "that wrote it as well, as in Player(line, model)"
            )
        is_cursive = model is not None and isinstance(model.network, CursiveDecoder)
        if (
            model is not None
            and not is_cursive
            and "normalisation" not in model.carried
        ):
            raise InputError(
                f"{model.name} is a {model.kind} model, which reads no ink: give a "
                "model that predicts the points of a line"
            )
        if model is not None and is_cursive:
            output = None
            ends = find_word_ends(line)
            if ends is not None and len(ends) < TOGETHER:
                maps = attention_over(model, ink, text, ends)
                heads = pack_heads(maps, model.about.get("aligned_head"))
        elif model is not None and output is None:
            output, phi = read(model, ink, text)
        unit = measure_unit(ink)
        data: dict[str, Any] = {
            "ink": pack_ink(in_letter_bodies(ink, unit)),
            "text": text,
            "rate": POINTS_PER_SECOND,
        }
        if phi is not None:
            data["phi"] = pack(phi, "uint8")
        data |= heads
        if truth is not None:
            data["truth"] = pack(truth, "int16")
        if output is not None and model is not None:
            mixture = StrokeMixture.from_output(output.float(), bias, temperature)
            data |= pack_mixture(mixture, model.normalisation, unit)
        last = len(ink) - 1
        first = round(0.45 * last) if data.keys() & {"phi", "mixture"} else last
        data["at"] = first if at is None else at
        if not 0 <= data["at"] <= last:
            raise InputError(f"at must be a point of the line, 0 to {last}, not {at}")
        label = f"{text or f'{len(ink)} points of ink'}, replayed"
        super().__init__(
            ["reading", "phi", "player"],
            data,
            still=to_svg(ink, title=text or "ink"),
            label=label,
            caption=caption,
        )


@torch.inference_mode()
def read(model: Model, ink: Tensor, text: str = "") -> tuple[Tensor, Tensor | None]:
    """Run a network over existing ink.

    Args:
        model: model with any network of the library.
        ink: `(T, 3)` offsets in letter-body heights.
        text: text of the ink, which only a `SynthesisNetwork` reads.

    Returns:
        The raw output `(T, 6M + 1)`, and phi `(T, U)`, or None without a window.

    Raises:
        ValueError: the text is empty or has characters that the model lacks.
    """
    network = model.network
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    points = model.normalisation.apply(ink)[None]  # (1, T, 3)
    points[:, 0, :2] = 0
    inputs = [points.to(device)]
    if network.reads_text:
        inputs += [part.to(device) for part in pad_texts([text])]
    result = network(*inputs)
    network.train(was_training)
    phi = None if result.phi is None else result.phi[0].cpu()
    return result.output[0].cpu(), phi


def find_word_ends(line: Line | Sample | Tensor) -> list[int] | None:
    """The rows of ink after which a word ends and another follows; None: not known."""
    if isinstance(line, Tensor) or " " not in line.text.strip():
        return []
    text = line.text
    if isinstance(line, Line):
        owner = torch.empty(len(line.ink), dtype=torch.long)
        for word in words_of(line):
            owner[word.points] = word.index
    elif line.character_of_point is not None:
        word_of = torch.tensor([text[:i].count(" ") for i in range(len(text))])
        owner = word_of[line.character_of_point.clamp_min(0)]
    else:
        return None
    # a stroke that comes late stays in the word that the pen has come to
    ends = owner.cummax(0).values.diff().nonzero()[:, 0].tolist()
    return ends if len(ends) == text.count(" ") else None


def pack_heads(maps: Tensor, aligned: Sequence[int] | None) -> dict[str, Any]:
    """Encode where each head reads for the page, the one to show first in front.

    Args:
        maps: `(layers, heads, T, U)` weights.
        aligned: the layer and the head that follows the letters, or None.

    Returns:
        A dictionary of `heads`, the names of the maps, and of the maps as `phi`.
    """
    shown = {"mean of all heads": maps.mean((0, 1))}
    if aligned is not None:
        layer, head = aligned
        shown = {"head aligned with the letters": maps[layer, head], **shown}
    if maps.numel() * 4 / 3 <= MOST_BYTES:
        for layer, row in enumerate(maps, 1):
            for head, weights in enumerate(row, 1):
                shown[f"layer {layer}, head {head}"] = weights
    return {"heads": list(shown), "phi": pack(torch.stack([*shown.values()]), "uint8")}


def pack_mixture(
    mixture: StrokeMixture, normalisation: Normalisation, unit: float = 1.0
) -> dict[str, Any]:
    """Encode the densities of the next offset for the page, 8 bytes per component.

    Components that would be invisible are left out: see `LEAST_HEIGHT`.

    Args:
        mixture: mixture of leading shape `(T,)`.
        normalisation: normalisation of the mixture's offsets.
        unit: letter-body heights per unit of the picture.

    Returns:
        A dictionary of `mixture`, whose arrays list the components point by point,
        `count` of them at each, and `end`, the probability that the next point ends
        its stroke.
    """
    mean = mixture.mu.new_tensor(normalisation.mean)
    std = mixture.mu.new_tensor(normalisation.std)
    log_sigma = mixture.log_sigma + std.log() - math.log(unit)  # (T, M, 2)
    height = mixture.log_pi - log_sigma.clamp_min(math.log(THINNEST)).sum(-1)
    keep = height >= height.amax(-1, keepdim=True) + math.log(LEAST_HEIGHT)  # (T, M)
    mu = (mixture.mu * std + mean)[keep] / unit  # (N, 2)
    log_sigma = log_sigma[keep]  # (N, 2)
    return {
        "mixture": {
            "count": pack(keep.sum(-1), "uint8"),
            "log_pi": pack(mixture.log_pi[keep], "uint8"),
            "mu_x": pack(mu[:, 0], "int16"),
            "mu_y": pack(mu[:, 1], "int16"),
            "log_sigma_x": pack(log_sigma[:, 0], "uint8"),
            "log_sigma_y": pack(log_sigma[:, 1], "uint8"),
            "rho": pack(mixture.rho[keep], "uint8"),
        },
        "end": pack(torch.sigmoid(mixture.end_logit), "uint8"),
    }


def in_letter_bodies(ink: Tensor, unit: float | None = None) -> Tensor:
    """Scale ink in any unit to a letter body of about 1, as the scripts draw it.

    Args:
        ink: `(T, 3)` offsets.
        unit: letter-body height in the units of the ink; None measures it.
    """
    unit = measure_unit(ink) if unit is None else unit
    return torch.cat([ink[:, :2] / unit, ink[:, 2:]], 1)


def measure_unit(ink: Tensor) -> float:
    """The letter-body height, bounded below for dots and dashes."""
    size = offsets_to_positions(ink)[:, :2]
    across, up = (size.amax(0) - size.amin(0)).tolist()
    return max(letter_body_height(ink), 0.15 * up, 0.005 * across) or 1.0
