"""What a run tells whoever watches it."""

from __future__ import annotations

import time
from typing import Protocol

from labd.bench.expand import CapturePlan


class Progress(Protocol):
    """Called from the event loop; must not block."""

    def run_started(self, run_id: str, plans: list[CapturePlan]) -> None: ...

    def capture_started(self, plan: CapturePlan) -> None: ...

    def capture_ended(self, plan: CapturePlan, error: str) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """Nobody watches."""

    def run_started(self, run_id: str, plans: list[CapturePlan]) -> None: ...

    def capture_started(self, plan: CapturePlan) -> None: ...

    def capture_ended(self, plan: CapturePlan, error: str) -> None: ...

    def note(self, text: str) -> None: ...


class TimeLeft:
    """Estimates the time a run still takes: what captures have cost so far, by their planned length and a fixed share each."""

    def __init__(self, plans: list[CapturePlan]) -> None:
        self._left = {plan.key: plan.duration_s for plan in plans}
        self._done_s = 0.0
        self._done = 0
        self._began_s = time.monotonic()

    def ended(self, plan: CapturePlan) -> None:
        self._done_s += self._left.pop(plan.key, 0.0)
        self._done += 1

    def seconds(self) -> float | None:
        """None before the first capture has ended."""
        if not self._done:
            return None
        spent = time.monotonic() - self._began_s
        by_time = spent / self._done_s * sum(self._left.values()) if self._done_s else 0.0
        by_count = spent / self._done * len(self._left)
        return (by_time + by_count) / 2
