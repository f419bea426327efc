"""Reads files of market data into tables of quotes, filters them, and builds surfaces of quotes."""

from ..shipped import sample_folder as sample_folder
from .american_quotes import european_quotes as european_quotes
from .build import build_surface as build_surface
from .build import prepare as prepare
from .cash_parity import ImpliedForwards as ImpliedForwards
from .cash_parity import implied_forwards as implied_forwards
from .cleaning import arbitrage_reasons as arbitrage_reasons
from .filters import Filters as Filters
from .fx import FxConventions as FxConventions
from .fx import delta_of_strike as delta_of_strike
from .fx import strike_from_delta as strike_from_delta
from .loaders.deribit import list_snapshots as list_snapshots
from .loaders.deribit import load_deribit as load_deribit
from .loaders.equity_chains import load_equity_chain as load_equity_chain
from .loaders.fx_vols import load_fx_vols as load_fx_vols
from .loaders.published_surfaces import load_surface as load_surface
from .loaders.rates import Rates as Rates
from .loaders.rates import flat_rate as flat_rate
from .loaders.rates import load_rates as load_rates
from .loaders.sources import Source as Source
from .loaders.sources import open_source as open_source
from .quotes import Quotes as Quotes
from .reading import ReadingCheck as ReadingCheck
from .reading import check_reading as check_reading
from .split import Split as Split
from .split import split_seed as split_seed
