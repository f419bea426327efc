"""Surfaces of files: fitted block by block, with the evidence of each as a row."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...calibration import CalibrationStatus, Loss
from ...errors import NeutralError
from ...market.build import surface_of
from ...quotes.stack import pad, stack
from ...quotes.surface import QuoteSurface
from ...surfaces import VolSurface, fit_surface, fit_surface_batch
from ...typing import Real
from ..calibrate.rows import LOST, REFUSED, errors
from ..inputs.markets import Market

BLOCK = 64  # surfaces that are fitted together
LOSS = Loss("spread", "soft_l1", 0.4)
BATCHED = ("mixture", "essvi")
ROOMY = 4  # times the cells of a surface: so much padding costs less than compiling
Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A market with its surface and what is said of it; without a surface where the row says why."""

    market: Market
    quotes: QuoteSurface | None = None
    surface: Any = None
    vols: Any = None  # (T, K) the surface's volatilities at the strikes of the quotes
    row: dict[str, Any] = field(default_factory=dict)


def fit_markets(
    markets: Iterable[Market], method: str = "mixture", components: Any = "auto", loss: Loss = LOSS
) -> Iterator[Fitted]:
    """Fit a surface to each market, in blocks.

    Args:
        markets: As `read_markets` gives them.
        method: As in `fit_surface`.
        components: As in `fit_surface`.
        loss: What is minimised.

    Returns:
        One result for each market, in their order.
    """
    left, shapes = iter(markets), set[Shape]()
    while block := list(islice(left, BLOCK)):
        begun = [_with_quotes(market) for market in block]
        for (_, shape), here in _alike(begun, shapes).items():
            quotes = [pad(one, *shape) for i in here if (one := begun[i].quotes) is not None]
            for i, one, done in zip(here, quotes, _fit(quotes, method, components, loss), strict=True):
                row = begun[i].row | done.pop("row")
                begun[i] = replace(begun[i], quotes=one, row=row, **done)
        yield from begun


def _alike(begun: Sequence[Fitted], shapes: set[Shape]) -> dict[tuple[str, Shape], list[int]]:
    """Positions of what is fitted together: by settlement, and by the shape that quotes are padded to.

    A shape that was fitted before is taken where it is not `ROOMY` times too large: a new one compiles anew.
    """
    groups: dict[tuple[str, Shape], list[int]] = {}
    there = [(i, one.quotes) for i, one in enumerate(begun) if one.quotes is not None]
    for i, quotes in sorted(there, key=lambda one: -np.prod(one[1].shape)):
        t, k = quotes.shape
        roomy = [shape for shape in shapes if shape[0] >= t and shape[1] >= k]
        shape = min([one for one in roomy if one[0] * one[1] <= ROOMY * t * k], default=(t, k), key=np.prod)
        shapes.add(shape)
        groups.setdefault((quotes.settlement, shape), []).append(i)
    return groups


def _with_quotes(market: Market) -> Fitted:
    """The market with its quotes as a surface takes them, or with the row of what cannot be used."""
    row = {
        "snapshot_ts": market.timestamp,
        "currency": market.asset,
        "file": market.file,
        "status": REFUSED,
        "message": market.reason,
        "n_rejected": market.n_rejected,
        "spot": market.spot,
    }
    if market.frame is None:
        return Fitted(market, row=row)
    try:
        quotes = surface_of(market.frame)
    except NeutralError as error:
        return Fitted(market, row=row | {"message": str(error)})
    counts = {"n_quotes": len(market.frame), "n_expiries": market.frame["maturity"].nunique()}
    return Fitted(market, quotes, row=row | counts | {"status": LOST})


def _fit(quotes: list[QuoteSurface], method: str, components: Any, loss: Loss) -> Iterator[dict[str, Any]]:
    """What is added to each: surface, volatilities and row."""
    if not quotes:
        return
    options: dict[str, Any] = {"method": method, "components": components}
    if method in BATCHED:
        found = fit_surface_batch(stack(quotes), loss, **options)
        surfaces = [found[i] for i in range(len(quotes))]
    else:
        surfaces = [fit_surface(one, loss, **options) for one in quotes]
    for one, surface in zip(quotes, surfaces, strict=True):
        prices, vols = (np.asarray(x) for x in _at_quotes(surface, one.k, one.t))
        yield {"surface": surface, "vols": vols, "row": _row(one, surface, prices, vols)}


@eqx.filter_jit
def _at_quotes(surface: VolSurface, k: Any, t: Any) -> tuple[Real, Real]:
    """Normalised prices of call and put, (2, T, K), and volatilities, (T, K)."""
    call = surface.price(k, t[:, None])
    return jnp.stack([call, call + jnp.expm1(k)]), surface.implied_vol(k, t[:, None])


def _row(quotes: QuoteSurface, surface: Any, prices: np.ndarray, vols: np.ndarray) -> dict[str, Any]:
    """What a row says of a fit; errors are of normalised prices, `vol_rmse` of out-of-the-money quotes."""
    mask, certificate = np.asarray(quotes.mask), surface.certificate
    half = 0.5 * (np.asarray(quotes.ask) - np.asarray(quotes.bid))[mask]
    rmse, mae, inside = errors((prices - quotes.prices)[mask], half, np.ones(half.size, bool))
    outer = mask & np.stack([np.asarray(quotes.k) >= 0.0, np.asarray(quotes.k) < 0.0])
    vol_error = (vols - np.asarray(quotes.vol))[outer]
    status = None if surface.fit is None else CalibrationStatus(int(surface.status))
    return {
        "status": "fitted" if status is None else status.name,
        "converged": status in (None, CalibrationStatus.converged),
        "message": "" if status is None else status.message,
        "loss": np.nan if status is None else float(surface.loss),
        "rmse": rmse,
        "mae": mae,
        "inside": inside,
        "vol_rmse": float(np.sqrt(np.mean(vol_error**2))) if vol_error.size else np.nan,
        "components": int(np.sum(np.asarray(getattr(surface, "weights", 1.0)) > 0.0)),
        "free": bool(certificate.free),
        "margin": float(certificate.margin),
    }
