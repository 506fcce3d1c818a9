"""`python -m benchmarks.wakeup`: wake-up by phases and the latency at the pin, as labd measures them on an emulated RP2040, against the
emulator's own pin log of the same events, in the chip's own time. Exits non-zero when fewer intervals hold it than 95 % would let expect.

Each capture has another oscillator and flash start, 0.05 to 5 ms, and other specimens of the instruments.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.accuracy.lab import Lab, open_lab
from benchmarks.accuracy.verdict import Tallies, records_by_id
from benchmarks.timeline.verdict import most_padding
from benchmarks.wakeup.pin_log import Account, PinLog, durations_s
from labd.records import KpiRecord, Mode, OperatingPoint, Role
from labd.segment.clocks import FloatArray

SEED = 20261127
SHORTEST_S, LONGEST_S = 0.05e-3, 5e-3
SUPPLY_V = 3.3
EVENTS, DISCARDED = 10, 1  # the board does not go to rest after the last event of a program: labd fires one more, which it does not keep
# Every event of a capture takes as long as the others: what the capture is held against is then what its interval is about. Without a clock
# error the chip's own time is the board's.
BOARD = {"oscillator_dispersion": 0.0, "power_dispersion": 0.0, "clock_error": 0.0}
# An interval is about the expectation. Where events scatter, what these very events took is nearer to it than the interval allows for: it
# may hold that more often than 95 %, and whether it is padded shows beside their scatter.
SCATTERED = ("wake_up.load", "wake_up.total", "wake_up.wake")
FEWEST = (
    50  # captures to judge padding by: one of a dozen whose ten events happen to resemble their neighbours has half of all in its own u
)
MODES = (Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)


@dataclass(slots=True)
class Found:
    """strays: edges in the pin log that belong to no event, with their capture. short: captures whose pin log has another number of
    events than they were asked for. By KPI, of every interval that there was: errors_us, against the mean of its very events; said_us, its
    standard uncertainty; scatter_us, the standard error of a mean of such events, from the pin log."""

    tallies: Tallies = field(default_factory=Tallies)
    events: int = 0
    strays: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    errors_us: dict[str, list[float]] = field(default_factory=dict)
    said_us: dict[str, list[float]] = field(default_factory=dict)
    scatter_us: dict[str, list[float]] = field(default_factory=dict)

    def take(self, number: int, pins: Account) -> None:
        self.events += len(pins.events)
        self.strays += [f"capture {number}: {edge}" for edge in pins.strays]
        if len(pins.events) != EVENTS + DISCARDED:
            self.short.append(f"capture {number}: {len(pins.events)}")

    def failures(self) -> list[str]:
        problems = self.tallies.failures()
        if self.strays:
            problems.append(f"{len(self.strays)} edges in the pin log belong to no event, the first in {self.strays[0]}")
        for kpi in self.errors_us:
            most = most_padding(len(self.errors_us[kpi]))
            if len(self.errors_us[kpi]) >= FEWEST and not (padding := self.padding(kpi)) <= most:
                problems.append(f"{kpi}: u is {padding:.2f} times what errors and scatter make, {most:.2f} is allowed")
        if self.short:
            problems.append(f"{len(self.short)} captures without {EVENTS + DISCARDED} events in the pin log, the first is {self.short[0]}")
        return problems

    def judge(self, kpi: str, record: KpiRecord | None, true_s: FloatArray) -> None:
        """true_s: of each event that is in the figure, float64 [n]."""
        mean_s = float(true_s.mean())
        self.tallies.of(kpi, one_sided=kpi in SCATTERED).add(record, mean_s)
        if record is not None and record.value is not None and record.u is not None:
            self.errors_us.setdefault(kpi, []).append((record.value - mean_s) * 1e6)
            self.said_us.setdefault(kpi, []).append(record.u * 1e6)
            self.scatter_us.setdefault(kpi, []).append(float(true_s.std(ddof=1)) / math.sqrt(len(true_s)) * 1e6)

    def padding(self, kpi: str) -> float:
        """What is said over what is, both in root mean square: the error against these very events, and their own scatter."""
        said, errors, scatter = (np.array(one[kpi]) for one in (self.said_us, self.errors_us, self.scatter_us))
        return float(np.sqrt(np.mean(said**2) / np.mean(errors**2 + scatter**2)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.wakeup", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    arguments = parser.parse_args()
    began = time.monotonic()
    found = asyncio.run(campaign(12 if arguments.quick else 100, arguments.seed))
    print(table(found))
    problems = found.failures()
    for problem in problems:
        print(f"FALLS SHORT: {problem}")
    outside = ", ".join(f"{t.name} {t.total - t.covered} of {t.total}" for t in found.tallies.all())
    print(
        f"wake-up: seed {arguments.seed}, {found.events} events with starts of 0.05 to 5 ms in {time.monotonic() - began:.0f} s; "
        f"pin log outside of U95: {outside}; {len(found.strays)} stray edges; {'ok' if not problems else f'{len(problems)} fall short'}"
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
                    await capture(lab, log, number, found)
            finally:
                log.close()
    return found


async def capture(lab: Lab, log: PinLog, number: int, found: Found) -> None:
    log.read()  # its start, and what the one before ended with, are no part of this capture
    measured = await lab.measure(OperatingPoint(MODES[number % 2], 0.0, SUPPLY_V, "dnn"), Role.EVENT, events=EVENTS)
    pins = log.read()
    found.take(number, pins)
    records = records_by_id(measured.result.records)
    for kpi, true_s in durations_s(pins.events[:EVENTS]).items():
        found.judge(kpi, records.get(kpi), true_s)


def table(found: Found) -> str:
    head = f"{'figure':20} {'n':>4} {'within U95':>11} {'p':>6} {'u':>10} {'padding':>8} {'median |error|':>15} {'largest |error|':>16}"
    rows = [head]
    for tally in found.tallies.all():
        if tally.name not in found.errors_us:
            rows.append(f"{tally.name:20}  withheld {tally.withheld}")
            continue
        errors, said = np.abs(found.errors_us[tally.name]), float(np.median(found.said_us[tally.name]))
        row = f"{tally.name:20} {tally.total:4d} {tally.covered:11d} {tally.p_value():6.3f} {said:7.2f} us {found.padding(tally.name):8.2f}"
        withheld = f"  withheld {tally.withheld}" if tally.withheld else ""
        rows.append(f"{row} {np.median(errors):12.2f} us {errors.max():13.2f} us{withheld}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
