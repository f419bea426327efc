"""The result of a calibration: model, status, evidence, and the request and the quotes that led to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from ..models.parameters import is_concrete
from ..presentation.drawing import draw
from ..presentation.frame import Labels
from ..presentation.summary import Summary
from ..quotes.surface import QuoteSurface
from ..typing import Codes, Flags, Real
from . import statistics as stats
from .history import History
from .request import Request
from .result_summary import model_name, summary_of_batch, summary_of_fit
from .result_tables import fit_table, interval_table, parameter_table, params_of, quote_table
from .statistics import FitStatistics
from .status import CalibrationStatus as CalibrationStatus

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class CalibrationResult(eqx.Module):
    """A fit, or many fits with a leading axis on every array. n is the number of coordinates.

    Attributes:
        model: The calibrated model, in natural parameters.
        status: `CalibrationStatus` code, shape ().
        loss: The data term alone: mean of the loss over the quotes that were fitted, shape ().
        prior_loss: The term of the prior and the penalties, which is minimised together with the data term.
        steps: Number of evaluations of prices and Jacobian, all starts together.
        residuals: Model price less market price of every quote (normalised), 0 where there is no quote,
            (2, T, K).
        prices: Model price of every quote (normalised), calls first, 0 where there is no quote, (2, T, K).
        gradient_norm: Largest cosine between the residuals and the derivative of the prices in a free
            parameter; at most `gtol` of the solver where the fit has converged, and 0 where the fit is exact.
        condition_number: Condition number of the Jacobian of the weighted residuals in the natural
            parameters, each column times the size of its parameter, over the parameters that are neither
            fixed nor on a bound; inf where a combination of them has no effect. Above 200 the quotes do not
            determine some combination. It is that of `neutral.diagnose(...).identifiability`.
        at_bound: Whether a coordinate of `names` ends on a bound and the gradient keeps it there, (n,).
        agreement: Among the starts that have converged, the share whose cost is within 0.1 % of the best.
        spread: Largest range of a parameter among these, relative to its value in the best fit.
        minima: Number of distinct costs, more than 0.1 % apart, among the starts that have converged.
        standard_errors: Standard errors of the values of `names`, in natural units, from the scatter of the
            quotes' errors, (n,); nan for a parameter that is fixed or on a bound, and where the fit has not
            converged.
        quadrature_error: Estimated error of the fitted prices, the largest over all quotes, normalised.
        coordinates: The solution in the coordinates of the solver, (n,).
        undamped_loss: The data term before the fit was damped; equal to `loss` where it was not.
        damping: Precision of the pull that damped the fit, in the coordinates, (n, n); None unless
            `on_degenerate="damp"`.
        names: Names of the n coordinates: the parameters, then shift increments.
        request: The arguments of the calibration, except further `starts`; None in a result that an older
            version of the package has saved.
        history: The course of the fit, with `history=True`; else None.
        surface: The quotes; None in a result that an older version of the package has saved.
    """

    model: Any  # of the recipe's class
    status: Codes
    loss: Real
    prior_loss: Real
    steps: Codes
    residuals: Real
    prices: Real
    gradient_norm: Real
    condition_number: Real
    at_bound: Flags
    agreement: Real
    spread: Real
    minima: Codes
    standard_errors: Real
    quadrature_error: Real
    coordinates: Real
    undamped_loss: Real
    damping: Real | None
    names: tuple[str, ...] = eqx.field(static=True)
    request: Request | None = None
    history: History | None = None
    surface: QuoteSurface | None = None

    @property
    def converged(self) -> Flags | np.bool_:
        """Whether the status is `converged`: a stationary point that is of use; shape of `status`."""
        return self.status == CalibrationStatus.converged

    def __len__(self) -> int:
        """Number of fits in a batch."""
        if np.ndim(self.status) == 0:
            raise TypeError(
                "a single fit has no length and no truth value, only a batch has a length, as from "
                "calibrate_batch; fit.converged says whether it has converged"
            )
        return np.shape(self.status)[0]

    def __getitem__(self, index: int | slice | Codes | Flags) -> CalibrationResult:
        """One fit of a batch, or some of them."""
        if np.ndim(self.status) == 0:
            raise TypeError("a single fit has no items, only a batch has them, as from calibrate_batch")
        return jax.tree.map(lambda x: x[index], self)

    @property
    def bounds_hit(self) -> tuple[str, ...]:
        """Names of the coordinates of one fit that end on a bound."""
        return tuple(name for name, hit in zip(self.names, np.asarray(self.at_bound), strict=True) if hit)

    def __repr__(self) -> str:
        if not is_concrete(self.status):
            return super().__repr__()
        if np.ndim(self.status):
            counts = f"{len(self)} fits of {model_name(self)}, {int(np.sum(self.converged))} converged"
            return f"{type(self).__name__}({counts})"
        status = CalibrationStatus(int(self.status)).name
        return f"{type(self).__name__}({self.model!r}, {status}, loss {float(self.loss):.6g})"

    def summary(self, alpha: float = 0.05) -> Summary:
        """Summarise the result: a fit with its parameters and the errors of its quotes, or a batch in counts.

        Args:
            alpha: Probability, in (0, 1), that an interval of a parameter does not cover it.

        Returns:
            A `Summary`: text that notebooks show as HTML; `as_latex()` and `as_html()` write the others.

        Raises:
            ArgumentError: alpha is not between 0 and 1.
        """
        return summary_of_batch(self) if np.ndim(self.status) else summary_of_fit(self, alpha)

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with one row per fit.

        Columns: `status`, `converged`, `loss`, `prior_loss`, `steps`, `gradient_norm`, `condition_number`,
        `agreement`; of the fitted quotes `rmse_bp` (volatility, basis points), `rmse` and `mae` (prices, in
        the unit of the quotes), `inside` (share between bid and ask), `rsquared`, `smape` (share),
        `rmse_over_mean`, and the criteria `loglikelihood`, `aic`, `bic`; then every parameter in its unit,
        and its standard error (`kappa_se`).
        """
        return fit_table(self)

    def parameters(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return a table of parameters, one row each; of a batch, one row per fit and parameter.

        Columns: `value`, `std_error`, `lower` and `upper` (the interval), all in the parameter's unit;
        `unit`, `fixed`, `at_bound`.

        Args:
            alpha: Probability, in (0, 1), that an interval does not cover its parameter.
        """
        return parameter_table(self, alpha)

    @property
    def params(self) -> Any:
        """Fitted values by name, a Series; of a batch a DataFrame with one row per fit."""
        return params_of(self)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return confidence intervals of the parameters, columns `lower` and `upper`.

        They come from `standard_errors` by Student's t distribution with the number of strikes less that of
        parameters as degrees of freedom, symmetric in the logarithm of a positive parameter and in atanh of a
        correlation. `neutral.diagnose(...).uncertainty` has those by other covariances.

        Args:
            alpha: Probability, in (0, 1), that an interval does not cover its parameter: 0.05 for 95 %.

        Raises:
            ArgumentError: alpha is not between 0 and 1, or an older version saved the result.
        """
        return interval_table(self, alpha)

    def statistics(self, mask: Flags | None = None) -> FitStatistics:
        """Compute errors in volatility and prices, share inside bid and ask, R squared and others.

        Args:
            mask: Quotes to use, (2, T, K); those that were fitted where None.

        Raises:
            ArgumentError: an older version saved the result, without its quotes.
        """
        return stats.statistics(self, None if mask is None else np.asarray(mask, bool))

    @property
    def nobs(self) -> Any:
        """Number of fitted strikes over all maturities; call and put of a strike are one observation."""
        return stats.observations(self)

    @property
    def rsquared(self) -> Any:
        """R squared of the prices of the fitted quotes."""
        return self.statistics().rsquared

    @property
    def loglikelihood(self) -> Any:
        """Gaussian log-likelihood of the scaled errors, whose variance is estimated; see `aic`."""
        return stats.log_likelihood(np.asarray(self.loss), self.nobs)

    @property
    def aic(self) -> Any:
        """Akaike's criterion, 2 p - 2 log L, where p counts the free parameters and the variance.

        Likelihoods compare fits of the same quotes by the same loss. They are exact for a loss that is a
        plain mean of squares, and approximate for a robust one or with a prior.
        """
        return 2.0 * self._estimated - 2.0 * self.loglikelihood

    @property
    def bic(self) -> Any:
        """Schwarz's criterion, p log n - 2 log L, with p and L as in `aic` and n = `nobs`."""
        return np.log(self.nobs) * self._estimated - 2.0 * self.loglikelihood

    @property
    def _estimated(self) -> np.ndarray:
        return np.asarray(np.sum(stats.free_parameters(self), axis=-1) + 1)

    def quotes(self, index: Labels | None = None) -> pd.DataFrame:
        """Return the quotes of one fit with the model beside the market, in the order of the caller's table.

        Columns: `kind`, `maturity` (years), `strike`, `k` (log of strike over forward), `fitted`,
        `market_price` and `model_price` (in the unit of the quotes), `market_vol` and `model_vol` (decimals,
        nan where a price has none), `residual_bp` (model less market volatility in basis points, nan where
        the vega is too small to determine it), `inside` (whether the model price lies between bid and ask,
        missing without both), `refused` (why a quote was not used; "" for all others).

        Args:
            index: Labels of the rows of the table that the surface was built from, such as its `index`; the
                numbers of the rows where None. So `frame.join(result.quotes(frame.index)["model_vol"])` puts
                the model's volatility beside the caller's columns.

        Raises:
            ArgumentError: the result is a batch, the index is too short, or an older version saved the
                result.
        """
        return quote_table(self, index)

    def plot(self, **options: Any) -> Figure:
        """Draw the smiles of one fit with its quotes, or box plots of the parameters of a batch.

        Args:
            options: Options of `neutral.plot.smiles` or `neutral.plot.parameters`, such as `ax` and `title`.

        Returns:
            A matplotlib figure.

        Raises:
            ArgumentError: an older version saved the result, without its quotes.
            NeutralError: matplotlib is not installed.
        """
        if np.ndim(self.status):
            return draw("parameters", self, **options)
        return draw("smiles", stats.surface_of(self), self.model, **options)
