"""Runs the command `neutral` as `python -m neutral.cli`."""

from . import main

if __name__ == "__main__":
    main()
