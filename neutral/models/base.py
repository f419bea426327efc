"""What every model is: a frozen pytree of natural-space parameters with its characteristic function."""

import abc
import functools
import math
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..typing import Flags, Frequencies, Real
from .parameters import check_domains, domains, is_concrete

Strip = tuple[Real, Real]
Gradient = tuple[Frequencies, tuple[Frequencies, ...]]


class AbstractModel(eqx.Module):
    """A model: scalar parameters in natural space, their domains, and mathematics. Frozen.

    Fields are scalars; transformations may give them leading axes, which `expand` makes ready to broadcast.
    """

    _typical: ClassVar[dict[str, Any]] = {}
    given: ClassVar[tuple[str, ...]] = ()  # parameters that calibration takes from its recipe
    is_extension: ClassVar[bool] = False  # whether it adds to another model, its `base`

    def __check_init__(self) -> None:
        """Check each domain, then what must hold between parameters."""
        check_domains(self, self.field_ndim)
        values = [x for x in jax.tree.leaves(self) if is_concrete(x)]
        if len(values) == len(jax.tree.leaves(self)):
            self._check_joint()

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains, also where they are traced; shape ()."""
        inside = [
            jnp.all((getattr(self, name) >= d.lower) & (getattr(self, name) <= d.upper))
            for name, d in domains(self).items()
        ]
        return functools.reduce(jnp.logical_and, inside, jnp.asarray(True))

    def _check_joint(self) -> None:
        """Refuse parameter combinations without meaning; concrete values only."""

    @classmethod
    def from_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Parameters from values that need only lie in their own domains: the map of joint conditions.

        Calibration varies such values. Identity where no condition joins parameters.
        """
        return values

    @classmethod
    def to_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `from_free`."""
        return values

    @classmethod
    def with_lanes(cls, **fields: Any) -> Self:
        """A model whose fields may have leading axes: built without the checks meant for typed numbers."""
        model = object.__new__(cls)
        for name, value in fields.items():
            object.__setattr__(model, name, value)
        return model

    @staticmethod
    def field_ndim(name: str) -> int:
        """Number of axes of a parameter: 0 of a scalar, 1 of one value per entry."""
        return 0

    @property
    def is_recipe(self) -> bool:
        """Whether it holds no numbers of its own, for calibration to find."""
        return False

    @property
    def base(self) -> Any:
        """The model without what extensions add to it: itself; a class where a recipe holds one."""
        return self

    def entries(self) -> dict[str, int]:
        """Number of entries of each parameter with an axis."""
        return {name: np.shape(getattr(self, name))[-1] for name in domains(self) if self.field_ndim(name)}

    @classmethod
    def typical(cls) -> Self:
        """Values typical of the markets the model is used on."""
        return cls(**cls._typical)

    def expand(self, axes: int) -> Self:
        """The same model with `axes` trailing axes of size 1 on every scalar, to broadcast over grids."""
        return jax.tree.map(lambda x: jnp.reshape(x, jnp.shape(x) + (1,) * axes), self)

    def __repr__(self) -> str:
        """`Heston(v0=0.04, kappa=1.5, ...)`: parameters as typed."""
        parts = []
        for name in domains(self):
            value = getattr(self, name)
            if value is None:
                continue
            text = (
                np.array2string(np.asarray(value), separator=", ", max_line_width=10**6)
                if is_concrete(value)
                else str(value)
            )
            parts.append(f"{name}={text}")
        return f"{type(self).__name__}({', '.join(parts)})"


class AbstractFourierModel(AbstractModel):
    """A model given by the characteristic function of X = log(F_T/F) under the forward measure."""

    @abc.abstractmethod
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function log E[exp(i z X_t)].

        Args:
            z: Complex frequencies, any shape.
            t: Maturities in years, >= 0, broadcasting against z.

        Returns:
            Same shape as z and t broadcast. Zero at z = 0 and z = -1j (martingale).
        """

    @abc.abstractmethod
    def strip(self, t: Real) -> Strip:
        """Critical moments a_-(t) < 0 < 1 < a_+(t): E[exp(a X_t)] is finite strictly between them."""

    @abc.abstractmethod
    def total_variance(self, t: Real) -> Real:
        """Expected quadratic variation of X up to t: the natural scale w of prices at maturity t."""

    def added_variance(self, t: Real) -> Real:
        """Total variance up to t that a deterministic shift adds: none; shape of t."""
        return jnp.zeros_like(t)

    def phase_slack(self, z: Frequencies, t: Real) -> Real:
        """How far log |phi(z)| may rise without |z| falling: its distance from a bound without oscillation.

        Jumps of nearly one size make phi vanish and return, as a lattice does: integrals must not end there.
        Where |E[e^{izY}]| is known, lam t (|E| - Re E). Zero, as here, for a phi that falls steadily.

        Returns:
            At least 0, of the shape of z and t broadcast.
        """
        return jnp.zeros(jnp.broadcast_shapes(jnp.shape(z), jnp.shape(t)), jnp.real(z).dtype)

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """log_cf and its derivative in every parameter.

        Returns:
            log_cf, and its derivatives in the order of the model's leaves: each of the shape of log_cf, of a
            parameter with an axis with that axis last.
        """
        leaves, tree = jax.tree.flatten(self)

        def value(*parameters: Any) -> Frequencies:
            return jax.tree.unflatten(tree, parameters).log_cf(z, t)

        psi, tangent = jax.linearize(value, *leaves)
        zeros = [jnp.zeros_like(x) for x in leaves]
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(self)]

        def along(i: int) -> Frequencies:
            x = leaves[i]
            ahead = lambda one: tangent(*zeros[:i], one, *zeros[i + 1 :])  # noqa: E731
            if not _has_axis(self, paths[i]):
                return ahead(jnp.ones_like(x))
            units = jnp.eye(x.shape[-1], dtype=x.dtype)
            return jnp.stack([ahead(jnp.broadcast_to(unit, x.shape)) for unit in units], axis=-1)

        return psi, tuple(along(i) for i in range(len(leaves)))

    def cumulants(self, t: Real) -> tuple[Real, Real, Real, Real]:
        """The first four cumulants of X_t, by Cauchy's integral of log_cf around 0.

        Automatic differentiation loses them for small kappa; on a circle inside the strip each keeps about
        the relative accuracy of log_cf, on the radius where the function is smallest beside its power.

        Returns:
            Mean, variance, third and fourth cumulant, each of the shape of t.
        """
        low, high = self.strip(t)
        reach = jnp.minimum(0.5 * jnp.minimum(-low, high), 8.0 / jnp.sqrt(self.total_variance(t)))
        radius = jnp.expand_dims(reach, -1) * 2.0 ** -jnp.arange(24.0).reshape((1,) * jnp.ndim(t) + (24,))
        later = jnp.expand_dims(t, -1)
        size = jnp.maximum(
            jnp.abs(jnp.real(self.log_cf(-1j * radius, later))),
            jnp.abs(jnp.real(self.log_cf(1j * radius, later))),
        )
        turn = jnp.exp(2j * jnp.pi * jnp.arange(64) / 64).reshape((1,) * jnp.ndim(t) + (64,))
        result = []
        for n in range(1, 5):
            best = jnp.nanargmin(jnp.where(size > 0, size / radius**n, jnp.inf), axis=-1, keepdims=True)
            r = jnp.take_along_axis(radius, best, axis=-1)
            values = self.log_cf(-1j * r * turn, later)
            result.append(math.factorial(n) * jnp.real(jnp.mean(values * turn**-n, axis=-1)) / r[..., 0] ** n)
        return tuple(result)  # pyright: ignore[reportReturnType]


def hand_differentiated(log_cf: Any) -> Any:
    """Give a `log_cf` method the parameter derivatives of the class's `log_cf_and_gradient`.

    Derivatives in the frequency and the maturity stay automatic. Reverse mode, jit, vmap and second
    derivatives follow from the rule.
    """

    @functools.wraps(log_cf)
    def method(self: AbstractFourierModel, z: Frequencies, t: Real) -> Frequencies:
        return _with_rule(log_cf, self, z, t)

    return method


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_rule(log_cf: Any, model: AbstractFourierModel, z: Frequencies, t: Real) -> Frequencies:
    return log_cf(model, z, t)


def _rule(log_cf: Any, primals: Any, tangents: Any) -> tuple[Frequencies, Frequencies]:
    model, z, t = primals
    d_model, *d_point = tangents
    symbolic = jax.custom_derivatives.SymbolicZero
    psi, gradient = model.log_cf_and_gradient(z, t)
    total = jnp.zeros_like(psi)
    for slope, tangent in zip(gradient, jax.tree.leaves(d_model), strict=True):
        if not isinstance(tangent, symbolic):
            with_axis = slope.ndim > psi.ndim
            change = slope * with_leading_axes(tangent, slope.ndim if with_axis else jnp.ndim(tangent))
            total = total + (jnp.sum(change, axis=-1) if with_axis else change)
    if not all(isinstance(d, symbolic) for d in d_point):
        d_point = [
            jnp.zeros_like(x) if isinstance(d, symbolic) else d for x, d in zip((z, t), d_point, strict=True)
        ]
        total = total + jax.jvp(lambda z, t: log_cf(model, z, t), (z, t), tuple(d_point))[1]
    return psi, total


_with_rule.defjvp(_rule, symbolic_zeros=True)


def _has_axis(model: Any, path: Any) -> bool:
    """Whether the leaf is a parameter with an axis, of the model or of one inside it."""
    for key in path[:-1]:
        model = getattr(model, key.name)
    return model.field_ndim(path[-1].name) > 0


def with_leading_axes(x: Any, ndim: int) -> Any:
    """Leading axes of size 1 up to `ndim`, for strict broadcasting."""
    return jnp.reshape(x, (1,) * (ndim - jnp.ndim(x)) + jnp.shape(x))


def require_finite_mean(condition: Any, model: AbstractModel, rule: str) -> None:
    """Raise where a jump moment that the forward needs is infinite.

    Raises:
        ArgumentError: names the model and the violated inequality.
    """
    if not bool(np.all(np.asarray(condition))):
        raise ArgumentError(f"{model!r}: E[F_T] is infinite; {rule}.")
