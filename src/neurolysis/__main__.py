"""``python -m neurolysis``: the same as the command ``neurolysis``."""

from __future__ import annotations

from neurolysis.cli import main

if __name__ == "__main__":
    main()
