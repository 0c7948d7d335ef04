"""The wiring of the networks; lines, steps and batches give the same numbers."""

from dataclasses import replace

import pytest
import torch

from handwriting_lib.networks.feedforward import FeedforwardConfig, FeedforwardPredictor
from handwriting_lib.networks.growth import grow
from handwriting_lib.networks.prediction import PredictionConfig, PredictionNetwork
from handwriting_lib.networks.recurrent import RecurrentConfig, RecurrentNetwork
from handwriting_lib.networks.synthesis import SynthesisConfig, SynthesisNetwork
from handwriting_lib.parts.mixture import mixture_loss

DOUBLE = torch.double
SMALL = SynthesisConfig(hidden=12, layers=3, mixtures=4, components=3, step=0.4)


def synthesis(device="cpu", config=SMALL):
    """A small network whose window moves and whose peepholes matter."""
    network = SynthesisNetwork(config).to(device, DOUBLE)
    with torch.no_grad():
        network.window.weight.mul_(20)
    return network


def prediction(device="cpu"):
    config = PredictionConfig(hidden=12, layers=3, mixtures=4)
    return PredictionNetwork(config).to(device, DOUBLE)


def without_text(kind):
    """A small network that reads no text."""
    return {
        "prediction": lambda: PredictionNetwork(PredictionConfig(12, 3, 4)),
        "recurrent": lambda: RecurrentNetwork(RecurrentConfig(12, 3, 4)),
        "feedforward": lambda: FeedforwardPredictor(FeedforwardConfig(4, 8, 2, 2)),
    }[kind]().double()


WITHOUT_TEXT = ["prediction", "recurrent", "feedforward"]


def ink(batch=3, steps=9, device="cpu"):
    points = torch.randn(batch, steps, 3, dtype=DOUBLE, device=device)
    points[..., 2] = (points[..., 2] > 0).double()
    return points


def texts(device="cpu"):
    """Texts of 7, 5 and 3 slots, with the end slot."""
    text = torch.randint(1, 96, (3, 7))
    mask = torch.arange(7) < torch.tensor([7, 5, 3])[:, None]
    text[~mask] = 0
    text[torch.arange(3), [6, 4, 2]] = 0
    return text.to(device), mask.to(device)


def flat(state):
    """Every tensor of a state, however it is nested."""
    if isinstance(state, torch.Tensor):
        return [state]
    return [tensor for part in state for tensor in flat(part)]


def weights_of_layer(network, layer):
    """The columns of the output's weights that read a layer."""
    hidden = network.config.hidden
    return network.output.weight[:, layer * hidden : (layer + 1) * hidden]


# --- sizes -----------------------------------------------------------------------


def test_the_paper_s_sizes_have_the_paper_s_weights():
    # Graves 2013: about 3.4 M (section 4.1) and 3.7 M (section 5.2, 57 characters)
    def count(network):
        return sum(p.numel() for p in network.parameters())

    assert count(PredictionNetwork()) == pytest.approx(3.4e6, rel=0.02)
    paper = SynthesisConfig(symbols=57)
    assert count(SynthesisNetwork(paper)) == pytest.approx(3.7e6, rel=0.02)
    assert PredictionNetwork().output.out_features == 121


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_any_size_runs(layers):
    config = SynthesisConfig(hidden=5, layers=layers, mixtures=1, components=1)
    text, mask = texts()
    out = SynthesisNetwork(config)(torch.zeros(3, 4, 3), text, mask)
    assert out.output.shape == (3, 4, 7)
    assert out.phi.shape == (3, 4, 7)
    assert out.mixture().sample().shape == (3, 4, 3)


# --- lines, steps, batches -------------------------------------------------------


def test_synthesis_step_by_step_is_the_whole_line(device):
    network, points, (text, mask) = synthesis(device), ink(device=device), texts(device)
    whole = network(points, text, mask)
    state = network.initial_state(3)
    for t in range(points.shape[1]):
        output, state, phi = network.step(points[:, t], state, text, mask)
        torch.testing.assert_close(output, whole.output[:, t])
        torch.testing.assert_close(phi, whole.phi[:, t])
    torch.testing.assert_close(flat(state), flat(whole.state))


@pytest.mark.parametrize("kind", WITHOUT_TEXT)
def test_without_a_text_step_by_step_is_the_whole_line(kind, device):
    network, points = without_text(kind).to(device), ink(device=device)
    whole = network(points)
    state = network.initial_state(3)
    for t in range(points.shape[1]):
        output, state = network.step(points[:, t], state)
        torch.testing.assert_close(output, whole.output[:, t])
    torch.testing.assert_close(flat(state), flat(whole.state))


def test_going_on_carries_the_window_over():
    # others restart kappa at each call, so the network writes its first letter forever
    network, points, (text, mask) = synthesis(), ink(), texts()
    whole = network(points, text, mask)
    first = network(points[:, :4], text, mask)
    assert (first.state.kappa > 0).all() and (first.state.w != 0).any()
    second = network(points[:, 4:], text, mask, first.state)
    torch.testing.assert_close(second.output, whole.output[:, 4:])
    torch.testing.assert_close(second.phi, whole.phi[:, 4:])
    torch.testing.assert_close(flat(second.state), flat(whole.state))


@pytest.mark.parametrize("kind", WITHOUT_TEXT)
def test_going_on_without_a_text(kind):
    network, points = without_text(kind), ink()
    whole = network(points)
    first = network(points[:, :2])  # fewer than the feedforward network remembers
    second = network(points[:, 2:], first.state)
    torch.testing.assert_close(second.output, whole.output[:, 2:])
    torch.testing.assert_close(flat(second.state), flat(whole.state))


def test_the_recurrent_network_is_wired_as_the_prediction_network():
    # every layer sees the point, and every layer feeds the output
    network, points = without_text("recurrent"), ink()
    sizes = [layer.input_size for layer in network.layers]
    assert sizes == [layer.input_size for layer in prediction().layers]
    h = [torch.zeros(3, 12, dtype=DOUBLE)] * 3
    for t in range(points.shape[1]):
        below = points[:, t]
        for i, layer in enumerate(network.layers):
            own = layer.weight_ih_l0, layer.weight_hh_l0
            biases = layer.bias_ih_l0 + layer.bias_hh_l0
            h[i] = torch.tanh(below @ own[0].T + h[i] @ own[1].T + biases)
            below = torch.cat([points[:, t], h[i]], -1)
        wanted = network.output(torch.cat(h, -1))
        torch.testing.assert_close(network(points).output[:, t], wanted)


def test_gradients_flow_back_through_the_state():
    network, points, (text, mask) = synthesis(), ink(), texts()
    points.requires_grad_()
    first = network(points[:, :4], text, mask)
    second = network(points[:, 4:], text, mask, first.state)
    wanted = torch.autograd.grad(
        network(points, text, mask).output[:, 4:].sum(), points
    )
    torch.testing.assert_close(torch.autograd.grad(second.output.sum(), points), wanted)


def test_nobody_sees_the_future():
    points, (text, mask) = ink(), texts()
    changed = points.clone()
    changed[:, 5:] += 1
    others = [(without_text(kind),) for kind in WITHOUT_TEXT]
    networks = (synthesis(), text, mask), *others
    for network, *arguments in networks:
        one = network(points, *arguments).output
        other = network(changed, *arguments).output
        assert torch.equal(one[:, :5], other[:, :5])
        assert (one[:, 5] != other[:, 5]).any()


def padded_batch():
    """Three lines of 9, 6 and 4 points and of unlike texts, padded with zeros."""
    points, (text, mask) = ink(steps=9), texts()
    ink_mask = torch.arange(9) < torch.tensor([9, 6, 4])[:, None]
    return points * ink_mask[..., None], ink_mask, text, mask


def test_padding_and_neighbours_change_no_output():
    network = synthesis()
    points, ink_mask, text, mask = padded_batch()
    together = network(points, text, mask)
    for row in range(3):
        steps, slots = int(ink_mask[row].sum()), int(mask[row].sum())
        part = slice(row, row + 1)
        alone = network(points[part, :steps], text[part, :slots], mask[part, :slots])
        torch.testing.assert_close(alone.output, together.output[part, :steps])
        torch.testing.assert_close(alone.phi, together.phi[part, :steps, :slots])
        assert (together.phi[part, :, slots:] == 0).all()


def loss_of(network, points, ink_mask, text, mask):
    out = network(points[:, :-1], text, mask)
    return mixture_loss(out.mixture(), points[:, 1:], ink_mask[:, 1:])


def test_padding_and_neighbours_change_no_gradient():
    network = synthesis()
    points, ink_mask, text, mask = padded_batch()
    weights = list(network.parameters())
    together = loss_of(network, points, ink_mask, text, mask)
    wanted = torch.autograd.grad(together, weights)
    count = ink_mask[:, 1:].sum()
    total = [torch.zeros_like(w) for w in weights]
    loss = 0.0
    for row in range(3):
        steps, slots = int(ink_mask[row].sum()), int(mask[row].sum())
        part = slice(row, row + 1)
        one = loss_of(
            network, points[part, :steps], ink_mask[part, :steps],
            text[part, :slots], mask[part, :slots],
        ) * (steps - 1) / count  # fmt: skip
        loss += one.detach()
        gradients = torch.autograd.grad(one, weights)
        total = [a + b for a, b in zip(total, gradients, strict=True)]
    torch.testing.assert_close(loss, together.detach())
    torch.testing.assert_close(total, list(wanted))


def test_what_stands_in_text_padding_does_not_matter():
    network, points, (text, mask) = synthesis(), ink(), texts()
    other = torch.where(mask, text, 42)
    assert torch.equal(
        network(points, text, mask).output, network(points, other, mask).output
    )


def test_bfloat16_products_come_close(device):
    config = SynthesisConfig(hidden=64, mixtures=4)
    network = SynthesisNetwork(config).to(device)
    points, (text, mask) = ink(steps=40, device=device).float(), texts(device)
    exact = network(points, text, mask).output
    close = network(points, text, mask, matmul_dtype=torch.bfloat16).output
    assert close.dtype == torch.float32
    error = (close - exact).norm() / exact.norm()
    assert 0 < error.item() < 0.02


# --- wiring ------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("kind", ["synthesis", "prediction"])
def test_every_layer_feeds_the_output(kind, layer):
    # others feed it from the last layer alone
    network = synthesis() if kind == "synthesis" else prediction()
    arguments = (ink(), *texts()) if kind == "synthesis" else (ink(),)
    before = network(*arguments).output
    with torch.no_grad():
        weights_of_layer(network, layer).zero_()
    assert ((network(*arguments).output - before).abs() > 1e-6).any()


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("kind", ["synthesis", "prediction"])
def test_every_layer_sees_the_point(kind, layer):
    network = synthesis() if kind == "synthesis" else prediction()
    arguments = (ink(), *texts()) if kind == "synthesis" else (ink(),)
    network(*arguments).output.square().sum().backward()
    gradient = network.layers[layer].weight_ih.grad[:, :3]
    assert (gradient.abs().sum(0) > 0).all()


def test_what_the_window_read_reaches_layer_1_at_the_next_point():
    # others have left w_{t-1} out of layer 1's input
    network, points, (text, mask) = synthesis(), ink(), texts()
    state = network.initial_state(3)
    moved = state._replace(w=state.w + 1)
    one = network.step(points[:, 0], state, text, mask)[1]
    other = network.step(points[:, 0], moved, text, mask)[1]
    assert (one.layers[0].h != other.layers[0].h).any()

    before = network(points, text, mask)
    with torch.no_grad():
        network.layers[0].weight_ih[:, 3:].zero_()
    after = network(points, text, mask)
    torch.testing.assert_close(after.phi[:, 0], before.phi[:, 0])  # w_0 is zero
    assert (after.phi[:, 1] != before.phi[:, 1]).any()


def test_what_the_window_reads_reaches_the_upper_layers_at_once():
    network, points, (text, mask) = synthesis(), ink(steps=1), texts()
    other = torch.where(text > 0, text % 95 + 1, text)
    one, two = network(points, text, mask), network(points, other, mask)
    assert torch.equal(one.state.layers[0].h, two.state.layers[0].h)
    for layer in (1, 2):
        assert (one.state.layers[layer].h != two.state.layers[layer].h).any()


def test_the_first_layer_alone_moves_the_window():
    network, points, (text, mask) = synthesis(), ink(), texts()
    before = network(points, text, mask)
    with torch.no_grad():
        for layer in network.layers[1:]:
            layer.weight_ih.normal_()
    after = network(points, text, mask)
    assert torch.equal(after.phi, before.phi)
    assert (after.output != before.output).any()


def test_components_do_not_start_alike():
    # initialised alike, twenty components stay one
    network = synthesis()
    loss_of(network, *padded_batch()).backward()
    m = network.config.mixtures
    for part in range(1, 7):
        rows = network.output.weight.grad[1 + (part - 1) * m : 1 + part * m]
        assert (torch.cdist(rows, rows) + torch.eye(m) > 1e-9).all()
        rows = network.output.weight[1 + (part - 1) * m : 1 + part * m]
        assert (torch.cdist(rows, rows) + torch.eye(m) > 1e-3).all()
    k = network.config.components
    for part in range(3):
        rows = network.window.weight.grad[part * k : (part + 1) * k]
        assert (torch.cdist(rows, rows) + torch.eye(k) > 0).all()


def test_feedforward_sees_the_last_points_and_no_more():
    network = FeedforwardPredictor(FeedforwardConfig(points=4, hidden=8)).double()
    points = ink(steps=9)
    before = network(points).output
    changed = points.clone()
    changed[:, 2] += 1
    differs = (network(changed).output != before).any(-1).any(0)
    assert differs.tolist() == [False, False, *[True] * 4, False, False, False]


def test_feedforward_sees_zeros_before_the_first_point():
    network = FeedforwardPredictor(FeedforwardConfig(points=4, hidden=8)).double()
    points = ink(steps=5)
    longer = torch.cat([torch.zeros(3, 3, 3, dtype=DOUBLE), points], 1)
    torch.testing.assert_close(network(points).output, network(longer).output[:, 3:])


# --- cells without peepholes -------------------------------------------------------


def test_without_peepholes_the_cells_are_torch_s():
    config = PredictionConfig(hidden=6, layers=1, mixtures=2, peepholes=False)
    network, points = PredictionNetwork(config).double(), ink()
    layer, reference = network.layers[0], torch.nn.LSTM(3, 6, batch_first=True).double()
    with torch.no_grad():
        reference.weight_ih_l0.copy_(layer.weight_ih)
        reference.weight_hh_l0.copy_(layer.weight_hh)
        reference.bias_ih_l0.copy_(layer.bias)
        reference.bias_hh_l0.zero_()
    wanted = network.output(reference(points)[0])
    torch.testing.assert_close(network(points).output, wanted)
    assert not layer.peephole.requires_grad
    assert "layers.0.peephole" in network.state_dict()  # files stay as they were


# --- clipped derivatives -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["synthesis", "prediction"])
def test_clipping_derivatives_reaches_every_layer(kind):
    network = synthesis() if kind == "synthesis" else prediction()
    arguments = (ink(), *texts()) if kind == "synthesis" else (ink(),)
    weights = [layer.weight_ih for layer in network.layers]

    def slopes(**how):
        return torch.autograd.grad(
            network(*arguments, **how).output.square().sum(), weights
        )

    plain = slopes()
    torch.testing.assert_close(slopes(gate_limit=1e9), plain)
    for clipped, whole in zip(slopes(gate_limit=1e-3), plain, strict=True):
        assert clipped.norm() < 0.5 * whole.norm()
    one = network(*arguments).output
    assert torch.equal(network(*arguments, gate_limit=1e-3).output, one)


# --- growing -------------------------------------------------------------------------


def pair(kind, **wider):
    """A small network whose every weight counts, and a wide one of the same kind."""
    cls, config = {
        "synthesis": (SynthesisNetwork, SMALL),
        "prediction": (PredictionNetwork, PredictionConfig(12, 3, 4)),
        "no peepholes": (PredictionNetwork, PredictionConfig(12, 2, 4, False)),
    }[kind]
    small = cls(config).double()
    with torch.no_grad():
        for name, w in small.named_parameters():
            if w.requires_grad and "bias" in name:
                w.add_(0.3 * torch.randn_like(w))
    wide = cls(replace(config, **({"hidden": 19} | wider))).double()
    return small, wide


@pytest.mark.parametrize("kind", ["synthesis", "prediction", "no peepholes"])
def test_a_grown_network_writes_as_the_small_one_did(kind):
    small, wide = pair(kind)
    points = ink()
    arguments = (points, *texts()) if kind == "synthesis" else (points,)
    before = wide(*arguments).output
    grow(small, wide)
    one, other = small(*arguments), wide(*arguments)
    assert (before - one.output).abs().max() > 0.1
    torch.testing.assert_close(other.output, one.output)
    if kind == "synthesis":
        torch.testing.assert_close(other.phi, one.phi)
        torch.testing.assert_close(other.state.kappa, one.state.kappa)
        torch.testing.assert_close(other.state.w, one.state.w)
    for few, many in zip(one.state.layers, other.state.layers, strict=True):
        torch.testing.assert_close(many.h[:, :12], few.h)
        torch.testing.assert_close(many.c[:, :12], few.c)
        assert (many.h[:, 12:] != 0).all()  # the new cells live

    state_1, state_2 = small.initial_state(3), wide.initial_state(3)
    for t in range(4):  # and so does one point at a time
        step_1 = small.step(points[:, t], state_1, *arguments[1:])
        step_2 = wide.step(points[:, t], state_2, *arguments[1:])
        torch.testing.assert_close(step_2[0], step_1[0])
        if kind == "synthesis":
            torch.testing.assert_close(step_2[2], step_1[2])
        state_1, state_2 = step_1[1], step_2[1]


@pytest.mark.parametrize("kind", ["synthesis", "prediction"])
def test_a_grown_network_can_learn_with_its_new_cells(kind):
    small, wide = pair(kind)
    grow(small, wide)
    arguments = (ink(), *texts()) if kind == "synthesis" else (ink(),)
    wide(*arguments).output.square().sum().backward()
    for layer in range(3):
        read = weights_of_layer(wide, layer)  # zero, but not held there
        assert (read[:, 12:] == 0).all()
        columns = slice(layer * 19 + 12, (layer + 1) * 19)
        assert (wide.output.weight.grad[:, columns] != 0).any(0).all()


def test_growing_to_the_same_size_is_copying():
    small, same = pair("prediction", hidden=12)
    grow(small, same)
    for one, other in zip(small.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("other", [{"hidden": 11}, {"layers": 2}, {"mixtures": 3}])
def test_what_does_not_fit_cannot_grow(other):
    small, wide = pair("prediction", **other)
    before = [w.clone() for w in wide.parameters()]
    with pytest.raises(ValueError, match=r"hidden=12, .* cannot grow into .*hidden=1"):
        grow(small, wide)
    assert all(map(torch.equal, before, wide.parameters()))


def test_only_networks_of_one_kind_with_a_memory_grow():
    feedforward = FeedforwardPredictor(FeedforwardConfig(hidden=4))
    for small, wide in [
        (feedforward, FeedforwardPredictor(FeedforwardConfig(hidden=8))),
        (prediction(), synthesis()),
        (synthesis(), prediction()),
        (torch.nn.Linear(1, 1), prediction()),
    ]:
        with pytest.raises(ValueError, match="cannot grow into"):
            grow(small, wide)
