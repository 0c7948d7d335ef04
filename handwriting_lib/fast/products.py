"""Matrix products with one weight at many points, by oneDNN on a CPU.

A recurrent layer multiplies by the same weight at every point, and `torch.mm` reorders
that weight for its kernel each time. `PackedWeight` reorders it once, with the
operators that `torch.compile` uses for linear layers with constant weights (oneDNN's
inner product). The products are torch's own on a GPU, in double precision, with
`HANDWRITING_FAST=0`, and where a build of torch lacks these operators.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import linear

from .backend import is_fast

# oneDNN chooses a layout for the number of rows that it is told to expect. The layout
# for one row differs from that for several; the one for 32 rows serves any number.
EXPECTED_ROWS = 32


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Try whether the operators work in this build of torch on this processor."""
    if not is_fast() or dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.ones(4, 8, dtype=dtype, device="cpu")
    weight = torch.ones(16, 8, dtype=dtype, device="cpu")
    try:
        return torch.equal(_multiply(x, _pack(weight), None), x @ weight.t())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, EXPECTED_ROWS)


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


class PackedWeight:
    """A copy of a weight, laid out for repeated products.

    Args:
        weight: `(N, K)` weight to copy.

    Example:
        >>> import torch
        >>> x, weight = torch.randn(4, 8), torch.randn(16, 8)
        >>> torch.allclose(PackedWeight(weight).product(x), x @ weight.t(), atol=1e-6)
        True
    """

    def __init__(self, weight: Tensor) -> None:
        weight = weight.detach().clone(memory_format=torch.contiguous_format)
        on_cpu = weight.device.type == "cpu"
        self.packed = on_cpu and _can_pack(weight.dtype)
        self.weight = _pack(weight) if self.packed else weight

    def product(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x @ weight.T + bias`, from `(..., K)` to `(..., N)`, without a gradient."""
        multiply = _multiply if self.packed else linear
        return multiply(x, self.weight, bias)
