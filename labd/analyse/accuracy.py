"""The accuracy run that belongs to a run: the newest of the same board and model in the same store."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from labd.errors import StoreError
from labd.kpi.task import TaskResult
from labd.report.data import TaskFacts
from labd.store.jsonform import from_json

FOLDER = "accuracy"


def accuracies(store: Path, board: str, models: Collection[str], tags: Collection[str] = ()) -> tuple[TaskFacts, ...]:
    """One a model, where there is any that has ended. tags: of the run; what is of a candidate of a search belongs to the runs that are
    tagged so, and to no other. A result that cannot be read, or is of before task KPIs were kept, is passed over."""
    found: dict[str, TaskFacts] = {}
    for path in sorted((store / FOLDER).glob("*/result.json"), key=lambda path: path.parent.name):
        document = _read(path)
        if (of := document.get("of")) and of not in tags:
            continue
        if document.get("board") == board and (model := document.get("model")) in models and document.get("task") is not None:
            try:
                found[str(model)] = _facts(path.parent.name, str(model), document)
            except StoreError:
                continue
    return tuple(found[model] for model in sorted(found))


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _facts(session: str, model: str, document: dict[str, Any]) -> TaskFacts:
    """Raises StoreError where its shape is another."""
    result = from_json(TaskResult, document["task"])
    dataset, sha256 = str(document.get("dataset", "")), str(document.get("dataset_sha256", ""))
    roc = {str(one.label): tuple(zip(one.false_positive_rate, one.true_positive_rate, strict=True)) for one in result.roc}
    return TaskFacts(model, session, dataset, sha256, result.samples, result.records, result.confusion, roc)
