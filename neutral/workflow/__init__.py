"""From a folder of snapshots to a store of calibrated models, and from the store to reports.

The names load on first use, so that the command line can read the registry of models without pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
