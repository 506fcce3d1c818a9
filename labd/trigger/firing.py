"""What is fired, by whom, and what became of it. Frozen data, no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass

LONGEST_PULSE_NS = 10_000_000
LATE_NS = 1_000_000  # later than this is a missed deadline, where nobody says otherwise


@dataclass(frozen=True, slots=True)
class Bytes:
    """Written to a descriptor that does not block: of a serial port, or of a TCP connection (with TCP_NODELAY, else it waits)."""

    descriptor: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ModemPulse:
    """One of a serial port's own outputs, "rts" or "dtr", asserted for pulse_ns. asserted: its state during the pulse."""

    descriptor: int
    line: str
    pulse_ns: int
    asserted: bool = True


@dataclass(frozen=True, slots=True)
class GpioPulse:
    """A GPIO output, active for pulse_ns. descriptor: of the request that holds it; bit: its place among the requested lines."""

    descriptor: int
    bit: int
    pulse_ns: int


Target = Bytes | ModemPulse | GpioPulse


@dataclass(frozen=True, slots=True)
class Footing:
    """What the system let the process have, and why not more, in words. real_time: nothing but other real-time work goes before it."""

    real_time: bool
    scheduler: str
    memory: str
    timer: str

    @property
    def text(self) -> str:
        return f"{self.scheduler}, {self.memory}, {self.timer}"


class Missed(enum.StrEnum):
    """LATE: fired, beyond the limit. SKIPPED: not fired, the next one was due already. NOT_TAKEN: the device took no bytes just then."""

    LATE = "late"
    SKIPPED = "skipped"
    NOT_TAKEN = "not taken"


@dataclass(frozen=True, slots=True)
class Firing:
    """One planned instant, host's monotonic clock. The system's call that fires began at began_ns and had returned at done_ns; both are
    those of the decision where nothing was fired."""

    planned_ns: int
    began_ns: int
    done_ns: int
    missed: Missed | None = None

    @property
    def fired(self) -> bool:
        return self.missed in {None, Missed.LATE}

    @property
    def late_ns(self) -> int:
        return self.began_ns - self.planned_ns
