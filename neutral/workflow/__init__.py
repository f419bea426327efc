"""From a folder of snapshots to a store of calibrated models, and from the store to reports.

The public names stand in `__init__.pyi`, each with its home; they load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
