"""The data that pass between labd's parts: marks, windows, operating points, captures and KPI records. Frozen, SI units, no I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Mode(enum.StrEnum):
    """How the DUT spends the time between inferences."""

    ALWAYS_ON = "always_on"
    EVENT_SLEEP = "event_sleep"
    EVENT_RELOAD = "event_reload"
    EVENT_GATED = "event_gated"

    @property
    def is_event(self) -> bool:
        return self is not Mode.ALWAYS_ON


class Role(enum.StrEnum):
    """What one capture is for."""

    FLOOR = "floor"
    EVENT = "event"
    MEAN = "mean"
    START = "start"


class Phase(enum.StrEnum):
    """What the DUT does in a window."""

    OFF = "off"
    RAMP = "ramp"
    SLEEP = "sleep"
    WAKE = "wake"
    LOAD = "load"
    INFER = "infer"
    TAIL = "tail"
    IDLE = "idle"


class CaptureState(enum.StrEnum):
    PLANNED = "planned"
    RECORDING = "recording"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Provenance(enum.StrEnum):
    MEASURED = "measured"
    COMPUTED = "computed"
    DECLARED = "declared"
    ESTIMATED = "estimated"


class MarkStyle(enum.StrEnum):
    """How the DUT shows its phases. See docs/reference/dut-marks.md.

    GATE: marker high exactly during each inference. PHASES: four edges an event: rise = code runs, fall = parameters resident
    (ready), rise = inference starts, fall = inference ends. PULSES: MLPerf Tiny falling edges, in pairs. TEXT: `m-lap-us-` lines.
    """

    GATE = "gate"
    PHASES = "phases"
    PULSES = "pulses"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class HostGates:
    """What this host saw of a capture on a line from the board (gate style), seconds of its own monotonic clock from one zero.

    fired_s: of each firing, when the system's call began and when it had returned. gates_s: of each inference, the earliest and latest
    instant of its rise, then of its fall; both are the same where the kernel stamps the edge. lost: why edges may be missing, or empty.
    """

    fired_s: tuple[tuple[float, float], ...]
    gates_s: tuple[tuple[float, float, float, float], ...]
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Bracket:
    """The pattern that a device burns into its current before and after a program: 2^order - 1 chips of chip_us of its counter, which
    begin with the shift register at `seed`. See docs/reference/dut-protocol.md."""

    chip_us: int
    order: int
    seed: int

    @property
    def lasts_s(self) -> float:
        """Of one pattern with the quiet chips around it."""
        return ((1 << self.order) - 1 + 8) * self.chip_us * 1e-6


@dataclass(frozen=True, slots=True)
class InferWindow:
    """One `infer N` of stock firmware. counter_us: how long the inferences took by the board's counter, None in an energy build.

    text_s: at most so long into the window the UART still sent what was printed before. lap_text_s: of counter_us, at most so much is the
    printing of the first lap.
    """

    inferences: int
    counter_us: int | None = None
    text_s: float = 0.0
    lap_text_s: float = 0.0


CLOCK = "clock"  # setting of an operating point: core clock, whole Hz


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One combination of what a plan varies. rate_hz 0 is the floor. settings: what else is set on the DUT."""

    mode: Mode
    rate_hz: float
    supply_v: float
    model: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Stable over runs of the same plan, e.g. `event_sleep/r=5/v=3/dnn`."""
        extra = "".join(f"/{k}={v}" for k, v in sorted(self.settings.items()))
        return f"{self.mode}/r={self.rate_hz:g}/v={self.supply_v:g}/{self.model}{extra}"

    @property
    def clock_hz(self) -> float | None:
        """The core clock it is set to; None: as the board starts."""
        return float(self.settings[CLOCK]) if CLOCK in self.settings else None


@dataclass(frozen=True, slots=True)
class Mark:
    """An instant. t_s and u_s (standard uncertainty) in seconds on the axis named by `axis`."""

    kind: str
    source: str
    t_s: float
    u_s: float
    axis: str


@dataclass(frozen=True, slots=True)
class Window:
    """An interval with a phase, in seconds on the capture's sample axis, and the standard uncertainty of both edges.

    stretch: which contiguous stretch of the capture it lies in. event: number of the inference it belongs to, -1 for none.
    """

    phase: Phase
    start_s: float
    end_s: float
    u_start_s: float
    u_end_s: float
    stretch: int = 0
    event: int = -1

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class SupplyReading:
    """The supply of a capture whose own instrument records no voltage, as the source read it at the end of the capture.

    instrument: that feeds the board. voltage_v: mean. spread_v: half of what its readings differ by. range_v, aperture_s: of the readings,
    None where the source does not tell, and then nothing is known of their error. as_set: the source measures none, and tells what it was
    set to.
    """

    instrument: str
    voltage_v: float
    spread_v: float
    range_v: float | None
    aperture_s: float | None
    as_set: bool = False


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One term of a budget: name shared by every KPI that the same error moves; u in the KPI's unit (signed sensitivity x u)."""

    name: str
    u: float
    kind: str  # "A" or "B"
    distribution: str  # "t", "rectangular", "normal"
    dof: float | None = None


@dataclass(frozen=True, slots=True)
class KpiRecord:
    """One figure with everything a reviewer asks for.

    unit: UCUM code. u: standard uncertainty, None when a term of the budget is unknown (then low and high are None and `flags`
    say which). low, high: 95 % coverage interval. n: inferences or blocks behind it. captures: keys of the captures it came from.
    id: what is measured, e.g. `energy_per_inference.gross`. at: the operating point's key, a mode or a pair of modes.
    """

    id: str
    at: str
    value: float | None
    unit: str
    u: float | None
    low: float | None
    high: float | None
    n: int
    provenance: Provenance
    method: str
    captures: tuple[str, ...] = ()
    budget: tuple[BudgetLine, ...] = ()
    flags: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during a run, for the log and the annotations."""

    t_ns: int
    kind: str
    text: str
    capture: str = ""
