"""Adam (Kingma and Ba, 2015, algorithm 1), in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Adam:
    """parameters are changed by each step."""

    def __init__(self, parameters: Sequence[Floats], rate: float) -> None:
        self._parameters = parameters
        self._rate = rate
        self._first = [np.zeros_like(one) for one in parameters]
        self._second = [np.zeros_like(one) for one in parameters]
        self._steps = 0

    def step(self, gradients: Sequence[Floats], *, share: float) -> None:
        """share: of the learning rate that is left."""
        self._steps += 1
        for k, gradient in enumerate(gradients):
            self._first[k] += 0.1 * (gradient - self._first[k])
            self._second[k] += 0.001 * (np.square(gradient) - self._second[k])
            mean = self._first[k] / (1 - 0.9**self._steps)
            size = np.sqrt(self._second[k] / (1 - 0.999**self._steps)) + 1e-8
            self._parameters[k][...] -= self._rate * share * mean / size
