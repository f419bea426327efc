"""Defines the command `neutral price`."""

from pathlib import Path
from typing import Annotated

import typer

from . import interrupts, options

EXAMPLES = """Examples:

neutral price RESULTS SNAPSHOT.json.gz --out prices.parquet

neutral price model.json CHAINS --rates 0.04 --symbol SPX --out prices.csv"""


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
    """
    from ..workflow.extras import require
    from ..workflow.progress import doing

    require(["tables"])
    changes = options.reading_changes(locals())
    with interrupts.interruptible("nothing is stored; the same command starts again."):
        options.start_jax()
        with doing("loading the rest of the package"):
            from ..workflow.price.markets import check_path, config_of, price_markets, summary, write_prices
            from ..workflow.price.models import model_source

        check_path(out)
        source = model_source(results)
        markets = options.read_inputs(quotes, config, underlying, limit, changes, config_of(source))
        priced = list(price_markets(markets, source))
        write_prices(priced, out)
    options.show(summary(priced))
    options.print_files([out])
    unpriced = any(market.reason for market in priced)
    raise typer.Exit(options.PARTLY_USABLE if unpriced else options.USABLE)
