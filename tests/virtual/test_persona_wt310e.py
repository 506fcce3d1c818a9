"""The WT310E over a real socket with stock PyVISA."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.instruments import yokogawa_wt310e
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, Load, converse, rows

STEADY: Load = ((0, 0.05),)
SETUP = ":COMM:HEAD OFF;VERB OFF;:INP:MODE DC;:INP:VOLT:RANG 15;:INP:CURR:RANG 200MA;:RATE 100MS"
ITEMS = ":NUM:FORM FLO;:NUM:NORM:NUMB 5;ITEM1 U,1;ITEM2 I,1;ITEM3 P,1;ITEM4 WH,1;ITEM5 TIME"
NO_ERROR = '0,"No error"'


def meter(bench: Bench, **changes: Any) -> Persona:
    return yokogawa_wt310e.create(bench.setup(**changes))


def values(r: MessageBasedResource) -> list[float]:
    return [float(v) for v in r.query_binary_values(":NUM:NORM:VAL?", datatype="f", is_big_endian=True)]


def pass_s(bench: Bench, r: MessageBasedResource, seconds: float) -> None:
    """Board time passes once the meter has worked off what was sent."""
    assert r.query("*OPC?") == "1"
    bench.clock.pass_s(seconds)


async def test_replies_carry_headers_until_they_are_switched_off() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("YOKOGAWA,WT310E")
        assert r.query(":INP:MODE?") == ":INPUT:MODE DC"
        r.write(":COMM:VERB OFF")
        assert r.query(":INP:CURR:RANG?").startswith(":CURR:RANG ")
        r.write(":COMM:HEAD OFF")
        assert r.query("INPUT:MODE?;:STAT:ERR?") == f"DC;{NO_ERROR}"

    await converse(meter(Bench()), talk)


async def test_it_measures_the_true_means_of_whole_updates() -> None:
    bench = Bench(((0, 0.02), (150_000_000, 0.06)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        r.write(ITEMS)
        assert r.query(":STAT:ERR?") == NO_ERROR
        assert all(math.isnan(v) for v in values(r)[:3]), "no data before the first update"
        pass_s(bench, r, 0.25)
        assert values(r)[:3] == pytest.approx([3.0, 0.04, 0.12])
        assert values(r)[:3] == values(r)[:3]
        pass_s(bench, r, 0.1)
        assert values(r)[:3] == pytest.approx([3.0, 0.06, 0.18])

    await converse(meter(bench), talk)


async def test_a_wait_for_the_end_of_an_update_makes_board_time_pass() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:STAT:FILT1 FALL;:STAT:EESR?")
        r.read()
        r.write(":COMM:WAIT 1")
        assert r.query(":STAT:EESR?;EESR?") == "1;0"
        assert bench.clock.now_ns() == 100_000_000
        pass_s(bench, r, 0.05)
        assert r.query(":STAT:EESR?") == "0"

    await converse(meter(bench), talk)


async def test_over_input_makes_it_leave_a_small_fixed_range_by_itself() -> None:
    bench = Bench(((0, 0.05), (1_000_000_000, 0.5)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        pass_s(bench, r, 0.5)
        assert r.query(":INP:CURR:RANG?;AUTO?") == "2.000E-01;0"
        pass_s(bench, r, 1.0)
        assert r.query(":INP:CURR:RANG?;AUTO?") == "1.000E+00;1"

    await converse(meter(bench), talk)


async def test_over_range_on_a_large_fixed_range_is_infinite_and_flagged() -> None:
    bench = Bench(((0, 0.9),))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP + ";:INP:CURR:RANG 0.5")
        r.write(ITEMS)
        pass_s(bench, r, 0.3)
        assert values(r)[1:3] == [math.inf, math.inf]
        assert int(r.query(":STAT:COND?")) & 64
        r.write(":NUM:FORM ASC")
        assert r.query(":NUM:NORM:VAL? 2") == "INF"
        assert r.query(":INP:CURR:RANG?") == "5.000E-01"

    await converse(meter(bench), talk)


async def test_a_peak_beyond_what_a_range_holds_is_cut_off_and_latched_and_is_in_the_condition_while_it_lasts() -> None:
    bench = Bench(((0, 0.0), (210_000_000, 2.0), (211_000_000, 0.0)))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP)
        r.write(ITEMS + ";:STAT:FILT9 RISE;:STAT:EESR?")
        r.read()
        pass_s(bench, r, 0.2105)
        assert r.query(":STAT:COND?;EESR?") == "256;0"
        pass_s(bench, r, 0.09)
        assert r.query(":STAT:COND?;EESR?;EESR?") == "0;256;0"
        assert values(r)[:3] == pytest.approx([3.0, 0.006, 0.018], rel=0.05)

    await converse(meter(bench), talk)


async def test_the_integrator_stops_by_its_timer_and_needs_fixed_ranges() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        r.write(":COMM:HEAD OFF;:INTEG:STAR")
        assert r.query(":STAT:ERR?").startswith("221,")
        r.write(SETUP)
        r.write(ITEMS + ";:INTEG:MODE NORM;:INTEG:TIM 0,0,3;:INTEG:STAR")
        assert r.query(":INTEG:STAT?") == "STAR"
        pass_s(bench, r, 5)
        assert r.query(":INTEG:STAT?") == "TIM"
        assert values(r)[3:] == pytest.approx([3 * 0.05 * 3 / 3600, 3.0], rel=1e-5)
        r.write(":INTEG:RES")
        assert r.query(":INTEG:STAT?") == "RES"

    await converse(meter(bench), talk)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("FOO", 113),
        (":RATE 0.3", 222),
        (":INP:CURR:RANG 3", 222),
        (":NUM:NORM:ITEM1 Q,1", 224),
        (":NUM:NORM:ITEM1 U,2", 222),
        (":INP:MODE", 109),
    ],
)
async def test_it_rejects_with_its_own_positive_numbers(command: str, code: int) -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write(command)
        return r.query(":STAT:ERR?")

    assert (await converse(meter(Bench()), talk)).split(",")[0] == str(code)


async def test_zero_calibration_removes_most_of_an_offset_but_no_current() -> None:
    table = rows({"current": ((0.2, 0.0, 2e-4),)})

    def talk(bench: Bench, r: MessageBasedResource) -> tuple[float, float]:
        r.write(SETUP)
        r.write(ITEMS)
        pass_s(bench, r, 0.3)
        before = values(r)[1]
        assert r.query("*CAL?") == "0"
        pass_s(bench, r, 0.3)
        return before, values(r)[1]

    worst = []
    for seed in range(5):
        bench = Bench(STEADY)
        persona = meter(bench, accuracy=table, rng=np.random.default_rng(seed))
        before, after = await converse(persona, lambda r, b=bench: talk(b, r))  # type: ignore[misc]
        assert abs(after - 0.05) <= 0.051 * abs(before - 0.05) + 1e-8
        worst.append(abs(before - 0.05))
    assert max(worst) > 5e-5


async def test_power_has_the_errors_of_its_own_row_where_there_is_one() -> None:
    bench = Bench(STEADY)
    table = rows({"power": ((3.0, 1e-3, 6e-3),), "current": ((0.2, 0.1, 0.0),)})

    def talk(r: MessageBasedResource) -> list[float]:
        r.write(SETUP)
        r.write(ITEMS)
        pass_s(bench, r, 0.3)
        return values(r)

    volts, amps, watts, *_ = await converse(meter(bench, accuracy=table, rng=np.random.default_rng(5)), talk)
    assert abs(watts - 0.15) <= 1e-3 * 0.15 + 6e-3
    assert abs(amps - 0.05) > 1e-4
    assert watts != pytest.approx(volts * amps)


async def test_elements_share_their_ranges_and_only_the_wired_one_sees_the_board() -> None:
    bench = Bench(STEADY)

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("YOKOGAWA,WT333E")
        r.write(SETUP.replace("200MA", "0.5"))
        r.write(":NUM:FORM FLO;:NUM:NORM:NUMB 3;ITEM1 I,1;ITEM2 I,3;ITEM3 P,3")
        assert r.query(":NUM:NORM:ITEM2?;:STAT:ERR?") == f"I,3;{NO_ERROR}"
        pass_s(bench, r, 0.3)
        assert values(r) == pytest.approx([0.0, 0.05, 0.15])
        r.write(":INP:CURR:RANG 200MA")
        assert r.query(":STAT:ERR?").startswith("222,")

    await converse(meter(bench, options={"element": 3}), talk)


async def test_the_large_range_of_a_wt310eh_is_over_sooner() -> None:
    bench = Bench(((0, 45.0),))

    def talk(r: MessageBasedResource) -> None:
        r.write(SETUP.replace("200MA", "40"))
        r.write(ITEMS)
        pass_s(bench, r, 0.3)
        assert values(r)[1] == math.inf

    await converse(yokogawa_wt310e.WT310E(bench.setup(), "WT310EH"), talk)
