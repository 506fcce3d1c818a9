"""What stands between labd and the DUT's supply: no command leaves that the bench file's limits do not allow, and off is verified."""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from labd.bench.clock import BenchClock
from labd.errors import InstrumentFailure, OutputNotVerifiedOff, SafetyRefusal
from labd_instruments.contract import BeginsAbove, GuardsItself, ProtectionLevels, Reading, Sources

T = TypeVar("T")

SENSE_TEST_V = 0.1  # at most 0.2 V: no board starts or is harmed by it, an open sense lead shows
SENSE_TEST_OVP_V = 1.0
SENSE_TEST_LEAST_OVP_V = 0.3  # three times what is set
SENSE_TEST_TOLERANCE_V = 0.03
OVP_TOLERANCE = 1.02  # of what an over-voltage protection reads back
# More than the error of a source's largest current range, less than what a driven line feeds through a clamp diode and 1 kohm.
FED_BACK_A = 1e-3
DISCHARGE_NOT_SEEN = "off, discharge not verified: the source does not see the board while its output is disconnected"
RAMP_STEPS = 10
RAMP_S = 0.02
# A junction of an I/O pin's clamp diode conducts from about 0.3 V above the supply (absolute maximum ratings of common MCUs).
IO_ABOVE_SUPPLY_V = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """What the DUT may ever see, from the bench file; `where` names file and section for messages.

    open_lead_v: what it may get should a sense lead open while it is fed; None: no more than voltage_v.
    """

    voltage_v: float
    current_a: float
    power_w: float
    inrush_a: float
    inrush_s: float
    on_time_s: float
    off_voltage_v: float
    off_time_s: float
    sinking_off: bool
    where: str
    open_lead_v: float | None = None


@dataclass(frozen=True, slots=True)
class IoLine:
    """One line between the bench and the DUT: its level and whether something isolates it. connect/disconnect drive it or float it."""

    name: str
    level_v: float
    isolated: bool
    connect: Callable[[], Awaitable[None]]
    disconnect: Callable[[], Awaitable[None]]


class Caller(Protocol):
    """Runs a driver's function on the thread that owns its session."""

    async def call(self, function: Callable[..., T], /, *args: object) -> T: ...


async def wait_discharged(measure: Callable[[], Awaitable[Reading]], limits: Limits, *, clock: BenchClock) -> None:
    """Return once the DUT is below off_voltage and nothing feeds it. Raises OutputNotVerifiedOff when off_time passes before.

    A source at 0 V holds the voltage down whatever feeds the DUT; what flows back into the source then tells.
    """
    waited = 0.0
    step = limits.off_time_s / 40
    while True:
        reading = await measure()
        if abs(reading.voltage_v) < limits.off_voltage_v and reading.current_a > -FED_BACK_A:
            return
        if waited >= limits.off_time_s:
            raise OutputNotVerifiedOff(
                f"not discharged: {reading.voltage_v:.3g} V and {reading.current_a * 1e3:.3g} mA at the DUT after {waited:.2g} s, "
                f"off means below {limits.off_voltage_v:g} V ({limits.where}: limits.off_voltage, limits.off_time); "
                "either something feeds it back through another line or the output does not sink"
            )
        await clock.sleep(step)
        waited += step


class Power(enum.Enum):
    OFF = "off"
    SUPPLY = "supply on, lines high-Z"
    ON = "supply and lines on"
    UNKNOWN = "unknown"


class Sense(enum.Enum):
    """What the remote-sense test has found. A source that senses nothing drives its terminals up to whatever holds them, if anything."""

    UNTESTED = enum.auto()
    GOOD = enum.auto()
    BAD = enum.auto()


class Interlock:
    """Owns the source. Power-up: lines high-Z, supply, then lines; power-down in reverse, verified.

    powered: told True before the supply is switched on, and False once it is verified off. watchdog_s: of a source that guards itself,
    programmed before power-up and off after power-down; whoever asks for it feeds it as long as `guarded`. None where none is wanted.
    """

    def __init__(
        self,
        source: Sources,
        session: Caller,
        limits: Limits,
        *,
        clock: BenchClock,
        remote_sense: bool,
        powered: Callable[[bool], None] = lambda _on: None,
        watchdog_s: float | None = None,
    ) -> None:
        self.source = source
        self._session = session
        self._limits = limits
        self._clock = clock
        self._remote_sense = remote_sense
        self._lowest_v = source.lowest_v if isinstance(source, BeginsAbove) else 0.0
        self._powered = powered
        self.watchdog_s = watchdog_s
        self._fed_s = self._longest_unfed_s = 0.0
        self.guarded = False  # the source's own watchdog runs
        self._lines: list[IoLine] = []
        self._sense = Sense.UNTESTED
        self.state = Power.UNKNOWN
        self.notices: list[str] = []  # what a run must tell of its protection

    def check_voltage(self, volt: float) -> None:
        """Raises SafetyRefusal naming value, limit and where the limit is set."""
        if not 0 <= volt <= self._limits.voltage_v:
            raise SafetyRefusal(
                f"{volt:g} V refused: the limit is 0 to {self._limits.voltage_v:g} V ({self._limits.where}: limits.voltage)"
            )

    def check_lines(self, lines: list[IoLine], supply_v: float) -> None:
        """Raises SafetyRefusal for a line that would feed the DUT through its pins."""
        for line in lines:
            # 1 nV: 3.6 - 0.3 is a little more than 3.3
            if not line.isolated and supply_v < line.level_v - IO_ABOVE_SUPPLY_V - 1e-9:
                raise SafetyRefusal(
                    f"supply {supply_v:g} V refused: line {line.name!r} drives {line.level_v:g} V into the DUT, more than "
                    f"{IO_ABOVE_SUPPLY_V:g} V above its supply; add a level shifter and declare it ({self._limits.where}: isolation)"
                )

    async def power_up(
        self, supply_v: float, lines: list[IoLine], *, watched: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> None:
        """From any state to supply on and lines connected. Raises SafetyRefusal; whatever it raises, the output is off or being cut.

        watched: entered once the sense leads are known to be good and before the supply rises, left before it is looked at whether the
        supply holds. Nothing may be asked of the source inside but what this does.
        """
        self.check_voltage(supply_v)
        self.check_lines(lines, supply_v)
        if self.state is not Power.OFF:
            await self.power_down()
        self.state = Power.UNKNOWN
        await self._watchdog(on=True)
        await self._prepare()
        await self._sense_test()
        async with watched():
            await self._ramp(supply_v)
        await self._check_held(supply_v)
        self.state = Power.SUPPLY
        await self._connect(lines)

    async def set_voltage(self, volt: float) -> None:
        """A new supply voltage while on; refused outside the limits or below a connected line's level."""
        self.check_voltage(volt)
        self.check_lines(self._lines, volt)
        await self._do(self.source.set_voltage, volt)

    async def connect_lines(self, lines: list[IoLine]) -> None:
        """Drive lines into the DUT. Raises SafetyRefusal while its supply is off: it would be fed through its pins."""
        if self.state not in (Power.SUPPLY, Power.ON):
            raise SafetyRefusal(f"lines refused: the DUT's supply is {self.state.value}; power up the supply first, then the lines")
        await self._connect(lines)

    async def tripped(self) -> str | None:
        return await self._do(self.source.tripped)

    def was_fed(self) -> None:
        """The source's watchdog was served just now."""
        self._longest_unfed_s, self._fed_s = self.unfed_s(), time.monotonic()

    def unfed_s(self) -> float:
        """The longest time since power-up for which the source's watchdog was not served; the one under way counts."""
        return max(self._longest_unfed_s, time.monotonic() - self._fed_s) if self.guarded else 0.0

    async def power_down(self) -> None:
        """Lines high-Z, 0 V, discharged, then output off, each verified.

        The discharge is seen while the output is still connected: most sources disconnect their meter with the output. Where it cannot
        be seen `notices` says so. Raises OutputNotVerifiedOff, and InstrumentFailure for a line that could not be released.
        """
        if self.state is Power.OFF and not self._lines and not await self._do(self.source.output_is_on):
            return
        lines = await self._lines_released()
        try:
            seen = await self._discharged_by_source()
        except OutputNotVerifiedOff:
            await self._switch_off()
            raise
        await self._switch_off()
        await self._look_when_off(seen=seen)
        await self._watchdog(on=False)
        if lines:
            raise InstrumentFailure(lines)
        self.state = Power.OFF

    async def release_lines(self) -> None:
        """Every line high-Z, the last one connected first; one that fails does not keep the others. Raises InstrumentFailure."""
        failures = await self._lines_released()
        if failures:
            raise InstrumentFailure(failures)

    def tell(self, text: str) -> None:
        """A notice, once."""
        if text not in self.notices:
            self.notices.append(text)

    async def _lines_released(self) -> str:
        if self._lines:
            self.state = Power.UNKNOWN
        failures: list[str] = []
        while self._lines:
            line = self._lines[-1]
            try:
                await line.disconnect()
            except Exception as error:  # noqa: BLE001  whatever it is, the other lines and the supply go off
                failures.append(f"line {line.name!r} could not be released: {error or type(error).__name__}")
            self._lines.remove(line)
        return "; ".join(failures)

    async def _discharged_by_source(self) -> bool:
        """Discharge the DUT with the output at 0 V. False where the source must not sink, has no 0 V or is disconnected by a protection."""
        self.state = Power.UNKNOWN
        await self._do(self.source.halt)
        if not self._limits.sinking_off or self._sense is Sense.BAD or self._lowest_v > 0:
            return False
        # sinking a large charge must not trip: the output would disconnect; as long as the sense leads are not known to be good, though,
        # the over-voltage protection stays where the test of them has it
        held = await (self._protect(self._limits.voltage_v) if self._sense is Sense.GOOD else self._protect_for_test())
        if self._sense is not Sense.GOOD and self._runs_away(self._wrong_leads_v(held)):
            return False
        await self._do(self.source.set_voltage, 0.0)
        if not await self._do(self.source.output_is_on):
            await self._switch_on()
        if await self._do(self.source.disconnected) or not await self._do(self.source.output_is_on):
            return False
        await wait_discharged(partial(self._do, self.source.measure_output), self._limits, clock=self._clock)
        return not await self._do(self.source.disconnected)

    async def _switch_off(self) -> None:
        await self._do(self.source.set_output, False)
        if await self._do(self.source.output_is_on):
            raise OutputNotVerifiedOff("the source still reports its output on after it was switched off: cut the supply by hand")
        self._powered(False)

    async def _look_when_off(self, *, seen: bool) -> None:
        if seen:
            return
        if self.source.sees_output_when_off:
            await wait_discharged(partial(self._do, self.source.measure_output), self._limits, clock=self._clock)
        else:
            self.tell(DISCHARGE_NOT_SEEN)

    async def _watchdog(self, *, on: bool) -> None:
        if self.watchdog_s is None or not isinstance(self.source, GuardsItself) or self.guarded == on:
            return
        if on:
            self.guarded = True  # before it runs, so that it is fed from its first moment
            self._longest_unfed_s, self._fed_s = 0.0, time.monotonic()
            await self._do(self.source.set_watchdog, self.watchdog_s)
        else:
            await self._do(self.source.set_watchdog, None)
            self.guarded = False

    async def _prepare(self) -> None:
        await self._do(self.source.set_voltage, self._lowest_v)
        await self._do(self.source.set_off_mode, self._limits.sinking_off)
        await self._do(self.source.set_remote_sense, self._remote_sense)

    async def _sense_test(self) -> None:
        """At a voltage that no board notices: does the source measure what it sets? An open or swapped sense lead does not."""
        if self._lowest_v > SENSE_TEST_V:
            await self._switch_on_without_test()
            return
        self.check_voltage(SENSE_TEST_V)
        self._sense = Sense.UNTESTED
        held = await self._protect(self._limits.voltage_v)  # as the run will have it: a lead that opens then is found by no test
        await self._refuse_runaway("should a sense lead open during the run", self._open_lead_v(held), held)
        held = await self._protect_for_test()
        await self._refuse_runaway("should the sense leads be wrong when they are tested", self._wrong_leads_v(held), held)
        await self._do(self.source.set_voltage, SENSE_TEST_V)
        await self._switch_on()
        await self._clock.sleep(RAMP_S)
        reading = await self._do(self.source.measure_output)
        trip = await self._do(self.source.tripped)
        on = await self._do(self.source.output_is_on)
        if trip is None and on and abs(reading.voltage_v - SENSE_TEST_V) <= SENSE_TEST_TOLERANCE_V:
            self._sense = Sense.GOOD
            return
        self._sense = Sense.BAD  # nothing is switched on or widened any more on the way down
        await self.power_down()
        what = f"tripped ({trip})" if trip else f"read {reading.voltage_v:.3g} V" if on else "switched its output off"
        raise SafetyRefusal(
            f"remote-sense test failed: set {SENSE_TEST_V:g} V, the source {what}; check that both sense leads are connected at the DUT "
            f"and not swapped ({self._limits.where}: sense)"
        )

    async def _switch_on_without_test(self) -> None:
        """A source whose lowest level a board may notice is switched on at that level, untested.

        The test is there because a source that regulates at sense leads drives its terminals up where a lead is open. One that has none
        regulates at its own terminals: whatever is open, the board sees no more than the level that is set, and the lowest is less than
        any it is fed with. So two wires are required, and the lowest level has to be allowed like any other. From there it ramps as ever.
        """
        if self._remote_sense:
            raise SafetyRefusal(
                f"remote sense refused: the source begins at {self._lowest_v:g} V, too much to find an open sense lead with; "
                f'wire it with two and write sense = "2-wire" ({self._limits.where}: sense)'
            )
        self.check_voltage(self._lowest_v)
        self.tell(f"the source begins at {self._lowest_v:g} V: its leads are not tested before the board is fed")
        await self._protect(self._limits.voltage_v, current_a=self._limits.inrush_a)
        await self._switch_on()
        self._sense = Sense.GOOD

    async def _refuse_runaway(self, when: str, volt: float, held: ProtectionLevels) -> None:
        """Raises SafetyRefusal, before anything is switched on, where wrong sense leads would take the DUT beyond what it may get."""
        if not self._runs_away(volt):
            return
        await self.power_down()
        limits, most_v = self._limits, self._most_v()
        set_by = "limits.voltage" if limits.open_lead_v is None else "limits.open_lead_voltage"
        known = held.open_lead_v is not None
        held_by = "where its over-voltage protection acts" if known else "the most it has: nothing known holds it below"
        raise SafetyRefusal(
            f"remote sense refused: {when}, the source may drive the DUT up to {volt:.4g} V, {held_by}; the limit is {most_v:g} V "
            f"({limits.where}: {set_by}); use 2-wire sense ({limits.where}: sense) or another source, or accept it "
            f"({limits.where}: limits.open_lead_voltage)"
        )

    def _most_v(self) -> float:
        return self._limits.voltage_v if self._limits.open_lead_v is None else self._limits.open_lead_v

    def _runs_away(self, volt: float) -> bool:
        """Is what the output reaches with wrong sense leads more than the DUT may get? At its own terminals a source senses rightly."""
        return self._remote_sense and volt > self._most_v() * OVP_TOLERANCE

    def _open_lead_v(self, held: ProtectionLevels) -> float:
        """What nothing is known to hold may go up to the most the source has."""
        return self.source.source_limits.voltage_v if held.open_lead_v is None else held.open_lead_v

    def _wrong_leads_v(self, held: ProtectionLevels) -> float:
        return max(self._open_lead_v(held), held.swapped_leads_v or 0.0)

    async def _protect_for_test(self) -> ProtectionLevels:
        """As long as the leads may be wrong: no higher than needed, but above what a board may have kept of its charge where it can be."""
        asked_v = min(SENSE_TEST_OVP_V, self._limits.voltage_v)
        held = await self._protect(asked_v)
        lower_v = asked_v - (self._wrong_leads_v(held) - self._most_v())
        if not self._runs_away(self._wrong_leads_v(held)) or held.voltage_v is None or lower_v < SENSE_TEST_LEAST_OVP_V:
            return held
        return await self._protect(lower_v)

    async def _switch_on(self) -> None:
        """A protection that trips at once makes the state read back off: that is for the test to tell, not a failure of the instrument."""
        self._powered(True)
        try:
            await self._do(self.source.set_output, True)
        except InstrumentFailure:
            if await self._do(self.source.tripped) is None:
                raise

    async def _ramp(self, supply_v: float) -> None:
        """With `inrush` allowed for as long as the ramp lasts, `inrush_time` at most; then the steady limit, which trips where it can."""
        self._tell_unheld(await self._protect(self._limits.voltage_v, current_a=self._limits.inrush_a))
        start = max(SENSE_TEST_V, self._lowest_v)
        lasts_s = min(RAMP_S, self._limits.inrush_s)
        for step in range(1, RAMP_STEPS + 1):
            await self._do(self.source.set_voltage, start + (supply_v - start) * step / RAMP_STEPS)
            await self._clock.sleep(lasts_s / RAMP_STEPS)
        await self._protect(self._limits.voltage_v, trip=True)
        await self._clock.sleep(RAMP_S)

    async def _check_held(self, supply_v: float) -> None:
        reading: Reading = await self._do(self.source.measure_output)
        trip = await self._do(self.source.tripped)
        if trip is None and abs(reading.voltage_v - supply_v) <= 0.05 * supply_v:
            return
        await self.power_down()
        raise SafetyRefusal(
            f"the supply does not hold {supply_v:g} V: {reading.voltage_v:.3g} V and {reading.current_a:.3g} A at the DUT"
            + (f", {trip}" if trip else "")
            + "; outputs are off"
        )

    def _tell_unheld(self, held: ProtectionLevels) -> None:
        """A source with no protection at the limit is held there by labd's own check alone, and the run says so."""
        limit = f"{self._limits.voltage_v:g} V ({self._limits.where}: limits.voltage)"
        if held.voltage_v is None and held.open_lead_v is None:
            self.tell(f"the source has no over-voltage protection: only labd's check of each command holds the limit of {limit}")
        elif held.voltage_v is None:
            self.tell(
                f"the source's over-voltage protection has no step at {limit} and is set to its next one above, {held.open_lead_v:g} V; "
                "only labd's check of each command holds the limit"
            )
        most_v = self._open_lead_v(held)
        if self._remote_sense and most_v > self._limits.voltage_v * OVP_TOLERANCE:
            self.tell(
                f"should a sense lead open, the source may drive the board up to {most_v:.4g} V: {self._limits.where} accepts it "
                "(limits.open_lead_voltage)"
            )

    async def _protect(self, ovp_v: float, *, current_a: float | None = None, trip: bool = False) -> ProtectionLevels:
        """What the source holds now; its voltage is None where it cannot hold a level as low as ovp_v.

        current_a: the steady limit where none is given. trip: off, not only limited, once the limit has held for `inrush_time`; a source
        that cannot trip limits.
        """
        steady_a = min(self._limits.current_a, self._limits.power_w / self._limits.voltage_v)
        asked = ProtectionLevels(ovp_v, steady_a if current_a is None else current_a, trip, self._limits.inrush_s if trip else 0.0)
        got = await self._do(self.source.protect, asked)
        if got.voltage_v is not None and got.voltage_v > self._limits.voltage_v * OVP_TOLERANCE:
            raise SafetyRefusal(f"the source's over-voltage protection reads back {got.voltage_v:g} V, limit {self._limits.voltage_v:g} V")
        return got

    async def _connect(self, lines: list[IoLine]) -> None:
        for line in lines:
            self._lines.append(line)  # before it is driven: a connect that fails half-way must be undone as well
            await line.connect()
        self.state = Power.ON

    async def _do(self, function: Callable[..., T], *args: object) -> T:
        return await self._session.call(function, *args)
