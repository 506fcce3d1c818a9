"""The report's tables as rows of text, for every renderer: summary, fits, figures, captures, instruments, disclosure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labd.records import KpiRecord, OperatingPoint
from labd.report import verdict
from labd.report.catalogue import LOWER_BOUND, SUMMARY, Column, curve_label, place, rank, rate_label, title
from labd.report.data import NOT_DISCLOSED, AimFact, Disclosure, InstrumentFacts, RunReport, curve_key
from labd.report.numbers import percent, percents, quantity, reason, show, significant, words


@dataclass(frozen=True, slots=True)
class Table:
    """head: column headings; the first column holds row headings. rows: text cells. numeric: indices of columns set flush right."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


def summary_columns(report: RunReport) -> list[Column]:
    """Columns that hold a figure somewhere."""
    return [column for column in SUMMARY if any(report.find(p.key, *column.ids) for p in report.points)]


def cell(report: RunReport, point: OperatingPoint, column: Column) -> str:
    """One figure of the summary; at rate 0 only what exists there, and a withheld figure says why."""
    record = of_cell(report, point, column)
    gone = next((r for r in report.edge_cases if r.at == point.key and r.id in column.ids), None)
    if point.rate_hz == 0 and not column.at_floor and record is None:
        return ""
    if record is not None and record.id == LOWER_BOUND and record.value is not None:
        return f"≥ {show(record)}"
    return show(record or gone)


def of_cell(report: RunReport, point: OperatingPoint, column: Column) -> KpiRecord | None:
    return report.find(point.key, *column.ids)


def summary(report: RunReport) -> dict[str, Table]:
    """Per curve label, one row a rate; none where there is no figure for any."""
    columns = summary_columns(report)
    if not columns:
        return {}
    head = ("Rate", *(c.heading for c in columns))
    found: dict[str, list[tuple[str, ...]]] = {}
    for point in report.points:
        cells = tuple(cell(report, point, c) for c in columns)
        found.setdefault(curve_label(report, curve_key(point)), []).append((rate_label(point.rate_hz), *cells))
    numeric = frozenset(range(1, len(head)))
    return {label: Table(label, head, tuple(rows), numeric) for label, rows in found.items()}


def fits(report: RunReport) -> Table:
    rows = []
    for curve in () if verdict.nothing(report) else report.curves:
        limit = verdict.largest_rate(curve).removeprefix("up to ").removeprefix("largest rate ")
        if curve.fit is None:
            rows.append((curve_label(report, curve.key), "no fit", "—", "—", limit))
            continue
        lack = "—" if curve.fit.lack_of_fit is None else significant(curve.fit.lack_of_fit, 2)
        rows.append((curve_label(report, curve.key), show(curve.fit.floor), show(curve.fit.incremental), lack, limit))
    head = ("Mode", "Floor power", "Incremental energy", "chi²/dof", "Largest rate")
    return Table("Straight line through mean power over rate", head, tuple(rows), frozenset({1, 2, 3, 4}))


def phase_table(report: RunReport) -> Table:
    rows = tuple((curve_label(report, e.curve), str(e.phase), show(e.energy), str(e.energy.n)) for e in report.phase_energies)
    return Table("Energy of each phase of one event", ("Mode", "Phase", "Energy", "n"), rows, frozenset({2, 3}))


def figures(report: RunReport) -> Table:
    """Every KPI record with its provenance; those without a value are in `withheld`."""
    rows = [figure_row(report, r) for r in everything(report) if r.value is not None]
    head = ("Figure", "At", "Value ± U95", "n", "Provenance", "Method", "Flags")
    return Table("Every figure, 95 % coverage interval", head, tuple(rows), frozenset({2, 3}))


def figure_row(report: RunReport, record: KpiRecord) -> tuple[str, ...]:
    flags = ", ".join(words(flag) for flag in record.flags)
    return title(record.id), place(report, record.at), show(record), str(record.n), str(record.provenance), record.method, flags


def withheld(report: RunReport) -> Table:
    rows = tuple((title(r.id), place(report, r.at), reason(r)) for r in report.withheld())
    return Table("Figures without a value, and why", ("Figure", "At", "Reason"), rows)


def flagged(report: RunReport) -> Table:
    rows = tuple(
        (title(r.id), place(report, r.at), ", ".join(words(f) for f in r.flags), r.note)
        for r in everything(report)
        if r.flags and r.value is not None
    )
    return Table("Figures that carry a flag", ("Figure", "At", "Flag", "Note"), rows)


def notices(report: RunReport) -> Table:
    rows = tuple((n.severity, n.where or "run", n.text) for n in report.notices)
    return Table("Warnings of this run", ("Severity", "Where", "What"), rows)


def captures(report: RunReport) -> Table:
    rows = []
    for c in report.captures:
        settings = pairs(c.settings)
        dt = quantity(c.dt_s, "s", 4) if c.dt_s else "—"
        flags = ", ".join(words(f) for f in c.flags)
        rows.append((c.key, str(c.role), str(c.state), f"{c.samples}", dt, str(c.events), str(c.gaps), settings, flags))
    head = ("Capture", "Role", "State", "Records", "Interval", "Events", "Gaps", "Settings", "Flags")
    return Table("Every acquisition, in the order of the plan", head, tuple(rows), frozenset({3, 4, 5, 6}))


def pairs(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{words(k)} {v}" for k, v in facts.items())


def aims(report: RunReport) -> Table:
    """What the plan aims at, how far the run came, and how long it took."""
    rows = [aim(report, one) for one in report.aims]
    if end := report.aims_end:
        rows.append(("Measuring time", "", f"{end.time_s:.0f} s", f"{end.spent_s:.0f} s", "", end.more))
    return Table("What the plan aims at", ("Figure", "Where", "Aimed at", "Reached", "Aim", "Why not better"), tuple(rows))


def aim(report: RunReport, one: AimFact) -> tuple[str, ...]:
    reached, aimed = ("", percent(one.aimed)) if one.reached is None else percents(one.reached, one.aimed)
    verdict = "not met" if not one.met else "met" if one.reached is not None else "no such rate"
    return title(one.id), place(report, one.at), f"± {aimed}", f"± {reached}" if reached else "-", verdict, one.why


def accuracy(report: RunReport) -> Table:
    rows = tuple(
        (i.name, a.quantity, a.range, a.aperture, a.gain, a.offset, a.source or NOT_DISCLOSED)
        for i in report.bench.instruments
        for a in i.accuracy
    )
    return Table(
        "Accuracy used, and the document it comes from",
        ("Instrument", "Quantity", "Range", "Aperture", "Of reading", "Offset", "Source"),
        rows,
    )


def disclosure(report: RunReport) -> dict[str, list[tuple[str, str]]]:
    """Per group, (item, value or `not disclosed`): first what the report itself holds, then the caller's list."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for item in (*run_facts(report), *setup_facts(report), *report.disclosure):
        groups.setdefault(item.group, []).append((item.item, item.text))
    return groups


def untold(report: RunReport) -> Table:
    """What of the deployment pipeline nobody told, which card would tell it, and why it is asked for."""
    rows = tuple((item.group, item.item, item.missing, item.why) for item in report.untold)
    return Table("Not told of the deployment pipeline", ("", "Item", "Card and keys", "Why it is asked for"), rows)


def completeness(report: RunReport) -> str:
    """One sentence: whether the whole deployment pipeline is told."""
    asked = sum(bool(item.missing) or item.group != "Method" for item in report.disclosure)
    if not asked:
        return ""
    if not report.untold:
        return "Deployment pipeline: complete, every item that the paper asks for is told or said to be unknown."
    return f"Deployment pipeline: incomplete, {len(report.untold)} of {asked} items are not told; a comparison with this run says which."


def run_facts(report: RunReport) -> list[Disclosure]:
    run, plan = report.run, report.plan
    found = [
        Disclosure("Run", "Run", run.run_id),
        Disclosure("Run", "State", run.state),
        Disclosure("Run", "Started", run.started),
        Disclosure("Run", "Ended", run.ended),
        Disclosure("Plan", "Plan", plan.name),
        Disclosure("Plan", "Use case", plan.use_case),
        Disclosure("Plan", "Modes", ", ".join(plan.modes)),
        Disclosure("Plan", "Rates", ", ".join(plan.rates)),
    ]
    found += [Disclosure("Plan", words(k), v) for k, v in plan.facts.items()]
    found += [
        Disclosure("Conditions", "Ambient temperature", report.conditions.ambient),
        Disclosure("Conditions", "Mains", report.conditions.mains),
        Disclosure("Conditions", "Warm-up", report.conditions.warm_up),
    ]
    return found + [Disclosure("Conditions", words(k), v) for k, v in report.conditions.facts.items()]


def setup_facts(report: RunReport) -> list[Disclosure]:
    board, bench = report.board, report.bench
    found = [
        Disclosure("Device under test", "Board", f"{board.name}: {board.description}".rstrip(": ")),
        Disclosure("Device under test", "Supply", board.supply),
        Disclosure("Device under test", "Clock", board.clock),
        Disclosure("Device under test", "Inside the boundary", ", ".join(board.inside)),
        Disclosure("Device under test", "Firmware", board.firmware),
        Disclosure("Device under test", "Firmware hash", board.firmware_hash),
    ]
    found += [Disclosure("Device under test", words(k), v) for k, v in board.facts.items()]
    found += [
        Disclosure("Bench", "Bench", f"{bench.name}: {bench.description}".rstrip(": ")),
        Disclosure("Bench", "Boundary plane", bench.boundary),
    ]
    found += [Disclosure("Bench", f"Limit: {words(k)}", v) for k, v in bench.limits.items()]
    for link in bench.links:
        detail = ", ".join(part for part in (link.kind, link.io_level, link.detail, f"isolation {link.isolation or NOT_DISCLOSED}") if part)
        found.append(Disclosure("Bench", f"Link {link.name}", detail))
    for line in bench.lines:
        found.append(Disclosure("Bench", f"Line {line.name}", f"{line.origin} to {line.target}, {line.level}, isolation {line.isolation}"))
    return [*found, *(fact for item in bench.instruments for fact in instrument_facts(item))]


def instrument_facts(item: InstrumentFacts) -> list[Disclosure]:
    group = f"Instrument {item.name}"
    values = {
        "Identity": ", ".join(part for part in (item.maker, item.model, item.serial and f"serial {item.serial}") if part),
        "Firmware": item.firmware,
        "Options": ", ".join(item.options) or "none",
        "Simulated": "yes: a virtual instrument" if item.virtual else "no",
        "Driver": f"{item.driver} ({item.evidence})" if item.evidence else item.driver,
        "Resource": item.resource,
        "Roles": ", ".join(item.roles),
        "Calibrated": item.calibrated,
        "Calibration due": item.calibration_due,
        "Powered on for": item.warm,
        "Zeroed": item.zeroed,
        "Sense": item.sense,
        "Lead resistance": item.lead_resistance,
        "Switching off": words(item.off_assurance),
        "Ranges used": ", ".join(item.ranges),
        "Self-test": item.self_test,
    }
    return [Disclosure(group, name, value) for name, value in values.items()]


def everything(report: RunReport) -> list[KpiRecord]:
    """Every record once, those withheld included, by id and place."""
    every = {(r.id, r.at): r for r in (*report.edge_cases, *report.kpis)}
    elsewhere = [item.record for item in report.break_evens]
    elsewhere += [r for c in report.curves if c.fit for r in (c.fit.floor, c.fit.incremental)]
    elsewhere += [r for c in report.curves for r in (p.power for p in c.points)]
    elsewhere += [item.energy for item in report.phase_energies]
    for record in elsewhere:
        every.setdefault((record.id, record.at), record)
    return sorted(every.values(), key=lambda r: (rank(r.id), r.at))
