"""What may be asked of a run under way: pause after the present capture, go on, or abort."""

from __future__ import annotations

import asyncio


class RunControl:
    """Shared by whoever commands a run and the run itself; used from the event loop."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reason = ""
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()

    @property
    def paused(self) -> bool:
        """Asked to pause; the run does so before its next capture, with outputs off."""
        return not self._may_go_on.is_set()

    def pause(self) -> None:
        self._may_go_on.clear()

    def go_on(self) -> None:
        self._may_go_on.set()

    def abort(self, reason: str) -> None:
        """End the run now: outputs off, captures so far kept, the run is `interrupted` for this reason."""
        self.reason = self.reason or reason
        self.stop.set()

    async def until_going_on(self) -> None:
        await self._may_go_on.wait()
