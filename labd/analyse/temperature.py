"""Limits of error at the bench's temperature: documents give them for 18 to 28 Cel, and a coefficient for what lies outside."""

from __future__ import annotations

from dataclasses import replace

from labd.analyse.setup import AnalysisSetup
from labd_instruments.accuracy import LimitOfError

LOW_C, HIGH_C = 18.0, 28.0
NO_COEFFICIENT = "outside 18 to 28 Cel, no temperature coefficient"


def outside_k(setup: AnalysisSetup) -> float:
    """Kelvin by which the ambient may lie outside the band, 0 inside it and where the ambient is not known."""
    if setup.ambient_c is None:
        return 0.0
    low, high = setup.ambient_c - setup.ambient_half_width_k, setup.ambient_c + setup.ambient_half_width_k
    return max(LOW_C - low, high - HIGH_C, 0.0)


def at_temperature(limit: LimitOfError | None, setup: AnalysisSetup) -> LimitOfError | None:
    """Gain and offset times 1 + coefficient * kelvin outside; as they are where the row gives no coefficient (see `flags`)."""
    if limit is None or limit.tempco_per_k is None:
        return limit
    factor = 1 + limit.tempco_per_k * outside_k(setup)
    return replace(limit, gain=limit.gain * factor, offset=limit.offset * factor)


def flags(limits: list[LimitOfError | None], setup: AnalysisSetup) -> tuple[str, ...]:
    """NO_COEFFICIENT where a limit in use says nothing of the temperature it is used at."""
    bare = any(limit is not None and limit.tempco_per_k is None for limit in limits)
    return (NO_COEFFICIENT,) if bare and outside_k(setup) > 0 else ()
