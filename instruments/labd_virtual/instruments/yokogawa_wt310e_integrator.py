"""The integrator of the virtual WT310E: watt hours and ampere hours (IM WT310E-17EN)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Floats, Instants
from labd_virtual.scpi_errors import ScpiError


@dataclass(slots=True)
class Integrator:
    """Watt hours and ampere hours over whole display intervals. state: STAR, STOP, RES, TIM or ERR."""

    mode: str = "NORM"
    timer: tuple[int, ...] = (0, 0, 0)
    state: str = "RES"
    joules: float = 0.0
    coulombs: float = 0.0
    seconds: float = 0.0

    @property
    def running(self) -> bool:
        return self.state == "STAR"

    def start(self) -> None:
        if self.state not in ("RES", "STOP"):
            raise ScpiError(-221)
        self.state = "STAR"

    def stop(self) -> None:
        if not self.running:
            raise ScpiError(-221)
        self.state = "STOP"

    def reset(self) -> None:
        if self.running:
            raise ScpiError(-221)
        self.state, self.joules, self.coulombs, self.seconds = "RES", 0.0, 0.0, 0.0

    def add(self, edges: Instants, amps: Floats, watts: Floats) -> None:
        if not self.running:
            return
        width = np.diff(edges) * 1e-9
        limit = self.timer[0] * 3600 + self.timer[1] * 60 + self.timer[2]
        room = limit - self.seconds if limit else math.inf
        kept = int(np.searchsorted(np.cumsum(width), room * (1 + 1e-9), side="right"))
        self.joules += float(np.sum(watts[:kept] * width[:kept]))
        self.coulombs += float(np.sum(amps[:kept] * width[:kept]))
        self.seconds += float(np.sum(width[:kept]))
        if not math.isfinite(self.joules):
            self.state = "ERR"
        elif kept < len(width) or self.seconds >= limit > 0:
            self.state = "TIM"

    def value(self, name: str) -> float:
        return {"WH": self.joules / 3600, "AH": self.coulombs / 3600, "TIME": self.seconds}[name]
