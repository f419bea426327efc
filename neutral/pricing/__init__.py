"""Engines, and the functions people call: prices, Greeks, implied volatilities, distributions."""

from .base import AbstractEngine as AbstractEngine
from .base import PriceInfo as PriceInfo
from .base import PriceStatus as PriceStatus
from .base import Quadrature as Quadrature
from .carr_madan import CarrMadan as CarrMadan
from .certify import Certify as Certify
from .contour import Contour as Contour
from .cos import COS as COS
from .distribution import density as density
from .distribution import digital as digital
from .distribution import distribution as distribution
from .greeks import Greeks as Greeks
from .greeks import greeks as greeks
from .lewis import Lewis as Lewis
from .lewis import LewisGrid as LewisGrid
from .price import Certified as Certified
from .price import certify as certify
from .price import price as price
from .price import price_info as price_info
from .volatility import ImpliedVolInfo as ImpliedVolInfo
from .volatility import implied_normal_vol as implied_normal_vol
from .volatility import implied_vol as implied_vol
from .volatility import implied_vol_info as implied_vol_info
