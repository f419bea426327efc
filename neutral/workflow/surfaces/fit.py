"""Fits surfaces to markets in blocks, each with a row that measures how well it fits."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...calibration import CalibrationStatus, Loss
from ...errors import NeutralError
from ...market.build import surface_of
from ...numerics.compiled import compiled
from ...numerics.root_mean_square import root_mean_square
from ...quotes.stack import pad, stack
from ...quotes.surface import QuoteSurface
from ...surfaces import VolSurface, fit_surface, fit_surface_batch
from ...typing import Real
from ..inputs.markets import Market, check_columns
from ..outcome import LOST, REFUSED, price_errors
from ..progress import doing

BLOCK = 64  # number of surfaces that are fitted together
LOSS = Loss("spread", "soft_l1", 0.4)
BATCHED = ("mixture", "essvi")
ROOMY = 4  # padding up to this multiple of the cells of a surface costs less than compiling for its shape
Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class MarketSurface:
    """A market with its fitted surface, or with the reason why it has none."""

    market: Market
    quotes: QuoteSurface | None = None
    surface: VolSurface | None = None
    vols: np.ndarray | None = None  # the surface's volatilities at the strikes of the quotes, shape (T, K)
    row: dict[str, Any] = field(default_factory=dict)  # measurements, by column of `surfaces.csv`

    @property
    def failed(self) -> bool:
        """Whether a fit was attempted and did not converge."""
        return self.quotes is not None and not self.row.get("converged", False)


def fit_markets(
    markets: Iterable[Market],
    method: str = "mixture",
    components: str | int = "auto",
    loss: Loss = LOSS,
    labels: Mapping[str, str] | None = None,
    known: Callable[[MarketSurface], MarketSurface] = lambda result: result,
) -> Iterator[MarketSurface]:
    """Fit a surface to each market, in blocks.

    Args:
        markets: As `read_markets` yields them.
        method: As for `fit_surface`.
        components: As for `fit_surface`.
        loss: The loss that is minimised.
        labels: Further columns of the rows, such as the name of the configuration.
        known: Adds the surface to a result that has none yet, if an earlier run has fitted it.

    Returns:
        One result for each market, in order.
    """
    remaining = iter(markets)
    shapes: set[Shape] = set()
    while block := list(islice(remaining, BLOCK)):
        results = [known(_with_quotes(market, labels or {})) for market in block]
        for (_, shape), places in _groups(results, shapes).items():
            padded = [pad(quotes, *shape) for i in places if (quotes := results[i].quotes) is not None]
            with doing(f"fitting {len(padded)} surfaces", long=True):
                fits = list(_fit(padded, method, components, loss))
            for i, quotes, (surface, vols, row) in zip(places, padded, fits, strict=True):
                row = results[i].row | row
                results[i] = replace(results[i], quotes=quotes, surface=surface, vols=vols, row=row)
        yield from results


def _groups(results: Sequence[MarketSurface], shapes: set[Shape]) -> dict[tuple[str, Shape], list[int]]:
    """Group the positions of results that are fitted together, by settlement and by the shape after padding.

    A new shape has to be compiled, so an earlier shape of up to `ROOMY` times the size is used instead.
    """
    groups: dict[tuple[str, Shape], list[int]] = {}
    usable = [
        (i, result.quotes)
        for i, result in enumerate(results)
        if result.quotes is not None and result.surface is None
    ]
    for i, quotes in sorted(usable, key=lambda pair: -np.prod(pair[1].shape)):
        t, k = quotes.shape
        roomy = [(rows, columns) for rows, columns in shapes if rows >= t and columns >= k]
        near = [shape for shape in roomy if shape[0] * shape[1] <= ROOMY * t * k]
        shape = min(near, default=(t, k), key=np.prod)
        shapes.add(shape)
        groups.setdefault((quotes.settlement, shape), []).append(i)
    return groups


def _with_quotes(market: Market, labels: Mapping[str, str]) -> MarketSurface:
    """Return the market with its quotes on a grid, or with a row that states why they cannot be used."""
    row = {
        "snapshot_ts": market.timestamp,
        "currency": market.underlying,
        "file": market.file,
        "data_sha256": market.data_sha256,
        **labels,
        "status": REFUSED,
        "message": market.reason,
        "n_rejected": market.n_rejected,
        "spot": market.spot,
        **check_columns(market),
    }
    if market.frame is None:
        return MarketSurface(market, row=row)
    try:
        quotes = surface_of(market.frame)
    except NeutralError as error:
        return MarketSurface(market, row=row | {"message": str(error)})
    counts = {"n_quotes": len(market.frame), "n_expiries": market.frame["maturity"].nunique()}
    return MarketSurface(market, quotes, row=row | counts | {"status": LOST})


def _fit(
    quotes: Sequence[QuoteSurface], method: str, components: str | int, loss: Loss
) -> Iterator[tuple[VolSurface, np.ndarray, dict[str, Any]]]:
    """Fit surfaces to quotes, and yield for each the surface, its volatilities at the quotes, and its row."""
    if not quotes:
        return
    options: dict[str, Any] = {"method": method, "components": components}
    if method in BATCHED:
        batch = fit_surface_batch(stack(quotes), loss, **options)
        surfaces = [batch[i] for i in range(len(quotes))]
    else:
        if method == "sanos":  # absolute errors are robust without a function of them
            loss = replace(loss, robust="none")
        surfaces = [fit_surface(grid, loss, **options) for grid in quotes]
    for grid, surface in zip(quotes, surfaces, strict=True):
        yield surface, *measured(grid, surface)


def measured(quotes: QuoteSurface, surface: VolSurface) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the volatilities of a surface at the strikes of quotes, shape (T, K), and its measurements."""
    prices, vols = (np.asarray(x) for x in _at_quotes(surface, quotes.k, quotes.t))
    return vols, _row(quotes, surface, prices, vols)


@compiled
def _at_quotes(surface: VolSurface, k: Real, t: Real) -> tuple[Real, Real]:
    """Return normalised prices of call and put, shape (2, T, K), and volatilities, shape (T, K)."""
    call = surface.price(k, t[:, None])
    return jnp.stack([call, call + jnp.expm1(k)]), surface.implied_vol(k, t[:, None])


def _row(quotes: QuoteSurface, surface: Any, prices: np.ndarray, vols: np.ndarray) -> dict[str, Any]:
    """Measure a fit; errors are of normalised prices, and `vol_rmse` is of out-of-the-money quotes."""
    mask = np.asarray(quotes.mask)
    k = np.asarray(quotes.k)
    half = 0.5 * (np.asarray(quotes.ask) - np.asarray(quotes.bid))[mask]
    errors = price_errors((prices - quotes.prices)[mask], half, np.ones(half.size, bool))
    out_of_the_money = mask & np.stack([k >= 0.0, k < 0.0])
    vol_errors = (vols - np.asarray(quotes.vol))[out_of_the_money]
    certificate = surface.certificate
    return _status(surface) | {
        "rmse": errors.rmse,
        "mae": errors.mae,
        "inside": errors.inside,
        "vol_rmse": _all_or_nan(vol_errors),
        "components": int(np.sum(np.asarray(getattr(surface, "weights", 1.0)) > 0.0)),
        "free": bool(certificate.free),
        "margin": float(certificate.margin),
    }


def _status(surface: Any) -> dict[str, Any]:
    """Return how the fit ended; a surface that is fitted without a solver counts as converged."""
    if surface.fit is None:
        return {"status": "fitted", "converged": True, "message": "", "loss": np.nan}
    status = CalibrationStatus(int(surface.status))
    return {
        "status": status.name,
        "converged": status == CalibrationStatus.converged,
        "message": status.message,
        "loss": float(surface.loss),
    }


def _all_or_nan(errors: np.ndarray) -> float:
    """Return the root mean square of errors; nan if there are none or one is not finite."""
    return root_mean_square(errors) if np.isfinite(errors).all() else np.nan
