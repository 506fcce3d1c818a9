"""The double of stock firmware does what the running reference was seen to do, byte for byte, and dies where that dies."""

from __future__ import annotations

import pytest

from tests.dut.stock_firmware import AD, BEYOND, KWS, UPLOAD_SIZE, VWW, StockFirmware, StockModel
from tests.dut.wrong_baud import resampled

FOUR = StockModel("ic01", 4, lambda _: [0.0, 0.0], lambda values: ",".join(f"{value:.3f}" for value in values) + ",")
READY = b"m-ready\r\n"
# as recorded from a build of the reference
TRANSCRIPT = [
    (b"name%", b"m-name-dut-[unspecified]\r\n"),
    (b"  name foo%", b"m-name-dut-[unspecified]\r\n"),
    (b"profile%", b"m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[ic01]\r\n"),
    (b"db load 4%", b"m-[Expecting 4 bytes]\r\n"),
    (b"db 01ff%", b""),
    (b"db 0203%", b"m-load-done\r\n"),
    (b"db print%", b"m-buffer-01-ff-02-03\r\n\r\n"),
    (b"db print 2 1%", b"m-buffer-01-ff-02-03\r\n\r\n"),
    (b"bogus%", b"e-[Unknown command: bogus]\r\n"),
    (b"NAME%", b"e-[Unknown command: NAME]\r\n"),
    (b"\r\nname%", b"e-[Unknown command: \r\nname]\r\n"),
    (b"db%", b"e-[Command 'db' requires a subcommand]\r\n"),
    (b"db load%", b"e-[Command 'db load' requires the # of bytes]\r\n"),
    (b"db load 0%", b"e-[Command 'db load' must be >0 bytes]\r\n"),
    (b"db 123%", b"e-[Insufficent number of hex digits]\r\n"),
    (b"db 12zz%", b"e-[Invalid hex digit 'zz']\r\n"),
    (b"infer 0%", b"e-[Inference iterations must be >0]\r\n"),
    (b"infer 1 -1%", b"e-[Inference warmup must be >=0]\r\n"),
    (b"db load 30000%", b"Supplied buffer size 30000 exceeds maximum of 27648\n"),
]


def booted(model: StockModel = FOUR, *, energy: bool = False, counter_us: float = 1600.0) -> StockFirmware:
    firmware = StockFirmware(model, energy=energy, counter_us=counter_us)
    firmware.boot()
    return firmware


@pytest.mark.parametrize(("sent", "answer"), TRANSCRIPT, ids=[sent.decode() for sent, _ in TRANSCRIPT])
def test_each_command_is_answered_as_the_reference_answers(sent: bytes, answer: bytes) -> None:
    firmware = booted()
    before = next(k for k, (text, _) in enumerate(TRANSCRIPT) if text == sent)
    for text, _ in TRANSCRIPT[:before]:
        firmware.feed(text)
    assert firmware.feed(sent) == answer + READY


def test_the_banners_are_those_of_the_two_builds() -> None:
    assert StockFirmware(counter_us=1725).boot() == b"m-timestamp-mode-performance\r\nm-lap-us-1725\r\nm-init-done\r\nm-ready\r\n"
    energy = StockFirmware(energy=True)
    assert energy.boot() == b"m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n"
    assert [one.what for one in energy.done].count("hold") == 1


def test_an_inference_prints_its_laps_and_a_trailing_comma() -> None:
    assert booted(counter_us=2**32 - 1000).feed(b"infer 1 0%") == (
        b"Input db has 0 elemented, expected 4\nm-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-1\r\nm-lap-us-4294966396\r\n"
        b"m-lap-us-1159\r\nm-infer-done\r\nm-results-[0.000,0.000,]\r\nm-ready\r\n"
    )
    assert b"m-warmup-start-10\r\n" in booted().feed(b"infer 1%")
    assert booted(VWW).feed(b"infer 1 0%").count(b",]") == 1
    assert b"," not in booted(AD).feed(b"results%" * 0 + b"infer 1 0%").split(b"m-results-")[1]


def test_kws_prints_digits_by_hand() -> None:
    assert KWS.show([1.0, 0.25, 0.0]) == "0.1000,0.250,0.000"


def test_a_bare_terminator_kills_it() -> None:
    for blank in (b"%", b"  %"):
        firmware = booted()
        assert firmware.feed(blank) == b""
        assert firmware.dead
        assert firmware.feed(b"name%") == b""


def test_commands_before_the_first_ready_are_dropped_without_a_word() -> None:
    firmware = StockFirmware()
    firmware.power_on()
    assert firmware.feed(b"name%") == b""
    firmware.finish_boot()
    assert firmware.feed(b"name%").endswith(READY)


def test_a_command_that_is_too_long_loses_its_last_characters() -> None:
    firmware = booted()
    firmware.feed(b"db load 100%")
    assert firmware.feed(b"db " + b"00" * 38 + b"%") == READY
    assert firmware.feed(b"db " + b"00" * 39 + b"%") == b"e-[Insufficent number of hex digits]\r\n" + READY


def test_bytes_behind_an_upload_are_written_until_they_kill() -> None:
    firmware = booted()
    firmware.feed(b"db load 4%db 01020304%")
    firmware.feed(b"db 0506%")
    assert firmware.written_past_end == 2
    for _ in range((UPLOAD_SIZE + BEYOND) // 30 + 1):
        firmware.feed(b"db " + b"00" * 30 + b"%")
    assert firmware.dead


def test_bytes_at_the_wrong_rate_are_others_and_at_the_right_rate_the_same() -> None:
    data = b"m-ready\r\n"
    assert resampled(data, 9600, 9600) == data
    assert len(resampled(data, 9600, 115200)) > len(data)
    assert len(resampled(data, 115200, 9600)) < len(data)
