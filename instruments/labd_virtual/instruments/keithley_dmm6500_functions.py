"""The DMM6500's measure functions: what each is called, its ranges, its settings, and the SENSe and DISPlay commands for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_params import Boolean, Choice, Integer, Limit, Number, keyword_matches, short_form
from labd_virtual.scpi_tree import CommandTree, pattern_keywords

# p. 13-115: 10 uA to 3 A, and 10 A at the rear terminals only
CURRENT_RANGES = (10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 3.0, 10.0)
VOLTAGE_RANGES = (0.1, 1.0, 10.0, 100.0, 1000.0)
FRONT_MOST_A = 3.0
NPLC_LEAST = 0.0005  # p. 13-108
_OHMS = (10.0, 100.0, 1e3, 10e3, 100e3, 1e6, 10e6, 100e6)


@dataclass(frozen=True, slots=True)
class Function:
    """header: as in commands. integrates: has NPLC, aperture and auto-zero. gate_s: shortest, longest and usual aperture of counters."""

    header: str
    unit: str = ""
    suffix: str = ""
    ranges: tuple[float, ...] = ()
    integrates: bool = False
    bandwidth: bool = False
    gate_s: tuple[float, float, float] | None = None

    @property
    def name(self) -> str:
        """As a query answers it: `CURR:DC`."""
        return ":".join(short_form(keyword) for keyword in pattern_keywords(self.header)[0])

    def is_called(self, text: str) -> bool:
        words = text.upper().split(":")
        for keyword, optional in zip(*pattern_keywords(self.header), strict=True):
            if words and keyword_matches(keyword, words[0]):
                words.pop(0)
            elif not optional:
                return False
        return not words


FUNCTIONS = (
    Function("VOLTage[:DC]", "Volt DC", "V", VOLTAGE_RANGES, integrates=True),
    Function("VOLTage:AC", "Volt AC", "V", (*VOLTAGE_RANGES[:-1], 750.0), bandwidth=True),
    Function("CURRent[:DC]", "Amp DC", "A", CURRENT_RANGES, integrates=True),
    Function("CURRent:AC", "Amp AC", "A", CURRENT_RANGES[2:], bandwidth=True),
    Function("RESistance", "Ohm", "OHM", _OHMS, integrates=True),
    Function("FRESistance", "Ohm", "OHM", (1.0, *_OHMS), integrates=True),
    Function("DIODe", "Volt DC", "V", integrates=True),
    Function("CAPacitance", "Farad", "F", (1e-9, 10e-9, 100e-9, 1e-6, 10e-6, 100e-6, 1e-3)),
    Function("TEMPerature", "Celsius", integrates=True),
    Function("CONTinuity", "Ohm", "OHM", integrates=False),
    Function("FREQuency[:VOLTage]", "Hertz", "HZ", gate_s=(2e-3, 0.273, 0.2)),
    Function("PERiod[:VOLTage]", "Second", "S", gate_s=(2e-3, 0.273, 0.2)),
    Function("VOLTage[:DC]:RATio", "Ratio", "", VOLTAGE_RANGES, integrates=True),
)


def called(text: str) -> Function:
    """The function of that name. Raises ScpiError(-224)."""
    found = next((function for function in FUNCTIONS if function.is_called(text)), None)
    if found is None:
        raise ScpiError(-224)
    return found


@dataclass(slots=True)
class Settings:
    """What a measure function is set to."""

    range: float = 0.0
    auto_range: bool = True
    nplc: float = 1.0
    gate_s: float = 0.2
    auto_zero: bool = True
    average: bool = False
    average_count: int = 10
    average_kind: str = "REP"
    relative: float = 0.0
    relative_on: bool = False
    bandwidth: float = 30.0
    digits: int = 6
    delay_auto: bool = True
    delays_s: dict[int, float] = field(default_factory=dict)
    line_sync: bool = False
    impedance: str = "MOHM10"


@dataclass(slots=True)
class Sense:
    """All functions' settings. mains_hz; top_a: the largest current range that the terminals allow."""

    mains_hz: float
    top_a: float
    most_digits: int = 6
    by_name: dict[str, Settings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.by_name = {f.name: Settings(range=f.ranges[-1] if f.ranges else 0.0) for f in FUNCTIONS}
        self.by_name["VOLT:DC"].range = 1000.0
        self.by_name["CURR:DC"].range = self.by_name["CURR:AC"].range = 1e-3

    @property
    def nplc_most(self) -> float:
        return 15.0 if self.mains_hz > 55 else 12.0  # p. 13-108

    def ranges(self, function: Function) -> tuple[float, ...]:
        return tuple(r for r in function.ranges if function.suffix != "A" or r <= self.top_a)


def reaching(ranges: tuple[float, ...], value: float) -> float:
    """The lowest range that holds it."""
    return next((r for r in ranges if abs(value) <= r * (1 + 1e-9)), ranges[-1])


def shown(value: float) -> str:
    return f"{value:.7G}"


class SenseCommands:
    """Declares what every function has. changed: called with a function's name when a setting of it has changed."""

    def __init__(self, tree: CommandTree, sense: Sense, changed: Callable[[str], None]) -> None:
        self._tree, self._sense, self._changed = tree, sense, changed
        for function in FUNCTIONS:
            self._declare(function)

    def _of(self, function: Function) -> Settings:
        return self._sense.by_name[function.name]

    def _set(self, function: Function, **values: object) -> None:
        for name, value in values.items():
            setattr(self._of(function), name, value)
        self._changed(function.name)

    def _number(self, pattern: str, kind: Number, read: Callable[[], float], write: Callable[[float], None]) -> None:
        self._tree.add(pattern, lambda c: write(c[0]), kind)
        self._tree.query(pattern, lambda c: shown(read() if c[0] is None else kind.limit(c[0])), Limit())

    def _field(self, function: Function, node: str, kind: Boolean | Choice | Integer, name: str) -> None:
        pattern = f"[SENSe[1]:]{function.header}:{node}"
        self._tree.add(pattern, lambda c: self._set(function, **{name: c[0]}), kind)
        self._tree.query(pattern, lambda _: _plain(getattr(self._of(function), name)))

    def _declare(self, function: Function) -> None:
        base, of = f"[SENSe[1]:]{function.header}", partial(self._of, function)
        if function.ranges:
            self._ranges(function, base)
        if function.integrates:
            self._integration(function, base)
        if function.gate_s is not None:
            low, high, usual = function.gate_s
            self._number(f"{base}:APERture", Number("S", low, high, usual), lambda: of().gate_s, lambda v: self._set(function, gate_s=v))
        if function.bandwidth:
            self._number(
                f"{base}:DETector:BANDwidth", Number("HZ", 3, 300, 30), lambda: of().bandwidth, lambda v: self._set(function, bandwidth=v)
            )
        self._field(function, "AVERage[:STATe]", Boolean(), "average")
        self._field(function, "AVERage:COUNt", Integer(1, 100, 10), "average_count")
        self._field(function, "AVERage:TCONtrol", Choice("REPeat|MOVing|HYBRid"), "average_kind")
        self._number(f"{base}:RELative", Number(function.suffix, -1e9, 1e9, 0), lambda: of().relative, partial(self._relative, function))
        self._field(function, "RELative:STATe", Boolean(), "relative_on")
        self._tree.add(f"{base}:DELay:AUTO", lambda c: self._set(function, delay_auto=c[0]), Boolean())
        self._tree.query(f"{base}:DELay:AUTO", lambda _: "ON" if of().delay_auto else "OFF")  # so QCoDeS' driver of the DMM7510 reads it
        self._tree.add(f"{base}:DELay:USER<1-5>", lambda c: of().delays_s.__setitem__(c.suffixes[0], c[0]), Number("S", 0, 10e3, 0))
        self._tree.query(f"{base}:DELay:USER<1-5>", lambda c: shown(of().delays_s.get(c.suffixes[0], 0.0)))
        digits = Integer(3, lambda: self._sense.most_digits, 6)
        self._tree.add(f"DISPlay:{function.header}:DIGits", lambda c: self._set(function, digits=c[0]), digits)
        self._tree.query(f"DISPlay:{function.header}:DIGits", lambda _: str(of().digits))

    def _relative(self, function: Function, value: float) -> None:
        self._set(function, relative=value)

    def _ranges(self, function: Function, base: str) -> None:
        of, ranges = partial(self._of, function), partial(self._sense.ranges, function)
        kind = Number(function.suffix, lambda: ranges()[0], lambda: ranges()[-1], lambda: ranges()[-1])
        take = Number(function.suffix, 0, lambda: ranges()[-1], lambda: ranges()[-1])
        pattern = f"{base}:RANGe[:UPPer]"
        self._tree.add(pattern, lambda c: self._set(function, range=reaching(ranges(), c[0]), auto_range=False), take)
        self._tree.query(pattern, lambda c: shown(of().range if c[0] is None else kind.limit(c[0])), Limit())
        self._field(function, "RANGe:AUTO", Boolean(), "auto_range")

    def _integration(self, function: Function, base: str) -> None:
        of, sense = partial(self._of, function), self._sense
        nplc = Number("", NPLC_LEAST, lambda: sense.nplc_most, 1.0)
        self._number(f"{base}:NPLCycles", nplc, lambda: of().nplc, lambda v: self._set(function, nplc=v))
        aperture = Number("S", lambda: NPLC_LEAST / sense.mains_hz, lambda: sense.nplc_most / sense.mains_hz, 1 / sense.mains_hz)
        self._number(
            f"{base}:APERture", aperture, lambda: of().nplc / sense.mains_hz, lambda v: self._set(function, nplc=v * sense.mains_hz)
        )
        self._field(function, "AZERo[:STATe]", Boolean(), "auto_zero")
        self._field(function, "LINE:SYNC", Boolean(), "line_sync")
        if function.suffix == "V":
            self._field(function, "INPutimpedance", Choice("MOHM10|AUTO"), "impedance")


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
