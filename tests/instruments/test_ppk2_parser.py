"""A PPK2's metadata and stream as bytes: what they say, and that nothing which is not whole becomes a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from labd_instruments.drivers._ppk2 import Metadata, metadata
from labd_instruments.drivers._ppk2_stream import Decoder, current_table
from labd_instruments.errors import ReplyError, WrongInstrumentError
from labd_virtual.instruments.nordic_ppk2_model import COEFFICIENTS
from labd_virtual.instruments.nordic_ppk2_model import metadata as said_by


def real() -> Metadata:
    return metadata(said_by(COEFFICIENTS, vdd_mv=3000, mode=2), "ppk")


def test_another_instruments_answer_is_another_instrument() -> None:
    with pytest.raises(WrongInstrumentError, match="Toaster"):
        metadata("ACME: Toaster\nEND", "ppk")


@pytest.mark.parametrize("line", ["R0", "GS1", "GI2", "O3", "S4", "I0", "UG1"])
def test_a_calibration_that_is_not_whole_is_none(line: str) -> None:
    whole = said_by(COEFFICIENTS, vdd_mv=3000, mode=2).splitlines()
    with pytest.raises(ReplyError, match=f"have no {line}"):
        metadata("\n".join(text for text in whole if not text.startswith(f"{line}:")), "ppk")


@pytest.mark.parametrize(
    ("code", "adc", "ampere"),
    [
        # worked by hand at 3 V: r = (4 adc - O) * 1.8 / 163840 / R, then the quadratic, then 3 S, then I
        (0, 1000, 4.256_189e-5 + 1.44e-7 - 1.04e-7),  # r = (4000 - 112.942) * 1.098_633e-5 / 1003.3506, GS = 0, GI = 1
        (1, 1000, 4.318_017e-4 + 1.788e-6 - 1.443e-6),  # r = 4.244_290e-4, r * (112.789 r + 0.9695)
        (2, 1000, 4.349_642e-3 + 1.5843e-5 + 3.6439e-5),  # r = 4.196_528e-3, r * (18.0115 r + 0.9609)
        (3, 1000, 4.777_407e-2 + 1.877_31e-4 - 3.741_19e-4),  # r = 4.502_960e-2, r * (2.4217 r + 0.9519)
        (4, 500, 0.367_142_7 + 8.822_229e-3 - 9.388_455e-3),  # r = 0.372_596_7, r * (0.0729 r + 0.9582)
    ],
)
def test_a_current_is_what_the_formula_gives(code: int, adc: int, ampere: float) -> None:
    table = current_table(real().calibration, 3.0)
    assert table[code << 14 | adc] == pytest.approx(ampere, rel=2e-6)


def words(count: int, *, code: int = 2, adc: int = 500, lost: slice | None = None) -> Any:
    """Samples whose counter counts, as the bytes of the stream."""
    n = np.arange(count, dtype=np.uint32)
    made = np.uint32(code << 14 | adc) | (n % 64) << 18 | (n % 251) << 24
    return (made if lost is None else np.delete(made, lost)).astype("<u4").view(np.uint8)


@pytest.mark.parametrize("pieces", [1, 3, 7, 4096])
def test_bytes_may_come_in_any_pieces(pieces: int) -> None:
    decoder, data = Decoder("ppk", real().calibration, 3.0), words(1500)
    parts = [decoder.decode(data[k : k + pieces]) for k in range(0, len(data), pieces)]
    assert not any(p.gaps for p in parts)
    digital = np.concatenate([p.digital for p in parts])
    assert np.array_equal(digital, np.arange(len(digital)) % 251)
    assert len(digital) + decoder.waiting == 1500
    assert decoder.waiting < 64


@pytest.mark.parametrize("missing", range(1, 64))
def test_every_loss_of_1_to_63_samples_is_found_at_its_place_wherever_the_bytes_are_cut(missing: int) -> None:
    data = words(2000, lost=slice(777, 777 + missing))
    for cut in (777 * 4, 1000 * 4 + 1):
        decoder = Decoder("ppk", real().calibration, 3.0)
        first, second = decoder.decode(data[:cut]), decoder.decode(data[cut:])
        found = [*first.gaps, *((len(first.current) + k, lost) for k, lost in second.gaps)]
        assert found == [(777, missing)]


def test_all_of_many_losses_are_found() -> None:
    rng = np.random.default_rng(7)
    places = np.sort(rng.choice(np.arange(200, 99_000, 100), 300, replace=False))
    lengths = rng.integers(1, 64, len(places))
    gone = np.concatenate([np.arange(p, p + n) for p, n in zip(places, lengths, strict=True)])
    data = words(100_000).reshape(-1, 4)
    found = Decoder("ppk", real().calibration, 3.0).decode(np.delete(data, gone, axis=0).ravel()).gaps
    assert [lost for _, lost in found] == lengths.tolist()


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_bytes_out_of_step_are_never_samples(shift: int) -> None:
    for adc in (500, 8191, 3):
        with pytest.raises(ReplyError, match="out of step"):
            Decoder("ppk", real().calibration, 3.0).decode(words(1000, adc=adc)[shift:])


def test_a_sample_at_the_end_of_the_converter_is_no_number() -> None:
    found = Decoder("ppk", real().calibration, 3.0).decode(words(100, code=4, adc=16383))
    assert found.saturated
    assert np.isnan(found.current).all()
