"""A model as labd counts it: its layers with their work, its stored tensors, and the figures that follow. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from labd.kpi.facts import OPS_PER_MAC


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator. kind: as its format calls it. macs: multiply-accumulates of one inference, without biases. outputs: elements;
    out_bytes: of its largest output. neurons: outputs, where it has weights."""

    kind: str
    macs: int = 0
    outputs: int = 0
    out_bytes: int = 0
    neurons: int = 0


@dataclass(frozen=True, slots=True)
class Weights:
    """One stored tensor of parameters. nonzero: of its elements. bias: adds and multiplies nothing, so that sparsity leaves it out."""

    name: str
    elements: int
    nonzero: int
    bits: int
    bias: bool = False


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """format: `onnx`, `tflite` or `nir`. activation_bits: elements of layers' outputs by bit width. uncounted: operators whose work is not
    known, with the reason. file_bytes: of the file."""

    format: str
    layers: tuple[Layer, ...]
    weights: tuple[Weights, ...]
    file_bytes: int
    activation_bits: Mapping[int, int] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFigure:
    """One figure: id of the KPI table, value (None: the file does not tell), UCUM unit and what it is."""

    id: str
    value: float | None
    unit: str
    definition: str


def figures(graph: ModelGraph) -> tuple[ModelFigure, ...]:
    """Every figure that a file tells. MACs are None where a layer's work is not known."""
    macs = None if graph.uncounted else sum(layer.macs for layer in graph.layers)
    synapses = [one for one in graph.weights if not one.bias]
    elements = sum(one.elements for one in synapses)
    zero = elements - sum(one.nonzero for one in synapses)
    largest = max((layer.out_bytes for layer in graph.layers), default=0)
    return (
        ModelFigure("model.macs", macs, "1", "multiply-accumulates of one inference, biases left out"),
        ModelFigure(
            "model.ops", None if macs is None else OPS_PER_MAC * macs, "1", "operations (FLOPs, a count): two a multiply-accumulate"
        ),
        ModelFigure("model.parameters", sum(one.elements for one in graph.weights), "1", "stored weights, biases and other parameters"),
        *_bits("model.weight_bits", weight_bits(graph), "parameters"),
        *_bits("model.activation_bits", graph.activation_bits, "activations"),
        ModelFigure("model.layers", len(graph.layers), "1", ", ".join(f"{count} {kind}" for kind, count in structure(graph).items())),
        ModelFigure("model.neurons", sum(layer.neurons for layer in graph.layers), "1", "outputs of layers with weights"),
        ModelFigure("model.weight_sparsity", zero / elements if elements else None, "1", "share of zero weights, biases left out"),
        ModelFigure("model.max_activation", largest, "By", "largest output of any one layer"),
        ModelFigure("model.footprint", footprint(graph), "By", "all stored parameters, zeros included"),
        ModelFigure("model.footprint.file", graph.file_bytes, "By", "the file"),
    )


def structure(graph: ModelGraph) -> Mapping[str, int]:
    """Layers by kind, the most frequent first."""
    return dict(Counter(layer.kind for layer in graph.layers).most_common())


def weight_bits(graph: ModelGraph) -> Mapping[int, int]:
    """Elements of parameters by bit width."""
    found: Counter[int] = Counter()
    for one in graph.weights:
        found[one.bits] += one.elements
    return dict(found)


def footprint(graph: ModelGraph) -> float:
    return sum(one.elements * one.bits for one in graph.weights) / 8


def _bits(kpi: str, histogram: Mapping[int, int], of: str) -> tuple[ModelFigure, ...]:
    total = sum(histogram.values())
    if not total:
        return ()
    mean = sum(bits * count for bits, count in histogram.items()) / total
    shares = ", ".join(f"{count / total:.1%} of {bits} bit" for bits, count in sorted(histogram.items()))
    return (ModelFigure(kpi, mean, "bit", f"mean over {of}: {shares}"),)
