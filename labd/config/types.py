"""The types a section's keys are declared with: SI floats read from quantities, strict numbers and words."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, Strict, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from labd.config import quantity as q
from labd.config.quantity import Kind, QuantityError, Uncertain, read_quantity, write_quantity

_SIZES: Final = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_SIZE: Final = re.compile(rf"([0-9]+(?:\.[0-9]+)?) ?({'|'.join(_SIZES)})")


@dataclass(frozen=True, slots=True)
class As:
    """Marks a key as a quantity of one kind, refused below `least` (and at it, when `above`) and above `most`.

    uncertain: the key takes `value +- half width` and yields `Uncertain`, else a plain SI float.
    """

    kind: Kind
    least: float | None = 0.0
    above: bool = True
    most: float | None = None
    uncertain: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def read(self, text: object) -> float | Uncertain:
        """Raises PydanticCustomError, which `labd.config.problems` turns into one line."""
        found = _read(text, self.kind)
        self._check_range(found.value, text)
        if self.uncertain:
            return found
        if found.half_width:
            raise _refusal(f"expected {self.kind.expected}, without +-, got {q.shown(text)}")
        return found.value

    @property
    def range(self) -> str:
        """What `_check_range` accepts, in words; empty when everything."""
        low = None if self.least is None else write_quantity(self.least, self.kind)
        words = [] if low is None else [f"above {low}" if self.above else f"{low} or more"]
        return " and ".join([*words, *([] if self.most is None else [f"at most {write_quantity(self.most, self.kind)}"])])

    def _check_range(self, value: float, text: object) -> None:
        low = self.least is not None and (value < self.least or (self.above and value == self.least))
        if low or (self.most is not None and value > self.most):
            raise _refusal(f"expected a {self.kind.name} {self.range}, got {q.shown(text)}")


@dataclass(frozen=True, slots=True)
class AsNamedBy:
    """Marks a key whose kind another key of the same section names (`quantity = "current"`); `kinds` by that key's value."""

    key: str
    kinds: tuple[tuple[str, Kind], ...]
    above: bool = True

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self.read)

    def read(self, text: object, info: ValidationInfo) -> object:
        kind = self.kind(info.data)
        # without the naming key, which is refused itself, nothing can be said about this one
        return 0.0 if kind is None else As(kind, above=self.above).read(text)

    def kind(self, section: dict[str, Any]) -> Kind | None:
        return dict(self.kinds).get(section.get(self.key, ""))


def _read(text: object, kind: Kind) -> Uncertain:
    try:
        return read_quantity(text, kind)
    except QuantityError as error:
        raise _refusal(str(error)) from error


def _refusal(text: str) -> PydanticCustomError:
    return PydanticCustomError("labd", "{text}", {"text": text})


def _date(value: object) -> datetime.date:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    raise _refusal(f"expected a date without quotes such as 2026-06-01, got {q.shown(value)}")


def _number(value: object) -> float:
    """A number that is no quantity: what it counts, its unit says beside it."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise _refusal(f"expected a number such as 2.5 (without quotes), got {q.shown(value)}")


def _bytes(value: object) -> int:
    """`"20 GB"` or `"512 MiB"`; a count of bytes where the default is one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _refusal(f'expected a size such as "20 GB" or "512 MiB", got {q.shown(value)}')
    return round(float(match[1]) * _SIZES[match[2]])


Volts = Annotated[float, As(q.VOLTAGE)]
Amperes = Annotated[float, As(q.CURRENT)]
Watts = Annotated[float, As(q.POWER)]
Ohms = Annotated[float, As(q.RESISTANCE)]
Farads = Annotated[float, As(q.CAPACITANCE)]
Joules = Annotated[float, As(q.ENERGY)]
Seconds = Annotated[float, As(q.TIME)]
SecondsOrZero = Annotated[float, As(q.TIME, above=False)]
Hertz = Annotated[float, As(q.FREQUENCY)]
Rate = Annotated[float, As(q.RATE)]
RateOrZero = Annotated[float, As(q.RATE, above=False)]
Fraction = Annotated[float, As(q.FRACTION, above=False, most=1.0)]
FractionAboveZero = Annotated[float, As(q.FRACTION, most=1.0)]
AnyFraction = Annotated[float, As(q.FRACTION, above=False)]
Celsius = Annotated[float, As(q.TEMPERATURE, least=-273.15)]
Coulomb = Annotated[float, As(q.CHARGE)]
PerSecond = Annotated[float, As(q.CHANGE_OVER_TIME, above=False)]
PerKelvin = Annotated[float, As(q.TEMPERATURE_COEFFICIENT, above=False)]

UncertainAmperes = Annotated[Uncertain, As(q.CURRENT, least=None, uncertain=True)]
UncertainWatts = Annotated[Uncertain, As(q.POWER, above=False, uncertain=True)]
UncertainOhms = Annotated[Uncertain, As(q.RESISTANCE, above=False, uncertain=True)]
UncertainFarads = Annotated[Uncertain, As(q.CAPACITANCE, above=False, uncertain=True)]
UncertainVolts = Annotated[Uncertain, As(q.VOLTAGE, uncertain=True)]
UncertainCoulomb = Annotated[Uncertain, As(q.CHARGE, uncertain=True)]
UncertainFraction = Annotated[Uncertain, As(q.FRACTION, above=False, most=1.0, uncertain=True)]
UncertainRate = Annotated[Uncertain, As(q.RATE, above=False, uncertain=True)]
UncertainCelsius = Annotated[Uncertain, As(q.TEMPERATURE, least=-273.15, uncertain=True)]
UncertainPerSecond = Annotated[Uncertain, As(q.CHANGE_OVER_TIME, above=False, uncertain=True)]

METERED: Final = (("current", q.CURRENT), ("voltage", q.VOLTAGE), ("power", q.POWER))
Metered = Annotated[float, AsNamedBy("quantity", METERED)]
MeteredOrZero = Annotated[float, AsNamedBy("quantity", METERED, above=False)]

Text = Annotated[str, Field(strict=True)]
Words = Annotated[str, Field(strict=True, min_length=1)]
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Flag = Annotated[bool, Strict()]
Number = Annotated[float, BeforeValidator(_number)]
Count = Annotated[int, Field(strict=True, ge=1)]
CountOrZero = Annotated[int, Field(strict=True, ge=0)]
Port = Annotated[int, Field(strict=True, ge=0, le=65535)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
Date = Annotated[datetime.date, BeforeValidator(_date)]
