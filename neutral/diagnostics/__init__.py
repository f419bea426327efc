"""What a calibration's parameters are worth: identifiability, uncertainty, residuals, sensitivities."""

from .bootstrap import Bootstrap as Bootstrap
from .bootstrap import bootstrap as bootstrap
from .bootstrap import bootstrap_mean as bootstrap_mean
from .comparison import Comparison as Comparison
from .comparison import diebold_mariano as diebold_mariano
from .diagnose import Diagnosis as Diagnosis
from .diagnose import diagnose as diagnose
from .identifiability import Finding as Finding
from .identifiability import Identifiability as Identifiability
from .influence import Influence as Influence
from .profile import Profile as Profile
from .profile import profile as profile
from .residuals import Residuals as Residuals
from .sensitivities import Sensitivities as Sensitivities
from .sensitivities import sensitivities as sensitivities
from .uncertainty import Uncertainty as Uncertainty
