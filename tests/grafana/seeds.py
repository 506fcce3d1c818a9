"""Points made after docs/reference/influx.md, of which a test knows every number; and that page as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/influx.md"
BEGIN_NS = 1_795_651_200_000_000_000  # 2026-11-26 00:00 UTC
BENCHES = ("bench 1", "lab/2 (old)")
RUNS = {
    ("bench 1", "20261126-000000-sweep-0a1b"): 1,
    ("bench 1", "20261126-000010-sweep-2c3d"): 2,
    ("lab/2 (old)", "20261126-000020-first.plan-4e5f"): 3,
}
BOARDS = ("", "m4 rev. B", "m7/dev kit", "m4 rev. B")  # by the number of a run
RUN_NS = 10_000_000_000
MODES = (("always_on", 0.0), ("always_on", 5.0), ("event_sleep", 0.0), ("event_sleep", 5.0))
FIGURES = {
    "power.mean": "W",
    "power.floor": "W",
    "energy_per_inference.at_rate": "J",
    "wake_up.total": "s",
    "latency.dut_counter": "s",
}
PHASES = ("sleep", "wake", "load", "infer", "tail", "idle")
Field = float | int | str


@dataclass(frozen=True, slots=True)
class Point:
    measurement: str
    tags: dict[str, str]
    fields: dict[str, Field]
    t_ns: int

    @property
    def line(self) -> str:
        tags = "".join(f",{key}={_tag(value)}" for key, value in sorted(self.tags.items()) if value)
        return f"{self.measurement}{tags} {','.join(f'{key}={_field(value)}' for key, value in self.fields.items())} {self.t_ns}"


def points() -> list[Point]:
    found = [point for (bench, run), n in RUNS.items() for part in (power, events, spans, kpis) for point in part(bench, run, n)]
    return found + [point for n, bench in enumerate(BENCHES) for point in health(bench, n)]


def power(bench: str, run: str, n: int) -> Iterator[Point]:
    """Buckets of 10 ms; the last of each capture is shorter."""
    for place, (mode, rate) in enumerate(MODES):
        tags = {"bench": bench, "run": run, "capture": f"{key(mode, rate)} mean 0", "attempt": "0", "mode": mode, "rate": f"{rate:g}"}
        tags |= {"supply": "3", "model": "dnn", "role": "mean", "board": BOARDS[n]}
        for index in range(150):
            samples = 37 if index == 149 else 100
            length = samples * 1e-4
            current, volts = 1e-3 * (n + place) * (1 + index % 7), 3.0 + 0.001 * (index % 3)
            fields: dict[str, Field] = {"n": samples, "length": length, "charge": current * length, "energy": current * volts * length}
            for name, mean in (("current", current), ("voltage", volts), ("power", current * volts)):
                fields |= {name: mean, f"{name}_min": 0.5 * mean, f"{name}_max": 2.0 * mean}
            yield Point("power", tags, fields, start_ns(n) + place * 2 * 10**9 + index * 10**7)


def events(bench: str, run: str, n: int) -> Iterator[Point]:
    for index, kind in enumerate(("run_started", "capture_started", "notice", "capture_ended", "run_ended")):
        t_ns = start_ns(n) + index * 1_500_000_000
        text = f'say "{kind}", \\ {index}'
        fields: dict[str, Field] = {"text": text, "capture": key(*MODES[0]), "tags": f"{kind},always_on", "n": index, "end": t_ns // 10**6}
        yield Point("event", {"bench": bench, "run": run, "kind": kind}, fields, t_ns)


def spans(bench: str, run: str, n: int) -> Iterator[Point]:
    for place, (mode, rate) in enumerate(MODES):
        capture = f"{key(mode, rate)} mean 0"
        begin_ns = start_ns(n) + place * 2 * 10**9
        lengths = [("capture", 0, 1_493_700_000)]
        lengths += [(kind, 10**8 * turn + 10**7 * m, 10**6 * (1 + turn + m + n)) for turn in range(5) for m, kind in enumerate(PHASES)]
        for kind, after_ns, length_ns in lengths:
            t_ns = begin_ns + after_ns
            end_ms = (t_ns + length_ns) // 10**6
            fields: dict[str, Field] = {"text": f"{kind} of {capture}", "tags": f"{kind},{mode}", "length": length_ns * 1e-9, "end": end_ms}
            yield Point("span", {"bench": bench, "run": run, "kind": kind, "capture": capture}, fields, t_ns)


def kpis(bench: str, run: str, n: int) -> Iterator[Point]:
    """Of each operating point, and one of a mode and one of a pair of modes, which have no operating point."""
    shared: dict[str, Field] = {"n": 40, "provenance": "measured", "method": "mean over periods", "flags": "cold", "note": "", "final": 1}
    for place, (mode, rate) in enumerate(MODES):
        for index, (name, unit) in enumerate(FIGURES.items()):
            value = 1e-3 * (n + place + index + 1)
            tags = {"bench": bench, "board": BOARDS[n], "run": run, "plan": "sweep", "id": name, "at": key(mode, rate), "unit": unit}
            tags |= {"mode": mode, "rate": f"{rate:g}", "supply": "3", "model": "dnn"}
            fields: dict[str, Field] = {"value": value, "u": 0.01 * value, "low": 0.98 * value, "high": 1.03 * value, "rate_hz": rate}
            yield Point("kpi", tags, {**fields, "supply_v": 3.0, **shared}, start_ns(n) + 10 * place + index)
    for index, (name, at, unit) in enumerate([("fit.floor_power", "event_sleep", "W"), ("break_even", "always_on|event_sleep", "Hz")]):
        tags = {"bench": bench, "board": BOARDS[n], "run": run, "plan": "sweep", "id": name, "at": at, "unit": unit}
        yield Point("kpi", tags, {**shared, "value": 7.0 * n, "u": 0.1, "low": 6.9 * n, "high": 7.2 * n}, start_ns(n) + 100 + index)


def health(bench: str, n: int) -> Iterator[Point]:
    for turn in range(4):
        t_ns = BEGIN_NS + turn * RUN_NS
        fields: dict[str, Field] = {"in_use": turn % 2, "state": ("idle", "measuring", "paused", "measuring")[turn]}
        fields |= {
            "run": "",
            "capture": f"capture {turn}",
            "plan": "sweep",
            "energy": 0.25 * turn + n,
            "run_energy": 1.25 * turn + n,
            "queue_waiting": turn,
            "queue_paused": 0,
        }
        fields |= {"alarms": n, "guard": 1, "resident": 10**8 + turn, "free": 10**11 - turn, "descriptors": 40 + turn, "threads": 12}
        yield Point("bench", {"bench": bench}, fields | {"tasks": 30 + turn, "uptime": 10.5 * turn}, t_ns)
        for m, sink in enumerate(("influx", "mqtt")):
            waits: dict[str, Field] = {"waiting": turn + m, "waiting_bytes": 1000 * turn, "oldest": 0.5 * turn, "sent": 100 * turn + m}
            waits |= {"rejected": m, "dropped": turn, "retries": turn, "connected": m, "latency": 0.125 * (turn + m)}
            yield Point("outbox", {"bench": bench, "sink": sink}, waits, t_ns)


def start_ns(n: int) -> int:
    return BEGIN_NS + (n - 1) * RUN_NS


def key(mode: str, rate: float) -> str:
    return f"{mode}/r={rate:g}/v=3/dnn"


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Tags and fields of each measurement, as the page has them; none of those without a table, which no dashboard asks for."""
    text = PAGE.read_text("utf-8")
    found = {}
    for section in re.split(r"(?m)^## ", text)[1:]:
        name = re.match(r"`(\w+)`", section)
        assert name is not None
        tags: set[str] = {"bench"}
        fields: set[str] = set()
        for kind, table in re.findall(r"(?m)^\| (tag|field) .*\n\|[-|]+\n((?:\|.*\n?)+)", section):
            names = {one for row in table.splitlines() for one in re.findall(r"`(\w+)`", row.split("|")[1])}
            tags, fields = (tags | names, fields) if kind == "tag" else (tags, fields | names)
        tags |= set(re.findall(r"(?m)^Tag `(\w+)`", section))
        if fields:
            found[name[1]] = (tags, fields)
    return found


def _tag(value: str) -> str:
    return re.sub(r"([,= ])", r"\\\1", value)


def _field(value: Field) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value}i" if isinstance(value, int) else repr(value)
