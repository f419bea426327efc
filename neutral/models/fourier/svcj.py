"""SVCJ: simultaneous jumps in forward and variance (Duffie, Pan and Singleton 2000)."""

from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from ...numerics import complex_math as cm
from ...numerics.materialise import materialise
from ...typing import Flags, Frequencies, Real, Scalar
from ..base import (
    AbstractFourierModel,
    AbstractModel,
    Gradient,
    Jumps,
    Strip,
    hand_differentiated,
    require_finite_mean,
)
from ..parameters import Interval, Positive, Unbounded, domains, param
from ..starts import Guess, Level, ParameterValues
from .heston import Heston
from .merton import jump_exponent, jump_mean
from .riccati import (
    Riccati,
    diffusion_gradient,
    diffusion_log_cf,
    moment_strip,
    reversion_time,
    riccati,
    riccati_slopes,
)

_GUESSES = (  # moderate jumps; more frequent and larger ones; small, very frequent ones; huge, rare ones
    Guess(0.85, 8.0, sigma_v=4.0, rho=-0.3, lam=0.30, mu_y=-0.20, sigma_y=0.60, mu_v=2.00),
    Guess(0.80, 10.0, sigma_v=5.0, rho=-0.4, lam=1.30, mu_y=-0.50, sigma_y=0.30, mu_v=2.00),
    Guess(0.70, 8.0, sigma_v=8.0, rho=-0.4, lam=40.0, mu_y=-0.03, sigma_y=0.07, mu_v=0.03),
    Guess(1.0, 30.0, sigma_v=10.0, rho=-0.3, lam=0.05, mu_y=-2.0, sigma_y=1.0, mu_v=5.0, rho_j=-0.5),
)
_Slope = Frequencies | float


class SVCJ(AbstractFourierModel):
    """Heston with simultaneous jumps (Duffie, Pan and Singleton 2000; Eraker, Johannes and Polson 2003).

    dF/F = sqrt(v) dW + (e^Y - 1) dN - lam E[e^Y - 1] dt, dv = kappa (theta - v) dt + sigma_v sqrt(v) dB
    + Z dN, Z exponential with mean mu_v, Y | Z ~ N(mu_y + rho_j Z, sigma_y^2), N Poisson of rate lam.
    Other texts write ell_y and ell_v for mu_y and mu_v. rho_j is a slope, not a correlation. theta is not the
    long-run mean of v, which is theta + lam mu_v / kappa. The model needs 1 - mu_v rho_j > 0. Equation
    numbers refer to docs/mathematics.md.
    """

    v0: Scalar = param(Positive(), "spot variance, 1/yr", (0.0, 10.0))
    kappa: Scalar = param(Positive(), "mean-reversion speed, 1/yr", (0.0, 50.0))
    theta: Scalar = param(Positive(), "reversion level of the diffusive variance, 1/yr", (0.0, 10.0))
    sigma_v: Scalar = param(Positive(), "volatility of variance, 1/yr", (0.0, 20.0))
    rho: Scalar = param(Interval(-1.0, 1.0), "correlation of forward and variance")
    lam: Scalar = param(Positive(), "jump intensity, 1/yr", (0.0, 50.0))
    mu_y: Scalar = param(Unbounded(), "mean log jump of the forward at a variance jump of zero", (-5.0, 5.0))
    sigma_y: Scalar = param(Positive(), "standard deviation of the log jump", (0.0, 5.0))
    mu_v: Scalar = param(Positive(), "mean variance jump, 1/yr", (0.0, 10.0))
    rho_j: Scalar = param(Unbounded(), "slope of the log jump in the variance jump, yr", (-5.0, 5.0))

    _typical: ClassVar = Heston._typical | {
        "lam": 0.3,
        "mu_y": -0.1,
        "sigma_y": 0.15,
        "mu_v": 0.05,
        "rho_j": -0.3,
    }

    def _check_joint(self) -> None:
        rule = "SVCJ needs 1 - mu_v rho_j > 0: lower rho_j or mu_v"
        require_finite_mean(np.asarray(self.mu_v) * np.asarray(self.rho_j) < 1.0, self, rule)

    @classmethod
    def from_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Map a free slope s to rho_j = s where s < 0, else s/(1 + mu_v s), so that mu_v rho_j < 1."""
        slope = values["rho_j"]
        mu_v = values["mu_v"]
        above = jnp.maximum(slope, 0.0)
        return values | {"rho_j": jnp.minimum(slope, 0.0) + above / (1.0 + mu_v * above)}

    @classmethod
    def to_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `from_free`."""
        rho_j = values["rho_j"]
        mu_v = values["mu_v"]
        above = jnp.maximum(rho_j, 0.0)
        return values | {"rho_j": jnp.minimum(rho_j, 0.0) + above / (1.0 - mu_v * above)}

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Four starts, which differ in the size and the frequency of the jumps."""
        return [guess.values(level) for guess in _GUESSES]

    @classmethod
    def nested_from(cls, simpler: AbstractModel) -> ParameterValues:
        """The default of `AbstractModel`, with variance jumps of zero where only the forward jumps."""
        values = super().nested_from(simpler)
        return values | {"mu_v": 0.0} if "lam" in domains(simpler) and "mu_v" not in values else values

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains and the mean jump is finite."""
        return super().is_admissible() & jnp.all(self.mu_v * self.rho_j < 1.0)

    @property
    def heston(self) -> Heston:
        """The model without its jumps."""
        return Heston(self.v0, self.kappa, self.theta, self.sigma_v, self.rho)

    @property
    def feller_ratio(self) -> Scalar:
        """Ratio 2 kappa theta / sigma_v^2, which is that of the variance without its jumps."""
        return self.heston.feller_ratio

    @hand_differentiated
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Heston's log_cf plus lam times the compensated jump part (31), in closed form."""
        r = riccati(self.kappa, self.sigma_v, self.rho, z, t)
        j = _jump_integral(self, z, r, t)
        return diffusion_log_cf(self, r) + self.lam * j.total

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value of log_cf with its parameter derivatives, by (24), (36) and the compensator (33)."""
        r = materialise(riccati(self.kappa, self.sigma_v, self.rho, z, t))
        s = materialise(riccati_slopes(self.sigma_v, r, t))
        j = materialise(_jump_integral(self, z, r, t))
        iz = 1j * z
        variance = self.sigma_v**2
        g2 = 2.0 * j.g
        m_beta, m_var = s.m
        # derivatives of beta + d, g and w of (34) in beta and sigma_v^2
        sum_beta = 1.0 + r.beta * r.inverse
        sum_var = 0.5 * r.q * r.inverse
        g_beta = -g2 * r.inverse
        g_var = j.g * r.m * r.inverse
        w_beta = (0.5 * j.c_inverse) * (s.s[0] * (r.beta + r.d) + r.s * sum_beta)
        w_var = (0.5 * j.c_inverse) * (s.s[1] * (r.beta + r.d) + r.s * sum_var)
        n, bend = materialise((cm.reciprocal(1.0 + j.x), j.w * j.w * cm.log_quotient_slope(j.x, j.quotient)))
        p_inverse = j.p_inverse

        def excess(e: _Slope, p: _Slope, g: _Slope, w: _Slope, big: _Slope) -> Frequencies:
            """Derivative (36) of `excess` from the derivatives of e, p, g, w and R (`big`)."""
            quotient = w * n + bend * big
            return (t * e + 2.0 * g * j.lam_quotient + g2 * quotient - j.excess * p) * p_inverse

        c = j.c
        mu_v = self.mu_v
        c_rho_j = -iz * mu_v
        c_mu_v = -iz * self.rho_j
        d_beta = excess(m_beta, -mu_v * m_beta, g_beta, w_beta, -c * variance * g_beta - mu_v * m_beta)
        d_var = excess(m_var, -mu_v * m_var, g_var, w_var, -c * j.g - c * variance * g_var - mu_v * m_var)
        w_c = -j.w * j.c_inverse
        r_c = -variance * j.g
        d_rho_j = excess(iz, c_rho_j, 0.0, w_c * c_rho_j, r_c * c_rho_j)
        d_mu_v = excess(0.0, -j.e, 0.0, w_c * c_mu_v, r_c * c_mu_v - r.m)
        # where |d| t is tiny the integral (32) is t/c + mu_v I/c^2, I = int B
        izr = iz * self.rho_j
        c2 = j.c_inverse * j.c_inverse
        limits = (
            s.integral[0] * c2,
            s.integral[1] * c2,
            iz * c2 * (t + 2.0 * mu_v * r.integral * j.c_inverse),
            izr * c2 * (izr * t + 2.0 * r.integral * j.c_inverse),
        )
        d_beta, d_var, d_rho_j, d_mu_v = (
            jnp.where(r.degenerate, limit, value)
            for limit, value in zip(limits, materialise((d_beta, d_var, d_rho_j, d_mu_v)), strict=True)
        )
        jump = self.lam * j.m0 * mu_v
        v0, kappa, theta, sigma_v, rho = diffusion_gradient(self, z, r, s)
        turn = -iz * jump * d_beta
        room = 1.0 / (1.0 - mu_v * self.rho_j)
        # derivative of the compensator (33) in mu_v rho_j
        slope = self.lam * iz * t * (1.0 + j.mean) * room
        gradient = (
            v0,
            kappa + jump * d_beta,
            theta,
            sigma_v + self.rho * turn + 2.0 * self.sigma_v * jump * d_var,
            rho + self.sigma_v * turn,
            j.total,
            self.lam * (iz * j.m0 * j.time - iz * t * (1.0 + j.mean)),
            self.lam * self.sigma_y * (-z * z * j.m0 * j.time - iz * t * (1.0 + j.mean)),
            self.lam * j.m0 * (j.excess + mu_v * d_mu_v) - slope * self.rho_j,
            jump * d_rho_j - slope * mu_v,
        )
        return diffusion_log_cf(self, r) + self.lam * j.total, gradient

    def jumps(self, z: Frequencies, t: Real) -> Jumps:
        """See `AbstractFourierModel.jumps`; one jump has the transform M J/t, with M and J of (31)."""
        j = _jump_integral(self, z, riccati(self.kappa, self.sigma_v, self.rho, z, t), t)
        expected = self.lam * t
        smooth = self.heston.log_cf(z, t) - expected * (1.0 + 1j * z * j.mean)
        exponent = jump_exponent(z, self.mu_y, self.sigma_y) + cm.log(j.time / t)
        return Jumps(smooth, expected, exponent)

    def strip(self, t: Real) -> Strip:
        """Range of orders a inside Heston's strip with 1 - a rho_j mu_v - mu_v B(t; -ia) > 0.

        B rises in time, so the condition is met on [0, t] where it is met at t.
        """
        low, high = self.heston.strip(t)

        def finite(a: Real) -> Flags:
            r = riccati(self.kappa, self.sigma_v, self.rho, -1j * a, t)
            room = 1.0 - a * self.rho_j * self.mu_v - self.mu_v * jnp.real(r.b)
            return (a > low) & (a < high) & (room > 0.0)

        return moment_strip(finite, t)

    def total_variance(self, t: Real) -> Real:
        """Expected integrated variance, jumps included, plus lam E[Y^2] t."""
        added = self.lam * self.mu_v
        rt = reversion_time(self.kappa, t)
        # int_0^t (1 - e^{-kappa u})/kappa du, which is t^2/2 at kappa = 0
        slow = self.kappa * t < 1e-6
        grown = jnp.where(slow, 0.5 * t * t, (t - rt) / jnp.where(slow, 1.0, self.kappa))
        mean = self.mu_y + self.rho_j * self.mu_v
        spread = self.rho_j * self.mu_v
        square = mean**2 + spread**2 + self.sigma_y**2
        return self.heston.total_variance(t) + added * grown + self.lam * square * t


class _Jumps(NamedTuple):
    """The jump part of log_cf per unit of intensity, and the quantities of (31)-(35) in it."""

    total: Frequencies  # M0 J - t - i z t M1
    m0: Frequencies  # E[e^{izY} | Z = 0]
    mean: Real  # M1, the mean relative jump
    time: Frequencies  # J
    excess: Frequencies  # (J - t) / mu_v
    c: Frequencies
    c_inverse: Frequencies
    e: Frequencies
    p_inverse: Frequencies
    g: Frequencies
    w: Frequencies
    x: Frequencies
    quotient: Frequencies  # log(1 + x)/x
    lam_quotient: Frequencies  # L


def _jump_integral(model: SVCJ, z: Frequencies, r: Riccati, t: Real) -> _Jumps:
    """The jump part (31), with the integral (32), J = int_0^t du / (1 - i z rho_j mu_v - mu_v B(u)), in it.

    J is t + mu_v `excess`, where `excess` = (t e + 2 g L)/p with c = 1 - i z rho_j mu_v, e = i z rho_j + m,
    p = 1 - mu_v e, g = q/(beta + d)^2, R = -c sigma_v^2 g - mu_v m, w = s (beta + d)/(2c), x = R w, and the
    removable quotient L = log(1 + x)/R. log(1 + x) is the sum of two principal logarithms,
    log(1 + y) + log(1 - mu_v B/c), because the single logarithm of their product can cross its cut.
    """
    c = 1.0 - 1j * (model.rho_j * model.mu_v) * z
    e = 1j * model.rho_j * z + r.m
    p = 1.0 - model.mu_v * e
    total = r.beta + r.d
    g = r.q * cm.reciprocal(total * total)
    c_inverse = cm.reciprocal(c)
    p_inverse = cm.reciprocal(p)
    big = -c * (model.sigma_v**2 * g) - model.mu_v * r.m
    w = 0.5 * r.s * total * c_inverse
    x = big * w
    # (35)
    log = r.log_y + cm.log1p(-model.mu_v * r.b * c_inverse)
    quotient = cm.log_quotient(x, log)
    lam_quotient = w * quotient
    # (34); `short` is its limit where |d| t is tiny
    short = (1j * model.rho_j * z * t + r.integral * c_inverse) * c_inverse
    excess = jnp.where(r.degenerate, short, (t * e + 2.0 * g * lam_quotient) * p_inverse)
    # the second form of (34): beside t a small J, at high frequencies, would lose its digits
    short_time = (t + model.mu_v * r.integral * c_inverse) * c_inverse
    time = jnp.where(r.degenerate, short_time, (t + 2.0 * model.mu_v * g * lam_quotient) * p_inverse)
    less = cm.expm1(jump_exponent(z, model.mu_y, model.sigma_y))
    # (33), then (31) with the part of Bates split off, so that small mu_v loses no digits
    tilt = model.mu_v * model.rho_j
    mean = (jump_mean(model.mu_y, model.sigma_y) + tilt) / (1.0 - tilt)
    m0 = 1.0 + less
    jumps = (less - 1j * z * mean) * t + m0 * (model.mu_v * excess)
    return _Jumps(
        total=jumps,
        m0=m0,
        mean=mean,
        time=time,
        excess=excess,
        c=c,
        c_inverse=c_inverse,
        e=e,
        p_inverse=p_inverse,
        g=g,
        w=w,
        x=x,
        quotient=quotient,
        lam_quotient=lam_quotient,
    )
