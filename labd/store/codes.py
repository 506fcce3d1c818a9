"""Raw captures of other programs: a TOML file says where their integer codes are and what one is worth; they stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from labd.config import quantity as q
from labd.config.document import FileSection, read_section
from labd.config.section import Section, Wrong
from labd.config.types import As, Seconds, Words
from labd.errors import FileError, StoreError

AT_ONCE = 1 << 23  # samples

AnyAmperes = Annotated[float, As(q.CURRENT, least=None)]
AnyVolts = Annotated[float, As(q.VOLTAGE, least=None)]


class CurrentScale(Section):
    """What a code of the current is worth: code*gain + offset."""

    gain: AnyAmperes
    offset: AnyAmperes = 0.0

    def wrong(self) -> Iterator[Wrong]:
        yield from _no_gain(self.gain)


class VoltageScale(Section):
    """What a code of the voltage is worth: code*gain + offset."""

    gain: AnyVolts
    offset: AnyVolts = 0.0

    def wrong(self) -> Iterator[Wrong]:
        yield from _no_gain(self.gain)


class Codes(FileSection):
    """A file of int16 codes, two for each sample: current and voltage.

    file: `.npy` of the shape [2, n] (current, then voltage) or [n, 2] (pairs); any other name is raw pairs, little-endian, without a
    head. A name that is not absolute is looked for beside this file. dt: from one sample to the next.
    """

    kind: ClassVar[str] = "raw capture"

    file: Words
    dt: Seconds
    current: CurrentScale
    voltage: VoltageScale

    def columns(self) -> NDArray[np.int16]:
        """The codes where they lie in the file, int16 [2, n], mapped into memory. Raises StoreError, FileError for one of another form."""
        path = self.path.parent / self.file
        try:
            mapped = np.load(path, mmap_mode="r") if path.suffix == ".npy" else _raw(path)
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise FileError(str(self.path), "file", f"{path} is no file of int16 codes: {error}") from error
        if mapped.dtype != np.dtype("<i2") or mapped.ndim != 2 or 2 not in mapped.shape:
            text = f"{path} holds {mapped.dtype} {list(mapped.shape)}; expected int16 [2, n] or [n, 2]"
            raise FileError(str(self.path), "file", text)
        found: NDArray[np.int16] = mapped if mapped.shape[0] == 2 else mapped.T
        return found


def read_codes(path: Path) -> Codes:
    """Raises FileError."""
    found, source = read_section(path, Codes)
    found._source = source
    return found


def pieces(columns: NDArray[np.int16]) -> Iterator[tuple[NDArray[np.int16], NDArray[np.int16]]]:
    """Current and voltage, one after the other; pairs are taken apart, a piece at a time."""
    for start in range(0, columns.shape[1], AT_ONCE):
        current, voltage = (np.ascontiguousarray(column[start : start + AT_ONCE]) for column in columns)
        yield current, voltage


def _raw(path: Path) -> NDArray[Any]:
    size = path.stat().st_size
    if not size or size % 4:
        raise ValueError(f"it has {size} bytes, and pairs of int16 have a multiple of 4")
    return np.memmap(path, "<i2", mode="r").reshape(-1, 2)


def _no_gain(gain: float) -> Iterator[Wrong]:
    if not gain:
        yield Wrong("gain", "is 0, so that every code would be worth the same; expected a value other than 0")
