"""The plan file: what to measure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, PrivateAttr

from labd.bench_file.aim import AimSection
from labd.bench_file.cards import CardsSection, cards_of
from labd.bench_file.text import volts
from labd.bench_file.trigger import ScheduleSection
from labd.bench_file.windows import WindowsSection
from labd.config.document import FileSection, Source, parse_section, read_section
from labd.config.problems import did_you_mean, file_error
from labd.config.quantity import FRACTION, write_quantity
from labd.config.section import Section, Wrong
from labd.config.types import (
    Count,
    CountOrZero,
    Flag,
    Fraction,
    Hertz,
    Name,
    Rate,
    RateOrZero,
    Seconds,
    SecondsOrZero,
    Seed,
    Text,
    UncertainCelsius,
    UncertainCoulomb,
    UncertainFraction,
    UncertainOhms,
    UncertainPerSecond,
    UncertainRate,
    UncertainVolts,
    UncertainWatts,
    Volts,
    Words,
)
from labd.kpi.aimed import FIGURES, FLOOR
from labd.records import MarkStyle, Mode
from labd.trigger.schedule import Arrivals

MOST_CAPTURES = 10_000  # of a kind: days of measuring, and what a daemon can lay out while others wait


class CapturesSection(Section):
    """How much is captured at each operating point."""

    events: Count = Field(default=24, description="inferences in each mean capture")
    floor_time: Seconds = Field(default=4.0, description="length of each rate-0 capture; whole mains periods are taken")
    event_captures: CountOrZero = Field(default=12, description="triggered captures per event mode, for wake-up, phases and peak")
    starts: CountOrZero = Field(
        default=0, description="starts of the board from no supply to ready, at each supply voltage; each takes the supply away first"
    )
    start_time: Seconds = Field(default=0.5, description="how long each start is logged from where the supply begins to rise")
    peak_tau: tuple[Seconds, ...] = Field(default=(1e-3,), description="peak power is the largest mean over each of these times")
    warm_up_inferences: CountOrZero = Field(default=5, description="inferences before the first one that counts")
    cross_check_time: Seconds = Field(default=60.0, description="length of the steady plateau that a cross_check instrument confirms")


class ConditionsSection(Section):
    """What must hold before a run starts."""

    warm_up: SecondsOrZero = Field(default=3600.0, description="instruments powered on at least this long, else each KPI is flagged")
    settle: SecondsOrZero = Field(default=0.2, description="wait after each change of supply or mode, and at rest before a floor")
    temperature: UncertainCelsius | None = Field(default=None, description="of the board, when it differs from the bench's ambient")


class DetectorSection(Section):
    """What decides that an event happened; its power and its false wakes belong to an event-based claim."""

    kind: Literal["host-triggered", "declared", "measured"] = Field(
        description="host-triggered: no detector, and the report says so; else its power and false_wake_rate are required"
    )
    power: UncertainWatts | None = Field(default=None, description="mean power of the detector")
    false_wake_rate: UncertainRate | None = Field(default=None, description="wakes without an event")

    def wrong(self) -> Iterator[Wrong]:
        for key in ("power", "false_wake_rate"):
            given = getattr(self, key) is not None
            if self.kind == "host-triggered" and given:
                yield Wrong(key, 'a host-triggered plan has no detector; leave the key out or write kind = "declared" or "measured"')
            if self.kind != "host-triggered" and not given:
                example = "12 uW +- 2 uW" if key == "power" else "0.01 /s"
                yield Wrong(key, f'this key is required with kind = "{self.kind}": {key} = "{example}" or the like')


class BatterySection(Section):
    """The battery whose life is computed at chosen rates."""

    capacity: UncertainCoulomb = Field(description="nominal charge")
    voltage: UncertainVolts = Field(description="mean voltage over its discharge")
    usable: UncertainFraction = Field(description="share of the capacity that the board can use")
    self_discharge: UncertainPerSecond = Field(description="share of the capacity lost per time")
    rates: tuple[RateOrZero, ...] = Field(min_length=1, description="inference rates to compute the life at")
    internal_resistance: UncertainOhms | None = Field(
        default=None, description="under a pulse of the board's peak; left out: what it falls to under one is not computed"
    )


class HarvesterSection(Section):
    """What feeds the board in place of a battery: the rate that it sustains is computed, and the buffer that one event needs."""

    power: UncertainWatts = Field(description="that it gives in the mean")
    efficiency: UncertainFraction = Field(description="share of it that reaches the board")
    buffer_high: Volts | None = Field(default=None, description="voltage that its buffer capacitor is charged to; with buffer_low")
    buffer_low: Volts | None = Field(default=None, description="voltage that the buffer may fall to within one event; with buffer_high")

    def wrong(self) -> Iterator[Wrong]:
        if self.efficiency.value <= 0:
            yield Wrong("efficiency", "expected more than 0 %: a harvester of which nothing reaches the board feeds none")
        for key, other in (("buffer_high", "buffer_low"), ("buffer_low", "buffer_high")):
            if getattr(self, key) is None and getattr(self, other) is not None:
                yield Wrong(key, f"this key is required beside {other}: both voltages make the buffer, or neither")
        if self.buffer_high is not None and self.buffer_low is not None and self.buffer_low >= self.buffer_high:
            yield Wrong("buffer_low", f"expected less than buffer_high, {volts(self.buffer_high)}, got {volts(self.buffer_low)}")


class Plan(FileSection):
    """A plan file with every quantity in SI units. `path`, `text`, `sha256`: the file it was read from."""

    kind: ClassVar[str] = "a plan file"

    schema_version: Literal[1] = Field(alias="schema", description="version of this file's layout: 1")
    name: Words = Field(description="short name")
    use_case: Text = Field(default="", description="the task, in words")
    modes: tuple[Mode, ...] = Field(min_length=1, description="how the board spends the time between inferences")
    rates: tuple[RateOrZero, ...] = Field(
        default=(), description="inference rates; 0 /s, the floor, must be among them; may be left out where [aim] has labd choose them"
    )
    supply: tuple[Volts, ...] = Field(min_length=1, description="supply voltages")
    clocks: tuple[Hertz, ...] = Field(default=(), description="core clocks, of those that the board can be set to; left out: as it starts")
    models: tuple[Name, ...] = Field(min_length=1, description="models of the board's firmware")
    activity: Fraction = Field(default=0.1, description="share of input bands that change per frame, in whole percent")
    idle_kind: Literal["busy_poll", "wfi", "clock_gated"] = Field(default="wfi", description="how always_on waits")
    marks: MarkStyle | None = Field(default=None, description="how the board shows its phases; left out, the runner chooses per capture")
    seed: Seed = Field(default=1, description="of the order, the input data and the uncertainty draws")
    repeats: Count = Field(default=1, description="captures of each kind at each operating point")
    aim: AimSection | None = Field(default=None, description="measure until figures are known well enough, in place of repeats")
    allow_gaps: Flag = Field(default=False, description="whether a window that touches a gap may still give a KPI, which then says so")
    trigger: Literal["device", "host"] = Field(
        default="device",
        description="who times the inferences of a mean capture: the device itself, periodically, or a process of this host by `schedule`; "
        "event captures are fired by the instrument",
    )
    schedule: ScheduleSection | None = Field(default=None, description="when the host fires; left out, periodically")
    captures: CapturesSection = Field(default_factory=CapturesSection, description="how much is captured")
    conditions: ConditionsSection = Field(default_factory=ConditionsSection, description="what must hold before a run")
    windows: WindowsSection | None = Field(default=None, description="only for a board with stock firmware; left out: its defaults hold")
    detector: DetectorSection = Field(description="what decides that an event happened")
    cards: CardsSection = Field(default_factory=CardsSection, description="what the deployment pipeline is")
    battery: BatterySection | None = Field(default=None, description="left out: no battery life is computed")
    harvester: HarvesterSection | None = Field(default=None, description="left out: no sustained rate is computed")

    _recorded_ns: tuple[int, ...] = PrivateAttr(default=())
    _cards: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _input: bytes | None = PrivateAttr(default=None)

    @property
    def arrivals(self) -> Arrivals | None:
        """What the host fires by; None where the device paces itself."""
        if self.trigger == "device":
            return None
        schedule = self.schedule or ScheduleSection(arrivals="periodic")
        return Arrivals(schedule.arrivals, round(schedule.late * 1e9), self._recorded_ns)

    @property
    def input(self) -> bytes | None:
        """For stock firmware; None where the plan names no file."""
        return self._input

    @property
    def stored_cards(self) -> Mapping[str, Any]:
        """As a run keeps them: by kind, model cards by model."""
        return self._cards

    @property
    def rates_above_zero(self) -> tuple[Rate, ...]:
        return tuple(rate for rate in self.rates if rate > 0)

    def wrong(self) -> Iterator[Wrong]:
        if Mode.EVENT_GATED in self.modes:
            yield Wrong(
                f"modes[{self.modes.index(Mode.EVENT_GATED)}]",
                '"event_gated" is not offered in this version: it needs a switched supply whose discharge and recharge are measured as '
                "terms of their own; use always_on, event_sleep or event_reload",
            )
        yield from self._aimed()
        if not self.rates and self.aim is None:
            yield Wrong(
                "rates", "this key is required: inference rates; 0 /s, the floor, must be among them (or an [aim], and labd chooses)"
            )
        elif self.rates and 0 not in self.rates:
            yield Wrong(
                "rates",
                'expected "0 /s" among the rates: without the floor a fit over the rates cannot tell floor power from energy per inference',
            )
        if self.schedule is not None and self.trigger == "device":
            yield Wrong("schedule", 'a device that paces itself is periodic: write trigger = "host", or leave this table out')
        points = len(self.modes) * max(len(self.rates), 1) * len(self.supply) * max(len(self.clocks), 1) * len(self.models)
        if points * self.repeats > MOST_CAPTURES:
            yield Wrong(
                "repeats", f"{points} operating points, {self.repeats} times each, are more than {MOST_CAPTURES} captures of a kind"
            )
        for name in self.cards.model:
            if name not in self.models:
                yield Wrong(f"cards.model.{name}", f"this plan has no model {name!r}{did_you_mean(name, self.models)}")
        for key in ("modes", "rates", "supply", "clocks", "models"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                yield Wrong(key, "expected each value once")
        if abs(self.activity * 100 - round(self.activity * 100)) > 1e-9:
            yield Wrong("activity", f"expected whole percent, got {write_quantity(self.activity, FRACTION)}")

    def _aimed(self) -> Iterator[Wrong]:
        """What decides by itself how much is captured."""
        if self.aim is None:
            return
        if self.repeats != 1:
            yield Wrong("repeats", "an [aim] decides how often; leave this key out")
        if self.trigger == "host":
            yield Wrong("trigger", 'expected "device" beside an [aim], got "host"')
        for key in ("events", "floor_time"):
            if key in self.captures.model_fields_set:
                yield Wrong(f"captures.{key}", "an [aim] decides how long a capture is, aim.piece at least; leave this key out")
        if self.rates and not self.rates_above_zero:
            of_a_rate = [key for key in FIGURES if key != FLOOR and getattr(self.aim, key) is not None]
            if of_a_rate:
                figures = " and ".join(f"aim.{key}" for key in of_a_rate)
                yield Wrong("rates", f"expected one above 0 /s for {figures}, got 0 /s alone; leave this key out, and labd chooses")
        if self.aim.break_even is not None and len(self.modes) < 2:
            yield Wrong("aim.break_even", "a break-even rate needs two modes, this plan has one")


def load_plan(path: Path) -> Plan:
    """Read a plan file. Raises FileError with every problem, one line each."""
    plan, source = read_section(path, Plan)
    return _whole(plan, source)


def plan_of(text: str, name: Path, *, cards: Mapping[str, Any] | None = None) -> Plan:
    """A plan from the text of its file. name: what errors call it. cards: those of a run that is gone on with, as it stored them; None:
    those that the plan names are read. Raises FileError with every problem, one line each."""
    source = Source(name, text, hashlib.sha256(text.encode()).hexdigest())
    return _whole(parse_section(source, Plan), source, cards)


def _whole(plan: Plan, source: Source, cards: Mapping[str, Any] | None = None) -> Plan:
    """With what it names beside itself. Raises FileError."""
    plan._source = source
    plan._cards = cards_of(plan.cards, plan=source.path) if cards is None else cards
    if plan.windows is not None:
        plan._input = plan.windows.input_bytes(source.path)
    if plan.schedule is not None:
        plan._recorded_ns = plan.schedule.recorded_ns(source.path)
        if plan.schedule.file is not None and len(plan._recorded_ns) < plan.captures.events:
            found = f"{plan.schedule.file} has {len(plan._recorded_ns)} arrivals"
            raise file_error(str(source.path), [Wrong("captures.events", f"expected at most these: {found}, got {plan.captures.events}")])
    return plan
