"""Builder of spiking nets for digits: `python build_spiking.py REQUEST`, called by a search of labd.

Parameters: `hidden`, neurons of each hidden layer (64, "64-32"); `coding` of the input (rate, latency); `steps` of time; `bits` of a weight
(8, 4, 1); `thrift`, thousandths that a spike costs while the net is trained (0: it may spike as it likes).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: the same sums in the same order, on one core

from digit_nets.building import MOST_NEURONS, BadRequest, Refused, answer_request, joined, one_of, only, widths
from digit_nets.digits import Split
from digit_nets.layers import Net
from digit_nets.spiking import Shape, train

KNOWN = {
    "hidden": 'such as 64 or "64-32"',
    "coding": "rate or latency",
    "steps": "2 to 64",
    "bits": "8, 4 or 1",
    "thrift": "0 to 100",
}


def net_of(parameters: Mapping[str, Any], data: Split) -> Net:
    only(parameters, KNOWN)
    hidden, coding = widths(parameters, "hidden"), one_of(parameters, "coding", ("rate", "latency"))
    steps, thrift = whole(parameters, "steps", 2, 64), whole(parameters, "thrift", 0, 100)
    if not hidden:
        raise BadRequest("parameters.hidden: expected at least one hidden layer; without one nothing spikes")
    if max(hidden) > MOST_NEURONS:
        raise Refused(f"a layer of {max(hidden)} spiking neurons: the firmware has addresses for {MOST_NEURONS}")
    shape = Shape(hidden, coding, steps, one_of(parameters, "bits", (8, 4, 1)), thrift / 1000)
    name = f"digits-{coding}-h{joined(hidden)}-t{steps}-w{shape.bits}" + (f"-s{thrift}" if thrift else "")
    return train(name, shape, data)


def whole(parameters: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = parameters[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequest(f"parameters.{name}: expected a whole number from {low} to {high}, got {value!r}")
    return value


if __name__ == "__main__":
    sys.exit(answer_request(net_of))
