"""The task of the glyph decoder: predict the next point of the outline of a character.

A batch holds glyphs of several fonts, and a few other glyphs of each font as references
that the network may read; some fonts of a batch have none, so that the network also
learns to draw from character and style alone. All glyphs of a font are changed in the
same way before each use: in weight, width, height and slant. Families are held out as a
whole. The loss is the cross-entropy of the kind, x and y of each row, in nats per row.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..corpora.outlines import CAPITALS, Font, OutlineCorpus, load_outlines
from ..files.models import Model, find_model
from ..networks import build_network
from ..networks.glyph import ReferenceRows, reference_rows
from ..outline import STYLES, Outline
from ..parts.mixture import check_loss
from ..tokens.characters import Vocabulary
from ..tokens.glyphs import ADVANCE, END, GlyphTokens
from .config import MATMUL_DTYPES, ConfigError, TrainingConfig
from .task import Task

log = logging.getLogger(__name__)

LEAST_COSINE = 0.5  # of 1 + cosine of a corner: sharper ones are not drawn out further
UPWARD = 0.5  # how much of a change in weight goes into horizontal strokes
RANKS = 64  # parts in which ranks are counted
CHOICE = 4  # how many times as many fonts are drawn as a batch takes
VALIDATION_GLYPHS = 18  # of a font in a validation batch


@dataclass(frozen=True)
class GlyphSettings:
    """The entries of `[task]` in the configuration of a glyph decoder.

    Attributes:
        references: largest number of other glyphs of a font that the network may read.
        alone: share of fonts in the batches that have no references.
        fonts: number of fonts in a batch.
        weight: largest distance, in ems, by which a stroke grows or shrinks on either
            side.
        width: standard deviation of the logarithm of the width.
        height: standard deviation of the logarithm of the height.
        slant: standard deviation of the slant, in ems to the right per em upward.

    Raises:
        ConfigError: a number is outside its range.
    """

    references: int = 3
    alone: float = 0.3
    fonts: int = 8
    weight: float = 0.012
    width: float = 0.08
    height: float = 0.03
    slant: float = 0.05

    def __post_init__(self) -> None:
        for name, least, most in (
            ("references", 0, 16), ("fonts", 1, 1024), ("alone", 0, 1),
            ("weight", 0, 0.05), ("width", 0, 0.5), ("height", 0, 0.5),
            ("slant", 0, 0.5),
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(
                    f"{name} must be between {least} and {most}, not {value!r}"
                )


class Change(NamedTuple):
    """How the glyphs of a font are changed.

    Attributes:
        weight: distance in ems by which strokes grow on either side.
        width: factor of all widths.
        height: factor of all heights.
        slant: ems to the right per em upward.
    """

    weight: float = 0.0
    width: float = 1.0
    height: float = 1.0
    slant: float = 0.0


@dataclass(frozen=True, eq=False)
class PreparedGlyph:
    """An outline, prepared to be changed and encoded quickly.

    Attributes:
        character: place in the vocabulary.
        xy: `(N, 2)` points.
        outward: `(N, 2)` where each point goes if all edges move outward by one em.
        rows: `(N + 2, 3)` the program, with the kinds in place.
        advance: in ems.
    """

    character: int
    xy: np.ndarray
    outward: np.ndarray
    rows: np.ndarray
    advance: float

    def encode(self, tokens: GlyphTokens, change: Change) -> np.ndarray:
        """The program `(N + 2, 3)` of the changed outline, within the tokens' range."""
        weight, width, height, slant = change
        bold = weight * np.array([1.0, UPWARD])
        xy = self.xy + bold * self.outward
        # capitals stay as high as they were, and stand on the baseline
        grown = UPWARD * weight
        y = (xy[:, 1] + grown) * (CAPITALS / (CAPITALS + 2 * grown)) * height
        x = (xy[:, 0] + weight) * width + slant * y
        rows, grid = self.rows.copy(), tokens.grid
        left, bottom = tokens.lowest
        rows[1:-1, 1] = np.rint(x * grid) - left
        rows[1:-1, 2] = np.rint(y * grid) - bottom
        rows[0, 1] = round((self.advance + 2 * weight) * width * grid) - left
        np.clip(rows[:-1, 1], 0, tokens.no_x - 1, out=rows[:-1, 1])
        np.clip(rows[1:-1, 2], 0, tokens.no_y - 1, out=rows[1:-1, 2])
        return rows


def outward(outline: Outline) -> np.ndarray:
    """Where each point goes if all edges move outward by one em, `(N, 2)`.

    Outer contours run clockwise, so outward is to the left of every edge.

    Example:
        >>> from handwriting_lib.outline import parse
        >>> outward(parse("M 0 0 L 0 1 L 1 1 L 1 0 Z"))[0]
        array([-1., -1.])
    """
    moved = []
    for contour in outline.contours:
        xy = contour[:, :2]
        edge = np.roll(xy, -1, 0) - xy  # to the next point
        length = np.hypot(*edge.T)[:, None]
        after = np.stack([-edge[:, 1], edge[:, 0]], 1) / np.maximum(length, 1e-9)
        before = np.roll(after, 1, 0)
        cosine = (before * after).sum(1, keepdims=True)
        moved.append((before + after) / np.maximum(1 + cosine, LEAST_COSINE))
    return np.concatenate(moved)


@dataclass(frozen=True, eq=False)
class GlyphFont:
    """The glyphs of a font that a network can draw, shortest first.

    Attributes:
        family: its name.
        style: place in `outline.STYLES`.
        glyphs: prepared for `GlyphTask`.
    """

    family: str
    style: int
    glyphs: list[PreparedGlyph]


@dataclass(frozen=True)
class GlyphBatch:
    """Programs of glyphs, and what the network is told of each.

    Attributes:
        rows: `(B, T + 1, 3)` int64: the network reads the first T rows of a program and
            is asked for the last T.
        mask: `(B, T)` bool, true where there is a row to predict.
        character: `(B,)` int64.
        style: `(B,)` int64.
        references: of F fonts, each the font of B / F glyphs in a row.
        seed: seed of the dropout, so that a resumed run repeats the same steps.
    """

    rows: Tensor
    mask: Tensor
    character: Tensor
    style: Tensor
    references: ReferenceRows
    seed: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> int:
        """The number of rows to predict, those of points, advances and ends."""
        return int(self.mask.sum())

    def _mapped(self, change: Any, seed: int) -> GlyphBatch:
        return GlyphBatch(
            change(self.rows), change(self.mask), change(self.character),
            change(self.style), ReferenceRows(*map(change, self.references)), seed,
        )  # fmt: skip

    def to(self, device: torch.device | str) -> GlyphBatch:
        """The same batch on another device."""
        return self._mapped(lambda part: part.to(device), self.seed)

    def every(self, step: int, first: int) -> GlyphBatch:
        """Every `step`-th font, starting with number `first`, with its own dropout."""
        fonts = len(self.references.rows)

        def share(part: Tensor) -> Tensor:
            by_font = part.view(fonts, len(part) // fonts, *part.shape[1:])
            return by_font[first::step].flatten(0, 1)

        return self._mapped(share, self.seed + 2**42 * first)

    def alone(self) -> GlyphBatch:
        """The batch without its references."""
        none = ReferenceRows(*(part[:, :0] for part in self.references))
        return dataclasses.replace(self, references=none)


class RowLosses(NamedTuple):
    """The cross-entropy of the parts of each row, `(P,)`, in nats.

    Attributes:
        kind: of the kind.
        x: of x given the kind; 0 where a row has none.
        y: of y given both; likewise.
    """

    kind: Tensor
    x: Tensor
    y: Tensor


def row_losses(
    network: nn.Module, batch: GlyphBatch, matmul_dtype: torch.dtype | None = None
) -> RowLosses:
    """Score each row of a batch that `mask` asks for.

    Args:
        network: a `GlyphDecoder`.
        batch: the programs.
        matmul_dtype: type of the matrix products; None keeps float32.
    """
    device = batch.rows.device.type
    following = batch.rows[:, 1:]
    with torch.autocast(device, matmul_dtype, enabled=matmul_dtype is not None):
        out = network(
            batch.rows[:, :-1], batch.character, batch.style, batch.references,
            following, batch.mask,
        )  # fmt: skip
    kind, x, y = following[batch.mask].unbind(-1)  # (P,)
    has_x = kind != END
    losses = [cross_entropy(out.kinds.float(), kind, reduction="none")]
    for scores, wanted, has in (
        (out.across, x, has_x), (out.up, y, has_x & (kind != ADVANCE)),
    ):  # fmt: skip
        wanted = wanted.clamp_max(scores.shape[-1] - 1)
        losses.append(cross_entropy(scores.float(), wanted, reduction="none") * has)
    return RowLosses(*losses)


class Measured(NamedTuple):
    """A network's losses on held-out fonts.

    Attributes:
        row: nats per row of a program.
        glyph: nats per glyph.
        kind: of the nats per row, those for the kind.
    """

    row: float
    glyph: float
    kind: float


@torch.no_grad()
def measure(
    network: nn.Module, batches: Sequence[GlyphBatch], device: torch.device
) -> Measured:
    """Measure a network on some batches, in float32."""
    total = kinds = 0.0
    rows = glyphs = 0
    for batch in batches:
        losses = row_losses(network, batch.to(device))
        kinds += float(losses.kind.sum())
        total += float((losses.kind + losses.x + losses.y).sum())
        rows += batch.targets
        glyphs += len(batch)
    return Measured(total / rows, total / glyphs, kinds / rows)


@dataclass(frozen=True)
class GlyphData:
    """Fonts, prepared for `GlyphTask`.

    Attributes:
        vocabulary: the characters that any font has.
        train: fonts of the training families.
        validation: fonts of the held-out families.
    """

    vocabulary: Vocabulary
    train: list[GlyphFont]
    validation: list[GlyphFont]


def prepare_fonts(corpus: OutlineCorpus, config: TrainingConfig) -> GlyphData:
    """Split the fonts of a corpus by family, and prepare their glyphs.

    Glyphs that lie outside the range of the tokens, and those whose program is longer
    than the network reads, are left out, and the log says how many.

    Args:
        corpus: fonts.
        config: with the sizes of the network; `init_from` brings its characters along.

    Raises:
        ConfigError: no glyphs are left for training or for validation.
    """
    with torch.device("meta"):  # checks the sizes before any memory is asked for
        network: Any = build_network(config.network, config.model)
    known = find_model(config.init_from).carried if config.init_from else {}
    found = "".join(c for font in corpus.fonts for c in font.glyphs)
    vocabulary: Vocabulary = known.get("vocabulary") or Vocabulary.of(found)
    skipped = Counter(corpus.skipped)
    split = corpus.split()
    sides = [
        _prepared(side, vocabulary, network.tokens, network.config.points, skipped)
        for side in (split.train, split.validation)
    ]
    for reason, count in skipped.items():
        log.info("left out %d: %s", count, reason)
    if not all(sides):
        raise ConfigError(
            f"{corpus.name} leaves {len(sides[0])} fonts for training and "
            f"{len(sides[1])} for validation, but both need some: give fonts of two "
            "or more families of a style"
        )
    return GlyphData(vocabulary, *sides)


def _prepared(
    fonts: Sequence[Font],
    vocabulary: Vocabulary,
    tokens: GlyphTokens,
    longest: int,
    skipped: Counter[str],
) -> list[GlyphFont]:
    places = {character: i for i, character in enumerate(vocabulary.characters)}
    made = []
    for font in fonts:
        glyphs = []
        for character, outline in font.glyphs.items():
            if character not in places:
                skipped["glyph of a character that the network does not know"] += 1
            elif not tokens.fits(outline):
                skipped["glyph outside the range of the tokens"] += 1
            elif len(outline.points) + 2 > longest:
                skipped["glyph of more points than the network reads"] += 1
            else:
                glyphs.append(
                    PreparedGlyph(
                        places[character], outline.points[:, :2], outward(outline),
                        tokens.encode(outline).numpy(), outline.advance,
                    )
                )  # fmt: skip
        if glyphs:
            glyphs.sort(key=lambda glyph: len(glyph.xy))
            made.append(GlyphFont(font.family, STYLES.index(font.style), glyphs))
    return made


class GlyphTask(Task):
    """The task of predicting the next row of the programs of glyphs.

    Args:
        config: configuration of the training run; `GlyphSettings` are its `[task]`.
        data: fonts, as returned by `prepare_fonts`, or an `OutlineCorpus`.

    Raises:
        ConfigError: the configuration sets an option that this task does not have.
    """

    def __init__(self, config: TrainingConfig, data: GlyphData | OutlineCorpus) -> None:
        recipe = config.recipe
        if recipe.clip_derivatives or recipe.character_share or recipe.synthetic_share:
            raise ConfigError(
                "clip_derivatives, character_share and synthetic_share are for "
                "networks over ink: leave them out"
            )
        try:
            self.settings = GlyphSettings(**config.task)
        except TypeError as error:
            raise ConfigError(f"[task]: {error}") from None
        if isinstance(data, OutlineCorpus):
            data = prepare_fonts(data, config)
        self.vocabulary = data.vocabulary
        model = {**config.model, "symbols": len(self.vocabulary)}
        self.config = dataclasses.replace(config, model=model)
        with torch.device("meta"):
            network: Any = build_network(config.network, model)
        self.tokens: GlyphTokens = network.tokens
        self.matmul_dtype = MATMUL_DTYPES[recipe.matmul_dtype]
        self.fonts = data.train
        self.targets = sum(len(g.rows) for font in self.fonts for g in font.glyphs)
        # by style, then by family: a style with few fonts is seen nearly as often
        families: dict[int, dict[str, list[GlyphFont]]] = defaultdict(dict)
        for font in self.fonts:
            families[font.style].setdefault(font.family, []).append(font)
        self._families = {
            style: list(by_name.values()) for style, by_name in families.items()
        }
        share = np.array([len(named) ** 0.5 for named in self._families.values()])
        self._styles, self._share = list(self._families), share / share.sum()
        quantiles = (np.arange(RANKS) + 0.5) / RANKS
        self._ranks = sum(
            np.array([len(f.glyphs[int(q * len(f.glyphs))].rows) for q in quantiles])
            for f in self.fonts
        ).cumsum()  # type: ignore[union-attr]
        self.held_out = self._held_out(data.validation)

    @classmethod
    def load(cls, config: TrainingConfig) -> GlyphTask:
        """Build the task of a configuration, with the fonts that it names."""
        if unknown := config.corpus_options.keys() - {"characters"}:
            raise ConfigError(
                f"fonts have no option {min(unknown)!r}: the only one is characters"
            )
        return cls(config, load_outlines(config.corpus, **config.corpus_options))

    def batch(self, step: int) -> GlyphBatch:
        seed = self.config.recipe.seed * 1_000_003 + step
        random = np.random.default_rng(seed)
        settings = self.settings
        # glyphs of about one rank by length, of fonts in which they are about as long,
        # so that little is padded; a rank comes as often as its glyphs are long, and
        # the longer they are, the fewer a batch takes
        at = np.searchsorted(self._ranks, random.random() * self._ranks[-1])
        rank = (int(at) + random.random()) / len(self._ranks)
        several = [
            (len(font.glyphs[int(rank * len(font.glyphs))].rows), i, font)
            for i, font in enumerate(
                self._draw_font(random) for _ in range(CHOICE * settings.fonts)
            )
        ]
        several.sort()
        begin = settings.fonts * int(random.integers(CHOICE))
        alike = several[begin : begin + settings.fonts]
        drawn = [font for *_, font in alike]
        least = min(len(font.glyphs) for font in drawn)
        each = sum(length for length, *_ in alike)  # rows of one glyph of each font
        wanted = self.config.recipe.points_per_batch / each
        count = int(min(max(1, round(wanted)), max(1, least - settings.references)))
        chosen, references, changes = [], [], []
        for font in drawn:
            number = len(font.glyphs)
            # mirrored at either end, so that every glyph is drawn as often
            places = int(rank * number) - count // 2 + np.arange(count)
            places = np.where(places < 0, -1 - places, places)
            places = np.where(places < number, places, 2 * number - 1 - places)
            chosen.append([font.glyphs[i] for i in places])
            others = np.setdiff1d(np.arange(number), places)
            shown = 0
            if settings.references and random.random() >= settings.alone:
                shown = int(random.integers(1, settings.references + 1))
            picked = random.permutation(others)[:shown]
            references.append([font.glyphs[i] for i in picked])
            changes.append(self._change(random))
        styles = [font.style for font in drawn]
        return self._batch(chosen, references, styles, changes, seed)

    def _draw_font(self, random: np.random.Generator) -> GlyphFont:
        families = self._families[int(random.choice(self._styles, p=self._share))]
        fonts = families[random.integers(len(families))]
        return fonts[random.integers(len(fonts))]

    def _change(self, random: np.random.Generator) -> Change:
        settings = self.settings
        width, height, slant = random.standard_normal(3)
        return Change(
            float(random.uniform(-settings.weight, settings.weight)),
            math.exp(settings.width * width),
            math.exp(settings.height * height),
            settings.slant * float(slant),
        )

    def _batch(
        self,
        chosen: Sequence[Sequence[PreparedGlyph]],
        references: Sequence[Sequence[PreparedGlyph]],
        styles: Sequence[int],
        changes: Sequence[Change],
        seed: int = 0,
    ) -> GlyphBatch:
        """A batch of as many glyphs of each font, and any number of references."""
        tokens = self.tokens
        blank = np.array([END, tokens.no_x, tokens.no_y])
        programs = [
            glyph.encode(tokens, change)
            for glyphs, change in zip(chosen, changes, strict=True)
            for glyph in glyphs
        ]
        length = max(map(len, programs))
        rows = np.tile(blank, (len(programs), length + 1, 1))  # (B, T + 1, 3)
        mask = np.zeros((len(programs), length), dtype=bool)
        for i, program in enumerate(programs):
            rows[i, 1 : len(program) + 1] = program
            mask[i, : len(program)] = True
        shown = [
            [(glyph.character, glyph.encode(tokens, change)) for glyph in glyphs]
            for glyphs, change in zip(references, changes, strict=True)
        ]
        each = len(programs) // len(styles)
        return GlyphBatch(
            torch.from_numpy(rows),
            torch.from_numpy(mask),
            torch.tensor([g.character for glyphs in chosen for g in glyphs]),
            torch.tensor(styles).repeat_interleave(each),
            reference_rows(shown, tokens),
            seed,
        )

    def _held_out(self, fonts: Sequence[GlyphFont]) -> list[GlyphBatch]:
        """The validation batches: every glyph once, unchanged, with its references."""
        batches = []
        random = np.random.default_rng(0)
        for font in fonts:
            places = np.arange(len(font.glyphs))
            for part in np.array_split(places, -(-len(places) // VALIDATION_GLYPHS)):
                others = random.permutation(np.setdiff1d(places, part))
                shown = others[: self.settings.references]
                batches.append(
                    self._batch(
                        [[font.glyphs[i] for i in part]],
                        [[font.glyphs[i] for i in shown]],
                        [font.style],
                        [Change()],
                    )
                )
        every = max(1, -(-len(batches) // self.config.recipe.validation_batches))
        return batches[::every]

    def loss(self, network: nn.Module, batch: GlyphBatch, scale: float = 1.0) -> Tensor:
        device = batch.rows.device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # dropout knows no other generator
            torch.manual_seed(batch.seed)
            losses = row_losses(network, batch, self.matmul_dtype)
        return check_loss((losses.kind + losses.x + losses.y).mean())

    def validate(self, network: nn.Module, device: torch.device) -> float:
        """Nats per row of held-out fonts; glyphs with and without references alike."""
        alone = [batch.alone() for batch in self.held_out]
        found = [measure(network, side, device) for side in (self.held_out, alone)]
        log.info(
            "with references %.3f nats per row (%.3f for the kind, %.1f nats per "
            "glyph); without them %.3f (%.3f, %.1f)",
            *(number for m in found for number in (m.row, m.kind, m.glyph)),
        )
        return sum(m.row for m in found) / 2

    def model(self, network: nn.Module, about: Mapping[str, Any]) -> Model:
        trained = {"families": sorted({font.family for font in self.fonts})}
        return Model(network, vocabulary=self.vocabulary, about={**about, **trained})
