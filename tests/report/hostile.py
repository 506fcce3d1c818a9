"""Puts a hostile text into every text of a report, keeping what refers to each other in step."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

from labd.records import BudgetLine
from labd.report.data import RunReport


def poisoned(report: RunReport, poison: str) -> RunReport:
    """Every string that is no enumeration ends in `poison`; equal strings stay equal."""
    changed = replaced(report, lambda text: text + poison)
    assert isinstance(changed, RunReport)
    return changed


def replaced(thing: Any, change: Callable[[str], str]) -> Any:
    if isinstance(thing, enum.Enum):
        return thing
    if isinstance(thing, str):
        return change(thing)
    if isinstance(thing, BudgetLine):
        return dataclasses.replace(thing, name=change(thing.name), distribution=change(thing.distribution))
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return type(thing)(**{f.name: replaced(getattr(thing, f.name), change) for f in dataclasses.fields(thing)})
    if isinstance(thing, Mapping):
        return {change(k): replaced(v, change) for k, v in thing.items()}
    return tuple(replaced(v, change) for v in thing) if isinstance(thing, tuple) else thing
