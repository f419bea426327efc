"""Fits and archives that cost nothing, for tests of everything around a fit; no JAX is loaded."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neutral.workflow.calibrate.config import Config
from neutral.workflow.calibrate.rows import ModelFit
from neutral.workflow.config import validated

COLUMNS = (
    "timestamp,instrument_name,underlying,underlying_name,option_type,strike,expiry_datetime,time_to_maturity,"
    "bid_price,ask_price,mark_price,mid_price,futures_price,futures_instrument_name,implied_volatility,delta,vega,"
    "open_interest,volume,bid_ask_spread,currency,index_price,volume_usd"
)
EXPIRIES = (("2026-02-27", 0.1), ("2026-06-26", 0.4))
STRIKES = range(70_000, 112_000, 3_000)  # 14 strikes x 2 kinds x 2 expiries = 56 quotes


def snapshot_name(i: int) -> str:
    return f"deribit_options_snapshot_202601{1 + i // 4:02d}T{6 * (i % 4):02d}0000Z.csv"


def write_snapshot(
    folder: Path, i: int, currencies: Sequence[str] = ("BTC", "ETH"), strikes: Any = STRIKES
) -> Path:
    """A snapshot of plausible quotes; `i` counts six-hour steps."""
    lines = [COLUMNS]
    for currency in currencies:
        for day, maturity in EXPIRIES:
            for strike in strikes:
                for kind in ("call", "put"):
                    intrinsic = max(0.0, (1 - strike / 90_000) * (1 if kind == "call" else -1))
                    bid = round(intrinsic + 0.01 + 0.02 * maturity - abs(strike - 90_000) / 2e6 + 1e-5 * i, 6)
                    name = f"{currency}-{day}-{strike}-{kind[0].upper()}"
                    lines.append(
                        f"2026-01-01T00:00:00.5+00:00,{name},90000,F-{day},{kind},{strike},{day}T08:00:00+00:00,"
                        f"{maturity},{bid},{bid + 0.001},{bid},{bid},90000,F-{day},0.5,0.5,10,5,1,0.001,"
                        f"{currency},90000,1"
                    )
    path = folder / snapshot_name(i)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_archive(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write_snapshot(folder, i)
    return folder


def read(out: Path, kind: str) -> Any:
    """A table of results as a DataFrame."""
    return pd.read_parquet(out / f"{kind}.parquet")


def fake_config(**sections: Any) -> Config:
    return validated({"models": ["black", "svcj++"], "run": {"block": 3}} | sections, "test", Config)


def fake_fit(
    frames: Sequence[pd.DataFrame],
    previous: Mapping[str, Mapping[str, Any]],
    config: Config,
    check_stop: Callable[[], None],
    seconds: float = 0.0,
) -> list[dict[str, ModelFit]]:
    """Numbers that depend on every digit of the quotes and of the block before."""
    fits = []
    for frame in frames:
        by_model = {}
        for model in config.models:
            check_stop()
            time.sleep(seconds)
            mid = frame["mid_price_clean"].to_numpy()
            before = previous.get(model, {}).get("sigma", 0.5)
            sigma = float(0.5 + 0.4 * np.sin(7 * before + mid.sum()))
            parameters: dict[str, Any] = {"sigma": sigma}
            if model == "svcj++":
                parameters["shift_times"] = sorted(set(frame["maturity"]))
                parameters["shift_increments"] = [sigma**2 / 3] * len(parameters["shift_times"])
            by_model[model] = ModelFit(
                "converged",
                True,
                "The gradient vanishes.",
                mid + 1e-3 * sigma,
                parameters,
                steps=7,
                loss=sigma**2,
                prior_loss=0.0,
                gradient_norm=1e-9,
                condition_number=10.0,
            )
        fits.append(by_model)
    return fits
