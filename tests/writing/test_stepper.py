"""The sampler's own layout against `SynthesisNetwork.step` and `StrokeMixture`."""

import pytest
import torch

import handwriting_lib as hw
from handwriting_lib.fast.torch_backend import BACKEND as PLAIN
from handwriting_lib.parts.mixture import draw_noise
from handwriting_lib.writing import sampling
from handwriting_lib.writing import stepper as stepping
from handwriting_lib.writing.sampling import LAST_STROKE, length_bound, line_generator
from handwriting_lib.writing.stepper import (
    INT8_STEPS,
    Int8Weight,
    Pen,
    Points,
    Stepper,
    StepWeights,
)

POINTS = 60
# How far int8 may be from float32 on the same ink, at most and in the mean. Measured on
# six lines by two networks, where raw outputs vary by 2.1 and phi by .45: .27 and .011,
# .17 and .0005.
INT8_OUTPUT = 0.5, 0.02
INT8_PHI = 0.3, 0.001


def small_network(layers=3, hidden=24):
    config = hw.SynthesisConfig(
        hidden=hidden, layers=layers, mixtures=5, components=4, symbols=20, step=0.2
    )
    network = hw.SynthesisNetwork(config)
    with torch.no_grad():
        for layer in network.layers:
            layer.peephole.normal_(0, 0.5)  # far from nothing
    return network


def texts_of(batch, slots=7, symbols=20):
    """Texts of several lengths, padded: the longest first."""
    text = torch.randint(1, symbols, (batch, slots))
    mask = torch.arange(slots) <= slots - 1 - torch.arange(batch)[:, None] % 4
    return text * mask, mask


def ink(points, batch):
    points = torch.randn(points, batch, 3)
    points[..., 2] = (points[..., 2] > 1).float()
    return points


@torch.no_grad()
def reference(network, points, state, text, mask):
    """Raw outputs and phi of `SynthesisNetwork.step`, and the state after."""
    outputs, phis = [], []
    for point in points:
        output, state, phi = network.step(point, state, text, mask)
        outputs.append(output)
        phis.append(phi)
    return torch.stack(outputs), torch.stack(phis), state


def stepped(stepper, points):
    outputs, phis = zip(*(stepper.step(point) for point in points), strict=True)
    return torch.stack(outputs), torch.stack(phis), stepper.state


def close(one, other, tolerance=1e-5):
    """Of nested tuples of tensors."""
    torch.testing.assert_close(
        [*leaves(one)], [*leaves(other)], rtol=tolerance, atol=tolerance
    )


def leaves(values):
    if isinstance(values, torch.Tensor):
        yield values
    else:
        for value in values:
            yield from leaves(value)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("batch", [1, 5])
def test_a_stepper_is_the_network_point_by_point(layers, batch, device):
    network = small_network(layers).to(device)
    text, mask = (t.to(device) for t in texts_of(batch))
    points = ink(2 * POINTS, batch).to(device)
    weights = StepWeights(network)
    # from the beginning, and from the state that the network has come to
    state = network.initial_state(batch)
    for part in points.split(POINTS):
        wanted = reference(network, part, state, text, mask)
        before = [leaf.clone() for leaf in leaves(state)]
        close(stepped(Stepper(weights, text, mask, state), part), wanted)
        close(state, before, 0)  # it is not changed
        state = wanted[2]
    assert state.kappa.min() > 1  # the window has moved


def test_one_stepper_goes_on_where_it_is():
    network, (text, mask) = small_network(), texts_of(2)
    points = ink(POINTS, 2)
    stepper = Stepper(StepWeights(network), text, mask, network.initial_state(2))
    stepped(stepper, points[:20])
    wanted = reference(network, points, network.initial_state(2), text, mask)
    close(stepped(stepper, points[20:]), (wanted[0][20:], wanted[1][20:], wanted[2]))


def test_any_number_of_threads_gives_the_same():
    # they share the products of the four gates
    network, (text, mask) = small_network(hidden=25), texts_of(1)
    points, threads = ink(10, 1), torch.get_num_threads()
    wanted = reference(network, points, network.initial_state(1), text, mask)
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            stepper = Stepper(
                StepWeights(network), text, mask, network.initial_state(1)
            )
            close(stepped(stepper, points), wanted)
    finally:
        torch.set_num_threads(threads)


def test_outputs_go_where_they_are_asked_to():
    network, (text, mask) = small_network(), texts_of(2)
    point, weights = ink(1, 2)[0], StepWeights(network)
    stepper = Stepper(weights, text, mask, network.initial_state(2))
    output, phi = torch.empty(2, 31), torch.empty(2, 7)
    given = stepper.step(point, output, phi)
    assert given[0] is output and given[1] is phi
    close(given, Stepper(weights, text, mask, network.initial_state(2)).step(point), 0)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_selected_lines_go_on_as_if_nobody_had_left(precision):
    network, (text, mask) = small_network(), texts_of(5)
    points = ink(POINTS, 5)
    weights = StepWeights(network, precision)
    everybody = Stepper(weights, text, mask, network.initial_state(5))
    stepped(everybody, points[:10])
    keep = torch.tensor([False, True, False, True, True])
    some = everybody.select(keep)
    close(some.state, [leaf[keep] for leaf in leaves(everybody.state)], 0)
    outputs, phis, _ = stepped(some, points[10:, keep])
    wanted = stepped(everybody, points[10:])  # the others have not been disturbed
    close((outputs, phis), (wanted[0][:, keep], wanted[1][:, keep]))


def test_weights_are_copies():
    network, (text, mask) = small_network(), texts_of(1)
    weights, again = StepWeights(network), StepWeights(network)
    point = ink(1, 1)[0]
    before = Stepper(again, text, mask, network.initial_state(1)).step(point)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    close(Stepper(weights, text, mask, network.initial_state(1)).step(point), before, 0)


# --- the pen -------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0.0, 0.75, 3.0])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
def test_a_pen_draws_what_the_mixture_draws(bias, temperature):
    output = 2 * torch.randn(4, 500, 6 * 20 + 1)
    output[0, :, 61:101] = -8  # so narrow that the floor counts
    noise = draw_noise((4, 500), None, output)
    theirs = hw.StrokeMixture.from_output(output, bias, temperature).sample(noise=noise)
    pen = Pen(noise, bias, temperature)
    mine = torch.stack([pen.draw(output[t], t, torch.empty(500, 3)) for t in range(4)])
    torch.testing.assert_close(mine[..., :2], theirs[..., :2], rtol=1e-4, atol=1e-5)
    assert torch.equal(mine[..., 2], theirs[..., 2])
    assert 0.2 < mine[..., 2].mean() < 0.8  # both kinds of points are there


def test_noise_at_its_ends_draws_a_component_that_is_there():
    # a uniform number may be 0; rounding may leave the shares' sum below one
    output = torch.zeros(2, 6 * 3 + 1)
    output[:, 1:4] = torch.tensor([0.0, 0.0, -30.0])
    output[:, 4:7] = torch.tensor([1.0, 2.0, 3.0])
    noise = torch.zeros(1, 2, 4)
    noise[0, 1, :2] = 1 - 2**-24  # the largest that torch draws
    point = Pen(noise).draw(output, 0, torch.empty(2, 3))
    theirs = hw.StrokeMixture.from_output(output).sample(noise=noise[0])
    assert torch.equal(point[:, 2], torch.tensor([1.0, 0.0]))
    assert point[0, 0] == 1 and point[1, 0] in (2, 3)
    assert torch.equal(point[:, 2], theirs[:, 2])


@torch.no_grad()
def test_without_a_bias_points_are_drawn_as_the_network_says():
    network, (text, mask) = small_network(), texts_of(3)
    first, noise = ink(1, 3)[0], draw_noise((POINTS, 3), None, torch.zeros(1))
    weights, start = StepWeights(network), network.initial_state(3)
    plain = Stepper(weights, text, mask, start).write(first, noise)
    asked = Stepper(weights, text, mask, start).write(first, noise, 0.0, 1.0)
    assert torch.equal(plain.drawn, asked.drawn)
    drawn = Pen(noise).draw(plain.output[0], 0, torch.empty(3, 3))
    theirs = hw.StrokeMixture.from_output(plain.output[0]).sample(noise=noise[0])
    torch.testing.assert_close(drawn, theirs, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_stretch_is_a_loop_of_step_and_sample():
    network, (text, mask) = small_network(), texts_of(3)
    first, noise = ink(1, 3)[0], draw_noise((POINTS, 3), None, torch.zeros(1))
    stepper = Stepper(StepWeights(network), text, mask, network.initial_state(3))
    stretch = stepper.write(first, noise, 0.5, 0.8)
    point, state = first, network.initial_state(3)
    for t in range(POINTS):
        output, state, phi = network.step(point, state, text, mask)
        wanted = Points(point, phi, output, None)
        close([part[t] for part in stretch[:3]], wanted[:3], 1e-4)
        mixture = hw.StrokeMixture.from_output(output, 0.5, 0.8)
        point = mixture.sample(noise=noise[t])
    close(stretch.drawn, point, 1e-4)


# --- lines ---------------------------------------------------------------------------


@torch.no_grad()
def plain_line(model, text, position, seed, bias, style=None):
    """One draw of one line, a point at a time: ink, phi and raw output."""
    network, lead = model.network, 0 if style is None else 1
    whole = text if style is None else style.prime + text
    slots, mask = hw.pad_texts([whole])
    state, point = network.initial_state(1), torch.zeros(1, 3)
    if style is not None:
        state, point = style.start(1, point)
    bound = lead + length_bound(text)
    noise = draw_noise((bound,), line_generator(seed, position, 1), point)
    rows, fired = [], None
    for t in range(bound):
        output, state, phi = network.step(point, state, slots, mask)
        rows.append((point[0], phi[0], output[0]))
        if fired is None and phi[0].argmax() == len(whole):
            fired = t
        if fired is not None:
            if (t and point[0, 2] > 0.5) or t - fired >= LAST_STROKE:
                break
        mixture = hw.StrokeMixture.from_output(output, bias)
        point = mixture.sample(noise=noise[t][None])
    points, phi, output = (torch.stack(part) for part in zip(*rows, strict=True))
    first = 0
    if style is not None:
        first = sampling._first_point(model.normalisation.invert(points))
    line = model.normalisation.invert(points[first:])
    line[0, :2] = 0
    line[-1, 2] = 1
    return line, phi[first:, -len(text) - 1 :], output[first:]


# Short: over hundreds of points the last digit can come to decide where a line goes.
TEXTS = ["the fox", "a", "Q X Z", "1984"]


@pytest.mark.parametrize("primed", [False, True])
def test_lines_are_those_of_the_plain_loop(primed):
    model, style = hw.load_pretrained("unipen-184"), None
    if primed:
        sample = hw.load_corpus("synthetic", samples=1, seed=1).samples[0]
        style = hw.make_style(model, sample)
    asked = {"bias": 1.0, "seed": 4, "redraws": 0}
    written = hw.write(TEXTS, model, style=style, keep_output=True, **asked)
    for position, line in enumerate(written):
        wanted = plain_line(model, line.text, position, 4, 1.0, style)
        assert line.ink.shape == wanted[0].shape
        assert torch.equal(line.ink[:, 2], wanted[0][:, 2])
        for mine, theirs in zip((line.ink, line.phi, line.output), wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


def test_the_length_of_a_stretch_changes_no_line(monkeypatch):
    model = hw.load_pretrained("unipen-184")
    written = []
    for points in (1, 7, 10_000):
        monkeypatch.setattr(sampling, "STRETCH", points)
        written.append(hw.write(TEXTS[1:], model, bias=1.0, seed=2, redraws=0))
    for lines in zip(*written, strict=True):
        for line in lines[1:]:
            assert line.problem == lines[0].problem
            torch.testing.assert_close(line.ink, lines[0].ink, rtol=0, atol=1e-3)
            torch.testing.assert_close(line.phi, lines[0].phi, rtol=0, atol=1e-3)


def test_lines_leave_the_batch_when_they_are_done(monkeypatch):
    sizes = []
    write = Stepper.write

    def counted(self, point, *rest):
        sizes.append(len(point))
        return write(self, point, *rest)

    monkeypatch.setattr(Stepper, "write", counted)
    model = hw.load_pretrained("unipen-184")
    hw.write(["a", "b", "c", "d", "several words"], model, seed=1, redraws=0)
    assert sizes[0] == 5 and sizes[-1] == 1
    assert sizes == sorted(sizes, reverse=True)


# --- int8 ----------------------------------------------------------------------------


def test_int8_is_close_to_float32():
    network = hw.load_pretrained().network
    slots, mask = hw.pad_texts(["the quick brown fox"])
    line = hw.write("the quick brown fox", bias=1.0, seed=5)[0]
    points = hw.load_pretrained().normalisation.apply(line.ink)[:, None]
    exact, rounded = (
        stepped(
            Stepper(
                StepWeights(network, precision), slots, mask, network.initial_state(1)
            ),
            points,
        )
        for precision in ("float32", "int8")
    )
    for one, other, (most, mean) in [
        (exact[0], rounded[0], INT8_OUTPUT),
        (exact[1], rounded[1], INT8_PHI),
    ]:
        apart = (one - other).abs()
        assert apart.max() < most
        assert 0 < apart.mean() < mean
    agree = exact[1].argmax(-1) == rounded[1].argmax(-1)
    assert agree.float().mean() > 0.95


def test_int8_rounds_to_half_a_step_of_each_row():
    # a weight's error is at most half of its row's largest / 127
    network = small_network(1)
    layer = network.layers[0]
    with torch.no_grad():
        layer.weight_hh[5] = 0  # a row without any weight stays so
    int8, h = StepWeights(network, "int8").int8[0], 2 * torch.rand(1, 24) - 1
    cells, rounded = torch.empty(1, 24, dtype=torch.int8), torch.empty(1, 96)
    PLAIN.quantise(h, 0, cells, 0, 24)
    whole = cells.int() @ int8.weight.t().int()
    PLAIN.dequantise(whole, int8.scale, torch.zeros(1, 96), rounded)
    apart = (rounded - h @ layer.weight_hh.detach().t()).abs()[0]
    # half a step of h and of the weight in each of 24 products
    largest = layer.weight_hh.detach().abs().amax(1)
    bound = 24 * largest * (0.5 / 127 + 0.5 / 127 + 0.25 / 127**2)
    assert (apart <= bound + 1e-6).all() and apart.max() > 0
    assert apart[5] == 0


def test_small_weights_use_all_steps_of_int8():
    weight = 0.01 * torch.randn(6, 40)
    int8 = Int8Weight(weight)
    assert (int8.weight.abs().amax(1) == INT8_STEPS).all()
    back = int8.weight * (int8.scale * INT8_STEPS)[:, None]
    half = weight.abs().amax(1, keepdim=True) / INT8_STEPS / 2
    assert ((back - weight).abs() <= 1.001 * half).all()


def test_int8_lines_are_lines():
    lines = hw.write(TEXTS, seed=3, precision="int8")
    assert all(line.complete for line in lines)
    exact = hw.write(TEXTS, seed=3)
    assert any(a.ink.shape != b.ink.shape for a, b in zip(lines, exact, strict=True))


def test_a_symbol_that_the_network_lacks():
    # compiled code would write beside the array
    network, text = small_network(), torch.tensor([[3, 20, 0]])
    mask = torch.ones_like(text, dtype=torch.bool)
    with pytest.raises(ValueError, match="symbol 20: use only the 20 symbols"):
        Stepper(StepWeights(network), text, mask, network.initial_state(1))
    with pytest.raises(ValueError, match="symbol 20"):
        network(torch.zeros(1, 5, 3), text, mask)


def test_noise_of_another_type():
    network, (text, mask) = small_network(), texts_of(1)
    noise = draw_noise((5, 1), None, torch.zeros(1, dtype=torch.float64))
    stepper = Stepper(StepWeights(network), text, mask, network.initial_state(1))
    assert stepper.write(torch.zeros(1, 3), noise).drawn.dtype == torch.float32


def test_what_cannot_be(monkeypatch):
    network = small_network()
    with pytest.raises(ValueError, match="float32 or int8, not 'int4'"):
        StepWeights(network, "int4")
    with pytest.raises(ValueError, match="'int4'"):
        hw.write("a", precision="int4")
    with pytest.raises(ValueError, match="for a CPU; the network is on meta"):
        StepWeights(network.to("meta"), "int8")
    for dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(ValueError, match="made of float32, not of"):
            StepWeights(small_network().to(dtype), "int8")
    with monkeypatch.context() as patched:
        patched.setattr(torch, "_int_mm", lambda a, b: torch.zeros(len(a), len(b[0])))
        stepping._int8_is_exact.cache_clear()
        with pytest.raises(ValueError, match="does not multiply int8 exactly"):
            StepWeights(small_network(), "int8")
        stepping._int8_is_exact.cache_clear()
    noise = torch.rand(1, 1, 4)
    with pytest.raises(ValueError, match="bias must be at least 0, not -1"):
        Pen(noise, -1.0)
    with pytest.raises(ValueError, match="temperature must be above 0, not 0"):
        Pen(noise, temperature=0.0)
