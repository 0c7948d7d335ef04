"""Writing with the cursive decoder: from a text to tokens, and from tokens to ink.

Each point takes two draws, the angle and then the shot, and one step of the network
with its key-value cache. A word may only end while the pen is lifted, and the text only
with its last word. Whether a line is complete is read from the cross-attention: see
`check_attention`. Chapter 15 builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..alphabet import pad_texts
from ..errors import InputError
from ..files.models import Model, ModelError
from .decode import Decoding
from .lines import Drawn, Writer
from .sampling import STRETCH, length_bound
from .styles import ANY

# Characters with a part that people write after the word: dots, bars and accents. Of
# capitals and signs any stroke may come late.
LATE = frozenset("fijtxz")


def check_attention(phi: Tensor, text: str) -> str:
    """What is wrong with a line, from its cross-attention; "" if it is complete.

    A line is complete when each character but spaces was the most attended one at some
    point, and none was returned to but those whose dots and bars may come late.

    Args:
        phi: `(T, U)` weights at each point, the end slot last.
        text: the U - 1 characters.

    Raises:
        ValueError: phi and text do not belong together.

    Example:
        >>> import torch
        >>> check_attention(torch.eye(3), "ab")
        ''
        >>> check_attention(torch.eye(3)[[0, 2]], "ab")
        "skipped 'b', character 2"
    """
    end = len(text)
    if phi.ndim != 2 or phi.shape[1] != end + 1:
        raise InputError(
            f"phi must have the shape (T, {end + 1}) for {text!r}: a column for each "
            f"character and one for the end slot; it has {tuple(phi.shape)}"
        )
    attended = phi[:, :end].argmax(1).tolist()
    visited = set(attended)
    for i, character in enumerate(text):
        if character != " " and i not in visited:
            return f"skipped {character!r}, character {i + 1}"
    furthest = 0
    for at in attended:
        is_late = text[at] in LATE or not text[at].islower()
        if at < furthest - 1 and not is_late:
            return f"went back from {text[furthest]!r} to {text[at]!r}"
        furthest = max(furthest, at)
    return ""


class CursiveWriter(Writer):
    """Writes with a network over the tokens of strokes.

    Args:
        model: with a `CursiveDecoder`.
        precision: of the weights; only `"float32"`.

    Raises:
        ModelError: another precision is asked for.
    """

    backend = "torch"

    def __init__(self, model: Model, precision: str = "float32") -> None:
        if precision != "float32":
            raise ModelError(
                f"{model.name} is a {model.kind} model, which has no {precision} "
                "weights: leave precision out"
            )
        self.model = model

    def choose_style(self, style: Any | str | Path | None) -> None:
        if style not in (None, ANY):
            raise ModelError(
                f"{self.model.name} is a {self.model.kind} model, which has no hands "
                f'yet: leave the style out, or give "{ANY}"'
            )

    @torch.no_grad()
    def draw(
        self,
        texts: Sequence[str],
        generators: Sequence[torch.Generator],
        style: None = None,
        bias: float = 0.0,
        temperature: float = 1.0,
        keep_output: bool = False,
    ) -> list[Drawn]:
        """Draw each text once.

        The scores are multiplied by 1 + bias, as those of the mixture's components are
        (Graves 2013, section 5.4), and divided by the temperature.
        """
        network: Any = self.model.network
        training = network.training
        network.eval()  # dropout would go on otherwise
        try:
            text, text_mask = (part.to(self.model.device) for part in pad_texts(texts))
            bounds = [length_bound(one) for one in texts]
            noise = torch.nn.utils.rnn.pad_sequence(
                [
                    torch.rand(bound, 2, generator=generator)
                    for bound, generator in zip(bounds, generators, strict=True)
                ]
            ).to(text.device)  # (T, B, 2)
            rows, finished = _write(
                network, text, text_mask, noise,
                torch.tensor(bounds, device=text.device),
                Decoding(temperature / (1 + bias)),
            )  # fmt: skip
            maps = _maps(network, rows, text, text_mask)
        finally:
            network.train(training)
        drawn = []
        for i, (one, pairs) in enumerate(zip(texts, rows, strict=True)):
            ink = network.tokens.decode(pairs.cpu())
            ink[-1, 2] = 1
            phi = maps[i][:, : len(one) + 1]
            problem = "" if finished[i] else "did not end within the length bound"
            problem = problem or check_attention(phi, one)
            drawn.append(Drawn(ink, phi, None, problem))
        return drawn


def _write(
    network: Any,
    text: Tensor,
    text_mask: Tensor,
    noise: Tensor,
    limits: Tensor,
    decoding: Decoding,
) -> tuple[list[Tensor], list[bool]]:
    """The tokens `(N, 2)` of each line without the end token, and whether it came."""
    tokens, device = network.tokens, text.device
    batch = len(text)
    pair = torch.zeros(batch, 2, dtype=torch.long, device=device)  # the pen is put down
    written = [pair]
    ids = torch.arange(batch, device=device)  # lines that are still written
    length = limits.clone()
    finished = torch.zeros(batch, dtype=torch.bool, device=device)
    out = network(pair[:, None], text, text_mask)
    state = out.state
    last = state.text.word.masked_fill(~text_mask, 0).amax(1)  # (B,) number of a word
    for t in range(len(noise)):
        is_last = state.track.word >= last[ids]
        lifted = (pair[:, 1] % 2 == 1) & (pair[:, 0] < tokens.angles)
        allowed = torch.ones(
            len(ids), tokens.angles + 2, dtype=torch.bool, device=device
        )
        allowed[:, tokens.word] = lifted & ~is_last
        allowed[:, tokens.end] = lifted & is_last
        angle = decoding.pick(out.angles[:, -1], noise[t, ids, 0], allowed)
        shot = decoding.pick(
            network.shots_after(out.hidden[:, -1], angle), noise[t, ids, 1]
        )
        is_mark = angle >= tokens.angles
        pair = torch.stack([angle, torch.where(is_mark, tokens.no_shot, shot)], 1)
        whole = pair.new_zeros(batch, 2)
        whole[ids] = pair
        written.append(whole)
        ended = (angle == tokens.end) & ~finished[ids]  # some read on: see below
        length[ids[ended]] = t + 1
        finished[ids[ended]] = True
        going = ~finished[ids] & (t + 1 < limits[ids])
        if not going.any():
            break
        if t % STRETCH == 0 and not going.all():  # these leave the batch
            ids, pair, state = ids[going], pair[going], state.select(going)
        # a line that has ended reads on until it leaves; nothing of it is kept
        read = torch.where((pair[:, :1] == tokens.end), pair.new_tensor([0, 0]), pair)
        out, state = network.step(read, state)
    rows = torch.stack(written, 1)  # (B, T + 1, 2)
    return (
        [row[:n] for row, n in zip(rows, length.clamp_max(rows.shape[1]), strict=True)],
        finished.tolist(),
    )


def _maps(
    network: Any, rows: list[Tensor], text: Tensor, text_mask: Tensor
) -> list[Tensor]:
    """For each line the weights `(T, U)` with which each of its points was drawn."""
    tokens = network.tokens
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (B, T, 2)
    maps = network.attention_maps(padded, text, text_mask).mean((1, 2)).cpu()
    kept = []
    for row, weights in zip(rows, maps, strict=True):
        # a point was drawn at the token before it; before the first there is none
        before = torch.cat([weights[:1], weights])[: len(row)]
        kept.append(before[(row[:, 0] < tokens.angles).cpu()])
    return kept
