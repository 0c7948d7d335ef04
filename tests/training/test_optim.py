"""The paper's RMSprop against a loop over numbers; weight noise against torch's KL."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from handwriting_lib.networks.feedforward import FeedforwardConfig, FeedforwardPredictor
from handwriting_lib.networks.prediction import PredictionConfig, PredictionNetwork
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.training import optim
from handwriting_lib.training.optim import (
    GravesRMSprop,
    WeightNoise,
    build_optimisers,
    description_length,
    fit_prior,
)

DOUBLE = torch.double


# --- RMSprop -----------------------------------------------------------------------


def by_loops(start, gradients, rate, decay, momentum, eps):
    """Graves 2013, eqs 38 to 41, one weight of one matrix at one step at a time."""
    w = start.numpy().copy()
    n, g, step = (np.zeros_like(w) for _ in range(3))
    for gradient in gradients:
        for row in range(w.shape[0]):
            for column in range(w.shape[1]):
                e, at = float(gradient[row, column]), (row, column)
                n[at] = decay * n[at] + (1 - decay) * e * e
                g[at] = decay * g[at] + (1 - decay) * e
                root = math.sqrt(n[at] - g[at] ** 2 + eps)
                step[at] = momentum * step[at] - rate * e / root
                w[at] += step[at]
    return torch.from_numpy(w)


def steps_of(optimiser, weight, gradients):
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimiser.step()
    return weight.detach()


def small_gradients():
    """Of many sizes, from far above to far below the root of epsilon."""
    scale = torch.tensor([[10.0, 1.0, 1e-1, 1e-2], [1e-3, 1e-4, 1e-5, 0.0]])
    return [scale.double() * torch.randn(2, 4, dtype=DOUBLE) for _ in range(30)]


def test_rmsprop_follows_the_paper():
    start, gradients = torch.randn(2, 4, dtype=DOUBLE), small_gradients()
    weight = start.clone().requires_grad_()
    moved = steps_of(GravesRMSprop([weight]), weight, gradients)
    wanted = by_loops(start, gradients, 1e-4, 0.95, 0.9, 1e-4)
    torch.testing.assert_close(moved, wanted, rtol=1e-9, atol=1e-12)
    assert (moved != start).any()

    weight = start.clone().requires_grad_()
    other = GravesRMSprop([weight], lr=0.3, decay=0.7, momentum=0.2, eps=0.01)
    moved = steps_of(other, weight, gradients)
    wanted = by_loops(start, gradients, 0.3, 0.7, 0.2, 0.01)
    torch.testing.assert_close(moved, wanted, rtol=1e-9, atol=1e-12)


def test_epsilon_stands_inside_the_root():
    # others take torch's RMSprop, with epsilon outside, for the paper's
    gradients = small_gradients()
    ways = []
    for kind in (GravesRMSprop, torch.optim.RMSprop):
        weight = torch.zeros(2, 4, dtype=DOUBLE, requires_grad=True)
        how = {"lr": 1e-4, "momentum": 0.9, "eps": 1e-4}
        if kind is GravesRMSprop:
            optimiser = kind([weight], decay=0.95, **how)
        else:
            optimiser = kind([weight], alpha=0.95, centered=True, **how)
        ways.append(steps_of(optimiser, weight, gradients).abs())
    ours, theirs = ways
    torch.testing.assert_close(ours[0, 0], theirs[0, 0], rtol=0.01, atol=0)  # large
    assert (theirs[1, :2] / ours[1, :2] > 5).all()  # small


def test_rmsprop_goes_on_from_its_state():
    start, gradients = torch.randn(2, 4), [g.float() for g in small_gradients()]
    whole = start.clone().requires_grad_()
    steps_of(GravesRMSprop([whole], lr=0.01), whole, gradients)
    part = start.clone().requires_grad_()
    first = GravesRMSprop([part], lr=0.01)
    steps_of(first, part, gradients[:11])
    second = GravesRMSprop([part], lr=0.5)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["lr"] == 0.01
    steps_of(second, part, gradients[11:])
    assert torch.equal(part, whole)


def test_a_gradient_that_never_changes_is_no_square_root_of_less_than_nothing():
    weight = torch.zeros(1000, requires_grad=True)
    gradient = 1000 * torch.rand(1000)
    moved = steps_of(GravesRMSprop([weight]), weight, [gradient] * 400)
    assert torch.isfinite(moved).all() and (moved < 0).all()


def test_rmsprop_runs_as_torch_s_optimisers_do():
    weight = torch.ones(1, requires_grad=True)
    idle = torch.ones(1, requires_grad=True)
    optimiser = GravesRMSprop([{"params": [weight], "lr": 0.1}, {"params": [idle]}])

    def loss():
        optimiser.zero_grad()
        (value := (weight**2).sum()).backward()
        return value

    assert optimiser.step(loss).item() == 1.0
    assert weight.item() < 1.0 and idle.item() == 1.0
    with pytest.raises(ValueError, match=r"eps above 0, not .* and 0"):
        GravesRMSprop([weight], eps=0)
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        GravesRMSprop([weight], decay=1.0)


# --- which optimiser moves what ------------------------------------------------------


NETWORKS = {
    "synthesis": SynthesisNetwork(SynthesisConfig(8, 2, 2, 2)),
    "prediction": PredictionNetwork(PredictionConfig(8, 2, 2)),
    "no peepholes": PredictionNetwork(PredictionConfig(8, 2, 2, peepholes=False)),
    "feedforward": FeedforwardPredictor(FeedforwardConfig(4, 8, 2, 2)),
}


@pytest.mark.parametrize("kind", optim.OPTIMISERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_is_moved_by_one_optimiser(name, kind):
    if kind == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    network, other = NETWORKS[name], torch.zeros(3, requires_grad=True)
    optimisers = build_optimisers(kind, network, 0.25, [other])
    groups = [group for each in optimisers for group in each.param_groups]
    moved = [id(w) for group in groups for w in group["params"]]
    wanted = [w for w in network.parameters() if w.requires_grad]
    assert sorted(moved) == sorted(map(id, [*wanted, other]))
    assert all(group["lr"] == 0.25 for group in groups)


def test_adamw_shrinks_matrices_alone_and_apart_from_the_gradient():
    network = NETWORKS["prediction"]
    before = {n: w.detach().clone() for n, w in network.named_parameters()}
    (adamw,) = build_optimisers("adamw", network, 0.1, weight_decay=0.5)
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 1e-3)
    adamw.step()
    for name, weight in network.named_parameters():
        # the first step of Adam is the learning rate, whatever the gradient
        kept = 1 - 0.1 * 0.5 if weight.ndim >= 2 else 1.0
        torch.testing.assert_close(
            weight.data, kept * before[name] - 0.1, atol=1e-4, rtol=0
        )
        weight.data.copy_(before[name])
        weight.grad = None
    assert {group["betas"] for group in adamw.param_groups} == {(0.9, 0.99)}


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_moves_the_matrices_of_hidden_layers():
    network = NETWORKS["synthesis"]
    muon, adam = build_optimisers("muon", network, 1e-3)
    names = {id(w): name for name, w in network.named_parameters()}
    matrices = [names[id(w)] for w in muon.param_groups[0]["params"]]
    assert matrices == [
        "layers.0.weight_ih", "layers.0.weight_hh",
        "layers.1.weight_ih", "layers.1.weight_hh",
    ]  # fmt: skip
    assert muon.param_groups[0]["adjust_lr_fn"] == "match_rms_adamw"
    rest = {names[id(w)] for w in adam.param_groups[0]["params"]}
    assert {"layers.0.peephole", "window.weight", "output.weight"} < rest


def test_a_torch_without_muon_says_so(monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(ValueError, match=r"has no Muon: install torch 2\.9 or later"):
        build_optimisers("muon", NETWORKS["prediction"], 1e-3)
    with pytest.raises(ValueError, match="no optimiser 'sgd': choose one of adam"):
        build_optimisers("sgd", NETWORKS["prediction"], 1e-3)


# --- weight noise --------------------------------------------------------------------


def posterior(count=7):
    means = torch.randn(count, dtype=DOUBLE)
    return means, (0.3 * torch.randn(count, dtype=DOUBLE)).exp() * 0.2


def divergence(means, sds, mean, variance):
    """Of the posterior from a prior, by torch.distributions, summed over weights."""
    prior = torch.distributions.Normal(mean, variance**0.5)
    each = torch.distributions.kl_divergence(
        torch.distributions.Normal(means, sds), prior
    )
    return each.sum()


def test_description_length_is_the_divergence_from_the_fitted_prior():
    means, sds = posterior()
    prior = fit_prior(means, sds)
    wanted = divergence(means, sds, *prior)
    torch.testing.assert_close(description_length(means, sds), wanted)
    assert wanted > 1


def test_no_prior_is_nearer_than_the_fitted_one():
    means, sds = posterior()

    def nats(theta):
        return float(divergence(means, sds, theta[0], torch.tensor(theta[1]).exp()))

    found = minimize(nats, [0.0, 0.0], method="Nelder-Mead",
                     options={"xatol": 1e-8, "fatol": 1e-12})  # fmt: skip
    prior = fit_prior(means, sds)
    wanted = [prior.mean.item(), prior.variance.log().item()]
    assert found.x.tolist() == pytest.approx(wanted, abs=1e-5)


def test_gradients_of_the_description_length_by_differences():
    means, sds = (tensor.requires_grad_() for tensor in posterior())
    assert torch.autograd.gradcheck(description_length, (means, sds))


def test_noise_reads_weights_from_the_posterior_and_leaves_the_means():
    network = nn.Linear(200, 100).double()
    before = [w.detach().clone() for w in network.parameters()]
    noise = WeightNoise(network, sd=0.075)
    with torch.no_grad():
        noise.log_sds[:10_000] += math.log(2)
    with noise.sampled(torch.Generator().manual_seed(1)):
        change = noise.means().detach() - torch.cat([w.flatten() for w in before])
    assert change[:10_000].std().item() == pytest.approx(0.15, rel=0.03)
    assert change[10_000:].std().item() == pytest.approx(0.075, rel=0.03)
    assert abs(change.mean().item()) < 0.003
    assert all(map(torch.equal, network.parameters(), before))


def test_the_means_come_back_after_an_error():
    network = nn.Linear(3, 2)
    noise, before = WeightNoise(network), network.weight.clone()
    with pytest.raises(FloatingPointError):
        with noise.sampled(torch.Generator().manual_seed(1)):
            raise FloatingPointError
    assert torch.equal(network.weight, before)


def test_gradients_under_noise_are_those_of_the_written_out_loss():
    # mean + sd * noise with the noise held fixed, under autograd, and KL beside it
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(5, 3, dtype=DOUBLE)
    noise = WeightNoise(network, sd=0.2)
    with noise.sampled(torch.Generator().manual_seed(7)):
        network(x).square().sum().backward()
    told = noise.add_description_length(0.01)

    means = noise.means().detach().requires_grad_()
    log_sds = noise.log_sds.detach().clone().requires_grad_()
    drawn = torch.randn(
        len(means), generator=torch.Generator().manual_seed(7), dtype=DOUBLE
    )
    w = means + log_sds.exp() * drawn
    hidden = torch.tanh(x @ w[:12].view(4, 3).t() + w[12:16])
    error = (hidden @ w[16:24].view(2, 4).t() + w[24:]).square().sum()
    prior = fit_prior(means, log_sds.exp())
    length = 0.01 * divergence(means, log_sds.exp(), *prior)
    wanted = torch.autograd.grad(error + length, [means, log_sds])
    ours = torch.cat([p.grad.flatten() for p in network.parameters()])
    torch.testing.assert_close(ours, wanted[0])
    torch.testing.assert_close(noise.log_sds.grad, wanted[1])
    assert told == pytest.approx(length.item())


def test_noise_learns_which_weights_matter():
    # y depends on the first input alone: the second weight may be anything near zero
    network = nn.Linear(2, 1, bias=False)
    noise = WeightNoise(network, sd=0.075)
    optimiser = torch.optim.Adam([*network.parameters(), noise.log_sds], lr=0.01)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 2, generator=generator)
    x[:, 1] *= 0.05
    for _ in range(1500):
        optimiser.zero_grad()
        with noise.sampled(generator):
            (0.5 * 100 * (network(x)[:, 0] - 2 * x[:, 0]).square().mean()).backward()
        noise.add_description_length(1 / 64)
        optimiser.step()
    sds = noise.log_sds.exp().tolist()
    assert network.weight[0, 0].item() == pytest.approx(2, abs=0.1)
    assert sds[0] < 0.05 and sds[1] > 4 * sds[0]


def test_weights_that_are_held_get_no_noise():
    network = PredictionNetwork(PredictionConfig(8, 2, 2, peepholes=False))
    noise = WeightNoise(network)
    held = sum(layer.peephole.numel() for layer in network.layers)
    assert len(noise.log_sds) == sum(p.numel() for p in network.parameters()) - held
    with noise.sampled(torch.Generator().manual_seed(1)):
        assert all((layer.peephole == 0).all() for layer in network.layers)
        network(torch.zeros(1, 3, 3)).output.sum().backward()
    assert all(layer.peephole.grad is None for layer in network.layers)
    with pytest.raises(ValueError, match="above 0, not 0"):
        WeightNoise(network, sd=0)
