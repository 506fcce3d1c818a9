"""The fairness rules of a comparison, each with its reason: metrology reference 1.4 (C21: 6.3), after the guidelines of the paper. Pure.

Severities are the severest that a rule can give: what it finds may be less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from labd.cards import rules_measured as measured
from labd.cards import rules_pipeline as pipeline
from labd.cards.side import Found, Severity, Side


@dataclass(frozen=True, slots=True)
class Rule:
    """asks: what has to hold, in words. why: the reason, with the section of the paper (in brackets) or of a standard."""

    id: str
    severity: Severity
    title: str
    asks: str
    why: str
    check: Callable[[Sequence[Side]], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What a rule found. sides: the short names of those concerned; kpis: beginnings of ids, empty: every figure. places: where, in words,
    empty: everywhere."""

    rule: str
    title: str
    severity: Severity
    sides: tuple[str, ...]
    what: str
    why: str
    kpis: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def apply(sides: Sequence[Side]) -> list[tuple[Rule, Found]]:
    """Everything that any rule has to say, refusals first, in the order of the rules."""
    found = [(rule, one) for rule in RULES for one in rule.check(sides)]
    return sorted(found, key=lambda pair: list(Severity).index(pair[1].severity))


def finding(rule: Rule, found: Found) -> RuleFinding:
    places = tuple(str(place) for place in found.places if str(place))
    return RuleFinding(rule.id, rule.title, found.severity, found.sides, found.what, rule.why, found.kpis, places)


REFUSE, FLAG, TELL = Severity
RULES = (
    Rule(
        "C01",
        REFUSE,
        "Same use case",
        "Name, version, targets and events of the use-case card are the same; without cards the words of the plan.",
        "the figures of keyword spotting say nothing about object classification, even though both aim at accuracy [1.3.2]",
        pipeline.same_use_case,
    ),
    Rule(
        "C02",
        REFUSE,
        "Same data, treated alike",
        "Name, version, hash, split and number of samples of the data set are the same; so are what is done to a sample, where, and "
        "whether that counts; and what an inference is given. Task figures are of accuracy runs over the same samples.",
        "a comparison is fair if the data set is the same [1.3.2]; work on the host is energy that the board does not need [1.3.1]",
        pipeline.same_data,
    ),
    Rule(
        "C03",
        REFUSE,
        "Same definition of the KPI",
        "The same kind (gross, net, per event, at rate; by marker or by counter), the same window and method, the same version. What is "
        "computed from a figure that does not stand does not stand either, here and in every rule.",
        "one number called energy per inference is not admissible: its kinds differ tenfold at low rates [1.2.2]",
        measured.same_definition,
    ),
    Rule(
        "C04",
        REFUSE,
        "Same mode and rate; the detector stated",
        "A figure that depends on the duty cycle stands with its mode and rate beside the same. Nothing is said of always-on against "
        "event-based without the detector's power and false wakes.",
        "the same algorithm on the same hardware gives other values from always-on to event-based [1.3.1]",
        measured.same_mode_and_rate,
    ),
    Rule(
        "C05",
        REFUSE,
        "Accuracy of the board itself",
        f"Task KPIs are of the board's own answers to at least {pipeline.LEAST_SAMPLES} samples, not copied from training.",
        "the final model on the hardware is what is benchmarked [1.3.3]; quantisation costs accuracy [1.2.2]",
        pipeline.accuracy_on_the_device,
    ),
    Rule(
        "C06",
        REFUSE,
        "Meets the use case's targets",
        "Decided by the whole interval, in the mode that does best over all targets. A net that misses the accuracy is refused; another "
        "target missed, or not decided, is flagged.",
        "what matters is that the application performs within the constraints of the use case [1.3.3]",
        pipeline.meets_the_targets,
    ),
    Rule(
        "C07",
        FLAG,
        "Deployment pipeline disclosed",
        "Task, data, model as trained and as deployed, quantisation, compiler, mapping, runtime, firmware are told, or said to be unknown.",
        "it is necessary to provide information on the entire deployment pipeline [1.3.3]",
        pipeline.pipeline_told,
    ),
    Rule(
        "C08",
        REFUSE,
        "Hardware disclosed; the same boundary",
        "The hardware card is complete (flagged where not), and the same rails and parts are inside what was measured (refused where not). "
        "Another clock or core voltage of the same chip is flagged, and another regulator.",
        "power follows voltage, clock and technology, and what is fed apart is not counted [1.2.2, 1.3.1]",
        pipeline.hardware_told,
    ),
    Rule(
        "C09",
        FLAG,
        "Each platform exploited alike",
        "The same net on several platforms is labelled model-fixed, a net for each use-case-fixed; both in one comparison are not ranked. "
        "A platform that was optimised for beside one that was not is flagged.",
        "models that do not take advantage of a platform are benchmarked unfairly [1.3.1, figure 1.1]",
        pipeline.exploited_alike,
    ),
    Rule(
        "C10",
        REFUSE,
        "Parameters loaded before latency",
        "At least one inference before the first that counts, and the first is within 5 median absolute deviations of the others' median.",
        "all parameters should be loaded before measuring the inference time [1.2.2]",
        measured.parameters_resident,
    ),
    Rule(
        "C11",
        REFUSE,
        "Measured long enough",
        f"At least {measured.LEAST_WINDOWS} windows and {measured.LEAST_S:g} s, or an interval of at most ±{measured.WIDEST:.0%}.",
        "KPIs have to be reproducible [1.3.2]; MLPerf Tiny asks for five windows of ten seconds",
        measured.measured_long_enough,
    ),
    Rule(
        "C12",
        REFUSE,
        "Precision told with operations",
        "No energy per operation, throughput or efficiency without the bits of parameters and activations; other bits are not ranked.",
        "energy per operation is a fair metric if the bit resolution is provided [1.2.2]",
        pipeline.precision_told,
    ),
    Rule(
        "C13",
        FLAG,
        "A peak is no measurement",
        "A peak that the maker declares is labelled where measured figures stand beside it.",
        "the peak throughput can usually not be reached for all network topologies [1.2.2]",
        pipeline.peak_is_no_measurement,
    ),
    Rule(
        "C14",
        REFUSE,
        "Measured with measured",
        "Silicon stands beside silicon, not beside a simulation (refused). Declared and estimated values are shown as such, never ranked.",
        "KPIs have to be objective [1.3.2]; simulated figures may be reported, never as measured ones [1.2.2]",
        pipeline.measured_not_told,
    ),
    Rule(
        "C15",
        FLAG,
        "The run is whole",
        "It finished, no capture is lost, and its traces are there to be analysed again.",
        "KPIs have to be reproducible [1.3.2]",
        measured.run_is_whole,
    ),
    Rule(
        "C16",
        TELL,
        "No KPI twice",
        f"From {measured.PLATFORMS} sides on: figures whose rank correlation is above {measured.CORRELATED:g} are named.",
        "a small set of KPIs is desirable that are orthogonal [1.3.2]",
        measured.not_twice_the_same,
    ),
    Rule(
        "C17",
        REFUSE,
        "Same constants of the use case",
        "Figures that hold for a rate, a battery or a harvester are marked as dependent on the use case; those of different batteries or "
        "harvesters are refused.",
        "KPIs should not depend on the use case, and those that do are used in that case only [1.3.2]",
        measured.use_case_constants,
    ),
    Rule(
        "C18",
        REFUSE,
        "Same conditions",
        "The same supply (boards of different kinds: each at its own nominal one, flagged), temperatures within "
        f"{measured.MOST_KELVIN:g} K, instruments warm and calibrated. Labd does not ask for humidity.",
        "power is influenced by the supply [1.2.2], and leakage doubles within some ten kelvin",
        measured.same_conditions,
    ),
    Rule(
        "C19",
        REFUSE,
        "Every value with unit and uncertainty",
        "The same unit; a measured value without an interval is not ranked.",
        "KPIs have to be objective [1.3.2]; JCGM 100:2008, 7.2",
        measured.values_have_uncertainty,
    ),
    Rule(
        "C20",
        FLAG,
        "A search is told",
        "Where a search chose the net, its winner is measured anew; a net that was searched for beside one that was not is flagged.",
        "the search algorithm used for benchmarking is to be documented [1.3.3, figure 1.3]",
        pipeline.search_told,
    ),
    Rule(
        "C21",
        FLAG,
        "Not fed past the meter",
        "No line into the board is driven during captures without isolation.",
        "what is fed apart is not counted [1.2.2]",
        measured.not_fed_past_the_meter,
    ),
)
