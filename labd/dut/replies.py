"""What the lines of a reply mean: one function per command, each raising UnexpectedReply. Pure."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from labd.dut.errors import UnexpectedReply
from labd.dut.protocol import Reply

Build = Literal["performance", "energy"]

LAP_WRAP = 1 << 32  # the reference prints microseconds as %lu of a 32-bit counter: 71.6 minutes


class PhaseLap(NamedTuple):
    """One event on the device's counter, microseconds. event: the device learned of it (timer expiry as programmed, or code start);
    awake: code runs; ready: parameters resident; start, end: of the inference."""

    event_us: int
    awake_us: int
    ready_us: int
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class PeriodicDone:
    """served: inferences made; missed: deadlines that passed while the device was still busy."""

    served: int
    missed: int


def parse_name(reply: Reply) -> str:
    """`m-name-dut-[vendor]`: the vendor."""
    return _match(reply, r"m-name-dut-\[(.*)\]", "m-name-dut-[..]")[1]


def parse_profile(reply: Reply) -> tuple[str, str]:
    """Profile and model; the model selects the data set (kws01, vww01, ad01, ic01 ...)."""
    profile = _match(reply, r"m-profile-\[(.*)\]", "m-profile-[..]")[1]
    return profile, _match(reply, r"m-model-\[(.*)\]", "m-model-[..]")[1]


def parse_laps(reply: Reply) -> tuple[int, ...]:
    """All `m-lap-us-N` of a reply, in order; none in an energy build."""
    return tuple(int(found[1]) for text in reply.texts if (found := re.fullmatch(r"m-lap-us-(\d+)", text)))


def lap_difference_us(first: int, last: int) -> int:
    """Time from one lap to a later one, modulo 2^32."""
    return (last - first) % LAP_WRAP


def parse_results(reply: Reply) -> tuple[float, ...]:
    """`m-results-[0.123,0.877,]`: the scores; a trailing comma is legal."""
    body = _match(reply, r"m-results-\[(.*)\]", "m-results-[..]")[1]
    try:
        return tuple(float(part) for part in body.removesuffix(",").split(",")) if body else ()
    except ValueError:
        raise UnexpectedReply(f"`{reply.command}`: results are not numbers: {body!r}") from None


def parse_expecting(reply: Reply) -> int:
    """`m-[Expecting N bytes]`, the answer to `db load N`."""
    return int(_match(reply, r"m-\[Expecting (\d+) bytes\]", "m-[Expecting N bytes]")[1])


def load_is_done(reply: Reply) -> bool:
    return "m-load-done" in reply.texts


def parse_buffer(reply: Reply) -> bytes:
    """`db print`: lines `m-buffer-xx-xx-..`, eight bytes each, the last one shorter."""
    rows = [text.removeprefix("m-buffer-") for text in reply.texts if text.startswith("m-buffer-")]
    try:
        return bytes.fromhex("".join(row.replace("-", "") for row in rows))
    except ValueError:
        raise UnexpectedReply(f"`{reply.command}`: not a hexadecimal buffer: {rows[:2]}") from None


def parse_version(reply: Reply) -> str:
    """`m-ver-[labd 1]`: name and version of the extensions."""
    return _match(reply, r"m-ver-\[(.*)\]", "m-ver-[..]")[1]


def parse_word(reply: Reply, name: str) -> str:
    """`m-<name>-[words]` for mode, workload and marks: what the device has set."""
    return _match(reply, rf"m-{name}-\[(.*)\]", f"m-{name}-[..]")[1]


def parse_periodic_done(reply: Reply) -> PeriodicDone:
    found = _match(reply, r"m-periodic-done-(\d+)-missed-(\d+)", "m-periodic-done-N-missed-M")
    return PeriodicDone(int(found[1]), int(found[2]))


def parse_arm_done(reply: Reply) -> int:
    """How many triggers were served."""
    return int(_match(reply, r"m-arm-done-(\d+)", "m-arm-done-K")[1])


def check_idle_done(reply: Reply) -> None:
    _match(reply, r"m-idle-done", "m-idle-done")


def parse_stat(reply: Reply) -> dict[str, int]:
    """`m-stat-[infer=3,mac=394800,..]`: counters since they were cleared."""
    body = _match(reply, r"m-stat-\[(.*)\]", "m-stat-[..]")[1]
    pairs = [part.partition("=") for part in body.split(",") if part]
    try:
        return {name: int(value) for name, _, value in pairs}
    except ValueError:
        raise UnexpectedReply(f"`{reply.command}`: counters are not numbers: {body!r}") from None


def parse_phase_laps(reply: Reply) -> tuple[PhaseLap, ...]:
    """All `m-phase-[k,event_us,awake_us,ready_us,start_us,end_us]`, which must be consecutive in k. The counter does not wrap."""
    rows = [_phase_row(text, reply) for text in reply.texts if text.startswith("m-phase-")]
    for before, after in itertools.pairwise(rows):
        if after[0] != before[0] + 1:
            raise UnexpectedReply(f"`{reply.command}`: lap {after[0]} follows lap {before[0]}; a line was lost")
    return tuple(PhaseLap(*row[1:]) for row in rows)


def parse_checksum(reply: Reply) -> int:
    return int(_match(reply, r"m-checksum-\[([0-9a-fA-F]{8})\]", "m-checksum-[xxxxxxxx]")[1], 16)


def _phase_row(text: str, reply: Reply) -> tuple[int, ...]:
    found = re.fullmatch(r"m-phase-\[(\d+(?:,\d+){5})\]", text)
    if found is None:
        raise UnexpectedReply(f"`{reply.command}`: not a phase lap: {text!r}")
    return tuple(int(part) for part in found[1].split(","))


def _match(reply: Reply, pattern: str, looks_like: str) -> re.Match[str]:
    for text in reply.texts:
        if found := re.fullmatch(pattern, text):
            return found
    said = ", ".join(repr(text) for text in reply.texts[:4]) or "nothing"
    raise UnexpectedReply(f"`{reply.command}` answers {looks_like}, this DUT said {said}")
