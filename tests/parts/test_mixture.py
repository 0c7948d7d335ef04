"""The mixture against torch.distributions, scipy and its own draws."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from torch.distributions import (
    Bernoulli,
    Categorical,
    MixtureSameFamily,
    MultivariateNormal,
)

from handwriting_lib.parts.mixture import (
    SIGMA_FLOOR,
    StrokeMixture,
    draw_noise,
    mixture_loss,
)

DOUBLE = torch.double
DRAWS = 200_000
ERRORS = 4.5  # tolerance of statistics, in standard errors: one false alarm in 100,000


def random_mixture(*shape, components=5, dtype=DOUBLE):
    output = torch.randn(*shape, 6 * components + 1, dtype=dtype)
    return StrokeMixture.from_output(output)


def random_points(*shape, dtype=DOUBLE):
    points = torch.randn(*shape, 3, dtype=dtype)
    points[..., 2] = (points[..., 2] > 0).to(dtype)
    return points


def one_gaussian(rho, sigma=(0.3, 0.3), mu=(0.0, 0.0), end=0.0):
    return StrokeMixture(
        torch.zeros(1),
        torch.tensor([mu]),
        torch.tensor([sigma]).log(),
        torch.tensor([rho]),
        torch.tensor(end),
    )


def matrices(mixture):
    """Covariance matrices of the components, (..., M, 2, 2)."""
    s_x, s_y = mixture.log_sigma.exp().unbind(-1)
    cross = mixture.rho * s_x * s_y
    rows = [torch.stack([s_x**2, cross], -1), torch.stack([cross, s_y**2], -1)]
    return torch.stack(rows, -2)


def torch_mixture(mixture):
    return MixtureSameFamily(
        Categorical(logits=mixture.log_pi),
        MultivariateNormal(mixture.mu, matrices(mixture)),
    )


def expand(mixture, count):
    return mixture.expand((count, *mixture.batch_shape))


def assert_mean_and_covariance(offsets, mean, covariance):
    """Of draws (N, 2): within ERRORS standard errors of each entry."""
    count = len(offsets)
    centred = offsets - mean
    errors = offsets.std(0) / math.sqrt(count)
    assert (centred.mean(0).abs() < ERRORS * errors).all()
    products = centred[:, :, None] * centred[:, None, :]
    errors = products.std(0) / math.sqrt(count)
    assert ((products.mean(0) - covariance).abs() < ERRORS * errors).all()


# --- the density -----------------------------------------------------------------


def test_log_prob_is_that_of_torch_distributions(device):
    mixture = random_mixture(4, 7).map(lambda part: part.to(device))
    point = random_points(4, 7).to(device)
    pen = Bernoulli(logits=mixture.end_logit).log_prob(point[..., 2])
    wanted = torch_mixture(mixture).log_prob(point[..., :2]) + pen
    torch.testing.assert_close(mixture.log_prob(point), wanted)


def test_log_prob_is_that_of_scipy():
    mixture, points = random_mixture(), random_points(20)
    covariances = matrices(mixture)
    logs = [
        stats.multivariate_normal(mu.numpy(), sigma.numpy()).logpdf(points[:, :2])
        for mu, sigma in zip(mixture.mu, covariances, strict=True)
    ]
    wanted = logsumexp(np.stack(logs, -1), b=mixture.log_pi.exp().numpy(), axis=-1)
    lift = 1 / (1 + math.exp(-mixture.end_logit))
    wanted += np.log(np.where(points[:, 2] > 0, lift, 1 - lift))
    ours = expand(mixture, 20).log_prob(points)
    np.testing.assert_allclose(ours.numpy(), wanted, rtol=1e-10)


def test_the_density_integrates_to_one():
    mixture = random_mixture(components=3)
    axis = torch.linspace(-30, 30, 1201, dtype=DOUBLE)
    grid = torch.cartesian_prod(axis, axis)
    total = 0.0
    for end in (0.0, 1.0):
        points = torch.cat([grid, torch.full((len(grid), 1), end, dtype=DOUBLE)], 1)
        total += (
            mixture.replace(
                log_pi=mixture.log_pi.expand(1, 3), end_logit=mixture.end_logit[None]
            )
            .log_prob(points)
            .exp()
            .sum()
            * 0.05**2
        )
    assert float(total) == pytest.approx(1, abs=1e-4)


def test_output_is_read_in_the_order_that_it_says():
    m = 2
    output = torch.arange(6.0 * m + 1) / 10
    mixture = StrokeMixture.from_output(output)
    assert mixture.end_logit == output[0]
    torch.testing.assert_close(mixture.log_pi, output[1:3].log_softmax(0))
    torch.testing.assert_close(mixture.mu, torch.tensor([[0.3, 0.5], [0.4, 0.6]]))
    sigma = torch.tensor([[0.7, 0.9], [0.8, 1.0]]).exp() + SIGMA_FLOOR
    torch.testing.assert_close(mixture.log_sigma.exp(), sigma)
    torch.testing.assert_close(mixture.rho, 0.999 * torch.tensor([1.1, 1.2]).tanh())


def test_mean_and_covariance_are_those_of_torch_distributions():
    mixture = random_mixture(6)
    reference = torch_mixture(mixture)
    torch.testing.assert_close(mixture.mean[..., :2], reference.mean)
    torch.testing.assert_close(mixture.mean[..., 2], mixture.end_logit.sigmoid())
    diagonal = mixture.covariance.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(diagonal, reference.variance)
    torch.testing.assert_close(mixture.variance[..., :2], reference.variance)
    lift = torch.distributions.Bernoulli(logits=mixture.end_logit)
    torch.testing.assert_close(mixture.variance[..., 2], lift.variance)
    assert (torch.linalg.eigvalsh(mixture.covariance) > 0).all()


@pytest.mark.parametrize("size", [6, 12, 1, 120])
def test_an_output_of_another_size_is_an_error(size):
    with pytest.raises(ValueError, match=rf"6M \+ 1 numbers, not {size}"):
        StrokeMixture.from_output(torch.zeros(size))


# --- far away --------------------------------------------------------------------


def test_far_tails_have_a_likelihood_and_a_gradient():
    # an epsilon inside the logarithm has left the tails without a gradient, then NaN
    output = torch.randn(5, 121, requires_grad=True)
    for offset in (1e3, -1e3, 1e5):
        point = torch.tensor([[offset, offset, 1.0]]).expand(5, 3)
        log_prob = StrokeMixture.from_output(output).log_prob(point)
        assert torch.isfinite(log_prob).all()
        (gradient,) = torch.autograd.grad(log_prob.sum(), output)
        assert torch.isfinite(gradient).all()
        mu = gradient[:, 21:61]
        assert (mu.abs().amax(1) > 1).all()  # the nearest component is pulled, hard
        exact = StrokeMixture.from_output(output.double()).log_prob(point.double())
        torch.testing.assert_close(log_prob.double(), exact, rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [30.0, -30.0, 80.0, -80.0])
def test_extreme_outputs_make_no_nan(size):
    output = size * torch.randn(64, 31)
    output = output.requires_grad_()
    mixture = StrokeMixture.from_output(output)
    log_prob = mixture.log_prob(random_points(64, dtype=torch.float32))
    (gradient,) = torch.autograd.grad(log_prob.sum(), output)
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(gradient).all()
    sample = mixture.sample(generator=torch.Generator().manual_seed(0))
    assert not torch.isnan(sample).any()


def test_gradients_do_not_stop_at_a_bound():
    # clipping sigma and rho has stopped the gradient at the bound
    raw = torch.zeros(1, 7)
    raw[0, 4:6], raw[0, 6] = -8.0, 3.0  # sigma under its floor, rho near one
    raw.requires_grad_()
    point = torch.tensor([[0.2, -0.2, 0.0]])
    StrokeMixture.from_output(raw).log_prob(point).sum().backward()
    assert (raw.grad[0, 4:].abs() > 1e-3).all()


def test_a_component_cannot_shrink_without_bound():
    raw = torch.full((1, 7), -100.0)
    raw[0, :4], raw[0, 6] = 0.0, 0.0
    density = StrokeMixture.from_output(raw).log_prob(torch.zeros(1, 3))
    bound = -math.log(2 * math.pi * SIGMA_FLOOR**2)
    assert float(density) == pytest.approx(bound + math.log(0.5), rel=1e-5)


# --- draws -----------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.8, -0.8, 0.0])
def test_draws_of_one_gaussian_have_its_covariance(rho):
    # drawing with the covariance in place of its Cholesky factor: .30 becomes .10
    sigma = (0.3, 0.6)
    mixture = one_gaussian(rho, sigma, mu=(1.0, -2.0))
    draws = expand(mixture, DRAWS).sample(generator=torch.Generator().manual_seed(1))
    cross = rho * sigma[0] * sigma[1]
    covariance = torch.tensor([[sigma[0] ** 2, cross], [cross, sigma[1] ** 2]])
    assert_mean_and_covariance(draws[:, :2], torch.tensor([1.0, -2.0]), covariance)


def test_the_check_of_the_covariance_can_fail():
    covariance = torch.tensor([[0.09, 0.045], [0.045, 0.09]])
    normal = torch.randn(DRAWS, 2)
    assert_mean_and_covariance(
        normal @ torch.linalg.cholesky(covariance).T, torch.zeros(2), covariance
    )
    with pytest.raises(AssertionError):
        assert_mean_and_covariance(normal @ covariance, torch.zeros(2), covariance)


def test_draws_have_the_mean_and_covariance_of_their_mixture(device):
    mixture = StrokeMixture(
        torch.tensor([0.5, 0.3, 0.2]).log(),
        torch.tensor([[0.0, 0.0], [3.0, 1.0], [-2.0, 4.0]]),
        torch.tensor([[0.5, 0.2], [1.0, 0.3], [0.1, 0.8]]).log(),
        torch.tensor([0.9, -0.7, 0.0]),
        torch.tensor(-1.0),
    )
    mixture = mixture.map(lambda part: part.to(device))
    draws = expand(mixture, DRAWS).sample(
        generator=torch.Generator(device).manual_seed(2)
    )
    reference = torch_mixture(mixture)
    assert_mean_and_covariance(draws[:, :2], reference.mean, mixture.covariance)
    # each component as often as its weight; they lie far apart
    nearest = torch.cdist(draws[:, :2], mixture.mu).argmin(1)
    share = torch.bincount(nearest, minlength=3) / DRAWS
    torch.testing.assert_close(share, mixture.log_pi.exp(), atol=0.03, rtol=0)


@pytest.mark.parametrize("probability", [0.02, 0.5, 0.95])
def test_the_pen_is_lifted_as_often_as_it_should_be(probability):
    logit = math.log(probability / (1 - probability))
    draws = expand(one_gaussian(0.0, end=logit), DRAWS).sample(
        generator=torch.Generator().manual_seed(3)
    )
    assert set(draws[:, 2].unique().tolist()) == {0.0, 1.0}
    error = math.sqrt(probability * (1 - probability) / DRAWS)
    assert float(draws[:, 2].mean()) == pytest.approx(probability, abs=ERRORS * error)


def test_a_draw_is_a_function_of_the_generator():
    mixture = random_mixture(50)

    def draw(seed):
        return mixture.sample(generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_a_draw_from_noise_does_not_see_its_neighbours():
    mixture = random_mixture(6)
    noise = draw_noise((6,), torch.Generator().manual_seed(1), mixture.mu)
    together = mixture.sample(noise=noise)
    for row in range(6):
        alone = mixture[row]
        torch.testing.assert_close(alone.sample(noise=noise[row]), together[row])
    assert torch.equal(
        together, mixture.sample(generator=torch.Generator().manual_seed(1))
    )


@pytest.mark.parametrize("index", [1, (1, 2), (slice(None), 0), (0, [2, 1])], ids=str)
def test_an_index_chooses_among_the_leading_positions(index):
    mixture = random_mixture(2, 3)
    for part, whole in zip(mixture[index].parts(), mixture.parts(), strict=True):
        torch.testing.assert_close(part, whole[index])


def test_noise_at_its_ends_still_picks_a_component():
    mixture = random_mixture(components=20, dtype=torch.float32)
    # the sum of the weights may be rounded to less than one
    mixture.log_pi.sub_(1e-6)
    for uniform in (0.0, 1.0 - 2**-24):
        noise = torch.tensor([uniform, uniform, 0.0, 0.0])
        sample = mixture.sample(noise=noise)
        assert (sample[:2] == mixture.mu).all(1).any()


# --- bias and temperature ----------------------------------------------------------


def test_bias_sharpens_weights_before_the_softmax_and_sigma_once():
    # shipped elsewhere: a bias after the softmax (no effect), or sigma narrowed twice
    output, bias = torch.randn(4, 31, dtype=DOUBLE), 0.7
    plain = StrokeMixture.from_output(output)
    biased = StrokeMixture.from_output(output, bias)
    pi_hat = output[:, 1:6]
    torch.testing.assert_close(
        biased.log_pi.exp(), torch.softmax(pi_hat * (1 + bias), -1)
    )
    ratio = (biased.log_sigma - plain.log_sigma).exp()
    torch.testing.assert_close(ratio, torch.full_like(ratio, math.exp(-bias)))
    for same in ("mu", "rho", "end_logit"):
        assert torch.equal(getattr(biased, same), getattr(plain, same))


def test_weights_sum_to_one_at_any_bias():
    output = 10 * torch.randn(8, 121)
    for bias in (0.0, 0.15, 3.0, 50.0):
        total = StrokeMixture.from_output(output, bias, 0.5).log_pi.exp().sum(-1)
        torch.testing.assert_close(total, torch.ones(8))


def test_each_line_may_have_a_bias_of_its_own():
    output = torch.randn(3, 31)
    together = StrokeMixture.from_output(output, torch.tensor([0.0, 0.5, 2.0]))
    for row, bias in enumerate((0.0, 0.5, 2.0)):
        alone = StrokeMixture.from_output(output[row], bias)
        for one, other in zip(alone.parts(), together.parts(), strict=True):
            torch.testing.assert_close(one, other[row])


def test_a_large_bias_writes_the_likeliest_mean():
    output = torch.randn(500, 31)
    mixture = StrokeMixture.from_output(output, 200.0)
    likeliest = mixture.mu[torch.arange(500), output[:, 1:6].argmax(-1)]
    sample = mixture.sample(generator=torch.Generator().manual_seed(0))
    close = (sample[:, :2] - likeliest).norm(dim=-1) < 1e-4
    assert close.float().mean() > 0.95  # two weights may be all but equal


def test_temperature_raises_each_distribution_to_its_inverse():
    output, temperature = torch.randn(7, dtype=DOUBLE), 0.4  # one component
    plain = StrokeMixture.from_output(output)
    cold = StrokeMixture.from_output(output, temperature=temperature)
    points = random_points(50)[:, :2]
    constant = (
        expand(cold, 50).component_log_prob(points)
        - expand(plain, 50).component_log_prob(points) / temperature
    )
    torch.testing.assert_close(constant, constant[:1].expand(50, 1))
    torch.testing.assert_close(cold.end_logit, plain.end_logit / temperature)

    output = torch.randn(31, dtype=DOUBLE)
    plain = StrokeMixture.from_output(output)
    cold = StrokeMixture.from_output(output, temperature=temperature)
    weights = plain.log_pi.exp() ** (1 / temperature)
    torch.testing.assert_close(cold.log_pi.exp(), weights / weights.sum())


@pytest.mark.parametrize("bias", [-0.1, math.nan, torch.tensor([0.5, -1.0])])
def test_a_bad_bias_is_an_error(bias):
    with pytest.raises(ValueError, match="bias must be at least 0"):
        StrokeMixture.from_output(torch.zeros(2, 7), bias)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_bad_temperature_is_an_error(temperature):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        StrokeMixture.from_output(torch.zeros(7), temperature=temperature)


# --- the loss ----------------------------------------------------------------------


def test_the_loss_is_the_mean_over_unmasked_points():
    mixture, target = random_mixture(2, 5), random_points(2, 5)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    logs = mixture.log_prob(target)
    wanted = -(logs[0].sum() + logs[1, :2].sum()) / 7
    torch.testing.assert_close(mixture_loss(mixture, target, mask), wanted)


def test_masked_points_have_no_part_in_the_loss():
    # others have counted the loss on padding
    output = torch.randn(2, 5, 31, requires_grad=True)
    target, mask = random_points(2, 5, dtype=torch.float32), torch.ones(2, 5).bool()
    mask[1, 2:] = False
    loss = mixture_loss(StrokeMixture.from_output(output), target, mask)
    (gradient,) = torch.autograd.grad(loss, output)
    assert (gradient[1, 2:] == 0).all()
    assert (gradient[mask].abs().sum(-1) > 0).all()
    target[1, 2:] = 1e6
    assert mixture_loss(StrokeMixture.from_output(output), target, mask) == loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_an_error(value):
    # others have masked NaN to zero and told nobody
    output, target = torch.zeros(1, 3, 7), torch.zeros(1, 3, 3)
    output[0, 1, 2] = value
    with pytest.raises(FloatingPointError, match="run away"):
        mixture_loss(StrokeMixture.from_output(output), target, torch.ones(1, 3).bool())
