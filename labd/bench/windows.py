"""Windows of stock MLPerf Tiny firmware: a log in which the host asks for inferences back to back, and the board's pin shows which."""

from __future__ import annotations

import math
from dataclasses import replace

from labd.bench import setups
from labd.bench.expand import MOST_INFERENCES, CapturePlan, Windows
from labd.bench.rig import Rig
from labd.bench.running_log import Sink, running_log, streams
from labd.bench.taken import Taken
from labd.dut import replies
from labd.dut.device import INFER_S, Inferred
from labd.errors import DutFailure
from labd.records import InferWindow

AHEAD = 1.1  # windows are planned longer than asked: the trial that sizes them is timed by the host
TRIAL_LEAST_S = 0.2  # that a trial takes longer than one inference, so that the jitter of a serial port is little of it
TRIAL_SHARE = 0.3  # of what the command takes beside its inferences


async def record_windows(rig: Rig, plan: CapturePlan, sink: Sink, wanted: Windows) -> Taken:
    """One log of all windows, none of which is cut by the host's time. Raises InstrumentFailure, DutFailure, DataLost."""
    meter, clock = rig.station.meter, rig.station.clock
    counts = await _counts(rig, wanted)
    order = in_order(counts, wanted.count)
    setup = setups.periods_stream(rig, plan)
    acquisition = await meter.call(streams(meter).configure_stream, setup)
    said = {"inferences in the windows": ", ".join(map(str, counts)), "warm-up inferences before each": str(wanted.warm_ups)}
    text = setups.taken_instead(acquisition, setups.STREAM_S)
    acquisition = replace(acquisition, settings={**acquisition.settings, **said, **({"interval_taken": text} if text else {})})
    await sink.begin(acquisition)
    done: list[Inferred] = []
    async with running_log(rig, plan, sink, acquisition) as recording:
        for count in order:
            await clock.sleep(rig.settle_s)
            done.append(await _infer(rig, count, wanted.warm_ups))
        await clock.sleep(rig.settle_s)
    return Taken(
        acquisition,
        recording.end.records,
        served=sum(order),
        end=recording.end,
        windows=tuple(map(_window, done)),
    )


def in_order(counts: tuple[int, ...], times: int) -> list[int]:
    """Each number of inferences `times` times, up and down in turn, so that a steady drift does not look like a matter of the number."""
    return [count for turn in range(times) for count in (counts if turn % 2 == 0 else counts[::-1])]


async def _counts(rig: Rig, wanted: Windows) -> tuple[int, ...]:
    """The plan's numbers of inferences, else as many as take the plan's length, and twice that."""
    if wanted.inferences:
        return wanted.inferences
    each_s = await _each_s(rig)
    least = max(1, math.ceil(AHEAD * wanted.length_s / each_s))
    if 2 * least > MOST_INFERENCES:
        raise DutFailure(f"an inference seems to take {each_s:.3g} s: windows of {wanted.length_s:g} s need more than `infer` can be told")
    return least, 2 * least


async def _each_s(rig: Rig) -> float:
    """What one inference takes, roughly: by the board's counter where it tells, else by the clock of the bench around the commands."""
    alone_s = await _takes_s(rig, 1)
    count = 1
    while True:
        count *= 2
        took_s = await _takes_s(rig, count)
        if took_s - alone_s >= max(TRIAL_LEAST_S, TRIAL_SHARE * alone_s):
            return (took_s - alone_s) / (count - 1)
        if count > MOST_INFERENCES // 2:
            raise DutFailure(f"{count} inferences take no longer than one: the board does not infer")


async def _takes_s(rig: Rig, count: int) -> float:
    meter, now_s = rig.station.meter, rig.station.clock.for_drivers.now_s
    before_s = await meter.call(now_s)
    found = await _infer(rig, count, 0)
    after_s = await meter.call(now_s)
    return after_s - before_s if found.latency_s is None else found.latency_s * count


async def _infer(rig: Rig, count: int, warm_ups: int) -> Inferred:
    return await rig.device.infer(count, warmups=warm_ups, timeout_s=INFER_S + 2 * rig.board.longest_event_s * (count + warm_ups))


def _window(found: Inferred) -> InferWindow:
    counter_us = replies.lap_difference_us(*found.laps_us) if found.laps_us else None
    return InferWindow(found.iterations, counter_us, found.text_left_s, found.lap_text_s * found.iterations)
