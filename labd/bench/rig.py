"""What one capture works with: an opened station, the board, and what its file says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from labd.bench.host_trigger import HostTrigger
from labd.bench.interlock import IoLine
from labd.bench.station import Station
from labd.dut.device import Device


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """What of the board file the acquisition needs, SI units."""

    longest_event_s: float
    peak_a: float
    sleep_a: float
    time_constant_s: float


class DeviceHolder(Protocol):
    """Who opens and closes the link to the board."""

    @property
    def device(self) -> Device: ...


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything one capture works with. lines: into the board, which a start lets go of and connects again."""

    station: Station
    link: DeviceHolder
    board: BoardFacts
    mains_hz: float
    settle_s: float
    floor_range_a: float | None = None
    largest_u95: float = 0.2
    host_trigger: HostTrigger | None = None
    lines: tuple[IoLine, ...] = ()

    @property
    def device(self) -> Device:
        """The board as it is connected now; another one after a restart. Raises DutFailure while it is not."""
        return self.link.device
