"""Every figure that a plan aims at has a standing: those that were found, and those that were not, with the reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from labd.kpi import aimed, aims
from labd.kpi.aimed import Asked, standings
from labd.kpi.aims import Aim, Place, Standing, advice
from labd.kpi.break_even import WINS
from labd.kpi.capture import CaptureResult
from labd.kpi.estimate import withheld
from labd.kpi.inputs import Detector
from labd.kpi.sweep import analyse_sweep
from labd.records import Mode, OperatingPoint, Role
from tests.kpi.synth import Bench
from tests.kpi.test_sweep import RATES, run

AIMS = tuple(Aim(figure, 0.5) for figure in ("energy_per_inference", "floor_power", "incremental_energy", "break_even"))
TOP = max(RATES)
FAILED = "the board does not answer"


@pytest.fixture(scope="module")
def results() -> list[CaptureResult]:
    return run(Bench(errors={}), with_events=False)


def asked(results: Sequence[CaptureResult], without: Sequence[CaptureResult] = ()) -> list[Asked]:
    lost = {one.key for one in without}
    return [Asked(one.point, one.role, FAILED if one.key in lost else "") for one in results]


def found(results: Sequence[CaptureResult], wanted: Sequence[Asked], wished: Sequence[Aim] = AIMS) -> dict[tuple[str, str], Standing]:
    sweep = analyse_sweep(results, detector=Detector(), battery=None, seed=1)
    every = standings(wished, sweep, results, wanted, seed=1)
    assert len({(one.id, one.at) for one in every}) == len(every)
    return {(one.id, one.at): one for one in every}


def lost(results: Sequence[CaptureResult], mode: Mode, rates: Sequence[float]) -> list[CaptureResult]:
    return [one for one in results if one.point.mode is mode and one.point.rate_hz in rates]


def test_each_mode_and_each_pair_of_them_has_every_figure_at_its_highest_rate(results: list[CaptureResult]) -> None:
    every = found(results, asked(results))
    assert len(every) == 3 + 3 + 3 + 3
    energies = {at for kpi, at in every if kpi.startswith("pooled.")}
    assert energies == {replace(one.point, rate_hz=TOP).key for one in results}
    assert {kpi for kpi, at in every if at == "always_on"} == {"fit.floor_power", "fit.incremental_energy"}
    assert {at for kpi, at in every if kpi == "break_even_rate"} == {
        "always_on|event_sleep",
        "always_on|event_reload",
        "event_sleep|event_reload",
    }
    assert all(math.isfinite(one.lasting) for one in every.values())


def test_a_mode_that_lost_its_highest_rate_has_no_energy_and_another_rates_is_not_taken_for_it(results: list[CaptureResult]) -> None:
    gone = lost(results, Mode.EVENT_SLEEP, [TOP])
    every = found([one for one in results if one not in gone], asked(results, gone))
    (key,) = {one.point.key for one in gone}
    one = every["pooled.energy_per_inference.per_event", key]
    assert not one.met
    assert one.impossible
    assert one.largest == f"no capture of {key} was finished: {FAILED}"
    assert every["fit.incremental_energy", "event_sleep"].met  # its line has other rates


def test_a_mode_of_which_nothing_was_captured_is_missed_and_not_forgotten(results: list[CaptureResult]) -> None:
    gone = lost(results, Mode.EVENT_RELOAD, [0.0, *RATES])
    every = found([one for one in results if one not in gone], asked(results, gone))
    missed = {(one.id.partition(".")[0], one.at.partition("/")[0]) for one in every.values() if one.impossible}
    assert missed == {
        ("pooled", "event_reload"),
        ("fit", "event_reload"),
        ("break_even_rate", "always_on|event_reload"),
        ("break_even_rate", "event_sleep|event_reload"),
    }
    assert every["break_even_rate", "always_on|event_reload"].largest == f"no capture of event_reload was finished: {FAILED}"


def test_a_mode_without_a_line_says_what_its_line_needs(results: list[CaptureResult]) -> None:
    gone = lost(results, Mode.EVENT_SLEEP, [0.0])
    every = found([one for one in results if one not in gone], asked(results, gone))
    assert every["fit.floor_power", "event_sleep"].largest == "needs rate 0"
    assert every["break_even_rate", "always_on|event_sleep"].largest == "event_sleep: needs rate 0"


def test_before_anything_was_captured_every_figure_is_missing() -> None:
    points = [OperatingPoint(mode, rate, 3.0, "dnn") for mode in (Mode.ALWAYS_ON, Mode.EVENT_SLEEP) for rate in (0.0, 10.0)]
    wanted = [Asked(point, Role.MEAN if point.rate_hz else Role.FLOOR) for point in points]
    every = found([], wanted)
    assert len(every) == 2 + 2 + 2 + 1
    assert all(one.impossible for one in every.values())


def test_models_are_told_apart_also_where_one_of_them_was_lost(results: list[CaptureResult]) -> None:
    other = [replace(one, key=f"other-{one.key}", point=replace(one.point, model="other")) for one in results]
    both = [*results, *other]
    every = found(both, asked(both))
    model, volts = results[0].point.model, results[0].point.supply_v
    assert {at for kpi, at in every if kpi == "fit.floor_power"} == {
        f"{mode}/v={volts:g}/{name}" for mode in ("always_on", "event_sleep", "event_reload") for name in (model, "other")
    }
    assert all(math.isfinite(one.lasting) for one in every.values())
    alone = found(results, asked(both, other))
    assert len(alone) == len(every)
    assert math.isfinite(alone["fit.floor_power", "always_on"].lasting)
    assert alone["fit.floor_power", f"always_on/v={volts:g}/other"].impossible


@pytest.mark.parametrize("least", [0.0, 1e9])
def test_that_one_mode_always_wins_is_no_answer_while_it_rests_on_few_values(
    results: list[CaptureResult], monkeypatch: pytest.MonkeyPatch, least: float
) -> None:
    """A scatter that came out small by chance would end the run at once."""
    monkeypatch.setattr(aimed, "LEAST_DOF", least)
    monkeypatch.setattr(aims, "LEAST_DOF", least)
    own = [one for one in results if one.point.mode is not Mode.EVENT_RELOAD]
    sweep = analyse_sweep(own, detector=Detector(), battery=None, seed=1)
    none = withheld("break_even_rate", "always_on|event_sleep", reason=f"event-based {WINS}", captures=())
    records = tuple(none if record.id == "break_even_rate" else record for record in sweep.records)
    estimates = {key: one for key, one in sweep.estimates.items() if one.id != "break_even_rate"}
    (one,) = standings([Aim("break_even", 0.5)], replace(sweep, records=records, estimates=estimates), own, asked(own), seed=1)
    assert not one.impossible
    assert one.met is bool(one.moot) is (least == 0.0)
    spots = [Place(result.key, {result.key: 4.0}, 1.0) for result in own]
    assert advice([one], spots).total_s == (0.0 if one.met else 1.0)


def test_a_break_even_is_held_against_the_longer_arm_of_its_published_interval(results: list[CaptureResult]) -> None:
    sweep = analyse_sweep(results, detector=Detector(), battery=None, seed=1)
    every = found(results, asked(results))
    for record in sweep.records:
        if record.id == "break_even_rate" and record.value and record.low is not None and record.high is not None:
            one = every["break_even_rate", record.at]
            assert one.half_width >= (record.high - record.value) / record.value
            assert one.half_width >= (record.value - record.low) / record.value
