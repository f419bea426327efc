"""From a folder of snapshots to a store of calibrated models, and from the store to reports."""

from .config import Config as Config
from .config import load_config as load_config
from .runner import Progress as Progress
from .runner import config_for as config_for
from .runner import run as run
from .store import Store as Store
from .summary import Summary as Summary
from .summary import summarise as summarise

open_store = Store.open
