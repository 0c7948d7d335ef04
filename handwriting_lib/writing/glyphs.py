"""Drawing glyphs with a glyph decoder, and whole alphabets that belong together.

Every glyph is drawn row by row under the grammar of its tokens (`tokens.glyphs`), so
that each program is an outline: it closes all of its contours and ends within the
length that the network reads. `draw_glyphs` draws characters in a style, or like the
references of a font. `draw_font` draws a few glyphs from the style alone and lets them
be the references of all others, so that they look like one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..drawing.outlines import save_outlines
from ..errors import InputError
from ..files.models import Model, ModelError, find_model
from ..networks.glyph import ReferenceRows, reference_rows
from ..outline import SPECIMEN, STYLES, Outline
from ..tokens.characters import Vocabulary
from ..tokens.glyphs import ADVANCE, END, GRAMMAR, KINDS, GlyphTokens
from .decode import Decoding, Grammar
from .lines import line_generator

FIRST = "noH"  # the glyphs that are drawn first, if the model knows them
BATCH = 128
SHEET_SEED = 1


@dataclass(frozen=True)
class Glyph:
    """A glyph that was drawn.

    Attributes:
        character: what it should be.
        style: one of `outline.STYLES`.
        rows: `(N, 3)` int64 tokens, as `GlyphTokens` has them.
        outline: what they draw; None if they mean nothing, which can only be when they
            were drawn without the grammar.
        nats: how improbable the network finds the drawing, in nats.
    """

    character: str
    style: str
    rows: Tensor
    outline: Outline | None
    nats: float

    @property
    def parses(self) -> bool:
        """Whether the rows are an outline."""
        return self.outline is not None


def glyph_tokens_of(model: Model) -> GlyphTokens:
    """The tokens of a model that draws glyphs.

    Raises:
        ModelError: the model is of another kind, or its vocabulary does not fit.
    """
    vocabulary = model.carried.get("vocabulary")
    if model.kind != "glyph" or not isinstance(vocabulary, Vocabulary):
        raise ModelError(
            f"{model.name} is a {model.kind} model, which draws no glyphs: choose a "
            "glyph decoder"
        )
    if len(vocabulary) != model.network.config.symbols:
        raise ModelError(
            f"{model.name} has {len(vocabulary)} characters in its vocabulary and "
            f"{model.network.config.symbols} in its network: train or save it again"
        )
    return model.network.tokens  # type: ignore[no-any-return]


def _references(
    references: Mapping[str, Outline], vocabulary: Vocabulary, tokens: GlyphTokens
) -> ReferenceRows | None:
    """The references of one font as the network reads them."""
    if not references:
        return None
    places = vocabulary.encode("".join(references)).tolist()
    programs = [tokens.encode(outline).numpy() for outline in references.values()]
    return reference_rows([list(zip(places, programs, strict=True))], tokens)


def draw_glyphs(
    characters: str | Sequence[str],
    model: Model | str | Path,
    *,
    style: str = "sans",
    references: Mapping[str, Outline] | None = None,
    temperature: float = 0.6,
    top_p: float = 1.0,
    seed: int = 1,
    positions: Sequence[int] | None = None,
    grammar: bool = True,
) -> list[Glyph]:
    """Draw glyphs.

    Args:
        characters: a string or a list of characters; one glyph each.
        model: a glyph decoder, or the path of its file.
        style: one of `outline.STYLES`.
        references: other glyphs of the font that is to be continued, by character;
            `load_outlines` reads them from a font at the right scale. The network was
            trained with up to 3.
        temperature: below 1 plainer, above 1 more varied; 0 always takes the most
            probable token.
        top_p: draw only from the most probable tokens that together reach this
            probability; 1 draws from all.
        seed: seed of all draws.
        positions: one number per glyph, which together with the seed decides its
            randomness; None numbers them from 0.
        grammar: draw only tokens that may follow. Without it, a glyph may have rows
            that mean nothing.

    Returns:
        One glyph per character.

    Raises:
        ValueError: the model does not know a character or the style, a reference is too
            large or too long, or an argument is out of its range.
        FileNotFoundError: there is no such model file.

    Example:
        >>> from handwriting_lib.networks import build_network
        >>> network = build_network("glyph", {"symbols": 2, "width": 8, "points": 9})
        >>> model = Model(network, vocabulary=Vocabulary("ab"))
        >>> [glyph.parses for glyph in draw_glyphs("abba", model)]
        [True, True, True, True]
    """
    decoding = Decoding(temperature, top_p=top_p)
    model = find_model(model)
    tokens = glyph_tokens_of(model)
    vocabulary: Vocabulary = model.carried["vocabulary"]
    if style not in STYLES:
        raise InputError(f"there is no style {style!r}: choose {', '.join(STYLES)}")
    listed = list(characters)
    if long := [c for c in listed if len(c) != 1]:
        raise InputError(f"give characters one by one, not {long[0]!r}")
    places = vocabulary.encode("".join(listed))
    numbers = list(range(len(listed))) if positions is None else list(positions)
    if len(numbers) != len(listed):
        raise InputError(
            f"give one position per glyph, not {len(numbers)} for {len(listed)}"
        )
    read = _references(references or {}, vocabulary, tokens)
    longest = model.network.config.points
    if read is not None and int(read.number.max()) >= longest:
        raise InputError(
            f"a reference has more than the {longest} rows that the model reads: "
            "choose a simpler glyph"
        )
    training = model.network.training
    model.network.eval()
    try:
        glyphs: list[Glyph] = []
        for first in range(0, len(listed), BATCH):
            part = slice(first, first + BATCH)
            noise = torch.stack(
                [
                    torch.rand(longest, 3, generator=line_generator(seed, number, 1))
                    for number in numbers[part]
                ]
            )  # (B, points, 3)
            drawn = _draw(
                model, places[part], style, read, decoding, noise, tokens, grammar
            )
            for character, (rows, nats) in zip(listed[part], drawn, strict=True):
                glyphs.append(
                    Glyph(character, style, rows, _decoded(rows, tokens), nats)
                )
        return glyphs
    finally:
        model.network.train(training)


def _decoded(rows: Tensor, tokens: GlyphTokens) -> Outline | None:
    try:
        return tokens.decode(rows)
    except InputError:
        return None


@torch.inference_mode()
def _draw(
    model: Model,
    characters: Tensor,
    style: str,
    references: ReferenceRows | None,
    decoding: Decoding,
    noise: Tensor,
    tokens: GlyphTokens,
    grammar: bool,
) -> list[tuple[Tensor, float]]:
    """The rows and the nats of a batch of glyphs.

    Args:
        characters: `(B,)` places in the vocabulary.
        noise: `(B, points, 3)` numbers, evenly from 0 to below 1.
    """
    network: Any = model.network
    device = model.device
    batch, longest, _ = noise.shape
    rules = Grammar(GRAMMAR, "begin", len(KINDS))
    noise = noise.to(device)
    if references is not None:
        references = ReferenceRows(*(part.to(device) for part in references))
    out = network(
        network.begin(batch, device),
        characters.to(device),
        torch.full((batch,), STYLES.index(style), device=device),
        references,
    )
    state = rules.begin(batch)
    forward = torch.arange(tokens.no_x, device=device) >= -tokens.lowest[0]

    def allowed_x(kind: Tensor) -> Tensor:
        """`(b, X)`: everything, except for a negative advance."""
        return forward | (kind != ADVANCE)[:, None]

    last = network.begin(batch, device)[:, 0]  # (b, 3) the row before
    alive = torch.arange(batch)  # which glyphs the rows of the network's batch are
    programs: list[list[Tensor]] = [[] for _ in range(batch)]
    nats = torch.zeros(batch)
    for t in range(longest):
        hidden, kinds = out.hidden[:, -1], out.kinds[:, -1]
        allowed = None
        if grammar:
            allowed = rules.allowed(state, longest - t).to(device)
        own = noise[alive.to(device), t]  # (b, 3)
        kind = decoding.pick(kinds, own[:, 0], allowed)
        across = network.across(hidden, last, kind)
        x = decoding.pick(across, own[:, 1], allowed_x(kind) if grammar else None)
        up = network.up(hidden, last, kind, x)
        y = decoding.pick(up, own[:, 2])
        has_x, has_y = kind != END, (kind != END) & (kind != ADVANCE)
        for scores, token, has in (
            (kinds, kind, torch.ones_like(has_x)), (across, x, has_x), (up, y, has_y),
        ):  # fmt: skip
            drawn = scores.float().log_softmax(-1).gather(1, token[:, None])[:, 0]
            nats[alive] -= (drawn * has).cpu()
        row = torch.stack(
            [
                kind,
                torch.where(has_x, x, tokens.no_x),
                torch.where(has_y, y, tokens.no_y),
            ],
            1,
        )  # (b, 3)
        for glyph, one in zip(alive.tolist(), row.cpu(), strict=True):
            programs[glyph].append(one)
        chosen = kind.cpu()
        if grammar:
            state = rules.after(state, chosen)
        goes_on = chosen != END
        if not goes_on.any() or t == longest - 1:
            break
        kept = goes_on.nonzero()[:, 0].to(device)
        alive, state = alive[goes_on], state[goes_on]
        last = row[kept]
        out = network(last[:, None], state=out.state.select(kept))
    return [
        (torch.stack(rows), float(n)) for rows, n in zip(programs, nats, strict=True)
    ]


def draw_font(
    model: Model | str | Path,
    *,
    style: str = "sans",
    characters: str | None = None,
    temperature: float = 0.6,
    top_p: float = 1.0,
    seed: int = 1,
) -> dict[str, Outline]:
    """Draw the glyphs of a font: a few from the style alone, and the others like these.

    Args:
        model: a glyph decoder, or the path of its file.
        style: one of `outline.STYLES`.
        characters: which glyphs; None draws all that the model knows.
        temperature, top_p, seed: as for `draw_glyphs`.

    Returns:
        The outlines by character.

    Raises:
        ValueError: as for `draw_glyphs`.
    """
    model = find_model(model)
    glyph_tokens_of(model)
    known: Vocabulary = model.carried["vocabulary"]
    wanted = list(dict.fromkeys(known.characters if characters is None else characters))
    how: dict[str, Any] = {"style": style, "temperature": temperature, "top_p": top_p}
    references: dict[str, Outline] = {}
    for number, character in enumerate(c for c in FIRST if c in known.characters):
        (glyph,) = draw_glyphs(
            character, model, references=references, seed=seed, positions=[number],
            **how,
        )  # fmt: skip
        assert glyph.outline is not None  # by the grammar
        references[character] = glyph.outline
    others = [c for c in wanted if c not in references]
    drawn = draw_glyphs(
        others, model, references=references, seed=seed,
        positions=[len(FIRST) + i for i in range(len(others))], **how,
    )  # fmt: skip
    outlines = {**references, **{g.character: g.outline for g in drawn if g.outline}}
    return {character: outlines[character] for character in wanted}


def glyph_sheet(model: Model, file: Path) -> None:
    """Draw a sheet of samples: in each style, a line that belongs together."""
    known = model.carried["vocabulary"].characters
    text = [c for c in SPECIMEN if c in known] or list(known[:16])
    rows = []
    for style in STYLES:
        font = draw_font(model, style=style, characters="".join(text), seed=SHEET_SEED)
        rows.append([font[character] for character in text])
    save_outlines(rows, file, size=40)
