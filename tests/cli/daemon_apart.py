"""`labd serve` as a process, and the commands that talk to it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import EXIT_S, LABD, Ended, labd


class Daemon:
    def __init__(self, store: Path, process: subprocess.Popen[str]) -> None:
        self.store = store
        self.process = process

    def labd(self, command: str, *arguments: object) -> Ended:
        return labd(*command.split(), *arguments, "--store", self.store)

    def json(self, command: str, *arguments: object) -> Any:
        return json.loads(self.labd(command, *arguments, "--json").out)


@contextmanager
def serving(store: Path, bench: Path = FIXTURES / "benches/demo.toml") -> Iterator[Daemon]:
    command = [*LABD, "serve", str(bench), "--store", str(store), "--port", "0", "--json-log"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("serving at http://127.0.0.1:")
        yield Daemon(store, process)
    finally:  # a test that fails leaves no daemon behind that holds its bench
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=EXIT_S)
