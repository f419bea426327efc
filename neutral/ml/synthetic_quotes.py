"""Quotes of a model or a surface, with noise and a spread: data with a known truth."""

import jax
import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..options.terms import as_numbers
from ..pricing import implied_vol, price
from ..quotes.surface import QuoteSurface
from ..surfaces import VolSurface
from ..times import years_to
from ..times.instants import Ends, Instants
from ..typing import Numbers

BASIS_POINT = 1e-4
FAR = 3.0  # strike / forward; no maturity has quotes beyond it alone


def synthetic_quotes(
    model: AbstractFourierModel | VolSurface,
    strikes: ArrayLike,
    maturities: Ends,
    noise_bp: float = 0.0,
    spread: float = 0.0,
    key: int | jax.Array = 0,
    *,
    forward: ArrayLike | None = None,
    discount: ArrayLike = 1.0,
    date: Instants | None = None,
) -> QuoteSurface:
    """Quotes of the out-of-the-money options of a model or a surface, with noise and a bid-ask spread.

    The middle of each quote has the model's implied volatility plus an independent normal error. As each
    strike has one quote, the errors of all quotes are independent.

    Args:
        model: Any Fourier model, or a volatility surface.
        strikes: Strikes in the unit of the forward, > 0, shape (K,), or (T, K) for strikes of each maturity.
            Without a forward they are strike / forward.
        maturities: Years, > 0, shape (T,), or a number; or dates or tenors such as "3m", with `date`.
        noise_bp: Standard deviation of the errors, basis points of volatility (0.0001).
        spread: Ask less bid, in volatility (0.01 is one percentage point); 0 makes quotes without bid and
            ask.
        key: Key of `jax.random`, or its seed.
        forward: Forward of each maturity, > 0, shape (T,), or a number; 1 if None.
        discount: Discount factor of each maturity, > 0, shape (T,), or a number.
        date: The quote date, where maturities are dates or tenors.

    Returns:
        The quotes of one surface, which `calibrate`, `fit_surface` and `diagnose` take.

    Raises:
        ArgumentError: An argument is not valid, or the model has no volatility at a strike.
        PrecisionError: Double precision is off.
    """
    for name, value in (("noise_bp", noise_bp), ("spread", spread)):
        if not 0.0 <= value < np.inf:
            raise ArgumentError(f"{name} must be finite and >= 0, got {value}.")
    t = np.atleast_1d(as_numbers("maturities", years_to(maturities, date, "maturities")))
    strike = as_numbers("strikes", strikes)
    if forward is None:
        _refuse_strikes_of_no_forward(strike)
        forward = 1.0
    try:
        strike, t, forwards, discounts = np.broadcast_arrays(
            np.atleast_2d(strike), t[:, None], _line("forward", forward), _line("discount", discount)
        )
    except ValueError:
        raise ArgumentError(
            f"strikes must have shape (K,) or (T, K), and forward and discount (T,), for maturities "
            f"{t.shape}; got {np.shape(strikes)}, {np.shape(forward)} and {np.shape(discount)}."
        ) from None
    is_call = strike >= forwards
    vol = _model_vols(model, strike, t, forwards, is_call)
    seed = jax.random.key(int(key)) if isinstance(key, int | np.integer) else key
    vol = np.maximum(vol + BASIS_POINT * noise_bp * np.asarray(jax.random.normal(seed, vol.shape)), 0.0)
    columns = {"strike": strike, "maturity": t, "forward": forwards, "discount": discounts}
    columns |= {"kind": is_call, "vol": vol}
    if spread:
        columns |= {"bid": np.maximum(vol - 0.5 * spread, 0.0), "ask": vol + 0.5 * spread}
    return QuoteSurface.from_quotes({name: np.ravel(x) for name, x in columns.items()})


def _refuse_strikes_of_no_forward(strike: Numbers) -> None:
    """Refuse strikes that are all far from the forward of 1, in the unit of a forward that was not given."""
    if strike.size and (strike.min() > FAR or strike.max() < 1.0 / FAR):
        raise ArgumentError(
            f"the forward is missing: without one, strikes are strike / forward, and these are "
            f"{strike.min():g} to {strike.max():g}. Pass forward=, in the unit of the strikes."
        )


def _line(name: str, value: ArrayLike) -> np.ndarray:
    return np.asarray(as_numbers(name, value))[..., None]


def _model_vols(
    model: AbstractFourierModel | VolSurface,
    strike: np.ndarray,
    t: np.ndarray,
    forward: np.ndarray,
    is_call: np.ndarray,
) -> np.ndarray:
    """Return the volatilities of options, all of shape (T, K).

    Raises:
        ArgumentError: An option has none.
    """
    if isinstance(model, VolSurface):
        vol = np.asarray(model.implied_vol(np.log(strike / forward), t))
    else:
        prices = price(model, forward[:, :1], strike, t[:, :1], is_call)
        vol = np.asarray(implied_vol(prices, forward[:, :1], strike, t[:, :1], is_call))
    if not (vol > 0.0).all():
        row, column = np.argwhere(~(vol > 0.0))[0]
        raise ArgumentError(
            f"the model has no volatility at strike {strike[row, column]:g} and maturity {t[row, column]:g}; "
            "choose strikes closer to the forward, or a maturity within its range."
        )
    return vol
