"""Sessions of MLPerf Tiny's runners: EnergyRunner's trace with its timestamps and log, MLCommons' results.json, result lines, system file.

The trace, `trace1-energy.bin`: one byte of version, the sample rate in Hz as little-endian 32-bit float, then one such float a sample, its
energy in joules; its timestamps, `trace1-timestamps.json`: a JSON array of seconds from the trace's start, one a falling edge (README of
petertorelli/joulescope-win32, which writes them for EEMBC's framework; mlcommons/tiny_results_v1.1 has such pairs). MLCommons'
results.json: a list with `power.samples` in joules of 1 ms each and `power.timestamps` of (number, sample), of which the last two are the
window (mlcommons/tiny, benchmark/runner/main.py).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from labd.errors import FileError
from labd.interchange import mlperf_lines
from labd.interchange.foreign import Added, Foreign, ForeignFigure, count, number, short, text_of
from labd.interchange.windows import ENERGY, EnergyTrace, EnergyWindow, derive, figures, paired, rate_figure
from labd.records import Provenance

HEAD = struct.Struct("<Bf")
VERSIONS = (1,)
RUNNER_HZ = 1000.0  # of the samples in MLCommons' results.json, which does not tell it
FASTEST_HZ = 4e6
SYSTEM = {"SoC Name": "chip", "Processor(s) Name": "type", "Inference Framework": "notes"}


@dataclass(frozen=True, slots=True)
class Log:
    """What a session's log says. windows: number of `infer` commands, None without any."""

    model: str = ""
    inferences: int | None = None
    windows: int | None = None
    voltage_mv: int | None = None
    version: str = ""

    @property
    def conditions(self) -> str:
        runner = f"EnergyRunner {self.version}" if self.version else ""
        return "; ".join(filter(None, (f"supply set to {self.voltage_mv / 1000:g} V" if self.voltage_mv else "", runner)))


def read_session(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """One device out of the files of a session, by what is in each. Raises FileError."""
    text = {name: text_of(name, data) for name, data in files.items() if not name.endswith(".bin")}
    traces = [name for name in files if name.endswith(".bin")]
    parsed = {name: json_of(name, said) for name, said in text.items() if name.endswith(".json")}
    logs = [name for name, said in text.items() if name not in parsed and ("m-session-start" in said or "m-model-[" in said)]
    log = log_of(text[logs[0]], file=logs[0]) if logs else Log()
    model = asked.model or log.model
    found: list[ForeignFigure] = []
    facts: dict[str, str] = {}
    notes: list[str] = []
    for name, said in text.items():
        if name not in parsed and name not in logs:
            found += mlperf_lines.figures(said, file=name, model=model, source=name, conditions=log.conditions)
            notes.append(mlperf_lines.detections(said, file=name))
    for name, document in parsed.items():
        if isinstance(document, dict) and "Board Name" in document:
            facts |= system_of(document)
        elif isinstance(document, list) and document and all(isinstance(one, dict) for one in document):
            found += runner_figures(document, file=name, model=model, asked=asked)
    for name in traces:
        stamps = _stamps_of(name, parsed)
        inferences = asked.inferences or log.inferences
        if inferences is None:
            raise FileError(
                name, "inferences", "no log.txt tells how many inferences a window has; say it with --inferences, such as --inferences 120"
            )
        windows = trace_windows(trace_of(files[name], file=name), parsed[stamps], file=stamps, inferences=inferences, windows=log.windows)
        found += figures(windows, source=f"{name} with {stamps}", model=model, meter_limit=asked.meter_limit, conditions=log.conditions)
    if not found:
        raise FileError(
            next(iter(files), "labd import"), "", "no figure is in it: expected result lines, results.json, or a trace with its timestamps"
        )
    name = asked.name or facts.pop("name", "") or next(iter(files)).rpartition("/")[0].rpartition("/")[2] or "MLPerf Tiny"
    told = "; ".join(filter(None, (facts.pop("notes", ""), *notes, disagree(found))))
    return (Foreign(name, tuple(found), source=facts.pop("source", "MLPerf Tiny result"), notes=told, facts=facts),)


def json_of(file: str, text: str) -> Any:
    """Raises FileError with line and column."""
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except json.JSONDecodeError as error:
        raise FileError(file, f"line {error.lineno}", f"is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise FileError(file, "", f"is not JSON that can be read: {error}") from error


def log_of(text: str, *, file: str) -> Log:
    """Raises FileError where one number of inferences is asked for after another, which no rule allows."""
    voltage = re.findall(r"m-voltage-mv\[(\d{1,6})\]", text)
    asked = [
        (int(n), k) for k, line in enumerate(text.splitlines(), start=1) for n in re.findall(r'Command "(?:io )?dut infer (\d{1,9})', line)
    ]
    different = [(n, k) for n, k in asked if n != asked[0][0]]
    if different:
        raise FileError(file, f"line {different[0][1]}", f"expected windows of {asked[0][0]} inferences each, got one of {different[0][0]}")
    model, version = re.search(r"m-model-\[([\w-]+)\]", text), re.search(r"m-version\[([\w.]+)\]", text)
    return Log(
        model[1] if model else "",
        asked[0][0] or None if asked else None,
        len(asked) or None,
        int(voltage[-1]) if voltage else None,
        version[1] if version else "",
    )


def trace_of(data: bytes, *, file: str) -> EnergyTrace:
    """Raises FileError."""
    if len(data) < HEAD.size + 4:
        raise FileError(file, "", f"expected a version byte, a sample rate and samples of 4 bytes, got {len(data)} bytes")
    version, rate = HEAD.unpack_from(data)
    if version not in VERSIONS:
        raise FileError(file, "byte 0", f"expected version {VERSIONS[0]} of EnergyRunner's trace, got {version}")
    if not (math.isfinite(rate) and 1 <= rate <= FASTEST_HZ):
        raise FileError(
            file, "bytes 1 to 4", f"expected a sample rate from 1 to {FASTEST_HZ:g} Hz as a little-endian 32-bit float, got {rate:g}"
        )
    if (len(data) - HEAD.size) % 4:
        raise FileError(file, "", f"expected whole samples of 4 bytes after the head, got {len(data) - HEAD.size} bytes: the file is cut")
    samples = np.frombuffer(data, "<f4", offset=HEAD.size).astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(samples))
    if len(wrong):
        raise FileError(file, f"sample {wrong[0]}", f"expected joules, got {samples[wrong[0]]}")
    return EnergyTrace(samples, float(rate))


def trace_windows(trace: EnergyTrace, stamps: Any, *, file: str, inferences: int, windows: int | None) -> tuple[EnergyWindow, ...]:
    """Raises FileError: no such array, times that do not ascend or lie past the trace, too few of them."""
    if not isinstance(stamps, list):
        raise FileError(file, "", f"expected an array of seconds such as [0.017, 2.727, 13.435], got {short(stamps)}")
    times = [number(one, file=file, key=f"[{k}]", what="seconds") for k, one in enumerate(stamps)]
    for k, (before, after) in enumerate(pairwise(times), start=1):
        if after <= before:
            raise FileError(file, f"[{k}]", f"expected more than {before:g} s, the timestamp before, got {after:g}")
    if times and times[-1] > trace.length_s:
        raise FileError(file, f"[{len(times) - 1}]", f"expected at most {trace.length_s:g} s, which the trace lasts, got {times[-1]:g}")
    step = min((_step(one) for one in stamps), default=1.0)  # JSON drops a last zero: 51.01 among thousandths is 51.010
    return derive(trace, paired(times, windows=windows, file=file), step_s=step, inferences=inferences)


def _step(value: float) -> float:
    """Of the last digit of a number as JSON wrote it, at least a microsecond."""
    digits = len(repr(float(value)).partition(".")[2].partition("e")[0])
    return max(10.0**-digits, 1e-6)


def _stamps_of(trace: str, parsed: Mapping[str, Any]) -> str:
    """The timestamps that belong to a trace: by name, else the only array of numbers. Raises FileError."""
    named = trace.removesuffix("-energy.bin") + "-timestamps.json"
    if named in parsed:
        return named
    arrays = [
        name for name, document in parsed.items() if isinstance(document, list) and not any(isinstance(one, dict) for one in document)
    ]
    if len(arrays) != 1:
        raise FileError(trace, "timestamps", f"expected {named} beside it, got {', '.join(parsed) or 'no JSON file'}; give both files")
    return arrays[0]


def runner_figures(document: list[dict[str, Any]], *, file: str, model: str, asked: Added) -> list[ForeignFigure]:
    """Of MLCommons' results.json: windows of its energy samples, or the rates that it computed. Raises FileError."""
    windows, rates = [], []
    for k, one in enumerate(document):
        infer, power, key = one.get("infer"), one.get("power"), f"[{k}].infer"
        if not isinstance(infer, dict):
            raise FileError(file, key, f"expected an object of results and iterations, got {short(infer)}")
        if isinstance(power, dict):
            windows.append(
                _runner_window(power, count(infer.get("iterations"), file=file, key=f"{key}.iterations"), file=file, at=f"[{k}].power")
            )
        elif "throughput" in infer:
            rates.append(number(infer["throughput"], file=file, key=f"{key}.throughput"))
    if windows:
        return figures(
            windows, source=file, model=model, meter_limit=asked.meter_limit, conditions="samples of 1 ms, as that runner takes them"
        )
    if not rates:
        return []  # predictions alone
    return [rate_figure(rates, source=file, model=model, conditions=f"median of {len(rates)} windows")]


def _runner_window(power: Mapping[str, Any], inferences: int, *, file: str, at: str) -> EnergyWindow:
    samples, stamps = power.get("samples"), power.get("timestamps")
    if not isinstance(samples, list) or not samples:
        raise FileError(file, f"{at}.samples", f"expected an array of joules, got {short(samples)}")
    energy = np.array([number(one, file=file, key=f"{at}.samples[{k}]", least=None, what="joules") for k, one in enumerate(samples)])
    if not isinstance(stamps, list) or len(stamps) < 2:
        raise FileError(file, f"{at}.timestamps", f"expected two or more of [number, sample], got {short(stamps)}")
    places = []
    for k, stamp in enumerate(stamps[-2:], start=len(stamps) - 2):
        key = f"{at}.timestamps[{k}]"
        if not isinstance(stamp, list) or len(stamp) != 2:
            raise FileError(file, key, f"expected [number, sample], got {short(stamp)}")
        places.append(number(stamp[1], file=file, key=key, what="the place of a sample"))
    start, end = places
    if not start < end <= len(energy):
        raise FileError(file, f"{at}.timestamps", f"expected a window within its {len(energy)} samples, got {start:g} to {end:g}")
    trace = EnergyTrace(energy, RUNNER_HZ)
    (window,) = derive(trace, [(start / RUNNER_HZ, end / RUNNER_HZ)], step_s=1 / RUNNER_HZ, inferences=inferences)
    return window


def system_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Of a submission's system description (`systems/NAME.json`): name, source and keys of a hardware card."""
    said = {key: value for key, value in document.items() if isinstance(value, str) and value.strip()}
    facts = {ours: said[theirs] for theirs, ours in SYSTEM.items() if theirs in said}
    memory = [
        f"{said[key]} {said.get(kind, '')}".strip()
        for key, kind in (
            ("SoC Memory capacity (not including processor or accelerator)", "SoC Memory type"),
            ("SoC storage capacity", "SoC storage type"),
        )
        if key in said
    ]
    facts |= {"memory": ", ".join(memory)} if memory else {}
    submitter = said.get("Submitter", "")
    return facts | {
        "name": said.get("Board Name", ""),
        "source": f"MLPerf Tiny result of {submitter}" if submitter else "MLPerf Tiny result",
    }


def disagree(found: list[ForeignFigure]) -> str:
    """Whether the median that was published and the one computed from the trace lie outside each other's interval, in words."""
    told = [one for one in found if one.id == ENERGY and one.provenance is Provenance.DECLARED]
    computed = [one for one in found if one.id == ENERGY and one.provenance is Provenance.COMPUTED]
    if not told or not computed or told[0].value is None or computed[0].least is None or computed[0].most is None:
        return ""
    if computed[0].least <= told[0].value <= computed[0].most:
        return "the published median lies in the interval of the one computed from the trace"
    return (
        f"the published median, {told[0].value:g} J, lies outside of {computed[0].least:g} to {computed[0].most:g} J, which the trace gives"
    )
