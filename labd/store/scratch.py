"""Memory for what is made on the way and not kept: fresh pages cost more than the arithmetic that fills them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """By name, and valid until the next call with that name; used from one thread."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.float64]] = {}

    def room(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Of any content."""
        size = math.prod(shape)
        if name not in self._kept or len(self._kept[name]) < size:
            self._kept[name] = np.empty(size)
        return self._kept[name][:size].reshape(shape)

    def double(self, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values in double precision, in which sums are made: converted once, which is twice as quick as a sum that converts on its way."""
        found = self.room(name, values.shape)
        np.copyto(found, values)
        return found
