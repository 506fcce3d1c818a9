"""What the parts of the Keithley 2600B driver share: its options, its models, its accuracy tables and its link.

These instruments run Lua (TSP): a line is executed as it comes, and only what is printed is answered. Sources of the commands:

[F] Series 2600B Reference Manual, 2600BS-901-01 Rev. F (August 2021); [C], [B] its Rev. C (August 2016) and Rev. B (May 2013);
[A] Series 2600A Reference Manual, 2600AS-901-01 Rev. B (September 2008), where no page of the B was at hand;
[Q] QCoDeS, `_Keithley_2600.py`; [P] pymeasure, `keithley2600.py`; [T] `TKeithley2600Channel`, a published Pascal driver;
[S] SPEC-2602B Rev. B (February 2014); [D] Series 2600B datasheet, page 10 (2601B, 2602B, 2604B).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from labd_instruments import scpi
from labd_instruments.accuracy import AccuracyRow, AccuracyTable, DeratingRow, Quantity
from labd_instruments.checks import same
from labd_instruments.contract import SourceLimits
from labd_instruments.errors import LinkTimeoutError, OutOfRangeError, ReadBackError, ReplyError
from labd_instruments.links.link import Link
from labd_instruments.options import option

NPLC_RANGE = (0.001, 25.0)  # [F] p. 2-50
SOURCE_SPAN = 1.01  # [F] p. 2-44: full scale of a source range, in ranges
MEASURE_SPAN = 1.02  # [F] p. 2-44: full scale of a measure range
LOWEST_LIMIT_A = {"260": 10e-9, "261": 10e-9, "263": 100e-12}  # [F] p. 9-244
TO_RESTORE = 1e-9  # of a setting that was sent with 9 digits and is printed with 16


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    channel: str = option("a", "channel that feeds the DUT", choices=("a", "b"))
    fire_line: int | None = option(None, "digital I/O line wired to the DUT's trigger input (5 V logic: mind its level)", low=1, high=14)
    trigger_line: int | None = option(None, "digital I/O line on which the DUT marks an event", low=1, high=14)
    trigger_edge: str = option("rising", "edge of trigger_line", choices=("rising", "falling", "either"))
    measure_voltage: bool = option(True, "fill the voltage column of captures (halves the aperture of each sample)")
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=1.0, high=10.0)


@dataclass(frozen=True, slots=True)
class Model:
    """One model. low_v, high_a: up to which source range the largest current may flow, and what may flow on the highest range."""

    name: str
    channels: str
    has_lines: bool
    voltage_ranges_v: tuple[float, ...]
    current_ranges_a: tuple[float, ...]
    low_v: float
    high_range_a: float

    @property
    def limits(self) -> SourceLimits:
        return SourceLimits(self.voltage_ranges_v[-1], self.current_ranges_a[-1])


_DECADES_A = (100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1.0)
_LOW_DECADES_A = (1e-9, 10e-9)


def model_named(name: str) -> Model | None:
    """The model behind an identity's model field, None for what is no 2600B of this driver. Ranges: [F] p. 2-44, [Q]."""
    match = re.fullmatch(r"26(0[124]|1[124]|3[456])B", name.upper())
    if match is None:
        return None
    family, last = match[1][0], match[1][1]
    channels = "a" if name.upper()[:5] in ("2601B", "2611B", "2635B") else "ab"
    has_lines = last != "4"  # [F] p. 9-62: not on the 2604B, 2614B and 2634B
    if family == "0":
        # [A] p. 6-3: with the 40 V source range, the highest current range is 1 A
        return Model(name.upper(), channels, has_lines, (0.1, 1.0, 6.0, 40.0), (*_DECADES_A, 3.0), 6.0, 1.0)
    ranges_a = (*_DECADES_A, 1.5) if family == "1" else (*_LOW_DECADES_A, *_DECADES_A, 1.5)
    # [A] p. 6-3: with the 200 V source range, the highest current range is 100 mA
    return Model(name.upper(), channels, has_lines, (0.2, 2.0, 20.0, 200.0), ranges_a, 20.0, 0.1)


# [D]: full scale, percent of reading, offset
_CURRENT = (
    (100e-9, 0.05, 100e-12),
    (1e-6, 0.025, 500e-12),
    (10e-6, 0.025, 1.5e-9),
    (100e-6, 0.02, 25e-9),
    (1e-3, 0.02, 200e-9),
    (10e-3, 0.02, 2.5e-6),
    (100e-3, 0.02, 20e-6),
    (1.0, 0.03, 1.5e-3),
    (3.0, 0.05, 3.5e-3),
)
_VOLTAGE = ((0.1, 0.015, 150e-6), (1.0, 0.015, 200e-6), (6.0, 0.015, 1e-3), (40.0, 0.015, 8e-3))
# [D] note 2: PLC, then percent of range on 100 mV; 1 to 40 V; 100 nA; 1 uA to 100 mA; 1 to 3 A
_DERATING_PLC = ((0.1, 0.01, 0.01, 0.01, 0.01, 0.01), (0.01, 0.08, 0.07, 0.1, 0.05, 0.05), (0.001, 0.8, 0.6, 1.0, 0.5, 1.1))
_DERATED: tuple[tuple[Quantity, float, float], ...] = (
    ("voltage", 0.1, 0.1),
    ("voltage", 1.0, 40.0),
    ("current", 100e-9, 100e-9),
    ("current", 1e-6, 100e-3),
    ("current", 1.0, 3.0),
)
_ROW_SOURCE = "Series 2600B datasheet p. 10, 1 year, 23 Cel +- 5 K, normal mode"
_DERATING_SOURCE = "Series 2600B datasheet p. 10, note 2"


def accuracy_of(model: Model, line_hz: float) -> AccuracyTable:
    """The datasheet's rows at this mains frequency (apertures there are in line cycles); none for the 261xB and 263xB, whose page was
    not at hand."""
    if not model.name.startswith("260"):
        return AccuracyTable()
    cycle_s = 1.0 / line_hz
    tables: tuple[tuple[Quantity, tuple[tuple[float, float, float], ...]], ...] = (("current", _CURRENT), ("voltage", _VOLTAGE))
    rows = tuple(AccuracyRow(q, fs, pct / 100, off, cycle_s, _ROW_SOURCE, 0.15) for q, table in tables for fs, pct, off in table)
    derating = tuple(
        DeratingRow(quantity, low, high, plc * cycle_s, percents[k] / 100, f"{_DERATING_SOURCE}, {plc:g} PLC")
        for plc, *percents in _DERATING_PLC
        for k, (quantity, low, high) in enumerate(_DERATED)
    )
    return AccuracyTable(rows, derating, 100e-6, "SPEC-2602B Rev. B p. 11, timestamp accuracy")


UNKNOWN = Model("2600B", "ab", True, (0.1, 1.0, 6.0, 40.0), (*_DECADES_A, 3.0), 6.0, 1.0)
"""Until an instrument has said what it is."""


@dataclass(slots=True)
class Smu:
    """One channel as the parts of its driver see it. model, line_hz: as `identify` found them."""

    name: str
    link: Link
    options: Options
    model: Model = UNKNOWN
    line_hz: float = 50.0

    @property
    def node(self) -> str:
        return f"smu{self.options.channel}"

    @property
    def bit(self) -> int:
        """Of this channel in a summary register: [F] p. 9-325, 9-327."""
        return 2 if self.options.channel == "a" else 4

    @property
    def timer(self) -> str:
        """The timers are the whole instrument's: each channel uses one of its own."""
        return f"trigger.timer[{1 if self.options.channel == 'a' else 2}]"

    def write(self, line: str) -> None:
        self.link.write(line)

    def call(self, function: str) -> None:
        self.link.write(f"{self.node}.{function}")

    def check_errors(self, doing: str) -> None:
        """Read the error queue to its end: code, text, severity and node, with tabs between ([B] p. 7-83)."""
        entries: list[tuple[int, str]] = []
        for _ in range(scpi.QUEUE_LIMIT):
            fields = self.link.query("print(errorqueue.next())").split("\t")
            code = _integer(fields[0], f"{self.name}: an error code")
            if code == 0:
                scpi.raise_errors(tuple(entries), self.name, doing)
                return
            entries.append((code, fields[1].strip() if len(fields) > 1 else ""))
        raise ReplyError(f"{self.name}: the error queue did not end after {scpi.QUEUE_LIMIT} entries, the last is {entries[-1]}")

    def ask(self, expression: str, what: str, count: int = 1) -> tuple[str, ...]:
        """What `print` answers, one word a value. Raises ReplyError, LinkTimeoutError, RefusedError when it refuses."""
        line = f"print({expression})"
        try:
            reply = self.link.query(line)
        except LinkTimeoutError as silence:
            self._explain(silence, what)
            raise
        words = tuple(word.strip() for word in reply.split("\t"))
        if len(words) != count:
            raise ReplyError(f"{self.name}: {what} is {count} values, got {reply!r}")
        return words

    def _explain(self, silence: Exception, what: str) -> None:
        """A line that fails answers nothing: the queue holds why. Raises RefusedError then."""
        try:
            self.check_errors(what)
        except LinkTimeoutError:
            raise silence from None

    def number(self, expression: str, what: str) -> float:
        return scpi.value(self.ask(expression, what)[0], f"{self.name}: {what}")

    def true(self, expression: str, what: str) -> bool:
        """A Lua boolean: printed as words, not as 0 and 1 ([F] p. 9-240)."""
        word = self.ask(expression, what)[0]
        if word not in ("true", "false"):
            raise ReplyError(f"{self.name}: {what} is true or false, got {word!r}")
        return word == "true"

    def set(self, attribute: str, value: float, what: str, *, tolerance: float = TO_RESTORE) -> float:
        """Write a number to an attribute of the channel and read it back. Raises ReadBackError."""
        self.write(f"{self.node}.{attribute} = {scpi.number(value)}")
        got = self.number(f"{self.node}.{attribute}", what)
        return same(
            f"{self.name}: {what}", value, got, tolerance=tolerance * max(1.0, abs(value)) if value == 0 else tolerance * abs(value)
        )

    def choose(self, attribute: str, constant: str, value: int, what: str) -> None:
        """Write one of an attribute's named values and read its number back. Raises ReadBackError."""
        self.write(f"{self.node}.{attribute} = {self.node}.{constant}")
        got = self.number(f"{self.node}.{attribute}", what)
        if got != value:
            raise ReadBackError(f"{self.name}: {what} was set to {constant} ({value}) and reads back {got:g}")

    def fix_current_range(self, full_scale_a: float | None) -> float:
        """Fix the current range and return it. Raises OutOfRangeError (seamless, or too high), ReadBackError (auto range stays on)."""
        if full_scale_a is None:
            raise OutOfRangeError(f"{self.name}: seamless ranging is asked for, a {self.model.name} has fixed ranges only")
        fixed = next((r for r in self.model.current_ranges_a if r >= full_scale_a * (1 - 1e-6)), None)
        if fixed is None:
            largest = self.model.current_ranges_a[-1]
            raise OutOfRangeError(f"{self.name}: current range is {full_scale_a:g} A, the largest of a {self.model.name} is {largest:g} A")
        self.set("measure.rangei", fixed, "the current range", tolerance=1e-6)  # [F] p. 9-231: turns auto range off
        if self.number(f"{self.node}.measure.autorangei", "the current auto range") != 0:
            raise ReadBackError(f"{self.name}: the current auto range stays on although the range was fixed")
        return fixed

    def fix_aperture(self, aperture_s: float) -> float:
        """Integration time in seconds, to the line cycles that read back. Raises ReadBackError."""
        nplc = aperture_s * self.line_hz
        got = self.set("measure.nplc", nplc, "the integration time", tolerance=1e-6)  # [Q]
        return got / self.line_hz

    def zero(self) -> None:
        """Renew the reference and zero readings of the present aperture, then keep them ([F] p. 9-218). Raises ReadBackError."""
        self.write(f"{self.node}.measure.autozero = {self.node}.AUTOZERO_ONCE")
        self.choose("measure.autozero", "AUTOZERO_OFF", 0, "auto-zero")

    def voltage_range(self) -> float:
        """Full scale of the voltage readings: while it sources voltage, the source range ([F] p. 2-47)."""
        return self.number(f"{self.node}.source.rangev", "the voltage range")

    def remote_sense(self) -> bool:
        return self.number(f"{self.node}.sense", "remote sense") == 1


def _integer(word: str, what: str) -> int:
    value = scpi.value(word, what)
    if not math.isclose(value, round(value)):
        raise ReplyError(f"{what} is an integer, got {word!r}")
    return round(value)
