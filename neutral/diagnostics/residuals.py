"""Residuals of a fit by moneyness and maturity, and the shapes that they have."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc
from jaxtyping import Bool, Float

from ..calibration.result import CalibrationResult
from ..numerics.root_mean_square import root_mean_square
from ..options.inversion import implied_stdev
from ..quotes.surface import QuoteSurface
from ..typing import Numbers

MONEYNESS = (0.05, 0.15, 0.30)  # edges of |k|
MATURITIES = (7.0 / 365.0, 1.0 / 12.0, 0.25)  # edges, years: a week, a month, a quarter

_LEAST_VEGA = 0.05  # share of the maturity's largest vega below which a price tells no volatility
_SHARE = 0.1  # share of the residuals' variance that a pattern must explain
_CHANCE = 0.01  # probability of as much in noise that a pattern must stay below
_MEANINGS = {
    "wing": "the smile has another curvature or slope than the model's: look at jumps, volatility of "
    "variance and correlation",
    "maturity": "the level is wrong by maturity: a variance shift or a second factor would follow it",
    "random": "what is left looks like noise of the quotes",
}


@dataclass(frozen=True)
class Pattern:
    """A shape of the residuals: "wing", "maturity" or "random".

    Attributes:
        name: Name of the pattern.
        share: Share of the variance of the residuals in volatility that it explains.
        chance: Probability that noise explains as much.
    """

    name: str
    share: float
    chance: float

    @property
    def meaning(self) -> str:
        """Meaning of the pattern for the model."""
        return _MEANINGS[self.name]


@dataclass(frozen=True)
class Residuals:
    """Model less market of every quote; nan where there is no quote.

    Attributes:
        price: Residuals in normalised prices.
        vol: Residuals in implied volatilities; nan where a price tells none, since it is out of bounds or its
            vega is below a twentieth of the largest of its maturity.
        spreads: Residuals in spreads, ask less bid; nan where a side is absent.
        k: Log-forward moneyness.
        t: Maturities in years.
        patterns: Shapes of `vol`, strongest first; "random" alone where there is no other, none where there
            are too few quotes to tell.
        reason: Why there are no residuals; "" where there are.
    """

    price: Float[np.ndarray, "*folds 2 T K"]
    vol: Float[np.ndarray, "*folds 2 T K"]
    spreads: Float[np.ndarray, "*folds 2 T K"]
    k: Float[np.ndarray, "*folds 2 T K"]
    t: Float[np.ndarray, "*folds 2 T K"]
    patterns: tuple[Pattern, ...] = ()
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """One row of all quotes, and one per bucket of |k| and t: counts, biases, errors, shares."""
        finite = np.isfinite(self.price)
        if self.reason or not finite.any():
            return []
        rows = [{"moneyness": "all", "maturity": "all"} | self._errors(finite)]
        column = np.digitize(np.abs(self.k), MONEYNESS)
        line = np.digitize(self.t, MATURITIES)
        for j in range(len(MATURITIES) + 1):
            for i in range(len(MONEYNESS) + 1):
                bucket = finite & (column == i) & (line == j)
                if bucket.any():
                    labels = {
                        "moneyness": _label("|k|", MONEYNESS, i),
                        "maturity": _label("t", MATURITIES, j),
                    }
                    rows.append(labels | self._errors(bucket))
        return rows

    def _errors(self, chosen: Bool[np.ndarray, "*folds 2 T K"]) -> dict[str, Any]:
        """Errors of some quotes."""
        row: dict[str, Any] = {"quotes": int(chosen.sum())}
        for name in ("price", "vol", "spreads"):
            values = getattr(self, name)[chosen]
            values = values[np.isfinite(values)]
            has = values.size > 0
            row[f"bias_{name}"] = float(np.mean(values)) if has else np.nan
            row[f"rmse_{name}"] = root_mean_square(values)
            row[f"mae_{name}"] = float(np.mean(np.abs(values))) if has else np.nan
        spreads = np.abs(self.spreads[chosen])
        spreads = spreads[~np.isnan(spreads)]
        for name, most in (("within_half_spread", 0.5), ("within_spread", 1.0)):
            row[name] = float(np.mean(spreads <= most)) if spreads.size else np.nan
        return row

    def __str__(self) -> str:
        """Overall errors and the pattern."""
        if self.reason:
            return f"residuals cannot be determined: {self.reason}"
        total = self.rows()[0]
        within = [f"{total[f'within_{name}']:.0%}" for name in ("half_spread", "spread")]
        lines = [
            f"residuals of {total['quotes']} quotes: {1e4 * total['rmse_vol']:.3g} bp of volatility (root "
            f"mean square), {within[0]} within half a spread, {within[1]} within one"
        ]
        lines += [f"  {p.name} pattern ({p.share:.0%} of the variance): {p.meaning}" for p in self.patterns]
        return "\n".join(lines)


def residuals(result: CalibrationResult, surface: QuoteSurface) -> Residuals:
    """Residuals of one fit in prices, volatilities and spreads, of all quotes, fitted or not."""
    every = misses(result, surface, surface.mask)
    if not np.any(np.isfinite(every.price)):
        return replace(every, reason="no quote has a finite residual.")
    stdev = np.broadcast_to(np.asarray(surface.stdev)[:, None], every.k.shape)
    return replace(every, patterns=patterns(every.vol, every.k / stdev, every.t))


def misses(
    result: CalibrationResult, surface: QuoteSurface, chosen: Bool[Numbers, "*folds 2 T K"]
) -> Residuals:
    """Residuals of some quotes without their patterns, of one fit or, with leading axes, of many.

    Args:
        result: One fit, or a batch.
        surface: Its surface, or the stack of them.
        chosen: Flags of the quotes; the residuals of the others are nan.
    """
    mask = np.asarray(surface.mask)
    k = np.broadcast_to(np.expand_dims(np.asarray(surface.k), -3), mask.shape)
    t = np.broadcast_to(np.asarray(surface.t)[..., None, :, None], mask.shape)
    price = np.where(mask & np.asarray(chosen), np.asarray(result.residuals, float), np.nan)
    is_call = np.broadcast_to(np.array([True, False])[:, None, None], mask.shape)
    prices = jnp.where(np.isfinite(price), jnp.asarray(result.prices), jnp.nan)
    model = np.asarray(implied_stdev(prices, jnp.asarray(k), jnp.asarray(is_call))) / np.sqrt(t)
    vega = np.asarray(surface.vega)
    tells = vega >= _LEAST_VEGA * np.max(np.where(mask, vega, 0.0), axis=(-3, -1), keepdims=True)
    vol = np.where(np.isfinite(model) & tells, model - np.asarray(surface.vol), np.nan)
    spread = np.asarray(surface.spread)
    spreads = np.where(spread > 0.0, price / np.where(spread > 0.0, spread, 1.0), np.nan)
    return Residuals(price=price, vol=vol, spreads=spreads, k=k, t=t)


def patterns(
    vol: Float[np.ndarray, "2 T K"], x: Float[np.ndarray, "2 T K"], t: Float[np.ndarray, "2 T K"]
) -> tuple[Pattern, ...]:
    """Shapes of residuals: a parabola in standardised moneyness (wing), a level per maturity (maturity).

    A pattern is named where its F test is significant at 1 % and it explains a tenth of the variance.

    Args:
        vol: Residuals in volatility, nan where there is none.
        x: Moneyness in standard deviations.
        t: Maturities.
    """
    finite = np.isfinite(vol)
    y = vol[finite]
    x = x[finite]
    t = t[finite]
    levels = (t[:, None] == np.unique(t)[None]).astype(float)
    curve = np.stack([x, x**2], axis=1)
    constant = np.ones((y.size, 1))
    explained = []
    for name, base, full in (
        ("wing", levels, np.hstack([levels, curve])),
        ("maturity", np.hstack([constant, curve]), np.hstack([levels, curve])),
    ):
        rank = np.linalg.matrix_rank(full)
        more = rank - np.linalg.matrix_rank(base)
        left = y.size - rank
        if more < 1 or left < 1:
            continue
        before = _unexplained(base, y)
        after = _unexplained(full, y)
        total = float(np.sum((y - y.mean()) ** 2)) if y.size else 0.0
        if before <= 0.0 or total <= 0.0:
            continue
        share = (before - after) / total
        chance = float(betainc(0.5 * left, 0.5 * more, after / before))
        explained.append(Pattern(name, float(share), chance))
    if not explained:
        return ()
    named = [p for p in explained if p.share > _SHARE and p.chance < _CHANCE]
    if not named:
        rest = 1.0 - sum(p.share for p in explained)
        return (Pattern("random", rest, min(p.chance for p in explained)),)
    return tuple(sorted(named, key=lambda p: -p.share))


def _unexplained(columns: Float[np.ndarray, "quotes columns"], y: Float[np.ndarray, " quotes"]) -> float:
    """Sum of the squares that a regression on the columns leaves."""
    return float(np.sum((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2))


def _label(name: str, edges: tuple[float, ...], i: int) -> str:
    """The interval of a bucket in words."""
    low = f"{edges[i - 1]:.3g} <= " if i > 0 else ""
    high = f" < {edges[i]:.3g}" if i < len(edges) else ""
    return f"{low}{name}{high}"
