"""A model file by its ending: which reader it has, and errors that name the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labd.errors import FileError, NotFound
from labd.kpi.facts import Fact, ModelFacts
from labd.models.graph import ModelFigure, ModelGraph, figures
from labd.models.neurobench import read_neurobench
from labd.models.nir_file import read_nir
from labd.models.onnx_file import read_onnx
from labd.models.tflite_file import read_tflite
from labd.records import Provenance

ENDINGS = ".onnx, .tflite, .nir, .h5 or .json (NeuroBench)"
SPIKING = {"model.macs": "model.dense_synops"}  # of a NIR graph, one time step
AGREE = 1e-9  # a typed figure is the computed one, or a rounding of it that says so


def model_figures(path: Path) -> tuple[ModelFigure, ...]:
    """Raises NotFound without the file, FileError for one that cannot be read, and where the package that reads its format is missing."""
    ending = path.suffix.lower()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        raise FileError(str(path), "", f"cannot be read: {error.strerror}") from error
    try:
        if ending == ".json":
            return read_neurobench(data)
        graph = _graph(path, data, ending)
    except ValueError as error:
        raise FileError(str(path), "", str(error)) from error
    except ImportError as error:
        raise FileError(str(path), "", f"reading {ending} needs {error.name}: pip install 'labd[models]'") from error
    spiking = SPIKING if graph.format == "nir" else {}
    return tuple(replace(one, id=spiking.get(one.id, one.id)) for one in figures(graph))


def _graph(path: Path, data: bytes, ending: str) -> ModelGraph:
    if ending == ".onnx":
        return read_onnx(data)
    if ending == ".tflite":
        return read_tflite(data)
    if ending in (".nir", ".h5"):
        return read_nir(path)
    raise ValueError(f"{ending or 'no ending'} is no model file that labd reads: {ENDINGS}")


def check_typed(card: str, typed: Mapping[str, float], found: Sequence[ModelFigure], *, file: str) -> None:
    """Figures typed on a model card against those of the file it names. typed: by id, with or without `model.`. Raises FileError."""
    computed = {one.id.removeprefix("model."): one.value for one in found}
    wrong = []
    for key, value in typed.items():
        told = computed.get(key.removeprefix("model."))
        if told is not None and abs(value - told) > AGREE * max(abs(value), abs(told)):
            wrong.append(f"{card}: {key}: {value:g} is typed, {file} has {told:.12g}")
    if wrong:
        first = wrong[0].removeprefix(f"{card}: ").partition(": ")
        raise FileError(card, first[0], first[2], tuple(wrong))


def facts_of(name: str, found: Sequence[ModelFigure], *, source: str) -> ModelFacts:
    """Counts of a file as the combined KPIs take them."""
    known = {one.id: Fact(one.value, Provenance.COMPUTED, source) for one in found if one.value is not None}
    return ModelFacts(name, macs=known.get("model.macs"), parameters=known.get("model.parameters"))
