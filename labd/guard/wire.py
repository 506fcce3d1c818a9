"""What daemon and guard tell each other: one JSON object a line, each request with a number that its reply repeats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labd_instruments.contract import OffAssurance

VERSION = 1
LONGEST_LINE = 1 << 16

Message = dict[str, Any]


class WireError(ValueError):
    """A line is no request of this protocol: names the key and what would be right."""


@dataclass(frozen=True, slots=True)
class GuardedSource:
    """One output the guard can switch off. sees_output_when_off: `measure_output` shows the board's voltage with the output off."""

    name: str
    driver: str
    resource: str
    off_assurance: OffAssurance
    options: Mapping[str, object] = field(default_factory=dict)
    sees_output_when_off: bool = False


@dataclass(frozen=True, slots=True)
class Armament:
    """What the guard answers for. heartbeat_s: a client silent for this long is taken for hung."""

    bench: str
    sources: tuple[GuardedSource, ...]
    off_voltage_v: float
    off_time_s: float
    heartbeat_s: float = 1.0


@dataclass(frozen=True, slots=True)
class OffResult:
    """How switching one source off went. off: read back off. discharged: seen below off_voltage; None where the source cannot see it."""

    source: str
    off: bool
    discharged: bool | None
    text: str
    took_s: float
    attempts: int


def line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def read(text: bytes) -> Message:
    """Raises WireError for anything but a JSON object with an `op`, or a reply."""
    try:
        message = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError(f"a line is a JSON object, got {type(message).__name__}")
    return message


def write_armament(armament: Armament) -> Message:
    return {
        "bench": armament.bench,
        "off_voltage_v": armament.off_voltage_v,
        "off_time_s": armament.off_time_s,
        "heartbeat_s": armament.heartbeat_s,
        "sources": [_write_source(source) for source in armament.sources],
    }


def read_armament(message: Message) -> Armament:
    """Raises WireError."""
    sources = message.get("sources")
    if not isinstance(sources, list) or not sources:
        raise WireError(f"sources: a list of at least one source is wanted, got {sources!r}")
    return Armament(
        bench=text_of(message, "bench"),
        sources=tuple(_read_source(one) for one in sources),
        off_voltage_v=_positive(message, "off_voltage_v"),
        off_time_s=_positive(message, "off_time_s"),
        heartbeat_s=_positive(message, "heartbeat_s"),
    )


def write_result(result: OffResult) -> Message:
    return {
        "source": result.source,
        "off": result.off,
        "discharged": result.discharged,
        "text": result.text,
        "took_s": result.took_s,
        "attempts": result.attempts,
    }


def read_result(message: Message) -> OffResult:
    """Raises WireError."""
    try:
        return OffResult(
            source=str(message["source"]),
            off=bool(message["off"]),
            discharged=None if message["discharged"] is None else bool(message["discharged"]),
            text=str(message["text"]),
            took_s=float(message["took_s"]),
            attempts=int(message["attempts"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"a result is wrong: {error!r}") from error


def _write_source(source: GuardedSource) -> Message:
    return {
        "name": source.name,
        "driver": source.driver,
        "resource": source.resource,
        "off_assurance": str(source.off_assurance),
        "options": dict(source.options),
        "sees_output_when_off": source.sees_output_when_off,
    }


def _read_source(message: object) -> GuardedSource:
    if not isinstance(message, dict):
        raise WireError(f"sources: a source is an object, got {message!r}")
    options = message.get("options", {})
    if not isinstance(options, dict):
        raise WireError(f"options: an object is wanted, got {options!r}")
    try:
        assurance = OffAssurance(text_of(message, "off_assurance"))
    except ValueError as error:
        raise WireError(f"off_assurance: {error}") from error
    return GuardedSource(
        name=text_of(message, "name"),
        driver=text_of(message, "driver"),
        resource=text_of(message, "resource"),
        off_assurance=assurance,
        options=options,
        sees_output_when_off=message.get("sees_output_when_off") is True,
    )


def text_of(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str) or not value:
        raise WireError(f"{key}: a text is wanted, got {value!r}")
    return value


def _positive(message: Message, key: str) -> float:
    value = message.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise WireError(f"{key}: a positive number is wanted, got {value!r}")
    return float(value)
