"""`python -m labd.analyse.worker_process`: the process of a `Worker`."""

from __future__ import annotations

from labd import host
from labd.analyse.worker import serve

if __name__ == "__main__":
    host.stand_back()  # acquisition comes first
    serve()
