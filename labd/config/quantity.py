"""Quantities as people write them ("50 uA", "23 degC +- 1 K") to SI floats, and back to text that reads as the same float."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pint


class QuantityError(ValueError):
    """The text is not the quantity asked for; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of quantity: `unit` is what the float counts, in pint's words, `ucum` the same as a UCUM code."""

    name: str
    unit: str
    ucum: str
    example: str
    written: str
    prefixes: bool = True

    @property
    def expected(self) -> str:
        article = "an" if self.name[0] in "aeiou" else "a"
        return f'{article} {self.name} such as "{self.example}"'


VOLTAGE: Final = Kind("voltage", "volt", "V", "3.3 V", "V")
CURRENT: Final = Kind("current", "ampere", "A", "50 uA", "A")
TIME: Final = Kind("time", "second", "s", "10 ms", "s")
RATE: Final = Kind("rate", "1/second", "/s", "5 /s", "/s", prefixes=False)
FREQUENCY: Final = Kind("frequency", "hertz", "Hz", "64 MHz", "Hz")
FRACTION: Final = Kind("fraction", "dimensionless", "1", "25 %", "%", prefixes=False)
RESISTANCE: Final = Kind("resistance", "ohm", "Ohm", "30 mohm", "ohm")
CAPACITANCE: Final = Kind("capacitance", "farad", "F", "4.7 uF", "F")
POWER: Final = Kind("power", "watt", "W", "0.5 W", "W")
TEMPERATURE: Final = Kind("temperature", "degree_Celsius", "Cel", "23 degC", "degC", prefixes=False)
TEMPERATURE_DIFFERENCE: Final = Kind("temperature difference", "kelvin", "K", "1 K", "K")
CHARGE: Final = Kind("charge", "coulomb", "C", "225 mAh", "C")
ENERGY: Final = Kind("energy", "joule", "J", "10 mJ", "J")
CHANGE_OVER_TIME: Final = Kind("fraction per time", "1/second", "/s", "1 %/year", "/s", prefixes=False)
TEMPERATURE_COEFFICIENT: Final = Kind("temperature coefficient", "1/kelvin", "/K", "0.01 %/K", "/K", prefixes=False)

KINDS: Final = (
    VOLTAGE,
    CURRENT,
    TIME,
    RATE,
    FREQUENCY,
    FRACTION,
    RESISTANCE,
    CAPACITANCE,
    POWER,
    TEMPERATURE,
    TEMPERATURE_DIFFERENCE,
    CHARGE,
    ENERGY,
    CHANGE_OVER_TIME,
    TEMPERATURE_COEFFICIENT,
)


@dataclass(frozen=True, slots=True)
class Uncertain:
    """`value +- half_width` in the kind's unit (a temperature's half width in kelvin); half_width is a limit, 0 when none is written."""

    value: float
    half_width: float = 0.0

    @property
    def u(self) -> float:
        """Standard uncertainty of a quantity known to lie within its limits: half_width / sqrt(3) (JCGM 100:2008, 4.3.7)."""
        return self.half_width / math.sqrt(3)


@dataclass(frozen=True, slots=True)
class _Symbol:
    kind: Kind
    pint_name: str
    prefixes: bool = False


_SYMBOLS: Final[Mapping[str, _Symbol]] = MappingProxyType(
    {
        "V": _Symbol(VOLTAGE, "volt", prefixes=True),
        "A": _Symbol(CURRENT, "ampere", prefixes=True),
        "W": _Symbol(POWER, "watt", prefixes=True),
        "J": _Symbol(ENERGY, "joule", prefixes=True),
        "Wh": _Symbol(ENERGY, "watt_hour", prefixes=True),
        "C": _Symbol(CHARGE, "coulomb", prefixes=True),
        "Ah": _Symbol(CHARGE, "ampere_hour", prefixes=True),
        "F": _Symbol(CAPACITANCE, "farad", prefixes=True),
        "ohm": _Symbol(RESISTANCE, "ohm", prefixes=True),
        "Hz": _Symbol(FREQUENCY, "hertz", prefixes=True),
        "s": _Symbol(TIME, "second", prefixes=True),
        "min": _Symbol(TIME, "minute"),
        "h": _Symbol(TIME, "hour"),
        "d": _Symbol(TIME, "day"),
        "day": _Symbol(TIME, "day"),
        "days": _Symbol(TIME, "day"),
        "year": _Symbol(TIME, "year"),
        "years": _Symbol(TIME, "year"),
        "K": _Symbol(TEMPERATURE_DIFFERENCE, "kelvin", prefixes=True),
        "degC": _Symbol(TEMPERATURE, "degree_Celsius"),
        "%": _Symbol(FRACTION, "percent"),
        "ppm": _Symbol(FRACTION, "ppm"),
    }
)
_PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {"f": "femto", "p": "pico", "n": "nano", "u": "micro", "m": "milli", "k": "kilo", "M": "mega", "G": "giga"}
)
_EXPONENTS: Final = ((9, "G"), (6, "M"), (3, "k"), (0, ""), (-3, "m"), (-6, "u"), (-9, "n"), (-12, "p"), (-15, "f"))
_SPELLINGS: Final = (("µ", "u"), ("μ", "u"), ("Ω", "ohm"), ("Ω", "ohm"), ("°C", "degC"), ("±", "+-"), ("+/-", "+-"), ("−", "-"))
_NUMBER = re.compile(r"([+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,4})?)\s*(.*)", re.DOTALL)


@cache
def _registry() -> pint.UnitRegistry[Any]:
    """Decimal arithmetic: `50 uA` becomes exactly the float 5e-05. Imported on first use, it costs a quarter of a second."""
    import pint

    return pint.UnitRegistry(non_int_type=Decimal)


def read_quantity(text: object, kind: Kind) -> Uncertain:
    """Parse a quantity of one kind, with an optional `+- half width`; the half width of anything but a fraction or a temperature may be
    a percentage of the value.

    Raises QuantityError: not text, no number, no unit, unknown unit, a unit of another kind, a negative half width, beyond float range.
    """
    plain = _plain_text(text, kind)
    main, plus_minus, spread = plain.partition("+-")
    value = _to_si(main.strip(), kind, text)
    if not plus_minus:
        return Uncertain(value)
    half_width = _half_width(spread.strip(), value, kind, text)
    if half_width < 0:
        raise QuantityError(f"expected a positive half width after +-, got {shown(text)}")
    if math.isinf(half_width):
        raise QuantityError(f"expected {kind.expected}, got {shown(text)}, which is beyond the range of numbers")
    return Uncertain(value, half_width)


def write_quantity(value: float, kind: Kind) -> str:
    """A text that `read_quantity` reads as exactly this float, with a handy prefix."""
    if not math.isfinite(value):
        raise QuantityError(f"{value} is not a {kind.name} that can be written")
    number = Decimal(repr(value))
    exponent, unit = _handy_unit(number, kind)
    return f"{_digits(number.scaleb(-exponent))} {unit}"


def write_uncertain(quantity: Uncertain, kind: Kind) -> str:
    """The same for `value +- half_width`; without `+-` when the half width is 0."""
    value = write_quantity(quantity.value, kind)
    if quantity.half_width == 0:
        return value
    spread = TEMPERATURE_DIFFERENCE if kind is TEMPERATURE else kind
    return f"{value} +- {write_quantity(quantity.half_width, spread)}"


def shown(value: object) -> str:
    """A value of a TOML file as a message quotes it: one line, at most about 60 characters."""
    match value:
        case str():
            return _quoted(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            # str() of an int with more than 4300 digits raises; no such int is a sensible value anyway
            return "a very large number" if isinstance(value, int) and value.bit_length() > 200 else str(value)
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case _:
            return str(value)


def _quoted(text: str) -> str:
    escaped = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:61])
    return f'"{escaped[:60]}..."' if len(escaped) > 60 or len(text) > 60 else f'"{escaped}"'


def _plain_text(text: object, kind: Kind) -> str:
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        raise QuantityError(f"expected {kind.expected}, got {shown(text)}")
    if not isinstance(text, str):
        raise QuantityError(f"expected {kind.expected}, got the bare number {shown(text)}: write it in quotes, with its unit")
    plain = text.strip()
    for spelling, ours in _SPELLINGS:
        plain = plain.replace(spelling, ours)
    return plain


def _half_width(spread: str, value: float, kind: Kind, whole: object) -> float:
    if kind is TEMPERATURE:
        return _to_si(spread, TEMPERATURE_DIFFERENCE, whole)
    relative = kind is not FRACTION and spread.endswith(("%", "ppm"))
    return abs(value) * _to_si(spread, FRACTION, whole) if relative else _to_si(spread, kind, whole)


def _to_si(text: str, kind: Kind, whole: object) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise QuantityError(f"expected {kind.expected}, got {shown(whole)}")
    number, unit = match.groups()
    if not unit:
        raise QuantityError(f"expected {kind.expected}, got {shown(whole)} without a unit")
    found, pint_unit = _unit(unit, kind, whole)
    if not _same_kind(found, kind):
        hint = '; did you mean "degC"?' if kind is TEMPERATURE and unit == "C" else ""
        raise QuantityError(f"expected {kind.expected}, got {_a(found)} {shown(whole)}{hint}")
    value = float(_registry().Quantity(Decimal(number), pint_unit).to(kind.unit).magnitude)
    if math.isinf(value) or (value == 0 and Decimal(number) != 0 and kind is not TEMPERATURE):
        raise QuantityError(f"expected {kind.expected}, got {shown(whole)}, which is beyond the range of numbers")
    return value


def _same_kind(found: Kind, wanted: Kind) -> bool:
    """A rate may be written in hertz and a slow frequency per second; percent per time is neither."""
    interchangeable = ({RATE, FREQUENCY}, {RATE, CHANGE_OVER_TIME})
    return found == wanted or any({found, wanted} == pair and found != CHANGE_OVER_TIME for pair in interchangeable)


def _a(kind: Kind) -> str:
    return f"an {kind.name}" if kind.name[0] in "aeiou" else f"a {kind.name}"


def _unit(unit: str, kind: Kind, whole: object) -> tuple[Kind, str]:
    """Which kind a unit is of, and its name for pint. Only the units of this module: pint alone would take rpm for a rate."""
    over, slash, under = unit.partition("/")
    over, under = over.strip(), under.strip()
    if not slash:
        return _symbol(over, kind, whole)
    below, below_name = _symbol(under, kind, whole)
    above, above_name = (RATE, "1") if over in ("", "1") else _symbol(over, kind, whole)
    if above not in (RATE, FRACTION) or below not in (TIME, TEMPERATURE_DIFFERENCE):
        raise _no_such_unit(unit, kind, whole)
    if below is TEMPERATURE_DIFFERENCE:
        return TEMPERATURE_COEFFICIENT, f"{above_name}/{below_name}"
    return (RATE if above is RATE else CHANGE_OVER_TIME), f"{above_name}/{below_name}"


def _symbol(name: str, kind: Kind, whole: object) -> tuple[Kind, str]:
    if symbol := _SYMBOLS.get(name):
        return symbol.kind, symbol.pint_name
    prefix, rest = name[:1], name[1:]
    symbol = _SYMBOLS.get(rest)
    if prefix in _PREFIXES and symbol is not None and symbol.prefixes:
        return symbol.kind, _PREFIXES[prefix] + symbol.pint_name
    raise _no_such_unit(name, kind, whole)


def _no_such_unit(name: str, kind: Kind, whole: object) -> QuantityError:
    known = [s for s, symbol in _SYMBOLS.items() if symbol.kind == kind]
    written = [p + s for s in known for p in ("", *_PREFIXES) if not p or _SYMBOLS[s].prefixes]
    near = next((w for w in written if w.lower() == name.lower()), None) or next(
        iter(difflib.get_close_matches(name[:20], written, n=1)), None
    )
    hint = f'; did you mean "{near}"?' if near else ""
    return QuantityError(f"expected {kind.expected}, got {shown(whole)}: no unit {_quoted(name)}{hint}")


def _handy_unit(number: Decimal, kind: Kind) -> tuple[int, str]:
    if kind is FRACTION:
        return (-6, "ppm") if number != 0 and number.adjusted() < -4 else (-2, "%")
    if not kind.prefixes or number == 0:
        return 0, kind.written
    largest = 0 if kind is TIME else 9  # nobody writes kiloseconds
    prefix = next(((e, p) for e, p in _EXPONENTS if e <= largest and number.adjusted() >= e), _EXPONENTS[-1])
    return prefix[0], prefix[1] + kind.written


def _digits(number: Decimal) -> str:
    plain = number.normalize()
    return f"{plain:f}" if -7 < plain.adjusted() < 15 else f"{plain:E}"
