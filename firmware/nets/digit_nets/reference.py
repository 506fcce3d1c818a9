"""What a net of integers gives, bit for bit as the firmware: logits, and the work behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digit_nets.layers import Ints, Layer, Net

FLOOR = -32768


@dataclass(frozen=True, slots=True)
class Outcome:
    """All by sample. logits: [sample, class]. work: counts by their name in the firmware's `stat`. outputs: of each layer in turn, of a
    spiking net of each hidden layer as [sample, step, neuron]."""

    logits: Ints
    work: dict[str, Ints]
    outputs: tuple[Ints, ...]


def infer(net: Net, inputs: Ints) -> Outcome:
    """inputs: [sample, input]."""
    return _spiking(net, inputs) if net.spiking else _quantised(net, inputs)


def accuracy(net: Net, inputs: Ints, labels: Ints) -> float:
    """Share of samples whose largest logit, the first of several, is their class."""
    return float(np.mean(np.argmax(infer(net, inputs).logits, axis=1) == labels))


def _quantised(net: Net, inputs: Ints) -> Outcome:
    activations, macs, outputs = inputs, 0, []
    for number, layer in enumerate(net.layers):
        total, count = (
            _filter(layer, activations) if layer.is_filter else (activations @ layer.weights.T + layer.biases, layer.weights.size)
        )
        macs += count
        last = number + 1 == len(net.layers)
        activations = (
            total if last else np.clip((np.maximum(total, 0) * layer.multiplier + (1 << (layer.shift - 1))) >> layer.shift, 0, 127)
        )
        outputs.append(activations)
    none = np.zeros(len(inputs), dtype=np.int64)
    work = {"mac": none + macs, "synop": none, "spike": none, "neuron_update": none}
    return Outcome(activations, work, tuple(outputs))


def _filter(layer: Layer, inputs: Ints) -> tuple[Ints, int]:
    """[sample, place * channel], and how many products fell inside the input."""
    count = len(inputs)
    image = inputs.reshape(count, layer.rows, layer.columns, -1)
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    inside = np.pad(np.ones((layer.rows, layer.columns), dtype=np.int64), 1)
    rows, columns = -(-layer.rows // layer.stride), -(-layer.columns // layer.stride)
    total = np.zeros((count, rows, columns, layer.weights.shape[0]), dtype=np.int64) + layer.biases
    macs = 0
    for tap in range(9):
        y, x = divmod(tap, 3)
        at = np.s_[y : y + layer.stride * rows : layer.stride, x : x + layer.stride * columns : layer.stride]
        total += padded[:, at[0], at[1], :] @ layer.weights[:, tap, :].T
        macs += int(inside[at].sum()) * layer.weights.shape[0] * layer.weights.shape[2]
    return total.reshape(count, -1), macs


def _spiking(net: Net, inputs: Ints) -> Outcome:
    """Every neuron in every step: the firmware leaves out what nobody talks to, and comes to the same."""
    count = len(inputs)
    potentials = [np.zeros((count, layer.weights.shape[1]), dtype=np.int64) for layer in net.layers]
    work = {name: np.zeros(count, dtype=np.int64) for name in ("mac", "synop", "spike", "neuron_update")}
    trains: list[list[Ints]] = [[] for _ in net.layers[1:]]
    for step in range(net.steps):
        spikes = encoded(net, inputs, step)
        for number, layer in enumerate(net.layers):
            outputs, arriving = layer.weights.shape[1], spikes.sum(axis=1)
            work["synop"] += arriving * outputs
            potential = potentials[number]
            if number + 1 == len(net.layers):
                potential += spikes @ layer.weights
                continue
            work["neuron_update"] += (arriving > 0) * outputs
            potential -= np.sign(potential) * -(-np.abs(potential) // (1 << net.leak_shift))
            potential += spikes @ layer.weights
            spikes = (potential >= layer.threshold).astype(np.int64)
            potential[spikes > 0] = 0
            np.maximum(potential, FLOOR, out=potential)
            work["spike"] += spikes.sum(axis=1)
            trains[number].append(spikes)
    return Outcome(potentials[-1], work, tuple(np.stack(train, axis=1) for train in trains))


def encoded(net: Net, inputs: Ints | NDArray[np.int64], step: int) -> Ints:
    """[sample, input], 1 where an input spikes in a step. Rate: as often as it is large, evenly. Latency: once, large ones first."""
    value = np.clip(inputs, 0, net.levels)
    if net.kind == "rate":
        spikes = value * (step + 1) // net.levels != value * step // net.levels
    else:
        spikes = (value > 0) & (step == (net.levels - value) * (net.steps - 1) // net.levels)
    made: Ints = spikes.astype(np.int64)
    return made
