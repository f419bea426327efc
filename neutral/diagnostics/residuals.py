"""Residuals of a fit by moneyness and maturity, and their patterns."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jax.scipy.special import betainc
from jaxtyping import Bool, Float

from ..calibration.quote_errors import quote_errors
from ..calibration.result import CalibrationResult
from ..numerics.root_mean_square import root_mean_square
from ..presentation.frame import Tabular
from ..quotes.surface import QuoteSurface
from ..typing import Numbers

MONEYNESS = (0.05, 0.15, 0.30)  # edges of buckets of |k|
MATURITIES = (7.0 / 365.0, 1.0 / 12.0, 0.25)  # edges of buckets in years: a week, a month, a quarter

_SHARE = 0.1  # least share of the residuals' variance that a pattern explains
_CHANCE = 0.01  # largest p-value of a pattern
_MEANINGS = {
    "wing": "curvature or slope of the smile differ from the model's: check jumps, volatility of variance "
    "and correlation",
    "maturity": "the level is wrong by maturity: a variance shift or a second factor could fit it",
    "random": "the residuals look like noise of the quotes",
}


@dataclass(frozen=True)
class Pattern:
    """A pattern of the residuals: "wing", "maturity" or "random".

    Attributes:
        name: Name of the pattern.
        share: Share of the variance of the residuals in volatility that the pattern explains; for "random",
            the share that no tested pattern explains.
        chance: Probability that noise explains at least as much (p-value); for "random", the smallest p-value
            of a tested pattern.
    """

    name: str
    share: float
    chance: float

    @property
    def meaning(self) -> str:
        """Meaning of the pattern for the model."""
        return _MEANINGS[self.name]


@dataclass(frozen=True)
class Residuals(Tabular):
    """Model less market of every quote; nan where there is no quote.

    Attributes:
        price: Residuals in normalised prices.
        vol: Residuals in implied volatilities; nan where a price determines none, because it is out of bounds
            or its vega is below a twentieth of the largest of its maturity.
        spreads: Residuals over the bid-ask spread; nan where bid or ask is absent.
        k: Log-forward moneyness.
        t: Maturities in years.
        patterns: Patterns of `vol`, the strongest first; only "random" if there is no other, and none if
            there are too few quotes.
        reason: Why there are no residuals; "" if there are.
    """

    price: Float[np.ndarray, "*folds 2 T K"]
    vol: Float[np.ndarray, "*folds 2 T K"]
    spreads: Float[np.ndarray, "*folds 2 T K"]
    k: Float[np.ndarray, "*folds 2 T K"]
    t: Float[np.ndarray, "*folds 2 T K"]
    patterns: tuple[Pattern, ...] = ()
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """Return a row of all quotes and rows per bucket of |k| and t: counts, biases, errors, shares."""
        finite = np.isfinite(self.price)
        if self.reason or not finite.any():
            return []
        rows = [{"moneyness": "all", "maturity": "all"} | self._errors(finite)]
        moneyness_bucket = np.digitize(np.abs(self.k), MONEYNESS)
        maturity_bucket = np.digitize(self.t, MATURITIES)
        for j in range(len(MATURITIES) + 1):
            for i in range(len(MONEYNESS) + 1):
                bucket = finite & (moneyness_bucket == i) & (maturity_bucket == j)
                if bucket.any():
                    labels = {
                        "moneyness": _label("|k|", MONEYNESS, i),
                        "maturity": _label("t", MATURITIES, j),
                    }
                    rows.append(labels | self._errors(bucket))
        return rows

    def _errors(self, chosen: Bool[np.ndarray, "*folds 2 T K"]) -> dict[str, Any]:
        """Compute counts, biases, errors and shares of the chosen quotes."""
        row: dict[str, Any] = {"quotes": int(chosen.sum())}
        for name in ("price", "vol", "spreads"):
            values = getattr(self, name)[chosen]
            values = values[np.isfinite(values)]
            has_values = values.size > 0
            row[f"bias_{name}"] = float(np.mean(values)) if has_values else np.nan
            row[f"rmse_{name}"] = root_mean_square(values)
            row[f"mae_{name}"] = float(np.mean(np.abs(values))) if has_values else np.nan
        spreads = np.abs(self.spreads[chosen])
        spreads = spreads[~np.isnan(spreads)]
        for name, largest in (("within_half_spread", 0.5), ("within_spread", 1.0)):
            row[name] = float(np.mean(spreads <= largest)) if spreads.size else np.nan
        return row

    def __str__(self) -> str:
        """Write the errors of all quotes and the patterns."""
        if self.reason:
            return f"residuals cannot be determined: {self.reason}"
        total = self.rows()[0]
        shares = (total["within_half_spread"], total["within_spread"])
        within = (
            "no quote has both bid and ask"
            if np.isnan(shares[0])
            else f"{shares[0]:.0%} within half a spread, {shares[1]:.0%} within one spread"
        )
        lines = [
            f"residuals of {total['quotes']} quotes: {1e4 * total['rmse_vol']:.3g} bp of volatility (root "
            f"mean square), {within}"
        ]
        lines += [f"  {p.name} pattern ({p.share:.0%} of the variance): {p.meaning}" for p in self.patterns]
        return "\n".join(lines)


def residuals(result: CalibrationResult, surface: QuoteSurface) -> Residuals:
    """Compute residuals of one fit in prices, volatilities and spreads, for all quotes, fitted or not."""
    all_residuals = misses(result, surface, surface.mask)
    if not np.any(np.isfinite(all_residuals.price)):
        return replace(all_residuals, reason="no quote has a finite residual.")
    stdev = np.broadcast_to(np.asarray(surface.stdev)[:, None], all_residuals.k.shape)
    return replace(
        all_residuals, patterns=patterns(all_residuals.vol, all_residuals.k / stdev, all_residuals.t)
    )


def misses(
    result: CalibrationResult, surface: QuoteSurface, chosen: Bool[Numbers, "*folds 2 T K"]
) -> Residuals:
    """Compute residuals of chosen quotes, without patterns, for one fit or for a batch with leading axes.

    Args:
        result: One fit, or a batch.
        surface: The surface that was fitted, or the stack of surfaces.
        chosen: True for the chosen quotes; the residuals of the others are nan.

    Returns:
        The residuals.
    """
    mask = np.asarray(surface.mask)
    k = np.broadcast_to(np.expand_dims(np.asarray(surface.k), -3), mask.shape)
    t = np.broadcast_to(np.asarray(surface.t)[..., None, :, None], mask.shape)
    errors = quote_errors(result.prices, result.residuals, surface, chosen)
    return Residuals(price=errors.price, vol=errors.vol, spreads=errors.spreads, k=k, t=t)


def patterns(
    vol: Float[np.ndarray, "2 T K"], x: Float[np.ndarray, "2 T K"], t: Float[np.ndarray, "2 T K"]
) -> tuple[Pattern, ...]:
    """Detect a parabola in standardised moneyness ("wing") and a level per maturity ("maturity").

    A pattern is reported if its F test is significant at 1 % and it explains a tenth of the variance.

    Args:
        vol: Residuals in volatility; nan where there is none.
        x: Moneyness in standard deviations.
        t: Maturities in years.

    Returns:
        The patterns, the strongest first; "random" if there is no other, none if there are too few quotes.
    """
    finite = np.isfinite(vol)
    y = vol[finite]
    x = x[finite]
    t = t[finite]
    levels = (t[:, None] == np.unique(t)[None]).astype(float)
    curve = np.stack([x, x**2], axis=1)
    constant = np.ones((y.size, 1))
    tested = []
    for name, base, full in (
        ("wing", levels, np.hstack([levels, curve])),
        ("maturity", np.hstack([constant, curve]), np.hstack([levels, curve])),
    ):
        rank = np.linalg.matrix_rank(full)
        added_freedom = rank - np.linalg.matrix_rank(base)
        residual_freedom = y.size - rank
        if added_freedom < 1 or residual_freedom < 1:
            continue
        without_pattern = _unexplained(base, y)
        with_pattern = _unexplained(full, y)
        total = float(np.sum((y - y.mean()) ** 2)) if y.size else 0.0
        if without_pattern <= 0.0 or total <= 0.0:
            continue
        share = (without_pattern - with_pattern) / total
        chance = float(betainc(0.5 * residual_freedom, 0.5 * added_freedom, with_pattern / without_pattern))
        tested.append(Pattern(name, float(share), chance))
    if not tested:
        return ()
    significant = [p for p in tested if p.share > _SHARE and p.chance < _CHANCE]
    if not significant:
        unexplained_share = 1.0 - sum(p.share for p in tested)
        return (Pattern("random", unexplained_share, min(p.chance for p in tested)),)
    return tuple(sorted(significant, key=lambda p: -p.share))


def _unexplained(columns: Float[np.ndarray, "quotes columns"], y: Float[np.ndarray, " quotes"]) -> float:
    """Compute the residual sum of squares of a regression on the columns."""
    return float(np.sum((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2))


def _label(name: str, edges: tuple[float, ...], i: int) -> str:
    """Write the interval of a bucket as text."""
    low = f"{edges[i - 1]:.3g} <= " if i > 0 else ""
    high = f" < {edges[i]:.3g}" if i < len(edges) else ""
    return f"{low}{name}{high}"
