"""Figures as people read them: value +- U95 with two significant digits of U, SI prefixes, intervals, and why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labd.kpi.aims import LONGEST_S
from labd.records import KpiRecord

SYMMETRY = 0.10  # the two arms of an interval may differ by this share and still be printed as +-
TERM_UNKNOWN = "instrument term unknown"
STATISTICS = ("fit.chi2_per_dof", "clock_sweep.chi2_per_dof", "supply_sweep.chi2_per_dof")  # figures that an interval has no meaning for

_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
_UCUM_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}
_SCALED = ("J.s", "J/s", "A.h", "W.h", "Ohm", "Hz", "J", "W", "A", "V", "C", "F", "s")  # heads of units that take prefixes
_PRINT = {
    "1": "",
    "Cel": "°C",
    "Ohm": "Ω",
    "By": "B",
    "/s": "/s",
    "s-1": "/s",
    "1/s": "/s",
    "[ppm]": "ppm",
    "10*-6": "ppm",
    "a": "years",
}
_LONG_TIMES = ((730 * 86400.0, 365.25 * 86400.0, "years"), (48 * 3600.0, 86400.0, "d"), (7200.0, 3600.0, "h"))


@dataclass(frozen=True, slots=True)
class Scale:
    """How one figure is printed: divide by `factor`, then write `symbol`."""

    factor: float
    symbol: str


def split_ucum(unit: str) -> tuple[int, str] | None:
    """(power of ten, unit without prefix) for a unit that takes SI prefixes, e.g. `uJ` -> (-6, "J"); None for the others."""
    for prefix, exponent in _UCUM_PREFIXES.items():
        if unit.startswith(prefix) and unit[len(prefix) :] in _SCALED:
            return exponent, unit[len(prefix) :]
    return None


def print_unit(unit: str) -> str:
    """A UCUM code as it is printed, e.g. `uJ` -> µJ, `Cel` -> °C, `1` -> nothing; an unknown code is printed as it stands."""
    if unit in _PRINT:
        return _PRINT[unit]
    scaled = split_ucum(unit)
    text = f"{_PREFIXES[scaled[0]]}{_PRINT.get(scaled[1], scaled[1])}" if scaled else unit
    return text.replace(".", "·").replace("m2", "m²")


def choose_scale(unit: str, magnitude: float) -> Scale:
    """The SI prefix that puts `magnitude` (in `unit`) between 1 and 1000; long times become hours, days, years."""
    scaled = split_ucum(unit)
    if scaled is None:
        return Scale(1.0, print_unit(unit))
    exponent, head = scaled
    size = abs(magnitude) * 10.0**exponent
    if head == "s":
        for least, seconds, name in _LONG_TIMES:
            if size >= least:
                return Scale(seconds / 10.0**exponent, name)
    wanted = 0 if size == 0 or not math.isfinite(size) else 3 * math.floor((math.log10(size) + 1e-12) / 3)
    wanted = min(max(wanted, min(_PREFIXES)), max(_PREFIXES))
    return Scale(10.0 ** (wanted - exponent), _PREFIXES[wanted] + _PRINT.get(head, head).replace(".", "·"))


def decimals(uncertainty: float) -> int:
    """How many decimals show two significant digits of `uncertainty` (> 0), after its own rounding."""
    return 1 - int(f"{uncertainty:.1e}".split("e")[1])


def plain(value: float, places: int) -> str:
    """`value` with that many decimals; negative `places` round to tens, hundreds ... Never `-0`."""
    try:
        text = f"{round(value, places):.{max(places, 0)}f}"
    except OverflowError:  # the largest floats have no float above them to round up to
        text = f"{value:.0f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def significant(value: float, digits: int = 3) -> str:
    """`value` with that many significant digits, without an exponent where it is readable."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    exponent = int(f"{value:.{digits - 1}e}".split("e")[1])
    return f"{value:.{digits - 1}e}" if abs(exponent) > 6 else plain(value, digits - 1 - exponent)


def joined(number: str, symbol: str) -> str:
    return f"{number} {symbol}" if symbol else number


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """A figure that has no uncertainty of its own (axis label, setting): `digits` significant digits and a prefix."""
    scale = choose_scale(unit, value)
    return joined(significant(value / scale.factor, digits), scale.symbol)


def plus_minus(value: float, half_width: float, unit: str) -> str:
    """`12.34 ± 0.56 µJ`: two significant digits of the half width, in the unit's best prefix. half_width 0 is printed as exact."""
    scale = choose_scale(unit, max(abs(value), half_width))
    v, u = value / scale.factor, half_width / scale.factor
    if u == 0:
        return joined(f"{v:.6g} (exact)", scale.symbol)
    places = decimals(u)
    if places > 9:
        return joined(f"{v:.10g} ± {u:.1e}", scale.symbol)
    return joined(f"{plain(v, places)} ± {plain(u, places)}", scale.symbol)


def interval(low: float, high: float, unit: str) -> str:
    """`3.9..5.1 /s`: both ends with the decimals that two significant digits of half the width need."""
    scale = choose_scale(unit, max(abs(low), abs(high)))
    a, b = low / scale.factor, high / scale.factor
    places = decimals((b - a) / 2) if b > a else 3
    return joined(f"{plain(a, min(places, 9))}..{plain(b, min(places, 9))}", scale.symbol)


def value_with_interval(value: float, low: float, high: float, unit: str) -> str:
    """`4.21 (3.9..5.1) /s`, for an interval whose arms differ."""
    scale = choose_scale(unit, max(abs(value), abs(low), abs(high)))
    v, a, b = value / scale.factor, low / scale.factor, high / scale.factor
    places = min(decimals((b - a) / 2) if b > a else 3, 9)
    return joined(f"{plain(v, places)} ({plain(a, places)}..{plain(b, places)})", scale.symbol)


def is_symmetric(value: float, low: float, high: float) -> bool:
    """Whether both arms of the interval are alike within 10 % of the longer one."""
    below, above = value - low, high - value
    return below >= 0 and above >= 0 and abs(above - below) <= SYMMETRY * max(above, below)


def two_sided(value: float, low: float, high: float, unit: str) -> str:
    if is_symmetric(value, low, high):
        return plus_minus(value, max(high - value, value - low), unit)
    return value_with_interval(value, low, high, unit)


def percent(share: float) -> str:
    """`0.5 %`, to three digits."""
    return f"{100 * share:.3g} %"


def percents(share: float, other: float) -> tuple[str, str]:
    """Two shares that differ, to as many digits, three or more, as show it."""
    for digits in range(3, 9):
        found = tuple(f"{100 * one:#.{digits}g}".rstrip("0").rstrip(".") if digits > 3 else f"{100 * one:.3g}" for one in (share, other))
        if found[0] != found[1] or share == other:
            break
    return f"{found[0]} %", f"{found[1]} %"


def more_time(seconds: float | None) -> str:
    """How much more measuring would do: None where nothing tells, empty for 0."""
    if seconds is None:
        return "how much more would do is not predictable"
    if seconds > LONGEST_S:
        return f"more than {LONGEST_S / 86400:.0f} days more would do"
    return f"about {seconds:.0f} s more would do" if seconds else ""


def value_of(record: KpiRecord) -> float | None:
    """The record's value, None also where it is not finite."""
    return record.value if record.value is not None and math.isfinite(record.value) else None


def bounds(record: KpiRecord) -> tuple[float | None, float | None]:
    """The record's interval with an infinite end as None."""
    low = record.low if record.low is not None and math.isfinite(record.low) else None
    high = record.high if record.high is not None and math.isfinite(record.high) else None
    return low, high


def reason(record: KpiRecord) -> str:
    """Why a record has no value: its flags in words, then its note; `not resolved` when it says nothing."""
    parts = [words(flag) for flag in record.flags] + ([record.note] if record.note else [])
    return "; ".join(parts) or "not resolved"


def words(flag: str) -> str:
    """A flag as words: `not_resolved` -> not resolved. What follows a colon or is in brackets stays as it is."""
    head, colon, rest = flag.partition(":")
    return head.replace("_", " ") + colon + rest


def show(record: KpiRecord | None) -> str:
    """A record as one figure, for tables and sentences.

    Value +- U95; `value (low..high)` when the interval is lopsided; `> x` or `< x` when only one end is known; the value and
    `(no interval: instrument term unknown)` when a term of the budget is unknown; `not resolved` when there is no value;
    an em dash when there is no record at all.
    """
    if record is None:
        return "—"
    low, high = bounds(record)
    unit = rate_unit(record)
    if record.value is None or not math.isfinite(record.value) or (low is None) != (high is None):
        return one_sided(record, low, high)
    if record.id in STATISTICS:
        return quantity(record.value, unit)
    if low is None or high is None:
        return f"{quantity(record.value, unit)} ({missing_interval(record)})"
    return two_sided(record.value, low, high, unit)


def rate_unit(*records: KpiRecord) -> str:
    """The unit to print figures of one KPI in: counts per second of less than 1000 read better as `/s` than as Hz or mHz."""
    ends = [abs(v) for one in records for v in (one.value, one.low, one.high) if v is not None and math.isfinite(v)]
    return "/s" if records[0].unit == "Hz" and max(ends, default=0.0) < 1000 else records[0].unit


def one_sided(record: KpiRecord, low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return interval(low, high, rate_unit(record))
    if low is not None:
        return f"> {quantity(low, rate_unit(record), 2)}"
    if high is not None:
        return f"< {quantity(high, rate_unit(record), 2)}"
    short = [words(flag) for flag in record.flags if len(flag) <= 24]
    return short[0] if short else "not resolved"


def missing_interval(record: KpiRecord) -> str:
    """Why there is no interval: nothing was claimed (declared), a budget term is unknown, there was one value."""
    if record.provenance.value in {"declared", "estimated"}:
        return record.provenance.value
    known = next((flag for flag in record.flags if flag == TERM_UNKNOWN or flag.startswith("one value")), None)
    return f"no interval: {known}" if known else "no interval"
