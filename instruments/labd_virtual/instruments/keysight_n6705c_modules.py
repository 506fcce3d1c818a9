"""The source-measure modules that a virtual N6700 mainframe may hold: what each can be set to and how it measures.

Settings go 2 % beyond the ratings. Voltage quadrants and the 6 V and 20 V loci: "Keysight N6700 User's Guide", p. 122 (negative voltages:
N6784A only; 8 A of the 80 W modules up to 6 V). Source ranges between, emulations: two independent drivers of the family that agree module
by module. Measuring ranges and noise: "N6700 Specifications Guide", p. 52, read as one standard deviation; its columns of current for the
20 W modules could not be read: their current noise is that of the N6785A's 100 mA and 1 mA, its 8 A in proportion to full scale for 3 A,
and a hundredth of the 1 mA column for 10 uA. Plausible, not documented. Seamless ranging: the "N6705C Operating and Service Guide", p. 323,
has no histogram of an N6784A, hence none there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from labd_virtual.front_end import MeterRange, NoiseCurve
from labd_virtual.persona import PersonaSetup

PROTECTION_MAX = 22.0
_TIMES_S = (5.12e-6, 51.2e-6, 102.4e-6, 512e-6, 1.7e-3, 16.7e-3)
_20V = NoiseCurve(_TIMES_S, (2.3e-3, 1.2e-3, 993.7e-6, 533.4e-6, 276.6e-6, 69.6e-6))
_1V = NoiseCurve(_TIMES_S, (186.6e-6, 90.3e-6, 57.0e-6, 26.7e-6, 19.8e-6, 4.8e-6))
_100MV = NoiseCurve(_TIMES_S, (38.9e-6, 20.7e-6, 12.5e-6, 5.9e-6, 5.0e-6, 3.4e-6))
_20V_OF_80W = NoiseCurve(_TIMES_S, (2.9e-3, 1.3e-3, 1.0e-3, 394.2e-6, 260.6e-6, 69.8e-6))
_100MA = NoiseCurve(_TIMES_S, (13.5e-6, 7.1e-6, 5.4e-6, 2.5e-6, 1.3e-6, 471.5e-9))
_1MA = NoiseCurve(_TIMES_S, (1.4e-6, 594.3e-9, 306.2e-9, 67.7e-9, 23.8e-9, 6.9e-9))
_8A = NoiseCurve(_TIMES_S, (1.2e-3, 552.2e-6, 409.7e-6, 198.9e-6, 94.4e-6, 43.5e-6))


@dataclass(frozen=True, slots=True)
class Locus:
    """One source range: up to `volt` the output may be limited to `ampere` at most."""

    volt: float
    ampere: float


@dataclass(frozen=True, slots=True)
class Model:
    """loci: ascending in voltage. amps, volts: measuring ranges. seamless_from_a: lowest range of seamless ranging, None without any."""

    name: str
    loci: tuple[Locus, ...]
    amps: tuple[MeterRange, ...]
    volts: tuple[MeterRange, ...]
    seamless_from_a: float | None
    emulations: str
    negative: bool = False

    @property
    def most_v(self) -> float:
        return self.loci[-1].volt

    @property
    def most_a(self) -> float:
        return max(locus.ampere for locus in self.loci)

    @property
    def power_on(self) -> str:
        """The emulation after *RST: all the quadrants that it has."""
        return "PS4Q" if self.negative else "PS2Q"

    def locus(self, volt: float) -> Locus:
        """The lowest source range that reaches a voltage."""
        return next(locus for locus in self.loci if volt <= locus.volt * (1 + 1e-9))

    def current_range(self, ampere: float) -> float:
        return next((r.full_scale for r in self.amps if ampere <= r.full_scale * (1 + 1e-9)), self.amps[-1].full_scale)

    def voltage_range(self, volt: float) -> float:
        return next((r.full_scale for r in self.volts if volt <= r.full_scale * (1 + 1e-9)), self.volts[-1].full_scale)


_LOCI_20W = (Locus(0.612, 3.06), Locus(6.12, 3.06), Locus(20.4, 1.02))
_LOCI_80W = (Locus(6.12, 8.16), Locus(10.2, 6.834), Locus(15.3, 5.1), Locus(20.4, 4.08))
_AMPS_20W = (MeterRange(10e-6, _1MA.scaled(0.01)), MeterRange(1e-3, _1MA), MeterRange(0.1, _100MA), MeterRange(3.0, _8A.scaled(3 / 8)))
_AMPS_80W = (MeterRange(1e-3, _1MA), MeterRange(0.1, _100MA), MeterRange(8.0, _8A))
_VOLTS_20W = (MeterRange(0.1, _100MV), MeterRange(1.0, _1V), MeterRange(20.0, _20V))
_VOLTS_80W = (MeterRange(20.0, _20V_OF_80W),)
_BOTH = "PS2Q PS1Q CCL CVL VMET AMET"
_BATTERY = f"{_BOTH} BATT CHAR"

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "N6781A": Model("N6781A", _LOCI_20W, _AMPS_20W, _VOLTS_20W, 1e-3, _BATTERY),
        "N6782A": Model("N6782A", _LOCI_20W, _AMPS_20W, _VOLTS_20W, 1e-3, _BOTH),
        "N6784A": Model("N6784A", _LOCI_20W, _AMPS_20W, _VOLTS_20W, None, f"PS4Q {_BOTH}", negative=True),
        "N6785A": Model("N6785A", _LOCI_80W, _AMPS_80W, _VOLTS_80W, 1e-3, _BATTERY),
        "N6786A": Model("N6786A", _LOCI_80W, _AMPS_80W, _VOLTS_80W, 1e-3, _BOTH),
    }
)
IDENTITIES: Mapping[str, str] = MappingProxyType(
    {
        "N6705C": "Keysight Technologies,N6705C,VIRTUAL001,E.02.07",
        "N6705B": "Agilent Technologies,N6705B,VIRTUAL001,D.01.08",  # the form of an instrument's own answer, in a published listing
        "N6700C": "Keysight Technologies,N6700C,VIRTUAL001,E.02.07",
    }
)


def identity_of(setup: PersonaSetup) -> str:
    """Raises ValueError for a mainframe that is not virtual here."""
    return IDENTITIES[_known(setup, "mainframe", "N6705C", IDENTITIES)]


def model_of(setup: PersonaSetup) -> Model:
    """Raises ValueError for a module that is not virtual here."""
    return MODELS[_known(setup, "module", "N6781A", MODELS)]


def _known(setup: PersonaSetup, option: str, default: str, known: Mapping[str, object]) -> str:
    value = str(setup.options.get(option) or default)
    if value not in known:
        raise ValueError(f"{option} is {value!r}, expected one of {', '.join(known)}")
    return value
