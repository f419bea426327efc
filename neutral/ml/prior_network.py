"""A network that gives a calibration its prior, trained through the implicit derivatives of the fit.

Where few quotes are fresh, the last fit determines the parameters better than they do. The network reads how
far the fresh quotes are from the last fit, and answers with a normal law: where the parameters are now, how
far each may move, and which move together. The fit then weighs this law against the fresh quotes.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from ..errors import ArgumentError
from ..precision import require_precision
from ..typing import Flags, Numbers, Real
from .gaussian_prior import GaussianPrior, vector_of
from .updates import Update, draw_fresh, fewer_strikes, outcomes

_SHIFT = 0.1  # shift of a coordinate per unit of the network's output
_SURPRISE = 0.1  # typical relative error of the last fit in volatility
_NOISE = 0.03  # least relative error of a quoted volatility
_STRIKES = 16  # of every expiry in a step of training


class HandPrior(eqx.Module):
    """The prior that a hand would choose: a pull of every parameter towards the last fit.

    Attributes:
        strength: Strength of each coordinate's pull, >= 0, (n,). It is divided by the number of fresh quotes,
            since the loss is a mean over quotes: the pull weighs as much as so many of them.
    """

    strength: Float[Numbers, " n"]

    def __call__(self, update: Update, fresh: Flags) -> GaussianPrior:
        """The prior of one update, whose fresh quotes have shape (2, T, K)."""
        root = jnp.diag(jnp.sqrt(jnp.asarray(self.strength) / jnp.sum(fresh)))
        return GaussianPrior(type(update.last), vector_of(update.last), root)


class PriorNetwork(eqx.Module):
    """A prior that starts as `HandPrior` and learns from there.

    Attributes:
        logs: Logarithms of the square roots of the strengths, (n,).
        mix: Below its diagonal, how the coordinates move together, (n, n).
        network: From `features` to a shift of each coordinate and a change of each of `logs`; None for a
            prior that is the same for every update, but for the number of fresh quotes.
    """

    logs: Float[Numbers, " n"]
    mix: Float[Numbers, "n n"]
    network: eqx.nn.MLP | None

    def __init__(
        self, hand: HandPrior, updates: Update, key: jax.Array, width: int = 4, depth: int = 1
    ) -> None:
        """A network whose outputs are 0, so that it begins as the hand's prior.

        Args:
            hand: The prior to begin with; its strengths are positive.
            updates: Updates of the kind that it will read; only their shapes count.
            key: Key of `jax.random`, for the weights.
            width: Width of the hidden layers; 0 for no network.
            depth: Number of hidden layers.

        Raises:
            ArgumentError: a strength is not positive.
            PrecisionError: double precision is off.
        """
        require_precision("float64")
        strength = np.asarray(hand.strength, float)
        if not np.all(strength > 0.0):
            raise ArgumentError(f"expected positive strengths to begin with, got {strength.tolist()}.")
        n = strength.size
        self.logs = jnp.asarray(0.5 * np.log(strength))
        self.mix = jnp.zeros((n, n))
        self.network = None
        if width:
            inputs = 7 + n + np.shape(updates.context)[-1]
            network = eqx.nn.MLP(inputs, 2 * n, width, depth, jnp.tanh, key=key)
            self.network = eqx.tree_at(_end, network, [jnp.zeros((2 * n, width)), jnp.zeros(2 * n)])

    def __call__(self, update: Update, fresh: Flags) -> GaussianPrior:
        """The prior of one update, whose fresh quotes have shape (2, T, K)."""
        center = vector_of(update.last)
        n = center.size
        output = jnp.zeros(2 * n)
        if self.network is not None:
            output = self.network(jnp.asarray(features(update, fresh)))
        scale = jnp.exp(self.logs + output[n:]) / jnp.sqrt(jnp.sum(fresh))
        root = jnp.expand_dims(scale, -1) * (jnp.eye(n) + jnp.tril(self.mix, -1))
        return GaussianPrior(type(update.last), center + _SHIFT * output[:n], root)


def features(update: Update, fresh: Flags) -> Real:
    """What the network reads of one update, numbers of the order of 1, (7 + n + m,).

    The surprises of the fresh quotes are fitted by level, slope in moneyness, slope in log maturity and
    curvature in moneyness, with weights by spread and a ridge. Then come the size of the level, the mean
    square of the surprises, the number of fresh quotes, the last fit less typical values, and the context.

    Args:
        update: One update.
        fresh: The fresh quotes, (2, T, K).
    """
    surface = update.surface
    stdev = jnp.sqrt(update.last.total_variance(surface.t))
    x = jnp.tanh(0.5 * surface.k / jnp.expand_dims(stdev, -1))
    term = jnp.broadcast_to(jnp.expand_dims(0.5 * jnp.log(surface.t / 0.1), -1), x.shape)
    columns = jnp.stack([jnp.ones_like(x), x, term, jnp.abs(x)], axis=-1)
    spread = jnp.where(fresh, surface.spread / jnp.maximum(surface.vega * surface.vol, 1e-9), 1.0)
    weight = jnp.where(fresh, 1.0 / (_NOISE**2 + spread**2), 0.0)
    normal = jnp.einsum("ctk,tki,tkj->ij", weight, columns, columns)
    right = jnp.einsum("ctk,ctk,tki->i", weight, update.surprise, columns)
    shape = jnp.linalg.solve(normal + jnp.eye(4) / _SURPRISE**2, right) / _SURPRISE
    square = jnp.sum(weight * update.surprise**2) / jnp.sum(weight) / _SURPRISE**2
    with jax.ensure_compile_time_eval():
        typical = np.asarray(vector_of(type(update.last).typical()))
    numbers = [jnp.abs(shape[0]), 0.5 * jnp.log(0.1 + square), 0.5 * jnp.log(jnp.sum(fresh) / 16.0)]
    away = vector_of(update.last) - typical
    return jnp.concatenate([shape, jnp.stack(numbers), away, jnp.asarray(update.context)])


def train_prior(
    network: PriorNetwork,
    updates: Update,
    key: jax.Array,
    *,
    epochs: int = 8,
    batch: int = 24,
    rate: float = 0.006,
    fresh: tuple[int, int] = (8, 32),
    report: Callable[[int, float, PriorNetwork], None] | None = None,
) -> PriorNetwork:
    """Train a prior by Adam on the errors of unseen quotes, through the derivatives of the fits.

    Each step draws its updates, a part of their strikes, the numbers of fresh quotes and the fresh quotes.
    A fit that has not converged is left out.

    Args:
        network: The prior to begin with.
        updates: N updates, N >= batch.
        key: Key of `jax.random`.
        epochs: How often each update is used.
        batch: Number of updates in a step.
        rate: Rate of Adam in the first step; it falls along a cosine.
        fresh: Least and largest number of fresh quotes.
        report: Called after each epoch with its number, the mean objective and the network.

    Returns:
        The trained prior.

    Raises:
        ArgumentError: there are fewer updates than a batch takes.
    """
    count = len(updates.context)
    if not 0 < batch <= count:
        raise ArgumentError(f"expected a batch between 1 and the {count} updates, got batch={batch}.")
    steps = count // batch
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, epochs * steps, alpha=0.05))
    state = optimiser.init(eqx.filter(network, eqx.is_array))
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    low, high = np.log2(fresh)
    for epoch in range(epochs):
        values = []
        for rows in np.split(generator.permutation(count)[: steps * batch], steps):
            key, now = jax.random.split(key)
            some = fewer_strikes(jax.tree.map(lambda x: x[rows], updates), _STRIKES, generator)  # noqa: B023
            counts = np.round(2.0 ** generator.uniform(low, high, batch)).astype(int)
            value, slope = _objective(network, some, draw_fresh(now, some, counts))
            change, state = optimiser.update(slope, state)
            network = eqx.apply_updates(network, change)
            values.append(float(value))
        if report is not None:
            report(epoch, float(np.mean(values)), network)
    return network


def _end(network: eqx.nn.MLP) -> list[Any]:
    """Weights and biases of the last layer."""
    return [network.layers[-1].weight, network.layers[-1].bias]


@eqx.filter_jit
@eqx.filter_value_and_grad
def _objective(network: PriorNetwork, updates: Update, fresh: Flags) -> Real:
    """Mean error of the unseen quotes, in thousandths of the forward."""
    found = outcomes(network, updates, fresh)
    return 1e3 * jnp.sum(found.objective) / jnp.maximum(jnp.sum(found.converged), 1)
