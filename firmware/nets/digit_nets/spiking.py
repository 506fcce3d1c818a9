"""Trains leaky integrate-and-fire nets on rate- or latency-coded inputs, and makes integers of them; numpy alone, deterministic.

Surrogate gradients through time (Neftci, Mostafa, Zenke, IEEE Signal Processing Magazine 36(6), 2019), the reset left out of the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from digit_nets.adam import Adam
from digit_nets.digits import CLASSES, INPUT, LEVELS, Split
from digit_nets.layers import Layer, Net
from digit_nets.reference import encoded
from digit_nets.rounding import whole_weights

Floats = NDArray[np.float64]
EPOCHS, BATCH, RATE = 30, 48, 4e-3
STEEPNESS = 4.0  # of the surrogate, by thresholds
LEAK_SHIFT = 4
LOGIT_GAIN = 0.5


@dataclass(frozen=True, slots=True)
class Shape:
    """hidden: neurons of each layer. steps: of time. bits: of a weight; of binary ones the last layer keeps 8. thrift: what a spike
    costs while the net is trained; the larger, the sparser it spikes."""

    hidden: tuple[int, ...]
    coding: Literal["rate", "latency"]
    steps: int
    bits: int
    thrift: float = 0.0


@dataclass(frozen=True, slots=True)
class _Train:
    """A hidden layer through time, all [step, sample, neuron]. arriving: spikes below. before: potentials when the threshold is asked."""

    arriving: Floats
    before: Floats
    spikes: Floats
    threshold: float


def train(name: str, shape: Shape, data: Split, *, seed: int = 1) -> Net:
    """The net with these weights, trained with their quantisation, the whole-numbered leak and the threshold of the integer net."""
    rng = np.random.default_rng(seed)
    widths = (INPUT, *shape.hidden, CLASSES)
    weights = [rng.standard_normal((a, b)) * np.sqrt(2 / a) for a, b in pairwise(widths)]
    bits = [*[shape.bits] * len(shape.hidden), 8 if shape.bits == 1 else shape.bits]
    plan = Net(name, shape.coding, (), LEVELS, shape.steps, LEAK_SHIFT)
    spikes = np.stack([encoded(plan, data.inputs, step) for step in range(shape.steps)]).astype(float)
    fit = Adam(weights, RATE)
    count = len(data.labels) // BATCH
    for step in range(EPOCHS * count):
        if step % count == 0:
            order = rng.permutation(len(data.labels))
        chosen = order[step % count * BATCH :][:BATCH]
        found = _gradients(weights, bits, spikes[:, chosen], data.labels[chosen], thrift=shape.thrift)
        fit.step(found, share=1 - step / (EPOCHS * count))
    return _integers(plan, weights, bits)


def _forward(whole: Sequence[tuple[Floats, float]], spikes: Floats) -> list[_Train]:
    """Of the hidden layers. spikes: [step, sample, input]."""
    made = []
    for weights, scale in whole[:-1]:
        currents = spikes @ weights  # in whole units of this layer's scale
        threshold = float(_threshold(scale))
        potential = np.zeros(currents.shape[1:])
        before, fired = np.empty_like(currents), np.empty_like(currents)
        for step, current in enumerate(currents):
            potential = potential - np.sign(potential) * np.ceil(np.abs(potential) / (1 << LEAK_SHIFT)) + current
            before[step] = potential
            fired[step] = potential >= threshold
            potential = potential * (1 - fired[step])
        made.append(_Train(spikes, before, fired, threshold))
        spikes = fired
    return made


def _threshold(scale: float) -> int:
    return max(1, round(1 / scale))


def _gradients(weights: Sequence[Floats], bits: Sequence[int], spikes: Floats, labels: NDArray[np.int64], *, thrift: float) -> list[Floats]:
    """Of the cross-entropy of the last layer's potentials, and of `thrift` for each hidden spike."""
    whole = [whole_weights(one, of) for one, of in zip(weights, bits, strict=True)]
    made = _forward(whole, spikes)
    counts = made[-1].spikes.sum(axis=0)
    last = whole[-1][0] * whole[-1][1]
    logits = LOGIT_GAIN * counts @ last
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(labels)), labels] -= 1
    error = LOGIT_GAIN * shares / len(labels)
    found = [counts.T @ error]
    of_spikes = np.broadcast_to(error @ last.T, made[-1].spikes.shape)
    for number in reversed(range(len(made))):
        layer, (integers, scale) = made[number], whole[number]
        of_spikes = of_spikes + thrift / len(labels)
        currents = _through_time(layer, of_spikes)
        size = layer.arriving.shape[2]
        found.append(layer.arriving.reshape(-1, size).T @ currents.reshape(-1, currents.shape[2]))
        of_spikes = currents @ (integers * scale).T
    return found[::-1]


def _through_time(layer: _Train, of_spikes: Floats) -> Floats:
    """Gradient of the currents, in thresholds, of that of the spikes."""
    distance = layer.before / layer.threshold - 1
    slope = 1 / np.square(1 + STEEPNESS * np.abs(distance))
    kept = 1 - 2.0**-LEAK_SHIFT
    currents = np.empty_like(layer.before)
    later = np.zeros_like(layer.before[0])
    for step in reversed(range(len(currents))):
        currents[step] = of_spikes[step] * slope[step] + later * (1 - layer.spikes[step])
        later = currents[step] * kept
    return currents


def _integers(plan: Net, weights: Sequence[Floats], bits: Sequence[int]) -> Net:
    layers, none = [], np.zeros(0, dtype=np.int64)
    for number, (one, of) in enumerate(zip(weights, bits, strict=True)):
        whole, scale = whole_weights(one, of)
        threshold = 0 if number + 1 == len(weights) else _threshold(scale)
        layers.append(Layer(whole.astype(np.int64), none, of, threshold=threshold))
    halving = np.log2(np.log(2) / (LOGIT_GAIN * scale))
    return Net(plan.name, plan.kind, tuple(layers), plan.levels, plan.steps, plan.leak_shift, max(0, round(float(halving))))
