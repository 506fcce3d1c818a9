"""A net of integers, as the firmware runs it (firmware/core/labd_net.h)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Kind = Literal["quantised", "rate", "latency"]
MULTIPLIER_BITS = 15


@dataclass(frozen=True, slots=True)
class Layer:
    """weights: of a filter [output, tap, input], 3x3 with padding 1; of a dense layer [output, input], of a spiking one [input, output].

    bits: 8, 4, or 1 (weights are +1 and -1). rows, columns: of a filter's input. multiplier, shift: of the activation, 0 of the last
    layer's.
    """

    weights: Ints
    biases: Ints
    bits: int
    multiplier: int = 0
    shift: int = 0
    threshold: int = 0
    rows: int = 1
    columns: int = 1
    stride: int = 1

    @property
    def is_filter(self) -> bool:
        return self.weights.ndim == 3

    @property
    def places(self) -> int:
        """Outputs of each channel."""
        return -(-self.rows // self.stride) * -(-self.columns // self.stride)


@dataclass(frozen=True, slots=True)
class Net:
    """steps, leak_shift: of a spiking net. levels: the largest input."""

    name: str
    kind: Kind
    layers: tuple[Layer, ...]
    levels: int
    steps: int = 0
    leak_shift: int = 0
    score_shift: int = 0

    @property
    def spiking(self) -> bool:
        return self.kind != "quantised"

    @property
    def neurons(self) -> int:
        return sum(layer.weights.shape[1] for layer in self.layers) if self.spiking else 0

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(layer.weights.size + layer.biases.size for layer in self.layers)

    @property
    def largest_activation(self) -> int:
        """Bytes of a layer's outputs or inputs, the most."""
        first = self.layers[0]
        inputs = first.rows * first.columns * first.weights.shape[2] if first.is_filter else first.weights.shape[-1]
        return int(max(inputs, *(layer.places * layer.weights.shape[0] for layer in self.layers)))


def largest_weight(bits: int) -> int:
    """The range is symmetric: -127..127, -7..7, and -1 and 1."""
    return 1 if bits == 1 else int(2 ** (bits - 1) - 1)


def rescaled(factor: float) -> tuple[int, int]:
    """(multiplier, shift), multiplier / 2^shift as near to `factor` as 15 bits come. Raises ValueError for one out of reach."""
    exponent = int(np.floor(np.log2(factor))) + 1
    shift = MULTIPLIER_BITS - exponent
    if not 1 <= shift <= 46:
        raise ValueError(f"an activation is scaled by {factor:g}, which no multiplier of {MULTIPLIER_BITS} bits gives")
    return min(round(factor * 2**shift), 2 ** (MULTIPLIER_BITS + 1) - 1), shift
