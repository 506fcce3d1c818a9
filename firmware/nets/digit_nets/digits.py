"""Handwritten digits, 8 x 8 pixels of 0..16 (UCI optical recognition of handwritten digits, as scikit-learn has it), split once for all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Ints = NDArray[np.int64]
EVERY = 5  # of the samples in scikit-learn's order, the last of so many is tested with
SIDE, LEVELS, CLASSES = 8, 16, 10
INPUT = SIDE * SIDE


@dataclass(frozen=True, slots=True)
class Split:
    """inputs: [sample, 64], 0..16, row by row. labels: [sample]."""

    inputs: Ints
    labels: Ints


def digits() -> tuple[Split, Split]:
    """To train with, and to test with."""
    loaded = load_digits()
    inputs, labels = loaded.data.astype(np.int64), loaded.target.astype(np.int64)
    tested = np.arange(len(labels)) % EVERY == EVERY - 1
    return Split(inputs[~tested], labels[~tested]), Split(inputs[tested], labels[tested])


def write_dataset(folder: Path, split: Split) -> None:
    """As `labd accuracy` reads it: a file of 64 bytes a sample, and y_labels.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (pixels, label) in enumerate(zip(split.inputs, split.labels, strict=True)):
        name = f"digit_{number:03d}.bin"
        (folder / name).write_bytes(pixels.astype(np.int8).tobytes())
        rows.append(f"{name},{CLASSES},{label}\n")
    (folder / "y_labels.csv").write_text("".join(rows), encoding="utf-8")
