"""Defines the options that commands share, and reads their values."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ArgumentError
from ..workflow.messages import for_command_line, printable

# exit codes of every command
USABLE = 0  # every file could be read, and every fit converged and passes its gates
PARTLY_USABLE = 1  # finished, but some results are not usable: the output names them with the reasons
WRONG_USE = 2  # the command is wrong, or no input can be read
INTERRUPTED = 130  # what was finished is kept

if TYPE_CHECKING:
    from ..workflow.config import Document
    from ..workflow.inputs.markets import Market

InputFiles = Annotated[
    list[Path],
    typer.Argument(
        help="Files of market data, or folders, which are read with their subfolders.", exists=True
    ),
]
OptionalInputFiles = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Files of market data, or folders, which are read with their subfolders.", exists=True
    ),
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
    str | None,
    typer.Option(
        "--config",
        metavar="FILE or NAME",
        help="A TOML file of settings, or the name of a shipped one, which `neutral configs` explains. By "
        "default each data file is read with the shipped settings for its kind.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        help="Keep what an earlier run with the same settings has fitted to the same data, or fit all again.",
    ),
]
Reports = Annotated[
    list[str] | None,
    typer.Option(
        "--report",
        help="Also write a workbook (xlsx) or a database (sqlite). Repeat the option for both.",
    ),
]
Page = Annotated[bool, typer.Option("--page/--no-page", help="Write a page about the results, or none.")]
Date = Annotated[
    str | None, typer.Option(help="The date of the quotes in files that state none, such as 2024-03-04.")
]
Rates = Annotated[
    str | None,
    typer.Option(
        help="The interest rate, decimal a year and continuously compounded (0.02 is 2 %), or a file with "
        "its history. American quotes need a rate."
    ),
]
Dividends = Annotated[
    str | None,
    typer.Option(
        help="A file of dividends by ex-date, for American quotes: columns ex_date, and cash (in the unit "
        "of the strikes) or proportional (decimal share of the spot)."
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
    typer.Option(
        help="The spot price, in the unit of the strikes. Foreign-exchange files that state none need it."
    ),
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
    typer.Option(help="Whether options are european or american, where the underlying does not decide it."),
]
Settlement = Annotated[
    str | None,
    typer.Option(help="Whether prices are in cash or in coin, where the underlying does not decide it."),
]
FxSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--fx",
        metavar="NAME=VALUE",
        help="How volatilities of currency pairs are quoted, in place of what files state: delta=spot or "
        "forward, premium_adjusted=true or false, atm, butterfly, domestic_rate and foreign_rate (decimal a "
        "year), unit=percent or decimal. Repeat the option for several settings.",
    ),
]
FileLimit = Annotated[
    int | None, typer.Option("--limit", min=1, help="The number of files to read, from the first one.")
]


def start_jax() -> None:
    """Switch on double precision, and keep compiled programs in a folder for later commands."""
    from ..workflow.progress import doing, watch_compilations

    with doing("loading JAX", long=True):
        from ..precision import enable_x64

        folder = enable_x64(cache=True)
        watch_compilations(folder)


def check_readable(markets: "Sequence[Market]") -> None:
    """Refuse markets if no file of them could be read.

    Raises:
        DataError: The files and the reasons.
    """
    from ..workflow.inputs.archive import nothing_readable

    if markets and not any(market.readable for market in markets):
        raise nothing_readable([market.reason for market in markets])


def show(text: object, *, error: bool = False) -> None:
    """Print a text for people, on standard error if it is about what went wrong."""
    print(for_command_line(text), file=sys.stderr if error else sys.stdout)


def print_files(paths: Iterable[Path]) -> None:
    """Print the last line of a command, which names the files that it has written, the page last."""
    show(f"Written: {', '.join(map(printable, paths))}")


def settings_hash(config: str | None, changes: Mapping[str, Any], *further: str) -> str:
    """Return a digest of the settings with which a command reads files, and of its other settings.

    Args:
        config: As for `read_inputs`.
        changes: As `reading_changes` returns them.
        further: The other settings.
    """
    from ..workflow.calibrate.config import load_config, shipped_config

    kinds = (
        [load_config(config)] if config else [shipped_config(kind) for kind in ("deribit", "equity chain")]
    )
    texts = [settings.replaced(**changes).hash for settings in kinds]
    return hashlib.sha256("\n".join([*texts, *further]).encode()).hexdigest()


def number_or_path(text: str | None) -> float | str | None:
    """Read the value of the option for rates: a number, or the path of a file of rates."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


READING = ("date", "rates", "dividends", "dividend_model", "spot", "symbol", "root", "exercise", "settlement")
"""The options of commands that are keys of `[data]`."""


def reading_changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the options of a command about reading files replace, by section.

    Args:
        given: The arguments of the command, by name.

    Raises:
        ArgumentError: A value of `--columns` or `--fx` is not of the form NAME=VALUE.
    """
    from ..market.loaders.column_map import parse_columns  # loads pandas

    columns = parse_columns(given["columns"]) if given["columns"] else None
    data = {name: given[name] for name in READING} | {"rates": number_or_path(given["rates"])}
    return {"data": data, "columns": columns, "fx": fx_settings(given["fx"])}


def fx_settings(texts: list[str] | None) -> dict[str, bool | float | str]:
    """Read the values of the option for currency pairs: settings of the section `[fx]`, by name.

    Raises:
        ArgumentError: A text is not of the form NAME=VALUE.
    """
    settings: dict[str, bool | float | str] = {}
    for text in texts or []:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise ArgumentError(f"--fx {text!r} is not of the form NAME=VALUE, such as --fx delta=forward.")
        truth = {"true": True, "false": False}.get(value.lower())
        number = number_or_path(value) if truth is None else truth
        settings[name] = value if number is None else number
    return settings


def read_inputs(
    inputs: list[Path],
    config: str | None,
    underlyings: list[str] | None,
    limit: int | None,
    changes: Mapping[str, Any],
    default: "Callable[[str], Document] | None" = None,
) -> "Iterator[Market]":
    """Read the markets in files, and count the files on standard error as they are read.

    Args:
        inputs: Files and folders.
        config: A TOML file of settings, or the name of a shipped one; None takes the shipped settings for the
            kind of each file.
        underlyings: The underlyings to read; None reads those that the TOML file lists, or else all.
        limit: The number of files to read, from the first one; None reads as many as the TOML file states, or
            else all.
        changes: As `reading_changes` returns them.
        default: Returns the settings for a kind of file if there is no TOML file; None takes the shipped
            ones.

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
        return (settings or (default or shipped_config)(kind)).replaced(**changes)

    reading = config_of("equity chain")
    return read_markets(
        counted(files, "files"), config_of, underlyings, reading.column_map, reading.data.symbol
    )
