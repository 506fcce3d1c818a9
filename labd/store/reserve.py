"""A few megabytes kept aside on the store's disk: when it is full, the catalogue can still say so."""

from __future__ import annotations

import contextlib
from pathlib import Path

from labd.host import set_aside

RESERVE = "reserve"
SIZE = 8 << 20


class Reserve:
    """The file `reserve` beside the catalogue; its content means nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RESERVE

    @property
    def held(self) -> bool:
        return self._path.exists()

    def hold(self) -> bool:
        """Take the space (again); False where the disk has none to spare, or cannot set any aside."""
        if self.held:
            return True
        part = self._path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                set_aside(file, SIZE)
            part.rename(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return False
        return True

    def spend(self) -> bool:
        """Give the space back to the disk; False where it was spent already."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
