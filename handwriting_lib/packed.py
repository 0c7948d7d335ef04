"""A matrix product made with the same weight over and over, on a CPU.

A recurrent layer multiplies by one weight at every point. `torch.mm` brings that weight
into the order of its kernel each time; for a batch of lines that takes longer than the
product. Here it is done once. The operators are the ones that `torch.compile` calls for
a linear layer with constant weights (oneDNN's inner product). Where a build of torch
lacks them, on a GPU and in double precision, the product is `torch.mm`.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# oneDNN chooses the order by the number of rows that it is told to expect. For one row
# it is another than for several; this one serves any number.
ROWS = 32


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this build, on this processor, has the operators: it is tried."""
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    x, weight = torch.ones(4, 8, dtype=dtype), torch.ones(16, 8, dtype=dtype)
    try:
        return torch.equal(_multiply(x, _pack(weight)), x @ weight.t())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)


def _multiply(x: Tensor, packed: Tensor) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


class PackedWeight:
    """A copy of a weight, laid out for products.

    Args:
        weight: `(N, K)`.

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
        self.weight = _pack(weight) if self.packed else weight.t()

    def product(self, x: Tensor) -> Tensor:
        """`x @ weight.T`: `(B, K)` to `(B, N)`. No gradient flows through it.

        From 4 rows on, what a row gives does not depend on the other rows.
        """
        return _multiply(x, self.weight) if self.packed else x @ self.weight
