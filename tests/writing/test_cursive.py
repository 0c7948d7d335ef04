"""Writing in tokens: the same ink alone and in a batch, words, ends, and checks."""

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.alphabet import pad_texts
from handwriting_lib.corpora import load_corpus
from handwriting_lib.networks.cursive import CursiveConfig, CursiveDecoder
from handwriting_lib.writing.cursive import (
    CursiveWriter,
    _Unfinished,
    _Written,
    check_attention,
    make_prime,
    sharpened,
)
from handwriting_lib.writing.decode import Decoding
from handwriting_lib.writing.lines import Line, line_generator

TEXTS = ["ab c", "d", "ef"]


@pytest.fixture(scope="module")
def model():
    """Small and random, but ready to lift the pen and to end."""
    torch.manual_seed(2)
    net = CursiveDecoder(CursiveConfig(width=16, layers=2, heads=2, angles=12, radii=6))
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        net.angles.bias[net.tokens.word :] += 2.0
    return hw.Model(net.eval(), name="small")


def draw(model, texts, positions, temperature=1.0):
    generators = [line_generator(7, i, 1) for i in positions]
    return CursiveWriter(model).draw(texts, generators, None, 0.0, temperature)


def test_a_line_alone_is_as_in_a_batch(model):
    together = draw(model, TEXTS, range(3))
    assert len({len(line.ink) for line in together}) == 3
    for i, text in enumerate(TEXTS):
        (alone,) = draw(model, [text], [i])
        torch.testing.assert_close(alone.ink, together[i].ink)
        torch.testing.assert_close(alone.phi, together[i].phi)
        assert alone.problem == together[i].problem


def by_the_whole_network(net, text, begin, noise):
    """Ink of at most so many points, from all tokens so far at every point."""
    batch, pairs, tokens = pad_texts([text]), begin[None], net.tokens
    spaces = text.count(" ")
    for one in noise:
        with torch.no_grad():
            out = net(pairs, *batch)
            angle, shot = pairs[0, -1].tolist()
            lifted = shot % 2 == 1 and angle < tokens.angles
            ended = int((pairs[0, :, 0] == tokens.word).sum())
            allowed = torch.ones(tokens.angles + 2, dtype=torch.bool)
            allowed[tokens.word] = lifted and ended < spaces
            allowed[tokens.end] = lifted and ended == spaces
            angle = Decoding().pick(out.angles[:, -1], one[:1], allowed)
            shots = net.shots_after(out.hidden[:, -1], angle)
            shot = Decoding().pick(shots, one[1:])
        if int(angle) == tokens.end:
            break
        if int(angle) == tokens.word:
            shot = torch.tensor([tokens.no_shot])
        pairs = torch.cat([pairs, torch.stack([angle, shot], 1)[None]], 1)
    return pairs[0]


def test_the_cache_changes_nothing(model):
    """Draw the same line from the whole network at every point."""
    noise = torch.rand(200, 2, generator=line_generator(7, 0, 1))[:60]
    begin = torch.zeros(1, 2, dtype=torch.long)
    pairs = by_the_whole_network(model.network, "d e", begin, noise)
    ink = model.network.tokens.decode(pairs)
    (line,) = draw(model, ["d e"], [0])
    torch.testing.assert_close(line.ink[: len(ink), :2], ink[:, :2])
    assert len(ink) > 5


def test_every_line_says_what_it_is(model):
    lines = hw.write(["ab cd", "e"], model, samples=3, redraws=0, seed=3)
    for line in lines:
        assert line.phi.shape == (len(line.ink), len(line.text) + 1)
        torch.testing.assert_close(line.phi.sum(1), torch.ones(len(line.ink)))
        assert line.ink[0, :2].abs().max() == 0 and line.ink[-1, 2] == 1
        assert line.complete == (not line.problem)
    again = hw.write(["ab cd", "e"], model, samples=3, redraws=0, seed=3)
    assert all(torch.equal(a.ink, b.ink) for a, b in zip(lines, again, strict=True))


LONG = "a b c d e f g ab c d ef g"


def test_a_long_text_is_written_in_pieces(model):
    together = draw(model, [LONG, "ab", LONG], range(3))
    (alone,) = draw(model, [LONG], [2])
    torch.testing.assert_close(alone.ink, together[2].ink)
    torch.testing.assert_close(alone.phi, together[2].phi)
    assert alone.phi.shape == (len(alone.ink), len(LONG) + 1)
    # the guide lets a point look at its own word alone, and words come in order
    before = torch.tensor([LONG[:i].count(" ") for i in range(len(LONG))] + [11])
    assert before[alone.phi.argmax(1)].unique_consecutive().tolist() == list(range(12))


def test_a_piece_follows_the_hand_and_the_last_words(model):
    prime = make_prime(model, [word("oh")])
    line = _Unfinished(LONG, model.network, prime)
    assert line.next_piece() == (prime.text, prime.pairs, "a b c d")
    tokens = model.network.tokens
    point = torch.tensor([[0, 2 * 5 + 1]])  # to the right, and the pen is lifted
    mark = torch.tensor([[tokens.word, tokens.no_shot]])
    pairs = torch.cat([point, mark] * 3 + [point])
    line.add(line.next_piece(), _Written(pairs, torch.zeros(7, 8), True))
    before, pairs, text = line.next_piece()
    assert (before, text) == ("oh c d", "e f")
    assert (pairs[:, 0] == tokens.word).sum() == 3
    assert pairs[: len(prime.pairs)].tolist() == prime.pairs.tolist()
    place = hw.offsets_to_positions(tokens.decode(pairs))
    gap = place[-2, 0] - place[: len(prime.pairs) - 1, 0].max()
    assert float(gap) == pytest.approx(1.3, rel=0.3)  # a bin is as wide
    # a hand's height is that of the line: what was added moved along it alone
    assert float(place[-1, 1]) == pytest.approx(float(line.words[-1][0, 1]), abs=0.3)


def word(text="oh", seed=1):
    corpus = load_corpus("synthetic", samples=1, seed=seed, kinds=("word",),
                         texts=[text])  # fmt: skip
    return corpus.samples[0]


def test_a_hand_comes_from_words(model):
    prime = make_prime(model, [word("oh"), word("no")])
    tokens = model.network.tokens
    assert prime.text == "oh no"
    assert (prime.pairs[:, 0] == tokens.word).sum() == 2
    assert prime.pairs[-1].tolist() == [tokens.word, tokens.no_shot]
    lines = hw.write(TEXTS, model, style=[word("oh"), word("no")], redraws=0, seed=7)
    plain = hw.write(TEXTS, model, redraws=0, seed=7)
    for i, (line, other) in enumerate(zip(lines, plain, strict=True)):
        assert line.phi.shape == (len(line.ink), len(line.text) + 1)
        assert line.ink[0, :2].abs().max() == 0
        assert line.ink.shape != other.ink.shape or not torch.equal(line.ink, other.ink)
        (alone,) = hw.write(line.text, model, style=[word("oh"), word("no")],
                            redraws=0, seed=7, positions=[i])  # fmt: skip
        torch.testing.assert_close(alone.ink, line.ink)


def test_a_written_line_gives_its_hand(model):
    corpus = load_corpus("synthetic", samples=1, seed=3, texts=["oh no"])
    sample = hw.scale_by_writer(corpus.samples)[0]
    phi = torch.nn.functional.one_hot(sample.character_of_point, 6).double()
    line = Line("oh no", 0, sample.ink, True, "", 7, 1, phi)
    writer = CursiveWriter(model)
    prime = writer.style_of(line)
    assert prime.text == "oh no"
    assert (prime.pairs[:, 0] == model.network.tokens.word).sum() == 2
    assert writer.choose_style(prime) is prime


def test_a_line_goes_on_from_its_prime(model):
    """Each point is drawn after all of the prime and all points before it."""
    prime, text = make_prime(model, [word()]), "d e f g"
    inks = []
    for position in range(3):
        noise = torch.rand(40, 2, generator=line_generator(7, position, 1))
        pairs = by_the_whole_network(model.network, f"oh {text}", prime.pairs, noise)
        ink = model.network.tokens.decode(pairs[len(prime.pairs) :])
        generators = [line_generator(7, position, 1)]
        (line,) = CursiveWriter(model).draw([text], generators, prime, 0.0, 1.0)
        torch.testing.assert_close(line.ink[: len(ink), :2], ink[:, :2])
        torch.testing.assert_close(line.ink[: len(ink) - 1, 2], ink[:-1, 2])
        inks.append(ink)
    assert min(map(len, inks)) > 5
    assert not torch.equal(inks[0][:6], inks[1][:6])


def test_bias_leaves_the_marks_and_the_pen_as_likely():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(4, 10, generator=generator)
    scores[0, 3] = -torch.inf  # a token that is not allowed
    scores[1, 8:] = -torch.inf  # a kind of which none is
    is_mark = torch.arange(10) >= 8
    p, q = scores.softmax(-1), sharpened(scores, is_mark, 1.5).softmax(-1)
    torch.testing.assert_close(p[:, is_mark].sum(1), q[:, is_mark].sum(1))
    for kind in (is_mark, ~is_mark):
        powers = (p[:, kind] ** 2.5) * (p[:, kind].sum(1, keepdim=True) > 0)
        shares = powers / powers.sum(1, keepdim=True).clamp_min(1e-30)
        torch.testing.assert_close(q[:, kind], shares * q[:, kind].sum(1, keepdim=True))
    torch.testing.assert_close(sharpened(scores, is_mark, 0.0).softmax(-1), p)


def test_a_large_bias_leaves_the_pen_alone_to_chance(model):
    def beginnings(bias):
        lines = [
            CursiveWriter(model).draw(
                ["ab"], [line_generator(s, 0, 1)], None, bias, 1.0
            )
            for s in range(12)
        ]
        return {tuple(x[0].ink[1, :2].tolist()) for x in lines if len(x[0].ink) > 1}

    # the likeliest angle, and the likeliest length for either state of the pen
    assert len(beginnings(300.0)) <= 2 < len(beginnings(0.0))


def test_what_it_does_not_have_is_refused(model):
    with pytest.raises(hw.ModelError, match="birch"):
        hw.write("a", model, style="birch")
    with pytest.raises(hw.StyleError, match="'a b' is not a single word"):
        hw.write("a", model, style=word().replace(text="a b"))
    with pytest.raises(hw.StyleError, match="not Sample: make a style"):
        hw.write("a", style=word())
    with pytest.raises(hw.StyleError, match="at least one"):
        hw.write("a", model, style=[])
    with pytest.raises(hw.ModelError, match="int8"):
        hw.write("a", model, precision="int8")
    with pytest.raises(hw.HandwritingError, match="small is a cursive"):
        hw.make_style(model, hw.Sample("a", torch.zeros(4, 3), "w", "test"))
    with pytest.raises(hw.HandwritingError, match="text is empty"):
        hw.Player(torch.zeros(4, 3), model)
    with pytest.raises(hw.HandwritingError, match="small is a cursive"):
        hw.Studio(model)


@pytest.mark.parametrize(
    ("attended", "told"),
    [
        ([0, 0, 1, 2, 3, 4], ""),
        ([0, 1, 2, 3, 4, 1], ""),  # the bar of the t
        ([0, 1, 2, 3, 2, 4], ""),
        ([0, 1, 2, 3, 4, 0], "went back from 'e' to 'a'"),
        ([0, 1, 2, 4], "skipped 'b', character 4"),
        ([0, 1, 2, 3], "skipped 'e', character 5"),
    ],
)
def test_complete_means_every_character_in_order(attended, told):
    phi = torch.eye(6)[attended]
    assert check_attention(phi, "at be") == told


def test_a_map_of_another_text_is_refused():
    with pytest.raises(hw.HandwritingError, match=r"\(T, 3\)"):
        check_attention(torch.ones(4, 2), "ab")


def test_picks_follow_the_probabilities():
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(4000, 3)
    noise = torch.rand(4000, generator=torch.Generator().manual_seed(1))
    drawn = Decoding(temperature=0.5).pick(logits, noise)
    share = torch.bincount(drawn, minlength=3) / 4000
    wanted = Decoding(temperature=0.5).probabilities(logits[:1])[0]
    torch.testing.assert_close(share, wanted, atol=0.03, rtol=0)
    allowed = torch.tensor([True, True, False])
    assert Decoding().pick(logits, noise, allowed).max() == 1
    edge = torch.tensor([0.0, 1 - 2**-24]).expand(2)
    assert Decoding().pick(logits[:2], edge, allowed).tolist() == [0, 1]
