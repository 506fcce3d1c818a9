"""How long the supply may be on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from labd.bench.interlock import Limits
from labd.deadline import deadline
from labd.errors import SafetyRefusal


class OnTime:
    """Ends what runs when the supply has been on for limits.on_time, by the host's clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._deadline: asyncio.Timeout | None = None

    def powered(self, on: bool) -> None:  # noqa: FBT001 - the interlock's callback
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._limits.on_time_s if on else None)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Raises SafetyRefusal in the place of whatever the body was doing."""
        try:
            async with deadline(None) as limit:
                self._deadline = limit
                try:
                    yield
                finally:
                    self._deadline = None  # the way out has its own time
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise SafetyRefusal(f"the supply was on for {self._limits.on_time_s:g} s ({self._limits.where}: limits.on_time)") from error
