"""What counted work takes on a board, in closed form: time and energy by phase, from the spec alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labd_virtual.engine import Operation, cycles_of
from labd_virtual.firmware_process import Op, Request
from labd_virtual.load import Doing, Phase, State, board_a
from labd_virtual.spec import BoardSpec


@dataclass(frozen=True, slots=True)
class Taken:
    """time_s: code of this phase ran so long. energy_j: that was taken at the supply node meanwhile."""

    time_s: float = 0.0
    energy_j: float = 0.0


def expected(spec: BoardSpec, requests: Iterable[Request], supply_v: float) -> Mapping[Phase, Taken]:
    """Of the SPENDs and OPERATEs that a firmware asked a board for, at a supply that does not give way. Without dispersion, clock error and
    warmth, whose means are none, and without the drop across series_ohm; leakage and the regulator's own current are in it."""
    times: dict[Phase, float] = defaultdict(float)
    energies: dict[Phase, list[float]] = defaultdict(list)
    for request in requests:
        found = _work(spec, request)
        if found is not None:
            doing, cycles = found
            seconds = cycles / spec.clock_hz
            times[doing.phase] += seconds
            energies[doing.phase].append(board_a(spec, doing, 0.0, supply_v=supply_v) * supply_v * seconds)
    return {phase: Taken(time_s, math.fsum(energies[phase])) for phase, time_s in times.items()}


def _work(spec: BoardSpec, request: Request) -> tuple[Doing, float] | None:
    """What the board does, and for how many cycles; None where no time passes."""
    phase = Phase(request.a & 7)
    if request.op is Op.SPEND:
        return Doing(State.RUNNING, phase, min(request.b, 100) / 100), request.c
    operation = Operation.of(request.a >> 4) if request.op is Op.OPERATE else None
    cycles = 0.0 if operation is None else cycles_of(spec.engine, operation, request.b) * request.c
    return (Doing(State.RUNNING, phase, operation=operation), cycles) if cycles else None
