"""What holds for every test: no leaked asyncio task, no forgotten thread that blocks exit, skips that fail where CI asks for it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import settings

from labd import fast
from labd.loop_watch import watched_loop

settings.register_profile("labd", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("labd")

SKIPS_FAIL = os.environ.get("LABD_SKIPS_FAIL") == "1"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, None]:
    """In CI a skip is a failure: a test that did not run proves nothing."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if SKIPS_FAIL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where skips are failures: {report.longrepr}"


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays for good: a collector that goes through it takes a second, in whatever event loop it is."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def a_home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What labd keeps for a user (a store, who holds which instrument) is neither taken from whoever runs the tests nor shared by two
    processes of them, whose terminals have the same names in turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(params=["compiled", "numpy"], scope="module")
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Loops over samples with numba and without it: what is said of one holds of the other."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(fast, "rows", lambda: None)
        else:
            assert fast.rows() is not None, "numba is among what tests are run with"
        yield


@pytest.fixture(autouse=True)
def usual_log_level() -> None:
    """A command that ran in this process, for another test or a whole module of them, has set its own for good."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
async def no_leaked_tasks(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """A task that outlives its test has no owner."""
    before = asyncio.all_tasks()
    yield
    leaked = {task for task in asyncio.all_tasks() - before if not task.done() and task is not asyncio.current_task()}
    assert not leaked, f"tasks without an owner: {sorted(task.get_name() for task in leaked)}"


@pytest.fixture(autouse=True)
async def no_blocked_loop() -> AsyncIterator[None]:
    """Who computes or waits in the event loop keeps a Ctrl-C, and a switching off, waiting."""
    held_up: list[str] = []
    with watched_loop(held_up.append):
        yield
    assert not held_up, f"the event loop was blocked by {held_up}"
