"""`python -m labd`: the labd command by its interpreter, where no script is on the path."""

from __future__ import annotations

from labd.cli.main import main

if __name__ == "__main__":
    main()
