"""The codec against arbitrary bytes in arbitrary pieces: no exception but a DutFailure, and nothing depends on the pieces."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from labd.dut import replies
from labd.dut.dialect import CLASSIC, Dialect, Relayed
from labd.dut.dialect import Streaming as StreamingDialect
from labd.dut.errors import UnexpectedReply
from labd.dut.protocol import Line, LineDecoder, Reply, ReplyCollector
from labd.dut.serial_link import SerialLink
from labd.dut.streaming import parse_activations
from labd.errors import DutFailure
from tests.dut.stock_dut import StockDut

PIECES = (
    b"m-ready", b"\r\n", b"\n", b"\r", b"m-name-dut-[x]", b"m-profile-[y]", b"m-model-[kws01]", b"m-lap-us-", b"4294967295",
    b"m-results-[", b"0.5,", b"0.1000", b"]", b"e-[", b"e-[Unknown command: x]", b"m-buffer-", b"00-ff", b"m-load-done",
    b"m-[Expecting 4 bytes]", b"m-infer-start-1", b"m-warmup-start-0", b"m-timestamp-mode-energy", b"m-init-done", b"[dut]: ",
    b"m-dut-passthrough(name)", b"Received command: name", b"Expecting 4 bytes", b"4 bytes received", b"m-stat-[a=1,b=2]",
    b"m-phase-[0,1,2,3,4,5]", b"m-phase-[", b"m-checksum-[0000beef]", b"\x00", b"\xff\xfe", b"9" * 5000, b"target activations:",
    b"1e999", b"1_0", b"nan", b"-", b" ", "\u0663".encode(),
)  # fmt: skip
STREAM = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=30).map(b"".join)
DIALECTS: list[Dialect] = [CLASSIC, StreamingDialect(), Relayed(CLASSIC), Relayed(StreamingDialect())]
PARSERS: list[Callable[[Reply], object]] = [
    replies.parse_name, replies.parse_profile, replies.parse_laps, replies.parse_results, replies.parse_infer, replies.parse_expecting,
    replies.load_is_done, replies.beside_load, replies.parse_pointer, replies.parse_buffer, replies.parse_version,
    lambda reply: replies.parse_word(reply, "mode"), replies.parse_periodic_done, replies.parse_arm_done, replies.check_idle_done,
    replies.parse_stat, replies.parse_phase_laps, replies.parse_checksum, parse_activations,
]  # fmt: skip


def replies_in(stream: bytes, dialect: Dialect) -> Iterator[Reply]:
    decoder, collector = LineDecoder(), ReplyCollector("name", heard=dialect.heard)
    for line in decoder.feed(stream):
        if (reply := collector.add(line)) is not None:
            yield reply
            collector = ReplyCollector("name", heard=dialect.heard)


@settings(max_examples=300)
@given(STREAM, st.sampled_from(DIALECTS))
@example(b"m-lap-us-" + b"9" * 5000 + b"\r\nm-ready\r\n", CLASSIC)
@example(b"m-results-[1e999,nan,1_0]\r\nm-ready\r\n", CLASSIC)
@example(b"m-stat-[a=" + b"9" * 5000 + b"]\r\nm-ready\r\n", CLASSIC)
def test_no_reply_breaks_a_parser(stream: bytes, dialect: Dialect) -> None:
    for reply in replies_in(stream, dialect):
        for parse in PARSERS:
            with suppress(UnexpectedReply):
                parse(reply)


@given(STREAM)
def test_results_are_finite_numbers_or_an_error(stream: bytes) -> None:
    for reply in replies_in(stream, CLASSIC):
        with suppress(UnexpectedReply):
            assert all(math.isfinite(value) for value in replies.parse_results(reply))


@settings(max_examples=200)
@given(STREAM, st.lists(st.integers(1, 40), min_size=1, max_size=20), st.sampled_from(DIALECTS))
def test_replies_do_not_depend_on_how_the_bytes_were_cut(stream: bytes, sizes: list[int], dialect: Dialect) -> None:
    decoder, collector = LineDecoder(), ReplyCollector("name", heard=dialect.heard)
    found, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(stream):
            break
        for line in decoder.feed(stream[at : at + size]):
            if (reply := collector.add(line)) is not None:
                found.append(reply)
                collector = ReplyCollector("name", heard=dialect.heard)
        at += size
    if max(map(len, stream.split(b"\n"))) < 4096:  # an endless line is cut where a piece ends
        assert found == list(replies_in(stream, dialect))


@pytest.mark.parametrize("text", ["1e999", "nan", "inf", "1_0", "٣", "0x10", "1.", "--1", ""])
def test_what_python_takes_for_a_number_and_no_firmware_prints_is_refused(text: str) -> None:
    reply = Reply("results", (Line(f"m-results-[0.500,{text},0.250]"),), None)
    if text == "1.":
        assert replies.parse_results(reply)[1] == 1.0
    else:
        with pytest.raises(UnexpectedReply, match="not numbers"):
            replies.parse_results(reply)


def test_a_one_that_was_printed_by_hand_is_a_one() -> None:
    def results(body: str) -> tuple[float, ...]:
        return replies.parse_results(Reply("results", (Line(f"m-results-[{body}]"),), None))

    assert results("0.004,0.1000,0.000") == (0.004, 1.0, 0.0)
    assert results("0.1000,0.2500") == (0.1, 0.25)  # four decimals each
    assert results("0.1000") == (0.1,)
    assert results("1.000,0.000,") == (1.0, 0.0)


class _Babbler:
    """Answers whatever it is told to."""

    def __init__(self, says: bytes) -> None:
        self._says = says

    def boot(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> bytes:
        return self._says if b"%" in data else b""


@settings(max_examples=25, deadline=None)
@given(STREAM)
def test_a_link_to_whatever_babbles_ends_with_a_reply_or_a_named_failure(stream: bytes) -> None:
    async def ask() -> None:
        with StockDut(_Babbler(stream)) as dut:
            async with SerialLink(dut.port, resync_s=0.1) as link:
                with suppress(DutFailure):
                    await link.command("name", timeout_s=0.1)

    asyncio.run(ask())
