"""Figures, checked by what they hold: arrays, positions, labels."""

import json
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.stats import multivariate_normal

from handwriting_lib.data.transforms import Normalisation
from handwriting_lib.drawing import plots
from handwriting_lib.parts.mixture import StrokeMixture


@pytest.fixture(autouse=True)
def tidy():
    """No function touches the settings or leaves a figure with pyplot."""
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []


@pytest.fixture
def ax():
    return Figure((6, 3)).add_subplot()


def draw(ax):
    """Render the whole figure; with warnings as errors, missing glyphs show here."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def scribble(points=30, seed=1):
    ink = 0.3 * torch.randn(points, 3, generator=torch.Generator().manual_seed(seed))
    ink[:, 0] += 0.2
    ink[:, 2] = (torch.arange(points) % 10 == 9).float()
    ink[0, :2] = 0
    return ink


def random_mixture(*shape, components=3, seed=1, wide=-1.0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn((*shape, *size), generator=generator, dtype=torch.double)

    return StrokeMixture(
        normal(components).log_softmax(-1),
        0.5 * normal(components, 2),
        wide + 0.3 * normal(components, 2),
        0.8 * normal(components).tanh(),
        normal(),
    )


def reference(mixture, at, points):
    """The density at `points` by scipy, with component means shifted by `at`."""
    total = np.zeros(points.shape[:-1])
    parts = zip(*(part.numpy() for part in mixture.parts()[:4]), strict=True)
    for log_pi, mu, log_sigma, rho in parts:
        s_x, s_y = np.exp(log_sigma)
        covariance = [[s_x**2, rho * s_x * s_y], [rho * s_x * s_y, s_y**2]]
        total += np.exp(log_pi) * multivariate_normal(at + mu, covariance).pdf(points)
    return total


def image_of(ax):
    """The array of the Axes' image and the places of its cells, (rows, columns, 2)."""
    values = np.asarray(ax.images[0].get_array())
    x0, x1, y0, y1 = ax.images[0].get_extent()
    rows, columns = values.shape
    x = x0 + (np.arange(columns) + 0.5) / columns * (x1 - x0)
    y = y0 + (np.arange(rows) + 0.5) / rows * (y1 - y0)
    return values, np.stack(np.meshgrid(x, y), -1)


# Ink


def test_strokes_are_where_the_positions_are(ax):
    ink = scribble()
    assert plots.plot_ink(ink, ax) is ax
    (collection,) = ax.collections
    drawn = np.concatenate(collection.get_segments())
    np.testing.assert_allclose(drawn, ink[:, :2].double().numpy().cumsum(0), atol=1e-6)
    assert len(collection.get_segments()) == 3
    assert ax.get_aspect() == 1.0
    assert not ax.axison
    assert (draw(ax)[..., :3] < 50).any()


def test_all_the_ink_is_within_the_axes_with_that_of_a_second_call(ax):
    plots.plot_ink(scribble(), ax)
    far = scribble(seed=2)
    far[0, :2] = torch.tensor([20.0, 5.0])
    plots.plot_ink(far, ax)
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    for ink in (scribble(), far):
        xy = ink[:, :2].cumsum(0)
        assert (xy[:, 0] > x0).all() and (xy[:, 0] < x1).all()
        assert (xy[:, 1] > y0).all() and (xy[:, 1] < y1).all()


def test_each_character_has_its_colour(ax):
    ink = scribble(20)
    character = torch.arange(20) // 5
    plots.plot_ink(ink, ax, color_by=character)
    (collection,) = ax.collections
    segments, colors = collection.get_segments(), collection.get_colors()
    assert len(segments) == len(colors) == 18  # 20 points in 2 strokes
    xy = ink[:, :2].double().numpy().cumsum(0)
    for segment, color in zip(segments, colors, strict=True):
        row = np.abs(xy - segment[1]).sum(1).argmin()
        assert tuple(color) == to_rgba(plots.COLORS[character[row]])


def test_numbers_take_a_scale(ax):
    plots.plot_ink(scribble(), ax, color_by=torch.linspace(0, 1, 30), points=True)
    light = ax.collections[0].get_colors()[:, :3].sum(1)
    assert light[-1] > light[0]
    assert len(ax.collections[1].get_offsets()) == 30


def test_pen_lifts_join_the_strokes(ax):
    ink = scribble()
    plots.plot_ink(ink, ax, pen_up=True)
    xy = ink[:, :2].double().numpy().cumsum(0)
    moves = ax.collections[0].get_segments()
    np.testing.assert_allclose(moves, [xy[[9, 10]], xy[[19, 20]]], atol=1e-6)


def test_a_dot_can_be_seen(ax):
    # Agg draws nothing for a segment of length zero
    dots = torch.tensor([[0.0, 0.0, 1.0], [4.0, 1.0, 1.0]])
    plots.plot_ink(dots, ax, line_width=6)
    picture = draw(ax)
    for place in ([0, 0], [4, 1]):
        x, y = ax.transData.transform(place)
        assert (picture[picture.shape[0] - 1 - int(y), int(x), :3] < 60).all()


def test_single_points_and_flat_lines_draw(ax):
    plots.plot_ink(torch.tensor([[0.0, 0.0, 1.0]]), ax)
    plots.plot_ink(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]), ax)
    draw(ax)


# The window


def test_the_heatmap_is_phi(ax):
    phi = torch.rand(50, 8, generator=torch.Generator().manual_seed(1))
    truth = (torch.arange(50) // 7).clamp_max(6)
    truth[3] = -1
    plots.plot_phi(phi, "a $b_2$"[:7], ax, truth=truth)
    np.testing.assert_array_equal(ax.images[0].get_array(), phi.double().T)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["a", "\u2423", "$", "b", "_", "2", "$", "end"]
    x, y = ax.lines[0].get_data()
    assert np.isnan(y[3])
    seen = ~np.isnan(y)
    np.testing.assert_array_equal(y[seen], truth[truth >= 0])
    np.testing.assert_array_equal(x, np.arange(50))
    assert ax.images[0].origin == "lower"
    draw(ax)


def test_every_character_of_the_alphabet_has_a_label(ax):
    from handwriting_lib.alphabet import CHARACTERS

    plots.plot_phi(torch.zeros(4, 96), CHARACTERS, ax)
    assert len(ax.get_yticklabels()) == 96
    draw(ax)


def test_phi_without_the_end_slot(ax):
    plots.plot_phi(torch.eye(2), "ab", ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


# Mixtures


def test_the_heatmap_along_a_line_is_that_of_scipy(ax):
    ink, mixture = scribble(5), random_mixture(5)
    unit = Normalisation((0.1, -0.2), (1.5, 0.7))
    plots.plot_mixture(mixture, ink, ax, normalisation=unit, cell=0.04, margin=2)
    values, places = image_of(ax)
    expected = np.zeros_like(values)
    xy = ink[:, :2].double().numpy().cumsum(0)
    for t in range(5):
        one = mixture[t]
        # the density of the normalised offset, over the volume of the change of unit
        offsets = (places - xy[t] - unit.mean) / unit.std
        expected += reference(one, np.zeros(2), offsets) / np.prod(unit.std)
    np.testing.assert_allclose(values, expected, atol=0.02 * expected.max())
    assert values.argmax() == expected.argmax() or values.max() == pytest.approx(
        expected.flat[values.argmax()], rel=0.02
    )


@pytest.mark.parametrize("wide", [-6.0, -3.0, -1.5])
def test_the_heatmap_holds_one_for_each_point(ax, wide):
    # a component much narrower than a cell must not fall between the cells
    mixture = random_mixture(30, components=20, wide=wide)
    plots.plot_mixture(mixture, scribble(), ax, margin=4)
    values, _ = image_of(ax)
    assert values.sum() * 0.05**2 == pytest.approx(30, rel=0.005)


def test_a_sharp_density_has_its_maximum_at_the_mean(ax):
    ink = torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.0, 1.0]])
    mean = torch.tensor([[1.0, 0.5], [1.0, 0.5]])
    sharp = StrokeMixture(
        torch.zeros(2, 1),
        mean[:, None],
        torch.tensor([[[-3.0, -3.0]], [[-1.0, -1.0]]]),
        torch.zeros(2, 1),
        torch.zeros(2),
    )
    plots.plot_mixture(sharp, ink, ax)
    values, places = image_of(ax)
    best = places.reshape(-1, 2)[values.argmax()]
    assert best == pytest.approx([1.0, 0.5], abs=0.05)
    assert len(ax.collections) == 1
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 4), (-1, 2))
    draw(ax)


def test_the_density_of_one_step_is_that_of_scipy(ax):
    mixture = random_mixture(1, 1)
    unit = Normalisation((0.1, -0.2), (1.5, 0.7))
    plots.plot_density(
        mixture,
        ax,
        normalisation=unit,
        components=True,
        actual=torch.tensor([0.2, 0.1, 0.0]),
        cells=50,
    )
    values, places = image_of(ax)
    one = mixture[0, 0]
    expected = reference(one, np.zeros(2), (places - unit.mean) / unit.std)
    np.testing.assert_allclose(values, expected / np.prod(unit.std), rtol=1e-9)
    probability = float(torch.sigmoid(mixture.end_logit))
    assert ax.texts[0].get_text() == f"end of stroke: {probability:.2f}"
    draw(ax)


def test_the_outlines_are_one_standard_deviation_away(ax):
    one = random_mixture()
    plots.plot_density(one, ax, components=True)
    for m in range(3):
        ring = ax.lines[m].get_xydata() - one.mu[m].numpy()
        s_x, s_y = one.log_sigma[m].exp().tolist()
        cross = float(one.rho[m]) * s_x * s_y
        inverse = np.linalg.inv([[s_x**2, cross], [cross, s_y**2]])
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", ring, inverse, ring), 1)


# Offsets and curves


def test_a_lift_is_the_offset_after_the_end_of_a_stroke(ax):
    ink = scribble()
    plots.plot_offsets([ink, ink], ax)
    down, air = (line.get_xydata() for line in ax.lines)
    rows = ink[:, :2].double().numpy()
    np.testing.assert_array_equal(air, np.tile(rows[[10, 20]], (2, 1)))
    assert len(down) == 2 * 27
    draw(ax)


def test_histograms_count_every_offset(ax):
    plots.plot_offsets(scribble(), ax, of="dy")
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "dy"
    draw(ax)


def log_file(tmp_path, tail=""):
    rows = [
        {"step": i, "loss": float(i % 7), "validation": 2.0 if i % 10 == 0 else None}
        for i in range(1, 41)
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path, rows


def test_curves_from_a_file_and_from_a_list(ax, tmp_path):
    path, rows = log_file(tmp_path, tail='{"step": 41, "lo')  # still being written
    plots.plot_curves(path, ax, label="file", average=5)
    plots.plot_curves(rows, ax, label="list", average=5)
    raw, mean, held_out = (line.get_xydata() for line in ax.lines[:3])
    np.testing.assert_array_equal(raw, [[r["step"], r["loss"]] for r in rows])
    np.testing.assert_array_equal(held_out, [[i, 2.0] for i in (10, 20, 30, 40)])
    expected = [np.mean([r["loss"] for r in rows[max(i - 2, 0) : i + 3]])
                for i in range(40)]  # fmt: skip
    np.testing.assert_allclose(mean[:, 1], expected)
    for one, other in zip(ax.lines[:3], ax.lines[3:], strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())
        assert one.get_color() != other.get_color()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [
        f"{name}: {part}"
        for name in ("file", "list")
        for part in ("training", "validation")
    ]


def test_a_step_done_again_after_a_resume_counts_once(ax):
    log = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 9.0}, {"step": 2, "loss": 2.0}]
    plots.plot_curves(log, ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 3], [2, 2]])


def test_a_broken_line_is_named(ax, tmp_path):
    path, _ = log_file(tmp_path, tail="nonsense\n")
    with pytest.raises(ValueError, match=r"log\.jsonl, line 41"):
        plots.plot_curves(path, ax)


# All of them


def test_without_an_axes_pyplot_makes_one():
    try:
        made = [
            plots.plot_ink(scribble()),
            plots.plot_phi(torch.eye(3), "ab"),
            plots.plot_mixture(random_mixture(30), scribble()),
            plots.plot_density(random_mixture()),
            plots.plot_offsets(scribble()),
            plots.plot_curves([{"step": 1, "loss": 1.0}]),
        ]
        assert pyplot.get_fignums() == [ax.figure.number for ax in made]
        for ax in made:
            ax.figure.canvas.draw()
            assert ax.get_title() == ""
    finally:
        pyplot.close("all")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ax: plots.plot_ink(torch.zeros(3), ax), r"shape \(T, 3\)"),
        (
            lambda ax: plots.plot_ink(scribble(), ax, color_by=torch.zeros(4)),
            r"\(30,\)",
        ),
        (lambda ax: plots.plot_phi(torch.zeros(4, 5), "ab", ax), r"\(T, 3\)"),
        (
            lambda ax: plots.plot_phi(torch.eye(3), "ab", ax, truth=torch.zeros(4)),
            "truth",
        ),
        (
            lambda ax: plots.plot_mixture(random_mixture(29), scribble(), ax),
            "leading shape",
        ),
        (
            lambda ax: plots.plot_mixture(random_mixture(30), scribble(), ax, cell=0),
            "cell",
        ),
        (lambda ax: plots.plot_density(random_mixture(2), ax), "one density"),
        (lambda ax: plots.plot_offsets(scribble(), ax, of="dz"), "'dz'"),
        (lambda ax: plots.plot_offsets(scribble(1), ax), "no offset"),
        (lambda ax: plots.plot_curves([], ax), "no steps"),
        (lambda ax: plots.plot_curves([{"step": 1}], ax), "no loss"),
        (lambda ax: plots.plot_curves([{"step": 1, "loss": 1}], ax, average=0), "1 st"),
    ],
)
def test_what_cannot_be_drawn_is_named(ax, call, message):
    with pytest.raises(ValueError, match=message):
        call(ax)


def test_matplotlib_loads_only_when_something_is_drawn():
    code = (
        "import sys, handwriting_lib.drawing.plots\n"
        "assert not any(m.startswith('matplotlib') for m in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
