"""The MLPerf Tiny device protocol, transcript by transcript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.firmware.conftest import Dut
from tests.firmware.fake_board import PIN, SPEND, UART_FLUSH, UART_TX, FakeBoard

pytestmark = pytest.mark.compiler

READY = "m-ready\r\n"
SCORES = r"m-results-\[([01]\.\d{3})(,[01]\.\d{3}){11}\]"


def upload(board: Dut, data: bytes, chunk: int = 31) -> None:
    assert board.command(f"db load {len(data)}%") == f"m-[Expecting {len(data)} bytes]\r\n{READY}"
    for at in range(0, len(data), chunk):
        done = "m-load-done\r\n" if at + chunk >= len(data) else ""
        assert board.command(f"db {data[at : at + chunk].hex()}%") == done + READY


def test_the_performance_build_greets_with_a_lap(performance: FakeBoard) -> None:
    assert re.fullmatch(r"m-timestamp-mode-performance\r\nm-lap-us-\d+\r\nm-init-done\r\nm-ready\r\n", performance.sent.decode())
    assert performance.edges() == [(0, 0), (performance.t_ns, 1)]


def test_the_ready_mark_of_the_boot_goes_with_the_first_character(performance: FakeBoard) -> None:
    performance.command("name%")
    assert [level for _, level in performance.edges()] == [0, 1, 0]
    performance.command("name%")
    assert [level for _, level in performance.edges()] == [0, 1, 0]


def test_the_energy_build_greets_with_one_falling_edge_and_no_lap(energy: FakeBoard) -> None:
    assert energy.sent.decode() == "m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n"
    (idle, fall, rise) = energy.edges()
    assert [idle[1], fall[1], rise[1]] == [1, 0, 1]
    assert rise[0] - fall[0] >= 1_000


def test_name_and_profile_answer_as_hosts_match_them(dut: Dut) -> None:
    assert dut.command("name%") == "m-name-dut-[labd]\r\n" + READY
    assert dut.command("profile%") == "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\n" + READY


def test_help_is_free_text_with_an_empty_line(dut: Dut) -> None:
    lines = dut.lines("help%")
    assert lines.count("") == 1
    assert all(len(line) < 80 for line in lines)


def test_timestamp_is_text_in_the_performance_build_and_a_pulse_in_the_energy_build(performance: FakeBoard, energy: FakeBoard) -> None:
    (lap,) = performance.lines("timestamp%")
    assert lap == f"m-lap-us-{performance.t_ns // 1000}"
    before = len(energy.ops)
    assert energy.command("timestamp%") == READY
    assert [level for _, level in energy.edges(before)] == [0, 1]


def test_the_lap_counter_wraps_at_32_bits_of_microseconds(performance: FakeBoard) -> None:
    performance.t_ns = (2**32 + 7) * 1000
    assert performance.lines("timestamp%") == ["m-lap-us-7"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("bogus%", "e-[Unknown command: bogus]"),
        ("bogus with words%", "e-[Unknown command: bogus]"),
        ("NAME%", "e-[Unknown command: NAME]"),
        ("namely%", "e-[Unknown command: namely]"),
        ("db%", "e-[Command 'db' requires a subcommand]"),
        ("db load%", "e-[Command 'db load' requires the # of bytes]"),
        ("db load 0%", "e-[Command 'db load' must be >0 bytes]"),
        ("db load x%", "e-[Command 'db load' must be >0 bytes]"),
        ("db load -4%", "e-[Command 'db load' must be >0 bytes]"),
        ("db 123%", "e-[Insufficent number of hex digits]"),
        ("infer 0%", "e-[Inference iterations must be >0]"),
        ("infer -1%", "e-[Inference iterations must be >0]"),
        ("infer x%", "e-[Inference iterations must be >0]"),
        ("infer 1 -1%", "e-[Inference warmup must be >=0]"),
        ("a\rb\tc%", "e-[Unknown command: a?b?c]"),
        ("db 01%", "e-[Command 'db' has no load in progress]"),
    ],
)
def test_an_error_is_one_line_and_then_ready(performance: FakeBoard, text: str, error: str) -> None:
    assert performance.command(text) == f"{error}\r\n{READY}"


def test_a_bad_digit_is_named(dut: Dut) -> None:
    dut.command("db load 4%")
    assert dut.command("db 01zz%") == f"e-[Invalid hex digit 'zz']\r\n{READY}"
    assert dut.command("db 0g%") == f"e-[Invalid hex digit '0g']\r\n{READY}"


def test_a_lone_terminator_is_ignored(dut: Dut) -> None:
    for text in ["%", " %", "   %", "\r\n%", "%%%"]:
        assert dut.command(text) == ""
    assert dut.command("%name%") == "m-name-dut-[labd]\r\n" + READY


def test_line_ends_around_a_command_are_skipped(dut: Dut) -> None:
    for text in ["\r\nname%", "name%\r\n", "name\r\n%", "\n\n  name  \r\n%\r\n", "\0name%"]:
        assert dut.command(text) == "m-name-dut-[labd]\r\n" + READY


def test_spaces_repeat_and_trailing_words_are_ignored(dut: Dut) -> None:
    assert dut.lines("  name   foo bar%") == ["m-name-dut-[labd]"]
    assert dut.lines("db   load   8  %") == ["m-[Expecting 8 bytes]"]


def test_eighty_characters_are_a_command_and_eighty_one_are_too_long(dut: Dut) -> None:
    assert dut.lines("name" + " " * 76 + "%") == ["m-name-dut-[labd]"]
    assert dut.lines("name" + " " * 77 + "%") == ["e-[Command too long]"]
    assert dut.lines("x" * 5000 + "%") == ["e-[Command too long]"]
    assert dut.lines("name%") == ["m-name-dut-[labd]"]


def test_38_bytes_fit_a_db_line_and_39_do_not(dut: Dut) -> None:
    dut.command("db load 100%")
    assert dut.command(f"db {bytes(38).hex()}%") == READY
    assert dut.lines(f"db {bytes(39).hex()}%") == ["e-[Command too long]"]


def test_commands_sent_back_to_back_are_answered_in_order(dut: Dut) -> None:
    replies = dut.command("name%bogus%profile%")
    assert [line for line in replies.splitlines() if line != "m-ready"] == [
        "m-name-dut-[labd]",
        "e-[Unknown command: bogus]",
        "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
        "m-model-[kws01]",
    ]
    assert replies.count(READY) == 3


def test_commands_before_the_banner_are_dropped_without_a_reply(power_on: Callable[[str], FakeBoard]) -> None:
    board = power_on("performance")
    board.received += b"name%" * 200 + b"prof"
    board.run()
    assert "m-name" not in board.sent.decode()
    assert board.lines("name%") == ["m-name-dut-[labd]"]


def test_bytes_come_one_at_a_time_or_all_at_once(performance: FakeBoard) -> None:
    reply = ""
    for character in "profile%":
        reply += performance.command(character)
    assert reply == performance.command("profile%")


def test_the_single_sample_transcript_of_the_reference(dut: Dut) -> None:
    assert dut.command("db load 4%") == "m-[Expecting 4 bytes]\r\nm-ready\r\n"
    assert dut.command("db 01ff%") == "m-ready\r\n"
    assert dut.command("db 0203%") == "m-load-done\r\nm-ready\r\n"
    assert dut.command("db print%") == "m-buffer-01-ff-02-03\r\n\r\nm-ready\r\n"


def test_print_shows_eight_bytes_a_line_and_an_empty_line_after_a_part_line(dut: Dut) -> None:
    upload(dut, bytes(range(16)))
    assert dut.lines("db print%") == ["m-buffer-00-01-02-03-04-05-06-07", "m-buffer-08-09-0a-0b-0c-0d-0e-0f"]
    upload(dut, bytes(range(240, 250)))
    assert dut.lines("db print 3 1%") == ["m-buffer-f0-f1-f2-f3-f4-f5-f6-f7", "m-buffer-f8-f9", ""]


def test_nothing_is_printed_before_an_upload(dut: Dut) -> None:
    assert dut.command("db print%") == READY


def test_digits_are_of_either_case_and_digits_past_the_end_are_dropped(dut: Dut) -> None:
    dut.command("db load 2%")
    assert dut.command("db aBFfeeee%") == "m-load-done\r\n" + READY
    assert dut.lines("db print%") == ["m-buffer-ab-ff", ""]
    assert dut.lines("db 00%") == ["e-[Command 'db' has no load in progress]"]


def test_too_large_an_upload_is_refused_in_the_words_of_the_reference_and_nothing_stays_half_set(dut: Dut) -> None:
    assert dut.command("db load 30000%") == f"Supplied buffer size 30000 exceeds maximum of 1024\n{READY}"
    assert dut.lines("db 00%") == ["e-[Command 'db' has no load in progress]"]
    assert dut.command("db load 99999999999999999999%").startswith("Supplied buffer size 2147483647 exceeds")


def test_infer_in_the_performance_build_byte_for_byte(performance: FakeBoard) -> None:
    reply = performance.command("infer 2 1%")
    pattern = (
        r"m-warmup-start-1\r\nm-warmup-done\r\nm-infer-start-2\r\nm-lap-us-(\d+)\r\nm-lap-us-(\d+)\r\nm-infer-done\r\n"
        + SCORES
        + r"\r\nm-ready\r\n"
    )
    found = re.fullmatch(pattern, reply)
    assert found, reply
    assert 2 * 10_000 <= int(found[2]) - int(found[1]) <= 2 * 16_000


def test_infer_in_the_energy_build_replaces_the_laps_by_two_falling_edges(energy: FakeBoard) -> None:
    before = len(energy.ops)
    reply = energy.command("infer 3 0%")
    assert re.fullmatch(r"m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-3\r\nm-infer-done\r\n" + SCORES + r"\r\nm-ready\r\n", reply)
    edges = energy.edges(before)
    assert [level for _, level in edges] == [0, 1, 0, 1]
    assert 3 * 10_000_000 <= edges[2][0] - edges[1][0] <= 3 * 16_000_000


@pytest.mark.parametrize(("build", "marks"), [("energy", "pulses"), ("performance", "pulses"), ("performance", "gate")])
def test_nothing_is_printed_inside_a_window(power_on: Callable[[str], FakeBoard], build: str, marks: str) -> None:
    board = power_on(build)
    board.run()
    board.command(f"marks {marks}%")
    before = len(board.ops)
    board.command("infer 3 2%")
    window = board.ops[before:]
    pins = [number for number, op in enumerate(window) if op.op == PIN]
    assert not [op for op in window[pins[0] : pins[-1]] if op.op == UART_TX]
    texts = [op for op in window[: pins[0]] if op.op in {UART_TX, UART_FLUSH}]
    assert texts[-1].op == UART_FLUSH, "the start line is still on the wire when the window opens"


def test_infer_defaults_to_one_inference_and_ten_warm_ups(dut: Dut) -> None:
    assert dut.lines("infer%")[:3] == ["m-warmup-start-10", "m-warmup-done", "m-infer-start-1"]
    assert dut.lines("infer 2%")[:3] == ["m-warmup-start-10", "m-warmup-done", "m-infer-start-2"]
    assert dut.lines("infer 2 x%")[:3] == ["m-warmup-start-0", "m-warmup-done", "m-infer-start-2"]
    assert dut.lines("infer 1x 2y%")[:3] == ["m-warmup-start-2", "m-warmup-done", "m-infer-start-1"]


def test_results_repeat_the_last_inference(dut: Dut) -> None:
    assert dut.lines("results%") == [f"m-results-[{','.join(['0.000'] * 12)}]"]
    last = dut.lines("infer 1 0%")[-1]
    assert dut.lines("results%") == [last]
    assert re.fullmatch(SCORES, last)


def test_an_uploaded_input_changes_the_result(dut: Dut) -> None:
    dut.command("infer 1 0%")
    before = dut.lines("checksum%")
    upload(dut, bytes(range(250)))
    dut.command("infer 1 0%")
    assert dut.lines("checksum%") != before


def test_an_upload_of_another_size_is_reported_and_inference_runs_on_the_data_before(dut: Dut) -> None:
    dut.command("infer 1 0%")
    before = dut.lines("checksum%")
    upload(dut, bytes(249))
    reply = dut.command("infer 1 0%")
    assert reply.startswith("Input db has 249 elemented, expected 250\nm-warmup-start-0\r\n")
    assert dut.lines("checksum%") == before


def test_a_window_holds_only_inference_in_the_energy_build(energy: FakeBoard) -> None:
    before = len(energy.ops)
    energy.command("infer 2 0%")
    window = energy.ops[before:]
    _, first_rise, second_fall, _ = [number for number, op in enumerate(window) if op.op == PIN]
    inside = window[first_rise:second_fall]
    assert {op.phase for op in inside if op.op == SPEND} == {5}
