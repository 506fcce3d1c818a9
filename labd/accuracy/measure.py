"""Sends a data set through a DUT, sample by sample, and keeps what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labd.accuracy.dataset import Dataset, Sample, read_inputs
from labd.accuracy.session import Done, Session
from labd.dut.device import Device, Inferred
from labd.dut.errors import DutRebooted, OtherDevice
from labd.errors import DutFailure
from labd.stream.session import InstrumentSession

FILE_S = 60.0  # for a disk to read a sample or to take a line
REBOOTS = 2  # of one sample; a board that reboots each time will not do otherwise the next time


@dataclass(frozen=True, slots=True)
class Progress:
    """done: samples, `of` so many; resumed: of them, made before this process. reboots: of the board, survived."""

    done: int
    of: int
    resumed: int
    reboots: int


class Measurement:
    """One run under way. verify_every: read every so many uploads back, 0: the first of this process only. After a reboot, and in an
    upload that had to be made again, it is read back anyway."""

    def __init__(self, device: Device, dataset: Dataset, session: Session, *, verify_every: int = 0) -> None:
        self._device = device
        self._identity = device.identity
        self._dataset = dataset
        self._session = session
        self._verify_every = verify_every
        self._uploads = 0
        self._verified = 0
        self._verify_next = True
        self.reboots = 0

    async def run(self, show: Callable[[Progress], None]) -> None:
        """Every sample that is not done yet. Raises DutFailure with the sample it was at; what is done is kept."""
        samples = self._dataset.samples
        resumed = len(self._session.done)
        async with InstrumentSession("accuracy files") as files:
            show(Progress(resumed, len(samples), resumed, 0))
            for n in range(resumed, len(samples)):
                inputs = await files.call(read_inputs, self._dataset, samples[n], deadline_s=FILE_S)
                done = await self._sample(n, samples[n], inputs)
                await files.call(self._session.add, done, deadline_s=FILE_S)
                show(Progress(n + 1, len(samples), resumed, self.reboots))

    async def _sample(self, n: int, sample: Sample, inputs: list[bytes]) -> Done:
        for left in reversed(range(REBOOTS + 1)):
            try:
                before = self._verified
                made = [await self._infer(data) for data in inputs]
                break
            except DutRebooted as error:
                self.reboots += 1
                if not left:
                    raise DutFailure(f"{self._dataset.where(sample)}: {error}, {REBOOTS + 1} times at this sample") from error
                await self._meet_again()
            except DutFailure as error:
                raise DutFailure(f"{self._dataset.where(sample)}: {error}") from error
        results = tuple(one.results for one in made)
        self._check_results(sample, results)
        latencies = [one.latency_s for one in made if one.latency_s is not None]
        latency_s = sum(latencies) / len(latencies) if latencies else None
        return Done(n, sample.file, sample.label, results, latency_s, self._verified - before)

    async def _infer(self, data: bytes) -> Inferred:
        verify = self._verify_next or (self._verify_every > 0 and self._uploads % self._verify_every == 0)
        await self._device.load_input(data, verify=verify)
        self._verify_next = False
        self._verified += verify
        self._uploads += 1
        return await self._device.infer(1)

    async def _meet_again(self) -> None:
        """After a reboot: the same firmware, whose next upload is read back."""
        self._verify_next = True
        found = await self._device.identify()
        if found != self._identity:
            raise OtherDevice(f"after its reboot the DUT is another: {found}, before it was {self._identity}")

    def _check_results(self, sample: Sample, results: tuple[tuple[float, ...], ...]) -> None:
        counts = {len(row) for row in results}
        wanted = {1, sample.classes} if sample.classes == 2 else {sample.classes}
        if len(counts) != 1 or (sample.classes is not None and not counts <= wanted) or 0 in counts:
            told = ", ".join(map(str, sorted(counts)))
            raise DutFailure(
                f"{self._dataset.where(sample)}: the DUT ({self._identity.model}) gives {told} scores, the data set has {sample.classes} "
                "classes: is it the data set of this model?"
            )
