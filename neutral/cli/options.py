"""Defines the options that commands share, and reads their values."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..workflow.config import Document
    from ..workflow.inputs.markets import Market

InputFiles = Annotated[
    list[Path],
    typer.Argument(help="Files of market data, or folders of such files.", exists=True),
]
OptionalInputFiles = Annotated[
    list[Path] | None,
    typer.Argument(help="Files of market data, or folders of such files.", exists=True),
]
OutFolder = Annotated[
    Path, typer.Option(help="The folder of the results. It is created if it is missing.", file_okay=False)
]
SurfaceMethod = Annotated[
    str,
    typer.Option(help="How surfaces are fitted. Choose mixture, essvi, sanos or sequential."),
]
Underlyings = Annotated[
    list[str] | None,
    typer.Option(
        "--currency",
        "--underlying",
        help="Use only this underlying, such as BTC, ETH or SPX. Repeat the option for several underlyings.",
    ),
]
FileConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="A TOML file of settings. By default each data file is read with the settings for its kind.",
    ),
]
Rates = Annotated[
    str | None,
    typer.Option(
        help="The interest rate as a decimal, or a file with its history. American quotes need a rate."
    ),
]
Dividends = Annotated[
    str | None,
    typer.Option(
        help="A file of dividends by ex-date, for American quotes: columns ex_date and cash or proportional."
    ),
]
DividendModel = Annotated[
    str | None,
    typer.Option(
        help="What volatilities of American quotes are of: the spot, or the spot less dividends "
        "to come. Choose spot or escrowed."
    ),
]
Spot = Annotated[
    float | None,
    typer.Option(help="The spot price. It is required for foreign-exchange files that state none."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        help="The column of the files for a name of this program, such as date=quote_datetime. Write "
        "ignore=x for a column x that means nothing, and date_format=DD/MM/YYYY for dates that can be read "
        "in two ways. Repeat the option for several columns."
    ),
]
Symbol = Annotated[str | None, typer.Option(help="The underlying of files that state none.")]
Root = Annotated[
    str | None,
    typer.Option(help="The root of the options to use, where an underlying has several, such as SPXW."),
]
Exercise = Annotated[
    str | None,
    typer.Option(help="Whether options are european or american, where the underlying does not tell."),
]
Settlement = Annotated[
    str | None,
    typer.Option(help="Whether prices are in cash or in coin, where the underlying does not tell."),
]
FileLimit = Annotated[
    int | None, typer.Option("--limit", min=1, help="The number of files to read, from the first one.")
]


def start_jax() -> None:
    """Switch on double precision, and cache compiled programs in a folder.

    The folder is `JAX_COMPILATION_CACHE_DIR`, or `neutral/jax` in the user's cache folder if that environment
    variable is not set.
    """
    import jax

    from ..precision import enable_x64

    enable_x64()
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(caches / "neutral" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def number_or_path(text: str | None) -> float | str | None:
    """Read the value of the option for rates: a number, or the path of a file of rates."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def reading(
    rates: str | None, symbol: str | None, root: str | None, exercise: str | None, settlement: str | None
) -> dict[str, float | str | None]:
    """Return the values of the section `[data]` that the options of these names replace."""
    return {
        "rates": number_or_path(rates),
        "symbol": symbol,
        "root": root,
        "exercise": exercise,
        "settlement": settlement,
    }


def column_changes(columns: list[str] | None) -> dict[str, str | list[str]] | None:
    """Read the values of the option for columns; None if there is none."""
    from ..market.loaders.column_map import parse_columns  # loads pandas

    return parse_columns(columns) if columns else None


def read_inputs(
    inputs: list[Path],
    config: Path | None,
    underlyings: list[str] | None,
    limit: int | None,
    data: Mapping[str, Any],
    columns: list[str] | None = None,
) -> "Iterator[Market]":
    """Read the markets in files, and count the files on standard error as they are read.

    Args:
        inputs: Files and folders.
        config: A TOML file of settings; None takes the shipped settings for the kind of each file.
        underlyings: The underlyings to read; None reads those that the TOML file lists, or else all.
        limit: The number of files to read, from the first one; None reads as many as the TOML file says, or
            else all.
        data: Values that replace those of the section `[data]`, by key; None replaces nothing.
        columns: Entries that replace those of the section `[columns]`, such as "date=quote_datetime".

    Returns:
        The markets in order, as `read_markets` gives them.
    """
    from ..workflow.calibrate.config import load_config, shipped_config
    from ..workflow.inputs.archive import market_files
    from ..workflow.inputs.markets import read_markets
    from ..workflow.progress import counted

    settings = load_config(config) if config else None
    files = market_files(inputs)[: limit or (settings.data.limit if settings else None)]
    if settings and underlyings is None:
        underlyings = settings.data.listed

    def config_of(kind: str) -> "Document":
        return (settings or shipped_config(kind)).replaced(data=data, columns=column_changes(columns))

    reading = config_of("equity chain")
    return read_markets(
        counted(files, "files"), config_of, underlyings, reading.column_map, reading.data.symbol
    )
