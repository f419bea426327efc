"""`python -m neutral.cli` is the command `neutral`."""

from . import main

main()
