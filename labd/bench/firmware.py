"""Once the board answers: is its firmware the one that the files speak of, and does the bench see what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labd.bench import setups
from labd.bench.rig import Rig
from labd.dut.device import Device
from labd.dut.errors import DutRefused
from labd.errors import DutFailure, FileError
from labd_instruments.contract import Streams

NO_PIN = (
    "the firmware is an energy build, which shows its windows as pulses of its timestamp pin, and this log has no line: wire that pin "
    "to the meter and name it in its options (a marker channel, a digital input), or take a meter whose log has a line. Text and host "
    "timestamps never cut an energy window; a performance build (EE_CFG_ENERGY_MODE=0) gives latencies without a line"
)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the board file says of who answers. stock: that it runs stock MLPerf Tiny firmware."""

    file: str
    stock: bool
    models: Sequence[str]


def refuse_other_firmware(device: Device, declared: Declared) -> None:
    """Raises DutFailure for a board that runs other firmware than its file says, and for stock firmware of another model."""
    if declared.stock is device.extended:
        found, key = ("labd's firmware", "labd") if device.extended else ("stock MLPerf Tiny firmware", "mlperf-tiny")
        raise DutFailure(
            f'{declared.file}: firmware: {found} answers ({device.identity.vendor}), which is "{key}"; write that, or flash the board'
        )
    if declared.stock and device.identity.model not in declared.models:
        names = ", ".join(declared.models)
        raise DutFailure(f'{declared.file}: models: the board says that it holds "{device.identity.model}", got {names}')


async def refuse_other_board(device: Device, declared: Declared) -> None:
    """`refuse_other_firmware`, and labd's own is asked for each model that the file names. Raises DutFailure."""
    refuse_other_firmware(device, declared)
    if declared.stock:
        return
    for model in declared.models:
        try:
            await device.set_workload(model, activity=10, seed=1)
        except DutRefused as error:
            raise DutFailure(
                f"{declared.file}: models: the board ({device.identity.vendor}, {device.identity.model}) has no {model!r}: {error.reason}"
            ) from error


def check_firmware(rig: Rig, declared: Declared) -> list[str]:
    """What must be told of it before a run, one line each. Raises DutFailure for another board, FileError for a bench that does not see
    what its firmware shows."""
    refuse_other_firmware(rig.device, declared)
    return _stock(rig) if declared.stock else []


def _stock(rig: Rig) -> list[str]:
    meter = rig.station.meter
    if not isinstance(meter.driver, Streams):
        raise FileError(
            rig.station.limits.where,
            f"instruments.{meter.spec.name}.driver",
            f"{meter.spec.driver} has no gap-free log: stock firmware cannot be triggered, so that its windows are found in a log only",
        )
    if rig.device.identity.build == "performance":
        return [
            "the board runs a performance build: no pulse shows its windows, so that there is a latency by its own counter and no energy "
            "per inference; for that build it with EE_CFG_ENERGY_MODE=1 and wire the timestamp pin to the meter"
        ]
    if not setups.able(meter).marker_wired:
        raise FileError(rig.station.limits.where, f"instruments.{meter.spec.name}.options", f"{meter.spec.driver}: {NO_PIN}")
    return []
