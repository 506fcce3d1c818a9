"""How operations of a net, clock and supply make time and current: C V^2 an operation, C V f of a clocked core, leakage by the supply.

Everything here follows from the spec alone, so what a net takes on a board can be computed from its counted work.
"""

from __future__ import annotations

import enum
import math

from labd_virtual.spec import BoardSpec, EngineSpec

_WEIGHT_BITS = 8


class Operation(enum.IntEnum):
    """As the firmware numbers them (firmware/core/labd_hal.h)."""

    MAC = 0
    SYNOP = 1
    UPDATE = 2

    @classmethod
    def of(cls, number: int) -> Operation | None:
        return cls(number) if number in cls.__members__.values() else None


def _of_one(engine: EngineSpec, operation: Operation) -> tuple[float, float]:
    """(cycles, farad) with a weight of 8 bits."""
    return {
        Operation.MAC: (engine.mac_cycles, engine.mac_f),
        Operation.SYNOP: (engine.synop_cycles, engine.synop_f),
        Operation.UPDATE: (engine.update_cycles, engine.update_f),
    }[operation]


def _share(operation: Operation, bits: int) -> float:
    """Weights are fetched: half as many bits take half of it. An update fetches none."""
    return 1.0 if operation is Operation.UPDATE else bits / _WEIGHT_BITS


def cycles_of(engine: EngineSpec, operation: Operation, bits: int) -> float:
    """Clock cycles of one operation on the engine, 0 where the core does them."""
    return _of_one(engine, operation)[0] * _share(operation, bits)


def operation_j(spec: BoardSpec, operation: Operation, bits: int, supply_v: float) -> float:
    """Energy (J) of one operation on the engine without what is static: C V^2."""
    return _of_one(spec.engine, operation)[1] * _share(operation, bits) * supply_v**2


def engine_a(spec: BoardSpec, operation: Operation, supply_v: float) -> float:
    """Current (A) while the engine does one operation after another: C V an operation, so many a second."""
    cycles, farad = _of_one(spec.engine, operation)
    return clocked_a(spec, spec.engine.static_a, supply_v) + farad * supply_v * spec.clock_hz / cycles


def clocked_a(spec: BoardSpec, current_a: float, supply_v: float) -> float:
    """A clocked core's current (A) at the spec's clock and this supply; current_a: at the references."""
    scale = 1.0
    if spec.reference_hz:
        scale = 1 - spec.clock_share + spec.clock_share * spec.clock_hz / spec.reference_hz
    return current_a * scale * _supplied(spec, supply_v)


def leaking_a(spec: BoardSpec, current_a: float, supply_v: float) -> float:
    """A current (A) of what does not switch, at this supply; current_a: at the reference."""
    return current_a * math.pow(_supplied(spec, supply_v), spec.leakage_exponent)


def _supplied(spec: BoardSpec, supply_v: float) -> float:
    return supply_v / spec.reference_v if spec.reference_v else 1.0
