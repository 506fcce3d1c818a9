"""Reads a NIR graph (neuromorphic intermediate representation, HDF5): neurons, synapses, and dense synaptic operations of one time step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from labd.models.graph import Layer, ModelGraph, Weights

NEURONS = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I")
BROKEN = (OSError, KeyError, ValueError, TypeError, AttributeError, AssertionError, IndexError, RuntimeError, NotImplementedError)


def read_nir(path: Path) -> ModelGraph:
    """A layer's `macs` are its dense synaptic operations a time step. Raises ValueError for a file that is no NIR graph; ImportError
    without the nir package."""
    import nir

    try:
        graph = nir.read(path)
        nodes = list(_flat(graph))
        if not nodes:
            raise ValueError("it has no nodes")
        layers = tuple(_layer(node) for node in nodes)
        weights = tuple(one for k, node in enumerate(nodes) for one in _weights(k, node))
    except BROKEN as error:
        raise ValueError(f"no NIR graph: {error}") from error
    lacking = tuple(f"{layer.kind}: its size is not known" for layer in layers if layer.kind.startswith("Conv") and not layer.macs)
    return ModelGraph("nir", layers, weights, path.stat().st_size, {}, lacking)


def _flat(graph: Any) -> Any:
    """Nodes of a graph and of those within it, without inputs and outputs."""
    for node in graph.nodes.values():
        kind = type(node).__name__
        if kind == "NIRGraph":
            yield from _flat(node)
        elif kind not in ("Input", "Output"):
            yield node


def _layer(node: Any) -> Layer:
    kind = type(node).__name__
    outputs = sum(math.prod(int(size) for size in np.ravel(shape)) for shape in (node.output_type or {}).values() if shape is not None)
    if kind in NEURONS:
        return Layer(kind, 0, outputs, 0, outputs)
    weight = getattr(node, "weight", None)
    if weight is None:
        return Layer(kind, 0, outputs)
    if kind in ("Conv1d", "Conv2d"):  # [out, in / groups, ...]
        return Layer(kind, outputs * math.prod(weight.shape[1:]), outputs)
    return Layer(kind, int(np.size(weight)), outputs)


def _weights(number: int, node: Any) -> list[Weights]:
    found = []
    for name in ("weight", "bias"):
        values = getattr(node, name, None)
        if values is not None:
            array = np.asarray(values)
            title = f"{type(node).__name__} {number} {name}"
            found.append(Weights(title, int(array.size), int(np.count_nonzero(array)), 8 * array.itemsize, name == "bias"))
    return found
