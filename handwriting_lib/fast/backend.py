"""The operations that differ from machine to machine, and which backend runs them.

Between two matrix products a recurrent network does little: gates, the window, a draw
from a mixture. Plain torch starts a dozen kernels for each, and starting them takes
longer than running them. A backend does each in one go: `numba_backend` on a CPU,
`triton_backend` on a GPU, `torch_backend` everywhere else. All give the same numbers up
to rounding.

A backend is chosen once per process for a device and a type of numbers. With
`HANDWRITING_FAST=0` in the environment it is plain torch everywhere.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor


class Backend(Protocol):
    """What happens at one point of B lines between two matrix products.

    Every operation writes into buffers that the caller owns. The caller passes what
    `array` made of a tensor, so that a backend may work on arrays of its own kind.

    Attributes:
        name: `"torch"`, `"numba"` or `"triton"`.
    """

    name: str

    def array(self, tensor: Tensor) -> Any:
        """The tensor as this backend takes it, in the same memory."""
        ...

    def forward_gates(
        self,
        z: Any,
        recurrent: Any,
        c: Any,
        peephole: Any,
        new_c: Any,
        tanh_c: Any,
        row: Any,
        first: int,
        low: Tensor | None = None,
    ) -> None:
        """From the inputs of the gates to the new cell and output (eqs 7 to 11).

        Args:
            z: `(B, 4H)` the part of the inputs that is known beforehand; overwritten
                with the gate values i, f, g, o.
            recurrent: `(B, 4H)` what is added to it.
            c: `(B, H)` the cell before the point.
            peephole: `(3, H)`.
            new_c: `(B, H)` filled with the cell after the point.
            tanh_c: `(B, H)` filled with its tanh.
            row: `(B, R)`, whose H columns from `first` on are filled with the output.
            first: the first of these columns.
            low: `(B, R)` a copy of `row` in the type of the matrix products, filled
                likewise; None where that is the type of `row`.
        """
        ...

    def backward_gates(
        self,
        d_out: Any,
        d_next: Any,
        gates: Any,
        c: Any,
        tanh_c: Any,
        d_c: Any,
        peephole: Any,
        d_z: Any,
        limit: float,
        d_low: Tensor | None = None,
    ) -> None:
        """The derivatives of `forward_gates`.

        Args:
            d_out: `(B, H)` the derivative of the output, from outside the layer.
            d_next: `(B, R)`, whose last H columns come from the point after.
            gates: `(B, 4H)` gate values.
            c: `(B, H)` the cell before the point.
            tanh_c: `(B, H)` the tanh of the cell after it.
            d_c: `(B, H)` the derivative of the cell after the point; overwritten with
                that of the cell before.
            peephole: `(3, H)`.
            d_z: `(B, 4H)` filled with the derivatives of the inputs of the gates.
            limit: clips them before they go any further back, see
                `parts.lstm.clip_derivative`; may be infinite.
            d_low: `(B, 4H)` a copy of `d_z` in the type of the matrix products, or
                None, as in `forward_gates`.
        """
        ...

    def forward_window(
        self,
        moves: Any,
        kappa: Any,
        new_kappa: Any,
        phi: Any,
        text: Any,
        mask: Any,
        row: Any,
        first: int,
        symbols: int,
        low: Tensor | None = None,
    ) -> None:
        """One step of the window (eqs 46 to 51).

        Args:
            moves: `(B, 3K)` logarithms of alpha, beta and the step of kappa;
                overwritten with their exponentials.
            kappa: `(B, K)` the places before the point.
            new_kappa: `(B, K)` filled with the places after; may be `kappa` itself.
            phi: `(B, U)` filled with the weights of the characters.
            text: `(B, U)` int64.
            mask: `(B, U)` 1 where there is a character or the end slot, otherwise 0.
            row: `(B, R)`, whose V columns from `first` on are filled with what the
                window reads.
            first: the first of these columns.
            symbols: V.
            low: as in `forward_gates`.
        """
        ...

    def backward_window(
        self,
        d_w: Any,
        d_next: Any,
        moves: Any,
        kappa: Any,
        text: Any,
        mask: Any,
        d_kappa: Any,
        d_moves: Any,
    ) -> None:
        """The derivatives of `forward_window`.

        Args:
            d_w: `(B, V)` the derivative of what was read, from outside the layer.
            d_next: `(B, R)`, whose first V columns come from the point after.
            moves: `(B, 3K)` alpha, beta and the step of kappa.
            kappa: `(B, K)` the places after the point.
            text: `(B, U)` int64.
            mask: `(B, U)` as in `forward_window`.
            d_kappa: `(B, K)` the derivative of the places after the point; overwritten
                with that of the places before.
            d_moves: `(B, 3K)` filled with the derivatives of the logarithms.
        """
        ...

    def draw(
        self, output: Any, sharp: float, pick: Any, end: Any, normal: Any, point: Any
    ) -> None:
        """Draw a point, as `StrokeMixture.from_output(...).sample(noise=...)` does.

        Args:
            output: `(B, 6M + 1)` raw output.
            sharp: factor of the logarithms of the mixture weights.
            pick: `(B, 1)` uniform numbers that choose the component.
            end: `(B, 1)`; the pen is lifted where the raw output is larger.
            normal: `(B, 2)` normal numbers, scaled.
            point: `(B, 3)` filled with the point.
        """
        ...

    def quantise(
        self, row: Any, first: int, cells: Any, first_cell: int, hidden: int
    ) -> None:
        """Outputs of a layer in steps of 1/127.

        Args:
            row: `(B, R)` with the outputs, between -1 and 1, from column `first` on.
            first: the first of these columns.
            cells: `(B, LH)` int8, filled from column `first_cell` on.
            first_cell: the first column to fill.
            hidden: H.
        """
        ...

    def dequantise(self, whole: Any, scale: Any, bias: Any, z: Any) -> None:
        """An int8 product as a part of the inputs of the gates.

        Args:
            whole: `(B, 4H)` int32, the product.
            scale: `(4H,)` the value of one unit of it.
            bias: `(B, 4H)` to add.
            z: `(B, 4H)` filled with `bias + scale * whole`.
        """
        ...

    def line_loop(self, weights: Any) -> Any:
        """A compiled loop that writes one line alone, or None.

        Args:
            weights: as `writing.stepper.StepWeights` lays them out.
        """
        ...


def is_fast() -> bool:
    """Whether anything but plain torch may be used (`HANDWRITING_FAST`)."""
    return os.environ.get("HANDWRITING_FAST", "1") != "0"


def backend_for(like: Tensor) -> Backend:
    """The backend for the device and the type of a tensor.

    Example:
        >>> import torch
        >>> backend_for(torch.zeros(1, dtype=torch.float64)).name
        'torch'
    """
    return _choose(like.device.type, like.dtype)


@cache
def _choose(device: str, dtype: torch.dtype) -> Backend:
    wanted = None
    if is_fast() and device == "cuda":
        wanted = "triton_backend"
    elif is_fast() and (device, dtype) == ("cpu", torch.float32):
        wanted = "numba_backend"
    for name in (wanted, "torch_backend"):
        try:
            if name:
                module = importlib.import_module(f".{name}", __package__)
                return module.BACKEND  # type: ignore[no-any-return]
        except (ImportError, RuntimeError):
            # The extra is not installed, or Numba finds no folder for its cache.
            continue
    raise AssertionError("plain torch is always there")
