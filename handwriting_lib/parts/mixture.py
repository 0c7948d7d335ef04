"""The density of the next point: bivariate Gaussians and a Bernoulli for the pen.

Graves 2013, eqs 15 to 26: a mixture of M bivariate Gaussians over the next offset and a
Bernoulli for the end of the stroke. Densities are computed in log space, where a
product of small numbers becomes a sum of logarithms, so no epsilon is needed. Built in
chapters 06 and 07.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import log_softmax, logsigmoid

from .._deprecation import warn
from ..errors import InputError, NumericalError

# Tablets count in whole units, so many offsets are exactly 0 along one axis. Without a
# floor, a component could shrink onto them and the likelihood would be unbounded. The
# floor is added instead of clamped at, so that the gradient is never 0.
SIGMA_FLOOR = 0.01
# A correlation of 1 would make the covariance singular.
RHO_LIMIT = 0.999


class StrokeMixture(Distribution):
    """A density over points `(dx, dy, end_of_stroke)`, one for each leading index.

    Args:
        log_pi: `(..., M)` logarithms of the mixture weights, which sum to 1.
        mu: `(..., M, 2)` means.
        log_sigma: `(..., M, 2)` logarithms of the standard deviations.
        rho: `(..., M)` correlations, in (-1, 1).
        end_logit: `(...)` log-odds that this point is the last of its stroke.

    The arguments are also attributes.

    Example:
        >>> import torch
        >>> mixture = StrokeMixture.from_output(torch.zeros(2, 5, 6 * 20 + 1))
        >>> mixture.log_prob(torch.zeros(2, 5, 3)).shape
        torch.Size([2, 5])
        >>> mixture.sample(generator=torch.Generator().manual_seed(1)).shape
        torch.Size([2, 5, 3])
        >>> mixture.batch_shape, mixture.event_shape
        (torch.Size([2, 5]), torch.Size([3]))
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "log_pi": constraints.real_vector,
        "mu": constraints.independent(constraints.real, 2),
        "log_sigma": constraints.independent(constraints.real, 2),
        "rho": constraints.independent(constraints.interval(-1.0, 1.0), 1),
        "end_logit": constraints.real,
    }
    support = constraints.real_vector  # the last number is 0 or 1

    def __init__(
        self,
        log_pi: Tensor,
        mu: Tensor,
        log_sigma: Tensor,
        rho: Tensor,
        end_logit: Tensor,
        *,
        validate_args: bool | None = False,
    ) -> None:
        self.log_pi, self.mu, self.log_sigma = log_pi, mu, log_sigma
        self.rho, self.end_logit = rho, end_logit
        super().__init__(end_logit.shape, torch.Size([3]), validate_args)

    def map(self, function: Callable[[Tensor], Tensor]) -> StrokeMixture:
        """Return the mixture with `function` applied to each parameter."""
        return StrokeMixture(*map(function, self.parts()))

    def replace(self, **changes: Tensor) -> StrokeMixture:
        """Return a copy of the mixture with some parameters changed."""
        names = ("log_pi", "mu", "log_sigma", "rho", "end_logit")
        parts: dict[str, Any] = dict(zip(names, self.parts(), strict=True))
        return StrokeMixture(**(parts | changes))

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the parameters, in the order of the arguments."""
        return self.log_pi, self.mu, self.log_sigma, self.rho, self.end_logit

    def __getitem__(self, index: Any) -> StrokeMixture:
        """The mixtures at some of the leading positions."""
        lead = len(self.batch_shape)
        if not lead:
            raise IndexError("a single mixture has no leading position to choose")
        numbers = torch.arange(self.batch_shape.numel()).view(self.batch_shape)[index]
        return self.map(lambda part: part.flatten(0, lead - 1)[numbers.to(part.device)])

    # It was a tuple of its parameters once: better an error than another meaning.
    __iter__: ClassVar[None] = None

    def expand(
        self,
        batch_shape: torch.Size | list[int] | tuple[int, ...],
        _instance: Any = None,
    ) -> StrokeMixture:
        """Return the mixtures expanded to `batch_shape`."""
        lead = len(self.batch_shape)
        return self.map(lambda part: part.expand(*batch_shape, *part.shape[lead:]))

    @classmethod
    def from_output(
        cls, output: Tensor, bias: Tensor | float = 0.0, temperature: float = 1.0
    ) -> StrokeMixture:
        """Read a network's raw output (eqs 18 to 22), with the bias of section 5.4.

        Densities need their digits: a raw output in half precision, such as autocast
        gives, is read in float32.

        Args:
            output: `(..., 6M + 1)` raw numbers: end of stroke, then pi, mu x, mu y,
                sigma x, sigma y and rho, M of each.
            bias: b of eqs 61 and 62, at least 0; a larger bias gives sharper weights
                and smaller standard deviations. A tensor `(...)` gives one for each
                leading index. For sampling only: never train with it.
            temperature: the temperature of sampling, above 0: the mixture weights, each
                component and the Bernoulli are raised to the power 1 / temperature and
                normalised again.

        Raises:
            ValueError: the last size is not 6M + 1, the bias is negative, or the
                temperature is not positive.
        """
        size = output.shape[-1]
        if size % 6 != 1 or size < 7:
            raise InputError(f"a mixture needs 6M + 1 numbers, not {size}")
        valid = (bias >= 0).all() if isinstance(bias, Tensor) else bias >= 0
        if not valid:
            raise InputError(f"the bias must be at least 0, not {bias}")
        if not temperature > 0:
            raise InputError(f"the temperature must be above 0, not {temperature}")
        if output.dtype in (torch.bfloat16, torch.float16):
            output = output.float()
        end = output[..., 0]  # (...)
        pi, mu_x, mu_y, s_x, s_y, r = output[..., 1:].chunk(6, -1)  # (..., M) each
        b = torch.full_like(end, bias) if not isinstance(bias, Tensor) else bias
        b = b.to(end)[..., None]  # (..., 1)
        log_sigma = torch.stack([s_x, s_y], -1)  # (..., M, 2)
        log_sigma = torch.logaddexp(
            log_sigma, log_sigma.new_full((), math.log(SIGMA_FLOOR))
        )
        return cls(
            log_softmax(pi * (1 + b) / temperature, -1),
            torch.stack([mu_x, mu_y], -1),
            log_sigma - b[..., None] + 0.5 * math.log(temperature),
            RHO_LIMIT * torch.tanh(r),
            end / temperature,
        )

    def component_log_prob(self, offset: Tensor) -> Tensor:
        """Return the log-density of each component (eqs 24 and 25).

        Args:
            offset: `(..., 2)` offsets.

        Returns:
            `(..., M)` log-densities, without the mixture weights.
        """
        z = (offset[..., None, :] - self.mu) * torch.exp(-self.log_sigma)  # (..., M, 2)
        z_x, z_y = z.unbind(-1)
        rest = 1 - self.rho.square()
        # Z / (1 - rho^2) of eq. 25, as a sum of squares: nothing cancels
        square = (z_x - self.rho * z_y).square() / rest + z_y.square()
        return (
            -0.5 * square
            - self.log_sigma.sum(-1)
            - 0.5 * torch.log(rest)
            - math.log(2 * math.pi)
        )

    def log_prob(self, point: Tensor) -> Tensor:
        """Return the log-density of points (eq. 26 without the sum and the sign).

        Args:
            point: `(..., 3)` points, whose `end_of_stroke` is 0 or 1.

        Returns:
            `(...)` log-densities, in nats.
        """
        offset = torch.logsumexp(
            self.log_pi + self.component_log_prob(point[..., :2]), -1
        )
        return offset + self.end_log_prob(point[..., 2])

    def end_log_prob(self, end: Tensor) -> Tensor:
        """Return the log-probability of the pen column `(...)` alone."""
        return logsigmoid(torch.where(end > 0.5, self.end_logit, -self.end_logit))

    @torch.no_grad()
    def sample(  # type: ignore[override]
        self,
        sample_shape: Any = (),
        generator: Any = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Draw a point for each leading index.

        Args:
            sample_shape: the shape of the draws, in front of the leading indices.
            generator: the random generator.
            noise: `(*sample_shape, ..., 4)` numbers to use instead of the generator:
                two uniform ones (for the component and the pen) and two normal ones
                (for the offset).

        Returns:
            `(*sample_shape, ..., 3)` points.
        """
        if sample_shape is None or isinstance(sample_shape, torch.Generator):
            warn("sample(generator, noise)", "sample(generator=..., noise=...)")
            noise = generator if noise is None else noise
            sample_shape, generator = (), sample_shape
        if len(sample_shape):
            whole = self.expand((*sample_shape, *self.batch_shape))
            return whole.sample(generator=generator, noise=noise)
        if noise is None:
            noise = draw_noise(self.end_logit.shape, generator, self.mu)
        pick_u, end_u, normal = noise[..., 0], noise[..., 1], noise[..., 2:]
        below = self.log_pi.exp().cumsum(-1) < pick_u[..., None]  # (..., M)
        pick = below.sum(-1).clamp_max(self.log_pi.shape[-1] - 1)[..., None]  # (..., 1)
        two = pick[..., None].expand(*pick.shape, 2)
        mu = self.mu.gather(-2, two)[..., 0, :]  # (..., 2)
        sigma = self.log_sigma.gather(-2, two)[..., 0, :].exp()
        rho = self.rho.gather(-1, pick)[..., 0]
        n_x, n_y = normal.unbind(-1)
        # the Cholesky factor of [[1, rho], [rho, 1]], not the matrix itself
        n_y = rho * n_x + torch.sqrt(1 - rho.square()) * n_y
        offset = mu + sigma * torch.stack([n_x, n_y], -1)
        end = (end_u < torch.sigmoid(self.end_logit)).to(offset.dtype)
        return torch.cat([offset, end[..., None]], -1)

    @property
    def mean(self) -> Tensor:
        """The expected point, `(..., 3)`."""
        offset = (self.log_pi.exp()[..., None] * self.mu).sum(-2)
        return torch.cat([offset, torch.sigmoid(self.end_logit)[..., None]], -1)

    @property
    def variance(self) -> Tensor:
        """The variance of the point, `(..., 3)`."""
        end = torch.sigmoid(self.end_logit)
        offset = self.covariance.diagonal(dim1=-2, dim2=-1)  # (..., 2)
        return torch.cat([offset, (end * (1 - end))[..., None]], -1)

    @property
    def covariance(self) -> Tensor:
        """The `(..., 2, 2)` covariance of the offset, over all components."""
        pi = self.log_pi.exp()[..., None, None]
        s_x, s_y = self.log_sigma.exp().unbind(-1)
        cross = self.rho * s_x * s_y
        within = torch.stack(
            [torch.stack([s_x**2, cross], -1), torch.stack([cross, s_y**2], -1)], -2
        )  # (..., M, 2, 2)
        apart = self.mu - self.mean[..., None, :2]
        return (pi * (within + apart[..., :, None] * apart[..., None, :])).sum(-3)


def draw_noise(
    shape: torch.Size | tuple[int, ...], generator: torch.Generator | None, like: Tensor
) -> Tensor:
    """Draw the `(*shape, 4)` noise of `sample`: two uniform and two normal numbers."""
    device = generator.device if generator is not None else like.device
    uniform = torch.rand(
        *shape, 2, generator=generator, dtype=like.dtype, device=device
    )
    normal = torch.randn(
        *shape, 2, generator=generator, dtype=like.dtype, device=device
    )
    return torch.cat([uniform, normal], -1).to(like.device)


def mixture_loss(mixture: StrokeMixture, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean negative log-likelihood (eq. 26) in nats per point.

    Args:
        mixture: the predictions, of the leading shape `(B, T)`.
        target: `(B, T, 3)` points to predict.
        mask: `(B, T)` bool, true for the points that count; the others get no gradient.

    Raises:
        FloatingPointError: the loss is not finite; a NaN is never turned into a zero.
    """
    log_prob = torch.where(mask, mixture.log_prob(target), 0.0)
    loss = -log_prob.sum() / mask.sum()
    if loss.is_cuda and torch.cuda.is_current_stream_capturing():
        return loss  # has no value until the graph runs; call `check_loss` then
    return check_loss(loss)


def check_loss(loss: Tensor) -> Tensor:
    """Return `loss` if it is finite.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise NumericalError(
            f"the loss is {loss.item()}: a weight or an input has run away, or the "
            "learning rate is too high; check the gradient norms before this step"
        )
    return loss
