"""Turning a PPK2's bytes into current and logic lines: against ppk2-api's own parser (peer) and against one look-up a sample (limit)."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.ratios.figures import Ratio, compare
from labd_instruments.drivers._ppk2 import metadata
from labd_instruments.drivers._ppk2_stream import Decoder, current_table

SAMPLES = 1600 * 64  # a little more than a second; whole turns of the counter, so that it may follow itself
STAY = 400  # samples on one range: 4 ms, as a board that wakes and sleeps
ROUNDS = 50  # of one second each in a timing of labd's and of the limit; ppk2-api is given one, which takes it longer
VOLT = 3.0
FILTERED = 3  # samples after a change of range that ppk2-api smooths, which labd does not
PEER, LIMIT = ("ppk2-api PPK2_API.get_samples", "peer"), ("numpy.take of the same table, nothing checked", "limit")
# of a real instrument, as the Rust crate ppk2 shows them
COEFFICIENTS = {
    "R": "1003.3506 101.5865 10.3027 0.9636 0.0564",
    "GS": "0.0000 112.7890 18.0115 2.4217 0.0729",
    "GI": "1.0000 0.9695 0.9609 0.9519 0.9582",
    "O": "112.9420 75.4627 64.6020 50.4983 87.2177",
    "S": "0.000000048 0.000000596 0.000005281 0.000062577 0.002940743",
    "I": "-0.000000104 -0.000001443 0.000036439 -0.000374119 -0.009388455",
    "UG": "1.00 1.00 1.00 1.00 1.00",
}


def ppk2_stream() -> list[Ratio]:
    """labd's parser also checks the counter of every sample, its range code and the converter's end; ppk2-api checks nothing."""
    text = "\n".join(f"{key}{k}: {v}" for key, row in COEFFICIENTS.items() for k, v in enumerate(row.split()))
    text = f"Calibrated: 0\nVDD: 3000\nHW: 9173\nmode: 2\n{text}\nIA: 56\nEND\n"
    words = _words()
    data, sent = words.view(np.uint8), words.tobytes()
    calibration = metadata(text, "ppk").calibration
    decoder, table = Decoder("ppk", calibration, VOLT), current_table(calibration, VOLT)
    with _peer(text) as kit:
        _same_data(decoder, kit, words)
        _every_loss_found(Decoder("ppk", calibration, VOLT), words)

        def own() -> None:
            for _ in range(ROUNDS):
                decoder.decode(data)

        def peer() -> object:
            return kit.get_samples(sent)

        def limit() -> None:
            for _ in range(ROUNDS):
                table.take(words & np.uint32(0x1FFFF))

        others = {PEER: peer, LIMIT: limit}
        found = compare("parse a PPK2's stream", f"{SAMPLES} samples", own, others, least={PEER: 100.0})
        return [_a_round(ratio) if ratio.kind == "peer" else ratio for ratio in found]


def _a_round(ratio: Ratio) -> Ratio:
    """The peer has done one round where labd has done all."""
    return dataclasses.replace(ratio, ratio=ratio.ratio * ROUNDS, low=ratio.low * ROUNDS, high=ratio.high * ROUNDS)


def _words() -> NDArray[np.uint32]:
    rng = np.random.default_rng(5)
    n = np.arange(SAMPLES, dtype=np.uint32)
    ranges = np.repeat(rng.integers(0, 5, SAMPLES // STAY, dtype=np.uint32), STAY)
    made = (
        rng.integers(100, 4000, SAMPLES, dtype=np.uint32)
        | ranges << 14
        | n % 64 << 18
        | rng.integers(0, 256, SAMPLES, dtype=np.uint32) << 24
    )
    return made.astype("<u4")


@contextlib.contextmanager
def _peer(text: str) -> Iterator[Any]:
    """Its parser needs a port to be made; nothing goes over it."""
    from ppk2_api.ppk2_api import PPK2_API

    master, slave = os.openpty()
    try:
        kit = PPK2_API(os.ttyname(slave))
        assert kit._parse_metadata(text)
        kit.current_vdd = round(VOLT * 1e3)
        yield kit
        kit.ser.close()
    finally:
        os.close(slave)
        os.close(master)


def _same_data(decoder: Decoder, kit: Any, words: NDArray[np.uint32]) -> None:
    """A fast reader of something else would win every race."""
    ours = decoder.decode(words.view(np.uint8))
    microamperes, lines = kit.get_samples(words.tobytes())
    changed = np.flatnonzero(np.diff(words >> 14 & 7)) + 1
    plain = np.ones(len(words), bool)
    plain[(changed[:, None] + np.arange(FILTERED)).ravel()] = False
    assert np.allclose(ours.current[plain], np.array(microamperes)[plain] * 1e-6, rtol=1e-6, atol=1e-12), "labd's current is another one"
    assert ours.digital.tolist() == lines, "labd's logic lines are others"
    assert not ours.gaps, "labd sees a loss where there is none"


def _every_loss_found(decoder: Decoder, words: NDArray[np.uint32]) -> None:
    """1 to 63 samples at a time, 1000 times, each told with its place and length."""
    rng = np.random.default_rng(6)
    places = np.arange(1, 1001) * 100
    lengths = rng.integers(1, 64, len(places))
    gone = np.concatenate([np.arange(p, p + n) for p, n in zip(places, lengths, strict=True)])
    found = decoder.decode(np.delete(words, gone).view(np.uint8)).gaps
    expected = [(int(p - before), int(n)) for p, n, before in zip(places, lengths, np.cumsum(lengths) - lengths, strict=True)]
    assert list(found) == expected, "labd has missed a loss"
