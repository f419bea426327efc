"""The gallery of docs/gallery: its tasks, and what must be true of each.

`python -m gallery`, with `tests` on the path, writes outputs and pictures into the pages.
"""

from . import fits as fits
from . import many as many
from . import prices as prices
from . import surfaces as surfaces
from .checks import CHECKS as CHECKS
