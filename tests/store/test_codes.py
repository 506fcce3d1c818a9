"""Raw captures: int16 codes in a file of another program, and what one is worth in a TOML file beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labd.errors import FileError, StoreError
from labd.store.codes import Codes, pieces, read_codes

PAIRS = np.arange(20, dtype="<i2").reshape(-1, 2)
TEXT = 'file = "{}"\ndt = "1 us"\n[current]\ngain = "-2 uA"\noffset = "1 mA"\n[voltage]\ngain = "100 uV"\n'


def capture(folder: Path, name: str) -> Codes:
    path = folder / "capture.toml"
    path.write_text(TEXT.format(name), encoding="utf-8")
    return read_codes(path)


def test_raw_pairs_and_both_shapes_of_npy_are_the_same_columns(tmp_path: Path) -> None:
    PAIRS.tofile(tmp_path / "pairs.i16")
    np.save(tmp_path / "pairs.npy", PAIRS)
    np.save(tmp_path / "columns.npy", PAIRS.T.copy())
    for name in ("pairs.i16", "pairs.npy", "columns.npy"):
        ((current, voltage),) = pieces(capture(tmp_path, name).columns())
        np.testing.assert_array_equal(current, PAIRS[:, 0])
        np.testing.assert_array_equal(voltage, PAIRS[:, 1])


def test_what_a_code_is_worth_is_read_in_si_units(tmp_path: Path) -> None:
    found = capture(tmp_path, "pairs.i16")
    assert (found.dt, found.current.gain, found.current.offset, found.voltage.gain, found.voltage.offset) == (1e-6, -2e-6, 1e-3, 1e-4, 0.0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("odd.i16", b"123", "3 bytes"),
        ("empty.i16", b"", "0 bytes"),
        ("text.npy", b"nothing", "no file of int16 codes"),
    ],
)
def test_a_file_of_another_form_is_refused_by_file_and_key(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=rf"capture.toml: file: .*{name}.*{says}"):
        capture(tmp_path, name).columns()


@pytest.mark.parametrize("values", [PAIRS.astype(np.int32), PAIRS.ravel(), PAIRS.reshape(5, 4)], ids=["int32", "one column", "four"])
def test_an_array_of_another_form_is_refused(tmp_path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> None:
    np.save(tmp_path / "other.npy", values)
    with pytest.raises(FileError, match=r"expected int16 \[2, n\] or \[n, 2\]"):
        capture(tmp_path, "other.npy").columns()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing\.i16: cannot be read"):
        capture(tmp_path, "nothing.i16").columns()


def test_a_gain_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "capture.toml"
    path.write_text(TEXT.format("x").replace("100 uV", "0 V"), encoding="utf-8")
    with pytest.raises(FileError, match=r"capture.toml: voltage.gain: .*other than 0"):
        read_codes(path)
