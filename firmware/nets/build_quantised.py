"""Builder of dense and convolutional nets for digits: `python build_quantised.py REQUEST`, called by a search of labd.

Parameters: `filters`, channels of each 3x3 layer ("none", "8", "8-16"); `dense`, neurons of each hidden dense layer ("none", 32, "64-32");
`bits` of a weight (8, 4, 1).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the same sums in the same order, on one core

from digit_nets.building import answer_request, joined, one_of, only, widths
from digit_nets.digits import Split
from digit_nets.layers import Net
from digit_nets.quantised import Shape, train

KNOWN = {"filters": 'such as "8-16" or "none"', "dense": 'such as 32 or "none"', "bits": "8, 4 or 1"}


def net_of(parameters: Mapping[str, Any], data: Split) -> Net:
    only(parameters, KNOWN)
    shape = Shape(widths(parameters, "filters"), widths(parameters, "dense"), one_of(parameters, "bits", (8, 4, 1)))
    return train(f"digits-c{joined(shape.filters)}-d{joined(shape.dense)}-w{shape.bits}", shape, data)


if __name__ == "__main__":
    sys.exit(answer_request(net_of))
