"""Every driver in its role on a bench: whole runs of two operating points, found without a list, held against the board's own account."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from labd.analyse.report import report_of
from labd.daemon.opened import load_bench
from labd.errors import FileError, SafetyRefusal
from labd.records import CaptureState, KpiRecord, Role
from labd_instruments import loader
from labd_virtual.instruments.keithley_2450_members import MEMBERS
from labd_virtual.persona import SERVERS
from labd_virtual.wire import Interface
from tests.bench.role_benches import Seat, alone, bench_file, beside, feeding, measuring_only, run_of, triggers
from tests.bench.whole_run import Watch, Whole
from tests.instruments.asked import wired

pytestmark = pytest.mark.compiler

SOURCES = ("keysight_n6705c", "keithley_2450")  # that a meter stands beside
SETS_ONLY = ("nordic_ppk2", "st_lpm01a")  # that measure no voltage
LOWEST_A = 100e-6  # a meter without so low a range sees nothing of a sleeping board
LONG_REST_NS = 2_000_000_000
FLOOR, EVENT = "power.floor", "fit.incremental_energy"
SETTLED = 5e-3  # a rest as a whole holds its entry too
APART = 0.02  # readings that do not hold whole periods differ
SHARE = 3e-3  # events differ, and the ones before the first and after the last that count are among the true ones


def over(drivers: list[str]) -> list[ParameterSet]:
    """Each over every interface that it has."""
    every = [(driver, interface) for interface in SERVERS for driver in drivers if interface in wired(driver).interfaces]
    return [pytest.param(*one, marks=() if one[1] == "socket" else pytest.mark.evidence) for one in every]


def plan_for(driver: str) -> dict[str, str]:
    """What a driver can do in its role: events where it fires the board, else means at each rate."""
    if triggers(driver):
        return {}
    sees_sleep = min(wired(driver).tables["current"]) <= LOWEST_A
    return {"event_captures": "0", "events": "40"} | ({} if sees_sleep else {"modes": '["always_on"]'})


def held_by_truth(whole: Whole) -> None:
    """All captures are there, the board was never in danger, and floor and energy of an inference hold the board's own account."""
    assert whole.outcome.failed == ()
    assert {row.state for row in whole.captures()} == {CaptureState.FINISHED}
    assert (whole.watch.board["boots"], whole.watch.board["resets"]) == (1, 0)
    assert whole.watch.board["worst_pin_v"] <= 3.6
    mode = str(whole.captures()[0].point.mode)
    rests = [rest for rest in whole.watch.records("rest") if rest["end_ns"] - rest["start_ns"] > LONG_REST_NS]
    powers = [rest["energy_j"] / (rest["end_ns"] - rest["start_ns"]) * 1e9 for rest in rests]
    true_floor = float(np.mean(powers))
    floors = whole.all(FLOOR, f"{mode}/r=0/v=3/dnn")
    assert len(floors) == 2
    for floor in floors:
        within(floor, true_floor, SETTLED * true_floor)
    within(whole.get(EVENT, mode), true_event(whole), SHARE * true_event(whole))


def true_event(whole: Whole) -> float:
    """Mean energy of the events above the rest before them."""
    events = [event for event in whole.watch.records("event") if event["cause"] != "uart"]
    assert events
    return float(np.mean([e["energy_j"] - e["rest"]["settled_power_w"] * (e["recovered_ns"] - e["from_ns"]) * 1e-9 for e in events]))


def within(record: KpiRecord, true: float, more: float) -> None:
    assert record.value is not None
    assert record.u is not None, record.note
    assert abs(record.value - true) < 3 * record.u + more


@pytest.mark.parametrize(("driver", "interface"), over(feeding()))
def test_it_feeds_and_measures(tmp_path: Path, driver: str, interface: Interface) -> None:
    held_by_truth(run_of(tmp_path, alone(driver), watch=Watch(tmp_path / "truth.jsonl", interface=interface), **plan_for(driver)))


@pytest.mark.parametrize("model", sorted(MEMBERS.keys() - {"2461"}))
def test_so_does_each_member_of_a_family_without_a_digitizer(tmp_path: Path, model: str) -> None:
    """A 2470's lowest over-voltage step is 20 V: it senses at its own terminals."""
    seats = alone("keithley_2450", senses=model != "2470")
    whole = run_of(tmp_path, seats, watch=Watch(tmp_path / "truth.jsonl", personas={"smu": {"model": model}}))
    held_by_truth(whole)
    (event,) = (row for row in whole.captures() if row.role is Role.EVENT)
    taken = event.acquisition["acquisition"]
    assert taken["settings"]["interval_taken"] == f"interval {taken['dt_ns'] * 1e-3:.6g} us, 10 us were wanted"


def test_a_coarse_protection_and_sense_leads_are_refused_by_name(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "truth.jsonl", personas={"smu": {"model": "2470"}})
    with pytest.raises(SafetyRefusal, match=r"remote sense refused: .* up to 20 V.*; use 2-wire sense"):
        run_of(tmp_path, alone("keithley_2450"), watch=watch)


@pytest.mark.parametrize(("driver", "interface"), over(measuring_only()))
@pytest.mark.parametrize("source", SOURCES)
def test_it_measures_beside_a_source(tmp_path: Path, driver: str, source: str, interface: Interface) -> None:
    inside = 'ammeter = "inside_sense"' if wired(driver).ammeter else ""
    whole = run_of(
        tmp_path, beside(driver, source, more=inside), watch=Watch(tmp_path / "truth.jsonl", interface=interface), **plan_for(driver)
    )
    held_by_truth(whole)
    budget = {line.name for line in whole.get(EVENT, str(whole.captures()[0].point.mode)).budget}
    assert ("supply:source_voltage.offset" in budget) == bool(inside)


@pytest.mark.parametrize("driver", feeding())
def test_a_source_measure_unit_beside_another_source_is_refused_before_anything_is_powered(tmp_path: Path, driver: str) -> None:
    seats = (Seat("supply", "keysight_n6705c", ("source",), wires={}), Seat("meter", driver, ("meter",)))
    with pytest.raises(FileError, match=rf"instruments\.meter\.roles: .*{driver} measures what it feeds itself"):
        load_bench(bench_file(tmp_path, seats))


@pytest.mark.parametrize("driver", [driver for driver in measuring_only() if "power_analyzer" in loader.info(driver).roles])
def test_every_power_analyzer_confirms_a_plateau(tmp_path: Path, driver: str) -> None:
    """On ranges and with updates of its own; the plateau lasts for all of its readings."""
    check = Seat("check", driver, ("cross_check",), more='order = ["smu", "check"]')
    watch = Watch(tmp_path / "truth.jsonl", interface=next(one for one in SERVERS if one in wired(driver).interfaces))
    seats = (*alone("keysight_n6705c"), check)
    whole = run_of(tmp_path, seats, watch=watch, modes='["always_on"]', rates='["0 /s", "33 /s"]', cross_check_time='"4 s"')
    held_by_truth(whole)
    closure = whole.get("closure.power_analyzer", "always_on/r=33/v=3/dnn")
    assert closure.value is not None, closure
    assert abs(closure.value) < APART * whole.value("power.mean", closure.at)
    assert "disagree" not in closure.flags
    assert closure.n == round(4 / loader.info(driver).update_s)


@pytest.mark.parametrize("mode", ["always_on", "event_sleep"])
def test_what_a_bench_without_a_log_composes_is_confirmed(tmp_path: Path, mode: str) -> None:
    check = Seat("check", "yokogawa_wt310e", ("cross_check",), more='order = ["smu", "check"]')
    whole = run_of(
        tmp_path, (*alone("keithley_2450"), check), modes=f'["{mode}"]', rates='["0 /s", "17 /s", "20 /s"]', cross_check_time='"12 s"'
    )
    assert whole.outcome.failed == ()
    closure = whole.get("closure.power_analyzer", f"{mode}/r=17/v=3/dnn")
    assert closure.low is not None, closure
    assert closure.high is not None
    assert closure.low < 0 < closure.high


@pytest.mark.parametrize("source", [driver for driver in feeding() if driver not in SOURCES])
def test_an_ammeter_measures_beside_every_source(tmp_path: Path, source: str) -> None:
    """The source is asked for its voltage after each capture, and has to be at rest again for the next."""
    whole = run_of(tmp_path, beside(AMMETER, source, more='ammeter = "inside_sense"' if wired(source).senses else ""))
    assert whole.outcome.failed == ()
    assert {row.state for row in whole.captures()} == {CaptureState.FINISHED}
    flags = [flag for floor in whole.all(FLOOR, "event_sleep/r=0/v=3/dnn") for flag in floor.flags if "constant voltage" in flag]
    assert len(flags) == 2
    assert all(flag.endswith(told_of_voltage(source)) for flag in flags), flags


def told_of_voltage(source: str) -> str:
    if "Measures" not in loader.info(source).capabilities:
        return "as set, not read"
    return "not read, as set on supply" if source in SETS_ONLY else "read by supply"


AMMETER = next(driver for driver in measuring_only() if triggers(driver))


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return run_of(tmp_path_factory.mktemp("outside"), beside(AMMETER, "keysight_n6705c"))


def test_what_an_ammeter_outside_of_the_sense_loop_drops_is_taken_off_and_in_the_budget(outside: Whole) -> None:
    event = outside.get(EVENT, "event_sleep")
    lines = {line.name: line.u for line in event.budget}
    assert {"meter:burden_voltage", "supply:source_voltage.gain", "supply:source_voltage.offset"} <= lines.keys()
    # 0.20 V on 100 mA: at most 2 ohm, half of which is taken off; the virtual one has none, and so is a half-width away
    assert event.value is not None
    assert true_event(outside) - event.value == pytest.approx(lines["meter:burden_voltage"] * np.sqrt(3), rel=0.5)


def test_a_burden_that_no_document_gives_is_unknown(outside: Whole) -> None:
    for floor in outside.all(FLOOR, "event_sleep/r=0/v=3/dnn"):
        assert floor.u is None
        assert "meter:burden_voltage" in floor.note


def test_every_figure_says_that_its_voltage_is_a_constant(outside: Whole) -> None:
    told = [record for record in outside.outcome.records if record.captures]
    assert told
    assert all(any(flag.startswith("constant voltage: ") and "read by supply" in flag for flag in record.flags) for record in told)
    report = report_of(outside.outcome.store, outside.outcome.run_id)
    assert any("constant voltage" in flag for record in report.kpis for flag in record.flags)


def test_a_source_that_cannot_read_back_what_it_feeds_reads_it_once(tmp_path: Path) -> None:
    whole = run_of(tmp_path, alone("keithley_2450"))
    event = whole.get("energy_per_inference.net_of_sleep", "event_sleep/r=0/v=3/dnn")
    assert event.u is not None
    assert {"smu:voltage.gain", "smu:voltage.offset"} <= {line.name for line in event.budget}


@pytest.mark.parametrize("driver", [driver for driver in feeding() if not triggers(driver)])
def test_events_are_refused_by_name_where_nothing_fires_the_board(tmp_path: Path, driver: str) -> None:
    with pytest.raises(FileError, match=rf"instruments\.smu\.driver: smu: {driver} (has no output that fires|cannot capture)"):
        run_of(tmp_path, alone(driver))


def test_a_coarser_timer_is_taken_and_told(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "truth.jsonl", unkind={"model": "B2901A"})
    whole = run_of(tmp_path, alone("keysight_b2900"), watch=watch)
    held_by_truth(whole)
    (event,) = (row for row in whole.captures() if row.role is Role.EVENT)
    assert event.acquisition["acquisition"]["dt_ns"] == 20_000
    report = report_of(whole.outcome.store, whole.outcome.run_id)
    (told,) = (capture for capture in report.captures if capture.role is Role.EVENT)
    assert told.settings["interval_taken"] == "interval 20 us, 10 us were wanted"
