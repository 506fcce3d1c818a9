"""Kinds of command parameters: each turns one argument into a value or refuses it with the standard code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import Argument, Kind

# IEEE 488.2 table 7-1; "M" is milli except before HZ and OHM.
_MULTIPLIERS = {
    "EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0, "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "F": 1e-15,
}  # fmt: skip
_WRONG_KIND = {
    Kind.NUMBER: -128,
    Kind.WORD: -148,
    Kind.STRING: -158,
    Kind.CHANNELS: -178,
    Kind.EXPRESSION: -178,
    Kind.BLOCK: -168,
}
Bound = float | Callable[[], float]


class Parameter(Protocol):
    """optional: may be missing; a missing one that is followed by others is recognised by `accepts`."""

    @property
    def optional(self) -> bool: ...

    def accepts(self, argument: Argument) -> bool: ...

    def value(self, argument: Argument) -> Any:
        """Raises ScpiError."""


def keyword_matches(pattern: str, word: str) -> bool:
    """True when `word` (upper case) is the short or the long form of a mixed-case keyword such as `EXTernal`."""
    return word in (short_form(pattern), pattern.upper())


def short_form(pattern: str) -> str:
    """`EXTernal` -> `EXT`."""
    return "".join(c for c in pattern if not c.islower())


def scaled(text: str, suffix: str, unit: str) -> float:
    """A number with its SI suffix in the base unit. Raises ScpiError(-131) for a foreign suffix, -138 where none is allowed."""
    number = float(text)
    if not suffix:
        return number
    if not unit:
        raise ScpiError(-138)
    stem = suffix[: -len(unit)] if suffix.endswith(unit) else suffix
    if suffix.endswith(unit) and unit in ("HZ", "OHM") and stem == "M":
        return number * 1e6
    if stem not in _MULTIPLIERS:
        raise ScpiError(-131)
    return number * _MULTIPLIERS[stem]


def _bound(bound: Bound) -> float:
    return bound() if callable(bound) else bound


def limit_word(word: str) -> str | None:
    """MIN, MAX or DEF in either form, else None."""
    for keyword in ("MINimum", "MAXimum", "DEFault"):
        if keyword_matches(keyword, word):
            return keyword[:3]
    return None


@dataclass(frozen=True, slots=True)
class Number:
    """A number in [low, high] of `unit` (V, A, S, HZ, or "" for none); MINimum, MAXimum and DEFault stand for those values."""

    unit: str = ""
    low: Bound = -math.inf
    high: Bound = math.inf
    default: Bound | None = None
    optional: bool = False
    infinity: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind in (Kind.NUMBER, Kind.WORD)

    def value(self, argument: Argument) -> float:
        if argument.kind is Kind.WORD:
            return self._named(argument.text)
        if argument.kind is not Kind.NUMBER:
            raise ScpiError(_WRONG_KIND[argument.kind])
        number = scaled(argument.text, argument.suffix, self.unit)
        low, high = _bound(self.low), _bound(self.high)
        slack = 1e-9 * max(abs(number), 1e-30)
        if not low - slack <= number <= high + slack:
            raise ScpiError(-222)
        return number

    def limit(self, name: str) -> float:
        """The value of MIN, MAX or DEF. Raises ScpiError(-224) for DEF where there is none."""
        if name == "DEF":
            if self.default is None:
                raise ScpiError(-224)
            return _bound(self.default)
        return _bound(self.low if name == "MIN" else self.high)

    def _named(self, word: str) -> float:
        if self.infinity and keyword_matches("INFinity", word):
            return math.inf
        name = limit_word(word)
        if name is None:
            raise ScpiError(-224)
        return self.limit(name)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number in [low, high]; a fraction is rounded, as SCPI-1999 volume 1 7.2 asks."""

    low: Bound = -(2**31)
    high: Bound = 2**31 - 1
    default: Bound | None = None
    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.NUMBER or (argument.kind is Kind.WORD and limit_word(argument.text) is not None)

    def value(self, argument: Argument) -> int:
        return round(Number("", self.low, self.high, self.default).value(argument))


@dataclass(frozen=True, slots=True)
class Boolean:
    """ON, OFF or a number that rounds to zero or not."""

    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.NUMBER or argument.text in ("ON", "OFF")

    def value(self, argument: Argument) -> bool:
        if argument.kind is Kind.WORD and argument.text in ("ON", "OFF"):
            return argument.text == "ON"
        if argument.kind is Kind.NUMBER:
            return round(scaled(argument.text, argument.suffix, "")) != 0
        raise ScpiError(-224 if argument.kind is Kind.WORD else _WRONG_KIND[argument.kind])


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the keywords, given as `INTernal|EXTernal`; the value is the short form in upper case. unknown: code of a wrong word."""

    keywords: str
    optional: bool = False
    unknown: int = -224

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.WORD and any(keyword_matches(k, argument.text) for k in self.keywords.split("|"))

    def value(self, argument: Argument) -> str:
        if argument.kind is not Kind.WORD:
            raise ScpiError(_WRONG_KIND[argument.kind])
        for keyword in self.keywords.split("|"):
            if keyword_matches(keyword, argument.text):
                return short_form(keyword)
        raise ScpiError(self.unknown)


@dataclass(frozen=True, slots=True)
class Limit:
    """The optional MINimum|MAXimum|DEFault of a query; the value is MIN, MAX or DEF."""

    optional: bool = True

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.WORD

    def value(self, argument: Argument) -> str:
        name = limit_word(argument.text)
        if name is None:
            raise ScpiError(-224)
        return name


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string."""

    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.STRING

    def value(self, argument: Argument) -> str:
        if argument.kind is not Kind.STRING:
            raise ScpiError(_WRONG_KIND[argument.kind])
        return argument.text


@dataclass(frozen=True, slots=True)
class Word:
    """Any mnemonic, upper case; for commands that judge it themselves."""

    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.WORD

    def value(self, argument: Argument) -> str:
        if argument.kind is not Kind.WORD:
            raise ScpiError(_WRONG_KIND[argument.kind])
        return argument.text


@dataclass(frozen=True, slots=True)
class Raw:
    """Anything; the value is the Argument, for commands whose parameters depend on each other."""

    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind in Kind

    def value(self, argument: Argument) -> Argument:
        return argument


@dataclass(frozen=True, slots=True)
class BlockData:
    """Arbitrary block; the value is bytes."""

    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.BLOCK

    def value(self, argument: Argument) -> bytes:
        if argument.kind is not Kind.BLOCK:
            raise ScpiError(_WRONG_KIND[argument.kind])
        return argument.text.encode("latin-1")


@dataclass(frozen=True, slots=True)
class Channels:
    """`(@1)`, `(@1,2)`, `(@1:3)`; the value is a tuple of channel numbers, each one of `installed`."""

    installed: Iterable[int] = field(default_factory=tuple)
    optional: bool = False

    def accepts(self, argument: Argument) -> bool:
        return argument.kind is Kind.CHANNELS

    def value(self, argument: Argument) -> tuple[int, ...]:
        if argument.kind is not Kind.CHANNELS:
            raise ScpiError(_WRONG_KIND[argument.kind])
        numbers = tuple(number for part in argument.text.split(",") for number in _channel_span(part))
        if any(number not in tuple(self.installed) for number in numbers):
            raise ScpiError(-222)
        return numbers


def _channel_span(part: str) -> range:
    ends = part.split(":")
    if len(ends) > 2 or not all(end.isdigit() for end in ends):
        raise ScpiError(-171)
    first, last = int(ends[0]), int(ends[-1])
    if last - first > 100:
        raise ScpiError(-222)
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


def bind(parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> tuple[Any, ...]:
    """Values in the order of `parameters`, None for optional ones left out. Raises ScpiError(-108, -109 and each kind's own)."""
    values: list[Any] = []
    rest = list(arguments)
    for index, parameter in enumerate(parameters):
        needed = sum(not p.optional for p in parameters[index + 1 :])
        take = bool(rest) and (not parameter.optional or (len(rest) > needed and (parameter.accepts(rest[0]) or needed == 0)))
        if not take:
            if not parameter.optional:
                raise ScpiError(-109)
            values.append(None)
            continue
        values.append(parameter.value(rest.pop(0)))
    if rest:
        raise ScpiError(-108)
    return tuple(values)
