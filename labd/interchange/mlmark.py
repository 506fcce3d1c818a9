"""Result tables of EEMBC MLMark and of QuTiBench."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labd.errors import FileError
from labd.interchange.foreign import Added, Foreign, ForeignFigure, count, number, text_of
from labd.interchange.table import Row, rows_of

MLMARK = ("Target", "Workload", "H/W", "Prec", "Batch", "Conc.", "Metric", "Score", "Units")
ACCURACY = {"Top1": ("task.accuracy", 100.0, "1"), "mAP": ("task.mean_average_precision", 100.0, "1")}
QUTIBENCH = ("NN_Topology", "HWType", "Datatype", "batch/thread/stream")
# id, factor to SI, unit and scope of QuTiBench's columns (Blott et al., arXiv 2009.05257; lat in ms, power in W, top1 in percent)
COLUMNS = {
    "lat-sys": ("latency", 1e-3, "s", "system"),
    "lat-comp": ("latency", 1e-3, "s", "compute"),
    "fps-system": ("inference_rate.back_to_back", 1.0, "Hz", "system"),
    "fps-comp": ("inference_rate.back_to_back", 1.0, "Hz", "compute"),
    "top1": ("task.accuracy", 1e-2, "1", ""),
    "top1 [%]": ("task.accuracy", 1e-2, "1", ""),
    "Idle_Pwr_W": ("power.idle", 1.0, "W", ""),
    "Full_Pwr_W": ("power.mean", 1.0, "W", ""),
}


def read_mlmark(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """The table that MLMark prints, as text with or without `-INFO-` before each line, or as CSV (eembc/mlmark, harness/eelib/report.py).
    One card a target and hardware. Raises FileError."""
    by_name: dict[str, list[ForeignFigure]] = {}
    for file, data in files.items():
        text = text_of(file, data)
        cpu = next((line.partition(":")[2].strip() for line in text.splitlines() if "CPU Name" in line), "")
        for line, cells in _mlmark_rows(text, file):
            target, workload, hardware, precision, batch, concurrency, metric, score, units = cells
            key = f"line {line}, column"
            figure = _mlmark_figure(metric, units, number(score, file=file, key=f"{key} 'Score'"), file=file, key=f"{key} 'Metric'")
            if figure is None:
                continue
            kpi, value, unit = figure
            many = count(concurrency, file=file, key=f"{key} 'Conc.'")
            name = asked.name or (f"{cpu}, {target} on {hardware}" if cpu else f"{target} on {hardware}")
            by_name.setdefault(name, []).append(
                ForeignFigure(
                    kpi,
                    value,
                    unit,
                    f"{file}, line {line}",
                    model=asked.model or workload,
                    batch=count(batch, file=file, key=f"{key} 'Batch'"),
                    precision=precision,
                    conditions=f"target {target}, {many} at once" if many > 1 else f"target {target}",
                )
            )
    return tuple(Foreign(name, tuple(found), source="EEMBC MLMark") for name, found in by_name.items())


def _mlmark_rows(text: str, file: str) -> Iterable[tuple[int, list[str]]]:
    """Number and cells of each line of the table. Raises FileError."""
    found, inside = 0, False
    for k, line in enumerate(text.splitlines(), start=1):
        said = line.removeprefix("-INFO-").strip()
        cells = [cell.strip() for cell in said.split(",")] if said.count(",") >= len(MLMARK) - 1 else said.split()
        if tuple(cells) == MLMARK:
            inside = True
        elif inside and said.startswith(("Total runtime", "Done")):
            inside = False
        elif inside and said and not set(said) <= {"-"}:
            if len(cells) != len(MLMARK):
                raise FileError(file, f"line {k}", f"expected {len(MLMARK)} cells ({', '.join(MLMARK)}), got {len(cells)}")
            found += 1
            yield k, cells
    if not found:
        raise FileError(file, "", f"expected the table of MLMark under the header {' '.join(MLMARK)}, got none")


def _mlmark_figure(metric: str, units: str, score: float, *, file: str, key: str) -> tuple[str, float, str] | None:
    """Latency is MLMark's 95th percentile, by the host's clock; None for a figure that labd has no name for (top five)."""
    match metric:
        case "throughput":
            return "inference_rate.back_to_back", score, "Hz"
        case "latency":
            if units != "ms":
                raise FileError(file, key.replace("Metric", "Units"), f"expected ms for a latency, got {units!r}")
            return "latency.host.p95", score * 1e-3, "s"
        case "accuracy":
            kpi, whole, unit = ACCURACY.get(units, ("", 1.0, ""))
            if kpi and score > whole:
                raise FileError(file, key.replace("Metric", "Score"), f"expected at most {whole:g} %, got {score:g}")
            return (kpi, score / whole, unit) if kpi else None
    raise FileError(file, key, f"expected one of throughput, latency, accuracy, got {metric!r}")


def read_qutibench(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """QuTiBench's experimental data as CSV (RCL-lab/QutibenchWeb, _notebooks/data/cleaned_csv). One card a hardware platform. Raises
    FileError."""
    by_name: dict[str, list[ForeignFigure]] = {}
    for file, data in files.items():
        for row in rows_of(text_of(file, data), file=file, columns=QUTIBENCH):
            name = row.text("HWType")
            if not name:
                raise FileError(file, row.key("HWType"), "expected the name of a platform, got nothing")
            by_name.setdefault(asked.name or name, []).extend(_qutibench_figures(row, asked))
    return tuple(Foreign(name, tuple(found), source="QuTiBench") for name, found in by_name.items() if found)


def _qutibench_figures(row: Row, asked: Added) -> Iterable[ForeignFigure]:
    batch = row.number("batch/thread/stream")
    mode, pruning = row.text("Op mode"), row.number("PruningFactor")
    parts = (
        f"operating mode {mode}" if mode and mode != "nan" else "",
        f"{pruning:g} % of the weights kept" if pruning not in (None, 100.0) else "",
    )
    for column, (kpi, factor, unit, scope) in COLUMNS.items():
        value = row.number(column)
        if value is None:
            continue
        if unit == "1" and value > 100:
            raise FileError(row.file, row.key(column), f"expected at most 100 %, got {value:g}")
        yield ForeignFigure(
            kpi,
            value * factor,
            unit,
            f"{row.file}, line {row.line}",
            scope=scope,
            model=asked.model or row.text("NN_Topology"),
            batch=count(batch, file=row.file, key=row.key("batch/thread/stream")) if batch is not None else None,
            precision=row.text("Datatype"),
            conditions=", ".join(filter(None, parts)),
        )
