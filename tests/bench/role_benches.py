"""Benches made of any drivers in any roles, out of what their own tests say of their wiring (`WIRED`): there is no list of drivers here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labd_instruments import loader
from tests.bench.whole_run import FIXTURES, Watch, Whole, changed, whole_run
from tests.instruments.asked import wired, with_personas

GAIN, OF_RANGE = "0.03 %", "0.01 %"  # of every range of every instrument, by a certificate: the specimens are drawn from the same limits
UNITS = {"current": "A", "voltage": "V", "power": "W"}
OPEN_V = 5.0  # the step of a 2450's over-voltage protection above what a board is allowed
PLAN = {
    "modes": '["event_sleep"]',
    "rates": '["0 /s", "20 /s"]',
    "events": "6",
    "floor_time": '"500 ms"',
    "event_captures": "4",
    "cross_check_time": '"2 s"',
}
HEAD = """\
schema = 1
name = "roles"
mains = "50 Hz"
ambient = "23 degC +- 1 K"
time = "stepped"
board = "../boards/virtual-m4.toml"
fixture_leakage = "0 nA +- 1 nA"

[limits]
voltage = "{most_v:g} V"
open_lead_voltage = "{open_v:g} V"
current = "{most_a:g} A"
power = "{most_w:g} W"
inrush = "{inrush_a:g} A"
inrush_time = "5 ms"
on_time = "4 h"
off_voltage = "0.1 V"
off_time = "2 s"
off_mode = "{off_mode}"

[floor]
largest_u95 = "20 %"

[links.uart]
kind = "serial"
virtual = true
baud = 115200
io_level = "3.0 V"
isolation = "none"
tx_idle = "high_z"
"""


@dataclass(frozen=True, slots=True)
class Seat:
    """One instrument of a bench. options: beside those of its `WIRED`. wires: in place of those. more: further lines of its table.
    tables: ranges, beside those of its `WIRED`, that its certificate names. senses: at the board, where its `WIRED` lets it."""

    name: str
    driver: str
    roles: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    wires: Mapping[str, str] | None = None
    more: str = ""
    tables: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    senses: bool = True


def feeding() -> list[str]:
    """Drivers that can feed a board, by name."""
    return [driver for driver in with_personas() if "source" in loader.info(driver).roles]


def measuring_only() -> list[str]:
    """Drivers that never feed anything, by name."""
    return [driver for driver in with_personas() if "source" not in loader.info(driver).roles]


def triggers(driver: str) -> bool:
    """Whether it captures around a trigger with which it fires the board."""
    return "Captures" in loader.info(driver).capabilities and "TRIG" in wired(driver).wires.values()


def alone(driver: str, *, senses: bool = True, **options: object) -> tuple[Seat, ...]:
    """One instrument that feeds and measures. A certificate tells its voltage where it measures none."""
    tables = {} if "voltage" in wired(driver).tables else {"voltage": (wired(driver).voltage_range_v,)}
    return (Seat("smu", driver, ("source", "meter"), options, tables=tables, senses=senses),)


def beside(driver: str, source: str, *, more: str = "", **options: object) -> tuple[Seat, ...]:
    """A meter beside the instrument that feeds the board."""
    return (Seat("supply", source, ("source",), wires={}), Seat("meter", driver, ("meter",), options, more=more))


def run_of(folder: Path, seats: tuple[Seat, ...], *, watch: Watch | None = None, **plan: str) -> Whole:
    """A whole run of two operating points. plan: what differs in its file, as it is written there."""
    return whole_run(folder, bench_file(folder, seats), plan_file(folder, **plan), watch or Watch(folder / "truth.jsonl"))


def bench_file(folder: Path, seats: tuple[Seat, ...]) -> Path:
    """The file of a bench, with the boards that it may name."""
    sinks = all(wired(seat.driver).sinks for seat in seats if "source" in seat.roles)
    most_v, inrush_a = (min(most) for most in zip(*(wired(seat.driver).most for seat in seats if "source" in seat.roles), strict=True))
    limits = {"most_v": most_v, "open_v": max(most_v, OPEN_V), "most_a": 0.75 * inrush_a, "most_w": 2.5 * inrush_a, "inrush_a": inrush_a}
    text = HEAD.format(off_mode="sinking" if sinks else "floating", **limits) + "".join(map(_tables, seats))
    return changed(folder, "benches", "demo", lambda _demo: text)


def plan_file(folder: Path, **keys: str) -> Path:
    """A plan of two operating points. keys: what differs, as it is written."""
    lines = (FIXTURES / "plans/demo.toml").read_text(encoding="utf-8").splitlines()
    for key, value in (PLAN | keys).items():
        there = [line.partition(" = ")[0] for line in lines]
        if key in there:
            lines[there.index(key)] = f"{key} = {value}"
        else:
            lines.insert(there.index("floor_time"), f"{key} = {value}")
    return changed(folder, "plans", "demo", lambda _demo: "\n".join(lines) + "\n")


def _tables(seat: Seat) -> str:
    how = wired(seat.driver)
    # its time-out is that of a driver alone on its persona; a whole bench answers later
    options = {key: value for key, value in {**how.options, **seat.options}.items() if key != "timeout_s"}
    written = ", ".join(f"{key} = {_toml(value)}" for key, value in options.items())
    roles = ", ".join(f'"{role}"' for role in seat.roles)
    out = [f"\n[instruments.{seat.name}]", f'driver = "{seat.driver}"', f'virtual = "{seat.driver}"', f"roles = [{roles}]"]
    out += [f"options = {{ {written} }}", "calibrated = 2026-06-01", "calibration_due = 2027-06-01", 'warm = "2 h"']
    if "source" in seat.roles:
        out += [f'sense = "{4 if how.senses and seat.senses else 2}-wire"', 'source_resistance = "5 mohm +- 5 mohm"']
        out.append('lead_resistance = "30 mohm +- 5 mohm"')
    if "meter" in seat.roles:
        out.append('trigger_latency = "0 s"')
    if seat.roles == ("meter",) and "inside_sense" not in seat.more:
        out.append('lead_resistance = "0 ohm +- 5 mohm"')  # a virtual meter has none
    if "source" not in seat.roles and not how.ammeter and "shunt" not in seat.more:
        out.append('shunt = "10 mohm"')  # nor a burden
    if loader.needs_leave(seat.driver):
        out.append("allow_experimental = true")
    out += [line for line in seat.more.splitlines() if line]
    for quantity, ranges in (*how.tables.items(), *seat.tables.items()):
        for full_scale in ranges:
            unit = UNITS[quantity]
            out += [f"\n[[instruments.{seat.name}.accuracy]]", f'quantity = "{quantity}"', f'range = "{full_scale:.9g} {unit}"']
            out += [f'gain = "{GAIN}"', f'offset = "0 {unit}"', f'of_range = "{OF_RANGE}"', 'source = "virtual certificate"']
    out += [f"\n[instruments.{seat.name}.timebase]", 'limit = "50 ppm"', 'source = "virtual certificate"']
    return "\n".join([*out, *_lines(seat, how.wires if seat.wires is None else seat.wires)]) + "\n"


def _lines(seat: Seat, wires: Mapping[str, str]) -> list[str]:
    out = []
    for pin, terminal in {pin: terminal for terminal, pin in wires.items()}.items():  # a pin of the board is wired once
        ends = (f"board.{pin}", f"{seat.name}.{terminal}") if pin == "MARK" else (f"{seat.name}.{terminal}", f"board.{pin}")
        out += [f"\n[lines.{seat.name}_{terminal}]", f'from = "{ends[0]}"', f'to = "{ends[1]}"', 'level = "3.0 V"']
        out.append('isolation = "level_shifter"')
    return out


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
