"""A bench file of virtual instruments as the spec that a virtual bench starts from, as plain data."""

from __future__ import annotations

from typing import Any

from labd.bench_file.bench import Bench
from labd.bench_file.instrument import InstrumentSection
from labd.errors import FileError
from labd.resources import path as resource

FOLLOWED_S = 0.1  # a device in its own time is shown this much later, so that a busy host moves no edge


def spec(bench: Bench, *, seed: int = 1) -> dict[str, Any]:
    """The JSON object of labd_virtual/spec.py. Board physics: the board file's facts, then its `[virtual]` table, but for that table's
    `firmware_target`, `firmware_program`, `firmware_energy_mode`, `firmware_delay_s` and `firmware_pins_socket`."""
    board = bench.board
    physics: dict[str, Any] = {
        "supply_min_v": board.supply_min,
        "power_on_v": min(board.supply_min * 1.09, board.supply),
        "supply_max_v": board.supply_max,
        "capacitance_f": board.decoupling.value,
        "series_ohm": board.series_resistance.value if board.series_resistance else 0.0,
        "clock_hz": board.clock,
        "ambient_c": bench.ambient.value,
    }
    own = dict(board.virtual)
    firmware = _firmware(bench, own)
    link = next(iter(bench.links.values()))
    io_level_v = link.io_level or max((line.level for line in bench.lines.values()), default=board.supply)
    return {
        "seed": own.pop("seed", seed),
        "time": bench.clock,
        "mains_hz": bench.mains,
        "board": physics | {"io_level_v": io_level_v} | own.pop("physics", {}) | own,
        "instruments": {name: _instrument(bench, section) for name, section in bench.instruments.items() if section.is_virtual},
        "supply": bench.source,
        "wires": _wires(bench),
        "uart": {"baud": link.baud, "io_level_v": io_level_v, "driven": link.tx_idle == "driven"},
        "firmware": firmware,
    }


def at_fault(bench: Bench, key: str, text: str) -> FileError:
    """What the virtual bench refused of its spec, by the file and the key that it comes from. key: its path in the spec."""
    first, _, rest = key.partition(".")
    board, told = str(bench.board.path), f"{text} (docs/reference/virtual-bench.md lists them)"
    if first == "firmware":
        return FileError(board, f"virtual.firmware_{rest}", told)
    if first == "board":
        physics = dict(bench.board.virtual).get("physics", {})
        return FileError(board, f"virtual.{'physics.' if rest in physics else ''}{rest}", told)
    if first == "seed":
        return FileError(board, "virtual.seed", told)
    if first == "instruments":
        return FileError(str(bench.path), key.replace(".persona", ".virtual"), text)
    return FileError(str(bench.path), key, text)


def _firmware(bench: Bench, own: dict[str, Any]) -> dict[str, Any]:
    """What runs on the board, of the keys `firmware_*`: labd's own, without its extensions on a stock board; or whoever tells what it does
    over a unix socket, as an agent does."""
    given = {
        key: own.pop(f"firmware_{key}")
        for key in ("target", "energy_mode", "delay_s", "pins_socket", "program")
        if f"firmware_{key}" in own
    }
    if "program" in given:
        given["program"] = str(bench.board.path.parent / str(given["program"]))
    if "pins_socket" in given:
        # an instrument that fires the board sees what follows it at once, or every wake-up would be late
        fired = any(line.into_board for line in bench.lines.values())
        path = str(bench.board.path.parent / str(given["pins_socket"]))
        return {"delay_s": 0.0 if fired else FOLLOWED_S} | given | {"pins_socket": path}
    runs_elsewhere = any(link.kind == "agent" for link in bench.links.values())
    folder = "" if runs_elsewhere else str(resource("firmware"))
    return {"dir": folder, "stock": bench.board.firmware != "labd"} | given


def _instrument(bench: Bench, section: InstrumentSection) -> dict[str, Any]:
    leakage = bench.fixture_leakage
    return {
        "persona": section.virtual,
        "options": dict(section.options),
        "accuracy": [
            {"quantity": row.quantity, "range": row.full_scale, "gain": row.gain, "offset": row.offset} for row in section.accuracy_rows()
        ],
        "timebase": section.timebase.limit if section.timebase else 0.0,
        "lead_ohm": section.lead_resistance.value if section.lead_resistance else 0.0,
        "line_delay_s": section.trigger_latency or 0.0,
        "fixture_leakage_a": leakage.value if leakage else 0.0,
    }


def _wires(bench: Bench) -> dict[str, str]:
    """Terminal to board pin, whichever way the signal goes."""
    wires = {}
    for line in bench.lines.values():
        ends = (line.start, line.end) if line.end.startswith("board.") else (line.end, line.start)
        wires[ends[0]] = ends[1].removeprefix("board.")
    return wires
