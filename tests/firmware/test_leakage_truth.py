"""Sweeps of clock and supply on the virtual bench against its physics: the shipped plan, shortened, end to end."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from labd import resources
from labd.bench_file import load_bench, load_plan, virtual
from labd.cli.main import run_command
from labd.records import KpiRecord
from labd.store.catalogue import Catalogue
from labd_virtual.expected import Taken, expected
from labd_virtual.firmware_process import Op, Request
from labd_virtual.load import Doing, Phase, State, board_a
from labd_virtual.spec import BoardSpec, read_fields
from tests.firmware.conftest import start, stop
from tests.firmware.fake_board import SPEND, FakeBoard

pytestmark = pytest.mark.compiler

FIXTURES = resources.path("fixtures")
BENCH, PLAN = FIXTURES / "benches/virtual-bare.toml", FIXTURES / "plans/leakage.toml"
VOLTS, CLOCKS = (1.2, 1.8), (12e6, 24e6, 48e6)


def shortened(folder: Path) -> Path:
    """The shipped plan at two supplies and one rate above 0, with fewer events."""
    text = PLAN.read_text("utf-8")
    for key, value in (
        ("supply", '["1.8 V", "1.2 V"]'),
        ("rates", '["0 /s", "4 /s"]'),
        ("events", "8"),
        ("event_captures", "6"),
        ("floor_time", '"0.5 s"'),
    ):
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text, count=1)
        assert count == 1
    found = folder / "plan.toml"
    found.write_text(text, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def figures(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], KpiRecord]:
    """By id and place."""
    assert cc
    folder = tmp_path_factory.mktemp("leakage")
    assert run_command(["run", str(BENCH), str(shortened(folder)), "--store", str(folder), "--quiet"]) == 0
    with Catalogue.open_read_only(folder) as catalogue:
        (run,) = catalogue.runs.newest(limit=2)
        return {(record.id, record.at): record for record in catalogue.kpis.of(run.id)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the firmware asks its board for: in one inference, and to wake from sleep until it is ready."""

    inference: tuple[Request, ...]
    waking: tuple[Request, ...]


@pytest.fixture(scope="module")
def asked(images: dict[str, Path]) -> Asked:
    """Of the firmware itself, on a board that only listens."""
    running = start(images["performance"])
    running.board.run()
    plan = load_plan(PLAN)
    running.board.command(f"workload {plan.models[0]} {round(plan.activity * 100)} {plan.seed}%")
    before = len(running.board.ops)
    running.board.command("mode event_sleep%periodic 1 100000%")
    spent = requests(running.board, before)
    stop(running)
    waking = [one for one in spent if Phase(one.a & 7) is Phase.WAKE]
    return Asked(tuple(one for one in spent if Phase(one.a & 7) is Phase.INFER), (waking[0],))


def requests(board: FakeBoard, before: int) -> list[Request]:
    return [Request(Op.SPEND, op.a, op.b, op.c) for op in board.of(SPEND, before)]


SPEC = read_fields(BoardSpec, virtual.spec(load_bench(BENCH))["board"], "board")


def at(clock_hz: float) -> BoardSpec:
    return replace(SPEC, clock_hz=clock_hz)


def rest_w(state: State, clock_hz: float, volt: float) -> float:
    phase = Phase.IDLE if state is State.WFI else Phase.SLEEP
    return volt * (board_a(at(clock_hz), Doing(state, phase), 0.0, supply_v=volt) + volt / SPEC.bleed_ohm)


def inference(asked: Asked, clock_hz: float, volt: float) -> Taken:
    found = expected(at(clock_hz), asked.inference, volt)[Phase.INFER]
    return Taken(found.time_s, found.energy_j + found.time_s * volt**2 / SPEC.bleed_ohm)


def line(values: Callable[[float], float]) -> tuple[float, float]:
    """Intercept and slope over the clock of what is a straight line by the spec."""
    low, high = (values(hz) for hz in (CLOCKS[0], CLOCKS[-1]))
    slope = (high - low) / (CLOCKS[-1] - CLOCKS[0])
    return low - CLOCKS[0] * slope, slope


def distance(record: KpiRecord, truth: float) -> float:
    """In half widths of the 95 % interval."""
    assert record.value is not None, record.flags
    assert record.low is not None
    assert record.high is not None
    return abs(record.value - truth) / ((record.high - record.low) / 2)


def truths(asked: Asked) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for volt in VOLTS:
        for mode, state in (("always_on", State.WFI), ("event_sleep", State.SLEEP_RETAINED)):
            place = f"{mode}/v={volt:g}/snn"
            static, cycle = line(lambda hz, s=state, v=volt: rest_w(s, hz, v))  # type: ignore[misc]
            found["clock_sweep.static_power.rest", place] = static
            if state is State.WFI:
                found["clock_sweep.energy_per_cycle.rest", place] = cycle
            takes = {hz: inference(asked, hz, volt) for hz in CLOCKS}
            static, cycle = line(lambda hz, t=takes: t[hz].energy_j / t[hz].time_s)  # type: ignore[misc]
            found["clock_sweep.static_power.active", place] = static
            found["clock_sweep.energy_per_cycle.active", place] = cycle
            found["clock_sweep.dynamic_energy", place] = takes[48e6].energy_j - static * takes[48e6].time_s
    for mode in ("always_on", "event_sleep"):
        found["supply_sweep.capacitance", f"{mode}/snn"] = found["clock_sweep.dynamic_energy", f"{mode}/v=1.8/snn"] / 1.8**2
        found["supply_sweep.exponent.energy", f"{mode}/snn"] = 2.0
    return found


def test_what_leaks_and_what_switches_is_what_the_board_is_made_of(figures: Mapping[tuple[str, str], KpiRecord], asked: Asked) -> None:
    """22 figures of one run, many of which share errors: 95 % of them in the mean over runs, none far out."""
    distances = {key: distance(figures[key], truth) for key, truth in truths(asked).items()}
    outside = {key: far for key, far in distances.items() if far > 1}
    assert len(outside) <= 0.1 * len(distances), outside
    assert max(distances.values()) < 2, outside


def test_how_the_floor_goes_with_the_supply_is_between_what_leaks_and_what_a_resistor_takes(
    figures: Mapping[tuple[str, str], KpiRecord],
) -> None:
    """What leaks goes with the third power (its current with the second), the bleed with the second."""
    record = figures["supply_sweep.exponent.static_rest", "event_sleep/snn"]
    powers = [rest_w(State.SLEEP_RETAINED, 48e6, volt) for volt in VOLTS]
    truth = float(np.polyfit(np.log(VOLTS), np.log(powers), 1)[0])
    assert 2.5 < truth < 3.0
    assert distance(record, truth) < 2


def test_the_best_time_out_is_that_of_the_board(figures: Mapping[tuple[str, str], KpiRecord], asked: Asked) -> None:
    far = {}
    for volt in VOLTS:
        for hz in CLOCKS:
            sleep_w = rest_w(State.SLEEP_RETAINED, hz, volt)
            tail_w = volt * (board_a(at(hz), Doing(State.WFI, Phase.TAIL), 0.0, supply_v=volt) + volt / SPEC.bleed_ohm)
            starting_w = volt * (board_a(at(hz), Doing(State.STARTING, Phase.WAKE), 0.0, supply_v=volt) + volt / SPEC.bleed_ohm)
            code = expected(at(hz), asked.waking, volt)[Phase.WAKE]
            waking_j = starting_w * SPEC.oscillator_s + code.energy_j - sleep_w * (SPEC.oscillator_s + code.time_s)
            record = figures["best_time_out", f"event_sleep/v={volt:g}/snn/clock={hz:.0f}"]
            far[volt, hz] = distance(record, waking_j / (tail_w - sleep_w))
    assert sum(one > 1 for one in far.values()) <= 1, far
    assert max(far.values()) < 2, far


def test_static_shares_are_those_of_the_board(figures: Mapping[tuple[str, str], KpiRecord], asked: Asked) -> None:
    for hz in CLOCKS:
        takes, rest = inference(asked, hz, 1.8), line(lambda f: rest_w(State.WFI, f, 1.8))[0]
        active = line(lambda f: inference(asked, f, 1.8).energy_j / inference(asked, f, 1.8).time_s)[0]
        static_w = rest + 4.0 * takes.time_s * (active - rest)
        mean_w = rest_w(State.WFI, hz, 1.8) * (1 - 4.0 * takes.time_s) + 4.0 * takes.energy_j
        assert ("static_share.all", f"event_sleep/r=4/v=1.8/snn/clock={hz:.0f}") not in figures  # of waking and tail nothing tells it
        assert distance(figures["static_share.all", f"always_on/r=4/v=1.8/snn/clock={hz:.0f}"], static_w / mean_w) < 1.5


def test_every_record_of_the_sweeps_carries_its_budget(figures: Mapping[tuple[str, str], KpiRecord]) -> None:
    beginnings = ("clock_sweep.static", "clock_sweep.energy", "clock_sweep.dynamic", "supply_sweep.cap", "best_time_out", "poisson_power")
    found = [record for (kpi, _), record in figures.items() if kpi.startswith(beginnings) and record.value is not None]
    assert len(found) > 40
    assert all(record.budget and record.low is not None for record in found)
