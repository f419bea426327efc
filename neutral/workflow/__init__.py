"""From a folder of snapshots to a store of calibrated models, and from the store to reports."""

from .calibrate.run import Progress as Progress
from .calibrate.run import config_for as config_for
from .calibrate.run import run as run
from .calibrate.store import Store as Store
from .calibrate.summary import Summary as Summary
from .calibrate.summary import summarise as summarise
from .config import Config as Config
from .config import load_config as load_config

open_store = Store.open
