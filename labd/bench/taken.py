"""What one capture came to besides its samples."""

from __future__ import annotations

from dataclasses import dataclass, field

from labd.records import Bracket, HostGates, InferWindow, SupplyReading
from labd.trigger.jitter import Jitter
from labd_instruments.contract import Acquisition, Reading, StreamEnd


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one capture besides its samples. supply: where the meter records no voltage, None where the source cannot read it.
    steady: its records are steady readings; readings: they themselves, where the instrument reads power.

    bracket: the pattern that the DUT burnt into its current before and after its program, None where it burnt none; signatures: where the
    two lay on its counter, us.

    laps: per event (event, awake, ready, start, end) in us of the DUT's counter.
    served: inferences that the DUT says it made; missed: deadlines it missed, or this host where it fires. records: samples written.
    jitter: how well this host met its instants, None where it does not fire. windows: of stock firmware, in order.
    host_starts_s: further starts, from before the supply rises until the board had answered, by this host's clock.
    host_gates: what this host saw of the inferences that it fired, None where it saw nothing.
    """

    acquisition: Acquisition
    records: int
    served: int
    missed: int = 0
    laps: tuple[tuple[float, ...], ...] = ()
    readings: tuple[Reading, ...] = ()
    end: StreamEnd | None = None
    supply: SupplyReading | None = None
    steady: bool = False
    bracket: Bracket | None = None
    signatures: tuple[tuple[int, int], ...] = ()
    flags: tuple[str, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)
    jitter: Jitter | None = None
    windows: tuple[InferWindow, ...] = ()
    host_starts_s: tuple[float, ...] = ()
    host_gates: HostGates | None = None
