"""One point after another, fast: a synthesis network laid out for writing.

A point waits for the point before it, so the least that it can cost is to read all
weights once. Here nothing is recorded for a backward pass, every buffer is made once, a
layer reads its own cells and those below in one go, and of a mixture only the component
that a point is drawn from is worked out. The numbers are those of
`SynthesisNetwork.step` and `StrokeMixture.sample`.

On a GPU the same calls run, and what they cost there is mostly starting them. A CUDA
graph of two steps, as cells take turns, would save that.
"""

from __future__ import annotations

import math
from functools import cache, cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import pointwise
from .fused import check_symbols, points_for
from .lstm import LSTMState, PeepholeLSTM
from .networks import SynthesisNetwork, SynthesisState
from .packed import PackedWeight

PRECISIONS = ("float32", "int8")


class Int8Weight:
    """A weight with a byte a number and a scale for each row.

    Args:
        weight: `(N, K)`.

    Attributes:
        weight: `(N, K)` int8.
        scale: `(N,)`: what 1 in a row stands for, beside cells' outputs in steps of
            `1 / pointwise.INT8_STEPS`.
    """

    def __init__(self, weight: Tensor) -> None:
        # a row of zeros has no scale of its own
        largest = weight.abs().amax(1).clamp_min(1e-30)
        rows = weight * (pointwise.INT8_STEPS / largest)[:, None]
        self.weight = rows.round_().to(torch.int8)
        self.scale = largest / pointwise.INT8_STEPS**2


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
            raise ValueError(
                f"weights must be one of {', '.join(PRECISIONS)}, not {precision!r}"
            )
        if precision == "int8" and device.type != "cpu":
            raise ValueError(f"int8 weights are for a CPU; the network is on {device}")
        dtype = network.output.bias.dtype
        if precision == "int8" and dtype not in (torch.float32, torch.float64):
            raise ValueError(f"int8 weights are made of float32, not of {dtype}")
        if precision == "int8" and not _int8_is_exact():
            raise ValueError(
                "torch does not multiply int8 exactly on this processor: use float32"
            )
        self.config, self.precision = network.config, precision
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
        for number, layer in enumerate(network.layers):
            assert isinstance(layer, PeepholeLSTM)
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
                for cells in self.cells[number - 1 : number]:
                    weight[:, cells] = from_below
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
        """Of the layers, the window and the output, for several lines."""
        return [PackedWeight(weight) for weight in self.matrices]

    @cached_property
    def alone(self) -> Any:
        """As `one_line.write` takes them, for a line by itself.

        None where it would not be the line that it is among others, digit by digit, or
        where Numba is not installed.
        """
        like = self.output_bias
        if points_for(like) is pointwise:
            return None
        from . import one_line  # which takes Numba, as the compiled points do

        if not all(one_line.adds_up_alike(*m.shape) for m in self.matrices):
            return None
        *layers, window, output = (one_line.columns(m) for m in self.matrices)
        none = Int8Weight(like.new_empty(0, 1))
        arrays = []
        for number, panels in enumerate(layers):
            int8 = self.int8[number] if self.int8 else none
            first_int8 = self.reads_int8[number].start if self.int8 else 0
            layer = one_line.LayerWeights(
                panels, self.reads[number].start, int8.weight.numpy(), first_int8,
                int8.scale.numpy(), self.biases[number][None].numpy(),
                self.peepholes[number].numpy(), self.cells[number].start,
            )  # fmt: skip
            arrays.append(layer)
        return one_line.Weights(
            tuple(arrays), window, self.window_bias.numpy(), output,
            self.output_bias.numpy(), self.seen.start, self.config.symbols,
        )  # fmt: skip


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
        config, (batch, _) = weights.config, text.shape
        check_symbols(text, config.symbols)
        empty = state.w.new_empty
        self.points = points_for(state.w)
        ready = self.points.ready
        self.weights, self.text, self.text_mask = weights, text, text_mask
        self.row = state.w.new_zeros(batch, weights.width)
        cells = len(weights.int8) * config.hidden  # none in float32
        self.cells_int8 = self.row.new_empty(batch, cells, dtype=torch.int8)
        self.point, self.w = self.row[:, weights.seen].split([3, config.symbols], 1)
        self.w.copy_(state.w)
        self.kappa = state.kappa.clone()
        self.moves = empty(batch, 3 * config.components)
        # of each layer the cells before a point and after it, by turns
        self.turn = 0
        self.cells = empty(config.layers, 2, batch, config.hidden)
        self.ready_row, self.ready_kappa = ready(self.row), ready(self.kappa)
        self.ready_int8 = ready(self.cells_int8)
        self.ready_moves = ready(self.moves)
        self.ready_text = ready(text.contiguous())
        self.ready_mask = ready(text_mask.to(state.w.dtype).contiguous())
        self.ready_cells = ready(self.cells)
        self.ready_tanh_c = ready(empty(batch, config.hidden))
        self.ready_peepholes = [ready(peephole) for peephole in weights.peepholes]
        # (B, 4H)
        self.ready_biases = [ready(bias.repeat(batch, 1)) for bias in weights.biases]
        self.ready_scales = [ready(int8.scale) for int8 in weights.int8]
        self.ready_rest = ready(empty(batch, 4 * config.hidden))
        for number, old in enumerate(state.layers):
            self.row[:, weights.cells[number]] = old.h
            self.cells[number, 0] = old.c
            self._round(number)

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
            phi: `(B, U)` where to put the window's weights.

        Returns:
            The raw output and phi.
        """
        weights, config = self.weights, self.weights.config
        if phi is None:
            phi = torch.empty_like(self.text, dtype=self.row.dtype)
        self.point.copy_(point)
        self._layer(0)
        *_, window, out = weights.packed
        product = window.product(self.row[:, weights.cells[0]])
        torch.add(product, weights.window_bias, out=self.moves)
        self.points.forward_window(
            self.ready_moves, self.ready_kappa, self.ready_kappa,
            self.points.ready(phi), self.ready_text, self.ready_mask, self.ready_row,
            weights.seen.start + 3, config.symbols,
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
        if batch == 1 and self.weights.alone is not None:
            self._write_alone(pen, points, phi, output)
        else:
            for t in range(steps):
                raw, _ = self.step(points[t], output[t], phi[t])
                pen.draw(raw, t, points[t + 1])
        return Points(points[:-1], phi, output, points[-1])

    def _write_alone(
        self, pen: Pen, points: Tensor, phi: Tensor, output: Tensor
    ) -> None:
        from . import one_line

        buffers = one_line.Buffers(
            self.ready_row, self.ready_int8, self.ready_kappa, self.ready_moves,
            self.ready_cells, self.ready_tanh_c, self.ready_text, self.ready_mask,
        )  # fmt: skip
        into = (self.points.ready(part) for part in (points, phi, output))
        one_line.write(
            self.weights.alone, buffers, self.turn, pen.noise, pen.sharp, *into,
            one_line.cores(),
        )  # fmt: skip
        self.turn = (self.turn + len(phi)) % 2

    def _layer(self, number: int) -> None:
        """New cells and outputs of a layer."""
        weights, points = self.weights, self.points
        z = weights.packed[number].product(self.row[:, weights.reads[number]])
        rest = self.ready_biases[number]
        if weights.int8:
            h = self.cells_int8[:, weights.reads_int8[number]]
            whole = torch._int_mm(h, weights.int8[number].weight.t())
            scale = self.ready_scales[number]
            points.dequantise(points.ready(whole), scale, rest, self.ready_rest)
            rest = self.ready_rest
        cells = self.ready_cells[number]
        points.forward_gates(
            points.ready(z), rest, cells[self.turn], self.ready_peepholes[number],
            cells[1 - self.turn], self.ready_tanh_c, self.ready_row,
            weights.cells[number].start,
        )  # fmt: skip
        self._round(number)

    def _round(self, number: int) -> None:
        if self.weights.int8:
            hidden = self.weights.config.hidden
            self.points.quantise(
                self.ready_row, self.weights.cells[number].start,
                self.ready_int8, number * hidden, hidden,
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
            raise ValueError(f"the bias must be at least 0, not {bias}")
        if not temperature > 0:
            raise ValueError(f"the temperature must be above 0, not {temperature}")
        pick, end, normal = noise.split([1, 1, 2], -1)
        # the pen is lifted where end < sigmoid(logit / temperature)
        end = torch.logit(end) * temperature
        normal = normal * (math.exp(-bias) * math.sqrt(temperature))  # it scales sigma
        self.points = points_for(noise)
        self.noise = tuple(
            self.points.ready(part.contiguous()) for part in (pick, end, normal)
        )
        self.sharp = (1 + bias) / temperature

    @torch.inference_mode()
    def draw(self, output: Tensor, t: int, point: Tensor) -> Tensor:
        """Fill `point` `(B, 3)` from the raw output `(B, 6M + 1)` and noise t."""
        ready, (pick, end, normal) = self.points.ready, self.noise
        self.points.draw(
            ready(output), self.sharp, pick[t], end[t], normal[t], ready(point)
        )
        return point
