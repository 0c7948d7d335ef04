"""Lines that take no network: each letter is a zigzag of four points."""

import torch

from handwriting_lib.ink import from_strokes
from handwriting_lib.writing.lines import Drawn


def zigzag(text, generator, uneven=1.0, dropped=""):
    """A text drawn once, with a height, size, slant and slope of its own.

    Args:
        text: what to draw.
        generator: what all that differs comes from.
        uneven: how much lines differ.
        dropped: a text in which this occurs is not complete.
    """
    base, size, lean, rise = (
        uneven * (torch.rand(4, generator=generator) - 0.5)
        * torch.tensor([4.0, 0.5, 0.4, 0.06])
    ).tolist()  # fmt: skip
    strokes, seen = [], []
    x = 0.0
    for index, character in enumerate(text):
        wide = 0.8 + 0.2 * torch.rand(1, generator=generator).item()
        low, high = -1.0 if character in "gjpqy" else 0.0, 1.0
        if character.isupper() or character in "bdfhklt0123456789":
            high = 2.0
        if character != " ":
            xy = torch.tensor([[0.0, high], [0.1, low], [0.4, high], [0.5, low]])
            xy[:, 0] = x + wide * xy[:, 0]
            up = xy[:, 1] + base + rise * xy[:, 0]
            xy = torch.stack([xy[:, 0] + lean * xy[:, 1], up], 1)
            strokes.append((1 + size) * xy)
            seen += [index] * 4
        x += wide * (1.5 if character == " " else 0.7)
    phi = torch.nn.functional.one_hot(
        torch.tensor([*seen[1:], len(text)]), len(text) + 1
    ).float()  # ahead of the pen, as a network's is
    problem = "skipped it" if dropped and dropped in text else ""
    return Drawn(from_strokes(strokes), phi, None, problem)
