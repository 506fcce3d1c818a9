"""The time a run still takes."""

from __future__ import annotations

import time
from collections.abc import Mapping


class TimeLeft:
    """Estimates from what captures have cost so far, by their planned length and a fixed share each. lengths_s: by capture, those to do."""

    def __init__(self, lengths_s: Mapping[str, float]) -> None:
        self._left = dict(lengths_s)
        self._done_s = 0.0
        self._done = 0
        self._began_s = time.monotonic()

    def ended(self, key: str) -> None:
        self._done_s += self._left.pop(key, 0.0)
        self._done += 1

    def seconds(self) -> float | None:
        """None before the first capture has ended."""
        if not self._done:
            return None
        spent = time.monotonic() - self._began_s
        by_time = spent / self._done_s * sum(self._left.values()) if self._done_s else 0.0
        by_count = spent / self._done * len(self._left)
        return (by_time + by_count) / 2
