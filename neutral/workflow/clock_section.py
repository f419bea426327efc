"""Defines the section `[clock]` of configuration files, which makes a variance clock."""

import datetime

from pydantic import Field

from ..market import VarianceClock
from .sections import NotNegative, Positive, Section

Day = datetime.date | str


class ClockSection(Section):
    """`[clock]`: the fields of `neutral.VarianceClock`, or the name of an exchange with some of them."""

    exchange: str | None = None
    weekend: NotNegative | None = None
    holidays: list[Day] | None = None
    holiday: NotNegative | None = None
    session: list[str] | None = Field(default=None, min_length=2, max_length=2)
    night: float | None = Field(default=None, ge=0, le=1)
    early_closes: dict[str, str] | None = None
    weights: dict[str, NotNegative] | None = None
    events: dict[str, NotNegative] | None = None
    weekend_days: list[str] | None = None
    timezone: str | None = None
    days_a_year: Positive | None = None

    def build(self) -> VarianceClock | None:
        """Make the clock; None, which is calendar time, if nothing is set."""
        fields = {name: value for name, value in self if value is not None and name != "exchange"}
        if self.exchange is not None:
            return VarianceClock.from_exchange(self.exchange, **fields)
        return VarianceClock(**fields) if fields else None
