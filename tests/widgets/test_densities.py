"""EM round by round and the pull of a point: against torch, and under a hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from handwriting_lib.parts.mixture import StrokeMixture
from handwriting_lib.widgets import EMSteps, TargetPulls

MEANS = [[-1.0, 0.5], [1.0, 0.0], [0.0, -1.0]]
PARTS = [
    (1.0, -0.5, 0.0, 0.2, 0.3, 0.4),
    (0.5, 0.5, 0.0, 0.5, 0.5, 0.0),
    (1.0, 0.0, 0.5, 1.0, 0.7, -0.6),
]


@pytest.fixture(scope="module")
def cloud():
    torch.manual_seed(0)
    narrow = 0.2 * torch.randn(200, 2) + torch.tensor([0.5, -0.5])
    return torch.cat([narrow, torch.randn(100, 2)]).double()


@pytest.fixture(scope="module")
def figures(cloud):
    return [EMSteps(cloud, MEANS), TargetPulls(PARTS, (0.4, -0.3))]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: EMSteps(x, []), r"means must have the shape \(N, 2\) with N from 1"),
        (
            lambda x: EMSteps(x[:1], MEANS),
            r"cloud must .* from 2 to 5000, not \(1, 2\)",
        ),
        (lambda x: EMSteps(x, 3 * MEANS), r"with N from 1 to 6, not \(9, 2\)"),
        (
            lambda x: EMSteps(x, MEANS, window=(1, 0, 0, 1)),
            "window must be left, right",
        ),
        (lambda x: EMSteps(x * math.nan, MEANS), "not finite"),
        (lambda x: TargetPulls([]), "one to three components, not 0"),
        (lambda x: TargetPulls(PARTS, (4, 0)), "x of the target must be from -3 to 3"),
        (lambda x: TargetPulls([(1, 0, 0, 9, 1, 0)]), "sigma x must be from 0.05 to 2"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message, cloud):
    with pytest.raises(ValueError, match=message):
        make(cloud)


@pytest.mark.slow
def test_rounds_are_those_of_torch(run_module, cloud):
    """Twenty rounds of EM in float64."""
    found = run_module(
        ["gaussians", "em"],
        """
        let parts = begin(given.x, given.y, given.means);
        const nats = [];
        for (let lap = 0; lap < 20; lap++) {
          const shared = shareOut(given.x, given.y, parts);
          nats.push(shared.nats);
          parts = move(given.x, given.y, shared.gamma, parts.length);
        }
        return {nats, parts: parts.map(({pi, x, y, a, b, c}) => [pi, x, y, a, b, c])};
        """,
        x=cloud[:, 0].tolist(),
        y=cloud[:, 1].tolist(),
        means=MEANS,
    )
    mu = torch.tensor(MEANS).double()
    pi = torch.full((3,), 1 / 3, dtype=torch.double)
    cov = cloud.T.cov(correction=0).repeat(3, 1, 1)
    for nats in found["nats"]:
        each = pi.log() + MultivariateNormal(mu, cov).log_prob(cloud[:, None])
        assert math.isclose(each.logsumexp(1).mean(), nats, abs_tol=1e-9)
        gamma = each.softmax(1)
        count = gamma.sum(0)
        mu, pi = gamma.T @ cloud / count[:, None], count / len(cloud)
        away = cloud[:, None] - mu
        cov = torch.einsum("nj,nja,njb->jab", gamma, away, away) / count[:, None, None]
    flat = torch.cat([pi[:, None], mu, cov.flatten(1)[:, [0, 1, 3]]], 1)
    assert torch.allclose(torch.tensor(found["parts"]).double(), flat)
    assert all(a <= b for a, b in zip(found["nats"], found["nats"][1:], strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("target", [(0.4, -0.3), (-0.6, 0.1), (2.5, -2.0)])
def test_pulls_are_the_gradients_of_autograd(run_module, target):
    found = run_module(
        ["gaussians", "pull"],
        """
        const total = given.parts.reduce((sum, [weight]) => sum + weight, 0);
        const parts = given.parts.map(([w, x, y, sx, sy, rho]) =>
          ({pi: w / total, x, y, sx, sy, rho}));
        const pulls = pullsAt(...given.target, parts);
        const after = learned(parts, pulls, 0.01);
        const loss = of => -Math.log(density(...given.target, of));
        return {fell: loss(after) < loss(parts), pulls: pulls.map(
          ({pi, muX, muY, logX, logY, rho}) => [pi, muX, muY, logX, logY, rho])};
        """,
        parts=PARTS,
        target=target,
    )
    raw = torch.tensor(PARTS).double()
    log = raw[:, [0, 3, 4]].log()
    numbers = torch.stack(
        [log[:, 0], raw[:, 1], raw[:, 2], log[:, 1], log[:, 2], raw[:, 5].atanh()]
    ).requires_grad_()
    # the library's own density, but for its floor under sigma
    pi, mx, my, lx, ly, rho = numbers
    mixture = StrokeMixture(
        pi.log_softmax(0), torch.stack([mx, my], 1), torch.stack([lx, ly], 1),
        rho.tanh(), torch.zeros((), dtype=torch.double),
    )  # fmt: skip
    point = torch.tensor([*target, 0.0], dtype=torch.double)
    (-mixture.log_prob(point)).backward()
    assert torch.allclose(torch.tensor(found["pulls"]).double().T, numbers.grad)
    assert found["fell"]


@pytest.mark.slow
@pytest.mark.parametrize("narrow", [False, True])
def test_they_show_and_every_slider_moves_them(show, figures, narrow):
    """By keyboard; once on a wide page, and once on a narrow dark one over HTTP."""
    from selenium.webdriver.common.keys import Keys

    how = {"width": 360, "dark": True, "over_http": True} if narrow else {}
    page = show(*figures, **how)
    for k, labels in enumerate((("Components", "μ x", "μ y"), ("Δx", "Δy"))):
        for label in labels:
            before = page.pictures(k)
            page.slider(label, k).send_keys(Keys.HOME)
            assert page.pictures(k) != before, label


@pytest.mark.slow
def test_em_goes_step_by_step_and_plays(show, figures):
    from selenium.webdriver import ActionChains

    page = show(figures[0], reduced=True)
    step = {one: page.run("return [...roots[0].querySelectorAll('button')]")[k]
            for k, one in enumerate(("E-step", "M-step"))}  # fmt: skip
    assert step["E-step"].is_enabled() and not step["M-step"].is_enabled()
    before = page.pictures()
    page.press("E-step")
    assert "Round 0: " in page.find("output").text
    assert page.pictures() != before
    assert step["M-step"].is_enabled() and not step["E-step"].is_enabled()
    page.press("M-step")
    page.press("Play")  # to the end at once, because less motion was asked for
    assert "Round 61: " in page.find("output").text
    plane = page.find("canvas")
    ActionChains(page.driver).move_to_element(plane).click().perform()
    assert "Moved by hand" in page.find("[role=status]").text
    assert step["E-step"].is_enabled()
    where = page.slider("μ x").get_attribute("value")
    page.press("Another start")
    assert page.slider("μ x").get_attribute("value") != where
    assert "Round" not in page.find("output").text


@pytest.mark.slow
def test_a_component_that_collapses_is_told(show):
    """Three steps and three components, each on one of them."""
    three = torch.tensor(MEANS)
    page = show(EMSteps(three, three), reduced=True)
    page.press("Play")
    assert "has collapsed" in page.find("[role=status]").text
    page.press("Start again")
    page.press("E-step")
    assert "Round 0: " in page.find("output").text


@pytest.mark.slow
def test_a_target_is_dragged_and_learnt_from(show, figures):
    from selenium.webdriver import ActionChains

    page = show(figures[1])
    plane = page.find("canvas")
    ActionChains(page.driver).move_to_element(plane).click().perform()
    x, y = (float(page.slider(one).get_attribute("value")) for one in ("Δx", "Δy"))
    assert abs(x) < 0.05 and abs(y) < 0.05
    assert "a target at" in plane.get_attribute("aria-label")

    def loss():
        words = page.find("output").text.replace("\u2212", "-")
        return float(words.split("= ")[1].split()[0])

    losses = [loss()]
    for _ in range(3):
        page.press("Learn from it")
        losses.append(loss())
    assert losses[1] < losses[0] and losses[-1] < losses[0] - 0.5
    page.press("Start again")
    assert loss() == losses[0]
