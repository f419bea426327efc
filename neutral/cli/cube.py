"""Defines the command `neutral cube`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ArgumentError
from . import options


def cube(
    inputs: options.OptionalInputFiles = None,
    out: Annotated[
        Path,
        typer.Option(
            help="The file of the cube. A CSV file of its rows is written beside it.", dir_okay=False
        ),
    ] = Path("cube.npz"),
    moneyness: Annotated[
        str, typer.Option(help="The grid of strike / spot, as first:last:step or a,b,c.")
    ] = "0.9:1.09:0.01",
    days: Annotated[
        str, typer.Option(help="The grid of days to maturity, as first:last:step or a,b,c.")
    ] = "30:600:30",
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
    test_from: Annotated[
        str | None,
        typer.Option(
            help="A date such as 2026-02-01. The summary describes the days before it separately from the "
            "other days."
        ),
    ] = None,
    synthetic: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of reading files, generate a random history of this many days."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the random history.")] = 0,
) -> None:
    """Fit surfaces to market data, and store them on one grid of dates, channels, maturities and moneyness.

    The exit code is 0 if every attempted fit converged, 1 if some fit did not converge, and 2 if the command
    is wrong or its input cannot be read.
    """
    options.start_jax()
    from ..workflow.pages.cube import write_page
    from ..workflow.surfaces.cube import build_cube, cube_grid, described, synthetic_cube, write_cube

    grid = cube_grid(moneyness, days)
    if (synthetic is None) == (not inputs):
        raise ArgumentError("the command takes either files or --synthetic with a number of days; give one.")
    if synthetic:
        built = synthetic_cube(synthetic, seed, grid)
    else:
        changes = options.reading_changes(locals())
        markets = options.read_inputs(inputs or [], config, underlying, limit, changes)
        built = build_cube(markets, grid, method=method)
    for path in [*write_cube(built, out), write_page(built, out)]:
        print(path)
    print(described(built, test_from))
    raise typer.Exit(0 if built.complete else 1)
