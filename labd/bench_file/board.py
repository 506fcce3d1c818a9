"""The board file: what the device under test is, as its hardware card says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from labd.bench_file.text import amperes, hertz, volts
from labd.config.document import FileSection, Source, parse_section, read_source
from labd.config.quantity import FREQUENCY, write_quantity
from labd.config.section import Wrong
from labd.config.types import Amperes, Count, Fraction, Hertz, Name, Seconds, Text, UncertainFarads, UncertainOhms, Volts, Words
from labd.dut.dialect import DialectName

HIGHEST_CLOCK_HZ = 2**32 - 1  # the command holds no more


class Board(FileSection):
    """A board file with every quantity in SI units. `path`, `text`, `sha256`: the file it was read from."""

    kind: ClassVar[str] = "a board file"

    schema_version: Literal[1] = Field(alias="schema", description="version of this file's layout: 1")
    name: Words = Field(description="short name")
    description: Text = Field(default="", description="one sentence for the report")
    supply: Volts = Field(description="nominal supply")
    supply_min: Volts = Field(description="below this it browns out")
    supply_max: Volts = Field(description="absolute maximum at the supply pins")
    clock: Hertz = Field(description="core clock")
    clocks: tuple[Hertz, ...] = Field(
        default=(), description="core clocks that labd's firmware sets it to while it runs, where it can; left out: none but `clock`"
    )
    decoupling: UncertainFarads = Field(description="capacitance inside the boundary plane; the half width may be a percentage")
    series_resistance: UncertainOhms | None = Field(
        default=None, description="between the supply terminals and the decoupling (a supply filter); left out: none"
    )
    regulator: Text = Field(default="none", description="regulator, and on which side of the boundary plane")
    peak_current: Amperes = Field(description="the most it draws in any phase; ranges must hold it")
    sleep_current: Amperes = Field(description="an upper bound asleep; chooses the floor range")
    sleep_state: Text = Field(default="", description="what sleeps and what is retained")
    retained_memory: Text = Field(default="", description="memory that keeps its content asleep")
    wake_source: Text = Field(default="", description="what wakes it")
    firmware: Literal["labd", "mlperf-tiny"] = Field(description="labd's own firmware, or stock MLPerf Tiny firmware (always_on only)")
    dialect: DialectName = Field(
        default="mlperf-tiny", description="the protocol it speaks: the classic one, or that of the streaming-wakeword reference"
    )
    models: tuple[Name, ...] = Field(min_length=1, description="models the firmware holds")
    card: Words | None = Field(default=None, description="file of its hardware card, relative to this one")
    longest_event: Seconds = Field(
        description="from wake event to asleep again (stock firmware: one inference), at most, of any model and at any of its clocks; "
        "1 / this is the largest rate"
    )
    input_size: Count | None = Field(default=None, description="bytes of the input that stock firmware is loaded with")
    counter_limit: Fraction | None = Field(
        default=None, description="limit of error of its counter of microseconds; left out: latencies by it alone carry no interval"
    )
    virtual: Mapping[str, Any] = Field(
        default_factory=dict,
        description="only for a virtual board: its physics and which firmware runs (virtual-bench.md beside this page)",
    )

    @property
    def largest_rate_hz(self) -> float:
        return 1 / self.longest_event

    def wrong(self) -> Iterator[Wrong]:
        if not self.supply_min <= self.supply <= self.supply_max:
            span = f"supply_min {volts(self.supply_min)} to supply_max {volts(self.supply_max)}"
            yield Wrong("supply", f"expected a voltage within {span}, got {volts(self.supply)}")
        if self.sleep_current >= self.peak_current:
            yield Wrong(
                "sleep_current", f"expected less than peak_current, {amperes(self.peak_current)}, got {amperes(self.sleep_current)}"
            )
        if len(set(self.models)) < len(self.models):
            yield Wrong("models", "expected each model once")
        if self.clocks and self.firmware != "labd":
            yield Wrong("clocks", "stock firmware has no command that sets its clock; leave this key out")
        for index, hz in enumerate(self.clocks):
            if hz != round(hz) or hz > HIGHEST_CLOCK_HZ:
                got = write_quantity(hz, FREQUENCY)
                yield Wrong(f"clocks[{index}]", f"expected whole hertz up to {hertz(HIGHEST_CLOCK_HZ)}, got {got}")


def load_board(path: Path) -> Board:
    """Read a board file. Raises FileError with every problem, one line each."""
    return board_from(read_source(path))


def board_from(source: Source) -> Board:
    """The board a text describes. Raises FileError with every problem, one line each."""
    board = parse_section(source, Board)
    board._source = source
    return board
