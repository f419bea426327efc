"""American options by backward induction on a grid of logarithmic prices, with discrete dividends.

Between two moments of exercise the value is carried back exactly in time: the grid moves with the drift of
the logarithm, so the transition is a symmetric convolution. Its weights are the Fourier coefficients of
e^{-c s / 2}, where c is the variance of the step in squared grid spacings and s the symbol of the
sixth-order second difference; they are right for steps of any length. The first step starts from Black's
formula, so the pay-off never meets the grid. At an ex-date the value is read at the price after the dividend
by cubic interpolation, and the option may be exercised on either side of it. Each segment between ex-dates
has its own spacing, in proportion to the standard deviation that the asset can have reached by its end.

Exercise at a few moments instead of at any time has an error that falls like the length of the steps. Two
grids in time, one with every step halved, extrapolate it away (Geske and Johnson 1984); steps are short near
both ends of a segment, where the exercise boundary moves fast or the spot is close to it. As every region of
exercise is found point by point, negative rates with two exercise boundaries need nothing more.

Values are in units of the strike for puts and of the asset for calls, which are bounded. A call under the
measure of the asset has the form of a put: its pay-off is 1 - K / S, and its drift has the opposite sign of
the variance. The grid of calls is numbered downwards.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...typing import Codes, Flags, Real
from .. import black
from .certain import certain_price
from .dividends import Dividends, Path, path
from .option import Option

STEPS = 48  # of the coarse grid in time, for a single segment
BLOCK = 64  # lanes that are priced together: their grids fit into the cache
_HALF = 110  # grid points on each side of the centre
_REACH = 5.0  # standard deviations on each side of the centre
_TAPS = 22  # grid points that a step reaches on each side: at least five of its standard deviations
_LARGEST_STDEV = 20.0  # of the grid: beyond it every price is at its upper bound
_READ = np.arange(-3, 4)  # grid points around the spot through which the value is interpolated

_ANGLES = np.pi * np.arange(33) / 32
_CHORD = 2.0 - 2.0 * np.cos(_ANGLES)
_SYMBOL = (_CHORD * (1.0 + _CHORD / 12.0 + _CHORD**2 / 90.0))[:, None]
_COSINES = np.cos(np.arange(_TAPS + 1)[:, None] * _ANGLES) * np.r_[0.5, np.ones(31), 0.5] / 32
_STEPS_FROM_CENTRE = np.arange(-_HALF, _HALF + 1.0)[:, None]


class _Grid(NamedTuple):
    """What the induction needs of a block of options.

    Lanes are the last axis, after one of length 1 along which the points of the grid will lie; arrays by
    segment have the segments before both.
    """

    option: Option
    vol: Real
    path: Path
    counts: Codes  # steps of each segment, shape (segments,)
    level: Real  # log of the centre of the grid at time 0, were it carried back from each segment
    spacing: Real  # in the logarithm of the price; negative for calls
    escrow: Real  # value at r - q of the cash dividends to come, over kept and at time 0; 0 in the spot model
    jump: Real  # cash that the price on the grid falls by, by ex-date
    parts: Codes | int  # 1, or 2 where every step is halved

    def centre(self, k: Codes | int, t: Real) -> Real:
        """The middle of the grid at a time in segment k."""
        option = self.option
        half_variance = jnp.where(option.is_call, 0.5, -0.5) * self.vol**2
        return jnp.exp(self.level[k] + (option.r - option.q + half_variance) * t)

    def strike(self, k: Codes | int, t: Real) -> Real:
        """The strike in terms of the price on the grid: less what the dividends to come are worth."""
        growth = jnp.exp((self.option.r - self.option.q) * t)
        return self.option.strike - self.path.kept[k] * growth * self.escrow[k]

    def time(self, k: Codes | int, step: Codes | int) -> Real:
        """The time after so many steps back from the end of segment k."""
        count = self.counts[k]
        whole = step // self.parts
        low = _graded(whole / count)
        high = _graded(jnp.minimum(whole + 1, count) / count)
        share = low + (step % self.parts) / self.parts * (high - low)
        begin = self.path.edges[k]
        end = self.path.edges[k + 1]
        return end - share * (end - begin)


def grid_price(option: Option, vol: Real, dividends: Dividends | None, early: bool = True) -> Real:
    """Price options by backward induction.

    Args:
        option: The terms, with a maturity above 0.
        vol: Volatility in the sense of the dividends' model, > 0, shape (lanes,).
        dividends: Discrete dividends, or None.
        early: False for European options.

    Returns:
        Prices in the unit of the strike, shape (lanes,). The first derivatives are those of the value that
        the grid represents, and so are all derivatives in the spot.
    """

    def price(option: Option, vol: Real) -> Real:
        parts = jnp.array([1, 2]) if early else jnp.array([2])
        values = jax.lax.map(lambda p: _price(option, vol, dividends, parts=p, early=early), parts)
        if not early:
            return values[0]
        # the error of a step is linear in its length
        return jnp.maximum(2.0 * values[1] - values[0], certain_price(option, dividends))

    return in_blocks(price, option, vol)


def in_blocks(function, option: Option, *arrays: Real):
    """Apply a function of lanes to blocks of them, one after the other."""
    lanes = option.t.shape[0]
    if lanes <= BLOCK:
        return function(option, *arrays)

    def blocked(a: Real) -> Real:
        return jnp.pad(a, (0, -lanes % BLOCK), mode="edge").reshape(-1, BLOCK)

    blocks = jax.tree.map(blocked, (option, *arrays))
    out = jax.lax.map(lambda block: function(*block), blocks)
    return jax.tree.map(lambda a: a.reshape(-1)[:lanes], out)


def _graded(x: Real) -> Real:
    """The share of a segment behind a share of its steps, counted back from its end.

    Steps shrink like the distance to the end, and like the square of that to the beginning, where the spot
    may be so close to the boundary that a longer step could not determine on which side it is.
    """
    left = 1.0 - x
    return 1.0 - left**3 * (4.0 - 3.0 * left)


def _price(option: Option, vol: Real, dividends: Dividends | None, parts: Codes, early: bool) -> Real:
    grid = _grid(option, vol, dividends, parts)
    segments = len(grid.counts)
    counts = parts * grid.counts[::-1]
    done = jnp.cumsum(counts)  # steps at the beginning of the last segment, the one before it, ...
    number = jnp.arange(2 * STEPS * segments)
    place = jnp.minimum(jnp.searchsorted(done, number, side="right"), segments - 1)

    def advance(value: Real, at: tuple[Codes, Codes, Flags]) -> tuple[Real, None]:
        k, step, active = at
        return jax.lax.cond(active, lambda v: _step(grid, v, k, step, early), lambda v: v, value), None

    steps = (segments - 1 - place, number - (done - counts)[place], number < done[-1])
    empty = jnp.zeros((2 * _HALF + 1, option.t.shape[0]))
    value, _ = jax.lax.scan(advance, empty, steps)
    return _read(grid, value, option)


def _grid(option: Option, vol: Real, dividends: Dividends | None, parts: Codes) -> _Grid:
    """Lay out the grid; the spot moves only the point at which it is read."""
    fixed = option._replace(spot=jax.lax.stop_gradient(option.spot))
    fixed, vol = jax.tree.map(lambda a: a[None], (fixed, vol))
    carried = path(fixed, dividends)
    end = carried.edges[1:]
    escrowed = dividends is not None and dividends.model == "escrowed"
    vol = jnp.minimum(vol, _LARGEST_STDEV / jnp.sqrt(fixed.t))
    # a step has at most 1.8 (HALF / REACH)^2 / STEPS squared spacings of variance where every segment has
    # STEPS times the share by which it lengthens the time since the valuation
    longest = jax.lax.stop_gradient(jnp.max(end, axis=(1, 2)))
    share = 1.0 - jnp.concatenate([jnp.zeros(1), longest[:-1]]) / longest
    counts = jnp.maximum(jnp.ceil(STEPS * share - 1e-9), 1.0).astype(int)
    unit = jnp.where(fixed.is_call, -1.0, 1.0) * _REACH / _HALF * vol
    return _Grid(
        option=fixed,
        vol=vol,
        path=carried,
        counts=counts,
        level=jnp.log(carried.kept * (carried.left[-1:] if escrowed else carried.left)),
        spacing=unit[None] * jnp.sqrt(end),
        escrow=carried.left - carried.left[-1:] if escrowed else jnp.zeros_like(carried.left),
        jump=jnp.zeros_like(carried.cash) if escrowed else carried.cash,
        parts=parts,
    )


def _last_step(grid: _Grid, k: Codes) -> Real:
    """The values one step before the end of segment k, at which the pay-off is due: Black's formula."""
    option = grid.option
    t = grid.time(k, 1)
    span = grid.path.edges[k + 1] - t
    price = grid.centre(k, t) * jnp.exp(grid.spacing[k] * _STEPS_FROM_CENTRE)
    growth = jnp.exp((option.r - option.q) * span)
    # a square root has no derivative at 0
    stdev = jnp.where(span > 0.0, grid.vol * jnp.sqrt(jnp.where(span > 0.0, span, 1.0)), 0.0)
    value = black.price(jnp.log(option.strike / (price * growth)), stdev, option.is_call)
    unit = jnp.where(option.is_call, 1.0, price / option.strike)
    return jnp.exp(-option.q * span) * unit * value


def _step(grid: _Grid, value: Real, k: Codes, step: Codes, early: bool) -> Real:
    """Carry values one step back in segment k; before its first step, through the dividend at its end."""
    last = grid.jump.shape[0]
    first = step == 0
    t = grid.time(k, step)
    before = grid.time(k, step + 1)
    if last:
        through = first & (k < last)
        value = jax.lax.cond(through, lambda v: _through_dividend(grid, v, k, early), lambda v: v, value)
    if early:
        value = _exercised(grid, value, k, t)
    variance = (t - before) / grid.path.edges[k + 1] * (_HALF / _REACH) ** 2
    rate = jnp.where(grid.option.is_call, grid.option.q, grid.option.r)
    value = _convolved(value, variance) * jnp.exp(-rate * (t - before))
    # this segment is the last one of options whose next ex-date lies beyond their maturity
    due = ~jnp.concatenate([grid.path.alive, jnp.zeros_like(grid.path.edges[:1], bool)])[k]
    return jax.lax.cond(first, lambda v: jnp.where(due, _last_step(grid, k), v), lambda v: v, value)


def _convolved(value: Real, variance: Real) -> Real:
    """Convolve the values with the normal density of a variance in squared spacings."""
    weights = _COSINES @ jnp.exp(-0.5 * _SYMBOL * variance)
    weights = weights / (weights[:1] + 2.0 * jnp.sum(weights[1:], axis=0, keepdims=True))
    size = value.shape[0]
    padded = jnp.pad(value, ((_TAPS, _TAPS), (0, 0)), mode="edge")
    out = weights[:1] * value
    for n in range(1, _TAPS + 1):
        out = out + weights[n : n + 1] * (
            padded[_TAPS + n : _TAPS + n + size] + padded[_TAPS - n : _TAPS - n + size]
        )
    return out


def _exercised(grid: _Grid, value: Real, k: Codes | int, t: Real) -> Real:
    """The larger of the values and what exercise gives."""
    is_call = grid.option.is_call
    centre = grid.centre(k, t)
    strike = grid.strike(k, t)
    constant = jnp.where(is_call, 1.0, strike / grid.option.strike)
    slope = jnp.where(is_call, strike / centre, centre / grid.option.strike)
    return jnp.maximum(value, constant - slope * jnp.exp(jnp.abs(grid.spacing[k]) * _STEPS_FROM_CENTRE))


def _through_dividend(grid: _Grid, value: Real, k: Codes, early: bool) -> Real:
    """Carry values from segment k + 1 through the dividend at its beginning to the end of segment k."""
    t = grid.path.edges[k + 1]
    if early:
        value = _exercised(grid, value, k + 1, t)
    price = grid.centre(k, t) * jnp.exp(grid.spacing[k] * _STEPS_FROM_CENTRE)
    after = price * grid.path.ratio[k] - grid.jump[k]
    solvent = after > 0.0
    place = jnp.log(jnp.where(solvent, after, 1.0) / grid.centre(k + 1, t)) / grid.spacing[k + 1]
    bottom = jnp.where(grid.option.is_call, _HALF, -_HALF)
    place = jnp.clip(jnp.where(solvent, place, bottom), -_HALF, _HALF) + _HALF
    read = _interpolated(value, place)
    return jnp.where(grid.option.is_call, jnp.where(solvent, after, 0.0) / price, 1.0) * read


def _interpolated(value: Real, place: Real) -> Real:
    """Read the values at places in units of the spacing, by cubic interpolation."""
    left = jnp.clip(jnp.floor(place).astype(int), 1, value.shape[0] - 3)
    x = place - left
    weights = (
        -x * (x - 1.0) * (x - 2.0) / 6.0,
        (x + 1.0) * (x - 1.0) * (x - 2.0) / 2.0,
        -(x + 1.0) * x * (x - 2.0) / 2.0,
        (x + 1.0) * x * (x - 1.0) / 6.0,
    )
    out = jnp.zeros_like(place)
    for shift, weight in zip((-1, 0, 1, 2), weights, strict=True):
        out = out + weight * jnp.take_along_axis(value, left + shift, axis=0)
    return out


def _read(grid: _Grid, value: Real, option: Option) -> Real:
    """The value at the spot, which is the centre, through a polynomial that gives the derivatives there."""
    escrow = grid.escrow[0, 0]
    price = option.spot - escrow
    x = jnp.log(price / (grid.option.spot[0] - escrow)) / grid.spacing[0, 0]
    out = jnp.zeros_like(x)
    for point in _READ:
        weight = jnp.ones_like(x)
        for other in _READ[_READ != point]:
            weight = weight * (x - other) / (point - other)
        out = out + weight * value[_HALF + point]
    return out * jnp.where(option.is_call, price, option.strike)
