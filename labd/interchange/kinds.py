"""Which files labd takes figures from, each with its reader, and how a file is known without being told."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labd.errors import FileError
from labd.interchange.energyrunner import HEAD, read_session
from labd.interchange.foreign import MOST_BYTES, Added, Foreign
from labd.interchange.mlmark import read_mlmark, read_qutibench
from labd.interchange.neurobench import read_neurobench_result
from labd.interchange.plain import SCHEMA_ID, read_document, read_figures
from labd.interchange.simulators import read_aladdin, read_maestro, read_timeloop
from labd.models.neurobench import KNOWN


class Kind(enum.StrEnum):
    """What a file is."""

    MLPERF_TINY = "mlperf-tiny"
    ENERGYRUNNER = "energyrunner"
    MLMARK = "mlmark"
    QUTIBENCH = "qutibench"
    NEUROBENCH = "neurobench"
    MAESTRO = "maestro"
    TIMELOOP = "timeloop"
    ALADDIN = "aladdin"
    SMAUG = "smaug"
    FIGURES = "figures"
    LABD = "labd"


@dataclass(frozen=True, slots=True)
class Reader:
    """read: from the bytes of files by name. meant: files that it takes, in words."""

    read: Callable[[Mapping[str, bytes], Added], tuple[Foreign, ...]]
    meant: str


READERS: dict[Kind, Reader] = {
    Kind.MLPERF_TINY: Reader(read_session, "results.txt, results.json, log.txt and the system's JSON of an MLPerf Tiny result"),
    Kind.ENERGYRUNNER: Reader(read_session, "NAME-energy.bin with NAME-timestamps.json, and log.txt and results.txt of the same session"),
    Kind.MLMARK: Reader(read_mlmark, "the table that MLMark prints, as text or CSV"),
    Kind.QUTIBENCH: Reader(read_qutibench, "QuTiBench's experimental data as CSV"),
    Kind.NEUROBENCH: Reader(read_neurobench_result, "a result that NeuroBench saved as JSON"),
    Kind.MAESTRO: Reader(read_maestro, "MAESTRO's CSV of layers"),
    Kind.TIMELOOP: Reader(read_timeloop, "timeloop-*.stats.txt, or JSON or CSV of cycles and energy"),
    Kind.ALADDIN: Reader(read_aladdin, "Aladdin's summary"),
    Kind.SMAUG: Reader(read_aladdin, "what SMAUG printed, and gem5's stats.txt"),
    Kind.FIGURES: Reader(read_figures, "CSV with the columns id, value and unit"),
    Kind.LABD: Reader(read_document, "what `labd export RUN --as json` wrote"),
}


def read_foreign(files: Mapping[str, bytes], kind: Kind | None, asked: Added) -> tuple[Foreign, ...]:
    """Every device or net that the files tell, each with at least one figure. kind None: by what is in the first file.

    Raises FileError: nothing given, too large, no kind that labd knows, or what is wrong in a file.
    """
    if not files:
        raise FileError("labd import", "", "there is no file to read")
    for name, data in files.items():
        if len(data) > MOST_BYTES:
            raise FileError(name, "", f"expected at most {MOST_BYTES >> 20} MiB, got {len(data) >> 20} MiB")
    found = READERS[kind or recognised(files)].read(files, asked)
    if not any(one.figures for one in found):
        raise FileError(next(iter(files)), "", "no figure that labd has a name for is in it")
    return tuple(one for one in found if one.figures)


def recognised(files: Mapping[str, bytes]) -> Kind:
    """By a trace among the files, else by the first words of the first that tells. Raises FileError."""
    if any(name.endswith("-energy.bin") for name in files):
        return Kind.ENERGYRUNNER
    for name, data in files.items():
        if (kind := _recognised(name, data)) is not None:
            return kind
    kinds = "; ".join(f"{kind}: {reader.meant}" for kind, reader in READERS.items())
    raise FileError(next(iter(files)), "", f"labd does not know what this is; say it with --as. {kinds}")


def _recognised(name: str, data: bytes) -> Kind | None:
    if name.endswith(".bin") and data[:1] == b"\x01" and len(data) > HEAD.size:
        return Kind.ENERGYRUNNER
    text = data[: 1 << 20].decode("utf-8-sig", "replace")
    head = next((line for line in text.splitlines() if line.strip()), "")
    if text.lstrip()[:1] in {"{", "["}:
        return _of_json(text)
    for kind, words in _WORDS.items():
        if any(word in text for word in words):
            return kind
    columns = {cell.strip() for cell in head.split(",")}
    if {"id", "value", "unit"} <= columns:
        return Kind.FIGURES
    return Kind.TIMELOOP if name.endswith(".csv") and "cycles" in columns and any(one.startswith("energy") for one in columns) else None


_WORDS: dict[Kind, tuple[str, ...]] = {
    Kind.MLPERF_TINY: (
        "Median energy cost is",
        "Median throughput is",
        "Top 1% =",
        "Top-1:",
        "AUC =",
        "AUC:",
        "Power Edition Output",
        "m-session-start",
    ),
    Kind.MAESTRO: ("Activity count-based Energy",),
    Kind.QUTIBENCH: ("NN_Topology,",),
    Kind.TIMELOOP: ("Summary Stats", "Total topology energy"),
    Kind.ALADDIN: ("Aladdin Results",),
    Kind.SMAUG: ("Begin Simulation Statistics", "sim_seconds", "simSeconds"),
    Kind.MLMARK: ("Workload        H/W", "Target,Workload,H/W"),
}


def _of_json(text: str) -> Kind | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None  # cut at the first mebibyte, or wrong: then by its words
    if isinstance(document, dict):
        if document.get("schema") == SCHEMA_ID:
            return Kind.LABD
        words = {"".join(c for c in name.lower() if c.isalpha()) for name in document}
        if words & KNOWN.keys() or "SynapticOperations" in document:
            return Kind.NEUROBENCH
        return Kind.TIMELOOP if "cycles" in document and any(name.startswith("energy") for name in document) else None
    if '"infer"' in text[:4096]:
        return Kind.MLPERF_TINY
    if isinstance(document, list) and document and all(isinstance(one, dict) and "cycles" in one for one in document):
        return Kind.TIMELOOP
    return Kind.LABD if SCHEMA_ID in text[:4096] else None
