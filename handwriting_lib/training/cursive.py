"""The task of the cursive decoder: predict the next token of a line of ink.

Words of UNIPEN are drawn singly, or joined into combinations of words of one writer,
and each draw is thinned, slanted and scaled anew, so the network never sees a word in
quite the same points again. The loss is the cross-entropy of the next angle, and of the
next shot given that angle. Chapters 14 and 15 build it.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..alphabet import decode, encode, missing, pad_texts
from ..corpora import load_corpus
from ..data.batches import LengthBuckets
from ..data.joining import Joined, join_words
from ..data.transforms import Thinning, augment, prepare, split_by_writer
from ..files.models import Model
from ..ink import Corpus, Sample
from ..networks import build_network
from ..parts.mixture import check_loss
from ..tokens.strokes import StrokeTokens
from .config import MATMUL_DTYPES, ConfigError, TrainingConfig
from .task import Task

log = logging.getLogger(__name__)

FINENESS = 3  # how much less words are thinned for keeping than when they are drawn
LARGEST = 128  # lines in a batch
NOISE = (3.0, 1.5)  # bins, in the standard deviation: of angles, of radii
ALIGNED = 64  # synthetic words that show which head follows the characters
# What the text is replaced by when it is taken away: a letter that says nothing.
BLANK = int(encode("e")[0])


@dataclass(frozen=True)
class CursiveSettings:
    """The entries of `[task]` in the configuration of a cursive decoder.

    Attributes:
        words: the fewest and the most words that are joined.
        thinning_spread: largest factor by which the words of a batch are thinned more
            or less than `[thinning]` says.
        gap: median gap between words, in widths of a character of the line.
        gap_spread: standard deviation of the logarithm of a line's gap; within a line
            it is half of this.
        unevenness: standard deviation of the baseline of a word above that of the word
            before, in letter-body heights.
        noise: share of the points that the network reads a few bins away from where
            they are, while it is asked for the true ones; it will have to go on from
            its own errors. 0 reads all ink as it is.

    Raises:
        ConfigError: a number is outside its range.
    """

    words: tuple[int, int] = (2, 5)
    thinning_spread: float = 1.25
    gap: float = 0.8
    gap_spread: float = 0.3
    unevenness: float = 0.08
    noise: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.words
        if not 2 <= low <= high:
            raise ConfigError(f"words must be two numbers from 2 up, not {self.words}")
        for name, value, least in (
            ("thinning_spread", self.thinning_spread, 1),
            ("gap", self.gap, 0),
            ("gap_spread", self.gap_spread, 0),
            ("unevenness", self.unevenness, 0),
        ):
            if not least <= value < math.inf:
                raise ConfigError(f"{name} must be at least {least}, not {value!r}")
        if not 0 <= self.noise <= 1:
            raise ConfigError(f"noise must be from 0 to 1, not {self.noise!r}")


@dataclass(frozen=True)
class StrokeBatch:
    """Lines of ink as tokens, and their texts.

    Attributes:
        pairs: `(B, T + 1, 2)` int64: the network reads the first T tokens of a row and
            is asked for the last T.
        mask: `(B, T)` bool, true where there is a token to predict.
        text: `(B, U)` int64 symbols, with the end slot.
        text_mask: `(B, U)` bool, true for characters and the end slot.
        seed: seed of the dropout, so that a resumed run repeats the same steps.
    """

    pairs: Tensor
    mask: Tensor
    text: Tensor
    text_mask: Tensor
    seed: int = 0

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def targets(self) -> int:
        """The number of points, and of marks that end words and texts, to predict."""
        return int(self.mask.sum())

    @property
    def lines(self) -> list[tuple[Tensor, str]]:
        """Tokens `(N, 2)` of each line, without padding and end, and its text."""
        return [
            (pairs[: int(mask.sum())], decode(text[: int(slots.sum()) - 1]))
            for pairs, mask, text, slots in zip(
                self.pairs, self.mask, self.text, self.text_mask, strict=True
            )
        ]

    def _mapped(self, change: Any, seed: int) -> StrokeBatch:
        return StrokeBatch(
            change(self.pairs), change(self.mask), change(self.text),
            change(self.text_mask), seed,
        )  # fmt: skip

    def to(self, device: torch.device | str) -> StrokeBatch:
        """The same batch on another device."""
        return self._mapped(lambda part: part.to(device), self.seed)

    def every(self, step: int, first: int) -> StrokeBatch:
        """Every `step`-th line, starting with number `first`, with its own dropout."""
        return self._mapped(lambda part: part[first::step], self.seed + 2**42 * first)

    def without_text(self) -> StrokeBatch:
        """The batch with one letter in place of all others; the spaces stay."""
        space = int(encode("a b")[1])
        keep = (self.text == space) | (self.text == 0)
        return dataclasses.replace(self, text=torch.where(keep, self.text, BLANK))


def make_stroke_batch(
    lines: Sequence[Joined], texts: Sequence[str], tokens: StrokeTokens, seed: int = 0
) -> StrokeBatch:
    """Encode lines and their texts as one padded batch.

    Args:
        lines: ink in letter-body heights, and where its words end.
        texts: of the lines, the words with a space between them.
        tokens: the bins.
        seed: of the dropout.

    Example:
        >>> import torch
        >>> ink = torch.tensor([[0., 0., 0.], [1., 0., 1.]])
        >>> batch = make_stroke_batch([Joined(ink, [])], ["l"], StrokeTokens())
        >>> batch.pairs.shape, batch.targets
        (torch.Size([1, 3, 2]), 2)
    """
    rows = tokens.encode_all([ink for ink, _ in lines], [ends for _, ends in lines])
    end = torch.tensor([[tokens.end, tokens.no_shot]])
    lengths = torch.tensor([len(row) for row in rows])
    pairs = end.expand(len(rows), int(lengths.max()) + 1, 2).clone()  # (B, T + 1, 2)
    for i, row in enumerate(rows):
        pairs[i, : len(row)] = row
    mask = torch.arange(pairs.shape[1] - 1) < lengths[:, None]
    return StrokeBatch(pairs, mask, *pad_texts(texts), seed=seed)


class TokenLosses(NamedTuple):
    """The cross-entropy of each token, in nats.

    Attributes:
        angles: `(B, T)` of the angles and marks; 0 where there is nothing to predict.
        shots: `(B, T)` of the shots, given the angles; 0 at marks.
        is_point: `(B, T)` bool, true for points, false for marks and padding.
    """

    angles: Tensor
    shots: Tensor
    is_point: Tensor


def disturbed(pairs: Tensor, share: float, tokens: StrokeTokens) -> Tensor:
    """Tokens of which some points are a few bins away from where they were.

    Args:
        pairs: `(B, T, 2)` int64.
        share: probability that a point is moved.
        tokens: the bins.

    Example:
        >>> import torch
        >>> pairs = torch.tensor([[[0, 8], [97, 80]]])
        >>> disturbed(pairs, 1.0, StrokeTokens())[0, 1].tolist()
        [97, 80]
    """
    angle, shot = pairs.unbind(-1)
    moved = (angle < tokens.angles) & (torch.rand(angle.shape) < share).to(angle.device)
    by = torch.randn(*angle.shape, 2) * torch.tensor(NOISE)
    turn, reach = by.round().long().to(angle.device).unbind(-1)
    radius = (shot // 2 + reach).clamp(0, tokens.radii - 1)
    other = torch.stack([(angle + turn) % tokens.angles, 2 * radius + shot % 2], -1)
    return torch.where(moved[..., None], other, pairs)


def token_losses(
    network: nn.Module,
    batch: StrokeBatch,
    matmul_dtype: torch.dtype | None = None,
    read: Tensor | None = None,
) -> TokenLosses:
    """Score each token of a batch.

    Args:
        network: a `CursiveDecoder`, possibly wrapped.
        batch: the tokens.
        matmul_dtype: type of the matrix products; None keeps float32.
        read: `(B, T, 2)` int64, what the network reads instead of the first T tokens.
    """
    angle, shot = batch.pairs[:, 1:].unbind(-1)  # (B, T)
    device = batch.pairs.device.type
    read = batch.pairs[:, :-1] if read is None else read
    with torch.autocast(device, matmul_dtype, enabled=matmul_dtype is not None):
        out = network(read, batch.text, batch.text_mask, angle)
    angles = cross_entropy(out.angles.float().mT, angle, reduction="none")
    size = out.shots.shape[-1]
    is_point = batch.mask & (shot < size)
    shots = cross_entropy(
        out.shots.float().mT, shot.clamp_max(size - 1), reduction="none"
    )
    return TokenLosses(angles * batch.mask, shots * is_point, is_point)


class Measured(NamedTuple):
    """A network's losses on held-out ink.

    Attributes:
        point: nats per point, angle and shot together.
        angle: of which for the angle.
        mark: nats per mark.
        without_text: nats per point once the text is taken away.
    """

    point: float
    angle: float
    mark: float
    without_text: float


@torch.no_grad()
def measure(
    network: nn.Module, batches: Sequence[StrokeBatch], device: torch.device
) -> Measured:
    """Measure a network on some batches, in float32."""
    sums = torch.zeros(4, dtype=torch.double)
    points = marks = 0
    for batch in batches:
        batch = batch.to(device)
        angles, shots, is_point = token_losses(network, batch)
        blank = token_losses(network, batch.without_text())
        at = is_point
        sums += torch.stack(
            [
                (angles + shots)[at].sum(), angles[at].sum(), angles[~at].sum(),
                (blank.angles + blank.shots)[at].sum(),
            ]
        ).double().cpu()  # fmt: skip
        points += int(at.sum())
        marks += batch.targets - int(at.sum())
    shares = sums / torch.tensor([points, points, max(1, marks), points])
    return Measured(*shares.tolist())


@torch.no_grad()
def aligned_head(network: nn.Module, words: Sequence[Sample]) -> tuple[int, int]:
    """Find the head whose most attended character is most often the true one.

    Args:
        network: a `CursiveDecoder`.
        words: in letter-body heights and thinned, with `character_of_point`; synthetic
            ink knows it.

    Returns:
        The numbers of its layer and of the head in it, from 0.
    """
    decoder: Any = network
    batch = make_stroke_batch(
        [Joined(word.ink, []) for word in words],
        [word.text for word in words],
        decoder.tokens,
    ).to(decoder.offsets.device)
    maps = decoder.attention_maps(batch.pairs[:, :-2], batch.text, batch.text_mask)
    found = maps.argmax(-1).cpu()  # (B, layers, heads, T - 1)
    right = torch.zeros(maps.shape[1:3], dtype=torch.long)
    for word, at in zip(words, found, strict=True):
        true = word.character_of_point
        assert true is not None
        right += (at[..., : len(true) - 1] == true[1:]).sum(-1)
    layer, head = divmod(int(right.argmax()), right.shape[1])
    return layer, head


@dataclass(frozen=True)
class CursiveData:
    """Words in letter-body heights.

    Attributes:
        train: words of the training writers, thinned less than for drawing
            (`FINENESS`).
        validation: words of the held-out writers, thinned as the configuration says.
    """

    train: list[Sample]
    validation: list[Sample]


def _words(corpus: Corpus) -> Corpus:
    """The words of a corpus that are single words in the alphabet."""
    kept = [
        s for s in corpus.samples
        if s.kind == "word" and not missing(s.text) and " " not in s.text
    ]  # fmt: skip
    return dataclasses.replace(corpus, samples=kept)


def _prepared(corpus: Corpus, config: TrainingConfig, fineness: int) -> list[Sample]:
    limits, thinning = config.limits, config.thinning
    fewest, most = limits.points_per_character
    prepared = prepare(
        corpus,
        thinning.times(1 / fineness),
        dataclasses.replace(
            limits,
            max_points=limits.max_points * fineness,
            points_per_character=(fewest, most * fineness),
        ),
    )
    for reason, count in prepared.skipped.items():
        log.info("left out %d samples: %s", count, reason)
    return prepared.samples


def prepare_words(corpus: Corpus, config: TrainingConfig) -> CursiveData:
    """Split the words of a corpus by writer, scale and thin them.

    Args:
        corpus: with words.
        config: with the thinning and the limits.

    Raises:
        ConfigError: no words are left for training or for validation.
    """
    split = split_by_writer(_words(corpus).samples)
    sides = [
        _prepared(dataclasses.replace(corpus, samples=side), config, fineness)
        for side, fineness in ((split.train, FINENESS), (split.validation, 1))
    ]
    if not all(sides):
        raise ConfigError(
            f"{corpus.name} leaves {len(sides[0])} words for training and "
            f"{len(sides[1])} for validation, but both need some: use a corpus with "
            "words of more writers, or wider limits"
        )
    return CursiveData(*sides)


class CursiveTask(Task):
    """The task of predicting the next token of words and of combinations of words.

    A share of the batches, `word_share` of the recipe, are single words; the others are
    combinations. `synthetic_share` of either are synthetic.

    Args:
        config: configuration of the training run; `CursiveSettings` are its `[task]`.
        data: words, as returned by `prepare_words`.

    Raises:
        ConfigError: the configuration sets an option that this task does not have.
    """

    def __init__(self, config: TrainingConfig, data: CursiveData) -> None:
        recipe = config.recipe
        if recipe.clip_derivatives or recipe.character_share:
            raise ConfigError(
                "clip_derivatives and character_share are for networks that read "
                "offsets: leave them out"
            )
        self.config = config
        table: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in config.task.items()
        }
        try:
            self.settings = CursiveSettings(**table)
        except TypeError as error:
            raise ConfigError(f"[task]: {error}") from None
        with torch.device("meta"):  # checks the sizes before any memory is asked for
            network: Any = build_network(config.network, config.model)
        self.tokens: StrokeTokens = network.tokens
        self.matmul_dtype = MATMUL_DTYPES[recipe.matmul_dtype]
        self.pools = [_Pool(data.train, recipe.points_per_batch, config.thinning)]
        if recipe.synthetic_share:
            corpus = load_corpus(
                "synthetic", **{"kinds": ("word",), **config.synthetic}
            )
            made = _prepared(_words(corpus), config, FINENESS)
            self.pools.append(_Pool(made, recipe.points_per_batch, config.thinning))
        self.targets = sum(self.pools[0].words.lengths)
        known = load_corpus("synthetic", samples=ALIGNED, seed=9, kinds=("word",))
        self.aligned = _prepared(_words(known), config, 1)
        self.held_out = self._held_out(data.validation)

    @classmethod
    def load(cls, config: TrainingConfig) -> CursiveTask:
        """Build the task of a configuration, with the corpus that it names."""
        options = {"kinds": ("word",), **config.corpus_options}
        if not config.corpus.startswith(("unipen", "synthetic")):
            options = dict(config.corpus_options)
        return cls(config, prepare_words(load_corpus(config.corpus, **options), config))

    def _joined(
        self, inks: Sequence[Tensor], text: str, generator: torch.Generator
    ) -> Joined:
        """Words as a line; `text` is that of all of them."""
        settings, count = self.settings, len(inks) - 1
        line, *gaps = torch.randn(count + 1, generator=generator).tolist()
        steps = torch.randn(count, generator=generator) * settings.unevenness
        ways = [ink[:, 0].cumsum(0) for ink in inks]
        width = sum(float(x.max() - x.min()) for x in ways) / (len(text) - count)
        gap = settings.gap * width * math.exp(line * settings.gap_spread)
        half = settings.gap_spread / 2
        return join_words(
            inks, [gap * math.exp(one * half) for one in gaps], steps.tolist()
        )

    def drawn(self, step: int) -> tuple[list[Joined], list[str]]:
        """The lines of a step's batch as ink in letter-body heights, and their texts.

        Args:
            step: number of the step, which decides the draw with the recipe's seed.
        """
        recipe = self.config.recipe
        generator = torch.Generator().manual_seed(self._seed(step))
        is_words, which, rate = torch.rand(3, generator=generator).tolist()
        pool = self.pools[-1 if which < recipe.synthetic_share else 0]
        if is_words < recipe.word_share_at(step):
            drawn = [[word] for word in pool.words.draw(generator)]
        else:
            drawn = pool.combinations(*self.settings.words, generator)
        thinning = self.config.thinning.times(
            self.settings.thinning_spread ** (2 * rate - 1)
        )
        lines = []
        texts = [" ".join(word.text for word in words) for words in drawn]
        for words, text in zip(drawn, texts, strict=True):
            inks = [thinning(word.ink)[0] for word in words]
            ink, ends = self._joined(inks, text, generator)
            ink = augment(ink, self.config.augmentation, generator)
            lines.append(Joined(ink, ends))
        return lines, texts

    def _seed(self, step: int) -> int:
        return self.config.recipe.seed * 1_000_003 + step

    def batch(self, step: int) -> StrokeBatch:
        return make_stroke_batch(*self.drawn(step), self.tokens, self._seed(step))

    def _held_out(self, words: list[Sample]) -> dict[str, list[StrokeBatch]]:
        """The validation batches: single words of all lengths, and combinations."""
        recipe = self.config.recipe
        half = max(1, recipe.validation_batches // 2)
        pool = _Pool(words, recipe.points_per_batch)
        batches = pool.words.in_order()
        every = max(1, len(batches) // half)
        drawn = {
            "words": [[[w] for w in b] for b in batches[every // 2 :: every][:half]]
        }
        if recipe.word_share_at(recipe.steps) < 1:
            generator = torch.Generator().manual_seed(0)
            drawn["combinations"] = [
                pool.combinations(*self.settings.words, generator) for _ in range(half)
            ]
        return {
            kind: [self._as_they_are(lines) for lines in batches]
            for kind, batches in drawn.items()
        }

    def _as_they_are(self, drawn: list[list[Sample]]) -> StrokeBatch:
        """A batch of lines that are joined and not changed in another way."""
        generator = torch.Generator().manual_seed(1)
        texts = [" ".join(word.text for word in words) for words in drawn]
        lines = [
            self._joined([word.ink for word in words], text, generator)
            for words, text in zip(drawn, texts, strict=True)
        ]
        return make_stroke_batch(lines, texts, self.tokens)

    def loss(
        self, network: nn.Module, batch: StrokeBatch, scale: float = 1.0
    ) -> Tensor:
        device = batch.pairs.device
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # dropout knows no other generator
            torch.manual_seed(batch.seed)
            read = batch.pairs[:, :-1]
            if self.settings.noise:
                read = disturbed(read, self.settings.noise, self.tokens)
            losses = token_losses(network, batch, self.matmul_dtype, read)
        return check_loss((losses.angles + losses.shots).sum() / batch.mask.sum())

    def validate(self, network: nn.Module, device: torch.device) -> float:
        """Nats per point of held-out words and combinations, which count alike."""
        points = []
        for kind, batches in self.held_out.items():
            measured = measure(network, batches, device)
            log.info(
                "%s: %.3f nats per point (%.3f for the angle), %.3f without the text; "
                "%.3f nats per mark", kind, measured.point, measured.angle,
                measured.without_text, measured.mark,
            )  # fmt: skip
            points.append(measured.point)
        return sum(points) / len(points)

    def model(self, network: nn.Module, about: Mapping[str, Any]) -> Model:
        head = aligned_head(network, self.aligned)
        about = {**about, "aligned_head": list(head)}
        return Model(network, thinning=self.config.thinning, about=about)


def _points_left(ink: Tensor, thinning: Thinning) -> int:
    """About how many points `thin` would leave, in a tenth of its time."""
    step = torch.view_as_complex(ink[:, :2].contiguous())[1:]
    down = ink[:-1, 2] < 0.5
    turn = (step[1:] * step[:-1].conj()).angle().abs() * (down[1:] & down[:-1])
    way = float((step.abs() * down).sum()) / thinning.distance
    if thinning.angle:
        way += float(turn.sum()) / thinning.angle
    return 1 + int(way) + int(ink[:, 2].sum())


class _Pool:
    """Words to draw from, singly or several of one writer.

    Args:
        words: in letter-body heights.
        points: approximate number of points in a batch.
        thinning: what they are thinned by when they are drawn, about; None leaves them.
    """

    def __init__(
        self, words: list[Sample], points: int, thinning: Thinning | None = None
    ) -> None:
        self.points = points
        lengths = None
        if thinning is not None:
            lengths = [_points_left(word.ink, thinning) for word in words]
        self.words = LengthBuckets(words, points, LARGEST, lengths=lengths)
        writers: dict[str, list[Sample]] = defaultdict(list)
        for word in self.words.samples:
            if any(map(str.isalnum, word.text)):  # signs alone show no baseline
                writers[word.writer].append(word)
        # as often as they wrote a word
        self.of_writer = [own for own in writers.values() for _ in own]

    def combinations(
        self, fewest: int, most: int, generator: torch.Generator
    ) -> list[list[Sample]]:
        """Draw a batch of lines of as many words, each of one writer.

        Args:
            fewest: the smallest number of words in a line.
            most: the largest number of words in a line.
            generator: decides the draw.
        """

        def number(below: int) -> int:
            return int(torch.randint(below, (1,), generator=generator))

        count = fewest + number(most - fewest + 1)
        total = len(self.of_writer)
        mean = sum(self.words.lengths) / len(self.words)
        size = max(1, min(LARGEST, int(self.points / (count * mean))))
        lines = []
        for _ in range(2 * size):
            own = self.of_writer[number(total)]
            lines.append([own[number(len(own))] for _ in range(count)])
        lines.sort(key=lambda line: sum(len(word.ink) for word in line))
        first = number(size + 1)
        return lines[first : first + size]
