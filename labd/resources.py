"""Where the folders that live outside the packages (firmware, fixtures) are: in the wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path

from labd.errors import NotFound

_PACKAGE = Path(__file__).parent


def path(name: str) -> Path:
    """The folder `name` as shipped: `labd/_data/<name>` in a wheel, the top-level one in a checkout.

    Raises NotFound where neither is there (a broken installation).
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise NotFound(f"this installation of labd lacks its folder {name!r}: install it again")
