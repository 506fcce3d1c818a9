"""What the lines of a reply mean: one function per command, each raising UnexpectedReply. Pure."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from labd.dut.errors import OtherDevice, UnexpectedReply
from labd.dut.protocol import Reply

Build = Literal["performance", "energy"]

NAME = "dut"  # fixed by the protocol; hosts find a DUT by it
LAP_WRAP = 1 << 32  # the reference prints microseconds as %lu of a 32-bit counter: 71.6 minutes


class PhaseLap(NamedTuple):
    """One event on the device's counter, microseconds. event: the device learned of it (timer expiry as programmed, or code start);
    awake: code runs; ready: parameters resident; start, end: of the inference."""

    event_us: int
    awake_us: int
    ready_us: int
    start_us: int
    end_us: int


NUMBER = r"[-+]?[0-9]{1,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{1,2})?"  # Python's float takes more: `nan`, `1_0`, other scripts' digits


class Burnt(NamedTuple):
    """Where a signature lay on the device's counter, microseconds: its first chip's start and its last one's end."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class PeriodicDone:
    """served: inferences made; missed: deadlines that passed while the device was still busy. signatures: before and after them, where
    the device brackets its programs."""

    served: int
    missed: int
    signatures: tuple[Burnt, ...] = ()


def parse_name(reply: Reply) -> str:
    """`m-name-dut-[vendor]`: the vendor. Raises OtherDevice."""
    for text in reply.texts:
        if found := re.fullmatch(r"m-name-(.+?)-\[(.*)\]", text):
            if found[1] == NAME:
                return found[2]
            raise OtherDevice(
                f"`{reply.command}` answers m-name-{NAME}-[..], this DUT said {text!r}: its device name is {found[1]!r}, by which "
                f"no MLPerf Tiny host finds it; build its firmware with the name {NAME!r} (the vendor in brackets is free)"
            )
    raise OtherDevice(f'{_said(reply, "m-name-dut-[..]")}; if an interface board stands between, say so: via = "interface-board"')


def parse_profile(reply: Reply) -> tuple[str, str]:
    """Profile and model; the model selects the data set (kws01, vww01, ad01, ic01 ...)."""
    profile = find(reply, r"m-profile-\[(.*)\]", "m-profile-[..]")[1]
    return profile, find(reply, r"m-model-\[(.*)\]", "m-model-[..]")[1]


def parse_laps(reply: Reply) -> tuple[int, ...]:
    """All `m-lap-us-N` of a reply, in order; none in an energy build."""
    return tuple(int(found[1]) for text in reply.texts if (found := re.fullmatch(r"m-lap-us-(\d{1,10})", text)))


def lap_difference_us(first: int, last: int) -> int:
    """Time from one lap to a later one, modulo 2^32."""
    return (last - first) % LAP_WRAP


def parse_results(reply: Reply) -> tuple[float, ...]:
    """`m-results-[0.123,0.877,]`: the scores; a trailing comma is legal."""
    body = find(reply, r"m-results-\[(.*)\]", "m-results-[..]")[1]
    parts = body.removesuffix(",").split(",") if body else []
    if not all(re.fullmatch(NUMBER, part) for part in parts):
        raise UnexpectedReply(f"`{reply.command}`: results are not numbers: {body!r}")
    return tuple(1.0 if by_hand else float(part) for part, by_hand in zip(parts, _ones_by_hand(parts), strict=True))


def _ones_by_hand(parts: list[str]) -> list[bool]:
    """kws prints `0.` and the thousandths, of which 1.0 has a thousand: `0.1000` among numbers of three decimals."""
    others = [part for part in parts if part != "0.1000"]
    three = bool(others) and all(re.fullmatch(r"0\.\d{3}", part) for part in others)
    return [three and part == "0.1000" for part in parts]


def parse_infer(reply: Reply) -> tuple[int, int]:
    """`m-infer-start-N` and `m-warmup-start-W`: what the DUT says it has done."""
    done = find(reply, r"m-infer-start-(\d{1,10})", "m-infer-start-N")
    return int(done[1]), int(find(reply, r"m-warmup-start-(\d{1,10})", "m-warmup-start-W")[1])


def characters(reply: Reply, pattern: str, *, first: bool = False) -> int:
    """Of the texts like the pattern (of the first one only), with CR and LF: what the UART had to send for them."""
    lengths = [len(text) + 2 for text in reply.texts if re.fullmatch(pattern, text)]
    return sum(lengths[:1] if first else lengths)


def beside_load(reply: Reply) -> str:
    """Of the answer to a `db` line, the first text that is neither `m-load-done` nor a count of bytes; empty where there is none."""
    return next((text for text in reply.texts if text and not re.fullmatch(r"m-load-done|m-received-\d+", text)), "")


def parse_pointer(reply: Reply) -> int:
    """`m-buff-ptr-N`: where the next byte of an upload goes."""
    return int(find(reply, r"m-buff-ptr-(\d{1,10})", "m-buff-ptr-N")[1])


def parse_expecting(reply: Reply) -> int:
    """`m-[Expecting N bytes]`, the answer to `db load N`."""
    return int(find(reply, r"m-\[Expecting (\d{1,10}) bytes\]", "m-[Expecting N bytes]")[1])


def load_is_done(reply: Reply) -> bool:
    return "m-load-done" in reply.texts


def parse_buffer(reply: Reply) -> bytes:
    """`db print`: lines `m-buffer-xx-xx-..`, eight bytes each, the last one shorter."""
    for text in reply.texts:
        if text and not re.fullmatch(r"m-buffer-[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){0,7}", text):
            raise UnexpectedReply(f"`{reply.command}`: not a line of a hexadecimal buffer: {text!r}")
    return bytes.fromhex("".join(text.removeprefix("m-buffer-").replace("-", "") for text in reply.texts))


def parse_version(reply: Reply) -> str:
    """`m-ver-[labd 1]`: name and version of the extensions."""
    return find(reply, r"m-ver-\[(.*)\]", "m-ver-[..]")[1]


def parse_word(reply: Reply, name: str) -> str:
    """`m-<name>-[words]` for mode, workload and marks: what the device has set."""
    return find(reply, rf"m-{name}-\[(.*)\]", f"m-{name}-[..]")[1]


def parse_periodic_done(reply: Reply) -> PeriodicDone:
    found = find(reply, r"m-periodic-done-(\d{1,10})-missed-(\d{1,10})", "m-periodic-done-N-missed-M")
    return PeriodicDone(int(found[1]), int(found[2]), parse_signatures(reply))


def parse_signatures(reply: Reply) -> tuple[Burnt, ...]:
    """All `m-signature-[start_us,end_us]`, in the order in which they were burnt; none where no bracket is set."""
    texts = [text for text in reply.texts if re.fullmatch(r"m-signature-\[.*", text)]
    found = [re.fullmatch(r"m-signature-\[(\d{1,20}),(\d{1,20})\]", text) for text in texts]
    burnt = tuple(Burnt(int(match[1]), int(match[2])) for match in found if match is not None)
    if len(burnt) != len(texts) or any(one.end_us <= one.start_us for one in burnt):
        raise UnexpectedReply(f"`{reply.command}`: not the times of a signature: {texts!r}")
    return burnt


def parse_arm_done(reply: Reply) -> int:
    """How many triggers were served."""
    return int(find(reply, r"m-arm-done-(\d{1,10})", "m-arm-done-K")[1])


def check_idle_done(reply: Reply) -> None:
    find(reply, r"m-idle-done", "m-idle-done")


def parse_stat(reply: Reply) -> dict[str, int]:
    """`m-stat-[infer=3,mac=394800,..]`: counters since they were cleared."""
    body = find(reply, r"m-stat-\[(.*)\]", "m-stat-[..]")[1]
    pairs = [part.partition("=") for part in body.split(",") if part]
    if not all(re.fullmatch(r"\d{1,20}", value) for _, _, value in pairs):
        raise UnexpectedReply(f"`{reply.command}`: counters are not numbers: {body!r}")
    return {name: int(value) for name, _, value in pairs}


def parse_phase_laps(reply: Reply) -> tuple[PhaseLap, ...]:
    """All `m-phase-[k,event_us,awake_us,ready_us,start_us,end_us]`, which must be consecutive in k. The counter does not wrap."""
    rows = [_phase_row(text, reply) for text in reply.texts if text.startswith("m-phase-")]
    for before, after in itertools.pairwise(rows):
        if after[0] != before[0] + 1:
            raise UnexpectedReply(f"`{reply.command}`: lap {after[0]} follows lap {before[0]}; a line was lost")
    return tuple(PhaseLap(*row[1:]) for row in rows)


def parse_checksum(reply: Reply) -> int:
    return int(find(reply, r"m-checksum-\[([0-9a-fA-F]{8})\]", "m-checksum-[xxxxxxxx]")[1], 16)


def _phase_row(text: str, reply: Reply) -> tuple[int, ...]:
    found = re.fullmatch(r"m-phase-\[(\d{1,20}(?:,\d{1,20}){5})\]", text)
    if found is None:
        raise UnexpectedReply(f"`{reply.command}`: not a phase lap: {text!r}")
    return tuple(int(part) for part in found[1].split(","))


def find(reply: Reply, pattern: str, looks_like: str) -> re.Match[str]:
    """The first text of a reply that is like the pattern as a whole. Raises UnexpectedReply, which says how that looks."""
    for text in reply.texts:
        if found := re.fullmatch(pattern, text):
            return found
    raise UnexpectedReply(_said(reply, looks_like))


def _said(reply: Reply, looks_like: str) -> str:
    said = ", ".join(repr(text) for text in reply.texts[:4]) or "nothing"
    return f"`{reply.command}` answers {looks_like}, this DUT said {said}"
