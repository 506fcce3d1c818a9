"""The WT1800E and WT500 over VXI-11 with stock PyVISA."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.instruments import yokogawa_wt1800e
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, Load, converse, rows

STEADY: Load = ((0, 0.05),)
SETUP = ":COMM:HEAD OFF;:INP:VOLT:RANG:ELEM1 15V;:INP:CURR:RANG:ELEM1 100MA;:RATE 100MS;:NUM:NUMB 3;ITEM1 UDC,1;ITEM2 IDC,1;ITEM3 P,1"


def bench_of(load: Load = STEADY) -> Bench:
    return Bench(load, interface="vxi11")


def analyzer(bench: Bench, **changes: Any) -> Persona:
    return yokogawa_wt1800e.create(bench.setup(**changes))


def pass_s(bench: Bench, r: MessageBasedResource, seconds: float) -> None:
    """Board time passes once the analyzer has worked off what was sent."""
    assert r.query("*OPC?") == "1"
    bench.clock.pass_s(seconds)


def values(r: MessageBasedResource) -> list[float]:
    return [float(v) for v in r.query(":NUM:VAL?").split(",")]


async def test_answers_carry_headers_until_they_are_off() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?") == "YOKOGAWA,WT1803E-5A3,VIRTUAL7,F1.01"
        assert r.query(":INP:CFAC?") == ":INPUT:CFACTOR 3"
        assert r.query(":INP:MODU?") == ":INPUT:MODULE 5,5,5"
        r.write(":COMM:VERB OFF")
        assert r.query(":INP:CURR:RANG:ELEM3?") == ":CURR:RANG:ELEM 5.00E+00"
        r.write(":COMM:HEAD OFF")
        assert r.query(":INP:CURR:RANG:ELEM3?;:RATE?") == "5.00E+00;5.000E-01"

    await converse(analyzer(bench_of(), options={"element": 3}), talk)


async def test_it_tells_the_means_of_whole_updates_and_when_one_has_ended() -> None:
    bench = bench_of(((0, 0.02), (150_000_000, 0.06)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        r.write(":STAT:FILT1 FALL")
        assert r.query(":NUM:VAL?") == "NAN,NAN,NAN", "no value before the first update"
        pass_s(bench, r, 0.25)
        assert r.query(":STAT:EESR?;:STAT:EESR?") == "1;0"
        assert values(r) == pytest.approx([3.0, 0.04, 0.12])
        pass_s(bench, r, 0.1)
        assert values(r) == pytest.approx([3.0, 0.06, 0.18])

    await converse(analyzer(bench), talk)


async def test_a_block_has_its_large_end_first() -> None:
    bench = bench_of()

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:NUM:FORM FLO")
        pass_s(bench, r, 0.25)
        r.write(":NUM:VAL?")
        raw = r.read_raw()
        assert raw[:4] == b"#212"
        assert struct.unpack(">3f", raw[4:16]) == pytest.approx((3.0, 0.05, 0.15))

    await converse(analyzer(bench), talk)


async def test_hold_keeps_the_values_and_ends_no_update() -> None:
    bench = bench_of(((0, 0.02), (300_000_000, 0.06)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:STAT:FILT1 FALL")
        pass_s(bench, r, 0.25)
        assert values(r)[1] == pytest.approx(0.02)
        r.write(":HOLD ON")
        assert r.query(":STAT:EESR?") == "1"
        pass_s(bench, r, 1.0)
        assert values(r)[1] == pytest.approx(0.02)
        assert r.query(":STAT:EESR?") == "0"

    await converse(analyzer(bench), talk)


async def test_what_a_range_does_not_hold_is_infinite_or_told_as_a_cut_off_peak() -> None:
    bench = bench_of(((0, 0.05),))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:INP:CURR:RANG:ELEM1 20MA")
        pass_s(bench, r, 0.25)
        assert r.query(":NUM:VAL?").endswith(",INF,INF")
        r.write(":INP:CURR:RANG:ELEM1 10MA")
        pass_s(bench, r, 0.25)
        assert r.query(":INP:POV?") == "1"
        r.write(":INP:CURR:AUTO:ELEM1 ON")
        pass_s(bench, r, 0.25)
        assert r.query(":INP:CURR:RANG:ELEM1?;:INP:POV?") == "5.00E-02;0"

    await converse(analyzer(bench), talk)


async def test_an_external_sensor_and_a_ratio_change_what_is_told() -> None:
    bench = bench_of()

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:INP:CURR:RANG:ELEM1 EXTERNAL,10V")
        assert r.query(":INP:CURR:RANG:ELEM1?") == "EXTERNAL,1.00E+01"
        pass_s(bench, r, 0.25)
        assert values(r)[1] == pytest.approx(0.5)
        r.write(":INP:CURR:RANG:ELEM1 100MA;:INP:SCAL:STAT:ELEM1 ON")
        pass_s(bench, r, 0.25)
        assert values(r)[1:] == pytest.approx([0.5, 1.5])

    await converse(analyzer(bench), talk)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("FOO", 113),
        (":INP:CURR:RANG:ELEM2 1A", 114),  # a WT1801E has one element
        (":INP:CURR:RANG:ELEM1 30MA", 222),
        (":INP:CURR:RANG:ELEM1 EXTERNAL", 224),
        (":INP:VOLT:RANG:ELEM1 2V", 222),
        (":RATE 250MS", 222),
        (":INP:CFAC 4", 224),
        (":NUM:ITEM1 WATT,1", 224),
        (":NUM:ITEM1 UDC,2", 222),
        (":INTEG:STAR;:RATE 1S", 813),
        (":INTEG:STAR;*RST", 813),
    ],
)
async def test_what_it_rejects_stands_in_its_queue(command: str, code: int) -> None:
    def talk(r: MessageBasedResource) -> int:
        r.write(command)
        return int(r.query(":STAT:ERR?").split(",")[0])

    assert await converse(analyzer(bench_of()), talk) == code


async def test_ranges_at_crest_factor_6_are_half_as_large() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:INP:CFAC 6;:INP:CURR:RANG:ELEM1 50MA")
        assert r.query(":INP:CURR:RANG:ELEM1?;:STAT:ERR?") == '5.00E-02;0,"No error"'
        r.write(":INP:CURR:RANG:ELEM1 20MA")
        assert r.query(":STAT:ERR?").startswith("222")

    await converse(analyzer(bench_of()), talk)


async def test_a_wt500_has_its_own_ranges_and_no_modules() -> None:
    bench = bench_of()

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("YOKOGAWA,760203-")
        r.write(":COMM:HEAD OFF;:INP:CURR:RANG:ELEM3 40A;:RATE 50MS")
        assert r.query(":STAT:ERR?").startswith("222")
        r.write(":INP:VOLT:RANG:ELEM3 3V")
        assert r.query(":STAT:ERR?").startswith("222")

    await converse(yokogawa_wt1800e.WT1800E(bench.setup(options={"element": 3}), "760203"), talk)


async def test_errors_stay_within_the_rows_it_was_told() -> None:
    table = rows({"current": ((0.1, 1e-3, 1e-4),), "voltage": ((15.0, 1e-3, 15e-3),)})
    seen = []
    for seed in range(5):
        bench = bench_of()

        def talk(r: MessageBasedResource, bench: Bench = bench) -> list[float]:
            r.write(SETUP)
            pass_s(bench, r, 0.25)
            return values(r)

        volt, ampere, _ = await converse(analyzer(bench, accuracy=table, rng=np.random.default_rng(seed)), talk)
        assert abs(volt - 3.0) <= 1e-3 * 3.0 + 15e-3
        assert abs(ampere - 0.05) <= 1e-3 * 0.05 + 1e-4
        seen.append(abs(ampere - 0.05))
    assert max(seen) > 2e-5


@pytest.mark.parametrize("interface", ["socket", "hislip"])
def test_its_network_has_nothing_but_vxi11(interface: Any) -> None:
    with pytest.raises(ValueError, match=f"a WT1801E has VXI-11 and no {interface}"):
        analyzer(Bench(interface=interface))
