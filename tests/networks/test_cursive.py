"""The cursive decoder: step by step, blind to the future, and led by the text."""

import pytest
import torch

from handwriting_lib.alphabet import pad_texts
from handwriting_lib.errors import InputError
from handwriting_lib.networks.cursive import CursiveConfig, CursiveDecoder

TEXTS = ["ab cd", "e fg h"]
LENGTH = 24


def network(**sizes):
    """A small one, whose weights are far from those that training begins with."""
    torch.manual_seed(3)
    small = {"width": 12, "layers": 2, "heads": 3, "angles": 16, "radii": 8}
    made = CursiveDecoder(CursiveConfig(**(small | sizes)))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return made.double().eval()


def tokens(net, seed=1):
    """Random lines: the first of two words, the second of three."""
    generator = torch.Generator().manual_seed(seed)
    known = net.tokens
    pairs = torch.stack(
        [
            torch.randint(known.angles, (2, LENGTH), generator=generator),
            torch.randint(2 * known.radii, (2, LENGTH), generator=generator),
        ],
        -1,
    )
    for row, at in ((0, 7), (1, 4), (1, 15)):
        pairs[row, at] = torch.tensor([known.word, known.no_shot])
    return pairs


@pytest.mark.parametrize("guide", [True, False])
def test_forward_is_step_after_step(guide):
    net = network(guide=guide)
    pairs, text = tokens(net), pad_texts(TEXTS)
    with torch.no_grad():
        whole = net(pairs, *text, pairs[..., 0])
        out = net(pairs[:, :1], *text)
        stepped, state = [out.angles], out.state
        for t in range(1, LENGTH):
            out, state = net.step(pairs[:, t], state)
            stepped.append(out.angles)
            shots = net.shots_after(out.hidden[:, -1], pairs[:, t, 0])
            torch.testing.assert_close(shots, whole.shots[:, t])
        torch.testing.assert_close(torch.cat(stepped, 1), whole.angles)
        first = net(pairs[:, :10], *text)
        rest = net(pairs[:, 10:], state=first.state)
    torch.testing.assert_close(rest.angles, whole.angles[:, 10:])


def test_rows_leave_a_batch():
    net = network()
    pairs, text = tokens(net), pad_texts(TEXTS)
    with torch.no_grad():
        whole = net(pairs, *text).angles
        state = net(pairs[:, :10], *text).state.select(torch.tensor([False, True]))
        rest = net(pairs[1:, 10:], state=state).angles
    torch.testing.assert_close(rest, whole[1:, 10:])


@pytest.mark.parametrize("guide", [True, False])
def test_padding_changes_nothing(guide):
    net = network(guide=guide)
    pairs = tokens(net)
    with torch.no_grad():
        text, mask = pad_texts([TEXTS[0], "a much longer text than it"])
        whole = net(pairs, text, mask).angles
        alone = net(pairs[:1, :15], *pad_texts(TEXTS[:1])).angles
    torch.testing.assert_close(whole[:1, :15], alone)


def test_lines_of_two_lengths_begin_together():
    net = network()
    pairs, text = tokens(net), pad_texts(TEXTS)
    lengths = torch.tensor([9, 14])
    with torch.no_grad():
        whole = net(pairs, *text).angles
        state = net(pairs[:, :14], *text, lengths=lengths).state
        following = torch.stack([pairs[0, 9:14], pairs[1, 14:19]])
        rest = net(following, state=state).angles
        other = net(following[:, :2], state=state).state
        stepped, _ = net.step(following[:, 2], other)
    torch.testing.assert_close(rest[0], whole[0, 9:14])
    torch.testing.assert_close(rest[1], whole[1, 14:19])
    torch.testing.assert_close(stepped.angles[:, 0], rest[:, 2])


def test_nothing_is_read_from_the_future():
    net = network()
    pairs, text = tokens(net), pad_texts(TEXTS)
    other = pairs.clone()
    other[:, 12:] = tokens(net, seed=2)[:, 12:]
    with torch.no_grad():
        before, after = net(pairs, *text).angles, net(other, *text).angles
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


def test_the_text_matters_where_it_is_written():
    net = network()
    pairs = tokens(net)
    with torch.no_grad():
        one = net(pairs, *pad_texts(TEXTS)).angles
        two = net(pairs, *pad_texts(["ab cx", "e fg h"])).angles
    moved = (one - two).abs().amax(-1)
    assert moved[0, 8:].min() > 1e-9  # the second word is another
    # the other line keeps its text
    assert moved[1].max() == 0


def test_the_track_says_where_the_pen_is():
    net = network()
    pairs = tokens(net)
    track = net.follow(pairs)
    positions = net.tokens.decode(pairs[0])[:, :2].double().cumsum(0)
    at = pairs[0, :, 0] < net.tokens.angles
    torch.testing.assert_close(
        torch.stack([track.x[0, at], track.y[0, at]], 1), positions, atol=1e-5, rtol=0
    )
    assert track.word[1].tolist() == [0] * 4 + [1] * 11 + [2] * 9
    assert track.points[0, :10].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    # the pen may have gone back for a bar
    assert track.begin[0, 6] == 0 and track.begin[0, 7] == track.x[0, :8].max()
    assert track.begin[0, 7] > track.x[0, 7]


def test_letters_stand_in_their_words():
    net = network()
    read = net.read(*pad_texts(["ab cd"]))
    assert read.word.tolist() == [[0, 0, 0, 1, 1, 1]]
    width = torch.nn.functional.softplus(net.widths.weight[:, 0])
    text = pad_texts(["ab cd"])[0][0]
    for i, begin in enumerate([0, 0, 0, 3, 3, 3]):
        wanted = width[text[begin:i]].sum() + width[text[i]] / 2
        torch.testing.assert_close(read.place[0, i], wanted)


def test_attention_maps_are_those_of_forward():
    net = network(layers=1)
    pairs, text = tokens(net), pad_texts(TEXTS)
    maps = net.attention_maps(pairs, *text)
    assert maps.shape == (2, 1, 3, LENGTH, 7)
    torch.testing.assert_close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    # with the values of one character put out, forward changes where the map says so
    layer, read = net.layers[0], net.read(*text)
    seen = []
    original = layer.text.look
    layer.text.look = lambda at, known, bias: (
        seen.append(layer.text.look_weights(at, known, bias))
        or original(at, known, bias=bias)
    )
    net(pairs, *text)
    torch.testing.assert_close(seen[0], maps[:, 0])
    assert (maps[0, 0, :, :7, 3:6] == 0).all()  # the second word has not begun
    assert read.mask.sum() == 13


def test_gradients_reach_every_weight():
    net = network().train()
    pairs, text = tokens(net), pad_texts(TEXTS)
    out = net(pairs, *text, pairs[..., 0].roll(-1, 1).clamp_max(15))
    (out.angles.square().sum() + out.shots.square().sum()).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_what_cannot_be_built_is_refused():
    with pytest.raises(InputError, match="5 heads"):
        CursiveDecoder(CursiveConfig(width=12, heads=5))
    with pytest.raises(InputError, match="shortest"):
        CursiveDecoder(CursiveConfig(shortest=20.0))
