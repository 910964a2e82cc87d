"""`python -m acdref`: the command line."""

from acdref.cli import main

if __name__ == "__main__":
    main()
