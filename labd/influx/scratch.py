"""Memory for what is made on the way and not kept: fresh pages cost more than the arithmetic that fills them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """By name; used from one thread."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.float64]] = {}

    def double(self, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values in double precision, in which sums are made, valid until the next call with that name: converted once, which is twice as
        quick as a sum that converts on its way."""
        if name not in self._kept or len(self._kept[name]) < values.size:
            self._kept[name] = np.empty(values.size)
        found = self._kept[name][: values.size].reshape(values.shape)
        np.copyto(found, values)
        return found
