"""Matrix products of linear layers by oneDNN, on a CPU.

A recurrent layer multiplies by one weight at every point. `torch.mm` brings that weight
into the order of its kernel each time; for a batch of lines that takes longer than the
product. Here it is done once. The operators are the ones that `torch.compile` calls for
a linear layer with constant weights (oneDNN's inner product). On some processors, those
of AMD among them, oneDNN's kernels are also faster than the library behind `torch.mm`,
so the gradient of a weight is made with them too.

Where a build of torch lacks the operators, on a GPU and in double precision, the
product is `torch.mm`.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import linear

# oneDNN chooses the order by the number of rows that it is told to expect. For one row
# it is another than for several; this one serves any number.
ROWS = 32


@cache
def _can_pack(dtype: torch.dtype) -> bool:
    """Whether this build, on this processor, has the operators: it is tried."""
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    x = torch.ones(4, 8, dtype=dtype, device="cpu")
    weight = torch.ones(16, 8, dtype=dtype, device="cpu")
    try:
        return torch.equal(_multiply(x, _pack(weight), None), x @ weight.t())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def _pack(weight: Tensor) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


@cache
def _has_gradient() -> bool:
    d_out = torch.ones(4, 16, dtype=torch.float32, device="cpu")
    x = torch.ones(4, 8, dtype=torch.float32, device="cpu")
    try:
        return torch.equal(_gradient(d_out, x), d_out.t() @ x)
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def _gradient(d_out: Tensor, x: Tensor) -> Tensor:
    # of the weight it takes only the type and the shape
    weight = x.new_empty(1).expand(d_out.shape[1], x.shape[1])
    gradient, _ = torch.ops.aten.mkldnn_linear_backward_weights(
        d_out.to_mkldnn(), x.to_mkldnn(), weight, False
    )
    return gradient.to_dense()


def gradient_of_weight(d_out: Tensor, x: Tensor) -> Tensor:
    """Of a linear layer: `d_out.T @ x`.

    Args:
        d_out: `(R, N)` the gradient of its output.
        x: `(R, K)` its input, of the same type.

    Returns:
        `(N, K)`.
    """
    if x.device.type == "cpu" and x.dtype == torch.float32 and _has_gradient():
        return _gradient(d_out, x)
    return d_out.t() @ x


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
        self.weight = _pack(weight) if self.packed else weight

    def product(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x @ weight.T + bias`: `(..., K)` to `(..., N)`, without a gradient.

        From 4 rows on, what a row gives does not depend on the other rows.
        """
        multiply = _multiply if self.packed else linear
        return multiply(x, self.weight, bias)
