"""Trains dense and convolutional nets with quantised weights, and makes integers of them; numpy alone, deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digit_nets.adam import Adam
from digit_nets.digits import CLASSES, INPUT, LEVELS, SIDE, Split
from digit_nets.layers import Layer, Net, rescaled
from digit_nets.rounding import whole_weights

Floats = NDArray[np.float64]
EPOCHS, BATCH, RATE = 30, 48, 4e-3
CLIPPED = 0.999  # of the activations of the training set are within the range of their layer


@dataclass(frozen=True, slots=True)
class Shape:
    """filters: channels of each 3x3 layer, the first with stride 1, the others with stride 2; dense: neurons of each hidden dense layer."""

    filters: tuple[int, ...]
    dense: tuple[int, ...]
    bits: int


@dataclass(slots=True)
class _Stage:
    """A layer while it is trained. weights: [output, tap * input]. biases: [output]. side: of a filter's square input, 0 if dense."""

    weights: Floats
    biases: Floats
    side: int
    stride: int
    bits: int

    def patches(self, inputs: Floats) -> Floats:
        """[sample * place, tap * input]; of a dense layer the inputs."""
        if not self.side:
            return inputs
        count, channels = len(inputs), inputs.shape[1] // self.side**2
        padded = np.pad(inputs.reshape(count, self.side, self.side, channels), ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = [padded[:, y : y + self.side : self.stride, x : x + self.side : self.stride] for y in range(3) for x in range(3)]
        return np.stack(taps, axis=3).reshape(-1, 9 * channels)

    def back(self, gradient: Floats, count: int) -> Floats:
        """What `patches` spread, gathered again: [sample, place * input]."""
        if not self.side:
            return gradient
        out, channels = -(-self.side // self.stride), gradient.shape[1] // 9
        taps = gradient.reshape(count, out, out, 9, channels)
        padded = np.zeros((count, self.side + 2, self.side + 2, channels))
        for tap in range(9):
            y, x = divmod(tap, 3)
            padded[:, y : y + self.side : self.stride, x : x + self.side : self.stride] += taps[:, :, :, tap]
        return padded[:, 1:-1, 1:-1].reshape(count, -1)


def train(name: str, shape: Shape, data: Split, *, seed: int = 1) -> Net:
    """The net with these weights, trained with the quantisation in its forward pass (straight-through gradients)."""
    rng = np.random.default_rng(seed)
    stages = _stages(shape, rng)
    inputs = data.inputs / LEVELS
    fit = Adam([part for stage in stages for part in (stage.weights, stage.biases)], RATE)
    steps = EPOCHS * (len(inputs) // BATCH)
    for step in range(steps):
        if step % (len(inputs) // BATCH) == 0:
            order = rng.permutation(len(inputs))
        chosen = order[step % (len(inputs) // BATCH) * BATCH :][:BATCH]
        fit.step(_gradients(stages, inputs[chosen], data.labels[chosen]), share=1 - step / steps)
        if shape.bits == 1:
            for stage in stages:
                if stage.bits == 1:
                    np.clip(stage.weights, -0.3, 0.3, out=stage.weights)
    return _integers(name, stages, inputs)


def _stages(shape: Shape, rng: np.random.Generator) -> list[_Stage]:
    """Of binary nets the last layer and a first filter keep 8 bits: they are small, and errors in them cannot be made good."""
    plan: list[tuple[int, int, int, int]] = []
    side, channels = SIDE, 1
    for number, outputs in enumerate(shape.filters):
        stride = 1 if number == 0 else 2
        plan.append((9 * channels, outputs, side, stride))
        side, channels = -(-side // stride), outputs
    width = side * side * channels if shape.filters else INPUT
    for outputs in (*shape.dense, CLASSES):
        plan.append((width, outputs, 0, 1))
        width = outputs
    stages = []
    for number, (fan_in, outputs, of_side, stride) in enumerate(plan):
        bits = 8 if shape.bits == 1 and (number + 1 == len(plan) or (number == 0 and of_side)) else shape.bits
        weights = rng.standard_normal((outputs, fan_in)) * np.sqrt(2 / fan_in)
        stages.append(_Stage(weights, np.zeros(outputs), of_side, stride, bits))
    return stages


def _forward(stages: Sequence[_Stage], inputs: Floats) -> list[tuple[Floats, Floats, Floats]]:
    """(patches, quantised weights, sums) of each layer."""
    made = []
    activations = inputs
    for stage in stages:
        patches = stage.patches(activations)
        whole, scale = whole_weights(stage.weights, stage.bits)
        weights = whole * scale
        sums = patches @ weights.T + stage.biases
        made.append((patches, weights, sums))
        activations = np.maximum(sums, 0).reshape(len(inputs), -1)
    return made


def _gradients(stages: Sequence[_Stage], inputs: Floats, labels: NDArray[np.int64]) -> list[Floats]:
    """Of the cross-entropy, of weights and biases in turn."""
    made = _forward(stages, inputs)
    logits = made[-1][2]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1
    gradient, found = shares / len(labels), []
    for number in reversed(range(len(stages))):
        patches, weights, _ = made[number]
        found += [gradient.sum(axis=0), gradient.T @ patches]
        if number:
            below = stages[number].back(gradient @ weights, len(labels))
            sums = made[number - 1][2]
            gradient = below.reshape(sums.shape) * (sums > 0)
    return found[::-1]


def _integers(name: str, stages: Sequence[_Stage], inputs: Floats) -> Net:
    made = _forward(stages, inputs)
    layers: list[Layer] = []
    scale_in = 1 / LEVELS
    for number, (stage, (_, _, sums)) in enumerate(zip(stages, made, strict=True)):
        whole, scale = whole_weights(stage.weights, stage.bits)
        unit = scale_in * scale  # of an integer sum
        biases = np.rint(stage.biases / unit).astype(np.int64)
        multiplier = shift = 0
        if number + 1 < len(stages):
            scale_in = max(float(np.quantile(sums, CLIPPED)), 1e-6) / 127
            multiplier, shift = rescaled(unit / scale_in)
        weights = whole.astype(np.int64)
        if stage.side:
            weights = weights.reshape(len(weights), 9, -1)
        side = stage.side or 1
        layers.append(Layer(weights, biases, stage.bits, multiplier, shift, 0, side, side, stage.stride))
    halving = np.log2(np.log(2) / unit)  # a softmax of base e, as near as powers of two come
    return Net(name, "quantised", tuple(layers), LEVELS, score_shift=max(0, round(float(halving))))
