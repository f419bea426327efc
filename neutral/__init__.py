"""Differentiable pricing and calibration of option models in JAX; see `neutral.price`, `neutral.Heston`.

Names load on first use, so that the command line starts without JAX.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "errors": ("ArgumentError", "CalibrationError", "DataError", "NeutralError", "PrecisionError"),
    "precision": ("enable_x64",),
    "models": (
        "NIG", "SVCJ", "AbstractFourierModel", "Bates", "Black", "DoubleHeston", "Heston", "Kou", "Merton",
        "PiecewiseHeston", "Shifted", "VarianceGamma",
    ),
    "pricing": (
        "COS", "CarrMadan", "Certify", "Contour", "Greeks", "Lewis", "PriceStatus", "certify", "density",
        "digital", "distribution", "greeks", "implied_normal_vol", "implied_vol", "implied_vol_info", "price",
        "price_info", "AbstractScheme", "Estimate", "LocalVolatility", "monte_carlo", "time_grid",
    ),
    "quote_surface": ("QuoteSurface", "stack"),
    "calibration": (
        "AdamLBFGS", "CalibrationResult", "CalibrationStatus", "DifferentialEvolution", "FellerPenalty",
        "JumpMomentPenalty", "LevenbergMarquardt", "Loss", "QuasiRandom", "Search", "Tikhonov", "calibrate",
        "calibrate_batch", "data_bounds", "nested_start", "price_surface",
    ),
    "surfaces": (
        "Certificate", "ESSVI", "ESSVIMixture", "SANOS", "SSVI", "SVI", "SurfaceFit", "VolSurface",
        "essvi_from_unconstrained", "fit_essvi", "fit_essvi_batch", "fit_surface", "fit_surface_batch",
        "VarianceSwap", "strike_at_delta", "variance_swap",
    ),
    "market": (
        "Filters", "FxConventions", "Quotes", "Rates", "Source", "Split", "build_surface",
        "delta_of_strike", "flat_rate", "list_snapshots", "load_deribit", "load_equity_chain",
        "load_fx_vols", "load_rates", "load_surface", "open_source", "prepare", "sample_folder",
        "strike_from_delta",
    ),
    "diagnostics": (
        "CrossValidation", "Diagnosis", "bootstrap", "bootstrap_mean", "cross_validate", "diagnose",
        "diebold_mariano", "evaluate_gates", "profile", "sensitivities", "walk_forward",
    ),
    "inversion": ("ImpliedVolStatus",),
    "storage": ("load", "save"),
}  # fmt: skip
_MODULES = ("plot",)
_WHERE = {name: module for module, names in _HOME.items() for name in names}
__all__ = ["__version__", *sorted(_WHERE), *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _WHERE:
        raise AttributeError(f"module 'neutral' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
