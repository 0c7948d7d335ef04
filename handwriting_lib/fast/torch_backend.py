"""The operations of a `Backend` in plain torch, on any device and in any type.

The derivatives are those of chapter 05 (gates) and chapter 09 (window), and the draw is
that of chapter 07.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..parts.mixture import RHO_LIMIT, SIGMA_FLOOR
from .backend import Backend

# The output of a cell lies between -1 and 1, with this many int8 steps on either side.
INT8_STEPS = 127

_sigmoid_backward = torch.ops.aten.sigmoid_backward  # d y (1 - y)
_tanh_backward = torch.ops.aten.tanh_backward  # d (1 - y^2)


class TorchBackend:
    """The plain torch backend. The arguments are described in `Backend`."""

    name = "torch"

    def array(self, tensor: Tensor) -> Tensor:
        return tensor

    read = array

    def forward_gates(
        self,
        z: Tensor,
        recurrent: Tensor,
        c: Tensor,
        peephole: Tensor,
        new_c: Tensor,
        tanh_c: Tensor,
        row: Tensor,
        first: int,
        low: Tensor | None = None,
    ) -> None:
        batch, hidden = c.shape
        own = slice(first, first + hidden)
        z.add_(recurrent)
        i, f, g, o = z.chunk(4, 1)
        z[:, : 2 * hidden].view(batch, 2, hidden).addcmul_(
            peephole[:2], c[:, None]
        ).sigmoid_()
        g.copy_(g.contiguous().tanh_())  # tanh is far faster on contiguous memory
        torch.mul(f, c, out=new_c).addcmul_(i, g)
        o.addcmul_(new_c, peephole[2]).sigmoid_()
        torch.mul(o, torch.tanh(new_c, out=tanh_c), out=row[:, own])
        if low is not None:
            low[:, own] = row[:, own]

    def backward_gates(
        self,
        d_out: Tensor,
        d_next: Tensor,
        gates: Tensor,
        c: Tensor,
        tanh_c: Tensor,
        d_c: Tensor,
        peephole: Tensor,
        d_z: Tensor,
        limit: float,
        d_low: Tensor | None = None,
    ) -> None:
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
        if d_low is not None:
            d_low.copy_(d_z)

    def forward_window(
        self,
        moves: Tensor,
        kappa: Tensor,
        new_kappa: Tensor,
        phi: Tensor,
        text: Tensor,
        mask: Tensor,
        row: Tensor,
        first: int,
        symbols: int,
        low: Tensor | None = None,
    ) -> None:
        alpha, beta, step = moves.exp_().chunk(3, 1)
        torch.add(kappa, step, out=new_kappa)
        u = torch.arange(1, text.shape[1] + 1, dtype=phi.dtype, device=phi.device)
        distance = new_kappa[:, :, None] - u  # (B, K, U)
        bump = distance.square_().mul_(-beta[:, :, None]).exp_()
        torch.bmm(alpha[:, None], bump, out=phi[:, None])
        phi.mul_(mask)
        own = slice(first, first + symbols)
        row[:, own].zero_().scatter_add_(1, text, phi)
        if low is not None:
            low[:, own] = row[:, own]

    def backward_window(
        self,
        d_w: Tensor,
        d_next: Tensor,
        moves: Tensor,
        kappa: Tensor,
        text: Tensor,
        mask: Tensor,
        d_kappa: Tensor,
        d_moves: Tensor,
    ) -> None:
        alpha, beta, step = moves.chunk(3, 1)
        d_log_alpha, d_log_beta, d_log_step = d_moves.chunk(3, 1)
        u = torch.arange(1, text.shape[1] + 1, dtype=moves.dtype, device=moves.device)
        d_read = d_w + d_next[:, : d_w.shape[1]]  # (B, V)
        d_phi = d_read.gather(1, text).mul_(mask)  # (B, U)
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
        self,
        output: Tensor,
        sharp: float,
        pick: Tensor,
        end: Tensor,
        normal: Tensor,
        point: Tensor,
    ) -> None:
        mixtures = output.shape[1] // 6
        share = torch.softmax(output[:, 1 : mixtures + 1] * sharp, 1).cumsum_(1)
        # leave out the last share: it is 1, but rounding may put it below `pick`
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
        self, row: Tensor, first: int, cells: Tensor, first_cell: int, hidden: int
    ) -> None:
        steps = row[:, first : first + hidden] * INT8_STEPS
        cells[:, first_cell : first_cell + hidden] = steps.round_()

    def dequantise(self, whole: Tensor, scale: Tensor, bias: Tensor, z: Tensor) -> None:
        torch.addcmul(bias, whole.to(bias.dtype), scale, out=z)

    def line_loop(self, weights: Any) -> None:
        return None


BACKEND: Backend = TorchBackend()
