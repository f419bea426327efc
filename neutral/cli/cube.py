"""Defines the command `neutral cube`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ArgumentError
from . import interrupts, options

EXAMPLES = """Examples:

neutral cube CHAINS --out cube.npz --rates fed_funds.csv --test-from 2021-01-01 --csv

neutral cube SNAPSHOTS --out btc.npz --currency BTC --days 7,30,90 --moneyness 0.8:1.2:0.05

neutral cube --synthetic 1000 --out synthetic.npz"""


def cube(
    inputs: options.OptionalInputFiles = None,
    out: Annotated[
        Path,
        typer.Option(help="The file of the cube. Tables about it are written beside it.", dir_okay=False),
    ] = Path("cube.npz"),
    moneyness: Annotated[
        str, typer.Option(help="The grid of strike / spot (1 is at the money), as first:last:step or a,b,c.")
    ] = "0.9:1.09:0.01",
    days: Annotated[
        str, typer.Option(help="The grid of calendar days to maturity, as first:last:step or a,b,c.")
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
            help="A date such as 2026-02-01. The days before it and the other days are also written as two "
            "arrays, train and test, into one file, and the summary describes them separately."
        ),
    ] = None,
    csv: Annotated[
        bool,
        typer.Option(help="Also write the cleaned quotes and the dates of the cube as CSV files."),
    ] = False,
    resume: options.Resume = True,
    synthetic: Annotated[
        int | None,
        typer.Option(min=1, help="Instead of reading files, generate a random history of this many days."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of the random history.")] = 0,
) -> None:
    """Fit surfaces to market data, and store them on one grid of dates, channels, maturities and moneyness.

    The channels are time to maturity (years), implied volatility (decimal a year), spot and strike (in the
    unit of the quotes) and carry rate (decimal a year, continuously compounded).
    """
    from ..workflow.extras import require
    from ..workflow.progress import doing

    require(["tables", "page"])
    changes = options.reading_changes(locals())
    with interrupts.interruptible("the same command starts again."):
        options.start_jax()
        with doing("loading the rest of the package"):
            from ..workflow.surfaces import cube as cubes
            from ..workflow.surfaces import cube_files

        grid = cubes.cube_grid(moneyness, days)
        if (synthetic is None) == (not inputs):
            raise ArgumentError(
                "expected either files or --synthetic with a number of days; give one of them."
            )
        if synthetic and csv:
            raise ArgumentError(
                "--csv writes the quotes of files, and a random history has none; leave it out."
            )
        if test_from is not None:
            cube_files.as_date(test_from)
        interrupted = False
        if synthetic:
            with doing(f"drawing {synthetic} days", long=True):
                built = cubes.synthetic_cube(synthetic, seed, grid)
        else:
            settings = options.settings_hash(config, changes, moneyness, days)
            labels = {"method": method, "config_hash": settings}
            earlier = cubes.EarlierCube(out, labels if resume else None)
            markets = options.read_inputs(inputs or [], config, underlying, limit, changes)
            entries, interrupted = interrupts.collected(
                markets,
                lambda read: cubes.cube_entries(read, grid, earlier, method=method, labels=labels),
            )
            options.check_readable([entry.market for entry in entries])
            if interrupted and len(entries) <= len(earlier):
                raise KeyboardInterrupt  # the cube of the earlier run has more
            built = cubes.join_entries(entries, grid, chains=csv)
        paths = cube_files.write_cube(built, out, test_from)
        with doing("drawing the page", long=True):
            from ..workflow.pages.cube import write_page

            paths.append(write_page(built, out))
    options.show(cubes.described(built, test_from))
    options.print_files(paths)
    if interrupted:
        interrupts.stop_interrupted(
            f"{len(built.cube)} surfaces are stored, and the same command fits the others."
        )
    raise typer.Exit(options.USABLE if built.usable else options.PARTLY_USABLE)
