"""The bench file: the wiring of one bench, its instruments, links, lines and limits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PrivateAttr

from labd.bench_file.board import Board, board_from
from labd.bench_file.flash import FlashSection
from labd.bench_file.instrument import LEADS, InstrumentRole, InstrumentSection
from labd.bench_file.limits import LimitsSection
from labd.bench_file.links import LineSection, LinkSection
from labd.bench_file.server import GuardSection, ServerSection, StorageSection
from labd.bench_file.trigger import MODEM_LINES, GpioSection, TriggerSection
from labd.config.document import FileSection, read_section, read_source
from labd.config.problems import did_you_mean, file_error
from labd.config.quantity import FREQUENCY, shown, write_quantity
from labd.config.section import Section, Wrong, bare_or_quoted
from labd.config.types import Amperes, Fraction, Hertz, Name, Text, UncertainAmperes, UncertainCelsius, Words
from labd.errors import FileError
from labd.grafana.section import GrafanaLiveSection
from labd.influx.section import InfluxSection
from labd.mqtt.section import MqttSection

VIRTUAL_PINS = ("TRIG", "MARK")


class FloorSection(Section):
    """Rules for captures at rate 0."""

    range: Amperes | None = Field(default=None, description="current range; left out, the lowest one that holds the board's sleep current")
    largest_u95: Fraction = Field(default=0.2, description="a range whose U95 exceeds this share of the floor is refused")


class Bench(FileSection):
    """A bench file with every quantity in SI units. `path`, `text`, `sha256`: the file it was read from; `board`: its board."""

    kind: ClassVar[str] = "a bench file"

    schema_version: Literal[1] = Field(alias="schema", description="version of this file's layout: 1")
    name: Words = Field(description="short name")
    description: Text = Field(default="", description="one sentence for the report")
    mains: Hertz = Field(description="mains frequency, 50 Hz or 60 Hz")
    ambient: UncertainCelsius = Field(description="room temperature")
    time: Literal["stepped", "real"] | None = Field(
        default=None, description="virtual benches only: stepped (as fast as possible, the default) or real"
    )
    board_file: Words = Field(alias="board", description="the board's file, relative to this one")
    fixture_leakage: UncertainAmperes | None = Field(
        default=None, description="current that flows past the board at its supply, from a test with the board removed"
    )
    limits: LimitsSection = Field(description="what the board may ever see")
    floor: FloorSection = Field(default_factory=FloorSection, description="rules for captures at rate 0")
    instruments: Mapping[Name, InstrumentSection] = Field(min_length=1, description="one table an instrument; its name is yours")
    links: Mapping[Name, LinkSection] = Field(min_length=1, description="one table a link; its name is yours")
    lines: Mapping[Name, LineSection] = Field(default_factory=dict, description="one table a line; its name is yours")
    gpio: Mapping[Name, GpioSection] = Field(default_factory=dict, description="one table a GPIO chip; its name is yours")
    trigger: TriggerSection = Field(default_factory=TriggerSection, description="how this host fires the board")
    builders: Mapping[Name, tuple[Words, ...]] = Field(
        default_factory=dict,
        description="commands that a daemon may build a search's candidates with, word by word, run in this file's folder: a use case "
        "that is sent to it names no other one",
    )
    flash: FlashSection | None = Field(default=None, description="how a search writes images to the board; left out, it writes none")
    server: ServerSection = Field(default_factory=ServerSection, description="where `labd serve` listens")
    storage: StorageSection = Field(default_factory=StorageSection, description="what the store may use of the disk")
    mqtt: MqttSection | None = Field(default=None, description="the broker to publish to; left out, none")
    grafana_live: GrafanaLiveSection | None = Field(default=None, description="the Grafana to show captures to; left out, none")
    influx: InfluxSection | None = Field(default=None, description="the InfluxDB to write to; left out, none")
    guard: GuardSection = Field(default_factory=GuardSection, description="the process that switches off when the daemon does not")

    _board: Board = PrivateAttr()

    @property
    def board(self) -> Board:
        return self._board

    @property
    def is_virtual(self) -> bool:
        """Whether every instrument that needs wires is virtual (a bench is all virtual or all real)."""
        return all(instrument.is_virtual or instrument.needs_no_wires for instrument in self.instruments.values())

    @property
    def clock(self) -> Literal["stepped", "real"]:
        """`time` with its default: stepped for a virtual bench, real for a real one."""
        return self.time or ("stepped" if self.is_virtual else "real")

    @property
    def source(self) -> str:
        """Name of the instrument that feeds the board."""
        return self.with_role("source")[0]

    @property
    def meter(self) -> str:
        """Name of the instrument that measures it."""
        return self.with_role("meter")[0]

    @property
    def cross_check(self) -> str | None:
        """Name of the instrument that confirms steady means, if there is one."""
        return next(iter(self.with_role("cross_check")), None)

    def with_role(self, role: InstrumentRole) -> list[str]:
        """Names of the instruments with a role, in the file's order."""
        return [name for name, instrument in self.instruments.items() if role in instrument.roles]

    def wrong(self) -> Iterator[Wrong]:
        if self.mains not in (50.0, 60.0):
            yield Wrong("mains", f'expected "50 Hz" or "60 Hz", got {write_quantity(self.mains, FREQUENCY)}')
        yield from self._roles()
        yield from self._sensed()
        yield from self._unwired()
        yield from self._virtual()
        yield from self._orders()
        yield from self._line_ends()
        yield from self._fired_by()

    def _roles(self) -> Iterator[Wrong]:
        for role, most in (("source", 1), ("meter", 1), ("cross_check", 1)):
            names = [name for name, instrument in self.instruments.items() if role in instrument.roles]
            if not names and role != "cross_check":
                yield Wrong("instruments", f'expected one instrument with "{role}" among its roles, got none')
            if len(names) > most:
                yield Wrong(_roles_of(names[1]), f'expected one instrument with the role "{role}", got {", ".join(names)}')
        if "board" in self.instruments:
            yield Wrong("instruments.board", "board means the device under test in [lines]; give the instrument another name")

    def _sensed(self) -> Iterator[Wrong]:
        """A two-wire source has no sense leads that could end beyond a meter; what its leads drop is missing at the board."""
        sources = [self.instruments[name] for name in self.with_role("source")]
        blind = not all(self.instruments[name].reads_power for name in self.with_role("meter"))
        for name in self.with_role("source"):
            if blind and self.instruments[name].sense == "2-wire" and self.instruments[name].lead_resistance is None:
                told = 'this key is required with sense = "2-wire": each way, between instrument and board, with its half width, such as '
                yield Wrong(f"instruments.{bare_or_quoted(name)}.lead_resistance", told + f"lead_resistance = {LEADS}")
        for name in self.with_role("meter"):
            if self.instruments[name].ammeter == "inside_sense" and any(source.sense == "2-wire" for source in sources):
                key = f"instruments.{bare_or_quoted(name)}.ammeter"
                yield Wrong(key, 'expected "outside_sense": the source has no sense leads (sense = "2-wire")')

    def _unwired(self) -> Iterator[Wrong]:
        """What has no instrument behind it feeds nothing, has no virtual stand-in, and plays in real time."""
        for name in (name for name, instrument in self.instruments.items() if instrument.needs_no_wires):
            section, key = self.instruments[name], f"instruments.{bare_or_quoted(name)}"
            if section.roles != ("meter",):
                yield Wrong(f"{key}.roles", f'{section.driver} can be the meter only: roles = ["meter"]')
            if section.virtual is not None:
                yield Wrong(f"{key}.virtual", f"{section.driver} has no instrument that could be virtual: write resource = what it plays")
            elif self.clock == "stepped":
                yield Wrong("time", f'{name} ({section.driver}) plays in real time, a stepped bench has none: write time = "real"')

    def _virtual(self) -> Iterator[Wrong]:
        wired = [name for name, instrument in self.instruments.items() if not instrument.needs_no_wires]
        real = [name for name in wired if not self.instruments[name].is_virtual]
        if real and self.time is not None:
            yield Wrong("time", f"only a virtual bench has this key, but {real[0]} is a real instrument; leave it out")
        for name in real if len(real) < len(wired) else []:
            yield Wrong(
                f"instruments.{bare_or_quoted(name)}.resource",
                "a real instrument cannot be wired to virtual ones: use virtual in all or in none",
            )
        for name, link in self.links.items():
            key = f"links.{bare_or_quoted(name)}"
            if link.virtual and len(real) == len(wired):
                yield Wrong(f"{key}.virtual", "the instruments are real, so the board is: name its port")
            if link.kind == "agent":
                if not real and self.clock == "stepped":
                    yield Wrong("time", f'the agent of {key} runs in its own time, a stepped bench does not: write time = "real"')
                continue
            if link.port is not None and not real:
                yield Wrong(f"{key}.port", "the instruments are virtual, so the board is: write virtual = true")

    def _orders(self) -> Iterator[Wrong]:
        for name in self.with_role("cross_check"):
            order = self.instruments[name].order
            meters = {*self.with_role("meter"), name}
            if order and (set(order) != meters or len(order) != len(meters)):
                yield Wrong(
                    f"instruments.{bare_or_quoted(name)}.order",
                    f"expected the meters {', '.join(sorted(meters))}, each once, from the supply to the board; got {', '.join(order)}",
                )

    def _line_ends(self) -> Iterator[Wrong]:
        owners = ["board", *self.instruments]
        for name, line in self.lines.items():
            for key, end in (("from", line.start), ("to", line.end)):
                owner = end.partition(".")[0]
                where = f"lines.{bare_or_quoted(name)}.{key}"
                if owner not in owners:
                    yield Wrong(where, f"no instrument {shown(owner)} on this bench{did_you_mean(owner, owners)}")
                elif owner == "board" and self.is_virtual and (pin := end.partition(".")[2]) not in VIRTUAL_PINS:
                    near = did_you_mean(pin, VIRTUAL_PINS)
                    yield Wrong(where, f"expected a pin of a virtual board, {' or '.join(VIRTUAL_PINS)}, got {shown(pin)}{near}")
                elif owner != "board":
                    option, does = ("fire_line", "fires") if line.into_board else ("trigger_line", "listens to")
                    numbered = re.fullmatch(r"line\d+", end.partition(".")[2])  # some are named by what they do
                    if numbered and (wired := self._digital_line(owner, option)) and end != wired:
                        told = f"the line that options.{option} of instruments.{bare_or_quoted(owner)} {does}"
                        yield Wrong(where, f"expected {shown(wired)}, {told}, got {shown(end)}")

    def _digital_line(self, instrument: str, option: str) -> str:
        """The one that an instrument's option names, as lines name it; empty where it names none."""
        number = self.instruments[instrument].options.get(option)
        return f"{instrument}.line{number}" if isinstance(number, int) else ""

    def _driven_once(self) -> Iterator[Wrong]:
        driven: dict[str, str] = {}
        for pin, by, key in self._outputs():
            if (other := driven.setdefault(pin, by)) != by:
                yield Wrong(f"{by}.{key}", f"{shown(pin)} is driven by {other} already: two outputs on one wire harm each other")

    def _outputs(self) -> Iterator[tuple[str, str, str]]:
        """Every pin of the board that the bench drives, the table that says so, and its key of the pin."""
        for name, line in self.lines.items():
            if line.into_board:
                yield line.end.removeprefix("board."), f"lines.{bare_or_quoted(name)}", "to"
        for table, chip in self.gpio.items():
            for index, wire in enumerate(chip.lines):
                if wire.direction == "out":
                    yield wire.pin, f"gpio.{bare_or_quoted(table)}.lines[{index}]", "pin"

    def _fired_by(self) -> Iterator[Wrong]:
        """A virtual board has neither GPIO nor modem lines of this host at its pins."""
        yield from self._driven_once()
        if self.is_virtual and self.gpio:
            yield Wrong(f"gpio.{bare_or_quoted(next(iter(self.gpio)))}", "the instruments are virtual, so the board is: no GPIO ends at it")
        elif self.is_virtual and self.trigger.by != "uart":
            yield Wrong("trigger.by", f'expected "uart", got "{self.trigger.by}": the instruments are virtual, so the board is')
        elif self.trigger.by in MODEM_LINES and any(link.wired and link.isolation == "none" for link in self.links.values()):
            yield Wrong(
                "trigger.by",
                f"{self.trigger.by.upper()} cannot float and would feed the board through its pin while its supply is off: put an "
                "isolator, or a level shifter that lets go then, between, and say so in isolation of the link",
            )
        if not self.is_virtual:
            yield from self._no_such_pin("trigger.gpio", self.trigger.gpio, "out")
            yield from self._no_such_pin("trigger.seen", self.trigger.seen, "in")

    def _no_such_pin(self, key: str, named: str | None, direction: Literal["out", "in"]) -> Iterator[Wrong]:
        if named is None:
            return
        table, _, pin = named.partition(".")
        if table not in self.gpio:
            yield Wrong(key, f"no table gpio.{bare_or_quoted(table)}{did_you_mean(table, self.gpio)}")
        elif pin not in (pins := self.gpio[table].pins(direction)):
            does = "drives" if direction == "out" else "reads"
            yield Wrong(key, f"{bare_or_quoted(table)} {does} no pin {shown(pin)}{did_you_mean(pin, pins)}")


def read_bench(path: Path) -> Bench:
    """Read a bench file and the board file it names. Raises FileError with every problem of the first file that is wrong, one line each."""
    bench, source = read_section(path, Bench)
    bench._source = source
    bench._board = _board_of(bench)
    return bench


def _board_of(bench: Bench) -> Board:
    """A board file that cannot be read is a mistake in the bench file, which names it."""
    try:
        source = read_source(Path(os.path.normpath(bench.path.parent / bench.board_file)))
    except FileError as error:
        raise file_error(str(bench.path), [Wrong("board", f"the board's file {error}")]) from error
    return board_from(source)


def _roles_of(name: str) -> str:
    return f"instruments.{bare_or_quoted(name)}.roles"
