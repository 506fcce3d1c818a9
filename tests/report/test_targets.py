"""The targets of the use case, answered for each mode of a run: in every form of the report."""

from __future__ import annotations

import dataclasses
import json as standard_json
from typing import Any

import jsonschema
import pytest

from labd import resources
from labd.cards.read import card_from, stored
from labd.kpi.targets import Answer
from labd.records import Mode, Provenance
from labd.report import html, json, markdown, text
from labd.report.data import Detector, RunReport, curve_key
from labd.report.targets import TargetAnswer, best_curve, overall, percent, sentence, target_answers
from tests.report.sample import PHYSICS, full_report, point, record

CARDS = resources.path("fixtures") / "cards/demo"
FULL = full_report()
USE_CASE = 'schema = 1\ncard = "use_case"\nname = "door bell"\n'


def card(name: str) -> dict[str, Any]:
    return stored(card_from((CARDS / name).read_text("utf-8"), name))


def run(targets: str, *, rate: str = "2 /s", largest: str = "", report: RunReport = FULL) -> RunReport:
    events = "".join(f'{key} = "{value}"\n' for key, value in (("rate", rate), ("largest_rate", largest)) if value)
    use_case = stored(card_from(f"{USE_CASE}[targets]\n{targets}\n[events]\n{events}", "use case"))
    return dataclasses.replace(report, cards={"use_case": use_case, "model": {"dnn": card("model-dnn.toml")}})


def of(report: RunReport, mode: Mode) -> list[TargetAnswer]:
    return [item for item in target_answers(report) if item.curve == curve_key(point(mode, 0))]


def test_energy_at_the_rate_of_the_events_is_told_from_the_point_that_was_measured_there() -> None:
    answers = target_answers(run('energy_per_inference = "2 mJ"'))
    assert {item.curve.partition("/")[0]: item.conformity.answer for item in answers} == {
        "always_on": Answer.MISSED,
        "event_sleep": Answer.MET,
        "event_reload": Answer.MET,
    }
    said = sentence(FULL, answers[1])
    assert said == (
        "event-sleep meets max energy per inference (at rate) of 2.00 mJ with > 99.9 % confidence: 449.0 ± 3.5 µJ "
        "(at 2 /s, no event detector included)."
    )


def test_between_the_measured_rates_the_line_tells_with_its_band() -> None:
    (always,) = of(run('mean_power = "5 mW"', rate="3 /s"), Mode.ALWAYS_ON)
    assert always.record is not None
    assert always.record.value == pytest.approx(PHYSICS[Mode.ALWAYS_ON].floor_w + 3 * PHYSICS[Mode.ALWAYS_ON].event_j)
    assert always.note == "at 3 /s, on the straight line"
    (far,) = of(run('mean_power = "5 mW"', rate="40 /s"), Mode.ALWAYS_ON)
    assert far.note == "at 40 /s, on the straight line, outside the measured rates"


def test_a_limit_inside_the_interval_leaves_the_answer_open_with_its_chance() -> None:
    measured = next(r for r in FULL.kpis if r.id == "power.mean" and r.at == point(Mode.ALWAYS_ON, 2.0).key)
    (always,) = of(run(f'mean_power = "{(measured.value or 0) * 1e3:.6f} mW"'), Mode.ALWAYS_ON)
    assert always.conformity.answer is Answer.OPEN
    assert always.conformity.chance == pytest.approx(0.5, abs=0.01)
    assert sentence(FULL, always).startswith("Whether always-on meets max mean power of 4.92 mW is open, ")


def test_a_rate_that_a_mode_cannot_serve_is_no_figure_of_it() -> None:
    (reload,) = of(run('mean_power = "5 mW"', rate="60 /s"), Mode.EVENT_RELOAD)
    assert reload.conformity.answer is Answer.UNKNOWN
    assert "cannot serve 60 /s: its largest rate is 50.8 /s" in reload.conformity.why


def test_a_detector_of_known_power_is_part_of_an_event_mode_and_of_no_other() -> None:
    power = record("detector.power", "detector", 1e-3, "W", rel=0.1)
    with_one = dataclasses.replace(FULL, detector=Detector("declared", "declared", power))
    for mode, extra in ((Mode.ALWAYS_ON, 0.0), (Mode.EVENT_SLEEP, 1e-3)):
        (bare,), (fed,) = (of(run('mean_power = "5 mW"', report=one), mode) for one in (FULL, with_one))
        assert bare.record is not None
        assert fed.record is not None
        assert (fed.record.value or 0) - (bare.record.value or 0) == pytest.approx(extra)
    assert fed.note == "at 2 /s, event detector included"
    assert fed.record is not None
    assert (fed.record.high or 0) - (fed.record.low or 0) > 1.9 * 1.96e-4  # nearly all of it the detector's


def test_accuracy_is_answered_by_the_samples_and_memory_by_the_count() -> None:
    hits = dataclasses.replace(
        record("task.accuracy", "dnn", 0.93, "1"), low=0.9, high=0.95, n=500, method="scikit-learn; Wilson", budget=()
    )
    scored = dataclasses.replace(FULL, kpis=(*FULL.kpis, hits))
    accuracy, memory = of(run('accuracy = "90 %"\nmemory = "7216 B"', report=scored), Mode.ALWAYS_ON)
    assert accuracy.conformity.chance == pytest.approx(0.987, abs=0.001)
    assert sentence(FULL, accuracy).startswith("always-on meets min accuracy of 90 % with 98 % confidence")
    assert sentence(FULL, memory) == "always-on meets max memory of 7216 B by the count on the model card: 7216 B."
    missed = of(run('memory = "7215 B"'), Mode.ALWAYS_ON)
    assert [item.conformity.answer for item in missed] == [Answer.MISSED]


def test_a_figure_without_an_interval_gives_no_answer() -> None:
    at = point(Mode.ALWAYS_ON, 2.0).key
    kpis = tuple(
        dataclasses.replace(r, u=None, low=None, high=None, flags=("instrument term unknown",)) if r.at == at else r for r in FULL.kpis
    )
    (item,) = of(run('energy_per_inference = "9 mJ"', report=dataclasses.replace(FULL, kpis=kpis)), Mode.ALWAYS_ON)
    assert sentence(FULL, item).startswith(
        "Whether always-on meets max energy per inference (at rate) of 9.00 mJ cannot be said: no interval: instrument term unknown; "
    )


def test_all_targets_together_are_met_at_least_as_surely_as_the_single_doubts_add_up_to() -> None:
    largest = dataclasses.replace(
        FULL, curves=tuple(dataclasses.replace(c, largest_rate=record("largest_rate", c.key, 50.0, "Hz", rel=0.05)) for c in FULL.curves)
    )
    answers = of(run('mean_power = "5 mW"\nlatency = "50 ms"', largest="45.4 /s", report=largest), Mode.EVENT_SLEEP)
    assert [item.target.name for item in answers] == ["max mean power", "max latency (p95)", "min largest rate"]
    assert overall(FULL, answers) == ["event-sleep meets every target with 96 % confidence."]
    assert answers[1].note == "at 2 /s; wake-up comes before it: 1.4000 ± 0.0082 ms"


def test_every_form_of_a_report_has_the_answers() -> None:
    report = run('energy_per_inference = "2 mJ"\nlatency = "50 ms"')
    document = standard_json.loads(json.render(report))
    jsonschema.Draft202012Validator(json.schema()).validate(document)
    first = document["targets"][0]
    assert (first["answer"], first["side"], first["limit"], first["figure"]["unit"]) == ("missed", "at_most", 2e-3, "J")
    assert first["chance"] < 1e-3
    for rendered in (html.render(report), markdown.render(report).replace("\\", ""), text.render(report)):
        assert "lways-on does not meet max energy per inference (at rate)." in " ".join(rendered.split())


def test_a_run_without_a_use_case_has_no_targets() -> None:
    assert target_answers(FULL) == ()
    assert "Targets of the use case" not in html.render(FULL)


@pytest.mark.parametrize(
    ("chance", "said"), [(0.99999, "> 99.9 %"), (0.9799, "97 %"), (0.5, "50 %"), (0.004, "0.4 %"), (0.0001, "< 0.1 %")]
)
def test_a_chance_is_rounded_towards_doubt(chance: float, said: str) -> None:
    assert percent(chance) == said


def test_a_declared_claim_is_no_evidence() -> None:
    at = point(Mode.ALWAYS_ON, 2.0).key
    kpis = tuple(
        dataclasses.replace(r, provenance=Provenance.ESTIMATED, u=None, low=None, high=None) if r.at == at else r for r in FULL.kpis
    )
    (item,) = of(run('energy_per_inference = "9 mJ"', report=dataclasses.replace(FULL, kpis=kpis)), Mode.ALWAYS_ON)
    assert item.conformity.why == "no interval: estimated, and would meet it at its word"


def test_where_the_power_at_a_rate_is_withheld_the_line_tells_and_the_detector_never_stands_for_it() -> None:
    at = point(Mode.EVENT_SLEEP, 2.0).key
    measured = next(r for r in FULL.kpis if (r.at, r.id) == (at, "power.mean"))
    withheld = dataclasses.replace(measured, value=None, u=None, low=None, high=None, budget=(), flags=("clamped",))
    kpis = tuple(withheld if r is measured else r for r in FULL.kpis)
    power = record("detector.power", "detector", 1e-3, "W", rel=0.1)
    detector = Detector("declared", "declared", power)
    lacking = dataclasses.replace(FULL, kpis=kpis, detector=detector)
    (lined,) = of(run('mean_power = "5 mW"', report=lacking), Mode.EVENT_SLEEP)
    physics = PHYSICS[Mode.EVENT_SLEEP]
    assert lined.record is not None
    assert lined.record.value == pytest.approx(physics.floor_w + 2 * physics.event_j + 1e-3)
    assert lined.note == "at 2 /s, on the straight line, event detector included"
    no_line = dataclasses.replace(lacking, curves=tuple(dataclasses.replace(one, fit=None) for one in FULL.curves))
    (alone,) = of(run('mean_power = "5 mW"', report=no_line), Mode.EVENT_SLEEP)
    assert (alone.conformity.answer, alone.conformity.why, alone.note) == (Answer.UNKNOWN, "no value: clamped", "at 2 /s")
    assert alone.record is not None
    assert alone.record.value is None


def test_the_mode_that_does_best_over_all_targets_answers_each_of_them() -> None:
    """always_on misses the energy and the others meet it: no answer is taken from it, whatever it does better."""
    answers = target_answers(run('energy_per_inference = "2 mJ"\nlatency = "1 s"\nlatency_quantile = "mean"'))
    best = best_curve(answers)
    assert [item.asked for item in best] == ["energy_per_inference", "latency"]
    assert {item.conformity.answer for item in best} == {Answer.MET}
    assert len({item.curve for item in best}) == 1
    assert best_curve([]) == ()


def test_latency_by_the_time_stamps_of_a_gpio_line_answers_too() -> None:
    seen = tuple(dataclasses.replace(r, id=r.id.replace("latency.pin", "latency.gpio")) for r in FULL.kpis if "dut_counter" not in r.id)
    report = run('latency = "1 s"\nlatency_quantile = "mean"', report=dataclasses.replace(FULL, kpis=seen))
    assert {item.record.id for item in target_answers(report) if item.record is not None} == {"latency.gpio.mean"}


def test_a_metric_of_several_classes_is_answered_by_their_mean_never_by_one_of_them() -> None:
    kpis = (record("task.recall[3]", "dnn", 0.99, "1"), record("task.recall.macro", "dnn", 0.9, "1"))
    report = run('accuracy = "95 %"\naccuracy_metric = "recall"', report=dataclasses.replace(FULL, kpis=(*FULL.kpis, *kpis)))
    assert {item.record.id: item.conformity.answer for item in target_answers(report) if item.record is not None} == {
        "task.recall.macro": Answer.MISSED
    }
