"""Padding, masks and length buckets."""

import math

import pytest
import torch

from handwriting_lib.alphabet import encode
from handwriting_lib.data.batches import LengthBuckets, make_batch, pad_texts
from handwriting_lib.data.transforms import Augmentation, Normalisation, augment
from handwriting_lib.ink import Sample

UNIT = Normalisation((0.1, -0.2), (0.5, 2.0))


def lines(count=3000, seed=0):
    """Samples without content, with the lengths of real lines: 28 characters or so."""
    generator = torch.Generator().manual_seed(seed)
    lengths = (5.8 + 0.5 * torch.randn(count, generator=generator)).exp().int().tolist()
    return [
        Sample("x", torch.zeros(max(20, min(1500, n)), 3), "w", f"file#{i}")
        for i, n in enumerate(lengths)
    ]


def test_masks_tell_ink_from_padding(scribble):
    samples = [scribble("ab", points=12), scribble("abcd", points=30, seed=1)]
    batch = make_batch(samples, UNIT)
    assert batch.ink.shape == (2, 30, 3)
    assert batch.text.shape == (2, 5)
    assert batch.mask.sum(1).tolist() == [12, 30]
    assert batch.text_mask.sum(1).tolist() == [3, 5]  # with the end slot
    assert batch.mask[0, :12].all() and batch.text_mask[0, :3].all()
    assert (batch.ink[0, 12:] == 0).all()  # not the normalised image of zero
    assert (batch.text[0, 3:] == 0).all()
    for row, sample in enumerate(samples):
        length = len(sample.ink)
        inked = batch.ink[row, 1:length]
        torch.testing.assert_close(inked, UNIT.apply(sample.ink)[1:])
        known = batch.text[row, : len(sample.text) + 1]
        assert torch.equal(known, encode(sample.text))


def test_every_point_but_the_first_of_a_line_is_a_target(scribble):
    lines = [scribble(points=points) for points in (9, 40, 25)]
    assert make_batch(lines).targets == 8 + 39 + 24


def test_a_line_starts_with_no_offset_in_network_units_too(scribble):
    batch = make_batch([scribble(), scribble(points=5)], UNIT)
    assert (batch.ink[:, 0, :2] == 0).all()


def test_neighbours_change_nothing(scribble):
    one, other = scribble("ab", points=12), scribble("abcd", points=30, seed=1)
    alone, together = make_batch([one], UNIT), make_batch([one, other], UNIT)
    assert torch.equal(together.ink[:1, :12], alone.ink)
    assert torch.equal(together.text[:1, :3], alone.text)


def test_every_so_many_lines_of_a_batch(scribble):
    batch = make_batch([scribble("ab", points=20, seed=seed) for seed in range(5)])
    for first, chosen in ((None, [0, 2, 4]), (1, [1, 3])):
        some = batch.every(2) if first is None else batch.every(2, first)
        for mine, whole in zip(some.tensors(), batch.tensors(), strict=True):
            assert torch.equal(mine, whole[chosen])


def test_a_batch_needs_samples_and_good_texts(scribble):
    with pytest.raises(ValueError, match="at least one"):
        make_batch([])
    with pytest.raises(ValueError, match="ü"):
        make_batch([scribble("grün")])
    with pytest.raises(ValueError, match="empty"):
        pad_texts(["a", ""])
    with pytest.raises(ValueError, match="generator"):
        make_batch([scribble()], UNIT, Augmentation())


def test_augmentation_comes_before_normalisation(scribble):
    sample = scribble()
    batch = make_batch([sample], UNIT, Augmentation(), torch.Generator().manual_seed(3))
    changed = augment(sample.ink, Augmentation(), torch.Generator().manual_seed(3))
    torch.testing.assert_close(batch.ink[0, 1:], UNIT.apply(changed)[1:])


def test_a_batch_moves_as_one(scribble, device):
    batch = make_batch([scribble()]).to(device)
    assert {tensor.device.type for tensor in batch.tensors()} == {device.type}


# --- buckets ---------------------------------------------------------------------


def test_a_draw_is_a_function_of_the_generator():
    samples = lines(300)
    one, other = LengthBuckets(samples), LengthBuckets(list(reversed(samples)))

    def sources(buckets, seed):
        drawn = buckets.draw(torch.Generator().manual_seed(seed))
        return [s.source for s in drawn]

    assert sources(one, 5) == sources(one, 5) == sources(other, 5)
    assert sources(one, 5) != sources(one, 6)


def test_a_draw_holds_distinct_samples_of_about_one_length():
    buckets = LengthBuckets(lines(), points=9600)
    generator = torch.Generator().manual_seed(0)
    padding = ink = 0
    for _ in range(200):
        drawn = buckets.draw(generator)
        lengths = [len(s.ink) for s in drawn]
        assert len({s.source for s in drawn}) == len(drawn)
        assert len(lengths) * max(lengths) <= 1.25 * 9600
        ink += sum(lengths)
        padding += len(lengths) * max(lengths) - sum(lengths)
    assert padding < 0.1 * ink


def test_a_small_corpus_makes_small_batches():
    # with neighbours by number alone, one batch held twenty times its points
    for count in (30, 300):
        buckets = LengthBuckets(lines(count), points=9600)
        generator = torch.Generator().manual_seed(0)
        for _ in range(100):
            lengths = [len(s.ink) for s in buckets.draw(generator)]
            assert len(lengths) * max(lengths) <= 1.25 * 9600
            assert min(lengths) >= 0.6 * max(lengths)


def test_draws_reach_every_sample():
    buckets = LengthBuckets(lines(200), points=4000)
    generator = torch.Generator().manual_seed(0)
    seen = {s.source: 0 for s in buckets.samples}
    for _ in range(2000):
        for s in buckets.draw(generator):
            seen[s.source] += 1
    counts = torch.tensor(list(seen.values())).double()
    assert counts.min() > 0.03 * counts.mean()  # the ends have fewer neighbours


def test_in_order_covers_every_sample_once():
    samples = lines(500)
    batches = LengthBuckets(samples, points=4000, largest=32).in_order()
    sources = [s.source for batch in batches for s in batch]
    assert sorted(sources) == sorted(s.source for s in samples)
    for batch in batches:
        longest = max(len(s.ink) for s in batch)
        assert len(batch) <= 32
        assert len(batch) == 1 or len(batch) * longest <= 4000
    lengths = [len(s.ink) for batch in batches for s in batch]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_samples_make_batches_too(count):
    buckets = LengthBuckets(lines(count), points=100)
    assert len(buckets) == count
    for seed in range(20):
        drawn = buckets.draw(torch.Generator().manual_seed(seed))
        assert 1 <= len(drawn) <= count
    assert math.fsum(map(len, buckets.in_order())) == count


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        LengthBuckets([])
