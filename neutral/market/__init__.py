"""The market side: files to tables, tables to surfaces."""

from .american_quotes import european_quotes as european_quotes
from .build import build_surface as build_surface
from .build import prepare as prepare
from .cash_parity import ImpliedForwards as ImpliedForwards
from .cash_parity import implied_forwards as implied_forwards
from .cleaning import arbitrage_reasons as arbitrage_reasons
from .deribit import list_snapshots as list_snapshots
from .deribit import load_deribit as load_deribit
from .filters import Filters as Filters
from .quotes import Quotes as Quotes
from .samples import sample_folder as sample_folder
from .split import Split as Split
from .split import split_seed as split_seed
