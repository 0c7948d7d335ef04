"""Each measure against values worked out by hand or in another way."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.distributions import (
    Categorical,
    MixtureSameFamily,
    MultivariateNormal,
)

from handwriting_lib.data.batches import make_batch, pad_texts
from handwriting_lib.data.transforms import Normalisation
from handwriting_lib.evaluation import measures
from handwriting_lib.evaluation.legibility import Reading
from handwriting_lib.files.models import Model
from handwriting_lib.ink import Sample
from handwriting_lib.networks.feedforward import FeedforwardConfig, FeedforwardPredictor
from handwriting_lib.networks.prediction import PredictionConfig, PredictionNetwork
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.training.ink import batch_loss
from handwriting_lib.writing.lines import Line


@pytest.fixture
def model():
    network = SynthesisNetwork(SynthesisConfig(hidden=8, layers=2, mixtures=3))
    return Model(network.eval(), Normalisation((0.1, -0.2), (0.5, 0.8)))


@pytest.fixture
def samples(scribble):
    return [scribble("ab", 20, seed=1), scribble("abc d", 50, seed=2)]


def as_line(text, path, complete=True, draws=1, ink=None):
    """A written line whose most attended characters are given."""
    phi = torch.nn.functional.one_hot(torch.tensor(path), len(text) + 1).float()
    if ink is None:
        ink = torch.zeros(len(path), 3)
        ink[:, 0] = torch.arange(len(path))
        ink[-1, 2] = 1
    return Line(text, 0, ink, complete, "", 1, draws, phi, None, 0.0)


# --- statistics -------------------------------------------------------------------


def test_bootstrap_of_the_mean_agrees_with_theory():
    values = np.random.default_rng(3).exponential(size=400)
    estimate = measures.bootstrap(measures.mean, values)
    error = values.std() / 400**0.5
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert estimate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_bootstrap_draws_pairs_together():
    a = np.random.default_rng(1).normal(size=50)
    apart = measures.bootstrap(lambda x, y: x.mean(-1) - y.mean(-1), a + 1, a)
    # what differs by one everywhere differs by one in every resample
    assert apart == pytest.approx((1.0, 1.0, 1.0))
    assert measures.bootstrap(measures.median, a, seed=4) == measures.bootstrap(
        measures.median, a, seed=4
    )
    with pytest.raises(ValueError, match="no values to resample"):
        measures.bootstrap(measures.mean, [])


# --- likelihood -------------------------------------------------------------------


def test_likelihood_in_letter_body_heights_is_that_of_the_scaled_density(
    model, samples
):
    found = measures.likelihood(model, samples)
    nats, squares, points = 0.0, 0.0, 0
    std = torch.tensor(model.normalisation.std)
    for s in samples:  # the density over letter-body heights itself, line by line
        batch = make_batch([s], model.normalisation)
        with torch.no_grad():
            mixture = model.network(
                batch.ink[:, :-1], batch.text, batch.text_mask
            ).mixture()
        mu = mixture.mu * std + torch.tensor(model.normalisation.mean)
        sx, sy = (mixture.log_sigma.exp() * std).unbind(-1)
        both = mixture.rho * sx * sy
        rows = [torch.stack([sx**2, both], -1), torch.stack([both, sy**2], -1)]
        density = MixtureSameFamily(
            Categorical(logits=mixture.log_pi),
            MultivariateNormal(mu, torch.stack(rows, -2)),
        )
        offset = density.log_prob(s.ink[None, 1:, :2])
        pen = mixture.end_log_prob(s.ink[None, 1:, 2])
        nats -= float((offset + pen).sum())
        squares += float((density.mean - s.ink[None, 1:, :2]).square().sum())
        points += len(s.ink) - 1
    assert (found.lines, found.points) == (2, points) == (2, 68)
    assert found.body_nats_per_point == pytest.approx(nats / points, rel=1e-5)
    assert found.body_nats_per_line == pytest.approx(nats / 2, rel=1e-5)
    assert found.body_sse == pytest.approx(squares / points, rel=1e-4)


@pytest.mark.parametrize(
    "network",
    [
        SynthesisNetwork(SynthesisConfig(hidden=8, layers=2, mixtures=3)),
        PredictionNetwork(PredictionConfig(hidden=8, layers=2, mixtures=3)),
        FeedforwardPredictor(FeedforwardConfig(hidden=8, mixtures=3)),
    ],
    ids=lambda network: type(network).__name__,
)
def test_likelihood_is_the_loss_of_training(network, samples):
    model = Model(network, Normalisation((0.1, -0.2), (0.5, 0.8)))
    found = measures.likelihood(model, samples)
    with torch.no_grad():
        loss = batch_loss(network, make_batch(samples, model.normalisation)).item()
    assert found.nats_per_point == pytest.approx(loss, rel=1e-5)
    assert found.nats_per_line == pytest.approx(loss * 68 / 2, rel=1e-5)
    log_jacobian = np.log(0.5) + np.log(0.8)
    assert found.body_nats_per_point == pytest.approx(loss + log_jacobian, rel=1e-4)


def test_a_likelihood_that_is_not_finite_is_an_error(model, samples):
    with torch.no_grad():
        model.network.output.bias[0] = float("nan")
    with pytest.raises(FloatingPointError, match="have diverged"):
        measures.likelihood(model, samples)


# --- pace -------------------------------------------------------------------------


def test_speed_variation_leaves_moves_in_the_air_out():
    ink = torch.tensor(
        [[0, 0, 0], [1, 0, 0], [0, 2, 0], [3, 0, 1], [50, 9, 0], [0, -2, 1]],
    ).float()
    # speeds 1, 2, 3, 2: mean 2, deviation sqrt(.5)
    assert measures.speed_variation(ink) == pytest.approx(0.5**0.5 / 2)
    assert measures.speed_variation(ink * torch.tensor([7.0, 7.0, 1.0])) == (
        pytest.approx(0.5**0.5 / 2)
    )
    assert measures.speed_variation(ink[:2]) == 0.0


def test_pace_compares_lines_with_human_ones(scribble):
    human = [scribble("abcd", points, seed=points) for points in (40, 44, 48)]
    written = [
        as_line("abcd", [0] * points, ink=torch.tensor([[1.0, 0.0, 0.0]] * points))
        for points in (42, 80)
    ]
    found = measures.pace(human, written)
    assert found.human_points_per_character == pytest.approx((11, 11, 10.1, 11.9))
    assert found.points_per_character.mean == pytest.approx((10.5 + 20) / 2)
    assert found.points_inside == 0.5
    # the pen of these lines has one speed
    assert found.speed_variation == pytest.approx((0, 0, 0, 0))
    assert found.speed_inside == 0
    assert found.human_speed_variation.low > 0.05


# --- attention --------------------------------------------------------------------


def test_attention_is_that_of_writing_step_by_step(model, samples):
    phis = measures.attention(model, samples)
    for s, phi in zip(samples, phis, strict=True):
        batch = make_batch([s], model.normalisation)
        state = model.network.initial_state(1)
        rows = []
        for t in range(len(s.ink)):
            with torch.no_grad():
                _, state, row = model.network.step(
                    batch.ink[:, t], state, batch.text, batch.text_mask
                )
            rows.append(row[0])
        torch.testing.assert_close(phi, torch.stack(rows), rtol=1e-4, atol=1e-6)


def test_alignment_counts_points_not_lines():
    first = Sample("abc", torch.zeros(5, 3), "w1", "x").replace(
        character_of_point=torch.tensor([0, 0, 1, 2, 2])
    )
    second = first.replace(writer="w2", ink=torch.zeros(2, 3)).replace(
        character_of_point=torch.tensor([0, 2])
    )
    phis = [as_line("abc", path).phi for path in ([1, 0, 1, 1, 3], [0, 0])]
    found = measures.alignment(phis, [first, second])
    assert (found.writers, found.lines, found.points) == (2, 2, 5)
    # the distances are 0 0 1 1, and 2 for the second line
    assert (found.exact, found.within_one) == pytest.approx((2 / 5, 4 / 5))
    # from the windows before: 1 1 1 1, and 2
    assert found.exact_before == 0
    assert found.within_one_before == pytest.approx(4 / 5)


def test_alignment_needs_aligned_lines(samples):
    with pytest.raises(ValueError, match="aligned"):
        measures.alignment([torch.zeros(20, 3), torch.zeros(50, 6)], samples)
    with pytest.raises(ValueError, match="aligned"):
        measures.alignment([], [])


# --- completeness and legibility --------------------------------------------------


def test_completeness_and_those_that_cannot_be_read():
    lines = [
        as_line("ab", [0, 1, 2]),
        as_line("ab", [0, 1, 2], draws=3),
        as_line("ab", [0, 1, 2], draws=2),
        as_line("ab", [0, 1, 1], complete=False, draws=1),
    ]
    readings = [Reading("ab", "ab", 0), Reading("ab", "ax", 1), Reading("ab", "", 2)]
    found = measures.completeness(lines, 5, [*readings, Reading("ab", "", 2)])
    # half the characters wrong is not more than half
    assert found == (4, 0.25, 0.75, 5, pytest.approx(1 / 3))
    assert measures.completeness(lines, 0).unreadable is None


def test_legibility_is_of_lines_and_of_characters():
    readings = [Reading("a" * 10, "", 1), Reading("bb", "", 2), Reading("ccc", "", 0)]
    found = measures.legibility(readings)
    assert found.lines == 3
    assert found.mean.value == pytest.approx((0.1 + 1 + 0) / 3)
    assert found.median.value == pytest.approx(0.1)
    assert found.characters == pytest.approx(3 / 15)
    assert found.mean.low < found.mean.value < found.mean.high


def test_difference_is_of_the_same_texts():
    human = [Reading("abcd", "", e) for e in (0, 1, 2)]
    written = [Reading("abcd", "", e) for e in (1, 2, 3)]
    found = measures.difference(human, written)
    assert found.mean == pytest.approx((0.25, 0.25, 0.25))
    assert found.median.value == pytest.approx(0.25)
    with pytest.raises(ValueError, match="same texts"):
        measures.difference(human, [Reading("other", "", 0)] * 3)


# --- damage -----------------------------------------------------------------------


def test_cut_ends_inside_the_text():
    line = as_line("abcd", [0, 0, 1, 1, 2, 2, 3, 3, 4])
    lengths = set()
    for seed in range(30):
        ink = measures.cut(line, random.Random(seed))
        lengths.add(len(ink))
        torch.testing.assert_close(ink[:-1], line.ink[: len(ink) - 1])
        assert ink[-1, 2] == 1
    assert lengths == {2, 4, 6}  # after a, b or c
    assert line.ink[:-1, 2].sum() == 0  # the line itself is as it was


def test_repeat_writes_one_word_twice():
    line = as_line("ab cd", [0, 1, 1, 2, 3, 4, 4, 5])
    line.ink[2, 2] = 1
    drawn = [measures.repeat(line, random.Random(seed)) for seed in range(20)]
    # offsets tell the rows apart; nothing leads to the first word, so a move is made
    first = [0, 1, 2, measures.BREAK, 1, 2, 3, 4, 5, 6, 7]
    second = [0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7]
    assert {tuple(ink[:, 0].tolist()) for ink in drawn} == {tuple(first), tuple(second)}
    for ink in drawn:  # the pen is lifted before the word is written again
        again = first if ink[3, 0] == measures.BREAK else second
        ends = [2, 5, 10] if again is first else [2, 6, 9, 10]
        assert ink[:, 2].nonzero()[:, 0].tolist() == ends


def test_run_on_is_the_line_and_another():
    a, b = as_line("ab", [0, 1, 2]), as_line("cde", [0, 1, 2, 3])
    ink = measures.run_on(a, b)
    torch.testing.assert_close(ink[:3], a.ink)
    assert ink[3, :2].tolist() == [measures.BREAK, 0]
    torch.testing.assert_close(ink[4:], b.ink[1:])


def calm(phi):
    """What a network that nothing surprises makes of a line."""
    return measures.Reread(phi, torch.zeros(len(phi) - 1))


def test_no_stroke_may_begin_after_the_end():
    line = as_line("ab", [0, 1, 2, 2, 2])
    assert measures.check_ink(line.ink, calm(line.phi), "ab") == ""
    line.ink[1, 2] = 1  # lifted before the window was at the end
    assert measures.check_ink(line.ink, calm(line.phi), "ab") == ""
    line.ink[2, 2] = 1
    assert "went on" in measures.check_ink(line.ink, calm(line.phi), "ab")
    assert "ended" in measures.check_ink(line.ink[:2], calm(line.phi[:2]), "ab")


def test_a_point_that_surprises_is_named():
    line = as_line("ab", [0, 1, 1, 2])
    read = calm(line.phi)
    read.nats[1] = measures.SURPRISE
    assert measures.check_ink(line.ink, read, "ab") == ""
    read.nats[1] += 0.1
    assert measures.check_ink(line.ink, read, "ab").startswith("point 3 does not")


def test_reread_gives_the_density_of_each_point(model):
    a, b = (as_line(text, [0] * (len(text) + 3)) for text in ("ab", "cdefg"))
    samples = [Sample(x.text, x.ink, "", "here") for x in (b, a)]
    for read, sample in zip(measures.reread(model, samples), samples, strict=True):
        ink = model.normalisation.apply(sample.ink)
        ink[0, :2] = 0  # "no offset yet", as in training
        text, mask = pad_texts([sample.text])
        out = model.network(ink[None], text, mask)
        told = out.mixture().log_prob(ink[None].roll(-1, 1))[0, :-1]
        torch.testing.assert_close(read.nats, -told)
        torch.testing.assert_close(read.phi, out.phi[0])


def test_damage_counts_what_is_flagged(model, monkeypatch):
    lines = [as_line("ab cd", [0, 1, 1, 2, 3, 4, 4, 5]) for _ in range(4)]
    told = []

    def reread(model, samples):
        told.append([s.source for s in samples])
        good = calm(as_line("ab cd", [0, 1, 2, 3, 4, 5]).phi)
        bad = calm(as_line("ab cd", [0, 1, 1]).phi)
        # half of the whole lines and of the repeated ones are flagged, and all others
        ok = 2 if samples[0].source in ("whole", "repeated") else 0
        return [good] * ok + [bad] * (4 - ok)

    monkeypatch.setattr(measures, "reread", reread)
    monkeypatch.setattr(measures, "repeat", lambda line, generator: line.ink)
    found = measures.damage(model, [*lines, as_line("ab", [0], complete=False)])
    assert found == (4, 0.5, 1.0, 0.5, 1.0, pytest.approx(2.5 / 3))
    assert told == [[k] * 4 for k in ("whole", "cut", "repeated", "run_on")]
    with pytest.raises(ValueError, match="two complete lines"):
        measures.damage(model, lines[:1])
