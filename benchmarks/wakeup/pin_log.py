"""The emulator's own account of the pins: the events of a capture by the edges that they made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labd.segment.clocks import FloatArray

EDGES = ["TRIG 1", "MARK 1", "MARK 0", "MARK 1", "MARK 0"]  # of mark style `phases`


@dataclass(frozen=True, slots=True)
class PinEvent:
    """Instants of one triggered event, ns of the board's own clock."""

    trigger: int
    awake: int
    ready: int
    start: int
    end: int

    def durations_s(self) -> dict[str, float]:
        """By the KPI that measures them."""
        return {
            "wake_up.wake": (self.awake - self.trigger) * 1e-9,
            "wake_up.load": (self.ready - self.awake) * 1e-9,
            "wake_up.total": (self.ready - self.trigger) * 1e-9,
            "latency.pin.mean": (self.end - self.start) * 1e-9,
        }


@dataclass(frozen=True, slots=True)
class Account:
    """What the pins did since they were last looked at. strays: edges that belong to no event, "PIN level" each."""

    events: tuple[PinEvent, ...]
    strays: tuple[str, ...]


class PinLog:
    """Reads on from where it stopped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8")

    def close(self) -> None:
        self._file.close()

    def read(self) -> Account:
        """What was written since the last call."""
        return accounted([(int(t_ns), f"{pin} {level}") for t_ns, pin, level in map(str.split, self._file)])


def accounted(edges: list[tuple[int, str]]) -> Account:
    """Each edge (ns, "PIN level") belongs to a trigger with its four edges of the marker, or is a stray."""
    events, strays, k = [], [], 0
    while k < len(edges):
        group = edges[k : k + len(EDGES)]
        if [edge for _, edge in group] == EDGES:
            events.append(PinEvent(*(t_ns for t_ns, _ in group)))
            k += len(EDGES)
        else:
            strays.append(edges[k][1])
            k += 1
    return Account(tuple(events), tuple(strays))


def durations_s(events: Sequence[PinEvent]) -> dict[str, FloatArray]:
    """By KPI, one of each event of a capture."""
    every = [event.durations_s() for event in events]
    return {kpi: np.array([one[kpi] for one in every]) for kpi in every[0]} if every else {}


def mean_durations_s(events: Sequence[PinEvent]) -> dict[str, float]:
    """By KPI, over the events of one capture."""
    return {kpi: float(each.mean()) for kpi, each in durations_s(events).items()}
