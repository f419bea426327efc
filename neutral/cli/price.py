"""Defines the command `neutral price`."""

from pathlib import Path
from typing import Annotated

import typer

from . import options


def price(
    results: Annotated[
        Path,
        typer.Argument(
            help="The folder of results of `neutral calibrate`, or a file of a model, a surface or a fit "
            "that `neutral.save` wrote.",
            exists=True,
        ),
    ],
    quotes: options.InputFiles,
    out: Annotated[
        Path,
        typer.Option(help="The file of the prices, Parquet or CSV by its ending.", dir_okay=False),
    ] = Path("prices.parquet"),
    underlying: options.Underlyings = None,
    config: options.FileConfig = None,
    date: options.Date = None,
    rates: options.Rates = None,
    dividends: options.Dividends = None,
    dividend_model: options.DividendModel = None,
    spot: options.Spot = None,
    columns: options.Columns = None,
    symbol: options.Symbol = None,
    root: options.Root = None,
    exercise: options.Exercise = None,
    settlement: options.Settlement = None,
    fx: options.FxSettings = None,
    limit: options.FileLimit = None,
) -> None:
    """Price the options in files of quotes with stored models, and write a column of prices for each model.

    Of a folder of results each market takes the latest converged fit of its underlying at or before its time.
    Quotes are read with the settings of these results, or of --config. Options that filters refuse are priced
    too, with the reason beside them.

    The exit code is 0 if every market was priced, 1 if some market was not, and 2 if the command is wrong or
    no market was priced.
    """
    options.start_jax()
    from ..workflow.price.markets import check_path, config_of, price_markets, summary, write_prices
    from ..workflow.price.models import model_source

    check_path(out)
    source = model_source(results)
    markets = options.read_inputs(
        quotes, config, underlying, limit, options.reading_changes(locals()), config_of(source)
    )
    priced = list(price_markets(markets, source))
    count = write_prices(priced, out)
    print(f"{summary(priced)}\n{count:,} rows with prices in {out}")
    raise typer.Exit(1 if any(market.reason for market in priced) else 0)
