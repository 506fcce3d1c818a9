"""What the daemon says of itself to those that keep it."""

from __future__ import annotations

from pathlib import Path

from labd.analyse.worker import Worker
from labd.daemon.around import Surroundings
from labd.daemon.bench_state import BenchState
from labd.daemon.jobs import BenchUse
from labd.daemon.opened import load_bench
from labd.daemon.sinks import itself
from labd.queue.scheduler import Scheduler
from labd.store.session import CatalogueSession
from tests.bench.whole_run import FIXTURES
from tests.grafana.seeds import documented
from tests.influx.lab import SAID, Lab, sinking
from tests.influx.test_sink import until

FILE = FIXTURES / "benches/demo.toml"
OF_THE_CAPTURE = {"run", "capture", "energy", "run_energy"}  # which the sink adds


async def test_it_is_what_the_reference_says(tmp_path: Path) -> None:
    async with CatalogueSession(tmp_path) as catalogue, Worker() as worker:
        around = Surroundings(catalogue, worker)
        use = BenchUse(FILE, around)
        state = BenchState(load_bench(FILE), around, use, Scheduler(catalogue, bench="demo", run=use.run, news=around.news))
        async with sinking(Lab(catalogue), "http://127.0.0.1:1", tmp_path) as sink:
            await until(lambda: "waiting" in sink.status())
            state.sinks["influx"] = sink
            found = await itself(state)
    assert {name: set(values) for name, values in found.items()} == {name: set(values) for name, values in SAID.items()}
    assert set(found["bench"]) | OF_THE_CAPTURE == documented()["bench"][1]
    assert set(found["influx"]) == documented()["outbox"][1]
