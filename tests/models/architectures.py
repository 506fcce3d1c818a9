"""Public architectures, built layer by layer: the reference models of MLPerf Tiny (batch normalisation folded into the convolutions)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def raw(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString())


class Net:
    """A sequence of layers under construction. shape: of the last output, [1, channels, height, width]."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        self.channels = channels
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.TensorProto] = []
        self._input = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, channels, height, width])
        self.last = "x"

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        self.last = name
        return name

    def store(self, *shape: int) -> str:
        name = f"w{len(self._stored)}"
        self._stored.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
        return name

    def conv(self, out: int, kernel: tuple[int, int], *, stride: int = 1, groups: int = 1, of: str = "") -> str:
        weights = self.store(out, self.channels // groups, *kernel)
        self.channels = out
        made = self.node("Conv", of or self.last, weights, self.store(out), auto_pad="SAME_UPPER", strides=[stride] * 2, group=groups)
        return self.node("Relu", made)

    def dense(self, inputs: int, out: int) -> None:
        self.node("GlobalAveragePool", self.last)
        self.node("Flatten", self.last)
        self.node("Gemm", self.last, self.store(out, inputs), self.store(out), transB=1)

    def model(self) -> bytes:
        output = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "net", [self._input], [output], self._stored)
        return raw(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def ds_cnn() -> bytes:
    """Keyword spotting: 49 x 10 spectral features, 12 words."""
    net = Net(1, 49, 10)
    net.conv(64, (10, 4), stride=2)
    for _ in range(4):
        net.conv(64, (3, 3), groups=64)
        net.conv(64, (1, 1))
    net.dense(64, 12)
    return net.model()


def mobilenet() -> bytes:
    """Visual wake words: MobileNetV1 0.25 on 96 x 96 x 3, 2 classes."""
    net = Net(3, 96, 96)
    net.conv(8, (3, 3), stride=2)
    for out, stride in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        net.conv(net.channels, (3, 3), stride=stride, groups=net.channels)
        net.conv(out, (1, 1))
    net.dense(256, 2)
    return net.model()


def resnet8() -> bytes:
    """Image classification: ResNet-8 on 32 x 32 x 3, 10 classes."""
    net = Net(3, 32, 32)
    net.conv(16, (3, 3))
    for out in (16, 32, 64):
        before, channels, stride = net.last, net.channels, 1 if out == 16 else 2
        net.conv(out, (3, 3), stride=stride)
        main = net.conv(out, (3, 3))
        if out != 16:
            net.channels = channels
            before = net.conv(out, (1, 1), stride=stride, of=before)
        net.node("Add", main, before)
    net.dense(64, 10)
    return net.model()


def single(kind: str, data: list[int], stored: list[tuple[int, ...]], **attributes: Any) -> bytes:
    """One operator on an input of shape `data` with stored tensors."""
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), f"w{k}") for k, shape in enumerate(stored)]
    node = helper.make_node(kind, ["x", *(one.name for one in weights)], ["y"], **attributes)
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, data), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], weights)
    return raw(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
