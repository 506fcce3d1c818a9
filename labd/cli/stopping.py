"""The emergency stop of a bench through its guard, its daemon or by this process itself, and its end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from labd.bench_file import Bench
from labd.cli.json_option import print_json
from labd.cli.stop_first import FirstWord
from labd.daemon.guarding import off_beside, release
from labd.daemon.opened import load_bench
from labd.errors import InstrumentFailure, LabdError, OutputNotVerifiedOff
from labd.guard.off import best
from labd.guard.wire import OffResult, read_result
from labd.stream.session import InstrumentSession

STOP_S = 30.0  # the daemon ends its run, and switches off what is not off then
MORE_S = 10.0  # for it to answer when everything is off already

Named = tuple[str | None, Path | None]  # what --bench and --ca say


def stop(bench: Path, store: Path | None, named: Named, *, as_json: bool, first: FirstWord) -> None:
    """Raises LabdError; for a bench file with an error in it after what its guard has done is told."""
    try:
        found = load_bench(bench)
    except LabdError:
        _tell_of_the_guard(bench, [read_result(one) for one in first.results()])
        raise
    mine, said = asyncio.run(_stop(found, store, named))
    if isinstance(said, LabdError):
        if found.is_virtual:
            raise said
        print(f"labd: the daemon was not told: {said}", file=sys.stderr)
        said = None
    results = best([mine, said or []])
    if as_json:
        print_json(results)
    else:
        print("\n".join([*map(told, results), *_of_the_rest(found, stopped=said is not None)]))
    _refuse_what_is_on(results)


def _tell_of_the_guard(bench: Path, results: list[OffResult]) -> None:
    """Raises OutputNotVerifiedOff."""
    for result in results:
        print(told(result), file=sys.stderr)
    if not results:
        print(f"labd: NOTHING WAS SWITCHED OFF: no guard that answers is armed for {bench}, and the file cannot be read", file=sys.stderr)
    else:
        print("nothing switches it on again until `labd bench resume`, with a file that can be read", file=sys.stderr)
    _refuse_what_is_on(results)


def _refuse_what_is_on(results: list[OffResult]) -> None:
    bad = [result.source for result in results if not result.off]
    if bad:
        raise OutputNotVerifiedOff(f"{', '.join(bad)}: not verified off; cut the supply by hand")


def let_go_on(bench: Path, store: Path | None, named: Named, *, as_json: bool) -> None:
    """Raises LabdError."""
    from labd.cli.held import server_of
    from labd.client.connection import answer
    from labd.client.generated.api.queue import resume_queue

    found = load_bench(bench)
    daemon = server_of(found, store, *named)
    if daemon is None:
        asyncio.run(release(found))
    else:
        with daemon:
            answer(resume_queue.sync_detailed(client=daemon.client))
    if as_json:
        print_json({"bench": found.name, "daemon": daemon and daemon.url})
    else:
        print(f"{found.name} may be used again{f'; the queue at {daemon.url} goes on' if daemon else ''}")


async def _stop(bench: Bench, store: Path | None, named: Named) -> tuple[list[OffResult], list[OffResult] | LabdError | None]:
    """What came of it beside the daemon, and what the daemon answers: None where none serves the bench, an error where it was not told."""
    async with InstrumentSession("daemon") as session, asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(_asked(session, bench, store, named), name="daemon asked")
        mine = await off_beside(bench)
        if mine and all(result.off for result in mine):
            await asyncio.wait((asked,), timeout=MORE_S)
            asked.cancel()
            session.abandon()
    return mine, InstrumentFailure("it does not answer") if asked.cancelled() else asked.result()


async def _asked(session: InstrumentSession, bench: Bench, store: Path | None, named: Named) -> list[OffResult] | LabdError | None:
    try:
        return await session.call(_stop_daemon, bench, store, named, deadline_s=STOP_S)
    except LabdError as error:
        return error


def _stop_daemon(bench: Bench, store: Path | None, named: Named) -> list[OffResult] | None:
    """In a thread of its own, which nobody waits for where the daemon hangs. Raises LabdError."""
    from labd.cli.held import server_of  # not before the guard was asked: the client takes its time to load
    from labd.client.connection import answer
    from labd.client.generated.api.bench import bench_off

    daemon = server_of(bench, store, *named)
    if daemon is None:
        return None
    with daemon:
        return [OffResult(**one.to_dict()) for one in answer(bench_off.sync_detailed(client=daemon.client))]


def _of_the_rest(bench: Bench, *, stopped: bool) -> list[str]:
    if stopped:
        return [f"the daemon has paused its queue; `labd bench resume {bench.path}` lets it go on"]
    if bench.is_virtual:
        return [f"{bench.name} is virtual and no daemon serves it: it has no outputs but while labd runs it"]
    return [f"nothing switches it on again until `labd bench resume {bench.path}`"]


def told(result: OffResult) -> str:
    seen = {True: ", board discharged", False: ", board NOT discharged", None: ", discharge not verified"}[result.discharged]
    how = f"off{seen}" if result.off else "NOT OFF"
    return f"{result.source}: {how} after {result.took_s:.2f} s{f': {result.text}' if result.text else ''}"
