"""What is known of a model and of its hardware beside the measurement: counts and declared figures, each with where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from labd.records import Provenance

OPS_PER_MAC = 2  # a multiplication and an addition; the convention that every operation count of labd follows


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure in SI units. half_width: limit of its error, 0 for a count. source: file, counter or document, in words."""

    value: float
    provenance: Provenance
    source: str = ""
    half_width: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.value < 0:
            raise ValueError(f"{self.value!r} is no figure of a model or a chip: a finite number, 0 or more, is meant")
        if not 0 <= self.half_width < math.inf:
            raise ValueError(f"the half-width {self.half_width!r} is no limit of error: 0 or more is meant")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Of one model, work as a mean over inferences. macs: multiply-accumulates; synops: synaptic operations; spikes: of all neurons.

    inferences: so many were counted, 0 where the counts are of a file.
    """

    name: str
    macs: Fact | None = None
    synops: Fact | None = None
    spikes: Fact | None = None
    neuron_updates: Fact | None = None
    parameters: Fact | None = None
    inferences: int = 0


@dataclass(frozen=True, slots=True)
class HardwareFacts:
    """Of one chip. peak_ops_hz: operations a second (two a MAC); die_area_m2; memory_bytes: on chip; bandwidth_bit_s: of the memory."""

    name: str
    peak_ops_hz: Fact | None = None
    die_area_m2: Fact | None = None
    memory_bytes: Fact | None = None
    bandwidth_bit_s: Fact | None = None
    max_frequency_hz: Fact | None = None
    bits: Fact | None = None
    network_size: Fact | None = None


def model_facts(name: str, declared: Mapping[str, float], *, source: str) -> ModelFacts:
    """Of a model card. declared: by the names of the fields, SI. Raises ValueError for a name that is none, or a value out of range."""
    return replace(ModelFacts(name), **_facts(ModelFacts, declared, source))


def hardware_facts(name: str, declared: Mapping[str, float], *, source: str) -> HardwareFacts:
    """Of a hardware card; see `model_facts`."""
    return replace(HardwareFacts(name), **_facts(HardwareFacts, declared, source))


def _facts(kind: type[ModelFacts] | type[HardwareFacts], declared: Mapping[str, float], source: str) -> dict[str, Any]:
    known = [f.name for f in fields(kind) if f.name not in ("name", "inferences")]
    for name in declared:
        if name not in known:
            raise ValueError(f"{name} is no figure of {source}; there are {', '.join(known)}")
    return {name: Fact(value, Provenance.DECLARED, source) for name, value in declared.items()}
