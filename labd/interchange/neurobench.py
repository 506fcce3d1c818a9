"""What NeuroBench saved of a net: its figures as a model card's (flat JSON; NeuroBench 2.3, neurobench/benchmarks/benchmark.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labd.errors import FileError
from labd.interchange.energyrunner import json_of
from labd.interchange.foreign import Added, Foreign, ForeignFigure, number, text_of
from labd.models.neurobench import read_neurobench

TASK = {
    "ClassificationAccuracy": "task.accuracy",
    "classification_accuracy": "task.accuracy",
    "COCO_mAP": "task.mean_average_precision",
    "CocoMap": "task.mean_average_precision",
}


def read_neurobench_result(files: Mapping[str, bytes], asked: Added) -> tuple[Foreign, ...]:
    """One model card a file; what NeuroBench names and labd does not is left out. Raises FileError."""
    return tuple(_one(file, data, asked) for file, data in files.items())


def _one(file: str, data: bytes, asked: Added) -> Foreign:
    document = json_of(file, text_of(file, data))
    try:
        known = read_neurobench(data)
    except ValueError as error:
        raise FileError(file, "", str(error)) from error
    stem = file.rpartition("/")[2].removesuffix(".json")
    model = asked.model or stem
    found = [ForeignFigure(one.id, one.value, one.unit, file, model=model, conditions=one.definition) for one in known]
    found += [ForeignFigure(kpi, value, "1", file, model=model) for kpi, value in _task(document, file)]
    return Foreign(asked.name or stem, tuple(found), card="model", source="NeuroBench")


def _task(document: Mapping[str, Any], file: str) -> Iterator[tuple[str, float]]:
    for name, kpi in TASK.items():
        if name in document:
            value = number(document[name], file=file, key=name)
            if value > 1:
                raise FileError(file, name, f"expected a share from 0 to 1, got {value:g}")
            yield kpi, value
