"""FastLog of one NGU or NGM channel: chunks every 250 ms that are overwritten when nobody fetches them within 20 ms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.contract import Clock
from labd_virtual.front_end import Floats, Instants, instants
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_status import RegisterGroup

# Chunk length and how long a chunk waits: R&S' example "RSInstrument_NGM200_FastLog.py" of 2025-11-17, its opening comment.
CHUNK_S, KEPT_S = 0.25, 0.02
RATES = {"S100": 100, "S001k": 1_000, "S010k": 10_000, "S050k": 50_000, "S250k": 250_000, "S500k": 500_000}  # RsNgx 3.1.0.49
# Firmware before that: names of a 500 kS/s clock divided by powers of two (the help text of RsNgx still lists them)
OLD_RATES = {f"S{name}": round(500_000 / 2**k) for k, name in enumerate(("500K", "250K", "125K", "62K5", "31K25", "15K625", "7K812"))}
MOST_IN_ALL = 500_000  # to a SCPI client, over all channels (RsNgx, FLOG:TARGet)
DATA_READY, DATA_SKIPPED = 4096, 2048  # operation bit 12: NGM200 manual p. 166; questionable bit 11: a user's script for the NGU401
TRUE_OF_NAMED = 1.048576  # what a user counted of S500K on an NGM202: 524 160 records a second


@dataclass(slots=True)
class Settings:
    """What *RST puts back (which rate and target, no page says)."""

    rate: str = "S500k"
    target: str = "USB"
    triggered: bool = False


class Log:
    """The log. readings: V and I, float64 [n, 2], over stretches of board time. trap: see the persona's TRAPS.

    skip, overrun: the third chunk is overwritten, with and without a word.
    """

    def __init__(self, clock: Clock, owner: str, readings: Callable[[Instants, Instants], Floats], trap: str) -> None:
        self._clock, self._owner, self._readings, self._trap = clock, owner, readings, trap
        self.timebase = 0.0
        self.settings = Settings(triggered=trap == "trigger_gated")
        self.on = self.armed = False
        self.armed_ns = self._t0_ns = 0
        self._chunk = 0  # the next one to become available
        self._ready: int | None = None
        self._paced = True
        self.ready_bit = self.skipped_bit = 0
        self.operation = RegisterGroup(lambda: self.ready_bit)
        self.latch: Callable[[], object] = lambda: None  # of the register that shows skipped_bit, which is up for an instant only

    @property
    def rates(self) -> dict[str, int]:
        return OLD_RATES if self._trap == "old_rates" else RATES

    def reset(self) -> None:
        self.end()
        triggered = self.settings.triggered  # left as it is (assumed), which is what makes it a trap
        self.settings = Settings(rate=next(iter(OLD_RATES)) if self._trap == "old_rates" else "S500k", triggered=triggered)

    def set_rate(self, word: str) -> None:
        """Raises ScpiError(-224) for a rate that this firmware has not got, -221 while it logs."""
        found = next((name for name in self.rates if name.upper() == word), None)
        if found is None:
            raise ScpiError(-224)
        self._must_be_off()
        if self._trap != "rate_kept":
            self.settings.rate = found

    def set_target(self, word: str) -> None:
        """Raises ScpiError(-221) while it logs."""
        self._must_be_off()
        if self._trap != "usb_target":
            self.settings.target = word

    def set_triggered(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        self._must_be_off()
        if self._trap != "trigger_gated":
            self.settings.triggered = on

    def _must_be_off(self) -> None:
        if self.on or self.armed:
            raise ScpiError(-221)

    def begin(self, t_ns: int) -> None:
        """The first sample begins now, or at the edge of the pin that it waited for."""
        self.on, self.armed = True, False
        self._t0_ns, self._chunk, self._ready, self._paced = t_ns, 0, None, True
        self._pace()

    def arm(self, now_ns: int) -> None:
        self.armed, self.armed_ns = True, now_ns

    def end(self) -> None:
        self.on = self.armed = False
        self._ready = None
        self._show(ready=False)
        self._clock.set_limit(self._owner, None)

    def host_gone(self) -> None:
        self._paced = False
        self._clock.set_limit(self._owner, None)

    def catch_up(self) -> None:
        """What has happened to chunks since the last command."""
        if not self.on:
            return
        now = self._clock.now_ns()
        first = max(self._chunk, int((now - self._t0_ns) / (CHUNK_S * 1e9)) - 2)  # those before came and went
        if first > self._chunk:
            self._skip()
        self._chunk = first
        while self._edge_ns(self._chunk + 1) <= now:
            self._expire(self._edge_ns(self._chunk + 1))
            self._arrive(self._chunk)
            self._chunk += 1
        self._expire(now)
        if self._ready is None:
            self._pace()

    def _arrive(self, chunk: int) -> None:
        if self._to_client() and not (chunk == 2 and self._trap in ("overrun", "skipped")):
            self._ready = chunk
            self._show(ready=True)
        elif self._trap == "skipped":
            self._skip()

    def _expire(self, now_ns: int) -> None:
        if self._ready is not None and now_ns > self._edge_ns(self._ready + 1) + round(KEPT_S * 1e9):
            self._ready = None
            self._show(ready=False)
            self._skip()

    def _skip(self) -> None:
        if self._to_client():
            for self.skipped_bit in (DATA_SKIPPED, 0):
                self.latch()

    def _show(self, *, ready: bool) -> None:
        self.ready_bit = DATA_READY if ready else 0
        self.operation.condition()

    def _to_client(self) -> bool:
        return self.settings.target == "SCPI"

    def _edge_ns(self, chunk: int) -> int:
        """When a chunk's first sample begins, which is when the one before becomes available."""
        return self._t0_ns + round(chunk * CHUNK_S * 1e9 * (1 + self.timebase))

    def data(self) -> bytes:
        """The chunk that is there, or nothing (assumed). Raises ScpiError(-221) unless it logs to a SCPI client."""
        if not self.on or not self._to_client():
            raise ScpiError(-221)
        chunk, self._ready = self._ready, None
        self._show(ready=False)
        self._paced = True
        self._pace()
        if chunk is None:
            return b""
        rate = self.rates[self.settings.rate] * (TRUE_OF_NAMED if self._trap == "fast_clock" else 1.0)
        count = int(rate * CHUNK_S)
        edges = instants(self._edge_ns(chunk), 0, count, dt_ns=1e9 / rate, timebase=self.timebase)
        pairs = self._readings(edges[:-1], np.minimum(edges[1:], self._clock.now_ns()))
        raw = pairs.astype(">f4" if self._trap == "byte_order" else "<f4").tobytes()
        return raw[:-4] if self._trap == "odd_block" else raw

    def _pace(self) -> None:
        """Stepped time waits for the host while a chunk waits for it."""
        if self._paced and self._to_client():
            self._clock.set_limit(self._owner, self._edge_ns(self._chunk + 1) + round(KEPT_S / 2 * 1e9))
