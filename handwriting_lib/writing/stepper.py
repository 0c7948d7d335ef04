"""One point after another: a synthesis network laid out for writing.

A point waits for the point before it, so the least that it can cost is to read all
weights once. Here nothing is recorded for a backward pass, every buffer is made once, a
layer reads its own cells and those below in one product, and of the mixture only the
component that a point is drawn from is evaluated. The numbers are those of
`SynthesisNetwork.step` and `StrokeMixture.sample`, up to rounding.

On a GPU the same calls run, and most of their time is spent on starting kernels; a CUDA
graph of two steps, as cells take turns, would save that.
"""

from __future__ import annotations

import math
from functools import cache, cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..alphabet import check_symbols
from ..errors import InputError
from ..fast import (
    INT8_STEPS,
    Backend,
    PackedWeight,
    backend_for,
    plain_backend,
)
from ..networks import SynthesisNetwork, SynthesisState
from ..parts.lstm import LSTMState

PRECISIONS = ("float32", "int8")


class Int8Weight:
    """A weight with a byte a number and a scale for each row.

    Args:
        weight: `(N, K)`.

    Attributes:
        weight: `(N, K)` int8.
        scale: `(N,)`: what 1 in a row stands for, beside cells' outputs in steps of
            `1 / INT8_STEPS`.
    """

    def __init__(self, weight: Tensor) -> None:
        # a row of zeros has no scale of its own
        largest = weight.abs().amax(1).clamp_min(1e-30)
        rows = weight * (INT8_STEPS / largest)[:, None]
        self.weight = rows.round_().to(torch.int8)
        self.scale = largest / INT8_STEPS**2


@cache
def _int8_is_exact() -> bool:
    """Whether torch's product of int8 numbers is right here: it is tried.

    Old versions lack it, or let sums overflow on processors without VNNI.
    """
    generator = torch.Generator().manual_seed(0)
    h, weight = (
        254 * torch.randint(2, shape, generator=generator, device="cpu") - 127
        for shape in ((4, 800), (16, 800))
    )
    try:
        found = torch._int_mm(h.to(torch.int8), weight.to(torch.int8).t())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    return torch.equal(found.long(), h @ weight.t())


def _backend_for(like: Tensor) -> Backend:
    """On a GPU plain torch: there, the kernels have been tried in training alone."""
    return backend_for(like) if like.device.type == "cpu" else plain_backend()


class StepWeights:
    """The weights of a network in the order in which `Stepper` reads them.

    All that a layer reads lies side by side in one row: the first layer's output, then
    the point and what the window reads, then the outputs of the other layers. So each
    layer reads one stretch of the row, and its weights are one matrix.

    They are copies: of a network that has been trained on, make them again.

    Args:
        network: to write with.
        precision: `"float32"`, or `"int8"` for the weights from cell to cell, most of
            them all. Those on the way in and out stay in float32, for the sake of the
            ink.

    Raises:
        ValueError: there is no such precision, or not for this network's device or
            type, or not on this processor.
    """

    @torch.inference_mode()
    def __init__(self, network: SynthesisNetwork, precision: str = "float32") -> None:
        device = network.output.bias.device
        if precision not in PRECISIONS:
            raise InputError(
                f"the precision must be {' or '.join(PRECISIONS)}, not {precision!r}"
            )
        if precision == "int8" and device.type != "cpu":
            raise InputError(f"int8 weights are for a CPU; the network is on {device}")
        dtype = network.output.bias.dtype
        if precision == "int8" and dtype not in (torch.float32, torch.float64):
            raise InputError(f"int8 weights are made of float32, not of {dtype}")
        if precision == "int8" and not _int8_is_exact():
            raise InputError(
                "torch does not multiply int8 exactly on this processor: use float32"
            )
        self.config, self.precision = network.config, precision
        self.backend = _backend_for(network.output.bias)
        hidden, outside = network.config.hidden, 3 + network.config.symbols
        self.seen = slice(hidden, hidden + outside)  # the point, what the window reads
        self.cells = [slice(0, hidden)]  # each layer's outputs
        for number in range(1, network.config.layers):
            first = self.seen.stop + (number - 1) * hidden
            self.cells.append(slice(first, first + hidden))
        self.width = max(self.seen.stop, self.cells[-1].stop)
        self.reads: list[slice] = []  # of the row, in float32
        self.reads_int8: list[slice] = []  # of all cells' outputs
        self.matrices: list[Tensor] = []
        self.int8: list[Int8Weight] = []
        self.biases, self.peepholes = [], []
        layer: Any
        for number, layer in enumerate(network.layers):
            from_seen = layer.weight_ih[:, :outside]
            from_below = layer.weight_ih[:, outside:]  # none in the first layer
            if precision == "int8":
                self.reads.append(self.seen)
                self.matrices.append(from_seen.clone())
                first = max(number - 1, 0) * hidden
                self.reads_int8.append(slice(first, (number + 1) * hidden))
                self.int8.append(
                    Int8Weight(torch.cat([from_below, layer.weight_hh], 1))
                )
            else:
                weight = layer.bias.new_zeros(4 * hidden, self.width)
                weight[:, self.seen] = from_seen
                if number:
                    weight[:, self.cells[number - 1]] = from_below
                weight[:, self.cells[number]] = layer.weight_hh
                first = min(self.cells[max(number - 1, 0)].start, self.seen.start)
                end = max(self.cells[number].stop, self.seen.stop)
                self.reads.append(slice(first, end))
                self.matrices.append(weight[:, first:end].clone())
            self.biases.append(layer.bias.clone())
            self.peepholes.append(layer.peephole.clone())
        self.window_bias = network.window.bias.clone()
        self.output_bias = network.output.bias.clone()
        weight = network.output.weight.new_zeros(len(self.output_bias), self.width)
        parts = network.output.weight.split(hidden, 1)
        for cells, part in zip(self.cells, parts, strict=True):
            weight[:, cells] = part
        self.matrices += [network.window.weight.clone(), weight]

    @cached_property
    def packed(self) -> list[PackedWeight]:
        """The matrices of the layers, the window and the output, for several lines."""
        return [PackedWeight(weight) for weight in self.matrices]

    @cached_property
    def line_loop(self) -> Any:
        """The compiled loop for one line alone, or None where there is none."""
        return self.backend.line_loop(self)


class Points(NamedTuple):
    """A stretch of writing, point by point.

    Attributes:
        read: `(n, B, 3)` the points that the network read.
        phi: `(n, B, U)` the weights of the window at each of them.
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
        state: to continue from, which is not changed; None starts with zeros.

    Example:
        >>> import torch
        >>> from handwriting_lib import SynthesisConfig
        >>> net = SynthesisNetwork(SynthesisConfig(hidden=8))
        >>> text, point = torch.tensor([[34, 73, 0]]), torch.zeros(1, 3)
        >>> mask = torch.ones_like(text, dtype=torch.bool)
        >>> stepper = Stepper(StepWeights(net), text, mask)
        >>> output, _ = stepper.step(point)
        >>> theirs, _, _ = net.step(point, net.initial_state(1), text, mask)
        >>> torch.allclose(output, theirs, atol=1e-6)
        True
    """

    @torch.inference_mode()
    def __init__(
        self,
        weights: StepWeights,
        text: Tensor,
        text_mask: Tensor,
        state: SynthesisState | None = None,
    ) -> None:
        config, batch = weights.config, len(text)
        check_symbols(text, config.symbols)
        zeros = weights.output_bias.new_zeros
        self.weights = weights
        self.text, self.text_mask = text.contiguous(), text_mask
        self.mask = text_mask.to(weights.output_bias.dtype).contiguous()  # (B, U)
        # The outputs of all layers, the point, and what the window reads: (B, R).
        self.row = zeros(batch, weights.width)
        self.point, self.w = self.row[:, weights.seen].split([3, config.symbols], 1)
        cells = len(weights.int8) * config.hidden  # none in float32
        self.cells_int8 = zeros(batch, cells, dtype=torch.int8)
        self.kappa = zeros(batch, config.components)
        self.moves = zeros(batch, 3 * config.components)
        # Of each layer, the cells before a point and after it, by turns.
        self.turn = 0
        self.cells = zeros(config.layers, 2, batch, config.hidden)
        self.tanh_c = zeros(batch, config.hidden)
        if state is not None:
            self.w.copy_(state.w)
            self.kappa.copy_(state.kappa)
            for number, old in enumerate(state.layers):
                self.row[:, weights.cells[number]] = old.h
                self.cells[number, 0] = old.c
        for number in range(len(weights.int8)):
            self._round(number)

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        """The buffers as the backend takes them."""
        weights, array = self.weights, self.weights.backend.array
        batch = len(self.text)
        names = "row cells_int8 kappa moves cells tanh_c text mask".split()
        return {name: array(getattr(self, name)) for name in names} | {
            "peepholes": [array(peephole) for peephole in weights.peepholes],
            "biases": [array(bias.repeat(batch, 1)) for bias in weights.biases],
            "scales": [array(int8.scale) for int8 in weights.int8],
            "rest": array(self.row.new_empty(batch, 4 * weights.config.hidden)),
        }

    @property
    def state(self) -> SynthesisState:
        """After the last point, as `SynthesisNetwork.step` gives it."""
        layers = (
            LSTMState(self.row[:, own].clone(), c.clone())
            for own, c in zip(self.weights.cells, self.cells[:, self.turn], strict=True)
        )
        return SynthesisState(tuple(layers), self.w.clone(), self.kappa.clone())

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
            phi: `(B, U)` where to put the weights of the window.

        Returns:
            The raw output and phi.
        """
        weights, config, buffers = self.weights, self.weights.config, self._arrays
        backend = weights.backend
        if phi is None:
            phi = torch.empty_like(self.text, dtype=self.row.dtype)
        self.point.copy_(point)
        self._layer(0)
        *_, window, out = weights.packed
        product = window.product(self.row[:, weights.cells[0]])
        torch.add(product, weights.window_bias, out=self.moves)
        backend.forward_window(
            buffers["moves"], buffers["kappa"], buffers["kappa"], backend.array(phi),
            buffers["text"], buffers["mask"], buffers["row"], weights.seen.start + 3,
            config.symbols,
        )  # fmt: skip
        for number in range(1, config.layers):
            self._layer(number)
        self.turn = 1 - self.turn
        product = out.product(self.row)
        return torch.add(product, weights.output_bias, out=output), phi

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
        noise = noise.to(self.row.dtype)
        steps, batch, _ = noise.shape
        points = noise.new_empty(steps + 1, batch, 3)
        phi = noise.new_empty(steps, *self.text.shape)
        output = noise.new_empty(steps, batch, len(self.weights.output_bias))
        points[0] = point
        pen = Pen(noise, bias, temperature)
        loop = self.weights.line_loop if batch == 1 else None
        if loop is not None:
            buffers = (
                self.row, self.cells_int8, self.kappa, self.moves, self.cells,
                self.tanh_c, self.text, self.mask,
            )  # fmt: skip
            loop.write(buffers, self.turn, pen.noise, pen.sharp, points, phi, output)
            self.turn = (self.turn + steps) % 2
        else:
            for t in range(steps):
                raw, _ = self.step(points[t], output[t], phi[t])
                pen.draw(raw, t, points[t + 1])
        return Points(points[:-1], phi, output, points[-1])

    def _layer(self, number: int) -> None:
        """New cells and outputs of a layer."""
        weights, backend, buffers = self.weights, self.weights.backend, self._arrays
        z = weights.packed[number].product(self.row[:, weights.reads[number]])
        rest = buffers["biases"][number]
        if weights.int8:
            h = self.cells_int8[:, weights.reads_int8[number]]
            whole = torch._int_mm(h, weights.int8[number].weight.t())
            scale = buffers["scales"][number]
            backend.dequantise(backend.array(whole), scale, rest, buffers["rest"])
            rest = buffers["rest"]
        cells = buffers["cells"][number]
        backend.forward_gates(
            backend.array(z), rest, cells[self.turn], buffers["peepholes"][number],
            cells[1 - self.turn], buffers["tanh_c"], buffers["row"],
            weights.cells[number].start,
        )  # fmt: skip
        if weights.int8:
            self._round(number)

    def _round(self, number: int) -> None:
        """The outputs of a layer in int8, for weights in int8."""
        hidden = self.weights.config.hidden
        self.weights.backend.quantise(
            self._arrays["row"], self.weights.cells[number].start,
            self._arrays["cells_int8"], number * hidden, hidden,
        )  # fmt: skip


class Pen:
    """Draws what `StrokeMixture.from_output(...).sample(noise=...)` draws, faster.

    Args:
        noise: `(n, B, 4)` as `draw_noise` gives it.
        bias: at least 0.
        temperature: above 0.

    Raises:
        ValueError: the bias or the temperature is out of its range.

    Example:
        >>> import torch
        >>> from handwriting_lib import StrokeMixture
        >>> output, noise = torch.randn(5, 121), torch.rand(1, 5, 4)
        >>> mine = Pen(noise, 0.5).draw(output, 0, torch.empty(5, 3))
        >>> theirs = StrokeMixture.from_output(output, 0.5).sample(noise=noise[0])
        >>> torch.allclose(mine, theirs, atol=1e-5)
        True
    """

    def __init__(
        self, noise: Tensor, bias: float = 0.0, temperature: float = 1.0
    ) -> None:
        if not bias >= 0:
            raise InputError(f"the bias must be at least 0, not {bias}")
        if not temperature > 0:
            raise InputError(f"the temperature must be above 0, not {temperature}")
        pick, end, normal = noise.split([1, 1, 2], -1)
        # the pen is lifted where end < sigmoid(logit / temperature)
        end = torch.logit(end) * temperature
        normal = normal * (math.exp(-bias) * math.sqrt(temperature))  # it scales sigma
        self.noise = pick.contiguous(), end.contiguous(), normal.contiguous()
        self.sharp = (1 + bias) / temperature
        self.backend = _backend_for(noise)

    @cached_property
    def _arrays(self) -> list[Any]:
        return [self.backend.array(part) for part in self.noise]

    @torch.inference_mode()
    def draw(self, output: Tensor, t: int, point: Tensor) -> Tensor:
        """Fill `point` `(B, 3)` from the raw output `(B, 6M + 1)` and noise t."""
        array, (pick, end, normal) = self.backend.array, self._arrays
        self.backend.draw(
            array(output), self.sharp, pick[t], end[t], normal[t], array(point)
        )
        return point
