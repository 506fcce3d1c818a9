"""Charts of runs and cards side by side: what is drawn, what is hollow, what ranks, and that no name breaks them."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.kpi.across import StoredLine
from labd.kpi.inputs import Detector
from labd.records import KpiRecord, Mode, Provenance
from labd.report.boards import NO_DETECTOR, BoardCurve, crossings, verdicts
from labd.report.charts import Asked, Chart, ChartForm, charts, page, picture
from labd.report.choice import chosen
from labd.report.data import Outcome
from labd.report.entries import Entry, Figure, Taken
from labd.report.front import Place, places, points
from tests.report.sample import MODES, curve

SVG = "{http://www.w3.org/2000/svg}"


def figure(kpi: str, value: float, unit: str, rel: float, provenance: str) -> Figure:
    if provenance != Provenance.MEASURED:
        return Figure(kpi, value, unit, provenance=provenance)
    return Figure(kpi, value, unit, value * (1 - rel), value * (1 + rel), provenance=provenance)


def entry(
    name: str, accuracy: float, energy: float, latency: float = 8e-3, *, by: str = Provenance.MEASURED, parameters: int = 2600
) -> Entry:
    kinds = (("task.accuracy", accuracy, "1"), ("energy_per_inference.gross", energy, "J"), ("latency.pin.mean", latency, "s"))
    figures = tuple(figure(kpi, value, unit, 0.02, by) for kpi, value, unit in kinds)
    return Entry(name, model={"parameters": parameters}, figures=figures)


FIVE = [
    entry("small", 0.85, 300e-6),
    entry("large", 0.93, 900e-6, 20e-3),
    entry("spiking", 0.80, 50e-6, 30e-3),
    entry("just beaten", 0.845, 303e-6, 8.1e-3),
    entry("of a paper", 0.97, 200e-6, 4e-3, by=Provenance.DECLARED),
]


def scaled(record: KpiRecord, factor: float) -> KpiRecord:
    value, u, low, high = ((end or 0.0) * factor for end in (record.value, record.u, record.low, record.high))
    budget = tuple(replace(line, u=line.u * factor) for line in record.budget)
    return replace(record, value=value, u=u, low=low, high=high, budget=budget)


def board(run: int, name: str, scale: float = 1.0) -> list[BoardCurve]:
    """The sample's three modes, all powers times `scale`."""
    found = []
    for mode in MODES:
        made = curve(mode)
        assert made.fit is not None

        fit = replace(made.fit, floor=scaled(made.fit.floor, scale), incremental=scaled(made.fit.incremental, scale))
        dots = tuple(replace(p, power=scaled(p.power, scale)) for p in made.points)
        line = StoredLine(f"r{run}", mode, fit.floor, fit.incremental, made.r_max_hz, 35.0, {"smu": "S1"}, DETECTOR)
        found.append(BoardCurve(run, f"{name}, dnn, {mode}", replace(made, fit=fit, points=dots), line))
    return found


DETECTOR = Detector("declared", 1e-9)


def front_of(entries: list[Entry]) -> dict[str, Place]:
    x, y = chosen("energy", entries), chosen("accuracy", entries)
    found = points(entries, x, y)
    return {p.name: place for p, place in zip(found, places(found, x, y), strict=True)}


def test_the_front_is_of_what_was_measured_and_an_open_place_is_called_so() -> None:
    assert front_of(FIVE) == {
        "small": Place.FRONT,
        "large": Place.FRONT,
        "spiking": Place.FRONT,
        "just beaten": Place.OPEN,
        "of a paper": Place.CLAIMED,
    }
    assert front_of([*FIVE, entry("far off", 0.7, 400e-6)])["far off"] is Place.BEATEN


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Taken(Mode.ALWAYS_ON, 10.0, "door bell", simulated=True), "simulated against measured"),
        (Taken(Mode.ALWAYS_ON, 10.0, "keywords"), "another use case"),
        (Taken(Mode.ALWAYS_ON, 25.0, "door bell"), "another rate"),
        (Taken(Mode.EVENT_SLEEP, 10.0, "door bell"), "always-on against event-based without a detector"),
    ],
)
def test_what_was_not_taken_alike_is_not_ranked(other: Taken, said: str) -> None:
    def at_rate(name: str, energy: float, taken: Taken) -> Entry:
        one = entry(name, 0.9, energy)
        return replace(one, figures=tuple(replace(f, id=f.id.replace(".gross", ".at_rate")) for f in one.figures), taken=taken)

    best, alike = (at_rate(name, 1e-4, Taken(Mode.ALWAYS_ON, 10.0, "door bell")) for name in ("best", "alike"))
    worse = at_rate("worse", 9e-4, other)
    assert front_of([best, worse])["worse"] is Place.FRONT
    assert front_of([best, replace(worse, taken=alike.taken)])["worse"] is Place.BEATEN
    (made,) = charts(Asked(ChartForm.PARETO), [best, worse], [])
    assert any(note.endswith(f"are not ranked against each other: {said}.") for note in made.notes)


def test_a_beaten_point_without_an_interval_is_open() -> None:
    bare = replace(
        FIVE[0],
        name="bare",
        figures=tuple(replace(f, value=0.5 if f.unit == "1" else 1e-3, least=None, most=None) for f in FIVE[0].figures),
    )
    assert front_of([*FIVE, bare])["bare"] is Place.OPEN


def test_every_point_of_a_chart_is_of_one_and_the_same_kpi() -> None:
    other = Entry("per event", figures=(figure("energy_per_inference.per_event", 1e-4, "J", 0.02, Provenance.MEASURED), FIVE[0].figures[0]))
    (made,) = charts(Asked(ChartForm.PARETO), [*FIVE, other], [])
    assert made.tables[0].head[2] == "Energy per inference (gross)"
    assert made.tables[0].rows[5][2] == "-"
    assert any("without per event, which has not both figures" in note for note in made.notes)
    (asked,) = charts(Asked(ChartForm.PARETO, energy="per_event"), [*FIVE, other], [])
    assert [row[2] != "-" for row in asked.tables[0].rows] == [False] * 5 + [True]


def classes(made: list[Chart], of: str) -> list[str]:
    tree = ElementTree.fromstring(picture(made))
    return [e.get("class", "") for e in tree.iter(SVG + of)]


def test_what_was_not_measured_is_hollow_and_has_no_bar() -> None:
    made = charts(Asked(ChartForm.PARETO), FIVE, [])
    first = made[0].plots[0].draw(1000)
    dots = [e.get("class") for e in ElementTree.fromstring(first).iter(SVG + "circle")]
    assert dots == ["dot full"] * 4 + ["dot"]
    assert first.count('class="error"') == 2 * 4
    assert [plot.caption.partition(";")[0] for plot in made[0].plots] == [
        "Accuracy against energy per inference (gross)",
        "Accuracy against latency (pin, mean)",
        "Latency (pin, mean) against energy per inference (gross)",
    ]


def test_a_radar_shows_shares_of_the_best_and_a_gap_where_there_is_no_figure() -> None:
    (made,) = charts(Asked(ChartForm.RADAR), FIVE, [])
    rows = {row[0]: row for row in made.tables[0].rows}
    assert made.tables[0].head == ("", "Accuracy", "Energy per inference (gross)", "Latency (pin, mean)", "Parameters")
    assert rows["3 spiking"][2].endswith("[1.00]")
    assert rows["2 large"][2].endswith("[0.06]")  # 50 of 900 uJ
    assert rows["5 of a paper"][1] == "97.0 % (declared) [1.00]"
    (gap,) = charts(Asked(ChartForm.RADAR), [*FIVE, Entry("bare", figures=FIVE[0].figures[:1])], [])
    whole, holed = (one.plots[0].draw(1000) for one in (made, gap))
    assert holed.count('class="fit') == whole.count('class="fit')  # a lone figure joins no other
    assert holed.count('class="dot') == whole.count('class="dot') + 1


def test_too_few_common_figures_give_words_and_no_radar() -> None:
    (made,) = charts(Asked(ChartForm.RADAR), [Entry("a", figures=FIVE[0].figures[:2]), Entry("b", figures=FIVE[1].figures[:2])], [])
    assert made.plots == ()
    assert made.notes[0] == "no radar is drawn: it needs 3 figures that several entries have, there are 2"
    assert picture([made]) == ""


def test_runs_cross_within_a_board_and_across_boards_and_the_least_power_is_told_from_rate_to_rate() -> None:
    curves = [*board(0, "A"), *board(1, "B", 0.5)]
    found = crossings(curves)
    assert len(found) == 15
    by_pair = {(c.first, c.second): c for c in found}
    own = by_pair["A, dnn, event_sleep", "A, dnn, always_on"]
    assert own.value is not None
    across = by_pair["A, dnn, event_sleep", "B, dnn, always_on"]
    assert across.value is not None
    assert across.value < own.value  # board B needs half
    assert by_pair["B, dnn, event_sleep", "A, dnn, event_sleep"].outcome is Outcome.FIRST_ALWAYS
    assert verdicts(curves, found) == ["B, dnn, event_sleep needs the least power at every measured rate that it can serve."]
    two = [board(0, "A")[1], board(1, "B", 0.2)[0]]
    first, then = verdicts(two, crossings(two))
    assert first.startswith("A, dnn, event_sleep needs the least power up to 2.")
    assert "(95 %: " in first
    assert then == "B, dnn, always_on needs the least power above it."


def test_nobody_wins_where_the_uncertainty_leaves_it_open() -> None:
    two = [board(0, "A")[1], board(1, "B", 1.0001)[1]]
    (only,) = crossings(two)
    assert only.outcome is Outcome.NOT_RESOLVED
    (said,) = verdicts(two, [only])
    assert said.startswith("Which needs less at every measured rate that it can serve, A, dnn, event_sleep or B, dnn, event_sleep, cannot")


def test_always_on_against_event_based_without_a_detector_has_neither_rate_nor_winner() -> None:
    always, event = board(0, "A")[:2]
    assert event.line is not None
    event = replace(event, line=replace(event.line, detector=Detector()))
    (only,) = crossings([always, event])
    assert (only.outcome, only.value, only.why) == (Outcome.NOT_RESOLVED, None, (NO_DETECTOR,))
    assert all("cannot be told: always-on against event-based without" in said for said in verdicts([always, event], [only]))


def test_the_plot_rings_crossings_tells_boards_by_colour_and_modes_by_symbol() -> None:
    (made,) = charts(Asked(ChartForm.BREAK_EVEN), [], [*board(0, "A"), *board(1, "B", 0.5)])
    tree = ElementTree.fromstring(made.plots[0].draw(1000))
    groups = [e.get("class") for e in tree.iter(SVG + "g")]
    assert groups == ["s0 d0", "s0 d1", "s0 d2", "s1 d0", "s1 d1", "s1 d2"]
    assert sum(e.get("class") == "cross" for e in tree.iter(SVG + "circle")) >= 3
    assert sum(e.get("class") == "band" for e in tree.iter(SVG + "path")) == 6
    assert "Event detector: declared." in made.notes


def test_a_line_without_an_interval_is_not_compared() -> None:
    first = board(0, "A")[:2]
    assert first[0].line is not None
    bare = replace(first[0], line=replace(first[0].line, floor=replace(first[0].line.floor, u=None)))
    (only,) = crossings([bare, first[1]])
    assert (only.outcome, only.why) == (Outcome.NOT_RESOLVED, ("one of the two has no interval",))


def test_a_page_has_no_script_fetches_nothing_and_names_every_picture() -> None:
    made = charts(Asked(ChartForm.ALL), FIVE, board(0, "A"))
    text = page(made, version="1.2")
    tree = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert not [e for e in tree.iter() if e.tag in ("script", "img", "link", "iframe")]
    policy = next(e for e in tree.iter("meta") if e.get("http-equiv") == "Content-Security-Policy")
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'"
    drawn = [e for e in tree.iter(SVG + "svg") if e.get("role") == "img"]
    assert len(drawn) == 2 * 5
    assert all(e.find(SVG + "title") is not None and e.find(SVG + "desc") is not None for e in drawn)
    idents = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(idents) == len(set(idents))
    assert [one.title for one in made] == ["Pareto plot", "Break-even across boards", "Radar plot"]


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_no_name_breaks_a_page_or_a_picture(poison: str) -> None:
    named = [replace(FIVE[0], name=poison), *FIVE[1:]]
    curves = [replace(c, label=f"{poison} {c.label}") for c in board(0, "A")[:2]]
    made = charts(Asked(ChartForm.ALL), named, curves)
    tags = [e.tag for e in ElementTree.fromstring(page(made, version="1").removeprefix("<!DOCTYPE html>\n")).iter()]
    safe = charts(Asked(ChartForm.ALL), FIVE, board(0, "A")[:2])
    assert sorted(set(tags)) == sorted(
        {e.tag for e in ElementTree.fromstring(page(safe, version="1").removeprefix("<!DOCTYPE html>\n")).iter()}
    )
    ElementTree.fromstring(picture(made))


@pytest.mark.parametrize("form", [ChartForm.PARETO, ChartForm.RADAR, ChartForm.BREAK_EVEN])
def test_nothing_to_show_is_said_in_words(form: ChartForm) -> None:
    (made,) = charts(Asked(form), [], [])
    assert made.plots == ()
    assert made.notes
