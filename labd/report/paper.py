"""Tables in the forms of the paper: 1.2 to 1.5, and the multi-metric one of Fra et al. that its section 1.3.2 asks for. Pure.

Where a source says nothing stands a dash. Numbers are written one way, whatever the source's own (decimal commas, `bis`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from labd.records import Provenance
from labd.report.beside import NOTES, beside, beside_table
from labd.report.entries import Entry, Figure
from labd.report.numbers import two_sided
from labd.report.tables import Table

NONE = "-"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_COUNTS = ((1e8, 1e9, "B"), (1e6, 1e6, "M"), (1e3, 1e3, "k"))  # from, divided by, written
_AP = "task.mean_average_precision"
_ENERGY = tuple(f"energy_per_inference.{kind}" for kind in ("gross", "per_event", "at_rate", "net_of_idle", "net_of_sleep"))
_OPERATIONS = ("throughput", "hardware.peak_throughput")


class TableForm(enum.StrEnum):
    """Which table: by its number in the paper, `multi-metric`, or `beside`: figures of others beside those of runs."""

    DETECTION = "1.2"
    RESOURCES = "1.3"
    PEAK = "1.4"
    COMBINED = "1.5"
    MULTI_METRIC = "multi-metric"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class PaperTable:
    """notes: what a reader has to know of it, and where each line comes from."""

    table: Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """optional: left out where no entry has it."""

    head: str
    cell: Callable[[Entry], str]
    optional: bool = False


def paper_table(form: TableForm, entries: Sequence[Entry]) -> PaperTable:
    """The entries in one of the paper's forms, in their order."""
    if form is TableForm.BESIDE:
        lines = beside([entry for entry in entries if entry.of_run], [entry for entry in entries if not entry.of_run])
        return PaperTable(beside_table(lines), (*NOTES, *_sources(entry for entry in entries if not entry.of_run)))
    caption, columns, notes = _FORMS[form]
    cells = [(column, [column.cell(entry) for entry in entries]) for column in columns]
    kept = [(column.head, texts) for column, texts in cells if not column.optional or any(text != NONE for text in texts)]
    head = tuple(name for name, _ in kept)
    rows = tuple(zip(*(texts for _, texts in kept), strict=True))
    turned = form is TableForm.COMBINED
    if turned:
        head, *rest = ((name, *texts) for name, texts in kept)
        rows = tuple(rest)
    # in 1.4 columns hold words
    numeric = frozenset() if form is TableForm.PEAK else frozenset(range(1, len(head)))
    return PaperTable(Table(caption, head, rows, numeric), (*notes, *_sources(entries)))


def _sources(entries: Iterable[Entry]) -> Iterable[str]:
    """Which provenance and source the figures of which lines have, once each."""
    said: dict[str, dict[str, None]] = {}
    for entry in entries:
        for one in entry.figures:
            said.setdefault(f"{one.provenance}: {one.source}" if one.source else str(one.provenance), {})[entry.name] = None
    return [f"{source} ({'; '.join(names)})" for source, names in said.items()]


def scaled(value: float, unit: str) -> str:
    """`472 GOPS`, `7.5 W`: as many digits as the figure has, up to six."""
    factor, prefix = _prefix(value)
    return f"{value / factor:.6g} {prefix}{unit}"


def _prefix(value: float) -> tuple[float, str]:
    return next(((f, p) for f, p in _PREFIXES if abs(value) >= f * 0.9999999), (1.0, "") if value == 0 else _PREFIXES[-1])


def ranged(figure: Figure, unit: str) -> str:
    """`5 – 10 W`, `< 100 mW`, `> 3 W`: of a figure or its limits, the unit once where both ends share it."""
    if figure.value is not None:
        return scaled(figure.value, unit)
    if figure.least is None or figure.most is None:
        return f"< {scaled(figure.most, unit)}" if figure.most is not None else f"> {scaled(figure.least or 0.0, unit)}"
    least, most = scaled(figure.least, unit), scaled(figure.most, unit)
    shared = least.rpartition(" ")[2] == most.rpartition(" ")[2]
    return f"{'< ' if figure.least_open else ''}{least.rpartition(' ')[0] if shared else least} – {most}"


def counted(value: float | None) -> str:
    """`36.1M`, `0.8B`: of parameters and operations, as papers write them."""
    if value is None:
        return NONE
    return next((f"{value / factor:.6g}{letter}" for least, factor, letter in _COUNTS if value >= least), f"{value:.6g}")


def _number(*kpis: str, scope: str | None = None) -> Callable[[Entry], str]:
    """As the source gives it, without its unit; a run's with its interval, its unit and which kind it is."""

    def cell(entry: Entry) -> str:
        found = entry.figure(*kpis, scope=scope)
        if found is None and scope == "overall":
            found = entry.figure(*kpis, scope="")
        if found is None:
            return NONE
        return _shown(found, kpis) if found.shown else NONE if found.value is None else f"{found.value:.10g}"

    return cell


def _percent(*kpis: str) -> Callable[[Entry], str]:
    def cell(entry: Entry) -> str:
        found = entry.figure(*kpis)
        if found is None or found.value is None:
            return NONE
        return _spread(found, 1.0 if found.unit == "%" else 0.01) or f"{found.value / (1.0 if found.unit == '%' else 0.01):.1f}"

    return cell


def _quantity(*kpis: str) -> Callable[[Entry], str]:
    def cell(entry: Entry) -> str:
        found = entry.figure(*kpis)
        if found is None:
            return NONE
        if found.shown or found.value is None:
            return _shown(found, kpis)
        estimate = "est. " if found.provenance == Provenance.ESTIMATED else ""
        return f"{estimate}{scaled(found.value, found.unit)}{_scope(found)}"

    return cell


def _operations(entry: Entry) -> str:
    found = entry.figure(*_OPERATIONS)
    if found is None:
        return NONE
    return f"{_ops(found)}{_kind(found, _OPERATIONS)}{_scope(found)}"


def _ops(figure: Figure) -> str:
    """With its interval, where it has one."""
    factor, prefix = _prefix(figure.value or 0.0)
    spread = _spread(figure, factor)
    return f"{spread} {prefix}OPS" if spread else ranged(figure, "OPS")


def _spread(figure: Figure, factor: float) -> str:
    """The value and its interval, each divided by a factor; empty where there is no interval."""
    if figure.value is None or figure.interval is None:
        return ""
    low, high = figure.interval
    return two_sided(figure.value / factor, low / factor, high / factor, "1")


def _shown(figure: Figure, kpis: Sequence[str]) -> str:
    """With which kind of the KPI it is, e.g. `12.3 ± 0.2 mJ (gross)`."""
    return f"{figure.shown or ranged(figure, figure.unit)}{_kind(figure, kpis)}"


def _kind(figure: Figure, kpis: Sequence[str]) -> str:
    asked = next(kpi for kpi in kpis if figure.of(kpi))
    kind = figure.id.removeprefix(asked).strip(".") or (asked.partition(".")[2] if asked in _ENERGY else "")
    return f" ({kind.replace('.', ', ').replace('_', ' ')})" if kind else ""


def _scope(figure: Figure) -> str:
    return f" ({figure.scope})" if figure.scope else ""


def _performance(entry: Entry) -> str:
    """`472 GOPS @ 5 – 10 W`; without power at the clock that the source names."""
    speed, power = entry.figure("hardware.peak_throughput"), entry.figure("hardware.power")
    if speed is None and power is None and (speed := entry.figure("throughput")) is not None:
        power = entry.figure("power.mean")
        return f"{_ops(speed)}{f' @ {power.shown}' if power else ''}"
    parts = [ranged(speed, "OPS")] if speed else []
    parts += [ranged(power, "W")] if power else [scaled(speed.clock_hz, "Hz")] if speed and speed.clock_hz else []
    return " @ ".join(parts) + _scope(speed or power or Figure("", None, "")) if parts else NONE


def _card(kind: str, key: str) -> Callable[[Entry], str]:
    """A key of a card in words."""

    def cell(entry: Entry) -> str:
        value = (entry.hardware if kind == "hardware" else entry.model).get(key)
        match value:
            case None | "" | [] | ():
                return NONE
            case {"value": float() | int() as number, "unit": str() as unit}:
                return scaled(float(number), unit)
            case list() | tuple():
                return ", ".join(str(one) for one in value)
        return str(value)

    return cell


def _count(key: str) -> Callable[[Entry], str]:
    return lambda entry: counted(entry.model.get(key))


def _footprint(entry: Entry) -> str:
    size = entry.model.get("footprint")
    return NONE if size is None else f"{float(size) / 1e6:.4g} MB"


def _name(entry: Entry) -> str:
    return entry.name


_FORMS: dict[TableForm, tuple[str, tuple[_Column, ...], tuple[str, ...]]] = {
    TableForm.DETECTION: (
        "Task performance (table 1.2 of the paper)",
        (
            _Column("Model", _name),
            _Column("AP", _percent(_AP)),
            _Column("AP50", _percent(f"{_AP}[iou=0.50]")),
            _Column("AP75", _percent(f"{_AP}[iou=0.75]")),
            _Column("AP_S", _percent(f"{_AP}[small]")),
            _Column("AP_M", _percent(f"{_AP}[medium]")),
            _Column("AP_L", _percent(f"{_AP}[large]")),
            _Column("Accuracy", _percent("task.accuracy", "accuracy"), optional=True),
        ),
        ("All in percent. The paper heads these columns Acc; they are average precisions as COCO defines them, not accuracies.",),
    ),
    TableForm.RESOURCES: (
        "Task performance and resources (table 1.3 of the paper)",
        (
            _Column("Network", _name),
            _Column("mAP", _percent(_AP)),
            _Column("Accuracy", _percent("task.accuracy", "accuracy"), optional=True),
            _Column("Params", _count("parameters")),
            _Column("MACs", _count("macs")),
            _Column("SynOps", _count("synops"), optional=True),
            _Column("Inference time", _quantity("latency")),
        ),
        ("mAP and accuracy in percent. MACs are the paper's MAdds: one is two operations. B: 10^9.",),
    ),
    TableForm.PEAK: (
        "Operations a second and power (table 1.4 of the paper)",
        (
            _Column("Accelerator", _name),
            _Column("Type", _card("hardware", "type")),
            _Column("Target application", _card("hardware", "application")),
            _Column("Performance", _performance),
        ),
        ("OPS: operations a second. Where no precision is told, an efficiency made of these figures means nothing.",),
    ),
    TableForm.COMBINED: (
        "Hardware and inference (table 1.5 of the paper)",
        (
            _Column("", _name),
            _Column("Technology", _card("hardware", "process_node")),
            _Column("Area", _card("hardware", "die_area")),
            _Column("On-chip memory", _card("hardware", "memory")),
            _Column("Max core frequency", _card("hardware", "largest_clock")),
            _Column("Bit precision of the hardware", _card("hardware", "precisions")),
            _Column("Number of MAC units", _card("hardware", "processing_elements")),
            _Column("Model", lambda entry: entry.net or NONE),
            _Column("Batch size", lambda entry: str(entry.batch or NONE)),
            _Column("Core frequency", lambda entry: scaled(entry.clock_hz, "Hz") if entry.clock_hz else NONE),
            _Column("Bit precision", lambda entry: entry.precision or NONE),
            _Column("Inference/s (CONV only)", _number("inference_rate", scope="CONV only")),
            _Column("Inference/s (overall)", _number("inference_rate", scope="overall")),
            _Column("Inference/J (CONV only)", _number("inferences_per_joule", scope="CONV only")),
            _Column("Inference/J (overall)", _number("inferences_per_joule", scope="overall")),
        ),
        ("Areas in gates and in mm2, batches, sparse and dense nets, CONV layers and all layers stand side by side as told.",),
    ),
    TableForm.MULTI_METRIC: (
        "Accuracy, size, energy and speed (the multi-metric approach of Fra et al., section 1.3.2 of the paper)",
        (
            _Column("", _name),
            _Column("Accuracy", _percent("task.accuracy", "accuracy", "task.balanced_accuracy", _AP)),
            _Column("Parameters", _count("parameters")),
            _Column("Footprint", _footprint),
            _Column("Energy per inference", _quantity(*_ENERGY, "energy_per_inference")),
            _Column("Operations per second", _operations),
        ),
        ("Accuracy in percent. An energy holds for the kind in brackets and no other.",),
    ),
}
