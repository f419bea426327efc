"""Layouts of market data files, each a function of a market with known volatilities."""

from .crypto import CRYPTO
from .currencies import CURRENCIES
from .equity import EQUITY
from .layout import Case as Case
from .layout import Layout as Layout
from .surfaces import SURFACES

LAYOUTS = {layout.name: layout for layout in (*EQUITY, *CRYPTO, *SURFACES, *CURRENCIES)}
