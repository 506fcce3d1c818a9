"""The mainframe's I/O watchdog: no SCPI traffic for a while puts every output into protection.

"N6700C Operating and Service Guide", p. 158: any SCPI I/O on any remote interface resets it, the front panel does not; 1 to 3600 s in
steps of 1 s, 60 s as shipped; volatile; outputs are disabled, the programmed output state stays, the PROT bit is set. What counts as
I/O while a command is being worked on is in no page: here the arrival of a command does, not its reply.
"""

from __future__ import annotations

from collections.abc import Callable

from labd_virtual.contract import Clock

SHORTEST_S, LONGEST_S, SHIPPED_S = 1, 3600, 60


class Watchdog:
    """expired: called once when it runs out; `heard` on every command."""

    def __init__(self, clock: Clock, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._heard_ns = 0
        self._round = 0
        self.reset()

    def reset(self) -> None:
        self.on, self.delay_s = False, SHIPPED_S
        self._round += 1

    def heard(self) -> None:
        self._heard_ns = self._clock.now_ns()

    def switch(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self.on = on
        self._watch()

    def set_delay(self, seconds: int) -> None:
        self.delay_s = seconds
        self._watch()

    def _watch(self) -> None:
        self._round += 1
        if self.on:
            this = self._round
            self._clock.call_at(self._heard_ns + self.delay_s * 10**9, lambda: self._look(this))

    def _look(self, this: int) -> None:
        """Timers of an earlier setting are passed over; one that was fed meanwhile looks again later."""
        if this != self._round:
            return
        if self._clock.now_ns() < self._heard_ns + self.delay_s * 10**9:
            self._watch()
        else:
            self._expired()
