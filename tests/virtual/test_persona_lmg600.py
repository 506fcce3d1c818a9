"""The LMG600 over a real socket with stock PyVISA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource

from labd_virtual.instruments import zimmer_lmg600
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, Load, converse, rows

STEADY: Load = ((0, 0.05),)
SETUP = ":SENS:ZPR 0;:SENS:SWE:TIME 0.1;:SENS:VOLT:RANG1 12.5;:SENS:CURR:RANG1 0.08;*ZLANG SHORT"


def analyzer(bench: Bench, **changes: Any) -> Persona:
    return zimmer_lmg600.create(bench.setup(**changes))


def values(r: MessageBasedResource, items: str) -> list[float]:
    r.write("INIM")
    return [float(v) for v in r.query(";".join(f"{item}?" for item in items.split(","))).split(";")]


async def test_answers_look_like_those_in_the_published_log() -> None:
    bench = Bench(((0, 10e-6),))

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").split(",")[1] == "LMG610"
        r.write("*ZLANG SHORT")
        assert r.query("INIM;TSNORM1?;DURNORM1?") == "2026:01:01D00:00:00.000000000+0000;0.500000000"
        assert r.query("INIM;UDC1?;ICF1?") == "3.000000E+00;9.910000E+37", "a small current is told as zero and has no crest factor"
        assert r.query("TSNORM1?") == "2026:01:01D00:00:00.500000000+0000", "a query without INIM tells of the same cycle again"

    await converse(analyzer(bench), talk)


async def test_a_query_waits_for_the_cycle_that_ends_next() -> None:
    bench = Bench(((0, 0.02), (50_000_000, 0.06)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        assert values(r, "UDC1,IDC1,P1") == pytest.approx([3.0, 0.04, 0.12])
        assert bench.clock.now_ns() == 100_000_000
        assert values(r, "IDC1,ITRMS1,ICF1") == pytest.approx([0.06, 0.06, 1.0])
        assert bench.clock.now_ns() == 200_000_000

    await converse(analyzer(bench), talk)


async def test_each_language_knows_its_own_commands_only() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query(":SYST:ERR:ALL?") == '0,"No error"'
        r.write("INIM")
        assert r.query(":SYST:ERR:ALL?") == '-113,"Undefined header"'
        r.write("*ZLANG SHORT")
        r.write(":SENS:ZPR 0")
        assert r.query("ERRALL?") == '-113,"Undefined header"'
        r.write("*zlang scpi")
        assert r.query(":SENS:ZPR?;:SENS:SWE:TIME?") == "1;0.5"

    await converse(analyzer(Bench()), talk)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("FOO", -113),
        (":SENS:CURR:RANG2 1.2", -114),  # an LMG610 has one channel
        (":SENS:CURR:RANG1", -109),
        (":SENS:CURR:RANG1 99", -222),
        (":SENS:VOLT:RANG1 2000", -222),
        (":SENS:SWE:TIME 0.001", -222),
        (":SENS:SWE:TIME 0.050000", -224),
        (":INIT:CONT ON", -221),
    ],
)
async def test_what_it_rejects_stands_in_its_queue(command: str, code: int) -> None:
    def talk(r: MessageBasedResource) -> int:
        r.write(command)
        return int(r.query(":SYST:ERR:ALL?").split(",")[0])

    assert await converse(analyzer(Bench()), talk) == code


async def test_a_channel_that_is_not_there_has_no_answer() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.timeout = 300
        r.write("*ZLANG SHORT")
        with pytest.raises(pyvisa.VisaIOError):
            r.query("IRNG2?")

    await converse(analyzer(Bench()), talk)


async def test_a_range_is_chosen_by_what_it_holds_and_left_by_automatic_ranging() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        r.write("IRNG1 0.5")
        assert r.query("IRNG1?;IAUTO1?") == "0.6;0"
        r.write("IAUTO1 1")
        values(r, "IDC1")
        assert r.query("IRNG1?;IAUTO1?") == "0.08;1"

    await converse(analyzer(bench), talk)


async def test_a_range_cuts_off_what_it_cannot_hold_and_a_factor_multiplies() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        r.write("IRNG1 0.02;ISCA1 10")
        assert values(r, "IDC1,P1") == pytest.approx([0.4, 1.2])

    await converse(analyzer(bench), talk)


async def test_channels_of_a_larger_one_have_their_own_readings() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").split(",")[1] == "LMG670"
        r.write(SETUP)
        assert values(r, "UDC6,IDC6,P6,IDC1") == pytest.approx([3.0, 0.05, 0.15, 0.0])
        r.write("*ZLANG SCPI")
        assert [float(v) for v in r.query(":FETC:VOLT6?;:FETC:CURR6?;:FETC:POW6?").split(";")] == pytest.approx([3.0, 0.05, 0.15])

    await converse(analyzer(bench, options={"channel": 6}), talk)


async def test_errors_stay_within_the_rows_it_was_told() -> None:
    table = rows({"current": ((0.08, 1e-3, 1e-4),), "voltage": ((12.5, 1e-3, 15e-3),)})
    seen = []
    for seed in range(5):

        def talk(r: MessageBasedResource) -> list[float]:
            r.write(SETUP)
            return values(r, "UDC1,IDC1")

        volt, ampere = await converse(analyzer(Bench(STEADY), accuracy=table, rng=np.random.default_rng(seed)), talk)
        assert abs(volt - 3.0) <= 1e-3 * 3.0 + 15e-3
        assert abs(ampere - 0.05) <= 1e-3 * 0.05 + 1e-4
        seen.append(abs(ampere - 0.05))
    assert max(seen) > 2e-5


@pytest.mark.parametrize("interface", ["hislip", "vxi11"])
def test_it_is_virtual_on_a_raw_socket_alone(interface: Any) -> None:
    with pytest.raises(ValueError, match=f"raw socket and not on {interface}"):
        analyzer(Bench(interface=interface))
