"""Result lines of MLPerf Tiny, read and written.

Two runners print them: EEMBC's EnergyRunner (`00098.560 ulp-ml: Median energy cost is 4635.681 uJ/inf.`; mlcommons/tiny_results_v0.7,
closed/STMicroelectronics/results/NUCLEO_L4R5ZI/kws) and MLCommons' own (`Median energy cost is 1430.6681 uJ/inf.`,
`Top 1% = 90.2`; mlcommons/tiny_results_v1.3, closed/STMicroelectronics/results/NUCLEO_L4R5ZI-P). The submission checker of mlcommons/tiny
looks for the lines of the medians and of the accuracy.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labd.errors import FileError
from labd.interchange.foreign import ForeignFigure, count, number
from labd.interchange.windows import ENERGY, RATE, WINDOWS, judged, median_with_u, t_factor

TOLERANCE = 1e-3  # between a median and that of the windows printed above it: both are rounded
_STAMP = re.compile(r"^\s*(?:(?:[\d.]+\s+[A-Za-z][\w-]*|labd):)?\s*")  # who prints a line, and when
_WORDS = {
    "energy": re.compile(r"Median energy cost is\s+(\S+) uJ/inf\."),
    "throughput": re.compile(r"Median throughput is\s+(\S+) inf\./sec\."),
    "top1": re.compile(r"Top[- ]1(?:%)?\s*[:=]\s*(\S+?)\s*%?$"),
    "auc": re.compile(r"AUC\s*[:=]\s*(\S+)$"),
    "power": re.compile(r"Power\s*:\s*(\S+) (uW|mW)\.?$"),
    "window_energy": re.compile(r"Energy/Inf\.?\s*:\s*(\S+) uJ/inf\.?$"),
    "window_rate": re.compile(r"Throughput\s*:\s*(\S+) inf\./sec\.$"),
    "length": re.compile(r"(?:Elapsed time|Runtime)\s*:\s*(\S+?)(?: sec\.)?(?:\s+<<<<.*)?$"),
    "inferences": re.compile(r"(?:# )?Inferences\s*:\s*(\S+)$"),
    "duty_cycle": re.compile(r"Average duty cycle:\s*(\S+)$"),
    "period": re.compile(r"Average period:\s*(\S+) s$"),
    "false": re.compile(r"Accuracy:\s*(\S+) True positives, (\S+) False negatives, (\S+) False positives$"),
}
_POWER = {"uW": 1e-6, "mW": 1e-3}


@dataclass(frozen=True, slots=True)
class Line:
    """One line that tells something. what: a key of `_WORDS`. values: numbers as printed, in the units of the line."""

    what: str
    values: tuple[float, ...]
    number: int
    unit: str = ""

    @property
    def value(self) -> float:
        return self.values[0]


def lines_of(text: str, *, file: str) -> list[Line]:
    """Every line that tells a figure, in order; others are passed over. Raises FileError for a number that is none."""
    return list(_lines(text, file))


def _lines(text: str, file: str) -> Iterator[Line]:
    for k, line in enumerate(text.splitlines(), start=1):
        said = _STAMP.sub("", line, count=1).rstrip()
        for what, pattern in _WORDS.items():
            if found := pattern.match(said):
                unit = found[2] if what == "power" else ""
                texts = found.groups() if what == "false" else (found[1],)
                key, meant = f"line {k}", f"a number where {said[:40]!r} has it"
                values = [
                    float(count(t, file=file, key=key)) if what == "inferences" else number(t, file=file, key=key, what=meant)
                    for t in texts
                ]
                yield Line(what, tuple(values), k, unit)
                break


def figures(text: str, *, file: str, model: str, source: str, conditions: str = "") -> list[ForeignFigure]:
    """What result lines say. model: `kws01` and so on, empty where nobody tells: of the anomaly detector (`ad...`) Top 1 is no accuracy.
    Raises FileError: a number that is none, a share above its whole, a median that is not that of its windows, no line at all."""
    lines = lines_of(text, file=file)
    of = {what: [line for line in lines if line.what == what] for what in _WORDS}
    if not lines:
        meant = "Median energy cost is 1234.567 uJ/inf."
        raise FileError(file, "", f"expected result lines of MLPerf Tiny such as {meant!r}, got none")
    streaming = bool(of["duty_cycle"])
    lengths = [line.value for line in of["length"]]
    said = "; ".join(filter(None, (conditions, judged(lengths) if lengths and not streaming else "")))
    found: list[ForeignFigure] = []

    def tell(kpi: str, value: float, unit: str, **more: float | None) -> None:
        found.append(ForeignFigure(kpi, value, unit, source, model=model, batch=1, conditions=said, **more))  # type: ignore[arg-type]

    if of["energy"] and not streaming:
        value, windows = of["energy"][-1].value, of["window_energy"]
        tell(ENERGY, value * 1e-6, "J", **_spread(of["energy"][-1], windows, 1e-6, file))
    if streaming and of["power"]:
        last = of["power"][-1]
        tell("power.mean", last.value * _POWER[last.unit], "W")
    if of["throughput"]:
        tell(RATE, of["throughput"][-1].value, "Hz", **_spread(of["throughput"][-1], of["window_rate"], 1.0, file))
    if of["duty_cycle"]:
        tell("duty_cycle", _share(of["duty_cycle"][-1], 1.0, file), "1")
    if of["period"]:
        last = of["period"][-1]
        tell("inference_rate", 1 / number(str(last.value), file=file, key=f"line {last.number}", least=1e-9), "Hz")
    if of["top1"] and not model.startswith("ad"):
        tell("task.accuracy", _share(of["top1"][-1], 100.0, file), "1")
    if of["auc"]:
        tell("task.auc", _share(of["auc"][-1], 1.0, file), "1")
    if not found:
        raise FileError(
            file,
            f"line {lines[-1].number}",
            "these lines tell windows and no result: there is no `Median ...`, `Top 1% = ` or `AUC = ` line",
        )
    return found


def detections(text: str, *, file: str) -> str:
    """What a streaming wake-word result says of its detections, in words; empty for any other."""
    told = [line.values for line in lines_of(text, file=file) if line.what == "false"]
    return "{:g} true positives, {:g} false negatives, {:g} false positives".format(*told[-1]) if told else ""


def _share(line: Line, whole: float, file: str) -> float:
    if line.value > whole:
        raise FileError(file, f"line {line.number}", f"expected at most {whole:g}, got {line.value:g}")
    return line.value / whole


def _spread(line: Line, windows: Iterable[Line], factor: float, file: str) -> dict[str, float | None]:
    """Standard uncertainty and interval by the scatter of the printed windows. Raises FileError where they contradict their median."""
    values = [window.value for window in windows]
    if not values:
        return {}
    median = statistics.median(values)
    if abs(median - line.value) > TOLERANCE * max(abs(median), abs(line.value)):
        text = f"expected {median:g}, the median of the {len(values)} windows printed, got {line.value:g}"
        raise FileError(file, f"line {line.number}", text)
    u = median_with_u(values)[1]
    if u is None:
        return {}
    wide = t_factor(len(values) - 1) * u
    return {"u": u * factor, "least": (line.value - wide) * factor, "most": (line.value + wide) * factor}


def written(
    *, energy_j: float | None, rate_hz: float | None, accuracy: float | None, auc: float | None, windows: int, shortest_s: float | None
) -> str:
    """Result lines as MLCommons' runner prints them and its submission checker finds them; what breaks the rule of an energy run is told
    as that runner tells it, in lines of their own. None: left out."""
    rule = "-" * 57
    lines: list[str] = []
    if energy_j is not None:
        lines += ["Power Edition Output", rule, f"Median energy cost is {energy_j * 1e6:5.4f} uJ/inf.", rule]
        if shortest_s is not None and shortest_s < 10.0:
            lines.append("ERROR: Not valid for submission.  All inference times must be at least 10 seconds.")
        if windows != WINDOWS:
            lines.append(f"ERROR: Not valid for submission.  Energy mode must include exactly {WINDOWS} measurements.")
    if rate_hz is not None:
        lines += [f"labd: {text}" for text in (rule, f"Median throughput is {rate_hz:>10.3f} inf./sec.", rule)]
    if accuracy is not None:
        lines.append(f"labd: Top 1% = {accuracy * 100:2.1f}")
    if auc is not None:
        lines.append(f"labd: AUC = {auc:.3f}")
    return "".join(f"{line}\n" for line in lines)
