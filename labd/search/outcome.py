"""What came of one candidate."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labd.records import KpiRecord, Mode


class State(enum.StrEnum):
    MEASURED = "measured"
    STOPPED = "stopped"  # early: it cannot meet a target
    FAILED = "failed"  # its builder, its board or its run did


@dataclass(frozen=True, slots=True)
class Settings:
    """A candidate's: parameters of the builder; clock_hz, supply_v None: as the board file has it."""

    parameters: Mapping[str, Any]
    mode: Mode
    clock_hz: float | None = None
    supply_v: float | None = None

    @property
    def key(self) -> str:
        """The same for the same settings."""
        parts = [f"{name}={value}" for name, value in sorted(self.parameters.items())]
        parts += [str(self.mode)]
        parts += [] if self.clock_hz is None else [f"clock={self.clock_hz:.9g}"]
        parts += [] if self.supply_v is None else [f"v={self.supply_v:.9g}"]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Outcome:
    """figures: by objective, and as far as it came. why: it was stopped or failed. run_id: of the stored run; accuracy_id: of the accuracy
    run; both empty where it came to none. samples: sent through the board. repeat: 0; 1 of the best candidate, measured once more."""

    platform: str
    number: int
    settings: Settings
    state: State
    why: str = ""
    model: str = ""
    figures: Mapping[str, KpiRecord] = field(default_factory=dict)
    run_id: str = ""
    accuracy_id: str = ""
    samples: int = 0
    repeat: int = 0
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.platform}/{self.number}"

    def value(self, objective: str) -> float | None:
        record = self.figures.get(objective)
        return None if record is None else record.value
