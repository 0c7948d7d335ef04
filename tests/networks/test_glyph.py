"""The glyph decoder: what it sees and what not, and its cache."""

import pytest
import torch

from handwriting_lib.errors import InputError
from handwriting_lib.networks import build_network
from handwriting_lib.networks.glyph import ReferenceRows

SIZES = {"symbols": 5, "grid": 16, "points": 12, "width": 16, "layers": 2, "heads": 2}


@pytest.fixture(params=["absolute", "relative", "both"])
def network(request):
    kinds = {"absolute": request.param != "relative",
             "relative": request.param != "absolute"}  # fmt: skip
    return build_network("glyph", SIZES | kinds).eval()


def rows_of(network, *shape):
    tokens = network.tokens
    limits = torch.tensor([5, tokens.no_x, tokens.no_y])
    return (torch.rand(*shape, 3) * limits).long()


def references_of(network, fonts, length):
    return ReferenceRows(
        rows_of(network, fonts, length),
        torch.ones(fonts, length, dtype=torch.bool),
        torch.randint(5, (fonts, length)),
        torch.arange(length).expand(fonts, -1),
    )


def test_it_sees_what_was_drawn_and_nothing_that_comes(network):
    rows, told = rows_of(network, 1, 8), (torch.tensor([3]), torch.tensor([1]))
    out = network(rows, *told)
    for t in range(8):
        changed = rows.clone()
        changed[0, t] = rows_of(network)
        hidden = network(changed, *told).hidden
        away = (hidden - out.hidden).abs().amax(-1)[0]
        assert (away[:t] < 1e-5).all()
        assert torch.equal(changed, rows) or away[t] > 1e-4


def test_it_is_told_character_style_and_references(network):
    rows, character = rows_of(network, 1, 4), torch.tensor([3])
    style, references = torch.tensor([1]), references_of(network, 1, 6)
    out = network(rows, character, style, references).hidden
    for other in (
        network(rows, torch.tensor([2]), style, references),
        network(rows, character, torch.tensor([0]), references),
        network(rows, character, style, references_of(network, 1, 6)),
        network(rows, character, style),
    ):
        assert (other.hidden - out).abs().max() > 1e-4


def test_the_glyphs_of_a_font_read_their_own_references(network):
    rows, references = rows_of(network, 6, 4), references_of(network, 3, 5)
    character, style = torch.arange(6) % 5, torch.tensor([0, 0, 1, 1, 2, 2])
    together = network(rows, character, style, references).hidden
    for i in range(6):
        own = ReferenceRows(*(part[i // 2 : i // 2 + 1] for part in references))
        alone = network(rows[i : i + 1], character[i : i + 1], style[i : i + 1], own)
        torch.testing.assert_close(alone.hidden[0], together[i], atol=1e-5, rtol=0)


def test_padding_of_references_changes_nothing(network):
    rows, references = rows_of(network, 1, 4), references_of(network, 1, 7)
    told = (torch.tensor([3]), torch.tensor([1]))
    mask = references.mask.clone()
    mask[:, 5:] = False
    short = ReferenceRows(*(part[:, :5] for part in references))
    torch.testing.assert_close(
        network(rows, *told, references._replace(mask=mask)).hidden,
        network(rows, *told, short).hidden,
        atol=1e-5,
        rtol=0,
    )
    none = ReferenceRows(*(part[:, :0] for part in references))
    torch.testing.assert_close(
        network(rows, *told, none).hidden, network(rows, *told).hidden
    )


@pytest.mark.parametrize("fonts", [1, 4])
def test_step_by_step_equals_all_at_once(network, fonts):
    rows, references = rows_of(network, 4, 7), references_of(network, fonts, 5)
    told = (torch.arange(4), torch.zeros(4, dtype=torch.int64))
    whole = network(rows, *told, references).hidden
    out = network(rows[:, :2], *told, references)
    pieces, state = [out.hidden], out.state
    for t in range(2, 5):
        out, state = network.step(rows[:, t], state)
        pieces.append(out.hidden)
    kept = torch.tensor([0, 3])  # the others have ended
    torch.testing.assert_close(torch.cat(pieces, 1), whole[:, :5], atol=1e-5, rtol=0)
    state = state.select(kept)
    for t in (5, 6):
        out, state = network.step(rows[kept, t], state)
        torch.testing.assert_close(out.hidden[:, 0], whole[kept, t], atol=1e-5, rtol=0)


def test_scores_of_coordinates_know_what_came_before_them(network):
    rows, told = rows_of(network, 2, 5), (torch.arange(2), torch.arange(2))
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]).bool()
    following = rows_of(network, 2, 5)
    out = network(rows, *told, None, following, mask)
    whole = network(rows, *told, None, following)
    assert out.across.shape == (6, network.tokens.no_x)
    torch.testing.assert_close(out.up, whole.up[mask])
    torch.testing.assert_close(out.kinds, whole.kinds[mask])
    kind, x, _ = following.unbind(-1)
    torch.testing.assert_close(whole.up, network.up(whole.hidden, rows, kind, x))
    other_x = network.up(whole.hidden, rows, kind, (x + 1) % 5)
    assert (other_x - whole.up).abs().max() > 1e-5
    other_kind = network.across(whole.hidden, rows, (kind + 1) % 5)
    assert (other_kind - whole.across).abs().max() > 0


def test_a_program_has_a_length(network):
    with pytest.raises(InputError, match="13 rows is too long"):
        network(rows_of(network, 1, 14), torch.tensor([0]), torch.tensor([0]))
    assert network(rows_of(network, 1, 13), torch.tensor([0]), torch.tensor([0]))


def test_offsets_are_scored_from_the_point_before():
    network = build_network("glyph", SIZES | {"absolute": False, "relative": True})
    hidden, kind = torch.randn(16), torch.tensor(3)
    here, there = torch.tensor([[2, 9, 12], [3, 14, 10]])  # points, 5 and -2 apart
    torch.testing.assert_close(
        network.across(hidden, there, kind)[5:], network.across(hidden, here, kind)[:-5]
    )
    x = torch.tensor(4)
    torch.testing.assert_close(
        network.up(hidden, there, kind, x)[:-2], network.up(hidden, here, kind, x)[2:]
    )
    # an advance is no place: what follows is scored from the origin, as after an end
    after = torch.tensor([[1, 9, network.tokens.no_y], [0, 20, 21]])
    scores = network.across(hidden.expand(2, -1), after, kind.expand(2))
    assert torch.equal(scores[0], scores[1])


def test_coordinates_are_scored_somehow():
    with pytest.raises(InputError, match="absolute or relative"):
        build_network("glyph", SIZES | {"absolute": False})
