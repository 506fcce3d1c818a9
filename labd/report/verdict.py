"""The result in sentences: what was measured, which mode wins at which rate, and what limits each figure."""

from __future__ import annotations

import re

from labd.kpi.rate_model import TWO_RATES
from labd.records import BudgetLine, CaptureState, KpiRecord
from labd.report.catalogue import MODES, curve_label, place
from labd.report.data import BreakEven, Outcome, RateCurve, RunReport
from labd.report.numbers import bounds, interval, quantity, reason, show, words

NOTHING = "No capture succeeded"

# What to do about a term of the budget, by a word of its name. The first that fits is taken.
_REMEDIES = (
    ("offset", "A lower range, a zero just before the run or a certificate narrows it; more inferences do not"),
    ("gain", "Only a better calibration of the meter's range narrows it; more inferences do not"),
    ("temperature", "A room nearer to the calibration temperature narrows it"),
    ("drift", "A zero taken more often narrows it"),
    ("warm", "Waiting for the warm-up narrows it"),
    ("timebase", "An external clock reference narrows it"),
    ("clock", "An external clock reference narrows it"),
    ("leak", "Cleaner fixtures or a guarded lead narrow it"),
    ("latency", "A wired trigger or a known delay narrows it"),
    ("lead", "Four-wire sensing at the DUT removes it"),
    ("edge", "A shorter record interval or a faster marker narrows it"),
    ("trigger", "A wired trigger narrows it"),
    ("settl", "Waiting longer around each window narrows it"),
    ("bandwidth", "A faster measuring path narrows it"),
    ("resolution", "A lower range narrows it"),
)


def nothing(report: RunReport) -> str:
    """That no capture succeeded, and why, as far as it is known: then there is no figure to print. Empty where one did."""
    if report.kpis or not report.captures or any(c.state is CaptureState.FINISHED for c in report.captures):
        return ""
    if report.run.state == "running":
        return ""
    why = next((f"{n.where}: {n.text}" for n in report.notices if n.severity == "error"), "")
    return f"{NOTHING}, of {len(report.captures)}" + (f". {why}" if why else ".")


def measured(report: RunReport) -> str:
    """One sentence: what was measured, on what, how much of it; or that nothing was."""
    if none := nothing(report):
        return none
    modes = [MODES[m] for m in dict.fromkeys(p.mode for p in report.points)]
    rates = sorted({p.rate_hz for p in report.points if p.rate_hz > 0})
    span = (
        f"{rates[0]:g} to {rates[-1]:g} inferences per second" if len(rates) > 1 else "".join(f"{r:g} inferences per second" for r in rates)
    )
    floor = "rate 0" if any(p.rate_hz == 0 for p in report.points) else ""
    what = " and ".join(part for part in (floor, span) if part) or "no rate"
    count = len({c.key for c in report.captures})
    use = f" for {report.plan.use_case}" if report.plan.use_case else ""
    return f"{report.board.name}{use}: energy per inference in {listed(modes)}, at {what}, from {count} captures."


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "no mode"


def verdicts(report: RunReport) -> list[str]:
    """One sentence for each pair of modes that was compared."""
    return [capitalised(break_even_sentence(report, item)) for item in report.break_evens]


def capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def start_sentences(report: RunReport) -> list[str]:
    """One for each supply voltage that the board was started at."""
    kinds = {kpi: {r.at: r for r in report.kpis if r.id == kpi} for kpi in ("start_time", "start_time.p95", "start_energy", "start_peak")}
    return [
        f"From the supply's reaching supply_min to ready ({place(report, at)}): {show(kinds['start_time'][at])}, "
        f"p95 {show(kinds['start_time.p95'].get(at))}, {show(kinds['start_energy'].get(at))}, "
        f"largest current {show(kinds['start_peak'].get(at))}."
        for at in kinds["start_time"]
    ]


def break_even_sentence(report: RunReport, item: BreakEven) -> str:
    first, second = curve_label(report, item.first), curve_label(report, item.second)
    match item.outcome:
        case Outcome.CROSSES:
            extra = " This lies outside the measured rates: extrapolated." if item.extrapolated else ""
            below = rate_with_interval(item.record)
            return f"{first} needs less power than {second} below {below}, and more above it.{extra}{untested(item.record)}"
        case Outcome.FIRST_ALWAYS:
            return f"{first} needs less power than {second} at every rate that both can serve."
        case Outcome.SECOND_ALWAYS:
            return f"{second} needs less power than {first} at every rate that both can serve."
        case Outcome.NOT_RESOLVED:
            why = reason(item.record)
            return f"The break-even rate of {first} and {second} is not resolved" + (f": {why}." if why != "not resolved" else ".")


def rate_with_interval(record: KpiRecord) -> str:
    """`12.3 /s (95 %: 12.1..12.5 /s)`: a rate is always printed with both ends, since its interval is lopsided by nature."""
    low, high = bounds(record)
    if record.value is None or low is None or high is None:
        return show(record)
    return f"{quantity(record.value, '/s')} (95 %: {interval(low, high, '/s')})"


def detector_sentence(report: RunReport) -> str:
    """What decides that there is an event, and whether it is in the figures."""
    detector = report.detector
    parts = [f"Event detector: {(detector.text or detector.kind).replace('none: ', 'none, ')}."]
    if detector.power is not None:
        parts.append(f"Its power, {show(detector.power)}, is part of the event modes' floor in every break-even.")
    if detector.false_wake_rate is not None:
        parts.append(f"False wake-ups: {show(detector.false_wake_rate)}.")
    if detector.power is None and report.break_evens:
        parts.append("No detector power is included in the break-even rates: a detector on the device would lower those against always-on.")
    return " ".join(parts)


def fit_sentence(report: RunReport, curve: RateCurve) -> str:
    """A mode as two figures: what it costs to wait, and what one more inference costs."""
    name = curve_label(report, curve.key)
    if curve.fit is None:
        return f"{name}: no straight line was fitted."
    text = f"{name}: {show(curve.fit.floor)} at rate 0, and {show(curve.fit.incremental)} for each inference, {largest_rate(curve)}."
    return text + untested(curve.fit.floor)


def untested(record: KpiRecord) -> str:
    """What a reader must know of a figure that rests on a line through two rates; empty for others."""
    return f" {capitalised(TWO_RATES)}." if TWO_RATES in record.flags else ""


def largest_rate(curve: RateCurve) -> str:
    """`up to 43.9 ± 0.2 /s`, or that it is not known and why."""
    record = curve.largest_rate
    if record is not None and record.value is not None:
        return f"up to {show(record)}"
    if curve.r_max_hz:
        return f"up to {quantity(curve.r_max_hz, '/s')}"
    return "largest rate not known" + (f" ({words(record.flags[0])})" if record is not None and record.flags else "")


def shares(record: KpiRecord) -> list[tuple[BudgetLine, float]]:
    """Each term of the budget with its share of u squared (0..1), largest first; terms of one name are added first, with sign."""
    merged: dict[str, BudgetLine] = {}
    for term in record.budget:
        old = merged.get(term.name)
        merged[term.name] = term if old is None else BudgetLine(term.name, old.u + term.u, term.kind, term.distribution, term.dof)
    total = sum(term.u**2 for term in merged.values())
    ranked = sorted(merged.values(), key=lambda term: -abs(term.u))
    return [(term, term.u**2 / total if total > 0 else 0.0) for term in ranked]


def term_name(name: str) -> str:
    """A budget term's name in words: `smu:current[0.1 A].gain` -> smu current [100 mA] gain; `A:gross` -> scatter of gross."""
    kind, colon, rest = name.partition(":")
    text = f"scatter of {rest}" if kind == "A" and colon else f"{kind} {rest}".strip()
    text = re.sub(r"\[([0-9.e+-]+) A\]", lambda found: f" [{quantity(float(found[1]), 'A')}]", text)
    return re.sub(r"(?<=[\]a-z])[._](?=[a-z])", " ", text)


def limit_sentence(record: KpiRecord) -> str:
    """What limits a figure, in plain words, and what would narrow it."""
    ranked = shares(record)
    if not ranked:
        return "No budget was recorded for this figure."
    term, share = ranked[0]
    return f"{percent(share)} of u² comes from {term_name(term.name)}. {remedy(term)}."


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


def remedy(term: BudgetLine) -> str:
    if term.kind == "A":
        return "More inferences or a longer capture narrows it"
    name = term.name.lower()
    return next(
        (text for word, text in _REMEDIES if word in name), "It belongs to the method or the instrument: more inferences do not narrow it"
    )


def limits_in_general(report: RunReport, records: list[KpiRecord]) -> str:
    """One sentence over all main figures: which kind of term dominates most of them."""
    tops = [ranked[0][0] for record in records if (ranked := shares(record))]
    if not tops:
        return "No figure of this run carries an uncertainty budget."
    scatter = sum(1 for term in tops if term.kind == "A")
    if scatter * 2 > len(tops):
        return f"Scatter between repeats dominates {scatter} of {len(tops)} main figures: measuring longer pays."
    rest = len(tops) - scatter
    return f"Instrument and method dominate {rest} of {len(tops)} main figures: calibration helps there, measuring longer does not."
