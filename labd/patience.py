"""How long to wait before the next try."""

from __future__ import annotations

import random

FIRST_S, LONGEST_S = 0.5, 30.0


class Patience:
    """Twice as long each time, until something has gone well."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def spent(self) -> float:
        """Seconds; about so long, for many benches must not come back at once."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_S)
        return wait_s * random.uniform(0.5, 1.5)

    def restored(self) -> None:
        self._next_s = FIRST_S
