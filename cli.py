"""`python cli.py ...` from a checkout, without installing."""

from acdref.cli import main

if __name__ == "__main__":
    main()
