"""The operations that depend on the device, and the choice of a backend to run them.

Between two matrix products a recurrent network does little: it evaluates the gates,
moves the window or draws from a mixture. Plain torch launches a dozen kernels for each
of these, and launching them takes longer than running them. A backend does each in one
call: `numba_backend` on a CPU, `triton_backend` on a GPU, and `torch_backend`
everywhere else. All give the same numbers up to rounding.

A backend is chosen once per process for each type of device and dtype. With
`HANDWRITING_FAST=0` in the environment it is always plain torch.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor


class Backend(Protocol):
    """The operations between two matrix products, at one point of B lines.

    Every operation writes into buffers that the caller owns. The caller passes tensors
    through `array` first, so that a backend may work on arrays of its own kind.

    Attributes:
        name: name of the backend: `"torch"`, `"numba"` or `"triton"`.
    """

    name: str

    def array(self, tensor: Tensor) -> Any:
        """Return the tensor as the backend takes it, in the same memory."""
        ...

    def read(self, tensor: Tensor) -> Any:
        """As `array`, for what is only read: it may be a copy in another type."""
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
        """Compute the new cell and output from the inputs of the gates (eqs 7 to 11).

        Args:
            z: `(B, 4H)` part of the gates' inputs that is known beforehand; overwritten
                with the gate values i, f, g, o.
            recurrent: `(B, 4H)` recurrent part of the inputs, which is added to `z`.
            c: `(B, H)` cell before the point.
            peephole: `(3, H)` peephole weights.
            new_c: `(B, H)` buffer for the cell after the point.
            tanh_c: `(B, H)` buffer for the tanh of `new_c`.
            row: `(B, R)` buffer, whose H columns from `first` on receive the output.
            first: index of the first of these columns.
            low: `(B, R)` copy of `row` in the type of the matrix products, filled
                likewise; None if that is the type of `row`.
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
        """Compute the derivatives of `forward_gates`.

        Args:
            d_out: `(B, H)` derivative of the output, from outside the layer.
            d_next: `(B, R)` derivative of `row`, from the next point; its last H
                columns are those of the output.
            gates: `(B, 4H)` gate values.
            c: `(B, H)` cell before the point.
            tanh_c: `(B, H)` tanh of the cell after the point.
            d_c: `(B, H)` derivative of the cell after the point; overwritten with that
                of the cell before the point.
            peephole: `(3, H)` peephole weights.
            d_z: `(B, 4H)` buffer for the derivatives of the gates' inputs.
            limit: limit to which these derivatives are clipped before they propagate
                further back, see `parts.lstm.clip_derivative`; may be infinite.
            d_low: `(B, 4H)` copy of `d_z` in the type of the matrix products, or None,
                as in `forward_gates`.
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
        """Compute one step of the window (eqs 46 to 51).

        Args:
            moves: `(B, 3K)` logarithms of alpha, beta and the step of kappa;
                overwritten with their exponentials.
            kappa: `(B, K)` positions before the point.
            new_kappa: `(B, K)` buffer for the positions after the point; may be `kappa`
                itself.
            phi: `(B, U)` buffer for the weights of the characters.
            text: `(B, U)` int64 symbols.
            mask: `(B, U)` mask, 1 for characters and the end slot, otherwise 0.
            row: `(B, R)` buffer, whose V columns from `first` on receive what the
                window reads.
            first: index of the first of these columns.
            symbols: V, the size of the alphabet.
            low: `(B, R)` copy of `row`, or None, as in `forward_gates`.
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
        """Compute the derivatives of `forward_window`.

        Args:
            d_w: `(B, V)` derivative of what the window read, from outside the layer.
            d_next: `(B, R)` derivative of `row`, from the next point; its first V
                columns are those of what the window read.
            moves: `(B, 3K)` alpha, beta and the step of kappa.
            kappa: `(B, K)` positions after the point.
            text: `(B, U)` int64 symbols.
            mask: `(B, U)` mask, as in `forward_window`.
            d_kappa: `(B, K)` derivative of the positions after the point; overwritten
                with that of the positions before the point.
            d_moves: `(B, 3K)` buffer for the derivatives of the logarithms.
        """
        ...

    def draw(
        self, output: Any, sharp: float, pick: Any, end: Any, normal: Any, point: Any
    ) -> None:
        """Draw a point, as `StrokeMixture.from_output(...).sample(noise=...)` does.

        Args:
            output: `(B, 6M + 1)` raw output.
            sharp: factor that multiplies the logarithms of the mixture weights.
            pick: `(B, 1)` uniform numbers that choose the component.
            end: `(B, 1)` thresholds; the pen is lifted where its raw output is larger.
            normal: `(B, 2)` scaled normal numbers.
            point: `(B, 3)` buffer for the point.
        """
        ...

    def quantise(
        self, row: Any, first: int, cells: Any, first_cell: int, hidden: int
    ) -> None:
        """Round the outputs of a layer to steps of 1/127.

        Args:
            row: `(B, R)` row with the outputs, between -1 and 1, from column `first`
                on.
            first: index of the first of these columns.
            cells: `(B, LH)` int8 buffer, filled from column `first_cell` on.
            first_cell: index of the first column to fill.
            hidden: H, the number of outputs.
        """
        ...

    def dequantise(self, whole: Any, scale: Any, bias: Any, z: Any) -> None:
        """Convert an int8 product to a part of the gates' inputs.

        Args:
            whole: `(B, 4H)` int32 product.
            scale: `(4H,)` value of one unit of the product.
            bias: `(B, 4H)` bias to add.
            z: `(B, 4H)` buffer for `bias + scale * whole`.
        """
        ...

    def line_loop(self, weights: Any) -> Any:
        """A compiled loop that writes a single line, or None if there is none.

        Args:
            weights: weights of the network, a `writing.stepper.StepWeights`.
        """
        ...


def is_fast() -> bool:
    """Whether code other than plain torch may be used (`HANDWRITING_FAST`)."""
    return os.environ.get("HANDWRITING_FAST", "1") != "0"


def backend_for(like: Tensor) -> Backend:
    """The backend for the device and the dtype of a tensor.

    Example:
        >>> import torch
        >>> backend_for(torch.zeros(1, dtype=torch.float64)).name
        'torch'
    """
    return _choose(like.device.type, like.dtype)


@cache
def _choose(device: str, dtype: torch.dtype) -> Backend:
    wanted = None
    if is_fast() and device == "cuda" and dtype in (torch.float32, torch.float64):
        wanted = "triton_backend"
    elif is_fast() and (device, dtype) == ("cpu", torch.float32):
        wanted = "numba_backend"
    if wanted:
        try:
            module = importlib.import_module(f".{wanted}", __package__)
            return module.BACKEND  # type: ignore[no-any-return]
        except (ImportError, RuntimeError):
            pass  # the extra is not installed, or Numba finds no folder for its cache
    return plain_backend()


def plain_backend() -> Backend:
    """The backend in plain torch, which serves any device and type."""
    from .torch_backend import BACKEND

    return BACKEND
