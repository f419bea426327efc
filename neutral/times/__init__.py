"""Dates and tenors as years by a day count, calendars of exchanges, and the form of times in results."""

from .day_counts import DAY_COUNTS as DAY_COUNTS
from .day_counts import DAYS_A_JULIAN_YEAR as DAYS_A_JULIAN_YEAR
from .day_counts import DAYS_A_MONEY_MARKET_YEAR as DAYS_A_MONEY_MARKET_YEAR
from .day_counts import DAYS_A_YEAR as DAYS_A_YEAR
from .day_counts import SECONDS_A_DAY as SECONDS_A_DAY
from .texts import TIME as TIME
from .texts import minute_text as minute_text
from .texts import seconds_text as seconds_text
from .texts import time_text as time_text
from .year_fraction import year_fraction as year_fraction
from .year_fraction import years_to as years_to
