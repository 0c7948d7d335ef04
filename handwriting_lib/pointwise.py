"""What happens at one point of all lines between two matrix products, in torch.

The gates of a peephole layer and the soft window, each with its derivatives (chapters
05 and 09), and the draw of a point from a mixture (chapter 07). Everything is written
in place, into tensors that the caller has made. `compiled` does the same in fewer
passes over memory, where Numba is installed, and `kernels` on a GPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .mixture import RHO_LIMIT, SIGMA_FLOOR

# A cell's output lies between -1 and 1: so many steps of int8 on either side.
INT8_STEPS = 127

_sigmoid_backward = torch.ops.aten.sigmoid_backward  # d y (1 - y)
_tanh_backward = torch.ops.aten.tanh_backward  # d (1 - y^2)


def ready(tensor: Tensor) -> Tensor:
    """What the functions of this module take in a tensor's place."""
    return tensor


def forward_gates(
    z: Tensor,
    recurrent: Tensor,
    c: Tensor,
    peephole: Tensor,
    new_c: Tensor,
    tanh_c: Tensor,
    row: Tensor,
    first: int,
) -> None:
    """From the gates' inputs to the new cell and output.

    Args:
        z: `(B, 4H)` what comes from outside; becomes the gate values i, f, g, o.
        recurrent: `(B, 4H)` what is added to it.
        c: `(B, H)` the cell before.
        peephole: `(3, H)`.
        new_c: `(B, H)` filled with the cell after.
        tanh_c: `(B, H)` filled with its tanh.
        row: `(B, at least H)`, whose H columns from `first` on are filled with the
            output.
        first: column.
    """
    batch, hidden = c.shape
    z.add_(recurrent)
    i, f, g, o = z.chunk(4, 1)
    z[:, : 2 * hidden].view(batch, 2, hidden).addcmul_(
        peephole[:2], c[:, None]
    ).sigmoid_()
    g.copy_(g.contiguous().tanh_())  # in one piece, tanh is several times as fast
    torch.mul(f, c, out=new_c).addcmul_(i, g)
    o.addcmul_(new_c, peephole[2]).sigmoid_()
    torch.mul(o, torch.tanh(new_c, out=tanh_c), out=row[:, first : first + hidden])


def backward_gates(
    d_out: Tensor,
    d_next: Tensor,
    gates: Tensor,
    c: Tensor,
    tanh_c: Tensor,
    d_c: Tensor,
    peephole: Tensor,
    d_z: Tensor,
    limit: float,
) -> None:
    """The derivatives of `forward_gates`.

    Args:
        d_out: `(B, H)` of the output, from outside.
        d_next: `(B, at least H)`, whose last H columns come from the point after.
        gates: `(B, 4H)` values.
        c: `(B, H)` the cell before.
        tanh_c: `(B, H)` of the cell after.
        d_c: `(B, H)` of the cell after; becomes that of the cell before.
        peephole: `(3, H)`.
        d_z: `(B, 4H)` filled with those of the gates' inputs.
        limit: clips them before they go any further (`lstm.clip_derivative`); may be
            infinite.
    """
    i, f, g, o = gates.chunk(4, 1)
    d_i, d_f, d_g, d_o = d_z.chunk(4, 1)
    d_h = d_out + d_next[:, -c.shape[1] :]
    d_o.copy_(_sigmoid_backward(d_h * tanh_c, o))
    if limit < math.inf:
        d_o.clamp_(-limit, limit)
    d_c.add_(_tanh_backward(d_h.mul_(o), tanh_c)).addcmul_(d_o, peephole[2])
    d_i.copy_(_sigmoid_backward(d_c * g, i))
    d_f.copy_(_sigmoid_backward(d_c * c, f))
    d_g.copy_(_tanh_backward(d_c * i, g))
    if limit < math.inf:
        d_z[:, : -c.shape[1]].clamp_(-limit, limit)
    d_c.mul_(f).addcmul_(d_i, peephole[0]).addcmul_(d_f, peephole[1])


def forward_window(
    moves: Tensor,
    kappa: Tensor,
    new_kappa: Tensor,
    phi: Tensor,
    text: Tensor,
    mask: Tensor,
    row: Tensor,
    first: int,
    symbols: int,
) -> None:
    """One step of the window.

    Args:
        moves: `(B, 3K)` logarithms; become alpha, beta and the step of kappa.
        kappa: `(B, K)` the places before.
        new_kappa: `(B, K)` filled with the places after.
        phi: `(B, U)` filled with the weights of the characters.
        text: `(B, U)` int64.
        mask: `(B, U)` 1 where there is a character.
        row: `(B, at least V)`, whose V columns from `first` on are filled with what is
            read.
        first: column.
        symbols: V.
    """
    alpha, beta, step = moves.exp_().chunk(3, 1)
    torch.add(kappa, step, out=new_kappa)
    u = torch.arange(1, text.shape[1] + 1, dtype=phi.dtype, device=phi.device)
    distance = new_kappa[:, :, None] - u  # (B, K, U)
    bump = distance.square_().mul_(-beta[:, :, None]).exp_()
    torch.bmm(alpha[:, None], bump, out=phi[:, None])
    phi.mul_(mask)
    row[:, first : first + symbols].zero_().scatter_add_(1, text, phi)


def backward_window(
    d_w: Tensor,
    d_next: Tensor,
    moves: Tensor,
    kappa: Tensor,
    text: Tensor,
    mask: Tensor,
    d_kappa: Tensor,
    d_moves: Tensor,
) -> None:
    """The derivatives of `forward_window`.

    Args:
        d_w: `(B, V)` of what was read, from outside.
        d_next: `(B, at least V)`, whose first V columns come from the point after.
        moves: `(B, 3K)` alpha, beta and the step of kappa.
        kappa: `(B, K)` the places after.
        text: `(B, U)` int64.
        mask: `(B, U)` 1 where there is a character.
        d_kappa: `(B, K)` of the places after; becomes that of the places before.
        d_moves: `(B, 3K)` filled with those of the logarithms.
    """
    alpha, beta, step = moves.chunk(3, 1)
    d_log_alpha, d_log_beta, d_log_step = d_moves.chunk(3, 1)
    u = torch.arange(1, text.shape[1] + 1, dtype=moves.dtype, device=moves.device)
    d_phi = (d_w + d_next[:, : d_w.shape[1]]).gather(1, text).mul_(mask)  # (B, U)
    distance = kappa[:, :, None] - u  # (B, K, U)
    weighted = (distance.square() * -beta[:, :, None]).exp_()
    weighted.mul_(alpha[:, :, None]).mul_(d_phi[:, None])
    torch.sum(weighted, 2, out=d_log_alpha)
    weighted.mul_(distance)
    d_kappa.addcmul_(beta, weighted.sum(2), value=-2)
    weighted.mul_(distance)
    torch.mul(weighted.sum(2), beta, out=d_log_beta).neg_()
    torch.mul(d_kappa, step, out=d_log_step)


def draw(
    output: Tensor,
    sharp: float,
    pick: Tensor,
    end: Tensor,
    normal: Tensor,
    point: Tensor,
) -> None:
    """What `StrokeMixture.from_output(...).sample(noise=...)` draws.

    Args:
        output: `(B, 6M + 1)` raw.
        sharp: factor of the logarithms of the components' shares.
        pick: `(B, 1)` uniform numbers that choose a component.
        end: `(B, 1)`; the pen is lifted where the raw output is larger.
        normal: `(B, 2)` normal numbers, scaled.
        point: `(B, 3)` filled with the point.
    """
    mixtures = output.shape[1] // 6
    share = torch.softmax(output[:, 1 : mixtures + 1] * sharp, 1).cumsum_(1)
    # the last is 1, and rounding must not make it less than a number below 1
    chosen = (share[:, :-1] < pick).sum(1, keepdim=True)  # (B, 1)
    columns = torch.arange(1, 6, device=output.device) * mixtures + 1
    mu, log_sigma, rho = output.gather(1, chosen + columns).split([2, 2, 1], 1)
    sigma = log_sigma.exp().add_(SIGMA_FLOOR)
    rho = rho.tanh().mul_(RHO_LIMIT)
    # the Cholesky factor of [[1, rho], [rho, 1]], not the matrix itself
    along, across = normal.split(1, 1)
    turned = across * (1 - rho * rho).sqrt_() + rho * along
    torch.addcmul(mu, sigma, torch.cat([along, turned], 1), out=point[:, :2])
    torch.gt(output[:, :1], end, out=point[:, 2:])


def quantise(
    row: Tensor, first: int, cells: Tensor, first_cell: int, hidden: int
) -> None:
    """A layer's outputs in steps of 1/127.

    Args:
        row: `(B, R)` with the outputs, between -1 and 1, from column `first` on.
        first: see there.
        cells: `(B, LH)` int8, filled from column `first_cell` on.
        first_cell: see there.
        hidden: H.
    """
    steps = row[:, first : first + hidden] * INT8_STEPS
    cells[:, first_cell : first_cell + hidden] = steps.round_()


def dequantise(whole: Tensor, scale: Tensor, bias: Tensor, z: Tensor) -> None:
    """A product of int8 numbers as a part of the gates' inputs.

    Args:
        whole: `(B, 4H)` int32, the product.
        scale: `(4H,)` what 1 of it stands for.
        bias: `(B, 4H)` to add.
        z: `(B, 4H)` filled with `bias + scale * whole`.
    """
    torch.addcmul(bias, whole.to(bias.dtype), scale, out=z)
