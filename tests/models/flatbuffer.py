"""Writes TFLite flatbuffers layer by layer, by the schema's own functions."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

Array = NDArray[Any]


class Flat:
    """One subgraph under construction: int8 activations and weights, int32 biases."""

    def __init__(self, *shape: int) -> None:
        self._b = flatbuffers.Builder(1024)
        self._buffers: list[bytes] = [b""]
        self._tensors: list[int] = []
        self._operators: list[int] = []
        self._codes: list[int] = []
        self.last = self.tensor(shape)

    def tensor(self, shape: tuple[int, ...], data: Array | None = None) -> int:
        if data is not None:
            self._buffers.append(data.tobytes())
        name, dims = self._b.CreateString(f"t{len(self._tensors)}"), self._ints(shape)
        tflite.TensorStart(self._b)
        tflite.TensorAddName(self._b, name)
        tflite.TensorAddShape(self._b, dims)
        tflite.TensorAddType(self._b, tflite.TensorType.INT32 if data is not None and data.dtype == np.int32 else tflite.TensorType.INT8)
        tflite.TensorAddBuffer(self._b, 0 if data is None else len(self._buffers) - 1)
        self._tensors.append(tflite.TensorEnd(self._b))
        return len(self._tensors) - 1

    def weights(self, *shape: int) -> int:
        return self.tensor(shape, np.ones(shape, np.int8))

    def bias(self, size: int) -> int:
        return self.tensor((size,), np.ones(size, np.int32))

    def operator(self, code: int, inputs: list[int], out: tuple[int, ...]) -> None:
        if code not in self._codes:
            self._codes.append(code)
        self.last = self.tensor(out)
        given, made = self._ints(inputs), self._ints([self.last])
        tflite.OperatorStart(self._b)
        tflite.OperatorAddOpcodeIndex(self._b, self._codes.index(code))
        tflite.OperatorAddInputs(self._b, given)
        tflite.OperatorAddOutputs(self._b, made)
        self._operators.append(tflite.OperatorEnd(self._b))

    def written(self) -> bytes:
        b = self._b
        tensors, operators = self._offsets(self._tensors), self._offsets(self._operators)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddOperators(b, operators)
        graphs = self._offsets([tflite.SubGraphEnd(b)])
        codes, buffers = self._offsets([self._code(code) for code in self._codes]), self._offsets([self._buffer(d) for d in self._buffers])
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), file_identifier=b"TFL3")
        return bytes(b.Output())

    def _code(self, code: int) -> int:
        tflite.OperatorCodeStart(self._b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self._b, code)
        tflite.OperatorCodeAddBuiltinCode(self._b, code)
        return int(tflite.OperatorCodeEnd(self._b))

    def _buffer(self, data: bytes) -> int:
        vector = self._b.CreateByteVector(data) if data else None
        tflite.BufferStart(self._b)
        if vector is not None:
            tflite.BufferAddData(self._b, vector)
        return int(tflite.BufferEnd(self._b))

    def _ints(self, values: Any) -> int:
        return int(self._b.CreateNumpyVector(np.array(values, np.int32)))

    def _offsets(self, values: list[int]) -> int:
        self._b.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._b.PrependUOffsetTRelative(value)
        return int(self._b.EndVector())


def ds_cnn() -> bytes:
    """As `architectures.ds_cnn`, in 8 bits."""
    op = tflite.BuiltinOperator
    net, shape = Flat(1, 49, 10, 1), (1, 25, 5, 64)
    net.operator(op.CONV_2D, [net.last, net.weights(64, 10, 4, 1), net.bias(64)], shape)
    for _ in range(4):
        net.operator(op.DEPTHWISE_CONV_2D, [net.last, net.weights(1, 3, 3, 64), net.bias(64)], shape)
        net.operator(op.CONV_2D, [net.last, net.weights(64, 1, 1, 64), net.bias(64)], shape)
    net.operator(op.AVERAGE_POOL_2D, [net.last], (1, 1, 1, 64))
    net.operator(op.FULLY_CONNECTED, [net.last, net.weights(12, 64), net.bias(12)], (1, 12))
    net.operator(op.SOFTMAX, [net.last], (1, 12))
    return net.written()
