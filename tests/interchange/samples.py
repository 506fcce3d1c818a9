"""Files of other tools, made here after the structure of real ones; each says whose it follows."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from labd import resources


def _shipped(name: str) -> str:
    """An example that comes with labd: its figures are invented."""
    return (resources.path("fixtures") / "interchange" / name).read_text("utf-8")


EDGES = (0.021, 2.5, 13.1, 15.0, 25.6, 27.5, 38.1, 40.0, 50.6, 52.5, 63.1)
"""One edge when asked for (`timestamp%`), then five windows of 10.6 s: mlcommons/tiny_results_v1.1, NUCLEO_H7A3ZI_Q/kws/energy."""

INFERENCES = 200
ACTIVE_W, REST_W = 40e-3, 6e-3
TRUTH_J = ACTIVE_W * 10.6 / INFERENCES


def trace(edges: Sequence[float] = EDGES, *, rate_hz: float = 1000.0, scatter: float = 0.0, length_s: float = 65.0) -> bytes:
    """`trace1-energy.bin`: version, rate, joules (petertorelli/joulescope-win32, README). ACTIVE_W in windows, REST_W between."""
    draw = np.random.default_rng(5)
    power = np.full(round(length_s * rate_hz), REST_W)
    for start, end in zip(edges[1::2], edges[2::2], strict=True):
        power[round(start * rate_hz) : round(end * rate_hz)] = ACTIVE_W * (1 + scatter * draw.normal())
    return struct.pack("<Bf", 1, rate_hz) + (power / rate_hz).astype("<f4").tobytes()


def log(*, windows: int = 5, inferences: int = INFERENCES) -> bytes:
    """EnergyRunner's log.txt: mlcommons/tiny_results_v0.7, NUCLEO_L4R5ZI/kws/energy."""
    lines = [
        "00001.000 session: m-session-start-id[20260101120000]",
        "00001.001 parser: m-version[3.0.10]",
        "00001.300 io: [dut]: m-model-[kws01]",
    ]
    lines += [f'{k:05d}.000 parser: Command "io dut infer {inferences} 1"' for k in range(2, 2 + windows)]
    return "\n".join([*lines, "00098.486 emon: m-voltage-mv[1800]", ""]).encode()


SESSION = {"s/trace1-energy.bin": trace(), "s/trace1-timestamps.json": json.dumps(EDGES).encode(), "s/log.txt": log()}

_WINDOW = """00098.529 ulp-ml: Energy data for window {k} at time 2.88 for {s:.2f} sec.:
00098.529 ulp-ml:   Energy       :   {uj:.3f} uJ
00098.530 ulp-ml:   Power        :    {uw:.3f} uW
00098.530 ulp-ml:   Energy/Inf.  :     {each:.3f} uJ/inf.
"""


def eembc_lines(each_uj: Sequence[float] = (4000.1, 4000.9, 3999.8, 4000.4, 4001.0), *, median: float | None = None) -> str:
    """EnergyRunner's results.txt: mlcommons/tiny_results_v0.7, NUCLEO_L4R5ZI/kws/energy."""
    told = "".join(_WINDOW.format(k=2 * k + 2, s=10.6, uj=each * 120, uw=each * 120 / 10.6, each=each) for k, each in enumerate(each_uj))
    rates = "".join(
        f"00098.561 ulp-ml: Performance results for window {2 * k + 2}:\n00098.561 ulp-ml:   # Inferences :          120\n"
        f"00098.561 ulp-ml:   Runtime      :       {10.6 + k / 1000:.3f} sec.\n"
        f"00098.561 ulp-ml:   Throughput   :       {120 / (10.6 + k / 1000):.3f} inf./sec.\n"
        for k in range(len(each_uj))
    )
    shown = median if median is not None else float(np.median(each_uj))
    rate = float(np.median([round(120 / (10.6 + k / 1000), 3) for k in range(len(each_uj))]))
    return (
        f"{told}00098.559 ulp-ml: {'-' * 57}\n00098.560 ulp-ml: Median energy cost is {shown:.3f} uJ/inf.\n"
        f"{rates}00098.562 ulp-ml: Median throughput is {rate:.3f} inf./sec.\n"
    )


MLCOMMONS_ENERGY = """Power Edition Output
Energy data for trial 0
  Elapsed time  : 10.886000000000001
  Inferences    : 250
  Power         : 32.0000 mW.
  Total Energy  : 348352.000 uJ
  Energy/Inf    : 1393.408 uJ/inf
Energy data for trial 1
  Elapsed time  : 9.8  <<<< below minimum duration
  Inferences    : 250
  Power         : 32.0000 mW.
  Total Energy  : 348250.000 uJ
  Energy/Inf    : 1393.000 uJ/inf
---------------------------------------------------------
Median energy cost is 1393.2040 uJ/inf.
---------------------------------------------------------
"""  # mlcommons/tiny_results_v1.3, NUCLEO_L4R5ZI-P/kws/energy

MLCOMMONS_ACCURACY = "0726.010109 ulp-mlperf: Top 1% = 90.2\n0726.010109 ulp-mlperf: AUC = 0.995\n"

STREAMING = """Power Edition Output
Energy data for trial 0
  Elapsed time  : 1200.002
  Inferences    : 1
  Power         : 25.0000 mW.
  Total Energy  : 30000050.000 uJ
  Energy/Inf    : 30000050.000 uJ/inf
---------------------------------------------------------
Median energy cost is 30000050.0000 uJ/inf.
---------------------------------------------------------
Accuracy: 44 True positives, 6 False negatives, 4 False positives
Average duty cycle: 0.5
Average period: 0.032 s
Estimated throughput: 62.5 inf./sec.
"""  # mlcommons/tiny_results_v1.3, NUCLEO_L4R5ZI-P/sww/energy


def runner_json(*, windows: int = 5, inferences: int = 100, seconds: float = 10.0, edges: int = 3) -> bytes:
    """MLCommons' results.json of an energy run: mlcommons/tiny_results_v1.3, NUCLEO_L4R5ZI-P/kws/energy."""
    n = round(seconds * 1000)
    samples = [REST_W / 1000] * 200 + [ACTIVE_W / 1000] * n + [REST_W / 1000] * 200
    stamps = [[k, 5 * k] for k in range(edges - 2)] + [[edges - 2, 200], [edges - 1, 200 + n]]
    one = {
        "file": "a.bin",
        "classes": "12",
        "class": "7",
        "infer": {"results": [0.0, 1.0], "total_inferences": 1, "iterations": inferences, "warmups": 1},
    }
    return json.dumps(
        [one | {"power": {"samples": samples, "timestamps": stamps, "voltage": 1800}, "mode": "e"} for _ in range(windows)]
    ).encode()


SYSTEM = {
    "Submitter": "Somebody",
    "Board Name": "NUCLEO-X",
    "SoC Name": "STM32X",
    "SoC Memory capacity (not including processor or accelerator)": "640KB",
    "SoC Memory type": "RAM",
    "Processor(s) Name": "Arm Cortex-M4",
    "Inference Framework": "X-CUBE-AI v8.1.0",
}  # mlcommons/tiny_results_v1.1, closed/STMicroelectronics/systems

MLMARK = _shipped("mlmark.txt")

QUTIBENCH = _shipped("qutibench.csv")

NEUROBENCH: dict[str, Any] = json.loads(_shipped("neurobench.json"))

MAESTRO = _shipped("maestro.csv")

TIMELOOP = _shipped("timeloop.stats.txt")

ALADDIN = _shipped("nnet_fwd_summary")

GEM5 = _shipped("gem5-stats.txt")

FIGURES = _shipped("figures.csv")
