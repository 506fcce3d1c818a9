"""In which order a data set is sent, so that its first part says something of the whole. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace

from labd.accuracy.dataset import Dataset, Sample


def shuffled(dataset: Dataset, *, seed: int) -> Dataset:
    """The same samples, by chance within each class and with the classes spread evenly: a label file is often sorted by class, and its
    first rows then say nothing of the rest. The same for the same data set and seed, so that a run that was broken off goes on.

    Each class is a stratum, and any first part has its share of each to within a sample or two (proportional allocation: Cochran, Sampling
    Techniques, 3rd edition, chapter 5).
    """
    strata: dict[int | None, list[Sample]] = defaultdict(list)
    for sample in sorted(dataset.samples, key=lambda one: _chance(dataset, seed, f"file {one.file}")):
        strata[sample.label].append(sample)
    placed = [
        ((k + _chance(dataset, seed, f"class {label}")) / len(stratum), sample.file, sample)
        for label, stratum in strata.items()
        for k, sample in enumerate(stratum)
    ]
    return replace(dataset, samples=tuple(sample for _, _, sample in sorted(placed, key=lambda one: one[:2])))


def _chance(dataset: Dataset, seed: int, what: str) -> float:
    """0 to 1; of a hash, which no version of Python draws otherwise."""
    digest = hashlib.sha256(f"{dataset.sha256}\0{seed}\0{what}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
