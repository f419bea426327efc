"""American options: price, Greeks, implied volatility, European equivalent; yields and discrete dividends."""

from .dividends import Dividends as Dividends
from .implied import Equivalent as Equivalent
from .implied import european_equivalent as european_equivalent
from .implied import implied_vol as implied_vol
from .price import AmericanGreeks as AmericanGreeks
from .price import greeks as greeks
from .price import price as price
