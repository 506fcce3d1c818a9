"""What a search came to: the best, the front by platform and over all, as data, text and page."""

from __future__ import annotations

from dataclasses import replace

from labd.search import html, text
from labd.search.outcome import Outcome, State
from labd.search.result import Result, best_of, document
from labd.store.jsonform import from_json, to_json
from tests.search.made import outcome, use_case


def point(number: int, energy_mj: float, accuracy: float, *, platform: str = "m4", half: float = 0.01, repeat: int = 0) -> Outcome:
    return outcome(
        number,
        platform=platform,
        repeat=repeat,
        energy_per_inference=(energy_mj * 1e-3, half * 1e-3),
        accuracy=(accuracy, 0.02),
        latency=(20e-3, 1e-3),
        memory=(6000, 0.0),
    )


DEAR = point(1, 1.9, 0.95)
CHEAP = point(2, 1.2, 0.9)
UNSURE = point(3, 1.0, 0.81)  # the interval reaches below the target
OTHER = point(1, 1.1, 0.88, platform="m0")
STOPPED = outcome(4, state=State.STOPPED, memory=(12000, 0.0))
ALL = [DEAR, CHEAP, UNSURE, OTHER, STOPPED]


def result(outcomes: list[Outcome]) -> Result:
    return document(use_case(), "20261128-x", outcomes, benches={"m4": "demo", "m0": "other"}, dataset="data", samples=200)


def test_the_best_meets_every_target_with_confidence_and_needs_least_energy() -> None:
    assert best_of(use_case(), ALL) == OTHER
    assert best_of(use_case(), [DEAR, CHEAP, UNSURE]) == CHEAP
    assert best_of(use_case(), [UNSURE, STOPPED]) is None


def test_each_platform_has_a_front_and_a_best_of_its_own() -> None:
    found = result(ALL)
    m4, m0 = found.platforms["m4"], found.platforms["m0"]
    assert (m4.candidates, m4.measured, m4.stopped, m4.failed, m4.best) == (4, 3, 1, 0, "m4/2")
    assert (m0.candidates, m0.front, m0.best) == (1, ("m0/1",), "m0/1")
    assert found.best == "m0/1"
    assert set(found.front) == {"m4/1", "m4/2", "m4/3", "m0/1"}  # their latencies do not tell them apart


def test_a_candidate_meets_misses_or_is_open() -> None:
    found = result(ALL)
    assert [found.of(name).meets for name in ("m4/1", "m4/3", "m4/4")] == [True, None, False]


def test_it_reads_back_from_what_is_stored() -> None:
    found = result([*ALL, point(1, 1.15, 0.88, platform="m0", repeat=1)])
    assert from_json(Result, to_json(found)) == found
    assert found.again is not None
    assert found.again.outcome.value("energy_per_inference") == 1.15e-3


def test_the_text_answers_with_confidence_from_new_data() -> None:
    told = text.render(result([*ALL, point(1, 1.15, 0.88, platform="m0", half=0.1, repeat=1)]))
    assert "5 candidates on 2 platforms, 4 measured, 1 stopped early" in told
    assert "meets max energy per inference of 2.00 mJ with more than 99.9 % confidence: 1.15 ± 0.10 mJ" in told
    assert "Measured once more (run run-1)" in told


AGAIN_OPEN = point(1, 1.99, 0.88, platform="m0", half=0.1, repeat=1)  # the interval holds the target


def test_a_best_that_does_not_meet_the_targets_once_more_gives_way_to_the_next() -> None:
    assert best_of(use_case(), [*ALL, AGAIN_OPEN]) == CHEAP
    found = result([*ALL, AGAIN_OPEN])
    assert (found.best, found.platforms["m0"].best, found.again) == ("m4/2", "", None)
    assert found.of("m0/1").meets is None
    told = text.render(found)
    assert "m0/1 met every target, and leaves one open when it is measured once more" in told
    assert "Best of those that meet every target: m4/2" in told
    assert "m0/1 met every target, and leaves one open" in html.render(found)


def test_where_none_meets_the_targets_once_more_there_is_no_best() -> None:
    found = result([OTHER, point(1, 2.5, 0.88, platform="m0", repeat=1)])
    assert (found.best, found.of("m0/1").meets) == ("", False)
    assert "m0/1 met every target, and misses one" in text.render(found)
    assert "No candidate is known to meet every target." in text.render(found)


def test_a_best_that_could_not_be_measured_once_more_stands() -> None:
    failed = replace(point(1, 1.15, 0.88, platform="m0", repeat=1), state=State.FAILED, figures={}, why="the board is gone")
    found = result([*ALL, failed])
    assert found.best == "m0/1"
    assert "It could not be measured once more: the board is gone" in text.render(found)
    assert "meets max energy per inference of 2.00 mJ" in text.render(found)


def test_the_text_says_when_nobody_meets_the_targets() -> None:
    assert "No candidate is known to meet every target." in text.render(result([UNSURE, STOPPED]))


def test_the_page_shows_every_candidate_and_fetches_nothing() -> None:
    page = html.render(result(ALL))
    for name in ("m4/1", "m4/2", "m4/3", "m4/4", "m0/1"):
        assert f">{name}</th>" in page
    assert page.count("<svg") == 2  # accuracy and latency over energy
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_text_from_outside_is_escaped() -> None:
    page = html.render(document(use_case(), "<b>", [], benches={"m4": "x", "m0": "y"}, dataset="<script>", samples=1))
    assert "<script>" not in page
    assert "<b>" not in page.replace("<body>", "")
