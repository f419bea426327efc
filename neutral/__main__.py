"""Runs the command `neutral` as `python -m neutral`."""

from .cli import main

if __name__ == "__main__":
    main()
