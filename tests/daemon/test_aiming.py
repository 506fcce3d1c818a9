"""A run that measures until its figures are known well enough: what it adds, why it ends, and how it is gone on with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd import bench_file
from labd.analyse import tasks
from labd.analyse.aims import in_words, kept
from labd.analyse.report import report_of
from labd.bench import runner
from labd.bench.acquire import acquire
from labd.bench.control import RunControl
from labd.bench.expand import CapturePlan, longer
from labd.bench.rig import Rig
from labd.bench.runner import Rules
from labd.bench.running_log import Sink
from labd.bench.taken import Taken
from labd.daemon.aiming import ending, open_ones, pieces, places
from labd.daemon.run import RunRequest
from labd.errors import DutFailure, InstrumentFailure, Interrupted
from labd.kpi.aims import Advice, Aim, Standing
from labd.records import CaptureState, MarkStyle, Mode, OperatingPoint, Role
from labd.report import json, text
from labd.store.rows import RunState
from labd.stream.news import News, NewsKind
from labd_instruments.errors import NotConnectedError
from tests.daemon.commanded import Bench, commanded

PLAN = """
schema = 1
name = "aimed"
modes = {modes}
rates = ["0 /s", "10 /s", "30 /s"]
supply = ["3.0 V"]
models = ["dnn"]
[aim]
{aim}
piece = "1 s"
[captures]
event_captures = 0
[conditions]
settle = "20 ms"
[detector]
kind = "host-triggered"
"""


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with commanded(tmp_path, monkeypatch) as found:
        yield found


def asked(bench: Bench, aim: str, *, modes: str = '["event_sleep"]', **changes: Any) -> RunRequest:
    path = bench.folder / "aimed.toml"
    path.write_text(PLAN.format(aim=aim, modes=modes), encoding="utf-8")
    return replace(bench.request(), plan=bench_file.load_plan(path), **changes)


def notices(bench: Bench) -> list[str]:
    return [news.text for news in bench.news if news.kind is NewsKind.NOTICE]


# --- whole runs


@pytest.mark.compiler
async def test_it_measures_on_until_every_aim_is_met_and_says_so(bench: Bench) -> None:
    outcome = await bench.run(asked(bench, 'incremental_energy = "0.2 %"\nfloor_power = "0.4 %"\ntime = "10 min"'))
    figures = {record.id: record for record in outcome.records if record.at in ("event_sleep", "event_sleep/r=30/v=3/dnn")}
    for kpi, aim in (("fit.incremental_energy", 0.002), ("fit.floor_power", 0.004)):
        record = figures[kpi]
        assert record.value is not None
        assert record.high is not None
        assert record.high - record.value <= aim * record.value
    row, captures = await bench.stored()
    assert row.state is RunState.FINISHED
    assert {one.state for one in captures} == {CaptureState.FINISHED}
    assert len(captures) > 4  # the first round: two floors and one capture at each rate
    assert len({one.order for one in captures}) == len(captures)
    assert any(text.startswith("every aim is met after ") for text in notices(bench))
    assert figures["pooled.energy_per_inference.per_event"].n > 30


@pytest.mark.compiler
async def test_what_is_measured_next_is_computed_beside_the_loop_that_carries_the_guards_heartbeat(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(*_: object) -> None:
        raise AssertionError("computed in the daemon's own process")

    monkeypatch.setattr(tasks, "advice", here)
    await bench.run(asked(bench, 'incremental_energy = "0.2 %"\ntime = "10 min"'))
    _, captures = await bench.stored()
    assert len(captures) > 4


@pytest.mark.compiler
async def test_what_no_time_can_reach_is_told_with_the_error_that_is_in_the_way_and_takes_no_time(bench: Bench) -> None:
    await bench.run(asked(bench, 'incremental_energy = "0.01 %"\ntime = "10 min"'))
    row, captures = await bench.stored()
    assert len(captures) == 4
    assert row.state is RunState.FINISHED  # a figure that is less than wished for is no failure
    (why,) = [text for text in notices(bench) if text.startswith("aim not met")]
    assert "Incremental energy" in why
    assert ", event_sleep is known to ± " in why
    assert ", wanted ± 0.01 %: no measuring time takes ± " in why
    assert why.endswith("most of which is the offset of smu in its 0.1 A range of current")


@pytest.mark.compiler
async def test_the_time_that_a_plan_gives_is_not_exceeded(bench: Bench) -> None:
    await bench.run(asked(bench, 'incremental_energy = "0.145 %"\ntime = "25 s"'))
    _, captures = await bench.stored()
    assert len(captures) > 4, notices(bench)
    assert sum(one.plan["duration_s"] for one in captures) <= 25
    (why,) = [text for text in notices(bench) if text.startswith("aim not met")]
    assert "repeatability: more time would take it there; about " in why
    assert " more would do, " in why
    assert " of 25 s are spent" in why


@pytest.mark.compiler
async def test_why_it_ended_is_in_its_log_its_report_and_its_result(bench: Bench) -> None:
    await bench.run(asked(bench, 'incremental_energy = "0.145 %"\ntime = "25 s"'))
    row, _ = await bench.stored()
    events = await bench.around.catalogue.do(lambda catalogue: catalogue.runs.events(row.id))
    (why,) = [event.text for event in events if event.text.startswith("aim not met")]
    report = report_of(bench.around.catalogue.folder, row.id)
    end = report.aims_end
    assert end is not None
    assert end.why == (why,)
    assert 4.0 < end.spent_s <= end.time_s == 25.0
    assert end.more_s is not None
    assert end.more_s > 0
    assert why not in [notice.text for notice in report.notices]  # the table of aims has it
    assert json.document(report)["aims_end"]["spent_s"] == end.spent_s
    assert f"Measured for {end.spent_s:.0f} s of 25 s; about {end.more_s:.0f} s more would do." in text.render(report)


@pytest.mark.compiler
async def test_time_that_a_run_was_paused_for_is_none_that_measuring_takes(bench: Bench) -> None:
    """An hour of a plan that gives ten minutes."""
    control = RunControl()

    def an_hour(_news: News) -> None:
        bench.ask(op="sleep", ns=3600 * 10**9)
        control.go_on()

    bench.acts[NewsKind.CAPTURE_STARTED] = lambda _news: control.pause()
    bench.acts[NewsKind.RUN_PAUSED] = an_hour
    await bench.run(asked(bench, 'incremental_energy = "0.2 %"\ntime = "10 min"'), control)
    row, captures = await bench.stored()
    assert len(captures) > 4
    assert sum(one.plan["duration_s"] for one in captures) <= kept(row).spent_s < 600
    assert any(one.startswith("every aim is met after ") for one in notices(bench))


@pytest.mark.compiler
async def test_one_that_was_ended_goes_on_with_the_captures_that_it_had_decided_on(bench: Bench) -> None:
    control = RunControl()

    def at_the_fifth(news: News) -> None:
        if len([one for one in bench.news if one.kind is NewsKind.CAPTURE_STARTED]) < 5:
            bench.acts[NewsKind.CAPTURE_STARTED] = at_the_fifth
        else:
            control.abort("enough")

    bench.acts[NewsKind.CAPTURE_STARTED] = at_the_fifth
    request = asked(bench, 'incremental_energy = "0.15 %"\ntime = "10 min"')
    with pytest.raises(Interrupted):
        await bench.run(request, control)
    row, before = await bench.stored()
    done = {one.key: one.started_ns for one in before if one.state is CaptureState.FINISHED}
    assert len(before) > len(done) >= 4
    spent_s = kept(row).spent_s
    assert spent_s > sum(one.plan["duration_s"] for one in before if one.key in done)  # with what is beside the captures
    await bench.run(replace(request, resume=row.id))
    again, after = await bench.stored()
    assert (again.id, again.state) == (row.id, RunState.FINISHED)
    assert {one.key: one.started_ns for one in after if one.key in done} == done
    assert {one.key for one in before} <= {one.key for one in after}
    more_s = sum(one.plan["duration_s"] for one in after if one.key not in done)
    assert kept(again).spent_s > spent_s + more_s
    assert any(text.startswith("every aim is met") for text in notices(bench))


@pytest.mark.compiler
async def test_what_a_capture_took_whose_instrument_was_lost_is_spent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bench is left and opened anew, with a clock that begins anew."""
    lost: list[str] = []

    async def disturbed(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
        if not lost:
            lost.append(plan.key)
            await rig.station.clock.sleep(50.0)
            raise InstrumentFailure("smu is gone") from NotConnectedError("connection reset")
        return await acquire(rig, plan, sink)

    monkeypatch.setattr(runner, "acquire", disturbed)
    await bench.run(asked(bench, 'floor_power = "5 %"\ntime = "10 min"', rules=Rules(retries=1)))
    row, captures = await bench.stored()
    assert {one.state for one in captures} == {CaptureState.FINISHED}
    assert kept(row).spent_s > 50.0 + sum(one.plan["duration_s"] for one in captures)


@pytest.mark.compiler
async def test_two_modes_are_measured_until_the_rate_at_which_they_cross_is_known(bench: Bench) -> None:
    outcome = await bench.run(asked(bench, 'break_even = "2 %"\ntime = "30 min"', modes='["always_on", "event_sleep"]'))
    (crossing,) = [record for record in outcome.records if record.id == "break_even_rate"]
    assert crossing.value is not None
    assert crossing.high is not None
    assert crossing.low is not None
    assert (crossing.high - crossing.low) / 2 <= 0.02 * crossing.value * 1.05
    row, _ = await bench.stored()
    assert kept(row).why[0].startswith("every aim is met after ")
    (fact,) = report_of(bench.around.catalogue.folder, row.id).aims
    assert (fact.id, fact.at, fact.met) == ("break_even_rate", "always_on|event_sleep", True)


@pytest.mark.compiler
async def test_a_mode_that_lost_its_highest_rate_is_missed_although_another_rate_gave_an_energy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def disturbed(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
        if plan.point.rate_hz == 30.0:
            raise DutFailure("the board does not answer")
        return await acquire(rig, plan, sink)

    monkeypatch.setattr(runner, "acquire", disturbed)
    await bench.run(asked(bench, 'energy_per_inference = "5 %"\ntime = "10 min"'))
    (why,) = [one for one in notices(bench) if one.startswith(("aim", "every aim"))]
    assert why.startswith("aim not met: Energy per inference")
    assert why.endswith("no capture of event_sleep/r=30/v=3/dnn was finished: the board does not answer")


# --- the captures of a round

POINT = OperatingPoint(Mode.EVENT_SLEEP, 10.0, 3.0, "dnn")


def capture(role: Role, repeat: int, seconds: float, rate_hz: float = 10.0) -> CapturePlan:
    point = replace(POINT, rate_hz=rate_hz)
    made = CapturePlan(f"{point.key}/{role}/{repeat}", point, role, repeat, repeat, 12, 1.3, MarkStyle.GATE, "smu", 1)
    return longer(made, seconds, repeat=repeat, order=repeat)


def test_a_round_is_no_more_than_half_of_what_is_lacking_or_of_what_there_is_in_captures_of_a_handy_length_and_keys_of_their_own() -> None:
    made = [capture(Role.FLOOR, 0, 150.0, 0.0), capture(Role.FLOOR, 1, 250.0, 0.0), capture(Role.MEAN, 0, 4.0)]
    spots = places(made, 4.0)
    floor, mean = (spot.name for spot in spots)
    found = pieces(Advice({floor: 400.0, mean: 5.0}), spots, made, 1e9, beside_s=0.0, seed=1)
    assert [one.order for one in found] == list(range(2, 2 + len(found)))
    assert len({one.key for one in found} | {one.key for one in made}) == len(found) + len(made)
    floors = [one for one in found if one.role is Role.FLOOR]
    assert sum(one.duration_s for one in floors) == pytest.approx(400.0 * 0.5 * 404.3 / 405.0, rel=0.01)
    assert all(4.0 <= one.duration_s <= 64.0 for one in floors)
    assert {one.repeat for one in floors} == set(range(2, 2 + len(floors)))
    (mean_one,) = [one for one in found if one.role is Role.MEAN]
    assert (mean_one.key, mean_one.events) == (f"{mean}/1", 41)
    assert mean_one.duration_s == pytest.approx((mean_one.events + 1) / 10.0)


def test_a_round_ends_where_the_time_does() -> None:
    made = [capture(Role.FLOOR, 0, 4.0, 0.0)]
    spots = places(made, 4.0)
    found = pieces(Advice({spots[0].name: 400.0}), spots, made, 130.0, beside_s=0.0, seed=1)
    assert 0 < sum(one.duration_s for one in found) <= 130.0
    assert pieces(Advice({spots[0].name: 400.0}), spots, made, 3.0, beside_s=0.0, seed=1) == []


@given(st.floats(0.0, 5.0), st.floats(1.0, 300.0), st.floats(1.0, 1000.0), st.floats(1.0, 1000.0))
def test_a_round_with_what_is_beside_its_captures_ends_where_the_time_does(
    beside_s: float, left_s: float, one: float, other: float
) -> None:
    made = [capture(Role.FLOOR, 0, 4.0, 0.0), capture(Role.FLOOR, 1, 4.0, 0.0), capture(Role.MEAN, 0, 4.0)]
    spots = places(made, 4.0)
    wanted = Advice(dict(zip((spot.name for spot in spots), (one, other), strict=True)))
    found = pieces(wanted, spots, made, left_s, beside_s=beside_s, seed=1)
    assert sum(plan.duration_s + beside_s for plan in found) <= left_s
    if left_s > 2 * (beside_s + 6.0):
        assert found


# --- what is told


def aimed(half_width: float, *, aim: float = 0.01, lasting: float = 0.0, dof: float = 100.0, at: str = "always_on") -> Standing:
    return Standing(Aim("floor_power", aim), "fit.floor_power", at, half_width, lasting, "smu:timebase", (), dof)


def test_progress_names_figures_as_the_report_does_four_of_them_at_most() -> None:
    said = open_ones([aimed(0.0503, aim=0.0013, at=f"always_on/v={volts}/dnn") for volts in range(6)])
    assert said.startswith("Floor power, from the fit over the rates, always_on/v=0/dnn is known to ± 5.03 %, wanted ± 0.13 %; ")
    assert said.count("wanted") == 4
    assert said.endswith(" and 2 more")


def test_two_widths_that_would_print_alike_are_told_to_one_digit_more() -> None:
    assert "known to ± 0.5001 %, wanted ± 0.5 %" in open_ones([aimed(0.005001, aim=0.005)])


def test_a_figure_that_is_narrow_enough_by_few_values_is_told_so() -> None:
    end = ending([aimed(0.005, dof=3.2)], Advice({"place": 4.0}), spent_s=10.0, time_s=12.0)
    assert "known from 3.2 degrees of freedom, 10 are needed" in end.why[0]
    assert "repeatability" not in end.why[0]


@pytest.mark.parametrize(
    ("plan", "said", "more_s"),
    [
        (Advice({"place": 400.0}), "; about 400 s more would do, 10 s of 12 s are spent", 400.0),
        (Advice({}, unknown=True), "; how much more would do is not predictable, 10 s of 12 s are spent", None),
        (Advice({"place": 9e6}, endless=True), "; more than 100 days more would do, 10 s of 12 s are spent", 9e6),
    ],
)
def test_an_end_says_how_much_more_would_do(plan: Advice, said: str, more_s: float | None) -> None:
    end = ending([aimed(0.02)], plan, spent_s=10.0, time_s=12.0)
    assert end.why[0].endswith(f"repeatability: more time would take it there{said}")
    assert end.more_s == more_s
    (never,) = ending([aimed(0.03, lasting=0.02)], Advice({}), spent_s=10.0, time_s=12.0).why
    assert never.endswith("most of which is timebase (smu)")


@pytest.mark.compiler
async def test_a_capture_that_failed_keeps_its_key_and_others_are_made_in_its_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []

    async def disturbed(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
        if plan.role is Role.MEAN and plan.repeat == 1 and not failed:
            failed.append(plan.key)
            raise DutFailure("the board does not answer")
        return await acquire(rig, plan, sink)

    monkeypatch.setattr(runner, "acquire", disturbed)
    outcome = await bench.run(asked(bench, 'incremental_energy = "0.2 %"\ntime = "10 min"'))
    _, captures = await bench.stored()
    assert [one.key for one in captures if one.state is CaptureState.FAILED] == failed
    assert len(outcome.failed) == 1
    assert any(one.repeat > 1 and one.state is CaptureState.FINISHED for one in captures if one.role is Role.MEAN)
    assert any(text.startswith("every aim is met") for text in notices(bench))


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("smu:current[0.1 A].offset", "the offset of smu in its 0.1 A range of current"),
        ("smu:voltage.gain", "the gain of smu's voltage"),
        ("smu:timebase", "timebase (smu)"),
        ("event_sleep:floor drift", "floor drift (event_sleep)"),
        ("detector", "detector"),
    ],
)
def test_a_term_is_told_in_words(term: str, words: str) -> None:
    assert in_words(term) == words
