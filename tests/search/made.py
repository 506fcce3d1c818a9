"""Use cases, figures and outcomes for the tests of a search."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from labd.config.document import Source
from labd.records import KpiRecord, Mode, Provenance
from labd.search.figures import UNITS
from labd.search.outcome import Outcome, Settings, State
from labd.search.use_case import UseCase, use_case_of

USE_CASE = """
schema = 1
name = "keywords"
description = "a sensor that listens"
dataset = "data"
objectives = ["energy_per_inference", "accuracy", "latency"]
[targets]
accuracy = "80 %"
energy_per_inference = "2 mJ"
latency = "60 ms"
memory = "9 kB"
[events]
rate = "2 /s"
[platforms.m4]
bench = "bench.toml"
builder = ["python", "build.py"]
mode = ["event_sleep", "always_on"]
clock = ["64 MHz", "32 MHz"]
[platforms.m4.choices]
net = ["dnn", "snn"]
[platforms.m4.ranges.width]
low = 4
high = 8
step = 2
[platforms.m0]
bench = "other.toml"
builder = ["python", "build.py"]
"""


def use_case(text: str = USE_CASE, path: Path = Path("use-case.toml")) -> UseCase:
    return use_case_of(Source(path, text, hashlib.sha256(text.encode()).hexdigest()))


def figure(objective: str, value: float, half: float | None = 0.0, *, at: str = "x") -> KpiRecord:
    """half: of the 95 % interval, None for a figure without one."""
    ends: dict[str, Any] = {"u": None, "low": None, "high": None}
    if half is not None:
        ends = {"u": half / 1.96, "low": value - half, "high": value + half}
    return KpiRecord(objective, at, value, UNITS[objective], n=60, provenance=Provenance.MEASURED, method="", **ends)


def outcome(
    number: int, *, platform: str = "m4", state: State = State.MEASURED, repeat: int = 0, **figures: tuple[float, float | None]
) -> Outcome:
    settings = Settings({"net": "dnn", "width": number}, Mode.EVENT_SLEEP)
    made = {name: figure(name, *given) for name, given in figures.items()}
    return Outcome(platform, number, settings, state, figures=made, run_id=f"run-{number}", repeat=repeat)
