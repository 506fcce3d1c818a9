"""A sweep whose inferences this host fires, on a virtual bench in real time: arrivals as planned, each served, jitter kept and told."""

from __future__ import annotations

import asyncio

import pytest

from labd.analyse.report import report_of
from labd.daemon import commands
from labd.daemon.run import RunOutcome
from labd.records import CaptureState, Role
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow
from labd.trigger.schedule import poisson
from tests.bench.whole_run import changed, replaced

pytestmark = pytest.mark.compiler

EVENTS = 10
RATE_HZ = 2.0
LONGEST_S = 0.028  # of the board, from its file
POINT = "event_sleep/r=2/v=3/dnn"
PATIENCE_S = 300.0  # real time: 20 s on a machine of one's own


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> RunOutcome:
    folder = tmp_path_factory.mktemp("fired")
    bench = changed(folder, "benches", "demo", replaced(('time = "stepped"', 'time = "real"')))
    plan = folder / "plan.toml"
    plan.write_text(
        f"""
schema = 1
name = "fired by the host"
modes = ["event_sleep"]
rates = ["0 /s", "{RATE_HZ:g} /s"]
supply = ["3.0 V"]
models = ["dnn"]
trigger = "host"
[schedule]
arrivals = "poisson"
late = "1000 s"
[captures]
events = {EVENTS}
floor_time = "1 s"
event_captures = 0
warm_up_inferences = 1
[detector]
kind = "host-triggered"
""",
        encoding="utf-8",
    )

    async def main() -> RunOutcome:
        async with asyncio.timeout(PATIENCE_S):
            return await commands.run_plan(bench, plan, store=folder / "store", show=lambda _news: None, stop=asyncio.Event())

    return asyncio.run(main())


@pytest.fixture(scope="module")
def rows(outcome: RunOutcome) -> list[CaptureRow]:
    with Catalogue.open(outcome.store) as catalogue:
        return catalogue.captures.of(outcome.run_id)


@pytest.fixture(scope="module")
def fired(rows: list[CaptureRow]) -> CaptureRow:
    """The capture whose inferences the host fired."""
    (row,) = (row for row in rows if row.role is Role.MEAN)
    return row


def test_every_capture_is_made_and_every_trigger_served(outcome: RunOutcome, rows: list[CaptureRow], fired: CaptureRow) -> None:
    assert outcome.failed == ()
    assert {row.state for row in rows} == {CaptureState.FINISHED}
    assert fired.acquisition["served"] == EVENTS
    assert fired.flags == ()


def test_instants_are_drawn_by_the_captures_own_seed_and_stored_with_it(fired: CaptureRow) -> None:
    assert fired.plan["offsets_ns"] == list(poisson(RATE_HZ, EVENTS, seed=fired.plan["seed"], dead_s=LONGEST_S))


def test_the_boards_own_clock_shows_the_planned_gaps(fired: CaptureRow) -> None:
    """As far as the host met its instants, and a board in this host's real time its own."""
    offsets_ns, laps = fired.plan["offsets_ns"], fired.acquisition["laps"]
    assert len(laps) == EVENTS
    took_s, planned_s = (laps[-1][0] - laps[0][0]) * 1e-6, (offsets_ns[-1] - offsets_ns[0]) * 1e-9
    assert took_s == pytest.approx(planned_s, abs=0.5 + fired.acquisition["jitter"]["worst_s"])


def test_jitter_and_missed_deadlines_are_part_of_the_capture(fired: CaptureRow) -> None:
    jitter = fired.acquisition["jitter"]
    assert (jitter["planned"], jitter["fired"], jitter["skipped"], jitter["not_taken"]) == (EVENTS, EVENTS, 0, 0)
    assert 0 <= jitter["mean_s"] <= jitter["worst_s"]
    assert jitter["p99_s"] is None
    assert "SCHED_" in jitter["footing"]


@pytest.mark.parametrize("kpi", ["inference_rate", "power.mean", "energy_per_inference.at_rate"])
def test_figures_are_made_of_arrivals_that_are_not_periodic(outcome: RunOutcome, kpi: str) -> None:
    (record,) = (record for record in outcome.records if (record.id, record.at) == (kpi, POINT))
    assert record.value is not None
    assert record.value > 0


def test_the_report_tells_how_well_the_host_met_its_instants(outcome: RunOutcome) -> None:
    report = report_of(outcome.store, outcome.run_id)
    (facts,) = (facts for facts in report.captures if facts.role is Role.MEAN)
    assert facts.settings["host trigger"].startswith(f"fired {EVENTS} of {EVENTS}; late by")
    assert "missed deadlines: 0" in facts.settings["host trigger"]
