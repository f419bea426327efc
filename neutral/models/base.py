"""The base classes of models: frozen pytrees of parameters with a characteristic function."""

import abc
import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ..errors import ArgumentError
from ..typing import Flags, Frequencies, Numbers, Real, Values
from .parameters import check_domains, domains, is_concrete
from .starts import LARGEST, SMALLEST, Guess, Level, ParameterValues

Strip = tuple[Real, Real]
Gradient = tuple[Frequencies, tuple[Frequencies, ...]]
LogCF = Callable[[Any, Frequencies, Real], Frequencies]
Method = TypeVar("Method", bound=Callable[..., Frequencies])


class Jumps(NamedTuple):
    """Parts of log_cf = smooth + intensity e^exponent; their shapes broadcast."""

    smooth: Frequencies  # without jumps, but with their compensator
    intensity: Real  # expected number of jumps, >= 0
    exponent: Frequencies  # log E[e^{izY}] of one jump; its branch does not matter


class AbstractModel(eqx.Module):
    """A model: scalar parameters in natural units, their domains, and its mathematics. It is frozen.

    Fields are scalars, except that some models have parameters with one axis of entries (`field_ndim`).
    Transformations may add leading axes. `expand` adds trailing ones, so that fields broadcast over grids.
    """

    _typical: ClassVar[dict[str, Any]] = {}
    given: ClassVar[tuple[str, ...]] = ()  # parameters that calibration takes from its recipe
    is_extension: ClassVar[bool] = False  # whether the model extends another one, its `base`

    def __check_init__(self) -> None:
        """Check each domain, then the joint conditions of the parameters where all of them are concrete."""
        check_domains(self, self.field_ndim)
        values = [x for x in jax.tree.leaves(self) if is_concrete(x)]
        if len(values) == len(jax.tree.leaves(self)):
            self._check_joint()

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains, also for traced parameters; shape ()."""
        inside = [
            jnp.all((getattr(self, name) >= d.lower) & (getattr(self, name) <= d.upper))
            for name, d in domains(self).items()
        ]
        return functools.reduce(jnp.logical_and, inside, jnp.asarray(True))

    def _check_joint(self) -> None:
        """Refuse combinations of parameters that have no meaning. Called with concrete values only."""

    @classmethod
    def from_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Map free values to parameters that meet the joint conditions of the model.

        Calibration varies the free values, each in its own domain. The map is the identity for models without
        joint conditions.

        Args:
            values: Free values by parameter name.

        Returns:
            Parameters by name, of the same shapes.
        """
        return values

    @classmethod
    def to_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `from_free`."""
        return values

    @classmethod
    def with_lanes(cls, **fields: object) -> Self:
        """Build a model from fields that may have leading axes, without the checks of the constructor."""
        model = object.__new__(cls)
        for name, value in fields.items():
            object.__setattr__(model, name, value)
        return model

    @staticmethod
    def field_ndim(name: str) -> int:
        """Number of axes of a parameter: 0 for a scalar, 1 for a parameter with several entries."""
        return 0

    @property
    def is_recipe(self) -> bool:
        """Whether the model is a recipe: its numbers are missing, and a calibration determines them."""
        return False

    @property
    def base(self) -> Any:
        """The model that an extension extends, which a recipe may name as a class; else the model itself."""
        return self

    def entries(self) -> dict[str, int]:
        """Number of entries of each parameter with an axis."""
        return {name: np.shape(getattr(self, name))[-1] for name in domains(self) if self.field_ndim(name)}

    @classmethod
    def typical(cls) -> Self:
        """The model at values typical of the markets it is used on."""
        return cls(**cls._typical)

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Starting values for the calibration to a market.

        By default there is one start, with values for the parameters that have the standard names of `Guess`.

        Args:
            level: Variance at the money of the market.

        Returns:
            For each start, values by parameter name; a parameter left out starts at its typical value.
        """
        return [_of(cls, Guess().values(level))]

    @classmethod
    def search_box(cls, level: Level) -> dict[str, tuple[Real | float, Real | float]]:
        """Intervals in which a global search begins.

        By default the box has intervals for the parameters that have the standard names of `Guess`.

        Args:
            level: Variance at the money of the market.

        Returns:
            Lower and upper end by parameter name, in terms of the free values of `from_free`. A parameter
            left out is searched around its starting value.
        """
        low = _of(cls, SMALLEST.values(level, math.inf))
        high = LARGEST.values(level, math.inf)
        return {name: (value, high[name]) for name, value in low.items()}

    @classmethod
    def nested_from(cls, simpler: "AbstractModel") -> ParameterValues:
        """Values at which this model has the same prices as a simpler one.

        By default these are the simpler model's own parameters, and an intensity `lam` of zero: no jumps.

        Args:
            simpler: A fitted model; its fields may have a leading axis.

        Returns:
            Values by parameter name; a parameter left out gets its typical value.
        """
        return {"lam": 0.0} | simpler.values_for_richer()

    def values_for_richer(self) -> ParameterValues:
        """The parameters under the names that they have in richer models."""
        return {name: getattr(self, name) for name in domains(self)}

    def expand(self, axes: int) -> Self:
        """Add `axes` trailing axes of size 1 to every scalar, so that the model broadcasts over grids."""
        return jax.tree.map(lambda x: jnp.reshape(x, jnp.shape(x) + (1,) * axes), self)

    def __repr__(self) -> str:
        """The class and its parameters, such as `Heston(v0=0.04, kappa=1.5, ...)`."""
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


def _of(cls: type[AbstractModel], values: ParameterValues) -> ParameterValues:
    """The values whose names are parameters of the model."""
    return {name: value for name, value in values.items() if name in domains(cls)}


class AbstractFourierModel(AbstractModel):
    """A model given by the characteristic function of X = log(F_t/F) under the forward measure."""

    @abc.abstractmethod
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function log E[exp(i z X_t)].

        Args:
            z: Complex frequencies, any shape.
            t: Maturities in years, >= 0, broadcasting against z.

        Returns:
            Shape of z and t broadcast. Zero at z = 0 and, because e^X is a martingale, at z = -1j.
        """

    @abc.abstractmethod
    def strip(self, t: Real) -> Strip:
        """Critical moments a_-(t) < 0 and a_+(t) > 1: E[exp(a X_t)] is finite strictly between them.

        Args:
            t: Maturities in years, any shape.

        Returns:
            a_- and a_+, each of the shape of t; infinite where no moment explodes.
        """

    @abc.abstractmethod
    def total_variance(self, t: Real) -> Real:
        """Expected quadratic variation of X up to t: the natural scale w of prices at maturity t.

        Args:
            t: Maturities in years, any shape.

        Returns:
            Total variance, shape of t.
        """

    def added_variance(self, t: Real) -> Real:
        """Total variance up to t that a deterministic shift adds: 0 by default; shape of t."""
        return jnp.zeros_like(t)

    def jumps(self, z: Frequencies, t: Real) -> "Jumps | None":
        """Split log_cf into a smooth part and jumps: log_cf = smooth + intensity e^exponent.

        Jumps of nearly one size make phi vanish and grow again periodically, as for a law on a lattice. An
        engine needs the split to detect this, and to sum over the number of jumps, term by term. The default
        is None, for a phi that falls steadily.

        Args:
            z: Complex frequencies, any shape.
            t: Maturities in years, broadcasting against z.

        Returns:
            The parts of log_cf, or None for a model that has none.
        """
        return None

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value of log_cf and its derivative in every parameter.

        Args:
            z: Complex frequencies, any shape.
            t: Maturities in years, broadcasting against z.

        Returns:
            log_cf, and its derivatives in the order of the model's leaves. Each has the shape of log_cf; for
            a parameter with an axis of entries that axis comes last.
        """
        leaves, tree = jax.tree.flatten(self)

        def value(*parameters: Real) -> Frequencies:
            return jax.tree.unflatten(tree, parameters).log_cf(z, t)

        psi, tangent = jax.linearize(value, *leaves)
        zeros = [jnp.zeros_like(x) for x in leaves]
        paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(self)]

        def along(i: int) -> Frequencies:
            x = leaves[i]
            slope = lambda unit: tangent(*zeros[:i], unit, *zeros[i + 1 :])  # noqa: E731
            if not _has_axis(self, paths[i]):
                return slope(jnp.ones_like(x))
            units = jnp.eye(x.shape[-1], dtype=x.dtype)
            return jnp.stack([slope(jnp.broadcast_to(unit, x.shape)) for unit in units], axis=-1)

        return psi, tuple(along(i) for i in range(len(leaves)))

    def cumulants(self, t: Real) -> tuple[Real, Real, Real, Real]:
        """The first four cumulants of X_t, by Cauchy's integral of log_cf around 0.

        Automatic differentiation at 0 loses digits for small kappa. The integral over a circle inside the
        strip gives each cumulant about the relative accuracy of log_cf. For the n-th cumulant the radius r is
        the one at which |log_cf| / r^n is smallest.

        Args:
            t: Maturities in years, any shape.

        Returns:
            Mean, variance, third and fourth cumulant, each of the shape of t.
        """
        low, high = self.strip(t)
        reach = jnp.minimum(0.5 * jnp.minimum(-low, high), 8.0 / jnp.sqrt(self.total_variance(t)))
        radius = jnp.expand_dims(reach, -1) * 2.0 ** -jnp.arange(24.0).reshape((1,) * jnp.ndim(t) + (24,))
        later = jnp.expand_dims(t, -1)
        # one call serves both ends and one all four circles: the formula is compiled twice, not six times
        ends = self.log_cf(jnp.concatenate([-1j * radius, 1j * radius], axis=-1), later)
        size = jnp.max(jnp.abs(jnp.real(ends)).reshape((*jnp.shape(t), 2, 24)), axis=-2)
        circles = [_smallest(size, radius, n) for n in range(1, 5)]
        turn = jnp.exp(2j * jnp.pi * jnp.arange(64) / 64)
        z = -1j * jnp.stack(circles, axis=-1)[..., None] * turn.reshape((1,) * jnp.ndim(t) + (1, 64))
        values = self.log_cf(z, jnp.expand_dims(later, -1))
        rows = jnp.unstack(values, axis=-2)
        first, second, third, fourth = (
            _coefficient(rows[n - 1], turn, circles[n - 1], n) for n in range(1, 5)
        )
        return first, second, third, fourth


def _smallest(size: Real, radius: Real, n: int) -> Real:
    """The radius at which a function with these absolute values is smallest relative to radius^n."""
    best = jnp.nanargmin(jnp.where(size > 0, size / radius**n, jnp.inf), axis=-1, keepdims=True)
    return jnp.take_along_axis(radius, best, axis=-1)[..., 0]


def _coefficient(values: Frequencies, turn: Frequencies, radius: Real, n: int) -> Real:
    """The n-th derivative at 0 of a function from its values on a circle, by Cauchy's integral."""
    power = (turn**-n).reshape((1,) * jnp.ndim(radius) + (-1,))
    return math.factorial(n) * jnp.real(jnp.mean(values * power, axis=-1)) / radius**n


def hand_differentiated(log_cf: Method) -> Method:
    """Give a `log_cf` method the parameter derivatives that `log_cf_and_gradient` of its class computes.

    Derivatives in the frequency and in the maturity stay automatic. Reverse mode, jit, vmap and second
    derivatives work too: JAX derives them from the rule.

    Args:
        log_cf: The method, which is decorated in the body of a model class.

    Returns:
        The same method with a custom derivative rule.
    """

    @functools.wraps(log_cf)
    def method(self: AbstractFourierModel, z: Frequencies, t: Real) -> Frequencies:
        return _with_rule(log_cf, self, z, t)

    return cast(Method, method)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_rule(log_cf: LogCF, model: AbstractFourierModel, z: Frequencies, t: Real) -> Frequencies:
    return log_cf(model, z, t)


def _rule(
    log_cf: LogCF,
    primals: tuple[AbstractFourierModel, Frequencies, Real],
    tangents: tuple[Any, ...],
) -> tuple[Frequencies, Frequencies]:
    """Value of log_cf and its derivative along tangents, which may be symbolic zeros."""
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


def _has_axis(model: AbstractModel, path: tuple[Any, ...]) -> bool:
    """Whether a leaf is a parameter with an axis of entries, of the model or of a model inside it."""
    for key in path[:-1]:
        model = getattr(model, key.name)
    return model.field_ndim(path[-1].name) > 0


def with_leading_axes(x: ArrayLike, ndim: int) -> Numbers:
    """Add leading axes of size 1 until x has `ndim` axes, because JAX may refuse to promote ranks."""
    return jnp.reshape(x, (1,) * (ndim - jnp.ndim(x)) + jnp.shape(x))


def require_finite_mean(condition: Values, model: AbstractModel, rule: str) -> None:
    """Refuse parameters that make the expectation of the forward infinite.

    Args:
        condition: Booleans of any shape, true where the expectation is finite.
        model: The model.
        rule: The inequality that must be met, and what to change where it is not.

    Raises:
        ArgumentError: the condition fails somewhere; the message names the model and the rule.
    """
    if not bool(np.all(np.asarray(condition))):
        raise ArgumentError(f"{model!r}: E[F_T] is infinite; {rule}.")
