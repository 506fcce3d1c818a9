"""What each source-measure module of the N6700 family has: ranges, limits, ranging, emulations.

Letters name the documents listed in `_n6705c`, where [P] and [L] are two independent drivers. A module's base accuracy (one figure for
averages of 0.1 s) is in no page at hand: its rows come from the bench file's certificate, and without them nothing is known. What fewer
averaged points add [S p52] has no base to be added to: a certificate's row holds for its own averaging time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from labd_instruments.contract import SourceLimits

POINT_S = 5.12e-6
PROTECTION_V = 22.0  # [L] for any N678xA


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Up to `volt` the output holds up to `ampere`, sourced or sunk. Ranges are chosen by VOLT:RANG; the highest voltage is the reset's."""

    volt: float
    ampere: float


@dataclass(frozen=True, slots=True)
class Module:
    """One model of module.

    sources: ascending in voltage. current_ranges_a, voltage_ranges_v: of measurement, ascending. seamless_a: the current ranges that
    seamless ranging moves between, none where it has no such ranging. emulations: what EMUL takes. log_parameter_s: shortest
    period of the log for each parameter in it; tick_s: finest interval of the digitizer.
    """

    name: str
    sources: tuple[SourceRange, ...]
    current_ranges_a: tuple[float, ...]
    voltage_ranges_v: tuple[float, ...]
    seamless_a: tuple[float, ...]
    emulations: tuple[str, ...]
    protection_v: float = PROTECTION_V
    log_parameter_s: float = 102.4e-6  # [U p145 of N6700C, C p146]
    tick_s: float = POINT_S  # [U p213]

    @property
    def limits(self) -> SourceLimits:
        return SourceLimits(self.sources[-1].volt, self.sources[0].ampere)

    def holding(self, ampere: float) -> SourceRange:
        """The source range of the highest voltage that holds this current; `ampere` is within `limits`."""
        return next(s for s in reversed(self.sources) if ampere <= s.ampere * (1 + 1e-9))

    def range_for(self, volt: float | None, ampere: float) -> SourceRange:
        """The lowest source range that holds `volt`, so that there is room for an inrush; where it does not hold `ampere`, or no voltage
        is named, `holding`."""
        lowest = None if volt is None else next((s for s in self.sources if volt <= s.volt * (1 + 1e-9)), None)
        return lowest if lowest is not None and ampere <= lowest.ampere * (1 + 1e-9) else self.holding(ampere)

    def most_a(self, volt: float) -> float:
        """The highest current limit at this voltage (V), which is within `limits`."""
        return next(s.ampere for s in self.sources if volt <= s.volt * (1 + 1e-9))


_SOURCES_20W = (SourceRange(6.0, 3.0), SourceRange(20.0, 1.0))  # [N p122]
_SOURCES_80W = (SourceRange(6.0, 8.0), SourceRange(10.0, 6.7), SourceRange(15.0, 5.0), SourceRange(20.0, 4.0))  # [N p122] 8 A, [P] others
_AMPERES_20W = (10e-6, 1e-3, 0.1, 3.0)  # of an N6784A [-]
_AMPERES_80W = (1e-3, 0.1, 8.0)  # [S p52]
_VOLTS_20W = (0.1, 1.0, 20.0)  # [S p52]
_VOLTS_80W = (20.0,)  # [S p52]
_SEAMLESS_20W = (1e-3, 0.1, 3.0)  # the 10 uA range is only ever fixed [-]
_EMULATIONS = ("PS2Q", "PS1Q", "CCL", "CVL", "VMET", "AMET")  # [P] [L2] agree, module by module
_BATTERY = ("BATT", "CHAR")

DEFAULT = Module("N6781A", _SOURCES_20W, _AMPERES_20W, _VOLTS_20W, _SEAMLESS_20W, (*_EMULATIONS, *_BATTERY))
MODULES: Mapping[str, Module] = MappingProxyType(
    {
        module.name: module
        for module in (
            DEFAULT,
            Module("N6782A", _SOURCES_20W, _AMPERES_20W, _VOLTS_20W, _SEAMLESS_20W, _EMULATIONS),
            # [O p323] has no histogram of an N6784A, which is made of seamless ranging; negative voltages [N p122] are not asked for
            Module("N6784A", _SOURCES_20W, _AMPERES_20W, _VOLTS_20W, (), ("PS4Q", *_EMULATIONS)),
            Module("N6785A", _SOURCES_80W, _AMPERES_80W, _VOLTS_80W, _AMPERES_80W, (*_EMULATIONS, *_BATTERY)),
            Module("N6786A", _SOURCES_80W, _AMPERES_80W, _VOLTS_80W, _AMPERES_80W, _EMULATIONS),
        )
    }
)
SUPPORTED = ", ".join([*MODULES][:-1]) + f" or {[*MODULES][-1]}"
