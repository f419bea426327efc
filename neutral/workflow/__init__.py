"""Calibrates models to folders of snapshots, stores the results, and writes reports about them.

`__init__.pyi` lists the public names and the modules that define them. Each name is imported on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
