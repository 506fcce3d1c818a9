"""Whether a repeated analysis gives the stored figures: bit for bit on a like machine, else within 1e-6 of the stated u. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from labd.records import BudgetLine, KpiRecord

TOLERANCE = 1e-6  # of the stated standard uncertainty
WITHOUT_U = 1e-9  # of the figure itself, where no uncertainty is stated
MACHINE = ("machine", "blas", "simd")
LOCKED = ("labd", "numpy", "uncertainties", "python")  # what computes; the others only fetch and store
NUMBERS = ("value", "u", "low", "high")


@dataclass(frozen=True, slots=True)
class Rule:
    """exact: bit for bit. why: what differs, empty when nothing does."""

    exact: bool
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.exact:
            return "same machine type and versions: bit for bit"
        return f"{', '.join(self.why)}: within {TOLERANCE:g} of the stated u"


def rule(stored: tuple[Mapping[str, Any], Mapping[str, str]], here: tuple[Mapping[str, Any], Mapping[str, str]]) -> Rule:
    """Which rule holds between two (environment, versions)."""
    machines = [f"another {name}" for name in MACHINE if stored[0].get(name) != here[0].get(name)]
    versions = [
        f"{name} {here[1].get(name)} (was {stored[1].get(name, 'unknown')})" for name in LOCKED if stored[1].get(name) != here[1].get(name)
    ]
    why = (*machines, *versions)
    return Rule(not why, why)


def differences(stored: Sequence[KpiRecord], again: Sequence[KpiRecord], applies: Rule) -> list[str]:
    """One line for each figure that does not agree by the rule; empty when all do."""
    old, new = _numbered(stored), _numbered(again)
    gone = [f"{_name(key)}: stored, not found again" for key in old if key not in new]
    added = [f"{_name(key)}: found now, not stored" for key in new if key not in old]
    found = [f"{_name(key)}: {what}" for key in old if key in new if (what := difference(old[key], new[key], applies))]
    return gone + added + found


def difference(stored: KpiRecord, again: KpiRecord, applies: Rule) -> str:
    """What does not agree, or nothing."""
    for field in fields(KpiRecord):
        old, new = getattr(stored, field.name), getattr(again, field.name)
        if applies.exact or field.name not in (*NUMBERS, "budget"):
            same = old == new
        elif field.name == "budget":
            same = _same_budget(old, new, stored)
        else:
            same = near(old, new, stored)
        if not same:
            return f"{field.name} was {_shown(old)}, is {_shown(new)}"
    return ""


def near(old: float | None, new: float | None, stored: KpiRecord) -> bool:
    """Within the tolerance that a stored record allows for its figures."""
    if old is None or new is None:
        return old is new
    allowed = TOLERANCE * stored.u if stored.u else WITHOUT_U * abs(old)
    return old == new or abs(old - new) <= allowed


def _same_budget(old: tuple[BudgetLine, ...], new: tuple[BudgetLine, ...], stored: KpiRecord) -> bool:
    """Term by term by name: terms of the same size may change places."""
    a, b = ({line.name: line for line in budget} for budget in (old, new))
    if a.keys() != b.keys():
        return False
    return all(
        near(a[name].u, b[name].u, stored) and (a[name].kind, a[name].distribution) == (b[name].kind, b[name].distribution) for name in a
    )


def _numbered(records: Sequence[KpiRecord]) -> dict[tuple[str, str, int], KpiRecord]:
    """By id, place and occurrence, since repeats share id and place."""
    found: dict[tuple[str, str, int], KpiRecord] = {}
    for record in records:
        count = sum(1 for key in found if key[:2] == (record.id, record.at))
        found[record.id, record.at, count] = record
    return found


def _name(key: tuple[str, str, int]) -> str:
    return f"{key[0]} at {key[1]}" + (f", occurrence {key[2] + 1}" if key[2] else "")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, float | int | None) else str(value)[:80]
