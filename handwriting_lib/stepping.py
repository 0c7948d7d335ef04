"""One point after another, fast: a synthesis network laid out for writing.

A point waits for the point before it, so the least that it can cost is to read all
weights once. Here nothing is recorded for a backward pass, every buffer is made once, a
layer reads its own cells and those below in one go, and of a mixture only the component
that a point is drawn from is worked out. The numbers are those of
`SynthesisNetwork.step` and `StrokeMixture.sample`.

On a GPU the same calls run, and what they cost there is mostly starting them. A CUDA
graph of `Stepper.step` would save that: what it reads and writes stays in one place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .lstm import LSTMState, PeepholeLSTM
from .mixture import RHO_LIMIT, SIGMA_FLOOR
from .networks import SynthesisNetwork, SynthesisState

PRECISIONS = ("float32", "int8")
GATES = 4  # i, f, g, o
# A cell's output lies between -1 and 1: so many steps of int8 on either side.
INT8_STEPS = 127


def _by_gate(weight: Tensor) -> Tensor:
    """`(4H, K)` to `(4, K, H)`: a product for each gate, which threads can share.

    As one product torch makes that of a single line, and others of few, with less.
    """
    return weight.view(GATES, -1, weight.shape[1]).transpose(1, 2)


class _Product:
    """`z += h @ weight.T` for the weights `(4H, K)` of a layer's gates."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = _by_gate(weight)  # (4, K, H)

    def between(self, h: Tensor, z: Tensor) -> Callable[[], object]:
        """The product for two buffers, `(B, K)` and `(4, B, H)`."""
        return partial(z.baddbmm_, h.expand(GATES, *h.shape), self.weight)


class _Int8Product:
    """The same with a byte a weight, a scale for each row, and `h` in int8."""

    def __init__(self, weight: Tensor) -> None:
        # a row of zeros has no scale of its own
        largest = weight.abs().amax(1).clamp_min(torch.finfo(weight.dtype).tiny)
        rows = weight * (INT8_STEPS / largest)[:, None]
        self.weight_t = rows.round_().to(torch.int8).t()  # (K, 4H)
        self.scale = (largest / INT8_STEPS**2).view(GATES, 1, -1)  # (4, 1, H)

    def between(self, h: Tensor, z: Tensor) -> Callable[[], object]:
        batch, hidden = z.shape[1:]

        def product() -> None:
            whole = torch._int_mm(h, self.weight_t)  # (B, 4H) int32
            by_gate = whole.view(batch, GATES, hidden).transpose(0, 1)
            z.addcmul_(by_gate.to(z.dtype), self.scale)

        return product


class StepWeights:
    """The weights of a network in the order in which `Stepper` reads them.

    They are copies: of a network that has been trained on, make them again.

    Args:
        network: to write with.
        precision: `"float32"`, or `"int8"` for the weights from cell to cell, most of
            them all. Those on the way in and out stay in float32, for the sake of the
            ink.

    Raises:
        ValueError: there is no such precision, or not on the network's device.
    """

    @torch.inference_mode()
    def __init__(self, network: SynthesisNetwork, precision: str = "float32") -> None:
        device = network.output.bias.device
        if precision not in PRECISIONS:
            raise ValueError(
                f"weights must be one of {', '.join(PRECISIONS)}, not {precision!r}"
            )
        if precision == "int8" and device.type != "cpu":
            raise ValueError(f"int8 weights are for a CPU; the network is on {device}")
        self.config, self.precision = network.config, precision
        product = _Int8Product if precision == "int8" else _Product
        outside = 3 + network.config.symbols  # the point and what the window reads
        self.cells: list[_Product | _Int8Product] = []
        ways_in, biases, self.peepholes = [], [], []
        for layer in network.layers:
            assert isinstance(layer, PeepholeLSTM)
            # tanh(x) = 2 sigmoid(2 x) - 1: with g doubled one sigmoid does for i, f, g
            double = torch.ones(GATES, layer.hidden, 1, device=device)
            double[2] = 2
            double = double.view(-1, 1)  # (4H, 1)
            below = layer.weight_ih[:, outside:]  # the first layer has none
            own = torch.cat([below, layer.weight_hh], 1)
            self.cells.append(product(own * double))
            ways_in.append(layer.weight_ih[:, :outside] * double)
            biases.append((layer.bias * double[:, 0]).view(GATES, 1, -1))
            self.peepholes.append(layer.peephole.clone())
        # layer 1 has the window of the point before; the others share that of this one
        self.first = biases[0], _by_gate(ways_in[0])  # (4, 1, H), (4, 3 + V, H)
        self.others: tuple[Tensor, Tensor] | None = None
        if len(biases) > 1:
            others = torch.cat([_by_gate(weight) for weight in ways_in[1:]])
            self.others = torch.cat(biases[1:]), others
        window, output = network.window, network.output
        self.window = window.bias.clone(), window.weight.clone().t()
        self.output = output.bias.clone(), output.weight.clone().t()


class _Layer(NamedTuple):
    """A layer's views of the buffers, and its peepholes."""

    product: Callable[[], object]  # adds to z what comes from cells
    three: Tensor  # (3, B, H) i, f and g: the gates' inputs, then their values
    two: Tensor  # (2, B, H) i and f
    i: Tensor  # (B, H)
    f: Tensor
    g: Tensor
    o: Tensor
    c: Tensor  # (B, H)
    h: Tensor  # (B, H)
    h_int8: Tensor | None
    peephole_two: Tensor  # (2, 1, H)
    peephole_o: Tensor  # (H,)


class Points(NamedTuple):
    """A stretch of writing, point by point.

    Attributes:
        read: `(n, B, 3)` the points that the network read.
        phi: `(n, B, U)` the window's weights at each of them.
        output: `(n, B, 6M + 1)` the raw output after each.
        drawn: `(B, 3)` the point after the last.
    """

    read: Tensor
    phi: Tensor
    output: Tensor
    drawn: Tensor


class Stepper:
    """Lines in the middle of being written.

    Args:
        weights: of the network.
        text: `(B, U)` int64 with the end slot.
        text_mask: `(B, U)` bool.
        state: to go on from; it is not changed.

    Example:
        >>> import torch
        >>> from handwriting_lib import SynthesisConfig
        >>> net = SynthesisNetwork(SynthesisConfig(hidden=8))
        >>> text, point = torch.tensor([[34, 73, 0]]), torch.zeros(1, 3)
        >>> mask = torch.ones_like(text, dtype=torch.bool)
        >>> stepper = Stepper(StepWeights(net), text, mask, net.start(1))
        >>> output, _ = stepper.step(point)
        >>> theirs, _, _ = net.step(point, net.start(1), text, mask)
        >>> torch.allclose(output, theirs, atol=1e-6)
        True
    """

    @torch.inference_mode()
    def __init__(
        self,
        weights: StepWeights,
        text: Tensor,
        text_mask: Tensor,
        state: SynthesisState,
    ) -> None:
        config, (batch, slots) = weights.config, text.shape
        hidden, components, symbols = config.hidden, config.components, config.symbols
        empty = state.w.new_empty
        self.weights, self.text, self.text_mask = weights, text, text_mask
        self.mask = text_mask.to(state.w.dtype)
        self.u = torch.arange(1, slots + 1, dtype=state.w.dtype, device=text.device)
        self.seen = empty(batch, 3 + symbols)
        self.point, self.w = self.seen.split([3, symbols], 1)
        self.w.copy_(state.w)
        self.kappa = state.kappa[..., None].clone()  # (B, K, 1)
        self.moves = empty(batch, 3 * components)
        alpha, beta, step = self.moves[..., None].chunk(3, 1)
        self.log_alpha, self.beta, self.kappa_step = alpha, beta, step  # (B, K, 1)
        self.beta_and_step = self.moves[:, components:]
        self.bumps = empty(batch, components, slots)
        self.h = torch.cat([layer.h for layer in state.layers], 1)  # (B, layers H)
        self.h_int8 = None
        if weights.precision == "int8":
            self.h_int8 = torch.empty_like(self.h, dtype=torch.int8)
        self.tanh_c = empty(batch, hidden)
        self.z_first = empty(GATES, batch, hidden)
        self.z_others = empty((config.layers - 1) * GATES, batch, hidden)
        zs = [self.z_first, *self.z_others.split(GATES)]
        self.seen_first = self.seen.expand(GATES, *self.seen.shape)
        self.seen_others = self.seen.expand(len(self.z_others), *self.seen.shape)
        read = self.h if self.h_int8 is None else self.h_int8
        self.layers = []
        for number, (old, peephole) in enumerate(
            zip(state.layers, weights.peepholes, strict=True)
        ):
            z, c = zs[number], old.c.clone()
            i, f, g, o = z.unbind()
            own = slice(number * hidden, (number + 1) * hidden)
            below = slice(max(0, number - 1) * hidden, own.stop)  # and its own
            layer = _Layer(
                weights.cells[number].between(read[:, below], z),
                z[:3],
                z[:2],
                i,
                f,
                g,
                o,
                c,
                self.h[:, own],
                None if self.h_int8 is None else self.h_int8[:, own],
                peephole[:2, None],
                peephole[2],
            )
            self._round(layer)
            self.layers.append(layer)

    @property
    def state(self) -> SynthesisState:
        """After the last point, as `SynthesisNetwork.step` gives it."""
        layers = (LSTMState(layer.h.clone(), layer.c.clone()) for layer in self.layers)
        return SynthesisState(tuple(layers), self.w.clone(), self.kappa[..., 0].clone())

    @torch.inference_mode()
    def select(self, keep: Tensor) -> Stepper:
        """Some of the lines: `keep` holds their numbers, or `(B,)` true and false."""
        layers, w, kappa = self.state
        kept = tuple(LSTMState(h[keep], c[keep]) for h, c in layers)
        return Stepper(
            self.weights,
            self.text[keep],
            self.text_mask[keep],
            SynthesisState(kept, w[keep], kappa[keep]),
        )

    @torch.inference_mode()
    def step(
        self, point: Tensor, output: Tensor | None = None, phi: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One point of each line.

        Args:
            point: `(B, 3)` the point just written.
            output: `(B, 6M + 1)` where to put the raw output; None makes a tensor.
            phi: `(B, U)` where to put the window's weights.

        Returns:
            The raw output and phi.
        """
        weights = self.weights
        first, *others = self.layers
        self.point.copy_(point)
        bias, weight = weights.first
        torch.baddbmm(bias, self.seen_first, weight, out=self.z_first)
        self._cells(first)
        bias, weight = weights.window
        torch.addmm(bias, first.h, weight, out=self.moves)
        self.beta_and_step.exp_()
        self.kappa.add_(self.kappa_step)
        bumps = torch.sub(self.kappa, self.u, out=self.bumps).square_()  # (B, K, U)
        torch.addcmul(self.log_alpha, self.beta, bumps, value=-1, out=bumps).exp_()
        phi = torch.sum(bumps, 1, out=phi).mul_(self.mask)
        self.w.zero_().scatter_add_(1, self.text, phi)
        if weights.others is not None:
            bias, weight = weights.others
            torch.baddbmm(bias, self.seen_others, weight, out=self.z_others)
        for layer in others:
            self._cells(layer)
        bias, weight = weights.output
        return torch.addmm(bias, self.h, weight, out=output), phi

    @torch.inference_mode()
    def write(
        self, point: Tensor, noise: Tensor, bias: float = 0.0, temperature: float = 1.0
    ) -> Points:
        """A stretch of points, each drawn from the mixture after the one before.

        Args:
            point: `(B, 3)` the point just written.
            noise: `(n, B, 4)` as `draw_noise` gives it, for n points.
            bias: at least 0; see `StrokeMixture.from_output`.
            temperature: above 0.
        """
        steps, batch, _ = noise.shape
        mixtures = self.weights.config.mixtures
        points = noise.new_empty(steps + 1, batch, 3)
        phi = noise.new_empty(steps, batch, len(self.u))
        output = noise.new_empty(steps, batch, 6 * mixtures + 1)
        points[0] = point
        pen = Pen(mixtures, noise, bias, temperature)
        for t in range(steps):
            raw, _ = self.step(points[t], output[t], phi[t])
            pen.draw(raw, t, points[t + 1])
        return Points(points[:-1], phi, output, points[-1])

    def _cells(self, layer: _Layer) -> None:
        """From the gates' inputs from outside to the new cells and outputs."""
        layer.product()
        layer.two.addcmul_(layer.c, layer.peephole_two)
        layer.three.sigmoid_()
        # f c + i tanh(z_g), where g holds sigmoid(2 z_g)
        layer.c.mul_(layer.f).addcmul_(layer.i, layer.g, value=2).sub_(layer.i)
        layer.o.addcmul_(layer.c, layer.peephole_o).sigmoid_()
        torch.mul(layer.o, torch.tanh(layer.c, out=self.tanh_c), out=layer.h)
        self._round(layer)

    def _round(self, layer: _Layer) -> None:
        if layer.h_int8 is not None:
            layer.h_int8.copy_((layer.h * INT8_STEPS).round_())


class Pen:
    """Draws what `StrokeMixture.from_output(...).sample(noise=...)` draws, faster.

    Args:
        mixtures: M.
        noise: `(n, B, 4)` as `draw_noise` gives it.
        bias: at least 0.
        temperature: above 0.

    Raises:
        ValueError: the bias or the temperature is out of its range.

    Example:
        >>> import torch
        >>> from handwriting_lib import StrokeMixture
        >>> output, noise = torch.randn(5, 121), torch.rand(1, 5, 4)
        >>> mine = Pen(20, noise, 0.5).draw(output, 0, torch.empty(5, 3))
        >>> theirs = StrokeMixture.from_output(output, 0.5).sample(noise=noise[0])
        >>> torch.allclose(mine, theirs, atol=1e-5)
        True
    """

    def __init__(
        self, mixtures: int, noise: Tensor, bias: float = 0.0, temperature: float = 1.0
    ) -> None:
        if not bias >= 0:
            raise ValueError(f"the bias must be at least 0, not {bias}")
        if not temperature > 0:
            raise ValueError(f"the temperature must be above 0, not {temperature}")
        pick, end, normal = noise.split([1, 1, 2], -1)
        self.pick = pick.unbind()  # (B, 1) each
        # the pen is lifted where end < sigmoid(logit / temperature)
        self.end = (torch.logit(end) * temperature).unbind()
        normal = normal * (math.exp(-bias) * math.sqrt(temperature))  # it scales sigma
        self.normal = normal.unbind()  # (B, 2) each
        self.along, self.across = (part.unbind() for part in normal.split(1, -1))
        self.share = slice(1, mixtures + 1)
        self.sharp = (1 + bias) / temperature
        self.columns = torch.arange(1, 6, device=noise.device) * mixtures + 1
        self.one = noise.new_ones(())

    @torch.inference_mode()
    def draw(self, output: Tensor, t: int, point: Tensor) -> Tensor:
        """Fill `point` `(B, 3)` from the raw output `(B, 6M + 1)` and noise t."""
        share = torch.softmax(output[:, self.share] * self.sharp, 1).cumsum_(1)
        # the last is 1, and rounding must not make it less than a number below 1
        pick = (share[:, :-1] < self.pick[t]).sum(1, keepdim=True)  # (B, 1)
        chosen = output.gather(1, pick + self.columns)  # (B, 5)
        mu, log_sigma, rho = chosen.split([2, 2, 1], 1)
        sigma = log_sigma.exp().add_(SIGMA_FLOOR)
        rho = rho.tanh().mul_(RHO_LIMIT)
        # the Cholesky factor of [[1, rho], [rho, 1]], not the matrix itself
        rest = torch.addcmul(self.one, rho, rho, value=-1).sqrt_()
        self.across[t].mul_(rest).addcmul_(rho, self.along[t])
        torch.addcmul(mu, sigma, self.normal[t], out=point[:, :2])
        torch.gt(output[:, :1], self.end[t], out=point[:, 2:])
        return point
