"""The board with a scripted firmware: events, sleep, wake-up, brown-out, truth, and the same physics in both paces."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.firmware_process import Op, Request
from labd_virtual.spec import BenchSpec, BoardSpec
from tests.virtual.scripted_firmware import Script, ScriptedFirmware, mark, spend, timer, timer_ns, wait, wait_ns

MS = 1_000_000
SLEEP, WAKE, LOAD, INFER, TAIL, IDLE = 2, 3, 4, 5, 6, 7
EXACT = BoardSpec(
    cycle_dispersion=0.0,
    power_dispersion=0.0,
    oscillator_dispersion=0.0,
    clock_error=0.0,
    thermal_k_per_w=0.0,
    ambient_c=25.0,
    bleed_ohm=1e12,
)


def periodic(count: int, *, period_us: int = 50_000, reload: bool = False) -> Callable[[], Script]:
    state = 4 if reload else 3

    def script() -> Script:
        yield timer(period_us)
        for _ in range(count):
            yield wait(state, 4, SLEEP)
            yield timer(period_us, from_last=True)
            yield mark(1)
            yield spend(WAKE, 64_000, 50)
            if reload:
                yield spend(LOAD, 128_000)
            yield mark(0)
            yield spend(WAKE, 32_000, 50)
            yield spend(INFER, 400_000)
            yield spend(INFER, 112_000, 0)
            yield wait(1, 0, TAIL, 5_000)
        yield wait(state, 4, SLEEP)

    return script


@asynccontextmanager
async def powered(
    script: Callable[[], Script], board: BoardSpec = EXACT, *, ohm: float = 0.01, clamp_a: float = 0.1, **spec: Any
) -> AsyncIterator[tuple[VirtualBench, ScriptedFirmware]]:
    firmware = ScriptedFirmware(script)
    async with run_bench(BenchSpec(board=board, **spec), keep_truth=True, firmware=firmware) as bench:
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=ohm, clamp_a=clamp_a, connected=True)
        yield bench, firmware


async def pass_until(bench: VirtualBench, t_ns: int) -> None:
    async with asyncio.timeout(20):
        await bench.clock.sleep_until(t_ns)


def events(bench: VirtualBench) -> list[dict[str, Any]]:
    return [r for r in bench.truth if r["kind"] == "event"]


async def test_the_edges_of_an_event_are_those_of_counted_cycles() -> None:
    async with powered(periodic(3, reload=True)) as (bench, _):
        await pass_until(bench, 300 * MS)
        found = events(bench)
    assert len(found) == 3
    for k, e in enumerate(found):
        since = {name: e[f"{name}_ns"] - e["event_ns"] for name in ("awake", "ready", "start", "end", "asleep")}
        assert since == {
            "awake": 1_200_000,
            "ready": 1_200_000 + 1_000_000 + 2_000_000,
            "start": 4_200_000 + 500_000,
            "end": 4_700_000 + 8_000_000,
            "asleep": 12_700_000 + 5_000_000,
        }
        assert e["cause"] == "timer"
        assert e["event_ns"] - found[0]["event_ns"] == k * 50 * MS


async def test_the_energy_of_an_event_is_that_of_its_currents() -> None:
    """By hand: currents times durations, the loss in the source's 10 mohm, and the supply filter's smoothing."""
    async with powered(periodic(1, reload=True)) as (bench, _):
        await pass_until(bench, 200 * MS)
        (event,) = events(bench)
    s = EXACT
    extra = s.regulator_quiescent_a + s.leakage_a

    def run(activity: float) -> float:
        return s.run_static_a + s.run_dynamic_a * activity + extra

    parts = [
        ("wake", s.oscillator_a + extra, 1.2e-3),
        ("wake", run(0.5), 1.5e-3),
        ("load", s.load_a + extra, 2e-3),
        ("infer", run(1.0), 6.25e-3),
        ("infer", run(0.0), 1.75e-3),
        ("tail", s.tail_a + extra, 5e-3),
    ]
    expected: dict[str, float] = {}
    for phase, amp, second in parts:
        expected[phase] = expected.get(phase, 0.0) + amp * second * (3.0 - 0.01 * amp)
    # The node lags by tau = C*R; at the load's steps the voltage is off by at most R*dI for that long.
    for phase, energy in expected.items():
        assert event["load_j"][phase] == pytest.approx(energy, rel=5e-4)
    rest_s = (event["recovered_ns"] - event["asleep_ns"]) * 1e-9
    rest_w = 3.0 * (s.sleep_core_a + extra)
    assert event["energy_j"] == pytest.approx(sum(expected.values()) + rest_w * rest_s, rel=2e-5)
    assert event["charge_c"] == pytest.approx(sum(a * t for _, a, t in parts) + rest_w / 3.0 * rest_s, rel=1e-6)
    assert event["rest"]["settled_power_w"] == pytest.approx(rest_w, rel=2e-6)  # and 3 pA of bleed
    assert event["recovered"]
    assert event["edge_gated_j"] < event["energy_j"]


async def test_mean_power_between_marks_is_exact() -> None:
    async with powered(periodic(10)) as (bench, _):
        await pass_until(bench, 100 * MS)
        first = bench.board.truth.mark("a")
        await pass_until(bench, 400 * MS)
        last = bench.board.truth.mark("b")
        step = bench.board.supply.steps([100 * MS, 400 * MS])[0]
    assert last["cum_energy_j"] - first["cum_energy_j"] == pytest.approx(float(step[3]), rel=1e-9)
    assert last["t_ns"] - first["t_ns"] == 300 * MS


async def test_the_same_spec_gives_the_same_truth_and_another_seed_another() -> None:
    async def truth(seed: int) -> str:
        async with powered(periodic(5), BoardSpec(), seed=seed) as (bench, _):
            await pass_until(bench, 400 * MS)
            return json.dumps(bench.truth)

    assert await truth(1) == await truth(1)
    assert await truth(1) != await truth(2)


async def test_real_time_has_the_same_durations_and_energies_as_stepped_time() -> None:
    async def truth(pace: str) -> list[dict[str, Any]]:
        async with powered(periodic(4, period_us=30_000), BoardSpec(), time=pace) as (bench, _):
            await pass_until(bench, 200 * MS)
            return events(bench)

    stepped, real = await truth("stepped"), await truth("real")
    assert len(stepped) == len(real) == 4
    for s, r in zip(stepped, real, strict=True):
        assert [b - a for w in s["windows"] for a, b in [w]] == [b - a for w in r["windows"] for a, b in [w]]
        assert s["end_ns"] - s["awake_ns"] == r["end_ns"] - r["awake_ns"]
        assert s["energy_j"] == pytest.approx(r["energy_j"], rel=1e-8)


async def test_dispersion_has_the_declared_size() -> None:
    async with powered(periodic(400, period_us=20_000), replace(EXACT, cycle_dispersion=0.01)) as (bench, _):
        await pass_until(bench, 400 * 26 * MS)
        lengths = [e["end_ns"] - e["start_ns"] for e in events(bench)]
    assert len(lengths) == 400
    mean = sum(lengths) / 400
    spread = (sum((x - mean) ** 2 for x in lengths) / 399) ** 0.5 / mean
    lag = sum((a - mean) * (b - mean) for a, b in itertools.pairwise(lengths)) / 399 / (spread * mean) ** 2
    assert mean == pytest.approx(8e6, rel=2e-3)
    assert spread == pytest.approx(0.01, rel=0.2)
    assert lag == pytest.approx(0.3, abs=0.2)


async def test_the_devices_clock_error_stretches_everything_but_its_own_count() -> None:
    async with powered(periodic(3), replace(EXACT, clock_error=0.02)) as (bench, firmware):
        await pass_until(bench, 300 * MS)
        found = events(bench)
        own = [r.t_ns for r in firmware.replies if r.events == 4]
    assert found[1]["event_ns"] - found[0]["event_ns"] == pytest.approx(50e6 / 1.02, abs=2)
    assert found[0]["end_ns"] - found[0]["start_ns"] == pytest.approx(8e6 / 1.02, abs=2)
    assert own[1] - own[0] == pytest.approx(50e6, abs=2000)


async def test_a_load_beyond_the_clamp_browns_the_board_out_and_it_boots_again() -> None:
    async with powered(periodic(100)) as (bench, firmware):
        await pass_until(bench, 20 * MS)
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=1e-4, connected=True)
        await pass_until(bench, 60 * MS)
        look = bench.board.look()
        assert look["resets"] == 1
        assert not firmware.running
        await pass_until(bench, 90 * MS)
        # The clamp still holds: it starts, draws too much, and falls again.
        assert bench.board.look()["boots"] > 1
        assert [r["on"] for r in bench.truth if r["kind"] == "power"][:4] == [True, False, True, False]
        assert events(bench) == []


async def test_a_clamp_that_lets_the_board_fall_again_and_again_does_not_run_away_with_the_time() -> None:
    async with powered(periodic(100), patience_s=30.0) as (bench, _):
        await pass_until(bench, 20 * MS)
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=1e-4, connected=True)
        await pass_until(bench, 60 * MS)
        assert not bench.board.supply.powered
        for _ in range(200):
            await asyncio.sleep(0)
        assert bench.clock.now_ns() == 60 * MS


async def test_another_specimen_does_not_set_the_devices_counter_back() -> None:
    async with powered(periodic(100), BoardSpec()) as (bench, firmware):
        for seed in range(20):
            await pass_until(bench, (seed + 1) * 100 * MS)
            bench.redraw(seed)
        own = [r.t_ns for r in firmware.replies]
    assert own == sorted(own)


async def test_switching_off_kills_the_firmware_and_empties_the_board() -> None:
    async with powered(periodic(100)) as (bench, firmware):
        await pass_until(bench, 120 * MS)
        before = firmware.running
        bench.board.supply.drive(emf_v=0.0, resistance_ohm=1.0, clamp_a=1.0, connected=True)
        await pass_until(bench, 130 * MS)
        look = bench.board.look()
    assert (before, firmware.running) == (True, False)
    assert look["state"] == "unpowered"
    assert look["resets"] == 0
    assert look["voltage_v"] < 1e-3


def armed(timeout_us: int) -> Callable[[], Script]:
    def script() -> Script:
        while True:
            reply = yield wait(3, 2, SLEEP, timeout_us)
            yield spend(WAKE, 64_000)
            if reply.events == 2:
                yield spend(INFER, 640_000)

    return script


async def test_a_rising_edge_wakes_after_the_oscillator_start() -> None:
    async with powered(armed(0xFFFFFFFF)) as (bench, _):
        await pass_until(bench, 10 * MS)
        bench.board.pins.drive("TRIG", 1)
        await pass_until(bench, 30 * MS)
        (event,) = events(bench)
    assert event["cause"] == "trig"
    assert event["event_ns"] == 10 * MS
    assert event["awake_ns"] == 10 * MS + 1_200_000


async def test_an_armed_board_waits_for_its_trigger_while_the_host_is_busy() -> None:
    async with powered(armed(1_000_000), patience_s=30.0) as (bench, firmware):
        await pass_until(bench, 10 * MS)
        for _ in range(50):
            await asyncio.sleep(0)
        assert bench.clock.now_ns() == 10 * MS
        bench.board.pins.drive("TRIG", 1)
        await pass_until(bench, 30 * MS)
        assert [r.events for r in firmware.replies if r.events] == [2]


async def test_an_armed_board_times_out_once_the_host_is_quiet() -> None:
    async with powered(armed(1_000_000), patience_s=0.02) as (bench, firmware):
        await pass_until(bench, 10 * MS)
        async with asyncio.timeout(10):
            while len(firmware.replies) < 2:  # noqa: ASYNC110 - the bench tells nobody
                await asyncio.sleep(0)
        assert firmware.replies[0].events == 0
        assert firmware.replies[0].t_ns > 1000 * MS


async def test_a_timer_that_expired_during_work_is_delivered_by_the_next_wait_at_once() -> None:
    def script() -> Script:
        yield timer(1_000)
        yield spend(INFER, 640_000)
        reply = yield wait(3, 4, SLEEP)
        assert reply.events == 4
        yield timer(15_000, from_last=True)
        yield wait(3, 4, SLEEP)

    async with powered(script) as (bench, firmware):
        await pass_until(bench, 100 * MS)
        spent, waited, _, woken = firmware.replies[1:5]
    assert spent.t_ns == waited.t_ns
    assert woken.t_ns == spent.t_ns - 10 * MS + 1 * MS + 15 * MS + 1_200_000


async def test_times_can_be_told_to_the_nanosecond() -> None:
    def script() -> Script:
        yield Request(Op.NOW, 0, 0, 0)
        yield wait_ns(1, 0, IDLE, 1_234)
        yield timer_ns(5_000_000_123)
        yield wait_ns(3, 4, SLEEP)

    async with powered(script) as (bench, firmware):
        await pass_until(bench, 6_000 * MS)
    began, waited, set_at, woken = firmware.replies[:4]
    assert waited.t_ns == set_at.t_ns == began.t_ns + 1_234
    assert (woken.t_ns - set_at.t_ns, woken.events) == (5_000_000_123 + 1_200_000, 4)


async def test_a_wait_s_reply_tells_how_long_ago_the_event_was() -> None:
    def script() -> Script:
        yield timer(1_000)
        yield wait(1, 4, IDLE)
        yield wait(3, 2, SLEEP)
        yield timer_ns(-2_000)
        yield wait(1, 4, IDLE)

    async with powered(script) as (bench, firmware):
        await pass_until(bench, 10 * MS)
        bench.board.pins.drive("TRIG", 1)
        await pass_until(bench, 20 * MS)
    assert [reply.value for reply in firmware.replies[:5]] == [0, 0, 1_200_000, 0, 2_000]


@pytest.mark.parametrize("clock_error", [0.0, 0.017, -29e-6])
async def test_no_cycle_is_lost_in_many_short_stretches(clock_error: float) -> None:
    """7 cycles of 64 MHz are 109.375 ns: rounded one by one, 20000 of them would be 7.5 us short."""
    count, cycles = 20_000, 7

    def script() -> Script:
        for _ in range(count):
            yield spend(INFER, cycles)

    async with powered(script, replace(EXACT, clock_error=clock_error)) as (bench, firmware):
        await pass_until(bench, 20 * MS)
    took_ns = [reply.t_ns - firmware.replies[0].t_ns for reply in firmware.replies[:count]]
    exact_ns = [k * cycles / 64e6 * 1e9 for k in range(count)]
    assert max(abs(a - b) for a, b in zip(took_ns, exact_ns, strict=True)) <= 2


async def test_the_board_grows_warm_and_its_leakage_with_it() -> None:
    warm = replace(EXACT, thermal_k_per_w=1000.0, thermal_tau_s=1.0)

    def script() -> Script:
        yield spend(INFER, 64_000 * 5_000)
        yield wait(3, 0, SLEEP)

    async with powered(script, warm) as (bench, _):
        await pass_until(bench, 5002 * MS)
        rise = bench.board.look()["rise_k"]
        await pass_until(bench, 5100 * MS)
        early = bench.board.look()["rest_power_w"]
        await pass_until(bench, 20_000 * MS)
        late = bench.board.look()["rest_power_w"]
    node_v = 3.0 - 0.01 * 4.71
    assert rise == pytest.approx(0.01 * node_v * 1000 * (1 - math.exp(-5.0)), rel=2e-3)
    assert early > late * 1.2
    assert late == pytest.approx(3 * 5.7e-6, rel=1e-2)


async def test_options_that_a_model_does_not_know_change_the_rest() -> None:
    def script() -> Script:
        yield wait(3, 0, SLEEP)

    async def rest_power(board: BoardSpec, **spec: Any) -> float:
        async with powered(script, board, **spec) as (bench, _):
            await pass_until(bench, 200 * MS)
            power: float = bench.board.look()["rest_power_w"]
            return power

    plain = await rest_power(EXACT)
    assert await rest_power(replace(EXACT, deep_sleep_a=-1e-6)) == pytest.approx(plain - 3e-6, rel=1e-6)
    fed = BenchSpec().uart
    assert await rest_power(replace(EXACT, backfeed_a=2e-6), uart=replace(fed, driven=True)) == pytest.approx(plain - 6e-6, rel=1e-6)
    assert await rest_power(replace(EXACT, backfeed_a=2e-6)) == pytest.approx(plain, rel=1e-9)


async def test_a_firmware_that_ends_by_itself_leaves_a_hanging_core() -> None:
    async with powered(armed(0xFFFFFFFF)) as (bench, firmware):
        await pass_until(bench, 10 * MS)
        firmware.on_end("the firmware ended")
        await pass_until(bench, 20 * MS)
        look = bench.board.look()
    assert look["crashed"] == "the firmware ended"
    assert look["state"] == "busy_poll"


async def test_fields_of_the_board_can_be_changed_while_it_runs() -> None:
    async with powered(armed(0xFFFFFFFF)) as (bench, _):
        await pass_until(bench, 10 * MS)
        before = bench.board.look()["rest_power_w"]
        bench.board.configure("board.retention_a", 10e-6)
        assert bench.board.look()["rest_power_w"] == pytest.approx(before + 3 * 7e-6, rel=1e-6)
        bench.board.configure("uart.driven", True)
        assert bench.board.look()["worst_io_v"] == 3.0
        with pytest.raises(ValueError, match=r"board\.nonsense: no such key"):
            bench.board.configure("board.nonsense", 1)
        with pytest.raises(ValueError, match="cannot be set"):
            bench.board.configure("seed", 1)


async def test_an_hour_of_events_needs_no_more_memory_than_the_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd_virtual.waveform._KEEP_SEGMENTS", 1000)
    async with powered(periodic(10**6, period_us=60_000_000), horizon_s=1.0) as (bench, _):
        await pass_until(bench, 3_600_000 * MS)
        assert bench.board.supply.segments() < 5000
        assert len(events(bench)) >= 59


def sender(payload: bytes) -> Callable[[], Script]:
    def script() -> Script:
        yield Request(Op.UART_TX, 0, len(payload), 0, payload)
        yield Request(Op.UART_FLUSH, 0, 0, 0)
        yield wait(3, 1, SLEEP)
        while True:
            yield spend(WAKE, 6400)
            yield Request(Op.UART_RX, 0, 0, 100)
            yield wait(1, 1, IDLE)

    return script


async def test_bytes_leave_at_the_pace_of_the_wire() -> None:
    async with powered(sender(b"hello")) as (bench, firmware):
        await pass_until(bench, 20 * MS)
    queued, flushed = firmware.replies[:2]
    assert flushed.t_ns - queued.t_ns == pytest.approx(5 * 10 / 115200 * 1e9, abs=2)


async def test_a_counter_may_stand_still_in_sleep_while_timers_go_on() -> None:
    """Its clock comes back with the oscillator: of a period of 50 ms it counts the 14.5 ms awake, and the events stay 50 ms apart."""
    async with powered(periodic(3), replace(EXACT, counter_stops_asleep=True)) as (bench, firmware):
        await pass_until(bench, 300 * MS)
        found = events(bench)
    assert [b["event_ns"] - a["event_ns"] for a, b in itertools.pairwise(found)] == [50 * MS] * 2
    awake = [reply.t_ns for reply in firmware.replies if reply.events == 4]
    assert [b - a for a, b in itertools.pairwise(awake[:3])] == [14_500_000] * 2


async def test_a_timer_follows_the_wander_of_its_oscillator() -> None:
    board = replace(EXACT, clock_wander=0.01, clock_wander_s=0.2)
    async with powered(periodic(5), board) as (bench, _):
        await pass_until(bench, 400 * MS)
        found = events(bench)
    apart = [b["event_ns"] - a["event_ns"] for a, b in itertools.pairwise(found)]
    assert max(apart) - min(apart) > 0.004 * 50 * MS
    assert abs(sum(apart) - 4 * 50 * MS) < 1000, "a whole swing"
