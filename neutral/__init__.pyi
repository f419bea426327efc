from . import plot as plot
from .errors import ArgumentError as ArgumentError
from .errors import DataError as DataError
from .errors import NeutralError as NeutralError
from .errors import PrecisionError as PrecisionError
from .inversion import ImpliedVolStatus as ImpliedVolStatus
from .models import SVCJ as SVCJ
from .models import AbstractFourierModel as AbstractFourierModel
from .models import Bates as Bates
from .models import Black as Black
from .models import Heston as Heston
from .models import Merton as Merton
from .models import Shifted as Shifted
from .precision import enable_x64 as enable_x64
from .pricing import Certify as Certify
from .pricing import Contour as Contour
from .pricing import Greeks as Greeks
from .pricing import Lewis as Lewis
from .pricing import PriceStatus as PriceStatus
from .pricing import certify as certify
from .pricing import density as density
from .pricing import digital as digital
from .pricing import distribution as distribution
from .pricing import greeks as greeks
from .pricing import implied_normal_vol as implied_normal_vol
from .pricing import implied_vol as implied_vol
from .pricing import implied_vol_info as implied_vol_info
from .pricing import price as price
from .pricing import price_info as price_info
from .storage import load as load
from .storage import save as save

__all__: list[str]
__version__: str
