"""`python -m slimml` is the command `slimml`."""

from slimml.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
