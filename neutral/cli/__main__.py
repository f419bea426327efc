"""`python -m neutral.cli` is the command `neutral`."""

from . import main

if __name__ == "__main__":
    main()
