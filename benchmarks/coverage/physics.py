"""Benches whose boards, wiring and lines are drawn at random within what their files say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.accuracy.lab import Lab, demo, lab_of, two_wire
from benchmarks.accuracy.truth import FAULTLESS, QUIET, STILL
from labd.bench_file import Bench, Plan

LARGEST_RHO = 0.8  # of consecutive inferences
LEAD_OHM, LEAD_HALF_OHM = 0.12, 0.03  # metrology note 3.4
LINE_DELAY_S = 3e-6
SERIES, DECOUPLING = 0.05, 0.1  # limits of the demo board's file: together the time constant
CLOCK = 30e-6


@dataclass(frozen=True, slots=True)
class Variant:
    """bench, plan: what labd is told. board, smu: what is true, within it. seed: of both."""

    bench: Bench
    plan: Plan
    board: Mapping[str, Any]
    smu: Mapping[str, Any]
    seed: int

    def lab(self) -> AbstractAsyncContextManager[Lab]:
        return lab_of(self.bench, self.plan, seed=self.seed, board=self.board, smu=self.smu)

    def twin(self) -> AbstractAsyncContextManager[Lab]:
        """Without dispersion, measured without errors."""
        return lab_of(
            self.bench, self.plan, seed=self.seed, board={**self.board, **STILL}, smu={**self.smu, **FAULTLESS}, changes={"unkind": QUIET}
        )


def variant(number: int, of: int, seed: int) -> Variant:
    """The number-th of a campaign. The autocorrelation goes from 0 to LARGEST_RHO, every other bench has no sense leads."""
    rng = np.random.default_rng([seed, number])
    bench, plan = demo()
    smu = bench.instruments["smu"].model_copy(update={"trigger_latency": LINE_DELAY_S})
    bench = bench.model_copy(update={"instruments": {**bench.instruments, "smu": smu}})
    wiring: dict[str, Any] = {}
    if number % 2:
        bench = two_wire(bench, LEAD_OHM, LEAD_HALF_OHM)
        wiring["lead_ohm"] = LEAD_OHM + LEAD_HALF_OHM * rng.uniform(-1, 1)
    assert bench.board.series_resistance is not None
    board = {
        "dispersion_rho": LARGEST_RHO * number / max(1, of - 1),
        "power_dispersion": rng.uniform(0.002, 0.008),
        "cycle_dispersion": rng.uniform(0.001, 0.005),
        "series_ohm": bench.board.series_resistance.value * (1 + SERIES * rng.uniform(-1, 1)),
        "capacitance_f": bench.board.decoupling.value * (1 + DECOUPLING * rng.uniform(-1, 1)),
        "clock_error": CLOCK * rng.uniform(-1, 1),
    }
    return Variant(bench, plan, board, wiring, int(rng.integers(2**31)))
