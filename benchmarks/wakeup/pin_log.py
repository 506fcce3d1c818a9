"""The emulator's own account of the pins: the events of a capture by the edges that they made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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


class PinLog:
    """Reads on from where it stopped."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8")

    def close(self) -> None:
        self._file.close()

    def events(self) -> list[PinEvent]:
        """Those written since the last call: a trigger with its four edges of the marker. Anything else is passed over."""
        return list(_events([(int(t_ns), f"{pin} {level}") for t_ns, pin, level in map(str.split, self._file)]))


def _events(edges: list[tuple[int, str]]) -> Iterator[PinEvent]:
    for k in range(len(edges) - len(EDGES) + 1):
        group = edges[k : k + len(EDGES)]
        if [edge for _, edge in group] == EDGES:
            yield PinEvent(*(t_ns for t_ns, _ in group))


def mean_durations_s(events: list[PinEvent]) -> dict[str, float]:
    """By KPI, over the events of one capture."""
    every = [event.durations_s() for event in events]
    return {kpi: float(np.mean([one[kpi] for one in every])) for kpi in every[0]}
