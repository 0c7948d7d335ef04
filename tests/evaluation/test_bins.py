"""Probabilities of bins: they add up, and drawn offsets fall into bins as often."""

import pytest
import torch

from handwriting_lib.data.transforms import Normalisation
from handwriting_lib.evaluation.bins import bin_log_prob
from handwriting_lib.parts.mixture import StrokeMixture
from handwriting_lib.tokens.strokes import StrokeTokens

TOKENS = StrokeTokens(angles=24, radii=12)
UNITS = Normalisation((0.1, -0.2), (0.4, 0.3))


@pytest.fixture
def mixture():
    """Three components of different sizes, one of them slanted."""
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn(1, 19, generator=generator, dtype=torch.double)
    raw[:, 10:16] -= 1.0  # sigma
    return StrokeMixture.from_output(raw)


def every_bin():
    return torch.cartesian_prod(torch.arange(24), torch.arange(24))


def test_all_bins_together_are_certain(mixture):
    """And the more so, the more nodes there are."""
    bins = every_bin()
    errors = [
        abs(1 - float(bin_log_prob(whole, bins, TOKENS, UNITS, n).exp().sum()))
        for whole in [mixture.expand((len(bins),))]
        for n in (4, 16, 48)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-9


def test_offsets_fall_into_bins_as_often_as_they_should(mixture):
    draws = 200_000
    generator = torch.Generator().manual_seed(2)
    points = mixture.expand((draws,)).sample(generator=generator).float()
    offsets = UNITS.invert(points)
    # each offset alone, after a first point that has none
    ink = torch.stack([torch.zeros(draws, 3), offsets], 1)
    pairs = torch.stack(TOKENS.encode_all(list(ink)))[:, 1]
    number = pairs[:, 0] * 24 + pairs[:, 1]
    share = torch.bincount(number, minlength=576).double() / draws
    bins = every_bin()
    known = bin_log_prob(mixture.expand((len(bins),)), bins, TOKENS, UNITS).exp()
    deviation = (known * (1 - known) / draws).sqrt()
    assert ((share - known).abs() <= 4.5 * deviation + 1e-5).all()
    assert (known > 0.001).sum() > 40
