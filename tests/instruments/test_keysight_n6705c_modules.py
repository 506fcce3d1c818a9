"""The N6705C driver with each source-measure module: what it takes from the module, what it refuses, and the limits of error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels, SourceLimits, StreamSetup
from labd_instruments.errors import OutOfRangeError, ReadBackError, RefusedError, WrongInstrumentError
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver
from labd_virtual.contract import Edge
from labd_virtual.instruments import keysight_n6705c
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
MODULES = ("N6781A", "N6782A", "N6784A", "N6785A", "N6786A")
LIMITS = {
    "N6781A": SourceLimits(20.0, 3.0),
    "N6782A": SourceLimits(20.0, 3.0),
    "N6784A": SourceLimits(20.0, 3.0),
    "N6785A": SourceLimits(20.0, 8.0),
    "N6786A": SourceLimits(20.0, 8.0),
}
EXACT = rows({"current": tuple((r, 0.0, 0.0) for r in (10e-6, 1e-3, 0.1, 3.0, 8.0)), "voltage": ((20.0, 0.0, 0.0),)})
OPTIONS: dict[str, Any] = {"channel": 1, "fire_pin": 3, "timeout_s": 1.0}


def played(held: str, rest: str = "", /, idn: str = "Keysight Technologies,N6705C,MY1,E.02.07", **options: object) -> Any:
    """A driver on a dialogue: the greeting with this module, then `rest`; anything else that it sends is an error."""
    text = f'> *IDN?\n< {idn}\n> SYST:CHAN:MOD? (@1)\n< "{held}"\n{rest}'
    return open_driver("keysight_n6705c", "smu", "SCRIPT", options, link=ScriptedLink.from_text(text))


def held(volt: float, ampere: float) -> ProtectionLevels:
    """The protection at the terminals is 1.5 V above that at the sense leads."""
    return ProtectionLevels(volt, ampere, open_lead_v=volt, swapped_leads_v=volt + 1.5)


@asynccontextmanager
async def wired_to(bench: Bench, module: str, persona: dict[str, object] | None = None, **options: Any) -> AsyncIterator[Rig]:
    both = OPTIONS | options
    wires = {"fire": "TRIG", "pin1": "MARK", "pin5": "TRIG"}
    setup = bench.setup(options=both | {"module": module} | (persona or {}), wires=wires, accuracy=EXACT)
    async with rig("keysight_n6705c", keysight_n6705c.create(setup), bench, **both) as made:
        yield made


# --- who is in the channel


@pytest.mark.parametrize("module", MODULES)
def test_the_module_in_the_channel_is_read_and_brings_its_limits(module: str) -> None:
    again = f'> *IDN?\n< Keysight Technologies,N6705C,MY1,E.02.07\n> SYST:CHAN:MOD? (@1)\n< "{module}"'
    driver = played(module, again)
    assert driver.source_limits == LIMITS[module]
    assert driver.identify().options == (module,)


@pytest.mark.parametrize("module", ["N6731B", "N6752A", "N6762A", "N6783A-BAT", "N6791A"])
def test_another_module_is_refused_by_name_and_told_what_is_supported(module: str) -> None:
    with pytest.raises(WrongInstrumentError, match=f"holds a {module}, wanted is an N6781A, N6782A, N6784A, N6785A or N6786A"):
        played(module)


def test_an_empty_channel_is_the_wrong_instrument() -> None:
    with pytest.raises(WrongInstrumentError, match="channel 1 holds a nothing"):
        played("")


def test_another_module_than_the_bench_file_promises_is_the_wrong_instrument() -> None:
    assert played("N6785A", module="N6785A").source_limits.current_a == 8.0
    with pytest.raises(WrongInstrumentError, match="holds a N6781A, wanted is an N6785A"):
        played("N6781A", module="N6785A")


@pytest.mark.parametrize("idn", ["Keysight Technologies,N6700C,MY1,E.02.07", "Agilent Technologies,N6705B,MY50001897,D.01.08"])
def test_another_mainframe_of_the_family_does_unless_one_is_promised(idn: str) -> None:
    again = f'> *IDN?\n< {idn}\n> SYST:CHAN:MOD? (@1)\n< "N6781A"'
    assert played("N6781A", again, idn=idn).identify().model == idn.split(",")[1]
    assert played("N6781A", idn=idn, mainframe=idn.split(",")[1])
    with pytest.raises(WrongInstrumentError, match="wanted is a Keysight N6705C"):
        played("N6781A", idn=idn, mainframe="N6705C")


def test_nobody_else_is_asked_for_channels() -> None:
    link = ScriptedLink.from_text("> *IDN?\n< ACME,Toaster,1,2")
    with pytest.raises(WrongInstrumentError, match="ACME Toaster"):
        open_driver("keysight_n6705c", "smu", "SCRIPT", {}, link=link)


@pytest.mark.parametrize(("reply", "found"), [('"0"', ()), ('""', ()), ('"054,761"', ("054", "761"))])
def test_the_options_of_the_module_are_told(reply: str, found: tuple[str, ...]) -> None:
    assert played("N6781A", f"> SYST:CHAN:OPT? (@1)\n< {reply}").module_options() == found


# --- what a module has not is refused before anything is sent


@pytest.mark.parametrize(
    ("module", "current_a", "voltage_v", "complaint"),
    [
        ("N6782A", 8.0, 20.0, "current range is 8 A, N6782A has 1e-05, 0.001, 0.1, 3 A"),
        ("N6784A", 0.01, 20.0, "current range is 0.01 A, N6784A has"),
        ("N6784A", None, 20.0, "an N6784A has no seamless ranging"),
        ("N6785A", 3.0, 20.0, "current range is 3 A, N6785A has 0.001, 0.1, 8 A"),
        ("N6785A", 10e-6, 20.0, "current range is 1e-05 A"),
        ("N6786A", 8.0, 1.0, "voltage range is 1 V, N6786A has 20 V"),
    ],
)
def test_a_range_that_the_module_has_not_is_refused_with_those_it_has(
    module: str, current_a: float | None, voltage_v: float, complaint: str
) -> None:
    setups = {
        "configure_stream": StreamSetup(204.8e-6, current_a, voltage_v),
        "configure_capture": CaptureSetup(20.48e-6, 100, 10, current_a, voltage_v, fire_dut=False),
        "configure_mean": MeanSetup(0.02, current_a, voltage_v),
    }
    for configure, setup in setups.items():
        with pytest.raises(OutOfRangeError) as caught:
            getattr(played(module), configure)(setup)
        assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("module", "levels", "complaint"),
    [
        ("N6782A", ProtectionLevels(3.6, 3.1), "current limit is 3.1 A, allowed is 0 to 3 A"),
        ("N6786A", ProtectionLevels(3.6, 8.1), "current limit is 8.1 A, allowed is 0 to 8 A"),
        ("N6785A", ProtectionLevels(22.5, 1.0), "over-voltage protection is 22.5 V, allowed is 0 to 22 V"),
        (
            "N6781A",
            ProtectionLevels(3.6, 0.1, current_trip=True, current_delay_s=0.3),
            "over-current delay is 0.3 s, allowed is 0 to 0.255 s",
        ),
    ],
)
def test_levels_that_the_module_has_not_are_refused(module: str, levels: ProtectionLevels, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        played(module).protect(levels)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("module", "volt", "limit_a"),
    [("N6782A", 6.1, 1.1), ("N6784A", 20.0, 1.1), ("N6785A", 6.1, 6.8), ("N6785A", 10.1, 5.1), ("N6786A", 20.0, 4.1)],
)
def test_more_current_than_a_module_holds_at_a_voltage_is_refused(module: str, volt: float, limit_a: float) -> None:
    driver = played(module, f"> CURR:LIM? (@1)\n< {limit_a}")
    with pytest.raises(OutOfRangeError, match=f"current limit above 6 V is {limit_a:g} A"):
        driver.set_voltage(volt)


@pytest.mark.parametrize("module", ["N6784A", "N6785A"])
def test_a_voltage_outside_of_two_quadrants_is_refused(module: str) -> None:
    for volt in (-1.0, 20.5):
        with pytest.raises(OutOfRangeError, match="allowed is 0 to 20 V"):
            played(module).set_voltage(volt)


def test_more_points_than_a_sweep_has_are_refused() -> None:
    with pytest.raises(OutOfRangeError, match="allowed is 1 to 524288 points"):
        played("N6785A").configure_capture(CaptureSetup(20.48e-6, 524_289, 0, 0.1, 20.0, fire_dut=False))


# --- every module through a real socket


@pytest.mark.parametrize("module", MODULES)
async def test_it_feeds_logs_captures_and_means_with_each_module(module: str, interface: Interface) -> None:
    bench = Bench(load=((0, 10e-3),), interface=interface)
    async with wired_to(bench, module) as made:
        driver = made.driver
        await made.do(driver.protect, ProtectionLevels(3.6, 0.2))
        await made.do(driver.set_voltage, 3.0)
        await made.do(driver.set_output, True)
        seen = [(await made.do(driver.measure_output)).current_a]
        await made.do(driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))
        seen.append((await made.do(driver.read_mean)).current_a)
        await made.do(driver.configure_stream, StreamSetup(204.8e-6, 0.1, 20.0))
        await made.do(driver.start_stream)
        bench.clock.pass_s(0.1)
        seen.append(float((await made.do(driver.read_block)).current.mean()))
        assert (await made.do(driver.stop_stream)).missing == 0
        await made.do(driver.configure_capture, CaptureSetup(20.48e-6, 200, 50, 0.1, 20.0, fire_dut=True))
        await made.do(driver.arm)
        await made.do(driver.fire)
        while not await made.do(driver.captured):
            pass
        (block,) = await made.do(driver.fetch)
        seen.append(float(block.current.mean()))
        await made.do(driver.make_safe)
        assert not made.persona.output_on()
    assert seen == pytest.approx([10e-3] * 4, rel=1e-3)


@pytest.mark.parametrize(
    ("module", "ranges_a"),
    [("N6781A", (1e-3, 0.1, 3.0)), ("N6782A", (1e-3, 0.1, 3.0)), ("N6785A", (1e-3, 0.1, 8.0)), ("N6786A", (1e-3, 0.1, 8.0))],
)
async def test_seamless_ranging_moves_between_the_ranges_of_the_module(module: str, ranges_a: tuple[float, ...]) -> None:
    bench = Bench(load=((0, 10e-6), (200 * MS, 2.0)))
    async with wired_to(bench, module) as made:
        taken = await made.do(made.driver.configure_stream, StreamSetup(1.024e-3, None, 20.0))
        assert taken.seamless
        assert taken.ranges_a == ranges_a
        await made.do(made.driver.start_stream)
        bench.clock.pass_s(0.5)
        block = await made.do(made.driver.read_block)
    assert block.current[[0, -1]].tolist() == pytest.approx([10e-6, 2.0])


async def test_the_persona_refuses_seamless_ranging_where_there_is_none() -> None:
    async with wired_to(Bench(), "N6784A") as made:
        made.driver._box.link.write("SENS:CURR:RANG:AUTO ON,(@1)")
        with pytest.raises(RefusedError, match="310"):
            await made.do(made.driver.check_errors, "seamless ranging")


@pytest.mark.parametrize(
    ("module", "limit_a", "range_v", "holds_v", "beyond_v"),
    [
        ("N6781A", 3.0, 6.12, 6.0, 6.5),
        ("N6785A", 8.0, 6.12, 6.0, 6.5),
        ("N6786A", 6.5, 10.2, 10.0, 11.0),
        ("N6785A", 4.5, 15.3, 15.0, 16.0),
    ],
)
async def test_a_high_current_limit_brings_the_source_range_that_holds_it(
    module: str, limit_a: float, range_v: float, holds_v: float, beyond_v: float
) -> None:
    async with wired_to(Bench(), module) as made:
        driver = made.driver
        assert await made.do(driver.protect, ProtectionLevels(21.0, limit_a)) == held(21.0, limit_a)
        assert await made.do(driver._box.number, "VOLT:RANG?", "the source range") == pytest.approx(range_v)
        await made.do(driver.set_voltage, holds_v)
        with pytest.raises(OutOfRangeError, match="the source range for this current limit"):
            await made.do(driver.set_voltage, beyond_v)
        await made.do(driver.protect, ProtectionLevels(21.0, 0.5))
        assert await made.do(driver._box.number, "VOLT:RANG?", "the source range") == pytest.approx(20.4)
        await made.do(driver.set_voltage, 20.0)


async def test_the_source_range_does_not_change_under_an_output_that_feeds_a_board() -> None:
    async with wired_to(Bench(), "N6785A") as made:
        driver = made.driver
        await made.do(driver.protect, ProtectionLevels(20.0, 1.0))
        await made.do(driver.set_voltage, 3.0)
        await made.do(driver.set_output, True)
        with pytest.raises(OutOfRangeError, match="changes with the output off only"):
            await made.do(driver.protect, ProtectionLevels(5.0, 8.0))
        await made.do(driver.set_output, False)
        await made.do(driver.protect, ProtectionLevels(5.0, 8.0))
        await made.do(driver.set_output, True)
        await made.do(driver.protect, ProtectionLevels(5.0, 1.0))
        assert await made.do(driver._box.number, "VOLT:RANG?", "the source range") == pytest.approx(6.12)


@pytest.mark.parametrize(("module", "inrush_a"), [("N6781A", 2.0), ("N6784A", 3.0), ("N6785A", 8.0)])
async def test_an_inrush_is_let_through_after_the_sense_test_with_the_steady_limit(module: str, inrush_a: float) -> None:
    async with wired_to(Bench(), module) as made:
        driver = made.driver
        await made.do(driver.set_voltage, 0.0)
        await made.do(driver.protect, ProtectionLevels(1.0, 0.5))
        await made.do(driver.set_voltage, 0.1)
        await made.do(driver.set_output, True)
        assert await made.do(driver.protect, ProtectionLevels(3.6, inrush_a)) == held(3.6, inrush_a)
        await made.do(driver.set_voltage, 3.3)
        assert await made.do(driver.protect, ProtectionLevels(3.6, 0.5)) == held(3.6, 0.5)
        assert made.persona.output_on()


async def test_a_supply_above_the_range_of_the_sense_test_is_reached_with_the_output_off_in_between() -> None:
    async with wired_to(Bench(), "N6781A") as made:
        driver = made.driver
        sent: list[str] = []
        await made.do(driver.protect, ProtectionLevels(1.0, 0.5))
        await made.do(driver.set_voltage, 0.1)
        await made.do(driver.set_output, True)
        write = driver._box.link.write

        def overheard(command: str) -> None:
            sent.append(command)
            write(command)

        driver._box.link.write = overheard
        await made.do(driver.protect, ProtectionLevels(12.0, 0.9))
        told = [command for command in sent if command.startswith("OUTP O") or "VOLT:RANG " in command]
        assert told == ["OUTP OFF,(@1)", "CURR:LIM 0.9,(@1);:VOLT:RANG 20,(@1)", "OUTP ON,(@1)"]
        assert await made.do(driver._box.number, "VOLT:RANG?", "the source range") == pytest.approx(20.4)
        await made.do(driver.set_voltage, 12.0)
        assert made.persona.output_on()


async def test_what_is_sunk_is_limited_like_what_is_sourced() -> None:
    async with wired_to(Bench(), "N6781A") as made:
        await made.do(made.driver.protect, ProtectionLevels(3.6, 0.2))
        assert await made.do(made.driver._box.number, "CURR:LIM:NEG?", "the negative limit") == pytest.approx(-0.2)


async def test_a_reset_brings_the_source_range_of_the_highest_voltage_back() -> None:
    async with wired_to(Bench(), "N6785A") as made:
        await made.do(made.driver.protect, ProtectionLevels(5.0, 8.0))
        await made.do(made.driver.reset)
        assert await made.do(made.driver._box.number, "VOLT:RANG?", "the source range") == pytest.approx(20.4)
        assert (await made.do(made.driver.protect, ProtectionLevels(5.0, 8.0))).current_a == 8.0
        await made.do(made.driver.reset)
        await made.do(made.driver.protect, ProtectionLevels(21.0, 1.0))
        await made.do(made.driver.set_voltage, 20.0)


@pytest.mark.parametrize("module", MODULES)
async def test_an_output_that_oscillates_with_the_board_is_found_off(module: str) -> None:
    bench = Bench()
    setup = bench.setup(options=OPTIONS | {"module": module}, accuracy=EXACT, trap="oscillation")
    async with rig("keysight_n6705c", keysight_n6705c.create(setup), bench, **OPTIONS) as made:
        await made.do(made.driver.set_voltage, 3.0)
        with pytest.raises(ReadBackError, match="reads back the opposite"):
            await made.do(made.driver.set_output, True)
        assert await made.do(made.driver.tripped) == "oscillation protection"
        assert await made.do(made.driver.disconnected)


async def test_the_voltage_is_measured_on_the_range_that_is_asked_for() -> None:
    bench = Bench(volts=0.05)
    async with wired_to(bench, "N6782A") as made:
        await made.do(made.driver.set_voltage, 0.05)
        await made.do(made.driver.set_output, True)
        await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.1, 0.1))
        assert (await made.do(made.driver.read_mean)).voltage_v == pytest.approx(0.05)
        assert await made.do(made.driver._box.number, "SENS:VOLT:RANG?", "the range") == pytest.approx(0.1)


@pytest.mark.parametrize("module", ["N6782A", "N6784A", "N6786A"])
def test_a_battery_is_refused_by_a_module_that_emulates_none(module: str) -> None:
    with pytest.raises(OutOfRangeError, match=f"option emulation is BATT, an {module} has PS2Q, PS1Q"):
        played(module, emulation="BATT")


@pytest.mark.parametrize("module", ["N6781A", "N6785A"])
async def test_a_module_for_batteries_emulates_one(module: str) -> None:
    async with wired_to(Bench(), module, emulation="BATT") as made:
        assert await made.do(made.driver._box.ask, "EMUL? (@1)", "the emulation") == "BATT"


async def test_every_module_feeds_in_two_quadrants_unless_it_is_told_otherwise() -> None:
    async with wired_to(Bench(), "N6784A") as made:
        assert await made.do(made.driver._box.ask, "EMUL? (@1)", "the emulation") == "PS2Q"


# --- the digital port


@pytest.mark.parametrize(("polarity", "edge_ms"), [("POS", 500), ("NEG", 700)])
async def test_an_edge_of_the_dut_starts_a_capture_that_does_not_fire_it(polarity: str, edge_ms: int) -> None:
    bench = Bench(load=((0, 1e-3), (edge_ms * MS, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(500 * MS, 1), Edge(700 * MS, 0)]
    async with wired_to(bench, "N6782A", trigger_pin=1, trigger_polarity=polarity) as made:
        driver = made.driver
        taken = await made.do(driver.configure_capture, CaptureSetup(20.48e-6, 100, 20, 0.1, 20.0, fire_dut=False))
        assert taken.settings["trigger"] == f"digital pin 1, {polarity} edge"
        await made.do(driver.arm)
        with pytest.raises(OutOfRangeError, match="edge on pin 1, the bus cannot trigger it"):
            await made.do(driver.fire)
        assert not await made.do(driver.captured)
        bench.clock.pass_s(1.0)
        while not await made.do(driver.captured):
            pass
        (block,) = await made.do(driver.fetch)
    assert block.current[[0, 19, 20, 99]].tolist() == pytest.approx([1e-3, 1e-3, 20e-3, 20e-3])


async def test_a_capture_that_fires_the_dut_waits_for_no_pin() -> None:
    async with wired_to(Bench(load=((0, 1e-3),)), "N6781A", trigger_pin=1) as made:
        driver = made.driver
        taken = await made.do(driver.configure_capture, CaptureSetup(20.48e-6, 100, 20, 0.1, 20.0, fire_dut=True))
        assert taken.settings["trigger"] == "bus, out on the digital pin"
        await made.do(driver.arm)
        await made.do(driver.fire)
        while not await made.do(driver.captured):
            pass


async def test_a_marker_goes_out_on_its_own_pin() -> None:
    bench = Bench()
    async with wired_to(bench, "N6781A", mark_pin=5) as made:
        bench.pins.driven.clear()
        await made.do(made.driver.mark, True)
        await made.do(made.driver.mark, False)
        assert [(pin, level) for _, pin, level in bench.pins.driven] == [("TRIG", 1), ("TRIG", 0)]


def test_a_marker_needs_its_pin() -> None:
    with pytest.raises(OutOfRangeError, match="needs option mark_pin"):
        played("N6781A").mark(True)


def test_a_marker_that_reads_back_wrong_is_not_believed() -> None:
    driver = played("N6781A", '> DIG:OUTP:DATA 16\n> SYST:ERR?\n< +0,"No error"\n> DIG:OUTP:DATA?\n< +0', mark_pin=5)
    with pytest.raises(ReadBackError, match="the marker was set to 16 and reads back 0"):
        driver.mark(True)


def test_a_pin_with_two_uses_is_refused() -> None:
    with pytest.raises(OutOfRangeError, match="options fire_pin and trigger_pin are both 3"):
        played("N6781A", fire_pin=3, trigger_pin=3)


# --- limits of error


@pytest.mark.parametrize("module", MODULES)
def test_without_the_bench_files_rows_nothing_is_known_of_a_module(module: str) -> None:
    table = played(module).accuracy()
    assert table == AccuracyTable(), "no row of a document, not even one that could never be reached"
    for current_a in (10e-6, 1e-3, 0.1, 3.0, 8.0):
        assert table.limit("current", current_a, 0.1) is None


def test_a_certificates_row_is_not_stretched_to_shorter_averages() -> None:
    row = AccuracyRow("current", 8.0, 1e-3, 2e-3, 0.1, "certificate 4711")
    text = '> *IDN?\n< Keysight Technologies,N6705C,MY1,E\n> SYST:CHAN:MOD? (@1)\n< "N6785A"'
    driver = open_driver("keysight_n6705c", "smu", "SCRIPT", {}, (row,), link=ScriptedLink.from_text(text))
    held = driver.accuracy().limit("current", 8.0, 0.1)
    assert held is not None
    assert held.source == "certificate 4711"
    assert driver.accuracy().limit("current", 8.0, 102.4e-6) is None
