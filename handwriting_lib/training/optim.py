"""The paper's RMSprop and adaptive weight noise, and the choice of other optimisers.

The optimiser follows Graves 2013, section 4.1 (eqs 38 to 41), and the noise follows
Graves 2011, "Practical Variational Inference for Neural Networks". The third part of
the paper's training, the clipping of derivatives, belongs to the backward pass of a
network: see `parts.lstm.clip_derivative`. The page on optimisers at the back of the
book builds RMSprop, Adam and Muon.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..errors import InputError

OPTIMISERS = ("adam", "adamw", "rmsprop", "muon")
ADAMW_BETAS = (0.9, 0.99)  # torch has .999; a text brings new gradients sooner


class GravesRMSprop(Optimizer):
    """Centred RMSprop with momentum, and epsilon INSIDE the square root (eqs 38 to 41).

    With the gradient e of a weight w:

        n <- decay n + (1 - decay) e^2
        g <- decay g + (1 - decay) e
        step <- momentum step - lr e / sqrt(n - g^2 + eps)
        w <- w + step

    `torch.optim.RMSprop` adds its epsilon outside the root. With the paper's 1e-4, a
    gradient far below .01 then moves a weight up to 100 times as far as it does here.

    Args:
        params: weights to optimise, or parameter groups.
        lr: learning rate; the paper's is 1e-4, for gradients of nats per LINE.
        decay: decay rate of the two running means.
        momentum: share of the previous step that is repeated.
        eps: constant added to the variance.

    Raises:
        ValueError: an argument is outside its range.

    Example:
        >>> import torch
        >>> w = torch.zeros(1, requires_grad=True)
        >>> optimiser = GravesRMSprop([w], lr=0.1, momentum=0.0)
        >>> (3 * w).sum().backward()
        >>> optimiser.step()
        >>> round(w.item(), 4)  # -.1 * 3 / sqrt(.45 - .0225 + .0001)
        -0.4588
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        decay: float = 0.95,
        momentum: float = 0.9,
        eps: float = 1e-4,
    ) -> None:
        if not (lr >= 0 and 0 <= decay < 1 and 0 <= momentum < 1 and eps > 0):
            raise InputError(
                "lr must be at least 0, decay and momentum in [0, 1) and eps above 0, "
                f"not {lr}, {decay}, {momentum} and {eps}"
            )
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            keep = group["decay"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                state = self.state[w]
                for name in ("n", "g", "step"):
                    if name not in state:
                        state[name] = torch.zeros_like(w)
                n, g, step = state["n"], state["g"], state["step"]
                n.mul_(keep).addcmul_(w.grad, w.grad, value=1 - keep)
                g.mul_(keep).add_(w.grad, alpha=1 - keep)
                # n >= g^2, except for rounding when the gradient hardly changes
                variance = (n - g * g).clamp_min_(0).add_(group["eps"])
                step.mul_(group["momentum"])
                step.addcdiv_(w.grad, variance.sqrt_(), value=-group["lr"])
                w.add_(step)
        return loss


def build_optimisers(
    kind: str,
    network: nn.Module,
    rate: float,
    others: Sequence[Tensor] = (),
    weight_decay: float = 0.1,
) -> list[Optimizer]:
    """Build the optimisers that together update every weight of a network.

    Args:
        kind: `"adam"`; `"adamw"`, which also shrinks every matrix by the share `rate *
            weight_decay` at each step, apart from the gradient, but leaves biases and
            norms alone; `"rmsprop"`, the paper's optimiser; or `"muon"`, which uses
            `torch.optim.Muon` for the matrices of the hidden layers, with steps of the
            size of Adam's, and Adam for the other weights.
        network: any network of the library.
        rate: learning rate.
        others: tensors to optimise that are not weights of the network.
        weight_decay: decay of AdamW.

    Raises:
        ValueError: the optimiser is unknown, or this version of torch lacks it.

    Example:
        >>> import torch
        >>> [type(o).__name__ for o in build_optimisers("adam", nn.Linear(2, 2), 1e-3)]
        ['Adam']
    """
    weights = {n: w for n, w in network.named_parameters() if w.requires_grad}
    if kind == "adam":
        return [torch.optim.Adam([*weights.values(), *others], lr=rate)]
    if kind == "adamw":
        shrunk = [w for w in weights.values() if w.ndim >= 2]
        kept = [w for w in weights.values() if w.ndim < 2]
        groups = [
            {"params": shrunk, "weight_decay": weight_decay},
            {"params": [*kept, *others], "weight_decay": 0.0},
        ]
        return [torch.optim.AdamW(groups, lr=rate, betas=ADAMW_BETAS)]
    if kind == "rmsprop":
        return [GravesRMSprop([*weights.values(), *others], lr=rate)]
    if kind != "muon":
        raise InputError(
            f"there is no optimiser {kind!r}: choose one of {', '.join(OPTIMISERS)}"
        )
    muon = getattr(torch.optim, "Muon", None)
    if muon is None:
        raise InputError(
            f"torch {torch.__version__} has no Muon: install torch 2.9 or later, or "
            "choose adam"
        )
    matrices = {
        name: w
        for name, w in weights.items()
        if name.startswith("layers.")
        and name.split(".")[-1].startswith("weight")
        and w.ndim == 2
    }
    rest = [w for name, w in weights.items() if name not in matrices]
    return [
        muon(
            matrices.values(),
            lr=rate,
            weight_decay=0.0,  # Adam's is zero as well
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.Adam([*rest, *others], lr=rate),
    ]


# --- adaptive weight noise ---------------------------------------------------------


class Prior(NamedTuple):
    """The Gaussian prior that all weights share before any ink is seen."""

    mean: Tensor
    variance: Tensor


def fit_prior(means: Tensor, sds: Tensor) -> Prior:
    """The prior with the smallest KL divergence from the posterior, in closed form.

    Its mean is the mean of the means, and its variance is the mean of
    `sd^2 + (mean - prior mean)^2` (Graves 2011, "Diagonal Gaussian posterior").

    Args:
        means: `(W,)` means of the posterior, one per weight.
        sds: `(W,)` standard deviations of the posterior, one per weight.

    Example:
        >>> import torch
        >>> fit_prior(torch.tensor([-1.0, 1.0]), torch.tensor([1.0, 1.0]))
        Prior(mean=tensor(0.), variance=tensor(2.))
    """
    mean = means.mean()
    return Prior(mean, (sds.square() + (means - mean).square()).mean())


def description_length(means: Tensor, sds: Tensor) -> Tensor:
    """The nats that it takes to transmit the weights: KL(posterior, fitted prior).

    This is the divergence of Graves 2011, summed over all weights. With the prior of
    `fit_prior` it reduces to `sum log(prior sd / sd)`.

    Args:
        means: `(W,)` means of the posterior, one per weight.
        sds: `(W,)` standard deviations of the posterior, one per weight.

    Example:
        >>> import torch
        >>> description_length(torch.zeros(5), torch.ones(5))
        tensor(0.)
    """
    variance = fit_prior(means, sds).variance
    return 0.5 * len(means) * variance.log() - sds.log().sum()


class WeightNoise:
    """Adaptive weight noise: a Gaussian around each weight, whose width is learned.

    The network's own weights are the means, so the network can be validated, saved and
    shipped as it is. A training step runs it with noise::

        with noise.sampled(generator):
            loss.backward()  # the network's weights are mean + sd * noise
        noise.add_description_length(1 / points)

    After the block the weights are the means again and hold the gradients of the means,
    and `log_sds` holds the gradients of the widths: for w = mean + sd * noise these are
    `d w * noise * sd`.

    Args:
        network: network whose trainable weights get a standard deviation each.
        sd: initial value of all standard deviations; the paper's is .075.

    Attributes:
        log_sds: `(W,)` natural logarithms of the standard deviations, in the order of
            the network's parameters; give it to the optimiser along with them.

    Raises:
        ValueError: `sd` is not positive.

    Example:
        >>> import torch
        >>> network = nn.Linear(2, 1)
        >>> noise = WeightNoise(network, sd=0.1)
        >>> noise.log_sds.shape
        torch.Size([3])
        >>> before = network.weight.clone()
        >>> with noise.sampled(torch.Generator().manual_seed(1)):
        ...     moved = not torch.equal(network.weight, before)
        ...     network(torch.ones(1, 2)).sum().backward()
        >>> moved, torch.equal(network.weight, before)
        (True, True)
    """

    def __init__(self, network: nn.Module, sd: float = 0.075) -> None:
        if not sd > 0:
            raise InputError(f"the standard deviation must be above 0, not {sd}")
        self.weights = [w for w in network.parameters() if w.requires_grad]
        count = sum(w.numel() for w in self.weights)
        self.log_sds = self.weights[0].new_full((count,), math.log(sd))  # (W,)
        self.log_sds.requires_grad_()

    def _split(self, flat: Tensor) -> list[Tensor]:
        """Split a vector `(W,)` into tensors of the shapes of the weights."""
        parts = flat.split([w.numel() for w in self.weights])
        return [p.view_as(w) for p, w in zip(parts, self.weights, strict=True)]

    def means(self) -> Tensor:
        """All weights as one vector `(W,)`."""
        return torch.cat([w.flatten() for w in self.weights])

    @contextlib.contextmanager
    def sampled(self, generator: torch.Generator) -> Iterator[None]:
        """Give the network one random draw of its weights inside a `with` block.

        Args:
            generator: random generator on the device of the network.
        """
        with torch.no_grad():
            noise = torch.randn(
                self.log_sds.shape, generator=generator,
                dtype=self.log_sds.dtype, device=self.log_sds.device,
            ) * self.log_sds.exp()  # fmt: skip
            means = [w.clone() for w in self.weights]
            for w, change in zip(self.weights, self._split(noise), strict=True):
                w.add_(change)
        try:
            yield
        finally:
            with torch.no_grad():
                # copy instead of subtracting the noise: rounding would move the means
                for w, mean in zip(self.weights, means, strict=True):
                    w.copy_(mean)
        with torch.no_grad():
            zero = torch.zeros_like
            slopes = [zero(w) if w.grad is None else w.grad for w in self.weights]
            slope = torch.cat([s.flatten() for s in slopes]) * noise
            old = self.log_sds.grad
            self.log_sds.grad = slope if old is None else old + slope

    def add_description_length(self, scale: float) -> float:
        """Add the gradient of `scale` times the description length of the weights.

        Args:
            scale: factor, which is one over the number of training points for a loss in
                nats per point.

        Returns:
            The description length times `scale`.
        """
        # backward adds to the gradients that are already there
        length = scale * description_length(self.means(), self.log_sds.exp())
        length.backward()
        return float(length.detach())
