"""Reads an ONNX file: shapes by onnx's own inference, work by the operators' definitions (onnx/docs/Operators.md)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from labd.models.graph import Layer, ModelGraph, Weights

Shape = tuple[int, ...] | None
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# operators that multiply weights with activations and that this module cannot count; everything else multiplies none
UNKNOWN_WORK = {"Einsum", "Attention", "DeformConv", "If", "Loop", "Scan"}
BIASED = {"Conv", "ConvTranspose", "Gemm", "QLinearConv"}


def read_onnx(data: bytes) -> ModelGraph:
    """Raises ValueError for bytes that are no ONNX model, or whose shapes contradict each other; ImportError without onnx."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ValueError(f"no ONNX model: {error}") from error
    if not model.graph.node:
        raise ValueError("no ONNX model: it has no operators")
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        raise ValueError(f"its shapes cannot be inferred: {str(error).splitlines()[0]}") from error
    return _Reader(model).graph(len(data))


class _Reader:
    def __init__(self, model: Any) -> None:
        from onnx import numpy_helper

        graph = model.graph
        try:
            self._constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        except (ValueError, TypeError, FileNotFoundError) as error:
            raise ValueError(f"its stored tensors cannot be read: {error}") from error
        for node in graph.node:
            if node.op_type == "Constant":
                tensors = [a.t for a in node.attribute if a.name == "value"]
                self._constants.update((node.output[0], numpy_helper.to_array(one)) for one in tensors)
        self._nodes = [node for node in graph.node if node.op_type != "Constant"]
        self._types = {one.name: one.type.tensor_type for one in (*graph.input, *graph.output, *graph.value_info)}
        self._dequantised = {n.output[0]: n.input[0] for n in self._nodes if n.op_type == "DequantizeLinear"}
        self._uncounted: list[str] = []

    def graph(self, file_bytes: int) -> ModelGraph:
        layers = tuple(self._layer(node) for node in self._nodes)
        widths: Counter[int] = Counter()
        for node in self._nodes:
            shape = self._shape(node.output[0])
            if shape is not None:
                widths[self._bits(node.output[0])] += math.prod(shape)
        return ModelGraph("onnx", layers, self._weights(), file_bytes, dict(widths), tuple(self._uncounted))

    def _shape(self, name: str) -> Shape:
        """None where it is not known; a free dimension, such as the batch, is 1."""
        if name in self._constants:
            return tuple(self._constants[name].shape)
        kind = self._types.get(name)
        if kind is None or not kind.HasField("shape"):
            return None
        return tuple(d.dim_value if d.HasField("dim_value") else 1 for d in kind.shape.dim)

    def _bits(self, name: str) -> int:
        import onnx

        kind = self._types.get(name)
        element = onnx.TensorProto.FLOAT if kind is None else kind.elem_type
        return (
            4 if element in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4) else 8 * onnx.helper.tensor_dtype_to_np_dtype(element).itemsize
        )

    def _layer(self, node: Any) -> Layer:
        shapes = [shape for name in node.output if name and (shape := self._shape(name)) is not None]
        outputs = math.prod(shapes[0]) if shapes else 0
        sizes = [
            math.prod(self._shape(name) or ()) * self._bits(name) // 8 for name in node.output if name and self._shape(name) is not None
        ]
        macs = self._macs(node)
        if macs is None:
            self._uncounted.append(f"{node.op_type} {node.name or node.output[0]}: its work is not known")
        weighted = any(self._source(name) in self._constants for name in node.input) and bool(macs)
        return Layer(node.op_type, macs or 0, outputs, max(sizes, default=0), outputs if weighted else 0)

    def _source(self, name: str) -> str:
        """The stored tensor behind a dequantised one."""
        return str(self._dequantised.get(name, name))

    def _macs(self, node: Any) -> int | None:
        """None where the operator multiplies and its shapes are not known."""
        kind = node.op_type
        if kind in UNKNOWN_WORK:
            return None
        places = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3), "ConvTranspose": (0, 1)}
        if kind in places:
            data, kernel = (self._shape(node.input[k]) for k in places[kind])
            out = self._shape(node.output[0])
            if data is None or kernel is None or out is None:
                return None
            # the kernel of Conv is [out, in / groups, ...], that of ConvTranspose [in, out / groups, ...]
            return math.prod(data if kind == "ConvTranspose" else out) * math.prod(kernel[1:])
        products = {"Gemm": 0, "MatMul": 0, "MatMulInteger": 0, "QLinearMatMul": 0}
        if kind in products:
            first, out = self._shape(node.input[0]), self._shape(node.output[0])
            if not first or out is None:
                return None
            across = any(a.name == "transA" and a.i for a in node.attribute)
            return math.prod(out) * (first[0] if across else first[-1])
        if kind in GATES:
            return self._recurrent(node)
        return 0

    def _recurrent(self, node: Any) -> int | None:
        """X [steps, batch, in], W [directions, gates x hidden, in], R [directions, gates x hidden, hidden]; none with peepholes."""
        data, kernel, again = (self._shape(name) for name in node.input[:3])
        if data is None or kernel is None or again is None or (node.op_type == "LSTM" and len(node.input) > 7 and node.input[7]):
            return None
        layout = any(a.name == "layout" and a.i for a in node.attribute)
        steps, batch = (data[1], data[0]) if layout else data[:2]
        return int(steps * batch * (math.prod(kernel) + math.prod(again)))

    def _weights(self) -> tuple[Weights, ...]:
        """Stored tensors that operators compute with: no shapes, axes, scales or zero points."""
        used = self._used()
        return tuple(
            Weights(name, int(self._constants[name].size), int(np.count_nonzero(self._constants[name])), self._width(name), bias)
            for name, bias in used.items()
        )

    def _width(self, name: str) -> int:
        kind = self._constants[name].dtype
        return 4 if kind.name in ("int4", "uint4") else 8 * kind.itemsize

    def _used(self) -> Mapping[str, bool]:
        """Name of each stored parameter -> whether it is a bias."""
        found: dict[str, bool] = {}
        for node in self._nodes:
            for place, name in enumerate(node.input):
                source = self._source(name)
                if source in self._constants and place in _parameters(node.op_type):
                    found[source] = found.get(source, True) and _is_bias(node.op_type, place)
        return found


def _parameters(kind: str) -> frozenset[int]:
    """Inputs of an operator that are parameters when they are stored."""
    if kind in ("Conv", "ConvTranspose", "Gemm"):
        return frozenset({0, 1, 2})
    if kind == "QLinearConv":
        return frozenset({3, 8})
    if kind == "QLinearMatMul":
        return frozenset({0, 3})
    if kind in GATES:
        return frozenset({1, 2, 3, 7})
    if kind == "BatchNormalization":
        return frozenset({1, 2, 3, 4})
    if kind in ("MatMul", "Add", "Mul", "Sub", "ConvInteger", "MatMulInteger", "PRelu", "Gather", "LayerNormalization"):
        return frozenset({0, 1, 2}) if kind == "LayerNormalization" else frozenset({0, 1})
    return frozenset()


def _is_bias(kind: str, place: int) -> bool:
    if kind in ("Conv", "ConvTranspose", "Gemm"):
        return place == 2
    return (kind, place) in {("QLinearConv", 8), *((gate, 3) for gate in GATES)} or kind in ("Add", "Sub", "BatchNormalization")
