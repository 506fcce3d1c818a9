"""Unmodified MLPerf Tiny firmware through `labd run`: windows from the pin, one inference by slope, against the board's own account."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd.analyse.report import report_of
from labd.bench.virtual import Addresses
from labd.errors import DutFailure, FileError
from labd.kpi.composed import COMPOSED_OF_EVENTS
from labd.kpi.waiting import STOCK_ONLY
from labd.records import CaptureState, KpiRecord, Mode, Phase, Provenance, Window
from labd.store.catalogue import Catalogue
from tests.bench.role_benches import Seat, alone, bench_file, beside
from tests.bench.whole_run import Watch, Whole, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

POINT = "always_on/r=0/v=3/kws01"
WINDOW = f"{POINT}/event/0"
WARM_UPS, WINDOWS = 2, 6
HOLD_S = 400_000 / 64e6
TIMEBASE = 50e-6
RATES = (1.0, 10.0)
GROSS, NET = "energy_per_inference.gross", "energy_per_inference.net_of_idle"
METERS: Mapping[str, tuple[Seat, ...]] = {
    "keysight_n6705c": (),  # as in the fixture: the pin on a voltmeter channel
    "nordic_ppk2": alone("nordic_ppk2"),
    "jetperch_joulescope": beside("jetperch_joulescope", "keysight_n6705c"),
}


def same(text: str) -> str:
    return text


def stock_bench(folder: Path, meter: str, change: Callable[[str], str] = same) -> Path:
    """The fixture, or a bench around another meter with the fixture's board."""
    if not METERS[meter]:
        return changed(folder, "benches", "virtual-stock", change)
    file = bench_file(folder, METERS[meter])
    to_stock = replaced(("boards/virtual-m4.toml", "boards/virtual-stock.toml"), ("baud = 115200", "baud = 9600"))
    file.write_text(to_stock(file.read_text(encoding="utf-8")), encoding="utf-8")
    return file


def run_of(folder: Path, meter: str = "keysight_n6705c", plan: Callable[[str], str] = same, watch: Watch | None = None) -> Whole:
    return whole_run(folder, stock_bench(folder, meter), changed(folder, "plans", "stock", plan), watch)


def board(folder: Path, *pairs: tuple[str, str]) -> None:
    """Change the board file that stands beside a bench of `folder`."""
    file = folder / "boards/virtual-stock.toml"
    file.write_text(replaced(*pairs)(file.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.fixture(scope="module", params=sorted(METERS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return run_of(tmp_path_factory.mktemp("stock"), request.param)


@pytest.fixture(scope="module")
def performance(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("performance")
    bench = stock_bench(folder, "keysight_n6705c", replaced(("baud = 9600 ", "baud = 115200 ")))
    board(folder, ("firmware_energy_mode = true", "firmware_energy_mode = false"))
    return whole_run(folder, bench, changed(folder, "plans", "stock", same))


def windows(whole: Whole) -> list[dict[str, Any]]:
    """The board's account of the commands that count; those before them sized the windows."""
    return asked(whole.watch)[-len(counts(whole)) :]


def asked(watch: Watch) -> list[dict[str, Any]]:
    return [event for event in watch.records("event") if event["windows"]]


def counts(whole: Whole) -> list[int]:
    return [window["inferences"] for window in whole.capture(WINDOW).acquisition["windows"]]


def slope(whole: Whole, values: list[float]) -> float:
    return float(np.polyfit(counts(whole), values, 1)[0])


def true_j(whole: Whole) -> float:
    """Of one inference, at the load. Warm-ups and what is printed meanwhile are alike in every command."""
    return slope(whole, [event["load_j"]["infer"] for event in windows(whole)])


def true_s(whole: Whole) -> float:
    return slope(whole, [(event["windows"][-1][1] - event["windows"][-1][0]) * 1e-9 for event in windows(whole)])


def true_idle_w(whole: Whole) -> float:
    """Between the commands: the rest that a floor is taken of may last until the supply is cut, and has no account of its own then."""
    rests = whole.watch.records("rest")
    assert len(rests) >= len(counts(whole))
    return float(np.mean([rest["settled_power_w"] for rest in rests]))


def holds(record: KpiRecord, true: float) -> None:
    assert record.value is not None
    assert record.low is not None, record.flags
    assert record.high is not None
    assert record.low <= true <= record.high
    assert record.high - record.low < 0.06 * abs(true)


def test_every_capture_is_made_on_one_supply_cycle(whole: Whole) -> None:
    assert whole.outcome.failed == ()
    assert {row.state for row in whole.captures()} == {CaptureState.FINISHED}
    assert sorted(str(row.role) for row in whole.captures()) == ["event", "floor", "floor"]
    assert (whole.watch.board["boots"], whole.watch.board["resets"], whole.watch.board["bytes_lost"]) == (1, 0, 0)
    assert len(windows(whole)) == WINDOWS
    assert len(set(counts(whole))) == 2
    assert whole.capture(WINDOW).acquisition["served"] == sum(counts(whole))


def test_energy_of_an_inference_holds_the_truth(whole: Whole) -> None:
    holds(whole.get(GROSS, POINT), true_j(whole))


def test_energy_above_idle_holds_the_truth(whole: Whole) -> None:
    holds(whole.get(NET, POINT), true_j(whole) - true_idle_w(whole) * true_s(whole))


def test_latency_and_throughput_hold_the_truth(whole: Whole) -> None:
    holds(whole.get("latency.pin.mean", POINT), true_s(whole))
    holds(whole.get("inference_rate.back_to_back", POINT), 1 / true_s(whole))


def test_the_board_that_waits_is_polling_and_its_power_holds_the_truth(whole: Whole) -> None:
    assert {row.plan["idle_kind"] for row in whole.captures()} == {"busy_poll"}
    assert {rest["state"] for rest in whole.watch.records("rest")} == {0}
    for floor in whole.all("power.floor", POINT):
        assert floor.value is not None
        assert floor.u is not None
        assert abs(floor.value - true_idle_w(whole)) < 3 * floor.u


def test_the_stored_windows_lie_where_the_inferences_were(whole: Whole) -> None:
    with_truth = [(event["windows"][-1][1] - event["windows"][-1][0]) * 1e-9 for event in windows(whole)]
    dt_s = whole.trace(WINDOW).stretches[0].dt_ns * 1e-9
    stored = [w for w in _windows(whole) if w.phase is Phase.INFER]
    assert [w.length_s for w in stored] == pytest.approx(with_truth, abs=2 * dt_s + TIMEBASE * max(with_truth))
    between = np.diff([w.start_s for w in stored])
    assert between == pytest.approx(np.diff([event["windows"][-1][0] * 1e-9 for event in windows(whole)]), abs=1e-3)


def _windows(whole: Whole) -> list[Window]:
    with Catalogue.open(whole.outcome.store) as catalogue:
        return list(catalogue.captures.windows(whole.outcome.run_id, WINDOW))


def test_the_record_says_what_was_left_out(whole: Whole) -> None:
    note = whole.get(GROSS, POINT).note
    told = re.search(r"the pin is low for ([0-9.]+) ms before a window", note)
    assert told is not None
    assert float(told[1]) * 1e-3 == pytest.approx(HOLD_S, abs=2e-5)
    assert "in which text was still being sent, left out" in note
    assert "250 zero bytes" in "".join(whole.notices())


def test_the_median_of_the_windows_is_as_the_runners_of_mlperf_have_it(whole: Whole) -> None:
    record, least = whole.get("energy_per_inference.mlperf_median", POINT), min(counts(whole))
    own = [e["load_j"]["infer"] for e, count in zip(windows(whole), counts(whole), strict=True) if count == least]
    median = float(np.median(own)) - WARM_UPS * true_j(whole)
    hold_j = 8.1e-3 * 3.0 * HOLD_S  # code of middling activity runs meanwhile
    assert record.value == pytest.approx((median + hold_j) / least, rel=0.01)
    assert record.flags[:2] == ("interval needs n >= 6", "windows shorter than 10 s")
    assert record.low is None


@pytest.mark.parametrize("rate", RATES)
def test_power_at_a_rate_is_composed_and_says_so(whole: Whole, rate: float) -> None:
    power = whole.get("power.mean", f"always_on/r={rate:g}/v=3/kws01")
    assert power.value == pytest.approx(whole.value("fit.floor_power", "always_on") + rate * whole.value(NET, POINT), rel=1e-9)
    assert power.provenance is Provenance.COMPUTED
    assert COMPOSED_OF_EVENTS in power.flags


def test_a_break_even_is_refused_by_name(whole: Whole) -> None:
    (record,) = (r for r in whole.outcome.records if r.id == "break_even_rate")
    assert record.value is None
    assert record.flags == (STOCK_ONLY,)


def test_the_report_shows_the_rates_and_one_capture(whole: Whole) -> None:
    report = report_of(whole.outcome.store, whole.outcome.run_id)
    assert [p.rate_hz for p in report.points] == [0.0, *RATES]
    assert [(e.mode, e.capture) for e in report.excerpts] == [(Mode.ALWAYS_ON, WINDOW)]
    assert any(r.id == GROSS for r in report.kpis)


def test_a_performance_build_gives_a_latency_by_its_counter(performance: Whole) -> None:
    assert performance.outcome.failed == ()
    record = performance.get("latency.dut_counter.mean", POINT)
    holds(record, true_s(performance))
    assert "printing the first lap" in record.note


@pytest.mark.parametrize("kpi", [GROSS, "energy_per_inference.mlperf_median", "charge_per_inference"])
def test_a_performance_build_gives_no_energy_and_says_what_to_change(performance: Whole, kpi: str) -> None:
    record = performance.get(kpi, POINT)
    assert record.value is None
    assert record.flags[0] == "performance build: no pulse shows its windows"
    assert "EE_CFG_ENERGY_MODE=1" in record.note
    assert not [r for r in performance.outcome.records if r.id == "power.mean"]
    assert performance.get("fit.incremental_energy", "always_on").flags == ("no window energy",)
    assert any("performance build" in text for text in performance.notices())


def test_a_meter_without_the_pin_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    def unwired(text: str) -> str:
        return replaced((", marker_channel = 2", ""))(text[: text.index("[lines.marker]")])

    bench = stock_bench(tmp_path, "keysight_n6705c", unwired)
    with pytest.raises(FileError, match=r"instruments\.smu\.options: .*this log has no line: wire that pin to the meter"):
        whole_run(tmp_path, bench, changed(tmp_path, "plans", "stock", same), watch := Watch(tmp_path / "truth.jsonl"))
    assert not asked(watch)


@dataclass(slots=True)
class Extended(Watch):
    """A board that runs labd's own firmware, whatever its file says."""

    @asynccontextmanager
    async def bench(self, spec: Mapping[str, Any]) -> AsyncIterator[Addresses]:
        async with Watch.bench(self, {**spec, "firmware": {**spec["firmware"], "stock": False}}) as addresses:
            yield addresses


def test_another_firmware_than_the_file_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(DutFailure, match=r'virtual-stock\.toml: firmware: labd\'s firmware answers .*, which is "labd"; write that'):
        run_of(tmp_path, watch=Extended(tmp_path / "truth.jsonl"))


def test_another_model_than_the_file_says_is_told(tmp_path: Path) -> None:
    bench = stock_bench(tmp_path, "keysight_n6705c")
    board(tmp_path, ('models = ["kws01"]', 'models = ["ic01"]'))
    plan = changed(tmp_path, "plans", "stock", replaced(('models = ["kws01"]', 'models = ["ic01"]')))
    with pytest.raises(DutFailure, match=r'virtual-stock\.toml: models: the board says that it holds "kws01", got ic01'):
        whole_run(tmp_path, bench, plan)


def test_numbers_and_input_of_the_plan_are_taken(tmp_path: Path) -> None:
    data = bytes(range(250))
    (tmp_path / "yes.bin").write_bytes(data)
    table = replaced(
        ('length = "300 ms" ', "inferences = [9, 30] #"), ('# input = "yes.bin"', 'input = "../yes.bin"'), ("count = 3", "count = 2")
    )
    whole = run_of(tmp_path, plan=table)
    assert whole.outcome.failed == ()
    assert counts(whole) == [9, 30, 30, 9]
    assert any(text.startswith("input of every inference: ../yes.bin, 250 bytes, sha256 ") for text in whole.notices())
    holds(whole.get("latency.pin.mean", POINT), true_s(whole))


@pytest.mark.evidence
def test_the_energy_rule_of_mlperf_tiny(tmp_path: Path) -> None:
    plan = changed(tmp_path, "plans", "mlperf-tiny-energy", same)
    whole = whole_run(tmp_path, stock_bench(tmp_path, "keysight_n6705c"), plan, within_s=600.0)
    assert whole.outcome.failed == ()
    long = [event["windows"][-1] for event in windows(whole)]
    assert len(long) == 10
    assert min(end - start for start, end in long) >= 10_000_000_000
    holds(whole.get(GROSS, POINT), true_j(whole))
    assert whole.get("energy_per_inference.mlperf_median", POINT).flags == ("interval needs n >= 6",)
