"""Reads a TFLite flatbuffer: shapes as they are stored, work by the operators' definitions (tensorflow/lite/schema/schema.fbs)."""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import Any

import numpy as np

from labd.models.graph import Layer, ModelGraph, Weights

IDENTIFIER = b"TFL3"
BITS = {"FLOAT32": 32, "FLOAT16": 16, "INT32": 32, "UINT8": 8, "INT64": 64, "BOOL": 8, "INT16": 16, "INT8": 8, "FLOAT64": 64, "UINT32": 32}
BITS |= {"UINT16": 16, "UINT64": 64, "INT4": 4}
NUMPY = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "INT32": "<i4",
    "INT64": "<i8",
    "INT16": "<i2",
    "FLOAT64": "<f8",
    "UINT32": "<u4",
    "UINT16": "<u2",
}
# place of an operator's weights and biases among its inputs
WEIGHTS = {"CONV_2D": (1,), "DEPTHWISE_CONV_2D": (1,), "FULLY_CONNECTED": (1,), "TRANSPOSE_CONV": (1,), "BATCH_MATMUL": (0, 1)}
WEIGHTS |= {"UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 12), 16), "PRELU": (1,), "GATHER": (0,), "MUL": (0, 1)}
BIASES = {"CONV_2D": (2,), "DEPTHWISE_CONV_2D": (2,), "FULLY_CONNECTED": (2,), "TRANSPOSE_CONV": (3,), "ADD": (0, 1), "SUB": (0, 1)}
BIASES |= {"UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(12, 16), 17)}
UNKNOWN_WORK = {"CUSTOM", "SVDF", "RNN", "LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM"}
UNKNOWN_WORK |= {"CONV_3D", "CONV_3D_TRANSPOSE", "WHILE", "IF", "CALL", "CALL_ONCE", "DELEGATE"}
BROKEN = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, KeyError, MemoryError)


def read_tflite(data: bytes) -> ModelGraph:
    """Of the first subgraph. Raises ValueError for bytes that are no TFLite model; ImportError without the tflite package."""
    import tflite

    if data[4:8] != IDENTIFIER:
        raise ValueError(f"no TFLite model: bytes 4 to 8 are {data[4:8]!r}, not {IDENTIFIER!r}")
    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        if model.SubgraphsLength() < 1 or model.BuffersLength() > len(data):
            raise ValueError("it has no subgraph")
        return _Reader(tflite, model, data).graph()
    except BROKEN as error:
        raise ValueError(f"no whole TFLite model: {error}") from error


class _Reader:
    def __init__(self, tflite: Any, model: Any, data: bytes) -> None:
        self._types = {value: name for name, value in vars(tflite.TensorType).items() if not name.startswith("_")}
        self._operators = {value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
        self._model = model
        self._size = len(data)
        self._graph = model.Subgraphs(0)
        if max(self._graph.TensorsLength(), self._graph.OperatorsLength()) > self._size:
            raise ValueError("its tables are longer than the file")
        if not self._graph.OperatorsLength():
            raise ValueError("it has no operators")
        self._uncounted: list[str] = []
        self._stored: dict[int, bool] = {}  # tensor -> whether it is a bias

    def graph(self) -> ModelGraph:
        widths: Counter[int] = Counter()
        layers = []
        for k in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(k)
            layers.append(self._layer(operator, k))
            for place in range(operator.OutputsLength()):
                widths[self._bits(operator.Outputs(place))] += math.prod(self._shape(operator.Outputs(place)))
        weights = tuple(self._weight(tensor, bias=bias) for tensor, bias in self._stored.items())
        return ModelGraph("tflite", tuple(layers), weights, self._size, dict(widths), tuple(self._uncounted))

    def _kind(self, operator: Any) -> str:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # files before schema 3a have the small number only
        return str(self._operators[number])

    def _shape(self, tensor: int) -> tuple[int, ...]:
        """A free dimension, such as the batch, is 1."""
        if not 0 <= tensor < self._graph.TensorsLength():
            raise ValueError(f"there is no tensor {tensor}")
        found = self._graph.Tensors(tensor)
        if found.ShapeLength() > 8:
            raise ValueError(f"tensor {tensor} has {found.ShapeLength()} dimensions")
        return tuple(1 if size == -1 else size for size in (int(found.Shape(k)) for k in range(found.ShapeLength())))

    def _bits(self, tensor: int) -> int:
        return BITS[self._types[self._graph.Tensors(tensor).Type()]]

    def _layer(self, operator: Any, number: int) -> Layer:
        kind = self._kind(operator)
        inputs = [operator.Inputs(k) for k in range(operator.InputsLength())]
        outputs = [operator.Outputs(k) for k in range(operator.OutputsLength())]
        macs = self._macs(kind, inputs, outputs)
        if macs is None:
            self._uncounted.append(f"{kind} {number}: its work is not known")
        for places, bias in ((WEIGHTS.get(kind, ()), False), (BIASES.get(kind, ()), True)):
            for place in places:
                if place < len(inputs) and self._has_data(inputs[place]):
                    self._stored[inputs[place]] = self._stored.get(inputs[place], True) and bias
        elements = math.prod(self._shape(outputs[0])) if outputs else 0
        size = max((math.prod(self._shape(one)) * self._bits(one) // 8 for one in outputs), default=0)
        weighted = bool(macs) and any(one in self._stored for one in inputs)
        return Layer(kind, macs or 0, elements, size, elements if weighted else 0)

    def _macs(self, kind: str, inputs: list[int], outputs: list[int]) -> int | None:
        if kind in UNKNOWN_WORK:
            return None
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):  # kernels [out, h, w, in / groups] and [1, h, w, out]
            kernel = self._shape(inputs[1])
            return math.prod(self._shape(outputs[0])) * math.prod(kernel[1:] if kind == "CONV_2D" else kernel[1:3])
        if kind == "FULLY_CONNECTED":  # weights [out, in]
            return math.prod(self._shape(outputs[0])) * self._shape(inputs[1])[-1]
        if kind == "TRANSPOSE_CONV":  # inputs: shape of the output, kernel [out, h, w, in], data
            return math.prod(self._shape(inputs[2])) * math.prod(self._shape(inputs[1])[:3])
        if kind == "BATCH_MATMUL":
            return math.prod(self._shape(outputs[0])) * self._shape(inputs[0])[-1]
        if kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
            if any(place < len(inputs) and inputs[place] >= 0 for place in range(9, 12)):
                return None  # peepholes
            there = [inputs[place] for place in (*range(1, 9), 16) if place < len(inputs) and inputs[place] >= 0]
            return math.prod(self._shape(inputs[0])[:2]) * sum(math.prod(self._shape(one)) for one in there)
        return 0

    def _has_data(self, tensor: int) -> bool:
        return tensor >= 0 and self._model.Buffers(self._graph.Tensors(tensor).Buffer()).DataLength() > 0

    def _weight(self, tensor: int, *, bias: bool) -> Weights:
        found = self._graph.Tensors(tensor)
        kind, elements = self._types[found.Type()], math.prod(self._shape(tensor))
        raw = np.asarray(self._model.Buffers(found.Buffer()).DataAsNumpy(), dtype=np.uint8)
        nibbles = kind == "INT4"
        values = np.stack((raw & 15, raw >> 4), axis=1).ravel()[:elements] if nibbles else raw.view(NUMPY.get(kind, "u1"))
        if len(values) != elements:
            raise ValueError(f"tensor {tensor} has the shape {self._shape(tensor)} and {len(values)} elements")
        name = (found.Name() or b"").decode("utf-8", "replace")
        return Weights(name, elements, int(np.count_nonzero(values)), BITS[kind], bias)
