"""What happens to files: orders of rows and columns, other spellings, and mixtures; each keeps the truth.

A damage takes a case and a random generator and returns the damaged case, or None where it does not apply.
"""

import dataclasses
from collections.abc import Callable
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from .layout import Case, text_frame
from .markets import EXPIRIES, Market

Damage = Callable[[Case, np.random.Generator], Case | None]
UNKNOWN = "zz_{}"  # a name that no vendor uses
QUOTED = ("bid", "ask", "price")
VOLS = ("vol", "vol_bid", "vol_ask", "rr")
MEANINGS = (
    "date",
    "underlying",
    "contract",
    "expiry",
    "option_type",
    "strike",
    "bid",
    "ask",
    "tenor",
    "vol",
    "spot",
)


def _shuffled_columns(case: Case, rng: np.random.Generator) -> Case:
    return case.changed(frame=case.frame[list(rng.permutation(case.frame.columns))])


def _shuffled_rows(case: Case, rng: np.random.Generator) -> Case:
    return case.changed(frame=case.frame.sample(frac=1, random_state=int(rng.integers(1 << 31))))


def _upper_case(case: Case, rng: np.random.Generator) -> Case | None:
    return _respelled(case, str.upper)


def _title_case(case: Case, rng: np.random.Generator) -> Case | None:
    return _respelled(case, lambda name: f" {name.title()} ")


def _respelled(case: Case, spell: Callable[[str], str]) -> Case | None:
    if case.form.kind == "json":  # keys of a protocol
        return None
    names = {meaning: spell(name) for meaning, name in case.names.items()}
    return case.changed(frame=case.frame.rename(columns=spell), names=names)


def _extra_columns(case: Case, rng: np.random.Generator) -> Case:
    extra = case.frame.copy()
    extra.insert(0, "Unnamed: 0", [str(i) for i in range(len(extra))])
    extra.insert(2, "my_note", "checked")
    extra["score"] = [f"{x:.4f}" for x in rng.normal(size=len(extra))]
    return case.changed(frame=extra)


def _money(case: Case, rng: np.random.Generator) -> Case | None:
    """Prices as spreadsheets show them: $1,234.50."""
    columns = [case.names[meaning] for meaning in (*QUOTED, "strike") if meaning in case.names]
    if not columns or case.form.kind != "csv":
        return None
    frame = case.frame.copy()
    for name in columns:
        frame[name] = [_spreadsheet(text) for text in frame[name]]
    return case.changed(frame=frame)


def _spreadsheet(text: str) -> str:
    whole, point, cents = text.partition(".")
    return f"${int(whole):,}{point}{cents}" if whole.isdigit() else text


def _blank_cells(case: Case, rng: np.random.Generator) -> Case | None:
    """A few quotes are missing, each in another spelling."""
    columns = [case.names[meaning] for meaning in ("bid", "ask") if meaning in case.names]
    if not columns:
        return None
    frame = case.frame.copy()
    rows = np.flatnonzero([float(text) < 0.02 * _largest(frame[columns[0]]) for text in frame[columns[0]]])
    for row, text in zip(rows[:4], ("", "-", "nan", "N/A"), strict=False):
        frame.loc[frame.index[row], columns[-1]] = text
    return case.changed(frame=frame)


def _largest(texts: pd.Series) -> float:
    return max(float(text) for text in texts)


def _missing(meaning: str) -> Damage:
    def damage(case: Case, rng: np.random.Generator) -> Case | None:
        name = case.names.get(meaning)
        if name is None or name not in case.frame:
            return None
        return case.changed(frame=case.frame.drop(columns=name))

    return damage


def _renamed(meaning: str) -> Damage:
    """A column that means something has an unknown name."""

    def damage(case: Case, rng: np.random.Generator) -> Case | None:
        name = case.names.get(meaning)
        if name is None or name not in case.frame:
            return None
        unknown = UNKNOWN.format(sum(map(ord, meaning)))
        names = {key: unknown if column == name else column for key, column in case.names.items()}
        return case.changed(frame=case.frame.rename(columns={name: unknown}), names=names)

    return damage


def _mixed(market: Market, case: Case) -> Case:
    """The file with the rows of another market below its own."""
    frame = pd.concat([case.frame, case.layout.build(market)], ignore_index=True)
    return case.changed(frame=frame, truths=(*case.truths, case.layout.truth(market)))


def _two_underlyings(case: Case, rng: np.random.Generator) -> Case | None:
    if not {"underlying", "contract"} & set(case.names):
        return None
    market = case.layout.market
    other = {"SPX": "RUT", "BTC": "ETH", "SOL": "XRP", "DOGE": "AVAX", "EURUSD": "AUDUSD", "USDJPY": "USDCHF"}
    vols = tuple((day, 2 * vol) for day, vol in market.vols)
    return _mixed(market.changed(asset=other.get(market.asset, "ABC"), vols=vols), case)


def _two_days(case: Case, rng: np.random.Generator) -> Case | None:
    if "date" not in case.names or "Z." in case.file_name:
        return None
    market = case.layout.market
    shift = timedelta(days="tenor" in case.names)  # tenors end so much later
    vols = tuple((day + shift, 1.25 * vol) for day, vol in market.vols)
    return _mixed(
        market.changed(taken=market.taken + timedelta(days=1), spot=market.spot * 1.002, vols=vols), case
    )


def _two_times(case: Case, rng: np.random.Generator) -> Case | None:
    """Quotes of two times of one day, between which volatility rose and spot barely moved."""
    market = case.layout.market
    name = case.names.get("date", "")
    is_date = name in case.frame and case.frame[name].str.fullmatch(r"\d{4}-\d\d-\d\d(?:[T ].*)?").all()
    if not is_date and not case.layout.clock:
        return None
    later = market.changed(spot=market.spot * 1.0001, vols=tuple((d, 1.25 * vol) for d, vol in market.vols))
    frames, truths = [], []
    for mixed, hour in ((market, 10), (later, 15)):
        taken = market.taken.replace(hour=hour, minute=0)
        timed = mixed.changed(taken=taken) if market.expires_at else mixed  # others count whole days
        frames.append(_at_time(case, case.layout.build(timed), name, taken))
        truths.append(case.layout.truth(timed, time=f"{hour}:00"))
    return case.changed(frame=pd.concat(frames, ignore_index=True), truths=tuple(truths))


def _at_time(case: Case, frame: pd.DataFrame, dates: str, taken: datetime) -> pd.DataFrame:
    """The rows with a time of day."""
    for column, spell in case.layout.clock.items():
        frame[column] = str(spell(taken))
    if not case.layout.clock:
        mark = "T" if "T" in frame[dates].iloc[0] else " "
        frame[dates] = [f"{text[:10]}{mark}{taken:%H:%M:%S}" for text in frame[dates]]
    return frame


def _repeated_rows(case: Case, rng: np.random.Generator) -> Case:
    again = case.frame.sample(n=len(case.frame) // 3, random_state=int(rng.integers(1 << 31)))
    return case.changed(frame=pd.concat([case.frame, again], ignore_index=True))


def _contradiction(case: Case, rng: np.random.Generator) -> Case | None:
    """Two rows quote one option near the money at different prices, the wrong one first."""
    columns = [case.names[meaning] for meaning in ("bid", "ask") if meaning in case.names]
    strike = case.names.get("strike")
    if not columns or strike is None or strike not in case.frame or not _are_numbers(case.frame[strike]):
        return None
    strikes = case.frame[strike].to_numpy(float)
    distance = np.abs(strikes - np.median(strikes))
    near = case.frame[distance == distance.min()].copy()
    for name in columns:
        near[name] = [f"{1.3 * float(text):.10f}" for text in near[name]]
    return case.changed(frame=pd.concat([near, case.frame], ignore_index=True))


def _two_roots(case: Case, rng: np.random.Generator) -> Case | None:
    """SPX and SPXW on one expiry day: morning and evening settlement, with different prices."""
    name = case.names.get("root") or case.names.get("contract")
    market = case.layout.market
    if name is None or market.asset != "SPX":
        return None
    weekly = market.changed(
        spot=market.spot * 0.9995, vols=tuple((day, vol + 0.02) for day, vol in market.vols)
    )
    other = case.layout.build(weekly)
    for column in {name, case.names.get("contract", name)}:
        other[column] = [text.replace("SPX", "SPXW", 1) for text in other[column]]
    truths = (dataclasses.replace(case.truths[0], root="SPX"), case.layout.truth(weekly, root="SPXW"))
    return case.changed(frame=pd.concat([case.frame, other], ignore_index=True), truths=truths)


def _adjusted_first(case: Case, rng: np.random.Generator) -> Case | None:
    """Adjusted contracts, on another number of shares, sort before the standard ones."""
    name = case.names.get("contract")
    market = case.layout.market
    if name is None or market.asset not in ("SPX", "XYZ") or not {"bid", "ask"} <= set(case.names):
        return None
    adjusted = case.layout.build(
        market.changed(spot=0.93 * market.spot, vols=tuple((d, 0.3) for d, _ in market.vols))
    )
    adjusted[name] = [text.replace(market.asset, f"{market.asset}1", 1) for text in adjusted[name]]
    steps = set(case.frame[case.names["strike"]])
    known = np.array([strike in steps for strike in adjusted[case.names["strike"]]])
    rows = adjusted[known] if known.sum() > 8 else adjusted
    return case.changed(frame=pd.concat([rows, case.frame], ignore_index=True))


def _expired_first(case: Case, rng: np.random.Generator) -> Case | None:
    """Options that expired last month stand first, at their last prices."""
    market = case.layout.market
    if (
        market.vols[0][0] != EXPIRIES[0]
        or "date" not in case.names
        or {"vol", "vol_bid", "price"} & set(case.names)
    ):
        return None
    earlier = market.changed(
        taken=market.taken - timedelta(days=30), vols=((date(2024, 2, 16), 0.35),), spot=0.95 * market.spot
    )
    expired = case.layout.build(earlier)
    expired[case.names["date"]] = case.frame[case.names["date"]].iloc[0]
    return case.changed(frame=pd.concat([expired, case.frame], ignore_index=True))


def _scaled(meanings: tuple[str, ...], factor: float) -> Damage:
    def damage(case: Case, rng: np.random.Generator) -> Case | None:
        columns = [case.names[meaning] for meaning in meanings if meaning in case.names]
        columns = [name for name in columns if name in case.frame and _are_numbers(case.frame[name])]
        if not columns:
            return None
        frame = case.frame.copy()
        for name in columns:
            frame[name] = [f"{factor * float(text):.10g}" for text in frame[name]]
        return case.changed(frame=frame)

    return damage


def _are_numbers(texts: pd.Series) -> bool:
    return bool(pd.to_numeric(texts, errors="coerce").notna().all())


_SPELLED = {
    "%m/%d/%Y": "MM/DD/YYYY",
    "%d/%m/%Y": "DD/MM/YYYY",
    "%d.%m.%Y": "DD.MM.YYYY",
    "%Y%m%d": "YYYYMMDD",
}


def _dates(form: str, columns: tuple[str, ...] = ("date", "expiry")) -> Damage:
    """Dates that are ISO dates are written in another form."""

    def damage(case: Case, rng: np.random.Generator) -> Case | None:
        frame = case.frame.copy()
        names = [case.names[meaning] for meaning in columns if meaning in case.names]
        for name in names:
            if not frame[name].str.fullmatch(r"\d{4}-\d\d-\d\d").all():
                return None
            frame[name] = [date.fromisoformat(text).strftime(form) for text in frame[name]]
        facts = {**case.facts, "date_format": _SPELLED[form]}
        return case.changed(frame=frame, facts=facts) if names else None

    return damage


def _form(**changes) -> Damage:
    def damage(case: Case, rng: np.random.Generator) -> Case | None:
        if case.form.kind != "csv" and set(changes) != {"packed"}:
            return None
        name = f"{case.file_name}.gz" if changes.get("packed") else case.file_name
        return case.changed(form=dataclasses.replace(case.form, **changes), file_name=name)

    return damage


def both(first: Damage, second: Damage) -> Damage:
    """One damage after another."""

    def damage(case: Case, rng: np.random.Generator) -> Case | None:
        damaged = first(case, rng)
        return damaged if damaged is None else second(damaged, rng)

    return damage


DAMAGES: dict[str, Damage] = {
    "columns shuffled": _shuffled_columns,
    "rows shuffled": _shuffled_rows,
    "upper case": _upper_case,
    "title case": _title_case,
    "extra columns": _extra_columns,
    "money": _money,
    "blank cells": _blank_cells,
    "rows repeated": _repeated_rows,
    "contradiction first": _contradiction,
    "two underlyings": _two_underlyings,
    "two underlyings, shuffled": both(_two_underlyings, _shuffled_rows),
    "two underlyings, unknown name": both(_two_underlyings, _renamed("underlying")),
    "two underlyings, no name": both(_two_underlyings, _missing("underlying")),
    "two days": _two_days,
    "two days, shuffled": both(_two_days, _shuffled_rows),
    "two days, unknown name": both(_two_days, _renamed("date")),
    "two days, no date": both(_two_days, _missing("date")),
    "two times": _two_times,
    "two times, shuffled": both(_two_times, _shuffled_rows),
    "two times, unknown name": both(_two_times, _renamed("date")),
    "two roots": _two_roots,
    "two roots, shuffled": both(_two_roots, _shuffled_rows),
    "adjusted first": _adjusted_first,
    "expired first": _expired_first,
    "percent volatilities": _scaled(VOLS, 100.0),
    "decimal volatilities": _scaled(VOLS, 0.01),
    "percent rates": _scaled(("rate", "carry"), 100.0),
    "strikes x 1000": _scaled(("strike",), 1000.0),
    "strikes / 1000": _scaled(("strike",), 0.001),
    "prices x 100": _scaled(QUOTED, 100.0),
    "American dates": _dates("%m/%d/%Y"),
    "European dates": _dates("%d.%m.%Y"),
    "ambiguous dates": _dates("%d/%m/%Y", ("date",)),
    "plain dates": _dates("%Y%m%d"),
    "semicolons": _form(separator=";"),
    "semicolons and decimal commas": _form(separator=";", decimal_comma=True),
    "tabs": _form(separator="\t"),
    "byte order mark": _form(mark=True),
    "gzip": _form(packed=True),
    "quotation marks": _form(quoted=True),
    "Windows line ends": _form(line_end="\r\n"),
    "footer": _form(footer="Downloaded 2024-03-05 09:00\n"),
    "Parquet": _form(kind="parquet"),
    "table": _form(kind="table"),
    **{f"no {meaning}": _missing(meaning) for meaning in MEANINGS},
    **{f"unknown {meaning}": _renamed(meaning) for meaning in MEANINGS},
}


def damaged(case: Case, name: str) -> Case | None:
    """The case after a damage, the same in every run; None where the damage does not apply."""
    seed = [sum(map(ord, case.layout.name)), sum(map(ord, name))]
    return DAMAGES[name](case, np.random.default_rng(seed))


def table_of(case: Case) -> pd.DataFrame:
    """The cells of a case as a table in memory."""
    return text_frame(case.frame.to_dict("records"))
