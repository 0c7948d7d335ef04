"""Glyphs from an untrained network: under the grammar, all of them are outlines."""

import pytest
import torch

from handwriting_lib.cli import main
from handwriting_lib.errors import InputError
from handwriting_lib.files.models import Model, ModelError, save_model
from handwriting_lib.networks import build_network
from handwriting_lib.networks.glyph import ReferenceRows
from handwriting_lib.outline import STYLES, parse
from handwriting_lib.tokens.characters import Vocabulary
from handwriting_lib.tokens.glyphs import END, GRAMMAR, KINDS
from handwriting_lib.writing.decode import Grammar
from handwriting_lib.writing.glyphs import draw_font, draw_glyphs

WEDGE = parse("M 0 0 L 0.3 0.7 L 0.6 0 Z", advance=0.65)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    sizes = {"symbols": 5, "grid": 16, "points": 9, "width": 16, "layers": 1}
    network = build_network("glyph", {**sizes, "heads": 2})
    with torch.no_grad():  # it would seldom end otherwise, or end at once
        network.kinds.bias[END] = 1.0
        for head in (network.kinds, network.x.scores, network.y.scores):
            head.weight *= 30
    return Model(network, vocabulary=Vocabulary.of("noHxy"), name="boxes")


def test_every_glyph_is_an_outline_that_ends_in_time(model):
    drawn = draw_glyphs("nH" * 300, model, temperature=1.0)
    lengths = {len(glyph.rows) for glyph in drawn}
    assert all(glyph.parses for glyph in drawn)
    assert min(lengths) == 5 and max(lengths) == 9
    assert all(glyph.rows[-1, 0] == END for glyph in drawn)


def test_without_the_grammar_few_are(model):
    drawn = draw_glyphs("nH" * 100, model, temperature=1.0, grammar=False)
    assert sum(glyph.parses for glyph in drawn) < 50
    assert all((glyph.outline is None) != glyph.parses for glyph in drawn)


def test_a_glyph_alone_is_the_same_as_in_company(model):
    together = draw_glyphs("nHxo", model, style="serif", seed=5)
    for i, glyph in enumerate(together):
        (alone,) = draw_glyphs(
            glyph.character, model, style="serif", seed=5, positions=[i]
        )
        assert torch.equal(alone.rows, glyph.rows)
        assert alone.nats == pytest.approx(glyph.nats, rel=1e-4)
    other = draw_glyphs("nHxo", model, style="serif", seed=6)
    assert not all(
        torch.equal(a.rows, b.rows) for a, b in zip(together, other, strict=True)
    )


def test_nats_are_those_of_the_network(model):
    (glyph,) = draw_glyphs("x", model, style="mono", references={"n": WEDGE})
    network = model.network.eval()
    n, x = model.carried["vocabulary"].encode("nx")
    reference = network.tokens.encode(WEDGE)[None]
    rows = torch.cat([network.begin(1), glyph.rows[None]], 1)
    read = ReferenceRows(
        reference,
        torch.ones(1, 5, dtype=torch.bool),
        n.expand(1, 5),
        torch.arange(5)[None],
    )
    style, total = torch.tensor([STYLES.index("mono")]), 0.0
    with torch.no_grad():
        out = network(rows[:, :-1], x[None], style, read, rows[:, 1:])
    for t, row in enumerate(glyph.rows):
        for scores, token in zip((out.kinds, out.across, out.up), row, strict=True):
            if token < scores.shape[-1]:  # a row without an x or a y has no token
                total -= float(scores[0, t].log_softmax(-1)[token])
    assert glyph.nats == pytest.approx(total, rel=1e-4)


def test_temperature_zero_takes_the_most_probable(model):
    one = draw_glyphs("nx", model, temperature=0, seed=1)
    other = draw_glyphs("nx", model, temperature=0, seed=2)
    assert all(torch.equal(a.rows, b.rows) for a, b in zip(one, other, strict=True))


def test_references_and_styles_count(model):
    how = {"temperature": 0.5, "seed": 3}
    plain = draw_glyphs("nx" * 9, model, **how)
    for changed in ({"style": "serif"}, {"references": {"o": WEDGE}}):
        other = draw_glyphs("nx" * 9, model, **how, **changed)
        assert not all(
            torch.equal(a.rows, b.rows) for a, b in zip(plain, other, strict=True)
        )


def test_a_font_has_every_character_in_order(model):
    font = draw_font(model, style="serif", seed=2)
    assert "".join(font) == model.carried["vocabulary"].characters
    assert list(draw_font(model, characters="yxn", style="serif", seed=2)) == list(
        "yxn"
    )
    again = draw_font(model, style="serif", seed=2)
    assert all((font[c].points == again[c].points).all() for c in font)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"style": "gothic"}, "no style 'gothic'"),
        ({"characters": "nq"}, "'q'"),
        ({"characters": ["no"]}, "one by one"),
        ({"positions": [1, 2]}, "one position per glyph"),
        ({"temperature": -1}, "temperature"),
        ({"references": {"n": parse("M 0 0 L 9 0 L 0 1 Z")}}, "within"),
        ({"references": {"q": WEDGE}}, "'q'"),
        ({"references": {"n": parse("M0 0L0 1" + "L.5 .5L1 1" * 4 + "Z")}}, "9 rows"),
    ],
)
def test_what_cannot_be_drawn_is_told(model, options, told):
    with pytest.raises(InputError, match=told):
        draw_glyphs(**{"characters": "n", "model": model, **options})


def test_another_model_draws_no_glyphs():
    other = Model(
        build_network("character", {"symbols": 2, "width": 8, "heads": 2}),
        vocabulary=Vocabulary.of("ab"), name="letters",
    )  # fmt: skip
    with pytest.raises(ModelError, match="letters is a character model"):
        draw_font(other)
    with pytest.raises(ModelError, match="vocabulary"):
        draw_glyphs("a", Model(
            build_network("glyph", {"symbols": 3, "width": 8, "heads": 2}),
            vocabulary=Vocabulary.of("ab"),
        ))  # fmt: skip


# --- the grammar ---------------------------------------------------------------------


def test_a_grammar_never_leads_into_a_dead_end():
    rules = Grammar(GRAMMAR, "begin", len(KINDS))
    generator = torch.Generator().manual_seed(0)
    for room in (5, 6, 7, 30):
        state, lengths = rules.begin(200), torch.zeros(200)
        for left in range(room, 0, -1):
            going = ~rules.ends(state)
            allowed = rules.allowed(state, left)
            assert allowed[going].any(1).all() and not allowed[~going].any()
            weights = torch.where(going[:, None], allowed, True).float()
            token = torch.multinomial(weights, 1, generator=generator)[:, 0]
            state = rules.after(state, token)
            lengths += going
        assert rules.ends(state).all()
        assert lengths.min() >= 5 and lengths.max() <= room
    assert not rules.allowed(rules.begin(1), 4).any()  # no outline is so short


def test_a_grammar_must_end():
    with pytest.raises(InputError, match="'round'"):
        Grammar({"round": {0: "round"}, "end": {}}, "round", 1)
    with pytest.raises(InputError, match="unknown state"):
        Grammar({"a": {0: "b"}}, "a", 1)


# --- the command line ----------------------------------------------------------------


def test_a_font_from_the_command_line(model, tmp_path, capsys):
    from fontTools.ttLib import TTFont

    file, out = tmp_path / "boxes.safetensors", tmp_path / "box.ttf"
    save_model(model, file)
    font = ["font", "--model", str(file), "--style", "serif", "--out", str(out)]
    assert main([*font, "--sheet", str(tmp_path / "x.svg"), "--device", "cpu"]) == 0
    with TTFont(out) as read:
        assert set(map(chr, read.getBestCmap())) == set("noHxy ")
        assert "glyph decoder boxes" in read["name"].getDebugName(10)
        assert "choice" in read["name"].getDebugName(13)
    assert (tmp_path / "x.svg").read_text().count("<path") == 5
    for wrong in (["--out", "x.woff"], ["--sheet", "x.gif"], ["--temperature", "-1"]):
        assert main([*font, *wrong]) == 2
        assert "Traceback" not in capsys.readouterr().err
