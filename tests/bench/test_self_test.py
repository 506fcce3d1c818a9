"""What a bench is found to do today, and how a run that follows tells it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.analyse.instruments import self_test
from labd.bench.check import back_feed, check_station
from labd.bench.finding import Finding
from labd.bench.interlock import DISCHARGE_NOT_SEEN
from labd.bench.self_test import ZERO_READINGS, Zero, pace, zero
from labd.bench_file.run_facts import with_self_test
from labd.daemon.opened import load_bench, open_bench, rig_of
from labd.store import self_tests
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd_instruments.errors import RefusedError
from tests.bench.role_benches import alone, bench_file, feeding, triggers
from tests.bench.virtual_station import BOARD, watched
from tests.bench.whole_run import changed
from tests.cli.bench_apart import bench_apart, labd, write_plan

SUPPLY_V = 3.0
IDENTITY = {"maker": "KEITHLEY", "model": "2461", "serial": "1", "firmware": "1.7", "options": []}


@given(st.integers(0, ZERO_READINGS // 2 - 1), st.floats(-1e-6, 1e-6))
def test_readings_before_the_meter_has_settled_are_counted_and_left_out(late: int, offset_a: float) -> None:
    steady = offset_a + np.resize([1e-10, -1e-10, 0.0], ZERO_READINGS - late)
    found = Zero.of([*(offset_a + 1e-8 * 2.0 ** (late - n) for n in range(late)), *steady.tolist()])
    assert found.settled == late
    assert found.mean_a == pytest.approx(steady.mean(), abs=1e-16)
    assert found.noise_a == pytest.approx(steady.std(ddof=1), rel=1e-6)


@given(st.floats(-1e-6, 1e-6), st.integers(4, 40))
def test_a_meter_that_always_reads_the_same_has_settled_at_once(current_a: float, count: int) -> None:
    found = Zero.of([current_a] * count)
    assert found.settled == 0
    assert found.mean_a == pytest.approx(current_a)
    assert found.noise_a == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("mean_a", "limit_a", "ok", "told"),
    [
        (9e-6, 1e-9, True, "none: the board draws 9 uA from its supply asleep"),
        (0.17, 1e-9, True, "draws 170 mA from"),
        (-1e-10, 1e-9, True, "nothing flows back"),  # within its scatter
        (-0.9e-9, 1e-9, None, "within what the meter may read of nothing, 1 nA"),
        (-1.3e-9, 1e-9, False, "a line feeds the board, isolate it"),
        (-0.9e-9, None, False, "or the meter's zero is off, whose limit is not known"),
    ],
)
def test_the_meters_own_zero_is_not_taken_for_back_feed(mean_a: float, limit_a: float | None, ok: bool | None, told: str) -> None:
    found = back_feed(mean_a, 1e-10, limit_a)
    assert found.ok is ok
    assert told in found.text


@pytest.mark.parametrize(
    ("apart", "u", "told"),
    [
        (1.24e-2, 1.9e-2, "goes as this machine's to within 1.9 %: two looks tell no better, any difference is not resolved"),
        (-3.1e-2, 1.9e-2, "goes -3.1 % against this machine's, told to 1.9 % by two looks"),
        (4.56e-4, 1.2e-5, "goes +456 ppm against this machine's, told to 12 ppm by two looks"),
    ],
)
def test_a_clocks_difference_is_told_only_where_two_looks_can_see_it(apart: float, u: float, told: str) -> None:
    assert pace(apart, u) == told


@pytest.mark.compiler
async def test_figures_of_a_healthy_bench_agree_with_what_it_is(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        found = {one.what: one async for one in check_station(bench.rig, bench.lines, SUPPLY_V, BOARD)}
    assert 0 < found["smu round trip"].figures["median_s"] <= found["smu round trip"].figures["worst_s"]
    zero = found["zero"].figures
    assert abs(zero["mean_a"]) < zero["limit_a"]
    assert 0 < zero["noise_a"] < zero["limit_a"]
    rate = found["sample rate"].figures
    assert rate["set_hz"] == pytest.approx(1 / 307.2e-6)
    assert abs(rate["apart"]) < 2 / rate["set_hz"]  # a log of a second ends between two samples
    assert rate["missing"] == 0
    assert found["board clock"].ok is None  # stepped: no second clock


async def findings(bench: Path) -> dict[str, Finding]:
    """Of a virtual bench in stepped time."""
    async with open_bench(load_bench(bench)) as opened:
        return {one.what: one async for one in check_station(rig_of(opened, settle_s=0.2), opened.lines, SUPPLY_V, BOARD)}


@pytest.mark.compiler
@pytest.mark.parametrize("driver", feeding())
async def test_a_healthy_bench_passes_whatever_its_instrument_cannot_do(tmp_path: Path, driver: str) -> None:
    found = await findings(bench_file(tmp_path, alone(driver)))
    assert [one for one in found.values() if one.ok is False] == []
    assert found["trigger and marker lines"].ok is (True if triggers(driver) else None)
    assert "smu" in found["zero"].text
    assert found["discharged"].ok is (None if found["discharged"].text == DISCHARGE_NOT_SEEN else True)


@pytest.mark.compiler
async def test_a_bench_without_a_marker_line_passes_and_says_so(tmp_path: Path) -> None:
    file = changed(tmp_path, "benches", "demo", lambda text: without(text, "marker").replace("marker_channel = 2, ", ""))
    lines = (await findings(file))["trigger and marker lines"]
    assert (lines.ok, lines.text) == (True, "a trigger wakes the board; no marker line is wired")


@pytest.mark.compiler
async def test_a_bench_whose_instrument_fires_nothing_is_not_tested_for_it(tmp_path: Path) -> None:
    file = changed(tmp_path, "benches", "demo", lambda text: without(text, "trigger").replace(", fire_pin = 3", ""))
    lines = (await findings(file))["trigger and marker lines"]
    assert lines.ok is None
    assert "has no output that fires the board" in lines.text


@pytest.mark.compiler
async def test_a_zero_that_cannot_be_read_is_told_and_leaves_the_meter_off_its_low_range(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        meter = bench.rig.station.meter
        calls: list[str] = []
        rig = replace(bench.rig, station=replace(bench.rig.station, meter=replace(meter, driver=_Deaf(meter.driver, calls))))
        found = await zero(rig, SUPPLY_V)
        assert (found.ok, calls) == (False, ["configure_mean", "zero", "reset"])


class _Deaf:
    """A driver whose zero fails; what it was asked, in order."""

    def __init__(self, driver: Any, calls: list[str]) -> None:
        self._driver, self._calls = driver, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def configure_mean(self, setup: object) -> object:
        self._calls.append("configure_mean")
        return self._driver.configure_mean(setup)

    def read_mean(self) -> None: ...

    def zero(self) -> None:
        self._calls.append("zero")
        raise RefusedError("smu: not now", ((803, "Not permitted"),))

    def reset(self) -> None:
        self._calls.append("reset")
        self._driver.reset()


@pytest.mark.compiler
async def test_a_zero_that_no_limit_of_error_judges_is_told_and_the_other_tests_are_made(tmp_path: Path) -> None:
    def unknown(text: str) -> str:
        return re.sub(r'\[\[instruments\.smu\.accuracy\]\]\nquantity = "current"[^\[]*', "", text)

    found = await findings(changed(tmp_path, "benches", "demo", unknown))
    assert found["zero"].ok is None
    assert "with its output off, on the 10 uA range" in found["zero"].text
    assert found["board"].ok is True


def without(text: str, line: str) -> str:
    """A bench file without one of its lines."""
    return re.sub(rf"\[lines\.{line}\][^\[]*", "", text)


@pytest.mark.compiler
def test_a_run_after_a_check_prints_it_with_its_instrument(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with bench_apart(tmp_path) as bench:
        checked = labd("check", bench.file, "--store", store)
        assert checked.code == 0, checked.out + checked.err
        assert any(line.startswith("ok   board clock: goes ") for line in checked.out.splitlines())
        ended = labd("run", bench.file, write_plan(tmp_path / "plan.toml", floor_time="1 s"), "--store", store, "--quiet")
        assert ended.code == 0, ended.err
    with Catalogue.open_read_only(store) as catalogue:
        (run,) = catalogue.runs.newest()
        facts = catalogue.runs.get(run.id).instruments["smu"]
    said = self_test("smu", facts["self_test"])
    assert "10 of 10 tests passed; round trip: answers in" in said
    assert "zero: reads" in said
    assert "none missing" in said


def document(serial: str = "1", *, ok: bool = True, text: str = "smu reads 1 nA") -> dict[str, Any]:
    findings = [
        Finding("smu", True, "KEITHLEY 2461"),
        Finding("smu round trip", True, "answers in 1 ms", {"median_s": 1e-3}, of="smu"),
        Finding("zero", ok, text, {"mean_a": 1e-9}, of="smu"),
        Finding("board clock", None, "an energy build tells no time"),
    ]
    return {"utc_ns": 1_790_000_000 * 10**9, "identities": {"smu": IDENTITY | {"serial": serial}}, "findings": to_json(findings)}


def test_a_test_that_failed_is_printed_as_such() -> None:
    said = self_test("smu", document(ok=False, text="smu reads 90 nA, more than its limit"))
    assert said == (
        "2026-09-21 14:13 UTC, 2 of 3 tests passed; failed: zero: smu reads 90 nA, more than its limit; round trip: answers in 1 ms"
    )


def test_the_self_test_of_another_specimen_is_nobodys() -> None:
    tools = {"smu": {"name": "smu", "identity": IDENTITY}}
    assert "self_test" in with_self_test(tools, document())["smu"]
    assert with_self_test(tools, document(serial="2")) == tools
    assert with_self_test(tools, None) == tools


def test_the_last_self_test_is_kept_and_one_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert self_tests.last(tmp_path, "My Bench") is None
    for found in (document("7"), document("8")):
        self_tests.keep(tmp_path, "My Bench", found)
    kept = self_tests.last(tmp_path, "My Bench")
    assert kept is not None
    assert kept["identities"]["smu"]["serial"] == "8"
    assert math.isclose(kept["findings"][1]["figures"]["median_s"], 1e-3)
    next((tmp_path / "self-tests").iterdir()).write_bytes(b"{torn")
    assert self_tests.last(tmp_path, "My Bench") is None
