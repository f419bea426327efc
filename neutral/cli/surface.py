"""Defines the command `neutral surface`."""

from typing import Annotated

import typer

from . import options


def surface(
    inputs: options.InputFiles,
    out: options.OutFolder,
    method: options.SurfaceMethod = "mixture",
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
    pictures: Annotated[
        int, typer.Option(min=0, help="The number of surfaces to draw on the page; the first ones are drawn.")
    ] = 4,
) -> None:
    """Fit an arbitrage-free surface to each set of quotes, and write parameters, certificates and a page.

    The files may be Deribit snapshots, quotes of crypto options from several exchanges, option chains of
    equities, published surfaces or foreign-exchange volatilities.

    The exit code is 0 if every attempted fit converged, 1 if some fit did not converge, and 2 if the command
    is wrong or its input cannot be read.
    """
    from ..workflow.progress import doing

    options.start_jax()
    with doing("loading the rest of the package"):
        from ..workflow.pages.surfaces import write_page
        from ..workflow.surfaces.files import summary, write_surfaces
        from ..workflow.surfaces.fit import fit_markets

    markets = options.read_inputs(inputs, config, underlying, limit, options.reading_changes(locals()))
    results = list(fit_markets(markets, method))
    write_surfaces(results, out)
    with doing("drawing the page", long=True):
        page = write_page(results, out, pictures)
    print(f"{summary(results)}\n{page}")
    raise typer.Exit(1 if any(result.failed for result in results) else 0)
