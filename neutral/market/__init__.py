"""The market side: files to tables, tables to surfaces."""

from .american_quotes import european_quotes as european_quotes
from .build import build_surface as build_surface
from .build import prepare as prepare
from .cash_parity import ImpliedForwards as ImpliedForwards
from .cash_parity import implied_forwards as implied_forwards
from .cleaning import arbitrage_reasons as arbitrage_reasons
from .deribit import list_snapshots as list_snapshots
from .deribit import load_deribit as load_deribit
from .equity_chains import load_equity_chain as load_equity_chain
from .filters import Filters as Filters
from .fx import FxConventions as FxConventions
from .fx import delta_of_strike as delta_of_strike
from .fx import strike_from_delta as strike_from_delta
from .fx_vols import load_fx_vols as load_fx_vols
from .published_surfaces import load_surface as load_surface
from .quotes import Quotes as Quotes
from .rates import Rates as Rates
from .rates import flat_rate as flat_rate
from .rates import load_rates as load_rates
from .samples import sample_folder as sample_folder
from .sources import Source as Source
from .sources import open_source as open_source
from .split import Split as Split
from .split import split_seed as split_seed
