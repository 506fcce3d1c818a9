"""What an instrument may be asked to do: capabilities as Protocols, and the data they exchange. Synchronous, SI units throughout."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from labd_instruments.accuracy import AccuracyTable
from labd_instruments.block import Block


class OffAssurance(enum.StrEnum):
    """How an output is switched off although the measuring session may be stuck in a read."""

    SECOND_SESSION = "second_session"
    GUARD_OWNS_LINK = "guard_owns_link"
    INSTRUMENT_WATCHDOG = "instrument_watchdog"
    EXTERNAL_CUT = "external_cut"
    NONE = "none"


class Evidence(enum.StrEnum):
    """What a driver's command strings rest on."""

    BY_MANUAL = "verified-by-manual"
    BY_INDEPENDENT_DRIVER = "by-independent-driver"
    EXPERIMENTAL = "experimental"


@dataclass(frozen=True, slots=True)
class Identity:
    """The parsed `*IDN?` reply and installed options."""

    maker: str
    model: str
    serial: str
    firmware: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProtectionLevels:
    """Limits programmed into the instrument itself; `None` where it has no such level.

    voltage_v: over-voltage protection. current_a: current limit (compliance). current_trip: the output switches off (instead of
    limiting) when the limit holds for `current_delay_s`.

    Of what was programmed, and only where a document says so: open_lead_v: the most that the output reaches when a sense lead opens;
    None where nothing is known to hold it, which is taken for the largest voltage of the source. swapped_leads_v: when the sense leads
    are wired wrongly, where that is another voltage.
    """

    voltage_v: float | None
    current_a: float
    current_trip: bool = False
    current_delay_s: float = 0.0
    open_lead_v: float | None = None
    swapped_leads_v: float | None = None


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """The largest voltage and current this source can be set to."""

    voltage_v: float
    current_a: float


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What a configured acquisition will really deliver (read back, not what was asked for); it goes into the record.

    current_range_a: the fixed range, or None when `seamless`. ranges_a: ranges a seamless acquisition moves between, ascending.
    aperture_s: time each sample averages over (equal to dt where the instrument integrates without a break).
    settings: every further setting that a reader of the record may ask for (filter, NPLC, sense mode, auto-zero), as text.
    """

    dt_ns: int
    columns: tuple[str, ...]
    aperture_s: float
    current_range_a: float | None
    voltage_range_v: float | None
    seamless: bool = False
    ranges_a: tuple[float, ...] = ()
    remote_sense: bool = True
    points: int | None = None
    pretrigger_points: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamSetup:
    """A gap-free log. current_range_a None asks for seamless ranging (refused where the instrument has none)."""

    dt_s: float
    current_range_a: float | None
    voltage_range_v: float
    with_marker: bool = False


@dataclass(frozen=True, slots=True)
class CaptureSetup:
    """A triggered, buffered acquisition of `points` samples, `pretrigger_points` of them before the trigger.

    fire_dut: the instrument's trigger also leaves it on the line wired to the DUT (the instrument fires the DUT).
    count: how many triggers one arming serves (1 where each event is armed by itself).
    """

    dt_s: float
    points: int
    pretrigger_points: int
    current_range_a: float | None
    voltage_range_v: float
    fire_dut: bool
    with_marker: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class MeanSetup:
    """Steady readings, each averaged over `aperture_s`; ranges fixed (None = seamless where available)."""

    aperture_s: float
    current_range_a: float | None
    voltage_range_v: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One steady reading; power_w only where the instrument measures it itself."""

    current_a: float
    voltage_v: float
    power_w: float | None = None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Books of a finished stream. elapsed_s: by the instrument where it can say, else by the host's monotonic clock."""

    records: int
    elapsed_s: float
    elapsed_by: str
    missing: int


@runtime_checkable
class Instrument(Protocol):
    """Every driver. Opened by its factory `open(name, resource, options)`; used from one thread."""

    name: str
    off_assurance: OffAssurance
    evidence: Evidence

    def identify(self) -> Identity:
        """Ask who is there. Raises WrongInstrumentError when it is not what the driver drives."""

    def reset(self) -> None:
        """Known state: output off, error queue empty, formats set. Raises RefusedError."""

    def check_errors(self, doing: str) -> None:
        """Read the error queue to its end; raises RefusedError naming `doing` when it was not empty."""

    def make_safe(self) -> None:
        """Abort acquisitions, output off, read the state back. Raises OutputNotOffError. Called on every exit path."""

    def accuracy(self) -> AccuracyTable:
        """The rows that documents give, plus those the bench file declares."""

    def line_frequency_hz(self) -> float | None:
        """Mains frequency as the instrument sees it, None where it cannot say."""

    def close(self) -> None:
        """Close the link; does not touch the output."""


@runtime_checkable
class Sources(Protocol):
    """Feeds the DUT.

    sees_output_when_off: `measure_output` still shows the DUT's voltage while the output is off (False where a relay disconnects it).
    """

    source_limits: SourceLimits
    sees_output_when_off: bool

    def halt(self) -> None:
        """End whatever acquisition runs, so that `measure_output` works on a range that holds any current; the output stays as it is."""

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        """Program the protection levels and return what reads back. Raises ReadBackError when they differ."""

    def set_remote_sense(self, on: bool) -> None: ...

    def set_off_mode(self, sinking: bool) -> None:
        """What the output does when off: sink the DUT's charge, or float. Raises OutOfRangeError where not offered."""

    def set_voltage(self, volt: float) -> None: ...

    def set_output(self, on: bool) -> None: ...

    def output_is_on(self) -> bool: ...

    def disconnected(self) -> bool:
        """A protection has disconnected the output, whatever state it was switched to."""

    def measure_output(self) -> Reading:
        """One quick reading of voltage (sense terminals) and current; what it shows with the output off tells `sees_output_when_off`."""

    def tripped(self) -> str | None:
        """Which protection or limit is active now, in words, or None."""


@runtime_checkable
class BeginsAbove(Protocol):
    """Feeds the DUT, but with nothing below `lowest_v`: on is at least that, and only off is less."""

    lowest_v: float


@runtime_checkable
class GuardsItself(Protocol):
    """Switches its outputs off by itself when nobody has talked to it for a while.

    watchdog_range_s: shortest and longest delay. The charge of the DUT may stay: whether the output sinks when it trips differs.
    """

    watchdog_range_s: tuple[float, float]

    def set_watchdog(self, delay_s: float | None) -> None:
        """Program the delay, or None for off, and read it back. Raises OutOfRangeError, ReadBackError."""

    def feed_watchdog(self) -> None:
        """The smallest exchange that counts as traffic; changes nothing else."""


@runtime_checkable
class LimitsByRange(Protocol):
    """Feeds the DUT through its own meter: a fixed current range limits the output to `range_clamp` times its full scale."""

    range_clamp: float


@dataclass(frozen=True, slots=True)
class Setups:
    """What the set-ups of an open driver may ask for.

    seamless: `current_range_a` may be None. fixed_ranges: it may be a range. marker_wired: `with_marker` may be asked for, because it has
    an input for the DUT's marker that the options name. fires: `fire_dut` may be asked for, because it has an output that they name.
    measures_voltage: what it gives as voltage is measured; where it is not, that is what it was set to.
    late_s: how long after its sample a record of a log may come; what has not come when the log is stopped is dropped.
    reads_when_off: of a source: steady readings may be taken while its output is off.
    """

    seamless: bool = False
    fixed_ranges: bool = True
    marker_wired: bool = False
    fires: bool = False
    late_s: float = 0.0
    reads_when_off: bool = True
    measures_voltage: bool = True


@runtime_checkable
class TellsSetups(Protocol):
    """What its set-ups may ask for, told by an open driver without a word to the instrument."""

    @property
    def setups(self) -> Setups: ...

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        """The interval (of a mean: the aperture) nearest to the one asked for that can be configured with the rest of `setup`: the shortest
        at or above it, the longest where none is."""


@runtime_checkable
class Streams(Protocol):
    """Logs without gaps while the host drains it."""

    def configure_stream(self, setup: StreamSetup) -> Acquisition: ...

    def start_stream(self) -> None: ...

    def read_block(self) -> Block | None:
        """The records that have come since, or None. Never waits longer than one link time-out. Raises LostSamplesError."""

    def stop_stream(self) -> StreamEnd: ...


@runtime_checkable
class Captures(Protocol):
    """Buffers a stretch around a trigger."""

    def configure_capture(self, setup: CaptureSetup) -> Acquisition: ...

    def arm(self) -> None:
        """Ready to trigger when it returns (pre-trigger samples are already in the buffer)."""

    def fire(self) -> None:
        """Trigger by bus; with `fire_dut` the DUT's line moves at the same instant."""

    def captured(self) -> bool: ...

    def fetch(self) -> tuple[Block, ...]:
        """One block a trigger, t0_ns relative to its trigger. Raises LostSamplesError when points are missing."""


@runtime_checkable
class ListsCurrentRanges(Protocol):
    """Fixed current ranges, ascending: those that a set-up may ask for."""

    @property
    def current_ranges_a(self) -> tuple[float, ...]: ...


@runtime_checkable
class ListsRanges(Protocol):
    """Fixed ranges, ascending; a range holds peaks up to `crest_factor` times itself."""

    voltage_ranges_v: tuple[float, ...]
    current_ranges_a: tuple[float, ...]
    crest_factor: float


@runtime_checkable
class Measures(Protocol):
    """Steady means."""

    def configure_mean(self, setup: MeanSetup) -> Acquisition: ...

    def read_mean(self) -> Reading | None:
        """The next new reading, or None when the instrument has not updated since the last call."""

    def zero(self) -> None:
        """Internal zero (auto-zero once, zero calibration) of the configured range."""
