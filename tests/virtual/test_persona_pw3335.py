"""The PW3335 over a real socket with stock PyVISA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource

from labd_virtual.instruments import hioki_pw3335
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, Load, converse, rows

STEADY: Load = ((0, 0.05),)
SETUP = ":HEADER OFF;:VOLT:RANG 15;:CURR:RANG 0.1"


def meter(bench: Bench, **changes: Any) -> Persona:
    return hioki_pw3335.create(bench.setup(**changes))


def values(r: MessageBasedResource, items: str) -> list[float]:
    return [float(v) for v in r.query(f":MEAS? {items}").split(";")]


def pass_s(bench: Bench, r: MessageBasedResource, seconds: float) -> None:
    """Board time passes once the meter has worked off what was sent."""
    assert r.query("*OPC?").strip() == "1"
    bench.clock.pass_s(seconds)


async def test_answers_carry_labels_until_headers_are_off_and_energy_is_called_wp() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        r.write(":VOLT:RANG 150;:CURR:RANG 1")
        pass_s(bench, r, 0.5)
        assert r.query(":MEAS? U,I,P,WH") == "U +003.00E+0;I +0.0500E+0;P +000.15E+0;WP +000.00E+0\r"
        assert r.query(":VOLTage:RANGe?") == ":VOLTAGE:RANGE 150\r"
        assert r.query("*ESR?") == "128\r"
        r.write(":HEAD OFF")
        assert r.query(":CURR:RANG?;AUTO?") == "1;OFF\r"

    await converse(meter(bench), talk)


async def test_it_measures_the_true_means_of_whole_updates() -> None:
    bench = Bench(((0, 0.02), (300_000_000, 0.06)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        assert values(r, "IDC") == [pytest.approx(6666.6e99)], "no value before the first update"
        pass_s(bench, r, 0.45)
        assert values(r, "UDC,IDC,P") == pytest.approx([3.0, 0.04, 0.12])
        assert values(r, "I")[0] == pytest.approx(np.sqrt((0.02**2 + 0.06**2) / 2), rel=1e-3)
        pass_s(bench, r, 0.2)
        assert values(r, "UDC,IDC,PDC") == pytest.approx([3.0, 0.06, 0.18])

    await converse(meter(bench), talk)


async def test_a_held_display_takes_one_update_by_a_trigger() -> None:
    bench = Bench(((0, 0.02), (1_000_000_000, 0.06)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        pass_s(bench, r, 0.5)
        assert values(r, "IDC") == [0.02]
        r.write(":HOLD ON")
        pass_s(bench, r, 1.0)
        assert values(r, "IDC") == [pytest.approx(6666.6e99)], "a setting begins the measurement anew"
        r.write("*TRG")
        assert values(r, "IDC") == [0.06]

    await converse(meter(bench), talk)


async def test_automatic_ranges_follow_the_input_and_a_fixed_one_is_exceeded() -> None:
    bench = Bench(((0, 0.05),))

    def talk(r: MessageBasedResource) -> None:
        r.write(":HEAD OFF")
        pass_s(bench, r, 0.5)
        assert r.query(":CURR:AUTO?;RANG?").strip() == "ON;0.05"
        r.write(":CURR:RANG 0.02")
        pass_s(bench, r, 0.5)
        assert r.query(":MEAS? IDC,P").strip() == "+9999.9E+99;+9999.9E+99"

    await converse(meter(bench), talk)


async def test_a_ratio_multiplies_and_an_integration_refuses_settings() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:SCAL:CT 10;:INTEG:STAT START")
        assert r.query("*ESR?").strip() == "128"
        pass_s(bench, r, 0.5)
        assert values(r, "IDC,P") == pytest.approx([0.5, 1.5])
        r.write(":CURR:RANG 1")
        assert int(r.query("*ESR?")) == 16
        r.write("*RST")
        assert int(r.query("*ESR?")) == 16
        assert r.query(":INTEG:STAT?;:CURR:RANG?").strip() == "START;0.1"
        r.write(":INTEG:STAT STOP;:CURR:RANG 1")
        assert int(r.query("*ESR?")) == 0

    await converse(meter(bench), talk)


@pytest.mark.parametrize(
    ("command", "bit"),
    [
        ("FOO", 32),
        (":VOLTA:RANG 15", 32),  # neither the short nor the long form
        (":CURR:RANG", 32),
        (":MEAS? UDC1", 32),  # one input has no number
        (":CURR:RANG 0.03", 16),
        (":VOLT:RANG 2000", 16),
        (":AVER 3", 16),
    ],
)
async def test_what_it_rejects_is_only_a_bit_in_its_register(command: str, bit: int) -> None:
    def talk(r: MessageBasedResource) -> int:
        r.write("*CLS")
        r.write(command)
        return int(r.query("*ESR?"))

    assert await converse(meter(Bench()), talk) == bit


async def test_it_has_no_error_queue() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.timeout = 300
        with pytest.raises(pyvisa.VisaIOError):
            r.query(":SYST:ERR?")

    await converse(meter(Bench()), talk)


async def test_each_input_of_a_larger_one_has_its_number_and_its_own_readings() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("HIOKI,PW3337,")
        r.write(":HEAD OFF;:VOLT3:RANG 15;:CURR3:RANG 0.2")
        pass_s(bench, r, 0.5)
        assert values(r, "UDC3,IDC3,P3,IDC1") == pytest.approx([3.0, 0.05, 0.15, 0.0])
        r.write("*CLS")
        r.write(":CURR3:RANG 0.1")
        assert int(r.query("*ESR?")) == 16

    await converse(meter(bench, options={"channel": 3}), talk)


async def test_errors_stay_within_the_rows_it_was_told() -> None:
    table = rows({"current": ((0.1, 1e-3, 1e-4),), "voltage": ((15.0, 1e-3, 15e-3),)})
    seen = []
    for seed in range(5):
        bench = Bench(STEADY)

        def talk(r: MessageBasedResource, bench: Bench = bench) -> list[float]:
            r.write(SETUP)
            pass_s(bench, r, 0.5)
            return values(r, "UDC,IDC")

        volt, ampere = await converse(meter(bench, accuracy=table, rng=np.random.default_rng(seed)), talk)
        assert abs(volt - 3.0) <= 1e-3 * 3.0 + 15e-3 + 1e-3
        assert abs(ampere - 0.05) <= 1e-3 * 0.05 + 1e-4 + 1e-6
        seen.append(abs(ampere - 0.05))
    assert max(seen) > 2e-5


@pytest.mark.parametrize("interface", ["hislip", "vxi11"])
def test_its_network_has_nothing_but_the_socket(interface: Any) -> None:
    with pytest.raises(ValueError, match=f"a PW3335 has a raw socket and no {interface}"):
        meter(Bench(interface=interface))
