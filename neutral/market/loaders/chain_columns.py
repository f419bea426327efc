"""Turns an option chain of any layout into one row per option with the columns of `CHAIN_NAMES`."""

import dataclasses
from typing import cast

import numpy as np
import pandas as pd

from ...errors import DataError
from ...options.kinds import KINDS
from ...quotes.column_names import CHAIN_NAMES, QUOTE_PAIRS, SIDED_NAMES, SIDES, SPOT_PAIRS, squeezed
from ..quotes import column
from .column_map import how_to_map
from .csv_table import numbers, texts
from .layouts import Layout, with_layout
from .option_table import option_types
from .symbols import OCC, plain_symbol, underlying_of_root
from .table import Table

TEXTS = (
    *("date", "underlying", "contract", "root", "expiry", "option_type", "settlement_time", "exercise_style"),
    *("contract_size", "adjusted", "quoted_at", "quote_time", "time"),
)
REQUIRED = ("expiry", "option_type", "strike", "bid", "ask")
SIDED = ("bid", "ask")  # the columns that both sides of a file with one row per strike must have
OCC_STRIKE = 1e-3  # the strike of an option over the number in its symbol
HALVES = {"am": "am", "1": "am", "a": "am", "true": "am", "pm": "pm", "0": "pm", "p": "pm", "false": "pm"}
STYLES = {"a": "american", "american": "american", "e": "european", "european": "european"}
SCALES = (1000.0, 100.0, 0.01, 0.001)  # factors by which strikes are taken to be off
SCALE_TOLERANCE = 0.2  # relative


def chain_columns(table: Table) -> tuple[Table, pd.DataFrame, Layout | None]:
    """Return a table with one row per option, its typed columns by role, and its layout.

    Raises:
        DataError: A required column is missing, or strikes are in another unit than those of the symbols.
    """
    table, layout = with_layout(table)
    table = _by_content(_one_row_per_option(table))
    symbols = _contract_terms(table)
    frame = table.select(CHAIN_NAMES, _required(table, symbols), TEXTS)
    for key in ("expiry", "option_type", "strike"):
        if key not in frame and key in symbols:
            frame[key] = symbols[key]
    frame["option_type"] = option_types(column(frame, "option_type"))
    _set_strikes(table, frame, layout, symbols)
    _set_names(frame, symbols)
    _set_quotes(frame)
    return table, frame, layout


def _required(table: Table, symbols: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that a file must have, less those that symbols of contracts or mids replace."""
    replaced = set(symbols) | ({"strike"} if _has(table, "strike_x1000") else set())
    if _has(table, "price") and not (_has(table, "bid") or _has(table, "ask")):
        replaced |= {"bid", "ask"}
    return tuple(key for key in REQUIRED if key not in replaced)


def _has(table: Table, key: str) -> bool:
    return table.name_of(key, CHAIN_NAMES) is not None


def _one_row_per_option(table: Table) -> Table:
    """Convert the layout with one row per strike; a table in the other layout is returned unchanged."""
    sided = {kind: _sided_columns(table, kind) for kind in SIDES}
    absent = [f"{kind}_{role}" for kind, names in sided.items() for role in SIDED if role not in names]
    if len(absent) > len(SIDED):
        return table
    if absent:
        raise DataError(
            f"{table.path}: the file has one row per strike, and these columns are missing: "
            f"{', '.join(absent)}. Say which columns have their values: {how_to_map(absent[0], '...')}. The "
            f"file has the columns {table.listed}."
        )
    taken = {name for names in sided.values() for name in names.values()}
    keys = {key for names in sided.values() for key in names}
    wide = table.frame
    shared = [name for name in wide if name not in taken and name not in keys]
    sides = []
    for kind, names in sided.items():
        side = wide[[*shared, *names.values()]].set_axis([*shared, *names], axis="columns")
        sides.append(side.assign(option_type=kind))
    frame = pd.concat(sides).sort_index(kind="stable").reset_index(drop=True)
    sided_keys = {f"{kind}_{role}" for kind in SIDES for role in SIDED_NAMES}
    left = tuple(pair for pair in table.columns.names if pair[0] not in sided_keys)
    return dataclasses.replace(table, frame=frame, columns=dataclasses.replace(table.columns, names=left))


def _sided_columns(table: Table, kind: str) -> dict[str, str]:
    """Return the columns of the calls or puts of a file with one row per strike, by role."""
    header = {squeezed(name): name for name in table.frame}
    found = {}
    for role, patterns in SIDED_NAMES.items():
        names = [f"{kind}_{role}", *(text.format(side) for side in SIDES[kind] for text in patterns)]
        name = next((header[form] for form in map(squeezed, names) if form in header), None)
        if name is not None:
            found[role] = name
    return found


def _by_content(table: Table) -> Table:
    """Choose the columns of the kind, the contract, the root and the underlying by their content.

    In some files `symbol` is the symbol of the contract and in others that of the underlying, and `type` is
    the kind of the option or of the security.
    """
    chosen = dict(table.layout_names)
    free = [name for name in table.frame if name not in table.columns.mapped | set(chosen.values())]
    header = {squeezed(name): name for name in free}

    def candidates(key: str) -> list[str]:
        return [header[form] for form in map(squeezed, CHAIN_NAMES[key]) if form in header]

    def values(name: str) -> pd.Series:
        return texts(column(table.frame, name)).dropna()

    if not {"option_type"} & ({*chosen} | table.columns.mapped):
        kinds = [name for name in candidates("option_type") if _hold_kinds(values(name))]
        chosen |= {"option_type": kinds[0]} if kinds else {}
    for bid, ask, names in (("bid", "ask", QUOTE_PAIRS), ("spot_bid", "spot_ask", SPOT_PAIRS)):
        if not {bid, ask} & ({*chosen} | table.columns.mapped):
            pairs = [tuple(header.get(squeezed(name), "") for name in pair) for pair in names]
            fullest = max(pairs, key=lambda pair: sum(map(bool, pair)))  # the first of the fullest pairs
            chosen |= dict(zip((bid, ask), fullest, strict=True))
    contracts = [name for name in candidates("contract") if _hold_contracts(values(name))]
    for key, wanted in (("contract", True), ("underlying", False), ("root", False)):
        if key in chosen or key in table.columns.mapped:
            continue
        filled = [name for name in candidates(key) if (name in contracts) == wanted and len(values(name))]
        fitting = [name for name in filled if name not in chosen.values()]
        # an empty name means no column, so that the list of names is not searched again
        chosen[key] = fitting[0] if fitting else ""
    return dataclasses.replace(table, layout_names=chosen)


def _hold_kinds(values: pd.Series) -> bool:
    return bool(values.str.strip().str.lower().isin(list(KINDS)).any())


def _hold_contracts(values: pd.Series) -> bool:
    """Whether most values are OCC symbols of options."""
    return bool(len(values)) and bool(values.head(1000).str.strip().str.fullmatch(OCC).mean() > 0.5)


def _contract_terms(table: Table) -> pd.DataFrame:
    """Return root, expiry, kind and strike of the contracts from OCC symbols; no columns without them."""
    name = table.name_of("contract", CHAIN_NAMES)
    if name is None:
        return pd.DataFrame(index=table.frame.index)
    parts = texts(column(table.frame, name)).str.strip().str.extract(f"^{OCC.pattern}$", flags=OCC.flags)
    return pd.DataFrame(
        {
            "root": column(parts, "root").str.strip().str.upper(),
            "expiry": "20" + column(parts, "expiry"),
            "option_type": column(parts, "type"),
            "strike": numbers(column(parts, "strike")) * OCC_STRIKE,
        }
    )


def _set_strikes(table: Table, frame: pd.DataFrame, layout: Layout | None, symbols: pd.DataFrame) -> None:
    """Scale the strikes where the vendor's documentation states it, and compare them with the contracts'.

    Raises:
        DataError: Most strikes are a multiple of those in the symbols of the contracts.
    """
    if "strike_x1000" in frame:
        frame["strike"] = frame.pop("strike_x1000") * 1e-3
    elif layout is not None and "strike" not in table.columns.mapped:
        frame["strike"] *= layout.strike_scale
    if "strike" not in symbols:
        return
    ratio = float((column(frame, "strike") / column(symbols, "strike")).median())
    off = [scale for scale in SCALES if abs(ratio / scale - 1.0) < SCALE_TOLERANCE]
    if off:
        raise DataError(
            f"{table.path}: the strikes are {off[0]:g} times those in the symbols of the contracts, so they "
            f"are in another unit; multiply them by {1 / off[0]:g}."
            + (
                f" For strikes times 1000 write {how_to_map('strike_x1000', '...')}."
                if off[0] == 1000
                else ""
            )
        )


def _set_names(frame: pd.DataFrame, symbols: pd.DataFrame) -> None:
    """Set the roots of the options, and the underlyings where the file does not state them."""
    if "root" in frame or "root" in symbols:
        stated = column(frame, "root") if "root" in frame else column(symbols, "root")
        frame["root"] = stated.str.strip().str.upper()
    if not _states(frame, "underlying") and _states(frame, "root"):
        frame["underlying"] = column(frame, "root").map(underlying_of_root, na_action="ignore")
    for key, words in (("settlement_time", HALVES), ("exercise_style", STYLES)):
        if key in frame:
            frame[key] = column(frame, key).str.strip().str.lower().str.removesuffix(".0").map(words)


def _states(frame: pd.DataFrame, key: str) -> bool:
    return key in frame and bool(column(frame, key).notna().any())


def _set_quotes(frame: pd.DataFrame) -> None:
    """Set bid and ask where there is only a mid, and the spot from its bid and ask."""
    if "price" in frame and "bid" not in frame and "ask" not in frame:
        frame["bid"] = frame["ask"] = column(frame, "price")
    if "spot" not in frame and {"spot_bid", "spot_ask"} <= set(frame):
        both = (column(frame, "spot_bid") > 0) & (column(frame, "spot_ask") > 0)
        frame["spot"] = (0.5 * (column(frame, "spot_bid") + column(frame, "spot_ask"))).where(both)


def non_standard(frame: pd.DataFrame) -> np.ndarray:
    """Mark adjusted contracts: on another number of shares, or of a root that ends in a digit, bool."""
    adjusted = np.zeros(len(frame), bool)
    if "root" in frame:
        root = column(frame, "root").fillna("")
        other = root != column(frame, "underlying").map(plain_symbol, na_action="ignore")
        adjusted |= (other & root.str[-1:].str.isdigit()).to_numpy(bool)
    if "adjusted" in frame:
        flags = column(frame, "adjusted").fillna("").str.strip().str.lower().str.removesuffix(".0")
        adjusted |= (~flags.isin(["", "0", "false", "n", "no"])).to_numpy(bool)
    if "contract_size" in frame:
        sizes = cast(pd.Series, pd.to_numeric(column(frame, "contract_size"), errors="coerce"))
        usual = sizes.mode()
        adjusted |= (sizes.notna() & (sizes != (usual.iloc[0] if len(usual) else np.nan))).to_numpy(bool)
    return adjusted
