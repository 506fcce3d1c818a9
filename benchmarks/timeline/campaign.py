"""All captures of the evidence, a block of them in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from benchmarks.timeline.align import Alignments, align
from benchmarks.timeline.board import powered
from benchmarks.timeline.edges import BurstErrors, burst_errors
from labd import resources
from labd_virtual.firmware_build import build

BLOCK = 20  # captures


def measured(captures: int, events: int, seed: int) -> tuple[Alignments, BurstErrors]:
    """On all cores, a block of captures at a time with a board of its own, so that what comes out does not depend on their number."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of a process of its own for each core: more would wait for one another
    asyncio.run(build(resources.path("firmware"), energy_mode=False))
    found = Alignments()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        bursts = workers.submit(_bursts, events, seed)
        blocks = [workers.submit(_block, range(k, min(k + BLOCK, captures)), seed) for k in range(0, captures, BLOCK)]
        for number, block in enumerate(blocks):
            found.join(block.result())
            if (number + 1) % 4 == 0:
                print(f"{(number + 1) * BLOCK} of {captures} captures", flush=True)
        return found, bursts.result()


def _block(numbers: range, seed: int) -> Alignments:
    async def aligned() -> Alignments:
        found = Alignments()
        async with powered(seed + numbers.start) as board:
            for number in numbers:
                await align(board, number, np.random.default_rng([seed, number]), found)
        return found

    return asyncio.run(aligned())


def _bursts(events: int, seed: int) -> BurstErrors:
    async def bursts() -> BurstErrors:
        async with powered(seed) as board:
            return await burst_errors(board, events, np.random.default_rng([seed, 0]))

    return asyncio.run(bursts())
