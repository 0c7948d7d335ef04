"""The probability that a mixture gives to a bin: one unit for densities and tokens.

A network over tokens gives each bin a probability, and a mixture (Graves 2013, section
4.1) gives each offset a density. The two compare once the density is integrated over
the bin that a token names: `bin_log_prob` does so by Gauss-Legendre quadrature in polar
coordinates. The shortest bins reach down to length 0 and the longest to `FAR` times the
longest length, so that the probabilities of all bins add up to 1, but for what lies
farther away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..alphabet import pad_texts
from ..data.transforms import Normalisation
from ..parts.mixture import StrokeMixture
from ..tokens.strokes import StrokeTokens

NODES = 16  # along each side of a bin
FAR = 3.0  # how far the longest bins reach, in longest lengths: hardly a pen goes there
TOGETHER = 512  # points whose nodes are in memory at once


def bin_log_prob(
    mixture: StrokeMixture,
    pairs: Tensor,
    tokens: StrokeTokens,
    normalisation: Normalisation,
    nodes: int = NODES,
) -> Tensor:
    """Log-probabilities of the bins that tokens name, and of the pen.

    Args:
        mixture: of offsets that were normalised, `(N,)` predictions.
        pairs: `(N, 2)` int64 tokens of points, no marks.
        tokens: the bins, in letter-body heights.
        normalisation: of the network that predicts.
        nodes: number of nodes along each side of a bin. Compare two numbers to see how
            large the error is.

    Returns:
        `(N,)` float64, in nats.

    Example:
        >>> import torch
        >>> one = StrokeMixture.from_output(torch.zeros(1, 7))
        >>> tokens = StrokeTokens(angles=4, radii=2, shortest=0.5, longest=2.0)
        >>> every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        >>> known = bin_log_prob(
        ...     one.expand((16,)), every, tokens, Normalisation(), nodes=32
        ... )
        >>> float(known.exp().sum().round(decimals=4))
        1.0
    """
    angle, shot = pairs.unbind(-1)
    place, weight = (
        torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(nodes)
    )
    place, weight = (place + 1) / 2, weight / 2  # from 0 to 1
    std = torch.tensor(normalisation.std, dtype=torch.float64)
    mean = torch.tensor(normalisation.mean, dtype=torch.float64)
    found = []
    for rows in torch.arange(len(pairs)).split(TOGETHER):
        one = mixture[rows].map(torch.Tensor.double)
        turn = 2 * math.pi / tokens.angles
        theta = turn * (angle[rows, None] - 0.5 + place)  # (n, K)
        radius = (shot[rows] // 2).double()
        inner = tokens.shortest * tokens.factor ** (radius - 0.5)
        outer = tokens.shortest * tokens.factor ** (radius + 0.5)
        inner = inner.where(radius > 0, 0.0)
        outer = outer.where(radius < tokens.radii - 1, FAR * tokens.longest)
        r = inner[:, None] + (outer - inner)[:, None] * place  # (n, K)
        ray = torch.stack([theta.cos(), theta.sin()], -1)  # (n, K, 2)
        offset = ray[:, :, None] * r[:, None, :, None]  # (n, K, K, 2)
        z = ((offset - mean) / std).flatten(1, 2)  # (n, K * K, 2)
        parts = one.map(lambda part: part[:, None])
        density = (
            torch.logsumexp(parts.log_pi + parts.component_log_prob(z), -1)
            - std.log().sum()
        )
        area = weight[:, None] * (weight * r)[:, None]  # (n, K, K)
        area = area * turn * (outer - inner)[:, None, None]
        inside = torch.logsumexp(density + area.flatten(1).log(), -1)
        found.append(inside + one.end_log_prob(shot[rows] % 2))
    return torch.cat(found)


@torch.no_grad()
def mixture_nats(
    network: Any,
    normalisation: Normalisation,
    lines: Sequence[Tensor],
    texts: Sequence[str],
    tokens: StrokeTokens,
    nodes: int = NODES,
) -> list[Tensor]:
    """What each point of lines in tokens costs a network that predicts offsets.

    The network reads the ink that the tokens decode to, without the marks that end
    words, which it does not know.

    Args:
        network: with a mixture at its output, on the CPU, that reads a text.
        normalisation: of the network.
        lines: `(N, 2)` int64 tokens each.
        texts: of the lines.
        tokens: the bins.
        nodes: as in `bin_log_prob`.

    Returns:
        For each line, the nats of each of its points but the first.
    """
    points = [line[line[:, 0] < tokens.angles] for line in lines]
    ink = pad_sequence([tokens.decode(line) for line in points], batch_first=True)
    read = normalisation.apply(ink)[:, :-1]
    mixture = network(read, *pad_texts(texts)).mixture()
    lengths = torch.tensor([len(line) - 1 for line in points])
    asked = torch.arange(read.shape[1]) < lengths[:, None]  # (B, T - 1)
    named = torch.cat([line[1:] for line in points])
    found = bin_log_prob(mixture[asked], named, tokens, normalisation, nodes)
    return list((-found).split(lengths.tolist()))
