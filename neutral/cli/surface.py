"""Defines the command `neutral surface`."""

from typing import Annotated

import typer

from . import interrupts, options

EXAMPLES = """Examples:

neutral surface SNAPSHOTS --out RESULTS --currency BTC --limit 20

neutral surface CHAINS --out RESULTS --rates 0.02 --method essvi

neutral surface eurusd.csv --out RESULTS --spot 1.0867 --fx delta=spot"""


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
    resume: options.Resume = True,
    page: options.Page = True,
    pictures: Annotated[
        int, typer.Option(min=0, help="The number of surfaces to draw on the page; the first ones are drawn.")
    ] = 4,
) -> None:
    """Fit an arbitrage-free surface to each set of quotes, and write tables, surfaces and a page.

    The files may be Deribit snapshots, quotes of crypto options from several exchanges, option chains of
    equities, published surfaces or foreign-exchange volatilities. In the tables volatilities are decimal,
    maturities are in years, and prices are over discount and forward.
    """
    from ..workflow.extras import require
    from ..workflow.progress import doing

    require(["tables", *(["page"] if page else [])])
    changes = options.reading_changes(locals())
    with interrupts.interruptible("the same command starts again."):
        options.start_jax()
        with doing("loading the rest of the package"):
            from ..workflow.surfaces.files import EarlierSurfaces, summary, write_surfaces
            from ..workflow.surfaces.fit import fit_markets

        labels = {"method": method, "config_hash": options.settings_hash(config, changes)}
        earlier = EarlierSurfaces(out, labels if resume else None)
        markets = options.read_inputs(inputs, config, underlying, limit, changes)
        results, interrupted = interrupts.collected(
            markets, lambda read: fit_markets(read, method, labels=labels, known=earlier.known)
        )
        options.check_readable([result.market for result in results])
        if interrupted and len(results) <= len(earlier):
            raise KeyboardInterrupt  # the tables of the earlier run have more
        paths = [path for path in write_surfaces(results, out) if path.suffix == ".parquet"]
        if page:
            with doing("drawing the page", long=True):
                from ..workflow.pages.surfaces import write_page

                paths.append(write_page(results, out, pictures))
    options.show(summary(results))
    options.print_files(paths)
    if interrupted:
        interrupts.stop_interrupted(
            f"{len(results)} surfaces are stored, and the same command fits the others."
        )
    usable = all(result.market.readable and not result.failed for result in results)
    any_surface = any(result.surface is not None for result in results)
    raise typer.Exit(options.USABLE if usable and any_surface else options.PARTLY_USABLE)
