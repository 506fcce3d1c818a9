"""Estimates of simulators: MAESTRO, Timeloop, Aladdin and SMAUG. Each figure is `estimated`; none of them tells an uncertainty.

They count cycles: a latency needs the clock of the design, which their files do not have (`--clock`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labd.errors import FileError
from labd.interchange.energyrunner import json_of
from labd.interchange.foreign import Added, Foreign, ForeignFigure, number, text_of
from labd.interchange.table import rows_of
from labd.records import Provenance

MAESTRO = ("Neural Network Name", "Layer Number", "Runtime (Cycles)", "Activity count-based Energy (nJ)")
CSV_NAMES = {"cycles": ("cycles", "Cycles"), "macs": ("macs", "computes", "MACs", "Computes")}
CSV_ENERGY = {"energy_pJ": 1e-12, "energy (pJ)": 1e-12, "Energy (pJ)": 1e-12, "energy_nJ": 1e-9, "energy_uJ": 1e-6, "Energy (uJ)": 1e-6}
ENERGY = "energy_per_inference"
BLOCK = "Aladdin Results"
_ALADDIN = re.compile(r"^\s*([A-Za-z][\w /()-]*?)\s*:\s*(.+?)\s*$")
_SECONDS = re.compile(r"^(?:sim_seconds|simSeconds)\s+(\S+)")
_TIMELOOP = {
    "cycles": re.compile(r"^Cycles:\s*(\S+)"),
    "energy_uj": re.compile(r"^Energy:\s*(\S+) uJ"),
    "topology_pj": re.compile(r"^Total topology energy:\s*(\S+) pJ"),
    "computes": re.compile(r"^(?:Actual )?Computes\s*=\s*(\S+)"),
}


@dataclass(frozen=True, slots=True)
class _About:
    """What all estimates of one net have."""

    source: str
    model: str
    scope: str
    conditions: str
    clock_hz: float | None

    def estimate(self, kpi: str, value: float, unit: str) -> ForeignFigure:
        return ForeignFigure(
            kpi,
            value,
            unit,
            self.source,
            Provenance.ESTIMATED,
            scope=self.scope,
            model=self.model,
            batch=1,
            clock_hz=self.clock_hz,
            conditions=self.conditions,
        )


@dataclass(slots=True)
class _Sum:
    """Layers of one net added up. counted: each of them tells its MACs."""

    energy_j: float = 0.0
    cycles: float = 0.0
    macs: float = 0.0
    layers: int = 0
    counted: bool = True
    sources: dict[str, None] = field(default_factory=dict)

    def add(self, *, energy_j: float, cycles: float, macs: float | None, source: str) -> None:
        self.energy_j += energy_j
        self.cycles += cycles
        self.macs += macs or 0.0
        self.counted = self.counted and macs is not None
        self.layers += 1
        self.sources[source] = None

    def figures(self, model: str, asked: Added, *, scope: str) -> list[ForeignFigure]:
        said = f"{self.layers} layer{'s' if self.layers > 1 else ''} added up, {self.cycles:.10g} cycles"
        about = _About(", ".join(self.sources), asked.model or model, scope, said, asked.clock_hz)
        made = [about.estimate(ENERGY, self.energy_j, "J")]
        if asked.clock_hz is not None and self.cycles > 0:
            made.append(about.estimate("latency", self.cycles / asked.clock_hz, "s"))
        if self.counted and self.macs > 0:
            made.append(about.estimate("model.macs", self.macs, "1"))
        return made


def read_maestro(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """MAESTRO's CSV, one line a layer (maestro-project/maestro, lib/include/DSE_csv-writer; tools/jupyter_notebook/data). Its energy counts
    activity, in the nJ of its header. Raises FileError."""
    nets: dict[str, _Sum] = {}
    for file, data in files.items():
        for row in rows_of(text_of(file, data), file=file, columns=MAESTRO):
            net = row.text(MAESTRO[0])
            nets.setdefault(net, _Sum()).add(
                energy_j=row.needed(MAESTRO[3]) * 1e-9, cycles=row.needed(MAESTRO[2]), macs=row.number("Num MACs"), source=file
            )
    found = [one for net, total in nets.items() for one in total.figures(net, asked, scope="accelerator, activity counts")]
    return (Foreign(asked.name or "MAESTRO estimate", tuple(found), source="MAESTRO", facts={"origin": "simulation"}),)


def read_timeloop(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """`timeloop-*.stats.txt`, or JSON or CSV with cycles and energy as scripts that parse it write them (keys `cycles`, `energy_pJ`,
    `macs`); one file or line a layer, added up. Raises FileError."""
    total = _Sum()
    for file, data in files.items():
        text = text_of(file, data)
        if file.endswith(".json"):
            document = json_of(file, text)
            for k, one in enumerate(document if isinstance(document, list) else [document]):
                _timeloop_json(total, one, file=file, at=f"[{k}]." if isinstance(document, list) else "")
        elif file.endswith(".csv"):
            _timeloop_csv(total, text, file=file)
        else:
            _timeloop_stats(total, text, file=file)
    found = total.figures("", asked, scope="accelerator")
    return (Foreign(asked.name or "Timeloop estimate", tuple(found), source="Timeloop", facts={"origin": "simulation"}),)


def _timeloop_stats(total: _Sum, text: str, *, file: str) -> None:
    said: dict[str, float] = {}
    for k, line in enumerate(text.splitlines(), start=1):
        for name, pattern in _TIMELOOP.items():
            if found := pattern.match(line):
                said[name] = number(found[1], file=file, key=f"line {k}")
    for name, meant in (("cycles", "Cycles: 64"), ("energy_uj", "Energy: 0.07 uJ")):
        if name not in said and not (name == "energy_uj" and "topology_pj" in said):
            raise FileError(file, "Summary Stats", f"expected a line such as {meant!r}, got none; is this timeloop-model.stats.txt?")
    # the summary rounds to 10 nJ, the sum over the topology to 10 fJ
    energy = said["topology_pj"] * 1e-12 if "topology_pj" in said else said["energy_uj"] * 1e-6
    total.add(energy_j=energy, cycles=said["cycles"], macs=said.get("computes"), source=file)


def _timeloop_json(total: _Sum, one: Any, *, file: str, at: str) -> None:
    if not isinstance(one, dict):
        raise FileError(file, at.rstrip("."), "expected an object with cycles and energy_pJ")
    energy = next((name for name in CSV_ENERGY if name in one), None)
    if energy is None or "cycles" not in one:
        missing = "cycles" if energy else "energy_pJ"
        raise FileError(file, f"{at}{missing}", f"this key is required; there is {', '.join(list(one)[:8]) or 'none'}")
    macs = number(one["macs"], file=file, key=f"{at}macs") if "macs" in one else None
    joules = number(one[energy], file=file, key=f"{at}{energy}") * CSV_ENERGY[energy]
    total.add(energy_j=joules, cycles=number(one["cycles"], file=file, key=f"{at}cycles"), macs=macs, source=file)


def _timeloop_csv(total: _Sum, text: str, *, file: str) -> None:
    head = next((line for line in text.splitlines() if line.strip()), "")
    names = {cell.strip().strip('"') for cell in head.split(",")}
    energy = next((name for name in CSV_ENERGY if name in names), "energy_pJ")
    cycles, macs = (next((name for name in CSV_NAMES[kind] if name in names), kind) for kind in ("cycles", "macs"))
    for row in rows_of(text, file=file, columns=(energy, cycles)):
        total.add(energy_j=row.needed(energy) * CSV_ENERGY[energy], cycles=row.needed(cycles), macs=row.number(macs), source=file)


def read_aladdin(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """Summaries of Aladdin, one or more blocks between `Aladdin Results`, as it (`BaseDatapath::writeSummary`) and SMAUG (its tutorial in
    harvard-acc/smaug) print them; and gem5's stats.txt of SMAUG, whose sim_seconds are the time of the whole. Energy needs the clock: mean
    power over cycles. Raises FileError."""
    blocks: list[dict[str, tuple[str, str, int]]] = []
    seconds: list[float] = []
    for file, data in files.items():
        text = text_of(file, data)
        blocks += _blocks(text, file)
        seconds += [
            number(m[1], file=file, key=f"line {k}") for k, line in enumerate(text.splitlines(), start=1) if (m := _SECONDS.match(line))
        ]
    source = ", ".join(files)
    if not blocks and not seconds:
        raise FileError(source, "", f"expected blocks headed {BLOCK!r}, or sim_seconds of gem5's stats.txt, got neither")
    found = _aladdin_figures(blocks, source, asked) if blocks else []
    if seconds:
        about = _About(source, asked.model, "system", "sim_seconds of gem5, host software and accelerator", asked.clock_hz)
        found = [*(one for one in found if one.id != "latency"), about.estimate("latency", sum(seconds), "s")]
    return (Foreign(asked.name or "Aladdin estimate", tuple(found), source="Aladdin, SMAUG", facts={"origin": "simulation"}),)


def _blocks(text: str, file: str) -> list[dict[str, tuple[str, str, int]]]:
    """Value, file and line by key, of each block; a block ends where its title stands again."""
    found: list[dict[str, tuple[str, str, int]]] = []
    inside = False
    for k, line in enumerate(text.splitlines(), start=1):
        if line.strip() == BLOCK:
            inside = not inside
            if inside:
                found.append({})
        elif inside and (m := _ALADDIN.match(line)):
            found[-1][m[1]] = (m[2], file, k)
    return found


def _aladdin_figures(blocks: list[dict[str, tuple[str, str, int]]], source: str, asked: Added) -> list[ForeignFigure]:
    cycles = [_of(block, "Cycle", "cycles", k, source) for k, block in enumerate(blocks)]
    power = [_of(block, "Avg Power", "mW", k, source) * 1e-3 for k, block in enumerate(blocks)]
    total = sum(cycles)
    if total <= 0:
        raise FileError(source, "Cycle", f"expected more than 0 cycles, got {total:g}")
    said = f"{len(blocks)} invocation{'s' if len(blocks) > 1 else ''} of the accelerator, {total:.10g} cycles"
    work = sum(c * p for c, p in zip(cycles, power, strict=True))  # W times cycles
    about = _About(source, asked.model, "accelerator, while it works", said, asked.clock_hz)
    found = [about.estimate("power.mean", work / total, "W")]
    if asked.clock_hz is not None:
        found.append(about.estimate(ENERGY, work / asked.clock_hz, "J"))
        found.append(about.estimate("latency", total / asked.clock_hz, "s"))
    return found


def _of(block: Mapping[str, tuple[str, str, int]], key: str, unit: str, k: int, source: str) -> float:
    if key not in block:
        raise FileError(source, f"block {k + 1}", f"expected a line {key!r} in {unit}, got none")
    text, file, line = block[key]
    value, _, said = text.partition(" ")
    if said.strip() != unit:
        raise FileError(file, f"line {line}", f"expected {key} in {unit}, got {text[:40]!r}")
    return number(value, file=file, key=f"line {line}, {key}")
