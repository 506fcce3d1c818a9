"""`python -m benchmarks.wakeup`: wake-up by phases and the latency at the pin, as labd measures them on an emulated RP2040, against the
emulator's own pin log of the same events, in the chip's own time. Exits non-zero when fewer intervals hold it than 95 % would let expect.

Each capture has another oscillator and flash start, 0.05 to 5 ms, and other specimens of the instruments.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.accuracy.lab import Lab, open_lab
from benchmarks.accuracy.verdict import Tallies, records_by_id
from benchmarks.wakeup.pin_log import PinLog, mean_durations_s
from labd.records import KpiRecord, Mode, OperatingPoint, Role

SEED = 20261127
SHORTEST_S, LONGEST_S = 0.05e-3, 5e-3
SUPPLY_V = 3.3
EVENTS = 10
# Every event of a capture takes as long as the others: what the capture is held against is then what its interval is about. Without a clock
# error the chip's own time is the board's.
BOARD = {"oscillator_dispersion": 0.0, "power_dispersion": 0.0, "clock_error": 0.0}
MODES = (Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)


@dataclass(slots=True)
class Found:
    """errors_us, widths_us: of every interval, by KPI, that there was."""

    tallies: Tallies = field(default_factory=Tallies)
    events: int = 0
    errors_us: dict[str, list[float]] = field(default_factory=dict)
    widths_us: dict[str, list[float]] = field(default_factory=dict)

    def judge(self, kpi: str, record: KpiRecord | None, true_s: float) -> None:
        # An interval is about the expectation; what these very events took, whose scatter is in it, it may hold more often than 95 %.
        self.tallies.of(kpi, one_sided=True).add(record, true_s)
        if record is not None and record.value is not None and record.low is not None and record.high is not None:
            self.errors_us.setdefault(kpi, []).append((record.value - true_s) * 1e6)
            self.widths_us.setdefault(kpi, []).append((record.high - record.low) / 2 * 1e6)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.wakeup", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    arguments = parser.parse_args()
    began = time.monotonic()
    found = asyncio.run(campaign(12 if arguments.quick else 100, arguments.seed))
    print(table(found))
    problems = found.tallies.failures()
    for problem in problems:
        print(f"FALLS SHORT: {problem}")
    outside = ", ".join(f"{t.name} {t.total - t.covered} of {t.total}" for t in found.tallies.all())
    print(
        f"wake-up: seed {arguments.seed}, {found.events} events with starts of 0.05 to 5 ms in {time.monotonic() - began:.0f} s; "
        f"pin log outside of U95: {outside}; {'ok' if not problems else f'{len(problems)} fall short'}"
    )
    return 1 if problems else 0


async def campaign(captures: int, seed: int) -> Found:
    found = Found()
    starts_s = np.exp(np.random.default_rng(seed).uniform(math.log(SHORTEST_S), math.log(LONGEST_S), captures))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pins.log"
        async with open_lab(files=("virtual-rp2040", "rp2040"), seed=seed, board=BOARD, changes={"pin_log": str(path)}) as lab:
            log = PinLog(path)
            try:
                for number, start_s in enumerate(starts_s.tolist()):
                    lab.redraw(seed + number)
                    lab.disturb({"board.oscillator_s": start_s})
                    await capture(lab, log, MODES[number % 2], found)
            finally:
                log.close()
    return found


async def capture(lab: Lab, log: PinLog, mode: Mode, found: Found) -> None:
    log.events()
    measured = await lab.measure(OperatingPoint(mode, 0.0, SUPPLY_V, "dnn"), Role.EVENT, events=EVENTS)
    events = log.events()
    found.events += len(events)
    records = records_by_id(measured.result.records)
    for kpi, true_s in mean_durations_s(events).items():
        found.judge(kpi, records.get(kpi), true_s)


def table(found: Found) -> str:
    head = f"{'figure':20} {'n':>4} {'within U95':>11} {'p':>6} {'U95':>10} {'median |error|':>15} {'largest |error|':>16}"
    rows = [head]
    for tally in found.tallies.all():
        errors = [abs(error) for error in found.errors_us.get(tally.name, [math.nan])]
        half_width = statistics.median(found.widths_us.get(tally.name, [math.nan]))
        row = f"{tally.name:20} {tally.total:4d} {tally.covered:11d} {tally.p_value():6.3f} {half_width:7.2f} us"
        withheld = f"  withheld {tally.withheld}" if tally.withheld else ""
        rows.append(f"{row} {statistics.median(errors):12.2f} us {max(errors):13.2f} us{withheld}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
