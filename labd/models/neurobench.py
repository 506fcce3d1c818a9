"""Reads what NeuroBench saved of a model (flat JSON; definitions: NeuroBench 2.3, docs/metrics)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from labd.models.graph import ModelFigure

KNOWN = {
    "footprint": ("model.footprint", "By", "parameters and buffers, zeros included"),
    "parametercount": ("model.parameters", "1", "parameters"),
    "connectionsparsity": ("model.weight_sparsity", "1", "zero weights over all, biases of recurrent layers included"),
    "activationsparsity": ("model.activation_sparsity", "1", "zero outputs of activations over all, over layers, time steps and samples"),
    "effectivemacs": ("model.effective_macs", "1", "a sample: neither weight nor input is zero, inputs are numbers"),
    "effectiveacs": ("model.effective_acs", "1", "a sample: neither weight nor input is zero, inputs are spikes"),
    "dense": ("model.dense_synops", "1", "a sample: all connections, zeros included"),
    "membraneupdates": ("model.neuron_updates", "1", "a sample: changes of membrane potentials"),
}


def read_neurobench(data: bytes) -> tuple[ModelFigure, ...]:
    """Figures that NeuroBench has names for; others are left out. Raises ValueError for anything that is no such JSON."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(  # noqa: TRY004  of what the file holds
            f"a NeuroBench result is an object, this is a {type(document).__name__}"
        )
    found = []
    for name, value in _flat(document).items():
        known = KNOWN.get(re.sub(r"[^a-z]", "", name.lower()))
        if known is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name} is {value!r}, a number from 0 on is meant")
        if known[0].endswith("sparsity") and value > 1:
            raise ValueError(f"{name} is {value!r}, a share from 0 to 1 is meant")
        found.append(ModelFigure(known[0], float(value), known[1], f"NeuroBench: {known[2]}"))
    if not found:
        raise ValueError(f"no figure of NeuroBench is in it; there are {', '.join(KNOWN)}")
    return tuple(found)


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Synaptic operations are an object of their own."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= _flat(value) if isinstance(value, dict) else {name: value}
    return found
