"""The widgets of single ideas: what Python computes, and what a hand changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from handwriting_lib import PredictionConfig, PredictionNetwork, soft_window
from handwriting_lib.files.models import Model
from handwriting_lib.networks.feedforward import FeedforwardConfig, FeedforwardPredictor
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.training.optim import GravesRMSprop
from handwriting_lib.widgets import (
    ActivationShapes,
    GateTraces,
    MixtureSliders,
    OptimiserPaths,
    WindowSliders,
)
from handwriting_lib.widgets.concepts import trace_gates

from .conftest import HOSTILE

SLIDERS = {
    "activations": ("weight w", "bias b"),
    "window": ("α, height", "β, narrow", "κ, place"),  # noqa: RUF001
    "mixture": ("weight", "μ x", "μ y", "σ x", "σ y", "ρ", "bias b"),  # noqa: RUF001
    "gates": ("Point", "Cell"),
    "optimisers": ("Update", "learning rate", "weight decay"),
}


@pytest.fixture(scope="session")
def widgets(line, model):
    return {
        "activations": ActivationShapes(2.0, -1.0),
        "window": WindowSliders("letters", [(1.0, 0.6, 3.5), (0.5, 2.0, 6.0)]),
        "mixture": MixtureSliders(),
        "gates": GateTraces(line, model),
        "optimisers": OptimiserPaths(),
    }


# What Python computes ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prediction", "synthesis"])
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_gates_are_those_of_the_layer(kind, layer, scribble):
    """h is o tanh(c), and c moves by what i lets in: both against the network's run."""
    sample = scribble()
    if kind == "prediction":
        network = PredictionNetwork(PredictionConfig(hidden=6))
    else:
        network = SynthesisNetwork(SynthesisConfig(hidden=6))
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(3)  # away from the middle of every gate
    model = Model(network)
    gates = trace_gates(model, sample.ink, sample.text, layer)
    h = gates.o * gates.c.tanh()  # (T, H)
    out = []
    layers = list(network.layers)
    # the output layer alone sees h of every layer: read it from its input
    network.output.register_forward_hook(lambda *a: out.append(a[1][0]))
    trace_gates(model, sample.ink, sample.text, layer)
    hidden = torch.cat(out).view(len(sample.ink), len(layers), 6)
    assert torch.allclose(h, hidden[:, layer], atol=1e-5)
    # c = f c + i g, so what the input gate let in is within i of what f kept
    kept = gates.f[1:] * gates.c[:-1]
    let_in = (gates.c[1:] - kept).abs()
    assert (let_in <= gates.i[1:] + 1e-5).all()
    assert gates.f.std() > 0.01 and gates.i.std() > 0.01


def test_what_has_no_gates_is_refused(line, model):
    with pytest.raises(ValueError, match="feedforward network has no gates"):
        trace_gates(Model(FeedforwardPredictor(FeedforwardConfig())), line.ink)
    with pytest.raises(ValueError, match="layer must be from -3 to 2, not 3"):
        GateTraces(line, model, layer=3)
    with pytest.raises(ValueError, match="cells must be from 0 to 399"):
        GateTraces(line, model, cells=[3, 400])


@pytest.mark.parametrize(("layer", "number"), [(0, 1), (2, 3), (-1, 3)])
def test_the_label_counts_layers_from_one(layer, number, line, model):
    traces = GateTraces(line, model, layer=layer, cells=1)
    assert f"gates of layer {number} along" in repr(traces)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActivationShapes(weight=9), "weight must be from -5 to 5, not 9"),
        (lambda: WindowSliders(""), "1 to 24 characters, not 0"),
        (lambda: WindowSliders("ab", []), "one to three bumps, not 0"),
        (lambda: WindowSliders("ab", [(1, 1, 9)]), "kappa must be from 0 to 3, not 9"),
        (lambda: MixtureSliders([(1, 0, 0, 1, 1, 1.0)]), "rho must be from -0.98"),
        (lambda: MixtureSliders([(1, 0, 0, 1, 0, 0)]), "sigma y must be from 0.05"),
        (lambda: OptimiserPaths((4, 0)), "x of the start must be from -3 to 3, not 4"),
        (lambda: OptimiserPaths(decay=-1), "decay must be from 0 to 1, not -1"),
        (lambda: OptimiserPaths(updates=5), "updates must be from 10 to 1000, not 5"),
        (lambda: OptimiserPaths(shown=["lion"]), "there is no optimiser 'lion'"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# In the browser ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("dark", [False, True])
def test_they_show(show, widgets, over_http, width, dark):
    page = show(*widgets.values(), width=width, dark=dark, over_http=over_http)
    for k, name in enumerate(widgets):
        assert page.drawn(k), name


@pytest.mark.slow
@pytest.mark.parametrize("name", SLIDERS)
def test_every_slider_changes_the_picture(show, widgets, name):
    page = show(widgets[name])
    labels = page.run(
        "return [...roots[0].querySelectorAll('input[type=range]')]"
        ".map(one => one.getAttribute('aria-label'))"
    )
    assert sorted(labels) == sorted(SLIDERS[name])
    for label in labels:
        before = page.pictures()
        low, high, now = (
            float(page.slider(label).get_attribute(key))
            for key in ("min", "max", "value")
        )
        share = 0.7 if now < (low + high) / 2 else 0.3
        page.slide(label, low + share * (high - low))
        assert page.pictures() != before, label


@pytest.mark.slow
@pytest.mark.parametrize("name", SLIDERS)
def test_sliders_move_by_keyboard(show, widgets, name):
    from selenium.webdriver.common.keys import Keys

    page = show(widgets[name])
    slider = page.slider(SLIDERS[name][-1])
    before = page.pictures(), slider.get_attribute("aria-valuetext")
    key = Keys.HOME if slider.get_attribute("value") != "0" else Keys.END
    slider.send_keys(key if name != "gates" else Keys.END)
    assert page.pictures() != before[0]
    assert slider.get_attribute("aria-valuetext") != before[1]


@pytest.mark.slow
def test_the_bars_are_the_window_s_weights(show):
    """Their heights in pixels against `soft_window`."""
    bumps = [(1.0, 0.6, 3.5), (0.7, 2.0, 6.0)]
    page = show(WindowSliders("letters", bumps))
    page.settle()
    heights = page.run(
        """
        const canvas = roots[0].querySelector('canvas');
        const ratio = canvas.width / canvas.clientWidth;
        const pixels = canvas.getContext('2d');
        const X = u => 26 + (u - 0.4) / 7.2 * (canvas.clientWidth - 34);
        const [r, g, b] = [0x00, 0x72, 0xb2];
        return [1, 2, 3, 4, 5, 6, 7].map(u => {
          const x = Math.round((X(u) - 10) * ratio);
          const {data} = pixels.getImageData(x, 0, 1, canvas.height);
          let count = 0;
          for (let y = 0; y < canvas.height; y++) {
            const near = Math.abs(data[4 * y] - r) + Math.abs(data[4 * y + 1] - g)
              + Math.abs(data[4 * y + 2] - b) < 30;
            count += near && data[4 * y + 3] > 200;
          }
          return count / ratio;
        });
        """
    )
    alpha, beta, kappa = torch.tensor(bumps).T
    phi = soft_window(
        alpha.log()[None], beta.log()[None], torch.full((1, 2), -99.0), kappa[None],
        torch.zeros(1, 7, dtype=torch.long), torch.ones(1, 7, dtype=torch.bool), 96,
    ).phi[0]  # fmt: skip
    # the bumps' curves cross the bars: a few pixels are theirs
    there = phi * (230 - 42) / 2.2
    assert np.abs(np.array(heights) - there.numpy()).max() < 6


@pytest.mark.slow
@pytest.mark.parametrize("bias", [0.0, 0.8])
def test_drawn_points_follow_the_mixture(run_module, bias):
    """Mean and covariance of many draws, and the density, of the functions inside."""
    part = (1.0, 0.5, -0.4, 0.9, 0.5, 0.7)
    answer = run_module(
        ["gaussians", "mixture"],
        """
        const mixture = sharpen([given.part, given.other], given.bias);
        const points = [];
        for (let seed = 1; seed <= 20; seed++) {
          points.push(...drawPoints(mixture, seed));
        }
        return {pi: mixture.map(one => one.pi), points,
                density: density(0.3, 0.2, mixture)};
        """,
        part=part,
        other=(0.25, -1.0, 1.0, 0.4, 0.4, 0.0),
        bias=bias,
    )
    weights = np.array([1.0, 0.25]) ** (1 + bias)
    pi = weights / weights.sum()
    assert np.allclose(answer["pi"], pi)
    shrink = math.exp(-bias)
    covariances = [
        shrink**2 * np.array([[0.81, 0.315], [0.315, 0.25]]),
        shrink**2 * 0.16 * np.eye(2),
    ]
    means = np.array([[0.5, -0.4], [-1.0, 1.0]])
    both = [multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]
    there = sum(p * one.pdf([0.3, 0.2]) for p, one in zip(pi, both, strict=True))
    assert math.isclose(answer["density"] / (2 * math.pi), there, rel_tol=1e-6)
    points = np.array(answer["points"])
    mean = pi @ means
    spread = sum(
        p * (c + np.outer(m - mean, m - mean))
        for p, m, c in zip(pi, means, covariances, strict=True)
    )
    assert np.abs(points.mean(0) - mean).max() < 0.05
    assert np.abs(np.cov(points.T) - spread).max() < 0.06


OPTIMISERS = {
    "sgd": lambda w, r, _: torch.optim.SGD(w, lr=r),
    "momentum": lambda w, r, _: torch.optim.SGD(w, lr=r, momentum=0.9),
    "adagrad": lambda w, r, _: torch.optim.Adagrad(w, lr=r),
    "rmsprop": lambda w, r, _: GravesRMSprop(w, lr=r),
    "adam": lambda w, r, _: torch.optim.Adam(w, lr=r),
    "adamw": lambda w, r, decay: torch.optim.AdamW(w, lr=r, weight_decay=decay),
    "muon": lambda w, r, _: torch_muon(w, r, 0.0),
    "muonw": lambda w, r, decay: torch_muon(w, r, decay),
}
TURN = torch.tensor([[0.8, 0.6], [-0.6, 0.8]], dtype=torch.float64)
LOSSES = {
    "slanting": lambda w: (
        (TURN @ w - torch.tensor([2.0, 0.0])) ** 2 * torch.tensor([0.5, 12.5])
    ).sum(),
    "straight": lambda w: 0.5 * (w[0] - 2) ** 2 + 12.5 * w[1] ** 2,
    "saddle": lambda w: (w[0] ** 2 - 4) ** 2 / 16 + 2 * w[1] ** 2,
    "plateau": lambda w: (
        1 - (-((w[0] - 1.2) ** 2 + (w[1] - 0.8) ** 2) / (2 * 0.9**2)).exp()
    ),
}


def torch_muon(weights, rate, decay):
    muon = getattr(torch.optim, "Muon", None)
    if muon is None:
        pytest.skip("this torch has no Muon")
    adjust = "match_rms_adamw"
    return muon(weights, lr=rate, weight_decay=decay, adjust_lr_fn=adjust)


@pytest.fixture
def js_paths(run_module):
    """Paths as the widget computes them, `(updates + 1, 2)`, and their losses."""

    def paths(*cases):
        answers = run_module(
            ["optimisers"],
            """
            return given.cases.map(([name, loss, numbers]) => {
              const path = pathOf(name, LANDSCAPES[loss], numbers);
              return {path, losses: path.map(LANDSCAPES[loss].loss)};
            });
            """,
            cases=cases,
        )
        return [
            torch.tensor(part, dtype=torch.float64)
            for answer in answers
            for part in (answer["path"], answer["losses"])
        ]

    return paths


@pytest.mark.slow
def test_paths_are_those_of_torch(monkeypatch, js_paths):
    """Fifty steps in float64, with the gradients of autograd.

    Torch's Muon rounds its products to bfloat16; this test keeps it from doing so, and
    the next one does not.
    """
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda matrix: matrix)
    numbers = {"start": [-1.3, 1.1], "rate": 0.05, "decay": 0.3, "updates": 50}
    cases = [(name, loss, numbers) for name in OPTIMISERS for loss in LOSSES]
    answers = iter(js_paths(*cases))
    for name, loss, _ in cases:
        path, losses = next(answers), next(answers)
        w = torch.tensor(numbers["start"], dtype=torch.float64)
        w = (w.diag() if "muon" in name else w).requires_grad_()
        optimiser = OPTIMISERS[name]([w], numbers["rate"], numbers["decay"])
        for place, there in zip(path, losses, strict=True):
            two = w.diagonal() if "muon" in name else w
            assert torch.allclose(place, two, rtol=0, atol=1e-6), (name, loss)
            value = LOSSES[loss](two)
            assert torch.allclose(there, value, rtol=1e-9, atol=1e-9), (name, loss)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        assert "muon" not in name or w[0, 1] == w[1, 0] == 0


@pytest.mark.slow
def test_muon_s_rounding_hardly_shows(js_paths):
    numbers = {"start": [-1.3, 1.1], "rate": 0.05, "decay": 0.3, "updates": 50}
    path, _ = js_paths(("muonw", "saddle", numbers))
    w = torch.tensor(numbers["start"]).diag().requires_grad_()
    optimiser = torch_muon([w], 0.05, 0.3)
    for place in path:
        assert torch.allclose(place.float(), w.diagonal(), atol=0.02)
        optimiser.zero_grad()
        LOSSES["saddle"](w.diagonal()).backward()
        optimiser.step()


@pytest.mark.slow
def test_the_answer_to_the_page_s_question(js_paths):
    """The losses of two paths stay the same when valley and start are turned."""
    start = torch.tensor([-2.0, -0.6], dtype=torch.float64)
    numbers = {"rate": 0.05, "decay": 0.3, "updates": 40}
    along = {**numbers, "start": start.tolist()}
    turned = {**numbers, "start": (TURN.T @ start).tolist()}
    losses = js_paths(
        *[(name, "straight", along) for name in OPTIMISERS],
        *[(name, "slanting", turned) for name in OPTIMISERS],
    )[1::2]
    for k, name in enumerate(OPTIMISERS):
        same = torch.allclose(losses[k], losses[k + len(OPTIMISERS)], rtol=1e-9)
        assert same == (name in ("sgd", "momentum")), name


@pytest.mark.slow
def test_learning_rates_can_fall(js_paths):
    """Over the second half, linearly to 0."""
    numbers = {"start": [1.0, 0.5], "rate": 0.1, "decay": 0.0, "updates": 10}
    flat, _, falling, _ = js_paths(
        ("muon", "straight", numbers), ("muon", "straight", {**numbers, "fall": True})
    )
    assert torch.equal(flat[:7], falling[:7])  # the rate at update 5 is still whole
    assert (falling[-1] - falling[-2]).norm() < 0.5 * (flat[-1] - flat[-2]).norm()


@pytest.mark.slow
def test_a_path_that_diverges_ends(show, js_paths):
    numbers = {"start": [-2, -0.6], "rate": 1.0, "decay": 0, "updates": 1000}
    path, _ = js_paths(("sgd", "straight", numbers))
    assert len(path) < 20
    page = show(OptimiserPaths(shown=["sgd"]))
    page.slide("learning rate", 27)  # 1, far beyond 2 / 25
    assert "diverges" in page.find(".row").text


@pytest.mark.slow
def test_the_start_moves_by_keyboard(show, widgets):
    from selenium.webdriver.common.keys import Keys

    page = show(widgets["optimisers"])
    plane = page.find("canvas")
    for key in (Keys.ARROW_UP, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_RIGHT):
        before, words = page.pictures(), plane.get_attribute("aria-label")
        plane.send_keys(key)
        assert all(a != b for a, b in zip(before, page.pictures(), strict=True))
        assert plane.get_attribute("aria-label") != words


@pytest.mark.slow
def test_the_start_moves_at_a_press(show, widgets):
    from selenium.webdriver import ActionChains

    page = show(widgets["optimisers"])
    plane = page.find("canvas")
    ActionChains(page.driver).move_to_element(plane).click().perform()
    words = plane.get_attribute("aria-label")
    x, y = words.split("start ")[1].split(";")[0].replace("\u2212", "-").split(",")
    assert abs(float(x)) < 0.02 and abs(float(y)) < 0.02


@pytest.mark.slow
def test_paths_are_played_stepped_and_begun_again(show, widgets):
    page = show(widgets["optimisers"], reduced=True)
    play, step, again = page.run("return [...roots[0].querySelectorAll('button')]")
    ends = page.pictures()
    again.click()
    assert page.slider("Update").get_attribute("value") == "0"
    step.click()
    assert page.slider("Update").get_attribute("value") == "1"
    play.click()  # to the end at once, because less motion was asked for
    assert page.pictures() == ends


@pytest.mark.slow
def test_a_box_hides_its_path(show, widgets):
    page = show(widgets["optimisers"])
    for box in page.run("return [...roots[0].querySelectorAll('.row input')]"):
        before = page.pictures()
        box.click()
        after = page.pictures()
        assert all(a != b for a, b in zip(before, after, strict=True))


@pytest.mark.slow
def test_points_are_drawn_anew_at_a_press(show, widgets):
    page = show(widgets["mixture"])
    pictures = [page.pictures()]
    for _ in range(2):
        page.find("button").click()
        pictures.append(page.pictures())
    assert len({one[0] for one in pictures}) == 3


@pytest.mark.slow
def test_the_chosen_part_is_the_one_that_moves(show, widgets):
    page = show(widgets["window"])
    assert page.slider("κ, place").get_attribute("value") == "3.5"
    page.run(
        "arguments[0].value = '1'; arguments[0].dispatchEvent(new Event('change'))",
        page.find("select"),
    )
    assert page.slider("κ, place").get_attribute("value") == "6"


@pytest.mark.slow
def test_gates_can_be_played(show, widgets):
    page = show(widgets["gates"], reduced=True)
    page.slide("Point", 0)
    before = page.pictures()
    page.find("button.play").click()
    after = page.pictures()
    assert all(a != b for a, b in zip(before, after, strict=True))


@pytest.mark.slow
def test_text_from_outside_is_only_text(show, line, model):
    text = "<img src=x onerror=hi>"
    tagged = line.replace(text="<img src=x onerror=window.hacked=1>", output=None)
    show(WindowSliders(text, caption=HOSTILE), GateTraces(tagged, model, cells=1))
