"""Offsets and positions, strokes, smoothing, slant and thinning."""

import math
from itertools import pairwise

import pytest
import torch

from handwriting_lib.ink import (
    Corpus,
    check_ink,
    from_strokes,
    letter_body_height,
    offsets_to_positions,
    positions_to_offsets,
    slant,
    smooth,
    thin,
    to_strokes,
)


def curve(points=200, turns=2.0, length=10.0):
    """A densely read spiral arm, as one stroke."""
    t = torch.linspace(0, 1, points, dtype=torch.double)
    angle = turns * 2 * math.pi * t
    return torch.stack([length * t + angle.cos(), angle.sin()], 1)


def polyline(*corners, step=0.05):
    """Straight lines through `corners`, read every `step`."""
    rows = [torch.tensor(corners[0]).double()[None]]
    for a, b in pairwise(corners):
        a, b = torch.tensor(a).double(), torch.tensor(b).double()
        n = round(float((b - a).norm()) / step)
        rows.append(a + (b - a) * torch.arange(1, n + 1)[:, None] / n)
    return torch.cat(rows)


def test_positions_and_offsets_are_inverse():
    ink = torch.randn(3, 50, 3, dtype=torch.double)
    ink[:, 0, :2] = 0
    back = positions_to_offsets(offsets_to_positions(ink))
    torch.testing.assert_close(back, ink)


def test_the_first_offset_is_zero_wherever_the_line_starts():
    far = torch.tensor([[1000.0, -50.0, 0.0], [1001.0, -49.0, 1.0]])
    ink = positions_to_offsets(far)
    assert ink.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_positions_do_not_drift_over_a_long_line():
    # float32 sums of 100,000 steps of .1 are off by several units
    ink = torch.tensor([[0.1, 0.0, 0.0]]).expand(100_000, 3)
    assert float(offsets_to_positions(ink)[-1, 0]) == pytest.approx(10_000, abs=0.01)


def test_strokes_survive_the_way_through_offsets():
    strokes = [curve(5), curve(1) + 3, curve(7) - 2]
    ink = from_strokes(strokes)
    assert ink.dtype == torch.float32
    assert ink[:, 2].nonzero()[:, 0].tolist() == [4, 5, 12]  # the LAST point of a run
    back = to_strokes(ink)
    for one, other in zip(strokes, back, strict=True):
        moved = one - strokes[0][0]  # the place of the first point is not kept
        torch.testing.assert_close(other.double(), moved, atol=1e-5, rtol=0)


def test_points_after_the_last_lift_are_a_stroke_of_their_own():
    ink = from_strokes([curve(3), curve(4)])
    ink[-1, 2] = 0
    assert [len(s) for s in to_strokes(ink)] == [3, 4]


@pytest.mark.parametrize("strokes", [[], [torch.zeros(0, 2)]])
def test_no_ink_is_an_error(strokes):
    with pytest.raises(ValueError, match="at least one stroke"):
        from_strokes(strokes)


@pytest.mark.parametrize(
    ("ink", "message"),
    [
        (torch.zeros(3), r"shape \(T, 3\).*\(3,\)"),
        (torch.zeros(2, 4), r"\(2, 4\)"),
        (torch.zeros(0, 3), "no points"),
        (torch.tensor([[0, 0, 0], [math.nan, 0, 1]]), "not finite in row 1"),
        (torch.tensor([[0, math.inf, 0.0]]), "not finite in row 0"),
        (torch.tensor([[0, 0, 0.5]]), "must be 0 or 1"),
    ],
)
def test_check_ink_says_what_is_wrong(ink, message):
    with pytest.raises(ValueError, match=message):
        check_ink(ink, "ink")


def test_letter_body_height_ignores_ascenders_and_descenders():
    y = torch.cat([torch.linspace(0, 1, 80), torch.tensor([5.0] * 9 + [-5.0] * 9)])
    positions = torch.stack([torch.arange(98.0), y, torch.zeros(98)], 1)
    height = letter_body_height(positions_to_offsets(positions))
    assert 0.5 < height < 1
    assert letter_body_height(positions_to_offsets(3 * positions)) == pytest.approx(
        3 * height, rel=1e-5
    )
    assert letter_body_height(torch.zeros(1, 3)) == 0


def test_slant_leans_by_the_shear_and_back():
    ink = from_strokes([curve()])
    leaning = slant(ink, 0.4)
    before, after = offsets_to_positions(ink), offsets_to_positions(leaning)
    torch.testing.assert_close(after[:, 0], before[:, 0] + 0.4 * before[:, 1])
    torch.testing.assert_close(after[:, 1:], before[:, 1:])
    torch.testing.assert_close(slant(leaning, -0.4), ink)


def test_smoothing_keeps_stroke_ends_and_calms_the_rest():
    strokes = [curve(40), curve(1) + 20, curve(30) + 30]
    noisy = [s + 0.05 * torch.randn_like(s) for s in strokes]
    ink = from_strokes(noisy)
    calm = to_strokes(smooth(ink))
    for rough, after in zip(to_strokes(ink), calm, strict=True):
        torch.testing.assert_close(after[[0, -1]], rough[[0, -1]], atol=1e-5, rtol=0)
        if len(rough) > 2:
            assert bend(after) < 0.5 * bend(rough)


def bend(xy):
    return float(xy.diff(n=2, dim=0).square().mean())


def test_smoothing_by_nothing_changes_nothing():
    ink = from_strokes([curve(10), curve(2)])
    torch.testing.assert_close(smooth(ink, 0), ink)
    torch.testing.assert_close(smooth(ink[:1]), ink[:1])
    with pytest.raises(ValueError, match=r"0\.7"):
        smooth(ink, 0.7)


@pytest.mark.parametrize("angle", [None, 1.0])
def test_thinning_keeps_every_stroke_and_both_its_ends(angle):
    strokes = [curve(400), curve(1) + 20, curve(2) + 30, curve(300) - 9]
    ink = from_strokes(strokes)
    thinned, rows = thin(ink, 0.3, angle)
    assert len(thinned) < 0.5 * len(ink)
    assert thinned[:, 2].sum() == len(strokes)
    ends = ink[:, 2].nonzero()[:, 0]
    starts = torch.cat([torch.tensor([0]), ends[:-1] + 1])
    assert set(ends.tolist()) | set(starts.tolist()) <= set(rows.tolist())
    kept = offsets_to_positions(ink)[rows]
    torch.testing.assert_close(offsets_to_positions(thinned), kept, atol=1e-4, rtol=0)


@pytest.mark.parametrize("angle", [None, 1.0])
def test_thinned_rows_index_what_belongs_to_points(angle):
    ink = from_strokes([curve(80), curve(40) + 5])
    character_of_point = torch.arange(len(ink)) // 10
    _, rows = thin(ink, 0.5, angle)
    assert (rows.diff() > 0).all()
    kept = character_of_point[rows]
    assert kept[0] == 0 and kept[-1] == 11
    assert (kept.diff() >= 0).all()


def test_thinning_spaces_points_by_the_distance():
    ink = from_strokes([polyline((0.0, 0.0), (10.0, 0.0))])
    thinned, _ = thin(ink, 0.25)
    torch.testing.assert_close(thinned[1:, 0], torch.full((40,), 0.25))


def test_thinning_keeps_corners_when_turning_counts():
    corner = (1.03, 0.0)
    ink = from_strokes([polyline((0.0, 0.0), corner, (1.03, 1.0), step=0.01)])

    def miss(angle):
        kept = offsets_to_positions(thin(ink, 0.4, angle)[0])[:, :2]
        return float((kept - torch.tensor(corner)).norm(dim=1).min())

    assert miss(None) > 0.15
    assert miss(math.pi / 4) < 0.101  # directions are read a quarter distance apart


def test_small_loops_keep_more_points_than_straight_lines_of_the_same_length():
    t = torch.linspace(0, 2 * math.pi, 100)
    loop = 0.1 * torch.stack([t.cos(), t.sin()], 1)
    straight = torch.stack([0.1 * t, 0 * t], 1)
    assert len(thin(from_strokes([straight]), 0.3, 0.6)[1]) <= 4
    assert len(thin(from_strokes([loop]), 0.3, 0.6)[1]) >= 8


def test_thinning_takes_repeated_points_and_single_points():
    still = torch.zeros(5, 3)
    still[-1, 2] = 1
    assert thin(still, 0.3, 1.0)[1].tolist() == [0, 4]
    assert thin(still[-1:], 0.3, 1.0)[1].tolist() == [0]
    with pytest.raises(ValueError, match="positive"):
        thin(still, 0.0)
    with pytest.raises(ValueError, match="positive"):
        thin(still, 1.0, angle=-1.0)


def test_a_corpus_starts_with_nothing_skipped():
    assert Corpus("c", []).skipped == {}
