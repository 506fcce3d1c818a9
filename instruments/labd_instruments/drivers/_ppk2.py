"""What a PPK2 says of itself: its bytes, its options, its metadata and the calibration in them.

Sources: [A] Nordic's own application, pc-nrfconnect-ppk (src/constants.ts, src/device/serialDevice.ts, src/device/abstractDevice.ts,
src/actions/deviceActions.ts, doc/docs/overview.md); [P] ppk2-api 0.9.2 (IRNAS/ppk2-api-python, issues by number); [R] the Rust crate
ppk2 (types.rs, with the metadata of a real instrument); [S] github.com/cjhdev/ruby-ppk2, README: the mode is read from the metadata.
[-]: by no source. Nordic publishes no protocol document.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from labd_instruments.checks import same
from labd_instruments.contract import SourceLimits
from labd_instruments.errors import ReadBackError, ReplyError, WrongInstrumentError
from labd_instruments.links.serial import SerialLink
from labd_instruments.options import option

START, STOP = b"\x06", b"\x07"  # [A] AverageStart, AverageStop [P]
POWER_ON, POWER_OFF = b"\x0c\x01", b"\x0c\x00"  # [A] DeviceRunningSet [P]
REGULATOR = b"\x0d"  # [A] RegulatorSet: millivolts, most significant byte first [P]
AMPERE, SOURCE = b"\x11\x01", b"\x11\x02"  # [A] SetPowerMode [P]
FILTER_ON, FILTER_OFF = b"\x15", b"\x16"  # [A] SpikeFilteringOn, SpikeFilteringOff [P]: named by both, sent by neither
METADATA = b"\x19"  # [A] GetMetadata [P]
END = b"END"  # [A] [P]

VOLTAGE_V = (0.8, 5.0)  # [A] vddRange [P]
LIMITS = SourceLimits(voltage_v=VOLTAGE_V[1], current_a=1.0)
RANGES_A = (50e-6, 500e-6, 5e-3, 50e-3, 1.0)  # PPK2 user guide, measurement accuracy, as quoted by third parties
RANGES = len(RANGES_A)
MODES = {"ampere": 1, "source": 2}  # [A] metadata.mode [R]
KEYS = ("R", "GS", "GI", "O", "S", "I", "UG")
# What [A] and [P] calculate with as long as the instrument tells nothing else: no instrument has exactly these.
DEFAULTS = {"R": (1031.64, 101.65, 10.15, 0.94, 0.043), "GS": (1.0,) * 5, "GI": (1.0,) * 5, "O": (0.0,) * 5, "S": (0.0,) * 5}


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    mode: str = option("source", "source: feeds the DUT; ampere: measures in another supply's line", choices=("source", "ampere"))
    supply_v: float | None = option(None, "ampere mode: voltage of the supply, which the instrument cannot measure", low=0.8, high=5.0)
    marker_line: int | None = option(None, "logic line D0 to D7 that the DUT's marker is wired to", low=0, high=7)
    logic_v: float = option(3.0, "voltage that stands for a high logic line in the marker's column", low=1.65, high=5.5)
    spike_filter: bool = option(False, "the instrument's smoothing after a change of range; it alters wake-up edges")
    no_current_limit: bool = option(False, "accept that the output is not limited below 1 A: the instrument has no limit to program")
    on_loss: str = option("error", "what a jump of the sample counter does: error, or a gap in the record", choices=("error", "gap"))
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Five of each, by range: R in ohm, O in counts, GS, GI, S in A/V, I in A, UG [A, serialDevice.ts, getAdcResult]."""

    R: tuple[float, ...]
    GS: tuple[float, ...]
    GI: tuple[float, ...]
    O: tuple[float, ...]  # noqa: E741 - as the metadata name it
    S: tuple[float, ...]
    I: tuple[float, ...]  # noqa: E741
    UG: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """vdd_v: what the regulator is set to. calibrated: the flag as text; a real instrument with coefficients of its own says 0 [R]."""

    calibration: Calibration
    vdd_v: float
    mode: int
    hardware: str
    calibrated: str


def metadata(text: str, name: str) -> Metadata:
    """Parse `KEY: value` lines. Raises WrongInstrumentError for another text, ReplyError for a calibration that is not whole.

    Nothing is filled in: [P] keeps its defaults for what is missing, and everything it reads is wrong then (issue 62).
    """
    pairs = dict(_pair(line) for line in text.splitlines() if ":" in line)
    if not {"HW", "VDD", "MODE"} <= pairs.keys():
        raise WrongInstrumentError(f"{name}: asked for its metadata it says {text[:60]!r}, which is not what a PPK2 says")
    rows = {key: tuple(_coefficient(pairs, f"{key}{k}", name) for k in range(RANGES)) for key in KEYS}
    for k, ohm in enumerate(rows["R"]):
        if not ohm > 0 or not rows["UG"][k] > 0:
            raise ReplyError(f"{name}: range {k} has a shunt of {ohm:g} ohm and a user gain of {rows['UG'][k]:g}, neither can be right")
    if all(rows[key] == values for key, values in DEFAULTS.items()):
        raise ReplyError(
            f"{name}: it has no calibration of its own (Calibrated: {pairs.get('CALIBRATED', 'missing')}, all coefficients are defaults)"
        )
    vdd_mv = _coefficient(pairs, "VDD", name)
    return Metadata(Calibration(**rows), vdd_mv * 1e-3, round(_coefficient(pairs, "MODE", name)), pairs["HW"], pairs.get("CALIBRATED", "?"))


def _pair(line: str) -> tuple[str, str]:
    """Upper case, because [A] folds it and specimens differ."""
    key, _, value = line.partition(":")
    return key.strip().upper(), value.strip()


def _coefficient(pairs: dict[str, str], key: str, name: str) -> float:
    try:
        value = float(pairs[key])
    except KeyError:
        raise ReplyError(f"{name}: its metadata have no {key}") from None
    except ValueError:
        raise ReplyError(f"{name}: {key} in its metadata is {pairs[key]!r}, which is no number") from None
    if not math.isfinite(value):  # `-nan` has been seen [A]
        raise ReplyError(f"{name}: {key} in its metadata is {pairs[key]}, it was never calibrated")
    return value


class Kit:
    """The instrument as its parts see it. It answers nothing but a request for metadata, and that only while no samples come."""

    def __init__(self, name: str, link: SerialLink, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options

    def silence(self) -> int:
        """End a stream, whoever began it, and throw away what it left; how many bytes. Raises LinkTimeoutError when it goes on."""
        self.link.send(STOP)
        return self.link.discard()

    def ask(self) -> Metadata:
        """Raises LinkTimeoutError, WrongInstrumentError, ReplyError."""
        self.link.send(METADATA)
        text = self.link.until(END)
        self.link.discard()  # the end of its line
        return metadata(text.decode("latin-1"), self.name)

    def require_mode(self, mode: str) -> Metadata:
        """The metadata. Raises ReadBackError when it is in the other mode."""
        said = self.ask()
        if said.mode != MODES[mode]:
            raise ReadBackError(f"{self.name}: it was set to {mode} mode ({MODES[mode]}) and its metadata say mode {said.mode}")
        return said

    def regulate(self, volt: float) -> Metadata:
        """Set the regulator and read it back; that VDD follows at once is in no source [-]. Raises ReadBackError."""
        millivolts = round(volt * 1e3)
        self.link.send(REGULATOR + millivolts.to_bytes(2, "big"))
        said = self.ask()
        same(f"{self.name}: the regulator", millivolts * 1e-3, said.vdd_v, tolerance=0.5e-3)
        return said
