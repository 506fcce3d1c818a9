"""The fairness rules: a fair pair of runs passes, and each of many unfair ones is refused or flagged by the rule that is meant for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labd.cards.comparison import FairComparison, Verdict
from labd.cards.rules import RULES
from labd.cards.rules_measured import parameters_resident, rank_correlation
from labd.cards.rules_pipeline import measured_not_told
from labd.cards.side import Conditions, FigurePlace, FirstInference, Severity, Side, Specimen
from labd.records import KpiRecord, Mode, Provenance
from labd.store.rows import RunState
from tests.analyse.stored_run import Made
from tests.cards.fair_runs import (
    Stored,
    changed,
    compared,
    first,
    scaled,
    second,
    with_bench,
    with_captures,
    with_card,
    with_plan,
    with_records,
)

GROSS, LATENCY, SLEEP = "energy_per_inference.gross", "latency.pin.mean", "power.sleep"
Change = Callable[[Stored], Stored]


@dataclass(frozen=True)
class Unfair:
    """How the second run of a pair differs, and what is to be said of it. hides, shows: figures that must not and that may stand there."""

    rule: str
    severity: Severity
    says: str
    change: Change
    hides: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    also: Change = lambda run: run


def only(mode: Mode) -> Change:
    def change(run: Stored) -> Stored:
        run = with_captures(lambda one: one if one.planned.point.mode is mode else None)(run)
        return with_records(lambda one: one if one.at.partition("/")[0] == mode else None)(run)

    return change


def only_rate(rate_hz: float) -> Change:
    def made(one: Made) -> Made | None:
        return one if one.planned.point.rate_hz in (0, rate_hz) else None

    def kept(one: KpiRecord) -> KpiRecord | None:
        return None if "/r=" in one.at and f"/r={rate_hz:g}/" not in one.at and "/r=0/" not in one.at else one

    return lambda run: with_records(kept)(with_captures(made)(run))


def at_supply(volt: float) -> Change:
    def made(one: Made) -> Made:
        point = replace(one.planned.point, supply_v=volt)
        return replace(one, planned=replace(one.planned, point=point, key=one.planned.key.replace("/v=3/", f"/v={volt:g}/")))

    def kept(one: KpiRecord) -> KpiRecord:
        there = tuple(key.replace("/v=3/", f"/v={volt:g}/") for key in one.captures)
        return replace(one, at=one.at.replace("/v=3/", f"/v={volt:g}/"), captures=there)

    return lambda run: with_records(kept)(with_captures(made)(run))


def renamed(old: str, new: str) -> Change:
    return with_records(lambda one: replace(one, id=one.id.replace(old, new)))


def by_other_method(one: KpiRecord) -> KpiRecord:
    return replace(one, method="median of windows") if one.id == GROSS else one


def wide(one: KpiRecord) -> KpiRecord:
    """An interval as wide as a quarter of the figure."""
    if one.id != GROSS or one.value is None:
        return one
    return replace(one, low=one.value * 0.75, high=one.value * 1.25)


def without_interval(one: KpiRecord) -> KpiRecord:
    return replace(one, u=None, low=None, high=None, flags=("instrument term unknown",)) if one.id == GROSS else one


def per_operation(one: Stored) -> Stored:
    """With an energy an operation beside each gross energy."""
    gross = [scaled(r, 1 / 263200) for r in one.records if r.id == GROSS]
    more = [replace(r, id="energy_per_op.gross", provenance=Provenance.COMPUTED) for r in gross]
    return replace(one, records=[*one.records, *more])


def answering(samples: int, right: int) -> Change:
    return lambda run: replace(run, samples=samples, right=right)


def scored_on(sha256: str) -> Change:
    return lambda run: replace(run, scored={"dataset": "words", "dataset_sha256": sha256})


def asking_for_accuracy(run: Stored) -> Stored:
    return with_card("use_case.targets.accuracy", 0.8)(run)


def real(origin: str) -> Change:
    """Measured with instruments that are not virtual, on what its card says."""

    def change(run: Stored) -> Stored:
        tools = {name: {**one, "virtual": False} for name, one in run.new.instruments.items()}
        return with_card("hardware.origin", origin)(replace(run, new=replace(run.new, instruments=tools)))

    return change


PEAK = {"id": "hardware.peak_throughput", "value": 4e12, "unit": "1/s", "model": "", "source": "data sheet", "provenance": "declared"}
DECLARED_ACCURACY = {"id": "task.accuracy", "value": 0.97, "unit": "1", "model": "", "source": "training log", "provenance": "declared"}
WARM_UP = "plan.plan.captures.warm_up_inferences"
COLD = "smu: powered on for 60 s, warm-up takes 3600 s"

PAIRS = {
    "another use case": Unfair(
        "C01",
        Severity.REFUSE,
        "use case card: name",
        with_card("use_case.name", "object detection"),
        hides=(GROSS, LATENCY, "task.accuracy"),
    ),
    "another rate in the use case": Unfair("C01", Severity.REFUSE, "events", with_card("use_case.events.rate.value", 25.0), hides=(GROSS,)),
    "another data set": Unfair("C02", Severity.REFUSE, "dataset card: sha256", with_card("dataset.sha256", "cd" * 32), hides=(GROSS,)),
    "preprocessing on the host": Unfair(
        "C02", Severity.REFUSE, "preprocessing at (A none; B host)", with_card("dataset.preprocessing_at", "host"), hides=(GROSS, LATENCY)
    ),
    "accuracy on other samples": Unfair(
        "C02",
        Severity.REFUSE,
        "data set of the accuracy run: A words (abababab); B words (cdcdcdcd)",
        scored_on("cd" * 32),
        hides=("task.accuracy",),
        shows=(GROSS,),
        also=scored_on("ab" * 32),
    ),
    "accuracy on a part": Unfair(
        "C02",
        Severity.REFUSE,
        "samples of the accuracy run: A 500; B 200",
        lambda run: replace(run, samples=200, right=184),
        hides=("task.accuracy",),
        shows=(GROSS,),
    ),
    "a quieter input": Unfair("C02", Severity.REFUSE, "0.01 of the input", with_plan("plan.plan.activity.value", 0.01), hides=(GROSS,)),
    "stock firmware with a file": Unfair(
        "C02", Severity.REFUSE, "B zero bytes", with_bench("board.board.firmware", "mlperf-tiny"), hides=(GROSS,)
    ),
    "another kind of latency": Unfair(
        "C03", Severity.REFUSE, "latency.dut_counter", renamed("latency.pin", "latency.dut_counter"), shows=(GROSS,)
    ),
    "another window": Unfair(
        "C03", Severity.REFUSE, "B by median of windows", with_records(by_other_method), hides=(GROSS,), shows=(LATENCY,)
    ),
    "always-on against event-based": Unfair(
        "C04",
        Severity.REFUSE,
        "A was measured in always_on; B in event_sleep",
        only(Mode.EVENT_SLEEP),
        hides=(GROSS, "power.mean"),
        also=only(Mode.ALWAYS_ON),
    ),
    "no rate in common": Unfair(
        "C04",
        Severity.REFUSE,
        "no rate in common",
        only_rate(25.0),
        hides=("power.mean",),
        shows=("fit.floor_power",),
        also=only_rate(10.0),
    ),
    "no detector": Unfair(
        "C04",
        Severity.REFUSE,
        "without the power and the false wakes of a detector",
        with_plan("analysis.detector.kind", "none: host-triggered"),
        hides=("break_even_rate", "battery_life"),
        shows=(GROSS,),
    ),
    "accuracy of ten samples": Unfair(
        "C05",
        Severity.REFUSE,
        "10 samples on the board",
        answering(10, 10),
        hides=("task.accuracy",),
        shows=(GROSS,),
        also=answering(10, 10),
    ),
    "accuracy of the training": Unfair(
        "C05",
        Severity.FLAG,
        "not measured on the board",
        lambda run: replace(with_card("model.dnn.given", [DECLARED_ACCURACY])(run), samples=0),
        shows=(GROSS, "task.accuracy"),
    ),
    "a net that does not do the task": Unfair(
        "C06",
        Severity.REFUSE,
        "misses its target: min accuracy of 80 %",
        lambda run: replace(asking_for_accuracy(run), right=300),
        hides=(GROSS, LATENCY, "task.accuracy"),
        also=asking_for_accuracy,
    ),
    "no word of the compiler": Unfair("C07", Severity.FLAG, "card: compiler", with_card("toolchain.compiler", ""), shows=(GROSS,)),
    "the core rail alone": Unfair(
        "C08", Severity.REFUSE, "boundary", with_card("hardware.boundary", "core rail"), hides=(GROSS, SLEEP), shows=(LATENCY,)
    ),
    "behind a regulator": Unfair(
        "C08", Severity.FLAG, "regulator: A LDO, inside the boundary; B none", with_bench("board.board.regulator", "none"), shows=(GROSS,)
    ),
    "no word of the process": Unfair("C08", Severity.FLAG, "process_node", with_card("hardware.process_node", ""), shows=(GROSS,)),
    "not made for its platform": Unfair(
        "C09", Severity.FLAG, "optimised for its platform: A yes; B no", with_card("toolchain.optimised_for_platform", "no"), shows=(GROSS,)
    ),
    "the same net on both": Unfair("C09", Severity.FLAG, "model-fixed", with_card("model.dnn.parameters", 2636), shows=(GROSS,)),
    "no warm-up": Unfair(
        "C10",
        Severity.REFUSE,
        "loading may be in the latency",
        with_plan(WARM_UP, 0),
        hides=(LATENCY, "edp.gross"),
        shows=(GROSS,),
    ),
    "too short": Unfair(
        "C11",
        Severity.REFUSE,
        "energy_per_inference.gross",
        with_records(wide),
        hides=(GROSS, "inferences_per_joule.gross", "edp.gross"),
        shows=(LATENCY,),
    ),
    "no word of the precision": Unfair(
        "C12",
        Severity.REFUSE,
        "weight_bits not told",
        lambda run: with_card("model.dnn.weight_bits", "")(per_operation(run)),
        hides=("energy_per_op.gross",),
        shows=(GROSS,),
        also=per_operation,
    ),
    "a simulation": Unfair(
        "C14", Severity.REFUSE, "A simulation; B silicon", real("silicon"), hides=(GROSS, LATENCY), also=real("simulation")
    ),
    "a run that failed": Unfair("C15", Severity.FLAG, "is failed", lambda run: replace(run, state=RunState.FAILED), shows=(GROSS,)),
    "a lost capture": Unfair(
        "C15",
        Severity.FLAG,
        "1 capture is lost",
        lambda run: replace(run, leave_out=frozenset({run.made[0].planned.key}), state=RunState.INTERRUPTED),
        shows=(GROSS,),
    ),
    "another battery": Unfair(
        "C17", Severity.REFUSE, "battery", with_plan("analysis.battery.capacity_ah", 1.0), hides=("battery_life",), shows=(GROSS,)
    ),
    "another harvester": Unfair(
        "C17",
        Severity.REFUSE,
        "harvester: A 40 uW, 70% of it; B 40 uW, 80% of it",
        with_plan("analysis.harvester", {"power_w": 40e-6, "efficiency": 0.8}),
        shows=(GROSS,),
        also=with_plan("analysis.harvester", {"power_w": 40e-6, "efficiency": 0.7}),
    ),
    "another supply": Unfair("C18", Severity.REFUSE, "supply: A 3 V; B 1.8 V", at_supply(1.8), hides=(GROSS, LATENCY)),
    "another temperature": Unfair(
        "C18", Severity.REFUSE, "temperature", with_bench("bench.ambient.value", 40.0), hides=(GROSS, SLEEP), shows=(LATENCY,)
    ),
    "cold instruments": Unfair("C18", Severity.FLAG, COLD, with_plan("analysis.flags", [COLD]), shows=(GROSS,)),
    "no uncertainty": Unfair("C19", Severity.FLAG, "have no interval", with_records(without_interval), shows=(GROSS,)),
    "another unit": Unfair(
        "C19", Severity.REFUSE, "B in mJ", with_records(lambda one: replace(one, unit="mJ") if one.id == GROSS else one), hides=(GROSS,)
    ),
    "one that was searched for": Unfair(
        "C20", Severity.FLAG, "NSGA-II", with_card("toolchain.search", "NSGA-II, 200 candidates"), shows=(GROSS,)
    ),
    "fed by the UART": Unfair("C21", Severity.FLAG, "link uart", with_bench("bench.links.uart.tx_idle", "driven"), shows=(GROSS,)),
}


def shown(found: FairComparison, kpi: str) -> bool:
    """Whether two figures of it stand beside each other anywhere."""
    return any(len(row.shown) > 1 for row in found.rows if row.kpi == kpi)


def test_a_fair_pair_passes_and_the_better_one_is_named_where_it_is(tmp_path: Path) -> None:
    found = compared(tmp_path, first(), second())
    assert [(one.rule, one.severity) for one in found.findings if one.severity is not Severity.TELL] == []
    assert found.verdict is Verdict.FAIR
    best = {(row.kpi, str(row.place)): row.best for row in found.rows}
    assert best[GROSS, "always-on at 10 /s"] == best[SLEEP, "event-sleep at 10 /s"] == "B"
    assert best[LATENCY, "always-on at 10 /s"] == ""
    assert all(len(row.shown) == 2 for row in found.rows)


@pytest.mark.parametrize("name", PAIRS)
def test_an_unfair_pair_is_refused_or_flagged_by_its_rule(name: str, tmp_path: Path) -> None:
    pair = PAIRS[name]
    a, b = pair.also(first()), pair.change(second())
    found = compared(tmp_path, a, b)
    mine = [one for one in found.findings if one.rule == pair.rule and one.severity is pair.severity and pair.says in one.what]
    assert mine, [(one.rule, one.severity, one.what) for one in found.findings]
    assert mine[0].why.endswith(("]", "kelvin", "seconds", "7.2"))
    others = {one.rule for one in found.findings if one.severity is Severity.REFUSE} - {pair.rule}
    assert others == set()
    assert [kpi for kpi in pair.hides if shown(found, kpi)] == []
    assert [kpi for kpi in pair.shows if not shown(found, kpi)] == []
    assert found.verdict is not Verdict.FAIR


def test_every_rule_that_two_runs_can_break_is_broken_by_a_pair() -> None:
    """C13 and C16 are shown apart: one labels a peak, one needs five platforms."""
    assert {pair.rule for pair in PAIRS.values()} | {"C13", "C16"} == {rule.id for rule in RULES}
    assert len({pair.rule for pair in PAIRS.values()}) >= 12


def test_a_peak_of_the_maker_is_labelled_beside_what_was_reached(tmp_path: Path) -> None:
    runs = [with_card("hardware.given", [PEAK])(per_operation(one)) for one in (first(), second())]
    found = compared(tmp_path, *runs)
    assert [one.rule for one in found.findings if one.severity is Severity.FLAG] == ["C13", "C13"]
    (row,) = [row for row in found.rows if row.kpi == "hardware.peak_throughput"]
    assert [cell.ranked for cell in row.shown] == [False, False]
    assert row.best == ""
    assert row.differences == ()


def test_a_first_inference_that_loads_takes_its_own_figures_with_it() -> None:
    here, there = FigurePlace((Mode.ALWAYS_ON,), 10.0), FigurePlace((Mode.ALWAYS_ON,), 25.0)
    slow = (FirstInference(here, 9e-3, 8e-3, 1e-5, 1e-6), FirstInference(there, 8.04e-3, 8e-3, 1e-5, 1e-6))
    side = Side("A", "run", "board", "dnn", Conditions(3.0), warm_up=5, first=slow)
    (found,) = parameters_resident([side])
    assert (found.severity, found.places) == (Severity.REFUSE, (here,))
    assert found.concerns("latency.pin.p95", here)
    assert not found.concerns("latency.pin.p95", there)


def test_virtual_figures_are_kept_from_real_ones_though_no_card_tells_the_origin() -> None:
    real, virtual = (Specimen(name, ("meter",), "model", "1", "2026-01-01", virtual=name == "virtual") for name in ("real", "virtual"))

    def side(name: str, *instruments: Specimen) -> Side:
        return Side(name, name, "board", "net", Conditions(1.8, instruments=instruments))

    (found,) = measured_not_told([side("A", real), side("B", real, virtual)])
    assert (found.severity, found.sides, found.kpis) == (Severity.REFUSE, ("A", "B"), ())
    assert found.what == "figures are of: A a real board; B virtual"
    assert not list(measured_not_told([side("A", real), side("B", real)]))


def test_what_orders_five_platforms_alike_is_named_once(tmp_path: Path) -> None:
    def board(number: int, factor: float) -> Stored:
        run = with_bench("board.board.name", f"board {number}")(second())
        run = with_card("hardware.chip", f"chip {number}")(with_card("model.dnn.parameters", 1000 + number)(run))
        return replace(run, records=[scaled(r, factor) if r.unit == "J" else r for r in run.records])

    found = compared(tmp_path, *(board(n, factor) for n, factor in enumerate((1.0, 0.7, 1.4, 0.9, 1.2))))
    (alike,) = [one for one in found.findings if one.rule == "C16"]
    assert alike.severity is Severity.TELL
    assert "energy_per_inference" in alike.what
    assert "power.sleep" not in alike.what


def test_rank_correlation_is_spearmans() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    # Kendall and Gibbons, "Rank correlation methods": d = 0, 1, 1, 1, 1 gives 1 - 6 * 4 / (5 * 24)
    assert rank_correlation([1, 2, 3, 4, 5], [1, 3, 2, 5, 4]) == pytest.approx(0.8)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == 0.0


def test_changed_changes_a_copy() -> None:
    data = {"a": {"b": 1}}
    assert changed(data, "a.b", 2) == {"a": {"b": 2}}
    assert data == {"a": {"b": 1}}
