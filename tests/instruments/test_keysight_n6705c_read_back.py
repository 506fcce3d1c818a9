"""What an N6705C loses on the way, keeps from before or does not have is missed by its driver: read-backs, forgotten set-ups, panic."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from labd_instruments import loader
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels, StreamSetup
from labd_instruments.drivers import keysight_n6705c as driver_module
from labd_instruments.errors import OutOfRangeError, OutputNotOffError, ReadBackError
from labd_instruments.links.scripted import ScriptedLink
from labd_virtual.wire import Interface
from tests.instruments.test_keysight_n6705c_modules import wired_to
from tests.virtual.persona_fakes import Bench

LOST = (
    "VOLT 3,(@1)",
    "VOLT:SENS:SOUR EXT,(@1)",
    "OUTP:TMOD HIGHZ,(@1)",
    "DIG:PIN3:FUNC TOUT",
    "DIG:PIN1:POL NEG",
    "CURR:LIM:COUP ON,(@1)",
    "EMUL PS2Q,(@1)",
)


@pytest.mark.parametrize("lost", LOST)
async def test_a_setting_that_never_arrives_is_missed(lost: str) -> None:
    async with wired_to(Bench(), "N6784A", trigger_pin=1, trigger_polarity="NEG") as made:
        driver, write = made.driver, made.driver._box.link.write
        await made.do(write, "*RST")  # what the opening has set is there already
        dropped: list[str] = []
        driver._box.link.write = lambda command: dropped.append(command) if command == lost else write(command)

        def power_up() -> None:
            driver.reset()
            driver.set_voltage(0.0)
            driver.set_off_mode(False)
            driver.set_remote_sense(True)
            driver.protect(ProtectionLevels(3.6, 0.2))
            driver.set_voltage(3.0)

        with pytest.raises(ReadBackError, match="reads back"):
            await made.do(power_up)
        assert dropped == [lost]


ACQUISITIONS = {
    "mean": (
        "configure_mean",
        MeanSetup(0.1, 1e-3, 1.0),
        ("SENS:CURR:RANG 0.001,(@1)", "SENS:VOLT:RANG 1,(@1)", "SENS:SWE:POIN 4883,(@1)"),
    ),
    "seamless mean": ("configure_mean", MeanSetup(0.1, None, 20.0), ("SENS:CURR:RANG:AUTO ON,(@1)",)),
    "log": (
        "configure_stream",
        StreamSetup(409.6e-6, 1e-3, 1.0),
        ("SENS:ELOG:CURR:RANG 0.001,(@1)", "SENS:ELOG:VOLT:RANG 1,(@1)", "SENS:ELOG:PER 0.0004096,(@1)"),
    ),
    "capture": (
        "configure_capture",
        CaptureSetup(40.96e-6, 100, 20, 1e-3, 1.0, fire_dut=True),
        (
            "SENS:CURR:RANG 0.001,(@1)",
            "SENS:VOLT:RANG 1,(@1)",
            "SENS:SWE:TINT 4.096E-05,(@1)",
            "SENS:SWE:POIN 100,(@1)",
            "SENS:SWE:OFFS:POIN -20,(@1)",
            "DIG:TOUT:BUS ON",
        ),
    ),
    "capture from a pin": ("configure_capture", CaptureSetup(40.96e-6, 100, 20, 0.1, 1.0, fire_dut=False), ("TRIG:ACQ:SOUR PIN1,(@1)",)),
}


@pytest.mark.parametrize(("kind", "lost"), [(kind, lost) for kind, (_, _, each) in ACQUISITIONS.items() for lost in each])
async def test_a_setting_of_an_acquisition_that_never_arrives_is_missed(kind: str, lost: str) -> None:
    async with wired_to(Bench(), "N6781A", trigger_pin=1) as made:
        driver, write = made.driver, made.driver._box.link.write
        configure, setup, _ = ACQUISITIONS[kind]
        dropped: list[str] = []
        driver._box.link.write = lambda command: dropped.append(command) if command == lost else write(command)
        with pytest.raises(ReadBackError, match="reads back"):
            await made.do(getattr(driver, configure), setup)
        assert dropped == [lost]
        for step in (driver.arm, driver.read_mean, driver.start_stream):
            with pytest.raises(OutOfRangeError, match="comes first"):
                await made.do(step)


async def test_the_widest_ranges_at_the_end_are_read_back() -> None:
    async with wired_to(Bench(), "N6781A") as made:
        driver, write = made.driver, made.driver._box.link.write
        await made.do(driver.configure_mean, MeanSetup(0.02, 1e-3, 20.0))
        driver._box.link.write = lambda command: None if command.startswith("SENS:CURR:RANG 3") else write(command)
        with pytest.raises(ReadBackError, match="current range was set to 3"):
            await made.do(driver.halt)


async def test_captures_and_means_forget_each_other() -> None:
    async with wired_to(Bench(), "N6781A") as made:
        driver = made.driver
        capture = CaptureSetup(20.48e-6, 100, 10, 3.0, 20.0, fire_dut=False)
        await made.do(driver.configure_capture, capture)
        await made.do(driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))
        for step in (driver.arm, driver.fire, driver.captured, driver.fetch):
            with pytest.raises(OutOfRangeError, match="configure_capture comes first"):
                await made.do(step)
        await made.do(driver.read_mean)
        await made.do(driver.configure_capture, capture)
        with pytest.raises(OutOfRangeError, match="configure_mean comes first"):
            await made.do(driver.read_mean)
        await made.do(driver.arm)


@pytest.mark.parametrize(("asked_s", "dt_ns"), [(20.48e-6, 40_960), (30e-6, 40_960), (81.92e-6, 81_920), (15e-6, 10_240)])
async def test_the_coarse_resolution_never_makes_an_interval_of_nothing(asked_s: float, dt_ns: int) -> None:
    async with wired_to(Bench(), "N6781A", resolution="RES40") as made:
        taken = await made.do(made.driver.configure_capture, CaptureSetup(asked_s, 100, 10, 0.1, 20.0, fire_dut=False))
        assert taken.dt_ns == dt_ns


async def test_a_mean_at_the_coarse_resolution_is_made_of_its_points() -> None:
    async with wired_to(Bench(), "N6781A", resolution="RES40") as made:
        await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))
        assert await made.do(made.driver._box.number, "SENS:SWE:TINT?", "the interval") == pytest.approx(40.96e-6)
        assert await made.do(made.driver._box.number, "SENS:SWE:POIN?", "the points") == 488
        await made.do(made.driver.measure_output)


async def test_a_protection_that_stays_is_named_at_the_reset() -> None:
    async with wired_to(Bench(), "N6781A") as made:
        write = made.driver._box.link.write
        persona: Any = made.persona
        persona._main.output.tripped = 16
        persona._main.output.reset = lambda: None
        made.driver._box.link.write = lambda command: None if command.startswith("OUTP:PROT:CLE") else write(command)
        with pytest.raises(ReadBackError, match="channel 1 stays off after its protection was cleared: over-temperature"):
            await made.do(made.driver.reset)


@pytest.mark.parametrize(("channel", "marker"), [(3, None), (4, 2)])
async def test_panic_off_reaches_a_channel_whatever_its_number(channel: int, marker: int | None, interface: Interface) -> None:
    bench = Bench(interface=interface)
    async with wired_to(bench, "N6781A", channel=channel, marker_channel=marker) as made:
        await made.do(made.driver.protect, ProtectionLevels(3.6, 0.2))
        await made.do(made.driver.set_voltage, 3.0)
        await made.do(made.driver.set_output, True)
        assert made.persona.output_on()
        await made.do(loader.panic_off, "keysight_n6705c", made.resource)
        assert not made.persona.output_on()
        await made.do(made.driver.check_errors, "whatever comes next")


@pytest.mark.parametrize(
    ("catalogue", "count", "outputs", "complaint"),
    [
        ('"1,2","3"', "3", "> OUTP? (@1,3)\n< 0,0", None),  # a group answers by its lowest number
        ('"1","3"', "2", "> OUTP? (@1,3)\n< 0,1", "output 3 reads back on"),
        ('"1"', "2", "", "it has 2 channels, and names"),
        ("", "1", "", "it has 1 channels, and names none"),
    ],
)
def test_panic_off_reads_every_output_back_that_there_is(
    catalogue: str, count: str, outputs: str, complaint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = "".join(f"> OUTP OFF,(@{n})\n" for n in (1, 2, 3, 4)) * 2
    text = f"{each}> *CLS\n> SYST:GRO:CAT?\n< {catalogue}\n> SYST:CHAN:COUN?\n< {count}\n"
    if outputs:
        text += "> ABOR:ELOG (@1,3)\n> ABOR:ACQ (@1,3)\n> OUTP OFF,(@1,3)\n> OUTP OFF,(@1,3)\n" + outputs
    link = ScriptedLink.from_text(text)
    monkeypatch.setattr(driver_module, "open_link", lambda *_: link)
    with pytest.raises(OutputNotOffError, match=complaint) if complaint else contextlib.nullcontext():
        driver_module.panic_off("SCRIPT")
    link.finish()
