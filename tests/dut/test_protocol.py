"""The codec: bytes to lines to replies, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.dut.errors import UnexpectedReply
from labd.dut.protocol import COMMAND_MAX, Line, LineDecoder, Reply, ReplyCollector, encode_command, upload_commands
from labd.dut.replies import (
    PeriodicDone,
    PhaseLap,
    lap_difference_us,
    load_is_done,
    parse_arm_done,
    parse_buffer,
    parse_checksum,
    parse_expecting,
    parse_laps,
    parse_name,
    parse_periodic_done,
    parse_phase_laps,
    parse_profile,
    parse_results,
    parse_stat,
    parse_word,
)

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)


def _reply(*texts: str) -> Reply:
    collector = ReplyCollector("x")
    for text in texts:
        assert collector.add(Line(text)) is None
    reply = collector.add(Line("m-ready"))
    assert reply is not None
    return reply


def test_a_command_ends_with_the_terminator_and_no_line_end() -> None:
    assert encode_command("infer 2 1") == b"infer 2 1%"


@pytest.mark.parametrize("text", ["", " ", "name%", "name\r\n", "näme", "x" * (COMMAND_MAX + 1), "a\x00b"])
def test_what_would_crash_or_confuse_the_reference_firmware_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="command"):
        encode_command(text)


@given(st.binary(min_size=1, max_size=300))
def test_an_upload_carries_every_byte_in_lines_of_30(data: bytes) -> None:
    load, *rows = upload_commands(data)
    assert load == f"db load {len(data)}"
    assert bytes.fromhex("".join(row.removeprefix("db ") for row in rows)) == data
    assert all(len(encode_command(row)) <= 3 + 2 * 30 + 1 for row in rows)


@given(st.lists(PRINTABLE, max_size=8), st.lists(st.integers(1, 7), min_size=1), st.booleans())
def test_lines_do_not_depend_on_how_the_bytes_were_cut(texts: list[str], sizes: list[int], bare: bool) -> None:
    data = "".join(text + ("\n" if bare else "\r\n") for text in texts).encode()
    decoder = LineDecoder()
    got: list[str] = []
    k = 0
    while data:
        size = sizes[k % len(sizes)]
        got += [line.text for line in decoder.feed(data[:size])]
        data, k = data[size:], k + 1
    assert got == texts
    assert decoder.pending == ""
    assert decoder.garbage == 0


@given(st.binary(max_size=400))
def test_no_bytes_break_the_decoder_and_none_goes_uncounted(data: bytes) -> None:
    decoder = LineDecoder()
    decoded = decoder.feed(data)
    assert decoder.received == len(data)
    assert len(decoded) == data.count(b"\n")
    assert all(text.isprintable() or "\t" in text or "\r" in text for text in (line.text for line in decoded))


def test_an_endless_line_is_cut() -> None:
    decoder = LineDecoder()
    (line,) = decoder.feed(b"x" * 5000)
    assert len(line.text) == 5000
    assert decoder.pending == ""


def test_a_glitch_before_a_line_does_not_hide_it() -> None:
    decoder = LineDecoder()
    (line,) = decoder.feed(b"\x00\xffm-ready\r\n")
    assert line.text == "m-ready"
    assert not line.clean
    assert decoder.garbage == 2


def test_an_error_is_told_with_the_duts_words() -> None:
    assert _reply("e-[Unknown command: bogus]").error == "Unknown command: bogus"
    assert _reply("m-name-dut-[x]").error is None


def test_an_error_whose_echo_contains_line_ends_is_one_error() -> None:
    reply = _reply("e-[Unknown command: na", "me]")
    assert reply.error == "Unknown command: na me"


@pytest.mark.parametrize("text", ["Supplied buffer size 30000 exceeds maximum of 27648", "Input db has 4 elemented, expected 490"])
def test_failures_without_the_error_prefix_are_errors_all_the_same(text: str) -> None:
    assert _reply("m-warmup-start-0", text, "m-infer-done").error == text


def test_unknown_lines_are_warnings_not_failures() -> None:
    reply = _reply("Initialized", "", "m-name-dut-[x]")
    assert reply.warnings == ("Initialized",)
    assert parse_name(reply) == "x"


def test_a_boot_banner_inside_a_reply_is_noticed() -> None:
    collector = ReplyCollector("infer 5 0")
    for text in ("m-infer-start-5", "m-timestamp-mode-performance"):
        collector.add(Line(text))
    assert collector.rebooted


def test_results_allow_a_trailing_comma() -> None:
    assert parse_results(_reply("m-results-[0.123,0.877,]")) == (0.123, 0.877)
    assert parse_results(_reply("m-results-[12.345]")) == (12.345,)
    assert parse_results(_reply("m-results-[]")) == ()
    with pytest.raises(UnexpectedReply, match="not numbers"):
        parse_results(_reply("m-results-[0.1,,0.2]"))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_laps_are_differences_modulo_two_to_the_32(first: int, length: int) -> None:
    assert lap_difference_us(first, (first + length) % 2**32) == length


def test_laps_are_found_among_other_lines() -> None:
    assert parse_laps(_reply("m-infer-start-2", "m-lap-us-2059", "m-lap-us-2060", "m-infer-done")) == (2059, 2060)


@given(st.binary(max_size=40))
def test_a_printed_buffer_reads_back(data: bytes) -> None:
    rows = [data[k : k + 8] for k in range(0, len(data), 8)]
    texts = ["m-buffer-" + "-".join(f"{byte:02x}" for byte in row) for row in rows]
    assert parse_buffer(_reply(*texts, "")) == data


def test_the_plain_replies_are_read() -> None:
    assert parse_profile(_reply("m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]")) == (
        "ULPMark for tinyML Firmware V0.0.1",
        "kws01",
    )
    assert parse_expecting(_reply("m-[Expecting 40 bytes]")) == 40
    assert load_is_done(_reply("m-load-done"))
    assert not load_is_done(_reply())
    assert parse_word(_reply("m-mode-[always_on wfi]"), "mode") == "always_on wfi"
    assert parse_arm_done(_reply("m-arm-start-3", "m-arm-done-2")) == 2
    assert parse_periodic_done(_reply("m-periodic-start-9", "m-periodic-done-9-missed-1")) == PeriodicDone(9, 1)
    assert parse_checksum(_reply("m-checksum-[0000beef]")) == 0xBEEF
    assert parse_stat(_reply("m-stat-[infer=3,mac=394800,boot=1]")) == {"infer": 3, "mac": 394800, "boot": 1}


def test_phase_laps_are_consecutive_or_refused() -> None:
    rows = ["m-phase-[4,100,110,120,130,140]", "m-phase-[5,200,210,220,230,240]"]
    assert parse_phase_laps(_reply(*rows)) == (PhaseLap(100, 110, 120, 130, 140), PhaseLap(200, 210, 220, 230, 240))
    with pytest.raises(UnexpectedReply, match="lap 7 follows lap 4"):
        parse_phase_laps(_reply(rows[0], "m-phase-[7,1,1,1,1,1]"))
    with pytest.raises(UnexpectedReply, match="not a phase lap"):
        parse_phase_laps(_reply("m-phase-[4,100]"))


def test_a_reply_to_another_command_says_what_came_instead() -> None:
    with pytest.raises(UnexpectedReply, match=r"answers m-name-dut-\[\.\.\], this DUT said 'm-lap-us-5'"):
        parse_name(_reply("m-lap-us-5"))
