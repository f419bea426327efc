"""Foreign-exchange options: names and conventions of pairs, strikes of deltas, smiles of strangles."""

from .conventions import FxConventions as FxConventions
from .deltas import at_the_money as at_the_money
from .deltas import delta_of_strike as delta_of_strike
from .deltas import strike_from_delta as strike_from_delta
from .pairs import pair_name as pair_name
from .pairs import usual_conventions as usual_conventions
from .points import FxSmile as FxSmile
from .points import smile_vol as smile_vol
from .smile import fx_smile as fx_smile
