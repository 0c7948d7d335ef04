"""Measures of drawn glyphs, each to be read beside the same measure of real ones.

Are they legible (a stock recogniser reads them, alone and in a word)? Are they copies
(the overlap with the nearest glyph of the training fonts)? Do they have the style that
was asked for (a classifier that was trained on real glyphs)? The recogniser is that of
`evaluation.legibility`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..corpora.outlines import Font
from ..drawing.outlines import outline_sheet
from ..errors import InputError
from ..outline import STYLES, Outline, render
from ..tokens.characters import Vocabulary
from .legibility import HEIGHT, Recogniser

# What stands before and after a character where it is read in a word.
WORDS = {"upper": ("HO", "NE"), "lower": ("ho", "ne"), "digit": ("20", "15")}
SIDE = 40  # pixels of the rasters in which glyphs are compared
SHIFTS, SCALES = (-2, -1, 0, 1, 2), (0.94, 1.0, 1.06)
PIXELS = 20.0  # an em, of the rasters that the classifier of styles sees


def word_around(character: str) -> tuple[str, str]:
    """What is set before and after a character where it is read in a word.

    Example:
        >>> word_around("R"), word_around("8"), word_around("?")
        (('HO', 'NE'), ('20', '15'), ('ho', 'ne'))
    """
    if character.isdigit():
        return WORDS["digit"]
    return WORDS["upper" if character.isupper() else "lower"]


def line_of_type(outlines: Sequence[Outline]) -> npt.NDArray[np.float32]:
    """A line of glyphs as the recogniser reads it, `(HEIGHT, W)`, 1 for paper.

    Example:
        >>> from handwriting_lib.outline import parse
        >>> line_of_type([parse("M 0 0 L 0.3 0.7 L 0.6 0 Z", 0.7)]).shape
        (48, 41)
    """
    sheet = outline_sheet([outlines], HEIGHT / 1.4)
    assert sheet.shape[0] == HEIGHT  # a row is 1.4 ems high
    return 1 - sheet


@dataclass(frozen=True)
class GlyphReading:
    """What the recogniser made of a glyph.

    Attributes:
        character: what the glyph should be.
        alone: whether it was read as that by itself.
        in_word: whether it was read as that in a word of the same font; None if the
            font lacks a letter of the word.
    """

    character: str
    alone: bool
    in_word: bool | None


def read_glyph(
    character: str, font: Mapping[str, Outline], recogniser: Recogniser
) -> GlyphReading:
    """Let the recogniser read a glyph of a font, alone and in a word.

    Args:
        character: which one.
        font: outlines by character.
        recogniser: see `load_recogniser`.
    """
    alone = recogniser.read_picture(line_of_type([font[character]])).strip()
    before, after = word_around(character)
    word = before + character + after
    in_word = None
    if all(letter in font for letter in word):
        read = recogniser.read_picture(line_of_type([font[c] for c in word])).strip()
        in_word = len(read) == len(word) and read[len(before)] == character
    return GlyphReading(character, alone == character, in_word)


def fitted(outline: Outline, scale: float = 1.0) -> npt.NDArray[np.float32]:
    """The raster `(SIDE, SIDE)` of a glyph that fills it, wherever and however large.

    Args:
        outline: with at least one contour.
        scale: of the glyph in the raster; at 1 its longer side takes three quarters.
    """
    xy = outline.points[:, :2]
    low, high = xy.min(0), xy.max(0)
    side = float((high - low).max()) / (0.75 * scale)
    if side <= 0:
        raise InputError("the outline encloses nothing: give one with an extent")
    corner = (low + high) / 2 - side / 2
    return render(outline, SIDE / side, (*corner, *(corner + side)))


def nearest_overlap(
    outline: Outline, others: npt.NDArray[np.float32]
) -> tuple[float, int]:
    """The largest overlap of a glyph with any of some others, over shift and scale.

    Args:
        outline: of a glyph.
        others: `(N, SIDE, SIDE)` rasters from `fitted`.

    Returns:
        The intersection over union, and the number of the glyph that has it; 0 of a
        glyph without an extent.

    Example:
        >>> from handwriting_lib.outline import parse
        >>> wedge = parse("M 0 0 L 0.3 0.7 L 0.6 0 Z", 0.7)
        >>> moved = wedge.transformed([[1.1, 0], [0, 1.1]], 0.3)
        >>> nearest_overlap(moved, fitted(wedge)[None])
        (1.0, 0)
    """
    best, where = 0.0, 0
    if np.ptp(outline.points[:, :2], axis=0).max() <= 0:
        return best, where  # all points are one
    total = others.sum((1, 2))  # (N,)
    for scale in SCALES:
        raster = fitted(outline, scale)
        for down in SHIFTS:
            for right in SHIFTS:
                moved = np.roll(raster, (down, right), (0, 1))  # its edge is empty
                both = np.minimum(others, moved).sum((1, 2))
                found = both / (total + moved.sum() - both)
                if found.max() > best:
                    best, where = float(found.max()), int(found.argmax())
    return round(best, 6), where


class StyleClassifier(nn.Module):
    """Tells the style of a glyph from its raster, its advance and its character.

    Args:
        vocabulary: the characters that it knows.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.characters = nn.Embedding(len(vocabulary), 16)
        self.see = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
        )  # fmt: skip
        self.tell = nn.Sequential(
            nn.LazyLinear(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, len(STYLES))
        )

    def inputs(
        self, glyphs: Sequence[tuple[str, Outline]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rasters `(B, 1, H, W)`, advances `(B,)` and characters `(B,)`."""
        rasters = np.stack([render(outline, PIXELS) for _, outline in glyphs])
        return (
            torch.from_numpy(rasters)[:, None],
            torch.tensor([outline.advance for _, outline in glyphs]),
            self.vocabulary.encode("".join(character for character, _ in glyphs)),
        )

    def forward(self, rasters: Tensor, advance: Tensor, character: Tensor) -> Tensor:
        """The scores of the styles, `(B, 5)`."""
        parts = [self.see(rasters), advance[:, None], self.characters(character)]
        return self.tell(torch.cat(parts, 1))  # type: ignore[no-any-return]

    @torch.no_grad()
    def styles(self, glyphs: Sequence[tuple[str, Outline]]) -> list[str]:
        """The most probable style of each glyph, given with its character."""
        self.eval()
        best = self(*self.inputs(glyphs)).argmax(-1)
        return [STYLES[i] for i in best.tolist()]


def train_style_classifier(
    fonts: Sequence[Font], *, epochs: int = 6, batch: int = 128, seed: int = 1
) -> StyleClassifier:
    """Train a classifier of styles on the glyphs of some fonts.

    Styles count alike, however many fonts they have.

    Args:
        fonts: to train on.
        epochs: how often each glyph is seen.
        batch: number of glyphs in a batch.
        seed: of the weights and of the order.
    """
    listed = [(c, o, font.style) for font in fonts for c, o in font.glyphs.items()]
    vocabulary = Vocabulary.of("".join(c for c, *_ in listed))
    style = torch.tensor([STYLES.index(s) for *_, s in listed])
    weight = 1 / torch.bincount(style, minlength=len(STYLES)).clamp_min(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = StyleClassifier(vocabulary)
        inputs = network.inputs([(c, o) for c, o, _ in listed])
        network(*(part[:2] for part in inputs))  # fixes the lazy size
        optimiser = torch.optim.AdamW(network.parameters(), 1e-3)
        network.train()
        for _ in range(epochs):
            for rows in torch.randperm(len(style)).split(batch):
                scores = network(*(part[rows] for part in inputs))
                loss = cross_entropy(scores, style[rows], weight)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return network.eval()
